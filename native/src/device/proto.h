/*
 * What the library and the broker say to each other.
 *
 * A netmap descriptor *is* a connected SOCK_SEQPACKET socket to the broker: it is inherited by
 * fork, copied by dup, kept by exec, and the broker sees its last copy go away, as a kernel would.
 * Since several threads and processes may hold the same one, answers do not come back on it: every
 * request carries a socket of its own for the answer.
 *
 * Requests are judged by the broker as hostile: lengths, counts and names are checked there.
 */
#ifndef NMD_PROTO_H
#define NMD_PROTO_H

#include <stdint.h>

#define NMP_MAGIC 0x6e6d7631u	/* "nmv1": both sides of one version */
#define NMP_SOCKET "netmap-verify.sock"
#define NMP_DATA 16384u		/* bytes of payload at most */
#define NMP_FDS 250u		/* descriptors in one answer at most */
#define NMP_NAME 64u
#define NMP_PORT_NAME 16u
#define NMP_OPTIONS 16u

enum nmp_op {
	NMP_HELLO = 1, /* -> arg0: mode */
	NMP_CTL,       /* data: struct nmp_ctl; answer the same */
	NMP_SYNC,      /* arg0: enum nmd_dir */
	NMP_SCAN,      /* arg0: events, arg1: the caller would sleep -> arg0: revents, arg1: asleep, fds */
	NMP_MMAP,      /* arg0: length, arg1: offset -> arg0: size, fd */
	NMP_BIND,      /* -> data: struct nmp_bind, fds: control, netmap region, eventfds */
	NMP_CONFIGURE, /* data: struct nmp_port[] */
	NMP_FRAME,     /* data: name, then bytes; arg0: side */
	NMP_FRAMES,    /* data: name; arg0: side -> data: one frame, arg0: was there one */
	NMP_QUIET,     /* -> arg0 */
	NMP_STATS,     /* -> data: struct nmp_stats */
};

enum nmp_mode { NMP_BROKERED = 0, NMP_IN_PROCESS = 1 };
enum nmp_side { NMP_SIDE_WIRE = 0, NMP_SIDE_HOST = 1 };

struct nmp_request {
	uint32_t magic;
	uint32_t op;
	uint32_t length; /* of data */
	uint32_t reserved;
	uint64_t arg[2];
	uint8_t data[NMP_DATA];
};

struct nmp_answer {
	int32_t error; /* errno, 0: well */
	uint32_t length;
	uint64_t arg[2];
	uint8_t data[NMP_DATA];
};

/* A NIOCCTRL request without pointers. */
struct nmp_option {
	uint32_t type;
	uint32_t status;
	uint64_t size;
};

struct nmp_ctl {
	uint16_t version;
	uint16_t reqtype;
	uint32_t body_length;
	uint32_t options;
	uint32_t reserved;
	char name[NMP_NAME];
	uint8_t body[256];
	struct nmp_option option[NMP_OPTIONS];
};

/* A NIC of the environment. `peer` empty: the environment holds the other end of the wire. */
struct nmp_port {
	char name[NMP_PORT_NAME];
	char peer[NMP_PORT_NAME];
	uint32_t tx_rings, rx_rings, tx_slots, rx_slots;
	uint32_t mtu;
	uint32_t host_only; /* no wire */
};

/* The answer to NMP_BIND. Descriptors: the control region, the netmap region, then eventfds. */
struct nmp_bind {
	uint64_t size, buf_ofs; /* of the netmap region */
	uint32_t mem_id, buf_count, buf_size;
	uint32_t handle; /* of nmd_control.sleeping */
	uint32_t tx_poll, rx_poll, down;
	uint32_t first[2], last[2]; /* in kring[]: by enum nmd_dir */
	uint32_t kring[2][128];
	uint32_t fds;		 /* eventfds that follow */
	uint32_t fd_kring[NMP_FDS]; /* whose */
};

struct nmp_stats {
	uint32_t handles, ports, pipes, regions, krings, sleeping, pid;
};

#endif

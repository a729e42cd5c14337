/*
 * libnetmap_user: a netmap device in user space, for machines that have none.
 *
 * Five entry points with the meaning and the errors of the system calls they stand for, and
 * netmap's own ABI behind them. A descriptor is a real one: it survives fork, dup and exec, and
 * closing its last copy, by whatever means, closes the port.
 *
 * The device itself is a process, the broker, started by the first nmu_open and gone with the last
 * descriptor. It is found through a socket in a directory: the one named at nmu_open, or
 * $NETMAP_VERIFY_DIR, or $XDG_RUNTIME_DIR/netmap-verify, or /tmp/netmap-verify-UID. Two directories
 * are two devices. If a broker dies, every call on its descriptors fails with ENODEV and nmu_poll
 * reports POLLERR.
 *
 * $NETMAP_VERIFY_MODE, when the broker is started: "brokered" runs every sync in the broker
 * (isolation as from a kernel), "in-process" runs it in the clients (speed).
 */
#ifndef NETMAP_VERIFY_USER_H
#define NETMAP_VERIFY_USER_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NMU_PUBLIC __attribute__((visibility("default")))

/* `directory`: NULL for the usual one. `flags`: O_CLOEXEC counts, O_RDWR goes without saying. */
NMU_PUBLIC int nmu_open(const char *directory, int flags);
/* NIOCCTRL (REGISTER, PORT_INFO_GET, POOLS_INFO_GET), NIOCTXSYNC, NIOCRXSYNC; others: EOPNOTSUPP. */
NMU_PUBLIC int nmu_ioctl(int fd, unsigned long request, void *arg);
/* MAP_FAILED and errno on error. The mapping stays after close; release it with nmu_munmap. */
NMU_PUBLIC void *nmu_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
NMU_PUBLIC int nmu_munmap(void *addr, size_t length);
/* Other descriptors may be among `fds`: they are waited for as well. */
NMU_PUBLIC int nmu_poll(struct pollfd *fds, nfds_t nfds, int timeout_ms);
NMU_PUBLIC int nmu_close(int fd);

/*
 * The environment of the device: which NICs there are, and what happens on their wires and in the
 * host stack behind them. `fd` is any descriptor of the device. All return -1 and set errno.
 */
struct nmu_port {
	char name[16];
	char peer[16]; /* the port at the other end of its wire; empty: the environment holds it */
	uint32_t tx_rings, rx_rings, tx_slots, rx_slots;
	uint32_t mtu;	    /* bytes */
	uint32_t host_only; /* 1: no wire at all */
};

struct nmu_stats {
	uint32_t handles, ports, pipes, regions, krings, sleeping;
	uint32_t pid; /* of the broker */
};

enum nmu_side { NMU_WIRE = 0, NMU_HOST = 1 };

/* From now on these are the NICs. EBUSY while one of the present ones is open. */
NMU_PUBLIC int nmu_configure(int fd, const struct nmu_port *ports, size_t count);
/* A frame arrives from the wire, or from the host stack. */
NMU_PUBLIC int nmu_frame(int fd, const char *port, int side, const void *data, size_t length);
/* The oldest frame that came out there: its length; EAGAIN when there is none. */
NMU_PUBLIC ssize_t nmu_frames(int fd, const char *port, int side, void *data, size_t room);
/* 1: nothing is under way, and nobody was woken who has not looked yet. */
NMU_PUBLIC int nmu_quiet(int fd);
NMU_PUBLIC int nmu_stats(int fd, struct nmu_stats *stats);
/* "brokered" or "in-process": who runs the data path of this descriptor. */
NMU_PUBLIC const char *nmu_mode(int fd);

#ifdef __cplusplus
}
#endif

#endif

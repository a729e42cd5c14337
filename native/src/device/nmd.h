/*
 * The data path of the device in user space: what a sync does to one ring.
 *
 * Two regions of memory take part. The *netmap region* is what applications map: interface records,
 * rings, buffers; anything in it may hold any value at any time. The *control region* holds the
 * krings, this file's structures: the broker owns it. In brokered mode nobody else maps it, in
 * in-process mode the clients' libraries map it too and run the same functions as the broker, with
 * the same locks.
 *
 * Every index and offset is checked where it is used (nmd_resolve, nmd_buffer), whoever wrote it.
 *
 * A sync becomes visible by one store. A tx ring's `commit` word holds hwcur and, for pipes, the
 * published end of complete packets; an rx ring's holds hwcur. All other words can be computed
 * again, so a sync whose process was killed half-way is either done or was never begun
 * (nmd_lock repairs the rest).
 */
#ifndef NMD_H
#define NMD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NETMAP_VERIFY_DEVICE
#include "netmap_verify/abi_api14.h"
#include "nmv_ring.h"

#define NMD_KRINGS 2048u	/* krings the device can have at once */
#define NMD_MAX_SLOTS 4096u	/* slots of one ring */
#define NMD_MAX_RINGS 64u	/* rings of one direction of a port */
#define NMD_NOBODY UINT32_MAX	/* no kring */
#define NMD_MIN_BUF 2u		/* buffers 0 and 1 are reserved */

enum nmd_dir { NMD_RX = 0, NMD_TX = 1 }; /* the order of enum txrx, and of ring->dir */

/* What is behind a ring. */
enum nmd_kind {
	NMD_FREE = 0,
	NMD_PIPE, /* the ring of the same number at the pipe's other end */
	NMD_WIRE, /* a NIC */
	NMD_HOST, /* the host stack */
};

/* Outcomes of a sync besides errno values. */
enum nmd_result {
	NMD_DONE = 0,
	NMD_REJECTED = -1, /* head, cur or a slot was wrong: the ring was put back */
	NMD_BROKER = -2,   /* only the broker can do this one; nothing was changed */
	NMD_BUSY = -3,	   /* somebody else is at it: left out */
};

struct nmd_kring {
	pthread_mutex_t lock; /* robust, shared; holds everything but the nic_ words */
	uint32_t kind;
	uint32_t dir;
	uint32_t n;
	uint32_t peer;	      /* pipe: the ring at the other end; tx wire: where its frames go */
	uint32_t port;	      /* environment's name for the port, for frames that leave the device */
	uint32_t mem_id;      /* region the ring is in */
	_Atomic uint64_t ring_ofs; /* of struct netmap_ring in it, bytes; 0: there is no ring */

	_Atomic uint64_t commit; /* hwcur, and above it for a pipe's tx the published position */
	_Atomic uint32_t rhead, rcur, rtail, hwtail;
	_Atomic uint32_t armed;	 /* somebody sleeps: the next change writes the ring's eventfd */

	uint32_t mtu; /* tx of a NIC, bytes */
	uint32_t partial; /* tx of a NIC: the broker holds the first fragments of a frame */

	/* rx of a NIC or the host: slots up to nic_tail hold frames the application was not told of */
	pthread_mutex_t nic_lock;
	_Atomic uint64_t nic;	/* nic_tail; bit 63: the intent below is to be carried out */
	uint32_t intent_tx;	/* the sender's kring ... */
	uint32_t intent_hwcur;	/* ... and the hwcur it gets with this nic_tail */
	struct nmd_descriptor {	/* the NIC's own ring */
		uint32_t buf_idx; /* where the next frame in this slot goes */
		uint16_t len, flags; /* of the frame that is there */
	} nic_desc[NMD_MAX_SLOTS];
};

/* Frames that are sent: a VLAN tag more than the MTU and an Ethernet header; others are not. */
#define NMD_HEADERS 18u
#define NMD_FRAME_MAX 9600u

/* A frame in fragments, of which the last has not come yet. */
struct nmd_partial {
	uint32_t length; /* more than NMD_FRAME_MAX: it is too long */
	uint8_t data[NMD_FRAME_MAX];
};

#define NMD_INTENT (UINT64_C(1) << 63)

#define NMD_HANDLES 1024u /* descriptors the device can have at once */

struct nmd_control {
	pthread_mutex_t broker; /* held by the broker as long as it lives */
	_Atomic uint32_t sleeping[NMD_HANDLES]; /* threads asleep in poll, by descriptor */
	struct nmd_kring kring[NMD_KRINGS];
};

/* One netmap region, as far as this process has it mapped. */
struct nmd_mem {
	uint32_t id;
	uint8_t *base;
	uint64_t size;	    /* bytes */
	uint64_t buf_ofs;   /* of buffer 0 */
	uint32_t buf_count; /* objtotal */
	uint32_t buf_size;
};

/* Who runs the data path: the broker, or a client's library. */
struct nmd_ctx {
	struct nmd_control *ctl;
	const struct nmd_mem *(*mem)(void *arg, uint32_t id); /* NULL: not mapped here */
	void (*wake)(void *arg, uint32_t kring);	      /* write its eventfd */
	void (*drain)(void *arg, uint32_t kring);	      /* empty its eventfd */
	/*
	 * A frame leaves tx ring `kring`, and where its fragments are gathered. Both NULL in a client:
	 * a sync that needs them is NMD_BROKER there.
	 */
	void (*frame_out)(void *arg, uint32_t kring, const uint8_t *data, uint32_t length);
	struct nmd_partial *(*partial)(void *arg, uint32_t kring);
	void *arg;
	/* how long to wait for somebody's sync to end; one that was stopped in it is not waited for */
	uint32_t patience_ms;
};

/*
 * Objects of a region are rounded to 64 bytes, as netmap rounds them, so a ring may lie at half of
 * the alignment its struct asks for.
 */
#define NMD_RING_ALIGN 64u
typedef struct netmap_ring nmd_shared_ring __attribute__((aligned(NMD_RING_ALIGN)));

/* A ring that was looked up and checked. */
struct nmd_ring {
	struct nmd_kring *k;
	nmd_shared_ring *ring;
	const struct nmd_mem *mem;
	uint32_t id;
	uint32_t n;
};

/* Rings one descriptor is bound to: [first, last) of the port's krings, which are listed by direction. */
struct nmd_bound {
	uint32_t first[2], last[2]; /* indices into kring[] */
	uint32_t kring[2][2 * NMD_MAX_RINGS];
	bool tx_poll; /* poll for input also transmits */
	bool rx_poll; /* poll for output also receives */
	/* the port's hardware tx rings if all are bound: what its host rings forward goes there; else 0 */
	uint32_t down;
};

void nmd_lock_init(pthread_mutex_t *m); /* robust, between processes */
void nmd_kring_init(struct nmd_kring *k, enum nmd_kind kind, enum nmd_dir dir, uint32_t n);
void nmd_kring_reset(struct nmd_kring *k); /* positions of a fresh ring */
uint32_t nmd_hwcur(const struct nmd_kring *k);

bool nmd_resolve(const struct nmd_ctx *c, uint32_t id, struct nmd_ring *out);
uint8_t *nmd_buffer(const struct nmd_mem *mem, uint32_t idx); /* NULL: no such buffer */
uint8_t *nmd_safe_buffer(const struct nmd_mem *mem, uint32_t idx); /* buffer 0 instead of none */
struct nmv_kring nmd_positions(const struct nmd_ring *r);

int nmd_lock(const struct nmd_ctx *c, uint32_t id, struct nmd_ring *r); /* 0, NMD_BUSY or errno */
int nmd_take(const struct nmd_ctx *c, pthread_mutex_t *m); /* 0, EOWNERDEAD, ETIMEDOUT ... */
uint32_t nmd_pipe_tail(const struct nmd_ctx *c, const struct nmd_ring *r); /* >= n: impossible */
int nmd_nic_lock(const struct nmd_ctx *c, struct nmd_kring *rx);
void nmd_unlock(const struct nmd_ring *r);
void nmd_reinit(const struct nmd_ctx *c, const struct nmd_ring *r);

/* One ring: NMD_DONE, NMD_REJECTED, NMD_BROKER, NMD_BUSY or an errno. */
int nmd_txsync(const struct nmd_ctx *c, uint32_t id);
/* `forwarded` is set when a host ring put frames into tx rings that have to be sent now. */
int nmd_rxsync(const struct nmd_ctx *c, const struct nmd_bound *b, uint32_t id, bool *forwarded);

/* What stands behind a ring; called with the ring locked and its prologue passed (pipe.c, nic.c, host.c). */
int nmd_pipe_tx(const struct nmd_ctx *c, const struct nmd_ring *r, uint32_t *woken);
int nmd_pipe_rx(const struct nmd_ctx *c, const struct nmd_ring *r, uint32_t *woken);
int nmd_nic_tx(const struct nmd_ctx *c, const struct nmd_ring *r, uint32_t *woken);
int nmd_nic_rx(const struct nmd_ctx *c, const struct nmd_ring *r);
int nmd_host_tx(const struct nmd_ctx *c, const struct nmd_ring *r);
int nmd_host_rx(const struct nmd_ctx *c, const struct nmd_bound *b, const struct nmd_ring *r,
		bool *forwarded);
int nmd_host_up(const struct nmd_ctx *c, const struct nmd_ring *r); /* NS_FORWARD of a NIC's rx ring */
int nmd_import(const struct nmd_ring *r);
void nmd_nic_reset(const struct nmd_ring *r); /* a fresh ring: the NIC gets all its buffers */
/* A frame arrives at an rx ring of a NIC or the host. False: dropped, the ring is full. */
bool nmd_nic_deliver(const struct nmd_ctx *c, uint32_t id, const uint8_t *data, uint32_t length);

/* All rings of a descriptor: 0, an errno, or NMD_BROKER. */
int nmd_sync_all(const struct nmd_ctx *c, const struct nmd_bound *b, enum nmd_dir dir);
/* One look of poll at them: syncs, then says which of `events` hold. */
int nmd_scan(const struct nmd_ctx *c, const struct nmd_bound *b, short events, short *revents);
/* Make the next change of the rings `events` ask for write their eventfds; scan again afterwards. */
void nmd_arm(const struct nmd_ctx *c, const struct nmd_bound *b, short events);
/* Wake whoever sleeps on these rings, changed or not. */
void nmd_wake_all(const struct nmd_ctx *c, const struct nmd_bound *b, short events);
void nmd_notify(const struct nmd_ctx *c, uint32_t id);

/* Builds for tests die here when $NMD_CRASH names the place, or stop when $NMD_STOP does. */
#ifdef NMD_TEST_CRASH
void nmd_crash_point(const char *place);
#define NMD_CRASH(place) nmd_crash_point(place)
#else
#define NMD_CRASH(place) ((void)0)
#endif

#endif

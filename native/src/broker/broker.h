/*
 * The broker: the process that owns the device. One thread, one loop; every request is carried out
 * from beginning to end before the next is looked at.
 *
 *   main.c      connections, the loop, the end of it all
 *   broker.c    the device's state
 *   request.c   one request: judged, carried out, answered
 *   region.c    memory: regions as memfds, pools of objects
 *   port.c      what can be opened: NICs (nics.c), pipes and their parents (pipes.c), krings (krings.c)
 *   bind.c      REGISTER and its undoing: exclusivity, interface records, extra buffers
 *   rings.c     the rings in the shared memory
 *   control.c   the other NIOCCTRL requests
 *   environ.c   wires and host stacks: the side of the world that is not netmap
 */
#ifndef NMB_BROKER_H
#define NMB_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nmd.h"
#include "nmv_pool.h"
#include "proto.h"

#define NMB_VALE "vale" /* how the names of switches begin */
#define NMB_REGIONS 64u
#define NMB_PIPES_PER_PORT 64u
#define NMB_FRAMES 65536u /* frames an environment queue keeps */

/* --- memory -------------------------------------------------------------------------------- */

enum nmb_pool_kind { NMB_IF, NMB_RING, NMB_BUF, NMB_POOLS };

struct nmb_pool {
	struct nmv_pool pool;
	uint32_t *words;
	uint64_t ofs;	  /* of object 0 in the region */
	uint32_t size;	  /* of an object, bytes */
	uint32_t total;
	uint64_t bytes;	  /* of all objects, whole pages */
};

struct nmb_region {
	struct nmd_mem view; /* base is NULL until the first user */
	struct nmb_pool pools[NMB_POOLS];
	uint32_t users;	     /* descriptors bound in it */
	uint32_t holders;    /* ports that have it as their memory */
	int fd;
	bool private_mem;
};

struct nmb_sizes {
	uint32_t size, count;
};

struct nmb_region *nmb_region_new(const struct nmb_sizes sizes[NMB_POOLS], bool private_mem, int *error);
struct nmb_region *nmb_region_private(uint32_t tx_rings, uint32_t tx_slots, uint32_t rx_rings,
				      uint32_t rx_slots, uint32_t extra, int *error);
struct nmb_region *nmb_region_global(void);
struct nmb_region *nmb_region_find(uint32_t id);
void nmb_region_hold(struct nmb_region *m);
void nmb_region_release(struct nmb_region *m);
int nmb_region_use(struct nmb_region *m);    /* maps it; errno */
void nmb_region_unuse(struct nmb_region *m); /* the last one: everything is given back */
uint32_t nmb_regions(void);
uint64_t nmb_object(struct nmb_region *m, enum nmb_pool_kind kind, uint64_t bytes, uint32_t *index);
void nmb_object_free(struct nmb_region *m, enum nmb_pool_kind kind, uint32_t index);

/* --- ports --------------------------------------------------------------------------------- */

enum nmb_kind { NMB_NIC, NMB_PARENT, NMB_PIPE_END };

#define NMB_DOWN 2   /* queue: from the host, for a host ring nobody has opened yet */
#define NMB_QUEUES 3

/* Bookkeeping of a kring that only the broker needs. */
struct nmb_kring {
	uint32_t users;
	bool exclusive;
	bool has_ring;
	uint32_t ring; /* object index */
};

struct nmb_pipe;

/* Something a descriptor can be bound to (netmap_adapter). */
struct nmb_port {
	struct nmb_port *next;
	char name[NMP_NAME];
	enum nmb_kind kind;
	struct nmb_region *mem;
	struct nmb_region *mem_before; /* of a NIC that was opened with another allocator */
	uint32_t rings[2], host[2], slots[2]; /* by enum nmd_dir */
	uint32_t kring[2][2 * NMD_MAX_RINGS]; /* hardware rings, then host rings */
	bool has_krings, host_rings;
	uint32_t fds;
	uint32_t pipes;		/* below this port */
	struct nmb_pipe *pipe;	/* of a pipe's end */
	/* NIC */
	uint32_t number; /* nmd_kring.port */
	uint32_t mtu;
	bool host_only;
	char peer[NMP_PORT_NAME];
	/* frames, oldest first: what came out on each enum nmp_side, and NMB_DOWN */
	struct nmb_frame *queue[NMB_QUEUES], *queue_end[NMB_QUEUES];
	uint32_t queued[NMB_QUEUES];
};

struct nmb_pipe {
	struct nmb_pipe *next;
	char id[NMP_NAME];
	struct nmb_port *parent;
	struct nmb_port end[2]; /* master '{', slave '}' */
};

struct nmb_handle {
	struct nmb_handle *next;
	int sock;
	bool gone;
	bool asleep; /* counted in nmd_control.sleeping by its last request */
	uint32_t number; /* in nmd_control.sleeping */
	struct nmb_port *port; /* NULL: unbound */
	struct nmd_bound bound;
	uint32_t flags;
	uint32_t nifp;	  /* object index */
	uint64_t nifp_ofs;
};

extern struct nmd_ctx nmb_ctx;
extern struct nmb_kring nmb_krings[NMD_KRINGS];
extern struct nmb_handle *nmb_handles;
extern int nmb_control_fd;
extern enum nmp_mode nmb_mode;

int nmb_start(void);
struct nmb_handle *nmb_handle_new(int sock);
void nmb_handles_bury(void);
int nmb_kring_fd(uint32_t id); /* its eventfd */
struct nmd_partial *nmb_partial(void *arg, uint32_t id);
void nmb_partial_drop(uint32_t id);
uint32_t nmb_krings_used(void);
int nmb_krings_new(struct nmb_port *p);	   /* errno */
int nmb_krings_host(struct nmb_port *p, const uint32_t want[2]); /* errno */
void nmb_krings_delete(struct nmb_port *p);
struct nmb_port *nmb_nic(const char *name);
struct nmb_port *nmb_nic_number(uint32_t number);
struct nmb_port *nmb_nics(void);
int nmb_configure(const struct nmp_port *ports, uint32_t count);
int nmb_port_get(const char *name, const struct nmreq_register *req, struct nmb_port **port);
void nmb_port_put(struct nmb_port *p); /* a pipe nobody has open goes away */
void nmb_nic_memory(struct nmb_port *p, struct nmb_region *mem); /* the memory a request names, while in use */
void nmb_nic_alone(struct nmb_port *p); /* its own memory again, if nobody and no pipe uses it */
int nmb_pipe_get(const char *name, const char *bracket, const struct nmreq_register *req,
		 struct nmb_region *mem, struct nmb_port **port);
void nmb_pipe_drop(struct nmb_pipe *pipe);
bool nmb_name_ok(const char *name, size_t room); /* of an interface */
uint32_t nmb_ports(void);
uint32_t nmb_pipes(void);

/* --- rings --------------------------------------------------------------------------------- */

nmd_shared_ring *nmb_ring(const struct nmb_port *p, uint32_t kring);
int nmb_rings_create(struct nmb_port *p, const struct nmd_bound *b); /* errno */
void nmb_rings_trim(struct nmb_port *p, const struct nmd_bound *b);
void nmb_pipe_rings_drop(struct nmb_pipe *pipe);

/* --- requests ------------------------------------------------------------------------------ */

int nmb_register(struct nmb_handle *h, const char *name, struct nmreq_register *req, bool options);
void nmb_unregister(struct nmb_handle *h);
int nmb_control(struct nmb_handle *h, struct nmp_ctl *ctl);
/* Answers go out through nmb_answer; `reply` is closed by the caller. */
void nmb_request(struct nmb_handle *h, const struct nmp_request *q, size_t got, int reply);
void nmb_answer(int reply, const struct nmp_answer *a, const int *fds, uint32_t nfds);

/* --- environment --------------------------------------------------------------------------- */

void nmb_queue_clear(struct nmb_port *p);
void nmb_host_opened(struct nmb_port *p);
void nmb_host_closed(struct nmb_port *p);
void nmb_frame_out(void *arg, uint32_t kring, const uint8_t *data, uint32_t length);
int nmb_frame_in(const char *name, enum nmp_side side, const uint8_t *data, uint32_t length);
/* The oldest frame that came out: its length, 0 when there is none, or a negative errno. */
int nmb_frame_take(const char *name, enum nmp_side side, uint8_t *data, uint32_t room);
bool nmb_quiet(void);

#endif

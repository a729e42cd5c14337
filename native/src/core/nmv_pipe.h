/*
 * Chapter "pipe" in C: the positions of a pipe's syncs, twins of netmap_reference/gen14/ports/pipe.py.
 * Pure, and total: any uint32_t may be handed in.
 */
#ifndef NMV_PIPE_H
#define NMV_PIPE_H

#include "nmv_ring.h"

/* Rules a step fired, as bits; they follow those of nmv_ring.h. */
enum nmv_pipe_fired {
	NMV_PIPE_TX_NOTHING = 1u << 11,	  /* 14/pipe/txsync/nothing-new */
	NMV_PIPE_TX_MOVED = 1u << 12,	  /* 14/pipe/txsync/handed-over */
	NMV_PIPE_TX_PUBLISHED = 1u << 13, /* 14/pipe/txsync/published */
	NMV_PIPE_TX_WITHHELD = 1u << 14,  /* 14/pipe/txsync/incomplete */
	NMV_PIPE_RX_NOTHING = 1u << 15,	  /* 14/pipe/rxsync/nothing-released */
	NMV_PIPE_RX_RELEASED = 1u << 16,  /* 14/pipe/rxsync/released */
};

/* The ring afterwards, the slots handed over, and the peer's new pipe_tail unless `publishes` is 0. */
struct nmv_transfer {
	struct nmv_kring kring;
	uint32_t start;
	uint32_t count;
	uint32_t publish;
	uint32_t publishes;
	uint32_t fired;
};

/*
 * `pipe_tail`: the last slot the sender may use, as the receiver has released. `last_complete`: slots
 * handed over up to and with the last one that ends a packet, 0 when none does.
 */
NMV_PUBLIC struct nmv_transfer nmv_pipe_txsync_positions(struct nmv_kring k, uint32_t pipe_tail,
							 uint32_t last_complete);
/* `pipe_tail`: the first slot the sender has not handed over. */
NMV_PUBLIC struct nmv_transfer nmv_pipe_rxsync_positions(struct nmv_kring k, uint32_t pipe_tail);

#endif

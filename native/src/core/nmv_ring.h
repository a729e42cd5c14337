/*
 * Chapter "ring" in C: positions in a ring, what a sync accepts, what it does when it does not.
 *
 * These are the twins of netmap_reference/gen14/ring.py, function by function, in the contract
 * reading only: the C side repeats none of the named deviations. They are pure: they look at their
 * arguments and nothing else, and give the new state back. native/tests compares both sides
 * exhaustively at small scope.
 *
 *     hwcur ... rhead ... rcur ... rtail ... hwtail        (walking forward, 14.ring.kring-order)
 *
 * Every function is total: any uint32_t may be handed in, nothing overflows, nothing is indexed.
 */
#ifndef NMV_RING_H
#define NMV_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "nmv_export.h"

/* The kernel's positions in one ring, in slots. `n` is nkr_num_slots. */
struct nmv_kring {
	uint32_t n;
	uint32_t hwcur;  /* first slot not yet handed over */
	uint32_t hwtail; /* first slot the kernel keeps */
	uint32_t rhead;  /* what the application last said ... */
	uint32_t rcur;
	uint32_t rtail; /* ... and was last told */
};

/* The three words of the shared page, read once. Any value. */
struct nmv_user {
	uint32_t head, cur, tail;
};

/* One slot of the shared page, the layout of struct netmap_slot. */
struct nmv_slot {
	uint32_t buf_idx;
	uint16_t len; /* bytes */
	uint16_t flags;
	uint64_t ptr;
};

/* Rules a step fired, as bits: the C spelling of the rule ids of the Python twin. */
enum nmv_fired {
	NMV_TX_ACCEPT = 1u << 0,	/* 14/ring/tx_prologue/accept */
	NMV_TX_HEAD = 1u << 1,		/* 14/ring/tx_prologue/head-outside */
	NMV_TX_CUR = 1u << 2,		/* 14/ring/tx_prologue/cur-outside */
	NMV_RX_ACCEPT = 1u << 3,	/* 14/ring/rx_prologue/accept */
	NMV_RX_HEAD = 1u << 4,		/* 14/ring/rx_prologue/head-outside */
	NMV_RX_CUR = 1u << 5,		/* 14/ring/rx_prologue/cur-outside */
	NMV_TAIL_RESTORED = 1u << 6,	/* 14/ring/prologue/tail-restored */
	NMV_FINALIZE = 1u << 7,		/* 14/ring/sync_finalize */
	NMV_REINIT = 1u << 8,		/* 14/ring/reinit/reset */
	NMV_SLOT_BAD_IDX = 1u << 9,	/* 14/ring/reinit/slot-bad-idx */
	NMV_SLOT_BAD_LEN = 1u << 10,	/* 14/ring/reinit/slot-bad-len */
};

/* What a prologue decides: the new kring, whether the sync goes on, the tail to store back. */
struct nmv_prologue {
	struct nmv_kring kring;
	uint32_t tail;
	uint32_t accepted;
	uint32_t fired;
};

/* The kring after a rejection, and the three words stored in the shared page. */
struct nmv_reinit {
	struct nmv_kring kring;
	struct nmv_user user;
	uint32_t fired;
};

/* The position after / before `i` in a ring whose last position is `lim`. */
NMV_PUBLIC uint32_t nmv_next(uint32_t i, uint32_t lim);
NMV_PUBLIC uint32_t nmv_prev(uint32_t i, uint32_t lim);

/* Slots met walking forward from `start` (included) to `end` (not), both below `n`. */
NMV_PUBLIC uint32_t nmv_distance(uint32_t start, uint32_t end, uint32_t n);

/* The position `by` slots ahead of `i`; by <= n. */
NMV_PUBLIC uint32_t nmv_advance(uint32_t i, uint32_t by, uint32_t n);

/* Does walking forward from `low` meet `x` no later than `high`? All below the ring size. */
NMV_PUBLIC bool nmv_between(uint32_t low, uint32_t x, uint32_t high);

/* Validate head and cur at the start of a txsync / rxsync. Rejected: the kring is unchanged. */
NMV_PUBLIC struct nmv_prologue nmv_tx_prologue(struct nmv_kring k, struct nmv_user user);
NMV_PUBLIC struct nmv_prologue nmv_rx_prologue(struct nmv_kring k, struct nmv_user user);

/* Publish the kernel's tail: the returned rtail is also what ring->tail becomes. */
NMV_PUBLIC struct nmv_kring nmv_sync_finalize(struct nmv_kring k);

/* Put a rejected ring back to the kernel's own positions. */
NMV_PUBLIC struct nmv_reinit nmv_ring_reinit(struct nmv_kring k, struct nmv_user user);

/* Repair one slot of a rejected ring; `objtotal` buffers of `buf_size` bytes. Adds to *fired. */
NMV_PUBLIC struct nmv_slot nmv_slot_reinit(struct nmv_slot slot, uint32_t objtotal, uint32_t buf_size,
				uint32_t *fired);

/* 14.ring.kring-order holds: all positions below n (n > 0), in order, hwtail less than a turn ahead. */
NMV_PUBLIC bool nmv_kring_ordered(struct nmv_kring k);

#endif

/*
 * Pipes: a slot crosses by being copied into the slot of the same number at the other end, buffer
 * and all; no packet is touched. A transmitted slot is free again when the receiver released it.
 */
#include <errno.h>

#include "nmv_pipe.h"
#include "slot.h"

/* The ring at the other end, and how far that end lets us go. */
static int
far_side(const struct nmd_ctx *c, const struct nmd_ring *r, struct nmd_ring *peer, uint32_t *tail)
{
	if (!nmd_resolve(c, r->k->peer, peer))
		return c->mem(c->arg, r->k->mem_id) == NULL ? NMD_BROKER : EIO;
	*tail = nmd_pipe_tail(c, r);
	return peer->n != r->n || *tail >= r->n ? EIO : 0;
}

/* Hand [hwcur, rhead) over; how many slots up to and with the last one that ends a packet. */
static uint32_t
hand_over(const struct nmd_ring *r, const struct nmd_ring *peer, struct nmv_kring k)
{
	uint32_t i, done = 0, complete = 0;
	struct nmv_slot s;

	for (i = k.hwcur; i != k.rhead; i = nmv_next(i, k.n - 1)) {
		s = nmd_slot_load(r, i);
		nmd_slot_store(peer, i, s);
		NMD_CRASH("pipe-slot");
		/* ours, and cleared before the other end can give the slot back */
		nmd_slot_clear(r, i, s, NS_BUF_CHANGED);
		done++;
		if ((s.flags & NS_MOREFRAG) == 0)
			complete = done;
	}
	return complete;
}

int
nmd_pipe_tx(const struct nmd_ctx *c, const struct nmd_ring *r, uint32_t *woken)
{
	uint32_t published = (uint32_t)(atomic_load_explicit(&r->k->commit, memory_order_relaxed) >> 32);
	struct nmv_transfer t;
	struct nmd_ring peer;
	uint32_t tail;
	int error = far_side(c, r, &peer, &tail);

	if (error != 0)
		return error;
	t = nmv_pipe_txsync_positions(nmd_positions(r), tail, hand_over(r, &peer, nmd_positions(r)));
	atomic_store(&r->k->hwtail, t.kring.hwtail);
	if (t.publishes) {
		published = t.publish;
		*woken = r->k->peer;
	}
	NMD_CRASH("pipe-tx-uncommitted");
	/* hwcur, and what the receiver may see, in one store after the slots */
	atomic_store_explicit(&r->k->commit, (uint64_t)published << 32 | t.kring.hwcur,
			      memory_order_release);
	NMD_CRASH("pipe-tx-committed");
	return 0;
}

int
nmd_pipe_rx(const struct nmd_ctx *c, const struct nmd_ring *r, uint32_t *woken)
{
	struct nmv_transfer t;
	struct nmd_ring peer;
	uint32_t tail;
	int error = far_side(c, r, &peer, &tail);

	if (error != 0)
		return error;
	t = nmv_pipe_rxsync_positions(nmd_positions(r), tail);
	(void)hand_over(r, &peer, nmd_positions(r));
	atomic_store(&r->k->hwtail, t.kring.hwtail);
	if (t.publishes)
		*woken = r->k->peer;
	NMD_CRASH("pipe-rx-uncommitted");
	/* the sender computes what it may use again from this one word */
	atomic_store_explicit(&r->k->commit, t.kring.hwcur, memory_order_release);
	NMD_CRASH("pipe-rx-committed");
	return 0;
}

/*
 * Pipes: a slot crosses by being copied into the slot of the same number at the other end, buffer
 * and all; no packet is touched. A transmitted slot is free again when the receiver released it.
 */
#include <errno.h>

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

int
nmd_pipe_tx(const struct nmd_ctx *c, const struct nmd_ring *r, uint32_t head, uint32_t *woken)
{
	struct nmd_ring peer;
	struct nmv_slot s;
	uint64_t word = atomic_load_explicit(&r->k->commit, memory_order_relaxed);
	uint32_t at = (uint32_t)word, published = (uint32_t)(word >> 32), i, tail, lim = r->n - 1;
	int error = far_side(c, r, &peer, &tail);

	if (error != 0)
		return error;
	atomic_store(&r->k->hwtail, tail);
	if (at == head)
		return 0;
	for (i = at; i != head; i = nmv_next(i, lim)) {
		s = nmd_slot_load(r, i);
		nmd_slot_store(&peer, i, s);
		/* ours again before the receiver can give the slot back */
		nmd_slot_unchanged(r, i, s);
		if ((s.flags & NS_MOREFRAG) == 0) {
			published = nmv_next(i, lim); /* only complete packets are seen */
			*woken = r->k->peer;
		}
	}
	atomic_store_explicit(&r->k->commit, (uint64_t)published << 32 | head, memory_order_release);
	return 0;
}

int
nmd_pipe_rx(const struct nmd_ctx *c, const struct nmd_ring *r, uint32_t head, uint32_t *woken)
{
	struct nmd_ring peer;
	struct nmv_slot s;
	uint32_t i, tail, lim = r->n - 1;
	int error = far_side(c, r, &peer, &tail);

	if (error != 0)
		return error;
	atomic_store(&r->k->hwtail, tail);
	if (nmd_hwcur(r->k) == head)
		return 0;
	for (i = nmd_hwcur(r->k); i != head; i = nmv_next(i, lim)) {
		s = nmd_slot_load(r, i);
		nmd_slot_store(&peer, i, s);
		nmd_slot_unchanged(r, i, s);
	}
	*woken = r->k->peer;
	atomic_store_explicit(&r->k->commit, head, memory_order_release);
	return 0;
}

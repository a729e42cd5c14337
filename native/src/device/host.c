/*
 * Host rings, and forwarding: slots that applications release with NS_FORWARD, in a ring whose flags
 * have NR_FORWARD, are passed on without them: up to the host from a NIC's rx ring, down to the NIC
 * from the host's.
 */
#include <errno.h>
#include <string.h>

#include "slot.h"

#define ETHERNET_HEADER 14

/* Host rings: every slot is a frame for the host stack, which takes it at once. */
int
nmd_host_tx(const struct nmd_ctx *c, const struct nmd_ring *r)
{
	uint32_t i, length, head = atomic_load(&r->k->rhead);
	const uint8_t *data;
	struct nmv_slot s;

	if (nmd_hwcur(r->k) != head && c->frame_out == NULL)
		return NMD_BROKER;
	for (i = nmd_hwcur(r->k); i != head; i = nmv_next(i, r->n - 1)) {
		s = nmd_slot_load(r, i);
		data = nmd_bytes(r, &s, &length);
		if (s.len < ETHERNET_HEADER || s.len > r->mem->buf_size)
			continue; /* not an Ethernet frame: not passed on */
		c->frame_out(c->arg, r->id, data, length);
		nmd_slot_clear(r, i, s, NS_FORWARD);
	}
	atomic_store_explicit(&r->k->commit, head, memory_order_release);
	atomic_store(&r->k->hwtail, nmv_prev(head, r->n - 1));
	return 0;
}

static bool
forwards(const struct nmd_ring *r)
{
	return (__atomic_load_n(&r->ring->flags, __ATOMIC_RELAXED) & NR_FORWARD) != 0;
}

/* Before a NIC's rx ring takes its released slots back: those marked go up to the host. */
int
nmd_host_up(const struct nmd_ctx *c, const struct nmd_ring *r)
{
	uint32_t i, length, head = atomic_load(&r->k->rhead);
	const uint8_t *data;
	struct nmv_slot s;

	if (!forwards(r))
		return 0;
	for (i = nmd_hwcur(r->k); i != head; i = nmv_next(i, r->n - 1)) {
		s = nmd_slot_load(r, i);
		if ((s.flags & NS_FORWARD) == 0)
			continue;
		if (c->frame_out == NULL)
			return NMD_BROKER;
		data = nmd_bytes(r, &s, &length);
		if (s.len < ETHERNET_HEADER || s.len > r->mem->buf_size)
			continue;
		c->frame_out(c->arg, r->id, data, length);
		nmd_slot_clear(r, i, s, NS_FORWARD);
	}
	return 0;
}

/* A tx ring that takes forwarded frames: its words are moved as an application moves them. */
struct target {
	struct nmd_ring r;
	uint32_t head, tail;
};

/* False when no txsync would accept the ring's head: it has no room then. The page is read once. */
static bool
open_target(const struct nmd_ctx *c, uint32_t id, struct target *t)
{
	if (!nmd_resolve(c, id, &t->r))
		return false;
	t->head = __atomic_load_n(&t->r.ring->head, __ATOMIC_RELAXED);
	t->tail = atomic_load(&t->r.k->rtail);
	return t->head < t->r.n && t->tail < t->r.n &&
	    nmv_between(atomic_load(&t->r.k->rhead), t->head, t->tail);
}

/* Exchange slot `i` with the target's free slot, and hand that one over. */
static void
exchange(const struct nmd_ring *r, uint32_t i, struct nmv_slot s, struct target *t)
{
	struct nmv_slot free = nmd_slot_load(&t->r, t->head), there = free;

	there.buf_idx = s.buf_idx;
	there.len = s.len;
	there.flags = NS_BUF_CHANGED;
	nmd_slot_store(&t->r, t->head, there);
	s.buf_idx = free.buf_idx;
	s.flags = NS_BUF_CHANGED;
	nmd_slot_store(r, i, s);
	t->head = nmv_next(t->head, t->r.n - 1);
	__atomic_store_n(&t->r.ring->cur, t->head, __ATOMIC_RELAXED);
	__atomic_store_n(&t->r.ring->head, t->head, __ATOMIC_RELEASE);
}

/* True when frames were put into tx rings. */
static bool
forward_down(const struct nmd_ctx *c, const struct nmd_bound *b, const struct nmd_ring *r)
{
	uint32_t i = nmd_hwcur(r->k), head = atomic_load(&r->k->rhead), ring;
	struct nmv_slot s;
	struct target t;
	bool sent = false;

	for (ring = 0; ring < b->down && i != head; ring++) {
		if (!open_target(c, b->kring[NMD_TX][ring], &t))
			continue;
		for (; i != head && t.head != t.tail; i = nmv_next(i, r->n - 1)) {
			s = nmd_slot_load(r, i);
			if ((s.flags & NS_FORWARD) == 0)
				continue;
			exchange(r, i, s, &t);
			sent = true;
		}
	}
	return sent;
}

/* As from a NIC, but the buffer is the one that is in the slot, marked or not. */
int
nmd_host_rx(const struct nmd_ctx *c, const struct nmd_bound *b, const struct nmd_ring *r, bool *forwarded)
{
	uint32_t i, head = atomic_load(&r->k->rhead);
	int error = nmd_import(r);

	if (error != 0)
		return error;
	if (forwards(r) && forward_down(c, b, r))
		*forwarded = true;
	for (i = nmd_hwcur(r->k); i != head; i = nmv_next(i, r->n - 1))
		r->k->nic_desc[i].buf_idx = nmd_slot_load(r, i).buf_idx;
	atomic_store_explicit(&r->k->commit, head, memory_order_release);
	return 0;
}

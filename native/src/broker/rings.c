/*
 * Rings in the shared memory: made when the first descriptor wants one, taken away with the last.
 * The two rings of a pipe's direction show the same buffers and live as long as the pipe.
 */
#include <errno.h>
#include <string.h>

#include "broker.h"
#include "slot.h"

static nmd_shared_ring *
ring_at(const struct nmb_port *p, uint64_t ofs)
{
	return (nmd_shared_ring *)(void *)(p->mem->view.base + ofs);
}

nmd_shared_ring *
nmb_ring(const struct nmb_port *p, uint32_t kring)
{
	uint64_t ofs = atomic_load(&nmb_ctx.ctl->kring[kring].ring_ofs);

	return nmb_krings[kring].has_ring ? ring_at(p, ofs) : NULL;
}

/* Buffers for all slots of a ring; all or none. */
static int
fill(struct nmb_port *p, nmd_shared_ring *ring, uint32_t n)
{
	uint32_t i, idx;

	for (i = 0; i < n; i++) {
		if (nmb_object(p->mem, NMB_BUF, 1, &idx) == UINT64_MAX) {
			while (i-- > 0)
				nmb_object_free(p->mem, NMB_BUF, ring->slot[i].buf_idx);
			return ENOMEM;
		}
		ring->slot[i].buf_idx = idx;
		ring->slot[i].len = (uint16_t)p->mem->view.buf_size;
		ring->slot[i].flags = 0;
		ring->slot[i].ptr = 0;
	}
	return 0;
}

/* The ring object of kring `id`, number `i` of its direction; `like` has its buffers, or NULL. */
static int
ring_new(struct nmb_port *p, uint32_t id, uint32_t i, const nmd_shared_ring *like)
{
	struct nmd_kring *k = &nmb_ctx.ctl->kring[id];
	uint64_t bytes = sizeof(struct netmap_ring) + (uint64_t)k->n * sizeof(struct netmap_slot);
	uint64_t ofs = nmb_object(p->mem, NMB_RING, bytes, &nmb_krings[id].ring);
	nmd_shared_ring *ring;
	struct nmd_ring r;

	if (ofs == UINT64_MAX)
		return ENOMEM;
	ring = ring_at(p, ofs);
	if (like != NULL) {
		memcpy(ring->slot, like->slot, (size_t)k->n * sizeof(struct netmap_slot));
	} else if (fill(p, ring, k->n) != 0) {
		nmb_object_free(p->mem, NMB_RING, nmb_krings[id].ring);
		return ENOMEM;
	}
	nmd_kring_reset(k);
	ring->num_slots = k->n;
	ring->buf_ofs = (int64_t)(p->mem->view.buf_ofs - ofs);
	ring->nr_buf_size = p->mem->view.buf_size;
	ring->ringid = (uint16_t)i;
	ring->dir = (uint16_t)k->dir;
	ring->head = atomic_load(&k->rhead);
	ring->cur = atomic_load(&k->rcur);
	ring->tail = atomic_load(&k->rtail);
	k->mem_id = p->mem->view.id;
	atomic_store_explicit(&k->ring_ofs, ofs, memory_order_release);
	nmb_krings[id].has_ring = true;
	if (k->kind != NMD_PIPE && nmd_resolve(&nmb_ctx, id, &r))
		nmd_nic_reset(&r);
	nmb_partial_drop(id);
	return 0;
}

/*
 * From here on no sync finds the ring. A client that died in one is repaired; one that was stopped
 * in the middle of one is not waited for longer than the broker's patience.
 */
static void
hide(uint32_t id)
{
	struct nmd_kring *k = &nmb_ctx.ctl->kring[id];
	struct nmd_ring r;
	bool locked = nmd_lock(&nmb_ctx, id, &r) == 0, nic = nmd_nic_lock(&nmb_ctx, k) == 0;

	atomic_store(&k->ring_ofs, 0);
	if (nic)
		pthread_mutex_unlock(&k->nic_lock);
	if (locked)
		nmd_unlock(&r);
}

static void
ring_drop(struct nmb_port *p, uint32_t id, bool buffers)
{
	nmd_shared_ring *ring = nmb_ring(p, id);
	uint32_t i, n = nmb_ctx.ctl->kring[id].n;

	if (ring == NULL)
		return;
	hide(id);
	for (i = 0; buffers && i < n; i++)
		nmb_object_free(p->mem, NMB_BUF, ring->slot[i].buf_idx);
	nmb_object_free(p->mem, NMB_RING, nmb_krings[id].ring);
	nmb_krings[id].has_ring = false;
}

/* Of the two slots of one number, the one at the end that has the buffer: receiver between hwcurs. */
static void
pipe_buffers(struct nmb_port *p, uint32_t tx, uint32_t rx)
{
	const nmd_shared_ring *t = nmb_ring(p, tx), *r = nmb_ring(p, rx);
	uint32_t n = nmb_ctx.ctl->kring[tx].n, i;
	uint32_t from = nmd_hwcur(&nmb_ctx.ctl->kring[rx]), to = nmd_hwcur(&nmb_ctx.ctl->kring[tx]);

	for (i = 0; i < n; i++) {
		bool received = nmv_distance(from, i, n) < nmv_distance(from, to, n);

		nmb_object_free(p->mem, NMB_BUF, received ? r->slot[i].buf_idx : t->slot[i].buf_idx);
	}
}

void
nmb_pipe_rings_drop(struct nmb_pipe *pipe)
{
	struct nmb_port *end = &pipe->end[0];
	uint32_t d, i, own, peer;

	for (d = NMD_RX; d <= NMD_TX; d++) {
		for (i = 0; i < end->rings[d]; i++) {
			own = end->kring[d][i];
			peer = pipe->end[1].kring[!d][i];
			if (!nmb_krings[own].has_ring)
				continue;
			pipe_buffers(end, d == NMD_TX ? own : peer, d == NMD_TX ? peer : own);
			ring_drop(end, own, false);
			ring_drop(end, peer, false);
		}
	}
}

static struct nmb_port *
far_end(struct nmb_port *p)
{
	return p == &p->pipe->end[0] ? &p->pipe->end[1] : &p->pipe->end[0];
}

/* Rings [first, last) of one direction that are missing; the far end's as well if `p` is a pipe's. */
static int
rings_missing(struct nmb_port *p, uint32_t d, uint32_t first, uint32_t last, bool far)
{
	uint32_t i, id, other;
	int error;

	for (i = first; i < last; i++) {
		id = far ? far_end(p)->kring[!d][i] : p->kring[d][i];
		other = far ? p->kring[d][i] : NMD_NOBODY;
		if (nmb_krings[id].has_ring)
			continue;
		error = ring_new(p, id, i, far ? nmb_ring(p, other) : NULL);
		if (error != 0)
			return error;
	}
	return 0;
}

int
nmb_rings_create(struct nmb_port *p, const struct nmd_bound *b)
{
	uint32_t d;
	int error = 0;

	for (d = NMD_RX; d <= NMD_TX && error == 0; d++)
		error = rings_missing(p, d, b->first[d], b->last[d], false);
	for (d = NMD_RX; d <= NMD_TX && error == 0 && p->kind == NMB_PIPE_END; d++)
		error = rings_missing(p, !d, b->first[!d], b->last[!d], true);
	if (error != 0)
		nmb_rings_trim(p, b);
	return error;
}

/* A pipe's ring that failed to get its far side is no ring either. */
static void
trim_pair(struct nmb_port *p, uint32_t own, uint32_t peer)
{
	if (nmb_krings[own].has_ring && !nmb_krings[peer].has_ring)
		ring_drop(p, own, true);
}

/* Take away what nobody uses (any more). A pipe keeps its rings until it goes itself. */
void
nmb_rings_trim(struct nmb_port *p, const struct nmd_bound *b)
{
	uint32_t d, i, id;

	for (d = NMD_RX; d <= NMD_TX; d++) {
		for (i = b->first[d]; i < b->last[d]; i++) {
			id = p->kring[d][i];
			if (p->kind == NMB_PIPE_END)
				trim_pair(p, id, far_end(p)->kring[!d][i]);
			else if (nmb_krings[id].users == 0)
				ring_drop(p, id, true);
		}
	}
}

/* REGISTER and its undoing: which rings, whose, and what the application finds in its memory. */
#include <errno.h>
#include <string.h>

#include "broker.h"

#define MAX_EXTRA 1000000u

/* The rings that mode, ring id and flags select, as [first, last) by direction. */
static int
select_rings(const struct nmb_port *p, const struct nmreq_register *req, struct nmd_bound *b)
{
	const uint64_t others[2] = { NR_TX_RINGS_ONLY, NR_RX_RINGS_ONLY }; /* excludes rx, tx */
	uint32_t d, id = req->nr_ringid;
	uint32_t first[2], last[2];

	for (d = NMD_RX; d <= NMD_TX; d++) {
		uint32_t hw = p->rings[d], all = p->rings[d] + p->host[d];

		if ((req->nr_flags & others[d]) != 0) {
			first[d] = last[d] = 0;
			continue;
		}
		switch (req->nr_mode) {
		case NR_REG_ALL_NIC:
			first[d] = 0;
			last[d] = hw;
			break;
		case NR_REG_SW:
		case NR_REG_NIC_SW:
			if (!p->host_rings)
				return EINVAL;
			first[d] = req->nr_mode == NR_REG_SW ? hw : 0;
			last[d] = all;
			break;
		case NR_REG_ONE_NIC:
			if (id >= p->rings[NMD_TX] && id >= p->rings[NMD_RX])
				return EINVAL;
			first[d] = id < hw ? id : 0; /* not that many in this direction: the first */
			last[d] = first[d] + 1;
			break;
		case NR_REG_ONE_SW:
			if (!p->host_rings || (id >= p->host[NMD_TX] && id >= p->host[NMD_RX]))
				return EINVAL;
			first[d] = hw + (id < p->host[d] ? id : 0);
			last[d] = first[d] + 1;
			break;
		default:
			return EINVAL;
		}
	}
	memset(b, 0, sizeof(*b));
	for (d = NMD_RX; d <= NMD_TX; d++) {
		b->first[d] = first[d];
		b->last[d] = last[d];
		memcpy(b->kring[d], p->kring[d], sizeof(b->kring[d]));
	}
	b->tx_poll = (req->nr_flags & NR_NO_TX_POLL) == 0;
	b->rx_poll = (req->nr_flags & NR_DO_RX_POLL) != 0;
	if (first[NMD_TX] == 0 && last[NMD_TX] >= p->rings[NMD_TX])
		b->down = p->rings[NMD_TX];
	return 0;
}

/* Somebody has one of the rings alone, or we want alone what somebody has. */
static bool
busy(const struct nmd_bound *b, bool exclusive)
{
	uint32_t d, i;

	for (d = NMD_RX; d <= NMD_TX; d++) {
		for (i = b->first[d]; i < b->last[d]; i++) {
			const struct nmb_kring *k = &nmb_krings[b->kring[d][i]];

			if (k->exclusive || (exclusive && k->users > 0))
				return true;
		}
	}
	return false;
}

static void
count_user(const struct nmd_bound *b, bool come, bool exclusive)
{
	uint32_t d, i;

	for (d = NMD_RX; d <= NMD_TX; d++) {
		for (i = b->first[d]; i < b->last[d]; i++) {
			struct nmb_kring *k = &nmb_krings[b->kring[d][i]];

			k->users = come ? k->users + 1 : k->users - 1;
			if (exclusive)
				k->exclusive = come;
		}
	}
}

static struct netmap_if *
nifp_of(const struct nmb_handle *h)
{
	return (struct netmap_if *)(void *)(h->port->mem->view.base + h->nifp_ofs);
}

/* The descriptor's own netmap_if: rings it is not bound to have offset 0. */
static int
interface_new(struct nmb_handle *h, struct nmb_port *p, const struct nmd_bound *b)
{
	uint32_t count[2], d, i, at = 0;
	struct netmap_if *nifp;
	size_t length;

	for (d = NMD_RX; d <= NMD_TX; d++)
		count[d] = p->rings[d] + (p->host[d] != 0 ? p->host[d] : 1);
	h->nifp_ofs = nmb_object(p->mem, NMB_IF,
				 sizeof(*nifp) + (uint64_t)(count[0] + count[1]) * sizeof(ssize_t),
				 &h->nifp);
	if (h->nifp_ofs == UINT64_MAX)
		return ENOMEM;
	nifp = (struct netmap_if *)(void *)(p->mem->view.base + h->nifp_ofs);
	nifp->ni_tx_rings = p->rings[NMD_TX];
	nifp->ni_rx_rings = p->rings[NMD_RX];
	nifp->ni_host_tx_rings = count[NMD_TX] - p->rings[NMD_TX];
	nifp->ni_host_rx_rings = count[NMD_RX] - p->rings[NMD_RX];
	nifp->ni_flags = p->mem->private_mem ? NI_PRIV_MEM : 0;
	length = strnlen(p->name, sizeof(nifp->ni_name) - 1);
	memcpy(nifp->ni_name, p->name, length);
	for (d = NMD_TX;; d = NMD_RX) {
		for (i = 0; i < count[d]; i++, at++) {
			uint32_t id = i < p->rings[d] + p->host[d] ? p->kring[d][i] : NMD_NOBODY;
			uint64_t ofs = 0;

			if (id != NMD_NOBODY && i >= b->first[d] && i < b->last[d])
				ofs = atomic_load(&nmb_ctx.ctl->kring[id].ring_ofs) - h->nifp_ofs;
			nifp->ring_ofs[at] = (ssize_t)ofs;
		}
		if (d == NMD_RX)
			break;
	}
	return 0;
}

/* A chain through the first words of the buffers, the highest index first; how many there were. */
static uint32_t
extra_take(struct nmb_region *m, uint32_t want, uint32_t *head)
{
	uint32_t count, idx;
	uint64_t ofs;

	*head = 0;
	for (count = 0; count < want && count < MAX_EXTRA; count++) {
		ofs = nmb_object(m, NMB_BUF, sizeof(*head), &idx);
		if (ofs == UINT64_MAX)
			break;
		memcpy(m->view.base + ofs, head, sizeof(*head));
		*head = idx;
	}
	return count;
}

/* The application may have changed the chain: it ends at the first thing that is no buffer of ours. */
static void
extra_give(struct nmb_region *m, uint32_t head)
{
	struct nmb_pool *p = &m->pools[NMB_BUF];
	uint32_t next;

	while (nmd_buffer(&m->view, head) != NULL) {
		memcpy(&next, nmd_buffer(&m->view, head), sizeof(next));
		if (!nmv_pool_give(&p->pool, head))
			break;
		head = next;
	}
}

static int
bind_rings(struct nmb_handle *h, struct nmb_port *p, const struct nmreq_register *req)
{
	bool exclusive = (req->nr_flags & NR_EXCLUSIVE) != 0;
	int error = select_rings(p, req, &h->bound);

	if (error != 0)
		return error;
	if (p->kind == NMB_NIC && p->fds == 0 && h->bound.first[NMD_RX] < h->bound.last[NMD_RX] &&
	    p->mtu > p->mem->view.buf_size)
		return EINVAL; /* a frame of the wire would not fit a buffer */
	if (busy(&h->bound, exclusive))
		return EBUSY;
	error = nmb_rings_create(p, &h->bound);
	if (error != 0)
		return error;
	error = interface_new(h, p, &h->bound);
	if (error != 0) {
		nmb_rings_trim(p, &h->bound);
		return error;
	}
	count_user(&h->bound, true, exclusive);
	return 0;
}

/* A NIC nobody has open takes the number of host rings the request wants. */
static int
host_rings(struct nmb_port *p, const struct nmreq_register *req)
{
	uint32_t want[2] = { req->nr_host_rx_rings, req->nr_host_tx_rings };
	uint32_t d;

	if (!p->host_rings || p->fds > 0)
		return 0;
	for (d = NMD_RX; d <= NMD_TX; d++) {
		if (want[d] == 0)
			want[d] = p->host[d];
		if (want[d] > NMD_MAX_RINGS)
			return ENOMEM;
	}
	return nmb_krings_host(p, want);
}

/* The last descriptor of a port has gone, or the first one did not come to be. */
static void
last_out(struct nmb_port *p)
{
	const uint32_t one[2] = { 1, 1 };

	if (p->kind == NMB_PIPE_END && p->pipe->end[0].fds + p->pipe->end[1].fds == 0)
		nmb_pipe_rings_drop(p->pipe);
	else if (p->kind == NMB_NIC && p->fds == 0) {
		nmb_host_closed(p);
		(void)nmb_krings_host(p, one);
	}
	nmb_region_unuse(p->mem);
	nmb_port_put(p);
}

int
nmb_register(struct nmb_handle *h, const char *name, struct nmreq_register *req, bool options)
{
	struct netmap_if *nifp;
	struct nmb_port *p;
	uint32_t head;
	int error;

	if (h->port != NULL)
		return EBUSY;
	error = nmb_port_get(name, req, &p);
	if (error != 0)
		return error;
	error = host_rings(p, req);
	if (error == 0)
		error = nmb_region_use(p->mem);
	if (error != 0) {
		nmb_port_put(p);
		return error;
	}
	error = bind_rings(h, p, req);
	if (error != 0) {
		last_out(p);
		return error;
	}
	h->port = p;
	h->flags = (uint32_t)req->nr_flags;
	p->fds++;
	if (p->kind == NMB_NIC)
		nmb_host_opened(p);
	nifp = nifp_of(h);
	req->nr_extra_bufs = extra_take(p->mem, req->nr_extra_bufs, &head);
	nifp->ni_bufs_head = head;
	if (options) { /* none of them is known here */
		nmb_unregister(h);
		return EOPNOTSUPP;
	}
	req->nr_offset = h->nifp_ofs;
	req->nr_memsize = p->mem->view.size;
	req->nr_mem_id = (uint16_t)p->mem->view.id;
	req->nr_tx_rings = (uint16_t)p->rings[NMD_TX];
	req->nr_rx_rings = (uint16_t)p->rings[NMD_RX];
	req->nr_tx_slots = p->slots[NMD_TX];
	req->nr_rx_slots = p->slots[NMD_RX];
	req->nr_host_tx_rings = (uint16_t)p->host[NMD_TX];
	req->nr_host_rx_rings = (uint16_t)p->host[NMD_RX];
	return 0;
}

/* Whoever sleeps at the other end looks again: what he waits for may not come any more. */
static void
wake_peers(const struct nmd_bound *b)
{
	uint32_t d, i, peer;

	for (d = NMD_RX; d <= NMD_TX; d++) {
		for (i = b->first[d]; i < b->last[d]; i++) {
			peer = nmb_ctx.ctl->kring[b->kring[d][i]].peer;
			if (peer < NMD_KRINGS)
				nmb_ctx.wake(nmb_ctx.arg, peer);
			nmb_ctx.wake(nmb_ctx.arg, b->kring[d][i]);
		}
	}
}

void
nmb_unregister(struct nmb_handle *h)
{
	struct nmb_port *p = h->port;

	if (p == NULL)
		return;
	count_user(&h->bound, false, (h->flags & NR_EXCLUSIVE) != 0);
	extra_give(p->mem, nifp_of(h)->ni_bufs_head);
	nmb_object_free(p->mem, NMB_IF, h->nifp);
	wake_peers(&h->bound);
	nmb_rings_trim(p, &h->bound);
	h->port = NULL;
	p->fds--;
	last_out(p);
}

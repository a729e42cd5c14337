/*
 * The side of the world that is not netmap: what comes out of wires and host stacks is kept until
 * the environment takes it; what it puts in arrives as from a wire or a host.
 *
 * A port in netmap mode receives into its rings; otherwise a frame from the wire goes up to the
 * host, and one from the host goes out on the wire.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"

struct nmb_frame {
	struct nmb_frame *next;
	uint32_t length;
	uint8_t data[];
};

static struct nmb_frame *
queue_get(struct nmb_port *p, int which)
{
	struct nmb_frame *f = p->queue[which];

	if (f == NULL)
		return NULL;
	p->queue[which] = f->next;
	if (f->next == NULL)
		p->queue_end[which] = NULL;
	p->queued[which]--;
	return f;
}

void
nmb_queue_clear(struct nmb_port *p)
{
	struct nmb_frame *f;
	int which;

	for (which = 0; which < NMB_QUEUES; which++)
		while ((f = queue_get(p, which)) != NULL)
			free(f);
}

/* Frames beyond NMB_FRAMES are lost: nobody takes them. */
static void
queue_put(struct nmb_port *p, int which, const uint8_t *data, uint32_t length)
{
	struct nmb_frame *f = p->queued[which] < NMB_FRAMES ? malloc(sizeof(*f) + length) : NULL;

	if (f == NULL)
		return;
	f->next = NULL;
	f->length = length;
	memcpy(f->data, data, length);
	if (p->queue_end[which] != NULL)
		p->queue_end[which]->next = f;
	else
		p->queue[which] = f;
	p->queue_end[which] = f;
	p->queued[which]++;
}

int
nmb_frame_take(const char *name, enum nmp_side side, uint8_t *data, uint32_t room)
{
	struct nmb_port *p = nmb_nic(name);
	struct nmb_frame *f;
	uint32_t length;

	if (p == NULL)
		return -ENXIO;
	f = p->queue[side];
	if (f == NULL)
		return -EAGAIN;
	if (f->length > room)
		return -EMSGSIZE;
	(void)queue_get(p, (int)side);
	length = f->length;
	memcpy(data, f->data, length);
	free(f);
	return (int)length;
}

/* One flow, one ring: any fixed function of the addresses will do. */
static uint32_t
ring_for(const uint8_t *data, uint32_t length, uint32_t rings)
{
	uint32_t i, hash = 0;

	for (i = 0; i < length && i < 14; i++)
		hash = hash * 31 + data[i];
	return hash % rings;
}

/* Into an rx ring if it is in netmap mode, else up to the host behind its port. */
static void
into_ring(struct nmb_port *p, uint32_t id, const uint8_t *data, uint32_t length)
{
	if (nmb_krings[id].has_ring)
		(void)nmd_nic_deliver(&nmb_ctx, id, data, length); /* a full ring drops */
	else
		queue_put(p, NMP_SIDE_HOST, data, length);
}

static void
from_wire(struct nmb_port *p, const uint8_t *data, uint32_t length)
{
	into_ring(p, p->kring[NMD_RX][ring_for(data, length, p->rings[NMD_RX])], data, length);
}

static void
to_wire(struct nmb_port *p, const uint8_t *data, uint32_t length)
{
	struct nmb_port *peer = p->peer[0] != '\0' ? nmb_nic(p->peer) : NULL;

	if (peer != NULL)
		from_wire(peer, data, length);
	else
		queue_put(p, NMP_SIDE_WIRE, data, length);
}

/*
 * What the host sends through a tx ring that is in netmap mode comes down the host rings, and waits
 * there, up to a ring's worth, for somebody to open one.
 */
static void
from_host(struct nmb_port *p, const uint8_t *data, uint32_t length)
{
	uint32_t tx = p->kring[NMD_TX][ring_for(data, length, p->rings[NMD_TX])];
	uint32_t i = ring_for(data, length, p->host[NMD_RX]);

	if (!nmb_krings[tx].has_ring)
		to_wire(p, data, length);
	else if (length > p->mem->view.buf_size)
		; /* 14.host.rx: dropped; the host's frames are not cut into slots */
	else if (nmb_krings[p->kring[NMD_RX][p->rings[NMD_RX] + i]].has_ring)
		(void)nmd_nic_deliver(&nmb_ctx, p->kring[NMD_RX][p->rings[NMD_RX] + i], data, length);
	else if (p->queued[NMB_DOWN] < p->slots[NMD_RX] - 1)
		queue_put(p, NMB_DOWN, data, length);
}

/* A host ring was opened: what the host has sent meanwhile. */
void
nmb_host_opened(struct nmb_port *p)
{
	struct nmb_frame *f;
	uint32_t i, id;

	for (i = 0; i < p->host[NMD_RX] && p->queue[NMB_DOWN] != NULL; i++) {
		id = p->kring[NMD_RX][p->rings[NMD_RX] + i];
		while (nmb_krings[id].has_ring && (f = queue_get(p, NMB_DOWN)) != NULL) {
			(void)nmd_nic_deliver(&nmb_ctx, id, f->data, f->length);
			free(f);
		}
	}
}

/* The port leaves netmap mode. */
void
nmb_host_closed(struct nmb_port *p)
{
	struct nmb_frame *f;

	while ((f = queue_get(p, NMB_DOWN)) != NULL)
		free(f);
}

/* nmd_ctx.frame_out: from a tx ring of a NIC or of the host behind it, or forwarded by an rx ring. */
void
nmb_frame_out(void *arg, uint32_t kring, const uint8_t *data, uint32_t length)
{
	const struct nmd_kring *k = &nmb_ctx.ctl->kring[kring];
	struct nmb_port *p = nmb_nic_number(k->port);
	struct nmb_port *peer = p != NULL && p->peer[0] != '\0' ? nmb_nic(p->peer) : NULL;

	(void)arg;
	if (p == NULL)
		return;
	if (k->kind == NMD_HOST || k->dir == NMD_RX)
		queue_put(p, NMP_SIDE_HOST, data, length);
	else if (peer != NULL && k->peer < NMD_KRINGS)
		into_ring(peer, k->peer, data, length);
	else
		to_wire(p, data, length);
}

int
nmb_frame_in(const char *name, enum nmp_side side, const uint8_t *data, uint32_t length)
{
	struct nmb_port *p = nmb_nic(name);

	if (p == NULL)
		return ENXIO;
	if (length == 0)
		return EINVAL;
	if (side == NMP_SIDE_HOST)
		from_host(p, data, length);
	else
		from_wire(p, data, length);
	return 0;
}

/*
 * Nothing is on its way by itself: frames are delivered and completions made within the call that
 * causes them, so all that can be outstanding is a sleeper that was woken and has not looked yet.
 */
bool
nmb_quiet(void)
{
	const struct nmb_handle *h;
	struct pollfd p;
	uint32_t d, i;

	for (h = nmb_handles; h != NULL; h = h->next) {
		if (h->port == NULL || atomic_load(&nmb_ctx.ctl->sleeping[h->number]) == 0)
			continue;
		for (d = NMD_RX; d <= NMD_TX; d++) {
			for (i = h->bound.first[d]; i < h->bound.last[d]; i++) {
				p.fd = nmb_kring_fd(h->bound.kring[d][i]);
				p.events = POLLIN;
				if (poll(&p, 1, 0) > 0)
					return false;
			}
		}
	}
	return true;
}

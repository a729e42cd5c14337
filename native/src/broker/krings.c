/* The device's krings and their eventfds: who has which. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker.h"

#define LONGEST (NMD_FRAME_MAX - NMD_HEADERS)

struct nmb_kring nmb_krings[NMD_KRINGS];
static int eventfds[NMD_KRINGS];
static bool kring_taken[NMD_KRINGS];
static struct nmd_partial *partials[NMD_KRINGS];

/* nmd_ctx.partial: where the fragments of a tx ring are gathered. */
struct nmd_partial *
nmb_partial(void *arg, uint32_t id)
{
	(void)arg;
	if (partials[id] == NULL)
		partials[id] = calloc(1, sizeof(*partials[id]));
	return partials[id];
}

void
nmb_partial_drop(uint32_t id)
{
	free(partials[id]);
	partials[id] = NULL;
	nmb_ctx.ctl->kring[id].partial = 0;
}

int
nmb_kring_fd(uint32_t id)
{
	return id < NMD_KRINGS && kring_taken[id] ? eventfds[id] : -1;
}

uint32_t
nmb_krings_used(void)
{
	uint32_t id, count = 0;

	for (id = 0; id < NMD_KRINGS; id++)
		count += kring_taken[id];
	return count;
}

static uint32_t
kring_new(void)
{
	uint32_t id;

	for (id = 0; id < NMD_KRINGS; id++) {
		if (kring_taken[id])
			continue;
		eventfds[id] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (eventfds[id] < 0)
			return NMD_NOBODY;
		kring_taken[id] = true;
		memset(&nmb_krings[id], 0, sizeof(nmb_krings[id]));
		return id;
	}
	return NMD_NOBODY;
}

static void
kring_free(uint32_t id)
{
	if (id >= NMD_KRINGS || !kring_taken[id])
		return;
	nmb_partial_drop(id);
	memset(&nmb_ctx.ctl->kring[id], 0, sizeof(struct nmd_kring));
	close(eventfds[id]);
	kring_taken[id] = false;
}

/* Krings [first, last) of one direction; those that are there already stay. 0 or ENOMEM. */
static int
kring_range(struct nmb_port *p, enum nmd_dir d, uint32_t first, uint32_t last)
{
	uint32_t i, id;

	for (i = first; i < last; i++) {
		enum nmd_kind kind = i >= p->rings[d] ? NMD_HOST : p->kind == NMB_NIC ? NMD_WIRE : NMD_PIPE;

		id = kring_new();
		if (id == NMD_NOBODY) {
			while (i-- > first)
				kring_free(p->kring[d][i]);
			return ENOMEM;
		}
		p->kring[d][i] = id;
		nmd_kring_init(&nmb_ctx.ctl->kring[id], kind, d, p->slots[d]);
		nmb_ctx.ctl->kring[id].port = p->number;
		nmb_ctx.ctl->kring[id].mtu = p->mtu < LONGEST ? p->mtu : LONGEST;
	}
	return 0;
}

/* Krings of all rings of a port, fresh; 0 or ENOMEM. */
int
nmb_krings_new(struct nmb_port *p)
{
	int error = kring_range(p, NMD_RX, 0, p->rings[NMD_RX] + p->host[NMD_RX]);

	if (error != 0)
		return error;
	p->has_krings = true;
	error = kring_range(p, NMD_TX, 0, p->rings[NMD_TX] + p->host[NMD_TX]);
	if (error != 0) {
		uint32_t i;

		for (i = 0; i < p->rings[NMD_RX] + p->host[NMD_RX]; i++)
			kring_free(p->kring[NMD_RX][i]);
		p->has_krings = false;
	}
	return error;
}

/* Another number of host rings, while nobody has the port open. */
int
nmb_krings_host(struct nmb_port *p, const uint32_t want[2])
{
	uint32_t i;
	int d;

	for (d = NMD_RX; d <= NMD_TX; d++) {
		int error = 0;

		if (want[d] > p->host[d])
			error = kring_range(p, (enum nmd_dir)d, p->rings[d] + p->host[d],
					    p->rings[d] + want[d]);
		if (error != 0)
			return error;
		for (i = want[d]; i < p->host[d]; i++)
			kring_free(p->kring[d][p->rings[d] + i]);
		p->host[d] = want[d];
	}
	return 0;
}

void
nmb_krings_delete(struct nmb_port *p)
{
	uint32_t d, i;

	if (!p->has_krings)
		return;
	for (d = NMD_RX; d <= NMD_TX; d++)
		for (i = 0; i < p->rings[d] + p->host[d]; i++)
			kring_free(p->kring[d][i]);
	p->has_krings = false;
}

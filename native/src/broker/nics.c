/* The NICs of the environment, and the wires between them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"

static struct nmb_port *nics;
static uint32_t nic_number;

struct nmb_port *
nmb_nics(void)
{
	return nics;
}

struct nmb_port *
nmb_nic(const char *name)
{
	struct nmb_port *p;

	for (p = nics; p != NULL; p = p->next)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

struct nmb_port *
nmb_nic_number(uint32_t number)
{
	struct nmb_port *p;

	for (p = nics; p != NULL; p = p->next)
		if (p->number == number)
			return p;
	return NULL;
}

static void
nic_free(struct nmb_port *p)
{
	nmb_krings_delete(p);
	nmb_queue_clear(p);
	nmb_region_release(p->mem);
	free(p);
}

/* Frames of tx ring i go to the peer's rx ring i, modulo the rings it has. */
static void
wire(struct nmb_port *p)
{
	struct nmb_port *q = nmb_nic(p->peer);
	uint32_t i;

	for (i = 0; q != NULL && i < p->rings[NMD_TX]; i++)
		nmb_ctx.ctl->kring[p->kring[NMD_TX][i]].peer =
			q->kring[NMD_RX][i % q->rings[NMD_RX]];
}

bool
nmb_name_ok(const char *name, size_t room)
{
	size_t n = strnlen(name, room);

	return n > 0 && n < room && strpbrk(name, "/: \t\n{}") == NULL && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

static bool
port_ok(const struct nmp_port *want)
{
	return nmb_name_ok(want->name, sizeof(want->name)) &&
	       strncmp(want->name, NMB_VALE, strlen(NMB_VALE)) != 0 &&
	       memchr(want->peer, 0, sizeof(want->peer)) != NULL && want->tx_rings >= 1 &&
	       want->tx_rings < NMD_MAX_RINGS && want->rx_rings >= 1 && want->rx_rings < NMD_MAX_RINGS &&
	       want->tx_slots >= 1 && want->tx_slots <= NMD_MAX_SLOTS && want->rx_slots >= 1 &&
	       want->rx_slots <= NMD_MAX_SLOTS;
}

static int
nic_new(const struct nmp_port *want)
{
	struct nmb_port *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return ENOMEM;
	p->kind = NMB_NIC;
	memcpy(p->name, want->name, sizeof(want->name));
	memcpy(p->peer, want->peer, sizeof(want->peer));
	p->rings[NMD_TX] = want->tx_rings;
	p->rings[NMD_RX] = want->rx_rings;
	p->slots[NMD_TX] = want->tx_slots;
	p->slots[NMD_RX] = want->rx_slots;
	p->host[NMD_TX] = p->host[NMD_RX] = 1;
	p->host_rings = true;
	p->host_only = want->host_only != 0;
	p->mtu = want->mtu;
	p->number = ++nic_number;
	p->mem = nmb_region_global();
	if (p->mem == NULL || nmb_krings_new(p) != 0) {
		free(p);
		return ENOMEM;
	}
	nmb_region_hold(p->mem);
	p->next = nics;
	nics = p;
	return 0;
}

static void
forget_nics(void)
{
	struct nmb_port *p;

	while ((p = nics) != NULL) {
		nics = p->next;
		nic_free(p);
	}
}

/* The NICs are now these. EBUSY while somebody has one of the present ones open. */
int
nmb_configure(const struct nmp_port *ports, uint32_t count)
{
	struct nmb_port *p;
	uint32_t i;
	int error = 0;

	for (p = nics; p != NULL; p = p->next)
		if (p->fds > 0 || p->pipes > 0)
			return EBUSY;
	for (i = 0; i < count; i++)
		if (!port_ok(&ports[i]))
			return EINVAL;
	forget_nics();
	for (i = 0; i < count && error == 0; i++)
		error = nmb_nic(ports[i].name) != NULL ? EEXIST : nic_new(&ports[i]);
	for (p = nics; p != NULL && error == 0; p = p->next) {
		struct nmb_port *q = p->peer[0] != '\0' ? nmb_nic(p->peer) : NULL;

		/* a wire has two ends, and they know each other */
		if (p->peer[0] != '\0' && (q == NULL || q == p || strcmp(q->peer, p->name) != 0))
			error = EINVAL;
	}
	if (error != 0)
		forget_nics();
	for (p = nics; p != NULL; p = p->next)
		wire(p);
	return error;
}

uint32_t
nmb_ports(void)
{
	struct nmb_port *p;
	uint32_t count = 0;

	for (p = nics; p != NULL; p = p->next)
		count++;
	return count;
}

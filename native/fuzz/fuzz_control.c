/*
 * Fuzz entry for the control path: the broker's own code, driven by requests nobody would send, on
 * memory somebody scribbles into.
 *
 * The input is a script: a byte says what to do, the bytes after it are the material. Afterwards
 * everything is closed, and everything must be free again.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) \
	do {            \
		if (!(condition)) \
			abort(); \
	} while (0)

#define PEOPLE 4

struct script {
	const uint8_t *at;
	size_t left;
};

static uint32_t
number(struct script *s, uint32_t bytes)
{
	uint32_t value = 0;

	for (; bytes > 0 && s->left > 0; bytes--, s->left--)
		value = value << 8 | *s->at++;
	return value;
}

static void
material(struct script *s, void *to, size_t length)
{
	size_t n = length < s->left ? length : s->left;

	memset(to, 0, length);
	memcpy(to, s->at, n);
	s->at += n;
	s->left -= n;
}

static struct nmb_handle *people[PEOPLE];
static int nowhere = -1;

static void
send(struct nmb_handle *h, uint32_t op, const void *data, uint32_t length, uint64_t a, uint64_t b)
{
	static struct nmp_request q;

	q.magic = NMP_MAGIC;
	q.op = op;
	q.length = length;
	q.arg[0] = a;
	q.arg[1] = b;
	if (length > 0)
		memcpy(q.data, data, length);
	nmb_request(h, &q, offsetof(struct nmp_request, data) + length, nowhere);
}

/* REGISTER with likely names and wild fields. */
static void
bind_somebody(struct nmb_handle *h, struct script *s)
{
	static const char names[][8] = { "x{1", "x}1", "x{2", "v0", "v1", "v0{a", "v0}a", "nosuch" };
	struct nmreq_register req;
	struct nmp_ctl ctl;
	uint32_t wild = number(s, 1);

	memset(&ctl, 0, sizeof(ctl));
	memset(&req, 0, sizeof(req));
	ctl.version = NETMAP_API;
	ctl.reqtype = NETMAP_REQ_REGISTER;
	memcpy(ctl.name, names[number(s, 1) % 8], sizeof(names[0]));
	req.nr_mode = wild & 1 ? NR_REG_ALL_NIC : number(s, 1) % 9;
	req.nr_ringid = (uint16_t)(wild & 2 ? number(s, 1) % 4 : 0);
	req.nr_tx_rings = (uint16_t)(wild & 4 ? number(s, 1) % 5 : 1);
	req.nr_rx_rings = (uint16_t)(wild & 4 ? number(s, 1) % 5 : 1);
	req.nr_tx_slots = wild & 8 ? number(s, 2) : 8;
	req.nr_rx_slots = wild & 8 ? number(s, 2) : 8;
	req.nr_extra_bufs = wild & 16 ? number(s, 1) : 0;
	req.nr_flags = wild & 32 ? number(s, 3) : 0;
	req.nr_mem_id = (uint16_t)(wild & 64 ? number(s, 1) % 4 : 0);
	ctl.options = wild & 128 ? number(s, 4) : 0;
	memcpy(ctl.body, &req, sizeof(req));
	send(h, NMP_CTL, &ctl, sizeof(ctl), 0, 0);
}

/* The application writes where it likes: half of the time into its rings, else anywhere. */
static void
scribble(struct nmb_handle *h, struct script *s)
{
	struct nmd_mem *m;
	struct nmd_ring r;
	uint8_t bytes[16];
	uint64_t ofs;
	uint32_t d = number(s, 1) & 1, where = number(s, 4);

	if (h->port == NULL)
		return;
	m = &h->port->mem->view;
	material(s, bytes, sizeof(bytes));
	ofs = where % (m->buf_ofs - sizeof(bytes)); /* interface records and rings */
	if (h->bound.first[d] < h->bound.last[d] &&
	    nmd_resolve(&nmb_ctx, h->bound.kring[d][h->bound.first[d]], &r) && (where & 1) != 0) {
		if ((where & 2) != 0) { /* a likely position */
			r.ring->head = r.ring->cur = bytes[0] % (r.n + 1);
			return;
		}
		ofs = (uint64_t)((uint8_t *)r.ring - m->base) +
		      (where >> 2) % (sizeof(struct netmap_ring) + r.n * sizeof(struct netmap_slot));
	}
	memcpy(m->base + ofs, bytes, ofs + sizeof(bytes) <= m->size ? sizeof(bytes) : 0);
}

static void
environment(struct nmb_handle *h, struct script *s)
{
	struct nmp_port ports[3];
	uint8_t frame[NMP_PORT_NAME + 256];
	uint32_t what = number(s, 1), i;

	if (what % 4 == 0) {
		material(s, ports, sizeof(ports)); /* as it comes */
		send(h, NMP_CONFIGURE, ports, (uint32_t)sizeof(ports[0]) * (what / 4 % 4), 0, 0);
		return;
	}
	if (what % 4 == 1) {
		memset(ports, 0, sizeof(ports));
		for (i = 0; i < 2; i++) {
			memcpy(ports[i].name, i == 0 ? "v0" : "v1", 3);
			memcpy(ports[i].peer, (what & 64) == 0 ? "" : i == 0 ? "v1" : "v0", (what & 64) == 0 ? 1 : 3);
			ports[i].tx_rings = ports[i].rx_rings = 1 + (what >> 4 & 1);
			ports[i].tx_slots = ports[i].rx_slots = 1 + number(s, 1) % 16;
			ports[i].mtu = 1500;
		}
		send(h, NMP_CONFIGURE, ports, 2 * sizeof(ports[0]), 0, 0);
		return;
	}
	material(s, frame, sizeof(frame));
	memcpy(frame, (what & 8) != 0 ? "v0" : "v1", 3);
	memset(frame + 3, 0, NMP_PORT_NAME - 3);
	send(h, what % 4 == 2 ? NMP_FRAME : NMP_FRAMES, frame, NMP_PORT_NAME + what % 200, what >> 7, 0);
}

static void
step(struct script *s)
{
	uint32_t what = number(s, 1);
	struct nmb_handle **h = &people[what >> 4 & 3];
	static struct nmp_request raw;

	if (*h == NULL) {
		*h = nmb_handle_new(-1);
		MUST(*h != NULL);
	}
	switch (what & 15) {
	case 0: /* anything at all */
		material(s, &raw, offsetof(struct nmp_request, data));
		nmb_request(*h, &raw, offsetof(struct nmp_request, data) + raw.length % (2 * NMP_DATA), nowhere);
		break;
	case 1: /* the right head, any body */
		raw.magic = NMP_MAGIC;
		raw.op = number(s, 1) % 14;
		raw.length = number(s, 2) % (NMP_DATA + 1);
		raw.arg[0] = number(s, 4);
		raw.arg[1] = number(s, 4);
		nmb_request(*h, &raw, offsetof(struct nmp_request, data) + raw.length, nowhere);
		break;
	case 2:
		environment(*h, s);
		break;
	case 3:
		(*h)->gone = true;
		nmb_handles_bury();
		*h = NULL;
		break;
	case 4:
	case 5:
	case 6:
		bind_somebody(*h, s);
		break;
	case 7:
	case 8:
	case 9:
		scribble(*h, s);
		break;
	case 10:
	case 11:
		send(*h, NMP_SYNC, NULL, 0, NMD_TX, 0);
		break;
	case 12:
	case 13:
		send(*h, NMP_SYNC, NULL, 0, NMD_RX, 0);
		break;
	default:
		send(*h, NMP_SCAN, NULL, 0, number(s, 2), what >> 7);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size };
	uint32_t i;

	if (nowhere < 0) {
		nowhere = open("/dev/null", O_WRONLY);
		MUST(nowhere >= 0 && nmb_start() == 0);
	}
	for (i = 0; i < 300 && s.left > 0; i++)
		step(&s);
	for (i = 0; i < PEOPLE; i++) {
		if (people[i] != NULL)
			people[i]->gone = true;
		people[i] = NULL;
	}
	nmb_handles_bury();
	MUST(nmb_handles == NULL && nmb_pipes() == 0 && nmb_regions() == 0);
	MUST(nmb_configure(NULL, 0) == 0 && nmb_ports() == 0 && nmb_krings_used() == 0);
	return 0;
}

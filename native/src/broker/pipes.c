/*
 * Pipes. A pipe NAME{ID, NAME}ID stands on a parent port NAME, whose memory it shares; when no such
 * port exists an unnamed one with memory of its own is made for it and goes away with its last
 * pipe. Both ends are made together and live until neither is open any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"

#define PIPE_SLOTS 4096u
#define PARENT_SLOTS 1024u
#define PARENT_RINGS 16u
#define PARENT_EXTRA (128u * PIPE_SLOTS) /* extra buffers a private region grows for */

static struct nmb_port *parents;
static struct nmb_pipe *pipes;

static uint32_t
bound_to(uint32_t value, uint32_t otherwise, uint32_t most)
{
	if (value == 0)
		return otherwise;
	return value > most ? most : value;
}

static int
parent_new(const char *name, const struct nmreq_register *req, struct nmb_region *mem,
	   struct nmb_port **port)
{
	struct nmb_port *p;
	int error = ENOMEM;

	if (!nmb_name_ok(name, NMP_PORT_NAME))
		return ENXIO;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return ENOMEM;
	p->kind = NMB_PARENT;
	memcpy(p->name, name, strlen(name) + 1);
	p->rings[NMD_TX] = bound_to(req->nr_tx_rings, 1, PARENT_RINGS);
	p->rings[NMD_RX] = bound_to(req->nr_rx_rings, 1, PARENT_RINGS);
	p->slots[NMD_TX] = bound_to(req->nr_tx_slots, PARENT_SLOTS, PIPE_SLOTS);
	p->slots[NMD_RX] = bound_to(req->nr_rx_slots, PARENT_SLOTS, PIPE_SLOTS);
	p->mem = mem != NULL ? mem :
			       nmb_region_private(p->rings[NMD_TX], p->slots[NMD_TX], p->rings[NMD_RX],
						  p->slots[NMD_RX],
						  bound_to(req->nr_extra_bufs, 0, PARENT_EXTRA), &error);
	if (p->mem == NULL) {
		free(p);
		return error == ENOMEM ? ENOMEM : ENXIO; /* no such sizes: no such port */
	}
	nmb_region_hold(p->mem);
	p->next = parents;
	parents = p;
	*port = p;
	return 0;
}

static void
parent_drop(struct nmb_port *p)
{
	struct nmb_port **at;

	if (p->kind != NMB_PARENT || p->pipes > 0)
		return;
	for (at = &parents; *at != NULL; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	nmb_region_release(p->mem);
	free(p);
}

static void
end_init(struct nmb_pipe *pipe, struct nmb_port *end, char bracket, const uint32_t rings[2],
	 const uint32_t slots[2])
{
	size_t n = strlen(pipe->parent->name);

	end->kind = NMB_PIPE_END;
	end->pipe = pipe;
	memcpy(end->name, pipe->parent->name, n);
	end->name[n] = bracket;
	memcpy(end->name + n + 1, pipe->id, sizeof(end->name) - n - 2); /* parent's name is short */
	end->mem = pipe->parent->mem;
	memcpy(end->rings, rings, sizeof(end->rings));
	memcpy(end->slots, slots, sizeof(end->slots));
}

static int
pipe_new(struct nmb_port *parent, const char *id, const struct nmreq_register *req, struct nmb_pipe **out)
{
	uint32_t rings[2], slots[2], d, i;
	struct nmb_pipe *pipe;
	int error;

	if (parent->pipes >= NMB_PIPES_PER_PORT)
		return EINVAL;
	pipe = calloc(1, sizeof(*pipe));
	if (pipe == NULL)
		return ENOMEM;
	pipe->parent = parent;
	memcpy(pipe->id, id, strlen(id) + 1);
	rings[NMD_TX] = bound_to(req->nr_tx_rings, 1, NMD_MAX_RINGS);
	rings[NMD_RX] = bound_to(req->nr_rx_rings, 1, NMD_MAX_RINGS);
	slots[NMD_TX] = bound_to(req->nr_tx_slots, parent->slots[NMD_TX], PIPE_SLOTS);
	slots[NMD_RX] = bound_to(req->nr_rx_slots, parent->slots[NMD_RX], PIPE_SLOTS);
	/* the wishes are the master's, whichever end was asked for; the slave mirrors it */
	end_init(pipe, &pipe->end[0], '{', rings, slots);
	end_init(pipe, &pipe->end[1], '}', (uint32_t[2]){ rings[NMD_TX], rings[NMD_RX] },
		 (uint32_t[2]){ slots[NMD_TX], slots[NMD_RX] });
	error = nmb_krings_new(&pipe->end[0]);
	if (error == 0 && (error = nmb_krings_new(&pipe->end[1])) != 0)
		nmb_krings_delete(&pipe->end[0]);
	if (error != 0) {
		free(pipe);
		return error;
	}
	for (d = NMD_RX; d <= NMD_TX; d++) {
		for (i = 0; i < pipe->end[0].rings[d]; i++) {
			uint32_t a = pipe->end[0].kring[d][i], b = pipe->end[1].kring[!d][i];

			nmb_ctx.ctl->kring[a].peer = b;
			nmb_ctx.ctl->kring[b].peer = a;
		}
	}
	nmb_region_hold(parent->mem);
	parent->pipes++;
	pipe->next = pipes;
	pipes = pipe;
	*out = pipe;
	return 0;
}

void
nmb_pipe_drop(struct nmb_pipe *pipe)
{
	struct nmb_pipe **at;

	if (pipe->end[0].fds > 0 || pipe->end[1].fds > 0)
		return;
	for (at = &pipes; *at != pipe; at = &(*at)->next)
		;
	*at = pipe->next;
	nmb_krings_delete(&pipe->end[0]);
	nmb_krings_delete(&pipe->end[1]);
	nmb_region_release(pipe->end[0].mem);
	pipe->parent->pipes--;
	nmb_nic_alone(pipe->parent);
	parent_drop(pipe->parent);
	free(pipe);
}

static struct nmb_pipe *
pipe_find(const struct nmb_port *parent, const char *id)
{
	struct nmb_pipe *p;

	for (p = pipes; p != NULL; p = p->next)
		if (p->parent == parent && strcmp(p->id, id) == 0)
			return p;
	return NULL;
}

static struct nmb_port *
parent_find(const char *name)
{
	struct nmb_port *p = nmb_nic(name);

	if (p == NULL)
		for (p = parents; p != NULL && strcmp(p->name, name) != 0; p = p->next)
			;
	return p;
}

int
nmb_pipe_get(const char *name, const char *bracket, const struct nmreq_register *req, struct nmb_region *mem,
	 struct nmb_port **port)
{
	char parent_name[NMP_NAME];
	struct nmb_port *parent;
	struct nmb_pipe *pipe;
	bool master = *bracket == '{';
	struct nmreq_register asked;
	int error = 0;

	if (bracket == name || bracket[1] == '\0')
		return EINVAL;
	if (req->nr_mode != NR_REG_ALL_NIC && req->nr_mode != NR_REG_ONE_NIC)
		return EINVAL;
	memcpy(parent_name, name, (size_t)(bracket - name));
	parent_name[bracket - name] = '\0';
	if (strncmp(parent_name, NMB_VALE, strlen(NMB_VALE)) == 0)
		return EOPNOTSUPP;
	parent = parent_find(parent_name);
	asked = *req;
	if (parent == NULL) {
		error = parent_new(parent_name, req, mem, &parent);
		if (error != 0)
			return error;
		/* the pipe is made of what was left of the wishes when the parent was */
		asked.nr_tx_rings = (uint16_t)parent->rings[NMD_TX];
		asked.nr_rx_rings = (uint16_t)parent->rings[NMD_RX];
	}
	nmb_nic_memory(parent, mem);
	pipe = pipe_find(parent, bracket + 1);
	if (pipe == NULL && (error = pipe_new(parent, bracket + 1, &asked, &pipe)) != 0) {
		nmb_nic_alone(parent);
		parent_drop(parent);
		return error;
	}
	*port = &pipe->end[master ? 0 : 1];
	return 0;
}

uint32_t
nmb_pipes(void)
{
	struct nmb_pipe *p;
	uint32_t count = 0;

	for (p = pipes; p != NULL; p = p->next)
		count++;
	return count;
}

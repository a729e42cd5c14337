/* Finding what a request names. */
#include <errno.h>
#include <string.h>

#include "broker.h"

/* The port a request names, made when it is a pipe that does not exist; undone by nmb_port_put. */
int
nmb_port_get(const char *name, const struct nmreq_register *req, struct nmb_port **port)
{
	struct nmb_region *mem = NULL;
	const char *bracket;
	struct nmb_port *p;

	*port = NULL;
	if (req->nr_mem_id != 0 && (mem = nmb_region_find(req->nr_mem_id)) == NULL)
		return EINVAL;
	if (req->nr_mode == NR_REG_PIPE_MASTER || req->nr_mode == NR_REG_PIPE_SLAVE)
		return EINVAL;
	if (req->nr_mode == NR_REG_NULL)
		return EOPNOTSUPP; /* null ports */
	if ((req->nr_flags & (NR_MONITOR_TX | NR_MONITOR_RX | NR_ZCOPY_MON)) != 0)
		return EOPNOTSUPP; /* monitors */
	bracket = strrchr(name, '{');
	if (bracket == NULL)
		bracket = strrchr(name, '}');
	if (bracket != NULL)
		return nmb_pipe_get(name, bracket, req, mem, port);
	if (strncmp(name, NMB_VALE, strlen(NMB_VALE)) == 0)
		return EOPNOTSUPP; /* switches */
	p = nmb_nic(name);
	if (p == NULL)
		return ENXIO;
	if (p->host_only)
		return EINVAL; /* nothing but a host stack: no rings */
	nmb_nic_memory(p, mem);
	*port = p;
	return 0;
}

void
nmb_nic_memory(struct nmb_port *p, struct nmb_region *mem)
{
	if (p->kind != NMB_NIC || p->fds > 0 || p->pipes > 0 || mem == NULL || mem == p->mem)
		return;
	p->mem_before = p->mem;
	p->mem = mem;
	nmb_region_hold(mem);
}

void
nmb_nic_alone(struct nmb_port *p)
{
	if (p->kind != NMB_NIC || p->fds > 0 || p->pipes > 0 || p->mem_before == NULL)
		return;
	nmb_region_release(p->mem);
	p->mem = p->mem_before;
	p->mem_before = NULL;
}

void
nmb_port_put(struct nmb_port *p)
{
	if (p->kind == NMB_PIPE_END)
		nmb_pipe_drop(p->pipe);
	else
		nmb_nic_alone(p);
}

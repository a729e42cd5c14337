/* NIOCCTRL, as the broker carries it out; pointers and copying are the library's business. */
#include <errno.h>
#include <string.h>

#include "broker.h"

/* The request bodies we read as structs: copied out and in, so that nothing depends on alignment. */
#define BODY(ctl, type) \
	type body;      \
	memcpy(&body, (ctl)->body, sizeof(body))

/* A port as REGISTER would find it, with the parameters of an information request. */
static int
look_up(const char *name, const struct nmreq_port_info_get *info, uint16_t mem_id,
	struct nmb_port **p)
{
	struct nmreq_register req;

	memset(&req, 0, sizeof(req));
	req.nr_mode = NR_REG_ALL_NIC;
	req.nr_mem_id = mem_id;
	if (info != NULL) {
		req.nr_tx_slots = info->nr_tx_slots;
		req.nr_rx_slots = info->nr_rx_slots;
		req.nr_tx_rings = info->nr_tx_rings;
		req.nr_rx_rings = info->nr_rx_rings;
	}
	return nmb_port_get(name, &req, p);
}

static int
port_info(struct nmp_ctl *ctl)
{
	BODY(ctl, struct nmreq_port_info_get);
	struct nmb_region *m;
	struct nmb_port *p = NULL;
	int error;

	if (ctl->name[0] != '\0') {
		error = look_up(ctl->name, &body, body.nr_mem_id, &p);
		if (error != 0)
			return error;
		m = p->mem;
	} else {
		m = nmb_region_find(body.nr_mem_id != 0 ? body.nr_mem_id : 1);
		if (m == NULL)
			return EINVAL;
	}
	body.nr_memsize = m->view.size;
	body.nr_mem_id = (uint16_t)m->view.id;
	if (p != NULL) {
		body.nr_tx_rings = (uint16_t)p->rings[NMD_TX];
		body.nr_rx_rings = (uint16_t)p->rings[NMD_RX];
		body.nr_tx_slots = p->slots[NMD_TX];
		body.nr_rx_slots = p->slots[NMD_RX];
		body.nr_host_tx_rings = (uint16_t)p->host[NMD_TX];
		body.nr_host_rx_rings = (uint16_t)p->host[NMD_RX];
		nmb_port_put(p);
	}
	memcpy(ctl->body, &body, sizeof(body));
	return 0;
}

static int
pools_info(struct nmp_ctl *ctl)
{
	BODY(ctl, struct nmreq_pools_info);
	const struct nmb_pool *pool;
	struct nmb_port *p;
	int error = look_up(ctl->name, NULL, body.nr_mem_id, &p);

	if (error != 0)
		return error;
	pool = p->mem->pools;
	body.nr_memsize = p->mem->view.size;
	body.nr_mem_id = (uint16_t)p->mem->view.id;
	body.nr_if_pool_offset = pool[NMB_IF].ofs;
	body.nr_if_pool_objtotal = pool[NMB_IF].total;
	body.nr_if_pool_objsize = pool[NMB_IF].size;
	body.nr_ring_pool_offset = pool[NMB_RING].ofs;
	body.nr_ring_pool_objtotal = pool[NMB_RING].total;
	body.nr_ring_pool_objsize = pool[NMB_RING].size;
	body.nr_buf_pool_offset = pool[NMB_BUF].ofs;
	body.nr_buf_pool_objtotal = pool[NMB_BUF].total;
	body.nr_buf_pool_objsize = pool[NMB_BUF].size;
	nmb_port_put(p);
	memcpy(ctl->body, &body, sizeof(body));
	return 0;
}

static int
do_register(struct nmb_handle *h, struct nmp_ctl *ctl)
{
	BODY(ctl, struct nmreq_register);
	int error = nmb_register(h, ctl->name, &body, ctl->options > 0);

	if (error == 0)
		memcpy(ctl->body, &body, sizeof(body));
	return error;
}

int
nmb_control(struct nmb_handle *h, struct nmp_ctl *ctl)
{
	uint32_t i;

	ctl->name[sizeof(ctl->name) - 1] = '\0';
	if (ctl->options > NMP_OPTIONS)
		return EMSGSIZE;
	for (i = 0; i < ctl->options; i++) /* none is known: a request that needs them fails */
		ctl->option[i].status = EOPNOTSUPP;
	if (ctl->version < NETMAP_MIN_API || ctl->version > NETMAP_MAX_API)
		return EINVAL;
	switch (ctl->reqtype) {
	case NETMAP_REQ_REGISTER:
		return do_register(h, ctl);
	case NETMAP_REQ_PORT_INFO_GET:
		return port_info(ctl);
	case NETMAP_REQ_POOLS_INFO_GET:
		return pools_info(ctl);
	case NETMAP_REQ_VALE_ATTACH:
	case NETMAP_REQ_VALE_DETACH:
	case NETMAP_REQ_VALE_LIST:
	case NETMAP_REQ_PORT_HDR_SET:
	case NETMAP_REQ_PORT_HDR_GET:
	case NETMAP_REQ_VALE_NEWIF:
	case NETMAP_REQ_VALE_DELIF:
	case NETMAP_REQ_VALE_POLLING_ENABLE:
	case NETMAP_REQ_VALE_POLLING_DISABLE:
	case NETMAP_REQ_SYNC_KLOOP_START:
	case NETMAP_REQ_SYNC_KLOOP_STOP:
	case NETMAP_REQ_CSB_ENABLE:
		return EOPNOTSUPP; /* the request exists, this device does not have it */
	default:
		return EINVAL;
	}
}

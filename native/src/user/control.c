/*
 * NIOCCTRL on the application's side: the header, its body and its chain of options are copied in
 * as a kernel would (EFAULT, EINVAL, EMSGSIZE), sent without pointers, and copied out again.
 */
#include <errno.h>
#include <string.h>

#include "netmap_verify/abi_api14.h"
#include "user.h"

static size_t
body_size(uint16_t reqtype)
{
	switch (reqtype) {
	case NETMAP_REQ_REGISTER:
		return sizeof(struct nmreq_register);
	case NETMAP_REQ_PORT_INFO_GET:
		return sizeof(struct nmreq_port_info_get);
	case NETMAP_REQ_VALE_ATTACH:
		return sizeof(struct nmreq_vale_attach);
	case NETMAP_REQ_VALE_DETACH:
		return sizeof(struct nmreq_vale_detach);
	case NETMAP_REQ_VALE_LIST:
		return sizeof(struct nmreq_vale_list);
	case NETMAP_REQ_PORT_HDR_SET:
	case NETMAP_REQ_PORT_HDR_GET:
		return sizeof(struct nmreq_port_hdr);
	case NETMAP_REQ_VALE_NEWIF:
		return sizeof(struct nmreq_vale_newif);
	case NETMAP_REQ_VALE_POLLING_ENABLE:
	case NETMAP_REQ_VALE_POLLING_DISABLE:
		return sizeof(struct nmreq_vale_polling);
	case NETMAP_REQ_POOLS_INFO_GET:
		return sizeof(struct nmreq_pools_info);
	case NETMAP_REQ_SYNC_KLOOP_START:
		return sizeof(struct nmreq_sync_kloop_start);
	default:
		return 0;
	}
}

/* Bytes behind the option's own header, for the types that exist; those of others are not read. */
static uint64_t
option_size(uint32_t type, uint64_t said)
{
	const uint64_t head = sizeof(struct nmreq_option);

	switch (type) {
	case NETMAP_REQ_OPT_EXTMEM:
		return sizeof(struct nmreq_opt_extmem) - head;
	case NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS:
		return said > head ? said - head : 0;
	case NETMAP_REQ_OPT_CSB:
		return sizeof(struct nmreq_opt_csb) - head;
	case NETMAP_REQ_OPT_SYNC_KLOOP_MODE:
		return sizeof(struct nmreq_opt_sync_kloop_mode) - head;
	case NETMAP_REQ_OPT_OFFSETS:
		return sizeof(struct nmreq_opt_offsets) - head;
	default:
		return 0;
	}
}

static void *
pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

/* The status of every option that was read goes back to where it came from. */
static int
options_out(const struct nmp_ctl *ctl, const uint64_t *address)
{
	uint32_t i;
	int error = 0;

	for (i = 0; i < ctl->options && error == 0; i++)
		error = nmu_copy_out((uint8_t *)pointer(address[i]) + offsetof(struct nmreq_option, nro_status),
				     &ctl->option[i].status, sizeof(ctl->option[i].status));
	return error;
}

static int
duplicate(struct nmp_ctl *ctl, uint32_t n)
{
	uint32_t i;

	if (ctl->option[n].type >= NETMAP_REQ_OPT_MAX)
		return 0;
	for (i = 0; i < n; i++) {
		if (ctl->option[i].type == ctl->option[n].type) {
			ctl->option[i].status = ctl->option[n].status = EINVAL;
			return EINVAL;
		}
	}
	return 0;
}

/* Walk the chain. `used` counts the bytes of body and options against NETMAP_REQ_MAXSIZE. */
static int
options_in(struct nmp_ctl *ctl, uint64_t at, uint64_t used, uint64_t *address)
{
	struct nmreq_option opt;
	uint64_t size;
	int error;

	while (at != 0) {
		if (ctl->options == NMP_OPTIONS || used + sizeof(opt) > NETMAP_REQ_MAXSIZE)
			return EMSGSIZE; /* a chain that does not end, or too long a one */
		error = nmu_copy_in(&opt, pointer(at), sizeof(opt));
		if (error != 0)
			return error;
		used += sizeof(opt);
		address[ctl->options] = at;
		ctl->option[ctl->options].type = opt.nro_reqtype;
		ctl->option[ctl->options].size = opt.nro_size;
		ctl->option[ctl->options].status = 0;
		ctl->options++;
		if (opt.nro_reqtype == 0) {
			ctl->option[ctl->options - 1].status = EINVAL;
			return EINVAL;
		}
		error = duplicate(ctl, ctl->options - 1);
		if (error != 0)
			return error;
		size = option_size(opt.nro_reqtype, opt.nro_size);
		if (opt.nro_reqtype < NETMAP_REQ_OPT_MAX &&
		    (opt.nro_size > NETMAP_REQ_MAXSIZE || used + size > NETMAP_REQ_MAXSIZE))
			return EMSGSIZE;
		used += size;
		at = opt.nro_next;
	}
	return 0;
}

int
nmu_control(int fd, void *header)
{
	struct nmreq_header hdr;
	struct nmp_answer a;
	struct nmp_ctl ctl;
	uint64_t address[NMP_OPTIONS];
	size_t length;
	int error = nmu_copy_in(&hdr, header, sizeof(hdr));

	if (error != 0)
		return error;
	if (hdr.nr_version < NETMAP_MIN_API || hdr.nr_version > NETMAP_MAX_API || hdr.nr_reserved != 0)
		return EINVAL;
	length = body_size(hdr.nr_reqtype);
	if ((length != 0) != (hdr.nr_body != 0))
		return EINVAL; /* a body where none belongs, or none where one does */
	memset(&ctl, 0, sizeof(ctl));
	ctl.version = hdr.nr_version;
	ctl.reqtype = hdr.nr_reqtype;
	ctl.body_length = (uint32_t)length;
	_Static_assert(sizeof(ctl.name) == sizeof(hdr.nr_name), "names are copied whole");
	memcpy(ctl.name, hdr.nr_name, sizeof(ctl.name));
	error = nmu_copy_in(ctl.body, pointer(hdr.nr_body), length);
	if (error == 0)
		error = nmu_copy_out(pointer(hdr.nr_body), ctl.body, length); /* it will have to take the result */
	if (error != 0)
		return error;
	error = options_in(&ctl, hdr.nr_options, length, address);
	if (error != 0) {
		(void)options_out(&ctl, address);
		return error;
	}
	error = nmu_call(fd, NMP_CTL, NULL, &ctl, sizeof(ctl), &a, NULL, 0, NULL);
	if (a.length != sizeof(ctl) && error == 0)
		return ENODEV;
	if (error == 0 || a.length == sizeof(ctl)) {
		struct nmp_ctl back;
		int copied = 0;

		memcpy(&back, a.data, sizeof(back));
		back.options = ctl.options; /* the count we have room for */
		if (error == 0)
			copied = nmu_copy_out(pointer(hdr.nr_body), back.body, length);
		if (copied == 0)
			copied = options_out(&back, address);
		if (error == 0)
			error = copied;
	}
	return error;
}

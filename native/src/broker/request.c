/* One request of a client: judged, carried out, answered. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"

void
nmb_answer(int reply, const struct nmp_answer *a, const int *fds, uint32_t nfds)
{
	union {
		char room[CMSG_SPACE(NMP_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec io = { .iov_base = (void *)(uintptr_t)a,
			    .iov_len = offsetof(struct nmp_answer, data) + a->length };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };

	if (nfds > 0 && nfds <= NMP_FDS) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		m.msg_control = &control;
		m.msg_controllen = (socklen_t)CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	/* a client that does not listen for its answer goes without; the broker waits for nobody */
	(void)sendmsg(reply, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* eventfds of the rings of direction `d`, appended. */
static uint32_t
ring_fds(const struct nmd_bound *b, uint32_t d, int *fds, uint32_t *whose, uint32_t have, bool peers)
{
	uint32_t i, id;
	int fd;

	for (i = b->first[d]; i < b->last[d] && have < NMP_FDS; i++) {
		id = b->kring[d][i];
		if (peers)
			id = id < NMD_KRINGS ? nmb_ctx.ctl->kring[id].peer : NMD_NOBODY;
		fd = nmb_kring_fd(id);
		if (fd < 0)
			continue;
		if (whose != NULL)
			whose[have] = id;
		fds[have++] = fd;
	}
	return have;
}

static int
do_sync(struct nmb_handle *h, const struct nmp_request *q)
{
	int error;

	if (q->arg[0] != NMD_TX && q->arg[0] != NMD_RX)
		return EINVAL;
	if (h->port == NULL)
		return ENXIO;
	error = nmd_sync_all(&nmb_ctx, &h->bound, (enum nmd_dir)q->arg[0]);
	return error < 0 ? EIO : error; /* there is nobody else to ask */
}

static int
do_scan(struct nmb_handle *h, const struct nmp_request *q, struct nmp_answer *a, int *fds, uint32_t *nfds)
{
	short events = (short)(q->arg[0] & 0x7fff), revents = 0;
	int error = 0;

	if (h->asleep) { /* its last look found nothing; this one tells what came of it */
		h->asleep = false;
		atomic_fetch_sub(&nmb_ctx.ctl->sleeping[h->number], 1);
	}
	if (h->port == NULL) {
		a->arg[0] = POLLERR;
		return 0;
	}
	error = nmd_scan(&nmb_ctx, &h->bound, events, &revents);
	if (error == 0 && revents == 0 && q->arg[1] != 0) {
		nmd_arm(&nmb_ctx, &h->bound, events);
		error = nmd_scan(&nmb_ctx, &h->bound, events, &revents);
		if (error == 0 && revents != 0)
			nmd_wake_all(&nmb_ctx, &h->bound, events); /* we may have emptied another's */
	}
	if (error == 0 && revents == 0 && q->arg[1] != 0) {
		if ((events & (POLLIN | POLLRDNORM)) != 0)
			*nfds = ring_fds(&h->bound, NMD_RX, fds, NULL, *nfds, false);
		if ((events & (POLLOUT | POLLWRNORM)) != 0)
			*nfds = ring_fds(&h->bound, NMD_TX, fds, NULL, *nfds, false);
		a->arg[1] = 1;
		h->asleep = true;
		atomic_fetch_add(&nmb_ctx.ctl->sleeping[h->number], 1);
	}
	a->arg[0] = (uint64_t)revents;
	return error < 0 ? EIO : error;
}

static int
do_mmap(struct nmb_handle *h, const struct nmp_request *q, struct nmp_answer *a, int *fds, uint32_t *nfds)
{
	uint64_t size;

	if (h->port == NULL)
		return EINVAL;
	size = h->port->mem->view.size;
	if (q->arg[1] % 4096 != 0 || q->arg[1] > size || q->arg[0] > size - q->arg[1])
		return EINVAL;
	a->arg[0] = h->port->mem->view.size;
	fds[(*nfds)++] = h->port->mem->fd;
	return 0;
}

static int
do_bind(struct nmb_handle *h, struct nmp_answer *a, int *fds, uint32_t *nfds)
{
	const struct nmd_bound *b = &h->bound;
	const struct nmd_mem *m;
	struct nmp_bind bind;
	uint32_t d;

	if (nmb_mode != NMP_IN_PROCESS)
		return EPERM;
	if (h->port == NULL)
		return ENXIO;
	m = &h->port->mem->view;
	memset(&bind, 0, sizeof(bind));
	bind.size = m->size;
	bind.buf_ofs = m->buf_ofs;
	bind.mem_id = m->id;
	bind.buf_count = m->buf_count;
	bind.buf_size = m->buf_size;
	bind.handle = h->number;
	bind.tx_poll = b->tx_poll;
	bind.rx_poll = b->rx_poll;
	bind.down = b->down;
	memcpy(bind.first, b->first, sizeof(bind.first));
	memcpy(bind.last, b->last, sizeof(bind.last));
	memcpy(bind.kring, b->kring, sizeof(bind.kring));
	fds[(*nfds)++] = nmb_control_fd;
	fds[(*nfds)++] = h->port->mem->fd;
	for (d = NMD_RX; d <= NMD_TX; d++) {
		bind.fds = ring_fds(b, d, fds + 2, bind.fd_kring, bind.fds, false);
		bind.fds = ring_fds(b, d, fds + 2, bind.fd_kring, bind.fds, true);
	}
	*nfds += bind.fds;
	a->length = sizeof(bind);
	memcpy(a->data, &bind, sizeof(bind));
	return *nfds <= NMP_FDS ? 0 : E2BIG;
}

static int
do_configure(const struct nmp_request *q)
{
	static struct nmp_port ports[NMP_DATA / sizeof(struct nmp_port)];

	if (q->length % sizeof(ports[0]) != 0)
		return EINVAL;
	memcpy(ports, q->data, q->length);
	return nmb_configure(ports, q->length / (uint32_t)sizeof(ports[0]));
}

/* Frame requests begin with the port's name, NUL-terminated within its room. */
static int
port_name(const struct nmp_request *q, char name[NMP_PORT_NAME])
{
	if (q->length < NMP_PORT_NAME || q->arg[0] > NMP_SIDE_HOST)
		return EINVAL;
	memcpy(name, q->data, NMP_PORT_NAME);
	return memchr(name, 0, NMP_PORT_NAME) != NULL ? 0 : EINVAL;
}

static int
do_frames(const struct nmp_request *q, struct nmp_answer *a)
{
	char name[NMP_PORT_NAME];
	int n = port_name(q, name);

	if (n != 0)
		return n;
	n = nmb_frame_take(name, (enum nmp_side)q->arg[0], a->data, sizeof(a->data));
	if (n < 0)
		return -n;
	a->length = (uint32_t)n;
	return 0;
}

static void
do_stats(struct nmp_answer *a)
{
	const struct nmb_handle *h;
	struct nmp_stats s;

	memset(&s, 0, sizeof(s));
	for (h = nmb_handles; h != NULL; h = h->next) {
		if (h->gone)
			continue;
		s.handles++;
		s.sleeping += atomic_load(&nmb_ctx.ctl->sleeping[h->number]);
	}
	s.ports = nmb_ports();
	s.pipes = nmb_pipes();
	s.regions = nmb_regions();
	s.krings = nmb_krings_used();
	s.pid = (uint32_t)getpid();
	a->length = sizeof(s);
	memcpy(a->data, &s, sizeof(s));
}

void
nmb_request(struct nmb_handle *h, const struct nmp_request *q, size_t got, int reply)
{
	static struct nmp_answer a;
	int fds[2 + NMP_FDS];
	uint32_t nfds = 0;
	char name[NMP_PORT_NAME];
	struct nmp_ctl ctl;

	memset(&a, 0, offsetof(struct nmp_answer, data));
	if (got < offsetof(struct nmp_request, data) || q->magic != NMP_MAGIC || q->length > NMP_DATA ||
	    got != offsetof(struct nmp_request, data) + q->length) {
		a.error = EPROTO;
		nmb_answer(reply, &a, NULL, 0);
		return;
	}
	switch (q->op) {
	case NMP_HELLO:
		a.arg[0] = nmb_mode;
		break;
	case NMP_CTL:
		if (q->length != sizeof(ctl)) {
			a.error = EPROTO;
			break;
		}
		memcpy(&ctl, q->data, sizeof(ctl));
		a.error = nmb_control(h, &ctl);
		memcpy(a.data, &ctl, sizeof(ctl));
		a.length = sizeof(ctl);
		break;
	case NMP_SYNC:
		a.error = do_sync(h, q);
		break;
	case NMP_SCAN:
		a.error = do_scan(h, q, &a, fds, &nfds);
		break;
	case NMP_MMAP:
		a.error = do_mmap(h, q, &a, fds, &nfds);
		break;
	case NMP_BIND:
		a.error = do_bind(h, &a, fds, &nfds);
		break;
	case NMP_CONFIGURE:
		a.error = do_configure(q);
		break;
	case NMP_FRAME:
		a.error = port_name(q, name);
		if (a.error == 0)
			a.error = nmb_frame_in(name, (enum nmp_side)q->arg[0], q->data + NMP_PORT_NAME,
					       q->length - NMP_PORT_NAME);
		break;
	case NMP_FRAMES:
		a.error = do_frames(q, &a);
		break;
	case NMP_QUIET:
		a.arg[0] = nmb_quiet();
		break;
	case NMP_STATS:
		do_stats(&a);
		break;
	default:
		a.error = EPROTO;
		break;
	}
	nmb_answer(reply, &a, fds, a.error == 0 ? nfds : 0);
}

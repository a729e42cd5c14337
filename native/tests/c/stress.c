/*
 * Threads on both ends of a pipe and of a wire, all in this process: every packet arrives once and in
 * order, sleepers are woken, nothing races (ThreadSanitizer watches).
 *
 * stress PACKETS: exit 0 and one line, or 1 and what went wrong.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "netmap_verify/abi_api14.h"
#include "netmap_verify/user.h"

static unsigned packets = 20000;
static atomic_bool all_sent;

struct end {
	int fd;
	uint8_t *mem;
	struct netmap_if *nifp;
	struct netmap_ring *tx, *rx;
};

static void
die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static struct netmap_ring *
ring(struct end *e, uint32_t at)
{
	return (struct netmap_ring *)(void *)((uint8_t *)e->nifp + e->nifp->ring_ofs[at]);
}

static void
open_end(const char *dir, struct end *e, const char *name, uint32_t slots)
{
	struct nmreq_register reg;
	struct nmreq_header hdr;
	void *mem;

	memset(&reg, 0, sizeof(reg));
	memset(&hdr, 0, sizeof(hdr));
	hdr.nr_version = NETMAP_API;
	hdr.nr_reqtype = NETMAP_REQ_REGISTER;
	(void)snprintf(hdr.nr_name, sizeof(hdr.nr_name), "%s", name);
	hdr.nr_body = (uint64_t)(uintptr_t)&reg;
	reg.nr_mode = NR_REG_ALL_NIC;
	reg.nr_tx_slots = reg.nr_rx_slots = slots;
	e->fd = nmu_open(dir, 0);
	if (e->fd < 0)
		die("nmu_open");
	if (nmu_ioctl(e->fd, NIOCCTRL, &hdr) != 0)
		die(name);
	mem = nmu_mmap(NULL, reg.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, e->fd, 0);
	if (mem == MAP_FAILED)
		die("nmu_mmap");
	e->mem = mem;
	e->nifp = (struct netmap_if *)(void *)(e->mem + reg.nr_offset);
	e->tx = ring(e, 0);
	e->rx = ring(e, e->nifp->ni_tx_rings + e->nifp->ni_host_tx_rings);
}

static uint8_t *
buffer(struct netmap_ring *r, uint32_t idx)
{
	return (uint8_t *)r + r->buf_ofs + (size_t)idx * r->nr_buf_size;
}

static void
wait_for(struct end *e, short events)
{
	struct pollfd p = { .fd = e->fd, .events = events };
	int n = nmu_poll(&p, 1, 60000);

	if (n < 0)
		die("nmu_poll");
	if (n == 0 || (p.revents & POLLERR) != 0) {
		fprintf(stderr, "poll: %s\n", n == 0 ? "nobody woke us" : "a ring was rejected");
		exit(1);
	}
}

static uint32_t
tail_of(const struct netmap_ring *r)
{
	return __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
}

static void *
send_all(void *arg)
{
	struct end *e = arg;
	uint32_t sent = 0, head = e->tx->head;

	while (sent < packets) {
		if (head == tail_of(e->tx)) {
			wait_for(e, POLLOUT);
			continue;
		}
		for (; head != tail_of(e->tx) && sent < packets; sent++) {
			struct netmap_slot *s = &e->tx->slot[head];

			memset(buffer(e->tx, s->buf_idx), 0, 60);
			memcpy(buffer(e->tx, s->buf_idx), &sent, sizeof(sent));
			s->len = 60;
			s->flags = 0;
			head = head + 1 == e->tx->num_slots ? 0 : head + 1;
		}
		e->tx->cur = head;
		__atomic_store_n(&e->tx->head, head, __ATOMIC_RELEASE);
		if (nmu_ioctl(e->fd, NIOCTXSYNC, NULL) != 0)
			die("txsync");
	}
	atomic_store(&all_sent, true);
	return NULL;
}

/* `lossy`: a full ring on a wire drops, so numbers may be missing, but never go back. */
static uint32_t
receive_all(struct end *e, bool lossy)
{
	uint32_t next = 0, got = 0, head = e->rx->head, value;
	struct pollfd p = { .fd = e->fd, .events = POLLIN };

	while (next < packets) {
		if (head == tail_of(e->rx)) {
			bool last = atomic_load(&all_sent);

			if (lossy && nmu_poll(&p, 1, 50) == 0 && last)
				return got; /* the last ones were dropped */
			if (!lossy)
				wait_for(e, POLLIN);
		}
		for (; head != tail_of(e->rx); got++) {
			memcpy(&value, buffer(e->rx, e->rx->slot[head].buf_idx), sizeof(value));
			if (lossy ? value < next : value != next) {
				fprintf(stderr, "packet %u where %u was due\n", value, next);
				exit(1);
			}
			next = value + 1;
			head = head + 1 == e->rx->num_slots ? 0 : head + 1;
		}
		e->rx->cur = head;
		__atomic_store_n(&e->rx->head, head, __ATOMIC_RELEASE);
		if (nmu_ioctl(e->fd, NIOCRXSYNC, NULL) != 0)
			die("rxsync");
	}
	return got;
}

static void
close_end(struct end *e)
{
	if (nmu_close(e->fd) != 0)
		die("nmu_close");
}

static uint32_t
run(const char *dir, const char *from, const char *to, uint32_t slots, bool lossy)
{
	struct end a, b;
	pthread_t sender;
	uint32_t got;

	open_end(dir, &a, from, slots);
	open_end(dir, &b, to, slots);
	atomic_store(&all_sent, false);
	if (pthread_create(&sender, NULL, send_all, &a) != 0)
		die("pthread_create");
	got = receive_all(&b, lossy);
	pthread_join(sender, NULL);
	close_end(&a);
	close_end(&b);
	return got;
}

int
main(int argc, char **argv)
{
	struct nmu_port ports[2] = { { "v0", "v1", 1, 1, 64, 64, 1500, 0 }, { "v1", "v0", 1, 1, 64, 64, 1500, 0 } };
	char dir[] = "/tmp/netmap-stress-XXXXXX";
	uint32_t small, large, wire;
	int env;

	if (argc > 1)
		packets = (unsigned)atoi(argv[1]);
	if (mkdtemp(dir) == NULL)
		die("mkdtemp");
	env = nmu_open(dir, 0);
	if (env < 0)
		die("nmu_open");
	if (nmu_configure(env, ports, 2) != 0)
		die("nmu_configure");
	small = run(dir, "x{1", "x}1", 3, false);
	large = run(dir, "x{1", "x}1", 512, false);
	wire = run(dir, "v0", "v1", 0, true);
	printf("%s: %u and %u packets through pipes, %u of %u over a wire\n", nmu_mode(env), small, large, wire,
	       packets);
	if (nmu_close(env) != 0)
		die("nmu_close");
	(void)rmdir(dir);
	return small == packets && large == packets && wire > 0 ? 0 : 1;
}

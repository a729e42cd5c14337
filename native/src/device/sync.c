/* A sync of one ring, of all rings of a descriptor, and poll's look at them. See nmd.h. */
#include <errno.h>
#include <poll.h>
#include <sys/time.h>

#include "slot.h"

static void
store_user(const struct nmd_ring *r, struct nmv_user u)
{
	__atomic_store_n(&r->ring->head, u.head, __ATOMIC_RELAXED);
	__atomic_store_n(&r->ring->cur, u.cur, __ATOMIC_RELAXED);
	nmd_tail_store(r, u.tail);
}

static void
store_kring(const struct nmd_ring *r, struct nmv_kring k)
{
	atomic_store(&r->k->rhead, k.rhead);
	atomic_store(&r->k->rcur, k.rcur);
	atomic_store(&r->k->rtail, k.rtail);
}

/* 14.ring.reinit-resets, 14.ring.reinit-slots. */
void
nmd_reinit(const struct nmd_ctx *c, const struct nmd_ring *r)
{
	struct nmv_reinit back = nmv_ring_reinit(nmd_positions(r), nmd_user(r));
	struct nmv_slot s;
	uint32_t i, fired;

	(void)c;
	for (i = 0; i < r->n; i++) {
		fired = 0;
		s = nmv_slot_reinit(nmd_slot_load(r, i), r->mem->buf_count, r->mem->buf_size, &fired);
		if (fired != 0)
			nmd_slot_store(r, i, s);
	}
	store_kring(r, back.kring);
	store_user(r, back.user);
}

/* The prologue: the application's words, judged and taken over. False: the ring was put back. */
static bool
enter(const struct nmd_ctx *c, const struct nmd_ring *r)
{
	struct nmv_user u = nmd_user(r);
	struct nmv_prologue p = r->k->dir == NMD_TX ? nmv_tx_prologue(nmd_positions(r), u) :
						      nmv_rx_prologue(nmd_positions(r), u);

	if (!p.accepted) {
		nmd_reinit(c, r);
		return false;
	}
	if (p.tail != u.tail)
		nmd_tail_store(r, p.tail);
	store_kring(r, p.kring);
	return true;
}

static int
leave(const struct nmd_ctx *c, const struct nmd_ring *r, int result)
{
	struct nmv_kring k;

	if (result == NMD_REJECTED) {
		nmd_reinit(c, r);
	} else if (result == NMD_DONE) {
		k = nmv_sync_finalize(nmd_positions(r));
		store_kring(r, k);
		nmd_tail_store(r, k.rtail);
	}
	return result;
}

static void
timestamp(const struct nmd_ring *r)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	r->ring->ts.tv_sec = now.tv_sec;
	r->ring->ts.tv_usec = now.tv_usec;
}

int
nmd_txsync(const struct nmd_ctx *c, uint32_t id)
{
	struct nmd_ring r;
	uint32_t woken = NMD_NOBODY;
	int result = nmd_lock(c, id, &r);

	if (result != 0)
		return result;
	NMD_CRASH("tx-locked");
	if (!enter(c, &r)) {
		result = NMD_REJECTED;
	} else {
		NMD_CRASH("tx-entered");
		result = r.k->kind == NMD_PIPE ? nmd_pipe_tx(c, &r, &woken) :
			 r.k->kind == NMD_WIRE ? nmd_nic_tx(c, &r, &woken) : nmd_host_tx(c, &r);
		result = leave(c, &r, result);
	}
	if ((__atomic_load_n(&r.ring->flags, __ATOMIC_RELAXED) & NR_TIMESTAMP) != 0)
		timestamp(&r);
	NMD_CRASH("tx-done");
	nmd_unlock(&r);
	nmd_notify(c, woken);
	if (result == NMD_DONE && r.k->kind != NMD_PIPE)
		nmd_notify(c, id); /* transmission is complete: room for everybody bound to this ring */
	return result;
}

int
nmd_rxsync(const struct nmd_ctx *c, const struct nmd_bound *b, uint32_t id, bool *forwarded)
{
	struct nmd_ring r;
	uint32_t woken = NMD_NOBODY;
	bool rejected;
	int result = nmd_lock(c, id, &r);

	if (result != 0)
		return result;
	/* a ring that was put back has nothing to release, but what has arrived is still reported */
	rejected = !enter(c, &r);
	NMD_CRASH("rx-entered");
	if (r.k->kind == NMD_PIPE)
		result = nmd_pipe_rx(c, &r, &woken);
	else if (r.k->kind == NMD_HOST)
		result = nmd_host_rx(c, b, &r, forwarded);
	else if ((result = nmd_host_up(c, &r)) == 0)
		result = nmd_nic_rx(c, &r);
	result = leave(c, &r, result);
	timestamp(&r); /* with NR_TIMESTAMP and without */
	nmd_unlock(&r);
	nmd_notify(c, woken);
	return result == NMD_DONE && rejected ? NMD_REJECTED : result;
}

static uint32_t
at(const struct nmd_bound *b, enum nmd_dir dir, uint32_t i)
{
	return b->kring[dir][i];
}

int
nmd_sync_all(const struct nmd_ctx *c, const struct nmd_bound *b, enum nmd_dir dir)
{
	uint32_t i;
	bool forwarded; /* goes out with the next txsync */
	int result, error = 0;

	for (i = b->first[dir]; i < b->last[dir]; i++) {
		result = dir == NMD_TX ? nmd_txsync(c, at(b, dir, i)) :
					 nmd_rxsync(c, b, at(b, dir, i), &forwarded);
		if (result == NMD_BROKER)
			return NMD_BROKER;
		if (result > 0)
			error = result;
	}
	return error;
}

/* After a sync: does the application have slots it did not have when it last looked? */
static bool
found(const struct nmd_ctx *c, uint32_t id)
{
	const struct nmd_kring *k = &c->ctl->kring[id];

	return atomic_load(&k->rcur) != atomic_load(&k->rtail);
}

/* Nothing to send and nobody asks for room: this tx ring needs no sync. */
static bool
idle(const struct nmd_ctx *c, uint32_t id)
{
	struct nmd_ring r;

	return nmd_resolve(c, id, &r) &&
	       __atomic_load_n(&r.ring->head, __ATOMIC_RELAXED) == nmd_hwcur(r.k);
}

struct scan {
	const struct nmd_ctx *c;
	const struct nmd_bound *b;
	short want_tx;	/* emptied once a tx ring has room */
	short want_rx;
	short seen;
	bool send_down; /* a host ring put frames into tx rings */
};

/* One round over the tx rings: those that have something to send, all while room is wanted. */
static int
scan_tx(struct scan *s)
{
	uint32_t i, id;
	int result;

	for (i = s->b->first[NMD_TX]; i < s->b->last[NMD_TX]; i++) {
		id = at(s->b, NMD_TX, i);
		if (s->want_tx == 0 && !s->send_down && idle(s->c, id))
			continue;
		result = nmd_txsync(s->c, id);
		if (result == NMD_BROKER)
			return NMD_BROKER;
		if (result != NMD_DONE && result != NMD_BUSY)
			s->seen |= POLLERR;
		if (found(s->c, id)) {
			s->seen |= s->want_tx;
			s->want_tx = 0;
		}
	}
	return 0;
}

static int
scan_rx(struct scan *s)
{
	uint32_t i, id;
	int result;

	for (i = s->b->first[NMD_RX]; i < s->b->last[NMD_RX]; i++) {
		id = at(s->b, NMD_RX, i);
		result = nmd_rxsync(s->c, s->b, id, &s->send_down);
		if (result == NMD_BROKER)
			return NMD_BROKER;
		if (result != NMD_DONE && result != NMD_BUSY)
			s->seen |= POLLERR;
		if (found(s->c, id))
			s->seen |= s->want_rx;
	}
	return 0;
}

/*
 * A direction in which nothing was found gets a second round, as in netmap: a ring that was put
 * back in the first one is synced in the second. What host rings forward is sent before it returns.
 */
int
nmd_scan(const struct nmd_ctx *c, const struct nmd_bound *b, short events, short *revents)
{
	struct scan s = { c, b, events & (POLLOUT | POLLWRNORM), events & (POLLIN | POLLRDNORM), 0, false };
	bool flush = b->tx_poll || s.want_tx != 0, again_tx = true, again_rx = true;
	int forwards;

	/* an application that keeps forwarding while we look does not keep us here */
	for (forwards = 0; forwards < 8; forwards++) {
		while (flush) {
			if (scan_tx(&s) != 0)
				return NMD_BROKER;
			flush = s.want_tx != 0 && again_tx;
			again_tx = again_tx && !flush;
			s.send_down = false;
		}
		if (s.want_rx == 0 && !b->rx_poll)
			break;
		if (scan_rx(&s) != 0)
			return NMD_BROKER;
		if ((s.seen & s.want_rx) != 0 || s.want_rx == 0)
			again_rx = false;
		if (!s.send_down && !again_rx)
			break;
		again_rx = false;
		flush = s.send_down;
	}
	*revents = s.seen;
	return 0;
}

static void
for_wanted(const struct nmd_ctx *c, const struct nmd_bound *b, short events,
	   void (*act)(const struct nmd_ctx *, uint32_t))
{
	uint32_t i;

	if ((events & (POLLOUT | POLLWRNORM)) != 0)
		for (i = b->first[NMD_TX]; i < b->last[NMD_TX]; i++)
			act(c, at(b, NMD_TX, i));
	if ((events & (POLLIN | POLLRDNORM)) != 0)
		for (i = b->first[NMD_RX]; i < b->last[NMD_RX]; i++)
			act(c, at(b, NMD_RX, i));
}

static void
arm_one(const struct nmd_ctx *c, uint32_t id)
{
	if (id >= NMD_KRINGS)
		return;
	c->drain(c->arg, id);
	atomic_store(&c->ctl->kring[id].armed, 1);
	atomic_thread_fence(memory_order_seq_cst); /* armed before the second look */
}

void
nmd_arm(const struct nmd_ctx *c, const struct nmd_bound *b, short events)
{
	for_wanted(c, b, events, arm_one);
}

static void
wake_one(const struct nmd_ctx *c, uint32_t id)
{
	if (id < NMD_KRINGS)
		c->wake(c->arg, id);
}

void
nmd_wake_all(const struct nmd_ctx *c, const struct nmd_bound *b, short events)
{
	for_wanted(c, b, events, wake_one);
}

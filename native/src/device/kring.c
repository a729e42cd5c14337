/* Krings: looking them up, locking them, repairing them after a death. See nmd.h. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "nmd.h"

void
nmd_lock_init(pthread_mutex_t *m)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(m, &a);
	pthread_mutexattr_destroy(&a);
}

void
nmd_kring_init(struct nmd_kring *k, enum nmd_kind kind, enum nmd_dir dir, uint32_t n)
{
	memset(k, 0, sizeof(*k));
	nmd_lock_init(&k->lock);
	nmd_lock_init(&k->nic_lock);
	k->kind = kind;
	k->dir = dir;
	k->n = n;
	k->peer = NMD_NOBODY;
	nmd_kring_reset(k);
}

void
nmd_kring_reset(struct nmd_kring *k)
{
	uint32_t tail = k->dir == NMD_TX ? k->n - 1 : 0; /* one slot always stays with the kernel */

	atomic_store(&k->commit, 0);
	atomic_store(&k->rhead, 0);
	atomic_store(&k->rcur, 0);
	atomic_store(&k->rtail, tail);
	atomic_store(&k->hwtail, tail);
	atomic_store(&k->armed, 0);
	atomic_store(&k->nic, 0);
}

uint32_t
nmd_hwcur(const struct nmd_kring *k)
{
	return (uint32_t)atomic_load_explicit(&k->commit, memory_order_acquire);
}

bool
nmd_resolve(const struct nmd_ctx *c, uint32_t id, struct nmd_ring *out)
{
	struct nmd_kring *k;
	uint64_t ofs, need;

	if (id >= NMD_KRINGS)
		return false;
	k = &c->ctl->kring[id];
	out->id = id;
	out->k = k;
	out->n = k->n;
	ofs = atomic_load_explicit(&k->ring_ofs, memory_order_acquire);
	if (ofs == 0 || ofs % NMD_RING_ALIGN != 0 || out->n == 0 || out->n > NMD_MAX_SLOTS)
		return false;
	out->mem = c->mem(c->arg, k->mem_id);
	if (out->mem == NULL)
		return false;
	need = sizeof(struct netmap_ring) + (uint64_t)out->n * sizeof(struct netmap_slot);
	if (ofs > out->mem->size || out->mem->size - ofs < need)
		return false;
	out->ring = (nmd_shared_ring *)(void *)(out->mem->base + ofs);
	return true;
}

uint8_t *
nmd_buffer(const struct nmd_mem *mem, uint32_t idx)
{
	uint64_t ofs = mem->buf_ofs + (uint64_t)idx * mem->buf_size;

	if (idx < NMD_MIN_BUF || idx >= mem->buf_count || ofs > mem->size ||
	    mem->size - ofs < mem->buf_size)
		return NULL;
	return mem->base + ofs;
}

uint8_t *
nmd_safe_buffer(const struct nmd_mem *mem, uint32_t idx)
{
	uint8_t *buf = nmd_buffer(mem, idx);

	if (buf == NULL && mem->size - mem->buf_ofs >= NMD_MIN_BUF * (uint64_t)mem->buf_size)
		buf = mem->base + mem->buf_ofs + (idx == 1 ? mem->buf_size : 0);
	return buf;
}

/* Where a pipe's far side lets this ring's hwtail be; UINT32_MAX when that is no position. */
uint32_t
nmd_pipe_tail(const struct nmd_ctx *c, const struct nmd_ring *r)
{
	const struct nmd_kring *peer;
	uint64_t word;
	uint32_t at;

	if (r->k->peer >= NMD_KRINGS)
		return UINT32_MAX;
	peer = &c->ctl->kring[r->k->peer];
	word = atomic_load_explicit(&peer->commit, memory_order_acquire);
	at = r->k->dir == NMD_TX ? (uint32_t)word : (uint32_t)(word >> 32);
	if (at >= r->n)
		return UINT32_MAX;
	return r->k->dir == NMD_TX ? nmv_prev(at, r->n - 1) : at;
}

struct nmv_kring
nmd_positions(const struct nmd_ring *r)
{
	struct nmv_kring p;

	p.n = r->n;
	p.hwcur = nmd_hwcur(r->k);
	p.hwtail = atomic_load(&r->k->hwtail);
	p.rhead = atomic_load(&r->k->rhead);
	p.rcur = atomic_load(&r->k->rcur);
	p.rtail = atomic_load(&r->k->rtail);
	return p;
}

/* The last holder died in the middle: keep what it committed, compute the rest again. */
static void
repair(const struct nmd_ctx *c, const struct nmd_ring *r)
{
	uint32_t hwcur, tail = atomic_load(&r->k->hwtail);

	/* a frame may be on the wire whose sender could not note it: the receiver's lock settles that */
	if (r->k->kind == NMD_WIRE && r->k->dir == NMD_TX && r->k->peer < NMD_KRINGS &&
	    nmd_nic_lock(c, &c->ctl->kring[r->k->peer]) == 0)
		pthread_mutex_unlock(&c->ctl->kring[r->k->peer].nic_lock);
	hwcur = nmd_hwcur(r->k);
	if (r->k->kind == NMD_PIPE)
		tail = nmd_pipe_tail(c, r);
	if (hwcur >= r->n || tail >= r->n)
		return; /* nmd_lock refuses the ring */
	atomic_store(&r->k->hwtail, tail);
	atomic_store(&r->k->rhead, hwcur);
	atomic_store(&r->k->rcur, hwcur);
	atomic_store(&r->k->rtail, tail);
}

int
nmd_take(const struct nmd_ctx *c, pthread_mutex_t *m)
{
	struct timespec until;
	int error = pthread_mutex_trylock(m);

	if (error != EBUSY)
		return error;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += c->patience_ms / 1000;
	until.tv_nsec += (long)(c->patience_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return pthread_mutex_timedlock(m, &until);
}

int
nmd_lock(const struct nmd_ctx *c, uint32_t id, struct nmd_ring *r)
{
	int error;

	if (!nmd_resolve(c, id, r))
		return ENXIO;
	error = nmd_take(c, &r->k->lock);
	if (error == EOWNERDEAD) {
		repair(c, r);
		pthread_mutex_consistent(&r->k->lock);
	} else if (error != 0) {
		return error == ETIMEDOUT ? NMD_BUSY : EIO;
	}
	if (!nmd_resolve(c, id, r) || !nmv_kring_ordered(nmd_positions(r))) {
		pthread_mutex_unlock(&r->k->lock);
		return EIO;
	}
	return 0;
}

void
nmd_unlock(const struct nmd_ring *r)
{
	pthread_mutex_unlock(&r->k->lock);
}

void
nmd_notify(const struct nmd_ctx *c, uint32_t id)
{
	if (id >= NMD_KRINGS)
		return;
	atomic_thread_fence(memory_order_seq_cst); /* the change before the question who sleeps */
	if (atomic_exchange(&c->ctl->kring[id].armed, 0) != 0)
		c->wake(c->arg, id);
}

#ifdef NMD_TEST_CRASH
#include <signal.h>
#include <stdlib.h>

void
nmd_crash_point(const char *place)
{
	const char *die = getenv("NMD_CRASH"), *stop = getenv("NMD_STOP");

	if (die != NULL && strcmp(die, place) == 0)
		raise(SIGKILL);
	if (stop != NULL && strcmp(stop, place) == 0)
		raise(SIGSTOP);
}
#endif

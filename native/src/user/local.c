/*
 * In-process mode: the rings of a descriptor synced here, without asking anybody.
 *
 * What is needed for that (the control region, the netmap region, the rings' eventfds) comes from
 * the broker when a descriptor is first used and is kept by descriptor number until nmu_close. So
 * descriptors of this device are closed with nmu_close; one that came by dup, fork or exec is looked
 * up like a new one.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nmd.h"
#include "user.h"

#define NUMBERS 65536
#define PATIENCE_MS 100u

enum state { UNKNOWN, BROKERED, HERE };

/* One per descriptor number, made once and never freed: threads may be looking at it. */
struct local {
	_Atomic int state;
	_Atomic int active; /* threads inside; closing waits for them */
	struct nmd_ctx ctx;
	struct nmd_bound bound;
	struct nmd_mem mem;
	uint32_t handle;
	uint32_t nfds;
	uint32_t fd_kring[NMP_FDS];
	int fds[NMP_FDS];
};

static _Atomic(struct local *) locals[NUMBERS];
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER; /* of locals and regions */

/* A child has none of its parent's threads: whatever they held or were inside of is free. */
static void
before_fork(void)
{
	pthread_mutex_lock(&making);
}

static void
after_fork(void)
{
	pthread_mutex_unlock(&making);
}

static void
in_child(void)
{
	struct local *l;
	int fd;

	for (fd = 0; fd < NUMBERS; fd++) {
		l = atomic_load(&locals[fd]);
		if (l != NULL)
			atomic_store(&l->active, 0);
	}
	pthread_mutex_unlock(&making);
}

__attribute__((constructor)) static void
prepare(void)
{
	(void)pthread_atfork(before_fork, after_fork, in_child);
}

/* --- the data path's view of this process -------------------------------------------------------- */

static const struct nmd_mem *
mem_view(void *arg, uint32_t id)
{
	const struct local *l = arg;

	return l->mem.id == id ? &l->mem : NULL;
}

static int
eventfd_of(const struct local *l, uint32_t kring)
{
	uint32_t i;

	for (i = 0; i < l->nfds; i++)
		if (l->fd_kring[i] == kring)
			return l->fds[i];
	return -1;
}

static void
wake(void *arg, uint32_t kring)
{
	uint64_t one = 1;
	int fd = eventfd_of(arg, kring);

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return; /* full: readable already */
}

static void
drain(void *arg, uint32_t kring)
{
	uint64_t count;
	int fd = eventfd_of(arg, kring);

	if (fd >= 0 && read(fd, &count, sizeof(count)) < 0)
		return; /* empty already */
}

/* The broker holds this lock while it lives; when it dies the kernel says so to whoever tries it. */
static bool
broker_lives(const struct local *l)
{
	int error = pthread_mutex_trylock(&l->ctx.ctl->broker);

	if (error == EBUSY)
		return true;
	if (error == 0 || error == EOWNERDEAD)
		pthread_mutex_unlock(&l->ctx.ctl->broker); /* not made consistent: dead for ever */
	return false;
}

/* --- by descriptor ------------------------------------------------------------------------------- */

static struct local *
local_of(int fd)
{
	struct local *l, *none = NULL;

	if (fd < 0 || fd >= NUMBERS)
		return NULL;
	l = atomic_load_explicit(&locals[fd], memory_order_acquire);
	if (l != NULL)
		return l;
	l = calloc(1, sizeof(*l));
	if (l != NULL && !atomic_compare_exchange_strong(&locals[fd], &none, l)) {
		free(l);
		l = none;
	}
	return l;
}

/* Called with `making` held. What the broker said is checked: sizes against the memory itself. */
static int
take_over(struct local *l, const struct nmp_bind *bind, const int *fds, uint32_t nfds)
{
	uint32_t d, i;

	if (nfds < 2 || bind->fds != nfds - 2 || bind->handle >= NMD_HANDLES)
		return ENODEV;
	for (d = 0; d < 2; d++)
		if (bind->first[d] > bind->last[d] || bind->last[d] > 2 * NMD_MAX_RINGS)
			return ENODEV;
	l->ctx.ctl = nmu_region_get(fds[0], sizeof(struct nmd_control));
	l->mem.base = nmu_region_get(fds[1], bind->size);
	if (l->ctx.ctl == NULL || l->mem.base == NULL) {
		nmu_region_put(l->ctx.ctl);
		nmu_region_put(l->mem.base);
		return ENOMEM;
	}
	l->mem.id = bind->mem_id;
	l->mem.size = bind->size;
	l->mem.buf_ofs = bind->buf_ofs;
	l->mem.buf_count = bind->buf_count;
	l->mem.buf_size = bind->buf_size;
	l->ctx.mem = mem_view;
	l->ctx.wake = wake;
	l->ctx.drain = drain;
	l->ctx.arg = l;
	l->ctx.patience_ms = PATIENCE_MS;
	memcpy(l->bound.first, bind->first, sizeof(bind->first));
	memcpy(l->bound.last, bind->last, sizeof(bind->last));
	memcpy(l->bound.kring, bind->kring, sizeof(bind->kring));
	l->bound.tx_poll = bind->tx_poll != 0;
	l->bound.rx_poll = bind->rx_poll != 0;
	l->bound.down = bind->down <= NMD_MAX_RINGS ? bind->down : 0;
	l->handle = bind->handle;
	l->nfds = bind->fds;
	for (i = 0; i < bind->fds; i++) {
		l->fd_kring[i] = bind->fd_kring[i];
		l->fds[i] = fds[i + 2];
	}
	return 0;
}

/* 0: it is HERE now. NMU_CALL: the broker does it, or has to say why not. */
static int
bind_here(int fd, struct local *l)
{
	struct nmp_answer a;
	struct nmp_bind bind;
	int fds[NMP_FDS + 2], error;
	uint32_t nfds = 0, i;

	pthread_mutex_lock(&making);
	if (atomic_load(&l->state) != UNKNOWN) {
		pthread_mutex_unlock(&making);
		return atomic_load(&l->state) == HERE ? 0 : NMU_CALL;
	}
	error = nmu_call(fd, NMP_BIND, NULL, NULL, 0, &a, fds, NMP_FDS + 2, &nfds);
	if (error == EPERM)
		atomic_store(&l->state, BROKERED);
	if (error == 0 && a.length != sizeof(bind))
		error = ENODEV;
	if (error == 0) {
		memcpy(&bind, a.data, sizeof(bind));
		error = take_over(l, &bind, fds, nfds);
	}
	if (error == 0) {
		close(fds[0]);
		close(fds[1]);
		atomic_store(&l->state, HERE);
	} else {
		for (i = 0; i < nfds; i++)
			close(fds[i]);
	}
	pthread_mutex_unlock(&making);
	return error == 0 ? 0 : NMU_CALL;
}

static void
leave(struct local *l)
{
	atomic_fetch_sub(&l->active, 1);
}

/* The descriptor's own data path, or NULL: ask the broker. To be left again. */
static struct local *
enter(int fd)
{
	struct local *l = local_of(fd);
	int state;

	if (l == NULL)
		return NULL;
	for (;;) {
		atomic_fetch_add(&l->active, 1);
		state = atomic_load(&l->state);
		if (state == HERE)
			return l;
		leave(l);
		if (state == BROKERED || !nmu_ours(fd) || bind_here(fd, l) != 0)
			return NULL;
	}
}

void
nmu_local_open(int fd, bool in_process)
{
	struct local *l;

	nmu_local_close(fd); /* what a plain close of the same number may have left */
	l = local_of(fd);
	if (l != NULL)
		atomic_store(&l->state, in_process ? UNKNOWN : BROKERED);
}

void
nmu_local_close(int fd)
{
	struct local *l = fd >= 0 && fd < NUMBERS ? atomic_load(&locals[fd]) : NULL;
	uint32_t i;
	int was;

	if (l == NULL)
		return;
	was = atomic_exchange(&l->state, UNKNOWN);
	if (was != HERE)
		return;
	while (atomic_load(&l->active) > 0)
		sched_yield(); /* a sync is short */
	pthread_mutex_lock(&making);
	nmu_region_put(l->ctx.ctl);
	nmu_region_put(l->mem.base);
	for (i = 0; i < l->nfds; i++)
		close(l->fds[i]);
	l->nfds = 0;
	pthread_mutex_unlock(&making);
}

bool
nmu_local_here(int fd)
{
	struct local *l = fd >= 0 && fd < NUMBERS ? atomic_load(&locals[fd]) : NULL;

	return l != NULL && atomic_load(&l->state) == HERE;
}

int
nmu_local_sync(int fd, int dir)
{
	struct local *l = enter(fd);
	int result;

	if (l == NULL)
		return NMU_CALL;
	result = broker_lives(l) ? nmd_sync_all(&l->ctx, &l->bound, (enum nmd_dir)dir) : ENODEV;
	leave(l);
	return result == NMD_BROKER ? NMU_CALL : result;
}

static uint32_t
sleep_fds(const struct local *l, int dir, int *fds, uint32_t room, uint32_t have)
{
	uint32_t i;
	int fd;

	for (i = l->bound.first[dir]; i < l->bound.last[dir] && have < room; i++) {
		fd = eventfd_of(l, l->bound.kring[dir][i]);
		if (fd >= 0)
			fds[have++] = fd;
	}
	return have;
}

int
nmu_local_scan(int fd, short events, bool sleep, short *revents, int *fds, uint32_t room, uint32_t *nfds)
{
	struct local *l = enter(fd);
	int result;

	*nfds = 0;
	*revents = 0;
	if (l == NULL)
		return NMU_CALL;
	if (!broker_lives(l)) {
		leave(l);
		return ENODEV;
	}
	result = nmd_scan(&l->ctx, &l->bound, events, revents);
	if (result == 0 && *revents == 0 && sleep) {
		nmd_arm(&l->ctx, &l->bound, events);
		atomic_fetch_add(&l->ctx.ctl->sleeping[l->handle], 1);
		result = nmd_scan(&l->ctx, &l->bound, events, revents);
		if (result != 0 || *revents != 0) {
			atomic_fetch_sub(&l->ctx.ctl->sleeping[l->handle], 1);
			nmd_wake_all(&l->ctx, &l->bound, events); /* we may have emptied another's */
		} else {
			if ((events & (POLLIN | POLLRDNORM)) != 0)
				*nfds = sleep_fds(l, NMD_RX, fds, room, *nfds);
			if ((events & (POLLOUT | POLLWRNORM)) != 0)
				*nfds = sleep_fds(l, NMD_TX, fds, room, *nfds);
		}
	}
	leave(l);
	return result == NMD_BROKER ? NMU_CALL : result;
}

void
nmu_local_awake(int fd)
{
	struct local *l = local_of(fd);

	if (l == NULL)
		return;
	atomic_fetch_add(&l->active, 1);
	if (atomic_load(&l->state) == HERE)
		atomic_fetch_sub(&l->ctx.ctl->sleeping[l->handle], 1);
	leave(l);
}

/*
 * poll: every look syncs, in the broker or here. When nothing is ready the rings' eventfds are
 * armed, looked at once more, and slept on together with the socket, whose other end hangs up when
 * the broker dies.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user.h"

/* What is known of one of the caller's entries: ours, and counted as asleep by its last look. */
struct each {
	bool ours, counted;
};

/* What one call waits for: the descriptors to sleep on, and which of them were lent to us. */
struct waiting {
	struct pollfd *p;
	nfds_t n, room;
	int *lent;
	uint32_t nlent, lent_room;
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
wait_for(struct waiting *w, int fd, short events)
{
	if (w->n == w->room) {
		nfds_t room = w->room == 0 ? 16 : 2 * w->room;
		struct pollfd *p = realloc(w->p, room * sizeof(*p));

		if (p == NULL)
			return ENOMEM;
		w->p = p;
		w->room = room;
	}
	w->p[w->n++] = (struct pollfd){ .fd = fd, .events = events };
	return 0;
}

static int
lend(struct waiting *w, int fd)
{
	if (w->nlent == w->lent_room) {
		uint32_t room = w->lent_room == 0 ? 16 : 2 * w->lent_room;
		int *lent = realloc(w->lent, room * sizeof(*lent));

		if (lent == NULL)
			return ENOMEM;
		w->lent = lent;
		w->lent_room = room;
	}
	w->lent[w->nlent++] = fd;
	return wait_for(w, fd, POLLIN);
}

static void
give_back(struct waiting *w)
{
	while (w->nlent > 0)
		close(w->lent[--w->nlent]);
	w->n = 0;
}

/* One look at a descriptor of ours through the broker. */
static int
ask(struct pollfd *p, bool sleep, struct waiting *w)
{
	const uint64_t arg[2] = { (uint64_t)p->events & 0x7fff, sleep };
	static _Thread_local struct nmp_answer a;
	int fds[NMP_FDS], error;
	uint32_t nfds = 0, i;

	error = nmu_call(p->fd, NMP_SCAN, arg, NULL, 0, &a, fds, NMP_FDS, &nfds);
	if (error == EMFILE || error == ENOMEM)
		return error;
	p->revents = error != 0 ? POLLERR : (short)a.arg[0];
	for (i = 0; i < nfds; i++) {
		if (lend(w, fds[i]) != 0) {
			while (i < nfds)
				close(fds[i++]);
			return ENOMEM;
		}
	}
	return 0;
}

/*
 * One look at a descriptor of ours, here or through the broker; if it is not ready and we may
 * sleep, what to sleep on: its rings' eventfds, and its socket, which hangs up with the broker.
 */
static int
look(struct pollfd *p, bool sleep, struct waiting *w, bool *counted)
{
	bool was_counted = *counted;
	int fds[NMP_FDS], error;
	uint32_t nfds, i;
	short revents;

	error = nmu_local_scan(p->fd, p->events, sleep, &revents, fds, NMP_FDS, &nfds);
	*counted = error == 0 && sleep && revents == 0;
	if (was_counted)
		nmu_local_awake(p->fd);
	if (error == NMU_CALL) {
		error = ask(p, sleep, w);
		if (error != 0)
			return error;
	} else {
		p->revents = error != 0 ? POLLERR : revents;
		for (i = 0; i < nfds; i++)
			if (wait_for(w, fds[i], POLLIN) != 0)
				return ENOMEM;
	}
	return sleep && p->revents == 0 ? wait_for(w, p->fd, 0) : 0;
}

/* All of them once: how many are ready, or a negative errno. */
static int
look_at_all(struct pollfd *fds, nfds_t nfds, struct each *each, bool sleep, struct waiting *w)
{
	nfds_t i;
	int ready = 0, error;

	for (i = 0; i < nfds; i++) {
		fds[i].revents = 0;
		if (fds[i].fd < 0)
			continue;
		if (each[i].ours) {
			error = look(&fds[i], sleep, w, &each[i].counted);
			if (error != 0)
				return -error;
		} else {
			struct pollfd other = { .fd = fds[i].fd, .events = fds[i].events };

			if (poll(&other, 1, 0) < 0)
				return -errno;
			fds[i].revents = other.revents;
			if (wait_for(w, other.fd, other.events) != 0)
				return -ENOMEM;
		}
		if (fds[i].revents != 0) {
			ready++;
			sleep = false; /* the others are looked at, but nobody will sleep */
		}
	}
	return ready;
}

int
nmu_poll(struct pollfd *fds, nfds_t nfds, int timeout_ms)
{
	int64_t until = timeout_ms > 0 ? now_ms() + timeout_ms : 0, left;
	struct waiting w;
	struct each *each;
	bool last = timeout_ms == 0;
	nfds_t i;
	int ready;

	if (nfds > 4096) {
		errno = EINVAL;
		return -1;
	}
	memset(&w, 0, sizeof(w));
	each = calloc(nfds + 1, sizeof(*each));
	if (each == NULL) {
		errno = ENOMEM;
		return -1;
	}
	for (i = 0; i < nfds; i++)
		each[i].ours = nmu_local_here(fds[i].fd) || (fds[i].fd >= 0 && nmu_ours(fds[i].fd));
	for (;;) {
		ready = look_at_all(fds, nfds, each, !last, &w);
		if (ready != 0 || last)
			break;
		left = timeout_ms < 0 ? -1 : until - now_ms();
		if (timeout_ms > 0 && left < 0)
			left = 0;
		ready = poll(w.p, w.n, (int)left);
		if (ready < 0) {
			ready = -errno;
			break;
		}
		last = ready == 0; /* time is up: one look more, as kernels do */
		give_back(&w);
	}
	for (i = 0; i < nfds; i++)
		if (each[i].counted)
			nmu_local_awake(fds[i].fd);
	give_back(&w);
	free(w.p);
	free(w.lent);
	free(each);
	if (ready < 0) {
		errno = -ready;
		return -1;
	}
	return ready;
}

/*
 * A mapping keeps its descriptor's binding, as with a kernel, where it holds a reference to the open
 * file: here it holds a copy of the descriptor. A mapping that is not given back by nmu_munmap keeps
 * it until the process ends.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "user.h"

struct mapping {
	struct mapping *next;
	const void *addr;
	int fd;
};

static struct mapping *mappings;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void
nmu_mapped(void *addr, int fd)
{
	struct mapping *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return;
	m->addr = addr;
	m->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_lock(&lock);
	m->next = mappings;
	mappings = m;
	pthread_mutex_unlock(&lock);
}

void
nmu_unmapped(const void *addr)
{
	struct mapping **at, *m;

	pthread_mutex_lock(&lock);
	for (at = &mappings; (m = *at) != NULL; at = &m->next) {
		if (m->addr != addr)
			continue;
		*at = m->next;
		break;
	}
	pthread_mutex_unlock(&lock);
	if (m != NULL) {
		close(m->fd);
		free(m);
	}
}

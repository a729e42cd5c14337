/* Memory the broker passes, mapped once in this process however many descriptors use it. */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "user.h"

struct region {
	struct region *next;
	dev_t dev;
	ino_t ino;
	void *base;
	size_t size;
	unsigned users;
};

static struct region *regions;

void *
nmu_region_get(int fd, size_t size)
{
	struct region *r;
	struct stat st;

	if (fstat(fd, &st) != 0 || (uint64_t)st.st_size < size)
		return NULL;
	for (r = regions; r != NULL; r = r->next) {
		if (r->dev == st.st_dev && r->ino == st.st_ino && r->size == size) {
			r->users++;
			return r->base;
		}
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r->base == MAP_FAILED) {
		free(r);
		return NULL;
	}
	r->dev = st.st_dev;
	r->ino = st.st_ino;
	r->size = size;
	r->users = 1;
	r->next = regions;
	regions = r;
	return r->base;
}

void
nmu_region_put(const void *base)
{
	struct region **at, *r;

	for (at = &regions; (r = *at) != NULL; at = &r->next) {
		if (r->base != base || --r->users > 0)
			continue;
		*at = r->next;
		munmap(r->base, r->size);
		free(r);
		return;
	}
}

/*
 * Memory regions: a memfd each, with three pools of equal objects (interface records, rings,
 * buffers) one behind the other. The broker maps a region while somebody is bound in it; with its
 * last user everything is given back, whatever applications leaked, and a later user gets fresh
 * zeroed memory. Mappings that applications keep stay valid and touch nobody else's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker.h"

#ifndef MAP_NORESERVE /* FreeBSD never reserves */
#define MAP_NORESERVE 0
#endif

#define PAGE 4096u
#define ALIGN 64u
#define MAX_CLUSTER (1u << 22)

/* What a private region has at least, and the one that NICs share (netmap's own defaults). */
static const struct nmb_sizes least[NMB_POOLS] = { { 1024, 2 }, { 5 * PAGE, 4 }, { 2048, 4098 } };
static const struct nmb_sizes global[NMB_POOLS] = { { 1024, 100 }, { 9 * PAGE, 200 }, { 2048, 163840 } };
static const uint32_t largest[NMB_POOLS] = { 4096, 32 * PAGE, 65536 };

static struct nmb_region *regions[NMB_REGIONS + 1]; /* by id; 0 is nobody's */
static uint32_t last_id = 1;

/* Objects per cluster: the least number that fills whole pages; 0 when there is none. */
static uint32_t
per_cluster(uint32_t size)
{
	uint32_t i;

	for (i = 1; (uint64_t)i * size <= MAX_CLUSTER; i++)
		if (i * size % PAGE == 0)
			return i;
	return 0;
}

static int
pool_size(struct nmb_pool *p, struct nmb_sizes want, uint32_t max)
{
	uint32_t per, size = (want.size + ALIGN - 1) / ALIGN * ALIGN;

	per = per_cluster(size);
	if (size > max || per == 0 || want.count == 0 || want.count > 1u << 20)
		return EINVAL;
	p->size = size;
	p->total = (want.count + per - 1) / per * per;
	p->bytes = (uint64_t)p->total * size;
	return 0;
}

static void
dispose(struct nmb_region *m)
{
	int i;

	for (i = 0; i < NMB_POOLS; i++)
		free(m->pools[i].words);
	free(m);
}

/* The first free id after the last one given out, round and round; 0 when there is none. */
static uint32_t
free_id(void)
{
	uint32_t step, id;

	for (step = 0; step < NMB_REGIONS; step++) {
		id = (last_id + step) % NMB_REGIONS + 1;
		if (id != 1 && regions[id] == NULL)
			return id;
	}
	return 0;
}

struct nmb_region *
nmb_region_new(const struct nmb_sizes sizes[NMB_POOLS], bool private_mem, int *error)
{
	struct nmb_region *m = calloc(1, sizeof(*m));
	uint32_t id = private_mem ? free_id() : 1;
	uint64_t ofs = 0;
	int i;

	*error = ENOMEM;
	if (m == NULL || id == 0) {
		free(m);
		return NULL;
	}
	m->view.id = id;
	m->fd = -1;
	m->private_mem = private_mem;
	for (i = 0; i < NMB_POOLS; i++) {
		struct nmb_pool *p = &m->pools[i];

		*error = pool_size(p, sizes[i], largest[i]);
		if (*error == 0) {
			p->words = calloc(nmv_pool_words(p->total), sizeof(uint32_t));
			*error = p->words == NULL ? ENOMEM : 0;
		}
		if (*error != 0) {
			dispose(m);
			return NULL;
		}
		p->ofs = ofs;
		ofs += p->bytes;
	}
	m->view.size = ofs;
	m->view.buf_ofs = m->pools[NMB_BUF].ofs;
	m->view.buf_count = m->pools[NMB_BUF].total;
	m->view.buf_size = m->pools[NMB_BUF].size;
	regions[id] = m;
	last_id = id;
	return m;
}

static uint32_t
at_least(uint32_t a, uint64_t b)
{
	return b > a ? (uint32_t)(b > UINT32_MAX ? UINT32_MAX : b) : a;
}

/* Sized for one port of these rings and two pipes on it. */
struct nmb_region *
nmb_region_private(uint32_t tx_rings, uint32_t tx_slots, uint32_t rx_rings, uint32_t rx_slots,
		   uint32_t extra, int *error)
{
	const uint32_t pipes = 2;
	uint64_t tx = (uint64_t)tx_rings + 1, rx = (uint64_t)rx_rings + 1; /* a host ring each */
	uint32_t slots = tx_slots > rx_slots ? tx_slots : rx_slots;
	struct nmb_sizes s[NMB_POOLS];

	memcpy(s, least, sizeof(s));
	s[NMB_IF].size = at_least(s[NMB_IF].size, sizeof(struct netmap_if) + 8 * (tx + rx));
	s[NMB_IF].count = at_least(s[NMB_IF].count, 2 + 4 * pipes);
	s[NMB_RING].size = at_least(s[NMB_RING].size, sizeof(struct netmap_ring) +
							      sizeof(struct netmap_slot) * (uint64_t)slots);
	s[NMB_RING].count = at_least(s[NMB_RING].count, tx + rx + 8 * pipes);
	s[NMB_BUF].count = at_least(s[NMB_BUF].count, (4 * pipes + rx) * rx_slots +
							      (4 * pipes + tx) * tx_slots + 2 + extra);
	return nmb_region_new(s, true, error);
}

struct nmb_region *
nmb_region_global(void)
{
	int error;

	return regions[1] != NULL ? regions[1] : nmb_region_new(global, false, &error);
}

struct nmb_region *
nmb_region_find(uint32_t id)
{
	if (id == 1)
		return nmb_region_global();
	return id > NMB_REGIONS ? NULL : regions[id];
}

void
nmb_region_hold(struct nmb_region *m)
{
	m->holders++;
}

void
nmb_region_release(struct nmb_region *m)
{
	if (--m->holders > 0 || !m->private_mem)
		return;
	regions[m->view.id] = NULL;
	if (last_id == m->view.id) /* ids are given back like a stack */
		while (--last_id > 1 && regions[last_id] == NULL)
			;
	dispose(m);
}

static void
unmap(struct nmb_region *m)
{
	if (m->view.base != NULL)
		munmap(m->view.base, m->view.size);
	m->view.base = NULL;
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

int
nmb_region_use(struct nmb_region *m)
{
	void *base;
	int i;

	if (m->users > 0) {
		m->users++;
		return 0;
	}
	for (i = 0; i < NMB_POOLS; i++)
		nmv_pool_init(&m->pools[i].pool, m->pools[i].words, m->pools[i].total,
			      i == NMB_BUF ? NMD_MIN_BUF : 0);
	m->fd = memfd_create("netmap-region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->fd < 0 || ftruncate(m->fd, (off_t)m->view.size) != 0)
		goto fail;
	/* nobody may cut the memory off under the broker's feet */
	if (fcntl(m->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		goto fail;
	base = mmap(NULL, m->view.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, m->fd, 0);
	if (base == MAP_FAILED)
		goto fail;
	m->view.base = base;
	m->users = 1;
	return 0;
fail:
	unmap(m);
	return ENOMEM;
}

void
nmb_region_unuse(struct nmb_region *m)
{
	if (--m->users == 0)
		unmap(m);
}

uint32_t
nmb_regions(void)
{
	uint32_t id, count = 0;

	for (id = 1; id <= NMB_REGIONS; id++)
		count += regions[id] != NULL && regions[id]->users > 0;
	return count;
}

/* An object of at least `bytes`, zeroed: its offset in the region, UINT64_MAX when there is none. */
uint64_t
nmb_object(struct nmb_region *m, enum nmb_pool_kind kind, uint64_t bytes, uint32_t *index)
{
	struct nmb_pool *p = &m->pools[kind];
	uint64_t ofs;

	if (bytes > p->size)
		return UINT64_MAX;
	*index = nmv_pool_take(&p->pool);
	if (*index == NMV_POOL_NONE)
		return UINT64_MAX;
	ofs = p->ofs + (uint64_t)*index * p->size;
	if (kind != NMB_BUF)
		memset(m->view.base + ofs, 0, p->size);
	return ofs;
}

void
nmb_object_free(struct nmb_region *m, enum nmb_pool_kind kind, uint32_t index)
{
	(void)nmv_pool_give(&m->pools[kind].pool, index); /* not ours or free already: refused there */
}

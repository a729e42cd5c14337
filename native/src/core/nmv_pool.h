/*
 * A pool of equal objects and its bitmap: bit set = object free (the allocator of buffers, rings
 * and interface records). Pure but for the words the caller owns; no memory is allocated here.
 *
 * An index handed out is the lowest free one, so objects come out in
 * ascending order from a fresh pool. Freeing checks the index: a double free or an index that is
 * not the pool's is refused and changes nothing.
 */
#ifndef NMV_POOL_H
#define NMV_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "nmv_export.h"

#define NMV_POOL_NONE UINT32_MAX

struct nmv_pool {
	uint32_t *words;  /* (total + 31) / 32 words */
	uint32_t total;	  /* objects */
	uint32_t free;	  /* set bits */
	uint32_t first;	  /* no word before this one has a free object */
	uint32_t reserved; /* objects 0 ... reserved-1 are never handed out nor freed */
};

/* Words needed for `total` objects. */
NMV_PUBLIC uint32_t nmv_pool_words(uint32_t total);

/* All objects free except the first `reserved` ones (at most `total`). */
NMV_PUBLIC void nmv_pool_init(struct nmv_pool *p, uint32_t *words, uint32_t total, uint32_t reserved);

/* The lowest free object, now taken, or NMV_POOL_NONE. */
NMV_PUBLIC uint32_t nmv_pool_take(struct nmv_pool *p);

/* Give `index` back. False, and nothing changed: not an object of the pool, reserved, or free already. */
NMV_PUBLIC bool nmv_pool_give(struct nmv_pool *p, uint32_t index);

/* Is `index` an object of the pool that is handed out? */
NMV_PUBLIC bool nmv_pool_taken(const struct nmv_pool *p, uint32_t index);

#endif

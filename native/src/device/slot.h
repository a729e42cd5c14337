/*
 * Slots and the words of a ring, as shared with applications that may write them at any moment:
 * every word is read once, into our own memory, and judged there.
 */
#ifndef NMD_SLOT_H
#define NMD_SLOT_H

#include <string.h>

#include "nmd.h"

/* A slot is two 64-bit words in memory: {buf_idx, len, flags} and ptr. */
static inline struct nmv_slot
nmd_slot_load(const struct nmd_ring *r, uint32_t i)
{
	const uint64_t *at = (const uint64_t *)(const void *)&r->ring->slot[i];
	uint64_t words[2] = { __atomic_load_n(&at[0], __ATOMIC_RELAXED),
			      __atomic_load_n(&at[1], __ATOMIC_RELAXED) };
	struct nmv_slot s;

	_Static_assert(sizeof(s) == sizeof(words), "a slot is two words");
	memcpy(&s, words, sizeof(s));
	return s;
}

static inline void
nmd_slot_store(const struct nmd_ring *r, uint32_t i, struct nmv_slot s)
{
	uint64_t *at = (uint64_t *)(void *)&r->ring->slot[i];
	uint64_t words[2];

	memcpy(words, &s, sizeof(words));
	__atomic_store_n(&at[0], words[0], __ATOMIC_RELAXED);
	__atomic_store_n(&at[1], words[1], __ATOMIC_RELAXED);
}

/* Take `flags` out of slot `i`, which was just read as `s`. */
static inline void
nmd_slot_clear(const struct nmd_ring *r, uint32_t i, struct nmv_slot s, uint16_t flags)
{
	if ((s.flags & flags) == 0)
		return;
	s.flags = (uint16_t)(s.flags & ~flags);
	nmd_slot_store(r, i, s);
}

/* The bytes of a slot: those of buffer 0 for an index that is no buffer's, no more than a buffer's. */
static inline const uint8_t *
nmd_bytes(const struct nmd_ring *r, const struct nmv_slot *s, uint32_t *length)
{
	*length = s->len < r->mem->buf_size ? s->len : r->mem->buf_size;
	return nmd_safe_buffer(r->mem, s->buf_idx);
}

static inline struct nmv_user
nmd_user(const struct nmd_ring *r)
{
	struct nmv_user u;

	u.head = __atomic_load_n(&r->ring->head, __ATOMIC_ACQUIRE);
	u.cur = __atomic_load_n(&r->ring->cur, __ATOMIC_RELAXED);
	u.tail = __atomic_load_n(&r->ring->tail, __ATOMIC_RELAXED);
	return u;
}

/* The kernel's word: whoever sees the new tail sees the slots before it. */
static inline void
nmd_tail_store(const struct nmd_ring *r, uint32_t tail)
{
	uint32_t *at = (uint32_t *)(void *)(uintptr_t)&r->ring->tail;

	__atomic_store_n(at, tail, __ATOMIC_RELEASE);
}

#endif

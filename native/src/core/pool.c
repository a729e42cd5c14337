/* Object pools: see nmv_pool.h. */
#include "nmv_pool.h"

uint32_t
nmv_pool_words(uint32_t total)
{
	return total / 32 + (total % 32 != 0);
}

void
nmv_pool_init(struct nmv_pool *p, uint32_t *words, uint32_t total, uint32_t reserved)
{
	uint32_t w, i;

	p->words = words;
	p->total = total;
	p->reserved = reserved < total ? reserved : total;
	p->free = total - p->reserved;
	p->first = 0;
	for (w = 0; w < nmv_pool_words(total); w++)
		words[w] = UINT32_MAX;
	if (total % 32 != 0) /* bits behind the last object are never free */
		words[total / 32] = (UINT32_C(1) << (total % 32)) - 1;
	for (i = 0; i < p->reserved; i++)
		words[i / 32] &= ~(UINT32_C(1) << (i % 32));
}

uint32_t
nmv_pool_take(struct nmv_pool *p)
{
	uint32_t w, bit;

	if (p->free == 0)
		return NMV_POOL_NONE;
	for (w = p->first; w < nmv_pool_words(p->total); w++) {
		p->first = w;
		if (p->words[w] == 0)
			continue;
		bit = (uint32_t)__builtin_ctz(p->words[w]);
		p->words[w] &= p->words[w] - 1;
		p->free--;
		return w * 32 + bit;
	}
	return NMV_POOL_NONE;
}

bool
nmv_pool_taken(const struct nmv_pool *p, uint32_t index)
{
	return index >= p->reserved && index < p->total &&
	       (p->words[index / 32] >> (index % 32) & 1) == 0;
}

bool
nmv_pool_give(struct nmv_pool *p, uint32_t index)
{
	if (!nmv_pool_taken(p, index))
		return false;
	p->words[index / 32] |= UINT32_C(1) << (index % 32);
	if (index / 32 < p->first)
		p->first = index / 32;
	p->free++;
	return true;
}

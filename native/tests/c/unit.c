/*
 * The pure functions, and the borders where undefined behaviour would hide: run plainly and under
 * the sanitizers. What they compute is compared with the model elsewhere (test_ring_twins.py).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nmv_pipe.h"
#include "nmv_pool.h"
#include "nmv_ring.h"

static unsigned checks;

#define CHECK(condition)                                                             \
	do {                                                                         \
		checks++;                                                            \
		if (!(condition)) {                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1);                                                     \
		}                                                                    \
	} while (0)

static void
positions(void)
{
	static const uint32_t words[] = { 0, 1, 2, 3, 4, 1023, 1024, 1u << 31, UINT32_MAX - 1, UINT32_MAX };
	const size_t n = sizeof(words) / sizeof(words[0]);
	size_t a, b, c;

	for (a = 0; a < n; a++) {
		for (b = 0; b < n; b++) {
			for (c = 0; c < n; c++) {
				struct nmv_kring k = { words[a], words[b], words[c], words[b], words[c], words[a] };
				struct nmv_user u = { words[c], words[a], words[b] };

				(void)nmv_distance(words[a], words[b], words[c]);
				(void)nmv_advance(words[a], words[b], words[c]);
				CHECK(nmv_tx_prologue(k, u).accepted <= (u.head < k.n && u.cur < k.n));
				CHECK(nmv_rx_prologue(k, u).accepted <= (u.head < k.n && u.cur < k.n));
				CHECK(nmv_ring_reinit(k, u).user.head == k.hwcur);
				(void)nmv_kring_ordered(k);
				(void)nmv_pipe_txsync_positions(k, words[b], words[c]);
				(void)nmv_pipe_rxsync_positions(k, words[b]);
			}
		}
	}
	CHECK(nmv_next(UINT32_MAX, 5) == 0); /* wraps, as any uint32_t does */
	CHECK(nmv_prev(0, UINT32_MAX) == UINT32_MAX);
}

static void
pools(void)
{
	uint32_t total, i, index, words[8];
	struct nmv_pool p;

	for (total = 0; total <= 8 * 32; total++) {
		memset(words, 0xa5, sizeof(words));
		nmv_pool_init(&p, words, total, 2);
		CHECK(p.free == (total > 2 ? total - 2 : 0));
		for (i = 2; i < total; i++)
			CHECK(nmv_pool_take(&p) == i);
		CHECK(nmv_pool_take(&p) == NMV_POOL_NONE);
		CHECK(!nmv_pool_give(&p, total) && !nmv_pool_give(&p, 0) && !nmv_pool_give(&p, UINT32_MAX));
		for (index = 2; index < total; index += 3)
			CHECK(nmv_pool_give(&p, index) && !nmv_pool_give(&p, index));
		for (index = 2; index < total; index += 3)
			CHECK(nmv_pool_take(&p) == index);
	}
}

static void
slots(void)
{
	uint32_t fired = 0;
	struct nmv_slot s = { UINT32_MAX, UINT16_MAX, UINT16_MAX, UINT64_MAX };

	CHECK(nmv_slot_reinit(s, UINT32_MAX, 0, &fired).buf_idx == 0);
	s.buf_idx = 2;
	CHECK(nmv_slot_reinit(s, 3, UINT16_MAX, &fired).len == UINT16_MAX);
	CHECK(nmv_slot_reinit(s, 3, 0, &fired).len == 0);
}

int
main(void)
{
	positions();
	pools();
	slots();
	printf("%u checks\n", checks);
	return 0;
}

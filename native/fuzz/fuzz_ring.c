/*
 * Fuzz entry for the prologues and their kin: any words at all, and what must hold of the answer.
 *
 * An accepted head and cur are positions, and leave a kring in order as one; a rejected ring is put
 * back in order; a pipe's transfer covers exactly the slots between hwcur and rhead.
 */
#include <stdlib.h>
#include <string.h>

#include "nmv_pipe.h"
#include "nmv_ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) \
	do {            \
		if (!(condition)) \
			abort(); \
	} while (0)

static bool
same(struct nmv_kring a, struct nmv_kring b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

static void
check(struct nmv_kring k, struct nmv_user u, bool tx)
{
	struct nmv_prologue p = tx ? nmv_tx_prologue(k, u) : nmv_rx_prologue(k, u);
	struct nmv_reinit r;
	struct nmv_transfer t;

	if (p.accepted) {
		MUST(p.kring.rhead == u.head && u.head < k.n);
		MUST(p.kring.rcur == u.cur && u.cur < k.n);
		MUST(p.tail == k.rtail);
	} else {
		MUST(same(p.kring, k) && p.tail == u.tail);
	}
	if (!nmv_kring_ordered(k))
		return;
	/* an rx ring's rtail is behind hwtail until the sync has ended */
	if (p.accepted)
		MUST(nmv_kring_ordered(tx ? p.kring : nmv_sync_finalize(p.kring)));
	r = nmv_ring_reinit(k, u);
	MUST(nmv_kring_ordered(r.kring));
	MUST(r.user.head == k.hwcur && r.user.cur == k.hwcur && r.user.tail == k.hwtail);
	t = tx ? nmv_pipe_txsync_positions(k, k.hwtail, nmv_distance(k.hwcur, k.rhead, k.n)) :
		 nmv_pipe_rxsync_positions(k, k.hwtail);
	MUST(t.count < k.n && nmv_advance(t.start, t.count, k.n) == k.rhead);
	MUST(t.kring.hwcur == k.rhead && (t.publishes == 0) == (t.count == 0));
	MUST(!t.publishes || t.publish == (tx ? k.rhead : nmv_prev(k.rhead, k.n - 1)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t w[9], i;
	struct nmv_slot s;

	if (size < sizeof(w) + 1)
		return 0;
	memcpy(w, data + 1, sizeof(w));
	if ((data[0] & 1) != 0) { /* small rings, so that positions fit */
		w[0] = w[0] % 6 + 1;
		for (i = 1; i < 9; i++)
			w[i] %= w[0] + 2;
	}
	struct nmv_kring k = { w[0], w[1], w[2], w[3], w[4], w[5] };
	struct nmv_user u = { w[6], w[7], w[8] };

	check(k, u, (data[0] & 2) != 0);
	memcpy(&s, w, sizeof(s));
	i = 0;
	s = nmv_slot_reinit(s, w[6], w[7], &i);
	MUST(s.buf_idx == 0 || (s.buf_idx >= 2 && s.buf_idx < w[6]));
	MUST(s.len <= w[7] || s.len == 0);
	return 0;
}

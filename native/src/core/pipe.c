/* Chapter "pipe": see nmv_pipe.h. */
#include "nmv_pipe.h"

static struct nmv_transfer
move(struct nmv_kring k, uint32_t pipe_tail)
{
	struct nmv_transfer t = { k, k.hwcur, nmv_distance(k.hwcur, k.rhead, k.n), 0, 0, 0 };

	t.kring.hwtail = pipe_tail;
	t.kring.hwcur = k.rhead;
	return t;
}

struct nmv_transfer
nmv_pipe_txsync_positions(struct nmv_kring k, uint32_t pipe_tail, uint32_t last_complete)
{
	struct nmv_transfer t = move(k, pipe_tail);

	if (t.count == 0) {
		t.fired = NMV_PIPE_TX_NOTHING;
		return t;
	}
	t.fired = NMV_PIPE_TX_MOVED;
	if (last_complete != 0) {
		t.publish = nmv_advance(k.hwcur, last_complete, k.n);
		t.publishes = 1;
		t.fired |= NMV_PIPE_TX_PUBLISHED;
	}
	if (last_complete < t.count)
		t.fired |= NMV_PIPE_TX_WITHHELD;
	return t;
}

struct nmv_transfer
nmv_pipe_rxsync_positions(struct nmv_kring k, uint32_t pipe_tail)
{
	struct nmv_transfer t = move(k, pipe_tail);

	if (t.count == 0) {
		t.fired = NMV_PIPE_RX_NOTHING;
		return t;
	}
	t.publish = nmv_prev(k.rhead, k.n - 1);
	t.publishes = 1;
	t.fired = NMV_PIPE_RX_RELEASED;
	return t;
}

/* Chapter "ring": see nmv_ring.h. Contract reading of netmap_reference/gen14/ring.py. */
#include "nmv_ring.h"

uint32_t
nmv_next(uint32_t i, uint32_t lim)
{
	return i == lim ? 0 : i + 1;
}

uint32_t
nmv_prev(uint32_t i, uint32_t lim)
{
	return i == 0 ? lim : i - 1;
}

uint32_t
nmv_distance(uint32_t start, uint32_t end, uint32_t n)
{
	/* unsigned arithmetic: for positions below n the second form cannot wrap in the end */
	return end >= start ? end - start : end - start + n;
}

uint32_t
nmv_advance(uint32_t i, uint32_t by, uint32_t n)
{
	uint64_t to = (uint64_t)i + by; /* 64 bits: i + by may exceed a uint32_t for huge n */

	return (uint32_t)(to >= n ? to - n : to);
}

bool
nmv_between(uint32_t low, uint32_t x, uint32_t high)
{
	if (low <= high)
		return low <= x && x <= high;
	return x >= low || x <= high;
}

/* The window both prologues check: head in [low, high], cur in [head, high], both positions at all. */
static uint32_t
window(uint32_t n, uint32_t low, uint32_t high, struct nmv_user user, uint32_t bad_head,
       uint32_t bad_cur)
{
	if (user.head >= n || !nmv_between(low, user.head, high))
		return bad_head;
	if (user.cur >= n || !nmv_between(user.head, user.cur, high))
		return bad_cur;
	return 0;
}

static struct nmv_prologue
decide(struct nmv_kring k, struct nmv_user user, uint32_t bad, uint32_t accept)
{
	struct nmv_prologue p = { k, user.tail, 0, bad };

	if (bad != 0)
		return p;
	p.fired = accept | (user.tail != k.rtail ? (uint32_t)NMV_TAIL_RESTORED : 0);
	p.kring.rhead = user.head;
	p.kring.rcur = user.cur;
	p.tail = k.rtail;
	p.accepted = 1;
	return p;
}

struct nmv_prologue
nmv_tx_prologue(struct nmv_kring k, struct nmv_user user)
{
	return decide(k, user, window(k.n, k.rhead, k.rtail, user, NMV_TX_HEAD, NMV_TX_CUR),
		      NMV_TX_ACCEPT);
}

struct nmv_prologue
nmv_rx_prologue(struct nmv_kring k, struct nmv_user user)
{
	return decide(k, user, window(k.n, k.hwcur, k.hwtail, user, NMV_RX_HEAD, NMV_RX_CUR),
		      NMV_RX_ACCEPT);
}

struct nmv_kring
nmv_sync_finalize(struct nmv_kring k)
{
	k.rtail = k.hwtail;
	return k;
}

struct nmv_reinit
nmv_ring_reinit(struct nmv_kring k, struct nmv_user user)
{
	struct nmv_reinit r = { k, user, NMV_REINIT };

	r.kring.rhead = r.kring.rcur = k.hwcur;
	r.kring.rtail = k.hwtail;
	r.user.head = r.user.cur = k.hwcur;
	r.user.tail = k.hwtail;
	return r;
}

struct nmv_slot
nmv_slot_reinit(struct nmv_slot slot, uint32_t objtotal, uint32_t buf_size, uint32_t *fired)
{
	if (slot.buf_idx < 2 || slot.buf_idx >= objtotal) {
		slot.buf_idx = 0;
		slot.len = 0;
		*fired |= NMV_SLOT_BAD_IDX;
	} else if (slot.len > buf_size) {
		slot.len = 0;
		*fired |= NMV_SLOT_BAD_LEN;
	}
	return slot;
}

bool
nmv_kring_ordered(struct nmv_kring k)
{
	uint32_t head, cur, tail, end;

	if (k.n == 0 || k.hwcur >= k.n || k.rhead >= k.n || k.rcur >= k.n || k.rtail >= k.n ||
	    k.hwtail >= k.n)
		return false;
	head = nmv_distance(k.hwcur, k.rhead, k.n);
	cur = nmv_distance(k.hwcur, k.rcur, k.n);
	tail = nmv_distance(k.hwcur, k.rtail, k.n);
	end = nmv_distance(k.hwcur, k.hwtail, k.n);
	return head <= cur && cur <= tail && tail <= end;
}

/*
 * NICs and host rings. A frame is copied out of the sender's buffer when it is transmitted and into
 * the receiver's buffer when it arrives, as DMA would; the receiver's slots and tail change only at
 * its own rxsync. A frame that finds the ring full is dropped, nothing else is.
 *
 * Transmission is complete at once: a txsync frees every slot it took.
 */
#include <errno.h>
#include <string.h>

#include "slot.h"

static uint32_t
nic_tail(const struct nmd_kring *rx)
{
	return (uint32_t)atomic_load_explicit(&rx->nic, memory_order_acquire);
}

/* The lock of an rx ring's NIC side. A sender that died while it published is finished here. */
int
nmd_nic_lock(const struct nmd_ctx *c, struct nmd_kring *rx)
{
	struct nmd_kring *tx;
	uint64_t word;
	int error = nmd_take(c, &rx->nic_lock);

	if (error == ETIMEDOUT)
		return EBUSY;
	if (error != 0 && error != EOWNERDEAD)
		return EIO;
	if (error == EOWNERDEAD) {
		word = atomic_load(&rx->nic);
		if ((word & NMD_INTENT) != 0 && rx->intent_tx < NMD_KRINGS) {
			tx = &c->ctl->kring[rx->intent_tx];
			if (rx->intent_hwcur < tx->n)
				atomic_store(&tx->commit, rx->intent_hwcur);
		}
		atomic_store(&rx->nic, word & ~NMD_INTENT);
		pthread_mutex_consistent(&rx->nic_lock);
	}
	return 0;
}

/*
 * Put one frame at `*tail`; false when there is no room or no buffer. `*tail` moves, nothing is
 * published yet.
 */
static bool
put(const struct nmd_ring *rx, uint32_t *tail, const uint8_t *data, uint32_t length)
{
	uint32_t next = nmv_next(*tail, rx->n - 1);
	uint8_t *buf;

	if (next == nmd_hwcur(rx->k) || length > rx->mem->buf_size)
		return false;
	buf = nmd_buffer(rx->mem, nmd_slot_load(rx, *tail).buf_idx);
	if (buf == NULL)
		return false; /* the application wrote into a slot that is not its own */
	memcpy(buf, data, length);
	rx->k->nic_len[*tail] = (uint16_t)length;
	*tail = next;
	return true;
}

bool
nmd_nic_deliver(const struct nmd_ctx *c, uint32_t id, const uint8_t *data, uint32_t length)
{
	struct nmd_ring rx;
	uint32_t tail;
	bool kept = false;

	if (!nmd_resolve(c, id, &rx) || nmd_nic_lock(c, rx.k) != 0)
		return false;
	tail = nic_tail(rx.k);
	if (tail < rx.n && put(&rx, &tail, data, length)) {
		atomic_store_explicit(&rx.k->nic, tail, memory_order_release);
		kept = true;
	}
	pthread_mutex_unlock(&rx.k->nic_lock);
	if (kept)
		nmd_notify(c, id);
	return kept;
}

/* The frame of slot `i`: false when its buffer or length is not one. */
static bool
frame(const struct nmd_ring *r, uint32_t i, const uint8_t **data, struct nmv_slot *s)
{
	*s = nmd_slot_load(r, i);
	*data = nmd_buffer(r->mem, s->buf_idx);
	return *data != NULL && s->len <= r->mem->buf_size;
}

/* Through the broker: the frame leaves the device, or goes to the host behind a port nobody opened. */
static int
send_out(const struct nmd_ctx *c, const struct nmd_ring *r, uint32_t head, uint32_t to)
{
	const uint8_t *data;
	struct nmv_slot s;
	uint32_t i;

	for (i = nmd_hwcur(r->k); i != head; i = nmv_next(i, r->n - 1)) {
		if (!frame(r, i, &data, &s))
			return NMD_REJECTED;
		c->frame_out(c->arg, to, data, s.len);
		nmd_slot_unchanged(r, i, s);
		atomic_store_explicit(&r->k->commit, nmv_next(i, r->n - 1), memory_order_release);
	}
	return 0;
}

/* Straight into the rings of the port at the other end of the wire. */
static int
send_across(const struct nmd_ctx *c, const struct nmd_ring *r, uint32_t head, struct nmd_ring *rx)
{
	const uint8_t *data;
	struct nmv_slot s;
	uint32_t i, tail;
	int result = nmd_nic_lock(c, rx->k);

	if (result != 0)
		return result;
	tail = nic_tail(rx->k);
	if (tail >= rx->n) {
		pthread_mutex_unlock(&rx->k->nic_lock);
		return EIO;
	}
	for (i = nmd_hwcur(r->k); i != head; i = nmv_next(i, r->n - 1)) {
		if (!frame(r, i, &data, &s)) {
			result = NMD_REJECTED;
			break;
		}
		(void)put(rx, &tail, data, s.len); /* no room: dropped */
		nmd_slot_unchanged(r, i, s);
	}
	/* one store publishes the frames and says that the sender's hwcur follows */
	rx->k->intent_tx = r->id;
	rx->k->intent_hwcur = i;
	atomic_store_explicit(&rx->k->nic, tail | NMD_INTENT, memory_order_release);
	atomic_store_explicit(&r->k->commit, i, memory_order_release);
	atomic_store_explicit(&rx->k->nic, tail, memory_order_release);
	pthread_mutex_unlock(&rx->k->nic_lock);
	return result;
}

int
nmd_nic_tx(const struct nmd_ctx *c, const struct nmd_ring *r, uint32_t head, uint32_t *woken)
{
	struct nmd_ring rx;
	uint32_t peer = r->k->kind == NMD_WIRE ? r->k->peer : NMD_NOBODY;
	int result = 0;

	if (nmd_hwcur(r->k) != head) {
		if (peer < NMD_KRINGS && nmd_resolve(c, peer, &rx)) {
			result = send_across(c, r, head, &rx);
			*woken = peer;
		} else if (c->frame_out == NULL) {
			return NMD_BROKER;
		} else {
			result = send_out(c, r, head, peer < NMD_KRINGS ? peer : r->id);
		}
	}
	atomic_store(&r->k->hwtail, nmv_prev(nmd_hwcur(r->k), r->n - 1));
	return result;
}

int
nmd_nic_rx(const struct nmd_ctx *c, const struct nmd_ring *r, uint32_t head)
{
	struct nmv_slot s;
	uint32_t i, tail = nic_tail(r->k), lim = r->n - 1;

	(void)c;
	if (tail >= r->n)
		return EIO;
	for (i = atomic_load(&r->k->hwtail); i != tail; i = nmv_next(i, lim)) {
		s = nmd_slot_load(r, i);
		s.len = r->k->nic_len[i];
		s.flags = 0;
		nmd_slot_store(r, i, s);
	}
	atomic_store(&r->k->hwtail, tail);
	for (i = nmd_hwcur(r->k); i != head; i = nmv_next(i, lim)) {
		s = nmd_slot_load(r, i);
		if (nmd_buffer(r->mem, s.buf_idx) == NULL)
			break;
		nmd_slot_unchanged(r, i, s);
	}
	atomic_store_explicit(&r->k->commit, i, memory_order_release);
	return i == head ? 0 : NMD_REJECTED;
}

/*
 * NICs. A frame is copied out of the sender's buffers when it is transmitted and into the
 * receiver's when it arrives, as DMA would; the receiver's slots and tail change only at its own
 * rxsync. A frame that finds the ring full is dropped, nothing else is.
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
		return NMD_BUSY;
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

/* --- receiving --------------------------------------------------------------------------------- */

/*
 * Put one frame at `*tail`, in as many slots as it needs; false when there is no room. `*tail`
 * moves, nothing is published yet. Where the bytes go was settled when the slots were given to the
 * NIC: what an application writes into slots that are not its own has no effect.
 */
static bool
put(const struct nmd_ring *rx, uint32_t *tail, const uint8_t *data, uint32_t length)
{
	uint32_t room = rx->n - 1 - nmv_distance(nmd_hwcur(rx->k), *tail, rx->n);
	uint32_t size = rx->mem->buf_size, part;

	if (room < length / size + (length % size != 0))
		return false;
	do {
		struct nmd_descriptor *d = &rx->k->nic_desc[*tail];

		part = length < size ? length : size;
		memcpy(nmd_safe_buffer(rx->mem, d->buf_idx), data, part);
		data += part;
		length -= part;
		d->len = (uint16_t)part;
		d->flags = length > 0 ? NS_MOREFRAG : 0;
		*tail = nmv_next(*tail, rx->n - 1);
	} while (length > 0);
	return true;
}

bool
nmd_nic_deliver(const struct nmd_ctx *c, uint32_t id, const uint8_t *data, uint32_t length)
{
	struct nmd_ring rx;
	uint32_t tail;
	bool kept = false;

	if (length == 0 || !nmd_resolve(c, id, &rx) || nmd_nic_lock(c, rx.k) != 0)
		return false;
	tail = nic_tail(rx.k);
	if (tail < rx.n && nmd_hwcur(rx.k) < rx.n && put(&rx, &tail, data, length)) {
		atomic_store_explicit(&rx.k->nic, tail, memory_order_release);
		kept = true;
	}
	pthread_mutex_unlock(&rx.k->nic_lock);
	if (kept)
		nmd_notify(c, id);
	return kept;
}

void
nmd_nic_reset(const struct nmd_ring *r)
{
	uint32_t i;

	for (i = 0; i < r->n; i++)
		r->k->nic_desc[i] = (struct nmd_descriptor){ nmd_slot_load(r, i).buf_idx, 0, 0 };
}

/* Report what has arrived. */
int
nmd_import(const struct nmd_ring *r)
{
	uint32_t i, tail = nic_tail(r->k);
	struct nmv_slot s;

	if (tail >= r->n)
		return EIO;
	for (i = atomic_load(&r->k->hwtail); i != tail; i = nmv_next(i, r->n - 1)) {
		s = nmd_slot_load(r, i);
		s.len = r->k->nic_desc[i].len;
		s.flags = r->k->nic_desc[i].flags;
		nmd_slot_store(r, i, s);
	}
	atomic_store(&r->k->hwtail, tail);
	return 0;
}

/* What the application released is the NIC's again; a slot without a buffer puts the ring back. */
int
nmd_nic_rx(const struct nmd_ctx *c, const struct nmd_ring *r)
{
	uint32_t i, head = atomic_load(&r->k->rhead);
	struct nmv_slot s;
	int error = nmd_import(r);

	(void)c;
	if (error != 0)
		return error;
	for (i = nmd_hwcur(r->k); i != head; i = nmv_next(i, r->n - 1)) {
		s = nmd_slot_load(r, i);
		if (s.buf_idx == 0 || s.buf_idx >= r->mem->buf_count)
			return NMD_REJECTED;
		if ((s.flags & NS_BUF_CHANGED) != 0)
			r->k->nic_desc[i].buf_idx = s.buf_idx;
		nmd_slot_clear(r, i, s, NS_BUF_CHANGED);
	}
	atomic_store_explicit(&r->k->commit, head, memory_order_release);
	return 0;
}

/* --- transmitting ------------------------------------------------------------------------------ */

static bool
sendable(const struct nmd_ring *r, uint32_t length)
{
	return length > 0 && length <= r->k->mtu + NMD_HEADERS;
}

/* Is every slot a frame of its own? */
static bool
whole(const struct nmd_ring *r, uint32_t head)
{
	uint32_t i;

	if (r->k->partial != 0)
		return false;
	for (i = nmd_hwcur(r->k); i != head; i = nmv_next(i, r->n - 1))
		if ((nmd_slot_load(r, i).flags & NS_MOREFRAG) != 0)
			return false;
	return true;
}

/* In the broker: fragments are gathered, and frames may leave the device. */
static void
send_out(const struct nmd_ctx *c, const struct nmd_ring *r, uint32_t head)
{
	struct nmd_partial *p = c->partial(c->arg, r->id);
	const uint8_t *data;
	struct nmv_slot s;
	uint32_t i, length;

	for (i = nmd_hwcur(r->k); p != NULL && i != head; i = nmv_next(i, r->n - 1)) {
		s = nmd_slot_load(r, i);
		data = nmd_bytes(r, &s, &length);
		if (p->length + length <= sizeof(p->data))
			memcpy(p->data + p->length, data, length);
		p->length = p->length + length <= sizeof(p->data) ? p->length + length : NMD_FRAME_MAX + 1;
		if ((s.flags & NS_MOREFRAG) == 0) {
			if (sendable(r, p->length))
				c->frame_out(c->arg, r->id, p->data, p->length);
			p->length = 0;
		}
		nmd_slot_clear(r, i, s, NS_BUF_CHANGED | NS_REPORT);
	}
	r->k->partial = p != NULL && p->length > 0;
	atomic_store_explicit(&r->k->commit, head, memory_order_release);
}

/* Straight into the ring of the port at the other end of the wire. */
static int
send_across(const struct nmd_ctx *c, const struct nmd_ring *r, uint32_t head, struct nmd_ring *rx)
{
	const uint8_t *data;
	struct nmv_slot s;
	uint32_t i, tail, length;
	int error = nmd_nic_lock(c, rx->k);

	if (error != 0)
		return error;
	tail = nic_tail(rx->k);
	if (tail >= rx->n || nmd_hwcur(rx->k) >= rx->n) {
		pthread_mutex_unlock(&rx->k->nic_lock);
		return EIO;
	}
	for (i = nmd_hwcur(r->k); i != head; i = nmv_next(i, r->n - 1)) {
		s = nmd_slot_load(r, i);
		data = nmd_bytes(r, &s, &length);
		if (sendable(r, length))
			(void)put(rx, &tail, data, length); /* no room: dropped */
		nmd_slot_clear(r, i, s, NS_BUF_CHANGED | NS_REPORT);
	}
	/* one store publishes the frames and says that the sender's hwcur follows */
	rx->k->intent_tx = r->id;
	rx->k->intent_hwcur = head;
	NMD_CRASH("nic-unpublished");
	atomic_store_explicit(&rx->k->nic, tail | NMD_INTENT, memory_order_release);
	NMD_CRASH("nic-intent");
	atomic_store_explicit(&r->k->commit, head, memory_order_release);
	NMD_CRASH("nic-committed");
	atomic_store_explicit(&rx->k->nic, tail, memory_order_release);
	pthread_mutex_unlock(&rx->k->nic_lock);
	return 0;
}

int
nmd_nic_tx(const struct nmd_ctx *c, const struct nmd_ring *r, uint32_t *woken)
{
	uint32_t head = atomic_load(&r->k->rhead);
	struct nmd_ring rx;
	int error;

	if (nmd_hwcur(r->k) != head) {
		if (r->k->peer < NMD_KRINGS && nmd_resolve(c, r->k->peer, &rx) && whole(r, head)) {
			error = send_across(c, r, head, &rx);
			if (error != 0)
				return error;
			*woken = r->k->peer;
		} else if (c->frame_out == NULL) {
			return NMD_BROKER;
		} else {
			send_out(c, r, head);
		}
	}
	atomic_store(&r->k->hwtail, nmv_prev(head, r->n - 1));
	return 0;
}

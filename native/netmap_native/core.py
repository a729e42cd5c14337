"""``libnetmap_core.so``: the pure ring and pool functions, as C runs them.

:func:`load` gives ``(ffi, lib)``; the declarations are those of ``src/core/*.h``. Structs go in and out by
value, as in C. :data:`RULES` spells the bits of ``fired`` as the rule ids of the Python twin.
"""

from __future__ import annotations

from typing import Any

from . import _library

CDEF = """
struct nmv_kring { uint32_t n, hwcur, hwtail, rhead, rcur, rtail; };
struct nmv_user { uint32_t head, cur, tail; };
struct nmv_slot { uint32_t buf_idx; uint16_t len; uint16_t flags; uint64_t ptr; };
struct nmv_prologue { struct nmv_kring kring; uint32_t tail; uint32_t accepted; uint32_t fired; };
struct nmv_reinit { struct nmv_kring kring; struct nmv_user user; uint32_t fired; };
uint32_t nmv_next(uint32_t i, uint32_t lim);
uint32_t nmv_prev(uint32_t i, uint32_t lim);
uint32_t nmv_distance(uint32_t start, uint32_t end, uint32_t n);
uint32_t nmv_advance(uint32_t i, uint32_t by, uint32_t n);
_Bool nmv_between(uint32_t low, uint32_t x, uint32_t high);
struct nmv_prologue nmv_tx_prologue(struct nmv_kring k, struct nmv_user user);
struct nmv_prologue nmv_rx_prologue(struct nmv_kring k, struct nmv_user user);
struct nmv_kring nmv_sync_finalize(struct nmv_kring k);
struct nmv_reinit nmv_ring_reinit(struct nmv_kring k, struct nmv_user user);
struct nmv_slot nmv_slot_reinit(struct nmv_slot slot, uint32_t objtotal, uint32_t buf_size, uint32_t *fired);
_Bool nmv_kring_ordered(struct nmv_kring k);

struct nmv_transfer {
    struct nmv_kring kring;
    uint32_t start; uint32_t count; uint32_t publish; uint32_t publishes; uint32_t fired;
};
struct nmv_transfer nmv_pipe_txsync_positions(struct nmv_kring k, uint32_t pipe_tail, uint32_t last_complete);
struct nmv_transfer nmv_pipe_rxsync_positions(struct nmv_kring k, uint32_t pipe_tail);

struct nmv_pool { uint32_t *words; uint32_t total, free, first, reserved; };
uint32_t nmv_pool_words(uint32_t total);
void nmv_pool_init(struct nmv_pool *p, uint32_t *words, uint32_t total, uint32_t reserved);
uint32_t nmv_pool_take(struct nmv_pool *p);
_Bool nmv_pool_give(struct nmv_pool *p, uint32_t index);
_Bool nmv_pool_taken(const struct nmv_pool *p, uint32_t index);
"""

#: ``enum nmv_fired`` and ``enum nmv_pipe_fired``, bit by bit.
RULES: tuple[str, ...] = (
    "14/ring/tx_prologue/accept",
    "14/ring/tx_prologue/head-outside",
    "14/ring/tx_prologue/cur-outside",
    "14/ring/rx_prologue/accept",
    "14/ring/rx_prologue/head-outside",
    "14/ring/rx_prologue/cur-outside",
    "14/ring/prologue/tail-restored",
    "14/ring/sync_finalize",
    "14/ring/reinit/reset",
    "14/ring/reinit/slot-bad-idx",
    "14/ring/reinit/slot-bad-len",
    "14/pipe/txsync/nothing-new",
    "14/pipe/txsync/handed-over",
    "14/pipe/txsync/published",
    "14/pipe/txsync/incomplete",
    "14/pipe/rxsync/nothing-released",
    "14/pipe/rxsync/released",
)

POOL_NONE = 0xFFFFFFFF


def load() -> tuple[Any, Any]:
    """``(ffi, lib)`` of the core library. Raises :class:`~netmap_native.NotBuilt`."""
    return _library.load("libnetmap_core.so", CDEF)


def fired(bits: int) -> frozenset[str]:
    """The rule ids of a ``fired`` mask."""
    return frozenset(rule for bit, rule in enumerate(RULES) if bits >> bit & 1)

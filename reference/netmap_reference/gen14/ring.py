"""Chapter *ring*: positions in a ring, what a sync accepts, what it does when it does not.

A ring of ``n`` slots has positions ``0 … n-1``. The kernel's view of one ring is a :class:`Kring`;
the application's is three words in the shared page. The prologue of a sync reads ``head`` and
``cur`` once and compares them with the kring; :func:`sync_finalize` publishes the kernel's tail;
:func:`ring_reinit` follows a rejection.

    hwcur … rhead … rcur … rtail … hwtail        (walking forward, 14.ring.kring-order)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.step import Step, rule

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"

#: Deviations of the as-written reading in this chapter. A switch that is on makes the step do what
#: the code does instead of what it promises.
REINIT_TRUSTS_USER = "14.reinit-trusts-user"
RX_PROLOGUE_STORES_FIRST = "14.rx-prologue-stores-first"
PROLOGUE_UNBOUNDED = "14.prologue-unbounded-when-wrapped"
AS_WRITTEN = frozenset({REINIT_TRUSTS_USER, RX_PROLOGUE_STORES_FIRST, PROLOGUE_UNBOUNDED})
CONTRACT: frozenset[str] = frozenset()

_TX = "14.ring.tx-window"
_RX = "14.ring.rx-window"
TX_ACCEPT = rule("14/ring/tx_prologue/accept", clause=_TX, source=f"{NETMAP_C}:1762-1769")
TX_HEAD = rule("14/ring/tx_prologue/head-outside", clause=_TX, source=f"{NETMAP_C}:1746-1751")
TX_CUR = rule("14/ring/tx_prologue/cur-outside", clause=_TX, source=f"{NETMAP_C}:1747-1759")
RX_ACCEPT = rule("14/ring/rx_prologue/accept", clause=_RX, source=f"{NETMAP_C}:1801-1830")
RX_HEAD = rule("14/ring/rx_prologue/head-outside", clause=_RX, source=f"{NETMAP_C}:1809-1814")
RX_CUR = rule("14/ring/rx_prologue/cur-outside", clause=_RX, source=f"{NETMAP_C}:1810-1821")
TX_HEAD_TAKEN = rule(
    "14/ring/tx_prologue/head-unbounded",
    clause=_TX,
    source=f"{NETMAP_C}:1749-1769",
    switch=PROLOGUE_UNBOUNDED,
)
RX_HEAD_TAKEN = rule(
    "14/ring/rx_prologue/head-unbounded",
    clause=_RX,
    source=f"{NETMAP_C}:1812-1830",
    switch=PROLOGUE_UNBOUNDED,
)
TX_CUR_TAKEN = rule(
    "14/ring/tx_prologue/cur-unbounded",
    clause=_TX,
    source=f"{NETMAP_C}:1753-1769",
    switch=PROLOGUE_UNBOUNDED,
)
RX_CUR_TAKEN = rule(
    "14/ring/rx_prologue/cur-unbounded",
    clause=_RX,
    source=f"{NETMAP_C}:1819-1830",
    switch=PROLOGUE_UNBOUNDED,
)
RX_STORED = rule(
    "14/ring/rx_prologue/stored-first",
    clause="14.ring.reinit-resets",
    source=f"{NETMAP_C}:1801-1802",
    switch=RX_PROLOGUE_STORES_FIRST,
)
TAIL_RESTORED = rule(
    "14/ring/prologue/tail-restored", clause="14.ring.tail-is-kernels", source=f"{NETMAP_C}:1762-1766"
)
FINALIZE = rule("14/ring/sync_finalize", clause="14.ring.tail-published", source=f"{NETMAP_C}:2712-2728")
REINIT = rule("14/ring/reinit/reset", clause="14.ring.reinit-resets", source=f"{NETMAP_C}:1878-1887")
REINIT_KEEPS = rule(
    "14/ring/reinit/keeps-user-values",
    clause="14.ring.reinit-resets",
    source=f"{NETMAP_C}:1856-1888",
    switch=REINIT_TRUSTS_USER,
)
SLOT_BAD_IDX = rule(
    "14/ring/reinit/slot-bad-idx", clause="14.ring.reinit-slots", source=f"{NETMAP_C}:1867-1872"
)
SLOT_BAD_LEN = rule(
    "14/ring/reinit/slot-bad-len", clause="14.ring.reinit-slots", source=f"{NETMAP_C}:1873-1876"
)


@dataclass(frozen=True, slots=True)
class Kring:
    """The kernel's positions in one ring, in slots.

    ``n`` is ``nkr_num_slots``; ``hwcur`` the first slot not yet handed over (tx: to the NIC, rx: back
    to the NIC); ``hwtail`` the first slot the kernel keeps; ``rhead``, ``rcur``, ``rtail`` what the
    application was last told or last said.
    """

    n: int
    hwcur: int
    hwtail: int
    rhead: int
    rcur: int
    rtail: int


@dataclass(frozen=True, slots=True)
class UserRing:
    """The three words of the shared page, as read once: any value of ``uint32_t``."""

    head: int
    cur: int
    tail: int


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of the shared page: ``buf_idx`` u32, ``len`` u16 in bytes, ``flags`` u16, ``ptr`` u64."""

    buf_idx: int
    len: int
    flags: int = 0
    ptr: int = 0


# --- index arithmetic -------------------------------------------------------------------------


def nm_next(i: int, lim: int) -> int:
    """The position after ``i`` in a ring whose last position is ``lim``. Source: netmap_kern.h nm_next."""
    if i == lim:
        return 0
    return i + 1


def nm_prev(i: int, lim: int) -> int:
    """The position before ``i`` in a ring whose last position is ``lim``. Source: netmap_kern.h nm_prev."""
    if i == 0:
        return lim
    return i - 1


def distance(start: int, end: int, n: int) -> int:
    """Slots met walking forward from ``start`` (included) to ``end`` (not), both below ``n``."""
    if end >= start:
        return end - start
    return end - start + n


def advance(i: int, by: int, n: int) -> int:
    """The position ``by`` slots ahead of ``i``; ``0 <= by <= n``."""
    if i + by >= n:
        return i + by - n
    return i + by


def between(low: int, x: int, high: int) -> bool:
    """Does walking forward from ``low`` meet ``x`` no later than ``high``? All below the ring size."""
    if low <= high:
        return low <= x and x <= high
    return x >= low or x <= high


# --- the prologues ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prologue:
    """What a prologue decides: the new kring, whether the sync goes on, and the tail to store back."""

    kring: Kring
    accepted: bool
    tail: int


def tx_prologue(k: Kring, user: UserRing, switches: frozenset[str] = CONTRACT) -> Step[Prologue]:
    """Validate ``head`` and ``cur`` at the start of a txsync.

    ``user.head`` and ``user.cur`` may be any u32. Accepted: rhead and rcur take them over and an
    overwritten tail is put back. Rejected: nothing in the kring changes.

    As written (PROLOGUE_UNBOUNDED) a position of ``n`` or more passes for one inside the window
    whenever the window wraps: a ``cur`` like that is taken over, a ``head`` like that is taken over
    and then counts as a rejection. Source: nm_txsync_prologue.
    """
    unbounded = PROLOGUE_UNBOUNDED in switches
    if not (unbounded or user.head < k.n) or not between(k.rhead, user.head, k.rtail):
        return Step(Prologue(k, False, user.tail), (TX_HEAD,))
    if not (unbounded or user.cur < k.n) or not between(user.head, user.cur, k.rtail):
        return Step(Prologue(k, False, user.tail), (TX_CUR,))
    fired: tuple[str, ...] = (TX_ACCEPT,)
    tail = user.tail
    if tail != k.rtail:
        fired, tail = (TX_ACCEPT, TAIL_RESTORED), k.rtail
    taken = replace(k, rhead=user.head, rcur=user.cur)
    if unbounded and user.head >= k.n:
        return Step(Prologue(taken, False, tail), (*fired, TX_HEAD_TAKEN))
    if unbounded and user.cur >= k.n:
        return Step(Prologue(taken, True, tail), (*fired, TX_CUR_TAKEN))
    return Step(Prologue(taken, True, tail), fired)


def rx_prologue(k: Kring, user: UserRing, switches: frozenset[str] = CONTRACT) -> Step[Prologue]:
    """Validate ``head`` and ``cur`` at the start of an rxsync, against hwcur and hwtail.

    As written, the kring takes the user's values before they are checked (RX_PROLOGUE_STORES_FIRST),
    and a wrapped window has no upper bound (PROLOGUE_UNBOUNDED, see :func:`tx_prologue`).
    Source: nm_rxsync_prologue.
    """
    unbounded = PROLOGUE_UNBOUNDED in switches
    rejected = k
    stored: tuple[str, ...] = ()
    if RX_PROLOGUE_STORES_FIRST in switches:
        rejected = replace(k, rhead=user.head, rcur=user.cur)
        stored = (RX_STORED,)
    if not (unbounded or user.head < k.n) or not between(k.hwcur, user.head, k.hwtail):
        return Step(Prologue(rejected, False, user.tail), (RX_HEAD, *stored))
    if not (unbounded or user.cur < k.n) or not between(user.head, user.cur, k.hwtail):
        return Step(Prologue(rejected, False, user.tail), (RX_CUR, *stored))
    fired: tuple[str, ...] = (RX_ACCEPT,)
    tail = user.tail
    if tail != k.rtail:
        fired, tail = (RX_ACCEPT, TAIL_RESTORED), k.rtail
    taken = replace(k, rhead=user.head, rcur=user.cur)
    if unbounded and user.head >= k.n:
        return Step(Prologue(taken, False, tail), (*fired, RX_HEAD_TAKEN))
    if unbounded and user.cur >= k.n:
        return Step(Prologue(taken, True, tail), (*fired, RX_CUR_TAKEN))
    return Step(Prologue(taken, True, tail), fired)


def sync_finalize(k: Kring) -> Step[Kring]:
    """Publish the kernel's tail: the value returned in ``rtail`` is also stored in ``ring->tail``."""
    return Step(replace(k, rtail=k.hwtail), (FINALIZE,))


# --- re-initialisation ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reinit:
    """The kring after a rejection, and the three words stored in the shared page."""

    kring: Kring
    user: UserRing


def ring_reinit(k: Kring, user: UserRing, switches: frozenset[str] = CONTRACT) -> Step[Reinit]:
    """Put a rejected ring back to the kernel's own positions.

    As written (REINIT_TRUSTS_USER) that happens only when one of the user's words is not a position
    at all; otherwise the kring takes over all three, the tail included. Source: netmap_ring_reinit.
    """
    lim = k.n - 1
    if REINIT_TRUSTS_USER in switches and user.cur <= lim and user.head <= lim and user.tail <= lim:
        kept = replace(k, rhead=user.head, rcur=user.cur, rtail=user.tail)
        return Step(Reinit(kept, user), (REINIT_KEEPS,))
    reset = replace(k, rhead=k.hwcur, rcur=k.hwcur, rtail=k.hwtail)
    return Step(Reinit(reset, UserRing(k.hwcur, k.hwcur, k.hwtail)), (REINIT,))


def slot_reinit(slot: Slot, objtotal: int, buf_size: int) -> Step[Slot]:
    """Repair one slot of a rejected ring: a buffer that is not the pool's becomes the junk buffer 0.

    ``objtotal`` is the number of buffers of the pool, ``buf_size`` their size in bytes.
    """
    if slot.buf_idx < 2 or slot.buf_idx >= objtotal:
        return Step(replace(slot, buf_idx=0, len=0), (SLOT_BAD_IDX,))
    if slot.len > buf_size:
        return Step(replace(slot, len=0), (SLOT_BAD_LEN,))
    return Step(slot)

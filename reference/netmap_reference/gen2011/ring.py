"""Chapter *ring*: positions, the map between netmap ring and NIC ring, re-initialisation.

A ring of ``n`` slots has positions ``0 … n-1``. The application has two words in the shared page:
`cur`, the slot it uses next, and `avail`, how many it may use. The kernel has its own copies in
the *kring*, and they are the truth:

    tx:  hwcur … slots the application may fill: hwavail of them, one slot always stays back
    rx:  hwcur … slots with packets:             hwavail of them, then slots the NIC may fill

`nkr_hwofs` is by how much the NIC's index is behind the netmap index; it changes when the driver
re-initialises the NIC under a running ring.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.effects import Do, Fired, Protocol, ReadKernel, ReadUser, WriteUser
from ..core.step import Step, rule
from ..core.words import i32, u32
from .memory import BUF_SIZE
from .source import lines

NR_REINIT = 1
NR_TIMESTAMP = 2
NS_BUF_CHANGED = 1
NS_REPORT = 2

REINIT_CONDITIONAL = "2011.reinit-only-on-visible-errors"
REINIT_SILENT = "2011.reinit-not-reported"
CONTRACT: frozenset[str] = frozenset()
AS_WRITTEN = frozenset({REINIT_CONDITIONAL, REINIT_SILENT})

_REINIT = "2011.ring.reinit-resets"
REINIT = rule("2011/ring/reinit/reset", clause=_REINIT, source=lines("1003-1017"))
REINIT_KEPT = rule(
    "2011/ring/reinit/kept", clause=_REINIT, source=lines("983, 1003, 1017"), switch=REINIT_CONDITIONAL
)
REINIT_TOLD = rule(
    "2011/ring/reinit/told", clause="2011.ring.reinit-told", source="netmap.h 9662 2011-11-16:NR_REINIT"
)
REINIT_UNTOLD = rule(
    "2011/ring/reinit/untold", clause="2011.ring.reinit-told", source=lines("1003-1017"), switch=REINIT_SILENT
)
SLOT_OK = rule("2011/ring/reinit/slot-kept", clause="2011.ring.reinit-slots", source=lines("988-1002"))
SLOT_BAD_IDX = rule("2011/ring/reinit/slot-bad-idx", clause="2011.ring.reinit-slots", source=lines("991-995"))
SLOT_BAD_LEN = rule(
    "2011/ring/reinit/slot-bad-len", clause="2011.ring.reinit-slots", source=lines("996-1001")
)
N2K = rule("2011/ring/n2k", clause="2011.ring.hwofs", source="netmap_kern.h 10602 2012-02-21:netmap_idx_n2k")
K2N = rule("2011/ring/k2n", clause="2011.ring.hwofs", source="netmap_kern.h 10602 2012-02-21:netmap_idx_k2n")


@dataclass(frozen=True, slots=True)
class Kring:
    """The kernel's positions in one ring, in slots, each of its C type.

    ``n`` (u32) is `nkr_num_slots`, 0 before the first registration; ``hwcur`` u32, ``hwavail`` and
    ``hwofs`` i32; ``kflags`` u32 are the driver's (1: an interrupt is pending).
    """

    n: int = 0
    hwcur: int = 0
    hwavail: int = 0
    hwofs: int = 0
    kflags: int = 0


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of the shared page: ``buf_idx`` u32, ``len`` u16 in bytes, ``flags`` u16."""

    buf_idx: int
    len: int
    flags: int = 0


# --- index arithmetic -------------------------------------------------------------------------


def next_pos(i: int, lim: int) -> int:
    """The position after ``i`` in a ring whose last position is ``lim``."""
    if i == lim:
        return 0
    return i + 1


def idx_n2k(n: int, hwofs: int, idx: int) -> Step[int]:
    """NIC index to netmap index: an ``int``, outside ``[0, n)`` when ``hwofs`` is not in ``(-n, n)``."""
    at = idx + hwofs
    if at < 0:
        return Step(at + n, (N2K,))
    if at < n:
        return Step(at, (N2K,))
    return Step(at - n, (N2K,))


def idx_k2n(n: int, hwofs: int, idx: int) -> Step[int]:
    """Netmap index to NIC index: the inverse of :func:`idx_n2k` for ``hwofs`` in ``(-n, n)``."""
    at = idx - hwofs
    if at < 0:
        return Step(at + n, (K2N,))
    if at < n:
        return Step(at, (K2N,))
    return Step(at - n, (K2N,))


# --- re-initialisation ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SlotCheck:
    """A slot of a rejected ring afterwards, and what was wrong with it: "", "idx" or "len"."""

    slot: Slot
    error: str = ""


def reinit_slot(slot: Slot, total_buffers: int) -> Step[SlotCheck]:
    """Make one slot of a rejected ring safe: a buffer the pool does not have becomes the junk buffer."""
    if slot.buf_idx < 2 or slot.buf_idx >= total_buffers:
        return Step(SlotCheck(replace(slot, buf_idx=0, len=0), "idx"), (SLOT_BAD_IDX,))
    if slot.len > BUF_SIZE:
        return Step(SlotCheck(replace(slot, len=0), "len"), (SLOT_BAD_LEN,))
    return Step(SlotCheck(slot), (SLOT_OK,))


@dataclass(frozen=True, slots=True)
class Reinit:
    """The shared words after a rejection (``avail`` as u32), and the C return value: 1 is reported."""

    cur: int
    avail: int
    flags: int
    ret: int


def reinit_positions(
    k: Kring, cur: int, avail: int, flags: int, errors: int, switches: frozenset[str] = CONTRACT
) -> Step[Reinit]:
    """Put a rejected ring back to the kernel's positions. Source: netmap_ring_reinit.

    ``errors`` counts what the routine itself found wrong (``cur`` beyond the ring, bad slots). As
    written (REINIT_CONDITIONAL) nothing happens and 0 is returned when it found nothing, although the
    caller did; and the application is never told (REINIT_SILENT).
    """
    if errors == 0 and REINIT_CONDITIONAL in switches:
        return Step(Reinit(cur, avail, flags, 0), (REINIT_KEPT,))
    if REINIT_SILENT in switches:
        return Step(Reinit(k.hwcur, u32(k.hwavail), flags, 1), (REINIT, REINIT_UNTOLD))
    told = flags if flags % 2 == NR_REINIT else flags + NR_REINIT
    return Step(Reinit(k.hwcur, u32(k.hwavail), told, 1), (REINIT, REINIT_TOLD))


def ring_reinit(ring: str, switches: frozenset[str] = CONTRACT) -> Protocol:
    """`netmap_ring_reinit` of the named ring: every word of the shared page is read where C reads it.

    Runs without the ring's lock. Returns what C returns: 1 when the ring was put back.
    """
    k: Kring = yield ReadKernel((ring, "kring"))
    total_buffers = yield ReadKernel(("mem", "total"))
    yield Do("log", ("netmap_ring_reinit", 985))
    errors = 0
    if (yield ReadUser((ring, "cur"))) > u32(k.n - 1):
        errors += 1
    for i in range(k.n):
        idx = yield ReadUser((ring, "slot", i, "buf_idx"))
        length = yield ReadUser((ring, "slot", i, "len"))
        step = reinit_slot(Slot(idx, length), total_buffers)
        yield Fired(step.fired[0])
        if step.state.error:
            if errors == 0:
                yield Do("log", ("netmap_ring_reinit", 993 if step.state.error == "idx" else 999))
            errors += 1
            if step.state.error == "idx":
                yield WriteUser((ring, "slot", i, "buf_idx"), 0)
            yield WriteUser((ring, "slot", i, "len"), 0)
    if errors:
        yield Do("log", ("netmap_ring_reinit", 1007))
        yield Do("log", ("netmap_ring_reinit", 1009))
    k = yield ReadKernel((ring, "kring"))
    cur = yield ReadUser((ring, "cur"))
    avail = yield ReadUser((ring, "avail"))
    flags = yield ReadUser((ring, "flags"))
    back = reinit_positions(k, cur, avail, flags, errors, switches)
    for fired in back.fired:
        yield Fired(fired)
    if back.state.ret:
        yield WriteUser((ring, "cur"), back.state.cur)
        yield WriteUser((ring, "avail"), back.state.avail)
        if back.state.flags != flags:
            yield WriteUser((ring, "flags"), back.state.flags)
    return back.state.ret


def wrap_avail(hwavail: int) -> int:
    """`ring->avail = kring->nr_hwavail`: an ``int`` stored into a ``uint32_t``."""
    return u32(hwavail)


def as_hwavail(value: int) -> int:
    """A value as `nr_hwavail` keeps it: ``int``."""
    return i32(value)

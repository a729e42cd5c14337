"""Chapter *interrupts*: what the lower half does to rings: wake-ups, NIC resets, packets from the stack.

Wake-ups go to the ring's own selinfo and, when there are several queues, to the global one as well,
each under the lock that a sleeper held when it recorded itself (2011.interrupt.wake-locks).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.effects import (
    Do,
    Fired,
    Lock,
    Protocol,
    ReadKernel,
    ReadUser,
    Unlock,
    Wake,
    WriteKernel,
    WriteUser,
)
from ..core.outcome import fault
from ..core.step import Step, rule
from ..core.words import i32, u32
from .attach import Adapter, faults
from .memory import BUF_SIZE
from .ring import Kring
from .source import lines

BYPASSES_NM_LOCK = "2011.interrupt-bypasses-driver-lock"
START_UNMARKED = "2011.start-after-delete"
START_WRAPS = "2011.start-position-wraps"
CONTRACT: frozenset[str] = frozenset()
AS_WRITTEN = frozenset({BYPASSES_NM_LOCK, START_UNMARKED, START_WRAPS})

_WAKE = "2011.interrupt.wake"
IRQ_OFF = rule("2011/interrupts/irq/mode-off", clause=_WAKE, source=lines("1709-1710"))
IRQ_ALONE = rule("2011/interrupts/irq/one-ring-own-lock", clause=_WAKE, source=lines("1713-1717"))
IRQ_SEPARATE = rule("2011/interrupts/irq/rings-own-locks", clause=_WAKE, source=lines("1713-1721"))
IRQ_CORE = rule("2011/interrupts/irq/one-ring-core-lock", clause=_WAKE, source=lines("1722-1728"))
IRQ_CORE_ALL = rule("2011/interrupts/irq/rings-core-lock", clause=_WAKE, source=lines("1722-1728"))
IRQ_NM_LOCK = rule(
    "2011/interrupts/irq/driver-lock", clause="2011.interrupt.wake-locks", source=lines("1704-1732")
)
IRQ_OWN_MUTEX = rule(
    "2011/interrupts/irq/adapter-mutex",
    clause="2011.interrupt.wake-locks",
    source=lines("1714-1727"),
    switch=BYPASSES_NM_LOCK,
)
RESET_OFF = rule("2011/interrupts/reset/mode-off", clause="2011.interrupt.reset", source=lines("1659-1662"))
RESET_TX = rule("2011/interrupts/reset/tx", clause="2011.interrupt.reset", source=lines("1667-1677"))
RESET_RX = rule("2011/interrupts/reset/rx", clause="2011.interrupt.reset", source=lines("1669-1675"))
START_FULL = rule("2011/interrupts/start/full", clause="2011.host.rx-full", source=lines("1612-1615"))
START_LONG = rule("2011/interrupts/start/too-long", clause="2011.host.rx-long", source=lines("1616-1619"))
START_PUT = rule("2011/interrupts/start/put", clause="2011.host.rx-put", source=lines("1621-1632"))
START_BAD_POS = rule(
    "2011/interrupts/start/no-position", clause="2011.host.rx-position", source=lines("1621-1625")
)
START_FAULT = rule(
    "2011/interrupts/start/position-wraps",
    clause="2011.host.rx-position",
    source=lines("1621-1626"),
    switch=START_WRAPS,
)
START_GONE = rule(
    "2011/interrupts/start/not-in-mode", clause="2011.host.rx-mode", source=lines("750-760, 1611")
)
START_DANGLES = rule(
    "2011/interrupts/start/dangling-ring",
    clause="2011.host.rx-mode",
    source=lines("1602-1612"),
    switch=START_UNMARKED,
)


# --- interrupts -------------------------------------------------------------------------------


def irq(na: Adapter | None, tx: bool, q: int, switches: frozenset[str] = CONTRACT) -> Protocol:
    """`netmap_rx_irq` and `netmap_tx_irq` of queue ``q``; returns 1 when netmap took the interrupt.

    As written (BYPASSES_NM_LOCK) it takes the adapter's own mutexes although the driver may have
    brought its own locks, which are what poll and sync take.
    """
    if not (yield ReadKernel(("if", "capenable"))):
        yield Fired(IRQ_OFF)
        return 0
    if na is None:
        return (yield from faults("netmap_rx_irq", 1712, "tx_rings" if tx else "rx_rings"))
    bypass = BYPASSES_NM_LOCK in switches
    yield Fired(IRQ_OWN_MUTEX if bypass else IRQ_NM_LOCK)
    side = "tx" if tx else "rx"
    ring, everyone = f"{side}{q}", f"{side}{na.global_queue}"
    core, own = ("core_lock", f"{ring}.q_lock") if bypass else ("core", ring)
    several = na.num_queues > 1
    if na.separate_locks:
        yield Fired(IRQ_SEPARATE if several else IRQ_ALONE)
        yield Lock(own)
        yield Wake(ring)
        yield Unlock(own)
        if several:
            yield Lock(core)
            yield Wake(everyone)
            yield Unlock(core)
    else:
        yield Fired(IRQ_CORE_ALL if several else IRQ_CORE)
        yield Lock(core)
        yield Wake(ring)
        if several:
            yield Wake(everyone)
        yield Unlock(core)
    return 1


# --- netmap_reset -----------------------------------------------------------------------------


def reset_hwofs(k: Kring, tx: bool, new_cur: int) -> Step[Kring]:
    """The kring after the NIC's ring restarts at ``new_cur`` (u_int). Source: netmap_reset.

    hwofs is an ``int`` computed from unsigned terms; it is brought below ``n`` but may be negative.
    A tx ring counts as idle again: what was under way in the NIC is gone.
    """
    first = u32(k.hwcur - new_cur) if tx else u32(k.hwcur + k.hwavail - new_cur)
    hwofs = i32(first)
    lim = i32(k.n - 1)
    if hwofs > lim:
        hwofs = i32(hwofs - (lim + 1))
    if tx:
        return Step(replace(k, hwofs=hwofs, hwavail=i32(k.n - 1)), (RESET_TX,))
    return Step(replace(k, hwofs=hwofs), (RESET_RX,))


def reset(na: Adapter | None, tx: bool, n: int, new_cur: int) -> Protocol:
    """`netmap_reset`: returns the offset of the ring's first slot, ``None`` when not in netmap mode.

    Called with the locks that protect the kring held by the driver.
    """
    if na is None or not (yield ReadKernel(("if", "capenable"))):
        yield Fired(RESET_OFF)
        return None
    side = "tx" if tx else "rx"
    ring = f"{side}{n}"
    step = reset_hwofs((yield ReadKernel((ring, "kring"))), tx, new_cur)
    yield Fired(step.fired[0])
    yield WriteKernel((ring, "kring"), step.state)
    yield Do("log", ("netmap_reset", 1678))
    yield Wake(ring)
    yield Wake(f"{side}{na.global_queue}")
    return (yield ReadKernel((ring, "slots")))


# --- packets from the host stack --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """The slot a packet from the stack goes to (u_int; beyond the ring when the step FAULTs)."""

    at: int


def insert_position(k: Kring, switches: frozenset[str] = CONTRACT) -> Step[Place | None]:
    """Where the next packet goes, ``None`` when nowhere. Source: netmap_start.

    As written (START_WRAPS) the sum is unsigned: with a negative hwavail larger than hwcur it is just
    below 2^32, stays there after ``n`` is taken off once, and the slot's address is outside the pool.
    """
    lim = i32(k.n - 1)
    if k.hwavail >= lim:
        return Step(None, (START_FULL,))
    if START_WRAPS not in switches and k.hwavail < 0:
        return Step(None, (START_BAD_POS,))
    at = u32(k.hwcur + k.hwavail)
    if at > u32(lim):
        at = u32(at - k.n)
    if at > u32(lim):
        return Step(Place(at), (START_FAULT,), fault("netmap_kern.h:101, netmap.c:1626"))
    return Step(Place(at), (START_PUT,))


def start(na: Adapter | None, length: int, switches: frozenset[str] = CONTRACT) -> Protocol:
    """`netmap_start`: the stack sends a packet of ``length`` bytes; returns an errno's name or "".

    As written (START_UNMARKED) it does not look whether the interface is still in netmap mode: a
    caller that waited for the lock while the last descriptor went away writes into freed rings.
    """
    if na is None:
        yield from faults("netmap_start", 1603, "num_queues")
        return "ENXIO"
    ring = f"rx{na.host}"
    verbose = (yield ReadKernel(("sysctl", "verbose"))) & 2
    if verbose:
        yield Do("log", ("netmap_start", 1609))
    yield Lock("core")
    if not (yield ReadKernel(("if", "capenable"))):
        if START_UNMARKED not in switches:
            yield Fired(START_GONE)
            yield Unlock("core")
            yield Do("m_freem")
            return "EBUSY"
        yield Fired(START_DANGLES)
    error = "EBUSY"
    k: Kring = yield ReadKernel((ring, "kring"))
    step = insert_position(k, switches)
    if step.state is None:
        yield Fired(step.fired[0])
        if step.fired[0] == START_FULL:
            yield Do("log", ("netmap_start", 1613))
    elif length > BUF_SIZE:
        yield Fired(START_LONG)
        yield Do("log", ("netmap_start", 1617))
    else:
        yield Fired(step.fired[0])
        at = step.state.at
        if not step.outcome.ok:
            address = yield ReadKernel((ring, "slot-address", at))
            yield Do("fault", (("NMB netmap_kern.h:101", "netmap_start netmap.c:1626"), address))
        index = yield ReadUser((ring, "slot", at, "buf_idx"))
        yield Do("m_copydata", (index,))
        yield WriteUser((ring, "slot", at, "len"), length)
        yield WriteKernel((ring, "kring"), replace(k, hwavail=i32(k.hwavail + 1)))
        if verbose:
            yield Do("log", ("netmap_start", 1630))
        yield Wake(ring)
        error = ""
    yield Unlock("core")
    yield Do("m_freem")
    return error

"""Chapter *monitor*: how a monitor sees what passes a ring of another port.

A monitor stands between a ring and its port: whoever syncs the ring runs the monitor's part before or after
the port's own. A *copy* monitor copies packets before they are consumed: of a transmit ring what is about to
be handed to the port, of a receive ring what the port has just reported. A *zero-copy* monitor takes packets
after they were consumed, by exchanging buffers: of a transmit ring what the port has freed, of a receive
ring what the application has released. Both directions of a ring end in the same receive ring of the monitor;
NS_TXMON tells them apart. What does not fit is dropped, and whoever is watched does not notice.

The second zero-copy monitor of a ring watches the first one's ring: it gets what that one has released.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from netmap_spec.abi import api14

from ...core.effects import Do, Fired, Lock, Protocol, ReadKernel, Unlock, WriteKernel
from ...core.step import Step, rule
from ..notify import notify
from ..offsets import Offset, get_offset
from ..ring import CONTRACT, Kring, Slot, advance, distance, nm_next
from ..state import TX

MONITOR_C = "luigirizzo/netmap:sys/dev/netmap/netmap_monitor.c@89607e14"
NETMAP_H = "luigirizzo/netmap:sys/net/netmap.h@89607e14"

#: A monitor of a monitor sees packets of the transmit direction without NS_TXMON.
CHAIN_FORGETS = "14.monitor-chain-forgets-direction"
#: A monitor hands on what it released only if it also stands in the list of a receive ring.
CHAIN_RX_ONLY = "14.monitor-chain-receive-only"
#: A length beyond the buffer makes a copy monitor read on into the buffers behind it.
READS_ON = "14.monitor-reads-past-buffer"
#: A copy monitor that comes after a zero-copy monitor sees slots that had passed before it came.
STALE_START = "14.monitor-stale-start"
#: Slots that a port leaves to a later sync are shown again by that one.
SHOWN_AGAIN = "14.monitor-shows-again"
#: A monitor of a port with host rings passes marked slots to the host stack of no interface.
FORWARDS = "14.monitor-forwards"
#: A receive ring whose copy monitor finds it busy wakes nobody.
BUSY_SLEEPS = "14.monitor-busy-no-wakeup"

TX_REFUSED = rule("14/monitor/txsync/refused", clause="14.monitor.no-sending", source=f"{MONITOR_C}:138-146")
RX_RELEASED = rule("14/monitor/rxsync/released", clause="14.monitor.rxsync", source=f"{MONITOR_C}:154-167")
RX_ORPHAN = rule(
    "14/monitor/rxsync/port-gone", clause="14.monitor.port-leaves", source=f"{MONITOR_C}:159-162"
)
TAKEN = rule("14/monitor/fitting/all", clause="14.monitor.seen", source=f"{MONITOR_C}:643-653,757-770")
NEWEST = rule(
    "14/monitor/take/newest", clause="14.monitor.overrun-newest", source=f"{MONITOR_C}:643-650,763-768"
)
DROPPED = rule(
    "14/monitor/fitting/dropped", clause="14.monitor.overrun", source=f"{MONITOR_C}:641-642,757-758"
)
COPY_TX = rule("14/monitor/copy/sent", clause="14.monitor.copy-tx", source=f"{MONITOR_C}:805-824")
COPY_RX = rule("14/monitor/copy/received", clause="14.monitor.copy-rx", source=f"{MONITOR_C}:827-851")
ONCE = rule("14/monitor/unshown/rest", clause="14.monitor.seen", source=f"{MONITOR_C}:51-55")
AGAIN = rule(
    "14/monitor/unshown/again",
    clause="14.monitor.seen",
    source=f"{MONITOR_C}:811-819",
    switch=SHOWN_AGAIN,
)
STALE = rule(
    "14/monitor/first_unseen/stale",
    clause="14.monitor.copy-rx",
    source=f"{MONITOR_C}:284,336-340",
    switch=STALE_START,
)
FORWARDED = rule(
    "14/monitor/forward/no-interface",
    clause="14.monitor.no-forwarding",
    source="luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14:1236-1288",
    switch=FORWARDS,
)
COPIED = rule("14/monitor/copy/slot", clause="14.monitor.copy-slot", source=f"{MONITOR_C}:770-791")
OFFSETS = rule("14/monitor/copy/offsets", clause="14.offsets.monitor", source=f"{MONITOR_C}:774-778")
CUT = rule("14/monitor/copy/cut", clause="14.monitor.copy-length", source=f"{MONITOR_C}:777-782")
READ_ON = rule(
    "14/monitor/copy/past-buffer",
    clause="14.monitor.copy-length",
    source=f"{MONITOR_C}:773-784",
    switch=READS_ON,
)
ZCOPY_TX = rule("14/monitor/zcopy/freed", clause="14.monitor.zcopy-tx", source=f"{MONITOR_C}:607-612")
ZCOPY_RX = rule(
    "14/monitor/zcopy/released", clause="14.monitor.zcopy-rx", source=f"{MONITOR_C}:613-616,686-687"
)
SWAPPED = rule("14/monitor/zcopy/slot", clause="14.monitor.zcopy-slot", source=f"{MONITOR_C}:653-673")
CHAINED = rule("14/monitor/zcopy/chained", clause="14.monitor.stacked", source=f"{MONITOR_C}:327-331,827-839")
NOT_CHAINED = rule(
    "14/monitor/zcopy/not-chained",
    clause="14.monitor.stacked",
    source=f"{MONITOR_C}:278-285,833-838",
    switch=CHAIN_RX_ONLY,
)
MARKED = rule("14/monitor/flags/sent", clause="14.monitor.txmon", source=f"{MONITOR_C}:597,667,734,786")
UNMARKED = rule("14/monitor/flags/received", clause="14.monitor.txmon", source=f"{MONITOR_C}:597,667,734,786")
KEPT = rule("14/monitor/flags/handed-on", clause="14.monitor.txmon", source=f"{NETMAP_H}:222-225")
FORGOTTEN = rule(
    "14/monitor/flags/forgotten",
    clause="14.monitor.txmon",
    source=f"{MONITOR_C}:597,667",
    switch=CHAIN_FORGETS,
)
LOOKED = rule("14/monitor/notify/looked", clause="14.monitor.copy-rx", source=f"{MONITOR_C}:853-880")
BUSY = rule("14/monitor/notify/busy", clause="14.monitor.wakeup", source=f"{MONITOR_C}:859-879")
BUSY_ASLEEP = rule(
    "14/monitor/notify/busy-asleep",
    clause="14.monitor.wakeup",
    source=f"{MONITOR_C}:863-866",
    switch=BUSY_SLEEPS,
)


# --- positions --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """``count`` slots of a watched ring from ``start`` on."""

    start: int
    count: int


def sent(k: Kring) -> Part:
    """What the application has handed to a transmit ring and the port does not have yet."""
    return Part(k.hwcur, distance(k.hwcur, k.rhead, k.n))


def unshown(k: Kring, seen: int, switches: frozenset[str] = CONTRACT) -> Step[Part]:
    """What of :func:`sent` copy monitors have not been shown, ``seen`` being where the last look ended.

    A port may leave slots to a later sync. As written (SHOWN_AGAIN) they are shown then once more.
    """
    part = sent(k)
    if 0 < distance(k.hwcur, seen, k.n) <= part.count:
        if SHOWN_AGAIN in switches:
            return Step(part, (AGAIN,))
        return Step(Part(seen, distance(seen, k.rhead, k.n)), (ONCE,))
    return Step(part)


def first_unseen(
    seen: int, hwtail: int, copies: bool, taken: bool, switches: frozenset[str] = CONTRACT
) -> Step[int]:
    """From where on a receive ring is new to a copy monitor that comes: behind what was reported.

    ``seen`` is what the ring says, and holds if there are ``copies`` already. As written (STALE_START) it is
    kept as well when the buffers are ``taken`` by a zero-copy monitor.
    """
    if copies:
        return Step(seen)
    if taken and seen != hwtail and STALE_START in switches:
        return Step(seen, (STALE,))
    return Step(hwtail)


def received(k: Kring, seen: int) -> Part:
    """What the port has reported in a receive ring since ``seen``."""
    return Part(seen, distance(seen, k.hwtail, k.n))


def freed(before: int, after: int, n: int) -> Part:
    """What a port has freed of a transmit ring while its hwtail went from ``before`` to ``after``."""
    return Part(nm_next(before, n - 1), distance(before, after, n))


def released(k: Kring) -> Part:
    """What the application has released in a receive ring and the port does not have yet."""
    return Part(k.hwcur, distance(k.hwcur, k.rhead, k.n))


def room(k: Kring) -> int:
    """Slots of a monitor's receive ring that may be filled: not its application's, and one stays empty."""
    return k.n - 1 - distance(k.hwcur, k.hwtail, k.n)


def fitting(count: int, free: int) -> Step[int]:
    """How many of ``count`` slots a monitor with ``free`` slots can take."""
    if free < count:
        return Step(free, (DROPPED,))
    return Step(count, (TAKEN,))


def take(part: Part, free: int, n: int) -> Step[Part]:
    """Which slots of a ring of ``n`` a monitor with ``free`` slots takes: the newest, the others are lost."""
    kept = fitting(part.count, free)
    lost = part.count - kept.state
    if lost > 0:
        return Step(Part(advance(part.start, lost, n), kept.state), (*kept.fired, NEWEST))
    return Step(Part(part.start, kept.state), kept.fired)


def filled(k: Kring, count: int) -> Kring:
    """A monitor's receive ring with ``count`` more packets, ``0 <= count <= room(k)``."""
    return replace(k, hwtail=advance(k.hwtail, count, k.n))


def monitor_rxsync_positions(k: Kring) -> Step[Kring]:
    """The released slots of a monitor's receive ring are free again."""
    return Step(replace(k, hwcur=k.rhead), (RX_RELEASED,))


def handed_on(rx: str, tx: str, switches: frozenset[str] = CONTRACT) -> Step[str]:
    """Who gets what a zero-copy monitor that stands in front of others has released.

    ``rx`` and ``tx`` are the next monitor's rings in the lists of a receive and of a transmit ring, "" for
    none; if there are both they are the same. As written (CHAIN_RX_ONLY) only the first list counts.
    """
    if rx == "" and CHAIN_RX_ONLY in switches:
        return Step("", (NOT_CHAINED,))
    return Step(rx or tx, (CHAINED,))


# --- slots ------------------------------------------------------------------------------------


def monitor_flags(flags: int, t: str, monitors: bool, switches: frozenset[str] = CONTRACT) -> Step[int]:
    """The flags a slot has in the monitor's ring: its own, and NS_TXMON for the transmit direction alone.

    ``t`` is the direction of the ring it comes from, ``monitors`` says that this ring is a monitor's itself,
    so that the slot tells its direction. As written (CHAIN_FORGETS) such a ring is one like any other.
    """
    if t == TX:
        return Step(flags | api14.NS_TXMON, (MARKED,))
    if monitors and flags & api14.NS_TXMON:
        if CHAIN_FORGETS in switches:
            return Step(flags & ~api14.NS_TXMON, (FORGOTTEN,))
        return Step(flags, (KEPT,))
    return Step(flags & ~api14.NS_TXMON, (UNMARKED,))


def swap_slots(theirs: Slot, mine: Slot, flags: int) -> Step[tuple[Slot, Slot]]:
    """Exchange buffer and length of a watched slot and a free one of the monitor: (watched, monitor's).

    Each keeps its ``ptr``. The watched ring is told by NS_BUF_CHANGED.
    """
    watched = replace(theirs, buf_idx=mine.buf_idx, len=mine.len, flags=theirs.flags | api14.NS_BUF_CHANGED)
    return Step((watched, replace(mine, buf_idx=theirs.buf_idx, len=theirs.len, flags=flags)), (SWAPPED,))


def begins(offset: Offset, ptr: int) -> Step[int]:
    """Where in its buffer the packet of a watched slot begins, or is stored in the monitor's."""
    if offset.bits == 0:
        return Step(0)
    return Step(get_offset(offset, ptr), (OFFSETS,))


def copy_length(length: int, source: int, target: int, switches: frozenset[str] = CONTRACT) -> Step[int]:
    """Bytes to copy of a slot of ``length``: what is in its buffer (``source`` bytes from where the packet
    begins) and fits the monitor's (``target`` bytes).

    As written (READS_ON) only the monitor's buffer counts.
    """
    if READS_ON in switches and min(length, target) > source:
        return Step(min(length, target), (READ_ON,))
    limit = min(source, target)
    if length > limit:
        return Step(limit, (CUT,))
    return Step(length)


# --- the monitor's own syncs --------------------------------------------------------------------


def txsync(ring: str) -> Protocol:
    """A monitor sends nothing."""
    yield Fired(TX_REFUSED)
    return "EIO"


def rxsync(ring: str, orphan: bool) -> Protocol:
    """Packets were put into the ring by whoever was watched; here slots are only given back."""
    if orphan:
        yield Fired(RX_ORPHAN)
        return "EIO"
    k: Kring = yield ReadKernel((ring, "kring"))
    step = monitor_rxsync_positions(k)
    for fired in step.fired:
        yield Fired(fired)
    yield WriteKernel((ring, "kring"), step.state)
    return ""


# --- the syncs of a watched ring ----------------------------------------------------------------

#: The watched port's own sync, and one slot from it: what is done with (ring, slot, monitor's ring, slot).
Own = Callable[[], Protocol]


def watched_txsync(ring: str, own: Own, switches: frozenset[str] = CONTRACT) -> Protocol:
    """The sync of a watched transmit ring: copies first, then the port, then what it has freed."""
    copies: tuple[str, ...] = yield ReadKernel((ring, "copies"))
    if copies:
        k: Kring = yield ReadKernel((ring, "kring"))
        seen: int = yield ReadKernel((ring, "seen"))
        step = unshown(k, seen, switches)
        for fired in step.fired:
            yield Fired(fired)
        part = step.state
        if part.count:
            yield Fired(COPY_TX)
            yield from _show(ring, copies, "monitor-copy", part, k.n)
        yield WriteKernel((ring, "seen"), k.rhead)
    zmon: tuple[str, str] = yield ReadKernel((ring, "zmon"))
    if not zmon[1]:
        return (yield from own())
    before: Kring = yield ReadKernel((ring, "kring"))
    error: str = yield from own()
    if error:
        return error
    after: Kring = yield ReadKernel((ring, "kring"))
    part = freed(before.hwtail, after.hwtail, after.n)
    if part.count:
        yield Fired(ZCOPY_TX)
        yield from _show(ring, (zmon[1],), "monitor-swap", part, after.n)
    return ""


def watched_rxsync(ring: str, own: Own, switches: frozenset[str] = CONTRACT) -> Protocol:
    """The sync of a watched receive ring: what was released, then the port, then copies of what is new.

    The ring may be a zero-copy monitor's that another one watches.
    """
    zmon: tuple[str, str] = yield ReadKernel((ring, "zmon"))
    following = zmon[0]
    stacked = yield ReadKernel((ring, "stacked"))
    if stacked:
        step = handed_on(*zmon, switches)
        for fired in step.fired:
            yield Fired(fired)
        following = step.state
    if following:
        k: Kring = yield ReadKernel((ring, "kring"))
        part = released(k)
        if part.count:
            yield Fired(ZCOPY_RX)
            yield from _show(ring, (following,), "monitor-swap", part, k.n)
    error: str = yield from own()
    if error:
        return error
    copies: tuple[str, ...] = yield ReadKernel((ring, "copies"))
    if copies:
        k = yield ReadKernel((ring, "kring"))
        seen: int = yield ReadKernel((ring, "seen"))
        part = received(k, seen)
        if part.count:
            yield Fired(COPY_RX)
            yield from _show(ring, copies, "monitor-copy", part, k.n)
        yield WriteKernel((ring, "seen"), k.hwtail)
    return ""


def _show(ring: str, monitors: tuple[str, ...], how: str, part: Part, n: int) -> Protocol:
    """Bring slots of a ring into each monitor's, slot by slot, and wake its readers.

    The monitor's ring is filled from both directions, which its lock keeps apart.
    """
    for m in monitors:
        yield Lock(f"{m} q_lock")
        k: Kring = yield Do("monitor-ring", (m,))
        step = take(part, room(k), n)
        for fired in step.fired:
            yield Fired(fired)
        at, i = step.state.start, k.hwtail
        for _ in range(step.state.count):
            yield Do(how, (ring, at, m, i))
            at, i = nm_next(at, n - 1), nm_next(i, k.n - 1)
        # The reader looks at hwcur only, so the slots are stored before they are published.
        yield WriteKernel((m, "kring"), filled(k, step.state.count))
        yield Unlock(f"{m} q_lock")
        if step.state.count:
            yield from notify(m)


def watched_notify(ring: str, own: Own, switches: frozenset[str] = CONTRACT) -> Protocol:
    """A receive ring with copy monitors is told of something new: look at once, so that they see it before
    its application does; then wake as always.

    A ring that is being synced is looked at by that sync, one that is stopped by nobody. As written
    (BUSY_SLEEPS) nobody is woken then.
    """
    got = yield Do("tryget", (ring,))
    if got is not True:
        if BUSY_SLEEPS in switches:
            yield Fired(BUSY_ASLEEP)
            return False
        yield Fired(BUSY)
        return True
    yield Fired(LOOKED)
    yield from watched_rxsync(ring, own, switches)
    yield Do("put", (ring,))
    return True

"""Chapter *poll*: `netmap_poll` as an effect generator, one call of poll or select on a descriptor.

The order of reads, locks, syncs and selrecords is the code's own, because whether a wake-up can be
lost is a property of exactly that order. One round without locks is made first; then the rings that
need it are synced under lock, and a caller that found nothing is recorded on the selinfo of its only
ring, or on the global selinfo (kring ``num_queues + 1``) when it watches several.

What to do with the core lock is one of three states: ``NO_CL`` the ring's own lock protects us,
``NEED_CL`` take it before the first sync, ``LOCKED_CL`` taken, give it back at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from ..core.effects import Do, Fired, Lock, Protocol, ReadKernel, ReadUser, SelRecord, Unlock
from ..core.step import Step, rule
from .attach import Adapter, faults
from .ring import NR_TIMESTAMP
from .source import lines
from .sync import RINGID_UNLOCKED

POLLIN, POLLOUT, POLLERR, POLLRDNORM = 1, 4, 8, 64
TX_EVENTS = POLLOUT  # POLLWRNORM is the same bit
RX_EVENTS = POLLIN | POLLRDNORM
NO_CL, NEED_CL, LOCKED_CL = 0, 1, 2

SLEEPS_UNRECORDED = "2011.host-poll-sleeps-unrecorded"
CONTRACT: frozenset[str] = frozenset()
AS_WRITTEN = frozenset({SLEEPS_UNRECORDED, RINGID_UNLOCKED})

NOT_BOUND = rule("2011/poll/not-registered", clause="2011.poll.error", source=lines("1297-1298"))
MODE_OFF = rule("2011/poll/mode-off", clause="2011.poll.error", source=lines("1302-1303"))
HOST_TX = rule("2011/poll/host-tx", clause="2011.poll.host", source=lines("1315-1320"))
HOST_RX = rule("2011/poll/host-rx", clause="2011.poll.host", source=lines("1321-1328"))
HOST_REJECTED = rule("2011/poll/host-rejected", clause="2011.poll.host-rejected", source=lines("1315-1329"))
HOST_UNSAID = rule(
    "2011/poll/host-rejected-unsaid",
    clause="2011.poll.host-rejected",
    source=lines("928-941, 1323-1329"),
    switch=SLEEPS_UNRECORDED,
)
CORE_NONE = rule("2011/poll/core-lock/none", clause="2011.poll.locks", source=lines("1369"))
CORE_NEED = rule("2011/poll/core-lock/needed", clause="2011.poll.locks", source=lines("1369"))
FREE_RX = rule("2011/poll/lock-free/rx-ready", clause="2011.poll.lock-free", source=lines("1375-1381"))
FREE_TX = rule("2011/poll/lock-free/tx-ready", clause="2011.poll.lock-free", source=lines("1382-1388"))
TX_SKIP = rule("2011/poll/tx/skipped", clause="2011.poll.tx-rings", source=lines("1404-1405"))
TX_READY = rule("2011/poll/tx/ready", clause="2011.poll.tx-rings", source=lines("1420-1426"))
TX_WAIT = rule("2011/poll/tx/recorded", clause="2011.poll.record-ring", source=lines("1427-1428"))
TX_REJECTED = rule("2011/poll/tx/rejected", clause="2011.poll.error", source=lines("1416-1417"))
TX_OFF = rule("2011/poll/tx/not-pushed", clause="2011.poll.tx-push", source=lines("1395"))
RX_READY = rule("2011/poll/rx/ready", clause="2011.poll.rx-rings", source=lines("1456-1457"))
RX_WAIT = rule("2011/poll/rx/recorded", clause="2011.poll.record-ring", source=lines("1458-1459"))
RX_REJECTED = rule("2011/poll/rx/rejected", clause="2011.poll.error", source=lines("1449-1450"))
RX_STAMP = rule("2011/poll/rx/stamp", clause="2011.control.timestamp", source=lines("1451-1454"))
RX_NO_STAMP = rule("2011/poll/rx/no-stamp", clause="2011.control.timestamp", source=lines("1451-1454"))
GLOBAL_WAIT = rule("2011/poll/global-recorded", clause="2011.poll.record-global", source=lines("1464-1470"))


@dataclass(frozen=True, slots=True)
class Plan:
    """What one poll will do with the locks: several rings watched, and the core lock's first state."""

    check_all: bool
    core_lock: int


def plan(qfirst: int, qlast: int, separate_locks: bool) -> Step[Plan]:
    """Decide between ring locks and the core lock. Source: netmap_poll."""
    check_all = qfirst + 1 != qlast
    if check_all or not separate_locks:
        return Step(Plan(check_all, NEED_CL), (CORE_NEED,))
    return Step(Plan(check_all, NO_CL), (CORE_NONE,))


def stamps(no_timestamp: int, ring_flags: int) -> Step[bool]:
    """Does poll stamp a receive ring it synced? The ring's own flag overrides the sysctl."""
    if no_timestamp == 0 or ring_flags % 4 >= NR_TIMESTAMP:
        return Step(True, (RX_STAMP,))
    return Step(False, (RX_NO_STAMP,))


def poll(na: Adapter | None, events: int, switches: frozenset[str] = CONTRACT) -> Protocol:
    """One poll of a registered descriptor; returns the event mask. Source: netmap_poll.

    Reads the descriptor's selection through ``("priv", field)``: as written (RINGID_UNLOCKED) at every
    use, in the contract once. Syncs are ``Do("txsync", (ring, lock))`` and answer 1 when the ring was
    rejected; ``Do("sync_from_host", (record,))`` likewise.
    """
    if not (yield ReadKernel(("if", "capenable"))):
        yield Fired(MODE_OFF)
        return POLLERR
    if (yield ReadKernel(("sysctl", "verbose"))) & 0x8000:
        yield Do("log", ("netmap_poll", 1306))
    if na is None:
        yield from faults("netmap_poll", 1314, "num_queues")
        return POLLERR
    again = RINGID_UNLOCKED in switches
    once = None if again else (yield Do("selection"))

    first = (yield ReadKernel(("priv", "qfirst"))) if once is None else once[0]
    if first == na.num_queues:
        return (yield from _host(na, events, switches))
    last = (yield ReadKernel(("priv", "qlast"))) if once is None else once[1]
    return (yield from _hardware(na, first, last, events, again))


def _host(na: Adapter, events: int, switches: frozenset[str]) -> Protocol:
    """The host rings: sending up is always possible, receiving may have to wait."""
    want_tx, want_rx = events & TX_EVENTS, events & RX_EVENTS
    revents = rejected = 0
    if (yield ReadKernel(("priv", "txpoll"))) or want_tx:
        yield Fired(HOST_TX)
        rejected |= yield Do("sync_to_host")
        revents |= want_tx
    if want_rx:
        yield Fired(HOST_RX)
        ring = f"rx{na.num_queues}"
        if (yield ReadUser((ring, "avail"))) == 0:
            rejected |= yield Do("sync_from_host", (True,))
        if (yield ReadUser((ring, "avail"))) > 0:
            revents |= want_rx
    if rejected:
        if SLEEPS_UNRECORDED not in switches:
            yield Fired(HOST_REJECTED)
            return revents | POLLERR
        if revents == 0:
            yield Fired(HOST_UNSAID)
    return revents


def _hardware(na: Adapter, first: int, last: int, events: int, again: bool) -> Protocol:
    """The hardware rings ``first … last-1``, as `netmap_poll` walks them."""
    want_tx, want_rx, revents = events & TX_EVENTS, events & RX_EVENTS, 0
    decided = plan(first, last, na.separate_locks)
    yield Fired(decided.fired[0])
    check_all, core_lock = decided.state.check_all, decided.state.core_lock

    def start() -> Protocol:
        return (yield ReadKernel(("priv", "qfirst"))) if again else first

    def end() -> Protocol:
        return (yield ReadKernel(("priv", "qlast"))) if again else last

    # a round without locks: good enough when the application still has slots to use
    i = yield from start()
    while want_rx and i < (yield from end()):
        if (yield ReadUser((f"rx{i}", "avail"))) > 0:
            yield Fired(FREE_RX)
            revents |= want_rx
            want_rx = 0
        i += 1
    i = yield from start()
    while want_tx and i < (yield from end()):
        if (yield ReadUser((f"tx{i}", "avail"))) > 0:
            yield Fired(FREE_TX)
            revents |= want_tx
            want_tx = 0
        i += 1

    if (yield ReadKernel(("priv", "txpoll"))) or want_tx:
        for i in count((yield from start())):
            if i >= (yield from end()):
                break
            ring = f"tx{i}"
            if not want_tx and (yield ReadUser((ring, "cur"))) == (yield ReadKernel((ring, "hwcur"))):
                yield Fired(TX_SKIP)
                continue
            if core_lock == NEED_CL:
                yield Lock("core")
                core_lock = LOCKED_CL
            if na.separate_locks:
                yield Lock(ring)
            if (yield ReadKernel(("sysctl", "verbose"))) & 0x20:
                yield Do("log", ("netmap_poll", 1413))
            if (yield Do("txsync", (i, False))):
                yield Fired(TX_REJECTED)
                revents |= POLLERR
            if want_tx:
                if (yield ReadUser((ring, "avail"))) > 0:
                    yield Fired(TX_READY)
                    revents |= want_tx
                    want_tx = 0
                elif not check_all:
                    yield Fired(TX_WAIT)
                    yield SelRecord(ring)
            if na.separate_locks:
                yield Unlock(ring)
    else:
        yield Fired(TX_OFF)

    if want_rx:
        for i in count((yield from start())):
            if i >= (yield from end()):
                break
            ring = f"rx{i}"
            if core_lock == NEED_CL:
                yield Lock("core")
                core_lock = LOCKED_CL
            if na.separate_locks:
                yield Lock(ring)
            if (yield Do("rxsync", (i, False))):
                yield Fired(RX_REJECTED)
                revents |= POLLERR
            off = yield ReadKernel(("sysctl", "no_timestamp"))
            stamp = stamps(off, (yield ReadUser((ring, "flags"))) if off else 0)
            yield Fired(stamp.fired[0])
            if stamp.state:
                yield Do("microtime", (ring,))
            if (yield ReadUser((ring, "avail"))) > 0:
                yield Fired(RX_READY)
                revents |= want_rx
            elif not check_all:
                yield Fired(RX_WAIT)
                yield SelRecord(ring)
            if na.separate_locks:
                yield Unlock(ring)

    if check_all and revents == 0:
        yield Fired(GLOBAL_WAIT)
        if want_tx:
            yield SelRecord(f"tx{na.num_queues + 1}")
        if want_rx:
            yield SelRecord(f"rx{na.num_queues + 1}")
    if core_lock == LOCKED_CL:
        yield Unlock("core")
    return revents

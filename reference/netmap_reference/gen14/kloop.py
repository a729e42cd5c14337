"""Chapter *kloop*: a thread in the kernel that syncs the rings of a descriptor, so that nobody calls.

SYNC_KLOOP_START turns the calling thread into the loop; it comes back after SYNC_KLOOP_STOP. One pass of the
loop handles every ring the descriptor is bound to: it takes the positions the application published in its
CSB entry, does what a sync does, and publishes the kernel's own. Between two passes the loop sleeps, for a
time (*busy wait*) or, with an eventfd for every ring, until it is kicked or the port has news.

Neither side tells the other more often than needed: ``kern_need_kick`` says that the loop is about to sleep,
``appl_need_kick`` that the application is. Both flags are used alike: set it, a full barrier, look once more,
and sleep only if nothing came meanwhile; publish, a full barrier, look at the other's flag.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.effects import Do, Fired, Protocol, ReadKernel, ReadUser, SelRecord, Wake, WriteKernel
from ..core.outcome import errno
from ..core.step import Step, rule
from . import stop
from .csb import full_barrier, kernel_read, kernel_write, kick_enable
from .failure import point
from .ring import CONTRACT, Kring, Prologue, UserRing, distance, nm_prev, rx_prologue, tx_prologue
from .sync import PortSync, reinit

KLOOP_C = "luigirizzo/netmap:sys/dev/netmap/netmap_kloop.c@89607e14"
NETMAP_H = "luigirizzo/netmap:sys/net/netmap.h@89607e14"

#: A STOP that finds no loop ends the next one.
STOP_REMEMBERED = "14.kloop-stop-remembered"
#: Direct mode without eventfds is taken, and then nothing syncs the rings.
DIRECT_ALONE = "14.kloop-direct-without-eventfds"
#: Nothing keeps the load of appl_need_kick behind the store of hwtail.
IRQ_UNORDERED = "14.kloop-irq-unordered"
#: Where there are no eventfds a START that asks for them succeeds without a loop.
EVENTFDS_SUCCEED = "14.kloop-eventfds-succeed"
AS_WRITTEN = frozenset({STOP_REMEMBERED, DIRECT_ALONE, IRQ_UNORDERED, EVENTFDS_SUCCEED})

#: Longest sleep of a loop, microseconds.
MAX_SLEEP_US = 1_000_000
#: Receive passes without news after which a ring is left until the port has some.
DRY_CYCLES = 2
FORCE_READ, FORCE_RECLAIM = 1, 2
DIRECT_TX, DIRECT_RX = 1, 2

_START = "14.kloop.start"
SLEEP_LONG = rule("14/kloop/start/sleep-too-long", clause=_START, source=f"{KLOOP_C}:595-598")
START_UNBOUND = rule("14/kloop/start/unbound", clause=_START, source=f"{KLOOP_C}:600-608")
START_NO_CSB = rule("14/kloop/start/no-csb", clause=_START, source=f"{KLOOP_C}:611-617")
START_TWICE = rule("14/kloop/start/twice", clause="14.kloop.one", source=f"{KLOOP_C}:622-630")
STARTED = rule("14/kloop/start/runs", clause=_START, source=f"{KLOOP_C}:632-661")
MODE_BAD = rule("14/kloop/mode/unknown", clause="14.kloop.mode", source=f"{KLOOP_C}:671-675")
MODE_DIRECT = rule("14/kloop/mode/direct", clause="14.kloop.mode", source=f"{KLOOP_C}:664-677")
MODE_ALONE = rule("14/kloop/mode/no-eventfds", clause="14.kloop.mode", source=f"{NETMAP_H}:578-582")
MODE_IDLE = rule(
    "14/kloop/mode/idle",
    clause="14.kloop.mode",
    source=f"{KLOOP_C}:664-677,849-863",
    switch=DIRECT_ALONE,
)
EVENTFDS_COUNT = rule("14/kloop/eventfds/count", clause="14.kloop.eventfds", source=f"{KLOOP_C}:678-686")
EVENTFDS_ALL = rule("14/kloop/eventfds/all", clause="14.kloop.eventfds", source=f"{KLOOP_C}:691-699")
EVENTFDS_SOME = rule("14/kloop/eventfds/some", clause="14.kloop.eventfds", source=f"{KLOOP_C}:691-699")
EVENTFDS_MISSING = rule(
    "14/kloop/eventfds/missing",
    clause="14.kloop.eventfds",
    source=f"{KLOOP_C}:818-821",
    switch=EVENTFDS_SUCCEED,
)
EVENTFDS_DIRECT = rule("14/kloop/eventfds/direct", clause="14.kloop.mode", source=f"{KLOOP_C}:701-706")
EVENTFDS_NONE = rule("14/kloop/eventfds/none", clause="14.kloop.eventfds", source=f"{KLOOP_C}:589,861-864")
STOP_UNBOUND = rule("14/kloop/stop/unbound", clause="14.kloop.stop", source=f"{KLOOP_C}:925-933")
STOPPED = rule("14/kloop/stop/stops", clause="14.kloop.stop", source=f"{KLOOP_C}:935-952")
STOP_NOTHING = rule("14/kloop/stop/no-loop", clause="14.kloop.stop", source=f"{KLOOP_C}:935-954")
STOP_LATER = rule(
    "14/kloop/stop/remembered",
    clause="14.kloop.stop",
    source=f"{KLOOP_C}:626,830-832,935-938",
    switch=STOP_REMEMBERED,
)
ENDS_AT_ONCE = rule(
    "14/kloop/start/stopped-before",
    clause="14.kloop.stop",
    source=f"{KLOOP_C}:626,830-832",
    switch=STOP_REMEMBERED,
)
RETURNS = rule("14/kloop/start/returns", clause="14.kloop.stop", source=f"{KLOOP_C}:830-832,907-915")
HELD = rule("14/kloop/close/held", clause="14.kloop.stop", source=f"{NETMAP_H}:777-783")

ARGS = point("kloop.rings", "ENOMEM", source=f"{KLOOP_C}:636-640")
_TX, _RX = "14.kloop.tx", "14.kloop.rx"
BUSY = rule("14/kloop/ring/busy", clause="14.sync.busy", source=f"{KLOOP_C}:173-175,329-331")
STOPPED_RING = rule("14/kloop/ring/stopped", clause="14.sync.stopped", source=f"{KLOOP_C}:173-175,329-331")
TX_SYNC = rule("14/kloop/tx/sync", clause=_TX, source=f"{KLOOP_C}:210-243")
TX_RECLAIM = rule("14/kloop/tx/reclaim", clause="14.kloop.reclaim", source=f"{KLOOP_C}:206-208")
TX_REJECTED = rule("14/kloop/tx/rejected", clause="14.kloop.rejected", source=f"{KLOOP_C}:210-219")
TX_FULL = rule("14/kloop/tx/no-room", clause=_TX, source=f"{KLOOP_C}:288-293")
RX_SYNC = rule("14/kloop/rx/sync", clause=_RX, source=f"{KLOOP_C}:345-386")
RX_REJECTED = rule("14/kloop/rx/rejected", clause="14.kloop.rejected", source=f"{KLOOP_C}:348-357")
RX_DRY = rule("14/kloop/rx/nothing-more", clause=_RX, source=f"{KLOOP_C}:427-435")
FAILED = rule("14/kloop/ring/failed", clause="14.kloop.failed", source=f"{KLOOP_C}:225-232,363-370")
_SLEEP = "14.kloop.kick"
SLEEPS = rule("14/kloop/ring/wants-kick", clause=_SLEEP, source=f"{KLOOP_C}:265-278,404-417")
WON = rule("14/kloop/ring/won-race", clause=_SLEEP, source=f"{KLOOP_C}:279-284,418-423")
NO_KICKS = rule("14/kloop/ring/busy-wait", clause="14.kloop.eventfds", source=f"{KLOOP_C}:265-268,404-407")
SIGNALLED = rule(
    "14/kloop/ring/irq", clause="14.kloop.irq", source=f"{KLOOP_C}:253-261,298-302,392-400,440-445"
)
MASKED = rule("14/kloop/ring/irq-masked", clause="14.kloop.irq", source=f"{KLOOP_C}:255,299,394,442")
LATE = rule(
    "14/kloop/ring/irq-unordered",
    clause="14.kloop.irq",
    source=f"{KLOOP_C}:239-261,296-302,376-400,438-445",
    switch=IRQ_UNORDERED,
)
FORWARDED = rule("14/kloop/direct/irq", clause="14.kloop.mode", source=f"{KLOOP_C}:519-537,551-569")
KICKED = rule("14/kloop/direct/kick", clause="14.kloop.mode", source=f"{KLOOP_C}:507-517,539-549")


RECORDED = rule("14/kloop/pass/recorded", clause=_SLEEP, source=f"{KLOOP_C}:834-847")
PASS = rule("14/kloop/pass/rings", clause="14.kloop.pass", source=f"{KLOOP_C}:849-859")


# --- starting and stopping ----------------------------------------------------------------------------


def start_check(sleep_us: int, bound: bool, csb: bool, running: bool) -> Step[bool]:
    """May a loop start? Source: netmap_sync_kloop.

    EINVAL for a sleep beyond a second or without CSB mode, ENXIO on an unbound descriptor, EBUSY while
    another loop of the descriptor runs.
    """
    if sleep_us > MAX_SLEEP_US:
        return Step(False, (SLEEP_LONG,), errno("EINVAL"))
    if not bound:
        return Step(False, (START_UNBOUND,), errno("ENXIO"))
    if not csb:
        return Step(False, (START_NO_CSB,), errno("EINVAL"))
    if running:
        return Step(False, (START_TWICE,), errno("EBUSY"))
    return Step(True, (STARTED,))


@dataclass(frozen=True, slots=True)
class Direct:
    """Which directions are handled in the context of whoever kicks."""

    tx: bool = False
    rx: bool = False


def mode_check(
    tx: bool, rx: bool, unknown: bool, eventfds: bool, switches: frozenset[str] = CONTRACT
) -> Step[Direct]:
    """The SYNC_KLOOP_MODE option. EINVAL for ``unknown`` bits, and for direct mode without ``eventfds``.

    As written (DIRECT_ALONE) the latter is accepted.
    """
    if unknown:
        return Step(Direct(), (MODE_BAD,), errno("EINVAL"))
    if (tx or rx) and not eventfds:
        if DIRECT_ALONE in switches:
            return Step(Direct(tx, rx), (MODE_IDLE,))
        return Step(Direct(), (MODE_ALONE,), errno("EINVAL"))
    if tx or rx:
        return Step(Direct(tx, rx), (MODE_DIRECT,))
    return Step(Direct())


def eventfds_check(
    entries: int, rings: int, all_kicks: bool, direct: bool, switches: frozenset[str] = CONTRACT
) -> Step[bool]:
    """The SYNC_KLOOP_EVENTFDS option; the state: does the loop sleep for a time (busy wait)?

    EINVAL when there is not one entry for each ring, and when a direct mode lacks an ioeventfd. The model is
    of a system that has eventfds; as written (EVENTFDS_SUCCEED) of one that has none: EOPNOTSUPP.
    """
    if entries != rings:
        return Step(True, (EVENTFDS_COUNT,), errno("EINVAL"))
    if EVENTFDS_SUCCEED in switches:
        return Step(False, (EVENTFDS_MISSING,), errno("EOPNOTSUPP"))
    if all_kicks:
        return Step(False, (EVENTFDS_ALL,))
    if direct:
        return Step(True, (EVENTFDS_DIRECT,), errno("EINVAL"))
    return Step(True, (EVENTFDS_SOME,))


# --- one ring -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RingArgs:
    """How the loop handles one ring (sync_kloop_ring_args).

    ``irq``: the application has an irqfd for it. ``busy_wait``: the loop never asks for kicks. ``direct``:
    this is run by whoever kicks.
    """

    ring: str
    irq: bool = False
    busy_wait: bool = True
    direct: bool = False


def one_pass(
    tx: tuple[RingArgs, ...],
    rx: tuple[RingArgs, ...],
    selinfos: tuple[str, ...],
    port: PortSync,
    switches: frozenset[str] = CONTRACT,
) -> Protocol:
    """Once over the rings. A loop that will wait for news is recorded where they come *before* it looks, so
    what comes while it looks ends the sleep behind. ``selinfos`` is empty for a busy wait.
    """
    for selinfo in selinfos:
        yield SelRecord(selinfo)
        yield Fired(RECORDED)
    for a in tx:
        yield from tx_ring(a, port, switches)
    for a in rx:
        yield from rx_ring(a, port, switches)
    yield Fired(PASS)


def reclaim_needed(k: Kring, flags: int) -> Step[bool]:
    """Must the port reclaim finished slots? When the application asks, or half of the ring is not free."""
    if distance(k.hwcur, k.hwtail, k.n) <= k.n // 2:
        return Step(True, (TX_RECLAIM,))
    return Step(flags // FORCE_RECLAIM % 2 == 1)


def no_rx_slots(head: int, hwtail: int, n: int) -> bool:
    """Has the application nothing left to receive into? Source: sync_kloop_norxslots."""
    return hwtail == nm_prev(head, n - 1)


def tx_ring(a: RingArgs, port: PortSync, switches: frozenset[str] = CONTRACT) -> Protocol:
    """A pass over one transmit ring. Source: netmap_sync_kloop_tx_ring."""
    refused = yield from stop.take(a.ring)
    if refused:
        yield Fired(BUSY if refused == stop.BUSY else STOPPED_RING)
        return
    if not a.direct:
        yield from kick_enable(a.ring, False)
    head, cur, flags = yield from kernel_read(a.ring)
    more = False
    while True:
        k: Kring = yield ReadKernel((a.ring, "kring"))
        step = reclaim_needed(k, flags)
        accepted = yield from _prologue(a, k, tx_prologue(k, UserRing(head, cur, k.rtail), switches))
        if not accepted:
            yield Fired(TX_REJECTED)
            yield from reinit(a.ring, switches)
            yield from _asks(a)
            break
        for fired in step.fired:
            yield Fired(fired)
        error = yield from port(a.ring, step.state)
        if error:
            yield Fired(FAILED)
            yield from _asks(a)
            break
        yield Fired(TX_SYNC)
        more = (yield from _publish(a)) or more
        if a.irq and more:
            more = not (yield from _irq(a))
        head, cur, flags = yield from kernel_read(a.ring)
        k = yield ReadKernel((a.ring, "kring"))
        if head == k.rhead:
            if a.busy_wait:
                yield Fired(NO_KICKS)
                break
            yield Fired(SLEEPS)
            yield from kick_enable(a.ring, True)
            yield from full_barrier("tx-ring/sleep")
            head, cur, flags = yield from kernel_read(a.ring)
            if head == k.rhead:
                break
            yield Fired(WON)
            yield from kick_enable(a.ring, False)
            continue
        if k.rhead == k.hwtail:
            yield Fired(TX_FULL)
            break
    yield Do("put", (a.ring,))
    if a.irq and more:
        yield from _last_irq(a, switches)


def rx_ring(a: RingArgs, port: PortSync, switches: frozenset[str] = CONTRACT) -> Protocol:
    """A pass over one receive ring. Source: netmap_sync_kloop_rx_ring."""
    refused = yield from stop.take(a.ring)
    if refused:
        yield Fired(BUSY if refused == stop.BUSY else STOPPED_RING)
        return
    if not a.direct:
        yield from kick_enable(a.ring, False)
    head, cur, flags = yield from kernel_read(a.ring)
    news = False
    dry = 0
    while True:
        k: Kring = yield ReadKernel((a.ring, "kring"))
        accepted = yield from _prologue(a, k, rx_prologue(k, UserRing(head, cur, k.rtail), switches))
        if not accepted:
            yield Fired(RX_REJECTED)
            yield from reinit(a.ring, switches)
            yield from _asks(a)
            break
        error = yield from port(a.ring, flags // FORCE_READ % 2 == 1)
        if error:
            yield Fired(FAILED)
            yield from _asks(a)
            break
        yield Fired(RX_SYNC)
        moved = yield from _publish(a)
        dry = 0 if moved else dry + 1
        news = news or moved
        if a.irq and news:
            news = not (yield from _irq(a))
        head, cur, flags = yield from kernel_read(a.ring)
        k = yield ReadKernel((a.ring, "kring"))
        if no_rx_slots(head, k.hwtail, k.n):
            if a.busy_wait:
                yield Fired(NO_KICKS)
                break
            yield Fired(SLEEPS)
            yield from kick_enable(a.ring, True)
            yield from full_barrier("rx-ring/sleep")
            head, cur, flags = yield from kernel_read(a.ring)
            k = yield ReadKernel((a.ring, "kring"))
            if no_rx_slots(head, k.hwtail, k.n):
                break
            yield Fired(WON)
            yield from kick_enable(a.ring, False)
            continue
        if k.hwtail == k.rhead or dry >= DRY_CYCLES:
            yield Fired(RX_DRY)
            break
    yield Do("put", (a.ring,))
    if a.irq and news:
        yield from _last_irq(a, switches)


def _prologue(a: RingArgs, k: Kring, step: Step[Prologue]) -> Protocol:
    """Keep what a prologue decided; are the application's positions accepted?"""
    for fired in step.fired:
        yield Fired(fired)
    yield WriteKernel((a.ring, "kring"), step.state.kring)
    return step.state.accepted


def _asks(a: RingArgs) -> Protocol:
    """A ring that is left with something wrong waits for a kick."""
    if not a.busy_wait:
        yield from kick_enable(a.ring, True)


def _publish(a: RingArgs) -> Protocol:
    """Tell the application how far the port is; is that further than it was told before?"""
    k: Kring = yield ReadKernel((a.ring, "kring"))
    yield from kernel_write(a.ring, k.hwcur, k.hwtail)
    if k.rtail == k.hwtail:
        return False
    yield WriteKernel((a.ring, "kring"), replace(k, rtail=k.hwtail))
    return True


def _irq(a: RingArgs) -> Protocol:
    """Interrupt the application if it wants to be; was it?"""
    wanted = yield ReadUser((a.ring, "atok", "appl_need_kick"))
    if not wanted:
        yield Fired(MASKED)
        return False
    yield Wake(f"{a.ring}:irq")
    yield Fired(SIGNALLED)
    return True


def _last_irq(a: RingArgs, switches: frozenset[str]) -> Protocol:
    """Before a ring is left: what has not been told yet, is told now if it is wanted.

    As written (IRQ_UNORDERED) only the lock's release stands between the store of hwtail and this load.
    """
    if IRQ_UNORDERED in switches:
        yield Fired(LATE)
    else:
        yield from full_barrier("ring/irq")
    yield from _irq(a)

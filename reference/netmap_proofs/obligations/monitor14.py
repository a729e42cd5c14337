"""Generation 14, monitors: what is seen is what passed, and every buffer has one owner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from typing import Any

from netmap_reference.core.effects import Do, Effect, Lock, Protocol
from netmap_reference.core.step import Step
from netmap_reference.gen14 import poll, ring
from netmap_reference.gen14.ports import monitor, monitor_ends, pipe
from netmap_spec import invariants as spec

from ..engine import Proof
from ..explorer import Scenario, explored
from ..explorer.scenario import Memory
from ..explorer.search import LOST
from ..invariants import any_kring, any_positions
from ..obligation import Control, obligation
from ..schemas import Cases, always, every
from ..worlds14 import HANDLERS, IMMEDIATE, RX, WAKEUPS, Make, everyone, readable, select, send
from ..worlds14 import pipe as pipe_memory

Kring = ring.Kring
Part = monitor.Part
Slot = ring.Slot


# --- which slots ------------------------------------------------------------------------------------


def _takes_oldest(part: Part, free: int, n: int) -> Step[Part]:
    got = monitor.take(part, free, n)
    if free == 0:
        return got
    return replace(got, state=replace(got.state, start=part.start))


@obligation(
    "14.monitor.take",
    clauses=("14.monitor.overrun", "14.monitor.overrun-newest", "14.monitor.seen"),
    statement="""Of what a sync shows, a monitor takes the newest slots, as many as it has free ones, without
    a gap; its own ring then holds that many more and never all of its slots.""",
    functions=(monitor.take, monitor.room, monitor.filled),
    control=Control("the oldest are taken", _takes_oldest, monitor.room, monitor.filled),
    assumptions="Rings of any sizes; the monitor's hwcur and hwtail are positions; 0 <= count < n.",
)
def take(
    p: Proof,
    taking: Callable[[Part, int, int], Step[Part]],
    room: Callable[[Kring], int],
    filled: Callable[[Kring, int], Kring],
) -> None:
    n, start, count = p.integer("n", 1), p.integer("start", 0), p.integer("count", 0)
    p.assume_all([start < n, count < n])
    m = any_positions(p, "m")
    free = p.run(room, m)
    p.goal("some slots are free, never all", free >= 0, free < m.n)
    step = p.run(taking, Part(start, count), free, n)
    got = step.state
    p.goal("as many as there is room for", got.count == (count if count <= free else free))
    p.goal("the rule says whether any were left out", (monitor.NEWEST in step.fired) == (count > free))
    if got.count > 0:
        p.goal("a position of the watched ring", spec.position(n, got.start))
        lost = count - got.count
        p.goal("what is left out comes first", spec.steps(n, start, got.start) == lost)
    after = p.run(filled, m, got.count)
    p.goal("the monitor's ring holds them", p.run(room, after) == free - got.count)
    p.goal("nothing else of it moved", after.hwcur == m.hwcur)


@dataclass(frozen=True, slots=True)
class Watched:
    """A watched transmit ring; ``next`` is the slot after the last one that was shown."""

    k: Kring
    next: int


def _watched(w: Watched) -> Iterator[bool]:
    """Everything up to head has been shown, and the port has all of it or less."""
    yield w.next == w.k.rhead
    yield spec.position(w.k.n, w.next)
    yield spec.position(w.k.n, w.k.hwcur)


_GOES_ON = "it continues where it left off"
_NO_MORE = "nothing but what is new is shown"


def once_body(p: Proof, unshown: Callable[..., Step[Part]]) -> None:
    n = p.integer("n", 1)

    def txsync(w: Watched) -> Watched:
        more, taken = p.integer("more", 0), p.integer("taken", 0)
        waiting = spec.steps(n, w.k.hwcur, w.k.rhead)
        p.assume(waiting + more < n)
        k = replace(w.k, rhead=ring.advance(w.k.rhead, more, n))
        part = p.run(unshown, k, w.next, p.switches).state
        if part.count > 0:
            p.goal(_GOES_ON, part.start == w.next)
        p.goal("nothing new is left out", part.count >= more)
        p.goal(_NO_MORE, part.count <= more)
        p.assume(taken <= waiting + more)
        return Watched(replace(k, hwcur=ring.advance(k.hwcur, taken, n)), k.rhead)

    always(
        p,
        "shown once",
        starts=[Watched(Kring(n, 0, n - 1, 0, 0, n - 1), 0)],
        arbitrary=lambda name: Watched(any_positions(p, name, n), p.integer(f"{name}.next", 0, n - 1)),
        invariant=_watched,
        steps={"txsync": txsync},
    )


def _always_from_hwcur(k: Kring, seen: int, switches: frozenset[str]) -> Step[Part]:
    return replace(monitor.unshown(k, seen, switches), state=monitor.sent(k))


_once = partial(
    obligation,
    clauses=("14.monitor.copy-tx", "14.monitor.seen", "14.nic.stops-early"),
    functions=(monitor.unshown,),
    assumptions="At each sync head moves by any number of slots, and the port takes any number of them.",
)

_once(
    "14.monitor.shown-once",
    statement="""Over any number of syncs, what a copy monitor of a transmit ring is shown continues exactly
    where it left off: every slot that is handed over is shown once, in order, also when the port leaves
    some of them to a later sync.""",
    control=Control("whatever the port does not have is shown", _always_from_hwcur, goal=_GOES_ON),
)(once_body)


def _shows_nothing(k: Kring, seen: int, switches: frozenset[str]) -> Step[Part]:
    return replace(monitor.unshown(k, seen, switches), state=Part(k.hwcur, 0))


_once(
    "14.monitor.shown-once.as-written",
    statement="As 14.monitor.shown-once: what the port has left to a later sync is shown again by that one.",
    control=Control("nothing is shown", _shows_nothing, goal="nothing new is left out"),
    switches={monitor.SHOWN_AGAIN},
    rules=(monitor.AGAIN,),
    finding="F14-103",
    refutes={_GOES_ON, _NO_MORE},
)(once_body)


def _freed_from_tail(before: int, after: int, n: int) -> Part:
    """The application's last slot counts as freed."""
    return Part(before, ring.distance(before, after, n))


@obligation(
    "14.monitor.freed",
    clauses=("14.monitor.zcopy-tx", "14.monitor.zcopy-slot"),
    statement="""What a zero-copy monitor may take of a transmit ring is exactly what the sync took from the
    port: no slot the application could use before, none the port still has.""",
    functions=(monitor.freed,),
    control=Control("it begins with the old tail", _freed_from_tail),
    assumptions="""Before the sync the kring satisfies its order; its tail moves forward by any number of the
    slots the port had.""",
)
def freed(p: Proof, parts: Callable[[int, int, int], Part]) -> None:
    k = any_kring(p, "k")
    given, at = p.integer("given", 0), p.integer("at", 0)
    port_has = k.n - 1 - spec.steps(k.n, k.hwcur, k.hwtail)
    p.assume(given <= port_has)
    after = ring.advance(k.hwtail, given, k.n)
    part = p.run(parts, k.hwtail, after, k.n)
    p.goal("as many as were given back", part.count == given)
    p.goal("from the slot behind the old tail on", part.start == ring.advance(k.hwtail, 1, k.n))
    p.assume(at < part.count)
    slot = ring.advance(part.start, at, k.n)
    walked = spec.steps(k.n, k.hwtail, slot)
    p.goal("behind the old tail, up to the new one", walked >= 1, walked <= given)


def _released_all(k: Kring) -> Part:
    """Everything that was reported, released or not."""
    return Part(k.hwcur, ring.distance(k.hwcur, k.hwtail, k.n))


@obligation(
    "14.monitor.released",
    clauses=("14.monitor.zcopy-rx", "14.monitor.copy-rx"),
    statement="""What a zero-copy monitor may take of a receive ring is exactly what its application has
    released; what a copy monitor is shown is exactly what the port has reported since the last look.""",
    functions=(monitor.released, monitor.received),
    control=Control("everything that was reported is taken", _released_all, monitor.received),
    assumptions="The kring satisfies its order; the last look was at any position between hwcur and hwtail.",
)
def released(p: Proof, parts: Callable[[Kring], Part], received: Callable[[Kring, int], Part]) -> None:
    k = any_kring(p, "k")
    part = p.run(parts, k)
    p.goal("it begins with the first released", part.start == k.hwcur)
    p.goal("it ends before head", ring.advance(part.start, part.count, k.n) == k.rhead)
    seen = p.integer("seen", 0)
    p.assume(seen < k.n)
    p.assume(spec.steps(k.n, k.hwcur, seen) <= spec.steps(k.n, k.hwcur, k.hwtail))
    new = p.run(received, k, seen)
    p.goal("new is what was not seen", new.start == seen)
    p.goal("up to what is reported", ring.advance(new.start, new.count, k.n) == k.hwtail)


# --- what they say, and whose they are --------------------------------------------------------------------


def _swap_forgets(theirs: Slot, mine: Slot, flags: int) -> Step[tuple[Slot, Slot]]:
    """The monitor takes the buffer and gives none."""
    got = monitor.swap_slots(theirs, mine, flags)
    watched, taken = got.state
    return replace(got, state=(replace(watched, buf_idx=theirs.buf_idx), taken))


@obligation(
    "14.monitor.swap",
    clauses=("14.monitor.zcopy-slot",),
    statement="""Exchanging a watched slot with a monitor's keeps every buffer's number of owners: each index
    and length is in the other slot afterwards, no pointer changes, and the watched ring is told.""",
    functions=(monitor.swap_slots,),
    control=Control("the buffer is taken and none given", _swap_forgets),
    assumptions="Any indices, lengths and pointers; all 65536 values of the watched slot's flags.",
)
def swap(p: Proof, swapping: Callable[[Slot, Slot, int], Step[tuple[Slot, Slot]]]) -> None:
    a, b = p.integer("a", 0), p.integer("b", 0)
    la, lb = p.integer("la", 0), p.integer("lb", 0)
    pa, pb = p.integer("pa", 0), p.integer("pb", 0)
    flags = p.split("NS_BUF_CHANGED is set already")
    watched, mine = p.run(swapping, Slot(a, la, flags, pa), Slot(b, lb, 0, pb), 7).state
    p.goal("the monitor has the buffer", mine.buf_idx == a, mine.len == la)
    p.goal("the watched ring has the other", watched.buf_idx == b, watched.len == lb)
    p.goal("pointers stay", watched.ptr == pa, mine.ptr == pb)
    p.goal("the watched ring is told", watched.flags == 1)
    p.goal("the monitor's slot says what it is told to", mine.flags == 7)


def _flags_always(flags: int, t: str, monitors: bool, switches: frozenset[str]) -> Step[int]:
    """NS_TXMON is left as it is in the watched slot."""
    got = monitor.monitor_flags(flags, t, monitors, switches)
    return replace(got, state=flags if t == "rx" else got.state)


_TELLS = "NS_TXMON tells the direction of the port's ring"
_TXMON = 0x40
#: All values of the bits from NS_TXMON on; those below are treated alike.
_FLAGS = [high * _TXMON + low for high in range(0x400) for low in (0, 1, _TXMON - 1)]


def flags_body(p: Proof, flags_of: Callable[..., Step[int]]) -> None:
    cases = Cases(p, "chains")
    kept = monitor.FORGOTTEN if monitor.CHAIN_FORGETS in p.switches else monitor.KEPT
    for flags, links, t in every(p, "flags and lengths of chain", _FLAGS, (1, 2, 3), ("rx", "tx")):
        cases.case(flags=flags, links=links, t=t)
        got, source = flags, t
        for link in range(links):
            marked = link > 0 and got & _TXMON
            rule = monitor.MARKED if source == "tx" else kept if marked else monitor.UNMARKED
            step = flags_of(got, source, link > 0, p.switches)
            p.reached(step.fired)
            cases.goal("the rule says what becomes of the mark", step.fired == (rule,))
            got, source = step.state, "rx"
        cases.goal(_TELLS, bool(got & _TXMON) == (t == "tx"))
        cases.goal("no other flag changes", got & ~_TXMON == flags & ~_TXMON)
    cases.end()


obligation(
    "14.monitor.direction",
    clauses=("14.monitor.txmon", "14.monitor.stacked"),
    statement="""Whatever flags the application has stored, and however many zero-copy monitors the packet has
    gone through, NS_TXMON tells whether it came from a transmit ring, and no other flag changes.""",
    functions=(monitor.monitor_flags,),
    control=Control("the flag is left as it is", _flags_always, goal=_TELLS),
    bounds="Chains of up to three monitors: a link only sees the flags the one before it has made.",
)(flags_body)


def _drops_low_bits(flags: int, t: str, monitors: bool, switches: frozenset[str]) -> Step[int]:
    got = monitor.monitor_flags(flags, t, monitors, switches)
    return replace(got, state=got.state & ~1)


obligation(
    "14.monitor.direction.as-written",
    clauses=("14.monitor.txmon", "14.monitor.stacked"),
    statement="As 14.monitor.direction: the second monitor of a chain sees what was sent as received.",
    functions=(monitor.monitor_flags,),
    control=Control("as written, and another flag is lost", _drops_low_bits, goal="no other flag changes"),
    bounds="As above.",
    switches={monitor.CHAIN_FORGETS},
    rules=(monitor.MARKED, monitor.UNMARKED, monitor.FORGOTTEN),
    finding="F14-101",
    refutes={_TELLS},
)(flags_body)


def _shifted(i: int, own: int, rings: int, hosts: int, switches: frozenset[str] = frozenset()) -> Step[int]:
    got = monitor_ends.watched_ring(i, own, rings, hosts, switches)
    return replace(got, state=0 if got.state >= 0 else -1)


_APART = "hardware rings are watched by hardware rings, host rings by host rings"
_ONE = "no ring is watched by two rings of a monitor"
_ALL = "every ring is watched"


def rings_body(p: Proof, watched: Callable[..., Step[int]]) -> None:
    own, rings, hosts = p.integer("own", 1), p.integer("rings", 1), p.integer("hosts", 0)
    i, j = p.integer("i", 0), p.integer("j", 0)
    p.assume_all([rings <= own, i != j])
    a = p.run(watched, i, own, rings, hosts, p.switches).state
    b = p.run(watched, j, own, rings, hosts, p.switches).state
    if a >= 0:
        p.goal("a ring the port has", a < rings + hosts)
        p.goal(_APART, (a < rings) == (i < own))
        p.goal(_ONE, a != b)
    ring_ = p.integer("ring", 0)
    p.assume(ring_ < rings + hosts)
    by = ring_ if ring_ < rings else own + (ring_ - rings)
    p.goal(_ALL, p.run(watched, by, own, rings, hosts, p.switches).state == ring_)


obligation(
    "14.monitor.rings",
    clauses=("14.monitor.rings",),
    statement="""The rings of a monitor and those of one direction of its port correspond: each ring of the
    port is watched by exactly one, hardware by hardware and host by host.""",
    functions=(monitor_ends.watched_ring,),
    control=Control("all watch the first ring", _shifted, goal=_ONE),
    assumptions="""Any numbers of rings; the monitor has at least as many hardware rings as the direction, as
    it has of the direction with more of them.""",
)(rings_body)


obligation(
    "14.monitor.rings.as-written",
    clauses=("14.monitor.rings",),
    statement="""As 14.monitor.rings: a hardware ring that has no counterpart watches the first host ring, and
    host rings watch nothing.""",
    functions=(monitor_ends.watched_ring,),
    control=Control("as written, and all watch the first ring", _shifted, goal=_ONE),
    assumptions="As above.",
    switches={monitor_ends.BY_NUMBER, monitor_ends.HOST_UNWATCHED},
    rules=(monitor_ends.WATCHES, monitor_ends.WATCHES_NUMBER, monitor_ends.UNWATCHED),
    finding="F14-102",
    refutes={_APART, _ALL, "a ring the port has"},
)(rings_body)


def _without_last(monitors: tuple[str, ...], name: str) -> tuple[str, ...]:
    return monitors[:-1]


@obligation(
    "14.monitor.leaving",
    clauses=("14.monitor.several", "14.monitor.close"),
    statement="Whoever leaves a ring's list, in whatever order: the others stay in it, each once.",
    functions=(monitor_ends.without,),
    control=Control("the last one is dropped instead", _without_last),
    bounds="Five monitors: one that leaves changes at most its own place and the last one's.",
)
def leaving(p: Proof, without: Callable[[tuple[str, ...], str], tuple[str, ...]]) -> None:
    for (order,) in every(p, "orders of leaving", permutations("abcde")):
        left = tuple("abcde")
        for gone in order:
            before = left
            left = p.run(without, left, gone)
            p.goal("exactly that one is gone", sorted(left) == sorted(set(before) - {gone}))


# --- who sleeps -----------------------------------------------------------------------------------------

_MONITOR = "m:rx0"


def looking(protocol: Protocol, watched_notify: Make, rxsync: Make, switches: frozenset[str]) -> Protocol:
    """A pipe's sync whose notifications look at the watched ring first, step by step."""
    answer: Any = None
    try:
        while True:
            effect: Effect = protocol.send(answer)
            if isinstance(effect, Do) and effect.what == "look":
                name = effect.args[0]
                answer = yield from watched_notify(name, partial(rxsync, name), switches)
            else:
                answer = yield effect
    except StopIteration as end:
        return end.value


def monitored_wakeup_body(p: Proof, watched_notify: Make, polling: Make, txsync: Make, rxsync: Make) -> None:
    def tx_port(name: str, force: bool) -> Protocol:
        return looking(txsync(name), watched_notify, rxsync, p.switches)

    def rx_port(name: str, force: bool) -> Protocol:
        return monitor.watched_rxsync(name, partial(rxsync, name), p.switches)

    for lock_free in (False, True):
        reader = poll.Bound((), (RX,), "b:tx", RX)
        threads = everyone(
            {
                "poll": (select, polling, reader, False, tx_port, rx_port, lock_free),
                "sender": (send, 1, tx_port),
            }
        )
        memory = pipe_memory(False, False) | {
            (RX, "intercepted"): True,
            (RX, "copies"): (_MONITOR,),
            (RX, "zmon"): ("", ""),
            (RX, "stacked"): False,
            (RX, "seen"): 0,
            (_MONITOR, "kring"): Kring(3, 0, 0, 0, 0, 0),
            (_MONITOR, "intercepted"): False,
            (_MONITOR, "si_users"): 0,
        }
        scenario = Scenario(
            threads,
            memory=memory,
            do=HANDLERS | {"monitor-ring": _ring},
            immediate=IMMEDIATE | {"monitor-copy": None},
            waits={"poll": readable},
        )
        explored(p, scenario, label="FreeBSD" if lock_free else "Linux")


def _ring(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterator[tuple[Any, Memory]]:
    yield at[args[0], "kring"], at


def _never_wakes(name: str, own: Any, switches: frozenset[str]) -> Protocol:
    yield from monitor.watched_notify(name, own, switches)
    return False


_WAKEUP = """A thread that polls a receive ring which a copy monitor watches never sleeps for good when the
    other end of the pipe has sent something, whoever has the ring at that moment."""


obligation(
    "14.monitor.no-lost-wake-up",
    clauses=("14.monitor.wakeup", "14.poll.wakeup"),
    statement=_WAKEUP,
    functions=(monitor.watched_notify, poll.poll, pipe.txsync, pipe.rxsync),
    control=Control("a look wakes nobody", _never_wakes, poll.poll, pipe.txsync, pipe.rxsync, goal=LOST),
    assumptions=f"""Each ring is synced by one thread at a time; a look is made under the ring's lock.
    {WAKEUPS}""",
    bounds="Rings of 3 slots, one packet: nothing is counted but whether there is something.",
    rules=(monitor.LOOKED, monitor.BUSY, poll.RX_READY),
)(monitored_wakeup_body)


def _txsync_keeps_lock(name: str) -> Protocol:
    """A transmit sync that takes a lock and keeps it."""
    yield Lock("ring")
    return (yield from pipe.txsync(name))


obligation(
    "14.monitor.no-lost-wake-up.as-written",
    clauses=("14.monitor.wakeup", "14.poll.wakeup"),
    statement=f"{_WAKEUP} As written a notification that finds the ring taken is dropped altogether.",
    functions=(monitor.watched_notify, poll.poll, pipe.txsync, pipe.rxsync),
    control=Control(
        "as written, and a lock is kept", monitor.watched_notify, poll.poll, _txsync_keeps_lock, pipe.rxsync
    ),
    assumptions="As above.",
    bounds="As above.",
    switches={monitor.BUSY_SLEEPS},
    finding="F14-100",
    refutes={LOST},
    rules=(monitor.LOOKED, monitor.BUSY_ASLEEP, poll.RX_READY),
)(monitored_wakeup_body)

"""Generation 14: what one scan of poll does and answers, when nobody acts meanwhile.

Every combination of what the rings of a descriptor can be like is run, with ports whose syncs leave a
ring as they found it or ready. That no wake-up is lost when others do act is 14.poll.no-lost-wake-up.pipe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from netmap_reference.core.effects import Do, Protocol, ReadKernel, SelRecord, WriteKernel
from netmap_reference.gen14 import poll, ring, sync

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, Done, every
from ..schemas.alone import Answers, Words

Make = Callable[..., Protocol]
_N = 4


@dataclass(frozen=True, slots=True)
class Like:
    """What a ring is like: somebody else syncs it (``busy``), the application released slots (``moved``),
    its words are refused (``bad``), the port fails (``fails``), there is something unseen after a sync
    (``ready``) or before it (``unseen``), what was released is forwarded (``forwards``)."""

    busy: bool = False
    moved: bool = False
    bad: bool = False
    fails: bool = False
    ready: bool = False
    unseen: bool = False
    forwards: bool = False


def _words(name: str, like: Like) -> Words:
    """A ring that has two slots for the application, of which none or one was released, one or none seen."""
    head = 1 if like.moved else 0
    tail = 2 if like.unseen else head
    k = ring.Kring(_N, 0, tail, 0, 0, tail)
    return {
        (name, "kring"): k,
        (name, "head"): 3 if like.bad else head,
        (name, "cur"): 3 if like.bad else head,
        (name, "tail"): tail,
        (name, "flags"): 0,
        (name, "forwarded"): False,
        (name, "transparent"): False,
    }


def _port(rings: Mapping[str, Like]) -> Callable[[str, bool], Protocol]:
    def port(name: str, force: bool) -> Protocol:
        like = rings[name]
        k: ring.Kring = yield ReadKernel((name, "kring"))
        yield Do("port", (name, force))
        tail = ring.nm_next(k.rcur, _N - 1) if like.ready and k.rcur == k.hwtail else k.hwtail
        yield WriteKernel((name, "kring"), replace(k, hwcur=k.rhead, hwtail=tail))
        if like.forwards and k.hwcur != k.rhead:
            yield WriteKernel((name, "forwarded"), True)
        return "EIO" if like.fails else ""

    return port


def _answers(rings: Mapping[str, Like]) -> Answers:
    return {
        "tryget": lambda words, args: not rings[args[0]].busy,
        **{w: lambda words, args: None for w in ("put", "port", "reinit-slots", "forward-up")},
        "stamp-wanted": lambda words, args: False,
    }


def _ready(done: Done, names: Iterable[str]) -> list[str]:
    """Rings that have something unseen after the scan."""
    return [n for n in names if done.memory[n, "kring"].rcur != done.memory[n, "kring"].rtail]


def _synced(done: Done) -> list[str]:
    """The rings that were taken, each time."""
    return [e.args[0] for e in done.of(Do) if e.what == "put"]


def _judge(cases: Cases, fd: poll.Bound, rings: Mapping[str, Like], want: tuple[bool, bool], free: bool,
           done: Done, start: Words) -> None:  # fmt: skip
    want_tx, want_rx = want
    got, synced = done.result, _synced(done)
    taken = [n for n in (*fd.tx, *fd.rx) if not rings[n].busy]
    cheap_tx = free and want_tx and any(start[n, "cur"] != start[n, "tail"] for n in fd.tx)
    cheap_rx = free and want_rx
    for n in fd.rx:
        waits = start[n, "cur"] == start[n, "tail"] or start[n, "kring"].rhead != start[n, "head"]
        cheap_rx = cheap_rx and not waits
    found_tx = [n for n in _ready(done, fd.tx) if n in synced]
    found_rx = [n for n in _ready(done, fd.rx) if n in synced]
    cases.goal(
        "room is reported when it is wanted and a ring has some",
        got.tx == (want_tx and bool(cheap_tx or found_tx)),
    )
    cases.goal(
        "packets are reported when they are wanted and a ring has some",
        got.rx == (want_rx and bool(cheap_rx or found_rx)),
    )
    wrong = [n for n in synced if rings[n].bad or rings[n].fails]
    cases.goal(
        "an error is reported exactly when a ring that was synced is at fault", got.error == bool(wrong)
    )
    fails, bad = any(rings[n].fails for n in synced), any(rings[n].bad for n in synced)
    told = (poll.REJECTED in done.fired, poll.FAILED in done.fired)
    cases.goal("the rules say what was at fault", told == (bad, fails))
    told = (poll.TX_READY in done.fired, poll.RX_READY in done.fired)
    cases.goal("the rules say what was ready", told == (bool(found_tx), bool(found_rx)))
    # which rings are synced
    needs_tx = want_tx and not cheap_tx
    for at, n in enumerate(fd.tx):
        waiting = needs_tx and not any(r in found_tx for r in fd.tx[:at] if not rings[r].busy)
        unsent = (fd.tx_poll or needs_tx) and start[n, "head"] != start[n, "kring"].hwcur
        forwarded = want_rx and any(rings[r].forwards and rings[r].moved and r in synced for r in fd.rx)
        asked = (waiting or unsent or forwarded) and n in taken
        cases.goal(
            "a transmit ring is flushed when room is wanted or slots are unsent", (n in synced) == asked
        )
    reads = (want_rx and not cheap_rx) or (fd.rx_poll and not want_rx)
    for n in fd.rx:
        cases.goal(
            "a receive ring is synced when packets are wanted", (n in synced) == (reads and n in taken)
        )
    most = {n: 3 if n in fd.tx else 2 for n in (*fd.tx, *fd.rx)}
    cases.goal("passes are bounded", all(synced.count(n) <= most[n] for n in most))
    # taking and giving back
    trail = [(e.what, e.args[0]) for e in done.of(Do) if e.what in ("tryget", "put")]
    open_ring = ""
    for what, n in trail:
        if what == "tryget":
            cases.goal("one ring at a time", open_ring == "")
            open_ring = "" if rings[n].busy else n
        else:
            cases.goal("a ring that was taken is given back", open_ring == n)
            open_ring = ""
    cases.goal("a ring that was taken is given back", open_ring == "")
    cases.goal("poll never forces a sync", all(not force for _, force in done.done("port")))
    _recorded(cases, fd, want, free, done, (cheap_tx, cheap_rx))


def _recorded(cases: Cases, fd: poll.Bound, want: tuple[bool, bool], free: bool, done: Done,
              cheap: tuple[bool, bool]) -> None:  # fmt: skip
    """Where the caller is recorded, and that it looked afterwards."""
    (want_tx, want_rx), (cheap_tx, cheap_rx) = want, cheap
    where = [e.selinfo for e in done.of(SelRecord)]
    if not free:
        cases.goal("Linux records before anything else", where == [fd.si_rx, fd.si_tx])
        cases.goal("Linux records before anything else", [type(e) for e in done.log[:2]] == [SelRecord] * 2)
    else:
        once = all(where.count(selinfo) <= 1 for selinfo in (fd.si_tx, fd.si_rx))
        cases.goal("FreeBSD records once in each direction, and only before it looks again", once)
    sleeps = not (done.result.tx or done.result.rx)
    for wanted, selinfo, rings in ((want_tx, fd.si_tx, fd.tx), (want_rx, fd.si_rx, fd.rx)):
        if not (sleeps and wanted):
            continue
        recorded = done.at(SelRecord(selinfo))
        looks = {n: done.at(Do("tryget", (n,))) for n in rings}
        cases.goal("who found nothing is recorded", bool(recorded))
        cases.goal(
            "every ring is looked at again after that",
            all(at and recorded and at[-1] > recorded[0] for at in looks.values()),
        )
    if free and not sleeps:
        needless = (cheap_tx and fd.si_tx in where) or (cheap_rx and fd.si_rx in where)
        cases.goal("who was served by the cheap round is not recorded", not needless)


def scan_body(p: Proof, polling: Make) -> None:
    cases = Cases(p, "scans")
    booleans = (False, True)
    likes_tx = [
        Like(busy=busy, moved=moved, unseen=unseen, ready=ready)
        for busy, moved, unseen, ready in every(p, "transmit rings", *[booleans] * 4)
    ] + [
        Like(bad=True),
        Like(bad=True, unseen=True),
        Like(fails=True),
        Like(fails=True, moved=True, unseen=True),
    ]
    likes_rx = [
        *likes_tx,
        Like(forwards=True, moved=True),
        Like(forwards=True, moved=True, ready=True),
        Like(forwards=True, bad=True),
    ]
    some = [Like(), Like(ready=True), Like(busy=True), Like(moved=True), Like(unseen=True), Like(bad=True)]
    shapes: list[tuple[list[Like], list[Like]]] = [([t], [r]) for t in likes_tx for r in some]
    shapes += [([t], [r]) for t in some for r in likes_rx]
    shapes += [([a, b], [Like()]) for a in some for b in some]
    shapes += [([Like()], [a, b]) for a in some for b in some]
    shapes += [
        ([Like(moved=True), Like()], [Like(forwards=True, moved=True), Like(forwards=a, moved=True)])
        for a in booleans
    ]
    for (tx, rx), want_tx, want_rx, tx_poll, rx_poll, free in (
        (shape, *flags) for shape in shapes for flags in every(p, "flags", *[booleans] * 5)
    ):
        rings = {f"t{i}": like for i, like in enumerate(tx)} | {f"r{i}": like for i, like in enumerate(rx)}
        fd = poll.Bound(
            tuple(f"t{i}" for i in range(len(tx))), tuple(f"r{i}" for i in range(len(rx))), "tx", "rx",
            tx_poll, rx_poll,
        )  # fmt: skip
        start: Words = {}
        for name, like in rings.items():
            start.update(_words(name, like))
        cases.case(
            rings=rings, want_tx=want_tx, want_rx=want_rx, tx_poll=tx_poll, rx_poll=rx_poll, lock_free=free
        )
        port = _port(rings)
        done = cases.run(
            polling, fd, want_tx, want_rx, port, port, p.switches, free, memory=start, do=_answers(rings)
        )
        _judge(cases, fd, rings, (want_tx, want_rx), free, done, start)
    cases.end()


def _poll_unrecorded(fd: Any, *rest: Any) -> Protocol:
    """Nobody is recorded for packets."""
    return without(poll.poll(fd, *rest), lambda e: e == SelRecord(fd.si_rx))


_BOUNDS = """One ring in each direction with every combination of facts, and two with some: a ring's turn
depends on the others only through what was found and forwarded."""
_RULES = (
    poll.TX_READY, poll.RX_READY, poll.TX_FLUSH, poll.TX_SKIP, poll.TX_AGAIN, poll.RX_AGAIN, poll.SEND_DOWN,
    poll.RECORDED, poll.REJECTED, poll.FAILED, poll.BUSY, poll.LOCK_FREE_TX, poll.LOCK_FREE_RX, poll.RX_ASKED,
    poll.RX_LEFT, sync.TX_REINIT,
)  # fmt: skip

obligation(
    "14.poll.scan",
    clauses=(
        "14.poll.ready",
        "14.poll.flush",
        "14.poll.error",
        "14.poll.wakeup",
        "14.poll.do-rx-poll",
        "14.sync.busy",
    ),
    statement="""One scan of poll reports room or packets exactly when they are wanted and a ring has some, an
    error when a ring it synced is at fault; it syncs the rings it must and no others, each a bounded number
    of times; whoever found nothing is recorded and every ring is looked at after that. On Linux and on
    FreeBSD.""",
    functions=(poll.poll,),
    control=Control(
        "who waits for packets is not recorded", _poll_unrecorded, goal="who found nothing is recorded"
    ),
    bounds=_BOUNDS,
    rules=(*_RULES, poll.RX_UNASKED),
)(scan_body)

obligation(
    "14.poll.scan.as-written.do-rx-poll",
    clauses=("14.poll.do-rx-poll",),
    statement="As 14.poll.scan, but nothing looks at NR_DO_RX_POLL.",
    functions=(poll.poll,),
    control=Control(
        "as written, and nobody is recorded for packets",
        _poll_unrecorded,
        goal="who found nothing is recorded",
    ),
    bounds=_BOUNDS,
    switches={poll.DO_RX_POLL_IGNORED},
    rules=(*_RULES, poll.RX_FLAG_IGNORED),
    finding="F14-006",
    refutes={"a receive ring is synced when packets are wanted"},
)(scan_body)

"""Generation 14, monitors: what the syncs of a watched ring show to whom, from first to last.

Each call is told as a story on small rings; the model must do exactly that. Which slots are new, freed and
released is proved for rings of any size in ``monitor14.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netmap_reference.core.effects import Do, Lock, Protocol, ReadKernel, Unlock, Wake, WriteKernel
from netmap_reference.gen14 import ring
from netmap_reference.gen14.ports import monitor

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, Done, every

Kring = ring.Kring
Make = Callable[..., Protocol]
Story = list[tuple[Any, ...]]
R = "r"
_N, _M = 4, 3


@dataclass(frozen=True, slots=True)
class Watched:
    """A watched ring and what happens to it: ``own`` moves hwcur to head and hwtail by ``moves`` slots, or
    fails; ``seen``: where the last look ended; ``used``: slots that are taken in each monitor's ring."""

    k: Kring
    seen: int
    copies: tuple[str, ...]
    zmon: tuple[str, str]
    stacked: bool
    moves: int
    fails: bool
    used: int


def _own(case: Watched) -> Protocol:
    yield Do("port", (R,))
    if case.fails:
        return "EIO"
    k: Kring = yield ReadKernel((R, "kring"))
    yield WriteKernel((R, "kring"), replace(k, hwcur=k.rhead, hwtail=(k.hwtail + case.moves) % k.n))
    return ""


def _monitors(used: int) -> Kring:
    """A monitor's ring of which so many slots are taken: the free ones lie across its end."""
    last, tail = _M - 1, (_M - 1 + used) % _M
    return Kring(_M, last, tail, last, last, tail)


def _range(start: int, end: int, n: int) -> list[int]:
    return [(start + i) % n for i in range((end - start) % n)]


def told(done: Done) -> Story:
    """The log of a call, an effect a line."""
    found: Story = []
    for effect in done.log:
        match effect:
            case Lock(name):
                found.append(("locks", name))
            case Unlock(name):
                found.append(("unlocks", name))
            case Do("monitor-copy" | "monitor-swap" as what, args):
                found.append((what, *args))
            case Do("port"):
                found.append(("port",))
            case WriteKernel((name, "kring"), k) if name != R:
                found.append(("publishes", name, k.hwtail))
            case WriteKernel((_, "seen"), value):
                found.append(("has seen", value))
            case Wake(name):
                found.append(("wakes", name))
    return found


def story(case: Watched, transmit: bool) -> tuple[Story, set[str], str]:
    """What a sync of the watched ring must do, the rules it must fire, and its answer."""
    did: Story = []
    rules: set[str] = set()
    krings = {m: _monitors(case.used) for m in "abcd"}
    k = case.k

    def shows(monitors: tuple[str, ...], how: str, slots: list[int]) -> None:
        for m in monitors if slots else ():
            q = krings[m]
            free = _M - 1 - (q.hwtail - q.hwcur) % _M
            newest = slots[len(slots) - min(free, len(slots)) :]
            rules.add(monitor.TAKEN if len(slots) <= free else monitor.DROPPED)
            did.append(("locks", f"{m} q_lock"))
            for i, at in enumerate(newest):
                did.append((how, R, at, m, (q.hwtail + i) % _M))
            krings[m] = replace(q, hwtail=(q.hwtail + len(newest)) % _M)
            did.extend([("publishes", m, krings[m].hwtail), ("unlocks", f"{m} q_lock")])
            if newest:
                did.append(("wakes", m))

    following = case.zmon[1] if transmit else case.zmon[0]
    if case.stacked and not transmit:
        following = following or case.zmon[1]
    if transmit and case.copies:
        sent = _range(k.hwcur, k.rhead, k.n)
        if case.seen in sent or (case.seen == k.rhead and sent):
            sent = _range(case.seen, k.rhead, k.n)
            rules |= {monitor.ONCE} if case.seen != k.hwcur else set()
        rules |= {monitor.COPY_TX} if sent else set()
        shows(case.copies, "monitor-copy", sent)
        did.append(("has seen", k.rhead))
    if not transmit and following:
        released = _range(k.hwcur, k.rhead, k.n)
        rules |= {monitor.ZCOPY_RX} if released else set()
        shows((following,), "monitor-swap", released)
    did.append(("port",))
    if case.fails:
        return did, rules, "EIO"
    after = (k.hwtail + case.moves) % k.n
    if transmit and following:
        freed = _range((k.hwtail + 1) % k.n, (after + 1) % k.n, k.n)
        rules |= {monitor.ZCOPY_TX} if freed else set()
        shows((following,), "monitor-swap", freed)
    if not transmit and case.copies:
        new = _range(case.seen, after, k.n)
        rules |= {monitor.COPY_RX} if new else set()
        shows(case.copies, "monitor-copy", new)
        did.append(("has seen", after))
    return did, rules, ""


def sync_body(p: Proof, txsync: Make, rxsync: Make) -> None:
    cases = Cases(p, "syncs")
    krings = [
        Kring(_N, hwcur, (hwcur + room) % _N, (hwcur + new) % _N, (hwcur + new) % _N, (hwcur + room) % _N)
        for hwcur in (0, 2) for room in range(_N) for new in range(room + 1)
    ]  # fmt: skip
    lists: tuple[tuple[tuple[str, ...], tuple[str, str], bool], ...] = (
        ((), ("", ""), False), (("a",), ("", ""), False), (("a", "b"), ("c", "d"), False),
        ((), ("c", ""), False), ((), ("", "d"), False), ((), ("c", "c"), True), ((), ("", "d"), True),
    )  # fmt: skip
    ways = every(p, "combinations", krings, range(_N), lists, range(3), (False, True), (0, 1, 2))
    for k, looked, (copies, zmon, stacked), moves, fails, used in ways:
        room = _N - 1 - (k.hwtail - k.hwcur) % _N
        if moves > room or (fails and moves):
            continue
        for transmit, function in ((True, txsync), (False, rxsync)):
            seen = (k.hwcur + looked) % _N
            if not transmit and looked > (k.hwtail - k.hwcur) % _N:
                continue  # a look ends with what was reported
            case = Watched(k, seen, copies, zmon, stacked, moves, fails, used)
            cases.case(transmit=transmit, case=case)
            memory: dict[tuple[Any, ...], Any] = {(R, "kring"): k, (R, "seen"): seen, (R, "copies"): copies}
            memory |= {(R, "zmon"): zmon, (R, "stacked"): stacked}
            for m in "abcd":
                memory[m, "kring"] = _monitors(used)
                memory |= {(m, "si_users"): 0, (m, "si"): m, (m, "intercepted"): False}
            do = {
                "monitor-ring": lambda words, args: words[args[0], "kring"],
                **{w: lambda words, args: None for w in ("monitor-copy", "monitor-swap", "port")},
            }
            done = cases.run(function, R, partial(_own, case), p.switches, memory=memory, do=do)
            wanted, rules, answer = story(case, transmit)
            cases.goal("the sync does what its story tells, in that order", told(done) == wanted)
            cases.goal("it answers as the port did", done.result == answer)
            all_rules = {
                monitor.COPY_TX, monitor.ZCOPY_TX, monitor.COPY_RX, monitor.ZCOPY_RX, monitor.TAKEN,
                monitor.DROPPED, monitor.ONCE,
            }  # fmt: skip
            cases.goal("the rules say what was shown", set(done.fired) & all_rules == rules)
            chained = stacked and not transmit
            cases.goal("and whether a monitor stands behind", (monitor.CHAINED in done.fired) == chained)
    cases.end()


obligation(
    "14.monitor.sync-calls",
    clauses=("14.monitor.seen", "14.monitor.zcopy-tx", "14.monitor.zcopy-rx", "14.monitor.copy-rx",
             "14.monitor.overrun-newest", "14.monitor.several"),
    statement="""The syncs of a watched ring show what is new, released or freed to each monitor that stands
    there, slot by slot, under the lock of its ring and before it is published; who gets some is woken; a port
    that fails shows nothing of what it did not do.""",
    functions=(monitor.watched_txsync, monitor.watched_rxsync),
    control=Control(
        "a monitor's ring is filled without its lock",
        monitor.watched_txsync,
        lambda name, own, switches: without(
            monitor.watched_rxsync(name, own, switches), lambda e: isinstance(e, (Lock, Unlock))
        ),
    ),
    bounds="""A watched ring of four slots in every state, monitors' rings of three with none, one and all
    slots free, every kind of monitor and two of a kind.""",
    rules=(
        monitor.COPY_TX, monitor.ZCOPY_TX, monitor.COPY_RX, monitor.ZCOPY_RX, monitor.TAKEN, monitor.DROPPED,
        monitor.CHAINED, monitor.ONCE,
    ),
)(sync_body)  # fmt: skip


# --- the monitor's own ----------------------------------------------------------------------------------


def own_body(p: Proof, txsync: Make, rxsync: Make) -> None:
    cases = Cases(p, "syncs")
    for hwcur, rhead, tail, orphan in every(p, "rings", range(_N), range(_N), range(_N), (False, True)):
        k = Kring(_N, hwcur, tail, rhead, rhead, tail)
        cases.case(k=k, orphan=orphan)
        sent = cases.run(txsync, R, memory={(R, "kring"): k}, do={})
        cases.goal("a monitor sends nothing", sent.result == "EIO", sent.log == ())
        done = cases.run(rxsync, R, orphan, memory={(R, "kring"): k}, do={})
        cases.goal("without a port a sync fails", done.result == ("EIO" if orphan else ""))
        after = k if orphan else replace(k, hwcur=rhead)
        cases.goal("what was released is given back, and nothing else", done.memory[R, "kring"] == after)
        wanted = monitor.RX_ORPHAN if orphan else monitor.RX_RELEASED
        cases.goal("the rules say so", done.fired == (wanted,), sent.fired == (monitor.TX_REFUSED,))
    cases.end()


obligation(
    "14.monitor.own-syncs",
    clauses=("14.monitor.no-sending", "14.monitor.rxsync"),
    statement="""A monitor sends nothing; its rxsync gives released slots back, and fails when the port it
    watched has left.""",
    functions=(monitor.txsync, monitor.rxsync),
    control=Control(
        "nothing is given back",
        monitor.txsync,
        lambda name, orphan: without(monitor.rxsync(name, orphan), lambda e: isinstance(e, WriteKernel)),
    ),
    bounds="A ring of four slots with any positions.",
    rules=(monitor.TX_REFUSED, monitor.RX_RELEASED, monitor.RX_ORPHAN),
)(own_body)

"""Generation 14, CSB mode: what one pass of the kernel's loop does, from first to last.

It is told as a story, an effect a line, for every way its few questions can be answered; the model must do
exactly that. What loop and application do to each other is ``csb14_wakeups.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netmap_reference.core.effects import (
    STLD,
    Do,
    Effect,
    Fence,
    Protocol,
    ReadKernel,
    ReadUser,
    Wake,
    WriteKernel,
    WriteUser,
)
from netmap_reference.gen14 import kloop, ring
from netmap_spec import invariants as spec

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, Done, every
from ..worlds_csb import take_away

Make = Callable[..., Protocol]
Kring = ring.Kring
Story = list[tuple[Any, ...]]
R = "r"
_HEAD, _CUR, _FLAGS = ((R, "atok", word) for word in ("head", "cur", "sync_flags"))
_WANTED = (R, "atok", "appl_need_kick")
_N = 4


Stores = Sequence[Sequence[tuple[tuple[Any, ...], int]]]


def scripted(protocol: Protocol, others: Mapping[tuple[Any, ...], Stores]) -> Protocol:
    """``protocol``, while the other side stores something before each read of some words: the next of what
    ``others`` has for the word; the last one stays."""
    left, answer = {word: list(stores) for word, stores in others.items()}, None
    try:
        while True:
            effect: Effect = protocol.send(answer)
            if isinstance(effect, ReadUser) and effect.where in left:
                stores = left[effect.where]
                for where, value in stores.pop(0) if len(stores) > 1 else stores[0]:
                    yield WriteUser(where, value)
            answer = yield effect
    except StopIteration as end:
        return end.value


def told(done: Done) -> Story:
    """The log of a call of the loop, an effect a line; what the application stored is left out."""
    found: Story = []
    for effect in done.log:
        match effect:
            case WriteUser((_, "ktoa", word), value):
                found.append((word, value))
            case ReadUser((_, "atok", word)) if word in ("head", "appl_need_kick"):
                found.append((f"reads {word}",))
            case Do("port", (_, force, k)):
                found.append(("port", force, k.rhead, k.rcur))
            case Do("put" | "reinit-slots" as what):
                found.append((what,))
            case Fence(kind, site) if kind == STLD:
                found.append(("barrier", site))
            case Wake(name):
                found.append(("wakes", name))
    return found


@dataclass(frozen=True, slots=True)
class Case:
    """A ring and how the loop's questions are answered.

    ``heads``: what the application has published at each look. ``moves``: does hwtail move, at each sync of
    the port? ``wants``: does it want an interrupt, at each look. ``fails``: the port's answer.
    """

    k: Kring
    heads: tuple[int, ...]
    moves: tuple[bool, ...]
    wants: tuple[int, ...]
    flags: int
    args: kloop.RingArgs
    fails: bool


def _port(case: Case, transmit: bool) -> Callable[[str, bool], Protocol]:
    moves = list(case.moves)

    def port(name: str, force: bool) -> Protocol:
        k: Kring = yield ReadKernel((name, "kring"))
        yield Do("port", (name, force, k))
        move = moves.pop(0) if len(moves) > 1 else moves[0]
        yield WriteKernel((name, "kring"), _moved(k, move, transmit))
        return "EIO" if case.fails else ""

    return port


def _moved(k: Kring, move: bool, transmit: bool) -> Kring:
    """A port that takes everything up to head, and finishes all of it or stores one packet."""
    k = replace(k, hwcur=k.rhead)
    if not move:
        return k
    if transmit:
        return replace(k, hwtail=(k.rhead - 1) % k.n)
    full = (k.hwtail + 1) % k.n == k.hwcur
    return k if full else replace(k, hwtail=(k.hwtail + 1) % k.n)


def story(case: Case, transmit: bool) -> tuple[Story, Kring]:
    """What a pass over a ring must do, and the kring it leaves."""
    heads, wants, moves = list(case.heads), list(case.wants), list(case.moves)
    a, k, did = case.args, case.k, Story()
    news, dry = False, 0

    def next_of(values: list[Any]) -> Any:
        return values.pop(0) if len(values) > 1 else values[0]

    def reads() -> int:
        did.append(("reads head",))
        return int(next_of(heads))

    def asks() -> None:
        if not a.busy_wait:
            did.append(("kern_need_kick", 1))

    def interrupts() -> bool:
        did.append(("reads appl_need_kick",))
        if next_of(wants):
            did.append(("wakes", f"{R}:irq"))
            return True
        return False

    if not a.direct:
        did.append(("kern_need_kick", 0))
    head = reads()
    while True:
        window = (k.rhead, k.rtail) if transmit else (k.hwcur, k.hwtail)
        inside = spec.tx_window if transmit else spec.rx_window
        if not inside(k.n, *window, head, head):
            did.append(("reinit-slots",))
            k = replace(k, rhead=k.hwcur, rcur=k.hwcur, rtail=k.hwtail)
            asks()
            break
        few = 2 * spec.steps(k.n, k.hwcur, k.hwtail) <= k.n
        force = few or case.flags // 2 % 2 == 1 if transmit else case.flags % 2 == 1
        did.append(("port", force, head, head))
        k = _moved(replace(k, rhead=head, rcur=head), next_of(moves), transmit)
        if case.fails:
            asks()
            break
        did += [("hwcur", k.hwcur), ("hwtail", k.hwtail)]
        moved = k.rtail != k.hwtail
        k, news, dry = replace(k, rtail=k.hwtail), news or moved, 0 if moved else dry + 1
        if a.irq and news:
            news = not interrupts()
        head = reads()
        nothing = head == k.rhead if transmit else k.hwtail == (head - 1) % k.n
        if nothing and a.busy_wait:
            break
        if nothing:
            did += [("kern_need_kick", 1), ("barrier", f"{'tx' if transmit else 'rx'}-ring/sleep")]
            head = reads()
            if (head == k.rhead) if transmit else (k.hwtail == (head - 1) % k.n):
                break
            did.append(("kern_need_kick", 0))
            continue
        if k.rhead == k.hwtail or (not transmit and dry >= 2):
            break
    did.append(("put",))
    if a.irq and news:
        did.append(("barrier", "ring/irq"))
        interrupts()
    return did, k


_RINGS = {
    True: (Kring(_N, 0, 3, 0, 0, 3), Kring(_N, 0, 1, 1, 1, 1), Kring(_N, 2, 1, 2, 2, 0)),
    False: (Kring(_N, 0, 0, 0, 0, 0), Kring(_N, 0, 2, 1, 1, 2), Kring(_N, 1, 3, 1, 1, 2)),
}
#: What the application has published at the first look, at the next ones; and which looks find news.
_LOOKS = ((0, 0), (0, 0, 1), (1, 1), (1, 2, 2), (1, 1, 2), (1, 3), (2, 3), (3, 3, 0, 1), (2, 2, 2, 3))
_ARGS = [
    kloop.RingArgs(R, irq, busy, direct)
    for irq, busy, direct in (
        (False, False, False),
        (True, False, False),
        (True, True, False),
        (False, True, True),
        (True, False, True),
    )
]


def pass_cases(p: Proof, transmit: bool) -> Iterator[Case]:
    """Every combination of a ring and its answers."""
    moves, wants = ((False,), (True,), (True, False), (False, True)), ((0,), (1,), (0, 1))
    ways = every(p, "combinations", _RINGS[transmit], _LOOKS, moves, wants, range(4), _ARGS)
    for k, looks, move, want, flags, args in ways:
        # An interrupt that nobody has is not asked for; flags matter where the port is asked.
        if (args.irq or want == (0,)) and (flags == 0 or args == _ARGS[1]):
            heads = tuple((k.hwcur + look) % _N for look in looks)
            yield Case(k, heads, move, want, flags, args, fails=False)
    for k, looks, args in every(p, "failures", _RINGS[transmit], _LOOKS[:5], _ARGS):
        yield Case(k, tuple((k.hwcur + x) % _N for x in looks), (False,), (1,), 0, args, fails=True)


def _answers(refused: Any) -> Any:
    quiet = {name: lambda words, args: None for name in ("put", "port", "reinit-slots")}
    return quiet | {"tryget": lambda words, args: refused}


def pass_body(transmit: bool) -> Callable[[Proof, Make], None]:
    """A pass over a transmit or a receive ring."""

    def body(p: Proof, pass_over: Make) -> None:
        cases = Cases(p, "passes")
        for case in pass_cases(p, transmit):
            words: dict[tuple[Any, ...], Any] = {
                (R, "kring"): case.k, _HEAD: 0, _CUR: 0, _FLAGS: case.flags, _WANTED: 0,
                (R, "head"): 0, (R, "cur"): 0, (R, "tail"): 0,
            }  # fmt: skip
            cases.case(case=case)

            def make(*arguments: Any, case: Case = case) -> Protocol:
                looks = [((_HEAD, head), (_CUR, head)) for head in case.heads]
                asked = [((_WANTED, want),) for want in case.wants]
                return scripted(pass_over(*arguments), {_HEAD: looks, _WANTED: asked})

            arguments = (case.args, _port(case, transmit), p.switches)
            done = cases.run(make, *arguments, memory=words, do=_answers(True))
            wanted, k = story(case, transmit)
            cases.goal("the pass does what its story tells, in that order", told(done) == wanted)
            cases.goal("the kring is what that leaves", done.memory[R, "kring"] == k)
            told_of = (kloop.TX_SYNC if transmit else kloop.RX_SYNC, kloop.FAILED, kloop.WON, kloop.SIGNALLED)
            ports, slept = [x for x in wanted if x[0] == "port"], wanted.count(("kern_need_kick", 0))
            count = [done.fired.count(each) for each in told_of]
            cases.goal(
                "every sync of the port is told", count[:2] == [0, 1] if case.fails and ports else True
            )
            cases.goal("every sync of the port is told", case.fails or count[0] == len(ports))
            cases.goal("a race that was won is told", count[2] == slept - (not case.args.direct))
            cases.goal("an interrupt is told", count[3] == sum(x[0] == "wakes" for x in wanted))
            quiet = kloop.MASKED in done.fired
            asked, woken = wanted.count(("reads appl_need_kick",)), count[3]
            cases.goal("one that is not wanted is told", quiet == (asked > woken))
            full, last = kloop.TX_FULL if transmit else kloop.RX_DRY, [x for x in wanted if x[0] != "put"]
            left = {full, kloop.NO_KICKS, kloop.SLEEPS} & set(done.fired)
            cases.goal("why a ring is left is told", bool(left) or (bool(last[-1:]) and _is_wrong(wanted)))
        for refused, rule in ((False, kloop.BUSY), ("stopped", kloop.STOPPED_RING)):
            for args in _ARGS:
                cases.case(refused=refused, args=args)
                done = cases.run(
                    pass_over, args, _port(case, transmit), p.switches, memory=words, do=_answers(refused)
                )
                cases.goal(
                    "a ring that cannot be had is left alone", len(done.log) == 1, done.fired == (rule,)
                )
        cases.end()

    return body


def _is_wrong(did: Story) -> bool:
    """Was the ring left because its words or its port are at fault, or after a sleep?"""
    return ("reinit-slots",) in did or not any(x[0] == "hwtail" for x in did)


_BOUNDS = """Rings of four slots with all, some and hardly any free, up to four looks at the application's
words with everything that can be found there, syncs of the port that move the tail or not, every kind of ring
the loop may have."""

obligation(
    "14.kloop.tx-pass",
    clauses=("14.kloop.tx", "14.kloop.reclaim", "14.kloop.irq", "14.kloop.kick", "14.kloop.rejected"),
    statement="""One pass of the loop over a transmit ring: it takes the positions that are published, lets
    the port sync, publishes how far that came, interrupts once for all of it when that is wanted, and goes on
    until nothing is new or there is no room; before it leaves it asks for a kick and looks once more.""",
    functions=(kloop.tx_ring,),
    control=Control(
        "an interrupt that is not wanted now is forgotten",
        lambda a, port, switches: take_away("ring/irq", kloop.tx_ring)(a, port, switches),
    ),
    bounds=_BOUNDS,
    rules=(
        kloop.TX_SYNC, kloop.TX_RECLAIM, kloop.TX_REJECTED, kloop.TX_FULL, kloop.FAILED, kloop.SLEEPS,
        kloop.WON, kloop.NO_KICKS, kloop.SIGNALLED, kloop.MASKED, kloop.BUSY, kloop.STOPPED_RING,
    ),
)(pass_body(True))  # fmt: skip

obligation(
    "14.kloop.rx-pass",
    clauses=("14.kloop.rx", "14.kloop.irq", "14.kloop.kick", "14.kloop.rejected"),
    statement="""One pass of the loop over a receive ring: as 14.kloop.tx-pass, until no slot is left to
    receive into, nothing is left to be read, or two syncs in a row brought nothing.""",
    functions=(kloop.rx_ring,),
    control=Control(
        "the loop does not look once more",
        lambda a, port, switches: take_away("rx-ring/sleep", kloop.rx_ring)(a, port, switches),
    ),
    bounds=_BOUNDS,
    rules=(
        kloop.RX_SYNC, kloop.RX_REJECTED, kloop.RX_DRY, kloop.FAILED, kloop.SLEEPS, kloop.WON,
        kloop.NO_KICKS, kloop.SIGNALLED, kloop.MASKED, kloop.BUSY, kloop.STOPPED_RING,
    ),
)(pass_body(False))  # fmt: skip

"""Generation 14: frames of the host that are forwarded into transmit rings: the whole call, told as a story.

What another thread of the program may do meanwhile is ``forward14.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from netmap_reference.core.effects import Do, Protocol, WriteUser
from netmap_reference.gen14 import ring
from netmap_reference.gen14.ports import forward
from netmap_spec.abi import api14

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, every
from ..schemas.alone import Answers

Make = Callable[..., Protocol]
_N = 3
_HOST = "host"


@dataclass(frozen=True, slots=True)
class Target:
    """A transmit ring of three slots: what the kernel knows, and what its page says."""

    rhead: int
    rtail: int
    head: int
    tail: int

    @property
    def kring(self) -> ring.Kring:
        return ring.Kring(_N, self.rhead, self.rtail, self.rhead, self.rhead, self.rtail)

    def free(self, head: int, trusts: bool) -> int:
        """Slots that may be taken from ``head`` on; as written there is one while the page's words differ."""
        if trusts:
            return int(head != self.tail)
        walked, window = (head - self.rhead) % _N, (self.rtail - self.rhead) % _N
        return window - walked if head < _N and walked <= window else 0


def story(
    targets: tuple[Target, ...], start: int, count: int, marked: tuple[bool, ...], trusts: bool
) -> tuple[list[tuple[Any, ...]], bool, bool]:
    """What is exchanged and stored, in order; was a ring out of order, and was the page believed wrongly?"""
    did: list[tuple[Any, ...]] = []
    i, left, skipped, believed = start, count, False, False
    for number, target in enumerate(targets):
        if not left:
            break
        head, name = target.head, f"t{number}"
        room = target.free(head, trusts)
        skipped = skipped or not (
            head < _N and (head - target.rhead) % _N <= (target.rtail - target.rhead) % _N
        )
        believed = believed or (room > 0) != (target.free(head, False) > 0)
        while left and room:
            if marked[i]:
                head, at, room = (0 if head == _N - 1 else head + 1), head, room - 1
                did += [("slot", i, name, at), (name, "cur", head), (name, "head", head)]
            i, left = (i + 1) % _N, left - 1
            if trusts:
                room = target.free(head, True)
                believed = believed or (room > 0) != (target.free(head, False) > 0)
    return did, skipped, believed


def call_body(p: Proof, forward_down: Make) -> None:
    trusts = forward.TRUSTS_RING in p.switches
    cases = Cases(p, "calls")
    shapes = [
        Target(0, 2, 0, 2),
        Target(2, 1, 2, 1),
        Target(1, 1, 1, 1),
        Target(0, 1, 2, 0),
        Target(2, 1, _N, 1),
    ]
    marks = ((True,) * _N, (False,) * _N, (True, False, True), (False, True, True))
    for one, two, start, count, marked, everything in every(
        p, "combinations", shapes, shapes, range(_N), range(_N), marks, (False, True)
    ):
        cases.case(targets=(one, two), start=start, count=count, marked=marked, everything=everything)
        memory: dict[tuple[Any, ...], Any] = {(_HOST, "kring"): ring.Kring(_N, start, 2, 2, 2, 2)}
        memory[_HOST, "transparent"] = everything
        memory |= {(_HOST, "slot", i, "flags"): api14.NS_FORWARD * mark for i, mark in enumerate(marked)}
        for name, target in (("t0", one), ("t1", two)):
            memory[name, "kring"] = target.kring
            memory |= {(name, "head"): target.head, (name, "cur"): target.head, (name, "tail"): target.tail}
        do: Answers = {
            "forward-ring": lambda words, args: words[args[0], "kring"],
            "forward-slot": lambda words, args: None,
        }
        done = cases.run(forward_down, _HOST, ("t0", "t1"), p.switches, start, count, memory=memory, do=do)
        told: list[tuple[Any, ...]] = []
        for effect in done.of(Do, WriteUser):
            if isinstance(effect, WriteUser):
                told.append((*effect.where, effect.value))
            elif effect.what == "forward-slot":
                told.append(("slot", *effect.args[1:]))
        go = tuple(mark or everything for mark in marked)
        wanted, skipped, believed = story((one, two), start, count, go, trusts)
        sent = [row for row in wanted if row[0] == "slot"]
        cases.goal("marked slots go out in order, each to the next free one, and are told", told == wanted)
        cases.goal(
            "so many found room", done.result == len(sent), done.fired.count(forward.DOWN) == len(sent)
        )
        plain = sum(1 for row in sent if not marked[row[1]])
        cases.goal("slots without a mark are told", done.fired.count(forward.UNMARKED) == plain)
        rules = (forward.NO_WINDOW in done.fired, forward.TRUSTED in done.fired)
        cases.goal(
            "a ring out of order is told", rules == ((False, believed) if trusts else (skipped, False))
        )
    cases.end()


_call = partial(
    obligation,
    clauses=("14.host.forward",),
    functions=(forward.forward_down,),
    control=Control(
        "head of the transmit ring is not stored",
        lambda *arguments: without(
            forward.forward_down(*arguments),
            lambda e: isinstance(e, WriteUser) and e.where[1] == "head",
        ),
    ),
    bounds="""Two transmit rings of three slots, with room across their end and not, without, and with a head
    that is out of order or no slot; up to two released slots from each position, marked or not.""",
)
_call(
    "14.host.forward-call",
    statement="""Every marked slot that was released is exchanged with the next free slot of the first
    transmit ring with room, whose head and cur follow it; where all are to be forwarded, every one is.""",
    rules=(forward.DOWN, forward.NO_WINDOW, forward.UNMARKED),
)(call_body)
_call(
    "14.host.forward-extent",
    statement="""How far the deviation goes: a frame goes to the slot that the page's head says as long as
    that is not the page's tail, and head and cur follow it.""",
    switches={forward.TRUSTS_RING},
    rules=(forward.DOWN, forward.TRUSTED, forward.UNMARKED),
)(call_body)

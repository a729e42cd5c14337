"""Generation 14: a pipe below the end of another pipe, all four ends bound and closed in every order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from netmap_reference.core.choice import eager
from netmap_reference.gen14.ports import pipe_ends
from netmap_reference.gen14.world import World

from .. import life14
from ..engine import Proof
from ..life14 import SLOTS, Life
from ..mutation.planting import Slip, standing_in
from ..obligation import Control, obligation
from ..schemas.reachable import reachable


@dataclass(frozen=True)
class Nested(Life):
    """``ended``: how a call ended the kernel; ``refused``: what should have gone well and did not."""

    ended: str = ""
    refused: str = ""


Move = Callable[[Nested], Nested | None]
#: Both ends of a pipe below the slave end of another one, and both ends of that one.
_NAMES = {"A": "x}1{2", "B": "x}1}2", "C": "x{1", "D": "x}1"}


def _bind(fd: str) -> Move:
    def move(life: Nested) -> Nested | None:
        if life.bound(fd) or life.ended:
            return None
        world = life.world.clone()
        world.open(fd)
        got = world.register(fd, {"name": _NAMES[fd], "tx_slots": SLOTS, "rx_slots": SLOTS}, eager)
        if got.outcome.kind in ("FAULT", "HANG"):
            return replace(life, world=world, ended=f"{fd} binds {_NAMES[fd]}: {got.outcome}")
        refused = "" if got.outcome.ok else f"{fd} binds {_NAMES[fd]}: {got.outcome}"
        return replace(life, world=world, refused=refused)

    return move


def _close(fd: str) -> Move:
    def move(life: Nested) -> Nested | None:
        if not life.bound(fd) or life.ended:
            return None
        world = life.world.clone()
        got = world.close(fd)
        ended = f"{fd} closes: {got.outcome}" if got.outcome.kind in ("FAULT", "HANG") else ""
        return replace(life, world=world, ended=life.ended or ended)

    return move


def _send(fd: str, other: str) -> Move:
    """One end sends a packet; when the other one is bound it shows it, and nobody else does."""

    def move(life: Nested) -> Nested | None:
        if not life.bound(fd) or not life.bound(other) or life.ended:
            return None
        world = life.world.clone()
        shown = {name: world.ring(name, "rx0").tail for name in _NAMES if life.bound(name)}
        view = world.ring(fd, "tx0")
        if view.head == view.tail:
            return None
        view.slot[view.head].len, view.slot[view.head].flags = 60, 0
        view.head = view.cur = (view.head + 1) % view.num_slots
        world.txsync(fd, eager)
        strange = ""
        for name, before in shown.items():
            world.rxsync(name, eager)
            moved = world.ring(name, "rx0").tail != before
            if moved != (name == other):
                strange = f"{fd} sends, and {name} shows {'something' if moved else 'nothing'}"
            page = world.ring(name, "rx0")
            page.head = page.cur = page.tail
            world.rxsync(name, eager)
        world.txsync(fd, eager)
        return replace(life, world=world, refused=life.refused or strange)

    return move


_ENDS = "no call ends the kernel"
_BOUND = "each end can be bound, first or again, and shows what the other one sends and nothing else"


def _checks(life: Nested) -> life14.Found:
    s = life.world.system()
    yield _ENDS, not life.ended, life.ended
    yield _BOUND, not life.refused, life.refused
    if life.ended:
        return
    for mem in s.allocators:
        yield from life14.owners(s, mem)
    yield from life14.pools(s)
    yield from life14.positions(s)
    yield from life14.counted(s)
    if not s.files or not any(life.bound(fd) for fd in _NAMES):
        left = sorted(na.name for na in s.adapters.values() if na.kind == "pipe")
        yield _LEFT, not left, f"{left}"


_FUNCTIONS = (pipe_ends.take_over,)


def nested_body(p: Proof, *functions: Callable[..., Any]) -> None:
    moves: dict[str, Move] = {}
    for fd in _NAMES:
        moves[f"{fd} binds {_NAMES[fd]}"] = _bind(fd)
        moves[f"{fd} closes"] = _close(fd)
    moves |= {"A sends": _send("A", "B"), "D sends": _send("D", "C")}
    with standing_in(functions):
        reachable(p, Nested(World((), p.switches)), moves, _checks, key=Nested.key, depth=6)


_LEFT = "nothing is left of pipes that nobody has"
_COUNTS_TWICE = Slip(pipe_ends.take_over, "a.refs + 1 -> a.refs + 2")
obligation(
    "14.life.pipe-nested",
    clauses=(
        *("14.pipe.nested", "14.pipe.ends"),
        *("14.memory.returned", "14.memory.last-user", "14.close.returns"),
    ),
    statement="""Whoever binds and closes the ends of two pipes, one below an end of the other, in any order:
    each end can be bound, first or again, shows what its other end sends and nothing of the other pipe, every
    buffer in use is in one place, and with the last descriptor nothing is left of either pipe.""",
    control=Control("an end that is kept now is counted twice", _COUNTS_TWICE, goal=_LEFT),
    functions=_FUNCTIONS,
    rules=(),
    whole_device=True,
    bounds="""A pipe below the slave end of another one, a descriptor for each of the four ends, rings of
    three slots: every sequence of up to six binds, closes and packets. A third pipe below is to the second
    what that is to the first.""",
)(nested_body)

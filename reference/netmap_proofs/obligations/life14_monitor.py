"""Generation 14: zero-copy monitors from the first REGISTER to the last close, and what they exchange.

A monitor takes the buffers of a watched ring and leaves its own there. Packets carry a running number in
their first bytes, so that what a monitor shows can be told from what passed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netmap_reference.core.choice import eager
from netmap_reference.gen14.ports import monitor, monitor_ends
from netmap_reference.gen14.result import Result
from netmap_reference.gen14.world import PortConfig, World
from netmap_spec.abi import api14

from .. import life14
from ..engine import Proof
from ..life14 import SLOTS, Life
from ..mutation.planting import Slip, standing_in
from ..obligation import Control, obligation
from ..schemas.reachable import reachable


@dataclass(frozen=True)
class Watched(Life):
    """``sent`` packets went out, ``got`` came in; ``seen``: the number of the last of each that a monitor has
    shown, by its name; ``orphans``: monitors whose port has left; ``wrong`` and ``ended``: what a move found
    wrong, and how the kernel ended."""

    seen: tuple[tuple[str, tuple[int, int]], ...] = ()
    orphans: frozenset[str] = frozenset()
    wrong: str = ""
    ended: str = ""

    def key(self) -> Hashable:
        return (super().key(), self.seen, self.orphans, self.wrong, self.ended)


Move = Callable[[Watched], Watched | None]


#: What tells a packet that came in from one that went out.
_IN = 1 << 24


def _number(world: World, fd: str, index: int) -> int:
    at, _ = world.buffer(fd, index)
    return int.from_bytes(world.region(fd).read(at, 4), "little")


def _after(life: Watched, world: World, result: Result, **changes: Any) -> Watched:
    """A call that ends the kernel is told."""
    ended = str(result.outcome) if result.outcome.kind in ("FAULT", "HANG") else life.ended
    return replace(life, world=world, ended=ended, **changes)


def _bind(fd: str, **fields: int) -> Move:
    def move(life: Watched) -> Watched | None:
        done = life14.bind(fd, "v0", **fields)(life)
        return done if isinstance(done, Watched) else None

    return move


def _close(fd: str) -> Move:
    def move(life: Watched) -> Watched | None:
        if not life.bound(fd):
            return None
        world = life.world.clone()
        result = world.close(fd)
        seen = tuple(row for row in life.seen if row[0] != fd)
        left = {m for m in ("L", "M") if life.bound(m)} if fd == "A" else set[str]()
        return _after(life, world, result, seen=seen, orphans=(life.orphans | left) - {fd})

    return move


def _send(life: Watched) -> Watched | None:
    """A fills a slot, and hands it over."""
    if not life.bound("A"):
        return None
    world = life.world.clone()
    view = world.ring("A", "tx0")
    if view.head == view.tail:
        return replace(life, world=world) if world.txsync("A", eager).outcome.ok else None
    slot = view.slot[view.head]
    at, _ = world.buffer("A", slot.buf_idx)
    world.region("A").write(at, (life.sent + 1).to_bytes(4, "little"))
    slot.len, slot.flags = 60, 0
    view.head = view.cur = (view.head + 1) % view.num_slots
    return _after(life, world, world.txsync("A", eager), sent=life.sent + 1)


def _receive(life: Watched) -> Watched | None:
    """A looks for frames, and gives all of them back."""
    if not life.bound("A"):
        return None
    world = life.world.clone()
    view = world.ring("A", "rx0")
    view.head = view.cur = view.tail
    return _after(life, world, world.rxsync("A", eager))


def _frame(life: Watched) -> Watched | None:
    """A frame with the next number comes from the wire."""
    if not life.bound("A"):
        return None
    world = life.world.clone()
    world.frame("v0", "wire", (_IN + life.got + 1).to_bytes(4, "little") + bytes(56), eager)
    return replace(life, world=world, got=life.got + 1)


def _look(fd: str) -> Move:
    """A monitor looks, and gives back with its next look what it was shown."""

    def move(life: Watched) -> Watched | None:
        if not life.bound(fd):
            return None
        world = life.world.clone()
        view = world.ring(fd, "rx0")
        before = view.tail
        result = world.rxsync(fd, eager)
        last, wrong = list(dict(life.seen).get(fd, (0, 0))), ""
        if fd in life.orphans and result.outcome.ok:
            polled = "err" in world.poll(fd, frozenset({"in"}), eager).revents
            if view.tail != before or not polled:
                wrong = f"{fd} has no port, and its sync goes well"
        if result.outcome.ok:
            while view.head != view.tail:
                slot = view.slot[view.head]
                way, number = divmod(_number(world, fd, slot.buf_idx), _IN)
                told = way == (slot.flags & api14.NS_TXMON == 0)
                if not told or slot.len != 60 or not last[way] < number <= (life.sent, life.got)[way]:
                    wrong = (
                        f"{fd} shows packet {number} ({('out', 'in')[way]}), {slot.len} bytes, after {last}"
                    )
                last[way] = number
                view.head = view.cur = (view.head + 1) % view.num_slots
        seen = tuple(sorted({**dict(life.seen), fd: (last[0], last[1])}.items()))
        return _after(replace(life, wrong=wrong or life.wrong), world, result, seen=seen)

    return move


_SHOWN = "what is shown has passed, once and in order, and nothing once the port has left"
_ENDS = "no call ends the kernel"


def _sees(life: Watched) -> life14.Found:
    """A packet each way, and a look of each monitor in turn: every one of them shows both."""
    if not life.bound("A") or life.sent or life.got or life.orphans:
        return
    after: Watched | None = life
    for move in (_send, _frame, _receive, _receive, *[_look("L"), _look("M")] * 3):
        after = move(after) or after if after is not None else None
    assert after is not None
    for fd, seen in after.seen:
        yield _COMPLETE, seen == (1, 1), f"{fd} has shown {seen} of one packet out and one in"


_COMPLETE = "what passes is shown to every monitor there is room at"


def _checks(life: Watched) -> life14.Found:
    s = life.world.system()
    yield _SHOWN, not life.wrong, life.wrong
    yield _ENDS, not life.ended, life.ended
    yield from _sees(life)
    yield from life14.owners(s)
    yield from life14.pools(s)
    yield from life14.positions(s)
    yield from life14.counted(s)


_ZERO = {"flags": int(api14.NR_ZCOPY_MON)}
_FUNCTIONS = (monitor.swap_slots, monitor_ends._untie, monitor_ends._tie, monitor_ends.destroy)


_MOVES: dict[str, Move] = {
    "A binds the port": _bind("A"),
    "L opens a zero-copy monitor": _bind("L", **_ZERO),
    "M opens another": _bind("M", **_ZERO),
    "A sends": _send,
    "a frame arrives": _frame,
    "A receives": _receive,
    "L looks": _look("L"),
    "M looks": _look("M"),
    "A closes": _close("A"),
    "L closes": _close("L"),
    "M closes": _close("M"),
}
_FIRST = ("A binds the port", "L opens a zero-copy monitor", "M opens another")
#: What it takes to find a closed monitor written to.
_FEW = ("A sends", "L looks", "A closes", "M closes")


def monitor_body(p: Proof, *functions: Callable[..., Any]) -> None:
    with standing_in(functions):
        start = Watched(World([PortConfig("v0", tx_slots=SLOTS, rx_slots=SLOTS)], p.switches))
        few = {name: _MOVES[name] for name in _FEW} if p.switches else _MOVES
        if not p.switches:
            reachable(p, start, _MOVES, _checks, key=Watched.key, depth=4)
        for move in _FIRST:
            after = _MOVES[move](start)
            assert after is not None
            start = after
        reachable(p, start, few, _checks, key=Watched.key, depth=5, label="with two monitors")


_SWAP = "replace(mine, buf_idx=theirs.buf_idx, len=theirs.len, flags=flags)"
_life = partial(
    obligation,
    clauses=(
        *("14.memory.one-slot", "14.memory.pool", "14.memory.returned", "14.memory.last-user"),
        *("14.monitor.zcopy-slot", "14.monitor.seen", "14.monitor.txmon", "14.monitor.several"),
        *("14.monitor.port-leaves", "14.monitor.close"),
    ),
    functions=_FUNCTIONS,
    rules=(),
    whole_device=True,
)

_life(
    "14.life.monitor",
    bounds="""A port with rings of three slots and two zero-copy monitors, each with a ring of its own in the
    same memory: every sequence of four moves from nothing, and of five from where all three are open.""",
    statement="""Whatever well-behaved programs at a port and its zero-copy monitors do, in any order: each
    buffer in use is in exactly one place, a slot of the port's ring or of a monitor's; what a monitor shows
    has passed, in its direction, once and in order; whoever leaves, the others go on; monitors whose port has
    left move nothing and give their memory back.""",
    control=Control(
        "a monitor takes a buffer and leaves it in the watched ring",
        Slip(monitor.swap_slots, f"{_SWAP} -> {_SWAP.replace('buf_idx=theirs.buf_idx, ', '')}"),
        *_FUNCTIONS[1:],
        goal="a buffer is in one place",
    ),
)(monitor_body)

_life(
    "14.life.monitor.as-written",
    statement="""As 14.life.monitor: monitors whose port has left stay tied to each other, and one writes to
    the ring of another that was closed.""",
    bounds="As 14.life.monitor, from where all three are open; the port only sends and closes.",
    control=Control(
        "as written, and the length of a packet stays behind",
        Slip(monitor.swap_slots, f"{_SWAP} -> {_SWAP.replace('len=theirs.len, ', '')}"),
        *_FUNCTIONS[1:],
        goal=_SHOWN,
    ),
    switches={monitor_ends.CHAINED_ORPHANS},
    finding="F14-106",
    refutes={_ENDS},
)(monitor_body)

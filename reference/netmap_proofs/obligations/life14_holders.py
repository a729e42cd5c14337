"""Generation 14: how long a binding lives, and what goes where meanwhile.

Descriptors are opened, duplicated, handed to a child and closed, mappings made and given up, processes end:
the port stays in netmap mode as long as anybody has one or the other.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

from netmap_reference.core.choice import eager
from netmap_reference.gen14 import close
from netmap_reference.gen14.world import PortConfig, World

from .. import life14
from ..engine import Proof
from ..life14 import SLOTS, Life
from ..mutation.planting import Slip, standing_in
from ..obligation import Control, obligation
from ..schemas.reachable import reachable

Key = tuple[str, str]


@dataclass(frozen=True)
class Holding(Life):
    """Who holds the one open file, and who maps it: (process, descriptor)."""

    holders: frozenset[Key] = frozenset()
    maps: frozenset[Key] = frozenset()

    def key(self) -> Hashable:
        return (super().key(), self.holders, self.maps)


Move = Callable[[Holding], Holding | None]
_A, _D = ("main", "A"), ("main", "D")


def _opens(life: Holding) -> Holding | None:
    if life.holders or life.maps:
        return None
    world = life.world.clone()
    world.open("A")
    world.register("A", {"name": "v0"}, eager)
    return Holding(world, holders=frozenset({_A}))


def _maps(life: Holding) -> Holding | None:
    if _A not in life.holders or _A in life.maps:
        return None
    world = life.world.clone()
    return replace(life, world=world, maps=life.maps | {_A}) if world.mmap("A").outcome.ok else None


def _dups(life: Holding) -> Holding | None:
    if _A not in life.holders or _D in life.holders:
        return None
    world = life.world.clone()
    world.dup("A", "D")
    return replace(life, world=world, holders=life.holders | {_D})


def _forks(life: Holding) -> Holding | None:
    if any(who == "child" for who, _ in life.holders | life.maps) or not (life.holders or life.maps):
        return None
    world = life.world.clone()
    world.fork("main", "child")
    return replace(
        life,
        world=world,
        holders=life.holders | {("child", fd) for _, fd in life.holders},
        maps=life.maps | {("child", fd) for _, fd in life.maps},
    )


def _closes(who: str, fd: str) -> Move:
    def move(life: Holding) -> Holding | None:
        if (who, fd) not in life.holders:
            return None
        world = life.world.clone()
        world.close(fd, who, unmap=False)
        return replace(life, world=world, holders=life.holders - {(who, fd)})

    return move


def _unmaps(who: str) -> Move:
    def move(life: Holding) -> Holding | None:
        if (who, "A") not in life.maps:
            return None
        world = life.world.clone()
        world.munmap("A", who)
        return replace(life, world=world, maps=life.maps - {(who, "A")})

    return move


def _exits(who: str) -> Move:
    def move(life: Holding) -> Holding | None:
        if not any(owner == who for owner, _ in life.holders | life.maps):
            return None
        world = life.world.clone()
        world.exit(who)
        holders, maps = (frozenset(k for k in some if k[0] != who) for some in (life.holders, life.maps))
        return replace(life, world=world, holders=holders, maps=maps)

    return move


_LIVES = "a binding lives as long as anybody holds or maps it"
_GOES = "with the last of them rings and buffers are given back"
_WIRE = "frames for a port in netmap mode are its rings', others the host's"
_HOST = "frames of the host go out on the wire, unless the port is in netmap mode"


def _checks(life: Holding) -> life14.Found:
    s = life.world.system()
    alive = bool(life.holders or life.maps)
    na, who = s.adapters["v0"], f"{sorted(life.holders)}, mapped {sorted(life.maps)}"
    yield _LIVES, na.fds == int(alive) and na.on == alive, f"{who}: {na.fds} descriptors, on: {na.on}"
    rings = {k.name for k in s.krings.values() if k.adapter == "v0" and k.ring >= 0}
    yield _GOES, bool(rings) == alive, f"{who}: rings {sorted(rings)}"
    yield from life14.pools(s)
    yield from life14.counted(s)
    world = life.world.clone()
    before = len(world.system().ports["v0"].incoming[0]) if alive else 0
    world.frame("v0", "wire", b"w" * 60, eager)
    up = world.frames("v0", "host")
    there = len(world.system().ports["v0"].incoming[0]) - before if alive else 0
    yield _WIRE, (len(up), there) == ((0, 1) if alive else (1, 0)), f"{who}: {len(up)} up, {there} wait"
    world.frame("v0", "host", b"h" * 60, eager)
    out = world.frames("v0", "wire")
    yield _HOST, len(out) == (0 if alive else 1), f"{who}: {len(out)} on the wire"


_FUNCTIONS = (close.held,)
_HELD, _MAPPED = "file in s.holders.values()", "file in s.mapped.values()"


def holders_body(p: Proof, *functions: Callable[..., Any]) -> None:
    moves: dict[str, Move] = {
        "A is opened and bound": _opens,
        "A is mapped": _maps,
        "A is duplicated": _dups,
        "the process forks": _forks,
        "A is closed": _closes("main", "A"),
        "the duplicate is closed": _closes("main", "D"),
        "the child closes A": _closes("child", "A"),
        "the child closes the duplicate": _closes("child", "D"),
        "A is unmapped": _unmaps("main"),
        "the child unmaps": _unmaps("child"),
        "the process ends": _exits("main"),
        "the child ends": _exits("child"),
    }
    with standing_in(functions):
        start = Holding(World([PortConfig("v0", tx_slots=SLOTS, rx_slots=SLOTS)], p.switches))
        reachable(p, start, moves, _checks, key=Holding.key, depth=12)


obligation(
    "14.life.holders",
    clauses=(
        *("14.close.last-reference", "14.close.returns"),
        *("14.memory.mapping-holds", "14.nic.netmap-mode"),
    ),
    statement="""A binding lives as long as anybody holds it: a descriptor of any process, made by open, dup
    or fork, or a mapping; what a process held goes when it ends. So long the port is in netmap mode: frames
    from the wire are its rings', those of the host do not go out; with the last holder rings and buffers are
    given back, and frames pass between wire and host.""",
    functions=_FUNCTIONS,
    control=Control(
        "a mapping holds nothing",
        Slip(
            close.held,
            "file in s.holders.values() or file in s.mapped.values() -> file in s.holders.values()",
        ),
        goal=_LIVES,
    ),
    bounds="""One open file, two descriptors and a mapping of it in each of two processes, every sequence of
    up to twelve moves, which is every state there is: more of either are held and dropped in the same
    way.""",
    rules=(),
    whole_device=True,
)(holders_body)

"""Generation 14: an interface that goes down and comes up again under those who use its port."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

from netmap_reference.core.choice import eager
from netmap_reference.gen14 import notify
from netmap_reference.gen14.ports import interface, nic
from netmap_reference.gen14.ring import Kring
from netmap_reference.gen14.state import TX
from netmap_reference.gen14.world import PortConfig, World

from .. import life14
from ..engine import Proof
from ..life14 import SLOTS, Life
from ..mutation.planting import Slip, standing_in
from ..obligation import Control, obligation
from ..schemas.reachable import reachable

Positions = tuple[tuple[str, Kring], ...]


@dataclass(frozen=True)
class Link(Life):
    """``down``: the interface is; ``kept``: the rings as they were when it went; ``wrong``: what is not as it
    should be."""

    down: bool = False
    kept: Positions = ()
    wrong: str = ""

    def key(self) -> Hashable:
        return (super().key(), self.down, self.kept, self.wrong)


Move = Callable[[Link], Link | None]


def _rings(world: World) -> Positions:
    return tuple(sorted((k.name, k.pos) for k in world.system().krings.values() if not k.host))


def _binds(life: Link) -> Link | None:
    """Only while the interface is up: what a bind finds that is down is 14.nic.netmap-mode's."""
    done = life14.bind("A", "v0")(life) if not life.down else None
    return done if isinstance(done, Link) else None


def _closes(life: Link) -> Link | None:
    if not life.bound("A"):
        return None
    world = life.world.clone()
    world.close("A")
    return replace(life, world=world, kept=())


def _syncs(t: str, moves: bool) -> Move:
    """A hands a slot over, or back, and syncs; while the interface is down the sync fails."""

    def move(life: Link) -> Link | None:
        if not life.bound("A"):
            return None
        world = life.world.clone()
        view = world.ring("A", f"{t}0")
        if moves:
            if view.head == view.tail:
                return None
            slot = view.slot[view.head]
            slot.len, slot.flags = 60, 0
            view.head = view.cur = (view.head + 1) % view.num_slots
        got = (world.txsync if t == TX else world.rxsync)("A", eager).outcome
        fine = got.ok if not life.down else got.detail == "EIO"
        wrong = "" if fine else f"{t}: {got}, down: {life.down}"
        polled = world.poll("A", frozenset({"out" if t == TX else "in"}), eager)
        if life.down and ("err" not in polled.revents or polled.asleep):
            wrong = f"{t}: poll finds {sorted(polled.revents)}"
        return replace(life, world=world, wrong=life.wrong or wrong)

    return move


def _frame(life: Link) -> Link | None:
    world = life.world.clone()
    before = world.system().ports["v0"].incoming
    world.frame("v0", "wire", b"x" * 60, eager)
    lost = world.system().ports["v0"].incoming == before and world.frames("v0", "host") == []
    wrong = "" if lost or not life.down else "a frame arrives at an interface that is down"
    return replace(life, world=world, wrong=life.wrong or wrong)


def _down(life: Link) -> Link | None:
    if life.down:
        return None
    world = life.world.clone()
    got = world.link("v0", False, eager)
    wrong = "" if got.fired == (interface.LINK_DOWN,) else f"going down fires {got.fired}"
    return replace(life, world=world, down=True, kept=_rings(world), wrong=life.wrong or wrong)


def _up(life: Link) -> Link | None:
    """It comes up: a device with rings of its own starts again, and those who sleep look."""
    if not life.down:
        return None
    world = life.world.clone()
    own = not world.system().ports["v0"].driver.copies
    got = world.link("v0", True, eager)
    wrong = "" if interface.LINK_UP in got.fired else f"coming up fires {got.fired}"
    for (name, before), (_, now) in zip(life.kept, _rings(world), strict=True):
        wanted = nic.netmap_reset(before, ":tx" in name).state.kring if own else before
        if now != wanted:
            wrong = f"{name}: {before} becomes {now}"
    woken = notify.NOTIFY in got.fired
    if woken != (own and bool(life.kept)):
        wrong = f"who sleeps is {'' if woken else 'not '}woken"
    return replace(life, world=world, down=False, kept=(), wrong=life.wrong or wrong)


_DOWN = "while the interface is down nothing in its rings moves"
_SAID = "calls fail, frames are lost, and the rings are there again when it is up"


def _checks(life: Link) -> life14.Found:
    s = life.world.system()
    yield _SAID, not life.wrong, life.wrong
    now = dict(_rings(life.world))
    moved = [name for name, k in life.kept if (k.hwcur, k.hwtail) != (now[name].hwcur, now[name].hwtail)]
    yield _DOWN, not moved, f"{moved}"
    yield from life14.pools(s)
    yield from life14.positions(s)


_FUNCTIONS = (interface.link,)


def down_body(p: Proof, *functions: Callable[..., Any]) -> None:
    moves: dict[str, Move] = {
        "A binds": _binds,
        "A closes": _closes,
        "A sends": _syncs("tx", True),
        "A syncs": _syncs("tx", False),
        "A gives a slot back": _syncs("rx", True),
        "A looks": _syncs("rx", False),
        "a frame arrives": _frame,
        "the interface goes down": _down,
        "it comes up": _up,
    }
    with standing_in(functions):
        for kind, port in (
            ("a driver's", PortConfig("v0", tx_slots=SLOTS, rx_slots=SLOTS, driver="e1000")),
            ("emulated", PortConfig("v0", tx_slots=SLOTS, rx_slots=SLOTS, emulated=True)),
        ):
            start = Link(World([port], p.switches))
            reachable(p, start, moves, _checks, key=Link.key, depth=7, label=kind)


obligation(
    "14.life.interface-down",
    clauses=("14.nic.down", "14.sync.stopped", "14.nic.reset", "14.ring.kring-order"),
    statement="""While the interface of a port in use is down its syncs and polls fail, what is sent to it is
    lost, and nothing in its rings moves. When it comes up again an emulated port's rings are as they were; a
    device with rings of its own starts again as 14.nic.reset has it, and who sleeps is woken to look.""",
    functions=_FUNCTIONS,
    control=Control(
        "an interface that comes up is not told",
        Slip(interface.link, "if up -> if not up #4"),
        goal=_SAID,
    ),
    bounds="""A port with rings of three slots, a driver's and the emulated adapter's, one descriptor: every
    sequence of up to seven binds, closes, syncs, frames and changes of the link. Nothing is counted but what
    lies in the rings.""",
    rules=(),
    whole_device=True,
)(down_body)

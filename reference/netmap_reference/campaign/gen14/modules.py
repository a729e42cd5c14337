"""A switch of another module in the campaign: it decides where packets go, and nothing else does.

``module-call`` makes the switch, changes its functions, lets it go, or asks what was told, now and then with
the wrong token. ``module-send`` sends one frame on the switch and looks who got it: nobody but whom the
module answered with, at the ring it said, and each of these that had room. ``module-config`` asks the switch
with NIOCCONFIG.
"""

from __future__ import annotations

from random import Random
from typing import Any

from netmap_spec.abi import api14

from ...core.choice import Choose
from ...gen14 import bind, switch
from ...gen14.result import Result
from ...gen14.ring import distance
from ...gen14.state import System
from ...gen14.switch import Bridge
from ...gen14.world import World
from ..subject import Broken, Unit
from . import vale
from .plug import Extension, Found

SWITCH = "vale6"
_NIOCCONFIG = next(codes["NIOCCONFIG"] for codes in api14.IOCTLS.values() if "NIOCCONFIG" in codes)
_CLAUSE = "14.callbacks.lookup"
_FRAME = b"\xff" * 6 + bytes((2, 0, 0, 0, 0, 9, 0x88, 0xB5)) + bytes(46)


def _port(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": f"{SWITCH}:{name}", "tx_slots": 5, "rx_slots": 5, **fields}


BINDINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "K": (_port("x", tx_rings=2, rx_rings=2), _port("x")),
    "L": (_port("y", rx_rings=2), _port("y", mode="ONE_NIC")),
    "Z": (_port("z"),),
}


# --- what is drawn --------------------------------------------------------------------------------


def _draw_call(world: World, fd: str, rng: Random) -> Unit:
    if fd not in BINDINGS:
        return ()
    answer = rng.choice((0, 1, 2, 2, 7, "all", "all", "none"))
    functions = {"lookup": answer, "ring": rng.choice((-1, -1, 0, 1, 5))}
    action, fields = rng.choice(
        (
            ("create", {}),
            ("create", {}),
            ("regops", functions),
            ("regops", functions),
            ("regops", {"config": rng.choice(("OK", "ENOSYS")), "dtor": 1}),
            ("regops", {}),
            ("update", functions),
            ("destroy", {}),
            ("told", {}),
        )
    )
    if action not in ("create", "told") and rng.random() < 0.1:
        fields = {**fields, "token": 0}
    return (("module-call", {"action": action, "fields": fields, "choose": rng.randrange(1 << 30)}),)


def _draw_send(world: World, fd: str, rng: Random) -> Unit:
    if not _name(world.system(), fd):
        return ()
    rings = [ring for ring in world.rings(fd) if ring[0] == "t"]
    args = {"fd": fd, "ring": rng.choice(rings), "choose": rng.randrange(1 << 30)}
    return (("module-send", args),)


def _draw_config(world: World, fd: str, rng: Random) -> Unit:
    if fd not in BINDINGS or not any(held == fd for _, held in world.system().holders):
        return ()
    return (("module-config", {"fd": fd}),) if rng.random() < 0.3 else ()


# --- what is made ---------------------------------------------------------------------------------


def _name(s: System, fd: str) -> str:
    """The port of the switch that a descriptor is bound to."""
    return vale.bound(s, fd) if fd in BINDINGS else ""


def _call(world: World, args: dict[str, Any], choose: Choose) -> Result:
    return world.module(args["action"], f"{SWITCH}:", args["fields"], choose)


def _config(world: World, args: dict[str, Any], choose: Choose) -> Result:
    return world.ioctl(args["fd"], _NIOCCONFIG, name=f"{SWITCH}:")


def _send(world: World, args: dict[str, Any], choose: Choose) -> Result | None:
    """Send what is there already, then one frame, and look who got it."""
    s, fd = world.system(), args["fd"]
    port = _name(s, fd)
    if not port or args["ring"] not in world.rings(fd):
        return None
    before = world.txsync(fd, choose)
    ring, a = world.ring(fd, args["ring"]), bind.allocator(s, port)
    if not before.outcome.ok or max(ring.tail, ring.head) >= ring.num_slots or ring.tail == ring.head:
        return before
    slot = ring.slot[ring.head]
    if not 2 <= slot.buf_idx < a.buffers:
        return before  # an application that writes what it likes has lost this slot
    s.regions[a.id].write(a.buf_offset(slot.buf_idx), _FRAME)
    slot.len, slot.flags, slot.ptr = len(_FRAME), 0, 0
    ring.head = ring.cur = (ring.head + 1) % ring.num_slots
    was = world.clone().system()
    after = world.txsync(fd, choose)
    if after.outcome.ok:
        decided(was, world.system(), port)
    return Result(after.outcome, (*before.fired, *after.fired))


# --- what a module's switch does ------------------------------------------------------------------


def meant(b: Bridge, port: str) -> set[str]:
    """The ports that a frame of ``port`` is for, by what the module answers."""
    answer, _ = b.lookup
    others = {index: name for index, name in b.ports if name != port}
    if answer == switch.BROADCAST:
        return set(others.values())
    return {others[answer]} if answer in others else set()


def decided(was: System, now: System, port: str) -> None:
    """Raises :class:`Found` when a frame went elsewhere than the module said, or not there."""
    vp = was.adapters[port].vp
    if vp is None or vp.bridge < 0 or not was.bridges[vp.bridge].lookup:
        return
    b = was.bridges[vp.bridge]
    due = meant(b, port)
    # What goes to all goes to their first ring, whatever ring the module says.
    at = 0 if b.lookup[0] == switch.BROADCAST else b.lookup[1]
    for _, name in b.ports:
        rings = vale.open_rings(was, name)
        got = [k for k in rings if now.krings[k.name].pos.hwtail != k.pos.hwtail]
        if got and name not in due:
            raise Found(Broken("module_lookup", _CLAUSE, f"{name} got what was not for it"))
        number = was.adapters[name].rx_rings
        if at >= 0 and any(k.index != at % number for k in got):
            raise Found(Broken("module_ring", _CLAUSE, f"{name} got it at another ring than {at}"))
        room = all(distance(k.pos.hwtail, k.pos.hwcur, k.pos.n) != 1 for k in rings)
        if name in due and not got and room and len(rings) == number and vale.orderly(was, name):
            raise Found(Broken("module_lost", _CLAUSE, f"{name} did not get what is for it"))


MODULES: Extension = Extension(
    "modules",
    bindings=BINDINGS,
    kinds={"module-call": _draw_call, "module-send": _draw_send, "module-config": _draw_config},
    weight=3,
    operations={"module-call": _call, "module-send": _send, "module-config": _config},
    chapters=("14/callbacks/",),
    unreachable={"14/callbacks/create/no-place": "there are places left: a campaign has two switches"},
)

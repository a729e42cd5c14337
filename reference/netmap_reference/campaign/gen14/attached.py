"""Interfaces and their host stacks on a switch, in the campaign of generation 14.

``attached-frames`` has frames that carry who they are come in at an attached interface, from its wire or its
host stack, and then looks at everything that could have got them: receive rings of the switch's ports, wires
and host stacks (:func:`.vale.compare`). ``attached-request`` attaches, detaches and polls, and asks VALE_LIST
before and after, as a program would, what the switch has: a request that succeeds changes that, and one that
fails does not. Neither looks into tables or queues of the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from ...core.choice import Choose, eager
from ...gen14.result import Result
from ...gen14.state import TX, System
from ...gen14.switch import BWRAP, BWRAP_HOST, MAXPORTS, NOPORT
from ...gen14.world import World
from ..subject import Broken, Unit
from .plug import Extension, Found
from .vale import SWITCH, compare, frame_of, outputs, quiet

#: A device of a driver that gathers fragments, and an emulated one: both with wires the environment holds.
INTERFACES = ("w0", "w1")


def _header(header: dict[str, Any], rng: Random) -> None:
    slots = rng.choice((6, 9))
    header["config"]["ports"] += [
        {"name": "w0", "tx_slots": slots, "rx_slots": slots, "tx_rings": 2, "rx_rings": 2},
        {"name": "w1", "tx_slots": slots, "rx_slots": slots, "driver": "emulated"},
    ]


# --- what is drawn --------------------------------------------------------------------------------


def _attached(s: System) -> list[tuple[str, str, str]]:
    """(adapter on the switch, interface, side) of the interfaces that are attached."""
    sides = {BWRAP: "wire", BWRAP_HOST: "host"}
    found = [
        (na.name, na.vp.below, sides[na.kind]) for na in s.adapters.values() if na.kind in sides and na.vp
    ]
    return [one for one in found if one[1] in s.ports]


def _draw_frames(world: World, fd: str, rng: Random) -> Unit:
    found = [x for x in _attached(world.system()) if not world.system().adapters[x[1]].interface]
    if not found:
        return ()
    _, port, side = rng.choice(found)
    packets = []
    for _ in range(rng.randint(1, 3)):
        to = rng.choice(("group", "own", "new", "other", "other"))
        packets.append(
            [to, rng.choice((0, 1, 2, 3, 4, -1)), rng.randrange(5), [rng.choice((60, 61, 128, 1500))], 0]
        )
    args = {"port": port, "side": side, "packets": packets, "choose": rng.randrange(1 << 30)}
    return (("attached-frames", args),)


def _draw_request(world: World, fd: str, rng: Random) -> Unit:
    if not any(held == fd for _, held in world.system().holders):
        return ()
    name = f"{SWITCH}:{rng.choice(('w0', 'w0', 'w1', 'w1', 'v1', 'lasting', 'w0^', 'a', 'nobody'))}"
    if rng.random() < 0.05:
        name = name.replace(SWITCH, "vale1")
    modes: tuple[tuple[str, dict[str, Any]], ...] = (
        *[("VALE_ATTACH", {"mode": mode}) for mode in ("ALL_NIC", "NIC_SW", "NIC_SW", "NIC_SW")],
        ("VALE_ATTACH", {"mode": "ONE_NIC"}),
        ("VALE_ATTACH", {"mode": "NIC_SW", "ringid": 1}),
        ("VALE_DETACH", {}),
        ("VALE_POLLING_ENABLE", {"mode": rng.randrange(4), "num_polling_cpus": rng.randrange(3)}),
        ("VALE_POLLING_DISABLE", {}),
        ("VALE_POLLING_DISABLE", {}),
    )
    request, fields = rng.choice(modes)
    args = {
        "fd": fd,
        "request": request,
        "fields": {"name": name, **fields},
        "choose": rng.randrange(1 << 30),
    }
    return (("attached-request", args),)


def _draw_link(world: World, fd: str, rng: Random) -> Unit:
    port, choose = rng.choice(INTERFACES), rng.randrange(1 << 30)
    if world.system().adapters[port].interface:
        return (("link", {"port": port, "up": True, "choose": choose}),)
    if rng.random() < 0.5:
        return (("reset", {"port": port, "choose": choose}),)
    return (("link", {"port": port, "up": False, "choose": choose}),) if rng.random() < 0.3 else ()


# --- what is made ---------------------------------------------------------------------------------


def _frames(world: World, args: dict[str, Any], choose: Choose) -> Result | None:
    """Frames come in; who has got them when everything has arrived?

    Frames of several receive rings are in no order, so of such an interface one is looked at after the other.
    """
    port, side = args["port"], args["side"]
    s = world.system()
    sender = next((n for n, below, where in _attached(s) if (below, where) == (port, side)), "")
    if not sender or s.adapters[port].interface:
        return None
    sent = [frame_of(packet, number, 0, args["choose"]) for number, packet in enumerate(args["packets"])]
    alone = side == "wire" and s.adapters[port].rx_rings > 1
    fired: list[str] = []
    for together in [[packet] for packet in sent] if alone else [sent]:
        quiet(world)
        outputs(world)
        was = world.clone()
        for packet in together:
            fired += world.frame(port, side, b"".join(packet.fragments), choose).fired
        quiet(world)
        compare(was.system(), world.system(), sender, together, outputs(world))
    return Result(fired=tuple(fired))


def _listed(world: World, fd: str, name: str, choose: Choose) -> int:
    """The index VALE_LIST tells of a port, :data:`NOPORT` for none; asked of a copy."""
    found = world.clone().ctl(fd, "VALE_LIST", {"name": name}, choose)
    return int(found.out["nr_port_idx"]) if found.outcome.ok else NOPORT


def _request(world: World, args: dict[str, Any], choose: Choose) -> Result:
    """A request, and what the switch has before and after it."""
    fd, request, name = args["fd"], args["request"], args["fields"]["name"]
    before = {n: _listed(world, fd, n, eager) for n in (name, f"{name}^")}
    result = world.ctl(fd, request, args["fields"], choose)
    after = {n: _listed(world, fd, n, eager) for n in (name, f"{name}^")}
    clause = {"VALE_ATTACH": "14.switch.attach", "VALE_DETACH": "14.switch.detach"}.get(
        request, "14.bwrap.polling"
    )
    what = f"{request} of {args['fields']}: {result.outcome}, listed before {before}, after {after}"
    if not result.outcome.ok or clause == "14.bwrap.polling":
        if before != after:
            raise Found(Broken("nothing_changed", clause, what))
        return result
    told = result.out["port_index"]
    if request == "VALE_ATTACH":
        host = args["fields"]["mode"] == "NIC_SW" and not name.endswith(":lasting")
        good = before[name] == NOPORT and after[name] == told and (after[f"{name}^"] != NOPORT) == host
    else:
        made = name.endswith(":a")  # a port that REGISTER made stays
        good = before[name] == told and (after[name] == NOPORT) != made and after[f"{name}^"] == NOPORT
    if not good:
        raise Found(Broken("as_told", clause, what))
    return result


# --- what holds of any state ----------------------------------------------------------------------


def _check(s: System) -> Iterator[Broken]:
    """Indices of a switch: each once, given or free; and whoever is a port of it knows which."""
    for place, b in s.bridges.items():
        given = [index for index, _ in b.ports]
        if sorted((*given, *b.free)) != list(range(MAXPORTS)):
            yield Broken("indices", "14.switch.index", f"{b.name}: given {given}, {len(b.free)} free")
        for index, name in b.ports:
            vp = s.adapters[name].vp if name in s.adapters else None
            if vp is None or (vp.bridge, vp.index) != (place, index):
                yield Broken("member", "14.switch.index", f"{b.name} has {name} at {index}, which says {vp}")
    for name, below, side in _attached(s):
        nic = s.adapters.get(below)
        if nic is None or nic.fds != 1 or not nic.on:
            yield Broken("bound", "14.switch.attach", f"{name} stands for {below}: {nic}")
        for k in s.krings.values():
            mine = k.adapter == below and k.t != TX and k.host == (side == "host") and k.name not in s.busy
            if mine and k.pos.hwcur != k.pos.hwtail and nic is not None and not nic.interface:
                yield Broken("forwarded", "14.bwrap.forwards", f"{k.name} holds what has arrived: {k.pos}")


ATTACHED: Extension = Extension(
    "attached",
    bindings={
        "Y": (
            {"name": "w1"},
            {"name": f"{SWITCH}:w0"},
            {"name": "w0", "flags": "NR_MONITOR_TX|NR_MONITOR_RX"},
        )
    },
    header=_header,
    kinds={"attached-frames": _draw_frames, "attached-request": _draw_request, "attached-link": _draw_link},
    weight=4,
    operations={"attached-frames": _frames, "attached-request": _request},
    chapters=("14/bwrap/",),
    check=_check,
)

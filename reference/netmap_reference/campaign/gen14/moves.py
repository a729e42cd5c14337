"""What applications and environment of generation 14 do in a campaign.

Operations of well-behaved applications are relative (``put``: at most so many packets as there is room
for), so that they stay well-behaved in a shrunk trace. Every operation in which the kernel or a NIC has
a choice carries the seed of its choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from netmap_spec.abi import api14

from ...gen14.stop import DOWN, GONE
from ...gen14.world import World
from ..subject import Operation, Unit
from .acts import STORES, room
from .plug import EXTENSIONS

#: What descriptors are bound to, by letter: pipes and their ends, wires with host rings, shared wires.
BINDINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "A": ({"name": "x{1", "tx_slots": 5, "rx_slots": 3, "tx_rings": 2}, {"name": "x{1"}),
    "B": ({"name": "x}1"}, {"name": "x}1", "flags": "NR_NO_TX_POLL"}),
    "C": ({"name": "v0", "mode": "NIC_SW", "extra_bufs": 2}, {"name": "v0", "mode": "SW"}, {"name": "v0"}),
    "D": ({"name": "v1"}, {"name": "v1", "mode": "NIC_SW"}),
    "E": ({"name": "p0"},),
    "F": ({"name": "p1", "flags": "NR_DO_RX_POLL"}, {"name": "p1"}),
    # Pipes below an end of A's pipe, which lives as long as they do.
    "P": ({"name": "x}1{2", "tx_slots": 3, "rx_slots": 4},),
    "Q": ({"name": "x}1}2"}, {"name": "x{1{2"}),
    # Another process beside A, and one beside C and D: rings of several descriptors.
    "G": ({"name": "x{1", "mode": "ONE_NIC", "ringid": 1}, {"name": "x{1"}),
    "H": (
        {"name": "v0", "mode": "ONE_NIC"},
        {"name": "v0", "mode": "NIC_SW", "host_tx_rings": 2, "host_rx_rings": 2},
        {"name": "v1"},
        {"name": "v0", "flags": "NR_EXCLUSIVE"},
    ),
}
for extension in EXTENSIONS:
    if clash := BINDINGS.keys() & extension.bindings:
        raise ValueError(f"{extension.name}: descriptors {sorted(clash)} are another chapter's")
    BINDINGS |= extension.bindings
#: Pairs of rings on a wire: slots of the one end's transmit rings are those of the other's receive rings.
SIZES = (3, 4, 5, 6)
#: Descriptors of a machine that does not have all.
FEW = 7
_U32 = (0, 1, 2, 3, 4, 5, 2**31, 2**32 - 1)


def header(rng: Random) -> dict[str, Any]:
    """Two wires, one of them between drivers that share buffers, and the applications' manners."""
    a, b, c, d = (rng.choice(SIZES) for _ in range(4))
    ports = [
        {"name": "v0", "peer": "v1", "tx_slots": a, "rx_slots": b},
        {
            "name": "v1",
            "peer": "v0",
            "tx_slots": b,
            "rx_slots": a,
            "driver": rng.choice(("emulated", "e1000")),
        },
        {"name": "p0", "peer": "p1", "tx_slots": c, "rx_slots": d, "driver": "veth"},
        {"name": "p1", "peer": "p0", "tx_slots": d, "rx_slots": c, "driver": "veth"},
    ]
    made: dict[str, Any] = {"profile": rng.choice(("good", "wild")), "config": {"ports": ports}}
    # Every other machine has a few of the descriptors only: there is met what takes many steps of the same.
    made["letters"] = sorted(FDS if rng.random() < 0.5 else rng.sample(FDS, FEW))
    for extension in EXTENSIONS:
        extension.header(made, rng)
    return made


def is_open(world: World, fd: str) -> bool:
    return any(held == fd for _, held in world.system().holders)


def is_bound(world: World, fd: str) -> bool:
    s = world.system()
    return any(held == fd and s.files[file].adapter for (_, held), file in s.holders.items())


def is_down(world: World, name: str) -> bool:
    """Is the interface of this name down? What a REGISTER finds then is not modelled."""
    na = world.system().adapters.get(name)
    return na is not None and na.interface == DOWN


def is_gone(world: World, name: str) -> bool:
    """Has the interface of this name gone? All that can happen to it is that it comes back."""
    na = world.system().adapters.get(name)
    return na is None or na.interface == GONE


def exists(world: World, op: str, args: dict[str, Any]) -> bool:
    """Are the descriptor and the ring there that the operation names?"""
    if op == "open":
        return not is_open(world, args["fd"])
    if "fd" in args and not is_open(world, args["fd"]):
        return False
    if op == "register":
        return not is_bound(world, args["fd"]) and not is_down(world, args["fields"]["name"])
    if op == "attach":
        return args["port"] in world.system().adapters and is_gone(world, args["port"])
    if op in ("link", "reset", "detach", "frame"):
        return not is_gone(world, args["port"])
    if op in STORES:
        if not is_bound(world, args["fd"]):
            return False
        rings = world.rings(args["fd"])
        return all(args[word] in rings for word in ("ring", "rx", "tx") if word in args)
    return True


def draw(world: World, profile: str, letters: Sequence[str], rng: Random) -> Unit:
    """The next unit, of one of these descriptors; weights by repetition."""
    kinds = _KINDS + (["scribble", "long"] * 5 + ["spoil"] * 2 if profile == "wild" else [])
    while True:
        fd, kind = rng.choice(letters), rng.choice(kinds)
        special = _SPECIAL.get(kind)
        unit = special(world, fd, rng) if special else _unit(world, fd, kind, rng)
        if unit:
            return unit


_KINDS = ["put"] * 6 + ["release"] * 6 + ["txsync", "rxsync", "poll"] * 4 + ["exchange"] * 3
_KINDS += (
    ["overlap", "link", "reset"]
    + ["frame"] * 4
    + ["tau"] * 3
    + ["frames", "forward", "forward", "close", "close", "unbound", "exit"]
    + ["bind"] * 3
    + ["bridge"] * 2
)
FDS = tuple(BINDINGS)
_SPECIAL = {kind: draw for extension in EXTENSIONS for kind, draw in extension.kinds.items()}
_KINDS += [kind for extension in EXTENSIONS for kind in extension.kinds for _ in range(extension.weight)]


def _unit(world: World, fd: str, kind: str, rng: Random) -> Unit:
    choose = rng.randrange(1 << 30)
    if kind == "bind":
        fields = {"fd": fd, "fields": rng.choice(BINDINGS[fd]), "choose": choose}
        return () if is_open(world, fd) else (("open", {"fd": fd}), ("register", fields))
    if kind == "unbound":  # calls of a descriptor that is bound to nothing
        if is_open(world, fd) or rng.random() < 0.8:
            return ()
        calls: list[Operation] = [(op, {"fd": fd, "choose": choose}) for op in ("txsync", "rxsync")]
        calls.append(("poll", {"fd": fd, "events": ["in"], "choose": choose}))
        return (("open", {"fd": fd}), *calls, ("close", {"fd": fd}))
    if kind == "frame":
        size, port = rng.choice((14, 60, 1514, 1514, 2048, 3000)), rng.choice(("v0", "v1"))
        side = rng.choice(("wire", "host"))
        return (("frame", {"port": port, "side": side, "bytes": size, "choose": choose}),)
    if kind == "link":
        port = rng.choice(("v0", "v1"))
        if world.system().adapters.get(port) is None:
            return ()
        if is_gone(world, port):
            return (("attach", {"port": port, "choose": choose}),) if rng.random() < 0.3 else ()
        if rng.random() < 0.01:
            return (("detach", {"port": port, "choose": choose}),)
        return (("link", {"port": port, "up": is_down(world, port) or rng.random() < 0.5, "choose": choose}),)
    if kind == "reset":
        return (("reset", {"port": rng.choice(("v0", "v1", "p0")), "choose": choose}),)
    if kind == "exit":  # a process ends with all it has
        return (("exit", {"process": rng.choice(("other", "third"))}),) if rng.random() < 0.2 else ()
    if kind == "tau":
        return (("tau", {"choose": choose}),)
    if kind == "frames":
        return tuple(("frames", {"port": p, "side": s}) for p in ("v0", "v1") for s in ("wire", "host"))
    if not is_bound(world, fd):
        return ()
    if kind == "close":
        return (("close", {"fd": fd}),) if rng.random() < 0.5 else ()
    if kind in ("txsync", "rxsync"):
        return ((kind, {"fd": fd, "choose": choose}),)
    if kind == "overlap":  # another call, or an interrupt, comes while a sync is half done
        inner = rng.choice(("txsync", "rxsync", "poll", "tau"))
        events = rng.choice((["in"], ["out"], ["in", "out"]))
        t = rng.choice(("tx", "rx"))
        return (("overlap", {"fd": fd, "t": t, "op": inner, "events": events, "choose": choose}),)
    if kind == "poll":
        events = [e for e in ("in", "out", "rdnorm", "wrnorm") if rng.random() < 0.4]
        return (("poll", {"fd": fd, "events": events, "choose": choose}),)
    if kind == "forward":
        return (("forward", {"fd": fd}),)
    if kind == "bridge":
        return _bridge(world, fd, rng)
    return _store(world, fd, kind, rng)


def _spoil(world: World, fd: str, ring: str, rng: Random) -> Unit:
    """The next two slots of a ring name buffers or memory there is not, and are synced."""
    r = world.ring(fd, ring)
    if r.head >= r.num_slots or not room(r):
        return ()
    first, second = rng.choice(
        (
            ({"buf_idx": 2**31}, {"buf_idx": 0}),
            ({"flags": api14.NS_MOREFRAG}, {"flags": api14.NS_INDIRECT}),
            ({"flags": api14.NS_INDIRECT}, {"flags": 0}),
        )
    )
    index, choose = {"fd": fd, "ring": ring, "index": r.head}, rng.randrange(1 << 30)
    behind = {**index, "index": (r.head + 1) % r.num_slots}
    slots: Unit = (("slot", {**index, "set": first}), ("slot", {**behind, "set": second}))
    if ring[0] == "t":
        sent = {"fd": fd, "ring": ring, "count": 2, "len": 60, "flags": 0}
        return (*slots, ("put", sent), ("txsync", {"fd": fd, "choose": choose}))
    released = {"fd": fd, "ring": ring, "count": 2, "see": 0}
    return (*slots, ("release", released), ("rxsync", {"fd": fd, "choose": choose}))


def _bridge(world: World, fd: str, rng: Random) -> Unit:
    """A frame comes to a port with host rings, and its application passes on what is there."""
    s = world.system()
    name = next(s.files[file].adapter for (_, held), file in s.holders.items() if held == fd)
    if name not in ("v0", "v1") or not any(s.krings[f"{name}:{ring}"].host for ring in world.rings(fd)):
        return ()
    frame = {"port": name, "side": rng.choice(("wire", "host", "host")), "bytes": 60}
    unit: list[Operation] = [("frame", frame), ("rxsync", {"fd": fd}), ("forward", {"fd": fd})]
    for ring in world.rings(fd):
        if ring[0] == "r":
            unit.append(("release", {"fd": fd, "ring": ring, "count": rng.randint(1, 3), "see": 0}))
    unit.append(rng.choice((("rxsync", {"fd": fd}), ("poll", {"fd": fd, "events": ["in"]}))))
    return tuple((op, {**args, "choose": rng.randrange(1 << 30)}) for op, args in unit)


def _store(world: World, fd: str, kind: str, rng: Random) -> Unit:
    rx = [r for r in world.rings(fd) if r[0] == "r"]
    tx = [r for r in world.rings(fd) if r[0] == "t"]
    if kind == "exchange":
        return (("exchange", {"fd": fd, "rx": rng.choice(rx), "tx": rng.choice(tx)}),) if rx and tx else ()
    if kind in ("put", "long") and tx:
        flags = rng.choice((0, 0, 0, api14.NS_MOREFRAG, api14.NS_REPORT))
        length = rng.choice((10, 14, 60, 1514, 1516) if kind == "put" else (2048, 2049, 65535))
        args = {"fd": fd, "ring": rng.choice(tx), "count": rng.randint(0, 6), "len": length, "flags": flags}
        return (("put", args),)
    if kind == "release" and rx:
        see = rng.randint(0, 2)
        return (("release", {"fd": fd, "ring": rng.choice(rx), "count": rng.randint(0, 6), "see": see}),)
    if kind == "spoil" and rx + tx:
        return _spoil(world, fd, rng.choice(rx + tx), rng)
    if kind == "scribble" and rx + tx:
        ring = rng.choice(rx + tx)
        n = world.ring(fd, ring).num_slots
        word = rng.choice(("head", "cur", "tail", "flags", "buf_idx", "buf_idx", "len", "slot_flags"))
        value = rng.choice((*_U32, n - 1, n))
        if word == "slot_flags":
            value = rng.choice((*_U32, api14.NS_INDIRECT, api14.NS_INDIRECT | api14.NS_MOREFRAG))
        if word in ("head", "cur", "tail", "flags"):
            return (("ring", {"fd": fd, "ring": ring, "set": {word: value}}),)
        if word == "len":
            value = rng.choice((0, 2048, 2049, 65535))
        name = "flags" if word == "slot_flags" else word
        made = {name: value % 2**16 if name == "flags" else value}
        return (("slot", {"fd": fd, "ring": ring, "index": rng.randrange(n), "set": made}),)
    return ()

"""Monitors in the campaign of generation 14: they come and go while the ports they watch are used.

A zero-copy monitor's buffers are counted with all others (:func:`.objects.places`). What a copy monitor shows
is held against the sender's own slots by ``witness``: it reads what the application has put into a ring, lets
it sync, and compares what has come to each monitor of that ring, without asking the model how it got there.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from netmap_spec.abi import api14

from ...core.choice import Choose
from ...gen14 import memory
from ...gen14.bind import allocator, ring_at
from ...gen14.ring import distance
from ...gen14.state import RX, TX, KringState, System
from ...gen14.world import Result, World
from ..subject import Broken, Unit
from .plug import Extension

_BOTH, _ZCOPY = "NR_MONITOR_TX|NR_MONITOR_RX", "NR_ZCOPY_MON"
#: Ports whose wires the environment can put frames on.
WIRES = ("v0", "v1")
_OFFSETS = [{"type": "OFFSETS", "max_offset": 64, "initial_offset": 16}]


def _packets(s: System, k: KringState, start: int, end: int) -> list[tuple[bytes, int]]:
    """Bytes and flags of a ring's slots from ``start`` up to ``end``; None of them has an offset."""
    a = allocator(s, k.adapter)
    region, found, i = s.regions[a.id], [], start
    while i != end:
        slot = memory.read_slot(region, ring_at(s, k), i)
        length = min(slot.len, a.buf_size)
        buf_idx = slot.buf_idx if slot.buf_idx < a.buf_pool.objtotal else 0
        found.append((region.read(a.buf_offset(buf_idx), length), slot.flags))
        i = (i + 1) % k.pos.n
    return found


def _draw(world: World, fd: str, rng: Random) -> Unit:
    s = world.system()
    file = next((file for (_, held), file in s.holders.items() if held == fd), None)
    if file is None or not s.files[file].adapter:
        return ()
    f = s.files[file]
    rings = [i for i in range(*f.tx) if s.krings[f"{f.adapter}:tx{i}"].copies]
    if rng.random() < 0.3 and any(s.krings[f"{f.adapter}:rx{i}"].copies for i in range(*f.rx)):
        return _interrupted(fd, f.adapter, rng)
    if not rings:
        return ()
    return (("witness", {"fd": fd, "ring": rng.choice(rings), "choose": rng.randrange(1 << 30)}),)


def _interrupted(fd: str, port: str, rng: Random) -> Unit:
    """An interrupt comes for a watched ring while its application syncs it."""
    frame = {"port": port, "side": "wire", "bytes": 60, "choose": rng.randrange(1 << 30)}
    args = {"fd": fd, "t": "rx", "op": "tau", "events": ["in"], "choose": rng.randrange(1 << 30)}
    arrive: Unit = (("frame", frame),) * 2 if port in WIRES else ()
    return (*arrive, ("overlap", args))


def _watch(world: World, fd: str, rng: Random) -> Unit:
    """A monitor comes to a port that is in use: of all that may, one that is not open."""
    s = world.system()
    opened = {held for _, held in s.holders}
    wanted = [
        (letter, fields)
        for letter, bindings in MONITORS.bindings.items()
        for fields in bindings
        if letter not in opened and fields["name"] in s.adapters and s.adapters[fields["name"]].on
    ]
    if not wanted or rng.random() < 0.5:
        return ()
    letter, fields = rng.choice(wanted)
    made = {"fd": letter, "fields": fields, "choose": rng.randrange(1 << 30)}
    return (("open", {"fd": letter}), ("register", made))


def _witness(world: World, args: dict[str, Any], choose: Choose) -> Result | None:
    """A txsync whose copies are compared with what was put into the ring. Raises when they differ."""
    fd, name = args["fd"], f"tx{args['ring']}"
    if name not in world.rings(fd):
        return None
    s = world.system()
    file = next(file for (_, held), file in s.holders.items() if held == fd)
    k = s.krings[f"{s.files[file].adapter}:{name}"]
    head = world.ring(fd, name).head
    accepted = head < k.pos.n and distance(k.pos.rhead, head, k.pos.n) <= distance(
        k.pos.rhead, k.pos.rtail, k.pos.n
    )
    if not accepted or k.offset.bits:
        return world.txsync(fd, choose)
    begin = k.pos.rhead
    sent = _packets(s, k, begin, head)
    before = {m: s.krings[m].pos for m in k.copies}
    result = world.txsync(fd, choose)
    s = world.system()
    for m, pos in before.items():
        mk = s.krings.get(m)
        if mk is None or mk.offset.bits or not result.outcome.ok:
            continue
        free = pos.n - 1 - distance(pos.hwcur, pos.hwtail, pos.n)
        shown = _packets(s, mk, pos.hwtail, mk.pos.hwtail)
        copies = [(data, flags & ~api14.NS_TXMON) for data, flags in shown if flags & api14.NS_TXMON]
        expected = [(data[: len(data)], flags & ~api14.NS_TXMON) for data, flags in sent]
        if len(shown) > free or copies != expected[len(expected) - len(copies) :]:
            raise AssertionError(f"{m} shows {copies} of {expected}")
        if len(shown) == len(copies) and len(copies) != min(free, len(expected)):
            raise AssertionError(f"{m} shows {len(copies)} of {len(expected)} with room for {free}")
    return result


def _check(s: System) -> Iterator[Broken]:
    """Who watches whom fits together, and what was reported was shown."""
    for k in s.krings.values():
        for m in k.copies:
            yield from _watcher(s, k, m, zcopy=False)
        if s.adapters[k.adapter].kind != "monitor":
            d, seen = int(k.t == TX), set()
            m = k.zmon[d]
            while m and m not in seen:
                seen.add(m)
                yield from _watcher(s, k, m, zcopy=True)
                m = s.krings[m].zmon[d] if m in s.krings else ""
            if m:
                yield Broken("monitor_chain", "14.monitor.stacked", f"{k.name}: {m} stands behind itself")
        if k.copies and k.t == RX and k.seen != k.pos.hwtail and k.name not in s.busy:
            what = f"{k.name}: shown up to {k.seen}, reported up to {k.pos.hwtail}"
            yield Broken("monitor_seen", "14.monitor.copy-rx", what)


def _watcher(s: System, k: KringState, m: str, zcopy: bool) -> Iterator[Broken]:
    mk = s.krings.get(m)
    na = None if mk is None else s.adapters[mk.adapter]
    if na is None or na.kind != "monitor" or na.parent != k.adapter or na.zcopy != zcopy:
        yield Broken("monitor_list", "14.monitor.close", f"{k.name} is watched by {m}: {na}")


def _monitor(name: str, flags: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "flags": flags} | fields


MONITORS: Extension = Extension(
    "monitors",
    bindings={
        "M": (
            _monitor("x{1", _BOTH, rx_slots=6),
            _monitor("v0", _BOTH, mode="NIC_SW"),
            _monitor("v1", "NR_MONITOR_RX"),
            _monitor("vale0:a", _BOTH, rx_slots=7),
            _monitor("vale0:w0", _BOTH),
        ),
        "R": (
            _monitor("x}1", "NR_MONITOR_RX"),
            _monitor("v1", "NR_MONITOR_TX", rx_slots=3),
            _monitor("p0", _BOTH),
            _monitor("vale0:b", _BOTH, rx_slots=4),
            _monitor("v0", "NR_MONITOR_TX", options=_OFFSETS),
            _monitor("x{1", _BOTH, mode="ONE_NIC", ringid=7),
        ),
        "I": (
            _monitor("v0", _ZCOPY, rx_slots=3),
            _monitor("p1", _ZCOPY),
            _monitor("x{1", _ZCOPY),
            _monitor("vale0:a", _ZCOPY),
        ),
        "J": (_monitor("v0", _ZCOPY), _monitor("x{1", _ZCOPY, rx_slots=4), _monitor("x{1", _BOTH)),
    },
    kinds={"witness": _draw, "watch": _watch},
    weight=4,
    operations={"witness": _witness},
    chapters=("14/monitor/",),
    unreachable={
        "14/monitor/find/no-memory": "no port of a campaign has so many rings",
    },
    check=_check,
)

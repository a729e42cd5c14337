"""What was there before an operation, to see what the operation changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from netmap_spec.abi import api2011

from ...gen2011.device import Interface
from ...gen2011.iface import if_bytes
from ...gen2011.memory import Obj
from ...gen2011.ring import Kring
from ...gen2011.world import World
from .objects import in_mode, rings

_WORD = 4


class Slots:
    """The buffers that the slots of registered interfaces name, read from the region.

    ``place`` finds a slot (interface, ring, number) by the offset of its `buf_idx`, ``index`` the
    buffer named there; ``owners`` counts the slots that name a buffer.
    """

    def __init__(self, world: World) -> None:
        self.place: dict[int, tuple[str, str, int]] = {}
        self.index: dict[int, int] = {}
        self.owners: Counter[int] = Counter()
        for iface in world.ifs.values():
            if in_mode(iface):
                for ring in rings(iface):
                    for i in range(iface.krings[ring].n):
                        at = world.slot_address(iface, ring, i)
                        self.place[at] = (iface.name, ring, i)
                        self.index[at] = _buf_idx(world, at)
        self.owners.update(self.index.values())

    def store(self, world: World, at: int) -> set[int]:
        """The word at ``at``, a slot's `buf_idx`, was written: the buffers this concerns."""
        old, new = self.index[at], _buf_idx(world, at)
        self.owners[old] -= 1
        self.owners[new] += 1
        self.index[at] = new
        return {old, new}


def _buf_idx(world: World, at: int) -> int:
    return api2011.netmap_slot(world.region, at).buf_idx


def fixed(world: World) -> dict[int, str]:
    """The bytes that only the kernel writes and that say where things are, and the interface they are of."""
    found: dict[int, str] = {}
    for iface in world.ifs.values():
        if in_mode(iface):
            for ring in rings(iface):
                at = iface.ring_at[ring]
                found.update(dict.fromkeys((*range(at, at + 12), at + 20, at + 21), iface.name))
    for priv in world.privs.values():
        na = world.ifs[priv.iface].na
        if priv.nifp is not None and na is not None:
            found.update(dict.fromkeys(range(priv.nifp, priv.nifp + if_bytes(na.num_queues)), priv.iface))
    return found


def _sizes(krings: dict[str, Kring]) -> list[int]:
    return [k.n for k in krings.values()]


@dataclass(slots=True)
class Changed:
    """What one operation touched, by kind. ``fresh``: the block itself is another one."""

    fresh: bool = False
    area: bool = False
    pool: bool = False
    fds: list[int] = field(default_factory=list)
    interfaces: list[str] = field(default_factory=list)
    layouts: set[str] = field(default_factory=set)
    krings: list[tuple[str, str]] = field(default_factory=list)
    queues: set[tuple[str, bool, int]] = field(default_factory=set)
    buffers: set[int] = field(default_factory=set)


def _facts(iface: Interface) -> tuple[Any, ...]:
    return (
        iface.refcount,
        iface.refs,
        iface.enabled,
        iface.intercept,
        iface.dying,
        iface.na,
        len(iface.zeroed),
    )


class Shadow:
    """The world as it was, and :meth:`update` to the world as it is."""

    def __init__(self, world: World) -> None:
        self._take(world)

    def _take(self, world: World) -> None:
        self.region = world.region
        self.pool, self.objs = world.pool, world.objs
        self.fds, self.privs = dict(world.fds), dict(world.privs)
        self.facts = {name: _facts(iface) for name, iface in world.ifs.items()}
        self.ring_at = {name: dict(iface.ring_at) for name, iface in world.ifs.items()}
        self.krings = {name: dict(iface.krings) for name, iface in world.ifs.items()}
        self.tx = {name: list(iface.tx) for name, iface in world.ifs.items()}
        self.rx = {name: list(iface.rx) for name, iface in world.ifs.items()}
        self.area = area_of(world.objs, world.layout.size)
        self.slots = Slots(world)
        self.fixed = fixed(world)

    def update(self, world: World, in_hand: frozenset[int]) -> Changed:
        """What differs from before; afterwards the shadow is the world as it is."""
        if world.region is not self.region:
            before = self.slots
            self._take(world)
            return _everything(world, set(before.owners) | set(self.slots.owners))
        changed = Changed()
        changed.buffers.update(in_hand)
        self._registrations(world, changed)
        self._stores(world, changed)
        for name, iface in world.ifs.items():
            if iface.krings != self.krings[name] or iface.tx != self.tx[name] or iface.rx != self.rx[name]:
                self._rings(iface, changed)
        if world.pool is not self.pool:
            changed.pool = True
            changed.buffers |= world.pool.bitmap ^ self.pool.bitmap
            self.pool = world.pool
        return changed

    def _registrations(self, world: World, changed: Changed) -> None:
        moved = any(_sizes(iface.krings) != _sizes(self.krings[name]) for name, iface in world.ifs.items())
        for name, iface in world.ifs.items():
            facts = _facts(iface)
            if facts != self.facts[name] or iface.ring_at != self.ring_at[name]:
                self.facts[name], self.ring_at[name] = facts, dict(iface.ring_at)
                changed.area = moved = True
                changed.layouts.add(name)
                changed.queues |= {(name, tx, q) for tx in (True, False) for q in range(iface.num_queues)}
        if world.fds != self.fds or world.privs != self.privs:
            fds = {*world.fds.items()} ^ {*self.fds.items()}
            privs = {*world.privs.items()} ^ {*self.privs.items()}
            changed.fds = sorted({fd for fd, _ in fds} | {fd for fd, _ in privs})
            changed.layouts |= {priv.iface for _, priv in privs if priv.iface in world.ifs}
            self.fds, self.privs = dict(world.fds), dict(world.privs)
            changed.area = moved = True
        if moved:
            changed.interfaces = list(world.ifs)
            changed.pool = True
            before = self.slots
            self.slots, self.fixed = Slots(world), fixed(world)
            changed.buffers |= set(before.owners) | set(self.slots.owners)
        if world.objs is not self.objs:
            self.objs, self.area = world.objs, area_of(world.objs, world.layout.size)
            changed.area = True

    def _stores(self, world: World, changed: Changed) -> None:
        place = self.slots.place
        for at, length in world.region.written:  # type: ignore[attr-defined]
            if at >= world.layout.buf_start:
                continue
            for word in range(at - at % _WORD, at + length, _WORD):
                if word in place:
                    changed.buffers |= self.slots.store(world, word)
                    name, ring, _ = place[word]
                    if ring[0] == "r" and int(ring[2:]) < world.ifs[name].num_queues:
                        changed.queues.add((name, False, int(ring[2:])))
            if not self.fixed.keys().isdisjoint(range(at, at + length)):
                changed.layouts |= {self.fixed[b] for b in range(at, at + length) if b in self.fixed}

    def _rings(self, iface: Interface, changed: Changed) -> None:
        name = iface.name
        for ring in iface.krings.keys() | self.krings[name].keys():
            if iface.krings.get(ring) is not self.krings[name].get(ring):
                changed.krings.append((name, ring))
                if int(ring[2:]) < iface.num_queues:
                    changed.queues.add((name, ring[0] == "t", int(ring[2:])))
        for tx, now, then in ((True, iface.tx, self.tx[name]), (False, iface.rx, self.rx[name])):
            for q, (one, other) in enumerate(zip(now, then, strict=True)):
                if one is not other:
                    changed.queues.add((name, tx, q))
        self.krings[name] = dict(iface.krings)
        self.tx[name], self.rx[name] = list(iface.tx), list(iface.rx)


def area_of(objs: tuple[Obj, ...], size: int) -> bytearray:
    """For every byte of the object area the number of the object in use it lies in, 0 for none."""
    area = bytearray(size)
    for number, obj in enumerate(objs):
        if obj.used and obj.size > 0:
            area[obj.offset : obj.offset + obj.size] = bytes([number % 255 + 1]) * obj.size
    return area[:size]


def _everything(world: World, buffers: set[int]) -> Changed:
    ifs = world.ifs.items()
    return Changed(
        fresh=True,
        area=True,
        pool=True,
        fds=sorted(set(world.fds) | set(world.privs)),
        interfaces=list(world.ifs),
        layouts=set(world.ifs),
        krings=[(name, ring) for name, iface in ifs for ring in iface.krings],
        queues={
            (name, tx, q) for name, iface in ifs for tx in (True, False) for q in range(iface.num_queues)
        },
        buffers=buffers | set(range(world.pool.total)),
    )

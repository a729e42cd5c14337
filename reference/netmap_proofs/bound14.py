"""Ports of generation 14 and the descriptors bound to them, with a list of who is bound to what.

The list is kept by the moves, from the clauses alone: which rings a request names (14.register.rings), who is
refused (14.register.exclusive), what a close takes off. :mod:`.bound14_checks` compares everything that
netmap counts and shows with that list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace

from netmap_reference.core.choice import eager
from netmap_reference.gen14 import memory
from netmap_reference.gen14.result import Result
from netmap_reference.gen14.state import RX, TX, KringState, System
from netmap_reference.gen14.world import World

Ring = tuple[str, str, int]
BITS = 8
_NAMES = "ABC"
#: Goals about calls: the moves decide them.
BUSY = "who may not have a ring is refused, and nobody else"
BEHIND = "a request that is refused leaves nothing behind"
TOLD = "the rules tell which rings were made and which went"
RESERVED = "no slot of a ring that goes names buffer 1"
GOALS = (BUSY, BEHIND, TOLD, RESERVED)


@dataclass(frozen=True, slots=True)
class Bound:
    """A descriptor: the port, its half-open ranges of rings and how many slots they have, transmit first;
    whether it wants them alone, how many extra buffers it got, whether it asked for offsets, which directions
    of another port it watches, whether a poll sends for it and whether one that does not ask for packets
    receives, and what its netmap_if calls the port, if that is looked at."""

    fd: str
    port: str
    tx: tuple[int, int]
    rx: tuple[int, int]
    slots: tuple[int, int]
    alone: bool = False
    extra: int = 0
    offsets: bool = False
    watches: tuple[str, ...] = ()
    polls: tuple[bool, bool] = (True, False)
    name: str = ""

    def range(self, t: str) -> tuple[int, int]:
        return self.tx if t == TX else self.rx

    def rings(self) -> frozenset[Ring]:
        return frozenset((self.port, t, i) for t in (RX, TX) for i in range(*self.range(t)))


@dataclass(frozen=True, slots=True)
class Held:
    """A device and who is bound to it: ``bound`` in the order of binding, ``hosts`` the number of host rings
    that the port has in a direction, ``agreed`` the rings whose users have agreed on offsets, ``asked`` those
    whose users ever have since the port is open. Of a pipe, ``made`` are the rings that it has, ``masked``
    those that show offsets, ``first`` is the end that was bound first, ``parts`` the slots of a packet that
    lie between its ends. ``wrong``: goals that the last call did not meet."""

    world: World
    bound: tuple[Bound, ...] = ()
    hosts: int = 1
    agreed: frozenset[Ring] = frozenset()
    asked: frozenset[Ring] = frozenset()
    made: frozenset[Ring] = frozenset()
    masked: frozenset[Ring] = frozenset()
    first: str = ""
    parts: int = 0
    wrong: tuple[tuple[str, str], ...] = ()

    def key(self) -> Hashable:
        rest = (self.agreed, self.asked, self.made, self.masked, self.first, self.parts, self.wrong)
        return (self.world.key(), self.bound, self.hosts, *rest)

    def of(self, port: str) -> list[Bound]:
        return [b for b in self.bound if b.port == port]

    def users(self, ring: Ring) -> list[Bound]:
        return [b for b in self.bound if ring in b.rings()]

    def used(self, port: str) -> frozenset[Ring]:
        return frozenset[Ring]().union(*(b.rings() for b in self.of(port)))

    def free_name(self) -> str:
        """A descriptor nobody has: which one is all the same."""
        taken = {b.fd for b in self.bound}
        return next((name for name in _NAMES if name not in taken), "")


Move = Callable[[Held], Held | None]
Told = Mapping[str, int]


def compare(got: Result, told: Told) -> tuple[tuple[str, str], ...]:
    """Does the call fire each of these rules as often as told?"""
    fired = Counter(got.fired)
    wrong = {rule: (fired[rule], n) for rule, n in told.items() if fired[rule] != n}
    return ((TOLD, f"fired and expected: {wrong}"),) if wrong else ()


def asking(
    held: Held,
    want: Bound,
    fields: Mapping[str, object],
    then: Callable[[Held, Held, Result], tuple[Held, Told]],
    refused: str = "",
) -> Held | None:
    """The request that shall bind ``want``. It is refused with the errno ``refused``, and beside exclusive
    users, or as one itself, with EBUSY.

    ``then`` completes the list after a request that succeeds, and says which rules it fires.
    """
    world = held.world.clone()
    world.open(want.fd)
    before = (world.system().key(without=("regions",)), _in_use(world))
    got = world.register(want.fd, fields, eager)
    others = [b for b in held.bound if b.rings() & want.rings() and (want.alone or b.alone)]
    refused = refused or ("EBUSY" if others else "")
    if got.outcome.detail != refused:
        what = f"{want} beside {others}: {got.outcome}, not {refused or 'granted'}"
        return replace(held, world=world, wrong=((BUSY, what),))
    if refused:
        if (world.system().key(without=("regions",)), _in_use(world)) == before:
            return None
        return replace(held, world=world, wrong=((BEHIND, f"{want}"),))
    after = replace(held, world=world, bound=(*held.bound, want))
    if want.offsets:
        rings = want.rings()
        after = replace(
            after, agreed=held.agreed | rings, asked=held.asked | rings, masked=held.masked | rings
        )
    after, told = then(held, after, got)
    return replace(after, wrong=compare(got, told))


def _in_use(world: World) -> list[bytes]:
    """Every byte of the ring objects and netmap_ifs that somebody has."""
    s = world.system()
    found: list[bytes] = []
    for name, na in s.adapters.items():
        a, region = s.allocators[na.mem], s.regions[na.mem]
        found += [region.read(at, a.ring_pool.objsize) for _, at in objects(s, name)]
        ifs = [f.nifp for f in s.files.values() if f.adapter == name]
        found += [region.read(i * a.if_pool.objsize, a.if_pool.objsize) for i in ifs]
    return found


def objects(s: System, name: str) -> Iterator[tuple[KringState, int]]:
    """The krings of a port that have a ring object, and where that is in the region."""
    a = s.allocators[s.adapters[name].mem]
    for k in s.krings.values():
        if k.adapter == name and k.ring >= 0:
            yield k, a.if_pool.memtotal + k.ring * a.ring_pool.objsize


def leaving(held: Held, fd: str, then: Callable[[Held, Held], tuple[Held, Told]]) -> Held | None:
    """The close of a descriptor. Offsets of rings that go with it are forgotten."""
    gone = next((b for b in held.bound if b.fd == fd), None)
    if gone is None:
        return None
    world = held.world.clone()
    got = world.close(fd)
    after = replace(held, world=world, bound=tuple(b for b in held.bound if b.fd != fd))
    stay = held.made | after.used(gone.port) | frozenset(r for r in held.masked if r[0] != gone.port)
    after = replace(after, agreed=held.agreed & stay, masked=held.masked & stay)
    after, told = then(held, after)
    return replace(after, wrong=(*compare(got, told), *_reserved(held.world.system(), world.system())))


def _reserved(before: System, after: System) -> tuple[tuple[str, str], ...]:
    """What a close leaves in the memory of rings there were: no slot was given buffer 1."""
    for name, na in before.adapters.items():
        for k, at in objects(before, name) if na.mem in after.regions else ():
            slots = memory.read_slots(after.regions[na.mem], at, na.slots(k.t))
            if any(x.buf_idx == 1 for x in slots):
                return ((RESERVED, f"{k.name}: {slots}"),)
    return ()

"""Ports of generation 14 and the descriptors bound to them, with a list of who is bound to what.

The list is kept by the moves, from the clauses alone: which rings a request names (14.register.rings), who is
refused (14.register.exclusive), what a close takes off. :func:`port`, :func:`rings` and :func:`pages` compare
everything that netmap counts and shows with that list.
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
from netmap_spec.abi import api14

from . import life14

Found = Iterator[tuple[str, bool, str]]
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
    """A descriptor: the port, its half-open ranges of rings, whether it wants them alone, how many extra
    buffers it got, whether it asked for offsets, which directions of another port it watches."""

    fd: str
    port: str
    tx: tuple[int, int]
    rx: tuple[int, int]
    alone: bool = False
    extra: int = 0
    offsets: bool = False
    watches: tuple[str, ...] = ()

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
    before = world.key()
    got = world.register(want.fd, fields, eager)
    others = [b for b in held.bound if b.rings() & want.rings() and (want.alone or b.alone)]
    refused = refused or ("EBUSY" if others else "")
    if got.outcome.detail != refused:
        what = f"{want} beside {others}: {got.outcome}, not {refused or 'granted'}"
        return replace(held, world=world, wrong=((BUSY, what),))
    if refused:
        if world.key() == before:
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
        for k, at in _objects(before, name) if na.mem in after.regions else ():
            slots = memory.read_slots(after.regions[na.mem], at, na.slots(k.t))
            if any(x.buf_idx == 1 for x in slots):
                return ((RESERVED, f"{k.name}: {slots}"),)
    return ()


# --- checks -------------------------------------------------------------------------------------------


def calls(held: Held) -> Found:
    """What the last call did not do as it should."""
    wrong = dict(held.wrong)
    for goal in GOALS:
        yield goal, goal not in wrong, wrong.get(goal, "")


def port(held: Held, name: str) -> Found:
    """What a port counts, and its mode."""
    na = held.world.system().adapters[name]
    fds = held.of(name)
    yield "the descriptors of a port are counted", na.fds == len(fds), f"{name}: {na.fds}"
    many = tuple(sum(1 for b in fds if b.range(t)[1] - b.range(t)[0] > 1) for t in (RX, TX))
    yield "those bound to several rings are counted", na.si_users == many, f"{name}: {na.si_users}, {many}"
    yield "a port is in netmap mode while it is bound", na.on == bool(fds), f"{name}: {na.on}"


def rings(held: Held, name: str) -> Found:
    """The krings of a port: users, claims, mode, and which have a ring object. Those of a pipe have one once
    they are made, whoever is bound."""
    s = held.world.system()
    living = [k for k in s.krings.values() if k.adapter == name]
    for k in living:
        ring = (name, k.t, k.index)
        users = held.users(ring)
        yield "users of a ring are counted", k.users == len(users), f"{k.name}: {k.users}, {users}"
        alone = any(b.alone for b in users)
        yield "a ring is exclusive while its user is", k.exclusive == alone, f"{k.name}: {users}"
        mode = k.on == k.pending == bool(users)
        yield "a ring is in netmap mode while it is used", mode, f"{k.name}: {k.on}, {k.pending}, {users}"
        made = ring in held.made
        there = bool(users) or made
        yield "a ring object is there while it is used or needed", (k.ring >= 0) == there, k.name
        yield "a ring without object names none", k.ring >= -1, f"{k.name}: {k.ring}"
        pair = (k.fake and k.needed) if made else not k.needed
        yield "a pair of rings that is made keeps them and their buffers", pair, k.name


def _sizes(a: memory.Allocator) -> int:
    """Where the buffers begin: behind the two other pools."""
    return a.if_pool.memtotal + a.ring_pool.memtotal


def _objects(s: System, name: str) -> Iterator[tuple[KringState, int]]:
    """The krings of a port that have a ring object, and where that is in the region."""
    a = s.allocators[s.adapters[name].mem]
    for k in s.krings.values():
        if k.adapter == name and k.ring >= 0:
            yield k, a.if_pool.memtotal + k.ring * a.ring_pool.objsize


def pages(held: Held, name: str) -> Found:
    """What the ring objects of a port say: sizes, where the buffers are, positions, offsets, slots."""
    s = held.world.system()
    na = s.adapters[name]
    a, region = s.allocators[na.mem], s.regions[na.mem]
    for k, at in _objects(s, name):
        view = api14.netmap_ring(region, at)
        size = api14.netmap_ring.SIZE + na.slots(k.t) * api14.netmap_slot.SIZE
        yield "a ring fits its object", size <= a.ring_pool.objsize, f"{k.name}: {size}"
        shape = (view.num_slots, view.nr_buf_size, view.ringid, view.dir)
        good = shape == (na.slots(k.t), a.buf_pool.objsize, k.index, int(k.t == TX))
        yield "a ring says its sizes, number and direction", good, f"{k.name}: {shape}"
        yield "buffers are where buf_ofs says", at + view.buf_ofs == _sizes(a), f"{k.name}: {view.buf_ofs}"
        q = k.pos
        shown = (view.head, view.cur, view.tail) == (q.rhead, q.rcur, q.rtail)
        yield "a ring nobody has moved shows the kernel's positions", shown, k.name
        ring = (name, k.t, k.index)
        mask = (1 << BITS) - 1 if ring in held.masked else 0
        yield "offset_mask is what the ring's users have agreed on", view.offset_mask == mask, k.name
        known = k.offset.bits == (BITS if ring in held.agreed else 0)
        yield "the kernel knows of the offsets agreed on", known, k.name
        yield "no alignment without a device that needs it", view.buf_align == 0, k.name
        slots = memory.read_slots(region, at, na.slots(k.t))
        yield "no slot names buffer 1", all(x.buf_idx != 1 for x in slots), k.name
        good = all(x.buf_idx > 1 for x in slots)
        yield "every slot has a buffer", good, f"{k.name}: {slots}"
        fresh = all((x.len, x.flags) == (a.buf_pool.objsize, 0) for x in slots)
        yield (
            "slots nobody has touched say its length, no flags",
            fresh or held.parts > 0,
            f"{k.name}: {slots}",
        )


def interfaces(held: Held) -> Found:
    """The netmap_if of each descriptor: its port's numbers of rings, offsets of the rings it is bound to."""
    s = held.world.system()
    for b in held.bound:
        na = s.adapters[b.port]
        a = s.allocators[na.mem]
        nifp = held.world.nifp(b.fd)
        counts = (nifp.ni_tx_rings, nifp.ni_rx_rings)
        yield "a netmap_if counts the port's rings", counts == (na.tx_rings, na.rx_rings), f"{b}: {counts}"
        flags = bool(nifp.ni_flags & api14.NI_PRIV_MEM)
        yield "a netmap_if tells of a private region", flags == a.private, f"{b}"
        wanted = [(t, i) for t in (TX, RX) for i in range(na.all_rings(t))]
        objects = {(k.t, k.index): at for k, at in _objects(s, b.port)}
        at = nifp.off
        ofs = [objects[x] - at if (b.port, *x) in b.rings() else 0 for x in wanted]
        shown = [nifp.ring_ofs[i] for i in range(len(wanted))]
        yield "a netmap_if has the offsets of its own rings", shown == ofs, f"{b}: {shown}, {ofs}"


def buffers(held: Held, pairs: frozenset[Ring] = frozenset()) -> Found:
    """Buffers in use are those of the living rings and the extra ones; ``pairs`` are rings whose buffers
    another one shows as well."""
    s = held.world.system()
    for mem, a in s.allocators.items():
        own = sum(k.pos.n for k in life14.rings(s, mem) if (k.adapter, k.t, k.index) not in pairs)
        extra = sum(b.extra for b in held.bound if s.adapters[b.port].mem == mem)
        used = len(a.buf_pool.used - memory.RESERVED)
        what = f"region {mem}: {used}, not {own} + {extra}"
        yield "buffers in use are those of rings and the extra ones", used == own + extra, what
        yield from life14.owners(s, mem)
    yield from life14.pools(s)

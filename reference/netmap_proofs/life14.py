"""Small devices of generation 14 for :func:`schemas.reachable`: who owns which buffer, and what goes where.

A :class:`Life` is a device, the descriptors that are open, and what their well-behaved programs remember:
packets carry a running number in their slot's ``ptr``, so that order and loss show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace

from netmap_reference.core.choice import eager
from netmap_reference.gen14 import memory
from netmap_reference.gen14.bind import ring_at
from netmap_reference.gen14.memory import GLOBAL_ID
from netmap_reference.gen14.state import TX, KringState, System
from netmap_reference.gen14.world import PortConfig, World
from netmap_spec import invariants as spec
from netmap_spec.abi import api14

SLOTS = 3
Found = Iterator[tuple[str, bool, str]]


@dataclass(frozen=True)
class Life:
    """``sent`` packets were handed over with a txsync, ``got`` were received; since the pipe exists."""

    world: World
    sent: int = 0
    got: int = 0

    def key(self) -> Hashable:
        return (self.world.key(), self.sent, self.got)

    def bound(self, fd: str) -> bool:
        return any(name == fd for _, name in self.world.system().holders)


def device(switches: frozenset[str]) -> World:
    """One NIC, ``v0``, with rings of a few slots, and the region all NICs share."""
    return World([PortConfig("v0", tx_slots=SLOTS, rx_slots=SLOTS)], switches)


# --- moves --------------------------------------------------------------------------------------------


def bind(fd: str, name: str, **fields: int) -> Callable[[Life], Life | None]:
    """Open ``fd`` and bind it. A request that is refused must leave nothing behind."""

    def move(life: Life) -> Life | None:
        if life.bound(fd):
            return None
        world = life.world.clone()
        world.open(fd)
        before = world.key()
        got = world.register(fd, {"name": name, "tx_slots": SLOTS, "rx_slots": SLOTS, **fields}, eager)
        if not got.outcome.ok:
            assert world.key() == before, f"{got.outcome} of {name} leaves something behind"
            return None
        return replace(life, world=world)

    return move


def close(fd: str, pipe: tuple[str, ...] = ()) -> Callable[[Life], Life | None]:
    """Close ``fd``; when nobody of ``pipe`` is left, neither is the pipe."""

    def move(life: Life) -> Life | None:
        if not life.bound(fd):
            return None
        world = life.world.clone()
        world.close(fd)
        after = replace(life, world=world)
        if pipe and not any(after.bound(other) for other in pipe):
            return Life(world)
        return after

    return move


def send(fd: str, ring: str = "tx0", flags: int = 0, peer: bool = True) -> Callable[[Life], Life | None]:
    """Fill one slot, hand it over."""

    def move(life: Life) -> Life | None:
        if not life.bound(fd):
            return None
        world = life.world.clone()
        view = world.ring(fd, ring)
        if view.head == view.tail:
            return None
        slot = view.slot[view.head]
        slot.len, slot.flags, slot.ptr = 60, flags, life.sent + 1
        view.head = view.cur = (view.head + 1) % view.num_slots
        world.txsync(fd, eager)
        return replace(life, world=world, sent=life.sent + 1)

    return move


def swap(fd: str, ring: str) -> Callable[[Life], Life | None]:
    """Exchange the buffer of the first slot the application has with the first of its extra buffers."""

    def move(life: Life) -> Life | None:
        if not life.bound(fd) or life.world.nifp(fd).ni_bufs_head == 0:
            return None
        world = life.world.clone()
        view, nifp = world.ring(fd, ring), world.nifp(fd)
        if view.head == view.tail:
            return None
        slot, extra = view.slot[view.head], nifp.ni_bufs_head
        offset, _ = world.buffer(fd, extra)
        following = world.region(fd).read(offset, 4)
        mine, _ = world.buffer(fd, slot.buf_idx)
        world.region(fd).write(mine, following)
        nifp.ni_bufs_head, slot.buf_idx = slot.buf_idx, extra
        slot.flags |= api14.NS_BUF_CHANGED
        return replace(life, world=world)

    return move


def receive(fd: str, ring: str = "rx0") -> Callable[[Life], Life | None]:
    """Look for packets, take one, give its slot back. The packet must be the one sent next."""

    def move(life: Life) -> Life | None:
        if not life.bound(fd):
            return None
        world = life.world.clone()
        world.rxsync(fd, eager)
        view = world.ring(fd, ring)
        if view.head == view.tail:
            return replace(life, world=world)
        number = view.slot[view.head].ptr
        assert number == life.got + 1, f"packet {number} comes after packet {life.got}"
        view.head = view.cur = (view.head + 1) % view.num_slots
        world.rxsync(fd, eager)
        return replace(life, world=world, got=life.got + 1)

    return move


def drained(life: Life, receiver: str) -> str:
    """What is lost when the receiver takes everything there is: empty when nothing."""
    world = life.world.clone()
    if not life.bound(receiver):
        return ""
    world.rxsync(receiver, eager)
    view = world.ring(receiver, "rx0")
    there = spec.steps(view.num_slots, view.head, view.tail)
    if there != life.sent - life.got:
        return f"{life.sent} sent, {life.got} received, {there} on the way"
    return ""


# --- checks --------------------------------------------------------------------------------------------


def rings(s: System, mem: int) -> Iterator[KringState]:
    return (k for k in s.krings.values() if k.ring >= 0 and s.adapters[k.adapter].mem == mem)


def _mine(s: System, k: KringState, i: int) -> bool:
    """Of two rings with the same buffers a position counts at the end that holds it."""
    if not k.pipe or k.pipe not in s.krings:
        return True
    tx, rx = (k, s.krings[k.pipe]) if k.t == TX else (s.krings[k.pipe], k)
    released, handed = rx.pos.hwcur, tx.pos.hwcur
    at_receiver = spec.steps(k.pos.n, released, i) < spec.steps(k.pos.n, released, handed)
    return at_receiver == (k.t != TX)


def places(s: System, mem: int) -> Counter[int]:
    """How often each buffer of a region is named: in slots and in chains of extra buffers."""
    found: Counter[int] = Counter()
    a, region = s.allocators[mem], s.regions[mem]
    for k in rings(s, mem):
        for i, slot in enumerate(memory.read_slots(region, ring_at(s, k), k.pos.n)):
            if _mine(s, k, i):
                found[slot.buf_idx] += 1
    for f in s.files.values():
        if f.adapter and s.adapters[f.adapter].mem == mem:
            index = api14.netmap_if(region, a.if_offset(f.nifp)).ni_bufs_head
            while index and found[index] < 3:
                found[index] += 1
                index = int.from_bytes(region.read(a.buf_offset(index), 4), "little")
    return found


def owners(s: System, mem: int = GLOBAL_ID) -> Found:
    """Every buffer in use is in exactly one place; nothing that is in a place is free."""
    if mem not in s.allocators:
        return
    used = s.allocators[mem].buf_pool.used - memory.RESERVED
    found = places(s, mem)
    twice = {i: n for i, n in found.items() if n > 1}
    yield "a buffer is in one place", not twice, f"in several places: {twice}"
    lost = sorted(used - set(found))
    yield "no buffer is lost", not lost, f"nowhere: {lost}"
    wild = sorted(set(found) - used)
    yield "what is in a slot or chain is allocated", not wild, f"not allocated: {wild}"


def pools(s: System) -> Found:
    """The three pools of every region: what is in use is what is held, and nothing beyond the pool."""
    for mem, a in s.allocators.items():
        for pool in (a.if_pool, a.ring_pool, a.buf_pool):
            inside = all(0 <= i < pool.objtotal for i in pool.used)
            yield "what is in use is an object of the pool", inside, f"region {mem}: {sorted(pool.used)}"
        yield "buffers 0 and 1 stay nobody's", a.buf_pool.used >= memory.RESERVED, f"region {mem}"
        objects = sorted(k.ring for k in rings(s, mem))
        yield "each ring has a ring object", objects == sorted(a.ring_pool.used), f"region {mem}: {objects}"
        files = [f for f in s.files.values() if f.adapter and s.adapters[f.adapter].mem == mem]
        ifs = sorted(f.nifp for f in files)
        yield "each descriptor has a netmap_if", ifs == sorted(a.if_pool.used), f"region {mem}: {ifs}"
        if not files:
            clean = a.buf_pool.used == memory.RESERVED and not a.if_pool.used and not a.ring_pool.used
            yield "the last user leaves a clean region", clean, f"region {mem}"


def positions(s: System) -> Found:
    """Every kring keeps its order, and users are counted."""
    for k in s.krings.values():
        q = k.pos
        order = spec.kring_order(q.n, q.hwcur, q.hwtail, q.rhead, q.rcur, q.rtail)
        yield "every kring keeps its order", order, f"{k.name}: {q}"
        files = [f for f in s.files.values() if f.adapter == k.adapter]
        users = sum(1 for f in files if f.range(k.t)[0] <= k.index < f.range(k.t)[1])
        yield "users of a ring are counted", k.users == users, f"{k.name}: {k.users} counted, {users} are"
        yield "a ring that is used has a ring object", k.ring >= 0 or not users, k.name


def counted(s: System) -> Found:
    """The descriptors of a port, and those bound to several of its rings, are counted."""
    for na in s.adapters.values():
        files = [f for f in s.files.values() if f.adapter == na.name]
        yield "the descriptors of a port are counted", na.fds == len(files), f"{na.name}: {na.fds}"
        several = tuple(sum(1 for f in files if f.range(t)[1] - f.range(t)[0] > 1) for t in ("rx", "tx"))
        yield "those bound to several rings are counted", na.si_users == several, f"{na.name}: {na.si_users}"


def fresh(world: World, fd: str) -> Found:
    """A ring nobody has moved yet is as fresh memory gives it: positions, own buffers, full length."""
    s = world.system()
    for name in world.rings(fd):
        q = world.kring(fd, name)
        view = world.ring(fd, name)
        if (q.hwcur, q.rhead, q.hwtail) != (0, 0, q.n - 1 if name[:2] == "tx" else 0):
            continue
        indices = [view.slot[i].buf_idx for i in range(view.num_slots)]
        yield "a fresh ring names a buffer in every slot", min(indices) > 1, f"{fd} {name}: {indices}"
        yield "a fresh ring shows the kernel's positions", view.tail == q.rtail, f"{fd} {name}: {q}"
        size = s.allocators[s.adapters[s.files[s.holders["main", fd]].adapter].mem].buf_size
        good = view.num_slots == SLOTS and view.nr_buf_size == size
        yield "a fresh ring says its sizes", good, f"{fd} {name}: {view.num_slots}, {view.nr_buf_size}"

"""The invariants of generation 14, object by object: what must hold of a state in contract reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from netmap_spec import invariants
from netmap_spec.abi import api14

from ...gen14 import memory, poll
from ...gen14.bind import ring_at
from ...gen14.ring import distance
from ...gen14.state import TX, KringState, System
from ...gen14.switch import BWRAP, BWRAP_HOST
from ...gen14.world import World
from ..subject import Broken
from .plug import EXTENSIONS

Found = Iterator[Broken]
#: Ports whose rings are those of the interface they stand for.
SHARE = (BWRAP, BWRAP_HOST)
_FROM_PAGE = {"in": poll.LOCK_FREE_RX, "out": poll.LOCK_FREE_TX}
_WAYS = {"in": ("rx", frozenset({"in", "rdnorm"})), "out": ("tx", frozenset({"out", "wrnorm"}))}


def kring(s: System, k: KringState) -> Found:
    """The kernel's positions of one ring are in order, and its device's offset inside the ring.

    Syncs of a monitor whose port has left fail, so its tail is not published any more.
    """
    p, na = k.pos, s.adapters[k.adapter]
    if na.kind == "monitor" and not na.parent:
        p = replace(p, rtail=p.hwtail)
    if p.n == 0 and k.ring < 0:
        return  # a direction that a null port was asked no slots for
    if not invariants.kring_order(p.n, p.hwcur, p.hwtail, p.rhead, p.rcur, p.rtail):
        yield Broken("kring_order", "14.ring.kring-order", f"{k.name}: {p}")


def adapter(s: System, name: str) -> Found:
    """The descriptors bound to a port and to each of its rings are counted."""
    a = s.adapters[name]
    files = [f for f in s.files.values() if f.adapter == name]
    if a.fds != len(files):
        yield Broken("bound", "14.memory.returned", f"{name}: {a.fds} counted, {len(files)} are bound")
    if a.on != any(k.on for k in s.krings.values() if k.adapter == name) and not a.fds:
        yield Broken("mode", "14.memory.returned", f"{name} is on without rings")
    for k in s.krings.values():
        if k.adapter == name:
            users = sum(1 for f in files if f.range(k.t)[0] <= k.index < f.range(k.t)[1])
            if k.users != users:
                yield Broken("users", "14.memory.returned", f"{k.name}: {k.users} counted, {users} are bound")


def pools(s: System, number: int) -> Found:
    """Buffers 0 and 1 are nobody's, nothing beyond the pool is in use, and the last user leaves it clean."""
    a = s.allocators[number]
    used = a.buf_pool.used
    if not used >= memory.RESERVED:
        yield Broken("reserved", "14.memory.reserved", f"region {number}: buffer 0 or 1 is free")
    for pool in (a.if_pool, a.ring_pool, a.buf_pool):
        if any(not 0 <= i < pool.objtotal for i in pool.used):
            yield Broken("pool_range", "14.memory.pool", f"region {number}: in use {sorted(pool.used)[-3:]}")
        if not invariants.pool_partition(pool.objfree, len(pool.used), 0, pool.objtotal):
            yield Broken("pool_partition", "14.memory.pool", f"region {number}: {pool.objfree} free")
    users = any(f.adapter and s.adapters[f.adapter].mem == number for f in s.files.values())
    if not users and (used != memory.RESERVED or a.if_pool.used or a.ring_pool.used):
        yield Broken("clean", "14.memory.last-user", f"region {number}: {len(used)} buffers of nobody")


def sleepers(s: System) -> Found:
    """Whoever is recorded on a selinfo or was woken is an open, bound file, and it sleeps where it should."""
    for selinfo, files in s.waiting.items():
        for file in files:
            if file not in s.files or selinfo not in s.files[file].selinfo:
                yield Broken("sleepers", "14.poll.wakeup", f"file {file} on {selinfo}")
    for file in s.woken:
        if file not in s.files or not s.files[file].adapter:
            yield Broken("sleepers", "14.poll.wakeup", f"file {file} was woken and is not bound")


def page(world: World, fd: str) -> frozenset[str]:
    """The directions (``in``, ``out``) for which a descriptor's shared page alone shows a poll to be ready.

    For room one ring with some unseen is enough; for packets every ring must have some, and nothing to give
    back.
    """
    s = world.system()
    file = _file(s, fd)
    adapter = s.files[file].adapter
    if s.params.syncs_ready == 1 or not adapter or not s.adapters[adapter].on or file in s.csbs:
        return frozenset()
    rings = {name: world.ring(fd, name) for name in world.rings(fd)}
    rx = {name: r for name, r in rings.items() if name.startswith("r")}
    found = {"out"} if any(r.cur != r.tail for name, r in rings.items() if name not in rx) else set()
    if rx and all(r.cur != r.tail and r.head == world.kring(fd, name).rhead for name, r in rx.items()):
        found.add("in")
    return frozenset(found)


def _file(s: System, fd: str) -> int:
    return next(file for (_, held), file in s.holders.items() if held == fd)


def polled(world: World, fd: str, want: frozenset[str], result: Any, before: frozenset[str]) -> Found:
    """What poll answered is what the rings say: ready is a ring whose `cur` has not reached its `tail`.

    ``before`` is what the page alone said (:func:`page`): a system that answers from it does so always, and
    for nothing else. Rings that were rejected during the poll are told by an error instead. Who found nothing
    is recorded.
    """
    s = world.system()
    for way, (_, events) in _WAYS.items():
        from_page = _FROM_PAGE[way] in result.fired
        if from_page != (s.params.syncs_ready == 0 and way in before and bool(want & events)):
            what = f"{fd}: answered from the page: {from_page}; what that alone shows: {sorted(before)}"
            yield Broken("poll_page", "14.poll.syncs-ready", what)
    if "err" in result.revents or not result.outcome.ok:
        return
    for way, (t, events) in _WAYS.items():
        asked = want & events
        words = [world.ring(fd, name) for name in world.rings(fd) if name.startswith(t)]
        ready = _FROM_PAGE[way] in result.fired or any(r.cur != r.tail for r in words)
        if asked and (asked <= result.revents) != ready:
            state = [(r.head, r.cur, r.tail) for r in words]
            what = f"{fd}: {sorted(result.revents)} of {sorted(want)}, {way} rings (head, cur, tail) {state}"
            yield Broken("poll_ready", "14.poll.ready", what)
        if not asked and result.revents & events:
            yield Broken("poll_ready", "14.poll.ready", f"{fd}: {sorted(result.revents)} unasked")
    if result.asleep:
        file = _file(s, fd)
        where = [n for n in s.files[file].selinfo if n and file not in s.waiting.get(n, ())]
        if where and file not in s.woken:
            yield Broken("recorded", "14.poll.wakeup", f"{fd} sleeps and is not on {where}")


def places(s: System) -> Found:
    """With applications that only exchange buffers, every buffer in use is in exactly one place.

    Of two rings that share their buffers a position counts once: at the end whose application may use it.
    """
    a, region = s.allocators[memory.GLOBAL_ID], s.regions[memory.GLOBAL_ID]
    found: Counter[int] = Counter()
    for k in s.krings.values():
        if k.ring < 0 or s.adapters[k.adapter].mem != a.id or s.adapters[k.adapter].kind in SHARE:
            continue
        other = s.krings[k.pipe].pos.hwcur if k.pipe else 0
        sent, released = (k.pos.hwcur, other) if k.t == TX else (other, k.pos.hwcur)
        for i, slot in enumerate(memory.read_slots(region, ring_at(s, k), k.pos.n)):
            receivers = distance(released, i, k.pos.n) < distance(released, sent, k.pos.n)
            if not k.pipe or receivers == (k.t != TX):
                found[slot.buf_idx] += 1
    for f in s.files.values():
        if f.adapter and s.adapters[f.adapter].mem == a.id:
            index = api14.netmap_if(region, a.if_offset(f.nifp)).ni_bufs_head
            while index and found[index] < 3:
                found[index] += 1
                index = int.from_bytes(region.read(a.buf_offset(index), 4), "little")
    for extension in EXTENSIONS:
        found.update(extension.held(s))
    used = a.buf_pool.used - memory.RESERVED
    twice = {i: n for i, n in found.items() if n != 1}
    if twice or set(found) != used:
        what = f"in several places {twice}, nowhere {sorted(used - set(found))[:5]}"
        what += f", not in use {sorted(set(found) - used)}"
        yield Broken("buffers_disjoint", "14.memory.one-slot", what)

"""The invariants of generation 2011, object by object: what must hold of a state in contract reading.

Every function looks at one object (and at what it must agree with) and yields what is broken. Both
checkers call the same functions; they differ in which objects they call them for.

``honest`` says that no user stores a buffer's number that is not theirs: then buffers are held to
their one owner. Of dishonest users only what protects the others is demanded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from netmap_spec import invariants
from netmap_spec.abi import api2011

from ...gen2011.device import Interface
from ...gen2011.iface import if_bytes, ring_places, rings_bytes
from ...gen2011.memory import BUF_SIZE
from ...gen2011.register import NO_TX_POLL
from ...gen2011.world import World
from ..subject import Broken

if TYPE_CHECKING:
    from .ghost import Ghost

Found = Iterator[Broken]


def rings(iface: Interface) -> list[str]:
    """The rings of an interface, host rings included, while it has an adapter."""
    if iface.na is None:
        return []
    return [name for name, _ in ring_places(iface.na, 0)]


def in_mode(iface: Interface) -> bool:
    """Is the interface in netmap mode, with rings?"""
    return iface.enabled and iface.na is not None and iface.refcount > 0


# --- the object area --------------------------------------------------------------------------


def area(world: World) -> Found:
    """The allocator's list, and that exactly what registrations need is in use."""
    objs = world.objs
    if not invariants.objects_tile([(o.offset, o.size) for o in objs], world.layout.size):
        yield Broken("objects_tile", "2011.memory.first-fit", f"the list does not cover the area: {objs}")
    if not invariants.free_coalesced([o.used for o in objs]):
        yield Broken("free_coalesced", "2011.memory.coalesce", f"free neighbours: {objs}")
    needed: list[tuple[int, int]] = []
    for fd, priv in world.privs.items():
        na = world.ifs[priv.iface].na
        if priv.nifp is None or na is None:
            yield Broken("owned_objects", "2011.iface.own", f"descriptor {fd} has no netmap_if")
        else:
            needed.append((priv.nifp, if_bytes(na.num_queues)))
    for iface in world.ifs.values():
        if iface.refcount > 0 and iface.na is not None:
            needed.append((iface.ring_at.get("tx0", -1), rings_bytes(iface.na)))
    used = [(o.offset, o.size) for o in objs if o.used]
    if sorted(needed) != used:
        what = f"in use are {used}, registrations need {sorted(needed)}"
        yield Broken("owned_objects", "2011.register.last", what)


def written(world: World, areas: list[bytearray], at: int, length: int, honest: bool) -> Found:
    """A store of the kernel or the NIC: into one object in use, or into one buffer.

    ``areas`` number the object in use that every byte of the area lies in (0: none), as it was before the
    operation, is after it, and was meanwhile.
    """
    size, start = world.layout.size, world.layout.buf_start
    end = at + length - 1
    if length == 0:
        return
    if at < start:
        if not any(end < size and m[at] and m[at] == m[end] for m in areas):
            what = f"{length} bytes written at {at}, outside every object in use"
            yield Broken("written_inside", "2011.memory.carved", what)
        return
    index = (at - start) // BUF_SIZE
    if index >= world.pool.total or (end - start) // BUF_SIZE != index:
        what = f"{length} bytes written at {at} leave buffer {index} of {world.pool.total}"
        yield Broken("written_inside", "2011.memory.layout", what)
    elif honest and index < 2:
        yield Broken("written_inside", "2011.pool.reserved", f"a frame was written into buffer {index}")


# --- the pool ---------------------------------------------------------------------------------


def pool(world: World, slots: int, honest: bool) -> Found:
    """The free set: counted, without reserved buffers; with the ``slots`` of registered rings it is all.

    Dishonest users can lose buffers to nobody, but only as many as they have slots.
    """
    p = world.pool
    inside = {i for i in p.bitmap if i < p.total}
    if p.free != len(inside):
        yield Broken("free_counted", "2011.pool.count", f"{p.free} counted free, {len(inside)} are")
    if 0 in inside or 1 in inside:
        yield Broken("reserved", "2011.pool.reserved", f"free: {sorted(inside & {0, 1})}")
    spare = set(range(p.total, (p.total + 31) // 32 * 32))
    if set(p.bitmap) - inside != spare:
        what = f"bits behind the pool: {sorted(set(p.bitmap) - inside)} instead of {sorted(spare)}"
        yield Broken("spare_bits", "2011.pool.count", what)
    if honest:
        if not invariants.pool_partition(len(inside), slots, 2, p.total):
            what = f"{len(inside)} free, {slots} in slots, 2 reserved of {p.total}"
            yield Broken("pool_partition", "2011.pool.conserved", what)
    elif not p.total - 2 - slots <= len(inside) <= p.total - 2:
        what = f"{len(inside)} free of {p.total} with {slots} slots"
        yield Broken("pool_bounds", "2011.pool.conserved", what)


def buffer(world: World, index: int, owners: int) -> Found:
    """A buffer with honest users: ``owners`` slots name it, or it is free."""
    if index >= world.pool.total or index < 2:
        if owners:
            what = f"{owners} slots name buffer {index} of {world.pool.total}"
            yield Broken("buffer_owned", "2011.pool.reserved", what)
        return
    if owners + (index in world.pool.bitmap) != 1:
        free = "free" if index in world.pool.bitmap else "not free"
        yield Broken(
            "buffer_owned", "2011.pool.conserved", f"buffer {index} is {free}, {owners} slots name it"
        )


# --- registrations ----------------------------------------------------------------------------


def interface(world: World, iface: Interface) -> Found:
    """References and the mode of an interface agree with the descriptors registered on it."""
    users = sum(1 for priv in world.privs.values() if priv.iface == iface.name)
    if iface.refcount != users:
        what = f"{iface.name}: count {iface.refcount}, {users} registrations"
        yield Broken("refcount", "2011.register.last", what)
    if iface.refs != users:
        what = f"{iface.name}: {iface.refs} references, {users} registrations"
        yield Broken("references", "2011.register.interface", what)
    if iface.enabled != (users > 0) or iface.intercept != iface.enabled:
        what = f"{iface.name}: mode {iface.enabled}, intercept {iface.intercept}, {users} registrations"
        yield Broken("mode", "2011.register.mode", what)
    if users and (iface.na is None or iface.dying):
        yield Broken("detached", "2011.driver.detach-in-use", f"{iface.name} is gone and has {users} users")
    if iface.zeroed:
        what = f"{iface.name}: wiped mutexes {sorted(iface.zeroed)}"
        yield Broken("mutexes", "2011.iface.locks-kept", what)


def descriptor(world: World, fd: int) -> Found:
    """A descriptor's selection names rings of its interface, as its ringid asked for."""
    priv = world.privs.get(fd)
    if bool(world.fds.get(fd)) != (priv is not None):
        what = f"descriptor {fd}: open {fd in world.fds}, registered {priv is not None}"
        yield Broken("registered", "2011.register.private", what)
    if priv is None:
        return
    if priv.iface not in world.ifs:
        yield Broken("registered", "2011.register.private", f"descriptor {fd}: no interface {priv.iface}")
        return
    chosen, queues = priv.selection, world.ifs[priv.iface].num_queues
    if not 0 <= chosen.qfirst < chosen.qlast <= queues + 1:
        what = f"descriptor {fd}: rings {chosen.qfirst} … {chosen.qlast - 1} of {queues}"
        yield Broken("selection", "2011.register.selection", what)
    if chosen.qlast == queues + 1 and chosen.qfirst != queues:
        yield Broken("selection", "2011.register.selection", f"descriptor {fd}: hardware and host rings")
    if chosen.txpoll != (0 if chosen.ringid & NO_TX_POLL else 1):
        yield Broken("txpoll", "2011.register.no-tx-poll", f"descriptor {fd}: {chosen}")


def layout(world: World, iface: Interface, ghost: Ghost) -> Found:
    """What the kernel wrote into shared memory about places, where no user wrote over it."""
    if not in_mode(iface) or iface.na is None:
        return
    for name, at in ring_places(iface.na, iface.ring_at["tx0"]):
        if iface.ring_at[name] != at:
            yield Broken(
                "ring_places", "2011.iface.one-object", f"{name}:{iface.name} at {iface.ring_at[name]}"
            )
            continue
        view, n = world.ring(iface, name), iface.na.num_desc(name[0] == "t")
        told = (view.num_slots, view.buf_ofs, view.nr_buf_size)
        wanted = (n, world.layout.buf_start - at, BUF_SIZE)
        if told != wanted and not (ghost.defaced(at, 12) or ghost.defaced(at + 20, 2)):
            yield Broken(
                "ring_fields", "2011.iface.ring-fields", f"{name}:{iface.name}: {told}, not {wanted}"
            )
    for fd, priv in world.privs.items():
        if priv.iface != iface.name or priv.nifp is None:
            continue
        size = if_bytes(iface.na.num_queues)
        if ghost.defaced(priv.nifp, size):
            continue
        nifp, count = api2011.netmap_if(world.region, priv.nifp), iface.na.num_queues + 1
        offsets = [nifp.ring_ofs[i] + priv.nifp for i in range(2 * count)]
        wanted_at = [iface.ring_at[f"{side}{i}"] for side in ("tx", "rx") for i in range(count)]
        if offsets != wanted_at or nifp.ni_num_queues != iface.na.num_queues:
            what = f"descriptor {fd}: rings at {offsets}, not {wanted_at}"
            yield Broken("ring_offsets", "2011.iface.offsets", what)
        if not all(invariants.inside(o, api2011.netmap_ring.SIZE, 0, world.layout.size) for o in offsets):
            yield Broken("inside", "2011.iface.offsets", f"descriptor {fd}: rings at {offsets}")


# --- rings and NIC ----------------------------------------------------------------------------


def kring(world: World, iface: Interface, name: str, astray: bool) -> Found:
    """The kernel's positions in one ring; ``astray``: its driver reset it without restarting the NIC."""
    k = iface.krings.get(name)
    if k is None or iface.na is None:
        return
    where = f"{name}:{iface.name}"
    if int(name[2:]) > iface.num_queues:
        if k.n:
            yield Broken("no_ring", "2011.iface.first", f"{where} has {k.n} slots")
        return
    if k.n == 0:
        if iface.refcount > 0:
            yield Broken("ring_fields", "2011.iface.ring-fields", f"{where} has no slots")
        return
    if k.n != iface.na.num_desc(name[0] == "t"):
        yield Broken("ring_fields", "2011.iface.ring-fields", f"{where} has {k.n} slots")
    avail = min(k.hwavail, k.n - 1) if astray else k.hwavail
    if not invariants.ring2011_positions(k.n, k.hwcur, avail):
        what = f"{where}: hwcur {k.hwcur}, hwavail {k.hwavail} of {k.n}"
        yield Broken("ring2011_positions", "2011.ring.positions", what)
    if not -k.n < k.hwofs < k.n:
        yield Broken("hwofs_range", "2011.ring.hwofs", f"{where}: hwofs {k.hwofs} of {k.n}")
    if name == f"tx{iface.num_queues}" and k.hwavail != k.n - 1:
        yield Broken("host_drained", "2011.host.tx-drained", f"{where}: hwavail {k.hwavail} of {k.n}")


def _address(world: World, address: int, length: int) -> int:
    """The buffer that a NIC address means; -1 when it is none or ``length`` bytes leave it."""
    index, rest = divmod(address - world.layout.buf_start, BUF_SIZE)
    return index if rest == 0 and 0 <= index < world.pool.total and length <= BUF_SIZE else -1


def tx_queue(world: World, iface: Interface, q: int, honest: bool) -> Found:
    """NIC transmit ring and kring agree through hwofs, and what is to be sent is in buffers."""
    k, nic, where = iface.krings[f"tx{q}"], iface.tx[q], f"tx{q}:{iface.name}"
    if k.n != nic.n:
        yield Broken("ring_sizes", "2011.ring.hwofs", f"{where}: {k.n} slots, {nic.n} descriptors")
        return
    if (k.hwcur - k.hwofs) % k.n != nic.tail:
        what = f"{where}: hwcur {k.hwcur} with hwofs {k.hwofs}, NIC tail {nic.tail}"
        yield Broken("tx_tail", "2011.ring.hwofs", what)
    under_way = invariants.steps(k.n, nic.clean, nic.tail)
    if k.hwavail + under_way != k.n - 1:
        what = f"{where}: hwavail {k.hwavail}, {under_way} under way of {k.n}"
        yield Broken("tx_completions", "2011.ring.completions", what)
    sending = invariants.steps(k.n, nic.head, nic.tail)
    if sending > under_way:
        yield Broken("tx_completions", "2011.ring.completions", f"{where}: {nic}")
    for i in range(sending):
        address, length = nic.desc[(nic.head + i) % k.n]
        if (index := _address(world, address, length)) < (2 if honest else 1):
            what = f"{where}: {length} bytes at {address} (buffer {index}) are to be sent"
            yield Broken("tx_buffer", "2011.driver.tx-slot", what)


def rx_queue(world: World, iface: Interface, q: int, honest: bool, in_hand: frozenset[int]) -> Found:
    """NIC receive ring and kring agree through hwofs, and posted descriptors are the slots' buffers."""
    name = f"rx{q}"
    k, nic, where = iface.krings[name], iface.rx[q], f"rx{q}:{iface.name}"
    if k.n != nic.n:
        yield Broken("ring_sizes", "2011.ring.hwofs", f"{where}: {k.n} slots, {nic.n} descriptors")
        return
    if (nic.check + k.hwofs) % k.n != (k.hwcur + k.hwavail) % k.n:
        what = f"{where}: {k}, NIC looks at {nic.check} next"
        yield Broken("rx_check", "2011.ring.hwofs", what)
    if (k.hwcur - k.hwofs - 1) % k.n != nic.tail:
        yield Broken("rx_tail", "2011.driver.rx-slot", f"{where}: {k}, NIC tail {nic.tail}")
    finished = invariants.steps(k.n, nic.check, nic.head)
    posted = invariants.steps(k.n, nic.check, nic.tail)
    if finished > posted or posted != k.n - 1 - k.hwavail:
        what = f"{where}: {k}, {posted} posted, {finished} of them finished"
        yield Broken("rx_posted", "2011.ring.completions", what)
    for i in range(posted):
        at = (nic.check + i) % k.n
        if nic.done[at] != (i < finished):
            yield Broken("rx_done", "2011.driver.rx-import", f"{where}: descriptor {at} done {nic.done[at]}")
        index = _address(world, nic.buffer[at], BUF_SIZE)
        if index < (2 if honest else 0):
            yield Broken("rx_buffer", "2011.driver.rx-slot", f"{where}: descriptor {at} at {nic.buffer[at]}")
        if honest:
            slot = world.slot(iface, name, (at + k.hwofs) % k.n).buf_idx
            if slot != index and slot not in in_hand:
                what = f"{where}: descriptor {at} has buffer {index}, its slot {slot}"
                yield Broken("rx_buffer", "2011.driver.rx-slot", what)


# --- those who wait ---------------------------------------------------------------------------


def sleepers(world: World, iface: Interface, expected: dict[str, set[int]]) -> Found:
    """On each selinfo are the descriptors recorded there and not woken since; none outlives the rings."""
    waiting = {selinfo: fds for selinfo, fds in iface.waiting.items() if fds}
    if waiting != {selinfo: fds for selinfo, fds in expected.items() if fds}:
        what = f"{iface.name}: recorded are {waiting}, should be {expected}"
        yield Broken("sleepers", "2011.poll.record-ring", what)
    if waiting and iface.refcount == 0:
        what = f"{iface.name}: {waiting} sleep on rings that are gone"
        yield Broken("sleepers", "2011.register.last-wakes", what)


def locks(world: World) -> Found:
    """No lock outlives the operation, and every event of the operation was in order."""
    held: list[str] = []
    for event in world.events:
        if event[0] == "L":
            if event[1].startswith(("core:", "dcore:")) and held:
                yield Broken("lock_order", "2011.poll.locks", f"{event[1]} taken while holding {held}")
            held.append(event[1])
        elif event[0] == "U":
            if event[1] not in held:
                yield Broken("locks_balanced", "2011.memory.lock", f"{event[1]} is not held")
            else:
                held.remove(event[1])
        elif event[0] == "VIOL":
            wiped = "zeroed" in event[1]
            clause = "2011.iface.locks-kept" if wiped else "2011.memory.no-sleep-under-lock"
            yield Broken("kernel_rules", clause, event[1])
        elif event[0] == "SLEEP" and held:
            what = f"asleep ({event[2]}) holding {held}"
            yield Broken("kernel_rules", "2011.memory.no-sleep-under-lock", what)
    if held or world.held:
        yield Broken("locks_balanced", "2011.memory.lock", f"still held: {held or world.held}")

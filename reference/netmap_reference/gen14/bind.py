"""Chapter *bind*: krings, rings and the netmap_if that a bound descriptor needs, made and unmade.

Krings come with the first descriptor of a port and go with the last. A ring object is made when a
descriptor is bound to it (``users``) or when the other end of a pipe needs it (``needed``), and goes when
neither holds any more. Receive rings are made before transmit rings, both in ascending order, so fresh
memory gives receive rings the lower buffers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from netmap_spec.abi import api14

from ..core.choice import Choice
from ..core.step import rule
from ..core.words import u32
from . import failure, memory
from .failure import Faulted, Refused, may_fail, point
from .memory import Allocator
from .offsets import NONE
from .regions import hold, memory_put
from .request import Rings
from .ring import CONTRACT, Kring, Slot
from .state import DIRECTIONS, RX, TX, Adapter, File, KringState, System, ring_name

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
MEM2_C = memory.MEM2_C

__all__ = ["Faulted", "Refused", "hold", "memory_put"]

KRINGS = rule("14/bind/krings_create", clause="14.memory.fresh-ring", source=f"{NETMAP_C}:849-943")
RING_REAL = rule(
    "14/bind/rings_create/own-buffers", clause="14.memory.fresh-ring", source=f"{MEM2_C}:1994-2028"
)
RING_FAKE = rule(
    "14/bind/rings_create/no-buffers", clause="14.memory.fresh-ring", source=f"{MEM2_C}:2029-2034"
)
RING_GONE = rule("14/bind/rings_delete", clause="14.memory.returned", source=f"{MEM2_C}:2053-2082")
EXCLUSIVE = rule("14/bind/krings_get/busy", clause="14.register.exclusive", source=f"{NETMAP_C}:2082-2089")
SHARED = rule("14/bind/krings_get/bound", clause="14.register.exclusive", source=f"{NETMAP_C}:2094-2099")

#: The netmap_if of a request that fails late names the extra buffers of its last owner.
STALE_HEAD = "14.stale-bufs-head"
#: The rings that a failed request chose stay with its descriptor.
RINGID_STICKS = "14.ringid-sticks"
AS_WRITTEN = frozenset({STALE_HEAD, RINGID_STICKS})

STALE_FREED = rule(
    "14/bind/if_delete/stale-chain",
    clause="14.failure.no-early-use",
    source=f"{MEM2_C}:2161-2171",
    switch=STALE_HEAD,
)

#: The krings of a port are one block of memory.
KRINGS_MEMORY = point("krings", "ENOMEM", source=f"{NETMAP_C}:873-877")
RING_MEMORY = point("memory.ring", "ENOMEM", source=f"{MEM2_C}:1999-2003")
BUFS_MEMORY = point("memory.buffers", "ENOMEM", source=f"{MEM2_C}:2025-2028")
IF_MEMORY = point("memory.netmap-if", "ENOMEM", source=f"{MEM2_C}:2112-2116")
IF_NEW = rule("14/bind/if_new", clause="14.register.nifp", source=f"{MEM2_C}:2092-2159")


#: A ring's offsets stay with it, and its mask with its memory, when its last user has gone.
OFFSETS_OUTLIVE = "14.offsets-outlive-user"
OFFSETS_KEPT = rule(
    "14/bind/rings_create/offsets-kept",
    clause="14.offsets.forgotten",
    source=f"{MEM2_C}:1994-2040",
    switch=OFFSETS_OUTLIVE,
)


class Hung(Exception):
    """The kernel goes round for ever at these source lines."""


def krings_of(s: System, na: Adapter, hardware_only: bool = False) -> Iterator[KringState]:
    """A port's krings in the kernel's order: receive before transmit, ascending."""
    for t in DIRECTIONS:
        for i in range(na.rings(t) if hardware_only else na.all_rings(t)):
            yield s.krings[ring_name(na.name, t, i)]


def selected(s: System, f: File) -> Iterator[KringState]:
    """The krings a descriptor is bound to, in the kernel's order."""
    for t in DIRECTIONS:
        first, last = f.range(t)
        for i in range(first, last):
            yield s.krings[ring_name(f.adapter, t, i)]


def put(s: System, k: KringState) -> None:
    s.krings[k.name] = k


def allocator(s: System, adapter: str) -> Allocator:
    return s.allocators[s.adapters[adapter].mem]


def krings_create(s: System, na: Adapter, fired: list[str]) -> None:
    """All krings of a port: transmit rings start with every slot but one free, receive rings empty."""
    if na.created:
        return
    may_fail(s, KRINGS_MEMORY, fired)
    for t in DIRECTIONS:
        n = na.slots(t)
        tail = u32(n - 1) if t == TX else 0
        for i in range(na.all_rings(t)):
            host = i >= na.rings(t)
            fake = host and not na.host_rings
            pos = Kring(n, 0, tail, 0, 0, tail)
            put(s, KringState(na.name, t, i, pos, host=host, fake=fake))
    s.adapters[na.name] = replace(na, created=True)
    fired.append(KRINGS)


def krings_delete(s: System, name: str) -> None:
    """Forget a port's krings."""
    na = s.adapters[name]
    if na.created:
        # By name, not by count: the number of host rings may have been put back to its default meanwhile.
        for k in [k for k in s.krings.values() if k.adapter == name]:
            del s.krings[k.name]
        s.adapters[name] = replace(na, created=False)


def krings_get(s: System, f: File, fired: list[str]) -> None:
    """Bind a descriptor to its krings.

    EBUSY when one of them has an exclusive user, or has users and we want it alone. Taken back together with
    the ring objects that are made for it.
    """
    for k in selected(s, f):
        if k.exclusive or (k.users > 0 and f.exclusive):
            fired.append(EXCLUSIVE)
            raise Refused("EBUSY")
    fired.append(SHARED)
    for k in list(selected(s, f)):
        put(s, replace(k, users=k.users + 1, exclusive=f.exclusive, pending=True))
    failure.undo(s, "bind.users", lambda: _unbind(s, f))


def _unbind(s: System, f: File) -> None:
    """Undo :func:`krings_get`, :func:`rings_create` and :func:`update_hostrings_mode`."""
    krings_put(s, f)
    update_hostrings_mode(s, s.adapters[f.adapter])
    rings_delete(s, f.adapter, [])


def krings_put(s: System, f: File) -> None:
    """Undo :func:`krings_get`; a ring nobody uses any more shall leave netmap mode."""
    for k in list(selected(s, f)):
        users = k.users - 1
        exclusive = k.exclusive and not f.exclusive
        put(s, replace(k, users=users, exclusive=exclusive, pending=users > 0))


def mode_commit(s: System, na: Adapter) -> None:
    """Every hardware ring takes the mode it was told to take; host rings have theirs by now
    (netmap_krings_mode_commit)."""
    for k in list(krings_of(s, na, hardware_only=True)):
        put(s, replace(k, on=k.pending))


def update_hostrings_mode(s: System, na: Adapter) -> None:
    """Host rings change their mode at once: no driver is concerned. The one of a port that has none is never
    told to (netmap_update_hostrings_mode)."""
    for k in list(krings_of(s, na)):
        if k.host:
            put(s, replace(k, on=k.pending))


def mode_pending(s: System, f: File) -> bool:
    """Shall one of the descriptor's rings change its mode?"""
    return any(k.on != k.pending for k in selected(s, f))


def ring_counts(na: Adapter) -> Rings:
    """How many rings a port has, as the modes of a request count them."""
    return Rings(
        na.tx_rings, na.rx_rings, na.host_tx_rings, na.host_rx_rings, na.all_rings(TX), na.all_rings(RX),
        na.host_rings,
    )  # fmt: skip


def free_number(s: System) -> int:
    """The smallest adapter number that is free."""
    taken = {na.number for na in s.adapters.values()}
    return next(n for n in range(len(taken) + 1) if n not in taken)


# --- ring objects -----------------------------------------------------------------------------


def ring_at(s: System, k: KringState) -> int:
    """Offset of a kring's ring object in its region."""
    return allocator(s, k.adapter).ring_offset(k.ring)


def view(s: System, k: KringState) -> api14.netmap_ring:
    """The ring object as the application sees it."""
    return api14.netmap_ring(s.regions[s.adapters[k.adapter].mem], ring_at(s, k))


def handed_out(s: System, a: Allocator, indices: tuple[int, ...], fired: list[str]) -> None:
    """Buffers come to somebody with what their last user left in them, or a system clears them all.

    Source: netmap_new_bufs, netmap_extra_alloc.
    """
    used = memory.written(a, s.regions[a.id], indices)
    if used:
        fired.append(memory.USED_BEFORE)
        if s.params.keeps_bytes < 0:
            keeps = s.request.choose(Choice("memory.keeps-bytes", "", 0, 1, "answer"))
            s.params = replace(s.params, keeps_bytes=keeps)
        if not s.params.keeps_bytes:
            memory.clear(a, s.regions[a.id], used)


def rings_create(s: System, name: str, fired: list[str], switches: frozenset[str] = CONTRACT) -> None:
    """Make every missing ring object of a port. ENOMEM when objects or buffers run out.

    ``flags`` and ``ts`` keep what the last user of the same memory left there, and as written
    (OFFSETS_OUTLIVE) so does ``offset_mask``, while the kring keeps what was agreed on. Source:
    netmap_mem2_rings_create.
    """
    na = s.adapters[name]
    for k in list(krings_of(s, na)):
        if k.ring >= 0 or not (k.users > 0 or k.needed):
            continue
        a = s.allocators[na.mem]
        n = k.pos.n
        step = memory.obj_malloc(a.ring_pool, api14.netmap_ring.SIZE + n * api14.netmap_slot.SIZE)
        fired.extend(step.fired)
        may_fail(s, RING_MEMORY, fired)
        if not step.outcome.ok:
            raise Refused("ENOMEM")
        a = replace(a, ring_pool=step.state.pool)
        k = replace(k, ring=step.state.index)
        if OFFSETS_OUTLIVE not in switches:
            k = replace(k, offset=NONE)
        elif k.offset.bits:
            fired.append(OFFSETS_KEPT)
        indices: tuple[int, ...] = (0,) * n
        if not k.fake:
            may_fail(s, BUFS_MEMORY, fired)
            taken = memory.take(a.buf_pool, n)
            if len(taken.indices) < n:
                fired.append(memory.EXHAUSTED)
                raise Refused("ENOMEM")
            a, indices = replace(a, buf_pool=taken.pool), taken.indices
            handed_out(s, a, indices, fired)
        fired.append(RING_FAKE if k.fake else RING_REAL)
        s.allocators[na.mem] = a
        put(s, k)
        ring = view(s, k)
        ring.buf_ofs = a.buf_offset(0) - ring.off
        ring.num_slots, ring.nr_buf_size = n, a.buf_size
        ring.ringid, ring.dir = k.index, int(k.t == TX)
        ring.head, ring.cur, ring.tail = k.pos.rhead, k.pos.rcur, k.pos.rtail
        if OFFSETS_OUTLIVE not in switches:
            ring.offset_mask = 0
        elif ring.offset_mask:
            fired.append(OFFSETS_KEPT)
        ring.buf_align = 0
        memory.write_slots(s.regions[na.mem], ring.off, (Slot(i, a.buf_size) for i in indices))


def rings_delete(s: System, name: str, fired: list[str]) -> None:
    """Free every ring object nobody needs, and the buffers its slots name now if it owned buffers."""
    na = s.adapters[name]
    for k in list(krings_of(s, na)):
        if k.ring < 0 or k.users > 0 or k.needed:
            continue
        a = s.allocators[na.mem]
        if not k.fake:
            slots = memory.read_slots(s.regions[na.mem], ring_at(s, k), k.pos.n)
            back = memory.free_many(a.buf_pool, (x.buf_idx for x in slots if x.buf_idx > 1))
            a = replace(a, buf_pool=back.state)
            fired.extend(back.fired)
        a = replace(a, ring_pool=memory.obj_free(a.ring_pool, k.ring).state)
        s.allocators[na.mem] = a
        put(s, replace(k, ring=-1))
        fired.append(RING_GONE)


# --- netmap_if --------------------------------------------------------------------------------


def if_new(s: System, f: File, fired: list[str], switches: frozenset[str]) -> int:
    """A descriptor's own netmap_if. Offsets of its rings count from the object itself; 0 stands for a ring it
    is not bound to; transmit rings come first. It has no extra buffers yet; as written (STALE_HEAD)
    ``ni_bufs_head`` is the last owner's until the request has come to them.

    ENOMEM when no object is left. Source: netmap_mem2_if_new.
    """
    na = s.adapters[f.adapter]
    a = s.allocators[na.mem]
    total = na.all_rings(TX) + na.all_rings(RX)
    step = memory.obj_malloc(a.if_pool, api14.netmap_if.SIZE + 8 * total)
    fired.extend((*step.fired, IF_NEW))
    may_fail(s, IF_MEMORY, fired)
    if not step.outcome.ok:
        raise Refused("ENOMEM")
    s.allocators[na.mem] = a = replace(a, if_pool=step.state.pool)
    nifp = api14.netmap_if(s.regions[na.mem], a.if_offset(step.state.index))
    nifp.ni_name = na.label or na.name
    nifp.ni_tx_rings, nifp.ni_rx_rings = na.tx_rings, na.rx_rings
    nifp.ni_host_tx_rings, nifp.ni_host_rx_rings = na.host_tx_rings or 1, na.host_rx_rings or 1
    if STALE_HEAD not in switches:
        nifp.ni_bufs_head = 0
    index = step.state.index
    failure.undo(s, "bind.netmap-if", lambda: _if_undo(s, f, index, fired, switches))
    position = 0
    for t in (TX, RX):
        first, last = f.range(t)
        for i in range(na.all_rings(t)):
            k = s.krings[ring_name(na.name, t, i)]
            bound = first <= i < last
            nifp.ring_ofs[position] = a.ring_offset(k.ring) - nifp.off if bound else 0
            position += 1
    return index


def _if_undo(s: System, f: File, index: int, fired: list[str], switches: frozenset[str]) -> None:
    """Take back a netmap_if that was given no extra buffers yet; as written what it names is freed."""
    a = allocator(s, f.adapter)
    nifp = api14.netmap_if(s.regions[a.id], a.if_offset(index))
    if STALE_HEAD not in switches:
        nifp.ni_bufs_head = 0
    elif nifp.ni_bufs_head:
        fired.append(STALE_FREED)
    if_delete(s, f, index, fired)


def if_delete(s: System, f: File, nifp_index: int, fired: list[str]) -> None:
    """Free a descriptor's netmap_if and the chain of extra buffers its ``ni_bufs_head`` names now."""
    mem = s.adapters[f.adapter].mem
    a = s.allocators[mem]
    nifp = api14.netmap_if(s.regions[mem], a.if_offset(nifp_index))
    if nifp.ni_bufs_head:
        step = memory.extra_free(a, s.regions[mem], nifp.ni_bufs_head)
        a = step.state
        fired.extend(step.fired)
    s.allocators[mem] = replace(a, if_pool=memory.obj_free(a.if_pool, nifp_index).state)

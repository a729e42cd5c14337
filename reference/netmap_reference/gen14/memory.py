"""Chapter *memory*: three pools of objects in one region, and what an allocation hands out.

A region holds, one after the other, a pool of ``netmap_if`` objects, a pool of rings and a pool of
packet buffers. A pool is a set of object indices in use; the lowest free index is always given
first. Buffers 0 and 1 never belong to anybody: 0 stands in where a slot has no buffer.

There is one *global* region for the NICs and a *private* one for each port that brings its own
(here: the parent made for a pipe whose parent does not exist). The pools of a region forget every
allocation when its last user has left.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace

from netmap_spec.abi import api14

from ..core.memory import PAGE, Region
from ..core.outcome import errno
from ..core.step import Step, rule
from .ring import Slot

MEM2_C = "luigirizzo/netmap:sys/dev/netmap/netmap_mem2.c@89607e14"

LINE = 64
MAX_CLUSTER = 1 << 22
GLOBAL_ID = 1
RESERVED = frozenset({0, 1})

_POOL = "14.memory.pool"
CONFIG = rule("14/memory/config_pool/rounded", clause="14.memory.rounding", source=f"{MEM2_C}:1326-1400")
CONFIG_SIZE = rule(
    "14/memory/config_pool/bad-size", clause="14.memory.rounding", source=f"{MEM2_C}:1339-1354"
)
CONFIG_NUM = rule(
    "14/memory/config_pool/bad-number", clause="14.memory.rounding", source=f"{MEM2_C}:1355-1359"
)
CONFIG_CLUSTER = rule(
    "14/memory/config_pool/no-cluster", clause="14.memory.rounding", source=f"{MEM2_C}:1366-1380"
)
TAKEN = rule("14/memory/obj_malloc/lowest", clause=_POOL, source=f"{MEM2_C}:1037-1059")
EXHAUSTED = rule("14/memory/obj_malloc/none-left", clause=_POOL, source=f"{MEM2_C}:1030-1033")
TOO_LARGE = rule("14/memory/obj_malloc/too-large", clause=_POOL, source=f"{MEM2_C}:1025-1028")
FREED = rule("14/memory/obj_free/freed", clause=_POOL, source=f"{MEM2_C}:1081-1085")
FREED_TWICE = rule("14/memory/obj_free/already-free", clause=_POOL, source=f"{MEM2_C}:1076-1080")
FREED_WILD = rule("14/memory/obj_free/no-such-object", clause=_POOL, source=f"{MEM2_C}:1072-1075")
EXTRA = rule("14/memory/extra_alloc/chain", clause="14.memory.extra-buffers", source=f"{MEM2_C}:1138-1162")
EXTRA_SHORT = rule(
    "14/memory/extra_alloc/cut", clause="14.memory.extra-buffers", source=f"{MEM2_C}:1150-1154"
)
ID_NEXT = rule("14/memory/assign_id/next-free", clause="14.memory.ids", source=f"{MEM2_C}:655-684")
FORGOTTEN = rule("14/memory/deref/last-user", clause="14.memory.last-user", source=f"{MEM2_C}:475-500")


@dataclass(frozen=True, slots=True)
class ObjPool:
    """One class of objects: ``objtotal`` of ``objsize`` bytes each, ``used`` their indices in use."""

    objsize: int
    objtotal: int
    used: frozenset[int] = frozenset()

    @property
    def memtotal(self) -> int:
        """Bytes of the region this pool covers; always whole pages."""
        return self.objsize * self.objtotal

    @property
    def objfree(self) -> int:
        return self.objtotal - len(self.used)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a pool's objects may be asked to be: sizes in bytes, numbers in objects."""

    minsize: int
    maxsize: int
    nummin: int
    nummax: int


IF_LIMITS = Limits(api14.netmap_if.SIZE, 4096, 1, 100)
RING_LIMITS = Limits(api14.netmap_ring.SIZE, 32 * PAGE, 2, 1024)
BUF_LIMITS = Limits(64, 65536, 4, 1_000_000)
PRIVATE_LIMITS = (IF_LIMITS, RING_LIMITS, BUF_LIMITS)
GLOBAL_LIMITS = (Limits(api14.netmap_if.SIZE, 4096, 10, 10_000), RING_LIMITS, BUF_LIMITS)

#: (size, number) of the global region's three pools, and the least a private region gets.
GLOBAL_PARAMS = ((1024, 100), (9 * PAGE, 200), (2048, 20 * 4096 * 2))
PRIVATE_PARAMS = ((1024, 2), (5 * PAGE, 4), (2048, 4098))


def config_pool(num: int, size: int, limits: Limits) -> Step[ObjPool]:
    """Round a request for ``num`` objects of ``size`` bytes to whole clusters of whole pages.

    The size grows to a multiple of 64 bytes; a cluster is the smallest number of objects that fills
    pages exactly, 4 MiB at most; the number grows to whole clusters. EINVAL when a size or number
    is outside ``limits`` or no such cluster exists. Source: netmap_config_obj_allocator.
    """
    nothing = ObjPool(0, 0)
    objsize = size + (LINE - size % LINE) % LINE
    if objsize < limits.minsize or objsize > limits.maxsize or size >= MAX_CLUSTER:
        return Step(nothing, (CONFIG_SIZE,), errno("EINVAL"))
    if num < limits.nummin or num > limits.nummax:
        return Step(nothing, (CONFIG_NUM,), errno("EINVAL"))
    entries = 1
    while entries * objsize % PAGE != 0:
        entries += 1
        if entries * objsize > MAX_CLUSTER:
            return Step(nothing, (CONFIG_CLUSTER,), errno("EINVAL"))
    clusters = (num + entries - 1) // entries
    return Step(ObjPool(objsize, clusters * entries), (CONFIG,))


def private_params(
    tx_rings: int, tx_slots: int, rx_rings: int, rx_slots: int, extra: int, pipes: int
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """(size, number) of a private region's pools for a port of this shape and ``pipes`` pipes below it.

    Rings include one (unused) host ring a direction. Source: netmap_mem_private_new.
    """
    tx_rings, rx_rings = tx_rings + 1, rx_rings + 1
    (if_size, if_num), (ring_size, ring_num), (buf_size, buf_num) = PRIVATE_PARAMS
    ring_bytes = api14.netmap_ring.SIZE + api14.netmap_slot.SIZE * max(tx_slots, rx_slots)
    buffers = (4 * pipes + rx_rings) * rx_slots + (4 * pipes + tx_rings) * tx_slots + len(RESERVED) + extra
    return (
        (max(if_size, api14.netmap_if.SIZE + 8 * (tx_rings + rx_rings)), max(if_num, 2 + 4 * pipes)),
        (max(ring_size, ring_bytes), max(ring_num, tx_rings + rx_rings + 8 * pipes)),
        (buf_size, max(buf_num, buffers)),
    )


@dataclass(frozen=True, slots=True)
class Taken:
    """A pool after an allocation and the index it gave, -1 for none."""

    pool: ObjPool
    index: int


def obj_malloc(pool: ObjPool, length: int, start: int = 0) -> Step[Taken]:
    """Take the lowest free object at or after ``start``; nothing below ``start`` may be free.

    ENOMEM when ``length`` bytes do not fit an object or none is free. Source: netmap_obj_malloc.
    """
    if length > pool.objsize:
        return Step(Taken(pool, -1), (TOO_LARGE,), errno("ENOMEM"))
    index = start
    while index in pool.used:
        index += 1
    if index >= pool.objtotal:
        return Step(Taken(pool, -1), (EXHAUSTED,), errno("ENOMEM"))
    return Step(Taken(replace(pool, used=pool.used | {index}), index), (TAKEN,))


@dataclass(frozen=True, slots=True)
class TakenMany:
    """A pool after several allocations and the indices they gave, in order."""

    pool: ObjPool
    indices: tuple[int, ...]


def take(pool: ObjPool, count: int) -> TakenMany:
    """Up to ``count`` allocations in a row, fewer when the pool runs out: :func:`obj_malloc` folded."""
    indices: list[int] = []
    index = 0
    while len(indices) < count and index < pool.objtotal:
        if index not in pool.used:
            indices.append(index)
        index += 1
    return TakenMany(replace(pool, used=pool.used.union(indices)), tuple(indices))


def obj_free(pool: ObjPool, index: int) -> Step[ObjPool]:
    """Give an object back; an index that is not one, or is free already, changes nothing.

    Source: netmap_obj_free.
    """
    if index >= pool.objtotal:
        return Step(pool, (FREED_WILD,))
    if index not in pool.used:
        return Step(pool, (FREED_TWICE,))
    return Step(replace(pool, used=pool.used - {index}), (FREED,))


def free_many(pool: ObjPool, indices: Iterable[int]) -> ObjPool:
    """:func:`obj_free` folded over ``indices``."""
    return replace(pool, used=pool.used.difference(i for i in indices if i < pool.objtotal))


# --- a region's allocator ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Allocator:
    """The three pools of one region, ``refs`` ports that hold it, ``active`` bound descriptors.

    ``if_pool``, ``ring_pool`` and ``buf_pool`` lie in this order from the region's start.
    """

    id: int
    private: bool
    if_pool: ObjPool
    ring_pool: ObjPool
    buf_pool: ObjPool
    refs: int = 0
    active: int = 0

    @property
    def memsize(self) -> int:
        """Bytes an application may map: whole pages."""
        total = self.if_pool.memtotal + self.ring_pool.memtotal + self.buf_pool.memtotal
        return (total + PAGE - 1) // PAGE * PAGE

    @property
    def buf_size(self) -> int:
        return self.buf_pool.objsize

    @property
    def buffers(self) -> int:
        """Indices a slot may name are below this number (na_lut.objtotal)."""
        return self.buf_pool.objtotal

    def safe_index(self, buf_idx: int) -> int:
        """The buffer the kernel uses for an index: 0 for one the pool does not have (NMB)."""
        return buf_idx if buf_idx < self.buf_pool.objtotal else 0

    def if_offset(self, index: int) -> int:
        """Offset of a netmap_if object in the region, bytes."""
        return index * self.if_pool.objsize

    def ring_offset(self, index: int) -> int:
        """Offset of a ring object in the region, bytes."""
        return self.if_pool.memtotal + index * self.ring_pool.objsize

    def buf_offset(self, buf_idx: int) -> int:
        """Offset of a packet buffer in the region, bytes."""
        return self.if_pool.memtotal + self.ring_pool.memtotal + buf_idx * self.buf_pool.objsize


def new_allocator(
    id: int,
    private: bool,
    params: Iterable[tuple[int, int]],
    pool_limits: tuple[Limits, ...] = PRIVATE_LIMITS,
) -> Step[Allocator]:
    """An allocator whose buffers 0 and 1 are taken; EINVAL when a pool cannot be laid out."""
    pools: list[ObjPool] = []
    fired: tuple[str, ...] = ()
    for (size, num), limits in zip(params, pool_limits, strict=True):
        step = config_pool(num, size, limits)
        fired += step.fired
        if not step.outcome.ok:
            return Step(Allocator(id, private, *(ObjPool(0, 0),) * 3), fired, step.outcome)
        pools.append(step.state)
    return Step(Allocator(id, private, pools[0], pools[1], replace(pools[2], used=RESERVED)), fired)


def global_allocator() -> Allocator:
    """The region all NICs share, as the module loads."""
    return replace(new_allocator(GLOBAL_ID, False, GLOBAL_PARAMS, GLOBAL_LIMITS).state, refs=1)


def pool_params(a: Allocator) -> tuple[tuple[int, int], ...]:
    """(size, number) of an allocator's three pools as they are laid out."""
    return tuple((p.objsize, p.objtotal) for p in (a.if_pool, a.ring_pool, a.buf_pool))


def deref(a: Allocator) -> Step[Allocator]:
    """One bound descriptor less. With the last one every object of the region is free again."""
    if a.active == 1:
        clean = replace(
            a,
            active=0,
            if_pool=replace(a.if_pool, used=frozenset()),
            ring_pool=replace(a.ring_pool, used=frozenset()),
            buf_pool=replace(a.buf_pool, used=RESERVED),
        )
        return Step(clean, (FORGOTTEN,))
    return Step(replace(a, active=a.active - 1))


def assign_id(ids: tuple[int, ...], last: int) -> Step[int]:
    """The identifier of a new region: the first free one after ``last``. ``ids`` ascend and hold ``last``.

    Source: nm_mem_assign_id.
    """
    at = ids.index(last)
    for step in range(len(ids)):
        candidate = ids[(at + step) % len(ids)] + 1
        if candidate != ids[(at + step + 1) % len(ids)]:
            return Step(candidate, (ID_NEXT,))
    raise AssertionError("a list of fewer than 65535 identifiers has a gap")


# --- slots and extra buffers in the region's bytes --------------------------------------------

_SLOT = struct.Struct("<IHHQ")
_U32 = struct.Struct("<I")
_SLOTS_AT = api14.netmap_ring.SIZE


def read_slot(region: Region, ring_at: int, i: int) -> Slot:
    """Slot ``i`` of the ring object at offset ``ring_at``."""
    return Slot(*_SLOT.unpack(region.read(ring_at + _SLOTS_AT + i * _SLOT.size, _SLOT.size)))


def write_slot(region: Region, ring_at: int, i: int, slot: Slot) -> None:
    """Store slot ``i`` of the ring object at offset ``ring_at``."""
    data = _SLOT.pack(slot.buf_idx, slot.len, slot.flags, slot.ptr)
    region.write(ring_at + _SLOTS_AT + i * _SLOT.size, data)


def read_slots(region: Region, ring_at: int, n: int) -> list[Slot]:
    """All ``n`` slots of a ring object."""
    return [Slot(*f) for f in _SLOT.iter_unpack(region.read(ring_at + _SLOTS_AT, n * _SLOT.size))]


def write_slots(region: Region, ring_at: int, slots: Iterable[Slot]) -> None:
    """Store slots from the first one on."""
    data = b"".join(_SLOT.pack(s.buf_idx, s.len, s.flags, s.ptr) for s in slots)
    region.write(ring_at + _SLOTS_AT, data)


def extra_alloc(a: Allocator, region: Region, count: int) -> Step[tuple[Allocator, int, int]]:
    """Chain up to ``count`` extra buffers: (allocator, head of the chain, how many).

    Each buffer's first four bytes name the next one; they are pushed in front as they are taken, so the
    chain descends and ends with 0. Source: netmap_extra_alloc.
    """
    taken = take(a.buf_pool, count)
    head = 0
    for index in taken.indices:
        region.write(a.buf_offset(index), _U32.pack(head))
        head = index
    fired = (EXTRA,) if len(taken.indices) == count else (EXTRA, EXTRA_SHORT)
    return Step((replace(a, buf_pool=taken.pool), head, len(taken.indices)), fired)


def extra_free(a: Allocator, region: Region, head: int) -> Allocator:
    """Take back a chain: it ends at an index that is no buffer, or at one that is free already.

    Source: netmap_extra_free.
    """
    pool = a.buf_pool
    found: set[int] = set()
    while 2 <= head < pool.objtotal:
        at = a.buf_offset(head)
        free = head not in pool.used or head in found
        found.add(head)
        head = _U32.unpack(region.read(at, 4))[0]
        region.write(at, _U32.pack(0))
        if free:
            break
    return replace(a, buf_pool=free_many(pool, found))

"""Chapter *memory*, slots and extra buffers in the region's bytes."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable
from dataclasses import replace

from netmap_spec.abi import api14

from ...core.memory import Region
from ...core.step import Step, rule
from ..ring import Slot
from .allocator import Allocator
from .pools import MEM2_C, RESERVED, freed, take

_EXTRA = "14.memory.extra-buffers"
EXTRA = rule("14/memory/extra_alloc/chain", clause=_EXTRA, source=f"{MEM2_C}:1138-1162")
EXTRA_SHORT = rule("14/memory/extra_alloc/cut", clause=_EXTRA, source=f"{MEM2_C}:1150-1154")
RETURNED = rule("14/memory/extra_free/chain", clause="14.memory.extra-returned", source=f"{MEM2_C}:1164-1180")
BROKEN_OFF = rule(
    "14/memory/extra_free/broken-off", clause="14.memory.extra-wild", source=f"{MEM2_C}:1178-1179"
)
NO_BUFFER = rule(
    "14/memory/extra_free/no-buffer", clause="14.memory.extra-wild", source=f"{MEM2_C}:1173,1181-1182"
)

USED_BEFORE = rule(
    "14/memory/buffers/used-before", clause="14.memory.leftovers", source=f"{MEM2_C}:1134-1162,1189-1215"
)

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


def written(a: Allocator, region: Region, indices: Iterable[int]) -> tuple[int, ...]:
    """Those of these buffers in which anybody has stored something."""
    zero = bytes(a.buf_size)
    return tuple(i for i in indices if region.read(a.buf_offset(i), a.buf_size) != zero)


def clear(a: Allocator, region: Region, indices: Iterable[int]) -> None:
    """Store zeroes all over these buffers."""
    for i in indices:
        region.write(a.buf_offset(i), bytes(a.buf_size))


def extra_alloc(a: Allocator, region: Region, count: int) -> Step[tuple[Allocator, int, int]]:
    """Chain up to ``count`` extra buffers: (allocator, head of the chain, how many).

    Each buffer's first four bytes name the next one; they are pushed in front as they are taken, so the
    chain descends and ends with 0. Source: netmap_extra_alloc.
    """
    taken = take(a.buf_pool, count)
    head, got, fired = 0, count, [EXTRA]
    if len(taken.indices) < count:
        got = len(taken.indices)
        fired.append(EXTRA_SHORT)
    for index in taken.indices:
        region.write(a.buf_offset(index), _U32.pack(head))
        head = index
    return Step((replace(a, buf_pool=taken.pool), head, got), tuple(fired))


#: What becomes of a buffer that a chain names: nothing, its link is cleared, it is free and the walk goes on.
NOTHING, CLEARED, TAKEN_BACK = 0, 1, 2


def back(used: Collection[int], total: int, index: int) -> Step[int]:
    """What becomes of buffer ``index`` of a chain when it is given back, the pool having ``total`` buffers.

    Nothing when it is no buffer; one that is free already ends the chain as well.
    """
    if index < len(RESERVED) or index >= total:
        return Step(NOTHING, (NO_BUFFER,))
    step = freed(used, index)
    if not step.state:
        return Step(CLEARED, (*step.fired, BROKEN_OFF))
    return Step(TAKEN_BACK)


def extra_free(a: Allocator, region: Region, head: int) -> Step[Allocator]:
    """Take back a chain: it ends at an index that is no buffer, or at one that is free already.

    The first word of each buffer is put to 0. Whatever the application has stored there, the walk ends: every
    buffer is taken back once. Source: netmap_extra_free.
    """
    left = set(a.buf_pool.used)
    fired = [RETURNED]
    while head != 0:
        step = back(left, a.buf_pool.objtotal, head)
        fired.extend(step.fired)
        if step.state == NOTHING:
            break
        at = a.buf_offset(head)
        left.discard(head)
        head = _U32.unpack(region.read(at, 4))[0]
        region.write(at, _U32.pack(0))
        if step.state != TAKEN_BACK:
            break
    return Step(replace(a, buf_pool=replace(a.buf_pool, used=frozenset(left))), tuple(fired))

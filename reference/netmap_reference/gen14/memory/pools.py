"""Chapter *memory*, pools: objects of one size, how they are laid out, taken and given back.

A pool is a set of object indices in use; the lowest free index is always given first. Its memory comes in
*clusters*: the fewest objects that fill whole pages, so that no object lies across the edge of one. The pools
of a region that a user brought (:mod:`.external`) have no clusters; objects that would lie across pages that
are not neighbours are *invalid* and never given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from ...core.memory import PAGE
from ...core.outcome import errno
from ...core.step import Step, rule

MEM2_C = "luigirizzo/netmap:sys/dev/netmap/netmap_mem2.c@89607e14"

LINE = 64
MAX_CLUSTER = 1 << 22
RESERVED = frozenset({0, 1})

_POOL = "14.memory.pool"
_ROUNDING = "14.memory.rounding"
CONFIG = rule("14/memory/config_pool/rounded", clause=_ROUNDING, source=f"{MEM2_C}:1326-1400")
CONFIG_SIZE = rule("14/memory/config_pool/bad-size", clause=_ROUNDING, source=f"{MEM2_C}:1339-1354")
CONFIG_NUM = rule("14/memory/config_pool/bad-number", clause=_ROUNDING, source=f"{MEM2_C}:1355-1359")
CONFIG_CLUSTER = rule("14/memory/config_pool/no-cluster", clause=_ROUNDING, source=f"{MEM2_C}:1366-1380")
TAKEN = rule("14/memory/obj_malloc/lowest", clause=_POOL, source=f"{MEM2_C}:1037-1059")
EXHAUSTED = rule("14/memory/obj_malloc/none-left", clause=_POOL, source=f"{MEM2_C}:1030-1033")
TOO_LARGE = rule("14/memory/obj_malloc/too-large", clause=_POOL, source=f"{MEM2_C}:1025-1028")
FREED = rule("14/memory/obj_free/freed", clause=_POOL, source=f"{MEM2_C}:1081-1085")
NOT_TAKEN = rule("14/memory/obj_free/not-allocated", clause=_POOL, source=f"{MEM2_C}:1072-1080")
SHORT = rule("14/memory/finalize/short", clause="14.memory.short", source=f"{MEM2_C}:1447-1470")
EMPTY = rule("14/memory/finalize/none", clause="14.memory.short", source=f"{MEM2_C}:425-431")


@dataclass(frozen=True, slots=True)
class ObjPool:
    """One class of objects: ``objtotal`` of ``objsize`` bytes each, ``used`` their indices in use.

    ``invalid`` are indices of objects that are not in one piece; ``entries`` is how many objects make a
    cluster.
    """

    objsize: int
    objtotal: int
    used: frozenset[int] = frozenset()
    invalid: frozenset[int] = frozenset()
    entries: int = 1

    @property
    def memtotal(self) -> int:
        """Bytes of the region this pool covers: whole clusters, and always whole pages."""
        clusters = (self.objtotal + self.entries - 1) // self.entries
        return (clusters * self.entries * self.objsize + PAGE - 1) // PAGE * PAGE

    @property
    def objfree(self) -> int:
        return self.objtotal - len(self.used | self.invalid)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a pool's objects may be asked to be: sizes in bytes, numbers in objects."""

    minsize: int
    maxsize: int
    nummin: int
    nummax: int


def config_pool(num: int, size: int, limits: Limits) -> Step[ObjPool]:
    """Round a request for ``num`` objects of ``size`` bytes to whole clusters of whole pages.

    The size grows to a multiple of 64 bytes; a cluster is the smallest number of objects that fills
    pages exactly, 4 MiB at most; the number grows to whole clusters. EINVAL when a size or number
    is outside ``limits`` or no such cluster exists. Source: netmap_config_obj_allocator.
    """
    nothing = ObjPool(0, 0)
    entries = clusters = 1
    objsize = size + (LINE - size % LINE) % LINE
    if objsize < limits.minsize or objsize > limits.maxsize:
        return Step(nothing, (CONFIG_SIZE,), errno("EINVAL"))
    if num < limits.nummin or num > limits.nummax:
        return Step(nothing, (CONFIG_NUM,), errno("EINVAL"))
    while entries * objsize % PAGE != 0:
        entries += 1
        if entries * objsize > MAX_CLUSTER:
            return Step(nothing, (CONFIG_CLUSTER,), errno("EINVAL"))
    clusters = (num + entries - 1) // entries
    return Step(ObjPool(objsize, clusters * entries, entries=entries), (CONFIG,))


def shrink_pool(pool: ObjPool, cluster: int) -> Step[ObjPool]:
    """What is left of a pool when there is no memory for its cluster number ``cluster``, from 0.

    Half of what was there already is given back. ENOMEM when nothing is left. Source:
    netmap_finalize_obj_allocator, netmap_init_obj_allocator_bitmap.
    """
    got = cluster * pool.entries
    left = got if got < 2 else got // 2 - 1
    if left == 0:
        return Step(replace(pool, objtotal=0), (SHORT, EMPTY), errno("ENOMEM"))
    return Step(replace(pool, objtotal=left), (SHORT,))


@dataclass(frozen=True, slots=True)
class Taken:
    """A pool after an allocation and the index it gave, -1 for none."""

    pool: ObjPool
    index: int


def obj_malloc(pool: ObjPool, length: int, start: int = 0) -> Step[Taken]:
    """Take the lowest free object at or after ``start``; nothing below ``start`` may be free.

    ENOMEM when ``length`` bytes do not fit an object or none is free. Source: netmap_obj_malloc.
    """
    index = start
    if length > pool.objsize:
        return Step(Taken(pool, -1), (TOO_LARGE,), errno("ENOMEM"))
    while not is_free(pool, index):
        index += 1
    return given(pool, index)


def is_free(pool: ObjPool, index: int) -> bool:
    """May object ``index`` be given? Beyond the pool nothing is in use."""
    return index not in pool.used and index not in pool.invalid


def given(pool: ObjPool, index: int) -> Step[Taken]:
    """The pool when ``index``, the first object that is free, is taken; ENOMEM when that lies beyond it."""
    if index >= pool.objtotal:
        return Step(Taken(pool, -1), (EXHAUSTED,), errno("ENOMEM"))
    return Step(Taken(replace(pool, used=pool.used.union((index,))), index), (TAKEN,))


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
        if is_free(pool, index):
            indices.append(index)
        index += 1
    return TakenMany(replace(pool, used=pool.used.union(indices)), tuple(indices))


def freed(used: Collection[int], index: int) -> Step[bool]:
    """Does object ``index`` become free when it is given back? Not when it is no object, or free already.

    Source: netmap_obj_free.
    """
    if index not in used:
        return Step(False, (NOT_TAKEN,))
    return Step(True, (FREED,))


def obj_free(pool: ObjPool, index: int) -> Step[ObjPool]:
    """Give an object back; what is not allocated changes nothing."""
    step = freed(pool.used, index)
    return Step(replace(pool, used=pool.used.difference((index,))) if step.state else pool, step.fired)


def keep(pool: ObjPool, indices: Iterable[int]) -> ObjPool:
    """The pool when nobody gave these objects back."""
    return replace(pool, used=pool.used.union(indices))


def free_many(pool: ObjPool, indices: Iterable[int]) -> Step[ObjPool]:
    """:func:`obj_free` folded over ``indices``; each rule is told once."""
    left, fired = set(pool.used), dict[str, None]()
    for index in indices:
        step = freed(left, index)
        fired |= dict.fromkeys(step.fired)
        if step.state:
            left.discard(index)
    return Step(replace(pool, used=frozenset(left)), tuple(fired))

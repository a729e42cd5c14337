"""Chapter *memory*, a region's allocator: three pools behind each other, their parameters, and when they
apply.

A region holds, one after the other, a pool of ``netmap_if`` objects, a pool of rings and a pool of packet
buffers. Buffers 0 and 1 never belong to anybody: 0 stands in where a slot has no buffer.

There is one *global* region for the NICs and a *private* one for each port that brings its own. What the
pools are asked for (``params``) may change at any time; it applies when the region comes into use again
(:func:`config`). The pools of a region forget every allocation when its last user has left (:func:`deref`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from netmap_spec.abi import api14

from ...core.memory import PAGE
from ...core.outcome import errno
from ...core.step import Step, rule
from .external import External
from .pools import MEM2_C, RESERVED, Limits, ObjPool, config_pool

GLOBAL_ID = 1

IF_LIMITS = Limits(api14.netmap_if.SIZE, 4096, 1, 100)
RING_LIMITS = Limits(api14.netmap_ring.SIZE, 32 * PAGE, 2, 1024)
BUF_LIMITS = Limits(64, 65536, 4, 1_000_000)
PRIVATE_LIMITS = (IF_LIMITS, RING_LIMITS, BUF_LIMITS)
GLOBAL_LIMITS = (Limits(api14.netmap_if.SIZE, 4096, 10, 10_000), RING_LIMITS, BUF_LIMITS)

#: (size, number) of each of the three pools.
Pairs = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
#: What the global region is made of, and the least a private region gets, unless parameters say otherwise.
GLOBAL_PARAMS: Pairs = ((1024, 100), (9 * PAGE, 200), (2048, 20 * 4096 * 2))
PRIVATE_PARAMS: Pairs = ((1024, 2), (5 * PAGE, 4), (2048, 4098))
#: Failing to lay out new parameters counts as a user less.
COUNTS_DOWN = "14.memory-config-counts-down"
#: A request that fails leaves its error with the region, for those that follow.
ERROR_STICKS = "14.memory-error-sticks"

_WHEN = "14.memory.reconfigured"
ID_NEXT = rule("14/memory/assign_id/next-free", clause="14.memory.ids", source=f"{MEM2_C}:655-684")
FORGOTTEN = rule("14/memory/deref/last-user", clause="14.memory.last-user", source=f"{MEM2_C}:475-500")
APPLIED = rule("14/memory/config/applied", clause=_WHEN, source=f"{MEM2_C}:1865-1894")
IN_USE = rule("14/memory/config/in-use", clause=_WHEN, source=f"{MEM2_C}:224-235")
REFUSED = rule("14/memory/config/refused", clause=_WHEN, source=f"{MEM2_C}:1884-1893")
COUNTED_DOWN = rule(
    "14/memory/config/counted-down", clause=_WHEN, source=f"{MEM2_C}:345-361", switch=COUNTS_DOWN
)
LAST_ERROR = rule(
    "14/memory/config/last-error",
    clause="14.memory.finalized",
    source=f"{MEM2_C}:369-385,1865-1892",
    switch=ERROR_STICKS,
)
_NOW = "14.memory.current"
NEVER_ASKED = rule("14/memory/current/never-asked", clause=_NOW, source=f"{MEM2_C}:1396-1397")
CURRENT_SIZE = rule("14/memory/current/size", clause=_NOW, source=f"{MEM2_C}:635-636")
NO_MEMORY = rule("14/memory/current/no-memory", clause=_NOW, source=f"{MEM2_C}:1293-1297")
CURRENT_NUMBER = rule("14/memory/current/number", clause=_NOW, source=f"{MEM2_C}:639-640")


def private_params(
    tx_rings: int,
    tx_slots: int,
    rx_rings: int,
    rx_slots: int,
    extra: int,
    pipes: int,
    least: Pairs = PRIVATE_PARAMS,
) -> Pairs:
    """(size, number) of a private region's pools for a port of this shape and ``pipes`` pipes below it.

    Rings include one (unused) host ring a direction. Source: netmap_mem_private_new.
    """
    tx_rings, rx_rings = tx_rings + 1, rx_rings + 1
    (if_size, if_num), (ring_size, ring_num), (buf_size, buf_num) = least
    ring_bytes = api14.netmap_ring.SIZE + api14.netmap_slot.SIZE * max(tx_slots, rx_slots)
    buffers = (4 * pipes + rx_rings) * rx_slots + (4 * pipes + tx_rings) * tx_slots + len(RESERVED) + extra
    return (
        (max(if_size, api14.netmap_if.SIZE + 8 * (tx_rings + rx_rings)), max(if_num, 2 + 4 * pipes)),
        (max(ring_size, ring_bytes), max(ring_num, tx_rings + rx_rings + 8 * pipes)),
        (buf_size, max(buf_num, buffers)),
    )


@dataclass(frozen=True, slots=True)
class Allocator:
    """The three pools of one region, ``refs`` ports that hold it, ``active`` bound descriptors.

    ``if_pool``, ``ring_pool`` and ``buf_pool`` lie in this order from the region's start. ``params`` are what
    the pools shall be, ``last`` what they were laid out for; ``finalized`` says that their memory is there,
    ``asked`` that somebody has asked for the region, so that it is laid out, ``given_back`` that a request
    which failed had got its memory, which a system may keep. ``external`` is the process's memory they lie
    in, if they do, and ``listed`` that it is recognised when it is brought again. As written, ``exhausted``:
    its last finalisation got no memory; ``lasterr``: the errno that it remembers.
    """

    id: int
    private: bool
    if_pool: ObjPool
    ring_pool: ObjPool
    buf_pool: ObjPool
    refs: int = 0
    active: int = 0
    params: tuple[tuple[int, int], ...] = ()
    last: tuple[tuple[int, int], ...] = ()
    finalized: bool = field(default=False, compare=False)
    asked: bool = field(default=False, compare=False)
    given_back: bool = field(default=False, compare=False)
    external: External | None = None
    listed: bool = True
    exhausted: bool = False
    lasterr: str = ""

    @property
    def pools(self) -> tuple[ObjPool, ObjPool, ObjPool]:
        """In the order of the region."""
        return (self.if_pool, self.ring_pool, self.buf_pool)

    @property
    def memsize(self) -> int:
        """Bytes an application may map: whole pages."""
        return sum(p.memtotal for p in self.pools)

    @property
    def buf_size(self) -> int:
        return self.buf_pool.objsize

    @property
    def buffers(self) -> int:
        """Indices a slot may name are below this number (na_lut.objtotal)."""
        return self.buf_pool.objtotal

    @property
    def limits(self) -> tuple[Limits, ...]:
        return PRIVATE_LIMITS if self.private else GLOBAL_LIMITS

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

    def with_pools(self, pools: Iterable[ObjPool]) -> Allocator:
        """The same allocator with other pools."""
        first, second, third = pools
        return replace(self, if_pool=first, ring_pool=second, buf_pool=third)


def clean(pools: Iterable[ObjPool]) -> tuple[ObjPool, ...]:
    """Three pools with nothing in use but buffers 0 and 1 (netmap_mem_init_bitmaps)."""
    first, second, third = pools
    return (
        replace(first, used=frozenset()),
        replace(second, used=frozenset()),
        replace(third, used=RESERVED),
    )


def _lay_out(params: Iterable[tuple[int, int]], limits: tuple[Limits, ...]) -> Step[tuple[ObjPool, ...]]:
    """Three pools of these sizes and numbers, as far as they can be laid out: EINVAL at the first that
    cannot."""
    pools: list[ObjPool] = []
    fired: tuple[str, ...] = ()
    for (size, num), limit in zip(params, limits, strict=True):
        step = config_pool(num, size, limit)
        fired += step.fired
        if not step.outcome.ok:
            return Step(tuple(pools), fired, step.outcome)
        pools.append(step.state)
    return Step(tuple(pools), fired)


def new_allocator(
    id: int,
    private: bool,
    params: Iterable[tuple[int, int]],
    pool_limits: tuple[Limits, ...] = PRIVATE_LIMITS,
) -> Step[Allocator]:
    """An allocator whose buffers 0 and 1 are taken; EINVAL when a pool cannot be laid out."""
    pairs = tuple(params)
    step = _lay_out(pairs, pool_limits)
    a = Allocator(id, private, *(ObjPool(0, 0),) * 3, params=pairs, last=pairs)
    if not step.outcome.ok:
        return Step(a, step.fired, step.outcome)
    return Step(a.with_pools(clean(step.state)), step.fired)


def global_allocator() -> Allocator:
    """The region all NICs share, as the module loads."""
    return replace(new_allocator(GLOBAL_ID, False, GLOBAL_PARAMS, GLOBAL_LIMITS).state, refs=1)


def config(a: Allocator, switches: frozenset[str] = frozenset(), counts: bool = True) -> Step[Allocator]:
    """Lay the pools out anew when their parameters have changed and nobody uses them.

    EINVAL when they cannot be laid out: then everything is as before, and so it is the next time, until the
    parameters change. As written (COUNTS_DOWN) the pools before the one that cannot are new all the same, and
    a caller that would become a user (``counts``) is subtracted from the users when it fails, though it was
    not added. An error that the region remembers (ERROR_STICKS) is returned, and counts, in the same way.
    Source: netmap_mem_config, netmap_mem2_config, netmap_mem_finalize.
    """
    if a.active != 0:
        return Step(a, (IN_USE,) if a.params != a.last else ())
    fewer = a.active - 1 if counts else a.active
    if a.external is not None or a.params == a.last:
        if a.external is None and a.lasterr == "ENOMEM" and ERROR_STICKS in switches:
            return Step(replace(a, active=fewer), (LAST_ERROR,), errno("ENOMEM"))
        if a.external is None and a.lasterr == "EINVAL" and COUNTS_DOWN in switches:
            return Step(replace(a, active=fewer), (COUNTED_DOWN,), errno("EINVAL"))
        return Step(a)
    step = _lay_out(a.params, a.limits)
    if step.outcome.ok:
        done = replace(a, last=a.params, finalized=False, given_back=False, lasterr="")
        return Step(done.with_pools(clean(step.state)), (*step.fired, APPLIED))
    if COUNTS_DOWN not in switches:
        return Step(a, (REFUSED, *step.fired), step.outcome)
    mixed = (*step.state, *a.pools[len(step.state) :])
    left = replace(a, last=a.params, finalized=False, given_back=False, lasterr="EINVAL", active=fewer)
    return Step(left.with_pools(clean(mixed)), (*step.fired, COUNTED_DOWN), errno("EINVAL"))


def current(a: Allocator, pool: int, number: bool) -> Step[int]:
    """What a parameter that tells of a pool shows: bytes of an object, or the ``number`` of objects.

    Both are 0 until somebody has asked for the region, and the number while there is no memory. Source: the
    ``_curr_size`` and ``_curr_num`` of DECLARE_SYSCTLS.
    """
    if not a.asked:
        return Step(0, (NEVER_ASKED,))
    if not number:
        return Step(a.pools[pool].objsize, (CURRENT_SIZE,))
    if not a.finalized:
        return Step(0, (NO_MEMORY,))
    return Step(a.pools[pool].objtotal, (CURRENT_NUMBER,))


def pool_params(a: Allocator) -> tuple[tuple[int, int], ...]:
    """(size, number) of an allocator's three pools as they are laid out."""
    return tuple((p.objsize, p.objtotal) for p in a.pools)


def deref(a: Allocator) -> Step[Allocator]:
    """One bound descriptor less. With the last one every object of the region is free again."""
    if a.active == 1:
        return Step(replace(a, active=0, lasterr="").with_pools(clean(a.pools)), (FORGOTTEN,))
    return Step(replace(a, active=a.active - 1))


def assign_id(ids: tuple[int, ...], last: int) -> Step[int]:
    """The identifier of a new region: the first free one after ``last``. ``ids`` ascend and hold ``last``.

    65535 is followed by 1. Source: nm_mem_assign_id.
    """
    at = ids.index(last)
    for step in range(len(ids)):
        candidate = ids[(at + step) % len(ids)] % 65535 + 1
        if candidate != ids[(at + step + 1) % len(ids)]:
            return Step(candidate, (ID_NEXT,))
    raise AssertionError("a list of fewer than 65535 identifiers has a gap")

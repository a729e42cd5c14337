"""Generation 14, memory: how large pools are and where their objects lie.

What a pool is rounded to is a matter of its size: every size that a pool can have is looked at. Where objects
lie is arithmetic, proved for pools of any sizes that are laid out like that.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from netmap_reference.core.memory import PAGE
from netmap_reference.gen14 import memory

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every

ObjPool = memory.ObjPool
LINE = memory.LINE


# --- layout ---------------------------------------------------------------------------------------------


def config_body(p: Proof, config_pool: Callable[..., Any]) -> None:
    cases = Cases(p, "requests")
    # Both ends of each line: whatever lies between is rounded to the same.
    lines = [size for end in range(LINE, 65537 + 2 * LINE, LINE) for size in (end - LINE + 1, end)]
    some = (0, 1, 63, 64, 65, 1024, 2048, 4032, 4096, 8192, 9 * PAGE, 65536, 65537)
    numbers = (0, 1, 2, 4, 63, 100, 101, 1024, 1025, 1_000_000, 1_000_001)
    for limits in (memory.IF_LIMITS, memory.RING_LIMITS, memory.BUF_LIMITS):
        ways = [*every(p, "every size", lines, (5, 101)), *every(p, "every number", some, numbers)]
        for size, num in ways:
            cases.case(size=size, num=num, limits=limits)
            step = config_pool(num, size, limits)
            p.reached(step.fired)
            rounded = (size + 63) // 64 * 64
            entries = next(e for e in range(1, PAGE + 1) if e * rounded % PAGE == 0)
            fits = limits.minsize <= rounded <= limits.maxsize and entries * rounded <= memory.MAX_CLUSTER
            wanted = fits and limits.nummin <= num <= limits.nummax
            cases.goal("a size or number outside its limits is refused", step.outcome.ok == wanted)
            if not step.outcome.ok:
                empty = step.state.objsize == 0 and step.state.objtotal == 0
                cases.goal("with EINVAL, and there is no pool", step.outcome.detail == "EINVAL", empty)
                continue
            pool = step.state
            cases.goal("the size grows to whole lines", pool.objsize == rounded)
            cases.goal(
                "the number grows to whole clusters, no further",
                pool.objtotal % entries == 0,
                num <= pool.objtotal < num + entries,
                pool.entries == entries,
            )
            cases.goal(
                "the pool is whole pages, exactly its objects",
                pool.memtotal % PAGE == 0,
                pool.memtotal == pool.objtotal * pool.objsize,
            )
            cluster, two = entries * rounded, range(2 * entries)
            edges = all(i * rounded // cluster == ((i + 1) * rounded - 1) // cluster for i in two)
            cases.goal("no object lies across the edge of a cluster", edges)
    cases.end()


def _unrounded(num: int, size: int, limits: Any) -> Any:
    got = memory.config_pool(num, size, limits)
    return replace(got, state=replace(got.state, objtotal=num)) if got.outcome.ok else got


obligation(
    "14.memory.config",
    clauses=("14.memory.rounding", "14.memory.layout"),
    statement="""A pool that is laid out has whole lines, whole pages and whole clusters, the fewest that
    hold what was asked for, and no object across the edge of a cluster; a size or number outside its limits
    is EINVAL.""",
    functions=(memory.config_pool,),
    control=Control("the number is not rounded up", _unrounded),
    bounds="""Every size that a pool of the three kinds can have, from both ends of each line, and beyond the
    largest, with two numbers; numbers at all limits with some sizes: sizes and numbers are looked at apart,
    and what holds of two clusters holds of all, which are alike.""",
    rules=(memory.CONFIG, memory.CONFIG_SIZE, memory.CONFIG_NUM, memory.CONFIG_CLUSTER),
)(config_body)


# --- where objects lie ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AnyPool:
    """A pool as 14.memory.config leaves it: ``objsize`` is whole lines, ``memtotal`` whole pages."""

    objsize: int
    objtotal: int
    memtotal: int


def _pool(p: Proof, name: str) -> AnyPool:
    """``memtotal`` is not the product itself: a pool whose memory was short covers more than its objects."""
    size, total, pages = (p.integer(f"{name}.{what}", 1) for what in ("objsize", "objtotal", "pages"))
    return AnyPool(size, total, pages * PAGE)


def offsets_body(
    p: Proof, offset_if: Callable[..., int], offset_ring: Callable[..., int], offset_buf: Callable[..., int]
) -> None:
    pools = [_pool(p, name) for name in ("if", "ring", "buf")]
    a = memory.Allocator(7, True, *(cast(Any, pool) for pool in pools))
    which = p.split("pool", 3)
    pool, offset = pools[which], (offset_if, offset_ring, offset_buf)[which]
    i, j = p.integer("i", 0), p.integer("j", 0)
    p.assume_all([i < j, j < pool.objtotal])
    here, there = p.run(offset, a, i), p.run(offset, a, j)
    size = pool.objsize
    p.assume(size % LINE == 0)
    start = sum(q.memtotal for q in pools[:which])
    # Object j ends no later than all of them, and those with the pool's memory: a product of positive numbers
    # grows with each of them, which z3 would have to find.
    p.assume_all([i * size + size <= j * size, j * size + size <= pool.memtotal, i * size >= 0])
    p.goal("an object lies inside its own pool", here >= start, there + size <= start + pool.memtotal)
    p.goal("and inside the region", here >= 0, there + size <= a.memsize)
    p.goal("different objects share no byte", here + size <= there)
    p.goal("the index can be told from the offset", here - start == i * size, there - start == j * size)
    p.goal("pools begin at lines, so their objects do", start % LINE == 0)
    p.goal("the region is whole pages", a.memsize % PAGE == 0)


obligation(
    "14.memory.offsets",
    clauses=("14.memory.layout", "14.memory.pool"),
    statement="""Every object lies inside its pool's part of the region, at a line; different objects share no
    byte; index and offset determine each other. For pools of any sizes.""",
    functions=(memory.Allocator.if_offset, memory.Allocator.ring_offset, memory.Allocator.buf_offset),
    control=Control(
        "buffers begin where the rings do",
        memory.Allocator.if_offset,
        memory.Allocator.ring_offset,
        lambda a, index: a.buf_offset(index) - a.ring_pool.memtotal,
    ),
    assumptions="""Objects of whole lines, in pools of whole pages that hold them all (14.memory.config,
    14.memory.pool-size); any two objects of one pool. That a product of positive numbers grows with each of
    them.""",
    rules=(),
)(offsets_body)


# --- how large ------------------------------------------------------------------------------------------

_MEMTOTAL = ObjPool.memtotal.fget  # type: ignore[attr-defined]
_OBJFREE = ObjPool.objfree.fget  # type: ignore[attr-defined]


def size_body(p: Proof, memtotal: Callable[[Any], int], objfree: Callable[[Any], int]) -> None:
    cases = Cases(p, "pools")
    sizes = (1, 64, 1500, PAGE // 2, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE)
    for size, total, entries in every(p, "sizes and numbers", sizes, range(8), (1, 2, 3)):
        cases.case(size=size, total=total, entries=entries)
        covered = memtotal(ObjPool(size, total, entries=entries))
        whole = next(n for n in range(total, total + entries) if n % entries == 0) * size
        cases.goal("it covers whole clusters in whole pages", covered % PAGE == 0, covered >= whole)
        cases.goal("and not a page more", covered < whole + PAGE)
    members = [frozenset(c) for size in range(5) for c in itertools.combinations(range(4), size)]
    for used, invalid in every(p, "objects in use and in two pieces", members, members):
        cases.case(used=sorted(used), invalid=sorted(invalid))
        free = [i for i in range(4) if i not in used and i not in invalid]
        cases.goal("free is what can be given", objfree(ObjPool(64, 4, used, invalid)) == len(free))
    cases.end()


obligation(
    "14.memory.pool-size",
    clauses=("14.memory.layout", "14.memory.pool"),
    statement="""A pool covers the pages its clusters fill and no more; of its objects those are free that
    are neither in use nor in two pieces.""",
    functions=(_MEMTOTAL, _OBJFREE),
    control=Control(
        "the last page is left out when it is not full",
        lambda pool: pool.objtotal * pool.objsize // PAGE * PAGE,
        _OBJFREE,
    ),
    bounds="""Sizes at and around a page, up to seven objects in clusters of one to three; every set of used
    and of invalid objects among four.""",
    rules=(),
)(size_body)

"""Generation 14, memory: how large pools are and where their objects lie.

Where objects lie is arithmetic and proved for every index, with the sizes that pools have.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from netmap_reference.core.memory import PAGE
from netmap_reference.gen14 import memory

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every

ObjPool = memory.ObjPool


# --- layout ---------------------------------------------------------------------------------------------


def config_body(p: Proof, config_pool: Callable[..., Any]) -> None:
    cases = Cases(p, "requests")
    sizes = [*range(0, 4200, 67), 63, 64, 65, 128, 2048, 4032, 4096, 8192, 9 * PAGE, 65536, 65537]
    for limits in (memory.IF_LIMITS, memory.RING_LIMITS, memory.BUF_LIMITS):
        for size, num in every(p, "sizes and numbers", sizes, (0, 1, 2, 4, 63, 100, 101, 1024, 1025)):
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
            )
            cases.goal(
                "the pool is whole pages",
                pool.memtotal % PAGE == 0,
                pool.memtotal == pool.objtotal * pool.objsize,
            )
            edges = [
                i * rounded // (entries * rounded) == ((i + 1) * rounded - 1) // (entries * rounded)
                for i in range(min(pool.objtotal, 2 * entries))
            ]
            cases.goal("no object lies across the edge of a cluster", all(edges))
    cases.end()


obligation(
    "14.memory.config",
    clauses=("14.memory.rounding", "14.memory.layout"),
    statement="""A pool that is laid out has whole lines, whole pages and whole clusters, the fewest that
    hold what was asked for, and no object across the edge of a cluster; a size or number outside its limits
    is EINVAL.""",
    functions=(memory.config_pool,),
    control=Control("the number is not rounded up", lambda num, size, limits: _unrounded(num, size, limits)),
    bounds="""Sizes in steps of 67 bytes and at the limits, numbers at the limits, the limits of all three
    pools.""",
    rules=(memory.CONFIG, memory.CONFIG_SIZE, memory.CONFIG_NUM, memory.CONFIG_CLUSTER),
)(config_body)


def _unrounded(num: int, size: int, limits: Any) -> Any:
    got = memory.config_pool(num, size, limits)
    return replace(got, state=replace(got.state, objtotal=num)) if got.outcome.ok else got


def offsets_body(
    p: Proof, offset_if: Callable[..., int], offset_ring: Callable[..., int], offset_buf: Callable[..., int]
) -> None:
    a = memory.global_allocator()
    if p.split("region") == 1:
        a = memory.new_allocator(7, True, ((1024, 2), (5 * PAGE, 4), (2048, 4098))).state
    for size, total in ((1, 1), (1, PAGE), (1, PAGE + 1), (PAGE, 3), (64, 65)):
        covered = ObjPool(size, total).memtotal
        p.goal(
            "a pool covers whole pages, the fewest", covered % PAGE == 0, 0 <= covered - size * total < PAGE
        )
    pools = ((a.if_pool, offset_if), (a.ring_pool, offset_ring), (a.buf_pool, offset_buf))
    which = p.split("pool", 3)
    pool, offset = pools[which]
    i, j = p.integer("i", 0), p.integer("j", 0)
    p.assume_all([i < pool.objtotal, j < pool.objtotal])
    here, there = p.run(offset, a, i), p.run(offset, a, j)
    p.goal("an object lies inside the region", here >= 0, here + pool.objsize <= a.memsize)
    p.goal(
        "different objects share no byte",
        i == j or here + pool.objsize <= there or there + pool.objsize <= here,
    )
    start = sum(q.memtotal for q, _ in pools[:which])
    p.goal("and inside its own pool", here >= start, here + pool.objsize <= start + pool.memtotal)
    p.goal("the index can be told from the offset", (here - start) // pool.objsize == i)
    p.goal("objects are aligned to lines", here % 64 == 0)
    p.goal("the region is whole pages", a.memsize % PAGE == 0)


obligation(
    "14.memory.offsets",
    clauses=("14.memory.layout", "14.memory.pool"),
    statement="""Every object lies inside its pool's part of the region, at a line; different objects share no
    byte; index and offset determine each other.""",
    functions=(memory.Allocator.if_offset, memory.Allocator.ring_offset, memory.Allocator.buf_offset),
    control=Control(
        "buffers begin where the rings do",
        memory.Allocator.if_offset,
        memory.Allocator.ring_offset,
        lambda a, index: a.buf_offset(index) - a.ring_pool.memtotal,
    ),
    assumptions="The region all NICs share, and one of a port; any two objects of one pool.",
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

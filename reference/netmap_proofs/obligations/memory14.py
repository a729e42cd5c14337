"""Generation 14, memory: pools of objects, chains of extra buffers, identifiers.

A pool is a set of indices; what is proved of small pools is every pool of that size. Where objects lie is
``memory14_layout.py``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from netmap_reference.core.memory import PAGE, Region
from netmap_reference.core.step import Step
from netmap_reference.gen14 import memory
from netmap_spec import invariants as spec

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every

ObjPool = memory.ObjPool
_SIZE = 64
_TOTAL = 5


def _subsets(total: int) -> Iterator[frozenset[int]]:
    for size in range(total + 1):
        for members in itertools.combinations(range(total), size):
            yield frozenset(members)


# --- one object -----------------------------------------------------------------------------------------


Call = Callable[..., Any]


def pool_body(p: Proof, obj_malloc: Call, obj_free: Call, take: Call, free_many: Call) -> None:
    cases = Cases(p, "pools")
    for used in _subsets(_TOTAL):
        pool = ObjPool(_SIZE, _TOTAL, used)
        free = [i for i in range(_TOTAL) if i not in used]
        for length in (0, _SIZE, _SIZE + 1):
            cases.case(used=sorted(used), length=length)
            step = obj_malloc(pool, length)
            p.reached(step.fired)
            cases.goal(
                "it fails when nothing is free or the object is too small",
                step.outcome.ok == bool(free and length <= _SIZE),
            )
            if step.outcome.ok:
                cases.goal("the lowest free object is given", step.state.index == free[0])
                cases.goal("and nothing else comes into use", step.state.pool.used == used | {free[0]})
            else:
                cases.goal(
                    "a failure is ENOMEM and changes nothing",
                    step.outcome.detail == "ENOMEM",
                    step.state == memory.Taken(pool, -1),
                )
        for hole in range(_TOTAL + 1):
            cases.case(used=sorted(used), invalid=hole)
            left = [i for i in free if i != hole]
            broken = replace(pool, invalid=frozenset({hole} - {_TOTAL}) - used)
            got = obj_malloc(broken, 1).state.index
            several = take(broken, _TOTAL).indices
            given = got == (left[0] if left else -1) and several == tuple(left)
            cases.goal("an object in two pieces is never given", given)
            cases.goal("nor counted as free", broken.objfree == len(left))
        for start in range(_TOTAL):
            if all(i in used for i in range(start)):
                cases.case(used=sorted(used), start=start)
                got = obj_malloc(pool, 1, start).state.index
                cases.goal(
                    "a search that begins where all is used finds the same", got == (free[0] if free else -1)
                )
        for index in range(_TOTAL + 2):
            cases.case(used=sorted(used), index=index)
            step = obj_free(pool, index)
            p.reached(step.fired)
            cases.goal(
                "what is given back is free, nothing else changes",
                step.state == replace(pool, used=used - {index}),
            )
            cases.goal(
                "the rule says what it was",
                step.fired == ((memory.FREED,) if index in used else (memory.NOT_TAKEN,)),
            )
        for count in range(_TOTAL + 2):
            cases.case(used=sorted(used), count=count)
            many = take(pool, count)
            cases.goal(
                "several are taken lowest first, fewer when there are not so many",
                many.indices == tuple(free[:count]),
            )
            cases.goal("exactly these are in use then", many.pool.used == used | set(free[:count]))
        for back in ((), (0,), (1, 1), (0, _TOTAL, 4), (2**32 - 1, 3, 2)):
            cases.case(used=sorted(used), back=back)
            cases.goal(
                "several are given back, nothing beyond the pool",
                free_many(pool, back).state.used == used - set(back),
            )
        cases.goal(
            "free and used make up the pool",
            spec.pool_partition(pool.objfree, len(used), 0, _TOTAL),
            pool.objfree == len(free),
        )
    cases.end()


obligation(
    "14.memory.pool",
    clauses=("14.memory.pool",),
    statement="""An allocation gives the lowest free object and nothing else, or fails with ENOMEM and changes
    nothing; giving back frees exactly what was in use; indices that are no objects change nothing.""",
    functions=(memory.obj_malloc, memory.obj_free, memory.take, memory.free_many),
    control=Control(
        "an object that is free is given back once more and takes its neighbour along",
        memory.obj_malloc,
        lambda pool, index: Step(
            replace(pool, used=pool.used - {index, index + 1}), memory.obj_free(pool, index).fired
        ),
        memory.take,
        memory.free_many,
    ),
    bounds="""Every pool of five objects: the code looks at one index at a time, and 14.memory.lowest has no
    bound.""",
    rules=(
        memory.TAKEN,
        memory.EXHAUSTED,
        memory.TOO_LARGE,
        memory.FREED,
        memory.NOT_TAKEN,
    ),
)(pool_body)


# --- extra buffers --------------------------------------------------------------------------------------


def _small(used: frozenset[int]) -> tuple[Any, Region]:
    """A region whose buffers are few: as a port's, with its third pool cut to ``_TOTAL + 2``."""
    a = memory.new_allocator(7, True, ((1024, 2), (5 * PAGE, 4), (2048, 4098))).state
    pool = replace(a.buf_pool, objtotal=_TOTAL + 2, used=memory.RESERVED | used)
    return replace(a, buf_pool=pool), Region(a.memsize)


def _chain(a: Any, region: Region, head: int) -> list[int]:
    found: list[int] = []
    while head and len(found) <= _TOTAL + 3:
        found.append(head)
        head = int.from_bytes(region.read(a.buf_offset(head), 4), "little") if head < _TOTAL + 2 else 0
    return found


def extra_body(p: Proof, extra_alloc: Callable[..., Any], extra_free: Callable[..., Any]) -> None:
    cases = Cases(p, "chains")
    indices = range(2, _TOTAL + 2)
    for used in _subsets(_TOTAL):
        before = frozenset(i + 2 for i in used)
        free = [i for i in indices if i not in before]
        for count in range(_TOTAL + 2):
            cases.case(used=sorted(before), count=count)
            a, region = _small(before)
            step = extra_alloc(a, region, count)
            p.reached(step.fired)
            after, head, got = step.state
            chain = _chain(a, region, head)
            cases.goal(
                "the chain holds as many as were there, each once, and ends in 0",
                sorted(chain) == free[:count],
                got == len(chain),
            )
            short = memory.EXTRA_SHORT in step.fired
            cases.goal("the rule says whether there were enough", short == (count > len(free)))
            cases.goal("exactly these are in use", after.buf_pool.used == a.buf_pool.used | set(chain))
            returned = extra_free(after, region, head).state
            cases.goal("a chain that comes back is free, once", returned.buf_pool.used == a.buf_pool.used)
    links = (0, 1, 2, 3, 4, _TOTAL + 2, 2**32 - 1)
    for head, *nexts in every(p, "hostile chains", (*links, 5), links, links, links):
        for before in (frozenset({2, 3, 4}), frozenset({2, 4})):
            cases.case(head=head, next=nexts, used=sorted(before))
            a, region = _small(before)
            for at, link in zip((2, 3, 4), nexts, strict=True):
                region.write(a.buf_offset(at), link.to_bytes(4, "little"))
            beyond = a.buf_offset(_TOTAL + 2)
            region.write(beyond, b"keep")
            step = extra_free(a, region, head)
            p.reached(step.fired)
            after = step.state.buf_pool.used
            cases.goal("whatever the chain says, nothing reserved is freed", after >= memory.RESERVED)
            cases.goal("and nothing comes into use", after <= a.buf_pool.used)
            walked, at = set[int](), head
            while 2 <= at < _TOTAL + 2 and at in a.buf_pool.used and at not in walked:
                walked.add(at)
                at = nexts[at - 2]
            known = 2 <= at < _TOTAL + 2
            cases.goal("nothing beyond the pool is written", region.read(beyond, 4) == b"keep")
            forgets = all(region.read(a.buf_offset(i), 4) == bytes(4) for i in walked)
            cases.goal("a buffer that comes back names no other", forgets)
            cases.goal(
                "a chain that does not end in 0 is told, and how it ends",
                (memory.BROKEN_OFF in step.fired) == known,
                (memory.NO_BUFFER in step.fired) == (at != 0 and not known),
            )
            cases.goal(
                "what the chain names is freed up to its end or its first fault",
                after == a.buf_pool.used - walked,
            )
    cases.end()


obligation(
    "14.memory.extra",
    clauses=(
        "14.memory.extra-buffers",
        "14.memory.extra-returned",
        "14.memory.extra-wild",
        "14.memory.reserved",
        "14.memory.returned",
    ),
    statement="""A chain of extra buffers holds as many as were free, up to what was asked for, each once,
    and ends in 0; given back, exactly these are free. Whatever an application writes into it, taking it back
    ends, and frees nothing that is not in use, not the pool's, or reserved.""",
    functions=(memory.extra_alloc, memory.extra_free),
    control=Control("nothing comes back", memory.extra_alloc, lambda a, region, head: Step(a)),
    bounds="""Every pool of five buffers; chains that a hostile application made of three buffers, with every
    link inside, outside, reserved and back. 14.memory.chain-returned and .chain-wild have no bound.""",
    rules=(memory.EXTRA, memory.EXTRA_SHORT, memory.RETURNED, memory.BROKEN_OFF, memory.NO_BUFFER),
)(extra_body)


# --- regions --------------------------------------------------------------------------------------------


def region_body(
    p: Proof, deref: Callable[..., Any], assign_id: Callable[..., Any], safe: Callable[..., int]
) -> None:
    a, _ = _small(frozenset({2, 5}))
    a = replace(
        a,
        if_pool=replace(a.if_pool, used=frozenset({0})),
        ring_pool=replace(a.ring_pool, used=frozenset({1, 3})),
    )
    active, index = p.integer("active", 1), p.u32("buf_idx")
    got = p.run(deref, replace(a, active=active, lasterr="ENOMEM")).state
    p.goal("one descriptor less", got.active == active - 1)
    p.goal("with the last one an error is forgotten", got.lasterr == ("" if active == 1 else "ENOMEM"))
    if got.active == 0:
        p.goal(
            "the last one leaves everything free",
            got.if_pool.used == frozenset(),
            got.ring_pool.used == frozenset(),
        )
        p.goal("but the reserved buffers", got.buf_pool.used == memory.RESERVED)
    else:
        kept = (got.if_pool, got.ring_pool, got.buf_pool) == (a.if_pool, a.ring_pool, a.buf_pool)
        p.goal("before, nothing changes", kept)
    used = p.run(safe, a, index)
    p.goal("the buffer behind any index is the pool's", used >= 0, used < a.buf_pool.objtotal)
    p.goal("an index of the pool is itself", used == (index if index < a.buf_pool.objtotal else 0))
    if p.split("identifiers") == 1:
        edges: tuple[tuple[tuple[int, ...], int, int], ...] = (
            ((1, 65534), 65534, 65535),
            ((1, 65535), 65535, 2),
            ((2, 65535), 65535, 1),
            ((65535,), 65535, 1),
        )
        for ids, last, new in edges:
            p.goal("65535 is followed by 1", assign_id(ids, last).state == new)
        for others in _subsets(5):
            taken = tuple(sorted({1, *(i + 1 for i in others)}))
            for last in taken:
                new = assign_id(taken, last).state
                free = [i for i in range(1, 9) if i not in taken]
                p.goal("a new region has an identifier of its own", new not in taken, new >= 1)
                behind = [i for i in free if i > last]
                p.goal("the first free one behind the last", new == behind[0])
        p.bounded(80, "sets of identifiers")


obligation(
    "14.memory.regions",
    clauses=("14.memory.last-user", "14.memory.ids", "14.memory.reserved"),
    statement="""The last descriptor bound to a region leaves every object free but the reserved buffers; a
    new region gets the first identifier that is free; the buffer the kernel uses for any index is the
    pool's.""",
    functions=(memory.deref, memory.assign_id, memory.Allocator.safe_index),
    control=Control(
        "the last one leaves a ring behind",
        lambda a: Step(replace(memory.deref(a).state, ring_pool=a.ring_pool), memory.deref(a).fired),
        memory.assign_id,
        memory.Allocator.safe_index,
    ),
    bounds="Identifiers up to 6; descriptors any number, indices any u32.",
    rules=(memory.FORGOTTEN,),
)(region_body)

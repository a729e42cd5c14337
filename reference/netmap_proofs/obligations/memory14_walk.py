"""Generation 14, memory: the walks over a pool and over a chain of extra buffers, for any number of objects.

A pool's used and invalid objects are two sets of which nothing is known; a chain is a function from a buffer
to the next one. What is proved of an arbitrary object, ``other``, holds of all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from netmap_reference.core.step import Step
from netmap_reference.core.words import U32
from netmap_reference.gen14 import memory

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import fold

ObjPool = memory.ObjPool


def _not(holds: bool) -> bool:
    return holds ^ True


def _in(members: Any, index: int) -> bool:
    """Membership without a fork."""
    found: bool = members.has(index)
    return found


# --- the lowest free object -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class At:
    """Where a walk over the objects of a pool is."""

    index: int


def lowest_body(
    p: Proof, is_free: Callable[[ObjPool, int], bool], given: Callable[[ObjPool, int], Step[memory.Taken]]
) -> None:
    total, start = p.integer("objtotal", 0), p.integer("start", 0)
    used, invalid = p.any_set("used"), p.any_set("invalid")
    pool = ObjPool(64, total, used, invalid)
    other, some = p.integer("other", 0), p.integer("some", 0)
    p.assume_all([start <= total, other >= start, some >= start, some < total])

    def free(index: int) -> bool:
        return _not(_in(used, index)) & _not(_in(invalid, index))

    def known(index: int) -> None:
        """Nothing beyond the pool is in use, or invalid."""
        p.assume((index < total) | free(index))

    known(total)
    has_some = free(some)

    def look(at: At) -> At | None:
        known(at.index)
        if p.run(is_free, pool, at.index):
            return None
        p.goal("every round gets on, and none goes beyond the pool", at.index < total)
        return At(at.index + 1)

    end = fold(
        p,
        "walk",
        start=At(start),
        arbitrary=lambda name: At(p.integer(f"{name}.index")),
        invariant=lambda at: [
            at.index >= start,
            at.index <= total,
            (other >= at.index) | _not(free(other)),
            (some >= at.index) | _not(has_some),
        ],
        step=look,
    )
    p.assume(p.run(is_free, pool, end.index))
    step = p.run(given, pool, end.index)
    got = step.state
    if not step.outcome.ok:
        p.goal("it fails only when nothing is free", _not(has_some), step.outcome.detail == "ENOMEM")
        p.goal("a failure changes nothing", got.index == -1, got.pool is pool)
        return
    p.goal("an object of the pool is given that was free", got.index < total, free(got.index))
    p.goal("the lowest of them", (other >= got.index) | _not(free(other)))
    p.goal("it is no higher than any free one", (some >= got.index) | _not(has_some))
    now = _in(got.pool.used, other)
    p.goal("it is in use now, and nothing else changes", now == (_in(used, other) | (other == got.index)))


obligation(
    "14.memory.lowest",
    clauses=("14.memory.pool",),
    statement="""An allocation gives the lowest object that is neither in use nor in two pieces, and fails
    with ENOMEM, changing nothing, exactly when there is none; the walk to it ends. For pools of any size.""",
    functions=(memory.is_free, memory.given),
    control=Control(
        "the object behind the first free one is given",
        memory.is_free,
        lambda pool, index: memory.given(pool, index + 1),
    ),
    assumptions="Nothing beyond the pool is in use or invalid; a walk begins at any object.",
    rules=(memory.TAKEN, memory.EXHAUSTED),
)(lowest_body)


# --- chains -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Link:
    """Where the walk over a chain is, and which buffers are still in use."""

    head: int
    left: Any


Back = Callable[[Collection[int], int, int], Step[int]]


def returned_body(p: Proof, back: Back) -> None:
    total = p.integer("objtotal", 2, U32 - 1)
    used, chain, following = p.any_set("used"), p.any_set("chain"), p.function("next")
    first, other = p.integer("first", 0), p.integer("other", 2)

    def known(index: int) -> None:
        """A chain descends, names each of its buffers, which are the pool's and in use, and ends in 0."""
        behind = following(index)
        mine = (index >= 2) & (index < total) & _in(used, index) & (behind >= 0) & (behind < index)
        ends = (behind == 0) | _in(chain, behind)
        skips = (other <= behind) | (other >= index) | _not(_in(chain, other))
        p.assume(_not(_in(chain, index)) | (mine & ends & skips))

    known(first)
    known(other)
    p.assume((first == 0) | _in(chain, first))
    p.assume(_not(_in(chain, other)) | (other <= first))  # the first one is the highest

    def left_as_it_should(at: Link, index: int) -> bool:
        """What was in use still is, but for the buffers of the chain that come before ``head``."""
        back_by_now = _in(chain, index) & (index > at.head)
        return (index < 2) | (_in(at.left, index) == (_in(used, index) & _not(back_by_now)))

    def invariant(at: Link) -> list[bool]:
        return [
            (at.head == 0) | (_in(chain, at.head) & _in(at.left, at.head)),
            at.head >= 0,
            left_as_it_should(at, other),
        ]

    def one(at: Link) -> Link | None:
        if at.head == 0:
            return None
        known(at.head)
        behind = following(at.head)
        known(behind)
        p.assume(left_as_it_should(at, behind))  # the invariant, of another buffer
        step = p.run(back, at.left, total, at.head)
        p.goal(
            "each buffer is in use when its turn comes, and is taken back", step.state == memory.TAKEN_BACK
        )
        p.goal("the walk descends, so it ends", behind < at.head)
        return Link(behind, at.left.difference((at.head,)))

    end = fold(
        p,
        "walk",
        start=Link(first, used),
        arbitrary=lambda name: Link(p.integer(f"{name}.head"), p.any_set(f"{name}.left")),
        invariant=invariant,
        step=one,
    )
    p.assume(end.head == 0)
    free = _in(used, other) & _not(_in(end.left, other))
    p.goal(
        "exactly the buffers of the chain are free, each once", free == (_in(used, other) & _in(chain, other))
    )


obligation(
    "14.memory.chain-returned",
    clauses=("14.memory.extra-returned", "14.memory.returned", "14.memory.extra-buffers"),
    statement="""A chain as it was handed out is taken back buffer by buffer, each of them once, and then
    exactly these are free; the walk ends in 0. For chains of any length.""",
    functions=(memory.back,),
    control=Control(
        "a buffer that was taken back counts as free before its turn",
        lambda used, total, index: memory.back(used.difference((index,)), total, index),
        goal="each buffer is in use when its turn comes, and is taken back",
    ),
    assumptions="""The chain descends, ends in 0, and names buffers of the pool that are in use, each once, as
    14.memory.extra hands it out.""",
    rules=(),
)(returned_body)


def wild_body(p: Proof, back: Back) -> None:
    total = p.integer("objtotal", 2, U32 - 1)
    used, following = p.any_set("used"), p.function("next")
    first, other = p.u32("first"), p.integer("other", 0)
    p.assume_all([_in(used, 0), _in(used, 1)])

    def invariant(at: Link) -> list[bool]:
        return [
            at.head >= 0,
            _in(at.left, 0) & _in(at.left, 1),
            _not(_in(at.left, other)) | _in(used, other),
            (other < total) | (_in(at.left, other) == _in(used, other)),
        ]

    def one(at: Link) -> Link | None:
        if at.head == 0:
            return None
        behind = following(at.head)
        p.assume_all([behind >= 0, behind < U32])
        step = p.run(back, at.left, total, at.head)
        inside = (at.head >= 2) & (at.head < total)
        p.goal("what is no buffer is not touched", (step.state == memory.NOTHING) == _not(inside))
        if step.state != memory.TAKEN_BACK:
            p.goal(
                "a chain goes on only behind a buffer that was in use", _not(inside & _in(at.left, at.head))
            )
            return None
        p.goal("a round that goes on frees one that was in use: there are no more rounds than those",
               inside, _in(at.left, at.head))  # fmt: skip
        return Link(behind, at.left.difference((at.head,)))

    end = fold(
        p,
        "walk",
        start=Link(first, used),
        arbitrary=lambda name: Link(p.integer(f"{name}.head"), p.any_set(f"{name}.left")),
        invariant=invariant,
        step=one,
    )
    p.goal("nothing reserved is freed", _in(end.left, 0), _in(end.left, 1))
    p.goal("nothing comes into use", _not(_in(end.left, other)) | _in(used, other))


obligation(
    "14.memory.chain-wild",
    clauses=("14.memory.extra-wild", "14.memory.reserved"),
    statement="""Whatever an application writes into a chain of extra buffers: the walk ends, since every
    round that goes on frees a buffer that was in use; nothing reserved and nothing outside the pool is freed,
    and nothing comes into use. For pools of any size and any links.""",
    functions=(memory.back,),
    control=Control(
        "the reserved buffer 1 is taken back",
        lambda used, total, index: Step(memory.TAKEN_BACK) if index == 1 else memory.back(used, total, index),
    ),
    assumptions="Links are any u32; buffers 0 and 1 are in use.",
    rules=(memory.NO_BUFFER, memory.BROKEN_OFF),
)(wild_body)

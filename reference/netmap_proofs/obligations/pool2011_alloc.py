"""Generation 2011, the pool of buffers: ``new_bufs`` for any pool and any request.

The allocation is a fold over the buffers taken so far. Between two of them the bitmap is the one at the
beginning without everything up to the last buffer taken; how many that are is told by a ghost ``count``,
defined by induction over the index. What one scan finds is 2011.pool.lowest-first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from netmap_reference.core.step import Step
from netmap_reference.gen2011 import pool

from ..engine import Proof
from ..engine.sets import AnySet
from ..obligation import Control, obligation
from ..schemas import fold, induction

WORD = pool.WORD
Pool = pool.Pool
Taking = pool.Taking


@dataclass(frozen=True, slots=True)
class Round:
    """An allocation between two buffers, and the last buffer taken (a ghost; -1 before the first)."""

    taking: Taking
    last: int


def _has(bitmap: Any, index: int) -> bool:
    """``index in bitmap`` as a condition that does not fork; ``bitmap`` is an AnySet."""
    return cast(bool, bitmap.has(index))


def _not(holds: bool) -> bool:
    return holds ^ True


def _next_word(taking: Taking, index: int) -> Taking:
    after = pool.take_found(taking, index)
    return Taking(after.pool, after.count, after.word + 1)


@obligation(
    "2011.pool.new-bufs",
    clauses=("2011.pool.lowest-first", "2011.pool.all-or-none", "2011.pool.count"),
    statement="""An allocation takes the lowest free buffers of the pool in order, as many as were asked for,
    or none at all when there are too few; the set of free buffers and the counter lose exactly those. Every
    scan finds one. For pools of any size and requests of any length.""",
    functions=(pool.enough, pool.take_found),
    control=Control("the scan goes on in the word after the last buffer's", pool.enough, _next_word),
    assumptions="""The counter is right (2011.pool.count), buffers 0 and 1 are in use; each scan ends at the
    lowest free buffer of its word or a later one if there is any (2011.pool.lowest-first).""",
)
def allocation(
    p: Proof, enough: Callable[[Pool, int], Step[bool]], take_found: Callable[[Taking, int], Taking]
) -> None:
    bitmap, count = p.any_set("bitmap"), p.function("count")
    before = Pool(p.integer("total", 2), p.integer("free"), bitmap)
    n, other = p.integer("n", 0), p.integer("other", 0)
    p.assume_all([_not(_has(bitmap, 0)), _not(_has(bitmap, 1))])
    p.assume_all([count(0) == 0, before.free == count(before.total)])
    if not p.run(enough, before, n).state:
        p.goal("none only when there are too few", n > before.free)
        return
    p.goal("there are enough", n <= before.free)

    def counting(m: int) -> None:
        """What defines ``count``: the free buffers below a number, at the beginning."""
        p.assume(count(m + 1) == count(m) + _has(bitmap, m))

    def any_round(name: str) -> Round:
        last = p.integer(f"{name}.last", -1)
        rest = AnySet(f"{name}.bitmap", lambda i: (_has(bitmap, i) & (i > last)) + 0)
        left = Pool(before.total, p.integer(f"{name}.free"), cast("frozenset[int]", rest))
        return Round(Taking(left, p.integer(f"{name}.count", 0), p.integer(f"{name}.word", 0)), last)

    def invariant(r: Round) -> list[bool]:
        return [
            r.last < before.total,
            r.taking.count <= n,
            count(r.last + 1) == r.taking.count,
            r.taking.pool.free == before.free - r.taking.count,
            r.taking.pool.total == before.total,
            r.taking.word >= 0,
            r.taking.word * WORD <= r.last + 1,
            _has(r.taking.pool.bitmap, other) == (_has(bitmap, other) & (other > r.last)),
        ]

    def one_buffer(r: Round) -> Round | None:
        if r.taking.count >= n:
            return None
        now, start, low = r.taking.pool.bitmap, r.taking.word * WORD, r.last + 1
        left = _one_is_left(p, bitmap, count, low, counting)
        left_over = left(before.total - low)
        p.goal("the scan finds one", left_over >= start, left_over < before.total, _has(now, left_over))
        index = p.integer("index", 0)  # what 2011.pool.lowest-first says of it:
        p.assume_all([index >= start, index <= left_over, _has(now, index)])

        def lowest(i: int) -> None:
            p.assume((i < start) | (i >= index) | _not(_has(now, i)))

        lowest(other)

        def unfold(m: int) -> None:
            counting(low + m)
            lowest(low + m)

        known = induction(
            p,
            "none is passed over",
            claim=lambda m: [(low + m > index) | (count(low + m) == count(low))],
            unfold=unfold,
        )
        known(index - low)
        counting(index)
        after = p.run(take_found, r.taking, index)
        p.goal("one after the other, in order", index > r.last, after.count == r.taking.count + 1)
        p.goal("a buffer of the pool, never a reserved one", index >= 2, index < before.total)
        return Round(after, index)

    end = fold(
        p,
        "taking",
        start=Round(Taking(before, 0, 0), -1),
        arbitrary=any_round,
        invariant=invariant,
        step=one_buffer,
    )
    p.assume(end.taking.count >= n)
    p.goal("as many as were asked for", end.taking.count == n, count(end.last + 1) == n)
    p.goal("the counter loses as many", end.taking.pool.free == before.free - n)
    is_free, was_free = _has(end.taking.pool.bitmap, other), _has(bitmap, other)
    p.goal("the lowest ones, and exactly those", is_free == (was_free & (other > end.last)))


def _one_is_left(
    p: Proof, bitmap: frozenset[int], count: Callable[[int], int], low: int, counting: Callable[[int], None]
) -> Callable[[int], int]:
    """If ``count`` grows from ``low`` to ``low + m``, some buffer between is free: which one, by ``m``."""
    some = p.function("some")

    def unfold(m: int) -> None:
        counting(low + m)
        p.assume(some(m + 1) == (low + m if low + m in bitmap else some(m)))

    known = induction(
        p,
        "one is left",
        claim=lambda m: [
            (count(low + m) <= count(low)) | ((some(m) >= low) & (some(m) < low + m) & _has(bitmap, some(m)))
        ],
        unfold=unfold,
    )

    def which(m: int) -> int:
        known(m)
        return some(m)

    return which

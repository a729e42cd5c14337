"""Generation 14, index arithmetic: for a ring of any size, walking forward and back."""

from __future__ import annotations

from collections.abc import Callable

from netmap_reference.core.words import U32
from netmap_reference.gen14 import ring

from ..engine import Proof
from ..obligation import Control, obligation

_ORDER = ("14.ring.kring-order",)
Step1 = Callable[[int, int], int]
Step2 = Callable[[int, int, int], int]


def _prev_without_wrap(i: int, lim: int) -> int:
    return i - 1


@obligation(
    "14.ring.next-prev",
    clauses=_ORDER,
    statement="One forward and one back is where one was, and every step stays inside the ring.",
    functions=(ring.nm_next, ring.nm_prev),
    control=Control("nm_prev does not wrap at slot 0", ring.nm_next, _prev_without_wrap),
    assumptions="lim >= 0 and 0 <= i <= lim; any ring size.",
)
def next_prev(p: Proof, nm_next: Step1, nm_prev: Step1) -> None:
    lim = p.integer("lim", 0)
    i = p.integer("i", 0)
    p.assume(i <= lim)
    after = p.run(nm_next, i, lim)
    before = p.run(nm_prev, i, lim)
    p.goal("next stays inside", after >= 0, after <= lim)
    p.goal("prev stays inside", before >= 0, before <= lim)
    p.goal("prev undoes next", p.run(nm_prev, after, lim) == i)
    p.goal("next undoes prev", p.run(nm_next, before, lim) == i)


def _advance_off_by_one(i: int, by: int, n: int) -> int:
    if i + by > n:
        return i + by - n
    return i + by


@obligation(
    "14.ring.distance-advance",
    clauses=_ORDER,
    statement="""Distance and advance undo each other: walking distance(i, j) slots from i ends at j, and
    having walked d slots the distance is d. advance(i, 1) is nm_next.""",
    functions=(ring.distance, ring.advance, ring.nm_next),
    control=Control("advance wraps one slot late", ring.distance, _advance_off_by_one, ring.nm_next),
    assumptions="n >= 1, 0 <= i, j < n, 0 <= d < n.",
)
def distance_advance(p: Proof, distance: Step2, advance: Step2, nm_next: Step1) -> None:
    n = p.integer("n", 1)
    i, j, d = p.integer("i", 0), p.integer("j", 0), p.integer("d", 0)
    p.assume_all([i < n, j < n, d < n])
    there = p.run(advance, i, d, n)
    p.goal("advance stays inside", there >= 0, there < n)
    p.goal("distance undoes advance", p.run(distance, i, there, n) == d)
    walked = p.run(distance, i, j, n)
    p.goal("distance is below n", walked >= 0, walked < n)
    p.goal("advance undoes distance", p.run(advance, i, walked, n) == j)
    p.goal("one slot is nm_next", p.run(advance, i, 1, n) == p.run(nm_next, i, n - 1))


@obligation(
    "14.ring.index-fits-u32",
    clauses=_ORDER,
    statement="""With at most 2^31 slots no sum formed by advance leaves uint32_t, so the C functions of the
    same name compute what these compute.""",
    functions=(ring.advance,),
    control=Control("advance adds before it compares, twice", lambda i, by, n: i + by + n),
    assumptions="1 <= n <= 2^31, 0 <= i < n, 0 <= by <= n.",
)
def index_fits(p: Proof, advance: Step2) -> None:
    n = p.integer("n", 1, U32 // 2)
    i, by = p.integer("i", 0), p.integer("by", 0)
    p.assume_all([i < n, by <= n])
    p.goal("the sum fits", i + by < U32)
    there = p.run(advance, i, by, n)
    p.goal("the result fits", there >= 0, there < n)


def _between_without_wrap(low: int, x: int, high: int) -> bool:
    return low <= x and x <= high


@obligation(
    "14.ring.between-distance",
    clauses=_ORDER,
    statement="""between(low, x, high) says exactly that x is met no later than high when walking forward
    from low: distance(low, x) <= distance(low, high).""",
    functions=(ring.between, ring.distance),
    control=Control("between knows no wrapped window", _between_without_wrap, ring.distance),
    assumptions="n >= 1 and all three positions below n.",
)
def between_distance(p: Proof, between: Callable[[int, int, int], bool], distance: Step2) -> None:
    n = p.integer("n", 1)
    low, x, high = (p.integer(name, 0) for name in ("low", "x", "high"))
    p.assume_all([low < n, x < n, high < n])
    met = p.run(distance, low, x, n) <= p.run(distance, low, high, n)
    p.goal("between is the order of distances", p.run(between, low, x, high) == met)

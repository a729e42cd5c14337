"""Generation 2011, the pool of buffers: the bitmap scan, what is handed out, and the counter.

The bitmap is an arbitrary set of indices, of any size. The scan is a fold of two steps; the counter
is compared with a ghost ``count`` that is defined by induction over the index.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from netmap_reference.core.step import Step
from netmap_reference.gen2011 import pool
from netmap_spec import invariants as spec

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import every, fold, induction

WORD = pool.WORD
Pool = pool.Pool


# --- the scan -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scanned:
    """A scan as it stands, and the member that the last step found in the word (a ghost)."""

    at: int
    found: bool
    hit: int


def _unless(excluded: bool, holds: bool) -> bool:
    return excluded or holds


def _scan_bit_late(at: int, free: bool) -> Step[pool.Scan]:
    if free:
        return Step(pool.Scan(at + 1, True), (pool.BIT_HIT,))
    return pool.scan_bit(at, free)


@obligation(
    "2011.pool.lowest-first",
    clauses=("2011.pool.lowest-first", "2011.pool.reserved"),
    statement="""Scanning any bitmap from any word on, the two scans end at the lowest free buffer there is:
    it is free, nothing lower is, it is never buffer 0 or 1, and it is a buffer of the pool when the pool has
    a free one. For bitmaps of any length.""",
    functions=(pool.scan_word, pool.scan_bit),
    control=Control("the bit after the free one is taken", pool.scan_word, _scan_bit_late),
    assumptions="Some buffer at or above the first word is free; buffers 0 and 1 are not.",
)
def lowest_first(
    p: Proof,
    scan_word: Callable[[int, bool], Step[pool.Scan]],
    scan_bit: Callable[[int, bool], Step[pool.Scan]],
) -> None:
    bitmap = p.any_set("bitmap")
    word = p.integer("word", 0)
    some, other = p.integer("some", 0), p.integer("other", 0)
    p.assume_all([0 not in bitmap, 1 not in bitmap, some >= word * WORD, some in bitmap])

    def lies_before(index: int, end: int) -> bool:
        return word * WORD <= index and index < end

    def in_word(index: int, at: int) -> bool:
        return at * WORD <= index and index < (at + 1) * WORD

    def words_invariant(s: Scanned) -> list[bool]:
        return [
            s.at >= word,
            s.at * WORD <= some,  # so the scan ends
            _unless(not lies_before(other, s.at * WORD), other not in bitmap),
            _unless(not s.found, in_word(s.hit, s.at) and s.hit in bitmap),
        ]

    def one_word(s: Scanned) -> Scanned | None:
        if s.found:
            return None
        empty = p.truth("empty")
        hit = p.integer("hit", 0)
        if empty:  # no bit of the word is set; needed of these two
            p.assume_all([_unless(not in_word(i, s.at), i not in bitmap) for i in (some, other)])
        else:
            p.assume(in_word(hit, s.at) and hit in bitmap)
        got = p.run(scan_word, s.at, empty).state
        return Scanned(got.at, got.found, hit)

    reached = fold(
        p,
        "words",
        start=Scanned(word, False, 0),
        arbitrary=lambda name: p.symbolic(Scanned, name),
        invariant=words_invariant,
        step=one_word,
    )
    p.assume(reached.found)
    base = reached.at * WORD

    def bits_invariant(s: Scanned) -> list[bool]:
        return [
            s.at >= 0,
            base + s.at <= reached.hit,
            base + s.at <= some,
            _unless(not lies_before(other, base + s.at), other not in bitmap),
            _unless(not s.found, base + s.at in bitmap),
        ]

    def one_bit(s: Scanned) -> Scanned | None:
        if s.found:
            return None
        got = p.run(scan_bit, s.at, base + s.at in bitmap).state
        return Scanned(got.at, got.found, 0)

    end = fold(
        p,
        "bits",
        start=Scanned(0, False, 0),
        arbitrary=lambda name: p.symbolic(Scanned, name),
        invariant=bits_invariant,
        step=one_bit,
    )
    p.assume(end.found)
    index = base + end.at
    p.goal("the buffer found is free", index in bitmap)
    p.goal("nothing lower is free", _unless(not lies_before(other, index), other not in bitmap))
    p.goal("it is no higher than any free one", index <= some)
    p.goal("it is not reserved", index >= 2)


# --- the counter ----------------------------------------------------------------------------------


def _give_twice(one: Pool, index: int) -> Pool:
    return Pool(one.total, one.free + 2, one.bitmap.union((index,)))


def count_body(
    p: Proof,
    take_buf: Callable[[Pool, int], Pool],
    free_buf: Callable[[int, int, bool, frozenset[str]], Step[pool.FreeBuf]],
    give_buf: Callable[[Pool, int], Pool],
) -> None:
    before = Pool(p.integer("total", 2), p.integer("free"), p.any_set("bitmap"))
    total, bitmap = before.total, before.bitmap
    p.assume_all([0 not in bitmap, 1 not in bitmap])
    index = p.u32("index")
    if p.split("take or give") == 0:
        p.assume_all([index < total, index in bitmap])  # what 2011.pool.lowest-first delivers
        after = p.run(take_buf, before, index)
        p.goal("what is taken is no longer free", index not in after.bitmap)
    else:
        was_free = index in bitmap
        step = p.run(free_buf, index, total, was_free, p.switches)
        answer, given = step.state, step.state.freed
        line = 215 if index >= total else 221 if was_free and index > 1 else 0
        p.goal("what is refused is logged, at its line", index < 2 or answer.log == line)
        after = p.run(give_buf, before, index) if given else before
        reserved = pool.FREE_RESERVED in step.fired
        p.goal("the rule says whether it was a reserved one", not given or reserved == (index < 2))
        p.goal("only a buffer in use is given back", not given or (index < total and not was_free))
    p.goal("the reserved buffers stay out", 0 not in after.bitmap, 1 not in after.bitmap)

    # count(m) and count_after(m): members below m, before and after; the difference is a matter of index
    count, count_after = p.function("count"), p.function("count_after")
    p.assume_all([count(0) == 0, count_after(0) == 0])

    def difference(m: int) -> list[bool]:
        changed = after.free - before.free if index < m else 0
        return [count_after(m) - count(m) == changed]

    def unfold(m: int) -> None:
        p.assume(count(m + 1) == count(m) + (1 if m in bitmap else 0))
        p.assume(count_after(m + 1) == count_after(m) + (1 if m in after.bitmap else 0))

    known = induction(p, "counting", claim=difference, unfold=unfold)
    p.assume(before.free == count(total))
    known(total)
    p.goal("free counts the free buffers of the pool", after.free == count_after(total))


_count = partial(
    obligation,
    clauses=("2011.pool.count", "2011.pool.reserved", "2011.pool.free"),
    functions=(pool.take_buf, pool.free_buf, pool.give_buf),
    control=Control("a buffer given back counts twice", pool.take_buf, pool.free_buf, _give_twice),
    assumptions="Any pool whose counter is right and whose reserved buffers are in use; any u32 given back.",
)

_count(
    "2011.pool.count",
    statement="""However buffers are taken and given back, a double free and a wrong index included, the
    counter is the number of free buffers below total, and buffers 0 and 1 are never free. For pools of any
    size.""",
)(count_body)

_count(
    "2011.pool.count.as-written",
    statement="As 2011.pool.count, but the reserved buffers can be given back like any other.",
    switches={pool.FREES_RESERVED},
    unreachable={pool.FREE_RESERVED_REFUSED: "as written reserved buffers are not refused"},
    finding="F2011-008",
    refutes={"the reserved buffers stay out"},
)(count_body)


# --- the whole allocation, on small pools -------------------------------------------------------------


def _new_bufs_some(one: Pool, n: int) -> Step[pool.NewBufs]:
    got = pool.new_bufs(one, min(n, one.free))
    return replace(got, fired=(*got.fired, pool.NEW_BUFS_SHORT))


@obligation(
    "2011.pool.new-bufs.bounded",
    clauses=("2011.pool.lowest-first", "2011.pool.all-or-none", "2011.pool.count"),
    statement="""An allocation takes the lowest free buffers in order, or none at all when there are too few;
    the set of free buffers loses exactly those. The pool starts with all but the reserved two.""",
    functions=(pool.new_bufs, pool.fresh_pool),
    control=Control("as many as there are, when there are too few", _new_bufs_some, pool.fresh_pool),
    bounds="""Every subset of eight buffers at the edges of the first three words, every request: the code
    does the same in each word, and 2011.pool.lowest-first and .count have no bound.""",
)
def small_pools(
    p: Proof, new_bufs: Callable[[Pool, int], Step[pool.NewBufs]], fresh_pool: Callable[[int], Pool]
) -> None:
    for (size,) in every(p, "fresh pools", range(2, 3 * WORD)):
        fresh = fresh_pool(size)
        inside = sum(i < size for i in fresh.bitmap)
        whole = -(-size // WORD) * WORD
        p.goal("all of its words but two bits are free", fresh.bitmap == frozenset(range(2, whole)))
        p.goal("a fresh pool counts right", spec.pool_partition(fresh.free, 0, 2, size), inside == fresh.free)
    total = 2 * WORD + 4
    edges = (2, 3, WORD - 1, WORD, WORD + 1, 2 * WORD - 1, 2 * WORD, total - 1)
    beyond = frozenset(range(total, 3 * WORD))  # bits that belong to no buffer and stay set
    subsets = itertools.chain.from_iterable(itertools.combinations(edges, k) for k in range(len(edges) + 1))
    for free, n in every(p, "allocations", subsets, range(len(edges) + 2)):
        before = Pool(total, len(free), beyond.union(free))
        step = p.run(new_bufs, before, n)
        got = step.state
        passed = got.taken != () and got.taken[-1] >= WORD
        p.goal("only words with nothing free are passed over", (pool.WORD_FULL in step.fired) == passed)
        if n > len(free):
            p.goal("none when there are too few", got.taken == (), got.pool == before)
        else:
            p.goal("the lowest ones, in order", got.taken == free[:n])
            left = Pool(total, len(free) - n, beyond.union(free[n:]))
            p.goal("the pool loses exactly those", got.pool == left)


# --- how the bitmap is stored --------------------------------------------------------------------------


@obligation(
    "2011.pool.words",
    clauses=("2011.pool.count",),
    statement="""Stored in 32-bit words, the bitmap has the bit of a buffer set exactly when it is free, and
    as many words as the buffers fill.""",
    functions=(pool.words,),
    control=Control("the last word is not stored", lambda one: pool.words(one)[:-1]),
    bounds="""Pools that end at every place of the first three words; every pair of eight buffers at the
    edges: a bit is stored without regard to the others.""",
)
def stored(p: Proof, words: Callable[[Pool], list[int]]) -> None:
    edges = (0, 1, 2, WORD - 1, WORD, WORD + 1, 2 * WORD - 1, 2 * WORD)
    pairs = [(), *((i,) for i in edges), *itertools.combinations(edges, 2)]
    for total, free in every(p, "pools", range(1, 3 * WORD + 1), pairs):
        size = -(-total // WORD)
        members = frozenset(i for i in free if i < size * WORD)
        got = p.run(words, Pool(total, len(members), members))
        p.goal("a word for every 32 buffers", len(got) == size)
        bits = frozenset(w * WORD + i for w, word in enumerate(got) for i in range(WORD) if word >> i & 1)
        p.goal("a bit for each that is free", bits == members, all(0 <= w < 1 << WORD for w in got))

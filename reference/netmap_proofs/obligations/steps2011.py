"""Generation 2011: small steps, said exactly."""

from __future__ import annotations

from collections.abc import Callable

from netmap_reference.core.step import Step
from netmap_reference.gen2011 import poll, pool, ring

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every


def next_body(p: Proof, next_pos: Callable[[int, int], int]) -> None:
    lim, i = p.integer("lim", 0), p.integer("i", 0)
    p.assume(i <= lim)
    after = p.run(next_pos, i, lim)
    p.goal("behind the last slot comes the first, else the next", after == (0 if i == lim else i + 1))


obligation(
    "2011.ring.next",
    clauses=("2011.ring.sync-window",),
    statement="The slot behind the last one is the first, behind any other the next.",
    functions=(ring.next_pos,),
    control=Control("the ring has one slot more", lambda i, lim: 0 if i == lim + 1 else i + 1),
    assumptions="0 <= i <= lim, rings of any size.",
    rules=(),
)(next_body)


def stamp_body(p: Proof, stamps: Callable[[int, int], Step[bool]]) -> None:
    off, flags = p.integer("no_timestamp", 0), p.u32("flags")
    step = p.run(stamps, off, flags)
    asked = flags // ring.NR_TIMESTAMP % 2 == 1
    p.goal("stamped when the system stamps, or the ring asks for it", step.state == ((off == 0) | asked))
    p.goal("the rule says so", (poll.RX_STAMP in step.fired) == step.state)


obligation(
    "2011.poll.stamps",
    clauses=("2011.control.timestamp",),
    statement="Poll stamps a receive ring unless the sysctl forbids it and the ring does not ask for it.",
    functions=(poll.stamps,),
    control=Control(
        "the ring's flag does not count",
        lambda off, flags: Step(off == 0, (poll.RX_STAMP if off == 0 else poll.RX_NO_STAMP,)),
    ),
    assumptions="Flags any u32.",
    rules=(poll.RX_STAMP, poll.RX_NO_STAMP),
)(stamp_body)


def scan_body(p: Proof, find_first: Callable[[frozenset[int], int], Step[int]]) -> None:
    cases = Cases(p, "bitmaps")
    edges = (0, 1, pool.WORD - 1, pool.WORD, pool.WORD + 1, 2 * pool.WORD, 3 * pool.WORD - 1)
    for low, high, word in every(p, "bitmaps", edges, edges, (0, 1)):
        free = sorted(i for i in {low, high, 3 * pool.WORD} if i >= word * pool.WORD)
        cases.case(free=free, word=word)
        step = find_first(frozenset({low, high, 3 * pool.WORD}), word)
        p.reached(step.fired)
        cases.goal("the lowest free buffer from the word on is found", step.state == free[0])
        passed = {pool.WORD_FULL} if free[0] // pool.WORD > word else set()
        used = {pool.BIT_USED} if free[0] % pool.WORD else set()
        cases.goal(
            "the rules say what was passed", set(step.fired) == {pool.WORD_HIT, pool.BIT_HIT} | passed | used
        )
    cases.end()


obligation(
    "2011.pool.scan",
    clauses=("2011.pool.lowest-first",),
    statement="The two scans end at the lowest free buffer of the first word that has one.",
    functions=(pool.find_first,),
    control=Control(
        "the word to begin with is passed over",
        lambda bitmap, word: pool.find_first(
            bitmap, word + 1 if (word + 1) * pool.WORD <= max(bitmap) else word
        ),
    ),
    bounds="Bitmaps of four words with free buffers at the edges; 2011.pool.lowest-first has no bound.",
    rules=(pool.WORD_HIT, pool.WORD_FULL, pool.BIT_HIT, pool.BIT_USED),
)(scan_body)

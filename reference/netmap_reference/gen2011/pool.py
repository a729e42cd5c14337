"""Chapter *pool*: the buffers, tracked by a bitmap (1 = free).

Buffers 0 and 1 are never handed out: 0 is the *junk buffer* that a bad slot is pointed at. Inside,
the bitmap is a set of free indices; 32-bit words exist only at the edge (:func:`words`).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core.step import Step, rule
from .source import lines

WORD = 32

FREES_RESERVED = "2011.frees-reserved-buffers"
CONTRACT: frozenset[str] = frozenset()
AS_WRITTEN = frozenset({FREES_RESERVED})

_NEW = "2011.pool.lowest-first"
_FREE = "2011.pool.free"
WORD_FULL = rule("2011/memory/scan_word/full", clause=_NEW, source=lines("190-194"))
WORD_HIT = rule("2011/memory/scan_word/has-free", clause=_NEW, source=lines("190-196"))
BIT_USED = rule("2011/memory/scan_bit/used", clause=_NEW, source=lines("196"))
BIT_HIT = rule("2011/memory/scan_bit/free", clause=_NEW, source=lines("196-202"))
NEW_BUFS = rule("2011/memory/new_bufs/all", clause="2011.pool.new-slots", source=lines("189-203"))
NEW_BUFS_SHORT = rule("2011/memory/new_bufs/too-few", clause="2011.pool.all-or-none", source=lines("184-187"))
FREE_BAD = rule("2011/memory/free_buf/no-such-buffer", clause=_FREE, source=lines("214-217"))
FREE_TWICE = rule("2011/memory/free_buf/already-free", clause=_FREE, source=lines("220-223"))
FREE_OK = rule("2011/memory/free_buf/freed", clause=_FREE, source=lines("224-225"))
FREE_RESERVED_REFUSED = rule(
    "2011/memory/free_buf/reserved-refused", clause="2011.pool.reserved", source=lines("172-175, 576-582")
)
RECLAIM = rule("2011/memory/reclaim", clause="2011.pool.conserved", source=lines("773-791"))
FREE_RESERVED = rule(
    "2011/memory/free_buf/reserved-freed",
    clause="2011.pool.reserved",
    source=lines("214-225"),
    switch=FREES_RESERVED,
)


@dataclass(frozen=True, slots=True)
class Pool:
    """``total`` buffers, ``free`` of them counted free, ``bitmap`` the indices whose bit is 1.

    The last word's bits beyond ``total`` are 1 as well and stay so: the counter keeps the scan
    away from them (2011.pool.count).
    """

    total: int
    free: int
    bitmap: frozenset[int]


@dataclass(frozen=True, slots=True)
class Scan:
    """Where a find-first scan stands (a word's or a bit's number) and whether it has arrived."""

    at: int
    found: bool


def scan_word(at: int, empty: bool) -> Step[Scan]:
    """One word of the scan: a word with no free buffer is passed over."""
    if empty:
        return Step(Scan(at + 1, False), (WORD_FULL,))
    return Step(Scan(at, True), (WORD_HIT,))


def scan_bit(at: int, free: bool) -> Step[Scan]:
    """One bit of the scan inside a word that has a free buffer."""
    if free:
        return Step(Scan(at, True), (BIT_HIT,))
    return Step(Scan(at + 1, False), (BIT_USED,))


def find_first(bitmap: frozenset[int], word: int) -> Step[int]:
    """The lowest free buffer from ``word`` on, by the fold of the two scans. One must exist."""
    fired: set[str] = set()
    scan = Scan(word, False)
    while not scan.found:
        step = scan_word(scan.at, not any(i in bitmap for i in range(scan.at * WORD, (scan.at + 1) * WORD)))
        scan = step.state
        fired.update(step.fired)
    base = scan.at * WORD
    scan = Scan(0, False)
    while not scan.found:
        step = scan_bit(scan.at, base + scan.at in bitmap)
        scan = step.state
        fired.update(step.fired)
    return Step(base + scan.at, tuple(sorted(fired)))


def take_buf(pool: Pool, index: int) -> Pool:
    """The pool once the free buffer ``index`` is taken: its bit is cleared, the count goes down."""
    return Pool(pool.total, pool.free - 1, pool.bitmap.difference((index,)))


def give_buf(pool: Pool, index: int) -> Pool:
    """The pool once buffer ``index`` is given back (:func:`free_buf` said so)."""
    return Pool(pool.total, pool.free + 1, pool.bitmap.union((index,)))


@dataclass(frozen=True, slots=True)
class NewBufs:
    """The pool afterwards and the buffers taken, in slot order (none when there were too few)."""

    pool: Pool
    taken: tuple[int, ...]


def enough(pool: Pool, n: int) -> Step[bool]:
    """All or none: may ``n`` buffers be taken? Source: netmap_new_bufs."""
    if n > pool.free:
        return Step(False, (NEW_BUFS_SHORT,))
    return Step(True, (NEW_BUFS,))


@dataclass(frozen=True, slots=True)
class Taking:
    """:func:`new_bufs` between two buffers: the pool, how many are taken, the word to go on from."""

    pool: Pool
    count: int
    word: int


def take_found(taking: Taking, index: int) -> Taking:
    """One round of :func:`new_bufs`: the scan found the free buffer ``index``."""
    return Taking(take_buf(taking.pool, index), taking.count + 1, index // WORD)


def new_bufs(pool: Pool, n: int) -> Step[NewBufs]:
    """Take ``n`` buffers, lowest index first, or none at all. Source: netmap_new_bufs."""
    may = enough(pool, n)
    if not may.state:
        return Step(NewBufs(pool, ()), may.fired)
    fired = set(may.fired)
    taking = Taking(pool, 0, 0)
    taken: list[int] = []
    while taking.count < n:
        step = find_first(taking.pool.bitmap, taking.word)
        fired.update(step.fired)
        taking = take_found(taking, step.state)
        taken.append(step.state)
    return Step(NewBufs(taking.pool, tuple(taken)), tuple(sorted(fired)))


@dataclass(frozen=True, slots=True)
class FreeBuf:
    """Whether the buffer's bit becomes 1, and the source line that logs when it does not (0: none)."""

    freed: bool
    log: int = 0


def free_buf(index: int, total: int, is_free: bool, switches: frozenset[str] = CONTRACT) -> Step[FreeBuf]:
    """What giving back buffer ``index`` (any u32) does. Source: netmap_free_buf.

    As written (FREES_RESERVED) buffers 0 and 1 can be given back like any other, and are handed out
    again: a slot that re-initialisation pointed at the junk buffer does just that at the last close.
    """
    if index >= total:
        return Step(FreeBuf(False, 215), (FREE_BAD,))
    if index < 2 and FREES_RESERVED not in switches:
        return Step(FreeBuf(False), (FREE_RESERVED_REFUSED,))
    if is_free:
        return Step(FreeBuf(False, 221), (FREE_TWICE,))
    if index < 2:
        return Step(FreeBuf(True), (FREE_RESERVED,))
    return Step(FreeBuf(True), (FREE_OK,))


def reclaim(pool: Pool, named: frozenset[int]) -> Step[Pool]:
    """The pool in which everything is free but buffers 0 and 1 and those in ``named``."""
    spare = frozenset(i for i in pool.bitmap if i >= pool.total)
    free = frozenset(range(2, pool.total)) - named
    return Step(Pool(pool.total, len(free), free | spare), (RECLAIM,))


def words(pool: Pool) -> list[int]:
    """The bitmap as the kernel stores it: 32-bit words, buffer 0 in the lowest bit of word 0."""
    out = [0] * ((pool.total + WORD - 1) // WORD)
    for index in pool.bitmap:
        out[index // WORD] |= 1 << (index % WORD)
    return out


def fresh_pool(buffers: int) -> Pool:
    """The pool after load: everything free but buffers 0 and 1."""
    bits = (buffers + WORD - 1) // WORD * WORD
    return Pool(buffers, buffers - 2, frozenset(range(2, bits)))

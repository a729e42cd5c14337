"""What is always true of a netmap that keeps its contract, as named predicates over integers.

A predicate takes plain integers (or sequences and small functions of integers) and answers whether
the invariant holds. It decides by comparing, adding and subtracting (``%`` and ``*`` only where an
alignment or an array's size is meant), and joins comparisons with ``and``, ``or`` and ``if``: so the
same function runs on an implementation's numbers, and on the symbols of the proofs, where every such
word forks the execution. None raises, whatever the integers are; a position outside the ring is
simply an invariant that does not hold.

Nothing here knows the model: these are definitions of their own, for the model to be measured by.

``INVARIANTS`` holds each predicate with the clause it states, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

P = TypeVar("P", bound=Callable[..., bool])


class Invariant(NamedTuple):
    """A predicate and the id of the clause it states."""

    predicate: Callable[..., bool]
    clause: str


INVARIANTS: dict[str, Invariant] = {}


def invariant(clause: str) -> Callable[[P], P]:
    """Register a predicate under its own name; the function itself stays as it is."""

    def register(predicate: P) -> P:
        INVARIANTS[predicate.__name__] = Invariant(predicate, clause)
        return predicate

    return register


# --- positions in a ring ----------------------------------------------------------------------


def position(n: int, i: int) -> bool:
    """Is ``i`` a position of a ring of ``n`` slots?"""
    return i >= 0 and i < n


def steps(n: int, start: int, end: int) -> int:
    """Slots passed walking forward from ``start`` to ``end``, both positions: 0 … n-1."""
    if end >= start:
        return end - start
    return end - start + n


def owned_by_user(n: int, head: int, tail: int, i: int) -> bool:
    """Does slot ``i`` belong to the application, whose ring says ``head`` and ``tail``?"""
    return steps(n, head, i) < steps(n, head, tail)


@invariant("14.ring.kring-order")
def kring_order(n: int, hwcur: int, hwtail: int, rhead: int, rcur: int, rtail: int) -> bool:
    """Outside a sync: walking forward from hwcur one meets rhead, rcur, rtail, hwtail in this order."""
    if not (position(n, hwcur) and position(n, hwtail)):
        return False
    if not (position(n, rhead) and position(n, rcur) and position(n, rtail)):
        return False
    to_head, to_cur, to_tail = steps(n, hwcur, rhead), steps(n, hwcur, rcur), steps(n, hwcur, rtail)
    return to_head <= to_cur and to_cur <= to_tail and to_tail <= steps(n, hwcur, hwtail)


@invariant("14.ring.tx-window")
def tx_window(n: int, rhead: int, rtail: int, head: int, cur: int) -> bool:
    """May a txsync accept ``head`` and ``cur``, after it accepted rhead and published rtail the last time?"""
    if not (position(n, rhead) and position(n, rtail) and position(n, head) and position(n, cur)):
        return False
    return steps(n, rhead, head) <= steps(n, rhead, rtail) and steps(n, head, cur) <= steps(n, head, rtail)


@invariant("14.ring.rx-window")
def rx_window(n: int, hwcur: int, hwtail: int, head: int, cur: int) -> bool:
    """May an rxsync accept ``head`` and ``cur``? The cur of the sync before does not matter."""
    if not (position(n, hwcur) and position(n, hwtail) and position(n, head) and position(n, cur)):
        return False
    return steps(n, hwcur, head) <= steps(n, hwcur, hwtail) and steps(n, head, cur) <= steps(n, head, hwtail)


@invariant("14.ring.kring-order")
def one_slot_reserved(n: int, hwcur: int, hwtail: int, kept: int) -> bool:
    """Is one slot of the ring in nobody's hands?

    ``kept`` counts the slots the other side still holds: on tx those given to the NIC (or the peer) and
    not completed, on rx those posted for frames to come. Ready or free ones lie from hwcur to hwtail.
    """
    if not (position(n, hwcur) and position(n, hwtail)):
        return False
    return kept >= 0 and steps(n, hwcur, hwtail) + kept <= n - 1


@invariant("14.ring.tx-window")
def user_window(n: int, head: int, cur: int, tail: int) -> bool:
    """Do the three words of the shared page make sense by themselves: from head one meets cur, then tail?"""
    if not (position(n, head) and position(n, cur) and position(n, tail)):
        return False
    return steps(n, head, cur) <= steps(n, head, tail)


@invariant("14.ring.tail-published")
def tail_published(tail: int, rtail: int, hwtail: int) -> bool:
    """After a sync that ended well, do the shared page and the kring agree on the kernel's tail?"""
    return tail == rtail and rtail == hwtail


@invariant("14.ring.reinit-resets")
def reset_to_kernel(hwcur: int, hwtail: int, head: int, cur: int, tail: int) -> bool:
    """After a rejected sync: are head and cur hwcur, and tail hwtail? In the shared page and in the kring."""
    return head == hwcur and cur == hwcur and tail == hwtail


@invariant("14.ring.reinit-slots")
def slot_safe(buf_idx: int, length: int, objtotal: int, buf_size: int) -> bool:
    """After a rejected sync: does the slot name a buffer of the pool and bytes inside it, or nothing?"""
    if buf_idx == 0:
        return length == 0
    return buf_idx >= 2 and buf_idx < objtotal and length >= 0 and length <= buf_size


# --- buffers and pools ------------------------------------------------------------------------


@invariant("14.memory.pool")
def buffers_disjoint(owners: Sequence[Sequence[int]]) -> bool:
    """Is every buffer index in at most one place?

    ``owners`` lists what each owner holds: slots of rings, chains of extra buffers, the free list.
    """
    held = sorted(index for owner in owners for index in owner)
    return all(held[i] != held[i + 1] for i in range(len(held) - 1))


@invariant("14.memory.pool")
def pool_partition(free: int, used: int, reserved: int, total: int) -> bool:
    """Do the free, the used and the reserved objects make up the pool, with none lost or counted twice?"""
    return free >= 0 and used >= 0 and reserved >= 0 and free + used + reserved == total


@invariant("14.memory.extra-buffers")
def list_acyclic(next_of: Callable[[int], int], head: int, total: int) -> bool:
    """Does the list from ``head`` end (at 0) within the ``total`` objects there are?

    ``next_of(index)`` is what the object names as the next one; it is asked only for indices of
    the pool. Following more links than there are objects means a cycle.
    """
    index = head
    for _ in range(total):
        if index == 0:
            return True
        if index < 0 or index >= total:
            return False
        index = next_of(index)
    return index == 0


# --- where things lie -------------------------------------------------------------------------


@invariant("14.memory.layout")
def inside(offset: int, length: int, start: int, end: int) -> bool:
    """Do ``length`` bytes from ``offset`` lie in ``[start, end)``?"""
    return length >= 0 and start <= offset and offset + length <= end


@invariant("14.memory.layout")
def apart(offset: int, length: int, other: int, other_length: int) -> bool:
    """Do two objects share no byte? Empty ones share none with anything."""
    if length <= 0 or other_length <= 0:
        return True
    return offset + length <= other or other + other_length <= offset


@invariant("14.memory.layout")
def aligned(offset: int, alignment: int) -> bool:
    """Is ``offset`` a multiple of ``alignment``?"""
    return alignment >= 1 and offset % alignment == 0


@invariant("14.memory.layout")
def ring_inside_region(offset: int, header: int, slot: int, n: int, region: int) -> bool:
    """Do a ring's header and its ``n`` slots, sizes in bytes, lie inside the region?"""
    return n >= 1 and inside(offset, header + slot * n, 0, region)


# --- generation 2011 --------------------------------------------------------------------------


@invariant("2011.ring.positions")
def ring2011_positions(n: int, hwcur: int, hwavail: int) -> bool:
    """Outside a call: is ``nr_hwcur`` a position, and ``nr_hwavail`` at most one short of all slots?"""
    return position(n, hwcur) and hwavail >= 0 and hwavail <= n - 1


@invariant("2011.memory.first-fit")
def objects_tile(objects: Sequence[tuple[int, int]], total: int) -> bool:
    """Do the allocator's (offset, size) objects cover ``[0, total)`` in order, without gap or overlap?"""
    at = 0
    for offset, size in objects:
        if offset != at or size <= 0:
            return False
        at = at + size
    return at == total


@invariant("2011.memory.coalesce")
def free_coalesced(used: Sequence[bool]) -> bool:
    """Are no two neighbours of the allocator's list both free? ``used`` tells of each object in order."""
    return all(used[i] or used[i + 1] for i in range(len(used) - 1))

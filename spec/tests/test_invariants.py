"""The invariants mean what they say: compared with definitions that walk, count and mark."""

from __future__ import annotations

import inspect
from itertools import pairwise, product

import pytest
from netmap_spec import clauses, invariants
from netmap_spec.invariants import INVARIANTS

#: Ring sizes, and every word up to the first that is no position, and one below.
SIZES = (1, 2, 3, 4)


def words(n: int) -> range:
    return range(-1, n + 1)


def walk(n: int, start: int, end: int) -> list[int]:
    """The positions from ``start`` to ``end``, both included, walking forward."""
    path = [start]
    while path[-1] != end:
        path.append((path[-1] + 1) % n)
    return path


def met_in_order(n: int, *stops: int) -> bool:
    """Walking forward once around from the first stop, are all met in the order given, the last one last?"""
    if not all(stop in range(n) for stop in stops):
        return False
    path = walk(n, stops[0], stops[-1])
    return all(stop in path for stop in stops) and all(
        path.index(a) <= path.index(b) for a, b in pairwise(stops)
    )


@pytest.mark.parametrize("name", sorted(INVARIANTS))
def test_every_invariant_states_a_clause(name: str) -> None:
    assert INVARIANTS[name].clause in clauses.load()


@pytest.mark.parametrize("name", sorted(INVARIANTS))
def test_the_registered_predicate_is_the_function_of_that_name(name: str) -> None:
    predicate = INVARIANTS[name].predicate
    assert predicate is getattr(invariants, name)
    assert inspect.getdoc(predicate)


@pytest.mark.parametrize("n", SIZES)
def test_steps_counts_what_is_walked_over(n: int) -> None:
    for start, end in product(range(n), repeat=2):
        assert invariants.steps(n, start, end) == len(walk(n, start, end)) - 1


@pytest.mark.parametrize("n", SIZES)
def test_the_user_owns_the_slots_from_head_to_tail(n: int) -> None:
    for head, tail, i in product(range(n), repeat=3):
        assert invariants.owned_by_user(n, head, tail, i) == (i in walk(n, head, tail)[:-1])


@pytest.mark.parametrize("n", SIZES[:3])
def test_kring_order(n: int) -> None:
    for hwcur, hwtail, rhead, rcur, rtail in product(words(n), repeat=5):
        expected = met_in_order(n, hwcur, rhead, rcur, rtail, hwtail)
        assert invariants.kring_order(n, hwcur, hwtail, rhead, rcur, rtail) == expected


@pytest.mark.parametrize("n", SIZES)
def test_the_windows_of_both_syncs(n: int) -> None:
    for low, high, head, cur in product(words(n), repeat=4):
        expected = met_in_order(n, low, head, cur, high)
        assert invariants.tx_window(n, low, high, head, cur) == expected
        assert invariants.rx_window(n, low, high, head, cur) == expected


@pytest.mark.parametrize("n", SIZES)
def test_the_users_own_words(n: int) -> None:
    for head, cur, tail in product(words(n), repeat=3):
        assert invariants.user_window(n, head, cur, tail) == met_in_order(n, head, cur, tail)


@pytest.mark.parametrize("n", SIZES)
def test_one_slot_is_nobodys(n: int) -> None:
    """Of all slots, mark those between hwcur and hwtail and those kept: one must be left over."""
    for hwcur, hwtail in product(range(n), repeat=2):
        marked = set(walk(n, hwcur, hwtail)[:-1])
        for kept in range(-1, n + 1):
            expected = kept >= 0 and len(marked) + kept < n
            assert invariants.one_slot_reserved(n, hwcur, hwtail, kept) == expected
    assert not invariants.one_slot_reserved(n, n, 0, 0)
    assert not invariants.one_slot_reserved(n, 0, -1, 0)


def test_what_a_sync_leaves_behind() -> None:
    for a, b, c in product(range(3), repeat=3):
        assert invariants.tail_published(a, b, c) == (len({a, b, c}) == 1)
    for hwcur, hwtail, head, cur, tail in product(range(2), repeat=5):
        expected = (head, cur, tail) == (hwcur, hwcur, hwtail)
        assert invariants.reset_to_kernel(hwcur, hwtail, head, cur, tail) == expected


def test_a_safe_slot_names_a_buffer_and_bytes_inside_it_or_nothing() -> None:
    total, size = 4, 3
    safe = {(i, length) for i in (2, 3) for length in range(size + 1)} | {(0, 0)}
    for buf_idx, length in product(range(-1, 7), repeat=2):
        assert invariants.slot_safe(buf_idx, length, total, size) == ((buf_idx, length) in safe)


@pytest.mark.parametrize(
    ("owners", "disjoint"),
    [
        ([], True),
        ([[], []], True),
        ([[2, 3], [4], [5, 6]], True),
        ([[2, 3], [4, 2]], False),
        ([[7, 5, 7]], False),
        ([[9], [8], [9]], False),
    ],
)
def test_buffers_in_two_places(owners: list[list[int]], disjoint: bool) -> None:
    assert invariants.buffers_disjoint(owners) == disjoint


def test_a_pool_is_its_parts() -> None:
    for free, used, reserved, total in product(range(-1, 4), repeat=4):
        expected = min(free, used, reserved) >= 0 and sum((free, used, reserved)) == total
        assert invariants.pool_partition(free, used, reserved, total) == expected


def test_every_list_of_four_objects_ends_or_does_not() -> None:
    """All ways to link objects 1 to 3 (an object may name itself, one beyond the pool, or the end)."""
    total = 4
    for links in product(range(-1, total + 1), repeat=total - 1):
        next_of = dict(enumerate(links, 1))
        for head in range(-1, total + 1):
            seen: list[int] = []
            at = head
            while at in next_of and at not in seen:
                seen.append(at)
                at = next_of[at]
            assert invariants.list_acyclic(next_of.__getitem__, head, total) == (at == 0), (links, head)


def test_bytes_inside_and_apart() -> None:
    for offset, length, start, end in product(range(-1, 4), repeat=4):
        covered = set(range(offset, offset + length))
        assert invariants.apart(offset, length, start, end) == covered.isdisjoint(range(start, start + end))
        if length > 0:
            assert invariants.inside(offset, length, start, end) == (covered <= set(range(start, end)))
        elif length < 0:
            assert not invariants.inside(offset, length, start, end)


def test_alignment() -> None:
    for offset, alignment in product(range(-4, 9), range(-1, 5)):
        expected = alignment > 0 and offset in range(-4 * alignment, 9 * alignment, alignment)
        assert invariants.aligned(offset, alignment) == expected


def test_a_ring_with_its_slots_lies_inside_the_region() -> None:
    for offset, n, region in product((-1, 0, 8, 16), (-1, 0, 1, 2), range(0, 40, 4)):
        fits = n >= 1 and offset >= 0 and offset + 8 + 4 * n <= region
        assert invariants.ring_inside_region(offset, 8, 4, n, region) == fits


def test_positions_of_a_2011_ring() -> None:
    for n, hwcur, hwavail in product(range(1, 4), range(-1, 5), range(-1, 5)):
        expected = hwcur in range(n) and hwavail in range(n)
        assert invariants.ring2011_positions(n, hwcur, hwavail) == expected


@pytest.mark.parametrize(
    ("objects", "tiled"),
    [
        ([(0, 10)], True),
        ([(0, 4), (4, 6)], True),
        ([(0, 4), (5, 5)], False),
        ([(0, 6), (4, 6)], False),
        ([(4, 6), (0, 4)], False),
        ([(0, 4), (4, 0), (4, 6)], False),
        ([(0, 4), (4, 5)], False),
        ([], False),
    ],
)
def test_the_objects_of_2011_tile_the_memory(objects: list[tuple[int, int]], tiled: bool) -> None:
    assert invariants.objects_tile(objects, 10) == tiled


def test_free_neighbours_are_one() -> None:
    for used in product((False, True), repeat=4):
        text = "".join("U" if u else "f" for u in used)
        assert invariants.free_coalesced(used) == ("ff" not in text)
    assert invariants.free_coalesced([])

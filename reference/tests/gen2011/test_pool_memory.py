"""Chapters pool and memory: the bitmap, the first-fit list, load and unload."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from netmap_reference.core.outcome import errno
from netmap_reference.gen2011 import memory, module, pool
from netmap_reference.gen2011.memory import Obj
from netmap_reference.gen2011.pool import Pool

AS_WRITTEN = pool.AS_WRITTEN


# --- pool ---------------------------------------------------------------------------------------


def test_a_fresh_pool_has_everything_free_but_buffers_0_and_1() -> None:
    fresh = pool.fresh_pool(50)
    assert fresh.free == 48
    assert pool.words(fresh) == [0xFFFFFFFC, 0xFFFFFFFF]


def test_buffers_are_taken_lowest_first_across_words() -> None:
    step = pool.new_bufs(Pool(70, 4, frozenset({3, 31, 32, 69})), 3)
    assert step.state.taken == (3, 31, 32)
    assert step.state.pool == Pool(70, 1, frozenset({69}))
    assert {pool.WORD_HIT, pool.WORD_FULL, pool.BIT_USED, pool.BIT_HIT} <= set(step.fired)


def test_too_few_buffers_means_none() -> None:
    few = Pool(70, 2, frozenset({3, 31}))
    step = pool.new_bufs(few, 3)
    assert (step.state.pool, step.state.taken, step.fired) == (few, (), (pool.NEW_BUFS_SHORT,))


@pytest.mark.parametrize("total", [33, 40, 64])
def test_the_scan_never_reaches_the_bits_behind_the_last_buffer(total: int) -> None:
    everything = pool.new_bufs(pool.fresh_pool(total), total - 2).state
    assert everything.taken == tuple(range(2, total))
    assert everything.pool.free == 0
    assert all(i >= total for i in everything.pool.bitmap)


@pytest.mark.parametrize(
    ("index", "is_free", "freed", "log", "rule"),
    [
        (5, False, True, 0, pool.FREE_OK),
        (5, True, False, 221, pool.FREE_TWICE),
        (50, False, False, 215, pool.FREE_BAD),
        (0xFFFFFFFF, False, False, 215, pool.FREE_BAD),
        (0, False, False, 0, pool.FREE_RESERVED_REFUSED),
        (1, False, False, 0, pool.FREE_RESERVED_REFUSED),
    ],
)
def test_giving_a_buffer_back(index: int, is_free: bool, freed: bool, log: int, rule: str) -> None:
    step = pool.free_buf(index, 50, is_free)
    assert (step.state.freed, step.state.log, step.fired) == (freed, log, (rule,))


def test_as_written_the_junk_buffer_can_be_given_back() -> None:
    assert pool.free_buf(0, 50, False, AS_WRITTEN).state.freed
    assert pool.free_buf(0, 50, False, AS_WRITTEN).fired == (pool.FREE_RESERVED,)


def test_reclaiming_frees_all_that_no_ring_names() -> None:
    step = pool.reclaim(Pool(33, 0, frozenset(range(33, 64))), frozenset({0, 5, 999}))
    assert step.state.free == 33 - 3
    assert 5 not in step.state.bitmap and {0, 1}.isdisjoint(step.state.bitmap)
    assert set(range(33, 64)) <= step.state.bitmap


# --- the first-fit list ---------------------------------------------------------------------------


def tiles(objs: tuple[Obj, ...], size: int) -> bool:
    """Do the objects cover the area without gap or overlap, no two free ones side by side?"""
    at = 0
    for obj in objs:
        if obj.offset != at or obj.size <= 0:
            return False
        at += obj.size
    free = [not obj.used for obj in objs]
    return at == size and not any(a and b for a, b in pairwise(free))


def test_every_sequence_of_allocations_keeps_the_list_tiled() -> None:
    """All sequences of six operations over an area of six units."""
    for sequence in product(range(6), repeat=6):
        objs: tuple[Obj, ...] = (Obj(0, 6, False),)
        for choice in sequence:
            if choice < 3:
                objs = memory.alloc(objs, choice + 1).state.objs
            else:
                objs = memory.free(objs, (choice - 3) * 2).state.objs
            assert tiles(objs, 6), sequence


def test_the_first_stretch_that_fits_is_cut_at_its_front() -> None:
    objs = (Obj(0, 8, True), Obj(8, 16, False), Obj(24, 8, True), Obj(32, 64, False))
    step = memory.alloc(objs, 24)
    assert step.state.offset == 32
    assert step.state.objs == (*objs[:3], Obj(32, 24, True), Obj(56, 40, False))
    assert memory.alloc(objs, 16).fired == (memory.CARVE_WHOLE,)
    assert memory.alloc(objs, 65).state == memory.Alloc(objs, None)


@pytest.mark.parametrize(
    ("prev", "after", "result"),
    [
        (None, None, (Obj(8, 8, False),)),
        (Obj(0, 8, True), Obj(16, 4, True), (Obj(0, 8, True), Obj(8, 8, False), Obj(16, 4, True))),
        (Obj(0, 8, False), Obj(16, 4, True), (Obj(0, 16, False), Obj(16, 4, True))),
        (Obj(0, 8, True), Obj(16, 4, False), (Obj(0, 8, True), Obj(8, 12, False))),
        (Obj(0, 8, False), Obj(16, 4, False), (Obj(0, 20, False),)),
    ],
)
def test_a_stretch_given_back_merges_with_free_neighbours(
    prev: Obj | None, after: Obj | None, result: tuple[Obj, ...]
) -> None:
    assert memory.release(prev, Obj(8, 8, True), after).state == result


@pytest.mark.parametrize(
    ("offset", "log", "rule"),
    [(None, 329, memory.FREE_NULL), (4, 340, memory.FREE_UNKNOWN), (8, 340, memory.FREE_UNKNOWN)],
)
def test_giving_back_what_is_not_in_use_is_logged(offset: int | None, log: int, rule: str) -> None:
    objs = (Obj(0, 8, True), Obj(8, 8, False))
    step = memory.free(objs, offset)
    assert (step.state, step.fired) == (memory.Free(objs, log), (rule,))


# --- load and unload ------------------------------------------------------------------------------


def test_the_block_is_halved_until_it_fits() -> None:
    assert memory.block_size(memory.MEMORY_SIZE).state == memory.MEMORY_SIZE + memory.extra_size(
        memory.MEMORY_SIZE
    )
    assert memory.block_size(1 << 20).state == 1060864
    step = module.load((1 << 20) - 1)
    assert step.outcome == errno("ENOMEM")
    assert {memory.GIVE_UP, module.LOAD_FAILED} <= set(step.fired)


def test_the_block_is_objects_then_buffers() -> None:
    laid = memory.layout(1060864).state
    assert (laid.size, laid.buf_start, laid.buf_len, laid.buffers) == (5304, 8192, 1052672, 514)


def test_unload_reports_leaks_and_as_written_keeps_the_bitmap() -> None:
    loaded = module.load(1 << 20).state
    assert loaded is not None
    used = module.Memory(loaded.layout, loaded.pool, memory.alloc(loaded.objs, 64).state.objs)
    assert module.unload(used).state == memory.Fini((Obj(0, 64, True),), 0)
    assert module.unload(used, memory.AS_WRITTEN).state.lost == 17 * 4


def test_other_module_events_are_refused() -> None:
    assert module.other_event().outcome == errno("EOPNOTSUPP")

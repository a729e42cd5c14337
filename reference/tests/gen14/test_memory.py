"""Chapter *memory*: pools, their layout, extra buffers, identifiers."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from netmap_reference.core.memory import PAGE, Region
from netmap_reference.gen14 import memory
from netmap_reference.gen14.memory import ObjPool


def private(tx_slots: int, rx_slots: int, rings: int = 1, extra: int = 0) -> memory.Allocator:
    params = memory.private_params(rings, tx_slots, rings, rx_slots, extra, pipes=2)
    step = memory.new_allocator(2, True, params)
    assert step.outcome.ok
    return step.state


# --- layout (14.memory.rounding, 14.memory.layout) ----------------------------------------------


@pytest.mark.parametrize(
    ("num", "size", "objsize", "objtotal"),
    [
        (100, 1024, 1024, 100),  # four to a page
        (10, 1024, 1024, 12),  # the last cluster is filled up
        (4, 5 * PAGE, 5 * PAGE, 4),
        (4098, 2048, 2048, 4098),
        (3, 1000, 1024, 4),  # sizes grow to whole cache lines
        (5, 1088, 1088, 64),  # 64 objects of 1088 bytes fill 17 pages, fewer do not fill any
    ],
)
def test_sizes_and_numbers_are_rounded_up(num: int, size: int, objsize: int, objtotal: int) -> None:
    step = memory.config_pool(num, size, memory.Limits(64, 65536, 1, 10_000))
    assert step.outcome.ok
    assert (step.state.objsize, step.state.objtotal) == (objsize, objtotal)
    assert step.state.memtotal % PAGE == 0


@pytest.mark.parametrize(
    ("num", "size", "rule"),
    [
        (1, 32, memory.CONFIG_SIZE),
        (1, 5000, memory.CONFIG_SIZE),
        (0, 128, memory.CONFIG_NUM),
        (9, 128, memory.CONFIG_NUM),
    ],
)
def test_sizes_and_numbers_outside_the_limits_are_refused(num: int, size: int, rule: str) -> None:
    step = memory.config_pool(num, size, memory.Limits(128, 4096, 1, 8))
    assert step.outcome.detail == "EINVAL"
    assert step.fired == (rule,)


def test_memory_sizes_as_recorded_on_real_netmap() -> None:
    """recordings pipe_basic, pipe_names, pipe_ring_selection, nic_veth_open"""
    assert private(1024, 1024).memsize == 42369024
    assert private(64, 64).memsize == 8814592
    assert private(64, 64, rings=2).memsize == 8855552
    assert memory.global_allocator().memsize == 343019520


def test_ring_sizes_without_a_cluster() -> None:
    """Up to 4096 slots every number can be laid out, except those whose ring is an odd number of lines over
    64 KiB: 64 such rings are needed to fill pages, and that is more than 4 MiB."""
    refused = {
        slots
        for slots in range(1, 4097)
        if not memory.new_allocator(2, True, memory.private_params(1, slots, 1, 1, 0, 2)).outcome.ok
    }
    assert refused == {*range(4081, 4085), *range(4089, 4093)}


def test_the_three_pools_lie_behind_each_other() -> None:
    a = private(64, 64)
    assert a.if_offset(0) == 0
    assert a.ring_offset(0) == a.if_offset(a.if_pool.objtotal)
    assert a.buf_offset(0) == a.ring_offset(a.ring_pool.objtotal)
    assert a.buf_offset(a.buffers) <= a.memsize < a.buf_offset(a.buffers) + PAGE


# --- objects (14.memory.pool, 14.memory.reserved) -----------------------------------------------


def test_the_lowest_free_object_is_given() -> None:
    step = memory.obj_malloc(ObjPool(64, 8, frozenset({0, 1, 3})), 64)
    assert step.state.index == 2
    assert step.state.pool.used == {0, 1, 2, 3}


@pytest.mark.parametrize(("length", "rule"), [(65, memory.TOO_LARGE), (1, memory.EXHAUSTED)])
def test_an_allocation_that_cannot_be_changes_nothing(length: int, rule: str) -> None:
    full = ObjPool(64, 4, frozenset(range(4)))
    step = memory.obj_malloc(full, length)
    assert step.outcome.detail == "ENOMEM"
    assert step.state == memory.Taken(full, -1)
    assert step.fired == (rule,)


def test_taking_many_is_taking_one_by_one() -> None:
    for seed in range(50):
        source = random.Random(seed)
        pool = ObjPool(64, 12, frozenset(i for i in range(12) if source.random() < 0.5))
        count = source.randrange(14)
        one, indices = pool, []
        for _ in range(count):
            step = memory.obj_malloc(one, 64)
            if step.outcome.ok:
                one = step.state.pool
                indices.append(step.state.index)
        assert memory.take(pool, count) == memory.TakenMany(one, tuple(indices)), seed


@pytest.mark.parametrize(
    ("index", "used", "rule"),
    [(1, {0}, memory.FREED), (2, {0, 1}, memory.NOT_TAKEN), (8, {0, 1}, memory.NOT_TAKEN)],
)
def test_freeing(index: int, used: set[int], rule: str) -> None:
    step = memory.obj_free(ObjPool(64, 8, frozenset({0, 1})), index)
    assert step.state.used == used
    assert step.fired == (rule,)


def test_buffers_0_and_1_are_never_given() -> None:
    a = private(64, 64)
    assert memory.take(a.buf_pool, 3).indices == (2, 3, 4)


# --- extra buffers (14.memory.extra-buffers) -----------------------------------------------------


def chain(a: memory.Allocator, region: Region, head: int) -> list[int]:
    found = []
    while head:
        found.append(head)
        head = int.from_bytes(region.read(a.buf_offset(head), 4), "little")
    return found


def test_extra_buffers_are_a_descending_chain_that_ends_with_0() -> None:
    a = private(64, 64)
    region = Region(a.memsize)
    after, head, count = memory.extra_alloc(a, region, 4).state
    assert chain(after, region, head) == [5, 4, 3, 2]
    assert count == 4
    assert memory.extra_free(after, region, head).state.buf_pool == a.buf_pool


def test_more_extra_buffers_than_there_are() -> None:
    a = private(64, 64)
    a = replace(a, buf_pool=replace(a.buf_pool, objtotal=6))
    step = memory.extra_alloc(a, Region(a.memsize), 100)
    assert step.state[2] == 4
    assert memory.EXTRA_SHORT in step.fired


@pytest.mark.parametrize("bad", [1, 99999999])
def test_a_chain_ends_at_the_first_index_that_is_no_buffer(bad: int) -> None:
    a = private(64, 64)
    region = Region(a.memsize)
    after, head, _ = memory.extra_alloc(a, region, 3).state
    region.write(after.buf_offset(head), bad.to_bytes(4, "little"))
    assert memory.extra_free(after, region, head).state.buf_pool.used == {0, 1, 2, 3}


def test_a_chain_that_comes_back_to_itself_ends() -> None:
    a = private(64, 64)
    region = Region(a.memsize)
    after, head, _ = memory.extra_alloc(a, region, 3).state
    region.write(after.buf_offset(2), head.to_bytes(4, "little"))
    assert memory.extra_free(after, region, head).state.buf_pool == a.buf_pool


# --- identifiers and last users (14.memory.ids, 14.memory.last-user) -----------------------------


@pytest.mark.parametrize(
    ("ids", "last", "given"),
    [((1,), 1, 2), ((1, 2), 2, 3), ((1, 2, 3), 1, 4), ((1, 3), 1, 2), ((1, 2, 4), 4, 5)],
)
def test_the_next_free_identifier_after_the_last_one_given(
    ids: tuple[int, ...], last: int, given: int
) -> None:
    assert memory.assign_id(ids, last).state == given


def test_the_last_user_leaves_a_clean_region() -> None:
    a = private(64, 64)
    used = replace(a, active=2, buf_pool=memory.take(a.buf_pool, 10).pool)
    assert memory.deref(used).state == replace(used, active=1)
    assert memory.deref(memory.deref(used).state).state == a

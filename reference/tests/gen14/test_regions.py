"""Regions: memory that comes short, memory a process brings, and which page a mapping shows."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.core.choice import eager, lazy
from netmap_reference.core.memory import PAGE
from netmap_reference.gen14 import memory
from netmap_reference.gen14.memory import ObjPool, Sizes
from netmap_reference.gen14.world import PortConfig, World

BROUGHT = {
    "type": "EXTMEM", "usrptr": 4096, "nr_memsize": 1 << 20, "nr_ring_pool_objsize": 3 * PAGE,
    "nr_ring_pool_objtotal": 8, "nr_buf_pool_objtotal": 40,
}  # fmt: skip


# --- pools (14.memory.short, 14.memory.rounding) ------------------------------------------------


def test_no_object_lies_across_the_edge_of_a_cluster() -> None:
    limits = memory.Limits(64, 1 << 20, 1, 100_000)
    for size in range(64, 9000, 64):
        step = memory.config_pool(100, size, limits)
        if step.outcome.ok:
            cluster = step.state.entries * size
            assert cluster % PAGE == 0
            assert all(i * size // cluster == ((i + 1) * size - 1) // cluster for i in range(150))


@pytest.mark.parametrize(("cluster", "left"), [(0, 0), (1, 0), (2, 1), (3, 2), (40, 39)])
def test_what_is_left_of_a_pool_that_ran_out_of_memory(cluster: int, left: int) -> None:
    """Two objects to a cluster: half of what was there, and one less."""
    step = memory.shrink_pool(ObjPool(2048, 200, entries=2), cluster)
    assert step.state.objtotal == left
    assert step.outcome.ok is (left > 0)
    assert step.state.memtotal >= left * 2048
    assert step.state.memtotal % PAGE == 0


# --- memory a process brings (14.extmem) --------------------------------------------------------


def test_pools_lie_behind_each_other_inside_the_pages_whatever_the_sizes() -> None:
    """14.extmem.layout, 14.extmem.one-piece: objects do not overlap and end before the memory does."""
    source = random.Random(14)
    for _ in range(300):
        pages = source.randrange(1, 40)
        some = (64, 300, 1024, 2048, 3000, 4096, 5000, 8192)
        asked = [(source.choice(some), source.randrange(1, 30)) for _ in "irb"]
        start = 0
        for (size, number), laid in zip(asked, memory.lay_out(asked, pages), strict=True):
            pool = laid.pool
            assert pool.objtotal <= number
            for i in range(pool.objtotal):
                first, last = start + i * size, start + (i + 1) * size - 1
                whole = last // PAGE < pages
                assert whole or i in pool.invalid
                if whole and first // PAGE != last // PAGE:
                    assert i in laid.across
            start += pool.memtotal
        assert start <= pages * PAGE or not pool.objtotal or pool.invalid


def test_what_is_left_over_becomes_buffers() -> None:
    """recording extmem: 64 MiB with 10, 20 and 4000 objects has 32402 buffers in the end"""
    asked = Sizes(64 << 20, ((1024, 10), (36864, 20), (2048, 4000)))
    filled = memory.fill(asked)
    assert filled.state.pools[2][1] == 4000 + 28403
    pools = [laid.pool for laid in memory.lay_out(filled.state.pools, (64 << 20) // PAGE)]
    assert [p.objtotal for p in pools] == [10, 20, 32402]
    assert sum(p.memtotal for p in pools) == 64 << 20


def test_sizes_are_counted_without_overflow() -> None:
    """14.extmem.sizes: 2^32 bytes of buffers and a little do not fit a small memory"""
    step = memory.fill(Sizes(1 << 16, ((1024, 1), (2048, 4), (4097, 1 << 20))))
    assert step.outcome.detail == "ENOMEM"


@pytest.mark.parametrize("usable", [0, 1, 2])
def test_objects_across_pages_that_are_no_neighbours_are_never_given(usable: int) -> None:
    laid = memory.lay_out(((1024, 1), (PAGE + 64, 3), (2048, 4)), 12)[1]
    assert laid.across == (0, 1, 2)
    pool = memory.one_piece(laid, usable).state
    given = memory.take(pool, 9).indices
    assert given == tuple(range(3 - usable, 3))
    assert memory.obj_free(pool, 0).state == pool


def test_as_written_the_first_32_buffers_are_given_in_pieces() -> None:
    pool = ObjPool(5000, 40, invalid=frozenset({3, 20, 35}))
    assert memory.as_given(pool).state.invalid == {35}


@pytest.mark.parametrize("choose", [eager, lazy])
def test_a_region_of_memory_in_which_nothing_is_in_one_piece(bench: Callable[..., Any], choose: Any) -> None:
    """14.extmem.one-piece: which pages are neighbours is the system's; without one ring it is ENOMEM"""
    w = World()
    w.open("A")
    asked = {"name": "x{1", "tx_slots": 8, "rx_slots": 8, "options": [BROUGHT]}
    result = w.register("A", asked, choose)
    assert str(result.outcome) == ("OK" if choose is eager else "ERRNO(ENOMEM)")
    assert (2 in w.system().allocators) is result.outcome.ok


# --- pages of a mapping (14.memory.mapped-pages) --------------------------------------------------


def test_every_offset_of_a_region_is_its_own_page_and_none_beyond() -> None:
    a = memory.global_allocator()
    for offset in (0, PAGE, a.ring_offset(0), a.buf_offset(0), a.memsize - PAGE):
        assert memory.page_of(offset, a.pools, False).state == offset // PAGE
    assert memory.page_of(a.memsize, a.pools, False).state == -1


def test_as_written_the_page_inside_an_object_in_pieces_is_somebody_elses() -> None:
    laid = memory.lay_out(((1024, 4), (2 * PAGE, 2), (2048, 8)), 20)
    pools = tuple(memory.one_piece(x, 0).state for x in laid)
    assert len(pools) == 3
    for offset in range(0, sum(p.memtotal for p in pools), PAGE):
        assert memory.page_of(offset, pools, True).state == offset // PAGE
    second = pools[0].memtotal + PAGE
    assert memory.page_of(second, pools, True, frozenset({memory.FOREIGN_PAGES})).state == -2


# --- regions that come and go ---------------------------------------------------------------------


def test_as_written_a_shortage_is_remembered_and_faults() -> None:
    """14.memory.finalized, deviation 14.memory-faults-after-shortage"""
    shortage = frozenset({"14.memory-faults-after-shortage"})
    for switches, second in ((frozenset[str](), "OK"), (shortage, "FAULT")):
        w = World([PortConfig("v0", tx_slots=8, rx_slots=8)], switches)
        w.open("A")
        w.fail("memory.lut")
        assert w.register("A", {"name": "v0"}, eager).outcome.detail == "ENOMEM"
        assert w.register("A", {"name": "v0"}, eager).outcome.kind == second


def test_as_written_a_question_moves_a_port_to_another_region() -> None:
    """14.memory.override, deviation 14.memory-override-sticks"""
    for switches, mem in ((frozenset[str](), 1), (frozenset({"14.memory-override-sticks"}), 2)):
        w = World([PortConfig("v0", tx_slots=8, rx_slots=8)], switches)
        for fd in "AB":
            w.open(fd)
        assert w.register("A", {"name": "x{1"}, eager).outcome.ok
        assert w.ctl("B", "PORT_INFO_GET", {"name": "v0", "mem_id": 2}, eager).out["nr_mem_id"] == 2
        assert w.register("B", {"name": "v0"}, eager).out["nr_mem_id"] == mem


def test_as_written_a_failure_makes_the_same_memory_a_second_region() -> None:
    """14.extmem.same, deviation 14.extmem-list-lost"""
    for switches, same in ((frozenset[str](), True), (frozenset({"14.extmem-list-lost"}), False)):
        w = World((), switches)
        asked = {"tx_slots": 8, "rx_slots": 8, "options": [BROUGHT]}
        for fd in "ABC":
            w.open(fd)
        first = w.register("A", {"name": "x{1"} | asked, eager).out["nr_mem_id"]
        w.fail("extmem.lut", 1)
        other = asked | {"options": [BROUGHT | {"usrptr": 8192}]}
        assert w.register("B", {"name": "y{1"} | other, eager).outcome.detail == "ENOMEM"
        assert (w.register("C", {"name": "z{1"} | asked, eager).out["nr_mem_id"] == first) is same

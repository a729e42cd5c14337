"""Chapters *pipe* and *pipe ends*: one set of buffers, two rings, two lives."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from netmap_reference.gen14 import readings
from netmap_reference.gen14.ports import pipe as chapter
from netmap_reference.gen14.ports import pipe_ends
from netmap_reference.gen14.ring import Kring
from netmap_spec.abi import api14

# --- positions, against the same thing said slot by slot -----------------------------------------


def walk(n: int, start: int, end: int) -> list[int]:
    found = []
    while start != end:
        found.append(start)
        start = (start + 1) % n
    return found


def test_positions_of_a_txsync() -> None:
    for n in range(1, 6):
        for hwcur, rhead, pipe_tail in product(range(n), repeat=3):
            k = Kring(n, hwcur, 0, rhead, rhead, 0)
            slots = walk(n, hwcur, rhead)
            for whole in range(len(slots) + 1):
                t = chapter.pipe_txsync_positions(k, pipe_tail, whole).state
                assert (t.start, t.count) == (hwcur, len(slots))
                assert (t.kring.hwcur, t.kring.hwtail) == (rhead, pipe_tail)
                assert t.publish == (-1 if whole == 0 else (hwcur + whole) % n)


def test_positions_of_an_rxsync() -> None:
    for n in range(1, 6):
        for hwcur, rhead, pipe_tail in product(range(n), repeat=3):
            k = Kring(n, hwcur, 0, rhead, rhead, 0)
            t = chapter.pipe_rxsync_positions(k, pipe_tail).state
            assert (t.kring.hwcur, t.kring.hwtail) == (rhead, pipe_tail)
            assert t.publish == (-1 if hwcur == rhead else (rhead - 1) % n)


def test_the_parts_of_two_rings_are_each_other_s_complement() -> None:
    """What one end holds of a ring is what the other end's kernel part covers: nothing is freed twice."""
    for n in range(2, 7):
        for released, sent in product(range(n), repeat=2):
            # The sender may use slots up to the one before released; the receiver has those up to sent.
            tx = chapter.nm_prev(released, n - 1)
            kernel_of_tx = set(pipe_ends.kernel_part(n, sent, tx, receive=False))
            kernel_of_rx = set(pipe_ends.kernel_part(n, released, sent, receive=True))
            assert kernel_of_tx.isdisjoint(kernel_of_rx)
            assert kernel_of_tx | kernel_of_rx == set(range(n))


# --- packets (14.pipe.txsync, 14.pipe.rxsync) ----------------------------------------------------


def test_packets_cross_in_order_without_being_copied(pipe: Any) -> None:
    before = pipe.indices("A", "tx0")
    pipe.send("A", b"one", b"two")
    assert pipe.receive("B") == [b"one", b"two"]
    assert pipe.indices("A", "tx0") == pipe.indices("B", "rx0") == before


def test_every_field_of_a_slot_crosses(pipe: Any) -> None:
    pipe.put("A", "tx0", b"x")
    slot = pipe.world.ring("A", "tx0").slot[0]
    slot.buf_idx, slot.len, slot.flags, slot.ptr = 99999999, 65535, 0xFFDF, 1 << 63
    pipe.world.txsync("A", pipe.choose)
    pipe.world.rxsync("B", pipe.choose)
    got = pipe.world.ring("B", "rx0").slot[0]
    assert (got.buf_idx, got.len, got.flags, got.ptr) == (99999999, 65535, 0xFFDF, 1 << 63)
    assert slot.flags == 0xFFDE, "the sender's NS_BUF_CHANGED is cleared, nothing else"


def test_the_sender_gets_slots_back_one_sync_after_they_were_released(pipe: Any) -> None:
    pipe.send("A", *[b"x"] * 7)
    assert pipe.words("A", "tx0") == (7, 7, 7)
    pipe.receive("B")
    pipe.world.txsync("A", pipe.choose)
    assert pipe.words("A", "tx0")[2] == 7, "released, but not told to the kernel"
    pipe.world.rxsync("B", pipe.choose)
    pipe.world.txsync("A", pipe.choose)
    assert pipe.words("A", "tx0")[2] == 6


def test_a_receiver_may_keep_a_buffer_and_give_another_back(bench: Callable[..., Any]) -> None:
    b = bench()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.bind("B", "x}1", extra_bufs=1)
    mine = b.world.nifp("B").ni_bufs_head
    b.send("A", b"keep me")
    b.world.rxsync("B", b.choose)
    slot = b.world.ring("B", "rx0").slot[0]
    theirs, slot.buf_idx, slot.flags = slot.buf_idx, mine, api14.NS_BUF_CHANGED
    b.set("B", "rx0", head=1, cur=1)
    b.world.rxsync("B", b.choose)
    back = b.world.ring("A", "tx0").slot[0]
    assert (back.buf_idx, back.flags) == (mine, api14.NS_BUF_CHANGED)
    assert slot.flags == 0
    offset, _ = b.world.buffer("B", theirs)
    assert b.world.region("B").read(offset, 7) == b"keep me"


def test_packets_arrive_whole(pipe: Any) -> None:
    """14.pipe.whole-packets"""
    pipe.put("A", "tx0", b"he", flags=api14.NS_MOREFRAG)
    pipe.world.txsync("A", pipe.choose)
    assert pipe.receive("B") == []
    pipe.put("A", "tx0", b"llo")
    pipe.put("A", "tx0", b"next", flags=api14.NS_MOREFRAG)
    pipe.world.txsync("A", pipe.choose)
    assert pipe.receive("B") == [b"he", b"llo"]


# --- two ends (14.pipe.ends, 14.pipe.reopen) -----------------------------------------------------


def test_packets_wait_for_a_peer_that_comes_later(bench: Callable[..., Any]) -> None:
    b = bench()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.send("A", b"early")
    b.bind("B", "x}1")
    assert b.receive("B") == [b"early"]


def test_what_was_synced_survives_the_sender_and_what_was_not_does_not(pipe: Any) -> None:
    """14.close.no-flush"""
    pipe.send("A", b"synced")
    pipe.put("A", "tx0", b"not synced")
    pipe.close("A")
    assert pipe.receive("B") == [b"synced"]


def test_an_end_is_found_as_it_was_left(pipe: Any) -> None:
    pipe.send("A", b"one", b"two", b"three")
    pipe.world.rxsync("B", pipe.choose)
    pipe.set("B", "rx0", head=1, cur=1)
    pipe.world.rxsync("B", pipe.choose)
    pipe.close("B")
    pipe.bind("B", "x}1")
    assert pipe.words("B", "rx0") == (1, 1, 3)
    assert pipe.unread("B") == [b"two", b"three"]


def test_the_peer_s_close_is_no_event(pipe: Any) -> None:
    """14.pipe.peer-gone"""
    assert pipe.poll("B", "in") == set()
    pipe.close("A")
    assert pipe.world.woken() == frozenset()
    assert pipe.poll("B", "in", "out") == {"out"}
    assert pipe.world.txsync("B", pipe.choose).outcome.ok


@pytest.mark.parametrize("order", [("A", "B"), ("B", "A")])
def test_with_the_last_descriptor_everything_is_gone(
    bench: Callable[..., Any], order: tuple[str, str]
) -> None:
    b = bench()
    fresh = b.world.key()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.bind("B", "x}1")
    b.send("A", b"one")
    b.close(*order)
    assert b.world.key() == fresh


def test_a_parent_lives_as_long_as_its_pipes(bench: Callable[..., Any]) -> None:
    """14.pipe.parent"""
    b = bench()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    assert b.bind("B", "x{2", tx_slots=8, rx_slots=8).out["nr_mem_id"] == 2
    b.close("A")
    assert set(b.world.system().adapters) == {"x", "x{2", "x}2"}
    b.close("B")
    assert b.world.system().adapters == {}


def test_buffers_of_one_pipe_come_back_while_another_lives(bench: Callable[..., Any]) -> None:
    """14.memory.returned: after any traffic the pool is what it was before the pipe"""
    b = bench()
    b.bind("K", "x{keep", tx_slots=8, rx_slots=8)
    before = b.world.system().allocators[2]
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.bind("B", "x}1")
    b.send("A", b"1", b"2", b"3", b"4", b"5")
    b.receive("B")
    b.world.rxsync("B", b.choose)
    b.send("A", b"6")
    b.send("B", b"back")
    b.close("B", "A")
    after = b.world.system().allocators[2]
    assert (after.buf_pool, after.ring_pool, after.if_pool) == (
        before.buf_pool,
        before.ring_pool,
        before.if_pool,
    )


# --- as written ----------------------------------------------------------------------------------


@pytest.mark.parametrize("switches", [readings.CONTRACT, frozenset({pipe_ends.COPIES_FAKE})])
def test_rings_bound_one_by_one_from_both_ends(bench: Callable[..., Any], switches: frozenset[str]) -> None:
    """14.pipe.shared-buffers, deviation 14.pipe-copies-fake-ring (recording pipe_ring_selection)"""
    b = bench(switches=switches)
    b.bind("A", "x{1", tx_slots=8, rx_slots=8, tx_rings=2, rx_rings=2, mode="ONE_NIC", ringid=1)
    b.bind("B", "x}1")
    b.bind("C", "x{1", mode="ONE_NIC", ringid=0)
    for mine, theirs in (("tx0", "rx0"), ("rx0", "tx0")):
        assert b.indices("C", mine) == b.indices("B", theirs)
        assert (set(b.indices("C", mine)) == {0}) == bool(switches)
    b.put("A", "tx1", b"ring 1")
    b.world.txsync("A", b.choose)
    assert b.receive("B", "rx1") == [b"ring 1"]


@pytest.mark.parametrize(("switches", "lost"), [(readings.CONTRACT, 0), (readings.AS_WRITTEN, 2)])
def test_a_packet_whose_end_never_came(
    bench: Callable[..., Any], switches: frozenset[str], lost: int
) -> None:
    """14.memory.returned, deviation 14.pipe-leaks-incomplete"""
    b = bench(switches=switches)
    b.bind("K", "x{keep", tx_slots=8, rx_slots=8)
    free = b.world.system().allocators[2].buf_pool.objfree
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.put("A", "tx0", b"1", b"2", flags=api14.NS_MOREFRAG)
    b.world.txsync("A", b.choose)
    b.close("A")
    assert free - b.world.system().allocators[2].buf_pool.objfree == lost

"""Chapters ring and sync: positions, re-initialisation, the map to the NIC, what a sync decides."""

from __future__ import annotations

from typing import Any

import pytest
from netmap_reference.gen2011 import ring, sync
from netmap_reference.gen2011.ring import Kring, Slot

READINGS = [frozenset[str](), ring.AS_WRITTEN | sync.AS_WRITTEN]


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_the_two_index_maps_undo_each_other(n: int) -> None:
    for hwofs in range(-n + 1, n):
        for i in range(n):
            there = ring.idx_n2k(n, hwofs, i).state
            assert 0 <= there < n
            assert ring.idx_k2n(n, hwofs, there).state == i


def test_an_offset_outside_the_ring_maps_outside_the_ring() -> None:
    """Why hwofs has to stay in range: the C code brings an index back only once."""
    assert ring.idx_n2k(4, -7, 0).state == -3


@pytest.mark.parametrize(
    ("slot", "after", "error"),
    [
        (Slot(2, 2048), Slot(2, 2048), ""),
        (Slot(513, 0, 3), Slot(513, 0, 3), ""),
        (Slot(514, 60), Slot(0, 0), "idx"),
        (Slot(0, 60), Slot(0, 0), "idx"),
        (Slot(1, 60), Slot(0, 0), "idx"),
        (Slot(2, 2049), Slot(2, 0), "len"),
        (Slot(0xFFFFFFFF, 65535), Slot(0, 0), "idx"),
    ],
)
def test_slots_of_a_rejected_ring_are_made_safe(slot: Slot, after: Slot, error: str) -> None:
    assert ring.reinit_slot(slot, 514).state == ring.SlotCheck(after, error)


def test_a_rejected_ring_goes_back_and_says_so() -> None:
    k = Kring(4, hwcur=2, hwavail=1)
    for errors in (0, 3):
        step = ring.reinit_positions(k, 9, 7, 0, errors)
        assert step.state == ring.Reinit(2, 1, ring.NR_REINIT, 1)


def test_as_written_only_what_the_routine_sees_itself_is_put_back() -> None:
    k = Kring(4, hwcur=2, hwavail=1)
    assert ring.reinit_positions(k, 1, 7, 0, 0, ring.AS_WRITTEN).state == ring.Reinit(1, 7, 0, 0)
    assert ring.reinit_positions(k, 9, 7, 0, 1, ring.AS_WRITTEN).state == ring.Reinit(2, 1, 0, 1)


@pytest.mark.parametrize("switches", READINGS, ids=["contract", "as-written"])
def test_slots_within_avail_are_taken_over(switches: frozenset[str]) -> None:
    for n in (2, 3, 5):
        for hwcur in range(n):
            for hwavail in range(n):
                for count in range(hwavail + 1):
                    k = Kring(n, hwcur, hwavail)
                    taken = sync.take(k, (hwcur + count) % n, switches).state
                    assert taken == sync.Taken(Kring(n, (hwcur + count) % n, hwavail - count), True)


def test_a_cur_too_far_is_rejected_and_as_written_taken() -> None:
    k = Kring(4, hwcur=2, hwavail=1)
    assert sync.take(k, 1).state == sync.Taken(k, False)
    assert sync.take(k, 1, sync.AS_WRITTEN).state == sync.Taken(Kring(4, 1, -2), True)
    assert ring.wrap_avail(-2) == 4294967294


def test_completions_never_fill_the_ring() -> None:
    assert sync.give(Kring(4, 0, 1), 2).state == sync.Taken(Kring(4, 0, 3), True)
    assert not sync.give(Kring(4, 0, 2), 2).state.accepted
    assert sync.give(Kring(4, 0, 7), 0).fired == (sync.GIVE_NONE,)


@pytest.mark.parametrize(("sysctl", "contract", "written"), [(0, True, True), (1, False, True)])
def test_niocrxsync_stamps(sysctl: int, contract: bool, written: bool) -> None:
    assert sync.must_stamp(sysctl).state is contract
    assert sync.must_stamp(sysctl, sync.AS_WRITTEN).state is written


@pytest.mark.parametrize("switches", READINGS, ids=["contract", "as-written"])
def test_a_rejected_ring_in_memory(machine: Any, switches: frozenset[str]) -> None:
    m = machine(switches=switches)
    fd = m.open()
    m.slot("tx0", 1, buf_idx=100000)
    m.set("tx0", cur=7, avail=9)
    assert m("txsync", fd=fd) == 0
    view = m.ring("tx0")
    assert (view.cur, view.avail) == (0, 3)
    assert (view.slot[1].buf_idx, view.slot[1].len) == (0, 0)
    assert view.flags == (0 if switches else ring.NR_REINIT)

"""Host rings, interrupts, resets: pure decisions over their whole small range, and the machine."""

from __future__ import annotations

from typing import Any

import pytest
from netmap_reference.core.words import I32_MAX
from netmap_reference.gen2011 import interrupts
from netmap_reference.gen2011.ports import host
from netmap_reference.gen2011.ring import Kring

CONTRACT: frozenset[str] = frozenset()
SW = 0x2000


def krings(n: int) -> list[Kring]:
    return [Kring(n, hwcur, hwavail) for hwcur in range(n) for hwavail in range(n)]


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_host_receive_ring_takes_back_what_was_available(n: int) -> None:
    for k in krings(n):
        for cur in range(n + 1):
            got = host.from_host(k, cur).state
            claimed = (cur - k.hwcur) % n
            assert got.accepted == (cur < n and claimed <= k.hwavail)
            assert got.kring == (Kring(n, cur, k.hwavail - claimed) if got.accepted else k)


def test_as_written_a_claim_too_far_leaves_hwavail_negative() -> None:
    k = Kring(4, 0, 1)
    step = host.from_host(k, 3, host.AS_WRITTEN)
    assert (step.state.kring, step.state.accepted) == (Kring(4, 0, -2), False)
    # and every further sync makes it worse, although nothing else changed
    assert host.from_host(step.state.kring, 3, host.AS_WRITTEN).state.kring.hwavail == -5


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_packet_from_the_stack_goes_behind_those_that_wait(n: int) -> None:
    for k in krings(n):
        place = interrupts.insert_position(k).state
        assert place == (None if k.hwavail == n - 1 else interrupts.Place((k.hwcur + k.hwavail) % n))
        assert interrupts.insert_position(k, interrupts.AS_WRITTEN).state == place


def test_as_written_a_negative_hwavail_puts_the_packet_outside_the_pool() -> None:
    step = interrupts.insert_position(Kring(4, 0, -8), interrupts.AS_WRITTEN)
    assert step.state == interrupts.Place((1 << 32) - 8 - 4)
    assert step.outcome.kind == "FAULT"
    assert interrupts.insert_position(Kring(4, 0, -8)).fired == (interrupts.START_BAD_POS,)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_reset_keeps_the_offset_in_range(n: int) -> None:
    for k in krings(n):
        for new_cur in range(n):
            for tx in (True, False):
                after = interrupts.reset_hwofs(k, tx, new_cur).state
                assert -n < after.hwofs < n
                first = k.hwcur if tx else k.hwcur + k.hwavail
                assert (new_cur + after.hwofs) % n == first % n
                assert after.hwavail == (n - 1 if tx else k.hwavail)


def test_reset_computes_in_c_integers() -> None:
    assert interrupts.reset_hwofs(Kring(8, 0, 0), True, 7).state.hwofs == -7
    assert interrupts.reset_hwofs(Kring(4, 1, -9), False, 0).state.hwofs == -8
    assert interrupts.reset_hwofs(Kring(4, 0, 0), True, 1 << 31).state.hwofs == -I32_MAX - 1


@pytest.mark.parametrize(
    ("config", "taken"),
    [
        ({"num_queues": 1}, ["L core", "WK rx0", "U core"]),
        ({"num_queues": 2}, ["L core", "WK rx0", "WK rx3", "U core"]),
        ({"num_queues": 1, "separate_locks": 1}, ["L rx0", "WK rx0", "U rx0"]),
        (
            {"num_queues": 2, "separate_locks": 1},
            ["L rx0", "WK rx0", "U rx0", "L core", "WK rx3", "U core"],
        ),
    ],
)
def test_an_interrupt_wakes_under_the_right_lock(
    machine: Any, config: dict[str, int], taken: list[str]
) -> None:
    m = machine(switches=CONTRACT, ifs=[config])
    m.open()
    assert m("rx_irq", ifname="em0", q=0) == [1, 1]
    assert [f"{event[0]} {event[1].split(':')[0]}" for event in m.last["ev"]] == taken


def test_as_written_an_interrupt_ignores_the_drivers_locks(machine: Any) -> None:
    for switches, lock in ((None, "core:em0"), (CONTRACT, "dcore:em0")):
        config = {"ifs": [{"own_locks": 1}]}
        m = machine(**config) if switches is None else machine(switches=switches, **config)
        m.open()
        m("tx_irq", ifname="em0", q=0)
        assert m.events("L") == [["L", lock]]


def test_interrupts_outside_netmap_mode_are_the_drivers(machine: Any) -> None:
    m = machine()
    assert m("rx_irq", ifname="em0", q=0) == [0, 0]
    assert m("netmap_reset", ifname="em0", tx=1, n=0, new_cur=0) is None


def test_frames_go_up_and_come_down(machine: Any) -> None:
    m = machine()
    fd = m.open(ringid=SW)
    for slot, size in ((0, 14), (1, 13), (2, 60)):
        m("buf_put", ifname="em0", tx=1, ring=1, slot=slot, data="42" * size)
    m.set("tx1", cur=3, avail=0)
    m("txsync", fd=fd)
    assert m("host_out", ifname="em0") == ["42" * 14, "42" * 60]
    assert [m("host_in", ifname="em0", data="43" * 60) for _ in range(4)] == [0, 0, 0, 16]
    assert m("host_in", ifname="em0", data="43" * 2049) == 16
    m("rxsync", fd=fd)
    assert m.ring("rx1").avail == 3


def test_a_claim_too_far_kills_the_kernel_at_the_next_packet(machine: Any) -> None:
    """The whole chain as written: claim, ring not put back, negative count, packet, fault."""
    for switches in (None, CONTRACT):
        m = machine() if switches is None else machine(switches=switches)
        fd = m.open(ringid=SW)
        m.set("rx1", cur=3, avail=0)
        m("rxsync", fd=fd)
        ret = m("host_in", ifname="em0", data="43" * 60)
        if switches is None:
            assert m.last["at"] == ["NMB netmap_kern.h:101", "netmap_start netmap.c:1626"]
        else:
            assert ret == 0


def test_a_packet_after_the_last_close_is_written_into_freed_memory(machine: Any) -> None:
    for switches, ret in ((None, 0), (CONTRACT, 16)):
        m = machine() if switches is None else machine(switches=switches)
        fd = m.open()
        at = m.world.ifs["em0"].ring_at["rx1"]
        m("close", fd=fd)
        before = m.world.region.read(at, 72)
        assert m("host_in", ifname="em0", data="43" * 60, force=1) == ret
        assert (m.world.region.read(at, 72) != before) is (switches is None)

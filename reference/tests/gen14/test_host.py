"""Chapter *host rings*: between an application and the host's network stack."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from netmap_reference.gen14 import poll, readings
from netmap_reference.gen14.ports import forward, host
from netmap_reference.gen14.ring import Kring
from netmap_reference.gen14.world import PortConfig
from netmap_spec.abi import api14

PORT = PortConfig("v0", tx_slots=8, rx_slots=8)


def frame(n: int) -> bytes:
    return bytes([n]) * 60


@pytest.fixture
def both(bench: Callable[..., Any]) -> Any:
    """A port bound with its host rings: tx0 and rx0 are hardware, tx1 and rx1 host."""
    b = bench(PORT)
    b.bind("A", "v0", mode="NIC_SW")
    return b


def test_positions() -> None:
    for n, hwcur, rhead in product(range(1, 5), range(4), range(4)):
        if hwcur >= n or rhead >= n:
            continue
        k = Kring(n, hwcur, hwcur, rhead, rhead, hwcur)
        up = host.host_txsync_positions(k).state
        assert (up.hwcur, up.hwtail) == (rhead, (rhead - 1) % n)
        for imported in range(n):
            down = host.host_rxsync_positions(k, imported).state
            assert (down.hwcur, down.hwtail) == (rhead, (hwcur + imported) % n)


# --- to the host (14.host.tx) --------------------------------------------------------------------


def test_slots_go_up_at_once(both: Any) -> None:
    both.send("A", frame(1), frame(2), ring="tx1")
    assert both.world.frames("v0", "host") == [frame(1), frame(2)]
    assert both.words("A", "tx1") == (2, 2, 1)


def test_slots_that_are_no_frames_do_not(both: Any) -> None:
    both.put("A", "tx1", b"too short", frame(1))
    both.world.ring("A", "tx1").slot[1].len = 2049
    both.world.txsync("A", both.choose)
    assert both.world.frames("v0", "host") == []
    assert both.words("A", "tx1")[2] == 1


# --- from the host (14.host.rx) ------------------------------------------------------------------


def test_the_host_s_frames_come_down(both: Any) -> None:
    assert both.world.poll("A", frozenset({"in"}), both.choose).asleep
    both.world.frame("v0", "host", frame(1), both.choose)
    assert both.world.woken() == {"A"}
    assert both.receive("A", "rx1") == [frame(1)]


def test_as_many_as_the_ring_has_room_for(both: Any) -> None:
    for n in range(10):
        both.world.frame("v0", "host", frame(n), both.choose)
    assert both.receive("A", "rx1") == [frame(n) for n in range(7)]
    both.world.frame("v0", "host", bytes(2049), both.choose)
    assert both.receive("A", "rx1") == []


def test_with_host_rings_alone_the_host_s_frames_go_out(bench: Callable[..., Any]) -> None:
    """14.nic.netmap-mode (recording nic_veth_host_rings)"""
    b = bench(PORT)
    b.bind("A", "v0", mode="SW")
    b.world.frame("v0", "host", frame(1), b.choose)
    assert b.receive("A", "rx1") == []
    assert b.world.frames("v0", "wire") == [frame(1)]


def test_with_hardware_rings_alone_the_host_is_cut_off(bench: Callable[..., Any]) -> None:
    b = bench(PORT)
    b.bind("A", "v0")
    b.world.frame("v0", "host", frame(1), b.choose)
    assert b.world.frames("v0", "wire") == []
    b.bind("H", "v0", mode="SW")
    assert b.receive("H", "rx1") == [frame(1)]


def test_more_host_rings(bench: Callable[..., Any]) -> None:
    """14.host.counts (recording nic_veth_one_sw)"""
    b = bench(PORT)
    assert b.bind("A", "v0", mode="SW", host_tx_rings=2, host_rx_rings=2).out["nr_host_rx_rings"] == 2
    assert set(b.world.rings("A")) == {"tx1", "tx2", "rx1", "rx2"}
    b.close("A")
    assert b.bind("A", "v0", mode="SW").out["nr_host_rx_rings"] == 1


# --- forwarding (14.host.forward) ----------------------------------------------------------------


def test_forwarding_up(both: Any) -> None:
    both.set("A", "rx0", flags=api14.NR_FORWARD)
    for n in range(3):
        both.world.frame("v0", "wire", frame(n), both.choose)
    both.world.rxsync("A", both.choose)
    both.world.ring("A", "rx0").slot[1].flags = api14.NS_FORWARD
    both.set("A", "rx0", head=3, cur=3)
    both.world.rxsync("A", both.choose)
    assert both.world.frames("v0", "host") == [frame(1)]
    assert both.world.ring("A", "rx0").slot[1].flags == 0


def host_frame_to_forward(b: Any, fd: str = "A") -> tuple[Any, Any]:
    b.set(fd, "rx1", flags=api14.NR_FORWARD)
    b.world.frame("v0", "host", frame(1), b.choose)
    b.world.rxsync(fd, b.choose)
    slot = b.world.ring(fd, "rx1").slot[0]
    slot.flags = api14.NS_FORWARD
    b.set(fd, "rx1", head=1, cur=1)
    return slot, b.world.ring(fd, "tx0").slot[0] if "tx0" in b.world.rings(fd) else None


def test_forwarding_down_exchanges_buffers(both: Any) -> None:
    down, out = host_frame_to_forward(both)
    before = (down.buf_idx, out.buf_idx)
    both.world.rxsync("A", both.choose)
    assert (out.buf_idx, down.buf_idx) == before
    assert (out.len, out.flags, down.flags) == (60, api14.NS_BUF_CHANGED, api14.NS_BUF_CHANGED)
    assert both.words("A", "tx0") == (1, 1, 7)
    assert both.world.frames("v0", "wire") == []
    both.world.txsync("A", both.choose)
    assert both.world.frames("v0", "wire") == [frame(1)]


def test_poll_sends_what_it_forwards(both: Any) -> None:
    host_frame_to_forward(both)
    result = both.world.poll("A", frozenset({"in"}), both.choose)
    assert poll.SEND_DOWN in result.fired
    assert both.world.frames("v0", "wire") == [frame(1)]


def test_forwarding_down_needs_all_transmit_rings(bench: Callable[..., Any]) -> None:
    b = bench(PORT)
    b.bind("N", "v0")
    b.bind("A", "v0", mode="SW")
    down, _ = host_frame_to_forward(b)
    buf_idx = down.buf_idx
    b.world.rxsync("A", b.choose)
    assert down.buf_idx == buf_idx
    assert b.words("N", "tx0") == (0, 0, 7)


@pytest.mark.parametrize("head", [8, 9, 100_000_000, 0xFFFFFFFF])
def test_no_frame_goes_where_no_txsync_would_look(both: Any, head: int) -> None:
    down, _ = host_frame_to_forward(both)
    buf_idx = down.buf_idx
    both.set("A", "tx0", head=head)
    result = both.world.rxsync("A", both.choose)
    assert forward.NO_WINDOW in result.fired
    assert (down.buf_idx, both.words("A", "tx0")) == (buf_idx, (head, 0, 7))


def test_as_written_it_goes_behind_the_ring(bench: Callable[..., Any]) -> None:
    b = bench(PORT, switches=frozenset({forward.TRUSTS_RING}))
    b.bind("A", "v0", mode="NIC_SW")
    host_frame_to_forward(b)
    b.set("A", "tx0", head=9)
    assert b.world.rxsync("A", b.choose).outcome.kind == "FAULT"


def test_frames_are_forwarded_up_to_the_kernels_tail(both: Any) -> None:
    _, out = host_frame_to_forward(both)
    buf_idx = out.buf_idx
    both.set("A", "tx0", tail=0)
    both.world.rxsync("A", both.choose)
    assert out.buf_idx != buf_idx


@pytest.mark.parametrize("switches", [readings.CONTRACT, readings.AS_WRITTEN], ids=["contract", "written"])
@pytest.mark.parametrize("others", [True, False], ids=["others have the rings", "nobody has them"])
def test_a_register_of_all_rings_that_failed_lets_nobody_forward(
    bench: Callable[..., Any], switches: frozenset[str], others: bool
) -> None:
    """14.host.forward, deviation 14.ringid-sticks: into somebody's ring, or into one that was not made."""
    b = bench(PORT, switches=switches)
    assert b.try_bind("A", "v0", options=[{"type": 99}]).outcome.detail == "EOPNOTSUPP"
    b.bind("N", "v0")
    assert b.world.register("A", {"name": "v0", "mode": "SW"}, b.choose).outcome.ok
    host_frame_to_forward(b)
    if not others:
        b.close("N")
    result = b.world.rxsync("A", b.choose)
    assert result.outcome.kind == ("FAULT" if switches and not others else "OK")
    if others:
        assert b.words("N", "tx0")[0] == (1 if switches else 0)


def test_nothing_is_forwarded_unless_the_ring_says_so(both: Any) -> None:
    both.world.frame("v0", "wire", frame(1), both.choose)
    both.world.rxsync("A", both.choose)
    both.world.ring("A", "rx0").slot[0].flags = api14.NS_FORWARD
    both.set("A", "rx0", head=1, cur=1)
    both.world.rxsync("A", both.choose)
    assert both.world.frames("v0", "host") == []


# --- for all rings (14.host.transparent) ----------------------------------------------------------


def test_everything_is_forwarded_both_ways(both: Any) -> None:
    both.world.sysctl("fwd", 2)
    both.world.frame("v0", "wire", frame(1), both.choose)
    both.world.frame("v0", "host", frame(2), both.choose)
    both.world.rxsync("A", both.choose)
    for name in ("rx0", "rx1"):
        both.set("A", name, head=1, cur=1)
    both.world.rxsync("A", both.choose)
    assert both.world.frames("v0", "host") == [frame(1)]
    both.world.txsync("A", both.choose)
    assert both.world.frames("v0", "wire") == [frame(2)]

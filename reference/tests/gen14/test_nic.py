"""Chapters *NIC*, *device*, *drivers* and *wire*: ports with hardware rings and frames on their way."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from netmap_reference.core.choice import Choice, eager, lazy
from netmap_reference.gen14 import readings
from netmap_reference.gen14.ports import device, driver, nic
from netmap_reference.gen14.ports import wire as chapter
from netmap_reference.gen14.ring import Kring, Slot
from netmap_reference.gen14.world import PortConfig
from netmap_spec.abi import api14
from netmap_spec.invariants import kring_order

FRAME = b"\xff" * 6 + b"\x02" * 6 + b"\x88\xb5"


def frame(n: int, length: int = 60) -> bytes:
    return (FRAME + bytes([n]) * 2000)[:length]


def pair(driver_name: str, **more: Any) -> tuple[PortConfig, PortConfig]:
    more = {"tx_slots": 8, "rx_slots": 8, "driver": driver_name} | more
    return PortConfig("v0", peer="v1", **more), PortConfig("v1", peer="v0", **more)


# --- index arithmetic and positions --------------------------------------------------------------


def test_the_two_index_mappings_are_inverse() -> None:
    for n in range(1, 7):
        for hwofs, i in product(range(n), repeat=2):
            there = nic.netmap_idx_k2n(hwofs, i, n)
            assert 0 <= there < n
            assert nic.netmap_idx_n2k(hwofs, there, n) == i
            assert there == (i - hwofs) % n


def rings(n: int) -> list[Kring]:
    """Every kring of n slots that is in order."""
    found = []
    for hwcur, rhead, rcur, rtail, hwtail in product(range(n), repeat=5):
        if kring_order(n, hwcur, hwtail, rhead, rcur, rtail):
            found.append(Kring(n, hwcur, hwtail, rhead, rcur, rtail))
    return found


def in_order(k: Kring) -> bool:
    return kring_order(k.n, k.hwcur, k.hwtail, k.rhead, k.rcur, k.rtail)


def test_sending_and_reclaiming_keep_the_order() -> None:
    for k in rings(4):
        sent = nic.nic_tx_send(k).state
        assert sent.hwcur == k.rhead
        pending = nic.tx_pending(sent)
        for hwofs, completed in product(range(k.n), range(pending + 1)):
            after = nic.nic_tx_reclaim(sent, hwofs, completed).state
            assert in_order(after)
            assert nic.tx_pending(after) == pending - completed
            assert after.hwtail == (sent.hwtail + completed) % k.n


def test_importing_and_refilling_keep_the_order() -> None:
    for k in rings(4):
        room = nic.rx_room(k)
        for hwofs, arrived in product(range(k.n), range(room + 1)):
            found = nic.nic_rx_import(k, hwofs, arrived).state
            assert in_order(found)
            assert nic.rx_room(found) == room - arrived
            given = nic.nic_rx_refill(found).state
            assert in_order(given)
            assert given.hwcur == k.rhead


def test_a_reset_leaves_the_application_s_positions() -> None:
    """14.nic.reset"""
    for k in rings(4):
        tx = nic.netmap_reset(k, True).state
        assert (tx.kring.rhead, tx.kring.rcur, tx.kring.rtail) == (k.rhead, k.rcur, k.rtail)
        assert nic.tx_pending(tx.kring) == 0
        assert nic.netmap_idx_k2n(tx.hwofs, tx.kring.hwcur, k.n) == 0
        rx = nic.netmap_reset(k, False).state
        assert rx.kring.hwtail == k.hwtail
        assert nic.netmap_idx_k2n(rx.hwofs, rx.kring.hwtail, k.n) == 0


# --- frames (14.nic.txsync, 14.nic.rxsync, 14.nic.order) -----------------------------------------


@pytest.mark.parametrize("name", driver.DRIVERS)
def test_frames_cross_in_order(bench: Callable[..., Any], name: str) -> None:
    b = bench(*pair(name))
    b.bind("A", "v0")
    b.bind("B", "v1")
    for start in range(0, 15, 5):
        frames = [frame(n) for n in range(start, start + 5)]
        b.send("A", *frames)
        assert b.receive("B") == frames
        b.world.rxsync("B", b.choose)
        b.world.txsync("A", b.choose)
    assert b.world.owed() == []


def test_only_a_shared_pair_shares_buffers(bench: Callable[..., Any]) -> None:
    """14.nic.veth"""
    for name, shared in (("generic nic", False), ("emulated", False), ("veth", True)):
        b = bench(*pair(name))
        b.bind("A", "v0")
        b.bind("B", "v1")
        assert (b.indices("A", "tx0") == b.indices("B", "rx0")) == shared


def test_how_far_the_device_is_is_its_own_choice(bench: Callable[..., Any]) -> None:
    """14.nic.reclaim: any number of slots, in order, and in the end all"""
    for completed in range(4):
        asked = []

        def choose(choice: Choice, completed: int = completed, asked: list[Choice] = asked) -> int:
            asked.append(choice)
            return completed if choice.name == "nic.tx-completed" else choice.lo

        b = bench(*pair("generic nic"), choose=choose)
        b.bind("A", "v0")
        b.put("A", "tx0", frame(1), frame(2), frame(3))
        b.world.txsync("A", choose)
        assert [(c.where, c.lo, c.hi) for c in asked] == [("v0:tx0", 0, 3)]
        assert b.words("A", "tx0") == (3, 3, (7 + completed) % 8)
        assert [clause for clause, _ in b.world.owed()] == (["14.nic.reclaim"] if completed < 3 else [])
        b.world.txsync("A", eager)
        assert b.words("A", "tx0") == (3, 3, 2)


def test_a_frame_arrives_when_the_environment_says(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0", tx_slots=8, rx_slots=8))
    b.bind("A", "v0")
    b.world.frame("v0", "wire", frame(1), lazy)
    b.world.rxsync("A", lazy)
    assert b.unread("A") == []
    assert b.world.owed() == [("14.nic.arrival", "v0:rx0")]
    b.world.rxsync("A", eager)
    assert b.unread("A") == [frame(1)]
    assert b.world.owed() == []


def test_after_an_interrupt_even_the_laziest_device_has_something(bench: Callable[..., Any]) -> None:
    b = bench(*pair("generic nic"))
    b.bind("A", "v0")
    b.bind("B", "v1")
    assert b.world.poll("B", frozenset({"in"}), lazy).asleep
    b.put("A", "tx0", frame(1), frame(2))
    b.world.txsync("A", lazy)
    assert b.world.tau(lazy).fired == ()
    assert b.world.tau(eager).fired
    assert b.world.woken() == {"B"}
    b.world.rxsync("B", lazy)
    b.world.txsync("A", lazy)
    assert b.unread("B") == [frame(1), frame(2)]
    assert b.words("A", "tx0")[2] == 1
    assert b.world.tau(eager).fired == ()


# --- loss (14.nic.loss) --------------------------------------------------------------------------


def drain(b: Any, fd: str) -> list[bytes]:
    """Receive until two syncs in a row bring nothing: the first may only have made room."""
    found: list[bytes] = []
    idle = 0
    while idle < 2:
        got = b.receive(fd)
        idle = 0 if got else idle + 1
        found += got
    return found


@pytest.mark.parametrize(("name", "kept"), [("generic nic", 7), ("e1000", 7), ("emulated", 9)])
@pytest.mark.parametrize("some", [0, 1, 5])
def test_only_what_meets_a_full_device_is_lost(
    bench: Callable[..., Any], name: str, kept: int, some: int
) -> None:
    """A ring of 8 slots holds 7 frames; the emulated adapter queues one frame more than it has slots."""

    def choose(choice: Choice) -> int:
        return min(choice.hi, some) if choice.name == "nic.rx-lost" else choice.hi

    b = bench(PortConfig("v0", tx_slots=8, rx_slots=8, driver=name), choose=choose)
    b.bind("A", "v0")
    sent = [frame(n) for n in range(20)]
    for data in sent:
        b.world.frame("v0", "wire", data, choose)
    found = drain(b, "A")
    assert found[:kept] == sent[:kept]
    assert found == [data for data in sent if data in found], "in order"
    assert (len(found) < len(sent)) == (some > 0)
    # With room again nothing is lost.
    b.world.frame("v0", "wire", frame(99), choose)
    assert drain(b, "A") == [frame(99)]


def test_lost_frames_are_those_in_between(bench: Callable[..., Any]) -> None:
    def choose(choice: Choice) -> int:
        return 2 if choice.name == "nic.rx-lost" else min(choice.hi, 3)

    b = bench(PortConfig("v0", tx_slots=4, rx_slots=4), choose=choose)
    b.bind("A", "v0")
    for n in range(8):
        b.world.frame("v0", "wire", frame(n), choose)
    assert drain(b, "A") == [frame(n) for n in (*range(3), *range(5, 8))]


# --- lengths and fragments (14.nic.lengths, 14.nic.fragments) ------------------------------------


@pytest.mark.parametrize(
    ("name", "length", "passes"),
    [
        ("emulated", 13, False),
        ("emulated", 14, True),
        ("emulated", 1514, True),
        ("emulated", 1515, None),  # recording nic_veth_mtu_len: it passes
        ("emulated", 1518, None),
        ("emulated", 1519, False),
        ("generic nic", 13, None),
        ("generic nic", 1514, True),
        ("generic nic", 2048, None),
        ("generic nic", 0, False),
    ],
)
def test_which_lengths_pass(name: str, length: int, passes: bool | None) -> None:
    data = bytes(length)
    sent = [
        driver.on_wire(driver.DRIVERS[name], 1500, data, "v0:tx0", lambda c, a=a: a) is not None
        for a in (0, 1)
    ]
    assert sent == {True: [True, True], False: [False, False], None: [False, True]}[passes]


def test_short_frames_are_padded_by_hardware_that_does() -> None:
    assert driver.on_wire(driver.DRIVERS["e1000"], 1500, frame(1, 20), "", eager) == frame(1, 20).ljust(
        60, b"\0"
    )
    assert driver.on_wire(driver.DRIVERS["emulated"], 1500, frame(1, 20), "", eager) == frame(1, 20)


@pytest.mark.parametrize(("name", "arrived"), [("generic nic", 1), ("e1000", 1), ("emulated", 2)])
def test_frames_of_several_slots(bench: Callable[..., Any], name: str, arrived: int) -> None:
    b = bench(*pair(name))
    b.bind("A", "v0")
    b.bind("B", "v1")
    b.put("A", "tx0", frame(1), flags=api14.NS_MOREFRAG)
    b.send("A", frame(2))
    assert len(b.receive("B")) == arrived


def test_a_frame_larger_than_a_buffer_takes_several_slots(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0", tx_slots=8, rx_slots=8, mtu=4000, driver="e1000"))
    b.bind("A", "v0")
    b.world.frame("v0", "wire", bytes(5000), b.choose)
    b.world.rxsync("A", b.choose)
    r = b.world.ring("A", "rx0")
    more = api14.NS_MOREFRAG
    assert [(r.slot[i].len, r.slot[i].flags) for i in range(3)] == [(2048, more), (2048, more), (904, 0)]
    assert r.tail == 3


# --- slots (14.nic.bad-slot, 14.nic.buf-changed) -------------------------------------------------


@pytest.mark.parametrize(
    ("slot", "sent", "rules"),
    [
        (Slot(5, 60), Slot(5, 60), ()),
        (Slot(0, 60), Slot(0, 60), (device.JUNK,)),
        (Slot(100, 60), Slot(0, 60), (device.JUNK,)),
        (Slot(99, 2049), Slot(99, 2048), (device.CUT,)),
        (Slot(2**32 - 1, 65535), Slot(0, 2048), (device.JUNK, device.CUT)),
    ],
)
def test_a_bad_transmit_slot_is_made_harmless(slot: Slot, sent: Slot, rules: tuple[str, ...]) -> None:
    step = device.tx_slot(slot, 100, 2048)
    assert (step.state, step.fired) == (sent, rules)


def test_flags_the_driver_clears(wire: Any) -> None:
    wire.put("A", "tx0", frame(1), flags=api14.NS_REPORT | api14.NS_BUF_CHANGED | api14.NS_NO_LEARN)
    wire.world.txsync("A", wire.choose)
    assert wire.world.ring("A", "tx0").slot[0].flags == api14.NS_NO_LEARN


def bad_release(b: Any, buf_idx: int) -> Any:
    b.send("A", frame(1))
    b.world.rxsync("B", b.choose)
    b.world.ring("B", "rx0").slot[0].buf_idx = buf_idx
    b.set("B", "rx0", head=1, cur=1)
    return b


@pytest.mark.parametrize("buf_idx", [0, 99999999])
def test_a_bad_receive_slot_is_not_given_back(wire: Any, buf_idx: int) -> None:
    b = bad_release(wire, buf_idx)
    assert b.poll("B", "in") == {"err", "in"}
    assert b.words("B", "rx0") == (0, 0, 1)
    assert b.world.ring("B", "rx0").slot[0].buf_idx == 0


def test_as_written_a_bad_receive_slot_is_no_error(bench: Callable[..., Any]) -> None:
    """Positions in range survive the reset: the ring stays where the application put it, poll is silent."""
    b = bench(*pair("generic nic"), switches=readings.AS_WRITTEN)
    b.bind("A", "v0")
    b.bind("B", "v1")
    bad_release(b, 0)
    assert b.poll("B", "in") == set()
    assert b.words("B", "rx0") == (1, 1, 1)
    assert b.world.kring("B", "rx0").hwcur == 0


@pytest.mark.parametrize(("flags", "written"), [(api14.NS_BUF_CHANGED, True), (0, False)])
def test_a_driver_is_told_of_another_receive_buffer(
    bench: Callable[..., Any], flags: int, written: bool
) -> None:
    b = bench(PortConfig("v0", tx_slots=4, rx_slots=4))
    b.bind("A", "v0", extra_bufs=1)
    mine = b.world.nifp("A").ni_bufs_head
    b.world.frame("v0", "wire", frame(0), b.choose)
    b.world.rxsync("A", b.choose)
    slot = b.world.ring("A", "rx0").slot[0]
    old, slot.buf_idx, slot.flags = slot.buf_idx, mine, flags
    b.set("A", "rx0", head=1, cur=1)
    b.world.rxsync("A", b.choose)
    assert slot.flags == 0
    for n in range(1, 5):
        b.world.frame("v0", "wire", frame(n), b.choose)
        b.receive("A")
    b.world.rxsync("A", b.choose)
    region = b.world.region("A")
    target = mine if written else old
    assert region.read(b.world.buffer("A", target)[0], 60) == frame(4)


# --- netmap mode and drivers (14.nic.netmap-mode, 14.nic.driver, 14.nic.mtu) ---------------------


def test_frames_for_a_port_nobody_bound_go_to_its_host(bench: Callable[..., Any]) -> None:
    b = bench(*pair("generic nic"))
    b.bind("A", "v0")
    b.send("A", frame(1))
    assert b.world.frames("v1", "host") == [frame(1)]
    assert b.world.frames("v1", "host") == []


def test_frames_of_a_port_without_a_peer_leave_the_machine(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0"))
    b.bind("A", "v0")
    b.send("A", frame(1), frame(2))
    assert b.world.frames("v0", "wire") == [frame(1), frame(2)]


def test_what_was_on_its_way_to_a_closed_port_is_gone(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0"))
    fresh = b.world.key()
    b.bind("A", "v0")
    b.world.frame("v0", "wire", frame(1), b.choose)
    b.close("A")
    b.bind("A", "v0")
    assert b.receive("A") == []
    b.close("A")
    assert b.world.system().ports == b.world.clone().system().ports
    assert b.world.key() != fresh, "the global region keeps what was written"
    assert b.world.system().allocators[1].active == 0


@pytest.mark.parametrize(
    ("name", "mtu", "errno"),
    [
        ("emulated", 9000, "EINVAL"),
        ("veth", 9000, "EINVAL"),
        ("generic nic", 9000, "EINVAL"),
        ("e1000", 9000, ""),
        ("emulated", 2048, ""),
    ],
)
def test_the_mtu_must_fit(bench: Callable[..., Any], name: str, mtu: int, errno: str) -> None:
    """recording nic_veth_mtu_big"""
    b = bench(*pair(name, mtu=mtu))
    assert b.try_bind("A", "v0").outcome.detail == errno
    assert b.try_bind("B", "v1", flags="NR_TX_RINGS_ONLY").outcome.ok


@pytest.mark.parametrize(
    ("name", "admode", "errno"),
    [
        ("emulated", 1, "EOPNOTSUPP"),
        ("e1000", 1, ""),
        ("emulated", 2, ""),
        ("e1000", 2, ""),
        ("emulated", 7, ""),
    ],
)
def test_the_parameter_that_chooses_the_driver(
    bench: Callable[..., Any], name: str, admode: int, errno: str
) -> None:
    """recording nic_admode"""
    b = bench(*pair(name))
    b.world.sysctl("admode", admode)
    assert b.try_bind("A", "v0").outcome.detail == errno
    if not errno and admode == 2:
        assert b.world.system().ports["v0"].driver.copies
    b.close("A")
    b.world.sysctl("admode", 0)
    b.bind("A", "v0")
    assert b.world.system().ports["v0"].driver.name == name


def test_a_shared_pair_falls_apart_when_one_end_is_emulated(bench: Callable[..., Any]) -> None:
    b = bench(*pair("veth"))
    b.world.sysctl("admode", 2)
    b.bind("A", "v0")
    b.bind("B", "v1")
    assert b.indices("A", "tx0") != b.indices("B", "rx0")
    b.send("A", frame(1))
    assert b.receive("B") == [frame(1)]


def test_the_rules_of_loss_and_arrival_are_told(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0", tx_slots=4, rx_slots=4))
    b.bind("A", "v0")
    for n in range(9):
        b.world.frame("v0", "wire", frame(n), b.choose)
    assert chapter.ARRIVE in b.world.tau(b.choose).fired
    b.receive("A")
    b.world.rxsync("A", b.choose)
    assert b.world.owed() == []

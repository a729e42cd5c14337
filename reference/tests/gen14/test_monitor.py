"""Chapters *monitor* and *offsets*: what is seen is what passed, and where a packet begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.gen14 import offsets
from netmap_reference.gen14.bind import OFFSETS_OUTLIVE
from netmap_reference.gen14.offsets import Offset
from netmap_reference.gen14.ports import monitor, monitor_ends
from netmap_reference.gen14.ports.monitor import Part
from netmap_reference.gen14.ring import Kring
from netmap_reference.gen14.world import PortConfig
from netmap_spec.abi import api14

TX, BOTH, ZCOPY = "NR_MONITOR_TX", "NR_MONITOR_TX|NR_MONITOR_RX", "NR_ZCOPY_MON"
TXMON = api14.NS_TXMON


def flags(b: Any, fd: str) -> list[int]:
    """Flags of a monitor's unread slots."""
    r = b.world.ring(fd, "rx0")
    found, i = [], r.head
    while i != r.tail:
        found.append(r.slot[i].flags)
        i = (i + 1) % r.num_slots
    return found


# --- steps ----------------------------------------------------------------------------------------


def test_the_newest_slots_are_taken() -> None:
    for n in range(1, 6):
        for start in range(n):
            for count in range(n):
                for free in range(n + 1):
                    got = monitor.take(Part(start, count), free, n).state
                    assert got.count == min(count, free)
                    walked = [(start + i) % n for i in range(count)][count - got.count :]
                    assert not walked or walked[0] == got.start


def test_what_a_port_leaves_is_not_shown_again() -> None:
    k = Kring(8, 2, 1, 6, 6, 1)
    assert monitor.unshown(k, 5).state == Part(5, 1)
    assert monitor.unshown(k, 2).state == Part(2, 4)
    assert monitor.unshown(k, 5, frozenset({monitor.SHOWN_AGAIN})).state == Part(2, 4)


def test_offsets_of_a_slot() -> None:
    agreed = Offset(bits=8, max=64)
    assert [offsets.get_offset(agreed, ptr) for ptr in (0, 0x310, 0xFF, 0x1FF)] == [0, 16, 64, 64]
    assert offsets.write_offset(agreed, 0xAB12, 0x40) == 0xAB40
    assert offsets.get_offset(offsets.NONE, 0xFFFF) == 0


@pytest.mark.parametrize(
    ("source", "wanted", "at"), [(16, 40, 16), (16, 0, 80), (0, 32, 0), (64, 0, 0), (48, 40, 112)]
)
def test_a_switch_as_written_goes_by_lines(source: int, wanted: int, at: int) -> None:
    agreed = Offset(bits=16, max=256)
    assert offsets.place(agreed, wanted, source, 60, 2048).state.at == wanted
    assert offsets.place(agreed, wanted, source, 60, 2048, frozenset({offsets.BY_LINE})).state.at == at


# --- what is seen (14.monitor.seen) ---------------------------------------------------------------


def test_a_copy_monitor_sees_both_directions(pipe: Any) -> None:
    pipe.bind("M", "x{1", flags=BOTH)
    pipe.send("A", b"one" * 5, b"two" * 5)
    pipe.send("B", b"back" * 5)
    assert pipe.receive("M") == [b"one" * 5, b"two" * 5, b"back" * 5]
    pipe.send("A", b"three" * 4)
    assert pipe.world.rxsync("M", pipe.choose).outcome.ok
    assert flags(pipe, "M") == [TXMON]


def test_a_zero_copy_monitor_takes_the_buffer(pipe: Any) -> None:
    pipe.bind("M", "x{1", flags=ZCOPY)
    before = pipe.indices("A", "tx0")[0]
    theirs = pipe.indices("M", "rx0")[0]
    pipe.send("A", b"packet" * 4)
    pipe.receive("B")
    pipe.world.rxsync("B", pipe.choose)
    pipe.world.txsync("A", pipe.choose)
    assert pipe.receive("M") == [b"packet" * 4]
    assert pipe.indices("M", "rx0")[0] == before
    assert pipe.indices("A", "tx0")[0] == theirs


def chain(b: Any) -> None:
    """Two zero-copy monitors, and a packet that the first one has released."""
    b.bind("L", "x{1", flags=ZCOPY)
    b.bind("M", "x{1", flags=ZCOPY)
    b.send("A", b"packet" * 4)
    b.receive("B")
    for fd in "B":
        b.world.rxsync(fd, b.choose)
    b.world.txsync("A", b.choose)
    b.receive("L")
    b.world.rxsync("L", b.choose)
    b.world.rxsync("M", b.choose)


@pytest.mark.parametrize("written", [False, True])
def test_the_second_of_a_chain(bench: Callable[..., Any], written: bool) -> None:
    b = bench(switches=frozenset({monitor.CHAIN_FORGETS} if written else ()))
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.bind("B", "x}1")
    chain(b)
    assert flags(b, "M") == [0 if written else TXMON]


@pytest.mark.parametrize("written", [False, True])
def test_orphans_are_untied(bench: Callable[..., Any], written: bool) -> None:
    b = bench(switches=frozenset({monitor_ends.CHAINED_ORPHANS} if written else ()))
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.bind("B", "x}1")
    chain(b)
    b.send("A", b"another" * 3)
    b.receive("B")
    b.world.rxsync("B", b.choose)
    b.world.txsync("A", b.choose)
    assert b.receive("L") == [b"another" * 3]
    b.close("A", "M")
    result = b.world.rxsync("L", b.choose)
    assert result.outcome.kind == ("FAULT" if written else "OK")


@pytest.mark.parametrize("written", [False, True])
def test_a_monitor_forwards_nothing(bench: Callable[..., Any], written: bool) -> None:
    b = bench(PortConfig("v0"), switches=frozenset({monitor.FORWARDS} if written else ()))
    b.bind("A", "v0")
    b.bind("M", "v0", flags=TX)
    b.send("A", b"frame" * 12)
    b.receive("M")
    b.world.ring("M", "rx0").flags = api14.NR_FORWARD
    b.world.ring("M", "rx0").slot[0].flags = api14.NS_FORWARD
    assert b.world.rxsync("M", b.choose).outcome.kind == ("FAULT" if written else "OK")


def test_a_port_that_is_not_open_has_no_monitors(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0"))
    for name in ("x{1", "v0"):
        assert b.try_bind("M", name, flags=TX).outcome.detail == "EINVAL"
    assert b.try_bind("M", "nothere", flags=TX).outcome.detail == "ENXIO"


# --- offsets (14.offsets) -------------------------------------------------------------------------


@pytest.mark.parametrize("written", [False, True])
def test_offsets_go_with_their_user(bench: Callable[..., Any], written: bool) -> None:
    switches = frozenset({OFFSETS_OUTLIVE} if written else ())
    b = bench(PortConfig("v0", tx_rings=2, rx_rings=2, tx_slots=8, rx_slots=8), switches=switches)
    b.bind("A", "v0", mode="ONE_NIC", ringid=0)
    asked = [{"type": "OFFSETS", "max_offset": 64, "offset_bits": 8}]
    b.bind("B", "v0", mode="ONE_NIC", ringid=1, options=asked)
    assert b.world.ring("B", "rx1").offset_mask == 0xFF
    b.close("B")
    b.bind("B", "v0", mode="ONE_NIC", ringid=1)
    assert b.world.ring("B", "rx1").offset_mask == (0xFF if written else 0)

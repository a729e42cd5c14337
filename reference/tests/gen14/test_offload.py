"""Chapters *offloads*, *requests of switches*, *bwrap*: headers between ports, interfaces on switches."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise, product
from typing import Any

import pytest
from netmap_reference.gen14 import readings, switch_requests
from netmap_reference.gen14.ports import offload
from netmap_reference.gen14.world import PortConfig

ETH = bytes.fromhex("ffffffffffff020000000001")
DATA = bytes(i % 251 for i in range(6000))


def vnet(flags: int = 0, gso: int = 0, start: int = 0, offset: int = 0, length: int = 12) -> bytes:
    return struct.pack("<BBHHHH", flags, gso, 0, 0, start, offset).ljust(length, b"\0")


def ipv4(protocol: int, options: int = 0) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45 + options, 0, 0, 65535, 0, 64, protocol, 0)
    return head + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + b"\1" * (4 * options)


def ipv6(protocol: int) -> bytes:
    return struct.pack(">IHBB", 6 << 28, 0, protocol, 64) + bytes(range(32))


def tcp(sequence: int = 1, options: int = 0) -> bytes:
    words = struct.pack(">HHIIBBHHH", 1, 2, sequence, 5, 5 + options << 4, 0x19, 100, 0, 0)
    return words + b"\1" * (4 * options)


UDP = struct.pack(">HHHH", 1, 2, 0, 0)


def internet_sum(data: bytes) -> int:
    """The sum that is 0xFFFF over anything with its checksum in place, bit by bit as RFC 1071 says it."""
    total = 0
    for i in range(0, len(data), 2):
        total += int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize(
    ("vlans", "options", "is_tcp", "v6"), list(product((0, 2), (0, 2), (True, False), (True, False)))
)
def test_segments_are_packets_of_their_own(vlans: int, options: int, is_tcp: bool, v6: bool) -> None:
    protocol = 6 if is_tcp else 17
    ip = ipv6(protocol) if v6 else ipv4(protocol, options)
    l4 = tcp(2**32 - 5, options) if is_tcp else UDP
    head = ETH + b"\x81\0\0\5" * vlans + (b"\x86\xdd" if v6 else b"\x08\0") + ip + l4
    for size, room in ((1, 8), (1400, 8), (4000, 8), (4001, 3)):
        parts = (head + DATA[: min(size, 1800)], DATA[1800:size]) if size > 1800 else (head + DATA[:size],)
        step = offload.segments(parts, is_tcp, 1514, room, frozenset())
        payload = 1514 - len(head)
        count = -(-size // payload)
        if count > room:
            assert step.state.slots == ()
            continue
        slots = step.state.slots
        assert len(slots) == count and step.state.segments
        assert b"".join(s[len(head) :] for s in slots) == DATA[:size]
        at = len(head) - len(ip) - len(l4)
        for i, frame in enumerate(slots):
            packet = frame[at:]
            if not v6:
                assert int.from_bytes(packet[2:4], "big") == len(packet)
                assert int.from_bytes(packet[4:6], "big") == (65535 + i) % 65536
                assert internet_sum(packet[: len(ip)]) == 0xFFFF
            addresses = packet[8:40] if v6 else packet[12:20]
            pseudo = addresses + struct.pack(">II", len(packet) - len(ip), protocol)
            assert internet_sum(pseudo + packet[len(ip) :]) == 0xFFFF
            if is_tcp:
                assert int.from_bytes(packet[len(ip) + 4 :][:4], "big") == (2**32 - 5 + i * payload) % 2**32
                assert packet[len(ip) + 13] == (0x19 if i == count - 1 else 0x10)


def test_what_becomes_of_headers() -> None:
    packet = ETH + b"\x88\xb5" + b"p" * 46
    header = vnet(1, 1, 4, 5)
    table = {
        (12, 10): header[:10] + packet,
        (10, 12): header[:10] + b"\0\0" + packet,
        (0, 10): bytes(10) + packet,
        (0, 12): bytes(12) + packet,
    }
    for (src, dst), wanted in table.items():
        step = offload.cross((header[:src] + packet,), src, dst, 1514, 2048, 1)
        assert step.state.slots == (wanted,)
    assert offload.cross((vnet() + packet,), 12, 0, 1514, 2048, 1).state.slots == (packet,)
    assert offload.cross((vnet(), packet), 12, 0, 1514, 2048, 2).state.slots == (packet,)
    assert offload.cross((vnet(), packet), 12, 10, 1514, 2048, 2).state.slots == (bytes(10), packet)


def test_a_packet_does_not_grow_beyond_the_buffer() -> None:
    """Deviation 14.offload-trusts-header"""
    parts = (bytes(2040),)
    assert offload.cross(parts, 0, 12, 2048, 2048, 1).state.slots == ()
    assert len(offload.cross(parts, 0, 12, 2048, 2048, 1, False, readings.AS_WRITTEN).state.slots[0]) == 2052


def test_headers_that_make_no_sense() -> None:
    packet = ETH + b"\x88\xb5" + b"p" * 46
    wild = vnet(1, 0, 2000, 6)
    assert offload.cross((wild + packet,), 12, 0, 1514, 2048, 1).state.slots == (packet,)
    assert (
        offload.cross((wild + packet,), 12, 0, 1514, 2048, 1, False, readings.AS_WRITTEN).outcome.kind
        == "FAULT"
    )
    tags = vnet(0, 1) + ETH + b"\x81\0\0\5" * 372 + b"\x08\0" + ipv4(6) + tcp() + b"d" * 100
    assert offload.cross((tags,), 12, 0, 1514, 2048, 9).state.slots == ()
    assert offload.cross((tags,), 12, 0, 1514, 2048, 9, False, readings.AS_WRITTEN).outcome.kind == "FAULT"
    known = [(f, g) for f in range(256) for g in range(256) if not offload.vnet_is_bad(f, g).state]
    assert known == [(f, g) for f in range(4) for g in (0, 1, 3, 4, 128, 129, 131, 132)]


def test_a_checksum_is_that_of_the_whole_packet() -> None:
    """Deviation 14.offload-checksums"""
    packet = ETH + b"\x08\0" + ipv4(17) + UDP + DATA[:61]
    for cuts in ((), (42,), (45,), (44, 47), (43, 50)):
        edges = (0, *cuts, len(packet))
        pieces = list(pairwise(edges))
        parts = tuple(packet[a:b] for a, b in pieces)
        parts = (vnet(1, 0, 34, 6) + parts[0], *parts[1:])
        right = b"".join(offload.cross(parts, 12, 0, 1514, 2048, 9).state.slots)
        assert internet_sum(right[34:]) == 0xFFFF
        written = b"".join(offload.cross(parts, 12, 0, 1514, 2048, 9, False, readings.AS_WRITTEN).state.slots)
        odd = any((b - max(a, 34)) % 2 for a, b in pieces[:-1])
        assert (written == right) == (not odd)


def test_room_for_segments() -> None:
    assert offload.slots_needed(3, 1514, 1514) == 3
    assert offload.slots_needed(1, 2048, 1514) == 2
    assert offload.slots_needed(44, 2048, 1514) * (1514 - offload.WORST_HEADER) >= 44 * 2048


def test_polling() -> None:
    good = [
        (mode, first, cpus, rings)
        for mode, first, cpus, rings in product(range(4), range(3), range(3), range(1, 3))
        if switch_requests.check_polling(mode, first, cpus, rings).state
    ]
    assert all(
        cpus and (cpus == 1 if mode == 1 else first + cpus <= rings) for mode, first, cpus, rings in good
    )
    assert {mode for mode, *_ in good} == {1, 2}


def test_everything_is_as_before_when_an_interface_is_detached(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0", tx_slots=8, rx_slots=8))
    b.world.open("A")

    def kernel() -> list[Any]:
        """All the kernel keeps, except for what its region's bytes were used for."""
        s = b.world.system()
        return [dict(table) for table in (s.adapters, s.krings, s.allocators, s.files, s.bridges)]

    before = kernel()
    for fields in ({}, {"mode": "NIC_SW"}):
        assert b.world.ctl("A", "VALE_ATTACH", {"name": "vale0:v0", **fields}, b.choose).outcome.ok
        assert b.world.ctl("A", "VALE_DETACH", {"name": "vale0:v0"}, b.choose).outcome.ok
        assert kernel() == before
    for fields in ({"mode": "ONE_NIC"}, {"ringid": 1}, {"mem_id": 9}):
        assert not b.world.ctl("A", "VALE_ATTACH", {"name": "vale0:v0", **fields}, b.choose).outcome.ok
        assert kernel() == before


def test_an_interface_of_two_switches(bench: Callable[..., Any]) -> None:
    """A frame crosses from one port of the system to another through a switch."""
    b = bench(PortConfig("v0", tx_slots=8, rx_slots=8), PortConfig("v1", tx_slots=8, rx_slots=8))
    b.world.open("A")
    for name in ("vale0:v0", "vale0:v1"):
        assert b.world.ctl("A", "VALE_ATTACH", {"name": name}, b.choose).outcome.ok
    frame = ETH + b"\x88\xb5" + b"f" * 46
    b.world.frame("v0", "wire", frame, b.choose)
    b.world.tau(b.choose)
    assert b.world.frames("v1", "wire") == [frame]
    assert b.world.frames("v0", "wire") == []


def test_a_persistent_port_lives_until_it_is_removed(bench: Callable[..., Any]) -> None:
    """Deviation 14.vale-persistent-renamed (recording vale_newif)"""
    for switches, gone in ((readings.CONTRACT, True), (readings.AS_WRITTEN, False)):
        b = bench(switches=switches)
        b.world.open("Q")

        def ctl(request: str, name: str, world: Any = b.world, choose: Any = b.choose) -> Any:
            return world.ctl("Q", request, {"name": name}, choose).outcome

        assert ctl("VALE_NEWIF", "p").ok
        assert ctl("VALE_ATTACH", "vale0:p").ok
        b.bind("A", "vale0:p")
        b.close("A")
        assert ctl("VALE_DETACH", "vale0:p").ok == gone
        assert ctl("VALE_DELIF", "p").ok == gone

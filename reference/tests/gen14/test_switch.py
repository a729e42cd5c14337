"""Chapters *switch*, *lease* and *VALE*: names, addresses, who gets what, and several senders to one ring."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product
from typing import Any

import pytest
from netmap_reference.core.choice import lazy
from netmap_reference.gen14 import lease, readings, switch
from netmap_reference.gen14.ports import vale
from netmap_reference.gen14.ports.vale import Fragment
from netmap_reference.gen14.switch import BROADCAST, NOPORT, Bridge, Head, VpPort
from netmap_spec.abi import api14

NONE: frozenset[str] = frozenset()
ALL = "ff" * 6


def mac(octet: int) -> str:
    """An address as it is on the wire, hex."""
    return f"0200000000{octet:02x}"


def packet(dst: str, src: int, length: int = 60, fill: int = 0) -> bytes:
    return (bytes.fromhex(dst + mac(src)) + bytes([fill]) * length)[:length]


@pytest.fixture
def three(bench: Callable[..., Any]) -> Any:
    """Ports a, b and c of one switch, eight slots a ring, bound by A, B and C."""
    b = bench()
    for fd, name in (("A", "vale0:a"), ("B", "vale0:b"), ("C", "vale0:c")):
        b.bind(fd, name, tx_slots=8, rx_slots=8)
    return b


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("vale0:a", "vale0"),
        ("vale:a", "vale"),
        ("vale_X9:a:b", "vale_X9"),
        ("vale0:", "vale0"),
        ("vale0:a-b", "vale0"),
        ("valeaaaaaaaaaaa:bbbbbbbbbbbbbbb", "valeaaaaaaaaaaa"),
        ("vale0", ""),
        ("valeaaaaaaaaaaaa:b", ""),
        ("vale0:bbbbbbbbbbbbbbbb", ""),
        ("vale-0:b", ""),
        ("val\u00e90:b", ""),
    ],
)
def test_names(name: str, found: str) -> None:
    step = switch.switch_name(name)
    assert step.state == found
    assert step.outcome.ok == bool(found)


def test_three_letters_are_enough_as_written() -> None:
    assert not switch.is_vale("val0", NONE).state
    assert switch.is_vale("val0", readings.AS_WRITTEN).state
    assert not switch.is_vale("va", readings.AS_WRITTEN).state


# --- switches -------------------------------------------------------------------------------------


def test_indices_are_given_in_order_and_again_when_they_are_free() -> None:
    b = switch.attach(Bridge("vale0"), ("a", "b", "c")).state
    assert b.ports == ((0, "a"), (1, "b"), (2, "c"))
    b = switch.detach(b, 0).state
    assert b.ports == ((2, "c"), (1, "b")), "the last one takes the place in the order of a flood"
    b = switch.attach(b, ("d",)).state
    assert (0, "d") in b.ports
    assert sorted((*(i for i, _ in b.ports), *b.free)) == list(range(switch.MAXPORTS))


def test_how_many_ports() -> None:
    assert switch.room_for(253, 1, NONE).state
    assert not switch.room_for(254, 1, NONE).state
    assert not switch.room_for(253, 2, NONE).state
    assert switch.room_for(251, 1, readings.AS_WRITTEN).state
    assert not switch.room_for(252, 1, readings.AS_WRITTEN).state


def test_a_bridge_of_addresses() -> None:
    """Every address a port sends from is known there, until another address takes its entry."""
    b = switch.attach(Bridge("vale0"), ("a", "b")).state
    port = VpPort(bridge=0, index=1, serial=1)
    seen = []
    for address in range(0, 4000, 2):
        b = switch.learn(b, port, Head(1, address), True, NONE).state.bridge
        seen.append(address)
    entries = [switch.rthash(known) for known, _, _ in b.table]
    assert len(entries) == len(set(entries)) <= switch.HASH
    last = {switch.rthash(address): address for address in seen}
    assert {known for known, _, _ in b.table} == set(last.values())
    assert all(switch.lookup(b, Head(known, 2), NONE).state == 1 for known, _, _ in b.table)


def test_where_a_packet_goes() -> None:
    b = switch.attach(Bridge("vale0"), ("a", "b", "c")).state
    b = switch.learn(b, VpPort(index=1, serial=1), Head(1, 4), True, NONE).state.bridge
    for own, dst, aim in ((0, 4, 1), (1, 4, NOPORT), (0, 6, BROADCAST), (0, 1, BROADCAST)):
        assert switch.target(b, own, switch.lookup(b, Head(dst, 2), NONE).state).state == aim
    assert switch.lookup(b, Head(4, 2, 0x300), NONE).state == 3
    assert switch.target(b, 0, 3).state == NOPORT
    assert switch.lookup(b, Head(4, 2, 0x300), readings.AS_WRITTEN).state == 1
    assert switch.lookup(b, Head(0, 2), readings.AS_WRITTEN).state == 0


# --- who gets what --------------------------------------------------------------------------------


def told(
    targets: tuple[int, ...], ring: int, own: int, ports: tuple[tuple[int, int], ...]
) -> dict[Any, list[int]]:
    """The same as vale.queues, said packet by packet."""
    found: dict[Any, list[int]] = {}
    for i, target in enumerate(targets):
        for port, rings in ports:
            if target == port:
                found.setdefault((port, ring % rings), []).append(i)
            elif target == BROADCAST and port != own:
                found.setdefault((port, 0), []).append(i)
    return found


def test_queues_against_the_same_thing_said_packet_by_packet() -> None:
    ports = ((0, 1), (2, 2), (1, 3))
    for ring in range(4):
        for targets in product((0, 1, 2, BROADCAST, NOPORT), repeat=4):
            targets = tuple(NOPORT if t == 0 else t for t in targets)
            step = vale.queues(targets, ring, 0, ports, NONE)
            got = {(q.port, q.ring): list(q.packets) for q in step.state}
            assert {k: v for k, v in got.items() if v} == told(targets, ring, 0, ports)
            assert len(got) == len(step.state), "one queue for each receive ring"


def test_as_written_a_flooded_packet_comes_twice() -> None:
    step = vale.queues((1, BROADCAST), 1, 0, ((0, 1), (1, 2)), readings.AS_WRITTEN)
    assert [(q.ring, q.packets) for q in step.state] == [(1, (0, 1)), (0, (1,))]
    assert vale.FLOODED_TWICE in step.fired


# --- packets --------------------------------------------------------------------------------------


def test_chains() -> None:
    assert vale.check_chain(64, False, NONE).state
    assert [vale.check_chain(65, passes, NONE).state for passes in (False, True)] == [False, True]
    assert not vale.check_chain(256, True, NONE).state
    assert vale.check_chain(256, True, readings.AS_WRITTEN).fired == (vale.LONG_HANGS,)


def test_flags_of_what_is_received() -> None:
    more = api14.NS_MOREFRAG
    assert [vale.received_flags(3, i, False).state for i in range(3)] == [0x300 + more, 0x300 + more, 0x300]
    assert [vale.received_flags(3, i, True).state for i in range(3)] == [0x300 + more, 0x200 + more, 0x100]
    assert vale.received_flags(1, 0, False).state == 0x100


def test_slots_that_have_nothing_to_send() -> None:
    good = Fragment(2, 2048)
    assert vale.check_slot(good, 100, 2048, NONE).state == good
    for bad in (Fragment(0, 60), Fragment(1, 60), Fragment(100, 60), Fragment(2, 2049)):
        assert vale.check_slot(bad, 100, 2048, NONE).state.bad
    assert vale.check_slot(Fragment(100, 60), 100, 2048, readings.AS_WRITTEN).state.buf_idx == 0
    indirect = Fragment(100, 60, api14.NS_INDIRECT, 5)
    assert not vale.check_slot(indirect, 100, 2048, NONE).state.bad


# --- leases ---------------------------------------------------------------------------------------


def test_leases_in_every_order() -> None:
    """However senders finish: what is published is a prefix, in the order of leases, without slots in use."""
    n = 8
    wants = ((3, 2), (2, 2), (2, 0))
    for order in permutations(range(len(wants))):
        state, grants = lease.fresh(n), []
        for needed, _ in wants:
            step = lease.take_lease(n, 0, state, needed)
            state = step.state.lease
            grants.append(step.state)
        assert [g.start for g in grants] == [0, 3, 5]
        done = set()
        for sender in order:
            grant, used = grants[sender], wants[sender][1]
            report = lease.report_lease(
                n, state, grant.start, grant.index, grant.start + used, grant.count - used
            )
            state = report.state.lease
            done.add(sender)
            whole = next((i for i in range(len(wants)) if i not in done), len(wants))
            upto = grants[whole].start if whole < len(wants) else state.hwlease
            assert state.hwtail == upto
        assert state.hwtail == state.hwlease


def test_a_lease_is_never_more_than_there_is() -> None:
    for n in range(1, 6):
        for hwcur, hwlease, needed in product(range(n), range(n), range(n + 2)):
            state = lease.Lease(hwcur, hwlease, 0, (lease.NOSLOT,) * n)
            step = lease.take_lease(n, hwcur, state, needed)
            room = lease.space(n, hwcur, hwlease)
            assert step.state.count == min(room, needed)
            assert lease.space(n, hwcur, step.state.lease.hwlease) == room - step.state.count


# --- the whole thing ------------------------------------------------------------------------------


def test_a_packet_reaches_all_but_its_sender(three: Any) -> None:
    three.send("A", packet(ALL, 1, fill=7))
    assert three.receive("B") == three.receive("C") == [packet(ALL, 1, fill=7)]
    assert three.receive("A") == []


def test_a_known_address_is_sent_to_alone(three: Any) -> None:
    three.send("B", packet(ALL, 2))
    three.receive("A"), three.receive("C")
    three.send("A", packet(mac(2), 1))
    assert three.receive("B") == [packet(mac(2), 1)]
    assert three.receive("C") == []


def test_a_full_receiver_loses_its_own_copies_only(three: Any) -> None:
    for i in range(3):
        three.send("A", *(packet(ALL, 1, fill=10 * i + k) for k in range(5)))
        three.receive("C")
        three.world.rxsync("C", three.choose)
    assert [p[-1] for p in three.receive("B")] == [0, 1, 2, 3, 4, 10, 11]


def test_what_is_moved_back_is_found_again(three: Any) -> None:
    """Deviation 14.vale-source-cache (recording vale_mac_back)"""
    for fd in "ABA":
        three.send(fd, packet(ALL, 1))
    three.receive("A"), three.receive("B")
    three.send("C", packet(mac(1), 3))
    assert (len(three.receive("A")), len(three.receive("B"))) == (1, 0)


def test_as_written_it_is_not(three: Any) -> None:
    three.world.switches = readings.AS_WRITTEN
    for fd in "ABA":
        three.send(fd, packet(ALL, 1))
    three.receive("A"), three.receive("B")
    three.send("C", packet(mac(1), 3))
    assert (len(three.receive("A")), len(three.receive("B"))) == (0, 1)


def test_a_chain_that_counts_to_256_hangs_as_written(bench: Callable[..., Any]) -> None:
    for switches, kind in ((readings.CONTRACT, "OK"), (readings.AS_WRITTEN, "HANG")):
        b = bench(switches=switches)
        b.bind("A", "vale0:a", tx_slots=512, rx_slots=8)
        b.bind("B", "vale0:b", tx_slots=8, rx_slots=512)
        b.put("A", "tx0", *[packet(ALL, 1)] * 255, flags=api14.NS_MOREFRAG)
        b.put("A", "tx0", packet(ALL, 1))
        assert b.world.txsync("A", b.choose).outcome.kind == kind


def test_the_table_of_a_batch_is_overrun_as_written(bench: Callable[..., Any]) -> None:
    for switches, kind in ((readings.CONTRACT, "OK"), (readings.AS_WRITTEN, "FAULT")):
        b = bench(switches=switches)
        b.bind("A", "vale0:a", tx_slots=2048, rx_slots=8)
        b.put("A", "tx0", *[packet(ALL, 1)] * 1089, flags=api14.NS_MOREFRAG)
        assert b.world.txsync("A", b.choose).outcome.kind == kind


def test_everything_goes_with_the_last_port(three: Any) -> None:
    three.close("A", "B")
    s = three.world.system()
    assert [b.name for b in s.bridges.values()] == ["vale0"]
    three.close("C")
    assert not s.bridges
    assert sorted(s.allocators) == [1]
    assert not s.adapters and not s.krings


def test_a_lazy_switch_drops_long_chains(bench: Callable[..., Any]) -> None:
    b = bench(choose=lazy)
    b.bind("A", "vale0:a", tx_slots=128, rx_slots=8)
    b.bind("B", "vale0:b", tx_slots=8, rx_slots=128)
    b.put("A", "tx0", *[packet(ALL, 1)] * 64, flags=api14.NS_MOREFRAG)
    b.send("A", packet(ALL, 1))
    assert b.receive("B") == []

"""Chapter *null ports*: made in a region that exists, found by nobody, moving nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.gen14 import readings
from netmap_reference.gen14.ports import null
from netmap_reference.gen14.ports.null import ring_size


def made(bench: Callable[..., Any], switches: frozenset[str] = frozenset(), **fields: Any) -> Any:
    b = bench(switches=switches)
    b.result = b.try_bind("A", "n", mode="NULL", **fields)
    return b


def test_it_needs_a_region_that_exists(bench: Callable[..., Any]) -> None:
    """14.null.register"""
    assert made(bench).result.outcome.detail == "EINVAL"
    assert made(bench, mem_id=7).result.outcome.detail == "EINVAL"
    b = made(bench, mem_id=1)
    assert b.result.outcome.ok
    assert b.world.nifp("A").ni_name == "null:n"
    assert b.result.out["nr_tx_rings"] == b.result.out["nr_host_tx_rings"] == 0


def test_two_of_one_name_are_two_and_go_with_their_descriptors(bench: Callable[..., Any]) -> None:
    b = made(bench, mem_id=1, tx_rings=1, rx_rings=1, tx_slots=4, rx_slots=4)
    b.bind("B", "n", mode="NULL", mem_id=1, tx_rings=1, rx_rings=1, tx_slots=8, rx_slots=8)
    assert b.world.mmap("A").outcome.ok
    assert set(b.indices("A", "tx0")).isdisjoint(b.indices("B", "tx0"))
    assert len(b.world.system().adapters) == 2
    b.close("A")
    assert len(b.world.system().adapters) == 1
    b.close("B")
    assert not b.world.system().adapters


def test_nothing_moves(bench: Callable[..., Any]) -> None:
    """14.null.sync"""
    b = made(bench, mem_id=1, tx_rings=1, rx_rings=1, tx_slots=4, rx_slots=4)
    assert b.world.mmap("A").outcome.ok
    assert b.poll("A", "in", "out") == {"out"}
    b.send("A", b"one", b"two", b"three")
    b.send("A")
    assert b.words("A", "tx0") == (3, 3, 3)
    assert b.receive("A") == []
    assert b.poll("A", "in", "out") == set()


def test_a_rejected_ring_is_put_back_as_anywhere(bench: Callable[..., Any]) -> None:
    b = made(bench, mem_id=1, tx_rings=1, tx_slots=4)
    assert b.world.mmap("A").outcome.ok
    b.set("A", "tx0", head=9)
    b.world.txsync("A", b.choose)
    assert b.words("A", "tx0") == (0, 0, 3)


@pytest.mark.parametrize(
    ("slots", "outcome", "as_written"),
    [(0, "EINVAL", null.SLOTLESS), (1, "", ""), (2**28 - 17, "", ""), (2**28, "", null.OVERRUN)],
)
def test_sizes_of_rings(slots: int, outcome: str, as_written: str) -> None:
    """14.null.sizes: what the code's 32 bits make of them."""
    contract, code = ring_size(slots, 36864), ring_size(slots, 36864, readings.AS_WRITTEN)
    assert contract.outcome.detail == outcome
    assert code.outcome.ok
    assert code.fired == ((as_written,) if as_written else ())


def test_a_ring_without_slots_is_refused_and_as_written_a_sync_does_not_end(
    bench: Callable[..., Any],
) -> None:
    fields = {"mem_id": 1, "tx_rings": 1, "rx_rings": 1, "rx_slots": 4}
    assert made(bench, **fields).result.outcome.detail == "EINVAL"
    b = made(bench, readings.AS_WRITTEN, **fields)
    assert b.result.outcome.ok
    assert b.world.txsync("A", b.choose).outcome.kind == "FAULT"
    assert b.world.poll("A", frozenset({"out"}), b.choose).outcome.kind == "FAULT"


def test_a_ring_that_does_not_fit(bench: Callable[..., Any]) -> None:
    fields = {"mem_id": 1, "tx_rings": 1, "tx_slots": 2**28}
    assert made(bench, **fields).result.outcome.detail == "ENOMEM"
    assert made(bench, readings.AS_WRITTEN, **fields).result.outcome.kind == "FAULT"

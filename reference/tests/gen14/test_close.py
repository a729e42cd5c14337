"""Chapter *close*, and what processes do to descriptors and mappings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.core.memory import PAGE
from netmap_reference.gen14.world import PortConfig

# --- the last reference (14.close.last-reference) ------------------------------------------------


def bound(b: Any, name: str = "x{1") -> bool:
    return name in b.world.system().adapters


def test_a_dup_keeps_the_binding(bench: Callable[..., Any]) -> None:
    b = bench()
    b.bind("A", "x{1")
    b.world.dup("A", "D")
    b.close("A")
    assert b.world.txsync("D", b.choose).outcome.ok
    b.close("D")
    assert not bound(b)


def test_a_child_has_what_its_parent_has(pipe: Any) -> None:
    """recording fork_inherit"""
    pipe.world.fork("main", "P")
    pipe.send("A", b"from a child")
    assert pipe.world.close("A", actor="P").outcome.ok
    pipe.world.exit("P")
    assert pipe.receive("B") == [b"from a child"]
    assert pipe.poll("A", "out") == {"out"}
    pipe.close("A", "B")
    assert not bound(pipe)


def test_a_child_keeps_a_binding_its_parent_closed(bench: Callable[..., Any]) -> None:
    b = bench()
    b.bind("A", "x{1", flags="NR_EXCLUSIVE")
    b.world.fork("main", "P")
    b.close("A")
    b.world.open("B")
    assert b.world.register("B", {"name": "x{1"}, b.choose).outcome.detail == "EBUSY"
    b.world.exit("P")
    assert b.world.register("B", {"name": "x{1"}, b.choose).outcome.ok


def test_a_killed_process_is_a_close(bench: Callable[..., Any]) -> None:
    """recording pipe_proc_killed"""
    b = bench()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.world.open("B", actor="P")
    assert b.world.register("B", {"name": "x}1"}, b.choose, actor="P").outcome.ok
    b.world.mmap("B", actor="P")
    b.send("B", b"last words")
    b.world.exit("P")
    assert b.receive("A") == [b"last words"]
    b.close("A")
    assert not bound(b)


def test_a_mapping_keeps_the_binding(bench: Callable[..., Any]) -> None:
    b = bench()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    assert b.world.close("A", unmap=False).outcome.ok
    assert bound(b)
    b.world.nifp("A").ni_bufs_head = 0
    assert b.world.munmap("A").outcome.ok
    assert not bound(b)


@pytest.mark.parametrize("call", ["close", "munmap", "txsync", "dup", "register", "mmap", "poll"])
def test_a_descriptor_that_is_not_open(bench: Callable[..., Any], call: str) -> None:
    b = bench()
    more = {
        "txsync": (b.choose,),
        "dup": ("D",),
        "register": ({"name": "x{1"}, b.choose),
        "poll": (frozenset({"in"}), b.choose),
    }.get(call, ())
    assert getattr(b.world, call)("A", *more).outcome.detail == ("EINVAL" if call == "munmap" else "EBADF")


# --- what comes back (14.close.returns) ----------------------------------------------------------


@pytest.mark.parametrize("mode", ["ALL_NIC", "SW", "NIC_SW"])
def test_a_port_gives_everything_back(bench: Callable[..., Any], mode: str) -> None:
    b = bench(PortConfig("v0", tx_rings=2, tx_slots=8, rx_slots=8))
    before = b.world.system().clone()
    b.bind("A", "v0", mode=mode, extra_bufs=3, host_rx_rings=2)
    b.bind("B", "v0", mode=mode)
    b.close("A", "B")
    after = b.world.system()
    for table in ("adapters", "allocators", "krings", "files", "holders", "mapped", "ports"):
        assert getattr(after, table) == getattr(before, table), table


def test_extra_buffers_the_application_exchanged_come_back(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0", tx_slots=8, rx_slots=8))
    b.bind("K", "v0", mode="SW")
    before = b.world.system().allocators[1]
    b.bind("A", "v0", extra_bufs=1)
    head = b.world.nifp("A").ni_bufs_head
    slot = b.world.ring("A", "tx0").slot[0]
    slot.buf_idx, b.world.nifp("A").ni_bufs_head = head, slot.buf_idx
    b.world.region("A").write(b.world.buffer("A", b.world.nifp("A").ni_bufs_head)[0], bytes(4))
    b.close("A")
    assert b.world.system().allocators[1].buf_pool == before.buf_pool


def test_buffers_an_application_lost_come_back_with_the_last_user(bench: Callable[..., Any]) -> None:
    """14.memory.last-user"""
    b = bench(PortConfig("v0", tx_slots=8, rx_slots=8))
    before = b.world.system().allocators[1].buf_pool
    b.bind("K", "v0", mode="SW")
    b.bind("A", "v0")
    b.world.ring("A", "tx0").slot[0].buf_idx = 0
    b.close("A")
    kept = b.world.system().allocators[1].buf_pool.used
    assert len(kept) == 2 + 16 + 1
    b.close("K")
    assert b.world.system().allocators[1].buf_pool == before


# --- mmap (14.memory.mmap) -----------------------------------------------------------------------


def test_mappings(bench: Callable[..., Any]) -> None:
    """recording mmap_variants"""
    b = bench()
    b.world.open("A")
    assert b.world.mmap("A", PAGE).outcome.detail == "EINVAL"
    size = b.try_bind("A", "x{1", tx_slots=64, rx_slots=64).out["nr_memsize"]
    for length, offset, errno in (
        (PAGE, 0, ""),
        (size, 0, ""),
        (size + 1, 0, "EINVAL"),
        (size, PAGE, "EINVAL"),
        (PAGE, size - PAGE, ""),
        (PAGE, 100, "EINVAL"),
        (0, 0, "EINVAL"),
    ):
        assert b.world.mmap("A", length, offset).outcome.detail == errno, (length, offset)
    for kind in ({"prot": "r"}, {"flags": "private"}):
        assert b.world.mmap("A", **kind).outcome.ok


def test_descriptors_of_one_region_see_the_same_bytes(pipe: Any) -> None:
    assert pipe.world.region("A") is pipe.world.region("B")

"""REGISTER on a device: what it binds, what it returns, and what it leaves when it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.core.outcome import NotModelled
from netmap_reference.gen14 import readings
from netmap_reference.gen14.world import PortConfig
from netmap_spec.abi import api14

PORT = PortConfig("v0", tx_rings=2, rx_rings=2, tx_slots=16, rx_slots=16)


@pytest.mark.parametrize(
    ("fields", "errno"),
    [
        ({"name": "x{1", "version": 13}, "EINVAL"),
        ({"name": "x{1", "version": 16}, "EINVAL"),
        ({"name": "nosuch"}, "ENXIO"),
        ({"name": ""}, "ENXIO"),
        ({"name": "v0^"}, "ENXIO"),
        ({"name": "x{"}, "EINVAL"),
        ({"name": "a-very-long-parent{1"}, "ENXIO"),
        ({"name": "x{1", "mem_id": 7}, "EINVAL"),
        ({"name": "x{1", "mode": "SW"}, "EINVAL"),
        ({"name": "x{1", "mode": "PIPE_MASTER"}, "EINVAL"),
        ({"name": "x{1", "mode": "ONE_NIC", "ringid": 1}, "EINVAL"),
        ({"name": "v0", "mode": "ONE_NIC", "ringid": 2}, "EINVAL"),
        ({"name": "v0", "mode": "ONE_SW", "ringid": 1}, "EINVAL"),
        ({"name": "v0", "mode": 77}, "EINVAL"),
        ({"name": "lo"}, "EINVAL"),
        ({"name": "big"}, "EINVAL"),
        # More rings than a private region has objects for.
        ({"name": "x{1", "tx_rings": 100, "rx_rings": 100}, "ENOMEM"),
    ],
)
def test_what_cannot_be_bound_leaves_nothing_behind(
    bench: Callable[..., Any], fields: dict[str, Any], errno: str
) -> None:
    """14.register.names, 14.register.rings, 14.register.failure"""
    b = bench(PORT, PortConfig("lo", kind="host-only"), PortConfig("big", mtu=9000, driver="emulated"))
    b.world.open("A")
    before = b.world.key()
    result = b.world.register("A", fields, b.choose)
    assert result.outcome.detail == errno
    assert b.world.key() == before
    assert {k: v for k, v in result.out.items() if k[3:] in fields and isinstance(fields[k[3:]], int)} == {
        f"nr_{k}": v for k, v in fields.items() if isinstance(v, int) and k != "version"
    }
    assert b.try_bind("A", "x{1").outcome.ok


def test_a_descriptor_is_bound_once(pipe: Any) -> None:
    """14.register.once"""
    before = pipe.world.key()
    for fields in ({"name": "x{1"}, {"name": "nosuch"}, {"name": "x{"}):
        assert pipe.world.register("A", fields, pipe.choose).outcome.detail == "EBUSY"
    assert pipe.world.key() == before


def test_the_version_is_looked_at_first(pipe: Any) -> None:
    """14.register.version"""
    assert pipe.try_bind("A", "x{1", version=13).outcome.detail == "EINVAL"


def test_both_versions(bench: Callable[..., Any]) -> None:
    b = bench()
    assert b.try_bind("A", "x{1", version=14).outcome.ok
    assert b.try_bind("B", "x}1", version=15).outcome.ok


def test_what_a_register_returns(bench: Callable[..., Any]) -> None:
    """14.register.result, with the numbers of recording pipe_slots_odd"""
    b = bench()
    a = b.bind("A", "x{1", tx_slots=100, rx_slots=7).out
    z = b.bind("B", "x}1", tx_slots=64, rx_slots=64).out
    assert (a["nr_tx_slots"], a["nr_rx_slots"]) == (100, 7)
    assert (z["nr_tx_slots"], z["nr_rx_slots"]) == (7, 100)
    assert (a["nr_offset"], z["nr_offset"], a["nr_memsize"], a["nr_mem_id"]) == (0, 1024, 8814592, 2)
    assert (a["nr_host_tx_rings"], a["nr_mode"], a["nr_extra_bufs"]) == (0, 1, 0)


def test_the_netmap_if_of_a_descriptor(bench: Callable[..., Any]) -> None:
    """14.register.nifp: offsets from the netmap_if, 0 for rings that are not bound"""
    b = bench(PORT)
    b.bind("A", "v0", mode="ONE_NIC", ringid=1)
    b.bind("B", "v0", mode="NIC_SW")
    a, z = b.world.nifp("A"), b.world.nifp("B")
    assert (a.ni_name, a.ni_tx_rings, a.ni_host_rx_rings, a.ni_flags) == ("v0", 2, 1, 0)
    assert [bool(a.ring_ofs[i]) for i in range(6)] == [False, True, False, False, True, False]
    assert all(z.ring_ofs[i] for i in range(6))
    assert a.off != z.off
    assert a.off + a.ring_ofs[1] == z.off + z.ring_ofs[1]
    assert b.world.rings("A")["tx1"] == b.world.rings("B")["tx1"]
    assert set(b.world.rings("B")) == {"tx0", "tx1", "tx2", "rx0", "rx1", "rx2"}
    with pytest.raises(KeyError):
        b.world.ring("A", "tx0")


def test_a_fresh_ring(bench: Callable[..., Any]) -> None:
    """14.memory.fresh-ring"""
    b = bench()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    tx, rx = b.world.ring("A", "tx0"), b.world.ring("A", "rx0")
    assert b.words("A", "tx0") == (0, 0, 7)
    assert b.words("A", "rx0") == (0, 0, 0)
    # Receive rings are made first.
    assert b.indices("A", "rx0") == list(range(2, 10))
    assert b.indices("A", "tx0") == list(range(10, 18))
    for ring, direction in ((tx, 1), (rx, 0)):
        assert (ring.num_slots, ring.nr_buf_size, ring.ringid, ring.dir) == (8, 2048, 0, direction)
        assert {(s.len, s.flags, s.ptr) for s in (ring.slot[i] for i in range(8))} == {(2048, 0, 0)}
        assert ring.off + ring.buf_ofs == b.world.buffer("A", 0)[0]


def test_extra_buffers(bench: Callable[..., Any]) -> None:
    b = bench()
    out = b.bind("A", "x{1", tx_slots=8, rx_slots=8, extra_bufs=3).out
    assert out["nr_extra_bufs"] == 3
    assert b.world.nifp("A").ni_bufs_head == 20


# --- several descriptors (14.register.exclusive) -------------------------------------------------


def test_exclusive_use(bench: Callable[..., Any]) -> None:
    """The order of recording pipe_exclusive."""
    b = bench()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8, flags="NR_EXCLUSIVE")
    assert b.try_bind("B", "x{1").outcome.detail == "EBUSY"
    b.bind("C", "x}1")
    assert b.try_bind("B", "x{1", flags="NR_EXCLUSIVE").outcome.detail == "EBUSY"
    b.close("A")
    b.bind("B", "x{1")
    assert b.try_bind("A", "x{1", flags="NR_EXCLUSIVE").outcome.detail == "EBUSY"
    b.bind("A", "x{1")


def test_exclusive_rings_leave_the_others_free(bench: Callable[..., Any]) -> None:
    b = bench(PORT)
    b.bind("A", "v0", mode="ONE_NIC", ringid=0, flags="NR_EXCLUSIVE")
    b.bind("B", "v0", mode="ONE_NIC", ringid=1)
    assert b.try_bind("C", "v0").outcome.detail == "EBUSY"
    assert b.try_bind("C", "v0", mode="ONE_NIC", ringid=0).outcome.detail == "EBUSY"


def test_descriptors_of_one_ring_share_it(bench: Callable[..., Any]) -> None:
    b = bench()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.bind("B", "x{1")
    b.put("A", "tx0", b"one")
    assert b.words("B", "tx0") == (1, 1, 7)


# --- memory identifiers (14.memory.ids) ----------------------------------------------------------


def test_identifiers_are_used_again(bench: Callable[..., Any]) -> None:
    b = bench()
    assert b.bind("A", "x{1").out["nr_mem_id"] == 2
    assert b.bind("B", "y{1").out["nr_mem_id"] == 3
    b.close("A")
    assert b.bind("A", "z{1").out["nr_mem_id"] == 4
    b.close("A", "B")
    assert b.bind("A", "x{1").out["nr_mem_id"] == 2


def test_a_pipe_in_the_global_region(bench: Callable[..., Any]) -> None:
    b = bench(PORT)
    assert b.bind("A", "x{1", mem_id=1).out["nr_mem_id"] == 1
    assert b.bind("B", "v0{1").out["nr_mem_id"] == 1
    assert b.world.nifp("A").ni_flags == 0


# --- as written ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("switches", "host_rings"), [(readings.CONTRACT, 1), (readings.AS_WRITTEN, 4)])
def test_host_rings_of_a_failed_request(
    bench: Callable[..., Any], switches: frozenset[str], host_rings: int
) -> None:
    """14.host.counts, deviation 14.host-rings-stick"""
    b = bench(PORT, switches=switches)
    failed = b.try_bind("A", "v0", mode=77, host_tx_rings=4)
    assert failed.outcome.detail == "EINVAL"
    assert b.try_bind("A", "v0", mode="SW").out["nr_host_tx_rings"] == host_rings


@pytest.mark.parametrize("switches", [readings.CONTRACT, readings.AS_WRITTEN])
def test_the_second_end_of_a_pair_asks_for_more_host_rings(
    bench: Callable[..., Any], switches: frozenset[str]
) -> None:
    """14.host.counts, deviation 14.veth-host-rings-overrun: the kernel leaves its array of rings"""
    b = bench(
        PortConfig("v0", peer="v1", driver="veth"),
        PortConfig("v1", peer="v0", driver="veth"),
        switches=switches,
    )
    b.bind("A", "v0")
    result = b.try_bind("B", "v1", host_rx_rings=4)
    if switches:
        assert result.outcome.kind == "FAULT"
    else:
        assert result.out["nr_host_rx_rings"] == 1


# --- what the model does not have ----------------------------------------------------------------


def test_what_is_not_modelled_says_so(bench: Callable[..., Any]) -> None:
    """A master end whose name is that of the slave end of a pipe below a pipe."""
    b = bench()
    b.bind("A", "y{a{b")
    b.world.open("B")
    before = b.world.key()
    with pytest.raises(NotModelled) as error:
        b.world.register("B", {"name": "y{a}b"}, b.choose)
    assert error.value.rule == "14/register/pipe/same-name"
    assert b.world.key() == before


@pytest.mark.parametrize(("switches", "kind"), [(readings.CONTRACT, "OK"), (readings.AS_WRITTEN, "FAULT")])
def test_the_other_end_of_a_pipe_above_is_bound_first(
    bench: Callable[..., Any], switches: frozenset[str], kind: str
) -> None:
    """14.pipe.nested, deviation 14.pipe-bound-without-krings"""
    b = bench(switches=switches)
    b.bind("A", "x}1{2")
    assert b.try_bind("B", "x{1").outcome.kind == kind


def test_a_pipe_above_stays_with_what_is_below(bench: Callable[..., Any]) -> None:
    """14.pipe.nested"""
    b = bench()
    b.bind("A", "x}1")
    b.bind("B", "x{1{2")
    b.close("A")
    assert {"x{1", "x}1", "x{1{2", "x{1}2"} <= set(b.world.system().adapters)
    b.bind("A", "x}1")
    b.bind("C", "x{1")
    b.send("C", b"through")
    b.world.rxsync("A", b.choose)
    assert b.unread("A") == [b"through"]
    for fd in "BAC":
        b.close(fd)
    assert (dict(b.world.system().adapters), list(b.world.system().allocators)) == ({}, [1])


def test_ports_that_make_no_sense(bench: Callable[..., Any]) -> None:
    for port in (
        PortConfig("v0", driver="turbo"),
        PortConfig("v0", peer="v9"),
        PortConfig("v0", kind="vale"),
    ):
        with pytest.raises(ValueError, match="port v0: "):
            bench(port)


def test_the_constants_are_those_of_api_14() -> None:
    assert (api14.NETMAP_MIN_API, api14.NETMAP_MAX_API) == (14, 15)

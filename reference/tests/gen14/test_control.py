"""Chapter *control*: requests that only ask, and the module's parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.core.outcome import NotModelled
from netmap_reference.gen14 import readings
from netmap_reference.gen14.world import PortConfig

PORT = PortConfig("v0", tx_rings=2, rx_rings=2)


def info(b: Any, **fields: Any) -> Any:
    return b.world.ctl("A", "PORT_INFO_GET", fields, b.choose)


def test_port_info_describes_what_a_register_would_find(bench: Callable[..., Any]) -> None:
    """recordings port_info, nic_veth_one_nic, pipe_parent_nic_mem"""
    b = bench(PORT)
    b.world.open("A")
    before = b.world.key()
    for name, memsize, rings, host, mem_id in (
        ("v0", 343019520, 2, 1, 1),
        ("x{1", 42369024, 1, 0, 2),
        ("v0{1", 343019520, 1, 0, 1),
    ):
        out = info(b, name=name).out
        got = (out["nr_memsize"], out["nr_tx_rings"], out["nr_host_tx_rings"], out["nr_mem_id"])
        assert got == (memsize, rings, host, mem_id)
        assert out["nr_tx_slots"] == 1024
    assert b.world.key() == before


def test_port_info_without_a_name_is_about_memory(bench: Callable[..., Any]) -> None:
    b = bench()
    b.world.open("A")
    assert info(b, name="").out["nr_memsize"] == 343019520
    assert info(b, name="", mem_id=9).outcome.detail == "EINVAL"


@pytest.mark.parametrize(
    ("fields", "errno"),
    [
        ({"name": "nosuch"}, "ENXIO"),
        ({"name": "x{"}, "EINVAL"),
        ({"name": "v0", "mem_id": 99}, "EINVAL"),
        ({"name": "v0", "version": 13}, "EINVAL"),
    ],
)
def test_port_info_fails_as_that_register_would(
    bench: Callable[..., Any], fields: dict[str, Any], errno: str
) -> None:
    b = bench(PORT)
    b.world.open("A")
    assert info(b, **fields).outcome.detail == errno


@pytest.mark.parametrize(("switches", "rings"), [(readings.CONTRACT, 1), (readings.AS_WRITTEN, 3)])
def test_as_written_asking_changes_the_port(
    bench: Callable[..., Any], switches: frozenset[str], rings: int
) -> None:
    """Deviation 14.host-rings-stick"""
    b = bench(PORT, switches=switches)
    b.world.open("A")
    info(b, name="v0", host_rx_rings=3)
    assert b.try_bind("A", "v0").out["nr_host_rx_rings"] == rings


def test_pools_info(bench: Callable[..., Any]) -> None:
    b = bench()
    b.bind("A", "x{1", tx_slots=64, rx_slots=64)
    out = b.world.ctl("A", "POOLS_INFO_GET", {"name": "x}1"}, b.choose).out
    assert out["nr_memsize"] == 8814592
    assert out["nr_buf_pool_offset"] == b.world.buffer("A", 0)[0]
    assert out["nr_ring_pool_offset"] == min(b.world.ring(fd, "rx0").off for fd in "A")
    assert (out["nr_if_pool_objsize"], out["nr_if_pool_objtotal"], out["nr_buf_pool_objsize"]) == (
        1024,
        12,
        2048,
    )


def test_register_through_ctl_is_register(bench: Callable[..., Any]) -> None:
    b = bench()
    b.world.open("A")
    assert b.world.ctl("A", "REGISTER", {"name": "x{1"}, b.choose).outcome.ok


def test_the_device_is_not_a_stream(bench: Callable[..., Any]) -> None:
    """14.control.not-a-stream (recordings ctl_bound, ctl_unbound)"""
    b = bench()
    b.world.open("A")
    for _ in range(2):
        assert b.world.read("A").outcome.detail == "EINVAL"
        assert b.world.write("A").outcome.detail == "EINVAL"
        assert b.world.ioctl("A", 0x1234).outcome.detail == "EOPNOTSUPP"
        b.try_bind("A", "x{1")
    with pytest.raises(ValueError, match="netmap's own"):
        b.world.ioctl("A", 0x6994)


def test_the_size_of_the_global_region(bench: Callable[..., Any]) -> None:
    """recording nic_e1000_full: 32768 buffers"""
    b = bench(PORT)
    assert b.world.sysctl("buf_num", 32768).outcome.ok
    assert b.bind("A", "v0").out["nr_memsize"] == 74584064


def test_new_sizes_wait_until_nobody_uses_the_region(bench: Callable[..., Any]) -> None:
    """14.memory.reconfigured"""
    b = bench(PORT)
    assert b.bind("A", "v0").outcome.ok
    assert b.world.sysctl("buf_num", 32768).outcome.ok
    assert b.bind("B", "v0").out["nr_memsize"] == 343019520
    b.close("A", "B")
    assert b.bind("A", "v0").out["nr_memsize"] == 74584064


def test_sizes_that_cannot_be_are_taken_and_refuse_the_next_user(bench: Callable[..., Any]) -> None:
    """14.memory.reconfigured, recording params: the store itself succeeds"""
    b = bench(PORT)
    assert b.world.sysctl("buf_size", 65537).outcome.ok
    assert b.world.parameter("buf_size") == 65537
    for _ in range(2):
        assert b.try_bind("A", "v0").outcome.detail == "EINVAL"
        b.close("A")
    assert b.world.sysctl("buf_size", 2048).outcome.ok
    assert b.bind("A", "v0").out["nr_memsize"] == 343019520


def test_as_written_a_refused_size_is_used_all_the_same_and_counts_a_user_less(
    bench: Callable[..., Any],
) -> None:
    """14.memory.reconfigured, deviation 14.memory-config-counts-down: B's buffers become free while B uses
    them"""
    b = bench(PORT)
    b.world.switches = frozenset({"14.memory-config-counts-down"})
    b.world.sysctl("buf_size", 65537)
    assert b.try_bind("A", "v0").outcome.detail == "EINVAL"
    b.close("A")
    assert b.bind("A", "v0").outcome.ok
    assert b.bind("B", "v0").outcome.ok
    b.close("A")
    assert b.world.system().allocators[1].buf_pool.used == {0, 1}


def test_unknown_parameters(bench: Callable[..., Any]) -> None:
    with pytest.raises(NotModelled) as error:
        bench().world.sysctl("generic_rings", 2)
    assert error.value.rule == "14/control/parameter/generic-rings"


def test_what_was_stored_is_read_back(bench: Callable[..., Any]) -> None:
    """14.control.parameters, recording params"""
    w = bench().world
    assert w.parameter("default_pipes") is None
    for name, value in (("default_pipes", 2), ("priv_buf_num", 100), ("if_num", 0), ("admode", 7)):
        assert w.sysctl(name, value).outcome.ok
        assert w.parameter(name) == value


def test_the_least_a_private_region_gets(bench: Callable[..., Any]) -> None:
    """14.memory.private"""
    b = bench()
    small = b.bind("A", "x{1", tx_slots=8, rx_slots=8).out["nr_memsize"]
    b.close("A")
    b.world.sysctl("priv_buf_num", 8196)
    assert b.bind("A", "x{1", tx_slots=8, rx_slots=8).out["nr_memsize"] == small + 4098 * 2048


def test_what_the_global_region_is_now(bench: Callable[..., Any]) -> None:
    """14.memory.current: nothing at first; a size from the laying out, a number with the memory"""
    b = bench(PORT)

    def now() -> list[str]:
        return [b.world.read_parameter(f"buf_curr_{what}").out["value"] for what in ("size", "num")]

    assert now() == ["0", "0"]
    assert b.bind("A", "v0").outcome.ok
    assert now() == ["2048", "163840"]
    b.world.sysctl("buf_size", 4000)
    assert now() == ["2048", "163840"]
    b.close("A")
    assert b.bind("A", "v0").outcome.ok
    assert now() == ["4032", "163840"]


def test_memory_a_failed_request_got_may_stay(bench: Callable[..., Any]) -> None:
    """14.memory.current"""
    b = bench(PORT)
    b.world.open("A")
    b.world.fail("memory.map")
    assert b.try_bind("A", "v0").outcome.detail == "ENOMEM"
    assert b.world.read_parameter("buf_curr_num").out == {"value": "0", "either": "163840"}
    assert b.world.read_parameter("buf_curr_size").out == {"value": "2048"}


@pytest.mark.parametrize("name", ["if_curr_num", "buf_curr_size", "max_bridges"])
def test_parameters_that_can_only_be_read(bench: Callable[..., Any], name: str) -> None:
    """14.control.parameters"""
    b = bench(PORT)
    assert b.bind("A", "v0").outcome.ok
    before = b.world.read_parameter(name).out
    assert b.world.sysctl(name, 7).outcome.detail == "EACCES"
    assert b.world.read_parameter(name).out == before

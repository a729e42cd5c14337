"""Chapter *request*: names, sizes, and the rings a mode selects."""

from __future__ import annotations

from itertools import product

import pytest
from netmap_reference.gen14 import request
from netmap_reference.gen14.request import PortName, Rings, Shape
from netmap_spec.abi import api14

# --- names (14.register.names) -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("v0", PortName("port", "v0")),
        ("vale0:a", PortName("vale", "vale0:a")),
        ("x{1", PortName("pipe", "x", "{", "1")),
        ("x}1", PortName("pipe", "x", "}", "1")),
        ("x{1}2", PortName("pipe", "x", "{", "1}2")),
        ("x}1{2", PortName("pipe", "x}1", "{", "2")),
        ("x{abc{d", PortName("pipe", "x{abc", "{", "d")),
        ("v0^", PortName("port", "v0^")),
        ("", PortName("port", "")),
    ],
)
def test_names(name: str, parsed: PortName) -> None:
    step = request.parse_name(name)
    assert step.outcome.ok
    assert step.state == parsed


@pytest.mark.parametrize("name", ["x{", "x}", "{1", "}1", "{", "}"])
def test_a_bracket_needs_something_on_both_sides(name: str) -> None:
    assert request.parse_name(name).outcome.detail == "EINVAL"


@pytest.mark.parametrize("name", ["a" * 16, ".", "..", "a/b", "a b", "a:b"])
def test_names_no_interface_can_have(name: str) -> None:
    assert request.parent_name(name).outcome.detail == "ENXIO"
    assert request.parent_name("a" * 15).outcome.ok


# --- sizes (14.register.sizes) -------------------------------------------------------------------


def test_a_wish_is_kept_inside_the_interval() -> None:
    for value, default, low, high in product(range(6), range(6), range(3), range(2, 5)):
        given = request.bound(value, default, low, high).state
        if value < low:
            assert given == min(max(default, low), high)
        else:
            assert given == min(value, high)


def test_a_pipe_takes_what_it_does_not_say_from_its_parent() -> None:
    assert request.pipe_shape(Shape(0, 0, 0, 0), 512, 256).state == Shape(1, 1, 512, 256)
    assert request.pipe_shape(Shape(3, 300, 5000, 7), 512, 256).state == Shape(3, 256, 4096, 7)
    assert request.parent_shape(Shape(100, 0, 0, 9999, 10**7)).state == Shape(16, 1, 1024, 4096, 524288)


# --- rings (14.register.rings) -------------------------------------------------------------------

MODES = {
    "ALL_NIC": api14.NR_REG_ALL_NIC,
    "SW": api14.NR_REG_SW,
    "NIC_SW": api14.NR_REG_NIC_SW,
    "ONE_NIC": api14.NR_REG_ONE_NIC,
    "ONE_SW": api14.NR_REG_ONE_SW,
}


def expected(mode: str, ringid: int, hardware: int, host: int) -> tuple[int, int]:
    """One direction's rings, said in one line a mode."""
    return {
        "ALL_NIC": (0, hardware),
        "SW": (hardware, hardware + host),
        "NIC_SW": (0, hardware + host),
        "ONE_NIC": (ringid, ringid + 1) if ringid < hardware else (0, 1),
        "ONE_SW": (hardware + ringid, hardware + ringid + 1) if ringid < host else (hardware, hardware + 1),
    }[mode]


@pytest.mark.parametrize("mode", MODES)
def test_the_rings_of_a_mode(mode: str) -> None:
    for tx, rx, host_tx, host_rx, ringid in product(
        range(1, 4), range(1, 4), range(1, 3), range(1, 3), range(4)
    ):
        rings = Rings(tx, rx, host_tx, host_rx, tx + host_tx, rx + host_rx, has_host=True)
        step = request.ring_range(rings, MODES[mode], ringid)
        limit = {"ONE_NIC": max(tx, rx), "ONE_SW": max(host_tx, host_rx)}.get(mode, ringid + 1)
        if ringid >= limit:
            assert step.outcome.detail == "EINVAL"
        else:
            assert step.state.tx == expected(mode, ringid, tx, host_tx)
            assert step.state.rx == expected(mode, ringid, rx, host_rx)


@pytest.mark.parametrize("mode", ["SW", "NIC_SW", "ONE_SW"])
def test_host_rings_of_a_port_without(mode: str) -> None:
    step = request.ring_range(Rings(1, 1, 0, 0, 2, 2, has_host=False), MODES[mode], 0)
    assert step.outcome.detail == "EINVAL"


@pytest.mark.parametrize("mode", [0, api14.NR_REG_PIPE_MASTER, 9, 2**32 - 1])
def test_modes_that_select_nothing(mode: int) -> None:
    assert request.ring_range(Rings(1, 1, 1, 1, 2, 2, True), mode, 0).outcome.detail == "EINVAL"


def test_one_direction_only() -> None:
    rings = Rings(2, 3, 1, 1, 3, 4, True)
    assert request.ring_range(rings, MODES["ALL_NIC"], 0, tx_only=True).state.rx == (0, 0)
    assert request.ring_range(rings, MODES["ALL_NIC"], 0, rx_only=True).state.tx == (0, 0)
    assert request.ring_range(rings, MODES["ALL_NIC"], 0, rx_only=True).state.rx == (0, 3)
    both = request.ring_range(rings, 77, 0, tx_only=True, rx_only=True)
    assert both.outcome.ok
    assert (both.state.tx, both.state.rx) == ((0, 0), (0, 0))

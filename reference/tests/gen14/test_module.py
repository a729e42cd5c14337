"""Chapter *module*: unloading netmap, and interfaces that are given other rings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.core.choice import lazy
from netmap_reference.core.outcome import NotModelled
from netmap_reference.gen14 import module
from netmap_reference.gen14.ports.wire import Sizes
from netmap_reference.gen14.world import PortConfig

FEW, MANY = Sizes(1, 1, 8, 8), Sizes(2, 3, 16, 4)
FRAME = bytes(range(60))


def port(b: Any) -> Sizes:
    """The numbers that PORT_INFO_GET tells of v0."""
    b.world.open("asks")
    out = b.world.ctl("asks", "PORT_INFO_GET", {"name": "v0"}, b.choose).out
    b.world.close("asks")
    return Sizes(*(out[f"nr_{field}"] for field in Sizes._fields))


# --- an interface with other rings (14.module.reconfigured) ------------------------------------------


@pytest.mark.parametrize(
    ("known", "now", "fds", "then", "fired"),
    [
        (FEW, FEW, 0, FEW, ()),
        (FEW, FEW, 1, FEW, ()),
        (FEW, MANY, 0, MANY, (module.CHANGED,)),
        (FEW, MANY, 1, FEW, (module.KEPT,)),
    ],
)
def test_sizes_are_taken_over_while_nobody_is_bound(
    known: Sizes, now: Sizes, fds: int, then: Sizes, fired: tuple[str, ...]
) -> None:
    step = module.config(known, now, fds)
    assert (step.state, step.fired) == (then, fired)


@pytest.mark.parametrize("driver", ["generic nic", "e1000", "emulated"])
def test_they_show_when_it_is_asked_about_and_when_it_is_bound(
    bench: Callable[..., Any], driver: str
) -> None:
    b = bench(PortConfig("v0", tx_slots=8, rx_slots=8, driver=driver))
    b.world.resize("v0", MANY._asdict(), b.choose)
    assert port(b) == MANY
    b.world.resize("v0", {"tx_rings": 1, "tx_slots": 4}, b.choose)
    b.bind("A", "v0")
    assert {name: b.world.ring("A", name).num_slots for name in b.world.rings("A")} == {
        "tx0": 4, "rx0": 4, "rx1": 4, "rx2": 4,
    }  # fmt: skip
    b.send("A", FRAME)
    b.world.frame("v0", "wire", FRAME, b.choose)
    assert b.world.frames("v0", "wire") == [FRAME]
    assert b.receive("A", "rx2") == [FRAME]


def test_while_somebody_is_bound_they_stay(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0", tx_slots=8, rx_slots=8))
    b.bind("A", "v0")
    assert b.world.resize("v0", MANY._asdict(), b.choose).outcome.ok
    assert port(b) == FEW
    b.bind("B", "v0")
    assert b.world.rings("B") == b.world.rings("A")
    b.close("A", "B")
    assert port(b) == MANY


def test_a_system_may_refuse_to_change_an_interface_in_netmap_mode(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0", tx_slots=8, rx_slots=8))
    b.bind("A", "v0")
    assert b.world.resize("v0", MANY._asdict(), lazy).outcome.detail == "EBUSY"
    b.close("A")
    assert port(b) == FEW
    assert b.world.resize("v0", MANY._asdict(), lazy).outcome.ok


@pytest.mark.parametrize("fields", [{}, {"slots": 3}, {"tx_slots": 0}])
def test_what_is_no_number_of_rings_or_slots_is_refused(
    bench: Callable[..., Any], fields: dict[str, int]
) -> None:
    b = bench(PortConfig("v0"))
    with pytest.raises(ValueError, match="tx_rings"):
        b.world.resize("v0", fields, b.choose)


def test_one_end_of_a_pair_is_not_modelled(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0", peer="v1", driver="veth"), PortConfig("v1", peer="v0", driver="veth"))
    with pytest.raises(NotModelled, match="shares its rings"):
        b.world.resize("v0", {"tx_slots": 4}, b.choose)


# --- unloading (14.module.in-use) ----------------------------------------------------------------------


@pytest.mark.parametrize(("files", "goes"), [(0, True), (1, False), (7, False)])
def test_the_module_goes_when_no_file_is_open(files: int, goes: bool) -> None:
    assert module.unload(files).state is goes


def test_an_open_file_holds_it_until_its_last_mapping_has_gone(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0"))
    b.bind("A", "v0")
    b.world.close("A", unmap=False)
    assert b.world.unload().outcome.detail == "EBUSY"
    b.world.munmap("A")
    assert b.world.unload().fired == (module.UNLOADED,)


def test_nothing_of_it_is_left_but_what_belongs_to_the_interfaces(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0"), PortConfig("v1"))
    b.world.sysctl("bridge_batch", 3)
    b.bind("A", "v0")
    b.send("A", FRAME)
    b.close("A")
    b.world.link("v0", False, b.choose)
    b.world.detach("v1", b.choose)
    b.world.resize("v0", MANY._asdict(), b.choose)
    b.world.unload()
    assert b.world.parameter("bridge_batch") is None
    assert b.world.system().params.bridge_batch == 1024
    assert b.world.frames("v0", "wire") == [FRAME]
    assert set(b.world.system().adapters) == {"v0"}
    b.world.link("v0", True, b.choose)
    assert port(b) == MANY


def test_a_persistent_port_is_not_modelled(bench: Callable[..., Any]) -> None:
    b = bench()
    b.world.open("A")
    assert b.world.ctl("A", "VALE_NEWIF", {"name": "p", "mem_id": 0}, b.choose).outcome.ok
    b.world.close("A")
    with pytest.raises(NotModelled, match="VALE_NEWIF"):
        b.world.unload()

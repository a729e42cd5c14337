"""Chapters *stop* and *interface*: ports that are down, gone or reset while descriptors are bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.core.choice import lazy
from netmap_reference.core.effects import Do, Sleep
from netmap_reference.core.outcome import NotModelled
from netmap_reference.gen14 import readings, stop
from netmap_reference.gen14.ports import interface
from netmap_reference.gen14.stop import BUSY, DOWN, GONE, LOCKED, STOPPED, Wanted, nm_kr_tryget
from netmap_reference.gen14.world import PortConfig

FRAME = bytes(range(60))


def nic(bench: Callable[..., Any], **fields: Any) -> Any:
    b = bench(PortConfig("v0", tx_slots=8, rx_slots=8, **fields))
    b.bind("A", "v0")
    return b


# --- who may have a ring (14.sync.busy, 14.sync.stopped) -------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "contract", "as_written"),
    [
        (Wanted(False), "", ""),
        (Wanted(True), BUSY, BUSY),
        (Wanted(False, DOWN), STOPPED, LOCKED),
        (Wanted(True, DOWN), STOPPED, LOCKED),
        (Wanted(False, GONE), STOPPED, STOPPED),
        (Wanted(True, GONE), STOPPED, STOPPED),
    ],
)
def test_tryget(wanted: Wanted, contract: str, as_written: str) -> None:
    assert nm_kr_tryget(wanted).state == contract
    assert nm_kr_tryget(wanted, readings.AS_WRITTEN).state == as_written


def test_a_locked_ring_is_waited_for() -> None:
    protocol = stop.take("r")
    assert next(protocol) == Do("tryget", ("r",))
    assert protocol.send(LOCKED) == Sleep("r")
    assert protocol.send(None) == Do("tryget", ("r",))
    with pytest.raises(StopIteration) as end:
        protocol.send(True)
    assert end.value.value == ""


# --- down and up (14.nic.down) -----------------------------------------------------------------------


@pytest.mark.parametrize("driver", ["generic nic", "e1000", "emulated"])
def test_while_it_is_down_nothing_moves_and_nothing_waits(bench: Callable[..., Any], driver: str) -> None:
    b = nic(bench, driver=driver)
    b.put("A", "tx0", FRAME)
    b.world.link("v0", False, b.choose)
    before = b.words("A", "tx0"), b.words("A", "rx0")
    assert b.world.txsync("A", b.choose).outcome.detail == "EIO"
    assert b.world.rxsync("A", b.choose).outcome.detail == "EIO"
    assert b.poll("A", "in") == {"err"}
    assert b.poll("A", "out") == {"err"}
    assert (b.words("A", "tx0"), b.words("A", "rx0")) == before
    b.world.frame("v0", "wire", FRAME, b.choose)
    b.world.link("v0", True, b.choose)
    b.world.tau(b.choose)
    assert b.receive("A") == []
    b.send("A")
    assert b.world.frames("v0", "wire") == [FRAME]


def test_as_written_a_call_does_not_return_until_it_is_up(bench: Callable[..., Any]) -> None:
    b = nic(bench)
    b.world.link("v0", False, b.choose)
    b.world.switches = readings.AS_WRITTEN
    assert b.world.txsync("A", b.choose).outcome.kind == "HANG"
    assert b.world.poll("A", frozenset({"out"}), b.choose).outcome.kind == "HANG"
    b.world.link("v0", True, b.choose)
    assert b.world.txsync("A", b.choose).outcome.ok


def test_coming_up_wakes_who_sleeps(bench: Callable[..., Any]) -> None:
    b = nic(bench)
    assert b.world.poll("A", frozenset({"in"}), b.choose).asleep
    b.world.link("v0", False, b.choose)
    assert not b.world.woken()
    b.world.link("v0", True, b.choose)
    assert b.world.woken() == {"A"}


def test_a_port_that_is_down_is_not_bound_in_this_model(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0"))
    b.world.link("v0", False, b.choose)
    with pytest.raises(NotModelled, match="14/nic/register/down"):
        b.try_bind("A", "v0")


# --- reset (14.nic.reset) ----------------------------------------------------------------------------


def test_what_was_handed_over_counts_as_sent(bench: Callable[..., Any]) -> None:
    b = nic(bench)
    b.choose = lazy
    b.send("A", *[FRAME] * 5)
    assert b.words("A", "tx0") == (5, 5, 7)
    b.world.reset("v0", b.choose)
    assert b.words("A", "tx0") == (5, 5, 7)
    b.send("A")
    assert b.words("A", "tx0") == (5, 5, 4)


def test_what_was_reported_stays_and_the_rest_may_be_lost(bench: Callable[..., Any]) -> None:
    b = nic(bench)
    for n in range(2):
        b.world.frame("v0", "wire", FRAME + bytes([n]), b.choose)
    b.world.tau(b.choose)
    b.world.rxsync("A", b.choose)
    b.world.frame("v0", "wire", FRAME + bytes([2]), b.choose)
    b.world.reset("v0", b.choose)
    assert [data[-1] for data in b.unread("A")] == [0, 1]
    assert b.world.rxsync("A", lazy).outcome.ok
    assert b.world.owed() == []
    kring = b.world.system().krings["v0:rx0"]
    assert kring.hwofs == 2
    b.world.frame("v0", "wire", FRAME + bytes([3]), b.choose)
    b.world.tau(b.choose)
    b.world.rxsync("A", b.choose)
    assert [data[-1] for data in b.unread("A")] == [0, 1, 2, 3]


@pytest.mark.parametrize("driver", ["emulated", "veth"])
def test_no_rings_of_a_device_no_reset(bench: Callable[..., Any], driver: str) -> None:
    ports = [PortConfig(a, peer=z, driver=driver) for a, z in (("v0", "v1"), ("v1", "v0"))]
    b = bench(*ports)
    b.bind("A", "v0")
    before = b.world.key()
    assert b.world.reset("v0", b.choose).fired == ()
    assert b.world.key() == before


# --- gone (14.nic.gone) --------------------------------------------------------------------------------


def test_a_port_that_goes_leaves_its_descriptors_behind(bench: Callable[..., Any]) -> None:
    b = nic(bench)
    b.send("A", FRAME)
    b.world.detach("v0", b.choose)
    assert b.world.txsync("A", b.choose).outcome.detail == "EIO"
    assert b.poll("A", "in") == {"err"}
    assert b.words("A", "tx0") == (1, 1, 0)
    assert b.try_bind("B", "v0").outcome.detail == "ENXIO"
    assert "v0" in b.world.system().adapters
    b.close("A")
    assert "v0" not in b.world.system().adapters
    assert b.world.system().allocators[1].refs == 1
    assert b.try_bind("B", "v0").outcome.detail == "ENXIO"


def test_a_port_nobody_uses_goes_at_once(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0"), PortConfig("v1", peer="v0"))
    b.bind("A", "v1")
    b.world.detach("v0", b.choose)
    assert "v0" not in b.world.system().adapters
    b.send("A", FRAME)


def test_a_pipe_outlives_its_parent(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0"))
    b.bind("A", "v0{1")
    b.bind("B", "v0}1")
    b.world.detach("v0", b.choose)
    b.send("A", FRAME)
    assert b.receive("B") == [FRAME]
    b.close("A", "B")
    assert not b.world.system().adapters


@pytest.mark.parametrize("driver", ["generic nic", "e1000", "emulated"])
def test_an_interface_that_comes_back_is_the_same_port(bench: Callable[..., Any], driver: str) -> None:
    b = nic(bench, driver=driver)
    b.send("A", FRAME)
    b.world.detach("v0", b.choose)
    refs = b.world.system().adapters["v0"].refs
    back = b.world.attach("v0", b.choose)
    assert interface.BACK in back.fired
    assert b.world.attach("v0", b.choose).fired == ()
    b.send("A", FRAME)
    assert b.world.frames("v0", "wire") == [FRAME, FRAME]
    assert b.try_bind("B", "v0").outcome.ok
    b.close("A", "B")
    assert b.world.system().adapters["v0"].refs == refs
    assert b.world.system().allocators[1].refs == 1


def test_with_nobody_bound_it_is_a_new_one(bench: Callable[..., Any]) -> None:
    b = nic(bench)
    b.world.detach("v0", b.choose)
    b.close("A")
    b.world.attach("v0", b.choose)
    b.bind("A", "v0")
    b.send("A", FRAME)
    with pytest.raises(LookupError, match="v7"):
        b.world.attach("v7", b.choose)


def test_every_stop_is_told_by_a_rule(bench: Callable[..., Any]) -> None:
    b = nic(bench)
    b.world.detach("v0", b.choose)
    assert b.world.txsync("A", b.choose).fired == (stop.IS_GONE, "14/sync/stopped")

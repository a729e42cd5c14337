"""How fast packets go from one port to the other, and that all of them are ours.

Figures are reported, never judged: a slow NIC is not a wrong one. What is judged: every packet that was
handed over leaves the ring in the end, packets do arrive, and no more than were sent.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from netmap_conformance.rate import Rate, measure, user_ports
from netmap_conformance.targets.base import TargetError
from netmap_conformance.targets.entry import native

Told = Callable[[Rate], Rate]
PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(Path(__file__).parent), "-m", "hw"]
SIZES = pytest.mark.parametrize("size", [60, 1514], ids=lambda n: f"{n}-bytes")


def judge(rate: Rate, packets: int) -> None:
    """What must hold on every wire."""
    assert rate.sent == packets, "every packet leaves the transmit ring in the end"
    assert rate.received > 0, f"nothing arrived at {rate.port_b}: are the two ports wired to each other?"
    assert rate.foreign < rate.batches, "only other people's packets arrived"
    if not rate.foreign:
        assert rate.received <= rate.sent, "a packet arrived twice"


@pytest.mark.hw
@SIZES
def test_rate_between_two_named_ports(wire: Any, told: Told, size: int) -> None:
    rate = told(measure(wire.device, wire.port_a, wire.port_b, wire.packets, size))
    judge(rate, wire.packets)


@pytest.fixture
def user_device() -> Iterator[Any]:
    """The device in user space with two ports wired to each other."""
    try:
        device = native("user")
    except TargetError as error:
        pytest.skip(f"{error} (make test builds it)")
    device.configure(user_ports())
    yield device
    device.stop()


@SIZES
def test_rate_over_the_device_in_user_space(user_device: Any, told: Told, size: int) -> None:
    rate = told(measure(user_device, "nma", "nmb", 100_000, size))
    judge(rate, 100_000)
    assert rate.foreign == 0, "nobody else is on this wire"
    assert rate.lost == 0, "its wire loses nothing while the receiver has room"


@pytest.mark.parametrize("packets", [1, 511, 512, 1023, 1024, 5000])
def test_every_packet_is_counted_once(user_device: Any, packets: int) -> None:
    rate = measure(user_device, "nma", "nmb", packets)
    assert (rate.sent, rate.received) == (packets, packets)


def test_a_wire_that_is_cut_is_noticed(user_device: Any) -> None:
    """The control: two ports without a wire between them must not pass."""
    ports = user_ports()
    for port in ports:
        port.peer = ""
    user_device.configure(ports)
    rate = measure(user_device, "nma", "nmb", 100)
    assert rate.received == 0
    with pytest.raises(AssertionError, match="wired to each other"):
        judge(rate, rate.sent)


def test_the_gated_tests_run_when_ports_are_named(user_device: Any) -> None:
    """What a lab types, with the device in user space in the place of a node."""
    options = ["--netmap-device", "user", "--port-a", "left", "--port-b", "right", "--packets", "20000"]
    done = subprocess.run([*PYTEST, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout and "left -> right" in done.stdout


def test_a_node_that_is_not_there_fails_in_one_line(tmp_path: Path) -> None:
    options = ["--netmap-device", str(tmp_path / "netmap"), "--port-a", "left", "--port-b", "right"]
    done = subprocess.run([*PYTEST, *options], capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert str(tmp_path / "netmap") in done.stdout

"""What the hardware tests need from the command line, and where their figures are printed.

Every option has an environment variable, so that ``make hwtest`` can be given either.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from netmap_conformance.errors import UserError
from netmap_conformance.rate import Rate, user_ports
from netmap_conformance.targets.base import TargetError
from netmap_conformance.targets.entry import native

ENABLE = "pytest hwtests --netmap-device /dev/netmap --port-a netmap-port --port-b its-peer"


@dataclass(frozen=True)
class Wire:
    """Two ports at the ends of one wire, and the device that opens them."""

    device: Any
    port_a: str
    port_b: str
    packets: int


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("netmap", "hardware tests of netmap")
    group.addoption("--netmap-device", default=os.environ.get("NETMAP_DEVICE", "/dev/netmap"), metavar="NODE")
    group.addoption("--port-a", default=os.environ.get("NETMAP_PORT_A", ""), metavar="PORT")
    group.addoption("--port-b", default=os.environ.get("NETMAP_PORT_B", ""), metavar="PORT")
    packets = int(os.environ.get("NETMAP_PACKETS", "2000000"))
    group.addoption("--packets", type=int, default=packets, metavar="N")


@pytest.fixture
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    """The two real ports that were named; skips with the command that names them."""
    port_a, port_b = (str(request.config.getoption(name)) for name in ("--port-a", "--port-b"))
    if not port_a or not port_b:
        pytest.skip(f"no ports named; {ENABLE}")
    node = str(request.config.getoption("--netmap-device"))
    try:
        device: Any = native(node)
        if node == "user":
            device.configure(user_ports(port_a, port_b))
    except TargetError as error:
        pytest.fail(str(error), pytrace=False)  # they were asked for: absent is not a skip
    try:
        yield Wire(device, port_a, port_b, int(request.config.getoption("--packets")))
    except UserError as error:
        pytest.fail(error.message, pytrace=False)
    finally:
        device.stop()


@pytest.fixture
def told(record_property: Callable[[str, object], None]) -> Callable[[Rate], Rate]:
    """Keep a rate for the end of the session and for the JUnit file."""

    def keep(rate: Rate) -> Rate:
        record_property("rate", rate.text())
        return rate

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.getreports(kind)]
    rates = [text for r in reports for name, text in getattr(r, "user_properties", ()) if name == "rate"]
    if rates:
        terminalreporter.section("rates")
        for text in rates:
            terminalreporter.line(text)

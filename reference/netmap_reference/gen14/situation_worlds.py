"""The worlds in which requests are made to fail (:mod:`.situations`); requests as functions of a world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.choice import eager
from .result import Result
from .world import PortConfig, World

PORTS = (
    PortConfig("v0", tx_rings=2, rx_rings=2, tx_slots=8, rx_slots=8, driver="e1000"),
    PortConfig("m0", tx_slots=8, rx_slots=8, emulated=True),
    PortConfig("p0", tx_slots=8, rx_slots=8, peer="p1", driver="veth"),
    PortConfig("p1", tx_slots=8, rx_slots=8, peer="p0", driver="veth"),
)

#: An option that no request takes: it is copied in, marked, and copied out.
NOBODYS = [{"type": 99}]


def world(*registered: dict[str, Any]) -> Callable[[], World]:
    """A world with these REGISTERs done, on descriptors A, B, …, and X open for the request."""

    def prepare() -> World:
        w = World(PORTS)
        for fd, fields in zip("ABCDEF", registered, strict=False):
            w.open(fd)
            result = w.register(fd, fields, eager)
            if not result.outcome.ok:
                raise ValueError(f"the situation cannot be prepared: {fields} ends with {result.outcome}")
        w.open("X")
        return w

    return prepare


def register(**fields: Any) -> Callable[[World], Result]:
    """REGISTER on X."""
    return lambda w: w.register("X", fields, eager)


def ask(request: str, **fields: Any) -> Callable[[World], Result]:
    """Another NIOCCTRL request on X."""
    return lambda w: w.ctl("X", request, fields, eager)


def after(*steps: tuple[str, dict[str, Any]]) -> Callable[[], World]:
    """A world with these requests made, each on a descriptor of its own (A, B, …), and X open."""

    def prepare() -> World:
        w = World(PORTS)
        for fd, (request, fields) in zip("ABCDEF", steps, strict=False):
            w.open(fd)
            result = w.ctl(fd, request, fields, eager)
            if not result.outcome.ok:
                raise ValueError(f"the situation cannot be prepared: {request} {fields}: {result.outcome}")
        w.open("X")
        return w

    return prepare


def old(request: str, **fields: Any) -> Callable[[World], Result]:
    """NIOCREGIF or NIOCGINFO on X, with the fields of ``struct nmreq``."""
    return lambda w: w.legacy("X", request, fields, eager)

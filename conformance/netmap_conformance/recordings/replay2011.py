"""Replay of a generation-2011 trace on the model, and the first difference to what was observed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

import msgspec
from netmap_reference.gen2011.snapshot import state
from netmap_reference.gen2011.world import World

from ..trace import Call, Header, Port, Return
from .calls2011 import SOMEWHERE, NotModelled, to_operation, to_return

#: Pool of a scenario that names no limits: what the recordings have.
POOL_LIMIT = 1 << 20
_CONFIG = ("pool_limit", "ring_bytes", "n_buffers")


class Difference(NamedTuple):
    """Where the model and the observation differ first: a path, what the model has, what was seen."""

    path: str
    allowed: Any
    seen: Any


def world_config(header: Header) -> dict[str, Any]:
    """The model's configuration for a trace: its header's, or one made of its ports."""
    given = header.config
    config: dict[str, Any] = {key: given.get(key) for key in _CONFIG}
    config["pool_limit"] = config["pool_limit"] or POOL_LIMIT
    settings = {iface["name"]: iface for iface in given.get("ifs", [])}
    names = [port.name for port in header.ports] or list(settings)
    ports = {port.name: port for port in header.ports}
    config["ifs"] = [settings.get(name) or _iface(ports[name]) for name in names]
    return config


def _iface(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "num_queues": port.tx_rings,
        "num_tx_desc": port.tx_slots,
        "num_rx_desc": port.rx_slots,
    }


class Replay:
    """The model in step with a trace. ``fds`` has the number of each descriptor's name."""

    def __init__(self, header: Header, switches: frozenset[str]) -> None:
        self.world = World(world_config(header), switches)
        self.fds: dict[str, int] = {}
        self._before = self.world
        self._last: tuple[str, dict[str, Any]] = ("open", {})
        self._result: dict[str, Any] = {}

    def state(self) -> dict[str, Any]:
        """What the recordings would show now."""
        return state(self.world)

    def call(self, call: Call) -> Return:
        """Make one call on the model. Raises :class:`NotModelled` when it has no such call."""
        op, args = self._last = to_operation(call, self.fds, self._port_of)
        self._before = self.world.clone()
        try:
            result = self._result = self.world.apply(op, args)
        except ValueError as error:
            raise NotModelled(str(error)) from None
        if op == "open":
            self.fds[call.fd] = result["ret"]
        elif op == "reset":
            self.fds.clear()
        elif op == "close" and "panic" not in result:
            del self.fds[call.fd]
        return to_return(call.n, op, result)

    def matters(self, switch: str) -> bool:
        """Would the last call have ended differently, or left another state, without this deviation?"""
        other = self._before.clone()
        other.switches -= {switch}
        op, args = self._last
        result = other.apply(op, args)
        parts = ("ret", "ev", "panic")
        return any(result.get(p) != self._result.get(p) for p in parts) or other.key() != self.world.key()

    def _port_of(self, fd: str) -> str:
        return self.world.privs[self.fds[fd]].iface


def differences(allowed: Any, seen: Any, path: str = "") -> Iterator[Difference]:
    """Every leaf at which two JSON values differ, in the order of the first one."""
    if isinstance(allowed, dict) and isinstance(seen, dict):
        for key in [*allowed, *(k for k in seen if k not in allowed)]:
            yield from differences(allowed.get(key), seen.get(key), f"{path}.{key}" if path else key)
    elif isinstance(allowed, list) and isinstance(seen, list):
        for i, (a, b) in enumerate(zip_longest(allowed, seen, fillvalue="nothing")):
            yield from differences(a, b, f"{path}[{i}]")
    elif allowed != seen:
        yield Difference(path, allowed, seen)


def compare(allowed: Return, seen: Return) -> Difference | None:
    """The first difference between two returns, in everything that was observed.

    A fault matches when every source line the model names is among those seen: a debugger may show
    more of the stack.
    """
    if allowed.hang != seen.hang:
        return Difference("hang", allowed.hang, seen.hang)
    if allowed.fault or seen.fault:
        lines = seen.fault.split(", ")
        known = [] if allowed.fault == SOMEWHERE else allowed.fault.split(", ")
        if not allowed.fault or not seen.fault or not all(line in lines for line in known):
            return Difference("fault", allowed.fault or "no fault", seen.fault or "no fault")
        return None
    pairs: list[tuple[str, Any, Any]] = [
        ("errno", allowed.errno, seen.errno),
        ("ret", allowed.ret, seen.ret),
        *((name, getattr(allowed, name), getattr(seen, name)) for name in ("revents", "out", "events")),
    ]
    if seen.see is not None and allowed.see is not None:
        pairs += [
            (name, getattr(allowed.see, name), getattr(seen.see, name)) for name in ("frames", "kernel")
        ]
    for name, expected, observed in pairs:
        if observed is None or (name == "errno" and expected == observed):
            continue
        if name == "events":
            for i, (event, other) in enumerate(zip_longest(expected or [], observed, fillvalue="nothing")):
                if event != other:
                    return Difference(f"events[{i}]", event, other)
            continue
        for difference in differences(msgspec.to_builtins(expected), msgspec.to_builtins(observed), name):
            return difference
    return None

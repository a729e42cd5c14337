"""A small machine for the tests of generation 2011, and threads that a test advances by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.core.effects import Effect, Protocol
from netmap_reference.gen2011.device import Context
from netmap_reference.gen2011.readings import AS_WRITTEN
from netmap_reference.gen2011.world import World

SW, HW = 0x2000, 0x4000


class Machine:
    """A world with short calls. Every call returns the recorded ``ret``; ``last`` has the whole result."""

    def __init__(self, switches: frozenset[str], **config: Any) -> None:
        ifs = config.pop("ifs", [{}])
        made = []
        for i, iface in enumerate(ifs):
            defaults = {"name": f"em{i}", "num_queues": 1, "num_tx_desc": 4, "num_rx_desc": 4}
            made.append(defaults | iface)
        self.world = World({"pool_limit": 1 << 20, **config, "ifs": made}, switches)
        self.last: dict[str, Any] = {}

    def __call__(self, op: str, **args: Any) -> Any:
        self.last = self.world.apply(op, args)
        return self.last["ret"]

    def open(self, name: str = "em0", ringid: int = 0) -> int:
        """A descriptor registered on ``name``."""
        fd: int = self("open")
        assert self("regif", fd=fd, name=name, ringid=ringid)[0] == 0
        return fd

    def set(self, ring: str, name: str = "em0", **words: int) -> None:
        self("ring_set", ifname=name, tx=int(ring[0] == "t"), ring=int(ring[2:]), set=words)

    def slot(self, ring: str, index: int, name: str = "em0", **words: int) -> None:
        self("slot_set", ifname=name, tx=int(ring[0] == "t"), ring=int(ring[2:]), slot=index, set=words)

    def kring(self, ring: str, name: str = "em0") -> Any:
        return self.world.ifs[name].krings[ring]

    def ring(self, ring: str, name: str = "em0") -> Any:
        return self.world.ring(self.world.ifs[name], ring)

    def events(self, kind: str) -> list[list[Any]]:
        """Events of one kind in the last operation."""
        return [event for event in self.last["ev"] if event[0] == kind]


class Thread:
    """A protocol that a test advances effect by effect, for one descriptor."""

    def __init__(self, world: World, protocol: Protocol, ctx: Context) -> None:
        self.world, self.protocol, self.ctx = world, protocol, ctx
        self.waiting: Effect | None = None
        self.result: Any = None
        self.done = False
        self._advance(None)

    def _advance(self, answer: Any) -> None:
        try:
            self.waiting = self.protocol.send(answer)
        except StopIteration as end:
            self.done, self.result, self.waiting = True, end.value, None

    def until(self, stop: Callable[[Effect], bool]) -> Thread:
        """Run up to the first effect that ``stop`` accepts; that one is not executed yet."""
        while self.waiting is not None and not stop(self.waiting):
            self._advance(self.world.execute(self.waiting, self.ctx))
        return self

    def finish(self) -> Any:
        """Run to the end."""
        self.until(lambda effect: False)
        return self.result


@pytest.fixture
def machine() -> Callable[..., Machine]:
    """``machine(**config)``: as written; ``machine(switches=frozenset())``: the contract."""

    def make(switches: frozenset[str] = AS_WRITTEN, **config: Any) -> Machine:
        return Machine(switches, **config)

    return make


@pytest.fixture
def thread() -> type[Thread]:
    return Thread

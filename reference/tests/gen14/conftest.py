"""What the tests of generation 14 are written with: an application in front of a :class:`World`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.core.choice import Choose, eager
from netmap_reference.gen14.world import PortConfig, Result, World


class Bench:
    """A device and well-mannered applications. ``choose`` decides what the contract leaves open."""

    def __init__(
        self,
        *ports: PortConfig,
        switches: frozenset[str] = frozenset(),
        choose: Choose = eager,
    ) -> None:
        self.world = World(ports, switches)
        self.choose = choose

    def try_bind(self, fd: str, name: str, **fields: Any) -> Result:
        """Open ``fd`` if it is not open, REGISTER it, whatever comes of it."""
        if not any(held == fd for _, held in self.world.system().holders):
            self.world.open(fd)
        return self.world.register(fd, {"name": name, **fields}, self.choose)

    def bind(self, fd: str, name: str, **fields: Any) -> Result:
        """Open, REGISTER and mmap; all must succeed."""
        result = self.try_bind(fd, name, **fields)
        assert result.outcome.ok, result
        assert self.world.mmap(fd).outcome.ok
        return result

    def put(self, fd: str, ring: str, *packets: bytes, flags: int = 0) -> None:
        """Fill slots from head on and move head and cur past them; no sync. ``flags`` is for all of them."""
        r = self.world.ring(fd, ring)
        for data in packets:
            assert r.head != r.tail, "the ring is full"
            slot = r.slot[r.head]
            offset, size = self.world.buffer(fd, slot.buf_idx)
            assert len(data) <= size
            self.world.region(fd).write(offset, data)
            slot.len, slot.flags = len(data), flags
            r.head = r.cur = (r.head + 1) % r.num_slots

    def send(self, fd: str, *packets: bytes, ring: str = "tx0") -> None:
        """Put packets and txsync."""
        self.put(fd, ring, *packets)
        assert self.world.txsync(fd, self.choose).outcome.ok

    def unread(self, fd: str, ring: str = "rx0") -> list[bytes]:
        """The packets between head and tail; nothing is released."""
        r = self.world.ring(fd, ring)
        found = []
        i = r.head
        while i != r.tail:
            offset, _ = self.world.buffer(fd, r.slot[i].buf_idx)
            found.append(self.world.region(fd).read(offset, r.slot[i].len))
            i = (i + 1) % r.num_slots
        return found

    def receive(self, fd: str, ring: str = "rx0") -> list[bytes]:
        """rxsync, read everything, release it; the release is told to the kernel by the next sync."""
        assert self.world.rxsync(fd, self.choose).outcome.ok
        found = self.unread(fd, ring)
        r = self.world.ring(fd, ring)
        r.head = r.cur = r.tail
        return found

    def words(self, fd: str, ring: str) -> tuple[int, int, int]:
        """``head``, ``cur`` and ``tail`` of the shared page."""
        r = self.world.ring(fd, ring)
        return r.head, r.cur, r.tail

    def set(self, fd: str, ring: str, **words: int) -> None:
        """Store words of the shared page."""
        r = self.world.ring(fd, ring)
        for name, value in words.items():
            setattr(r, name, value)

    def indices(self, fd: str, ring: str) -> list[int]:
        """``buf_idx`` of every slot."""
        r = self.world.ring(fd, ring)
        return [r.slot[i].buf_idx for i in range(r.num_slots)]

    def poll(self, fd: str, *events: str) -> set[str]:
        """One scan; the names it returned."""
        return set(self.world.poll(fd, frozenset(events), self.choose).revents)

    def close(self, *fds: str) -> None:
        for fd in fds:
            assert self.world.close(fd).outcome.ok


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """Make a bench: ``bench(PortConfig("v0"), switches=…, choose=…)``."""
    return Bench


@pytest.fixture
def pipe(bench: Callable[..., Bench]) -> Bench:
    """A pipe of 8 slots a ring, master end bound by ``A``, slave end by ``B``."""
    b = bench()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.bind("B", "x}1")
    return b


@pytest.fixture
def wire(bench: Callable[..., Bench]) -> Bench:
    """Two ports on one wire, 8 slots a ring, bound by ``A`` and ``B``."""
    b = bench(*(PortConfig(a, peer=z, tx_slots=8, rx_slots=8) for a, z in (("v0", "v1"), ("v1", "v0"))))
    b.bind("A", "v0")
    b.bind("B", "v1")
    return b

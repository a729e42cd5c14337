"""A machine of generation 14 under a campaign, and its two checkers.

All the kernel knows are frozen records in dictionaries, so an operation touched what is not the same
object as before. Whether a descriptor is ready is asked of a copy after every operation: what poll
answers must be what the rings' own words say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from random import Random
from typing import Any

from ...core.choice import seeded
from ...gen14.state import System
from ...gen14.world import PortConfig, World
from ..subject import Broken, Unit
from . import acts, moves, objects
from .plug import EXTENSIONS, Found


class Machine14:
    """One machine and its applications, see :class:`..subject.Machine`.

    ``header["profile"]``: ``good`` applications only exchange buffers and use what is theirs, ``wild``
    ones store anything into their rings. ``header["letters"]``: the descriptors there may be.
    """

    def __init__(self, header: dict[str, Any], switches: frozenset[str] = frozenset()) -> None:
        self.honest = header["profile"] == "good"
        self.profile: str = header["profile"]
        self.letters: list[str] = header["letters"]
        self.world = World([PortConfig(**port) for port in header["config"]["ports"]], switches)
        self.coverage: Counter[str] = Counter()
        self.before = _remember(self.world.system())
        self.made = 0
        self.stored = ""
        self.moved = True

    def draw(self, rng: Random) -> Unit:
        return moves.draw(self.world, self.profile, self.letters, rng)

    def possible(self, unit: Unit) -> bool:
        """Only the first operation is asked for: a unit's later ones rest on those before them."""
        return moves.exists(self.world, *unit[0])

    def apply(self, op: str, args: dict[str, Any]) -> list[Broken]:
        """One operation and the check of what it touched. Whatever the model raises is a finding."""
        if not moves.exists(self.world, op, args):
            return []
        page = objects.page(self.world, args["fd"]) if op == "poll" else frozenset()
        try:
            result = acts.make(self.world, op, args)
        except Found as error:
            return [error.broken]
        except Exception as error:  # the model must not raise for anything an application can do
            return [Broken("survives", "14.ring.kring-order", f"{op}: {type(error).__name__}: {error}")]
        self.made += 1
        self.stored = args["fd"] if op in acts.STORES else ""
        self.moved = op not in acts.MOVE_NO_BUFFERS
        if result is not None:
            self.coverage.update(result.fired)
            if result.outcome.kind not in ("OK", "ERRNO"):
                return [Broken("survives", "14.ring.kring-order", f"{op}: {result.outcome}")]
        if op == "poll" and result is not None and result.outcome.ok:
            found = list(objects.polled(self.world, args["fd"], frozenset(args["events"]), result, page))
            if found:
                return found
        return self.touched()

    def touched(self) -> list[Broken]:
        """Check what changed since the last call, and every descriptor's readiness."""
        return list(self._touched())

    def _touched(self) -> Iterator[Broken]:
        s, before = self.world.system(), self.before
        counted = s.files != before.files or s.adapters != before.adapters
        for name, k in s.krings.items():
            old = before.krings.get(name)
            if old is not k:
                yield from objects.kring(s, k)
                counted = counted or old is None or (old.users, old.on) != (k.users, k.on)
        if counted or s.krings.keys() != before.krings.keys():
            for name in s.adapters:
                yield from objects.adapter(s, name)
        if s.waiting != before.waiting or s.woken != before.woken or s.files != before.files:
            yield from objects.sleepers(s)
        for number, a in s.allocators.items():
            if before.allocators.get(number) is not a:
                yield from objects.pools(s, number)
        for extension in EXTENSIONS:
            yield from extension.check(s)
        if self.honest and self.moved:
            yield from objects.places(s)
        yield from self._readiness(self._ports_touched(s))
        self.before = _remember(s)

    def _ports_touched(self, s: System) -> set[str]:
        """The ports of which anything changed since the last call; on others poll finds what it found."""
        before = self.before
        touched = {k.adapter for name, k in s.krings.items() if before.krings.get(name) is not k}
        touched |= {name for name, na in s.adapters.items() if before.adapters.get(name) is not na}
        touched |= {name for name, port in s.ports.items() if before.ports.get(name) is not port}
        touched |= {s.files[file].adapter for (_, fd), file in s.holders.items() if fd == self.stored}
        if s.params != before.params:
            touched |= s.adapters.keys()
        return touched

    def _readiness(self, ports: Collection[str]) -> Iterator[Broken]:
        """Is every descriptor of these ports ready when a ring of it is? Asked of a copy: polls sync."""
        s = self.world.system()
        fds = [fd for (_, fd), file in s.holders.items() if s.files[file].adapter in ports]
        if not fds:
            return
        copy = self.world.clone()
        want = frozenset({"in", "out"})
        for fd in fds:
            page = objects.page(copy, fd)
            result = copy.poll(fd, want, seeded(self.made))
            yield from objects.polled(copy, fd, want, result, page)

    def whole(self) -> list[Broken]:
        """Check everything, from the state alone."""
        return list(self._whole())

    def _whole(self) -> Iterator[Broken]:
        s = self.world.system()
        for k in s.krings.values():
            yield from objects.kring(s, k)
        for name in s.adapters:
            yield from objects.adapter(s, name)
        for number in s.allocators:
            yield from objects.pools(s, number)
        yield from objects.sleepers(s)
        if self.honest:
            yield from objects.places(s)
        yield from self._readiness(s.adapters.keys())


def _remember(s: System) -> System:
    """The records as they are; the regions are not needed to see which record is another one."""
    return System(
        adapters=dict(s.adapters),
        krings=dict(s.krings),
        allocators=dict(s.allocators),
        files=dict(s.files),
        waiting=dict(s.waiting),
        ports=dict(s.ports),
        params=s.params,
        woken=s.woken,
    )

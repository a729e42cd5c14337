"""One state the implementation may be in: a world of the model, and how its numbers are to be read."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from netmap_reference.gen14.ports.vale_device import user_address
from netmap_reference.gen14.ring import CONTRACT
from netmap_reference.gen14.world import Result, World

from ..targets.mapping import Mapping
from .binding import Bindings

#: A descriptor as one process sees it.
View = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Started:
    """A call that took effect before it returned; ``asleep`` is a poll that found nothing so far."""

    result: Result
    asleep: bool = False


class Candidate:
    """A :class:`World`, the bindings of its numbers, and what the observer has looked at.

    ``looks`` has, per view and ring, the slots' bytes at the last look; ``extra`` the buffers a descriptor
    was given beyond its rings; ``started`` the calls that took effect and have not returned; ``inbox``
    frames that came out of a port and were not collected; ``known`` the rings whose leftover words were
    seen; ``deviant`` the deviations this state needed so far, and ``because`` the rules that told of them.
    """

    __slots__ = ("because", "binds", "deviant", "extra", "inbox", "known", "looks", "started", "world")

    def __init__(self, world: World) -> None:
        self.world = world
        self.binds = Bindings()
        self.looks: dict[tuple[View, str], bytes] = {}
        self.extra: dict[str, tuple[int, ...]] = {}
        self.started: dict[int, Started] = {}
        self.inbox: dict[tuple[str, str], tuple[bytes, ...]] = {}
        self.known: frozenset[str] = frozenset()
        self.deviant: frozenset[str] = frozenset()
        self.because: frozenset[str] = frozenset()

    def clone(self) -> Candidate:
        """An independent copy."""
        other = Candidate.__new__(Candidate)
        other.world, other.binds = self.world.clone(), self.binds.clone()
        other.looks, other.extra = dict(self.looks), dict(self.extra)
        other.started, other.inbox = dict(self.started), dict(self.inbox)
        other.known, other.deviant, other.because = self.known, self.deviant, self.because
        return other

    def key(self) -> Hashable:
        """Equal for candidates that judge alike from here on."""
        return (
            self.world.key(),
            self.binds.key(),
            frozenset(self.looks.items()),
            frozenset((n, repr(s)) for n, s in self.started.items()),
            frozenset(self.inbox.items()),
            self.known,
        )

    # --- what a descriptor shows ----------------------------------------------------------------

    def bound(self, fd: str) -> bool:
        """Is the descriptor bound to a port?"""
        try:
            self.world.nifp(fd)
        except LookupError:
            return False
        return True

    def mapping(self, fd: str) -> Mapping:
        """The descriptor's region as its application sees it. Raises ``LookupError`` while it is unbound."""
        nifp = self.world.nifp(fd)
        region = self.world.region(fd)
        return Mapping(region, region.size, nifp.off)

    def memory(self, fd: str) -> int:
        """The model's id of the memory a descriptor maps."""
        s = self.world.system()
        return int(s.adapters[self.adapter(fd)].mem)

    def adapter(self, fd: str) -> str:
        """The port a descriptor is bound to."""
        s = self.world.system()
        for table in (s.holders, s.mapped):
            for (_, name), file in sorted(table.items()):
                if name == fd and s.files[file].adapter:
                    return str(s.files[file].adapter)
        raise LookupError(f"{fd} is not bound to a port")

    def full_name(self, fd: str, ring: str) -> str:
        """``tx0`` of a descriptor as the model calls it, ``v0:tx0``."""
        return f"{self.adapter(fd)}:{ring}"

    def view(self, fd: str, actor: str) -> View | None:
        """The mapping that ``actor`` looks through: its own, else whoever has one; ``None`` for none."""
        mapped = self.world.system().mapped
        if (actor, fd) in mapped:
            return (actor, fd)
        return min((view for view in mapped if view[1] == fd), default=None)

    def address(self, fd: str, ring: str, index: int) -> int:
        """Where the model's application of ``fd`` has the buffer of a slot. Raises ``LookupError``."""
        return user_address(self.memory(fd), self.mapping(fd).buffer(ring, index))

    # --- bookkeeping ----------------------------------------------------------------------------

    def forget_freed(self) -> None:
        """What the model has freed is unbound: the implementation may give it out in another order."""
        s = self.world.system()
        for kind in self.binds.kinds():
            what, mem = kind
            a = s.allocators.get(mem)
            if what == "mem":
                self.binds.forget(kind, lambda number: number in s.allocators)
            elif a is None:
                self.binds.forget(kind, _nothing)
            elif what == "buf":
                used = a.buf_pool.used
                self.binds.forget(kind, used.__contains__)
            elif what == "ring":
                offsets = {a.ring_offset(i) for i in a.ring_pool.used}
                self.binds.forget(kind, offsets.__contains__)
            elif what == "nifp":
                offsets = {a.if_offset(i) for i in a.if_pool.used}
                self.binds.forget(kind, offsets.__contains__)
        self.known = frozenset(name for name in self.known if name in s.krings and s.krings[name].ring >= 0)
        self.looks = {key: data for key, data in self.looks.items() if key[0] in s.mapped}

    def owns(self, mem: int, buf_idx: int) -> bool:
        """Is this a buffer that the model's pool has given out?"""
        return buf_idx > 1 and buf_idx in self.world.system().allocators[mem].buf_pool.used

    def to_model(self, mem: int, seen: int) -> int:
        """The model's number for a buffer index that the application wrote as the implementation's number."""
        known = self.binds.model(("buf", mem), seen)
        if known is not None:
            return known
        if self.owns(mem, seen) and self.binds.seen(("buf", mem), seen) is None:
            return seen
        if not self.owns(mem, seen):
            return seen
        # Nobody was shown this number, and the model has given it to something else: keep the two apart.
        alias = seen ^ 1 << 31
        self.binds.bind(("alias", mem), alias, seen)
        return alias

    def to_seen(self, mem: int, model: int) -> int | None:
        """The implementation's number for a buffer index in the model's slots; ``None``: not bound yet."""
        known = self.binds.seen(("buf", mem), model)
        if known is not None:
            return known
        if self.owns(mem, model):
            return None
        alias = self.binds.seen(("alias", mem), model)
        return model if alias is None else alias


def _nothing(number: int) -> bool:
    return False


def unique(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates without repetitions; of equal ones, that with the fewest deviations."""
    found = list(candidates)
    if len(found) < 2:
        return found
    kept: dict[Any, Candidate] = {}
    for c in found:
        key = c.key()
        if key not in kept or len(c.deviant) < len(kept[key].deviant):
            kept[key] = c
    return list(kept.values())


def fresh(world: World) -> Candidate:
    """The only candidate of a device nobody has used."""
    world.switches = CONTRACT
    return Candidate(world)

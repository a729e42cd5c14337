"""A machine of generation 2011 under a campaign: the model, and the two checkers beside it.

After an operation the *shadow* (what was there before) tells what changed: everything the kernel and
the NIC keep is replaced and never edited, so identity shows it, and the region lists its stores. Only
those objects are checked by ``touched``; ``whole`` looks at every object and uses no shadow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

from ...core.effects import Effect, Sleep, WriteKernel
from ...core.step import RULES
from ...gen2011.device import Context, Interface, Panic
from ...gen2011.memory import Obj
from ...gen2011.operations import OPERATIONS, STORES
from ...gen2011.readings import CONTRACT
from ...gen2011.world import World
from ..subject import Broken, Operation, Unit
from . import moves, objects
from .ghost import Ghost
from .possible import exists, possible
from .region import WatchedRegion
from .shadow import Shadow, Slots, area_of


class CampaignWorld(World):
    """The model; while a call sleeps in the kernel, other operations can be made.

    ``meanwhile`` holds what happens during the next sleep. The sleeper holds no lock, so an operation
    made whole at that point is one of the legal interleavings.
    """

    meanwhile: list[Operation]
    #: Every object list of this operation: some objects are made and given back within one.
    lists: list[tuple[Obj, ...]]

    def boot(self) -> None:
        self.meanwhile, self.lists = [], []
        super().boot()

    def load(self) -> None:
        super().load()
        self.region = WatchedRegion.watch(self.region)

    def execute(self, effect: Effect, ctx: Context) -> Any:
        answer = super().execute(effect, ctx)
        if isinstance(effect, WriteKernel) and effect.where == ("mem", "objs"):
            self.lists.append(effect.value)
        elif isinstance(effect, Sleep) and self.meanwhile:
            made, self.meanwhile = self.meanwhile, []
            for op, args in made:
                if exists(self, op, args):
                    (STORES.get(op) or OPERATIONS[op])(self, args)
        return answer


class Machine2011:
    """One machine and its users, see :class:`..subject.Machine`.

    ``header["profile"]``: ``good`` users keep every rule, ``bad`` ones make mistakes but store no
    buffer's number that is not theirs, ``wild`` ones store anything anywhere.
    """

    def __init__(self, header: dict[str, Any], switches: frozenset[str] = CONTRACT) -> None:
        self.profile: str = header["profile"]
        self.honest = self.profile != "wild"
        self.world: CampaignWorld = CampaignWorld(header["config"], switches)
        self.coverage: Counter[str] = self.world.coverage
        self.ghost = Ghost()
        self.shadow = Shadow(self.world)

    def copy(self) -> Machine2011:
        """The same state, to be spoilt: the copy's shadow is the copy as it is now."""
        other = object.__new__(Machine2011)
        other.profile, other.honest, other.ghost = self.profile, self.honest, self.ghost
        other.world = self.world.clone()  # type: ignore[assignment]
        other.world.events, other.world.lists = [], []
        other.coverage, other.shadow = other.world.coverage, Shadow(other.world)
        return other

    def draw(self, rng: Random) -> Unit:
        return moves.draw(self.world, self.profile, rng)

    def possible(self, unit: Unit) -> bool:
        return possible(self.world, unit, self.honest)

    def apply(self, op: str, args: dict[str, Any]) -> list[Broken]:
        """One operation and the check of what it touched. Whatever the model raises is a finding."""
        world = self.world
        world.fired, world.events, world.recorded, world.lists = [], [], [], []
        world.region.written.clear()  # type: ignore[attr-defined]
        self.ghost.before(world, op, args)
        self.ghost.in_hand = frozenset()
        args = self._with_meanwhile(args)
        try:
            if op in STORES:
                STORES[op](world, args)
            else:
                OPERATIONS[op](world, args)
        except Panic as panic:
            return [Broken("survives", self._clause(), f"{op}: {panic.outcome} at {', '.join(panic.at)}")]
        except Exception as error:  # the model must not raise for anything a user or a NIC can do
            return [Broken("survives", self._clause(), f"{op}: {type(error).__name__}: {error}")]
        if op == "slot_set" and self.honest and "buf_idx" in args["set"]:
            self.ghost.in_hand = self._in_hand(args)
        self.ghost.after(world, op, args)
        return self.touched(op in STORES)

    def _with_meanwhile(self, args: dict[str, Any]) -> dict[str, Any]:
        self.world.meanwhile = [(op, given) for op, given in args.get("meanwhile", [])]
        return args

    def _clause(self) -> str:
        """The clause of the last rule that fired: where the model was."""
        return RULES[self.world.fired[-1]].clause if self.world.fired else "2011.control.private"

    def _in_hand(self, args: dict[str, Any]) -> frozenset[int]:
        """The two buffers of a swap after its first store: one is in two slots, the other in none."""
        slots = Slots(self.world)
        new = args["set"]["buf_idx"]
        missing = set(range(2, self.world.pool.total)) - set(slots.index.values()) - self.world.pool.bitmap
        return frozenset({new} | missing) if missing else frozenset()

    # --- the two checkers ---------------------------------------------------------------------

    def touched(self, by_user: bool = False) -> list[Broken]:
        """Check what changed since the last call."""
        return list(self._touched(by_user))

    def _touched(self, by_user: bool) -> Iterator[Broken]:
        world, shadow, ghost = self.world, self.shadow, self.ghost
        yield from objects.locks(world)
        before = shadow.area
        changed = shadow.update(world, ghost.in_hand)
        region: WatchedRegion = world.region  # type: ignore[assignment]
        ghost.stored(region.written, world.layout.buf_start, by_user and not self.honest)
        if not by_user and not changed.fresh:
            areas = [before, shadow.area, *(area_of(objs, world.layout.size) for objs in world.lists[:-1])]
            for at, length in region.written:
                yield from objects.written(world, areas, at, length, self.honest)
        if changed.area:
            yield from objects.area(world)
        for fd in changed.fds:
            yield from objects.descriptor(world, fd)
        for name in changed.interfaces:
            yield from objects.interface(world, world.ifs[name])
        for name in changed.layouts:
            yield from objects.layout(world, world.ifs[name], ghost)
        for name, ring in changed.krings:
            yield from objects.kring(world, world.ifs[name], ring, self._astray(name, ring))
        for name, tx, q in changed.queues:
            yield from self._queue(world.ifs[name], tx, q)
        if changed.pool:
            yield from objects.pool(world, len(shadow.slots.index), self.honest)
        if self.honest:
            for index in changed.buffers - ghost.in_hand:
                yield from objects.buffer(world, index, shadow.slots.owners[index])
        for iface in world.ifs.values():
            yield from objects.sleepers(world, iface, ghost.expected(iface.name))

    def whole(self) -> list[Broken]:
        """Check everything, from the state alone."""
        return list(self._whole())

    def _whole(self) -> Iterator[Broken]:
        world = self.world
        slots = Slots(world)
        yield from objects.locks(world)
        yield from objects.area(world)
        yield from objects.pool(world, len(slots.index), self.honest)
        if self.honest:
            for index in (set(range(world.pool.total)) | set(slots.owners)) - self.ghost.in_hand:
                yield from objects.buffer(world, index, slots.owners[index])
        for fd in sorted(set(world.fds) | set(world.privs)):
            yield from objects.descriptor(world, fd)
        for iface in world.ifs.values():
            yield from objects.interface(world, iface)
            yield from objects.layout(world, iface, self.ghost)
            yield from objects.sleepers(world, iface, self.ghost.expected(iface.name))
            for ring in iface.krings:
                yield from objects.kring(world, iface, ring, self._astray(iface.name, ring))
            for q in range(iface.num_queues):
                yield from self._queue(iface, True, q)
                yield from self._queue(iface, False, q)

    def _astray(self, name: str, ring: str) -> bool:
        return ring[0] == "t" and (name, int(ring[2:])) in self.ghost.astray

    def _queue(self, iface: Interface, tx: bool, q: int) -> Iterator[Broken]:
        if not objects.in_mode(iface):
            return
        if not tx:
            yield from objects.rx_queue(self.world, iface, q, self.honest, self.ghost.in_hand)
        elif (iface.name, q) not in self.ghost.astray:
            yield from objects.tx_queue(self.world, iface, q, self.honest)

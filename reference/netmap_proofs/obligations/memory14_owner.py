"""Generation 14: each buffer has one owner, for any number of buffers, rings, chains and moves.

A *place* is whatever can name a buffer: a slot of any ring (the two rings of a pipe share theirs), a slot of
a monitor, a link of a chain of extra buffers. What places name is a function of which nothing is known; so is
``owner``, which says for a buffer in use who has it. The invariant is told of two places and one buffer, all
arbitrary, so it holds of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from netmap_reference.core.step import Step
from netmap_reference.gen14 import memory
from netmap_reference.gen14.ports import monitor
from netmap_reference.gen14.ring import Slot

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import always

ObjPool = memory.ObjPool
Names = Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Held:
    """The buffers in use, what each place names (0: nothing), and where each buffer in use is."""

    used: Any
    names: Names
    owner: Names


class _Reserved:
    """What is in use of a fresh pool: buffers 0 and 1."""

    def has(self, index: int) -> bool:
        return (index >= 0) & (index < len(memory.RESERVED))


def _in(members: Any, index: int) -> bool:
    found: bool = members.has(index)
    return found


def _set(p: Proof, function: Names, at: int, value: int) -> Names:
    """The function with one value changed."""
    return lambda x: p.pick(x == at, value, function(x))


def owner_body(
    p: Proof,
    given: Callable[[ObjPool, int], Step[memory.Taken]],
    obj_free: Callable[[ObjPool, int], Step[ObjPool]],
    swap_slots: Callable[[Slot, Slot, int], Step[tuple[Slot, Slot]]],
) -> None:
    total = p.integer("objtotal", 2)
    c, d, i = p.integer("place", 0), p.integer("another", 0), p.integer("buffer", 2)

    def names_well(h: Held, at: int) -> bool:
        """A place names nothing, or a buffer of the pool that is in use and not reserved."""
        index = h.names(at)
        return (index == 0) | ((index >= 2) & (index < total) & _in(h.used, index))

    def apart(h: Held, one: int, two: int) -> bool:
        """Two places do not name the same buffer."""
        return (one == two) | (h.names(one) == 0) | (h.names(one) != h.names(two))

    def found(h: Held, index: int) -> bool:
        """A buffer in use is where ``owner`` says."""
        return (_in(h.used, index) ^ True) | (h.names(h.owner(index)) == index)

    def invariant(h: Held) -> Iterator[bool]:
        yield _in(h.used, 0) & _in(h.used, 1)
        yield names_well(h, c)
        yield names_well(h, d)
        yield apart(h, c, d)
        yield found(h, i)

    def known(h: Held, *places: int) -> None:
        """The invariant, of these places and those it is told of."""
        everywhere = (*places, c, d)
        p.assume_all([names_well(h, at) for at in everywhere])
        p.assume_all([apart(h, one, two) for one in everywhere for two in everywhere])

    def pool(h: Held) -> ObjPool:
        return ObjPool(64, total, h.used)

    def gives(h: Held) -> Held:
        """An allocation for a place that names nothing: a ring that is made, a chain that grows."""
        place, index = p.integer("for", 0), p.integer("lowest", 0)
        known(h, place)
        # 14.memory.lowest delivers an object that is free; the reserved ones never are.
        p.assume_all([h.names(place) == 0, index < total, _in(h.used, index) ^ True, index >= 2])
        got = p.run(given, pool(h), index).state
        return Held(got.pool.used, _set(p, h.names, place, got.index), _set(p, h.owner, got.index, place))

    def takes_back(h: Held) -> Held:
        """A place that goes gives its buffer back: a ring that is deleted, a chain that is returned."""
        place = p.integer("of", 0)
        known(h, place)
        index = h.names(place)
        p.assume(index >= 2)
        after = p.run(obj_free, pool(h), index).state
        return Held(after.used, _set(p, h.names, place, 0), h.owner)

    def exchanges(h: Held) -> Held:
        """Two places exchange their buffers: a slot and a monitor's, a host's, or an extra one."""
        a, b = p.integer("one", 0), p.integer("two", 0)
        p.assume(a != b)
        known(h, a, b)
        mine, theirs = Slot(h.names(a), 60, 0, 0), Slot(h.names(b), 0, 0, 0)
        watched, taken = p.run(swap_slots, mine, theirs, 0).state
        names = _set(p, _set(p, h.names, a, watched.buf_idx), b, taken.buf_idx)

        def owner(index: int) -> int:
            before = h.owner(index)
            return p.pick(before == a, b, p.pick(before == b, a, before))

        return Held(h.used, names, owner)

    def arbitrary(name: str) -> Held:
        return Held(p.any_set(f"{name}.used"), p.function(f"{name}.names"), p.function(f"{name}.owner"))

    always(
        p,
        "one owner",
        starts=[Held(_Reserved(), lambda place: 0, lambda index: 0)],
        arbitrary=arbitrary,
        invariant=invariant,
        steps={"a buffer is given": gives, "it is taken back": takes_back, "two are exchanged": exchanges},
    )


def _takes_only(theirs: Slot, mine: Slot, flags: int) -> Step[tuple[Slot, Slot]]:
    """The buffer is taken and stays where it was, too."""
    got = monitor.swap_slots(theirs, mine, flags)
    return Step((Slot(theirs.buf_idx, theirs.len, theirs.flags, theirs.ptr), got.state[1]), got.fired)


obligation(
    "14.memory.one-owner",
    clauses=(
        *("14.memory.one-slot", "14.memory.pool", "14.memory.reserved", "14.memory.returned"),
        "14.monitor.zcopy-slot",
    ),
    statement="""Whatever well-behaved programs do, any number of times: a buffer in use is in exactly one
    place, a slot of a ring, of a monitor, or a link of a chain of extra buffers; no place names one that is
    free, reserved or no buffer; none is lost. For any number of buffers and places.""",
    functions=(memory.given, memory.obj_free, monitor.swap_slots),
    control=Control(
        "what is exchanged stays in both places",
        memory.given,
        memory.obj_free,
        _takes_only,
        goal="one owner: two are exchanged",
    ),
    assumptions="""Every change of who has a buffer is one of three steps: it is given to a place that has
    none (the lowest free one, 14.memory.lowest), taken back from the place that has it, or exchanged with
    another one's. That requests, syncs and closes make no others is explored: 14.life.pipe,
    14.life.monitor.""",
    rules=(memory.TAKEN, memory.FREED),
)(owner_body)

"""Generation 2011, the object area: ``alloc`` and ``free`` on a list of any length.

The list is its length and three functions of an object's number. Each walk is a fold whose invariant
says that no object passed so far is the one looked for, told of an arbitrary one, ``other``. Where the walk
ends, the change of the list is made out of the objects there and their neighbours; that the changed list
satisfies the invariant is asked at an arbitrary number of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from netmap_reference.core.step import Step
from netmap_reference.gen2011 import memory

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import fold, induction

Obj = memory.Obj
Place = memory.Place


class AnyList:
    """An arbitrary list that tiles ``[0, total)`` and has no two free neighbours; never empty.

    Nothing is assumed of an object before :meth:`know` names its number: the invariant holds for every
    number, so it may be assumed at any. Conditions are joined by ``&`` and ``|``, which do not fork.
    """

    def __init__(self, p: Proof) -> None:
        self.p = p
        self.length = p.integer("length", 1)
        self.total = p.integer("total", 1)
        self._offset, self._size = p.function("list.offset"), p.function("list.size")
        self._used = p.function("list.used")

    def __getitem__(self, at: int) -> Obj:
        return Obj(self._offset(at), self._size(at), self._used(at) == 1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyList)  # a body has one

    __hash__ = None  # type: ignore[assignment]

    def know(self, *numbers: int) -> None:
        """Assume the invariant at these numbers; those that are no object's say nothing."""
        for at in numbers:
            self.p.assume((at < 0) | (at >= self.length) | _in_order(self, at))


class Changed:
    """The list after a change, object by object: what ``memory.spliced`` means for any length."""

    def __init__(self, before: AnyList, change: memory.Splice) -> None:
        self.before, self.change = before, change
        self.grown = len(change.new) - (change.stop - change.start)
        self.length = before.length + self.grown
        self.total = before.total

    def __getitem__(self, at: int) -> Obj:
        if at < self.change.start:
            return self.before[at]
        for number, obj in enumerate(self.change.new):
            if at == self.change.start + number:
                return obj
        return self.before[at - self.grown]


def _not(holds: bool) -> bool:
    return holds ^ True


def _in_order(objs: AnyList | Changed, at: int) -> bool:
    """The invariant at object number ``at``, from its neighbour before to its neighbour behind."""
    obj, behind = objs[at], objs[at + 1]
    end = obj.offset + obj.size
    last = at == objs.length - 1
    return (
        (obj.size > 0)
        & ((at != 0) | (obj.offset == 0))
        & (_not(last) | (end == objs.total))
        & (last | ((behind.offset == end) & (obj.used | behind.used)))
    )


def _same(one: Obj, two: Obj) -> bool:
    return (one.offset == two.offset) & (one.size == two.size) & (one.used == two.used)


def _is_sound(p: Proof, before: AnyList, change: memory.Splice, at: int, taken: int = 0) -> None:
    """The changed list satisfies the invariant.

    Objects in use are what they were but for number ``at``, which the change is about; the first ``taken``
    of the new ones come into use by it.
    """
    start, stop = change.start, change.stop
    p.goal("the change lies inside the list", start >= 0, start <= stop, stop <= before.length)
    after = Changed(before, change)
    p.goal("the list never becomes empty", after.length >= 1)
    k = p.integer("k", 0)
    p.assume(k < after.length)
    before.know(0, start - 1, start, start + 1, start + 2, stop, k, k - after.grown)
    p.goal("ends meet, the size is the same, none is empty, no two free neighbours", _in_order(after, k))
    j = p.integer("j", 0)
    kept = (j < start) | (j >= stop) | (j == at) | _not(before[j].used)
    for obj in change.new:
        kept = kept | _same(obj, before[j])
    p.goal("no other object in use is touched", kept)
    for obj in change.new[taken:]:
        was_there = _same(obj, before[at - 1]) | _same(obj, before[at + 1])
        p.goal("nothing else comes into use", _not(obj.used) | was_there)


# --- allocation ---------------------------------------------------------------------------------------


def _seek_larger(at: int, obj: Obj, size: int) -> Place:
    return memory.seek_fit(at, obj, size + 1)


@obligation(
    "2011.memory.first-fit",
    clauses=("2011.memory.first-fit", "2011.memory.coalesce"),
    statement="""An allocation takes the free object of the lowest number that is large enough, and fails,
    changing nothing, exactly when there is none; the list stays sound: ends meet, the total is the same, no
    empty object, no two free neighbours, no other object in use touched. For lists of any length.""",
    functions=(memory.seek_fit, memory.take),
    control=Control("an object of exactly the size is passed over", _seek_larger, memory.take),
    assumptions="size >= 1; the list satisfies the invariant.",
)
def first_fit(
    p: Proof,
    seek_fit: Callable[[int, Obj, int], Place],
    take: Callable[[int, Obj | None, int], Step[memory.Taken]],
) -> None:
    objs = AnyList(p)
    size, other = p.integer("size", 1), p.integer("other", 0)

    def large_enough(at: int) -> bool:
        return _not(objs[at].used) & (objs[at].size >= size)

    end = _walk(p, objs, other, large_enough, lambda at: p.run(seek_fit, at, objs[at], size))
    got = p.run(take, end.at, objs[end.at] if end.found else None, size).state
    if got.offset is None:
        nothing_fits = (other >= objs.length) | _not(large_enough(other))
        p.goal("it fails only when nothing fits", nothing_fits, _not(end.found))
        p.goal("a failure changes nothing", got.change.start == got.change.stop, got.change.new == ())
        return
    not_before = other >= end.at
    p.goal("the first that fits is taken", large_enough(end.at), not_before | _not(large_enough(other)))
    p.goal("its place is the answer", got.offset == objs[end.at].offset)
    taken = got.change.new[0]
    p.goal("the object is what was asked for", _same(taken, Obj(got.offset, size, True)))
    _is_sound(p, objs, got.change, end.at, taken=1)


def _walk(
    p: Proof, objs: AnyList, other: int, wanted: Callable[[int], bool], look: Callable[[int], Place]
) -> Place:
    """Where a walk from the first object on has ended: at a wanted one, or behind the last."""

    def invariant(place: Place) -> list[bool]:
        return [
            place.at <= objs.length,
            (other >= place.at) | _not(wanted(other)),
            _not(place.found) | ((place.at < objs.length) & wanted(place.at)),
        ]

    def one_round(place: Place) -> Place | None:
        if place.found or place.at >= objs.length:
            return None
        after = look(place.at)
        p.goal("every round gets on", after.found | (after.at == place.at + 1))
        return after

    end = fold(
        p,
        "walk",
        start=Place(0, False),
        arbitrary=lambda name: p.symbolic(Place, name, lo=0),
        invariant=invariant,
        step=one_round,
    )
    p.assume(end.found | (end.at >= objs.length))
    return end


# --- giving back --------------------------------------------------------------------------------------


def _seek_inside(at: int, obj: Obj, offset: int) -> Place:
    inside = obj.used and obj.offset <= offset and offset < obj.offset + obj.size
    return Place(at, True) if inside else Place(at + 1, False)


@obligation(
    "2011.memory.free",
    clauses=("2011.memory.first-fit", "2011.memory.coalesce", "2011.memory.free-unknown"),
    statement="""Giving back the object in use at an offset (there is never a second one) frees it and merges
    it with its free neighbours; any other offset, and none at all, changes nothing and is logged; the list
    stays sound as in 2011.memory.first-fit. For lists of any length.""",
    functions=(memory.seek_used, memory.give, memory.free),
    control=Control(
        "an offset inside an object is taken for its beginning", _seek_inside, memory.give, memory.free
    ),
    assumptions="The list satisfies the invariant; any offset, or NULL.",
)
def freeing(
    p: Proof,
    seek_used: Callable[[int, Obj, int], Place],
    give: Callable[[int, Obj | None, Obj | None, Obj | None], Step[memory.Given]],
    free: Callable[[tuple[Obj, ...], None], Step[memory.Free]],
) -> None:
    objs = AnyList(p)
    if p.split("NULL") == 1:
        whole = cast("tuple[Obj, ...]", objs)
        nothing = p.run(free, whole, None).state
        p.goal("NULL is logged and changes nothing", nothing.log != 0, nothing.objs is whole)
        return
    offset, other = p.integer("offset"), p.integer("other", 0)

    def at_offset(at: int) -> bool:
        return objs[at].used & (objs[at].offset == offset)

    end = _walk(p, objs, other, at_offset, lambda at: p.run(seek_used, at, objs[at], offset))
    if not end.found:
        got = p.run(give, end.at, None, None, None).state
        unknown = (other >= objs.length) | _not(at_offset(other))
        p.goal("only what is unknown is logged", unknown, got.log != 0)
        p.goal("what is unknown changes nothing", got.change.start == got.change.stop, got.change.new == ())
        return
    cur = objs[end.at]
    if p.split("the only one") == 0:
        _only_one(p, objs, end.at, other)
        p.goal("there is no second one", (other >= objs.length) | _not(at_offset(other)))
        return
    prev = objs[end.at - 1] if end.at > 0 else None
    behind = objs[end.at + 1] if end.at + 1 < objs.length else None
    got = p.run(give, end.at, prev, cur, behind).state
    p.goal("the object at the offset is meant", at_offset(end.at), got.log == 0)
    freed = cur.size < 0
    for obj in got.change.new:
        whole_of_it = (obj.offset <= cur.offset) & (cur.offset + cur.size <= obj.offset + obj.size)
        freed = freed | (_not(obj.used) & whole_of_it)
    objs.know(end.at - 1, end.at, end.at + 1)
    p.goal("the object is free now", freed)
    _is_sound(p, objs, got.change, end.at)


def _only_one(p: Proof, objs: AnyList, at: int, other: int) -> None:
    """From here on ``other`` lies behind ``at``, and that it has a higher offset is known."""
    objs.know(at)
    known = induction(
        p,
        "offsets rise",
        claim=lambda m: [(at + 1 + m >= objs.length) | (objs[at + 1 + m].offset > objs[at].offset)],
        unfold=lambda m: objs.know(at + 1 + m),
    )
    p.assume(other > at)  # those before it are the walk's invariant
    known(other - at - 1)

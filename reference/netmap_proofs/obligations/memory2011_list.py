"""Generation 2011, the object area: first fit and coalescing on a list of any length.

The list tiles the area and holds no two free neighbours. Both are properties of neighbours, so it is
enough to walk the list once: a :class:`Walk` says where the next object must begin and whether the
last one was free. ``carve`` and ``release`` replace one to three objects in the middle; that any
prefix and any suffix still fit around the replacement makes the statement hold for every list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from netmap_reference.core.effects import Do, Lock, Protocol, Unlock
from netmap_reference.core.step import Step
from netmap_reference.gen2011 import memory
from netmap_spec import invariants as spec

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, fold

Obj = memory.Obj
_CLAUSES = ("2011.memory.first-fit", "2011.memory.coalesce")


@dataclass(frozen=True, slots=True)
class Walk:
    """Having walked a prefix of the list: where the next object must begin, and what the last one was."""

    end: int
    last_free: bool


def fits_behind(walk: Walk, obj: Obj) -> list[bool]:
    """May ``obj`` come next? It begins where the last ended, is not empty, and is no second free one."""
    return [obj.offset == walk.end, obj.size > 0, obj.used or not walk.last_free]


def walked(walk: Walk, obj: Obj) -> Walk:
    return Walk(obj.offset + obj.size, not obj.used)


def _arbitrary(p: Proof) -> Callable[[str], Walk]:
    return lambda name: p.symbolic(Walk, name, lo=0)


def _prefix(p: Proof) -> Walk:
    """Somewhere in an arbitrary list that satisfies the invariant: the cut point of the walk over it."""

    def step(walk: Walk) -> Walk:
        obj = p.symbolic(Obj, "walk.item", lo=0)
        p.assume_all(fits_behind(walk, obj))
        return walked(walk, obj)

    return fold(
        p,
        "walk",
        start=Walk(0, False),
        arbitrary=_arbitrary(p),
        invariant=lambda walk: [walk.end >= 0],
        step=step,
    )


def _replaced(p: Proof, before: Walk, old: Iterable[Obj], new: Iterable[Obj], last: bool = False) -> None:
    """``new`` may stand where ``old`` stood: the same bytes are tiled, and any suffix still fits."""
    was = before
    for obj in old:
        was = walked(was, obj)
    now = before
    for obj in new:
        p.goal("the list tiles the area without gap or overlap", obj.offset == now.end, obj.size > 0)
        p.goal("no two free neighbours", obj.used or not now.last_free)
        now = walked(now, obj)
    p.goal("the bytes are the same", now.end == was.end)
    if last:
        return
    following = p.symbolic(Obj, "following", lo=0)
    p.assume_all(fits_behind(was, following))
    p.goal("whatever followed still fits", *fits_behind(now, following))


def _carve_forgets_rest(obj: Obj, size: int) -> Step[memory.Carved]:
    return Step(memory.Carved(Obj(obj.offset, size, True), None))


@obligation(
    "2011.memory.carve",
    clauses=("2011.memory.first-fit", "2011.memory.exact-fit"),
    statement="""Cutting bytes off an object that has them keeps the list tiling the area without two free
    neighbours, and the cut object has exactly the size asked for. For lists of any length.""",
    functions=(memory.fits, memory.carve),
    control=Control("what is left of the object is lost", memory.fits, _carve_forgets_rest),
    assumptions="size >= 1; the list before satisfies the invariant; any prefix, any suffix.",
)
def carving(
    p: Proof, fits: Callable[[Obj, int], bool], carve: Callable[[Obj, int], Step[memory.Carved]]
) -> None:
    before = _prefix(p)
    obj = p.symbolic(Obj, "obj", lo=0)
    size = p.integer("size", 1)
    p.assume_all(fits_behind(before, obj))
    if not p.run(fits, obj, size):
        p.goal("only a used or too small object is passed over", obj.used or obj.size < size)
        return
    got = p.run(carve, obj, size).state
    p.goal("the new object is what was asked for", got.taken.used, got.taken.size == size)
    p.goal("it lies where the free one was", got.taken.offset == obj.offset)
    _replaced(p, before, [obj], [got.taken] if got.rest is None else [got.taken, got.rest])


def _release_one_side(prev: Obj | None, cur: Obj, next: Obj | None) -> Step[tuple[Obj, ...]]:
    got = memory.release(prev, cur, None)
    return Step((*got.state, *([] if next is None else [next])), got.fired)


@obligation(
    "2011.memory.release",
    clauses=("2011.memory.coalesce",),
    statement="""Giving an object back merges it with its free neighbours: the list still tiles the area and
    has no two free neighbours. For lists of any length, the object being first, last, both or neither.""",
    functions=(memory.release,),
    control=Control("the next object is not merged", _release_one_side),
    assumptions="The list before satisfies the invariant; any prefix, any suffix.",
)
def releasing(p: Proof, release: Callable[[Obj | None, Obj, Obj | None], Step[tuple[Obj, ...]]]) -> None:
    first = p.split("first in the list") == 0
    before = Walk(0, False) if first else _prefix(p)
    walk, old = before, []
    prev: Obj | None = None
    if not first:
        prev = p.symbolic(Obj, "prev", lo=0)
        p.assume_all(fits_behind(walk, prev))
        walk = walked(walk, prev)
        old.append(prev)
    cur = p.symbolic(Obj, "cur", lo=0, used=True)
    p.assume_all(fits_behind(walk, cur))
    walk = walked(walk, cur)
    old.append(cur)
    next: Obj | None = None
    if p.split("last in the list") == 1:
        next = p.symbolic(Obj, "next", lo=0)
        p.assume_all(fits_behind(walk, next))
        old.append(next)
    step = p.run(release, prev, cur, next)
    got, alone = step.state, memory.RELEASE_ALONE in step.fired
    p.goal("the rule says whether it was merged", alone == (len(got) == len(old)))
    p.goal("what was given back is free", any(not o.used and o.offset <= cur.offset for o in got))
    _replaced(p, before, old, got, last=next is None)


# --- the whole functions, on short lists -------------------------------------------------------------


def _list(p: Proof, length: int) -> tuple[Obj, ...]:
    """A list of ``length`` objects that satisfies the invariant; every size and every state of use."""
    walk, objs = Walk(0, False), []
    for number in range(length):
        obj = Obj(walk.end, p.integer(f"size{number}", 1), p.truth(f"used{number}"))
        p.assume_all(fits_behind(walk, obj))
        walk = walked(walk, obj)
        objs.append(obj)
    return p.show("list", tuple(objs))


def _sound(p: Proof, objs: tuple[Obj, ...], total: int) -> None:
    tiles = spec.objects_tile([(o.offset, o.size) for o in objs], total)
    p.goal("the list tiles the area without gap or overlap", tiles)
    p.goal("no two free neighbours", spec.free_coalesced([o.used for o in objs]))


_LENGTH = 4
_SHORT = f"""Lists of at most {_LENGTH} objects, with any sizes: the code treats the objects of a list alike
and looks at no more than three of them at once; 2011.memory.carve and .release have no bound."""


def _alloc_last_fit(objs: tuple[Obj, ...], size: int) -> Step[memory.Alloc]:
    for at in range(len(objs) - 1, -1, -1):
        if memory.fits(objs[at], size):
            head = memory.alloc(objs[at:], size)
            return Step(memory.Alloc((*objs[:at], *head.state.objs), head.state.offset), head.fired)
    return Step(memory.Alloc(objs, None), (memory.ALLOC_NONE,))


@obligation(
    "2011.memory.first-fit.bounded",
    clauses=_CLAUSES,
    statement="""An allocation takes the first free object that is large enough, and fails exactly when there
    is none; the list stays sound.""",
    functions=(memory.alloc,),
    control=Control("the last object that is large enough is taken", _alloc_last_fit),
    assumptions="size >= 1; the list satisfies the invariant.",
    bounds=_SHORT,
)
def first_fit(p: Proof, alloc: Callable[[tuple[Obj, ...], int], Step[memory.Alloc]]) -> None:
    objs = _list(p, 1 + p.split("length", _LENGTH))
    p.bounded(1, "lists")
    size = p.integer("size", 1)
    total = objs[-1].offset + objs[-1].size
    got = p.run(alloc, objs, size).state
    expected = next((o.offset for o in objs if not o.used and o.size >= size), None)
    if expected is None or got.offset is None:
        p.goal(
            "it fails exactly when nothing fits", expected is None and got.offset is None, got.objs == objs
        )
    else:
        p.goal("the first that fits is taken", got.offset == expected)
    _sound(p, got.objs, total)


def _covers(obj: Obj, offset: int) -> bool:
    return obj.offset <= offset and offset < obj.offset + obj.size


def _free_inside(objs: tuple[Obj, ...], offset: int | None) -> Step[memory.Free]:
    if offset is not None:
        offset = next((o.offset for o in objs if _covers(o, offset)), None)
    return memory.free(objs, offset)


@obligation(
    "2011.memory.free.bounded",
    clauses=(*_CLAUSES, "2011.memory.free-unknown"),
    statement="""Giving back the object in use at an offset frees it and merges it; any other offset, and none
    at all, changes nothing and is logged.""",
    functions=(memory.free,),
    control=Control("an offset inside an object is taken for its beginning", _free_inside),
    assumptions="The list satisfies the invariant; any offset, or NULL.",
    bounds=_SHORT,
)
def freeing(p: Proof, free: Callable[[tuple[Obj, ...], int | None], Step[memory.Free]]) -> None:
    objs = _list(p, 1 + p.split("length", _LENGTH))
    p.bounded(1, "lists")
    total = objs[-1].offset + objs[-1].size
    offset = p.integer("offset") if p.split("NULL") == 0 else None
    got = p.run(free, objs, offset).state
    if offset is not None and any(o.used and o.offset == offset for o in objs):
        p.goal("what is known is not logged", got.log == 0)
        p.goal("the object is free now", any(not o.used and _covers(o, offset) for o in got.objs))
    else:
        p.goal("what is unknown is logged, at its line", got.log == (329 if offset is None else 340))
        p.goal("what is unknown changes nothing", got.objs == objs)
    _sound(p, got.objs, total)


def call_body(p: Proof, mfree: Callable[..., Protocol]) -> None:
    cases = Cases(p, "calls")
    objs = (Obj(0, 64, True), Obj(64, 32, False), Obj(96, 64, True))
    after = {0: (Obj(0, 96, False), objs[2]), 96: (objs[0], Obj(64, 96, False))}
    for offset in (None, 0, 1, 64, 96, 160):
        cases.case(offset=offset)
        memory_words = {("mem", "objs"): objs}
        done = cases.run(mfree, offset, memory=memory_words, do={"log": lambda memory, args: None})
        known = offset in after
        got = done.memory["mem", "objs"]
        wanted = objs if offset is None else after.get(offset, objs)
        cases.goal("what is in use there comes free, nothing else changes", got == wanted)
        line = 0 if known else 329 if offset is None else 340
        cases.goal(
            "what is unknown is logged, once", done.done("log") == [("netmap_free", line)] * bool(line)
        )
        locks = [] if offset is None else [Lock("nma"), Unlock("nma")]
        cases.goal("the list is looked at under its lock", done.of(Lock, Unlock) == locks)
        logs = done.at(Do("log", ("netmap_free", line)))
        cases.goal("and logged without it", not logs or offset is None or logs[0] > done.at(Unlock("nma"))[0])
    cases.end()


obligation(
    "2011.memory.free-call",
    clauses=("2011.memory.free-unknown", "2011.memory.lock"),
    statement="""Giving an object back is done under the allocator's mutex and says nothing; what is unknown
    changes nothing and is logged after the mutex was given back.""",
    functions=(memory.mfree,),
    control=Control(
        "nothing is logged",
        lambda offset: without(memory.mfree(offset), lambda e: isinstance(e, Do)),
        goal="what is unknown is logged, once",
    ),
    bounds="A list of three objects, every offset of interest: the list itself is 2011.memory.free.",
    rules=(memory.FREE_NULL, memory.FREE_UNKNOWN),
)(call_body)

"""Chapter *memory*: one block of memory for everything that user and kernel share.

The block starts with the *object area*, out of which `netmap_if` and rings are cut by a first-fit
list, and goes on, page aligned, with equal buffers (:mod:`.pool`). The list is a tuple of
:class:`Obj` in address order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.effects import Do, Fired, Lock, Protocol, ReadKernel, Unlock, WriteKernel
from ..core.outcome import errno
from ..core.step import Step, collect, rule
from .pool import Pool, words
from .source import lines

PAGE_SIZE = 4096
BUF_SIZE = 2048
#: What the module asks for at first: 64 Ki pages.
MEMORY_SIZE = 64 * 1024 * PAGE_SIZE
#: sizeof(struct netmap_mem_obj) on the recorded system; only the kernel's memory counters see it.
OBJ_BYTES = 40

MALLOC_SLEEPS = "2011.malloc-sleeps-under-lock"
LEAKS_BITMAP = "2011.unload-leaks-bitmap"
CONTRACT: frozenset[str] = frozenset()
AS_WRITTEN = frozenset({MALLOC_SLEEPS, LEAKS_BITMAP})

CARVE_SPLIT = rule("2011/memory/carve/split", clause="2011.memory.first-fit", source=lines("289-299"))
CARVE_WHOLE = rule("2011/memory/carve/whole", clause="2011.memory.first-fit", source=lines("289-304"))
ALLOC_NONE = rule("2011/memory/alloc/none-fits", clause="2011.memory.first-fit", source=lines("285-287, 313"))
RELEASE_ALONE = rule("2011/memory/release/alone", clause="2011.memory.coalesce", source=lines("344-345"))
RELEASE_PREV = rule(
    "2011/memory/release/with-previous", clause="2011.memory.coalesce", source=lines("349-355")
)
RELEASE_NEXT = rule("2011/memory/release/with-next", clause="2011.memory.coalesce", source=lines("358-363"))
FREE_UNKNOWN = rule("2011/memory/free/unknown", clause="2011.memory.free-unknown", source=lines("338-342"))
FREE_NULL = rule("2011/memory/free/null", clause="2011.memory.free-unknown", source=lines("328-331"))
MALLOC_WAITOK = rule(
    "2011/memory/malloc/waitok-under-lock",
    clause="2011.memory.no-sleep-under-lock",
    source=lines("284-290"),
    switch=MALLOC_SLEEPS,
)
MALLOC_NOWAIT = rule(
    "2011/memory/malloc/no-sleep", clause="2011.memory.no-sleep-under-lock", source=lines("284-290")
)
SHRINK = rule("2011/memory/init/halve", clause="2011.memory.init", source=lines("525-538"))
GIVE_UP = rule("2011/memory/init/give-up", clause="2011.memory.init", source=lines("525, 539-540"))
LAYOUT = rule("2011/memory/init/layout", clause="2011.memory.layout", source=lines("541-592"))
FINI = rule("2011/memory/fini/leak-report", clause="2011.memory.fini", source=lines("609-621"))
FINI_BITMAP = rule(
    "2011/memory/fini/bitmap-kept",
    clause="2011.memory.fini",
    source=lines("580-581, 605-622"),
    switch=LEAKS_BITMAP,
)
FINI_FREES = rule("2011/memory/fini/bitmap-freed", clause="2011.memory.fini", source=lines("605-622"))


# --- the object area --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Obj:
    """One stretch of the object area: ``offset`` and ``size`` in bytes, in use or free."""

    offset: int
    size: int
    used: bool


def fits(obj: Obj, size: int) -> bool:
    """Can ``size`` bytes be cut from this object?"""
    return not obj.used and obj.size >= size


@dataclass(frozen=True, slots=True)
class Carved:
    """The new object in use, and what is left of the one it was cut from."""

    taken: Obj
    rest: Obj | None


def carve(obj: Obj, size: int) -> Step[Carved]:
    """Cut ``size`` bytes off the front of an object that :func:`fits`."""
    taken = Obj(obj.offset, size, True)
    if obj.size == size:
        return Step(Carved(taken, None), (CARVE_WHOLE,))
    return Step(Carved(taken, Obj(obj.offset + size, obj.size - size, False)), (CARVE_SPLIT,))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a walk over the list stands (an object's number), and whether it has arrived."""

    at: int
    found: bool


@dataclass(frozen=True, slots=True)
class Splice:
    """A change of the list: the objects number ``start`` to ``stop - 1`` make room for ``new``."""

    start: int
    stop: int
    new: tuple[Obj, ...]


def spliced(objs: tuple[Obj, ...], change: Splice) -> tuple[Obj, ...]:
    """The list after the change."""
    return (*objs[: change.start], *change.new, *objs[change.stop :])


@dataclass(frozen=True, slots=True)
class Alloc:
    """The list afterwards and where the new object is, ``None`` when nothing fits."""

    objs: tuple[Obj, ...]
    offset: int | None


def seek_fit(at: int, obj: Obj, size: int) -> Place:
    """One round of the walk of :func:`alloc`, at object number ``at``."""
    return Place(at, True) if fits(obj, size) else Place(at + 1, False)


@dataclass(frozen=True, slots=True)
class Taken:
    """What an allocation does to the list, and where the new object is (``None``: nothing fits)."""

    change: Splice
    offset: int | None


def take(at: int, obj: Obj | None, size: int) -> Step[Taken]:
    """The walk of :func:`alloc` has ended at ``obj``, number ``at``; ``None`` is the end of the list."""
    if obj is None:
        return Step(Taken(Splice(at, at, ()), None), (ALLOC_NONE,))
    step = carve(obj, size)
    rest = () if step.state.rest is None else (step.state.rest,)
    return Step(Taken(Splice(at, at + 1, (step.state.taken, *rest)), obj.offset), step.fired)


def alloc(objs: tuple[Obj, ...], size: int) -> Step[Alloc]:
    """First fit over the whole list. Source: netmap_malloc."""
    place = Place(0, False)
    while place.at < len(objs) and not place.found:
        place = seek_fit(place.at, objs[place.at], size)
    step = take(place.at, objs[place.at] if place.found else None, size)
    return Step(Alloc(spliced(objs, step.state.change), step.state.offset), step.fired)


def release(prev: Obj | None, cur: Obj, next: Obj | None) -> Step[tuple[Obj, ...]]:
    """What takes the place of ``prev, cur, next`` when ``cur`` is given back: one to three objects.

    ``None`` stands for the end of the list. Free neighbours are merged, the previous one first.
    """
    fired: tuple[str, ...] = ()
    out: tuple[Obj, ...] = ()
    merged = replace(cur, used=False)
    if prev is not None and not prev.used:
        merged = replace(prev, size=prev.size + merged.size)
        fired = (*fired, RELEASE_PREV)
    elif prev is not None:
        out = (prev,)
    if next is not None and not next.used:
        merged = replace(merged, size=merged.size + next.size)
        return Step((*out, merged), (*fired, RELEASE_NEXT))
    out = (*out, merged)
    if next is not None:
        out = (*out, next)
    return Step(out, fired or (RELEASE_ALONE,))


@dataclass(frozen=True, slots=True)
class Free:
    """The list afterwards and the source line that logged when nothing was given back (0: none)."""

    objs: tuple[Obj, ...]
    log: int = 0


def seek_used(at: int, obj: Obj, offset: int) -> Place:
    """One round of the walk of :func:`free`, at object number ``at``."""
    return Place(at, True) if obj.used and obj.offset == offset else Place(at + 1, False)


@dataclass(frozen=True, slots=True)
class Given:
    """What giving back does to the list, and the source line that logged (0: none)."""

    change: Splice
    log: int = 0


def give(at: int, prev: Obj | None, cur: Obj | None, next: Obj | None) -> Step[Given]:
    """The walk of :func:`free` has ended at ``cur``, number ``at``; ``None`` is the end of the list.

    ``prev`` and ``next`` are its neighbours, ``None`` where the list ends.
    """
    if cur is None:
        return Step(Given(Splice(at, at, ()), 340), (FREE_UNKNOWN,))
    step = release(prev, cur, next)
    start = at if prev is None else at - 1
    stop = at + 1 if next is None else at + 2
    return Step(Given(Splice(start, stop, step.state)), step.fired)


def free(objs: tuple[Obj, ...], offset: int | None) -> Step[Free]:
    """Give back the object in use at ``offset`` (``None`` is C's NULL). Source: netmap_free."""
    if offset is None:
        return Step(Free(objs, 329), (FREE_NULL,))
    place = Place(0, False)
    while place.at < len(objs) and not place.found:
        place = seek_used(place.at, objs[place.at], offset)
    at = place.at
    prev = objs[at - 1] if place.found and at else None
    next = objs[at + 1] if place.found and at + 1 < len(objs) else None
    step = give(at, prev, objs[at] if place.found else None, next)
    return Step(Free(spliced(objs, step.state.change), step.state.log), step.fired)


# --- the same two under their lock ------------------------------------------------------------


def malloc(size: int, switches: frozenset[str] = CONTRACT) -> Protocol:
    """`netmap_malloc`: returns the offset of ``size`` zeroed bytes, or ``None``.

    As written (MALLOC_SLEEPS) the list entry is allocated with M_WAITOK while the allocator's mutex
    is held, and the interface's core lock too when called from NIOCREGIF.
    """
    yield Lock("nma")
    step = alloc((yield ReadKernel(("mem", "objs"))), size)
    for fired in step.fired:
        yield Fired(fired)
    offset = step.state.offset
    if offset is not None:
        sleeps = MALLOC_SLEEPS in switches
        yield Fired(MALLOC_WAITOK if sleeps else MALLOC_NOWAIT)
        if (yield Do("kmalloc", ("netmap", OBJ_BYTES, sleeps))):
            yield WriteKernel(("mem", "objs"), step.state.objs)
            yield Do("zero", (offset, size))
        else:
            offset = None
    yield Unlock("nma")
    return offset


def mfree(offset: int | None) -> Protocol:
    """`netmap_free`: give an object back; what is unknown is logged and ignored."""
    if offset is None:
        yield Fired(FREE_NULL)
        yield Do("log", ("netmap_free", 329))
        return
    yield Lock("nma")
    step = free((yield ReadKernel(("mem", "objs"))), offset)
    for fired in step.fired:
        yield Fired(fired)
    yield WriteKernel(("mem", "objs"), step.state.objs)
    yield Unlock("nma")
    if step.state.log:
        yield Do("log", ("netmap_free", step.state.log))


# --- module load and unload -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layout:
    """How the block is divided, all in bytes: object area at 0, buffers from ``buf_start`` on."""

    total: int
    size: int
    buf_start: int
    buf_len: int
    buffers: int


def page_up(x: int) -> int:
    """``x`` rounded up to a whole page."""
    return (x + PAGE_SIZE - 1) // PAGE_SIZE * PAGE_SIZE


def extra_size(size: int) -> int:
    """What is asked for beyond ``size``: room for rings and the two reserved buffers."""
    return (size // 200 + 2 * PAGE_SIZE - 1) // PAGE_SIZE * PAGE_SIZE


def layout(total: int) -> Step[Layout]:
    """Divide a block of ``total`` bytes. Source: netmap_memory_init."""
    size = total // 200
    start = page_up(size)
    return Step(Layout(total, size, start, total - start, (total - start) // BUF_SIZE), (LAYOUT,))


def block_size(largest: int) -> Step[int]:
    """The size of the block when the system gives blocks up to ``largest`` bytes beside the extra.

    Starts at MEMORY_SIZE and halves down to 1 MB; ``ENOMEM`` below that.
    """
    size = MEMORY_SIZE
    fired: tuple[str, ...] = ()
    while size >= 1 << 20:
        if size <= largest:
            return Step(size + extra_size(size), fired)
        size //= 2
        fired = (SHRINK,)
    return Step(0, collect(fired, (GIVE_UP,)), errno("ENOMEM"))


@dataclass(frozen=True, slots=True)
class Fini:
    """Objects still in use at unload (each is reported), and the bytes of bitmap never given back."""

    leaked: tuple[Obj, ...]
    lost: int


def memory_fini(objs: tuple[Obj, ...], pool: Pool, switches: frozenset[str] = CONTRACT) -> Step[Fini]:
    """Unload. As written (LEAKS_BITMAP) the bitmap is not freed. Source: netmap_memory_fini."""
    leaked = tuple(obj for obj in objs if obj.used)
    if LEAKS_BITMAP in switches:
        return Step(Fini(leaked, len(words(pool)) * 4), (FINI, FINI_BITMAP))
    return Step(Fini(leaked, 0), (FINI, FINI_FREES))

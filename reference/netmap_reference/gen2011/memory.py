"""Chapter *memory*: one block of memory for everything that user and kernel share.

The block starts with the *object area*, out of which `netmap_if` and rings are cut by a first-fit
list, and goes on, page aligned, with equal buffers tracked by a bitmap (1 = free). Buffers 0 and 1
are never handed out: 0 is the *junk buffer* that a bad slot is pointed at.

Inside, the bitmap is a set of free indices and the list a tuple of :class:`Obj` in address order;
32-bit words exist only at the edge (:func:`words`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.effects import Do, Fired, Lock, Protocol, ReadKernel, Unlock, WriteKernel
from ..core.outcome import errno
from ..core.step import Step, collect, rule
from .source import lines

PAGE_SIZE = 4096
BUF_SIZE = 2048
#: What the module asks for at first: 64 Ki pages.
MEMORY_SIZE = 64 * 1024 * PAGE_SIZE
WORD = 32
#: sizeof(struct netmap_mem_obj) on the recorded system; only the kernel's memory counters see it.
OBJ_BYTES = 40

MALLOC_SLEEPS = "2011.malloc-sleeps-under-lock"
FREES_RESERVED = "2011.frees-reserved-buffers"
LEAKS_BITMAP = "2011.unload-leaks-bitmap"
CONTRACT: frozenset[str] = frozenset()
AS_WRITTEN = frozenset({MALLOC_SLEEPS, FREES_RESERVED, LEAKS_BITMAP})

_NEW = "2011.pool.lowest-first"
_FREE = "2011.pool.free"
WORD_FULL = rule("2011/memory/scan_word/full", clause=_NEW, source=lines("190-194"))
WORD_HIT = rule("2011/memory/scan_word/has-free", clause=_NEW, source=lines("190-196"))
BIT_USED = rule("2011/memory/scan_bit/used", clause=_NEW, source=lines("196"))
BIT_HIT = rule("2011/memory/scan_bit/free", clause=_NEW, source=lines("196-202"))
NEW_BUFS = rule("2011/memory/new_bufs/all", clause="2011.pool.new-slots", source=lines("189-203"))
NEW_BUFS_SHORT = rule("2011/memory/new_bufs/too-few", clause="2011.pool.all-or-none", source=lines("184-187"))
FREE_BAD = rule("2011/memory/free_buf/no-such-buffer", clause=_FREE, source=lines("214-217"))
FREE_TWICE = rule("2011/memory/free_buf/already-free", clause=_FREE, source=lines("220-223"))
FREE_OK = rule("2011/memory/free_buf/freed", clause=_FREE, source=lines("224-225"))
FREE_RESERVED_REFUSED = rule(
    "2011/memory/free_buf/reserved-refused", clause="2011.pool.reserved", source=lines("172-175, 576-582")
)
FREE_RESERVED = rule(
    "2011/memory/free_buf/reserved-freed",
    clause="2011.pool.reserved",
    source=lines("214-225"),
    switch=FREES_RESERVED,
)
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


# --- the bitmap of buffers --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pool:
    """``total`` buffers, ``free`` of them counted free, ``bitmap`` the indices whose bit is 1.

    The last word's bits beyond ``total`` are 1 as well and stay so: the counter keeps the scan
    away from them (2011.pool.count).
    """

    total: int
    free: int
    bitmap: frozenset[int]


@dataclass(frozen=True, slots=True)
class Scan:
    """Where a find-first scan stands (a word's or a bit's number) and whether it has arrived."""

    at: int
    found: bool


def scan_word(at: int, empty: bool) -> Step[Scan]:
    """One word of the scan: a word with no free buffer is passed over."""
    if empty:
        return Step(Scan(at + 1, False), (WORD_FULL,))
    return Step(Scan(at, True), (WORD_HIT,))


def scan_bit(at: int, free: bool) -> Step[Scan]:
    """One bit of the scan inside a word that has a free buffer."""
    if free:
        return Step(Scan(at, True), (BIT_HIT,))
    return Step(Scan(at + 1, False), (BIT_USED,))


def find_first(bitmap: frozenset[int], word: int) -> Step[int]:
    """The lowest free buffer from ``word`` on, by the fold of the two scans. One must exist."""
    fired: set[str] = set()
    scan = Scan(word, False)
    while not scan.found:
        step = scan_word(scan.at, not any(i in bitmap for i in range(scan.at * WORD, (scan.at + 1) * WORD)))
        scan = step.state
        fired.update(step.fired)
    base = scan.at * WORD
    scan = Scan(0, False)
    while not scan.found:
        step = scan_bit(scan.at, base + scan.at in bitmap)
        scan = step.state
        fired.update(step.fired)
    return Step(base + scan.at, tuple(sorted(fired)))


@dataclass(frozen=True, slots=True)
class NewBufs:
    """The pool afterwards and the buffers taken, in slot order (none when there were too few)."""

    pool: Pool
    taken: tuple[int, ...]


def new_bufs(pool: Pool, n: int) -> Step[NewBufs]:
    """Take ``n`` buffers, lowest index first, or none at all. Source: netmap_new_bufs."""
    if n > pool.free:
        return Step(NewBufs(pool, ()), (NEW_BUFS_SHORT,))
    fired: set[str] = {NEW_BUFS}
    bitmap, taken, word = pool.bitmap, [], 0
    while len(taken) < n:
        step = find_first(bitmap, word)
        fired.update(step.fired)
        bitmap = bitmap - {step.state}
        word = step.state // WORD
        taken.append(step.state)
    return Step(NewBufs(Pool(pool.total, pool.free - n, bitmap), tuple(taken)), tuple(sorted(fired)))


@dataclass(frozen=True, slots=True)
class FreeBuf:
    """Whether the buffer's bit becomes 1, and the source line that logs when it does not (0: none)."""

    freed: bool
    log: int = 0


def free_buf(index: int, total: int, is_free: bool, switches: frozenset[str] = CONTRACT) -> Step[FreeBuf]:
    """What giving back buffer ``index`` (any u32) does. Source: netmap_free_buf.

    As written (FREES_RESERVED) buffers 0 and 1 can be given back like any other, and are handed out
    again: a slot that re-initialisation pointed at the junk buffer does just that at the last close.
    """
    if index >= total:
        return Step(FreeBuf(False, 215), (FREE_BAD,))
    if index < 2 and FREES_RESERVED not in switches:
        return Step(FreeBuf(False), (FREE_RESERVED_REFUSED,))
    if is_free:
        return Step(FreeBuf(False, 221), (FREE_TWICE,))
    if index < 2:
        return Step(FreeBuf(True), (FREE_RESERVED,))
    return Step(FreeBuf(True), (FREE_OK,))


def words(pool: Pool) -> list[int]:
    """The bitmap as the kernel stores it: 32-bit words, buffer 0 in the lowest bit of word 0."""
    out = [0] * ((pool.total + WORD - 1) // WORD)
    for index in pool.bitmap:
        out[index // WORD] |= 1 << (index % WORD)
    return out


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
class Alloc:
    """The list afterwards and where the new object is, ``None`` when nothing fits."""

    objs: tuple[Obj, ...]
    offset: int | None


def alloc(objs: tuple[Obj, ...], size: int) -> Step[Alloc]:
    """First fit over the whole list. Source: netmap_malloc."""
    for at, obj in enumerate(objs):
        if fits(obj, size):
            step = carve(obj, size)
            rest = () if step.state.rest is None else (step.state.rest,)
            return Step(Alloc((*objs[:at], step.state.taken, *rest, *objs[at + 1 :]), obj.offset), step.fired)
    return Step(Alloc(objs, None), (ALLOC_NONE,))


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


def free(objs: tuple[Obj, ...], offset: int | None) -> Step[Free]:
    """Give back the object in use at ``offset`` (``None`` is C's NULL). Source: netmap_free."""
    if offset is None:
        return Step(Free(objs, 329), (FREE_NULL,))
    for at, obj in enumerate(objs):
        if obj.used and obj.offset == offset:
            prev = objs[at - 1] if at else None
            next = objs[at + 1] if at + 1 < len(objs) else None
            step = release(prev, obj, next)
            return Step(Free((*objs[: max(at - 1, 0)], *step.state, *objs[at + 2 :])), step.fired)
    return Step(Free(objs, 340), (FREE_UNKNOWN,))


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


def fresh_pool(buffers: int) -> Pool:
    """The pool after load: everything free but buffers 0 and 1."""
    bits = (buffers + WORD - 1) // WORD * WORD
    return Pool(buffers, buffers - 2, frozenset(range(2, bits)))


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

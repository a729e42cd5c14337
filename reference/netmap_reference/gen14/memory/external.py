"""Chapter *memory*, external: a region in memory that a process brings (the option EXTMEM).

The three pools are laid over the pages of the process's memory, one behind the other, each from a page of its
own, and what is left becomes buffers. There are no clusters: an object that lies across two pages is in one
piece only if the pages are neighbours, which is for the system to say; others are never given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ...core.memory import PAGE
from ...core.outcome import errno
from ...core.step import Step, rule
from .pools import MEM2_C, ObjPool

#: Objects that are not in one piece are given all the same, when they are among buffers 2 to 31 or were
#: freed.
INVALID_GIVEN = "14.extmem-invalid-given"
#: A mapping of the device shows pages behind an object that is not in one piece: not the process's.
FOREIGN_PAGES = "14.extmem-foreign-pages"
#: Nothing looks at the size of a buffer.
SIZE_UNCHECKED = "14.extmem-size-unchecked"
#: A region that cannot be made makes the kernel forget which other regions there are.
LIST_LOST = "14.extmem-list-lost"
#: On FreeBSD a mapping may be larger than the region, or lie behind it.
UNBOUNDED = "14.mmap-unbounded-freebsd"
AS_WRITTEN = frozenset({INVALID_GIVEN, FOREIGN_PAGES, SIZE_UNCHECKED, LIST_LOST, UNBOUNDED})

#: The least a buffer must hold: the index of the next one in a chain of extra buffers.
LEAST_BUFFER = 4

_SIZES = "14.extmem.sizes"
DEFAULTS = rule("14/extmem/sizes/defaults", clause=_SIZES, source=f"{MEM2_C}:2333-2344")
NO_ROOM = rule("14/extmem/sizes/too-large", clause=_SIZES, source=f"{MEM2_C}:1704-1712")
SURPLUS = rule("14/extmem/sizes/surplus", clause=_SIZES, source=f"{MEM2_C}:1716-1728")
TINY = rule("14/extmem/sizes/tiny-buffer", clause="14.extmem.buffer-size", source=f"{MEM2_C}:1144-1156")
TINY_TAKEN = rule(
    "14/extmem/sizes/tiny-buffer-taken",
    clause="14.extmem.buffer-size",
    source=f"{MEM2_C}:1144-1156,2332-2344",
    switch=SIZE_UNCHECKED,
)
LAID_OUT = rule("14/extmem/pools/laid-out", clause="14.extmem.layout", source=f"{MEM2_C}:2386-2465")
DROPPED = rule("14/extmem/pools/dropped", clause="14.extmem.one-piece", source=f"{MEM2_C}:2438-2447")
GIVEN = rule(
    "14/extmem/pools/invalid-given",
    clause="14.extmem.one-piece",
    source=f"{MEM2_C}:464-471,1076-1085",
    switch=INVALID_GIVEN,
)
OWN_PAGE = rule("14/extmem/page/own", clause="14.memory.mapped-pages", source=f"{MEM2_C}:805-826")
FOREIGN = rule(
    "14/extmem/page/foreign",
    clause="14.memory.mapped-pages",
    source=f"{MEM2_C}:820-821",
    switch=FOREIGN_PAGES,
)
MAPPED = rule(
    "14/mmap/mapped",
    clause="14.memory.mmap",
    source="luigirizzo/netmap:LINUX/netmap_linux.c@89607e14:1341-1390",
)
MAP_BEYOND = rule(
    "14/mmap/beyond",
    clause="14.memory.mmap",
    source="luigirizzo/netmap:LINUX/netmap_linux.c@89607e14:1366-1370",
)
MAP_UNBOUNDED = rule(
    "14/mmap/unbounded",
    clause="14.memory.mmap",
    source="luigirizzo/netmap:sys/dev/netmap/netmap_freebsd.c@89607e14:1030-1070",
    switch=UNBOUNDED,
)
BEYOND = rule("14/memory/page/beyond", clause="14.memory.mapped-pages", source=f"{MEM2_C}:828-837")


@dataclass(frozen=True, slots=True)
class External:
    """A process's memory: ``pages`` of it; ``where`` says which, equal for the same pages."""

    where: str
    pages: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """What an EXTMEM option asks for: bytes of the memory, (size, number) of the pools."""

    memsize: int
    pools: tuple[tuple[int, int], ...]


def with_defaults(
    asked: Sizes, least: Iterable[tuple[int, int]], switches: frozenset[str] = frozenset()
) -> Step[Sizes]:
    """Sizes and numbers with a default where 0 was asked for: what the option returns.

    EINVAL for a buffer that does not hold an index; as written (SIZE_UNCHECKED) that is no error. Source:
    netmap_mem_ext_create.
    """
    pairs = tuple((s or d, n or m) for (s, n), (d, m) in zip(asked.pools, least, strict=True))
    fired = [DEFAULTS] if any(0 in pair for pair in asked.pools) else []
    if pairs[2][0] < LEAST_BUFFER:
        if SIZE_UNCHECKED not in switches:
            return Step(asked, (*fired, TINY), errno("EINVAL"))
        fired.append(TINY_TAKEN)
    return Step(Sizes(asked.memsize, pairs), tuple(fired))


def fill(asked: Sizes) -> Step[Sizes]:
    """What is left of the memory becomes buffers. ENOMEM when the pools do not fit. Source:
    _netmap_mem_private_new."""
    left = asked.memsize - sum(s * n for s, n in asked.pools)
    if left < 0:
        return Step(asked, (NO_ROOM,), errno("ENOMEM"))
    if left == 0:
        return Step(asked)
    size, number = asked.pools[2]
    more = (left + size - 1) // size
    return Step(Sizes(asked.memsize, (*asked.pools[:2], (size, number + more))), (SURPLUS,))


@dataclass(frozen=True, slots=True)
class Laid:
    """A pool over pages, and the objects that lie across two of them."""

    pool: ObjPool
    across: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Pages that are left, and how far into the first of them we are."""

    pages: int
    offset: int


def _next(at: Place, size: int) -> tuple[Place, bool]:
    """Behind an object of ``size`` bytes; was there room for all of it?"""
    end = at.offset + size
    used = end // PAGE
    if used > at.pages or (used == at.pages and end % PAGE):
        return Place(0, 0), False
    return Place(at.pages - used, end % PAGE), True


def lay_out(params: Iterable[tuple[int, int]], pages: int) -> tuple[Laid, ...]:
    """The three pools over ``pages`` pages, each beginning with a page of its own.

    A pool has fewer objects than asked for when the pages end; an object they end in is invalid.
    """
    found: list[Laid] = []
    for size, number in params:
        at, count, across, cut = Place(pages, 0), 0, [], frozenset[int]()
        while count < number and at.pages > 0:
            behind, whole = _next(at, size)
            if not whole:
                cut = frozenset({count})
            elif at.offset + size > PAGE:
                across.append(count)
            at, count = behind, count + 1
        found.append(Laid(ObjPool(size, count, invalid=cut), tuple(across)))
        pages = at.pages - (1 if at.offset and at.pages else 0)
    return tuple(found)


def one_piece(laid: Laid, usable: int) -> Step[ObjPool]:
    """The pool when the last ``usable`` of the objects across pages are in one piece."""
    bad = frozenset(laid.across[: len(laid.across) - usable])
    pool = replace(laid.pool, invalid=laid.pool.invalid | bad)
    return Step(pool, (LAID_OUT, DROPPED) if pool.invalid else (LAID_OUT,))


def as_given(pool: ObjPool) -> Step[ObjPool]:
    """As written (INVALID_GIVEN) the buffers 2 to 31 are never invalid: their word of the bitmap is written
    over when the two reserved ones are taken out. Source: netmap_mem_init_bitmaps."""
    kept = frozenset(i for i in pool.invalid if not 2 <= i < 32)
    if kept == pool.invalid:
        return Step(pool)
    return Step(replace(pool, invalid=kept), (GIVEN,))


def page_of(
    offset: int,
    pools: tuple[ObjPool, ObjPool, ObjPool],
    external: bool,
    switches: frozenset[str] = frozenset(),
) -> Step[int]:
    """The page of the region that a mapping shows at ``offset`` bytes, in whole pages; -1 for none.

    As written (FOREIGN_PAGES) the page of an object that is not in one piece is counted on from where the
    object begins, in physical memory: it is not one of the region, -2. Source: netmap_mem2_ofstophys.
    """
    start = 0
    for pool in pools:
        if offset - start >= pool.memtotal:
            start += pool.memtotal
            continue
        index = (offset - start) // pool.objsize
        begins = (start + index * pool.objsize) // PAGE
        if external and FOREIGN_PAGES in switches and index in pool.invalid and offset // PAGE > begins:
            return Step(-2, (FOREIGN,))
        return Step(offset // PAGE, (OWN_PAGE,))
    return Step(-1, (BEYOND,))


def mapping(
    offset: int,
    length: int,
    pools: tuple[ObjPool, ObjPool, ObjPool],
    external: bool,
    switches: frozenset[str] = frozenset(),
) -> Step[bool]:
    """May ``length`` bytes from ``offset``, both whole pages, be mapped? EINVAL when they end beyond the
    region.

    As written (UNBOUNDED) FreeBSD looks at neither, and only an access to a page that is none fails. Source:
    linux_netmap_mmap, netmap_mmap_single.
    """
    fired: tuple[str, ...] = ()
    for at in dict.fromkeys((offset, offset + length - PAGE)):
        page = page_of(at, pools, external, switches)
        fired += page.fired
        if page.state == -1:
            if UNBOUNDED in switches:
                fired += (MAP_UNBOUNDED,)
                continue
            return Step(False, (*fired, MAP_BEYOND), errno("EINVAL"))
    return Step(True, (*fired, MAPPED))

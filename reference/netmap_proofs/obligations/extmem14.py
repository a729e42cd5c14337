"""Generation 14, memory that a process brings: sizes, where pools lie, objects in two pieces, pages shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from netmap_reference.core.memory import PAGE
from netmap_reference.core.outcome import errno
from netmap_reference.core.step import Step
from netmap_reference.gen14 import memory

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every

Sizes = memory.Sizes
_HOLDS = "a buffer holds the index of the next one"


def sizes_body(p: Proof, with_defaults: Callable[..., Step[Sizes]], fill: Callable[..., Step[Sizes]]) -> None:
    cases = Cases(p, "requests")
    least = ((1024, 1), (4096, 2), (2048, 3))
    pairs = [(s, n) for s in (0, 1, 3, 4, 64, 2048) for n in (0, 1, 5)]
    for size, first, buffers in every(
        p, "sizes", (0, 10_000, 1 << 17), ((0, 0), (512, 0), (0, 9), (512, 9)), pairs
    ):
        asked = Sizes(size, (first, (4096, 1), buffers))
        cases.case(asked=asked)
        step = with_defaults(asked, least, p.switches)
        p.reached(step.fired)
        full = tuple((s or d, n or m) for (s, n), (d, m) in zip(asked.pools, least, strict=True))
        tiny = full[2][0] < 4
        if tiny:
            cases.goal(_HOLDS, step.outcome.detail == "EINVAL", step.state == asked)
        else:
            cases.goal(
                "what was not asked for has its default", step.state == Sizes(size, full), step.outcome.ok
            )
        told = {*([memory.DEFAULTS] if any(0 in pair for pair in asked.pools) else [])}
        unchecked = memory.SIZE_UNCHECKED in p.switches
        told |= {memory.TINY_TAKEN if unchecked else memory.TINY} if tiny else set()
        cases.goal("the rules say so", set(step.fired) == told)
        taken = sum(s * n for s, n in full)
        size += taken % 3  # now and then a few bytes more, or just what is needed
        size = taken + (1, 0, -1)[size % 5 - 1] if size % 5 in (1, 2, 3) else size
        whole = Sizes(size, full)
        after = fill(whole)
        p.reached(after.fired)
        cases.goal(
            "pools that do not fit are refused", after.outcome.detail == ("ENOMEM" if taken > size else "")
        )
        grown = after.state.pools[2][1] - full[2][1]
        room = size - taken
        more = -(-room // full[2][0]) if room > 0 else 0
        cases.goal("what is left becomes buffers, the last one cut", grown == more)
        kept = replace(after.state, pools=full) == whole
        cases.goal("nothing else changes", kept)
        rule = (memory.NO_ROOM,) if room < 0 else (memory.SURPLUS,) if room else ()
        cases.goal("the rules say so", after.fired == rule)
    cases.end()


_sizes = partial(
    obligation,
    clauses=("14.extmem.sizes", "14.extmem.buffer-size"),
    functions=(memory.with_defaults, memory.fill),
    control=Control(
        "one buffer too few",
        memory.with_defaults,
        lambda asked: replace(memory.fill(asked), state=asked),
        goal="what is left becomes buffers, the last one cut",
    ),
    bounds="""Memory of no bytes, some pages and many; every pool with its size, its number, both and neither;
    buffers from 1 byte on.""",
)
_sizes(
    "14.extmem.sizes",
    statement="""What was not asked for has its default, a buffer holds at least an index, pools that do not
    fit are refused, and what is left becomes buffers.""",
    rules=(memory.DEFAULTS, memory.TINY, memory.NO_ROOM, memory.SURPLUS),
)(sizes_body)
_sizes(
    "14.extmem.sizes.as-written",
    statement="As 14.extmem.sizes, but nothing compares a buffer's size with an index.",
    switches={memory.SIZE_UNCHECKED},
    rules=(memory.DEFAULTS, memory.TINY_TAKEN),
    finding="F14-020",
    refutes={_HOLDS},
)(sizes_body)


# --- where pools lie --------------------------------------------------------------------------------------


def layout_body(p: Proof, lay_out: Callable[..., Any], one_piece: Callable[..., Step[Any]]) -> None:
    cases = Cases(p, "layouts")
    shapes = ((1024, 3), (PAGE, 2), (PAGE + 64, 2), (3 * PAGE, 2), (1500, 4), (64, 65))
    for a, b, c, pages in every(p, "pools", shapes, shapes, shapes, range(1, 8)):
        cases.case(pools=(a, b, c), pages=pages)
        at = 0  # bytes from the beginning of the memory
        for laid, (size, number) in zip(lay_out((a, b, c), pages), (a, b, c), strict=True):
            at = -(-at // PAGE) * PAGE
            room = max(0, pages * PAGE - at)
            begun = min(number, -(-room // size))
            cases.goal("a pool has the objects that begin in the memory", laid.pool.objtotal == begun)
            begins = [at + i * size for i in range(begun)]
            cut = {i for i, x in enumerate(begins) if x + size > pages * PAGE}
            cases.goal("one that the memory ends in is invalid", laid.pool.invalid == cut)
            across = tuple(
                i for i, x in enumerate(begins) if i not in cut and (x + size - 1) // PAGE != x // PAGE
            )
            cases.goal("those across two pages are known", laid.across == across)
            cases.goal("sizes stay as asked", laid.pool.objsize == size)
            for usable in (0, 1, len(across)):
                step = one_piece(laid, min(usable, len(across)))
                p.reached(step.fired)
                bad = set(across[: len(across) - min(usable, len(across))])
                cases.goal("objects in two pieces are not given out", step.state.invalid == cut | bad)
                same = replace(step.state, invalid=laid.pool.invalid) == laid.pool
                cases.goal("nothing else of the pool changes", same)
                cases.goal("the rule says so", (memory.DROPPED in step.fired) == bool(cut | bad))
            at = min(at + begun * size, pages * PAGE)
    cases.end()


obligation(
    "14.extmem.layout",
    clauses=("14.extmem.layout", "14.extmem.one-piece"),
    statement="""Each pool begins with a page of its own and has the objects that begin in the memory; one the
    memory ends in, and one whose pages are not neighbours, is never given out.""",
    functions=(memory.lay_out, memory.one_piece),
    control=Control(
        "an object that the memory ends in is good",
        lambda params, pages: tuple(
            replace(laid, pool=replace(laid.pool, invalid=frozenset()))
            for laid in memory.lay_out(params, pages)
        ),
        memory.one_piece,
    ),
    bounds="Pools of sizes that divide a page, are a page, more than one, and neither; one to seven pages.",
    rules=(memory.LAID_OUT, memory.DROPPED),
)(layout_body)

_NEVER = "an object in two pieces is not free"


def given_body(p: Proof, as_given: Callable[..., Step[Any]], switch: Callable[..., bool]) -> None:
    cases = Cases(p, "pools")
    for bad in every(p, "invalid objects", (0, 1, 2, 31, 32, 40), (1, 3, 30, 33)):
        pool = memory.ObjPool(64, 48, memory.RESERVED, frozenset(bad))
        cases.case(invalid=sorted(set(bad)))
        step = as_given(pool) if switch(p.switches) else Step(pool)
        p.reached(step.fired)
        cases.goal(_NEVER, step.state.invalid == frozenset(bad))
        beyond = frozenset(i for i in bad if not 2 <= i < 32)
        cases.goal("what lies beyond the first word stays", beyond <= step.state.invalid <= frozenset(bad))
        first = frozenset(bad) - beyond
        cases.goal(
            "of the first word all or nothing", step.state.invalid in (frozenset(bad), frozenset(bad) - first)
        )
        given = memory.GIVEN in step.fired
        cases.goal("the rule says so", given == (step.state.invalid != frozenset(bad)))
        cases.goal("nothing else of the pool changes", replace(step.state, invalid=pool.invalid) == pool)
    cases.end()


def _written(switches: frozenset[str]) -> bool:
    """Does the reading write over the first word of the bitmap?"""
    return memory.INVALID_GIVEN in switches


_given = partial(
    obligation,
    clauses=("14.extmem.one-piece",),
    functions=(memory.as_given, _written),
    control=Control(
        "buffers 40 and 33 are free as well",
        lambda pool: replace(memory.as_given(pool), state=replace(pool, invalid=pool.invalid - {33, 40})),
        lambda switches: True,
        goal="what lies beyond the first word stays",
    ),
    bounds="Invalid objects at both edges of the first word and beyond.",
    rules=(),
)
_given(
    "14.extmem.given",
    statement="Taking out the two reserved buffers leaves those in two pieces alone.",
)(given_body)
_given(
    "14.extmem.given.as-written",
    statement="As 14.extmem.given, but the bitmap's first word is written over: buffers 2 to 31 are free.",
    switches={memory.INVALID_GIVEN},
    finding="F14-019",
    refutes={_NEVER},
)(given_body)

# --- pages -----------------------------------------------------------------------------------------

_OWN = "a mapping shows the region's own pages"


def page_body(p: Proof, page_of: Callable[..., Step[int]]) -> None:
    cases = Cases(p, "pages")
    pools = (
        memory.ObjPool(PAGE, 1),
        memory.ObjPool(3 * PAGE, 2, invalid=frozenset({1})),
        memory.ObjPool(PAGE // 2, 4, entries=2),
    )
    total = sum(pool.memtotal for pool in pools)
    for offset, external in every(p, "offsets", range(0, total + 3 * PAGE, PAGE // 2), (False, True)):
        cases.case(offset=offset, external=external)
        step = page_of(offset, pools, external, p.switches)
        p.reached(step.fired)
        inside = offset < total
        foreign = external and memory.FOREIGN_PAGES in p.switches and 5 * PAGE <= offset < 7 * PAGE
        cases.goal(_OWN, not inside or step.state == offset // PAGE)
        cases.goal("beyond the region there is none", inside or step.state == -1)
        cases.goal("as written exactly pages behind an object's first are not", foreign == (step.state == -2))
        told = memory.FOREIGN if foreign else memory.OWN_PAGE if inside else memory.BEYOND
        cases.goal("the rule says so", step.fired == (told,))
    cases.end()


_page = partial(
    obligation,
    clauses=("14.memory.mapped-pages",),
    functions=(memory.page_of,),
    control=Control(
        "the page behind the last one is shown",
        lambda offset, pools, external, switches: (
            step
            if (step := memory.page_of(offset, pools, external, switches)).state != -1
            else Step(0, step.fired)
        ),
        goal="beyond the region there is none",
    ),
    bounds="Three pools, one with an object of three pages in two pieces; every half page.",
)
_page(
    "14.extmem.pages",
    statement="A mapping shows the region's own page at each offset inside it, and nothing beyond.",
    rules=(memory.OWN_PAGE, memory.BEYOND),
)(page_body)
_page(
    "14.extmem.pages.as-written",
    statement="""As 14.extmem.pages, but the page inside an object in two pieces is counted on in physical
    memory.""",
    switches={memory.FOREIGN_PAGES},
    rules=(memory.OWN_PAGE, memory.BEYOND, memory.FOREIGN),
    finding="F14-018",
    refutes={_OWN},
)(page_body)

# --- mappings --------------------------------------------------------------------------------------

_REFUSED = "a mapping that ends beyond the region is refused"


def mapping_body(p: Proof, mapping: Callable[..., Step[bool]]) -> None:
    cases = Cases(p, "mappings")
    pools = (memory.ObjPool(PAGE, 1), memory.ObjPool(2 * PAGE, 2), memory.ObjPool(PAGE // 2, 4, entries=2))
    pages = sum(pool.memtotal for pool in pools) // PAGE
    for first, count in every(p, "ranges", range(pages + 2), range(1, pages + 3)):
        cases.case(first=first, count=count)
        step = mapping(first * PAGE, count * PAGE, pools, False, p.switches)
        p.reached(step.fired)
        inside = first + count <= pages
        cases.goal("a range of whole pages inside the region is mapped", not inside or step.outcome.ok)
        cases.goal(_REFUSED, inside or step.outcome.detail == "EINVAL")
        cases.goal("the step says what the call does", step.state == step.outcome.ok)
    cases.end()


_mapping = partial(
    obligation,
    clauses=("14.memory.mmap",),
    functions=(memory.mapping,),
    control=Control(
        "nothing is mapped",
        lambda offset, length, pools, external, switches: Step(False, (memory.MAP_BEYOND,), errno("EINVAL")),
        goal="a range of whole pages inside the region is mapped",
    ),
    bounds="Three pools; every range that begins up to two pages behind them.",
)
_mapping(
    "14.memory.mapping",
    statement="A mapping is refused exactly when it ends beyond the region.",
    rules=(memory.MAPPED, memory.MAP_BEYOND),
)(mapping_body)
_mapping(
    "14.memory.mapping.as-written",
    statement="As 14.memory.mapping, but on FreeBSD none is refused.",
    switches={memory.UNBOUNDED},
    rules=(memory.MAPPED, memory.MAP_UNBOUNDED),
    finding="F14-028",
    refutes={_REFUSED},
)(mapping_body)

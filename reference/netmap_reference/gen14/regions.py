"""Chapter *regions*: who holds a region, when its memory comes, and which region a port uses.

A port holds its region; the last one that lets go frees the identifier. A region's memory comes when the
first descriptor is bound that uses it (it is *finalised*) and stays. A port that nobody has bound may be
given another region for the time it is bound (``nr_mem_id``, the option EXTMEM).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..core.choice import Choice
from ..core.memory import PAGE, Region
from ..core.step import rule
from . import failure, memory
from .failure import Refused, may_fail, point
from .memory import ERROR_STICKS, INVALID_GIVEN, LIST_LOST, External, Sizes
from .state import System

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
MEM2_C = memory.MEM2_C
LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"

#: A region given to a port that is then not bound stays with the port.
OVERRIDE_STICKS = "14.memory-override-sticks"
#: After a lack of memory the next finalisation of the same region faults.
FAULTS_AFTER = "14.memory-faults-after-shortage"
AS_WRITTEN = frozenset({OVERRIDE_STICKS, FAULTS_AFTER, memory.COUNTS_DOWN, ERROR_STICKS}) | memory.AS_WRITTEN

_OVERRIDE = "14.memory.override"
OVERRIDDEN = rule("14/regions/override/taken", clause=_OVERRIDE, source=f"{NETMAP_C}:1539-1544")
IGNORED = rule("14/regions/override/in-use", clause=_OVERRIDE, source=f"{NETMAP_C}:1540-1541")
RESTORED = rule("14/regions/override/restored", clause=_OVERRIDE, source=f"{NETMAP_C}:994-1015")
STUCK = rule(
    "14/regions/override/sticks",
    clause=_OVERRIDE,
    source=f"{NETMAP_C}:1539-1544,2577-2580,2707-2709",
    switch=OVERRIDE_STICKS,
)
FINALIZED = rule("14/regions/finalize", clause="14.memory.finalized", source=f"{MEM2_C}:1633-1668")
GROWN = rule("14/memory/private_params/grown", clause="14.memory.private", source=f"{MEM2_C}:1752-1808")
GONE = rule("14/regions/put/last", clause="14.memory.ids", source=f"{MEM2_C}:320-335,699-710")
SHORTAGE_KEPT = rule(
    "14/regions/finalize/shortage-kept",
    clause="14.memory.finalized",
    source=f"{MEM2_C}:386-395,475-491",
    switch=FAULTS_AFTER,
)
FAULTED = rule(
    "14/regions/finalize/faulted",
    clause="14.memory.finalized",
    source=f"{MEM2_C}:398-420",
    switch=FAULTS_AFTER,
)
ERROR_KEPT = rule(
    "14/regions/finalize/error-kept",
    clause="14.memory.finalized",
    source=f"{MEM2_C}:374-379,744-750",
    switch=ERROR_STICKS,
)
ERROR_AGAIN = rule(
    "14/regions/finalize/error-again",
    clause="14.memory.finalized",
    source=f"{MEM2_C}:375,1896-1909",
    switch=ERROR_STICKS,
)
LOST = rule(
    "14/regions/external/list-lost",
    clause="14.extmem.same",
    source=f"{MEM2_C}:2248-2259,2471-2472",
    switch=LIST_LOST,
)
EXTERNAL_NEW = rule("14/regions/external/new", clause="14.extmem.region", source=f"{MEM2_C}:2365-2384")
EXTERNAL_SAME = rule("14/regions/external/same", clause="14.extmem.same", source=f"{MEM2_C}:2357-2361")

GROUP = point("memory.group", "ENOMEM", source=f"{MEM2_C}:363-365,732-757")
LUT = point("memory.lut", "ENOMEM", source=f"{MEM2_C}:1425-1429")
CLUSTER = point("memory.cluster", "", source=f"{MEM2_C}:1447-1470", clause="14.memory.short")
BITMAP = point("memory.bitmap", "ENOMEM", source=f"{MEM2_C}:386-395")
MAP = point("memory.map", "ENOMEM", source=f"{MEM2_C}:377-379,1557-1631")
PRIVATE = point("memory.private", "ENOMEM", source=f"{MEM2_C}:1686-1690")
EXT_PAGES = point("extmem.pages", "ENOMEM", source=f"{LINUX_C}:277-289")
EXT_PINNED = point("extmem.pinned", "EFAULT", source=f"{LINUX_C}:291-341")
EXT_LUT = point("extmem.lut", "ENOMEM", source=f"{MEM2_C}:2397-2401")
EXT_INVALID = point("extmem.invalid", "ENOMEM", source=f"{MEM2_C}:2403-2408")


# --- references -------------------------------------------------------------------------------


def hold(s: System, mem: int, by: int) -> None:
    """``by`` more ports hold a region."""
    a = s.allocators[mem]
    s.allocators[mem] = replace(a, refs=a.refs + by)


def memory_put(s: System, mem: int, fired: list[str]) -> None:
    """Drop one reference to a region; the last one frees its identifier."""
    a = s.allocators[mem]
    if a.refs > 1:
        s.allocators[mem] = replace(a, refs=a.refs - 1)
        return
    fired.append(GONE)
    ids = sorted(s.allocators)
    del s.allocators[mem], s.regions[mem]
    if s.last_mem == mem:
        s.last_mem = ids[ids.index(mem) - 1]


def private_new(s: System, params: Iterable[tuple[int, int]], fired: list[str]) -> int:
    """A private region of these sizes, held by the caller: its identifier.

    Raises :class:`Refused` with ENOMEM, or EINVAL for sizes that cannot be laid out. Source:
    netmap_mem_private_new.
    """
    may_fail(s, PRIVATE, fired)
    step = memory.assign_id(tuple(sorted(s.allocators)), s.last_mem)
    sizes: tuple[tuple[int, int], ...] = s.params.private
    asked = tuple(params)
    if asked != sizes:
        fired.append(GROWN)
        sizes = asked
    made = memory.new_allocator(step.state, True, sizes)
    fired.extend((*step.fired, *made.fired))
    if not made.outcome.ok:
        raise Refused(made.outcome.detail)
    _add(s, replace(made.state, refs=1))
    return step.state


def _add(s: System, a: memory.Allocator) -> None:
    s.allocators[a.id], s.regions[a.id], s.last_mem = a, Region(a.memsize), a.id


# --- a port's region --------------------------------------------------------------------------


def override(s: System, port: str, mem: int, fired: list[str], switches: frozenset[str]) -> None:
    """Give a port another region for as long as it is bound, if nobody has bound it now.

    Taken back when the request fails and when the last descriptor goes; as written (OVERRIDE_STICKS) only by
    the latter. ``mem`` 0 asks for nothing. Source: netmap_get_hw_na.
    """
    na = s.adapters[port]
    if not mem or mem == na.mem:
        return
    if na.fds:
        fired.append(IGNORED)
        return
    fired.append(OVERRIDDEN)
    hold(s, mem, 1)
    own = na.mem if OVERRIDE_STICKS in switches else na.previous_mem or na.mem
    s.adapters[port] = replace(na, mem=mem, previous_mem=own)
    if own != na.mem:
        memory_put(s, na.mem, fired)
    failure.undo(s, "memory.override", lambda: _take_back(s, port, fired, switches))


def _take_back(s: System, port: str, fired: list[str], switches: frozenset[str]) -> None:
    """Undo :func:`override`, unless dropping the region has done it already."""
    na = s.adapters.get(port)
    if OVERRIDE_STICKS not in switches:
        restore(s, port, [])
    elif na is not None and na.previous_mem:
        fired.append(STUCK)


def restore(s: System, port: str, fired: list[str]) -> None:
    """The port uses its own region again. Source: netmap_mem_restore."""
    na = s.adapters.get(port)
    if na is None or not na.previous_mem:
        return
    fired.append(RESTORED)
    memory_put(s, na.mem, fired)
    s.adapters[port] = replace(na, mem=na.previous_mem, previous_mem=0)


def left_alone(s: System, port: str, fired: list[str], switches: frozenset[str]) -> None:
    """A port without descriptors and pipes uses its own region again; as written (OVERRIDE_STICKS) not when
    it was only the parent of pipes."""
    na = s.adapters[port]
    if not na.previous_mem or na.fds or na.pipes:
        return
    if OVERRIDE_STICKS in switches:
        fired.append(STUCK)
    else:
        restore(s, port, fired)


def drop(s: System, port: str, fired: list[str]) -> None:
    """One user of a port's region less; a port without descriptors uses its own region again. Source:
    netmap_mem_drop."""
    na = s.adapters[port]
    step = memory.deref(s.allocators[na.mem])
    s.allocators[na.mem] = step.state
    fired.extend(step.fired)
    if na.fds <= 0:
        restore(s, port, fired)


# --- finalisation -----------------------------------------------------------------------------


def reconfigure(
    s: System, mem: int, fired: list[str], switches: frozenset[str], counts: bool = False
) -> None:
    """Let changed parameters apply, when nobody uses the region. EINVAL when they cannot. ``counts``: the
    request is about to become a user.

    A region that is laid out anew is new memory.
    """
    a = s.allocators[mem]
    if not a.asked:
        # It is laid out for the first time now.
        a = s.allocators[mem] = replace(a, asked=True, lasterr="" if not a.private else a.lasterr)
    step = memory.config(a, switches, counts)
    fired.extend(step.fired)
    if step.state != a:
        s.allocators[mem] = step.state
        if step.state.last != a.last:
            s.regions[mem] = Region(step.state.memsize)
    if not step.outcome.ok:
        raise Refused(step.outcome.detail)


def finalize(s: System, port: str, mapped: bool, fired: list[str], switches: frozenset[str]) -> None:
    """One user of a port's region more; its memory is there afterwards. ``mapped``: the port has a device of
    its own that the buffers are mapped for.

    ENOMEM when there is too little memory, or the region is another device's group, EINVAL when the
    parameters cannot be. As written (ERROR_STICKS) the region remembers the ENOMEM of a device, and a request
    that finds memory there ends with what is remembered. Source: netmap_mem_finalize.
    """
    mem = s.adapters[port].mem
    if mapped and failure.fails(s, GROUP, fired):
        _remember(s, mem, GROUP.errno, True, fired, switches)
        if ERROR_STICKS not in switches:
            raise Refused(GROUP.errno)
    reconfigure(s, mem, fired, switches, counts=True)
    a = s.allocators[mem]
    s.allocators[mem] = replace(a, active=a.active + 1)
    failure.undo(s, "memory.active", lambda: drop(s, port, []))
    if not a.finalized:
        _memory(s, mem, fired, switches)
    elif a.lasterr and ERROR_STICKS in switches:
        fired.append(ERROR_AGAIN)
        raise Refused(a.lasterr)
    if mapped and failure.fails(s, MAP, fired):
        _remember(s, mem, MAP.errno, a.active != 0, fired, switches)
        raise Refused(MAP.errno)


def _remember(
    s: System, mem: int, error: str, stays: bool, fired: list[str], switches: frozenset[str]
) -> None:
    """As written (ERROR_STICKS) the error of one port's device stays with the region until its last user has
    gone; not when that is the request itself."""
    if stays and ERROR_STICKS in switches:
        fired.append(ERROR_KEPT)
        s.allocators[mem] = replace(s.allocators[mem], lasterr=error)


def _memory(s: System, mem: int, fired: list[str], switches: frozenset[str]) -> None:
    """Get the memory of a region's pools, or as much as there is. As written (FAULTS_AFTER) a region that got
    none has an empty bitmap afterwards, which the next one to finalise it writes to."""
    a = s.allocators[mem]
    if a.exhausted and FAULTS_AFTER in switches:
        fired.append(FAULTED)
        raise failure.Faulted("netmap_mem2.c:398-420")
    before = a.pools
    failure.undo(s, "memory.finalized", lambda: _give_back(s, mem, before), own=True)
    try:
        pools = _get(s, a, fired)
    except Refused:
        if FAULTS_AFTER in switches and a.active == 1 and a.external is None:
            fired.append(SHORTAGE_KEPT)
            s.allocators[mem] = replace(a, exhausted=True)
        raise
    fired.append(FINALIZED)
    a = replace(a, finalized=True, given_back=False, lasterr="")
    s.allocators[mem] = a.with_pools(memory.clean(pools))
    if s.allocators[mem].memsize != s.regions[mem].size:
        s.regions[mem] = Region(s.allocators[mem].memsize)


def _get(s: System, a: memory.Allocator, fired: list[str]) -> list[memory.ObjPool]:
    """The pools as far as there is memory for them. Source: netmap_mem_finalize_all,
    netmap_mem_init_bitmaps."""
    pools: list[memory.ObjPool] = []
    for pool in a.pools:
        if a.external is None:
            may_fail(s, LUT, fired)
            if failure.fails(s, CLUSTER, fired):
                step = memory.shrink_pool(pool, pool.objtotal // pool.entries // 2)
                fired.extend(step.fired)
                if not step.outcome.ok:
                    raise Refused(step.outcome.detail)
                pool = step.state
        pools.append(pool)
    for pool in pools:
        may_fail(s, BITMAP, fired)
        least = len(memory.RESERVED) if pool is pools[2] else 1
        if pool.objtotal - len(pool.invalid) < least:
            fired.append(memory.EMPTY)
            raise Refused("ENOMEM")
    return pools


def _give_back(s: System, mem: int, pools: Iterable[memory.ObjPool]) -> None:
    """A request that fails gives back the memory it was the first to need."""
    a = s.allocators.get(mem)
    if a is None:
        return
    s.allocators[mem] = replace(a, finalized=False, given_back=True).with_pools(pools)
    if s.allocators[mem].memsize != s.regions[mem].size:
        s.regions[mem] = Region(s.allocators[mem].memsize)


# --- a region a process brings ----------------------------------------------------------------


def external(
    s: System, where: str, asked: Sizes, fired: list[str], switches: frozenset[str]
) -> tuple[int, Sizes]:
    """The region in memory that a process brings, found or made, held by the caller: its identifier, and the
    sizes asked for with the defaults filled in.

    ``where`` says which memory: equal for the same pages, empty for memory nobody has brought. ENOMEM when
    the pools do not fit or nothing is left for one of them, EFAULT for memory the process does not have.
    Source: netmap_mem_ext_create.
    """
    step = memory.with_defaults(asked, s.params.private, switches)
    fired.extend(step.fired)
    if not step.outcome.ok:
        raise Refused(step.outcome.detail)
    told = step.state
    pages = (asked.memsize + PAGE - 1) // PAGE
    if pages == 0:
        fired.append(memory.NO_ROOM)
        raise Refused("ENOMEM")
    may_fail(s, EXT_PAGES, fired)
    may_fail(s, EXT_PINNED, fired)
    mem = memory.assign_id(tuple(sorted(s.allocators)), s.last_mem).state
    place = External(where or f"of {mem}", pages)
    for a in s.allocators.values():
        if a.external == place and a.listed:
            fired.append(EXTERNAL_SAME)
            hold(s, a.id, 1)
            return a.id, told
    may_fail(s, PRIVATE, fired)
    filled = memory.fill(told)
    fired.extend(filled.fired)
    if not filled.outcome.ok:
        raise Refused(filled.outcome.detail)
    pools: list[memory.ObjPool] = []
    for laid in memory.lay_out(filled.state.pools, pages):
        # Whichever of the two cannot be had, the table that was made before goes as well.
        if failure.fails(s, EXT_LUT, fired):
            _forget_others(s, fired, switches)
            raise Refused(EXT_LUT.errno)
        if failure.fails(s, EXT_INVALID, fired):
            _forget_others(s, fired, switches)
            raise Refused(EXT_INVALID.errno)
        usable = len(laid.across)
        if usable:
            usable = s.request.choose(Choice("extmem.usable", f"{len(pools)}", 0, usable, "objects"))
        one = memory.one_piece(laid, usable)
        fired.extend(one.fired)
        pools.append(one.state)
    if INVALID_GIVEN in switches:
        given = memory.as_given(pools[2])
        fired.extend(given.fired)
        pools[2] = given.state
    made = memory.Allocator(mem, True, pools[0], pools[1], pools[2], refs=1, external=place)
    _add(s, made.with_pools(memory.clean(pools)))
    fired.append(EXTERNAL_NEW)
    return mem, told


def _forget_others(s: System, fired: list[str], switches: frozenset[str]) -> None:
    """As written (LIST_LOST) a region that cannot be made takes the list of the others with it: the same
    memory brought again is not recognised. Source: netmap_mem_ext_unregister."""
    listed = [a for a in s.allocators.values() if a.external and a.listed]
    if LIST_LOST in switches and listed:
        fired.append(LOST)
        for a in listed:
            s.allocators[a.id] = replace(a, listed=False)

"""Chapter *lease*: how several senders fill one receive ring at the same time.

A sender first takes a *lease*: so many slots from ``hwlease`` on, as pure arithmetic under the ring's lock.
It then copies without the lock. When it is done it takes the lock again, notes where its slots end, and if
all slots before its own have been published, publishes its own and those of every later lease that is done
already. So the receiver sees slots in the order in which they were leased, and none that is still being
filled. Slots that a sender leased and did not need are given back when its lease is the last one, and
published as empty packets otherwise.

Leases are numbered modulo the size of the ring. No two that are not published have the same number, because
each has a slot: a sender that finds no room takes no lease, and one that gives all its slots back gives the
number back with them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.step import Step, rule
from .ring import advance, distance, nm_next

VALE_C = "luigirizzo/netmap:sys/dev/netmap/netmap_vale.c@89607e14"

#: What a lease that is not done has noted (NR_NOSLOT).
NOSLOT = -1
#: The number of a lease that was not taken.
NOLEASE = -1

#: A lease without slots is numbered like any other.
EMPTY_NUMBERED = "14.vale-empty-leases"
AS_WRITTEN = frozenset({EMPTY_NUMBERED})

_LEASE = "14.vale.lease"
TAKEN = rule("14/lease/take/all", clause=_LEASE, source=f"{VALE_C}:929-940")
TAKEN_PART = rule("14/lease/take/what-there-is", clause="14.vale.full", source=f"{VALE_C}:935-939")
PUBLISHED = rule("14/lease/publish/in-order", clause=_LEASE, source=f"{VALE_C}:1055-1079")
PUBLISHED_MORE = rule("14/lease/publish/later-ones-too", clause=_LEASE, source=f"{VALE_C}:1063-1068")
NOT_YET = rule("14/lease/publish/not-yet", clause=_LEASE, source=f"{VALE_C}:1055-1059")
GIVEN_BACK = rule("14/lease/publish/given-back", clause=_LEASE, source=f"{VALE_C}:1037-1045")
EMPTIED = rule("14/lease/publish/empty-packets", clause=_LEASE, source=f"{VALE_C}:1046-1051")
NONE_TAKEN = rule("14/lease/take/none", clause=_LEASE, source=f"{VALE_C}:664-665,935-940")
EMPTY_TAKEN = rule(
    "14/lease/take/empty", clause=_LEASE, source=f"{VALE_C}:704-720,935-940", switch=EMPTY_NUMBERED
)
WITHDRAWN = rule("14/lease/publish/withdrawn", clause=_LEASE, source=f"{VALE_C}:1037-1045")
EMPTY_KEPT = rule(
    "14/lease/publish/empty-kept",
    clause=_LEASE,
    source=f"{VALE_C}:1037-1053,1064-1069",
    switch=EMPTY_NUMBERED,
)


@dataclass(frozen=True, slots=True)
class Lease:
    """The leases of one receive ring of ``n`` slots.

    ``hwtail``: the first slot that is not published. ``hwlease``: the first one that is not leased.
    ``index``: the number the next lease gets, modulo ``n``; ``ends`` has, by that number, where a lease that
    is done ends, :data:`NOSLOT` for one that is not.
    """

    hwtail: int
    hwlease: int
    index: int
    ends: tuple[int, ...]


def fresh(n: int) -> Lease:
    """The leases of a new ring."""
    return Lease(0, 0, 0, (NOSLOT,) * n)


def space(n: int, hwcur: int, hwlease: int) -> int:
    """Slots that may be leased: all but those leased, published or read and not released, and one."""
    return n - 1 - distance(hwcur, hwlease, n)


@dataclass(frozen=True, slots=True)
class Granted:
    """``count`` slots from ``start`` on, and the lease's number ``index``, :data:`NOLEASE` without one."""

    lease: Lease
    start: int
    index: int
    count: int


def take_lease(
    n: int, hwcur: int, lease: Lease, needed: int, switches: frozenset[str] = frozenset()
) -> Step[Granted]:
    """Lease ``needed`` slots, or as many as there are; nothing when there are none.

    As written (EMPTY_NUMBERED) no slots are a lease too. Source: nm_vale_flush, nm_kr_lease.
    """
    room = space(n, hwcur, lease.hwlease)
    count = needed
    fired: tuple[str, ...] = (TAKEN,)
    if room < needed:
        count, fired = room, (TAKEN_PART,)
    if count == 0:
        if EMPTY_NUMBERED not in switches:
            return Step(Granted(lease, lease.hwlease, NOLEASE, 0), (*fired, NONE_TAKEN))
        fired = (*fired, EMPTY_TAKEN)
    after = Lease(
        lease.hwtail,
        advance(lease.hwlease, count, n),
        nm_next(lease.index, n - 1),
        store(lease.ends, lease.index, NOSLOT),
    )
    return Step(Granted(after, lease.hwlease, lease.index, count), fired)


def store(ends: tuple[int, ...], index: int, value: int) -> tuple[int, ...]:
    """``ends`` with one entry replaced."""
    return (*ends[:index], value, *ends[index + 1 :])


@dataclass(frozen=True, slots=True)
class Reported:
    """``empty`` slots from ``stop`` on are published as empty packets; with ``news`` the receiver is told."""

    lease: Lease
    empty: int
    news: bool


def report_lease(
    n: int,
    lease: Lease,
    start: int,
    index: int,
    stop: int,
    leftover: int,
    switches: frozenset[str] = frozenset(),
) -> Step[Reported]:
    """A sender has filled its slots from ``start`` up to ``stop`` and did not need ``leftover`` more.

    As written (EMPTY_NUMBERED) a lease all of which is given back keeps its number, and once there are as
    many leases as slots, the first does not publish those behind it: nobody ever does. Source: nm_vale_flush.
    """
    fired: tuple[str, ...] = ()
    empty = 0
    if leftover > 0:
        if nm_next(index, n - 1) == lease.index:
            lease = replace(lease, hwlease=stop)
            fired = (GIVEN_BACK,)
            if stop == start:
                if EMPTY_NUMBERED not in switches:
                    return Step(Reported(replace(lease, index=index), 0, False), (*fired, WITHDRAWN))
                fired = (*fired, EMPTY_KEPT)
        else:
            empty, fired = leftover, (EMPTIED,)
    end = advance(stop, empty, n)
    ends = store(lease.ends, index, end)
    if start != lease.hwtail:
        return Step(Reported(replace(lease, ends=ends), empty, False), (*fired, NOT_YET))
    later = False
    i = index
    while i != lease.index and ends[i] != NOSLOT:
        later = later or i != index
        end = ends[i]
        ends = store(ends, i, NOSLOT)
        i = nm_next(i, n - 1)
    fired = (*fired, PUBLISHED, PUBLISHED_MORE) if later else (*fired, PUBLISHED)
    return Step(Reported(replace(lease, hwtail=end, ends=ends), empty, end != start), fired)

"""Failure injected at every internal step of every request, one at a time and one after the other.

:func:`points_of` runs a request and lists the failure points it passes. :func:`inject` then runs it once for
each of them, on a copy of the same system, with that point failing, and compares the system afterwards with
what it was before: everything the kernel knows, and every byte an application may read. The content of free
objects is nobody's, so it does not count. With a second point, the request is tried again after the first
failure and fails there: what the first attempt left behind would show in the second.

The control is :data:`~.failure.Request.omit`: leave out the inverse of one step, and some failure must show.
:func:`check` is the whole of it; the situations are in :mod:`.situations`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.memory import PAGE, Region
from .failure import POINTS
from .memory import Allocator
from .request import NAME_PARENT
from .result import Result
from .state import System
from .world import World


@dataclass(frozen=True, slots=True)
class Situation:
    """A request and the world it is made in. ``prepare`` brings a fresh world there; ``act`` makes it.

    ``name`` begins with the name of the request.
    """

    name: str
    prepare: Callable[[], World]
    act: Callable[[World], Result]
    ok: bool = True

    @property
    def request(self) -> str:
        return self.name.split()[0]


@dataclass(frozen=True, slots=True)
class Left:
    """Something a failed request left behind, or another errno than the point's.

    ``points``: those that failed, as (name, number of the pass among all passes of the request).
    """

    situation: str
    points: tuple[tuple[str, int], ...]
    what: str


@dataclass(slots=True)
class Report:
    """``runs`` counts failed requests; ``points`` the passes of each situation; ``left`` must be empty."""

    situations: int = 0
    runs: int = 0
    pairs: int = 0
    points: dict[str, tuple[str, ...]] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)

    @property
    def passes(self) -> int:
        """All points of all situations."""
        return sum(map(len, self.points.values()))

    @property
    def reached(self) -> frozenset[str]:
        """The names of all points that some situation passes."""
        return frozenset(name for names in self.points.values() for name in names)


# --- comparing systems ------------------------------------------------------------------------


def owned_bytes(region: Region, a: Allocator) -> dict[int, bytes]:
    """The region's pages that are not all zero, with the bytes of free objects put to zero."""
    pools = (
        (a.if_pool, a.if_offset(0)),
        (a.ring_pool, a.ring_offset(0)),
        (a.buf_pool, a.buf_offset(0)),
    )
    found: dict[int, bytes] = {}
    for number, page in sorted(region.key()):
        first, data = number * PAGE, bytearray(page)
        for pool, start in pools:
            end = start + pool.objsize * pool.objtotal
            at = max(first, start)
            while at < min(first + PAGE, end):
                index = (at - start) // pool.objsize
                stop = min(start + (index + 1) * pool.objsize, first + PAGE)
                if index not in pool.used:
                    data[at - first : stop - first] = bytes(stop - at)
                at = stop
        if any(data):
            found[number] = bytes(data)
    return found


def snapshot(s: System) -> dict[str, Any]:
    """Everything of a system that can make a difference later, by table."""
    tables: dict[str, Any] = {}
    for name in System.__slots__:
        value = getattr(s, name)
        if name == "regions":
            value = {mem: owned_bytes(region, s.allocators[mem]) for mem, region in value.items()}
        elif name == "krings":
            # How far its monitors have seen a ring means nothing without monitors.
            value = {k: v if v.copies or any(v.zmon) else replace(v, seen=0) for k, v in value.items()}
        elif name == "bridges":
            # Serial numbers tell ports apart that had the same index; which number it is means nothing.
            value = {k: replace(v, coming=0) for k, v in value.items()}
        elif name == "request":
            value = value.key()
        elif isinstance(value, dict):
            value = {k: v for k, v in value.items() if v != frozenset()}
        tables[name] = value
    return tables


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """One line a table entry that is not the same."""
    found: list[str] = []
    for table, old in before.items():
        new = after[table]
        if old == new:
            continue
        if not isinstance(old, dict):
            found.append(f"{table}: {old} became {new}")
            continue
        for key in sorted(old.keys() | new.keys(), key=str):
            if key not in new:
                found.append(f"{table}[{key}] is gone")
            elif key not in old:
                found.append(f"{table}[{key}] was left behind")
            elif old[key] != new[key]:
                found.append(f"{table}[{key}] changed" + _fields(old[key], new[key]))
    return found


def _fields(old: Any, new: Any) -> str:
    names = getattr(type(old), "__slots__", ())
    changed = [n for n in names if getattr(old, n) != getattr(new, n)]
    return ": " + ", ".join(f"{n} {getattr(old, n)} -> {getattr(new, n)}" for n in changed) if changed else ""


# --- injecting --------------------------------------------------------------------------------


def points_of(world: World, act: Callable[[World], Result]) -> tuple[tuple[str, ...], Result]:
    """The points a request passes, in order, and how it ends; ``world`` stays as it is."""
    w = world.clone()
    passed: list[str] = []
    w.system().request.passed = passed
    result = act(w)
    return tuple(passed), result


def _nth(points: Sequence[str], at: int) -> tuple[str, int]:
    """The point at position ``at`` as a plan has it: its name, and how often it goes well before."""
    return points[at], list(points[:at]).count(points[at])


def inject(
    situation: Situation, omit: frozenset[str] = frozenset(), pairs: bool = True
) -> tuple[tuple[str, ...], int, int, list[Left]]:
    """Fail every point of one situation, and after each every point of the same request made again.

    A point whose failure does not end the request fails together with each later one that does. Returns the
    points, how many single failures and how many pairs were run, and what was left behind.
    """
    world = situation.prepare()
    points, _ = points_of(world, situation.act)
    before = snapshot(world.system())
    left: list[Left] = []
    ends = [i for i, name in enumerate(points) if POINTS[name].errno]
    runs = more = 0
    for i in range(len(points)):
        if i not in ends:
            alone = world.clone()
            alone.fail(*_nth(points, i))
            if not situation.act(alone).outcome.ok:  # nothing at all was left to go on with
                found = differences(before, snapshot(alone.system()))
                runs += 1
                left += [Left(situation.name, ((points[i], i),), what) for what in found]
                continue
            for j in (j for j in ends if j > i):
                seen = _run(world.clone(), situation, points, (i, j), before, omit)
                more += 1
                left += [Left(situation.name, ((points[i], i), (points[j], j)), what) for what in seen]
            continue
        w = world.clone()
        seen = _run(w, situation, points, (i,), before, omit)
        runs += 1
        left += [Left(situation.name, ((points[i], i),), what) for what in seen]
        if seen or not pairs:
            continue
        for j in ends:
            seen = _run(w.clone(), situation, points, (j,), before, omit)
            more += 1
            left += [Left(situation.name, ((points[i], i), (points[j], j)), what) for what in seen]
    return points, runs, more, left


def _run(
    w: World,
    situation: Situation,
    points: Sequence[str],
    failing: Sequence[int],
    before: dict[str, Any],
    omit: frozenset[str],
) -> list[str]:
    """Make the request with points failing, the last of which ends it; what is wrong afterwards."""
    for at in failing:
        w.fail(*_nth(points, at))
    w.system().request.omit = omit
    result = situation.act(w)
    w.system().request.omit = frozenset()
    found = differences(before, snapshot(w.system()))
    last = POINTS[points[failing[-1]]]
    wanted = "ENXIO" if NAME_PARENT in result.fired else last.errno
    if str(result.outcome) != f"ERRNO({wanted})":
        found.append(f"ends with {result.outcome}, not ERRNO({wanted})")
    found += [f"{points[at]} did not fail" for at in failing if POINTS[points[at]].rule not in result.fired]
    return found


def check(
    situations: Iterable[Situation],
    omit: frozenset[str] = frozenset(),
    pairs: bool = False,
    first: bool = False,
) -> Report:
    """Every failure point of every situation. ``report.left`` is empty when nothing is left behind.

    ``first`` ends with the first situation that leaves something.
    """
    report = Report()
    for situation in situations:
        points, runs, more, left = inject(situation, omit, pairs)
        report.situations += 1
        report.runs += runs
        report.pairs += more
        report.points[situation.name] = points
        report.left += left
        if left and first:
            break
    return report


def table(situations: Iterable[Situation]) -> dict[str, frozenset[str]]:
    """Which points each request passes, in whatever situation."""
    found: dict[str, frozenset[str]] = {}
    for situation in situations:
        points, _ = points_of(situation.prepare(), situation.act)
        found[situation.request] = found.get(situation.request, frozenset()).union(points)
    return found


def steps_of(situations: Iterable[Situation]) -> frozenset[str]:
    """The names of all steps with an inverse that the situations take."""
    found: set[str] = set()
    for situation in situations:
        w = situation.prepare()
        w.system().request.taken = found
        situation.act(w)
    return frozenset(found)

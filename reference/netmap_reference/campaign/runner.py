"""The campaign itself: episodes of random operations, two checkers, and what becomes of a violation.

An *episode* is one machine from its configuration on; operations run until the episode's share is
used up, the touched objects are checked after each and everything every ``whole_every``. Everything
follows from the seed: episode ``e`` of seed ``s`` draws from a generator seeded with ``"s/e"``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

from .shrink import shrink
from .subject import Broken, Generation, Machine, Unit
from .traces import save

#: Operations of one machine, unless something breaks before.
EPISODE = 4000
WHOLE_EVERY = 1000


@dataclass
class Violation:
    """What broke, in which episode, after how many operations, and the shrunk operations."""

    broken: Broken
    episode: int
    operations: int
    header: dict[str, Any]
    units: list[Unit]
    path: Path | None = None


@dataclass
class Figures:
    """What a campaign did. ``seconds`` and rates are measured, everything else follows from the seed."""

    seed: int
    operations: int = 0
    whole_checks: int = 0
    episodes: int = 0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    profiles: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)

    def never(self, generation: Generation) -> list[str]:
        """Rules that never fired although an operation could have fired them."""
        return sorted(generation.rules - set(self.rules) - set(generation.unreachable))


def replay(generation: Generation, header: dict[str, Any], units: Sequence[Unit]) -> Broken | None:
    """What breaks first when these operations are made on a machine of this header, if anything.

    After every operation the touched objects are checked, and everything at the end.
    """
    machine: Machine = generation.machine(header)
    for unit in units:
        if machine.possible(unit):
            for op, args in unit:
                if broken := machine.apply(op, args):
                    return broken[0]
    broken = machine.whole()
    return broken[0] if broken else None


def same(one: Broken, other: Broken | None) -> bool:
    """Is this the same violation? What was found in detail may differ."""
    return other is not None and (one.predicate, one.clause) == (other.predicate, other.clause)


def run(
    generation: Generation,
    operations: int,
    seed: int,
    *,
    traces: Path | None = None,
    most_violations: int = 5,
    episode: int = EPISODE,
    whole_every: int = WHOLE_EVERY,
    progress: Callable[[Figures], None] = lambda figures: None,
) -> Figures:
    """Make ``operations`` random operations; stop early after ``most_violations``.

    ``traces`` is the folder for shrunk violations (``None``: they are shrunk but not written).
    """
    figures = Figures(seed)
    began = perf_counter()
    while figures.operations < operations and len(figures.violations) < most_violations:
        share = min(episode, operations - figures.operations)
        found = _episode(generation, figures, share, whole_every)
        if found is not None:
            if traces is not None:
                found.path = traces / f"campaign-{generation.name}-{seed}-{found.episode}.jsonl"
                save(found.path, found.header, found.units, found.broken)
            figures.violations.append(found)
        figures.episodes += 1
        figures.seconds = perf_counter() - began
        progress(figures)
    return figures


def _episode(generation: Generation, figures: Figures, share: int, whole_every: int) -> Violation | None:
    name = f"{figures.seed}/{figures.episodes}"
    rng = Random(name)
    header = {"generation": generation.name, "seed": name, **generation.header(rng)}
    machine: Machine = generation.machine(header)
    units: list[Unit] = []
    made = 0
    broken: list[Broken] = []
    while made < share and not broken:
        unit = machine.draw(rng)
        units.append(unit)
        for op, args in unit:
            broken = machine.apply(op, args)
            made += 1
            figures.kinds[op] += 1
            if not broken and (figures.operations + made) % whole_every == 0:
                figures.whole_checks += 1
                broken = machine.whole()
            if broken:
                break
    if not broken:
        figures.whole_checks += 1
        broken = machine.whole()
    figures.operations += made
    figures.profiles[header["profile"]] += made
    figures.rules.update(machine.coverage)
    if not broken:
        return None
    first = broken[0]
    again = replay(generation, header, units)
    if not same(first, again):  # the checks before the end saw it first, or the whole check did
        first = again or first
    if again is not None:
        units = shrink(units, lambda part: same(first, replay(generation, header, part)))
    return Violation(first, figures.episodes, made, header, units)

"""Which rules of a generation the scenarios fire, and which never.

Generation 2011 is run in both readings, because the rules of a deviation fire in the code's own only, and as
written without each deviation of the scenario's clauses; generation 14 by the contract, eager and lazy,
and as written.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from netmap_reference.core.step import RULES, Rule

from .. import scenarios
from ..errors import UserError
from . import runs


@dataclass(slots=True)
class Fired:
    """The rules asked for, and how often each fired in ``runs`` runs."""

    generation: str
    rules: list[Rule]
    counts: Counter[str]
    runs: int

    @property
    def fired(self) -> list[Rule]:
        return [r for r in self.rules if self.counts[r.id]]

    @property
    def never(self) -> list[Rule]:
        return [r for r in self.rules if not self.counts[r.id]]

    def to_json(self) -> dict[str, Any]:
        return {
            "generation": self.generation,
            "runs": self.runs,
            "rules": len(self.rules),
            "fired": {r.id: self.counts[r.id] for r in self.fired},
            "never": [{"rule": r.id, "clause": r.clause, "switch": r.switch} for r in self.never],
            "complete": not self.never,
        }


def known(generation: str, only: str = "*") -> list[Rule]:
    """The rules of a generation whose id matches, by id. Raises :class:`UserError` when none does."""
    runs.load_model(generation)
    found = [RULES[r] for r in sorted(RULES) if r.startswith(f"{generation}/") and fnmatchcase(r, only)]
    if not found:
        raise UserError(f"no rule of generation {generation} matches '{only}'")
    return found


def measure(generation: str, only: str = "*", recordings: bool = False) -> Fired:
    """Run every scenario of the generation in every reading, the recordings too when asked for."""
    rules = known(generation, only)
    counts: Counter[str] = Counter()
    done = 0
    for scenario in scenarios.load(generation):
        for reading in runs.readings(scenario):
            counts.update(runs.fired(scenario, reading))
            done += 1
    if recordings:
        for used in runs.recorded(generation):
            counts.update(used)
            done += 1
    return Fired(generation, rules, counts, done)

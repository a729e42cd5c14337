"""Which rules of a generation the scenarios fire, and which never.

Generation 2011 is run in both readings, because the rules of a deviation fire in the code's own only, and as
written without each deviation of the scenario's clauses; generation 14 by the contract, eager and lazy,
and as written.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from netmap_reference.core.step import RULES, Rule

from .. import scenarios
from ..errors import UserError
from . import runs

EQUIVALENTS = Path(__file__).parent / "equivalent.toml"


@dataclass(slots=True)
class Fired:
    """The rules asked for, and how often each fired in ``runs`` runs."""

    generation: str
    rules: list[Rule]
    counts: Counter[str]
    runs: int
    excused: dict[str, str] = field(default_factory=dict)

    @property
    def fired(self) -> list[Rule]:
        return [r for r in self.rules if self.counts[r.id]]

    @property
    def listed(self) -> list[Rule]:
        """Never fired, and on the list of rules that cannot be noticed."""
        return [r for r in self.never if r.id in self.excused]

    @property
    def gaps(self) -> list[Rule]:
        return [r for r in self.never if r.id not in self.excused]

    @property
    def never(self) -> list[Rule]:
        return [r for r in self.rules if not self.counts[r.id]]

    def to_json(self) -> dict[str, Any]:
        return {
            "generation": self.generation,
            "runs": self.runs,
            "rules": len(self.rules),
            "fired": {r.id: self.counts[r.id] for r in self.fired},
            "never": [{"rule": r.id, "clause": r.clause, "switch": r.switch} for r in self.gaps],
            "listed": {r.id: self.excused[r.id] for r in self.listed},
            "complete": not self.gaps,
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
    return Fired(generation, rules, counts, done, equivalents(generation))


def equivalents(generation: str, path: Path = EQUIVALENTS) -> dict[str, str]:
    """Rule -> why no scenario can notice its deletion. Raises :class:`UserError` for an unknown rule."""
    try:
        listed: dict[str, str] = tomllib.loads(path.read_text(encoding="utf-8")).get("rules", {})
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path.name}: {error}") from None
    for rule, reason in listed.items():
        if not reason.strip():
            raise UserError(f"{path.name}: {rule} has no reason")
        if rule.startswith(f"{generation}/") and rule not in RULES:
            raise UserError(f"{path.name}: there is no rule {rule}")
    return listed

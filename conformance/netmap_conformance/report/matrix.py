"""What speaks about each clause: rules of the model, proofs, scenarios, mutants.

This is the static half of the matrix, read from the project itself; what the last run said about
each of them is :mod:`.results`' business.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from netmap_reference.core.step import RULES, Rule
from netmap_spec import clauses
from netmap_spec.clauses import Clause


@dataclass(frozen=True, slots=True)
class Proof:
    """An obligation: ``id``, the clauses it is about and its statement in words."""

    id: str
    clauses: tuple[str, ...]
    statement: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario: ``id`` is its file's name without the ending, ``lines`` its text if it is made of lines."""

    id: str
    clauses: tuple[str, ...]
    title: str
    generation: str = ""
    lines: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One clause and everything that speaks about it; mutants come from a run's ``teeth.json``."""

    clause: Clause
    rules: tuple[Rule, ...]
    proofs: tuple[Proof, ...]
    scenarios: tuple[Scenario, ...]


@cache
def rules() -> dict[str, Rule]:
    """Every rule of the model by id; imports the whole model so that each has been registered."""
    import netmap_reference

    for module in pkgutil.walk_packages(netmap_reference.__path__, f"{netmap_reference.__name__}."):
        importlib.import_module(module.name)
    return dict(sorted(RULES.items()))


@cache
def proofs() -> tuple[Proof, ...] | None:
    """Every obligation, ``None`` without the solver they are written with."""
    try:
        from netmap_proofs import obligations
    except ModuleNotFoundError as error:
        if error.name != "z3":
            raise
        return None
    return tuple(Proof(o.id, tuple(o.clauses), o.statement) for o in obligations.load().values())


@cache
def scenarios() -> tuple[Scenario, ...]:
    """Every scenario of both generations."""
    from ..scenarios import load, scenario_id

    return tuple(
        Scenario(scenario_id(t), tuple(t.header.clauses), t.header.title, t.header.generation, _lines(t.path))
        for t in load()
    )


def _lines(path: str) -> str:
    """What a scenario does, without the header lines that are shown beside it; empty of a recorded run."""
    if not path.endswith(".scn"):
        return ""
    text = Path(path).read_text(encoding="utf-8")
    return "\n".join(x for x in text.splitlines() if not x.startswith(("# title:", "# clauses:"))).strip()


T = TypeVar("T", Rule, Proof, Scenario)


def rows() -> list[Row]:
    """The matrix, one row a clause in the order of the clause files."""
    by_rule, by_proof, by_scenario = group(rules().values()), group(proofs() or ()), group(scenarios())
    return [
        Row(c, tuple(by_rule[c.id]), tuple(by_proof[c.id]), tuple(by_scenario[c.id]))
        for c in clauses.load().values()
    ]


def _about(thing: Rule | Proof | Scenario) -> Iterator[str]:
    if isinstance(thing, Rule):
        yield thing.clause
    else:
        yield from thing.clauses


def group(things: Iterable[T]) -> defaultdict[str, list[T]]:
    """Things by the clause they are about."""
    found: defaultdict[str, list[T]] = defaultdict(list)
    for thing in things:
        for clause in _about(thing):
            found[clause].append(thing)
    return found

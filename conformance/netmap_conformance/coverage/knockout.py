"""Delete each rule from a copy of the model and see whether a scenario about its clause fails.

A scenario is about a rule when its clauses have the rule's clause and it fires the rule. Generation 2011: it
fails when anything that a call returned or left behind differs from the model's own run, in the
contract's reading or as written; a rule that belongs to a switch fires as written only. Generation 14: it
fails when the oracle, which has all rules, finds a violation, or as written no longer finds the deviation.

A copy that cannot go on (an exception, a loop without end) has failed too, and is counted apart: such a
kill says that the rule was needed, not that its effect was looked at.

Rules whose deletion nothing can notice are listed in ``equivalent.toml`` with the reason.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar

from netmap_reference.core.outcome import NotModelled
from netmap_reference.core.step import Rule

from .. import scenarios
from ..expressions import ExpressionError
from ..oracle import Judgement
from ..scenarios import scenario_id
from ..targets.base import TargetError
from ..trace import Trace
from . import copies, rules, runs

KILLED, SURVIVED, EQUIVALENT = "killed", "survived", "equivalent"
_T = TypeVar("_T")
_R = TypeVar("_R")
_FAILS = frozenset({"VIOLATION", "STALLED", "HANG"})


@dataclass(slots=True)
class Entry:
    """What became of one rule. ``by`` is the scenario and reading that failed, ``how`` at which step."""

    rule: str
    clause: str
    status: str
    reason: str = ""
    by: str = ""
    how: str = ""
    crashed: bool = False
    ran: int = 0

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Entry.__slots__}


@dataclass(slots=True)
class Matrix:
    """Every rule asked for."""

    generation: str
    entries: list[Entry] = field(default_factory=list)

    @property
    def survivors(self) -> list[Entry]:
        return [e for e in self.entries if e.status == SURVIVED]

    def summary(self) -> str:
        count = Counter(e.status for e in self.entries)
        crashed = sum(e.crashed for e in self.entries)
        return (
            f"generation {self.generation}: {len(self.entries)} rules deleted one at a time, {count[KILLED]} "
            f"noticed ({crashed} because the copy could not go on), {count[EQUIVALENT]} equivalent, "
            f"{count[SURVIVED]} survived"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "generation": self.generation,
            "rules": len(self.entries),
            "killed": sum(e.status == KILLED for e in self.entries),
            "crashed": sum(e.crashed for e in self.entries),
            "survived": [e.rule for e in self.survivors],
            "entries": [e.to_json() for e in self.entries],
            "complete": not self.survivors,
        }


# --- which scenarios are about a rule -------------------------------------------------------------


@dataclass(slots=True)
class Baseline:
    """One run of the real model: the scenario, the reading, and what the copy is compared with.

    ``seen`` is all that a run of 2011 showed; ``deviations`` are those that the oracle saw in one of 14.
    """

    scenario: Trace
    reading: str
    fired: Counter[str]
    seen: list[runs.Seen] = field(default_factory=list)
    deviations: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"{scenario_id(self.scenario)} ({self.reading})"


def baselines(generation: str, pattern: str = "*", clauses: Collection[str] | None = None) -> list[Baseline]:
    """Every scenario whose id matches, in every reading, on the real model.

    With ``clauses`` only those that are about one of them.
    """
    known = scenarios.load(generation, pattern)
    if clauses is not None:
        known = [s for s in known if set(clauses) & set(s.header.clauses)]
    parts = _in_parallel(_baselines, known)
    return [baseline for part in parts for baseline in part]


def _baselines(scenario: Trace) -> list[Baseline]:
    """A scenario in every reading in which the model's own run keeps the contract."""
    found = []
    for reading in runs.readings(scenario):
        if scenario.header.generation == "2011":
            seen = list(runs.steps2011(scenario, reading))
            fired = runs.load_rules2011(scenario)
            for _, step in seen:
                fired.update(step)
            found.append(Baseline(scenario, reading, fired, seen))
        else:
            judged = _judged(scenario, reading, None)
            if judged is not None and not _failed(judged):
                counts = Counter(judged.rules)
                found.append(Baseline(scenario, reading, counts, deviations=_deviations(judged)))
    return found


def _in_parallel(work: Callable[[_T], _R], items: Sequence[_T]) -> Iterator[_R]:
    """``work`` of every item, in order, in as many processes as there are processors.

    The processes are forks, so they have whatever this one has made so far.
    """
    jobs = min(len(items), os.cpu_count() or 1)
    if jobs < 2:
        yield from map(work, items)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        yield from pool.map(work, items)


def _judged(scenario: Trace, reading: str, model: ModuleType | None) -> Judgement | None:
    """The judgement, ``None`` when the run cannot be made: the scenario does not fit this reading."""
    try:
        return runs.judged14(scenario, reading, model)
    except (ExpressionError, TargetError, NotModelled):
        return None


def _failed(judged: Judgement) -> str:
    """The first finding that fails a run, in words; empty for none."""
    return next((f"{f.clause} at step {f.step}: {f.seen}" for f in judged.findings if f.kind in _FAILS), "")


# --- one rule -----------------------------------------------------------------------------------


def knock_out(rule: Rule, about: list[Baseline]) -> Entry:
    """Delete the rule and run the scenarios that are about it until one fails."""
    entry = Entry(rule.id, rule.clause, SURVIVED)
    tagged = [b for b in about if rule.clause in b.scenario.header.clauses]
    # Those that do little else come first: they are short, and about this rule more than about others.
    fires = sorted((b for b in tagged if b.fired[rule.id]), key=lambda b: b.fired.total())
    if not tagged:
        entry.reason = "no scenario is about its clause"
        return entry
    if not fires:
        entry.reason = f"none of {len(tagged)} runs about its clause fires it"
        return entry
    changed, places = copies.without(rule.id)
    if not places:
        entry.reason = "the model does not fire it anywhere"
        return entry
    generation = rule.id.split("/", 1)[0]
    crash = ""
    try:
        with copies.copied(changed, f"gen{generation}.world") as (model, fuel):
            for baseline in fires:
                entry.ran += 1
                fuel.left = copies.ROUNDS
                how, crashed = _differs(baseline, rule, model)
                if how and not crashed:
                    entry.status, entry.by, entry.how = KILLED, baseline.name, how
                    return entry
                crash = crash or (f"{baseline.name}: {how}" if how else "")
    except Exception as error:
        crash = f"loading: {_words(error)}"
    if crash:
        entry.status, entry.crashed = KILLED, True
        entry.by, _, entry.how = crash.partition(": ")
        return entry
    entry.reason = f"{entry.ran} runs that fire it end alike: {', '.join(b.name for b in fires[:4])}"
    return entry


def _words(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _differs(baseline: Baseline, rule: Rule, model: ModuleType) -> tuple[str, bool]:
    """How the copy's run fails, empty when it does not; and whether the copy could not go on."""
    try:
        if baseline.scenario.header.generation == "14":
            judged = runs.judged14(baseline.scenario, baseline.reading, model)
            failed = _failed(judged)
            if not failed and rule.switch:
                gone = baseline.deviations - _deviations(judged)
                failed = f"deviation {rule.switch} not seen" if rule.switch in gone else ""
            return failed, False
        made = runs.steps2011(baseline.scenario, baseline.reading, model)
        for number, (real, copy) in enumerate(zip(baseline.seen, made, strict=True), 1):
            if real[0] != copy[0]:
                return f"step {number}: {_where(real[0], copy[0])}", False
    except Exception as error:
        return _words(error), True
    return "", False


def _deviations(judged: Judgement) -> frozenset[str]:
    return frozenset(f.deviation for f in judged.findings if f.deviation)


def _where(real: dict[str, Any], copy: dict[str, Any]) -> str:
    from ..recordings.replay2011 import differences

    first = next(differences(real, copy), None)
    return f"{first.path} is {first.seen!r}, not {first.allowed!r}"[:200] if first else "differs"


def run(generation: str, only: str = "*", told: Callable[[str], None] = lambda text: None) -> Matrix:
    """Delete every rule of a generation whose id matches, one at a time."""
    asked = rules.known(generation, only)
    listed = rules.equivalents(generation)
    told(f"generation {generation}: the model's own runs")
    about: dict[str, list[Baseline]] = defaultdict(list)
    for baseline in baselines(generation, clauses={rule.clause for rule in asked}):
        for clause in baseline.scenario.header.clauses:
            about[clause].append(baseline)
    matrix = Matrix(generation)
    _about.clear()
    _about.update(about)
    for number, entry in enumerate(_in_parallel(_knock_out, asked), 1):
        told(f"{number} of {len(asked)}: {entry.rule}")
        if entry.status == SURVIVED and entry.rule in listed:
            entry.status, entry.reason = EQUIVALENT, listed[entry.rule]
        elif entry.status == KILLED and entry.rule in listed:
            entry.status = SURVIVED
            entry.reason = f"is listed as equivalent and yet noticed by {entry.by}: take it off the list"
        matrix.entries.append(entry)
    return matrix


#: Clause -> the runs about it; here so that forked workers find it.
_about: dict[str, list[Baseline]] = {}


def _knock_out(rule: Rule) -> Entry:
    return knock_out(rule, _about.get(rule.clause, []))

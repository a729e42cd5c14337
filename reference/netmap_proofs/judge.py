"""From an obligation to its verdict: run it, run its control, and let nothing pass by accident."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netmap_spec import clauses as spec_clauses

from .engine import NO_EXCEPTION, Counterexample, Session, execute, fresh_solver_state
from .engine.smt2 import folder_of
from .engine.values import plain
from .obligation import (
    BROKEN,
    NOT_CONFIRMED,
    PROVED,
    PROVED_UP_TO_N,
    REFUTED,
    REFUTED_AS_RECORDED,
    Obligation,
)

#: So many of the calls of a counterexample are told, the last ones: what failed was looked at behind them.
CALLS = 40


@dataclass(slots=True)
class Result:
    """What came of one obligation; :meth:`to_json` is the object ``prove --json`` prints.

    ``paths`` counts the feasible paths of the body, each rerun on its model; ``cases`` what was
    enumerated instead; ``seconds`` is information, never part of a verdict.
    """

    id: str
    clauses: tuple[str, ...]
    verdict: str
    statement: str = ""
    control: dict[str, Any] = field(default_factory=dict)
    paths: int = 0
    cases: dict[str, int] = field(default_factory=dict)
    queries: int = 0
    seconds: float = 0.0
    finding: str | None = None
    goals: dict[str, str] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    counterexamples: list[dict[str, Any]] = field(default_factory=list)
    bounds: str = ""
    cached: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "clauses": list(self.clauses),
            "verdict": self.verdict,
            "control": self.control,
            "paths": self.paths,
            "seconds": round(self.seconds, 3),
            "finding": self.finding,
            "statement": self.statement,
            "bounds": self.bounds,
            "cases": self.cases,
            "queries": self.queries,
            "goals": self.goals,
            "reasons": self.reasons,
            "counterexamples": self.counterexamples,
            "cached": self.cached,
        }


def from_json(data: dict[str, Any]) -> Result:
    """The inverse of :meth:`Result.to_json`."""
    return Result(**{**data, "clauses": tuple(data["clauses"])})


def shown(found: Counterexample) -> dict[str, Any]:
    """A counterexample as JSON: values, named objects, and what each function under proof returned."""
    return {
        "goal": found.goal,
        "values": {name: plain(v) for name, v in found.values.items() if not callable(v)},
        "objects": {name: plain(v) for name, v in found.shown.items()},
        "calls": [
            {"function": name, "arguments": [plain(a) for a in arguments], "result": plain(result)}
            for name, arguments, result in found.calls[-CALLS:]
        ],
        "cases": found.cases,
        "detail": found.detail,
        **({"schedule": plain(found.other)} if found.other is not None else {}),
    }


def _explore(session: Session, each: Obligation, functions: tuple[Callable[..., Any], ...]) -> None:
    fresh_solver_state()
    execute(session, each.body, functions)
    session.verify_refutations(each.body, functions)


def judge_control(each: Obligation) -> tuple[str, str]:
    """Does the obligation refute its planted bug? The verdict, and the reason when it is not REFUTED."""

    def counts(goal: str) -> bool:
        if each.control.goal:
            return goal == each.control.goal
        return goal not in each.refutes and goal != NO_EXCEPTION

    session = Session(
        f"{each.id} (control)", switches=each.switches, rlimit=each.rlimit, cap=each.cap, stop_at=counts
    )
    _explore(session, each, each.control.functions)
    if session.broken:
        return BROKEN, session.broken[0]
    if any(counts(goal) for goal in session.refuted):
        return REFUTED, ""
    if session.not_confirmed or session.unknown:
        return NOT_CONFIRMED, "; ".join(session.not_confirmed) or f"no answer for {sorted(session.unknown)}"
    if session.refuted:
        return BROKEN, f"refuted only {sorted(session.refuted)}, which is not the bug's goal"
    return PROVED, "the planted bug went unnoticed"


def _verdict(each: Obligation, session: Session, result: Result) -> str:
    """The verdict of the obligation itself; reasons are added to ``result``."""
    reasons = result.reasons
    reasons.extend(session.broken)
    unexpected = sorted(frozenset(session.refuted) - each.refutes)
    if unexpected and not reasons:
        for goal in unexpected:
            detail = session.refuted[goal].detail
            reasons.append(f"refuted: {goal}" + (f" ({detail})" if detail else ""))
        return REFUTED
    for name in each.clauses:
        if name not in spec_clauses.load():
            reasons.append(f"no clause {name}")
    if not session.proved and not session.refuted and not session.unknown and not session.not_confirmed:
        reasons.append("vacuous: no goal was reached")
    if not session.not_confirmed:
        reasons.extend(f"vacuous: rule {r} is never reached" for r in sorted(each.rules - session.reached))
    wrong = [r for r in each.unreachable if r in session.reached]
    reasons.extend(f"rule {r} is reached, though {each.unreachable[r]}" for r in wrong)
    if session.counts and not each.bounds:
        reasons.append(f"{session.counts} were enumerated, but the obligation states no bound")
    if reasons:
        return BROKEN
    if session.not_confirmed or session.unknown:
        reasons.extend(session.not_confirmed)
        reasons.extend(f"no answer within the budget: {goal}" for goal in sorted(session.unknown))
        return NOT_CONFIRMED
    if each.refutes - frozenset(session.refuted):
        missing = ", ".join(sorted(each.refutes - frozenset(session.refuted)))
        reasons.append(f"recorded as refuted in {each.finding}, but it holds now: {missing}")
        return BROKEN
    if each.finding is not None:
        return REFUTED_AS_RECORDED
    return PROVED_UP_TO_N if each.bounds else PROVED


def judge(each: Obligation, smt2: Path | None = None) -> Result:
    """Run an obligation and its control.

    With ``smt2``, every goal is written to that folder; ``OSError`` when it cannot be.
    """
    started = time.perf_counter()
    if smt2 is not None:
        folder_of(smt2, each.id, fresh=True)
    session = Session(
        each.id,
        switches=each.switches,
        rlimit=each.rlimit,
        cap=each.cap,
        smt2=smt2,
        until=each.refutes if each.only_refute else frozenset(),
    )
    _explore(session, each, each.functions)
    result = Result(
        id=each.id,
        clauses=each.clauses,
        verdict="",
        statement=each.statement,
        paths=session.paths,
        cases=session.counts,
        queries=session.queries,
        finding=each.finding,
        bounds=each.bounds,
    )
    result.verdict = _verdict(each, session, result)
    for goal in (*session.proved, *session.unknown, *session.refuted):
        result.goals[goal] = (
            "refuted" if goal in session.refuted else "unknown" if goal in session.unknown else "proved"
        )
    result.counterexamples = [shown(found) for found in session.refuted.values()]
    verdict, reason = judge_control(each)
    result.control = {"verdict": verdict, "what": each.control.what}
    if verdict != REFUTED:
        result.control["reason"] = reason
        if result.verdict not in (REFUTED, BROKEN):
            result.verdict = BROKEN
        result.reasons.append(f"control ({each.control.what}): {verdict}, {reason}")
    result.seconds = time.perf_counter() - started
    return result

"""The engine's contract: what it proves holds, and nothing passes by accident."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import z3
from netmap_proofs.engine import NO_EXCEPTION, EngineError, Proof, Session, execute
from netmap_proofs.judge import judge
from netmap_proofs.obligation import (
    BROKEN,
    NOT_CONFIRMED,
    OBLIGATIONS,
    PROVED,
    PROVED_UP_TO_N,
    REFUTED,
    REFUTED_AS_RECORDED,
    Control,
    Obligation,
    obligation,
)
from netmap_reference.core.step import RULES, Rule, Step

CLAUSE = "14.ring.kring-order"
SMALL, LARGE = "test/size/small", "test/size/large"


@pytest.fixture(autouse=True)
def _rules(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (SMALL, LARGE):
        monkeypatch.setitem(RULES, name, Rule(name, CLAUSE, "here"))
    for name in [*OBLIGATIONS]:
        monkeypatch.delitem(OBLIGATIONS, name)


def size(x: int) -> Step[int]:
    if x < 10:
        return Step(x, (SMALL,))
    return Step(10, (LARGE,))


def size_uncut(x: int) -> Step[int]:
    return Step(x, (SMALL,))


def at_most_ten(p: Proof, function: Callable[[int], Step[int]]) -> None:
    x = p.integer("x", 0)
    p.goal("at most ten", p.run(function, x).state <= 10)


def made(
    body: Callable[..., None] = at_most_ten, function: Any = size, bug: Any = size_uncut, **more: Any
) -> Obligation:
    settings = {"rules": (SMALL, LARGE), **more}
    obligation(
        "test",
        clauses=(CLAUSE,),
        statement="The size is cut.",
        functions=(function,),
        control=settings.pop("control", None) or Control("not cut", bug),
        **settings,
    )(body)
    return OBLIGATIONS["test"]


def explored(body: Callable[..., None], *functions: Any, **settings: Any) -> Session:
    session = Session("test", **settings)
    execute(session, body, functions)
    session.verify_refutations(body, functions)
    return session


# --- verdicts -----------------------------------------------------------------------------------


def test_a_true_statement_about_every_integer_is_proved() -> None:
    result = judge(made())
    assert (result.verdict, result.paths, result.control["verdict"]) == (PROVED, 2, REFUTED)


def test_a_false_statement_is_refuted_with_the_smallest_values() -> None:
    result = judge(made(function=size_uncut, bug=lambda x: Step(11), rules=(SMALL,)))
    assert result.verdict == REFUTED
    assert result.counterexamples[0]["values"] == {"x": 11}
    assert result.counterexamples[0]["calls"][0]["result"]["state"] == 11


def test_a_control_that_is_not_refuted_breaks_the_obligation() -> None:
    result = judge(made(bug=lambda x: Step(3)))
    assert result.verdict == BROKEN
    assert "went unnoticed" in result.control["reason"]


def test_a_control_that_only_crashes_does_not_count() -> None:
    def crash(x: int) -> Step[int]:
        raise RuntimeError("not the planted bug")

    assert judge(made(bug=crash)).verdict == BROKEN


def test_a_rule_that_is_never_reached_is_vacuous() -> None:
    def few(p: Proof, function: Callable[[int], Step[int]]) -> None:
        p.goal("at most ten", p.run(function, p.integer("x", 0, 9)).state <= 10)

    result = judge(made(few, bug=lambda x: Step(11)))
    assert result.verdict == BROKEN
    assert f"vacuous: rule {LARGE} is never reached" in result.reasons


def test_a_precondition_that_cannot_hold_is_vacuous() -> None:
    def never(p: Proof, function: Callable[[int], Step[int]]) -> None:
        x = p.integer("x", 0)
        p.assume(x < 0)
        p.goal("at most ten", p.run(function, x).state <= 10)

    result = judge(made(never, rules=()))
    assert result.verdict == BROKEN
    assert "vacuous: no goal was reached" in result.reasons


def test_a_rule_said_to_be_unreachable_must_be() -> None:
    result = judge(made(rules=(SMALL,), unreachable={LARGE: "sizes are small"}))
    assert result.verdict == BROKEN
    assert f"rule {LARGE} is reached, though sizes are small" in result.reasons


def test_the_rules_a_function_names_are_found_by_default() -> None:
    def cut(x: int) -> Step[int]:
        return Step(x, (SMALL,)) if x < 10 else Step(10, (LARGE,))

    cut.__module__ = "netmap_reference.test"
    assert made(function=cut, rules=None).rules == {SMALL, LARGE}


def test_an_unknown_clause_breaks_the_obligation() -> None:
    obligation(
        "test",
        clauses=("14.ring.no-such",),
        statement="",
        functions=(size,),
        control=Control("not cut", size_uncut),
        rules=(),
    )(at_most_ten)
    assert judge(OBLIGATIONS["test"]).reasons == ["no clause 14.ring.no-such"]


# --- recorded refutations -------------------------------------------------------------------------


def recorded(function: Any, **more: Any) -> Obligation:
    return made(
        function=function,
        control=Control("loses the value", lambda x: Step(-1), goal="not negative"),
        body=two_goals,
        finding="F-1",
        refutes={"at most ten"},
        rules=(),
        **more,
    )


def two_goals(p: Proof, function: Callable[[int], Step[int]]) -> None:
    got = p.run(function, p.integer("x", 0)).state
    p.goal("at most ten", got <= 10)
    p.goal("not negative", got >= 0)


def test_a_recorded_refutation_is_green() -> None:
    result = judge(recorded(size_uncut))
    assert (result.verdict, result.finding) == (REFUTED_AS_RECORDED, "F-1")


def test_a_recorded_refutation_that_proves_now_is_broken() -> None:
    result = judge(recorded(size))
    assert result.verdict == BROKEN
    assert "it holds now" in result.reasons[0]


def test_more_than_the_recorded_refutation_is_refuted() -> None:
    result = judge(recorded(lambda x: Step(x - 20)))
    assert (result.verdict, result.reasons) == (REFUTED, ["refuted: not negative"])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"control": Control("nothing", size)}, "changes nothing"),
        ({"control": Control("too few")}, "needs 1 functions"),
        ({"finding": "F-1"}, "go together"),
        ({"refutes": {"at most ten"}}, "go together"),
        ({"rules": ("test/no/such",)}, "no rule test/no/such"),
    ],
)
def test_an_obligation_that_could_not_be_judged_is_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        made(**settings)


# --- unknown, caps, engine errors -------------------------------------------------------------------


def test_a_goal_the_solver_cannot_answer_is_not_confirmed() -> None:
    def fermat(p: Proof, function: Callable[[int], Step[int]]) -> None:
        a, b, c = (p.integer(name, 1) for name in "abc")
        p.goal("no cubes", a * a * a + b * b * b != c * c * c)

    result = judge(made(fermat, rules=(), rlimit=20_000))
    assert result.verdict in (NOT_CONFIRMED, BROKEN)  # its control shares the goal
    assert result.goals == {"no cubes": "unknown"}


def test_a_branch_the_solver_cannot_decide_is_followed_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def body(p: Proof, function: Callable[[int], Step[int]]) -> None:
        seen.append(p.run(function, p.integer("x", 20)).fired)

    session = Session("test")
    real = Session._check
    monkeypatch.setattr(Session, "_check", lambda self, solver, *extra: "unknown")
    execute(session, body, (size,))
    assert set(seen) == {(SMALL,), (LARGE,)}
    assert session.not_confirmed == ["a path without a model: it cannot be rerun"]
    monkeypatch.setattr(Session, "_check", real)


def test_the_cap_on_paths_is_not_confirmed() -> None:
    def wide(p: Proof, function: Callable[[int], Step[int]]) -> None:
        for number in range(6):
            p.goal("at most ten", p.run(function, p.integer(f"x{number}", 0)).state <= 10)

    result = judge(made(wide, cap=5))
    assert (result.verdict, result.reasons) == (NOT_CONFIRMED, ["more than 5 paths"])


def test_a_loop_over_a_symbol_ends_at_the_cap_on_forks() -> None:
    def endless(x: int) -> int:
        while x > 0:
            x -= 1
        return x

    session = explored(
        lambda p, f: p.goal("zero", p.run(f, p.integer("x", 0)) == 0), endless, depth=20, cap=100
    )
    assert any("forks" in reason for reason in session.not_confirmed)


def test_a_function_that_needs_a_concrete_value_is_not_confirmed() -> None:
    def lookup(x: int) -> Step[int]:
        try:
            return Step([1, 2, 3][x])
        except Exception:  # what a careless step might do
            return Step(0)

    result = judge(made(function=lookup, rules=()))
    assert result.verdict == NOT_CONFIRMED
    assert "use as an index" in result.reasons[0]


def test_a_body_that_is_not_deterministic_is_not_confirmed() -> None:
    flips = iter([0, 0, 1, 1])  # the first execution and its rerun, then the second

    def body(p: Proof) -> None:
        x, y = p.integer("x"), p.integer("y")
        first = x if next(flips) == 0 else y
        p.goal("never", not (first > 3 and y > 4))

    session = explored(body)
    assert any("does not do the same twice" in reason for reason in session.not_confirmed)


# --- exceptions ------------------------------------------------------------------------------------


def test_an_exception_on_a_feasible_path_is_a_failed_goal() -> None:
    def fragile(x: int) -> Step[int]:
        if x == 7:
            raise IndexError("seven")
        return Step(min(x, 10), (SMALL,))

    result = judge(made(function=fragile, rules=(SMALL,)))
    assert result.verdict == REFUTED
    assert result.counterexamples[0]["values"] == {"x": 7}
    assert "IndexError" in result.counterexamples[0]["detail"]


def test_an_exception_behind_the_precondition_does_not_count() -> None:
    def fragile(x: int) -> Step[int]:
        if x < 0:
            raise IndexError("negative")
        return size(x)

    session = explored(at_most_ten, fragile)
    assert NO_EXCEPTION not in session.refuted


# --- the concrete rerun -------------------------------------------------------------------------------


def test_a_function_that_behaves_otherwise_on_integers_is_found_out() -> None:
    def two_faced(x: int) -> int:
        return 1 if type(x) is int else 0

    session = explored(lambda p, f: p.goal("zero", p.run(f, p.integer("x")) == 0), two_faced)
    assert "the rerun" in session.broken[0]


def test_a_function_with_a_memory_is_found_out() -> None:
    calls: list[int] = []

    def counting(x: int) -> int:
        calls.append(1)
        return len(calls)

    session = explored(lambda p, f: p.goal("some", p.run(f, p.integer("x")) >= 0), counting)
    assert "the rerun" in session.broken[0]


def test_a_counterexample_that_does_not_fail_is_found_out() -> None:
    def two_faced(x: int) -> int:
        return 0 if type(x) is int else 1

    session = explored(lambda p, f: p.goal("zero", p.run(f, p.integer("x")) == 0), two_faced)
    assert any("does not fail it" in reason for reason in session.broken)


# --- symbolic values --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Inner:
    a: int
    flag: bool


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Inner
    b: int
    name: str = "n"


def test_dataclasses_of_the_model_are_filled_with_symbols() -> None:
    def body(p: Proof, function: Callable[[Outer], int]) -> None:
        outer = p.symbolic(Outer, "o", lo=0, hi=9, name="given")
        p.goal("sum", p.run(function, outer) <= 18)

    def total(o: Outer) -> int:
        return o.inner.a + o.b if o.inner.flag else o.b

    session = explored(body, total)
    assert (session.paths, session.proved, session.broken) == (2, {"sum": 2}, [])


def test_a_field_no_symbol_can_stand_for_must_be_given() -> None:
    session = explored(lambda p: p.symbolic(Outer, "o"))
    assert "no symbol can stand for it" in session.not_confirmed[0]


def test_an_arbitrary_function_stands_for_an_array_of_any_length() -> None:
    def body(p: Proof) -> None:
        at = p.function("at")
        i, j = p.integer("i"), p.integer("j")
        p.goal("same index, same item", i != j or at(i) == at(j))
        p.goal("all items are equal", at(i) == at(j))

    session = explored(body)
    assert "same index, same item" in session.proved
    assert set(session.refuted) == {"all items are equal"}
    assert not session.broken


def test_an_arbitrary_set_keeps_its_changes() -> None:
    def body(p: Proof, take: Callable[[frozenset[int], int], frozenset[int]]) -> None:
        some, i, j = p.any_set("some"), p.integer("i"), p.integer("j")
        after = p.run(take, some, i)
        p.goal("taken", i not in after)
        p.goal("others stay", i == j or (j in some) == (j in after))
        p.goal("nothing changes", (j in some) == (j in after))

    session = explored(body, lambda s, i: s.difference((i,)))
    assert set(session.refuted) == {"nothing changes"}
    assert not session.broken


def test_a_set_of_unknown_size_cannot_be_walked() -> None:
    session = explored(lambda p: list(p.any_set("some")))
    assert "cannot be walked" in session.not_confirmed[0]


def test_one_name_is_one_symbol() -> None:
    session = explored(lambda p: (p.integer("x"), p.integer("x")))
    assert "asked for twice" in session.not_confirmed[0]


# --- export, bounds -----------------------------------------------------------------------------------


def test_every_goal_is_exported_and_another_solver_run_agrees(tmp_path: Path) -> None:
    result = judge(made(), smt2=tmp_path)
    files = sorted((tmp_path / "test").glob("*.smt2"))
    assert len(files) == 1  # on the other path the goal holds no symbol
    assert result.verdict == PROVED
    for file in files:
        solver = z3.Solver()
        solver.from_file(str(file))
        assert str(solver.check()) == "unsat", file


def test_an_older_export_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "9999-old.smt2").write_text("")
    judge(made(), smt2=tmp_path)
    assert not (tmp_path / "test" / "9999-old.smt2").exists()


def test_what_is_enumerated_must_state_its_bound() -> None:
    def small(p: Proof, function: Callable[[int], Step[int]]) -> None:
        for x in (1, 20):
            p.goal("at most ten", p.run(function, x).state <= 10)
        p.bounded(2)

    assert judge(made(small)).verdict == BROKEN
    OBLIGATIONS.clear()
    assert judge(made(small, bounds="two values")).verdict == PROVED_UP_TO_N


def test_engine_errors_step_over_a_catch_all() -> None:
    assert not issubclass(EngineError, Exception)

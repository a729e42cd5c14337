"""The schemas prove loops of any length, and show an invariant that is too weak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netmap_proofs.engine import Proof, Session, execute
from netmap_proofs.schemas import always, every, fold, induction


def run(body: Callable[[Proof], Any]) -> Session:
    session = Session("test")
    execute(session, body, ())
    session.verify_refutations(body, ())
    assert not session.broken and not session.not_confirmed
    return session


@dataclass(frozen=True, slots=True)
class Sum:
    """How many items were added, and their sum."""

    count: int
    total: int


def _sum_of_bytes(p: Proof, invariant: Callable[[Sum], list[bool]]) -> None:
    def step(s: Sum) -> Sum:
        return Sum(s.count + 1, s.total + p.integer("item", 0, 255))

    end = fold(
        p,
        "sum",
        start=Sum(0, 0),
        arbitrary=lambda name: p.symbolic(Sum, name),
        invariant=invariant,
        step=step,
    )
    p.goal("at most 255 each", end.total <= 255 * end.count)


def test_a_fold_proves_a_loop_of_any_length() -> None:
    session = run(lambda p: _sum_of_bytes(p, lambda s: [s.total <= 255 * s.count, s.count >= 0]))
    assert not session.refuted
    assert set(session.proved) == {"sum: base", "sum: step", "at most 255 each"}


def test_an_invariant_too_weak_for_its_use_is_refuted_at_the_use() -> None:
    session = run(lambda p: _sum_of_bytes(p, lambda s: [s.count >= 0]))
    assert set(session.refuted) == {"at most 255 each"}


def test_an_invariant_that_is_not_kept_is_refuted_at_the_step() -> None:
    session = run(lambda p: _sum_of_bytes(p, lambda s: [s.total <= 1000]))
    assert "sum: step" in session.refuted


def test_an_invariant_false_at_the_start_is_refuted_at_the_base() -> None:
    session = run(lambda p: _sum_of_bytes(p, lambda s: [s.count >= 1]))
    assert "sum: base" in session.refuted


def _counter(p: Proof, invariant: Callable[[int], list[bool]]) -> None:
    def down(x: int) -> int | None:
        return x - 2 if x >= 2 else None

    always(
        p,
        "even",
        starts=[0, 8],
        arbitrary=lambda name: p.integer(name),
        invariant=invariant,
        steps={"up": lambda x: x + 2, "down": down},
    )


def test_an_inductive_invariant_holds_after_any_steps() -> None:
    session = run(lambda p: _counter(p, lambda x: [x % 2 == 0, x >= 0]))
    assert (set(session.proved), session.refuted) == ({"even: start", "even: up", "even: down"}, {})


def test_a_step_that_leaves_the_invariant_is_named() -> None:
    session = run(lambda p: _counter(p, lambda x: [x % 4 == 0]))
    assert set(session.refuted) == {"even: up", "even: down"}


def _triangle(p: Proof, claimed: Callable[[int], int]) -> None:
    """The sum of the numbers below m, defined by recursion."""
    below = p.function("below")
    p.assume(below(0) == 0)
    known = induction(
        p,
        "triangle",
        claim=lambda m: [2 * below(m) == claimed(m)],
        unfold=lambda m: p.assume(below(m + 1) == below(m) + m),
    )
    n = p.integer("n", 0)
    known(n)
    p.goal("closed form", 2 * below(n) == n * (n - 1))


def test_induction_proves_a_recursive_definition() -> None:
    session = run(lambda p: _triangle(p, lambda m: m * (m - 1)))
    assert not session.refuted
    assert {"triangle: base", "triangle: step", "closed form"} <= set(session.proved)


def test_induction_over_a_false_claim_is_refuted() -> None:
    session = run(lambda p: _triangle(p, lambda m: m * m))
    assert "triangle: step" in session.refuted


def test_induction_does_not_speak_of_negative_numbers() -> None:
    def body(p: Proof) -> None:
        known = induction(p, "zero", claim=lambda m: [m >= 0], unfold=lambda m: None)
        known(p.integer("n"))
        p.goal("no number is negative", False)

    assert "zero: used from 0 on" in run(body).refuted


def test_every_combination_is_counted() -> None:
    def body(p: Proof) -> None:
        for a, b in every(p, "pairs", range(3), "xy"):
            p.goal("in range", 0 <= a < 3 and b in "xy")

    assert run(body).counts == {"pairs": 6}

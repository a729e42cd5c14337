"""Symbols compute what integers compute, and refuse what they cannot follow."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import z3
from netmap_proofs.engine import EngineError, Proof, Session, SymInt, execute
from netmap_proofs.engine.symbols import SymBool

NUMBERS = (-9, -5, -1, 0, 1, 2, 7, 8, 100)


def known(value: int) -> SymInt:
    return SymInt(z3.IntVal(value))


def number(symbol: Any) -> int:
    term = z3.simplify(symbol.term)
    return int(term.as_long())


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul])
def test_arithmetic_is_pythons(op: Callable[[Any, Any], Any]) -> None:
    for a in NUMBERS:
        for b in NUMBERS:
            assert number(op(known(a), known(b))) == op(a, b)
            assert number(op(known(a), b)) == number(op(a, known(b))) == op(a, b)


@pytest.mark.parametrize("op", [operator.floordiv, operator.mod])
def test_division_rounds_down_as_pythons(op: Callable[[Any, Any], Any]) -> None:
    for a in NUMBERS:
        for b in (1, 2, 3, 7, 32):
            assert number(op(known(a), b)) == number(op(a, known(b))) == op(a, b)
            assert tuple(number(x) for x in divmod(known(a), b)) == divmod(a, b)


def test_unary_operations_are_pythons() -> None:
    for a in NUMBERS:
        assert (number(-known(a)), number(+known(a)), number(~known(a)), number(abs(known(a)))) == (
            -a,
            a,
            ~a,
            abs(a),
        )


@pytest.mark.parametrize("mask", [0, 1, 3, 7, 8, 0x70, 0xFF, 0xFF00, -1])
def test_masks_of_contiguous_ones_are_exact(mask: int) -> None:
    for a in (*NUMBERS, 0x1234, 0xFFFF):
        assert number(known(a) & mask) == number(mask & known(a)) == a & mask
        assert number(known(a) | mask) == number(mask | known(a)) == a | mask
        assert number(known(a) ^ mask) == number(mask ^ known(a)) == a ^ mask


def test_shifts_by_a_known_amount_are_exact() -> None:
    for a in NUMBERS:
        for by in (0, 1, 5, 16):
            assert (number(known(a) << by), number(known(a) >> by)) == (a << by, a >> by)


def test_comparisons_are_pythons() -> None:
    for op in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
        for a in NUMBERS:
            for b in NUMBERS:
                assert z3.is_true(z3.simplify(op(known(a), b).term)) == op(a, b)
                assert z3.is_true(z3.simplify(op(a, known(b)).term)) == op(a, b)


def test_isinstance_answers_as_for_the_integer() -> None:
    assert isinstance(known(3), int)
    assert isinstance(SymBool(z3.BoolVal(True)), bool)


@dataclass(frozen=True)
class Holder:
    field: int


@pytest.mark.parametrize(
    "use",
    [
        int,
        float,
        hash,
        str,
        bin,
        lambda x: f"{x}",
        lambda x: [10, 20][x],
        lambda x: range(x),
        lambda x: {x: 1},
        lambda x: x in {1, 2},
        lambda x: hash(Holder(x)),
        lambda x: round(x),
        lambda x: x / 2,
        lambda x: 2**x,
        lambda x: 1 << x,
        lambda x: x & 5,
        lambda x: x & x,
        lambda x: x % -3,
        lambda x: x // -1,
        lambda x: x + 0.5,
        lambda x: x.bit_length(),
        lambda x: ~(x == 1),
    ],
)
def test_what_needs_a_concrete_value_is_refused(use: Callable[[Any], Any]) -> None:
    with pytest.raises(EngineError):
        use(SymInt(z3.Int("x")))


def test_a_symbol_outside_a_proof_has_no_truth() -> None:
    with pytest.raises(EngineError, match="outside a proof"):
        bool(SymInt(z3.Int("x")) == 1)


def _looks_at_identity(x: int, y: int) -> bool:
    return x is y


def _looks_at_none(x: int | None) -> bool:
    return x is None


def test_identity_is_found_before_the_function_runs() -> None:
    def body(p: Proof, function: Callable[[int, int], bool]) -> None:
        p.goal("same", p.run(function, p.integer("x"), p.integer("y")))

    _looks_at_identity.__module__ = _looks_at_none.__module__ = "netmap_proofs.test"
    session = Session()
    execute(session, body, (_looks_at_identity,))
    assert "tests identity" in session.not_confirmed[0]
    session = Session()
    execute(session, lambda p, f: p.goal("not none", not p.run(f, p.integer("x"))), (_looks_at_none,))
    assert not session.not_confirmed
    assert session.proved == {"not none": 1}


def test_the_remainder_by_a_symbol_forks_on_its_sign() -> None:
    def body(p: Proof, function: Callable[[int, int], int]) -> None:
        p.goal("below", p.run(function, p.integer("a"), p.integer("n", 1)) < p.integer("limit", 0))

    session = Session()
    execute(session, body, (operator.mod,))
    assert set(session.refuted) == {"below"}

    def unguarded(p: Proof, function: Callable[[int, int], int]) -> None:
        p.run(function, p.integer("a"), p.integer("n", 0))

    session = Session()
    execute(session, unguarded, (operator.mod,))
    assert "ZeroDivisionError" in session.refuted["no exception"].detail

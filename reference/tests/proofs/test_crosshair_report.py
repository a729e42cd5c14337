"""CrossHair's report: only "Confirmed over all paths" confirms."""

from __future__ import annotations

import pytest
from netmap_proofs.crosshair import beyond, contracts, planted
from netmap_proofs.crosshair.check import check, read_report
from netmap_proofs.obligations import load

CONFIRMED = "/x/c.py:15: info: Confirmed over all paths."


def test_a_confirmation_confirms() -> None:
    assert read_report(CONFIRMED + "\n").confirmed


@pytest.mark.parametrize(
    "output",
    [
        "",
        "/x/c.py:15: info: Not confirmed.",
        "/x/c.py:15: info: Unable to meet precondition.",
        CONFIRMED + "\n/x/c.py:20: info: Not confirmed.",
        CONFIRMED + "\nsomething else",
    ],
)
def test_anything_less_neither_confirms_nor_refutes(output: str) -> None:
    report = read_report(output)
    assert (report.confirmed, report.refuted) == (False, False)


def test_a_counterexample_refutes() -> None:
    report = read_report("/x/p.py:26: error: false when calling f(0, 1) (which returns False)")
    assert (report.confirmed, report.refuted) == (False, True)
    assert "f(0, 1)" in report.text


def test_crosshair_itself_confirms_a_contract_and_refutes_its_twin() -> None:
    assert check(contracts.next_then_prev).confirmed
    assert check(planted.next_then_prev).refuted


def test_a_function_without_a_contract_is_not_confirmed() -> None:
    assert not check(read_report).confirmed


@pytest.mark.parametrize("name", sorted(beyond.REASONS))
def test_what_is_beyond_it_is_listed_with_the_reason(name: str) -> None:
    """Neither confirmed nor refuted: the day it confirms one, that belongs into contracts.py."""
    report = check(getattr(beyond, name), beyond.TIMEOUT)
    assert (report.confirmed, report.refuted) == (False, False), report.text
    assert beyond.REASONS[name]


def test_every_contract_beyond_it_has_its_reason() -> None:
    own = {n for n, f in vars(beyond).items() if getattr(f, "__module__", "") == beyond.__name__}
    assert own == set(beyond.REASONS)


def test_every_contract_is_an_obligation_with_its_planted_twin() -> None:
    own = {n for n, f in vars(contracts).items() if getattr(f, "__module__", "") == contracts.__name__}
    proved = {f.__name__ for o in load().values() if o.id.startswith("xh.") for f in o.functions}
    assert own == proved
    assert own <= set(vars(planted))

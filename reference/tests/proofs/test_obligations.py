"""Every obligation of the project is green, and says what it needs to say.

``pytest -m "not slow"`` leaves out those that take more than a few seconds.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import netmap_proofs
import pytest
from netmap_proofs.judge import judge
from netmap_proofs.obligation import GREEN, REFUTED, REFUTED_AS_RECORDED, Obligation
from netmap_proofs.obligations import load
from netmap_spec import clauses

OBLIGATIONS = load()
SLOW = {
    "14.csb.no-lost-wake-up.weak-tx",
    "14.kloop.port-sees-the-ring",
    "14.life.pipe-nested",
    "14.pipe.ownership",
    "2011.pool.lowest-first",
}


def marked(each: Obligation) -> object:
    return pytest.param(each, id=each.id, marks=[pytest.mark.slow] if each.id in SLOW else [])


@pytest.mark.parametrize("each", [marked(o) for o in OBLIGATIONS.values()])
def test_the_obligation_is_green_and_its_planted_bug_is_refuted(each: Obligation) -> None:
    result = judge(each)
    assert result.control["verdict"] == REFUTED, result.control
    assert result.verdict in GREEN, result.reasons


@pytest.mark.parametrize("each", list(OBLIGATIONS.values()), ids=lambda o: o.id)
def test_the_obligation_is_about_clauses_that_exist(each: Obligation) -> None:
    assert each.clauses
    assert [c for c in each.clauses if c not in clauses.load()] == []


@pytest.mark.parametrize("each", list(OBLIGATIONS.values()), ids=lambda o: o.id)
def test_the_obligation_says_what_it_states_and_what_its_control_is(each: Obligation) -> None:
    assert each.statement.endswith(".")
    assert each.control.what


def test_slow_ones_exist() -> None:
    assert set(OBLIGATIONS) >= SLOW


def test_an_as_written_reading_is_tied_to_a_finding_or_proves() -> None:
    """Who switches a deviation on either records a refutation or shows that it is harmless."""
    for each in OBLIGATIONS.values():
        if "as-written" in each.id:
            assert each.switches and each.finding, each.id


def test_a_finding_is_proved_repaired() -> None:
    """For each recorded refutation the same body is proved for the contract, on as many functions.

    Where a whole device runs, how many of its parts are named makes no difference.
    """

    def runs(each: Obligation) -> object:
        return each.body.__code__, 0 if each.whole_device else len(each.functions)

    proved = {runs(o) for o in OBLIGATIONS.values() if o.finding is None}
    for each in OBLIGATIONS.values():
        if each.finding is not None:
            assert runs(each) in proved, each.id


def test_a_recorded_refutation_is_written_down() -> None:
    """Under its id, together with the switch that is on."""
    text = (Path(netmap_proofs.__file__).parents[2] / "FINDINGS.md").read_text()
    sections = {m[1]: m[0] for m in re.finditer(r"^#+ (F[0-9]+-[0-9]+) .*?(?=^#|\Z)", text, re.S | re.M)}
    for each in OBLIGATIONS.values():
        if each.finding is not None:
            assert all(switch in sections[each.finding] for switch in each.switches), each.id


def test_as_written_switches_are_deviations_of_the_model() -> None:
    modules = [m for name, m in sys.modules.items() if name.startswith("netmap_reference.")]
    known = frozenset().union(*(getattr(m, "AS_WRITTEN", ()) for m in modules))
    for each in OBLIGATIONS.values():
        assert each.switches <= known, each.id


def test_only_as_written_readings_are_recorded_as_refuted() -> None:
    assert REFUTED_AS_RECORDED in GREEN
    assert all(o.switches for o in OBLIGATIONS.values() if o.finding)

"""Every MUST clause about a state is proved, or listed as tested only with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from netmap_proofs.covered import LIST, about_state, coverage, only_tested
from netmap_proofs.obligations import load
from netmap_spec import clauses


def test_every_clause_about_a_state_is_proved_or_listed() -> None:
    """A new clause goes into an obligation or into tested_only.toml."""
    _, gaps, _ = coverage(load().values())
    assert gaps == []


def test_a_clause_in_neither_is_a_gap() -> None:
    known = dict(clauses.load())
    one = known["14.ring.kring-order"]
    known["14.ring.new"] = replace(one, id="14.ring.new")
    assert [g.clause for g in coverage(load().values(), known)[1]] == ["14.ring.new"]


def _with(entry: str, tmp_path: Path) -> Path:
    """The list with one entry more."""
    file = tmp_path / "tested_only.toml"
    file.write_text(LIST.read_text() + f'\n[[tested]]\nreason = "r"\nclauses = ["{entry}"]\n')
    return file


def test_an_entry_that_names_no_clause_about_a_state_is_a_gap(tmp_path: Path) -> None:
    _, gaps, _ = coverage(load().values(), path=_with("14.poll.ready", tmp_path))
    assert [g.clause for g in gaps] == ["14.poll.ready"]


def test_an_entry_whose_clause_is_proved_is_told(tmp_path: Path) -> None:
    _, gaps, idle = coverage(load().values(), path=_with("14.ring.kring-order", tmp_path))
    assert gaps == []
    assert "14.ring.kring-order" in [g.clause for g in idle]


@pytest.mark.parametrize("entry", ['clauses = ["14.a.b"]', 'reason = " "\nclauses = ["14.a.b"]'])
def test_a_listed_clause_has_a_reason(entry: str, tmp_path: Path) -> None:
    file = tmp_path / "tested_only.toml"
    file.write_text(f"[[tested]]\n{entry}\n")
    with pytest.raises(ValueError, match="has no reason"):
        only_tested(file)


def test_states_are_what_is_counted() -> None:
    assert all(c.level == "MUST" and c.about == "state" for c in about_state(clauses.load()))

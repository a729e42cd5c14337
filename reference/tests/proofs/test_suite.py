"""Selection of obligations, the cache of results, several processes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from netmap_proofs import suite
from netmap_proofs.judge import Result, from_json, judge
from netmap_proofs.obligation import PROVED
from netmap_proofs.obligations import load

QUICK = "14.ring.next-prev"
RECORDED = "14.ring.reinit.as-written"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# --- the suite ------------------------------------------------------------------------------------------


def test_a_glob_selects_in_the_order_of_the_files() -> None:
    chosen = [each.id for each in suite.select("14.ring.*prologue*")]
    assert chosen == [i for i in load() if i.startswith("14.ring.") and "prologue" in i]
    assert suite.select("nothing*") == []


def test_a_result_is_kept_and_found_again(tmp_path: Path) -> None:
    chosen = suite.select(QUICK)
    first = suite.prove(chosen, folder=tmp_path)
    again = suite.prove(chosen, folder=tmp_path)
    assert (first[0].cached, again[0].cached) == (False, True)
    assert replace(again[0], cached=False, seconds=first[0].seconds) == first[0]
    assert not suite.prove(chosen, folder=tmp_path, fresh=True)[0].cached


def test_a_damaged_cache_proves_again(tmp_path: Path) -> None:
    chosen = suite.select(QUICK)
    suite.prove(chosen, folder=tmp_path)
    for file in tmp_path.iterdir():
        file.write_text("{")
    assert not suite.prove(chosen, folder=tmp_path)[0].cached


def test_a_cache_that_cannot_be_written_is_only_slower(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = suite.prove(suite.select(QUICK), folder=tmp_path / "file" / "cache")
    assert result[0].verdict == PROVED


def test_the_key_follows_the_sources_a_result_depends_on() -> None:
    """The module of the step, its own imports and the engine; not the obligations of other areas."""
    modules = suite._modules({load()[QUICK].body.__module__})
    assert "netmap_reference.gen14.ring" in modules
    assert "netmap_reference.core.step" in modules
    assert "netmap_proofs.engine.execution" in modules
    assert "netmap_proofs.obligations.pool2011" not in modules
    assert suite.key(load()[QUICK]) != suite.key(load()["14.ring.between-distance"])


def test_several_processes_give_the_same_results_in_the_same_order() -> None:
    chosen = suite.select("14.ring.reinit*")
    one = suite.prove(chosen, folder=None)
    two = suite.prove(chosen, folder=None, jobs=2)
    assert [replace(r, seconds=0.0) for r in one] == [replace(r, seconds=0.0) for r in two]


def test_a_result_survives_its_json() -> None:
    result = judge(load()[RECORDED])
    assert from_json(json.loads(json.dumps(result.to_json()))).to_json() == result.to_json()


def test_an_export_says_which_goals_it_has_and_why_others_have_no_such_form(tmp_path: Path) -> None:
    chosen = suite.select(QUICK) + suite.select("2011.host.tx-read-once")
    suite.prove(chosen, folder=None, smt2=tmp_path)
    exported = len(list((tmp_path / QUICK).glob("*.smt2")))
    lines = (tmp_path / "INDEX.txt").read_text().splitlines()
    assert exported > 0
    assert lines[0] == f"{QUICK}: {exported} goals"
    assert lines[1].startswith("2011.host.tx-read-once: 0 goals (explored: ")


def test_every_kind_of_obligation_without_a_formula_has_its_reason() -> None:
    def why(id: str, cases: dict[str, int], exported: int = 0) -> str:
        return suite.why_not_exported(Result(id, (), PROVED, cases=cases), exported)

    assert "CrossHair" in why("xh.14.x", {})
    assert "explored: 7 states" in why("14.x", {"states": 7})
    assert "enumerated: 9 cases" in why("14.x", {"a": 4, "b": 5})
    assert why("14.x", {}, exported=1) == ""
    assert "without a symbol" in why("14.x", {})

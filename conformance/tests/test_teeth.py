"""Planted defects: the lists apply, copies are really used, and the scenarios notice."""

from __future__ import annotations

import importlib
import json
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import netmap_reference
import pytest
from netmap_conformance import cli, scenarios, teeth
from netmap_conformance.teeth import Mutant, TeethError
from netmap_conformance.teeth.hunt import KILLED, SURVIVED, hunt, planted
from netmap_reference.core.step import RULES
from netmap_spec import clauses, schemas

STALLS = {"reference": "ref-completions-never-reported", "native": "nat-completions-never-reported"}


def mutant(name: str) -> Mutant:
    (found,) = teeth.load(name)
    return found


def about(clause: str) -> list[scenarios.Trace]:
    return [t for t in scenarios.load("14") if clause in t.header.clauses]


# --- the lists ----------------------------------------------------------------------------------


def test_every_mutant_applies_and_names_a_clause_that_scenarios_are_about() -> None:
    found = teeth.load()
    assert {m.target for m in found} == {"reference", "native"}
    for m in found:
        assert teeth.patched(m) != (teeth.root(m.target) / m.file).read_text(), m.id
        assert m.reason, m.id
        assert about(m.clause), f"{m.id}: no scenario is about {m.clause}"


def test_both_targets_have_three_planted_bugs_and_one_of_them_is_a_stall() -> None:
    for target, stall in STALLS.items():
        found = [m.id for m in teeth.load(target=target)]
        assert len(found) >= 3
        assert stall in found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clause": "14.no.such"}, "there is no clause '14.no.such'"),
        ({"file": "no/such.py"}, "there is no file no/such.py"),
        ({"old": "text that is nowhere"}, "occurs 0 times"),
        ({"old": "e"}, "times in gen14/ring.py"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_list_is_one_line(
    change: dict[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = {"id": "m", "clause": "14.ring.tx-window", "file": "gen14/ring.py", "old": "def tx_prologue("}
    lines = {**good, "new": "x", "reason": "r", **change}
    text = "[[mutant]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in lines.items())
    (tmp_path / "reference.toml").write_text(text)
    monkeypatch.setattr(teeth, "LISTS", tmp_path)
    with pytest.raises(TeethError, match=words) as caught:
        teeth.load()
    assert "\n" not in str(caught.value)


#: What a kernel or driver must do that no rule decides and no defect is planted against, and why.
UNPLANTED = {
    "14.csb.kernel-read": "the order of loads: the controls of 14.csb.barrier are the planted defects",
    "14.kqueue.no-deadlock": "locks between the kernel's own threads are no part of the model",
    "14.kqueue.wakeup": "the same record as a poll's, against which defects are planted",
    "14.legacy.sync": "there is one sync, and it takes no argument",
    "14.memory.mapping-holds": "a scenario's close gives up the mapping as well; tests of the model keep it",
    "14.module.renamed": "not modelled",
    "14.ring.kring-order": "an invariant of what no call shows: campaigns and proofs hold it",
}


def test_what_no_rule_decides_a_planted_defect_or_a_deviation_breaks() -> None:
    """Deleting rules says nothing about a clause that has none."""
    for module in pkgutil.walk_packages(netmap_reference.__path__, "netmap_reference."):
        importlib.import_module(module.name)
    known = clauses.load()
    decided = {rule.clause for rule in RULES.values() if not rule.switch} | {m.clause for m in teeth.load()}
    must = {c for c in known if c.startswith("14.") and known[c].level == "MUST"}
    binding = {c for c in must if known[c].binds in ("kernel", "both", "driver")}
    others = {c for c in binding if c.startswith(("14.abi.", "14.driver.", "14.callbacks.answers"))}
    open_ones = {c for c in binding - others - decided if not known[c].deviations}
    assert open_ones == UNPLANTED.keys()


# --- copies -------------------------------------------------------------------------------------


def test_a_planted_copy_is_the_one_that_runs_and_nothing_else_changes() -> None:
    with planted(mutant("ref-version-15-refused"), "reference") as environment:
        code = "import netmap_reference.gen14.header as r; print(r.__file__)"
        ran = subprocess.run(
            [sys.executable, "-c", code], env={**environment}, capture_output=True, text=True, check=True
        )
        there = Path(ran.stdout.strip())
        here = teeth.root("reference") / "gen14" / "header.py"
        assert there != here
        assert there.read_text() == teeth.patched(mutant("ref-version-15-refused"))
    assert not there.exists(), "the copy is gone afterwards"


def test_the_unchanged_copy_is_killed_by_nothing() -> None:
    kill = hunt(None, "reference", scenarios.load("14", "p*"))
    assert (kill.status, kill.found) == (SURVIVED, {})
    assert kill.ran > 50


# --- kills --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "clauses"),
    [
        ("ref-completions-never-reported", {"14.nic.reclaim"}),
        ("ref-rx-window-one-too-far", {"14.ring.rx-window", "14.ring.reinit-resets", "14.sync.rejected"}),
        ("ref-pipe-keeps-buffer", {"14.pipe.txsync", "14.pipe.rxsync", "14.pipe.shared-buffers"}),
        ("ref-wakeup-lost", {"14.poll.wakeup"}),
    ],
)
def test_a_planted_bug_of_the_model_is_caught_with_clause_step_and_picture(
    name: str, clauses: set[str]
) -> None:
    m = mutant(name)
    kill = hunt(m, "reference", about(m.clause))
    assert kill.status == KILLED
    (finding,) = kill.found.values()
    assert finding.clause in clauses
    assert finding.step > 0
    assert finding.before or finding.after or finding.kind == "HANG"


needs_cc = pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("make")), reason="no C compiler: install gcc or clang, and make"
)


@needs_cc
@pytest.mark.parametrize(
    ("name", "clauses"),
    [
        ("nat-completions-never-reported", {"14.nic.reclaim"}),
        ("nat-rx-window-one-too-far", {"14.ring.rx-window", "14.ring.reinit-resets", "14.sync.rejected"}),
        ("nat-pipe-buf-changed-stays", {"14.pipe.txsync", "14.pipe.rxsync"}),
    ],
)
def test_a_planted_bug_of_the_c_device_is_caught(name: str, clauses: set[str]) -> None:
    m = mutant(name)
    kill = hunt(m, "native", about(m.clause))
    assert kill.status == KILLED
    (finding,) = kill.found.values()
    assert finding.clause in clauses
    assert finding.before or finding.after


def test_a_defect_nobody_looks_for_survives() -> None:
    harmless = Mutant(
        id="m",
        clause="14.ring.tx-window",
        file="gen14/data_path.py",
        old='"""NIOCTXSYNC."""',
        new='"""The other one."""',
        reason="a comment",
        target="reference",
    )
    kill = hunt(harmless, "reference", about("14.ring.tx-window")[:2])
    assert (kill.status, kill.found, kill.ran) == (SURVIVED, {}, 2)


# --- the command --------------------------------------------------------------------------------


def test_the_command_writes_the_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    few = scenarios.load("14", "register-*")
    monkeypatch.setattr(scenarios, "load", lambda *a: few)
    status = cli.main(["teeth", "--only", "ref-*-15-refused", "--all"])
    document = json.loads(Path("build/report/teeth.json").read_text())
    assert schemas.validate("teeth", document) == []
    assert {m["id"]: m["status"] for m in document["mutants"]} == {
        "ref-version-15-refused": "killed",
    }
    assert status == 0
    assert "1 killed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "words"),
    [(["--only", "zzz"], "no mutant matches 'zzz'"), (["--target", "moon"], "no mutants of 'moon'")],
)
def test_what_goes_wrong_is_one_line(
    args: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["teeth", *args]) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1


# --- automatic mutants ----------------------------------------------------------------------------


def figure(refuted: int, survived: int = 0, explained: int = 0) -> dict[str, float]:
    live = refuted + survived + explained
    return {"mutants": live, "refuted": refuted, "survived": survived, "explained": explained,
            "noticed": 0, "equivalent": 0, "share": refuted / live}  # fmt: skip


@pytest.mark.parametrize(
    ("figures", "enough"),
    [
        ({"step": figure(95, explained=5), "device": figure(20)}, True),
        ({"step": figure(100), "device": figure(94, explained=6)}, False),
        ({"step": figure(94, explained=6), "device": figure(100)}, False),
        ({"step": figure(99, survived=1)}, False),
    ],
)
def test_every_kind_must_be_refuted_and_every_survivor_explained(
    figures: dict[str, dict[str, float]], enough: bool
) -> None:
    from netmap_conformance.teeth.proofs import Automatic

    automatic = Automatic([], figures)
    assert automatic.enough is enough
    assert len(list(automatic.lines())) == len(figures)

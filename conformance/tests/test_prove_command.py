"""``netmap-verify prove``: what it prints, draws and returns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from netmap_conformance.cli import main
from netmap_proofs import suite
from netmap_proofs.judge import Result
from netmap_proofs.obligation import BROKEN, NOT_CONFIRMED, PROVED, REFUTED
from netmap_spec.schemas import validate

QUICK = "14.ring.next-prev"
RECORDED = "14.ring.reinit.as-written"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_json_is_what_the_schema_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "--json", "--only", "14.ring.reinit*", "--jobs", "1"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert validate("prove", printed) == []
    verdicts = {o["id"]: o["verdict"] for o in printed["obligations"]}
    assert verdicts["14.ring.reinit"] == "PROVED"
    assert verdicts[RECORDED] == "REFUTED_AS_RECORDED"


def test_the_table_names_obligation_verdict_and_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "--only", RECORDED, "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert RECORDED in out and "REFUTED_AS_RECORDED" in out and "F14-001" in out


def test_a_counterexample_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    main(["prove", "--only", RECORDED, "--jobs", "1", "--counterexamples"])
    out = capsys.readouterr().out
    assert "user.tail=1" in out
    assert "hwcur" in out and "▼" in out and "▲" in out


def test_the_schedule_of_a_lost_wake_up_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["prove", "--only", "2011.poll.no-lost-wake-up.host.as-written", "--jobs", "1", "--counterexamples"])
    out = capsys.readouterr().out
    assert "Wake(rx1)" in out and "at Sleep()" in out


def test_goals_are_exported(tmp_path: Path) -> None:
    assert main(["prove", "--only", QUICK, "--jobs", "1", "--smt2", str(tmp_path / "goals")]) == 0
    assert list((tmp_path / "goals" / QUICK).glob("*.smt2"))


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([PROVED], 0),
        ([PROVED, REFUTED], 1),
        ([BROKEN], 1),
        ([PROVED, NOT_CONFIRMED], 125),
        ([NOT_CONFIRMED, REFUTED], 1),
    ],
)
def test_the_exit_status_tells_what_was_found(
    verdicts: list[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [Result("x", ("c",), v, control={"verdict": REFUTED}, reasons=["why"]) for v in verdicts]
    monkeypatch.setattr(suite, "prove", lambda *a, **k: results)
    assert main(["prove", "--only", QUICK]) == status
    assert "x: why" in capsys.readouterr().out


def test_a_glob_that_matches_nothing_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "--only", "no-such-thing"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_export_that_cannot_be_written_is_status_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["prove", "--only", QUICK, "--jobs", "1", "--smt2", str(tmp_path / "file" / "x")]) == 4
    assert capsys.readouterr().err.count("\n") == 1


def test_without_the_solver_one_line_names_the_extra() -> None:
    """In a process of its own, in which z3 cannot be imported."""
    code = (
        "import sys; sys.modules['z3'] = None\n"
        "from netmap_conformance.cli import main\n"
        "sys.exit(main(['prove']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1 and "netmap-verify[prove]" in done.stderr

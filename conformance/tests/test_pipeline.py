"""The whole run: every stage's result is kept, its status decides, nothing stale is shown."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from netmap_conformance import pipeline
from netmap_conformance.cli import main
from netmap_conformance.errors import UserError
from netmap_conformance.pipeline import Outcome, Stage, status

LIST = Stage("clauses", "list", ("explain", "--list"))
WRONG = Stage("wrong", "wrong", ("explain", "no-such-clause"))
DIFFERS = Stage("differs", "differs", ("abi", "--compare", "2011", "14"))


def run(tmp_path: Path, *stages: Stage) -> list[Outcome]:
    return pipeline.run(stages, tmp_path, lambda stage: None, lambda stage, outcome: None)


def test_a_stage_leaves_its_json_and_its_log(tmp_path: Path) -> None:
    (outcome,) = run(tmp_path, LIST)
    assert (outcome.status, outcome.outcome) == (0, "all well")
    assert any(c["id"] == "14.ring.tx-window" for c in json.loads((tmp_path / "list.json").read_text()))
    assert (tmp_path / "list.log").read_text() == ""
    (told,) = json.loads((tmp_path / "stages.json").read_text())["stages"]
    assert told["command"] == "netmap-verify explain --list"


def test_a_stage_that_cannot_run_says_why_and_leaves_nothing_stale(tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text('{"from": "yesterday"}')
    (tmp_path / "conform-gone.json").write_text('{"target": "gone", "scenarios": []}')
    first, second = run(tmp_path, WRONG, LIST)
    assert first.status == 2 and "no clause 'no-such-clause'" in first.reason
    assert second.status == 0, "the others run all the same"
    assert not (tmp_path / "wrong.json").exists()
    assert not (tmp_path / "conform-gone.json").exists(), "no target of an earlier run is shown"


def test_a_stage_that_finds_something_keeps_its_result(tmp_path: Path) -> None:
    (outcome,) = run(tmp_path, DIFFERS)
    assert (outcome.status, outcome.outcome) == (1, "found something")
    assert json.loads((tmp_path / "differs.json").read_text())


def test_a_stage_that_prints_no_json_broke_down(tmp_path: Path) -> None:
    """``--help`` exits 0 without a result: that must not look well."""
    (outcome,) = run(tmp_path, Stage("help", "help", ("explain", "--help")))
    assert outcome.status == 70 and "no JSON" in outcome.reason


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 1, 3], 1),
        ([1, 70], 1),
        ([0, 3], 3),
        ([125, 3], 3),
        ([3, 70], 70),
        ([125, 0], 125),
        ([-11, 0], 70),
        ([139, 0], 70),
    ],
)
def test_the_runs_status(seen: list[int], expected: int) -> None:
    told = [Outcome("x", "x", code, "", 0.0, "") for code in seen]
    assert status(told) == expected


def test_counts_are_the_verdicts_of_the_result() -> None:
    obligations = [{"verdict": "PROVED"}, {"verdict": "REFUTED"}, {"verdict": "PROVED"}]
    assert pipeline.counted({"obligations": obligations}) == "2 PROVED, 1 REFUTED"


def test_every_stage_is_a_command_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    for stage in pipeline.stages():
        assert main([stage.command[0], "--help"]) == 0
        assert "--json" in capsys.readouterr().out


def test_a_node_is_a_target_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "netmap").write_text("")
    with_node = pipeline.stages(tmp_path / "netmap")
    without = pipeline.stages(tmp_path / "absent")
    assert {s.result for s in with_node} - {s.result for s in without} == {"conform-node"}


def test_the_report_folder_is_tried_before_the_first_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(pipeline, "run", lambda *_: pytest.fail("it ran first"))
    assert main(["run", "-o", str(tmp_path / "file"), "--results", str(tmp_path)]) == 4
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_results_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot") as error:
        run(tmp_path / "file", LIST)
    assert error.value.status == 4


def test_run_ends_with_a_summary_and_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("conform", "--target", "reference", "--only", "pipe-basic")
    few = [Stage("one scenario", "conform-reference", command), WRONG]
    monkeypatch.setattr(pipeline, "stages", lambda: few)
    out = tmp_path / "report"
    assert main(["run", "-o", str(out), "--results", str(tmp_path / "results")]) == 2
    text = capsys.readouterr().out
    assert "Summary" in text and "1 PASS" in text and f"report: {out / 'index.html'}" in text
    assert "again: netmap-verify explain no-such-clause" in text
    told = json.loads((out / "summary.json").read_text())
    assert told["ok"] is False and told["targets"] == {"reference": {"PASS": 1}}
    assert [s["status"] for s in told["stages"]] == [0, 2]


def test_interrupting_a_run_leaves_no_process_behind(tmp_path: Path) -> None:
    """^C while a stage works: one line, status 130, and what the stage had started is gone."""
    pid, target, script = (tmp_path / name for name in ("pid", "target.py", "run.py"))
    target.write_text(
        "import os, pathlib, time\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    folders = ["-o", str(tmp_path / "report"), "--results", str(tmp_path / "results")]
    command = ("conform", "--target", f"exec:{sys.executable} {target}")
    script.write_text(
        "import signal, sys\nfrom netmap_conformance import cli, pipeline\n"
        # tests that a shell runs in the background inherit that ^C is ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"pipeline.stages = lambda: [pipeline.Stage('slow', 'conform-slow', {command!r})]\n"
        f"sys.exit(cli.main(['run', *{folders!r}]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for _ in range(600):
        if pid.is_file() and pid.read_text():
            break
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    for _ in range(100):
        if not Path(f"/proc/{pid.read_text()}").exists():
            break
        time.sleep(0.1)
    else:
        pytest.fail("the target still runs")

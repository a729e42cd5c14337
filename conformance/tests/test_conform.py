"""``conform`` from the command line: verdicts, formats for other programs, and exit statuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from netmap_conformance import cli, manifest, suite
from netmap_conformance.commands.conform import describe, described, to_junit, to_tap
from netmap_conformance.errors import CANNOT_JUDGE, FOUND, UserError
from netmap_conformance.manifest import Deviation, Manifest
from netmap_conformance.oracle import Finding
from netmap_conformance.targets import open_target
from netmap_spec import schemas


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def conform(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    status = cli.main(["conform", *args])
    out, err = capsys.readouterr()
    return status, out, err


# --- a target that lies -------------------------------------------------------------------------

#: The reference behind the protocol, with one word changed on its way out.
LIAR = """
import subprocess, sys
inner = subprocess.Popen([sys.executable, "-m", "netmap_conformance.targets.serve", "reference"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
for line in sys.stdin:
    inner.stdin.write(line); inner.stdin.flush()
    answer = inner.stdout.readline()
    if '"op":"txsync"' in line:
        answer = answer.replace({old!r}, {new!r})
    sys.stdout.write(answer); sys.stdout.flush()
"""


def liar(old: str, new: str) -> str:
    path = Path("liar.py")
    path.write_text(LIAR.format(old=old, new=new))
    return f"exec:{sys.executable} {path}"


# --- verdicts and statuses ----------------------------------------------------------------------


def test_a_good_target_is_0_and_the_json_keeps_to_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = conform(capsys, "--target", "reference", "--only", "pipe-b*", "--json")
    document = json.loads(out)
    assert status == 0
    assert schemas.validate("conform", document) == []
    assert document["target"] == "reference"
    assert {s["verdict"] for s in document["scenarios"]} == {"PASS"}
    assert [s["id"] for s in document["scenarios"]] == ["pipe-bad-slots", "pipe-basic", "pipe-bridge"]


def test_a_violation_is_1_with_clause_step_and_picture(capsys: pytest.CaptureFixture[str]) -> None:
    target = liar('"tail":7', '"tail":6')
    status, out, _ = conform(capsys, "--target", target, "--only", "pipe-basic")
    assert status == FOUND
    assert "VIOLATION" in out
    assert "14." in out and "step" in out
    assert "allowed:" in out and "seen:" in out
    assert "hwtail" in out and "before: x{1:tx0" in out, "the ring before and after"
    assert "kept in build/failures/pipe-basic." in out
    status, out, _ = conform(capsys, "--target", target, "--only", "pipe-basic", "--json")
    document = json.loads(out)
    assert schemas.validate("conform", document) == []
    (finding,) = document["scenarios"][0]["findings"]
    assert finding["clause"].startswith("14.")


def test_a_kept_run_can_be_run_again(capsys: pytest.CaptureFixture[str]) -> None:
    conform(capsys, "--target", liar('"tail":7', '"tail":6'), "--only", "pipe-basic")
    (kept,) = Path("build/failures").iterdir()
    status, out, _ = conform(capsys, "--target", "reference", "--scenario", str(kept), "--json")
    assert status == 0
    assert json.loads(out)["scenarios"][0]["verdict"] == "PASS"


def test_what_is_not_declared_is_skipped_with_its_reason_and_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("m.toml").write_text('name = "small"\ntarget = "reference"\ncapabilities = ["pipe"]\n')
    status, out, _ = conform(capsys, "--manifest", "m.toml", "--only", "*-wakeup-in")
    assert status == CANNOT_JUDGE, "nothing was run at all"
    assert "SKIPPED" in out
    assert "skipped 1: needs threads, which small does not declare" in out
    status, _, _ = conform(capsys, "--manifest", "m.toml", "--only", "p*-wakeup-in")
    assert status == CANNOT_JUDGE
    status, _, _ = conform(capsys, "--manifest", "m.toml", "--only", "p*")
    assert status == 0, "some were run"


def test_a_target_without_a_manifest_is_asked_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    target = f"exec:{sys.executable} -m netmap_conformance.targets.serve reference"
    status, out, _ = conform(capsys, "--target", target, "--only", "dup", "--json")
    assert status == 0
    assert json.loads(out)["scenarios"][0]["verdict"] == "PASS"


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (["--target", "teleport"], 2, "unknown target 'teleport'"),
        (["--target", "lib:/no/such.so"], 3, "there is no file /no/such.so"),
        (["--target", "native", "--device", "/dev/no-such-netmap"], 3, "/dev/no-such-netmap"),
        (["--target", "exec:/no/such/command"], 3, "cannot start /no/such/command"),
        ([], 2, "no target"),
        (["--target", "reference", "--only", "nothing-*"], 2, "no scenario of generation 14 matches"),
        (["--target", "reference", "--clause", "14.no.such"], 2, "no clause '14.no.such'"),
        (["--target", "reference", "--manifest", "missing.toml"], 2, "missing.toml: cannot be read"),
        (["--target", "reference", "--scenario", "missing.scn"], 2, "cannot read missing.scn"),
        (["--target", "reference", "--policy", "hasty"], 2, "unknown policy 'hasty'"),
        (["--target", "reference", "--json", "--tap"], 2, "--json and --tap"),
        (["--target", "reference", "--only", "dup", "--junit", "/proc/x/y.xml"], 4, "cannot write"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_status(
    capsys: pytest.CaptureFixture[str], args: list[str], status: int, words: str
) -> None:
    got, _, err = conform(capsys, *args)
    assert got == status
    assert words in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_a_malformed_scenario_is_named_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.scn").write_text("open A\nteleport A\n")
    status, _, err = conform(capsys, "--target", "reference", "--scenario", "bad.scn")
    assert status == 2
    assert "bad.scn:2" in err


def test_a_capability_that_is_declared_and_denied_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    target = f"exec:{sys.executable} -m netmap_conformance.targets.serve reference"
    Path("m.toml").write_text('name = "mine"\ncapabilities = ["pipe", "nic"]\n')
    Path("pipes.py").write_text(
        "import json, sys\nfor line in sys.stdin:\n"
        "    print(json.dumps({'ev': 'ready', 'capabilities': ['pipe']}), flush=True)\n"
    )
    status, _, err = conform(capsys, "--target", f"exec:{sys.executable} pipes.py", "--manifest", "m.toml")
    assert status == 2
    assert "declares nic, which the probe" in err
    status, _, _ = conform(capsys, "--target", target, "--manifest", "m.toml", "--only", "pipe-basic")
    assert status == 0


# --- deviations ---------------------------------------------------------------------------------

DEVIATING = """
name = "liar"
capabilities = ["pipe"]
[[deviations]]
clause = "{clause}"
tests = "pipe-basic"
reason = "known"
"""


def test_a_listed_deviation_runs_and_is_told_and_does_not_fail(capsys: pytest.CaptureFixture[str]) -> None:
    target = liar('"tail":7', '"tail":6')
    _, out, _ = conform(capsys, "--target", target, "--only", "pipe-basic", "--json")
    clause = json.loads(out)["scenarios"][0]["findings"][0]["clause"]
    Path("m.toml").write_text(DEVIATING.format(clause=clause))
    status, out, _ = conform(
        capsys, "--target", target, "--manifest", "m.toml", "--only", "pipe-basic", "--json"
    )
    (entry,) = json.loads(out)["scenarios"]
    assert status == 0
    assert entry["verdict"] == "DEVIATION"
    assert clause in entry["reason"]
    assert entry["findings"][0]["reason"] == "known"


def test_a_listed_deviation_that_is_not_seen_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("m.toml").write_text(DEVIATING.format(clause="14.pipe.txsync"))
    status, out, _ = conform(
        capsys, "--target", "reference", "--manifest", "m.toml", "--only", "pipe-basic", "--json"
    )
    assert status == FOUND
    assert json.loads(out)["scenarios"][0]["verdict"] == "UNEXPECTED_PASS"


def finding(kind: str, clause: str = "14.pipe.txsync") -> Finding:
    return Finding(kind, clause, 3, "txsync A", "this", "that", reason="because")


@pytest.mark.parametrize(
    ("verdict", "kinds", "clauses", "expected"),
    [
        ("PASS", [], ["14.pipe.rxsync"], "PASS"),
        ("PASS", [], ["14.pipe.txsync"], "UNEXPECTED_PASS"),
        ("DEVIATION", ["DEVIATION"], ["14.pipe.txsync"], "DEVIATION"),
        ("VIOLATION", ["DEVIATION", "VIOLATION"], ["14.pipe.txsync"], "VIOLATION"),
        ("NOT_MODELLED", ["NOT_MODELLED"], [], "INCONCLUSIVE"),
    ],
)
def test_a_scenarios_verdict(verdict: str, kinds: list[str], clauses: list[str], expected: str) -> None:
    m = Manifest(name="x", deviations=[Deviation(clause="14.pipe.txsync", reason="r", tests="t*")])
    got, reason = suite.classify(verdict, [finding(k) for k in kinds], "t1", clauses, m)
    assert got == expected
    assert bool(reason) == (got != "PASS")


def suite_of(*verdicts: str) -> suite.Suite:
    entries = []
    for i, verdict in enumerate(verdicts):
        found = [] if verdict in ("PASS", "SKIPPED") else [finding("VIOLATION")]
        reason = "" if verdict == "PASS" else "why <&> not"
        entries.append(suite.Entry(f"s{i}", ["14.pipe.txsync"], verdict, reason, found))
    return suite.Suite("mine", entries)


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        (["PASS", "DEVIATION", "SKIPPED"], 0),
        (["PASS", "VIOLATION", "INCONCLUSIVE"], 1),
        (["STALLED"], 1),
        (["HANG"], 1),
        (["UNEXPECTED_PASS"], 1),
        (["PASS", "INCONCLUSIVE"], 125),
        (["SKIPPED"], 125),
    ],
)
def test_the_status_suits_git_bisect(verdicts: list[str], status: int) -> None:
    assert suite_of(*verdicts).status() == status


# --- for other programs -------------------------------------------------------------------------


def test_junit_counts_failures_errors_and_skips(capsys: pytest.CaptureFixture[str]) -> None:
    root = ElementTree.fromstring(
        to_junit(suite_of("PASS", "VIOLATION", "INCONCLUSIVE", "SKIPPED", "DEVIATION"))
    )
    assert {k: root.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
    }
    failure = root.find("testcase/failure")
    assert failure is not None and failure.get("message") == "why <&> not"
    assert "14.pipe.txsync" in (failure.text or "")
    status, _, _ = conform(capsys, "--target", "reference", "--only", "dup", "--junit", "out/j.xml")
    assert status == 0
    assert ElementTree.parse("out/j.xml").getroot().get("tests") == "1"


def test_tap_says_ok_not_ok_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    lines = to_tap(suite_of("PASS", "VIOLATION", "SKIPPED")).splitlines()
    assert lines[:3] == ["TAP version 13", "1..3", "ok 1 - s0"]
    assert lines[3] == "not ok 2 - s1"
    assert "  verdict: VIOLATION" in lines
    assert lines[-1] == "ok 3 - s2 # SKIP why <&> not"
    status, out, _ = conform(capsys, "--target", "reference", "--only", "dup", "--tap")
    assert status == 0
    assert out.splitlines() == ["TAP version 13", "1..1", "ok 1 - dup"]


def test_a_description_has_everything_a_maintainer_needs() -> None:
    entry = suite.Entry("s", [], "VIOLATION", "r", [finding("VIOLATION")], trace="build/failures/s.jsonl")
    text = "\n".join(describe(entry))
    for words in (
        "VIOLATION 14.pipe.txsync, step 3: txsync A",
        "allowed: this",
        "seen: that",
        "build/failures",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("spec", "manifest_given", "device", "expected"),
    [
        ("reference", "", "", True),
        ("native", "", "user", True),
        ("native", "", "/dev/netmap", False),
        ("native", "mine.toml", "/dev/netmap", True),
        ("exec:x", "", "", False),
    ],
)
def test_a_target_nobody_described_is_asked(
    spec: str, manifest_given: str, device: str, expected: bool
) -> None:
    assert described(spec, manifest_given, device) is expected


def test_denied_capabilities_are_named() -> None:
    target = open_target("reference", manifest.load("reference"))
    m = Manifest(name="m", capabilities=["pipe"])
    assert suite.allowed_capabilities(target, m, True) == {"pipe"}
    assert suite.allowed_capabilities(target, m, False) == target.capabilities()

    class Nothing:
        name = "nothing"

        def capabilities(self) -> frozenset[str]:
            return frozenset()

    with pytest.raises(UserError, match=r"m declares pipe, which the probe of nothing denies"):
        suite.allowed_capabilities(Nothing(), m, True)  # type: ignore[arg-type]

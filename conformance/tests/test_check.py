"""``check`` and ``convert`` from the command line: verdicts, exit statuses, one line for every error."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from netmap_conformance.cli import main
from netmap_conformance.recordings import DATA, convert
from netmap_spec import schemas

R14 = DATA / "14"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line: (exit status, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        status = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return call


def changed(tmp_path: Path, name: str, change: Callable[[list[dict[str, Any]]], Any]) -> Path:
    """A copy of a recording with its lines changed."""
    source = R14 / f"{name}.jsonl"
    lines = [json.loads(line) for line in source.read_text().splitlines()]
    change(lines)
    path = tmp_path / source.name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def unknown(tmp_path: Path) -> Path:
    """A recording of something that no rule describes: a module parameter that is set to a word."""
    ops = ("open A", "close A", "param admode sometimes")
    lines = [json.dumps({"n": n, "op": op, "ret": 0, "errno": "0"}) for n, op in enumerate(ops, 1)]
    path = tmp_path / "param_word.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


# --- 0: nothing but listed deviations -----------------------------------------------------------


def test_an_accepted_recording(run: Run) -> None:
    status, out, err = run("check", R14 / "pipe_basic.jsonl")
    assert (status, err) == (0, "")
    assert out.startswith("PASS ")
    assert "21 steps, manifest linux-netmap" in out


def test_a_listed_deviation_is_listed(run: Run) -> None:
    status, out, _ = run("check", R14 / "pipe_timestamp.jsonl")
    assert status == 0
    assert "DEVIATION 14.sync.timestamp at step 13" in out
    assert "deviation: 14.tx-not-stamped" in out
    assert "why: NR_TIMESTAMP does nothing on a transmit ring" in out
    assert "slot" not in out, "no picture unless asked for"
    assert "buf" in run("check", "--picture", R14 / "pipe_timestamp.jsonl")[1]


def test_gzip_and_our_own_format_are_recognised(run: Run, tmp_path: Path) -> None:
    packed = tmp_path / "pipe_basic.jsonl.gz"
    packed.write_bytes(gzip.compress((R14 / "pipe_basic.jsonl").read_bytes()))
    assert run("check", packed)[0] == 0
    own = tmp_path / "own.jsonl"
    assert run("convert", R14 / "pipe_timestamp.jsonl", "-o", own) == (0, "", "")
    assert "manifest linux-netmap" in run("check", own)[1]
    assert run("check", own)[0] == 0


def test_generation_2011_is_judged_with_its_own_manifest(run: Run) -> None:
    first = sorted((DATA / "2011").glob("*good*"))[0]
    status, out, _ = run("check", first)
    assert status == 0
    assert "manifest netmap-2011" in out


def test_a_folder_is_every_recording_below_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "native").mkdir()
    shutil.copy(R14 / "pipe_basic.jsonl", tmp_path)
    unknown(tmp_path)
    shutil.copy(R14 / "native" / "nic_veth_mtu_big.jsonl", tmp_path / "native")
    status, out, _ = run("check", tmp_path)
    assert status == 0, "what is not modelled yet does not fail a run of several files"
    assert "manifest linux-netmap-native-drivers" in out
    assert "not yet modelled, by missing rule:" in out
    assert "14/control/parameter/text: param_word.jsonl" in out
    assert "2 PASS" in out and "1 NOT_MODELLED" in out


def test_json_is_what_its_schema_says(run: Run, tmp_path: Path) -> None:
    names = ("pipe_basic", "pipe_timestamp")
    status, out, _ = run("check", "--json", *(R14 / f"{name}.jsonl" for name in names), unknown(tmp_path))
    document = json.loads(out)
    assert status == 0
    assert schemas.validate("check", document) == []
    assert [f["verdict"] for f in document["files"]] == ["PASS", "DEVIATION", "NOT_MODELLED"]
    assert document["files"][0]["rules"]["14/pipe/txsync/handed-over"] >= 1
    assert document["files"][2]["findings"][0]["reason"] == "14/control/parameter/text"


# --- 1: found something -------------------------------------------------------------------------


def test_a_changed_tail_is_a_violation_with_clause_step_and_picture(run: Run, tmp_path: Path) -> None:
    path = changed(tmp_path, "pipe_basic", lambda x: x[12]["rings"]["tx0"].update(tail=3))
    status, out, err = run("check", path)
    assert (status, err) == (1, "")
    assert "VIOLATION 14.pipe.txsync at step 13, line 13: txsync A" in out
    assert "allowed: tx0 tail 1" in out
    assert "seen:    3" in out
    assert "before:" in out and "after:" in out and "hwcur" in out


def test_a_missing_line_is_rejected(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("check", changed(tmp_path, "pipe_basic", lambda x: x.pop(7)))
    assert status == 1
    assert "14.pipe.rxsync at step 9" in out
    assert "operation 8, whose line is missing" in out


def test_without_its_manifest_a_deviation_is_a_violation(run: Run, tmp_path: Path) -> None:
    bare = tmp_path / "bare.toml"
    bare.write_text('name = "bare"\n')
    status, out, _ = run("check", "-m", bare, R14 / "pipe_timestamp.jsonl")
    assert status == 1
    assert "VIOLATION 14.sync.timestamp" in out
    assert "as the code is written: 14.tx-not-stamped" in out


def test_json_of_a_violation_has_its_pictures(run: Run, tmp_path: Path) -> None:
    path = changed(tmp_path, "pipe_basic", lambda x: x[12]["rings"]["tx0"].update(tail=3))
    status, out, _ = run("check", "--json", path)
    document = json.loads(out)
    assert status == 1
    assert schemas.validate("check", document) == []
    finding = document["files"][0]["findings"][0]
    assert finding["before"][0]["marks"]["tail"] == 1023
    assert finding["after"][0]["marks"]["tail"] == 3


# --- 125: cannot judge --------------------------------------------------------------------------


def test_alone_what_is_not_modelled_cannot_be_judged(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("check", unknown(tmp_path))
    assert status == 125
    assert out.startswith("not yet modelled")
    assert "NOT_MODELLED 14/control/parameter/text at step 3" in out


def test_a_hole_that_contradicts_nothing_cannot_be_judged(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("check", changed(tmp_path, "pipe_basic", lambda x: x.pop(9)))
    assert status == 125
    assert "INCONCLUSIVE" in out


# --- 2: the user's input ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"n": 1, "op": "open A", "ret": 0, "errno": "0"}\n{"n": 2, "op\n', "x.jsonl:2: not JSON"),
        ('{"n": 1, "op": "open A", "ret": 0, "errno": "0"}\n{"n": 2}\n', "x.jsonl:2: 'op' is None, not str"),
        ("", "x.jsonl:1: the file is empty"),
        ('{"netmap_trace": 1, "generation": "14"}\n', "nothing was observed in this file"),
        (
            '{"netmap_trace": 1, "generation": "14"}\n{"ev": "return", "of": 1}\n',
            "x.jsonl:2: return of call 1, which was not made",
        ),
        (
            '{"netmap_trace": 1, "generation": "14", "ports": [{"name": "v0", "peer": "v9"}]}\n'
            '{"ev": "call", "n": 1, "op": "open", "fd": "A"}\n{"ev": "return", "of": 1}\n',
            "x.jsonl:1: port v0: its peer v9 is not a port",
        ),
    ],
)
def test_a_malformed_file_is_one_line_with_its_number(
    run: Run, tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(content)
    status, out, err = run("check", path)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_what_is_not_there(run: Run, tmp_path: Path) -> None:
    for arguments, message in (
        ((tmp_path / "no.jsonl",), "no such file"),
        ((tmp_path,), "there is no recording below"),
        (("-m", "no-such-system", R14 / "pipe_basic.jsonl"), "no-such-system"),
        (("-m", tmp_path, R14 / "pipe_basic.jsonl"), "cannot be read"),
    ):
        status, out, err = run("check", *arguments)
        assert (status, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1


# --- convert ------------------------------------------------------------------------------------


def test_convert_writes_a_trace_that_says_the_same(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "t.jsonl.gz"
    assert run("convert", R14 / "pipe_basic.jsonl", "-o", path) == (0, "", "")
    assert convert(path).events == convert(R14 / "pipe_basic.jsonl").events
    status, out, _ = run("convert", "--scenario", R14 / "pipe_basic.jsonl")
    lines = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert {line.get("ev") for line in lines[1:]} == {"call"}


def test_convert_says_what_it_cannot_do(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, _, err = run("convert", R14 / "pipe_basic.jsonl", "-o", tmp_path / "file" / "t.jsonl")
    assert (status, err.count("\n")) == (4, 1)
    status, _, err = run("convert", tmp_path / "file", "-o", tmp_path / "t.jsonl")
    assert (status, err.count("\n")) == (2, 1)

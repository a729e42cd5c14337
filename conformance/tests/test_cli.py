"""The frame of the command line: whatever goes wrong is one line and a documented exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from netmap_conformance import cli
from netmap_conformance.cli import main
from netmap_conformance.commands import NAMES
from netmap_conformance.errors import UserError, read_file, write_file
from netmap_conformance.manifest import ManifestError
from netmap_conformance.targets.base import TargetError
from netmap_conformance.trace import TraceError
from netmap_native import NotBuilt

COMMANDS = Path(cli.__file__).parent / "commands"


def one_line(text: str) -> str:
    """What a user sees on stderr: exactly one line, no traceback."""
    assert "Traceback" not in text
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("netmap-verify: ")
    return lines[0]


def test_every_command_is_registered_and_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(NAMES) == {p.stem for p in COMMANDS.glob("*.py")} - {"__init__"}
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in NAMES:
        assert f" {name} " in text
        assert main([name, "--help"]) == 0
        assert "Usage:" in capsys.readouterr().out


def test_no_arguments_print_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "Usage:" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("netmap-verify ")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["conforn"], "conforn"),
        (["explain", "--lits"], "--lits"),
        (["explain", "--slots", "many"], "--slots"),
        (["conform", "--target", "no-such-target"], "no-such-target"),
        (["explain", "14.ring.no-such-clause"], "14.ring.no-such-clause"),
        (["check", "/no/such/file.jsonl"], "/no/such/file.jsonl"),
        (["conform", "--manifest", "/no/such/manifest.toml"], "/no/such/manifest.toml"),
        (["abi", "netmap_sloth"], "netmap_slot"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert named in one_line(capsys.readouterr().err)


def raising(error: BaseException) -> Callable[[], typer.Typer]:
    """An application whose only command raises ``error``."""

    def build() -> typer.Typer:
        app = typer.Typer(pretty_exceptions_enable=False)

        @app.callback(invoke_without_command=True)
        def root() -> None:
            raise error

        return app

    return build


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UserError("the input is wrong"), 2),
        (UserError("no place to write", 4), 4),
        (TargetError("no such device"), 3),
        (ManifestError("m.toml: name is missing"), 2),
        (TraceError("t.jsonl:3: no such operation"), 2),
        (NotBuilt("libnetmap_core.so is missing"), 3),
        (KeyboardInterrupt(), 130),
        (UserError("one\nline\nonly"), 2),
    ],
)
def test_errors_become_a_line_and_a_status(
    error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "build_app", raising(error))
    assert main([]) == status
    assert " ".join(str(error).split()) in one_line(capsys.readouterr().err)


def test_a_defect_of_ours_keeps_its_traceback_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "build_app", raising(ZeroDivisionError("by zero")))
    assert main([]) == cli.INTERNAL
    line = one_line(capsys.readouterr().err)
    assert "internal error: ZeroDivisionError: by zero" in line
    (kept,) = (tmp_path / "build").iterdir()
    assert str(kept.relative_to(tmp_path)) in line
    assert "Traceback" in kept.read_text()


def test_a_defect_where_nothing_can_be_written_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "build").write_text("a file where the folder should be")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(cli.tempfile, "tempdir", None)
    monkeypatch.setattr(cli, "build_app", raising(ZeroDivisionError()))
    assert main([]) == cli.INTERNAL
    assert str(tmp_path / "netmap-verify-trace-") in one_line(capsys.readouterr().err)


def run(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "netmap_conformance", *arguments]
    return subprocess.run(command, capture_output=True, text=True, **more)


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    """``netmap-verify explain --list | head -1``"""
    command = [sys.executable, "-m", "netmap_conformance", "abi", "--compare", "2011", "14"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.returncode == 4
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_the_installed_program_and_the_module_are_the_same() -> None:
    assert run("--version").stdout == run("--version", env={**os.environ, "PYTHONSAFEPATH": "1"}).stdout != ""


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read") as read:
        read_file(tmp_path / "absent")
    assert read.value.status == 2
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a text file"):
        read_file(tmp_path / "binary")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write") as written:
        write_file(tmp_path / "file" / "below", "text")
    assert written.value.status == 4
    assert write_file(tmp_path / "new" / "deep", "text").read_text() == "text"

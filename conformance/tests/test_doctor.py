"""The doctor says what this machine can run, and why not the rest."""

from __future__ import annotations

import json
import os
import shutil
from importlib import metadata
from pathlib import Path

import pytest
from netmap_conformance.cli import main
from netmap_conformance.commands import doctor
from netmap_conformance.commands.doctor import Check, examine, runnable
from netmap_spec import schemas


def find(name: str) -> Check:
    (check,) = [c for c in examine() if c.name == name]
    return check


def test_the_json_is_what_the_schema_says_and_status_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert schemas.validate("doctor", document) == []
    assert len({c["name"] for c in document["checks"]}) == len(document["checks"])


def test_the_table_names_every_check_and_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for check in examine():
        assert check.name in out
    for command in runnable(list(examine())):
        assert command in out


def test_a_missing_package_names_its_extra_and_what_it_enables(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    check = find("z3-solver")
    assert not check.ok and "netmap-verify[prove]" in check.detail
    assert runnable([check]) == {"prove": [check]}


def test_a_missing_model_package_ends_with_status_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(name: str, extra: str, enables: tuple[str, ...]) -> Check:
        return Check(name, False, "not installed", enables)

    monkeypatch.setattr(doctor, "_package", broken)
    assert main(["doctor"]) == 3
    assert "conform --target reference: no msgspec" in capsys.readouterr().out


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    check = find("C compiler")
    assert not check.ok and "install gcc or clang" in check.detail and "make native" in check.enables
    assert not find("make").ok
    assert "util-linux" in find("network namespaces").detail


def test_without_the_c_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETMAP_VERIFY_LIB", str(tmp_path))
    check = find("device in user space")
    assert not check.ok and str(tmp_path) in check.detail and "make native" in check.detail


def test_a_node_that_is_absent_or_cannot_be_opened(tmp_path: Path) -> None:
    absent = doctor._node(tmp_path / "netmap")
    assert not absent.ok and "no such node" in absent.detail
    (tmp_path / "folder").mkdir()
    closed = doctor._node(tmp_path / "folder")
    assert not closed.ok and "cannot be opened" in closed.detail
    (tmp_path / "node").write_text("")
    assert doctor._node(tmp_path / "node").ok


def test_processors_and_memory_are_those_of_this_process() -> None:
    expected = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert find("processors").detail.startswith(f"{expected} ")
    assert find("memory").detail.endswith("GiB") or "not known" in find("memory").detail

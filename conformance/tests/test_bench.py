"""Measurements: what is measured, that figures are medians, and what is said where one cannot be made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from netmap_conformance import bench
from netmap_conformance.cli import main
from netmap_spec import schemas


def test_a_measurement_is_the_median_with_its_extremes() -> None:
    found = bench.summed("x", "s", [3.0, 1.0, 2.0])
    assert (found.value, found.low, found.high, found.runs) == (2.0, 1.0, 3.0, 3)


def test_every_run_counts_its_own_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that advances by a tenth of a second a look, 7 operations a call are 70 a second."""
    ticks = iter(range(1000))
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(ticks) / 10)
    found = bench.rate("x", "op/s", lambda: 7, 2)
    assert found.value == pytest.approx(70) and found.runs == 2


def test_bench_writes_what_the_schema_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--runs", "1", "-o", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads((tmp_path / "bench.json").read_text())
    assert schemas.validate("bench", document) == []
    measured = {m["id"] for m in document["measurements"]}
    assert {"model tx_prologue", "model sync", "oracle step"} <= measured
    assert all(m["value"] > 0 for m in document["measurements"])
    assert all(a["reason"] for a in document["absent"])
    assert any("oracle" in r["text"] for r in document["ratios"])


def test_bench_tells_people_what_it_could_not_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NETMAP_VERIFY_LIB", str(tmp_path / "nowhere"))
    parts = {k: bench.PARTS[k] for k in ("model prologue", "C ring functions", "user-space device")}
    monkeypatch.setattr(bench, "PARTS", parts)
    assert main(["bench", "--runs", "1", "-o", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "model tx_prologue" in out
    assert "not measured: C ring functions" in out and "not measured: user-space device" in out
    assert "make native" in out


def test_where_nothing_can_be_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(runs: int) -> Iterator[bench.Measurement]:
        raise bench.Absent("no reason at all")
        yield  # a generator, as every part is

    monkeypatch.setattr(bench, "PARTS", {"nothing": nothing})
    assert main(["bench", "-o", str(tmp_path)]) == 3
    assert "nothing could be measured" in capsys.readouterr().err


def test_the_folder_is_tried_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(bench, "run", lambda *_: pytest.fail("it measured first"))
    assert main(["bench", "-o", str(tmp_path / "file")]) == 4
    assert "cannot write" in capsys.readouterr().err


def test_ratios_are_formed_from_one_run_only() -> None:
    sync, step = bench.summed("model sync", "op/s", [600.0]), bench.summed("oracle step", "step/s", [200.0])
    found = bench.Bench([sync, step])
    assert [r["value"] for r in bench._ratios(found)] == [3.0]
    assert list(bench._ratios(bench.Bench(found.measurements[:1]))) == []

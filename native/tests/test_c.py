"""The programs in C: unit checks, threads under stress, and the benchmark, of whichever build is tested."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from netmap_native import _library


def _run(*command: str, **env: str) -> str:
    """The program's output. It must end well and say nothing on standard error."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env})
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stderr == ""
    return done.stdout


def test_unit() -> None:
    out = _run(str(_library.file("tests/unit")))
    assert int(out.split()[0]) > 50_000


@pytest.mark.parametrize(("mode", "packets"), [("in-process", 20_000), ("brokered", 1000)])
def test_stress(mode: str, packets: int) -> None:
    out = _run(str(_library.file("tests/stress")), str(packets), NETMAP_VERIFY_MODE=mode)
    assert out.startswith(f"{mode}: {packets} and {packets} packets through pipes")


def test_bench_measures_every_function() -> None:
    found = json.loads(_run(str(_library.file("ring_bench"))))
    names = {f["name"] for f in found["functions"]}
    assert {"nm_next", "distance", "tx_prologue", "rx_prologue", "sync_finalize", "ring_reinit"} <= names
    assert found["empty_ns"] > 0 and all(f["ns"] > 0 and f["ratio"] > 0 for f in found["functions"])

"""The core runs without the extras: no solver, no random campaigns, no plots.

Each test starts an interpreter in which the optional packages cannot be imported, as on a small
machine where ``pip install netmap-verify`` was all.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BLOCKED = ("z3", "crosshair", "hypothesis", "matplotlib", "numpy", "pytest", "ziglang")

PRELUDE = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name.split(".")[0])
sys.meta_path.insert(0, Blocker())
"""


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + code], capture_output=True, text=True, cwd=folder, check=False
    )


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(f"from netmap_conformance.cli import main; sys.exit(main({list(arguments)!r}))", folder)


def test_the_blocker_blocks(tmp_path: Path) -> None:
    """The control: without it the other tests of this file could not fail."""
    for name in ("z3", "hypothesis", "matplotlib.pyplot"):
        done = python(f"import {name}", tmp_path)
        assert done.returncode == 1 and "ModuleNotFoundError" in done.stderr


def test_every_module_of_the_core_imports(tmp_path: Path) -> None:
    done = python(
        """
import importlib, pkgutil
for name in ("netmap_spec", "netmap_reference", "netmap_conformance", "netmap_native"):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            print(module.name)
""",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "netmap_conformance.report.page" in done.stdout
    assert "netmap_conformance.oracle" in done.stdout


def test_conform_explain_doctor_and_report_work(tmp_path: Path) -> None:
    conform = command(tmp_path, "conform", "--target", "reference", "--only", "pipe-basic")
    assert conform.returncode == 0, conform.stderr
    assert "1 PASS" in conform.stdout
    explained = command(tmp_path, "explain", "14.ring.tx-window")
    assert explained.returncode == 0 and "positions a txsync accepts" in explained.stdout
    looked = command(tmp_path, "doctor")
    assert looked.returncode == 0 and "netmap-verify[prove]" not in looked.stderr
    reported = command(tmp_path, "report")
    assert reported.returncode == 0, reported.stderr
    assert (tmp_path / "build/report/index.html").is_file()


def test_what_needs_an_extra_says_which(tmp_path: Path) -> None:
    proved = command(tmp_path, "prove")
    assert proved.returncode == 3
    assert len(proved.stderr.splitlines()) == 1 and "netmap-verify[prove]" in proved.stderr
    random = command(tmp_path, "conform", "--target", "reference", "--only", "pipe-basic", "--random", "1")
    assert random.returncode == 3
    assert len(random.stderr.splitlines()) == 1 and "netmap-verify[campaign]" in random.stderr


def test_bench_leaves_the_proofs_out(tmp_path: Path) -> None:
    done = command(tmp_path, "bench", "--runs", "1")
    assert done.returncode == 0, done.stderr
    assert "not measured: proofs" in done.stdout

"""Branch coverage of the 2011 model by its scenarios, measured with coverage.py.

The measuring runs in a process of its own, because what is imported before it begins is not measured::

    python -m netmap_conformance.coverage.branches        # JSON: file -> branches, and those not taken

Every scenario runs in every reading of :mod:`.runs`, and is judged with both manifests. A branch is a pair of
source lines (from, to); a negative ``to`` is the way out of the function that begins there. A branch that
no scenario can take is listed in ``unreachable.toml`` with the reason: by file, and the text of the line
that it leaves.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError, extra_missing

UNREACHABLE = Path(__file__).parent / "unreachable.toml"
GENERATION = "2011"


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch not taken: file below the model's folder, its two lines, and the text of the first."""

    file: str
    start: int
    end: int
    text: str
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Branch.__slots__}


@dataclass(slots=True)
class Branches:
    """All branches of the model, how many were taken, and the others."""

    total: int
    taken: int
    missing: list[Branch]
    listed: list[Branch]
    problems: list[str]

    @property
    def percent(self) -> float:
        """Taken branches of those that can be taken."""
        possible = self.total - len(self.listed)
        return 100.0 * self.taken / possible if possible else 100.0

    @property
    def complete(self) -> bool:
        return not (self.missing or self.problems)

    def to_json(self) -> dict[str, Any]:
        return {
            "generation": GENERATION,
            "branches": self.total,
            "taken": self.taken,
            "percent": round(self.percent, 2),
            "missing": [b.to_json() for b in self.missing],
            "unreachable": [b.to_json() for b in self.listed],
            "problems": self.problems,
            "complete": self.complete,
        }


def measure() -> Branches:
    """Measure in a fresh process. Raises :class:`UserError` when coverage.py is not installed or it fails."""
    try:
        import coverage as coveragepy
    except ImportError as error:
        raise extra_missing("coverage --branches", "dev", error) from None
    del coveragepy
    made = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        said = made.stderr.strip().splitlines()
        raise UserError(f"measuring failed: {said[-1] if said else 'no message'}")
    return against(json.loads(made.stdout), unreachable())


def unreachable(path: Path = UNREACHABLE) -> list[dict[str, str]]:
    """The entries of the list: ``file``, ``text`` of the line, ``reason``. Raises :class:`UserError`."""
    try:
        entries: list[dict[str, str]] = tomllib.loads(path.read_text(encoding="utf-8")).get("branch", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path.name}: {error}") from None
    for entry in entries:
        if not all(entry.get(key, "").strip() for key in ("file", "text", "reason")):
            raise UserError(f"{path.name}: an entry has not all of file, text and reason")
    return entries


def against(measured: dict[str, Any], listed: list[dict[str, str]]) -> Branches:
    """What was measured, less what is listed; a listed branch that was taken is a problem."""
    reasons = {(e["file"], e["text"]): e["reason"] for e in listed}
    found = Branches(measured["total"], measured["taken"], [], [], [])
    used: set[tuple[str, str]] = set()
    for entry in measured["missing"]:
        key = (entry["file"], entry["text"])
        branch = Branch(**entry, reason=reasons.get(key, ""))
        if key in reasons:
            used.add(key)
            found.listed.append(branch)
        else:
            found.missing.append(branch)
    found.problems = [
        f"{file}: '{text}' is listed as unreachable and both its branches were taken, or it is gone"
        for file, text in reasons
        if (file, text) not in used
    ]
    return found


def _run() -> dict[str, Any]:
    """Run every scenario under coverage.py; nothing of the model may be imported before."""
    import coverage as coveragepy

    if any(name.startswith(f"netmap_reference.gen{GENERATION}") for name in sys.modules):
        raise RuntimeError("the model was imported before measuring began")
    package = f"netmap_reference.gen{GENERATION}"
    with tempfile.TemporaryDirectory() as folder:
        run = coveragepy.Coverage(
            data_file=None, branch=True, source_pkgs=[package], config_file=False, messages=False
        )
        run.start()
        from .. import manifest as manifests
        from .. import runner, scenarios
        from ..targets import open_here
        from . import runs

        judged = [manifests.load(name) for name in ("reference-2011", runs.WRITTEN[GENERATION])]
        for scenario in scenarios.load(GENERATION):
            for reading in runs.readings(scenario):
                runs.fired(scenario, reading)
            for manifest in judged:
                runner.run(open_here("reference", manifest), scenario, manifest, build=None)
        run.stop()
        out = Path(folder) / "branches.json"
        run.json_report(outfile=str(out))
        report = json.loads(out.read_text(encoding="utf-8"))
    return _found(report)


def _found(report: dict[str, Any]) -> dict[str, Any]:
    missing = []
    for name, data in sorted(report["files"].items()):
        path = Path(name)
        lines = path.read_text(encoding="utf-8").splitlines()
        short = name.split(f"gen{GENERATION}/", 1)[1]
        for start, end in data["missing_branches"]:
            missing.append({"file": short, "start": start, "end": end, "text": lines[start - 1].strip()})
    totals = report["totals"]
    return {"total": totals["num_branches"], "taken": totals["covered_branches"], "missing": missing}


if __name__ == "__main__":
    print(json.dumps(_run()))

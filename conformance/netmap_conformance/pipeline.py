"""The main job: prove, conform on every target of this machine, diff, replay the recordings, report.

Every stage is a command of ours run in a process of its own with ``--json``; what it printed becomes one
file of ``build/results``, what it said on stderr its ``.log`` beside it. So a stage that crashes cannot
take the others with it, and each can be repeated by hand with the line the run shows.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import ABSENT, CANNOT_JUDGE, FOUND, UNWRITABLE, USAGE, UserError, write_file

NODE = Path("/dev/netmap")
#: Status of a stage that ended in a way no command of ours does.
BROKE_DOWN = 70
#: How long an interrupted stage may take to clean up, in seconds.
PATIENCE_S = 10

#: What a stage's exit status means, in the words of the summary.
OUTCOMES = {
    0: "all well",
    FOUND: "found something",
    USAGE: "wrong input",
    ABSENT: "cannot run",
    UNWRITABLE: "cannot write",
    CANNOT_JUDGE: "cannot judge",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One command of the run; ``result`` is the stem of its file in ``build/results``."""

    name: str
    result: str
    command: tuple[str, ...]

    def line(self) -> str:
        """The command as one would type it."""
        return "netmap-verify " + " ".join(self.command)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a stage ended: its exit status, the words for it, seconds, and the reason where there is one."""

    name: str
    command: str
    status: int
    outcome: str
    seconds: float
    reason: str


def stages(node: Path = NODE) -> list[Stage]:
    """What is run on this machine, in this order; a netmap node is a target where there is one."""
    found = [Stage("proofs", "prove", ("prove",))]
    for manifest in ("reference", "reference-2011", "native"):
        command: tuple[str, ...] = ("conform", "--manifest", manifest)
        found.append(Stage(f"scenarios on {manifest}", f"conform-{manifest}", command))
    if node.exists():
        command = ("conform", "--target", "native", "--device", str(node), "--manifest", "linux-netmap")
        found.append(Stage(f"scenarios on {node}", "conform-node", command))
    command = ("diff", "--left", "reference", "--right", "native")
    found.append(Stage("reference against native", "diff", command))
    found.append(Stage("recordings", "check", ("check", *recorded())))
    return found


def recorded() -> list[str]:
    """The folders of the recordings that come with the project."""
    home = Path(__file__).parent / "data" / "recordings"
    return [os.path.relpath(folder) for folder in sorted(home.iterdir()) if folder.is_dir()]


def run(
    chosen: Iterable[Stage],
    results: Path,
    before: Callable[[Stage], None],
    after: Callable[[Stage, Outcome], None],
) -> list[Outcome]:
    """Run the stages one after the other, telling the caller of each; results of earlier runs are removed.

    Raises :class:`UserError` (status 4) when ``results`` cannot be written.
    """
    told: list[Outcome] = []
    for stale in results.glob("conform-*.json") if results.is_dir() else ():
        _remove(stale)
    for stage in chosen:
        before(stage)
        outcome = _one(stage, results)
        told.append(outcome)
        after(stage, outcome)
    document = {"stages": [asdict(o) for o in told]}
    write_file(results / "stages.json", json.dumps(document, indent=2) + "\n")
    return told


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot replace {path}: {(error.strerror or '').lower()}", UNWRITABLE) from None


def _one(stage: Stage, results: Path) -> Outcome:
    path = results / f"{stage.result}.json"
    _remove(path)
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "netmap_conformance", *stage.command, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate()
    except BaseException:
        _end(process)
        raise
    seconds = round(time.monotonic() - started, 2)
    write_file(path.with_suffix(".log"), err)
    status, reason = process.returncode, _reason(err)
    try:
        document = json.loads(out)
    except ValueError:
        document = None
    if document is not None:
        write_file(path, json.dumps(document, indent=1) + "\n")
        reason = reason if status not in (0, FOUND, CANNOT_JUDGE) else counted(document)
    elif status in (0, FOUND, CANNOT_JUDGE):
        # it did not do what it says: that is a defect of ours, not a result
        status, reason = BROKE_DOWN, reason or "printed no JSON"
    return Outcome(stage.name, stage.line(), status, OUTCOMES.get(status, "broke down"), seconds, reason)


def _end(process: subprocess.Popen[str]) -> None:
    """Stop a stage as ^C does, so that it can end what it started (provers, targets); else with force."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.communicate(timeout=PATIENCE_S)
            return
        except subprocess.TimeoutExpired:
            continue


def _reason(err: str) -> str:
    lines = [line for line in err.splitlines() if line.strip()]
    return lines[-1].removeprefix("netmap-verify: ").strip() if lines else ""


def counted(document: object) -> str:
    """``12 PROVED, 3 REFUTED``: the verdicts of a result, most frequent first; empty where there are none."""
    counts: dict[str, int] = {}
    if not isinstance(document, dict):
        return ""
    for member in ("obligations", "scenarios", "files", "mutants"):
        listed = document.get(member)
        for each in listed if isinstance(listed, list) else ():
            word = str(each.get("verdict") or each.get("status"))
            counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{n} {word}" for word, n in sorted(counts.items(), key=lambda c: (-c[1], c[0])))


def status(told: Iterable[Outcome]) -> int:
    """The exit status of a run: 1 when anything was found, else the gravest of the others."""
    # a stage that was killed by a signal is negative, or above 128 where a shell stood between
    seen = {o.status if 0 <= o.status < 128 else BROKE_DOWN for o in told} - {0}
    if FOUND in seen:
        return FOUND
    return max(seen - {CANNOT_JUDGE}, default=max(seen, default=0))

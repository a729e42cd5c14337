"""Every goal as an SMT-LIB 2 file, for a second solver or a reader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


def _name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-") or "goal"


def folder_of(folder: Path, obligation: str, *, fresh: bool = False) -> Path:
    """The obligation's own folder, created; ``fresh`` removes the goals of an earlier run."""
    target = folder / _name(obligation)
    target.mkdir(parents=True, exist_ok=True)
    if fresh:
        for old in target.glob("*.smt2"):
            old.unlink()
    return target


def write_goal(folder: Path, obligation: str, goal: str, number: int, answer: str, solver: Any) -> Path:
    """Write query ``number``, ``path condition and not goal``, and return the file.

    ``unsat`` means the goal holds on that path. Raises ``OSError`` when the folder cannot be written.
    """
    file = folder_of(folder, obligation) / f"{number:05d}-{_name(goal)}.smt2"
    header = f"; obligation {obligation}\n; goal {goal}\n; unsat: the goal holds on this path\n"
    status = f"(set-info :status {answer})\n"
    file.write_text(header + status + solver.to_smt2())
    return file

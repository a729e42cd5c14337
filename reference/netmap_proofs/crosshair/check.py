"""Run CrossHair on contracts and read its report.

Its exit status says only that no counterexample was found; "Confirmed over all paths" in the report is
what counts. It runs in a process of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CONFIRMED = "Confirmed over all paths."
_LINE = re.compile(r"^(?P<file>.+?):(?P<line>\d+): (?P<kind>info|error|warning): (?P<text>.*)$")
#: CrossHair's budget in seconds of processor time for one condition; the contracts here take far less.
CONDITION_TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Report:
    """``confirmed`` over all paths, ``refuted`` with a counterexample in ``text``, or neither."""

    confirmed: bool
    refuted: bool
    text: str


def read_report(output: str) -> Report:
    """The verdict of the report on one function: every line of it must be a confirmation.

    A line that is no report line, or no line at all, confirms nothing.
    """
    lines = [line for line in output.splitlines() if line.strip()]
    found = [_LINE.match(line) for line in lines]
    errors = [m["text"] for m in found if m is not None and m["kind"] == "error"]
    if errors:
        return Report(False, True, "; ".join(errors))
    confirmed = bool(found) and all(m is not None and m["text"] == CONFIRMED for m in found)
    return Report(confirmed, False, "; ".join(lines) or "no report")


def check(function: Callable[..., Any], timeout: int = CONDITION_TIMEOUT) -> Report:
    """CrossHair's verdict on the contract in the docstring of a module's function.

    ``timeout`` is its budget for the condition, in seconds.
    """
    target = f"{function.__module__}.{function.__name__}"
    command = [
        sys.executable,
        "-m",
        "crosshair",
        "check",
        "--report_all",
        "--analysis_kind=PEP316",
        f"--per_condition_timeout={timeout}",
        target,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        return Report(False, False, (done.stderr.strip().splitlines() or ["crosshair failed"])[-1])
    return read_report(done.stdout)

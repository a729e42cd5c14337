"""A campaign's failing runs as files, in the recordings' own form: a header, then one operation a line.

The header is a recording's (``seed``, ``profile``, ``config``) and says besides what broke::

    {"generation": "2011", "seed": "7/3", "profile": "wild", "config": {…}, "broken": {…}}
    {"i": 0, "op": "open", "args": {}, "unit": 0}

``unit`` numbers the operations that belong together.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .subject import Broken, Unit


def save(path: Path, header: dict[str, Any], units: list[Unit], broken: Broken) -> None:
    """Write a trace; ``OSError`` when the file cannot be written."""
    lines = [json.dumps({**header, "broken": broken._asdict()})]
    i = 0
    for number, unit in enumerate(units):
        for op, args in unit:
            lines.append(json.dumps({"i": i, "op": op, "args": args, "unit": number}))
            i += 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def load(path: Path) -> tuple[dict[str, Any], list[Unit]]:
    """Read a trace: its header and its units. ``ValueError`` names the line that is malformed."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}:{number}: not JSON: {error.msg}") from None
        if not isinstance(rows[-1], dict) or (number > 1 and not {"op", "args"} <= rows[-1].keys()):
            raise ValueError(f"{path}:{number}: not a line of a campaign's trace")
    if not rows or not {"generation", "config", "profile"} <= rows[0].keys():
        raise ValueError(f"{path}:1: not the header of a campaign's trace")
    units: dict[int, list[tuple[str, dict[str, Any]]]] = {}
    for row in rows[1:]:
        units.setdefault(row.get("unit", row.get("i", len(units))), []).append((row["op"], row["args"]))
    return rows[0], [tuple(unit) for unit in units.values()]

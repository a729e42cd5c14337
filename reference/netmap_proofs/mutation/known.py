"""Survivors that were looked at: ``known.toml``, by the mutant's id."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Known:
    """``reason`` in words; ``equivalent``: nobody could notice it. Otherwise no proof notices it, and why."""

    reason: str
    equivalent: bool


def read(path: Path) -> dict[str, Known]:
    """The list in a file. Raises ``ValueError`` for an entry without a reason or listed twice."""
    found: dict[str, Known] = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", []):
        for id in entry["ids"]:
            if id in found:
                raise ValueError(f"{path.name}: {id} is listed twice")
            if not entry.get("reason", "").strip():
                raise ValueError(f"{path.name}: {id} has no reason")
            found[id] = Known(" ".join(entry["reason"].split()), bool(entry["equivalent"]))
    return found


KNOWN = read(Path(__file__).with_name("known.toml"))

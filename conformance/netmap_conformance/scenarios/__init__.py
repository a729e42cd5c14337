"""The scenarios: one file each, by generation; the file's name is the scenario's id."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from ..scn import parse_scn
from ..trace import Trace, parse, read_text

HERE = Path(__file__).parent


def scenario_id(trace: Trace) -> str:
    """The id of a scenario: its file's name without the ending."""
    return Path(trace.path).name.split(".")[0]


def load(generation: str | None = None, pattern: str = "*") -> list[Trace]:
    """Every scenario of a generation (of all, when ``None``) whose id matches the glob, in order of id.

    Raises :class:`~netmap_conformance.trace.TraceError` when a file is malformed.
    """
    found = []
    for folder in sorted(p for p in HERE.iterdir() if p.is_dir() and generation in (None, p.name)):
        for path in sorted(folder.iterdir()):
            name = path.name.split(".")[0]
            if fnmatchcase(name, pattern) and path.suffix in (".scn", ".jsonl", ".gz"):
                found.append(load_file(path))
    return found


def load_file(path: Path) -> Trace:
    """One scenario from a file, in the line language or as a trace. Raises :class:`TraceError`, ``OSError``."""
    text = read_text(path)
    return parse_scn(text, str(path)) if path.suffix == ".scn" else parse(text, str(path)).scenario()

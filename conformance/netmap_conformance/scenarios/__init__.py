"""The scenarios: one file each, by generation; the file's name is the scenario's id."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from ..scn import parse_scn
from ..trace import Call, Trace, parse, read_text

HERE = Path(__file__).parent
#: The text of a sync that a settle made: not a call of the scenario's own.
SETTLE = "settle"


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
    """One scenario from a file: lines, a trace without returns, or a recorded run, which is done again.

    Raises :class:`~netmap_conformance.trace.TraceError`, ``OSError``.
    """
    text = read_text(path)
    if path.suffix == ".scn":
        return parse_scn(text, str(path))
    return asked(parse(text, str(path)))


def asked(trace: Trace) -> Trace:
    """What a recorded run was asked to do: a settle is one call again, also one that ended in its middle."""
    own: list[Call] = []
    open_settle: Call | None = None
    for call in trace.calls():
        if call.text == SETTLE and call.op != "settle":
            open_settle = call
            continue
        if open_settle is not None and call.op != "settle":
            own.append(_settle(open_settle))
        own.append(call)
        open_settle = None
    if open_settle is not None:
        own.append(_settle(open_settle))
    return Trace(header=trace.header, events=list(own), path=trace.path)


def _settle(sync: Call) -> Call:
    """The settle that made a sync."""
    return Call(n=sync.n, op="settle", text=SETTLE, line=sync.line)

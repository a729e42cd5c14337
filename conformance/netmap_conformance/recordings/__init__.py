"""Recordings of real implementations, read into this project's trace format.

Three formats are told apart by their first line: traces of this project (``netmap_trace``), recordings
of API 14 (one object an operation: ``n``, ``op``, ``ret`` …) and recordings of generation 2011 (a first
line with ``profile`` and ``config``). Files may be gzip. The project's own copies lie in
``netmap_conformance/data/recordings``.
"""

from __future__ import annotations

import json
from pathlib import Path

from ..trace import Trace, TraceError, parse, read_text

DATA = Path(__file__).parent.parent / "data" / "recordings"
ENDINGS = (".jsonl", ".jsonl.gz")


def convert(path: Path | str) -> Trace:
    """The trace in a file of any of the three formats.

    Raises :class:`TraceError` (one line naming file and line) when it is malformed, ``OSError`` when it
    cannot be read.
    """
    path = Path(path)
    text = read_text(path)
    kind = recognise(text, str(path))
    if kind == "trace":
        return parse(text, str(path))
    if kind == "14":
        from .convert14 import convert14

        return convert14(text, str(path))
    from .convert2011 import convert2011

    return convert2011(text, str(path))


def recognise(text: str, path: str) -> str:
    """``trace``, ``14`` or ``2011``, by the first line. Raises :class:`TraceError`."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            first = json.loads(line)
        except ValueError as error:
            raise TraceError(f"{path}:{number}: not JSON: {error}") from None
        if isinstance(first, dict):
            if "netmap_trace" in first:
                return "trace"
            if "profile" in first and "config" in first:
                return "2011"
            if "op" in first and "ret" in first:
                return "14"
        raise TraceError(f"{path}:{number}: neither a trace's header nor the first line of a recording")
    raise TraceError(f"{path}:1: the file is empty")


def is_recording(path: Path) -> bool:
    """Does the name say that a file holds a recording?"""
    return path.name.endswith(ENDINGS)


def recording_id(path: Path | str) -> str:
    """How a recording is called in lists and manifests: ``native/nic_veth_open``, ``pipe_basic``."""
    path = Path(path)
    stem = path.name
    for ending in ENDINGS[::-1]:
        stem = stem.removesuffix(ending)
    return f"native/{stem}" if path.parent.name == "native" else stem

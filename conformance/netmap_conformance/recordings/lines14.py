"""Recordings of API 14, line by line: what is a line, and what an operation gave back and showed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..trace import Call, Return, See, TraceError

Lines = list[tuple[int, dict[str, Any]]]

#: What the driver writes; anything else is a malformed recording.
_KNOWN = {
    *("n", "op", "who", "ret", "errno", "hdr", "out", "opts", "nifp", "rings", "revents", "ms", "hex"),
    *("text", "count", "csb", "slots", "value", "pkttype"),
}


def want(line: dict[str, Any], key: str, kind: type, where: str) -> Any:
    """A member of a line. Raises :class:`TraceError` when it is missing or of another type."""
    if not isinstance(line.get(key), kind) or isinstance(line.get(key), bool):
        raise TraceError(f"{where}: '{key}' is {line.get(key)!r}, not {kind.__name__}")
    return line[key]


def lines(text: str, path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines with their numbers, from 1. Raises :class:`TraceError`."""
    for number, raw in enumerate(text.splitlines(), 1):
        if not raw.strip():
            continue
        try:
            line = json.loads(raw)
        except ValueError as error:
            raise TraceError(f"{path}:{number}: not JSON: {error}") from None
        if not isinstance(line, dict):
            raise TraceError(f"{path}:{number}: not an object")
        for key in line:
            if key not in _KNOWN:
                raise TraceError(f"{path}:{number}: unknown member '{key}'")
        if not want(line, "op", str, f"{path}:{number}").strip():
            raise TraceError(f"{path}:{number}: no operation")
        yield number, line


def check_slots(slots: Any, ring: str, where: str) -> None:
    """A list of slots in ascending order. Raises :class:`TraceError`."""
    if not isinstance(slots, list):
        raise TraceError(f"{where}: the slots of {ring} are {slots!r}, not a list")
    for slot in slots:
        if not (isinstance(slot, list) and len(slot) == 5 and all(isinstance(x, int) for x in slot)):
            raise TraceError(f"{where}: {slot!r} in {ring} is not [index, buf_idx, len, flags, ptr]")
    indices = [slot[0] for slot in slots]
    if indices != sorted(set(indices)):
        raise TraceError(f"{where}: the slots of {ring} are not listed in order: {indices}")


def check_csb(entries: Any, where: str) -> list[dict[str, int]]:
    """Entries of a CSB. Raises :class:`TraceError` for anything else."""
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and all(isinstance(v, int) for v in e.values()) for e in entries
    ):
        raise TraceError(f"{where}: 'csb' is {entries!r}, not a list of entries")
    return entries


def returned(call: Call, line: dict[str, Any], number: int, where: str) -> Return:
    """What an operation of the recording gave back and showed."""
    done = Return(of=call.n, ret=want(line, "ret", int, where), line=number)
    errno = want(line, "errno", str, where)
    done.errno = "" if errno == "0" or done.ret >= 0 else errno
    for key, kind in (("hdr", dict), ("out", dict), ("opts", list), ("nifp", dict), ("rings", dict)):
        if key in line:
            want(line, key, kind, where)
    done.hdr, done.out = line.get("hdr"), line.get("out")
    if "opts" in line:
        done.options = [{**o, **o.pop("info", {})} for o in map(dict, line["opts"])]
    if "revents" in line:
        done.revents = want(line, "revents", str, where).split()
    for key in ("slots", "value", "count", "text"):
        if key in line:
            done.out = {**(done.out or {}), key: line[key]}
    seen = See(nifp=line.get("nifp"))
    for ring, fields in line.get("rings", {}).items():
        if not isinstance(fields, dict):
            raise TraceError(f"{where}: ring {ring} is {fields!r}, not an object")
        shown = dict(fields)
        slots = shown.pop("changed", None)
        seen.slots[ring] = shown.pop("slots", []) if slots is None else slots
        seen.rings[ring] = shown
        check_slots(seen.slots[ring], ring, where)
    if "slots" in line:
        check_slots(line["slots"], "the line", where)
    if "hex" in line:
        text = want(line, "hex", str, where)
        if call.op == "frames":
            seen.frames = [text]
        else:
            seen.bytes[f"{call.args['ring']}/{call.args['index']}"] = text
    if "csb" in line:
        seen.csb = check_csb(line["csb"], where)
    if seen != See():
        done.see = seen
    return done

"""A recorded trace as a strip of pictures: each step with the rings it changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..picture import RingPicture, ring_picture
from ..trace import Call, Return, See, Trace, TraceError, parse, read_text

_Slots = dict[int, tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class StepPicture:
    """Step ``n`` of a trace: the operation, how it ended, and the rings whose words or slots changed."""

    n: int
    text: str
    outcome: str
    rings: tuple[RingPicture, ...]


def picture_of(document: dict[str, Any]) -> RingPicture:
    """The ring picture a result file holds (its members are those of :class:`RingPicture`)."""
    slots = tuple((str(o), int(b), int(length), int(f)) for o, b, length, f in document.get("slots", ()))
    marks = {str(k): int(v) for k, v in document["marks"].items()}
    return RingPicture(document["name"], document["n"], marks, slots, document.get("note", ""))


def load_steps(path: str, last: int, until: int) -> list[StepPicture]:
    """The ``last`` steps up to step ``until`` of the trace at ``path``; empty when it cannot be read."""
    try:
        trace = parse(read_text(Path(path)), path)
    except (OSError, TraceError):
        return []
    return [s for s in steps(trace) if s.n <= until][-last:]


def steps(trace: Trace) -> Iterator[StepPicture]:
    """Every step of a trace that has returned, in the order of the returns."""
    calls = {e.n: e for e in trace.events if isinstance(e, Call)}
    looks: dict[str, _Look] = {}
    for event in trace.events:
        if isinstance(event, Return) and event.of in calls:
            call = calls[event.of]
            look = looks.setdefault(call.fd, _Look(call.fd))
            rings = tuple(look.changed(event.see)) if event.see else ()
            yield StepPicture(call.n, describe(call), _outcome(event), rings)


def describe(call: Call) -> str:
    """A call as one line for people."""
    if call.text:
        return call.text
    words = [call.op, call.fd, *(f"{k}={v}" for k, v in call.args.items())]
    actor = "" if call.actor == "main" else f"[{call.actor}] "
    return actor + " ".join(w for w in words if w)


def _outcome(event: Return) -> str:
    if event.hang:
        return "did not come back"
    if event.fault:
        return f"fault: {event.fault}"
    if event.errno:
        return event.errno
    return ", ".join(event.revents) if event.revents else f"{event.ret}"


class _Look:
    """What one descriptor has shown of its rings so far."""

    def __init__(self, fd: str) -> None:
        self.fd = fd
        self.words: dict[str, dict[str, Any]] = {}
        self.slots: dict[str, _Slots] = {}

    def changed(self, see: See) -> Iterator[RingPicture]:
        for name, fields in see.rings.items():
            slots = self.slots.setdefault(name, {})
            seen = see.slots.get(name, [])
            slots.update({s[0]: (s[1], s[2], s[3] if len(s) > 3 else 0) for s in seen})
            marks = _marks(fields)
            if (seen or self.words.get(name) != marks) and fields.get("num_slots", 0) > 0:
                yield self._picture(name, int(fields["num_slots"]), marks)
            self.words[name] = marks

    def _picture(self, name: str, n: int, marks: dict[str, int]) -> RingPicture:
        known = self.slots[name]
        slots = [known.get(i, (-1, -1, -1)) for i in range(n)] if known else []
        return ring_picture(f"{self.fd} {name}", n, marks, slots)


def _marks(fields: dict[str, Any]) -> dict[str, int]:
    """The positions among a ring's fields; a ring of 2011 has ``avail`` instead of a tail."""
    if "avail" in fields and "head" not in fields:
        cur, avail, n = (int(fields.get(k, 0)) for k in ("cur", "avail", "num_slots"))
        return {"cur": cur, "cur+avail": (cur + avail) % n if n else 0}
    return {k: int(fields[k]) for k in ("head", "cur", "tail") if k in fields}

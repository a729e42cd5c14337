"""A counterexample of the explorer: who did what, in which order."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from netmap_reference.core.effects import Effect

from .models import Drain


def effect_text(effect: Effect | Drain) -> str:
    """``Lock(core)``, ``ReadUser(rx0.avail)``: an effect as a person writes it."""
    parts = []
    for f in fields(effect):
        value = getattr(effect, f.name)
        parts.append(".".join(map(str, value)) if f.name == "where" else str(value))
    return f"{type(effect).__name__}({', '.join(p for p in parts if p not in ('', '()'))})"


@dataclass(frozen=True, slots=True)
class Move:
    """One step of one thread and the answer it got, or its oldest store reaching the memory."""

    thread: str
    effect: Effect | Drain
    answer: Any


@dataclass(frozen=True, slots=True)
class Schedule:
    """The moves from the start to the state in question, and how the threads stand there."""

    moves: tuple[Move, ...]
    standing: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """One line a move, then one a thread."""
        width = max((len(m.thread) for m in self.moves), default=0)
        lines = []
        for number, move in enumerate(self.moves, 1):
            answer = "" if move.answer is None else f" -> {move.answer}"
            lines.append(f"{number:3} {move.thread:{width}}  {effect_text(move.effect)}{answer}")
        return [*lines, *self.standing]

    def to_json(self) -> dict[str, Any]:
        """Lines to read, and the same as events in the shape of a trace's calls."""
        events = []
        for number, move in enumerate(self.moves, 1):
            arguments = {f.name: getattr(move.effect, f.name) for f in fields(move.effect)}
            event = {
                "ev": "step",
                "n": number,
                "actor": move.thread,
                "op": type(move.effect).__name__.lower(),
            }
            events.append({**event, "args": arguments, "answer": move.answer})
        return {"lines": self.lines(), "events": events}


@dataclass(frozen=True, slots=True)
class Violation:
    """A property that does not hold: its name, what happened, and how to get there."""

    property: str
    what: str
    schedule: Schedule

"""What the search keeps: its nodes, what a thread does next, and what was seen in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from netmap_reference.core.effects import Effect

from .scenario import Memory
from .schedule import Schedule, Violation


@dataclass(frozen=True, slots=True)
class State:
    """A node of the search: where every thread is (the number of its place) and everything they share."""

    places: tuple[int, ...]
    memory: Memory
    weak: Any = None
    locks: frozenset[tuple[str, int]] = frozenset()
    queues: frozenset[tuple[str, int]] = frozenset()
    marked: frozenset[int] = frozenset()
    asleep: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Next:
    """What a thread does next: an effect, or its end with a result or an exception."""

    effect: Effect | None
    result: Any = None
    error: str = ""


@dataclass(slots=True)
class Exploration:
    """What was seen. ``complete`` is False when the cap on states was reached: then nothing is proved."""

    states: int = 0
    complete: bool = True
    violations: list[Violation] = field(default_factory=list)
    outcomes: dict[Any, Schedule] = field(default_factory=dict)
    fired: set[str] = field(default_factory=set)
    order: set[tuple[str, str]] = field(default_factory=set)

    def violated(self, name: str) -> Violation | None:
        """The first violation of a property, or None."""
        return next((v for v in self.violations if v.property == name), None)

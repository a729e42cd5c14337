"""The trail of decisions that leads to a path, and one incremental solver that follows it.

Executions share prefixes. The solver keeps what the common prefix has asserted (one push for every
fork), so going to the next path costs what is new on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import z3

from .errors import EngineError


@dataclass(slots=True)
class Decision:
    """One question of the trail: what was asked, the answer taken, the answers still to take.

    ``forked`` says that there was more than one answer; the solver has a level for it.
    """

    asked: Any
    answer: int
    left: list[int] = field(default_factory=list)
    forked: bool = False


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, str) or isinstance(right, str):
        return isinstance(left, str) and isinstance(right, str) and left == right
    return bool(z3.eq(left, right))


class Trail:
    """The decisions of the current path, first to last. ``depth`` caps the forks of one path."""

    def __init__(self, solver: Any, depth: int) -> None:
        self.solver = solver
        self.depth = depth
        self.decisions: list[Decision] = []
        self._asserted = 0
        self._levels: list[int] = []

    def add(self, number: int, condition: Any) -> None:
        """Constraint ``number`` of the path; the solver may have it from an earlier execution."""
        if number == self._asserted:
            self.solver.add(condition)
            self._asserted += 1

    def recall(self, position: int, asked: Any) -> Decision | None:
        """The decision taken at ``position`` before, None beyond the known prefix.

        Raises :class:`EngineError` when another question was asked there: the body is not a function
        of its answers.
        """
        if position == len(self.decisions):
            return None
        decision = self.decisions[position]
        if not _same(decision.asked, asked):
            raise EngineError("the body does not do the same twice: the second execution forked elsewhere")
        return decision

    def record(self, asked: Any, answers: list[int]) -> Decision:
        """Take the first of ``answers``; the others wait for :meth:`next_path`."""
        decision = Decision(asked, answers[0], answers[1:], forked=len(answers) > 1)
        if decision.forked:
            if len(self._levels) >= self.depth:
                raise EngineError(f"a path has more than {self.depth} forks: a loop over a symbol?")
            self.solver.push()
            self._levels.append(self._asserted)
        self.decisions.append(decision)
        return decision

    def next_path(self) -> bool:
        """Turn to the next untaken answer; False when every path has been taken."""
        while self.decisions:
            last = self.decisions[-1]
            if last.forked:
                self.solver.pop()
                self._asserted = self._levels[-1]
            if last.left:
                self.solver.push()
                last.answer = last.left.pop(0)
                return True
            if last.forked:
                self._levels.pop()
            self.decisions.pop()
        return False

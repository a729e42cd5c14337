"""Every way a step may go: its choices enumerated, or read off what was observed.

A step asks for a choice with an interval. Where the observation shows the ring the choice is about, its
tail tells the answer and only that is tried; otherwise every value is, depth first. The number of runs
of one step is bounded: beyond the bound the oracle does not know, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from netmap_reference.core.choice import Choice, Choose

T = TypeVar("T")

#: Runs of one step before the oracle gives up on it.
MAX_RUNS = 4096
#: What a driver does when its device is full: beyond a few slots only all and none are followed, since an
#: observer can tell the others apart only by what a rejected ring goes back to.
COARSE = frozenset({"nic.tx-accepted"})
FEW = 3
#: A frame takes at least one slot and seldom more than this many.
FRAME_SLOTS = 32


class TooMany(Exception):
    """A step has more ways to go than the oracle follows; ``count`` were tried."""

    def __init__(self, count: int) -> None:
        super().__init__(f"more than {count} ways")
        self.count = count


@dataclass(frozen=True, slots=True)
class Run(Generic[T]):
    """One way a step went: its value and the answers given, in order."""

    value: T
    answers: tuple[tuple[Choice, int], ...]


class Enumeration(Generic[T]):
    """Runs of ``act`` for every combination of answers.

    ``act(choose)`` performs the step on fresh state; ``needed(choice)`` says how many slots the observed
    tail of the choice's ring lies ahead of the model's, ``None`` when the ring was not seen.
    """

    def __init__(self, act: Callable[[Choose], T], needed: Callable[[Choice], int | None]) -> None:
        self._act = act
        self._needed = needed
        self._todo: list[tuple[int, ...]] = [()]
        self._pinned: set[tuple[int, ...]] = set()
        self._count = 0

    def __iter__(self) -> Iterator[Run[T]]:
        while self._todo:
            prefix = self._todo.pop()
            self._count += 1
            if self._count > MAX_RUNS:
                raise TooMany(MAX_RUNS)
            yield self._run(prefix)

    def _run(self, prefix: tuple[int, ...]) -> Run[T]:
        """One run that gives the answers of ``prefix`` and then the first of the options each time."""
        answers: list[tuple[Choice, int]] = []

        def choose(choice: Choice) -> int:
            at = len(answers)
            if at < len(prefix):
                value = prefix[at]
            else:
                before = tuple(v for _, v in answers)
                options = self._options(choice, before)
                value = options[0]
                self._todo.extend((*before, other) for other in reversed(options[1:]))
            answers.append((choice, value))
            return value

        return Run(self._act(choose), tuple(answers))

    def told(self, run: Run[T]) -> None:
        """This run's tails are those that were seen: a choice that a tail tells needs no other answer."""
        values = tuple(v for _, v in run.answers)
        pinned = [values[:i] for i in range(len(values)) if values[:i] in self._pinned]
        self._todo = [p for p in self._todo if p[:-1] not in pinned]

    def _options(self, choice: Choice, before: tuple[int, ...]) -> list[int]:
        if choice.name in COARSE and choice.hi - choice.lo > FEW:
            return [choice.hi, choice.lo]
        needed = self._needed(choice)
        if needed is None:
            return list(range(choice.lo, choice.hi + 1))
        self._pinned.add(before)
        if choice.unit != "frames":
            return [min(max(needed, choice.lo), choice.hi)]
        fewest = max(choice.lo, needed // FRAME_SLOTS)
        return list(range(min(max(needed, fewest), choice.hi), fewest - 1, -1)) or [choice.lo]

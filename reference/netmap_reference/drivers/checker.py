"""The checker: every driver model in every state of a small scope, held to the clauses ``14.driver.*``.

From a port that was just bound, all sequences of moves are walked, each state once: the application fills,
exchanges, spoils and releases slots, the device completes and fills descriptors and interrupts, netmap
syncs, the device is reset, the link goes and comes. The first thing a driver does wrong is a
:class:`Refusal`: the clause, what was seen, and the shortest sequence of moves that shows it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from .bench import Bench, Broken
from .moves import MOVES, Driver, enter


@dataclass(frozen=True, slots=True)
class Refusal:
    """The clause a driver breaks, what was seen, and the moves that show it."""

    clause: str
    what: str
    moves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``states`` and ``steps`` that were walked; ``refusal`` is None for a driver that keeps every clause."""

    driver: str
    states: int
    steps: int
    refusal: Refusal | None


def check(driver: Driver, n: int = 3, depth: int = 7) -> Verdict:
    """Walk every sequence of up to ``depth`` moves on rings of ``n`` slots."""
    bench = Bench(n)
    try:
        enter(driver, bench)
    except Broken as broken:
        return Verdict(driver.name, 1, 1, Refusal(broken.clause, broken.what, ("register",)))
    seen = {bench.key()}
    todo: deque[tuple[Bench, tuple[str, ...]]] = deque([(bench, ())])
    steps = 0
    while todo:
        state, moves = todo.popleft()
        for name, move in MOVES.items():
            after = state.clone()
            steps += 1
            try:
                if not move(driver, after):
                    continue
            except Broken as broken:
                refusal = Refusal(broken.clause, broken.what, (*moves, name))
                return Verdict(driver.name, len(seen), steps, refusal)
            key = after.key()
            if key not in seen:
                seen.add(key)
                if len(moves) + 1 < depth:
                    todo.append((after, (*moves, name)))
    return Verdict(driver.name, len(seen), steps, None)

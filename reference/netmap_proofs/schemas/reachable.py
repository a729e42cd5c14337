"""Every state of a small device that some sequence of moves can reach: breadth first, up to a depth.

For what is no arithmetic: descriptors that come and go, buffers on their way. A state is checked once,
however it was reached; a counterexample is a shortest list of moves.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeVar

from ..engine import Proof

S = TypeVar("S")


def reachable(
    p: Proof,
    start: S,
    moves: Mapping[str, Callable[[S], S | None]],
    checks: Callable[[S], Iterable[tuple[str, bool, str]]],
    *,
    key: Callable[[S], Hashable],
    depth: int,
    label: str = "",
) -> int:
    """Check every state within ``depth`` moves of ``start``; returns how many there are.

    A move gives the state after it, an independent one, or None when it cannot happen. ``checks`` yields
    (goal, holds, what is wrong).
    """
    goals: dict[str, bool] = {}
    known: set[Hashable] = {key(start)}
    layer: list[tuple[S, tuple[str, ...]]] = [(start, ())]
    for level in range(depth + 1):
        following: list[tuple[S, tuple[str, ...]]] = []
        for state, path in layer:
            for goal, holds, what in checks(state):
                if not holds and goals.get(goal, True):
                    lines = [f"{label}: {what}" if label else what, *path]
                    p.evidence(goal, False, {"what": what, "lines": lines})
                goals[goal] = goals.get(goal, True) and holds
            for name, move in moves.items() if level < depth else ():
                after = move(state)
                if after is not None and (found := key(after)) not in known:
                    known.add(found)
                    following.append((after, (*path, name)))
        layer = following
    p.bounded(len(known), "states")
    for goal, holds in goals.items():
        if holds:
            p.evidence(goal, True, None)
    return len(known)

"""Loops of any length: the step is proved once, at an arbitrary state that satisfies the invariant.

Each schema splits the path: one case proves the start, one each step, and only the last goes on
with the body, from an arbitrary state of which nothing but the invariant is known. An invariant that
is too weak therefore shows as a refuted goal, never as a wrong proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from ..engine import Proof

S = TypeVar("S")


def fold(
    p: Proof,
    name: str,
    *,
    start: S,
    arbitrary: Callable[[str], S],
    invariant: Callable[[S], Iterable[bool]],
    step: Callable[[S], S | None],
) -> S:
    """The state after a loop that begins in ``start`` and repeats ``step`` any number of times.

    ``arbitrary(symbol)`` makes a state out of fresh symbols; ``invariant`` lists the conditions that
    hold between two rounds; ``step`` is one round, items it reads are its own fresh symbols, and it
    may return None for a round that does not happen. Goals: ``NAME: base`` and ``NAME: step``.
    """
    p.goal(f"{name}: base", *invariant(start))
    if p.split(name) == 0:
        before = arbitrary(f"{name}.before")
        p.assume_all(invariant(before))
        after = step(before)
        if after is not None:
            p.goal(f"{name}: step", *invariant(after))
        p.end()
    after_loop = arbitrary(f"{name}.after")
    p.assume_all(invariant(after_loop))
    return after_loop


def always(
    p: Proof,
    name: str,
    *,
    starts: Iterable[S],
    arbitrary: Callable[[str], S],
    invariant: Callable[[S], Iterable[bool]],
    steps: Mapping[str, Callable[[S], S | None]],
) -> None:
    """``invariant`` holds in every state that ``starts`` and any sequence of ``steps`` can reach.

    Goals: ``NAME: start`` and ``NAME: STEP`` for each step; a step that cannot happen returns None.
    """
    which = p.split(name, len(steps) + 1)
    if which == 0:
        for start in starts:
            p.goal(f"{name}: start", *invariant(start))
        p.end()
    label, step = list(steps.items())[which - 1]
    if p.settled(f"{name}: {label}"):
        p.end()
    before = arbitrary(name)
    p.assume_all(invariant(before))
    after = step(before)
    if after is not None:
        p.goal(f"{name}: {label}", *invariant(after))


def induction(
    p: Proof,
    name: str,
    *,
    claim: Callable[[int], Iterable[bool]],
    unfold: Callable[[int], None],
) -> Callable[[int], None]:
    """A statement about every number, by explicit induction over a ghost ``m``.

    ``claim(m)`` lists the statement at ``m``; ``unfold(m)`` assumes what defines the step from ``m`` to
    ``m + 1``. Goals: ``NAME: base`` and ``NAME: step``. The third case goes on with the body; the
    function returned there assumes the statement at any number from 0 on.
    """
    which = p.split(name, 3)
    if which == 0:
        p.goal(f"{name}: base", *claim(0))
        p.end()
    if which == 1:
        m = p.integer(f"{name}.m", 0)
        p.assume_all(claim(m))
        unfold(m)
        p.goal(f"{name}: step", *claim(m + 1))
        p.end()

    def known(at: int) -> None:
        p.goal(f"{name}: used from 0 on", at >= 0)
        p.assume_all(claim(at))

    return known

"""Delta debugging: the fewest units of a failing run that still fail in the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def shrink(items: Sequence[T], fails: Callable[[Sequence[T]], bool], most: int = 3000) -> list[T]:
    """A part of ``items``, in order, that still ``fails`` and of which no single item can be left out.

    ``items`` must fail. After ``most`` attempts the smallest part found so far is returned. Source:
    Zeller and Hildebrandt, *Simplifying and Isolating Failure-Inducing Input* (complements only).
    """
    kept = list(items)
    piece = max(len(kept) // 2, 1)
    attempts = 0
    while kept and attempts < most:
        at, removed = 0, False
        while at < len(kept) and attempts < most:
            rest = kept[:at] + kept[at + piece :]
            attempts += 1
            if fails(rest):
                kept, removed = rest, True
            else:
                at += piece
        if piece == 1 and not removed:
            break
        piece = max(piece // 2, 1)
    return kept

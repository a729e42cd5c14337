"""The contracts of ``contracts.py`` over functions with a planted bug each: CrossHair must refute every
one."""

from __future__ import annotations


def _next(i: int, lim: int) -> int:
    return i + 1 if i < lim - 1 else 0


def _prev(i: int, lim: int) -> int:
    return i - 1


def _distance(start: int, end: int, n: int) -> int:
    return end - start if end > start else end - start + n


def _advance(i: int, by: int, n: int) -> int:
    return i + by - n if i + by > n else i + by


def next_then_prev(i: int, lim: int) -> bool:
    """nm_next wraps one slot early.

    pre: 0 <= i <= lim
    post: _
    """
    after = _next(i, lim)
    return 0 <= after <= lim and (lim if after == 0 else after - 1) == i


def prev_then_next(i: int, lim: int) -> bool:
    """nm_prev does not wrap.

    pre: 0 <= i <= lim
    post: _
    """
    before = _prev(i, lim)
    return 0 <= before <= lim


def distance_of_advance(i: int, by: int, n: int) -> bool:
    """advance wraps one slot late.

    pre: 0 <= i < n
    pre: 0 <= by < n
    post: _
    """
    return 0 <= _advance(i, by, n) < n


def advance_of_distance(i: int, j: int, n: int) -> bool:
    """distance of a slot to itself is a full turn.

    pre: 0 <= i < n
    pre: 0 <= j < n
    post: _
    """
    return 0 <= _distance(i, j, n) < n

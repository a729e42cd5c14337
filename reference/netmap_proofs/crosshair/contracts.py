"""Contracts on the index arithmetic of generation 14, in CrossHair's docstring form.

Only scalar steps: loops and lists are the business of ``netmap_proofs.engine``.
"""

from __future__ import annotations

from netmap_reference.gen14.ring import advance, distance, nm_next, nm_prev


def next_then_prev(i: int, lim: int) -> bool:
    """One forward and one back.

    pre: 0 <= i <= lim
    post: _
    """
    after = nm_next(i, lim)
    return 0 <= after <= lim and nm_prev(after, lim) == i


def prev_then_next(i: int, lim: int) -> bool:
    """One back and one forward.

    pre: 0 <= i <= lim
    post: _
    """
    before = nm_prev(i, lim)
    return 0 <= before <= lim and nm_next(before, lim) == i


def distance_of_advance(i: int, by: int, n: int) -> bool:
    """Having walked ``by`` slots, the distance is ``by``.

    pre: 0 <= i < n
    pre: 0 <= by < n
    post: _
    """
    there = advance(i, by, n)
    return 0 <= there < n and distance(i, there, n) == by


def advance_of_distance(i: int, j: int, n: int) -> bool:
    """Walking the distance to ``j`` ends at ``j``.

    pre: 0 <= i < n
    pre: 0 <= j < n
    post: _
    """
    walked = distance(i, j, n)
    return 0 <= walked < n and advance(i, walked, n) == j

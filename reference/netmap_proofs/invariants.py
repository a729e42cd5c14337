"""Named predicates over the model's state, as lists of conditions.

They are lists, not one expression with ``and``: a goal takes all of them in one question to the
solver, and an assumption takes them one by one.
"""

from __future__ import annotations

from itertools import pairwise

from netmap_reference.gen14.ring import Kring, distance


def positions_in_ring(k: Kring) -> list[bool]:
    """14.ring.kring-order, first half: the five positions of a kring are slots of the ring."""
    positions = (k.hwcur, k.rhead, k.rcur, k.rtail, k.hwtail)
    return [k.n >= 1, *(x >= 0 for x in positions), *(x < k.n for x in positions)]


def order(k: Kring) -> list[bool]:
    """14.ring.kring-order, second half: walking from hwcur one meets rhead, rcur, rtail, hwtail."""
    walked = [distance(k.hwcur, x, k.n) for x in (k.rhead, k.rcur, k.rtail, k.hwtail)]
    return [a <= b for a, b in pairwise(walked)]


def kring_order(k: Kring) -> list[bool]:
    """14.ring.kring-order: the kring between two syncs."""
    return [*positions_in_ring(k), *order(k)]


def kernel_positions(k: Kring) -> list[bool]:
    """What a kring still guarantees when the application's half of it is arbitrary: hwcur and hwtail."""
    return [k.n >= 1, k.hwcur >= 0, k.hwcur < k.n, k.hwtail >= 0, k.hwtail < k.n]

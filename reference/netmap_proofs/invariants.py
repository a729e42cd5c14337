"""The predicates of :mod:`netmap_spec.invariants` on the model's own state.

They are definitions of their own: the model's ``between`` and ``distance`` are measured by them,
not used in them.
"""

from __future__ import annotations

from netmap_reference.gen14.ring import Kring
from netmap_spec import invariants as spec


def kring_order(k: Kring) -> bool:
    """14.ring.kring-order on a kring between two syncs."""
    return spec.kring_order(k.n, k.hwcur, k.hwtail, k.rhead, k.rcur, k.rtail)


def kernel_positions(k: Kring) -> bool:
    """What a kring still guarantees when the application's half of it is arbitrary: hwcur and hwtail."""
    return spec.position(k.n, k.hwcur) and spec.position(k.n, k.hwtail)

"""The predicates of :mod:`netmap_spec.invariants` on the model's own state, and states that satisfy them.

They are definitions of their own: the model's ``between`` and ``distance`` are measured by them,
not used in them.
"""

from __future__ import annotations

from netmap_reference.gen14.ring import Kring
from netmap_spec import invariants as spec

from .engine import Proof


def kring_order(k: Kring) -> bool:
    """14.ring.kring-order on a kring between two syncs."""
    return spec.kring_order(k.n, k.hwcur, k.hwtail, k.rhead, k.rcur, k.rtail)


def kernel_positions(k: Kring) -> bool:
    """What a kring still guarantees when the application's half of it is arbitrary: hwcur and hwtail."""
    return spec.position(k.n, k.hwcur) and spec.position(k.n, k.hwtail)


def any_positions(p: Proof, name: str, n: int | None = None) -> Kring:
    """A kring of any size (or of ``n`` slots) with any five positions.

    That they are positions is assumed term by term: the predicates would fork at each of them.
    """
    size = p.integer(f"{name}.n", 1) if n is None else n
    k = p.symbolic(Kring, name, lo=0, n=size)
    p.assume_all([x < size for x in (k.hwcur, k.hwtail, k.rhead, k.rcur, k.rtail)])
    return k


def any_kring(p: Proof, name: str, n: int | None = None) -> Kring:
    """A kring of any size (or of ``n`` slots) that satisfies 14.ring.kring-order."""
    k = any_positions(p, name, n)
    p.assume(kring_order(k))
    return k


# --- the same without forks -----------------------------------------------------------------------------
#
# A predicate of the spec forks at each of its words. Where a call has many steps, that multiplies; these say
# the same in one condition. 14.ring.flat-order proves that they do.


def flat_steps(p: Proof, n: int, start: int, end: int) -> int:
    """``spec.steps`` as one number."""
    return p.pick(end >= start, end - start, end - start + n)


def flat_window(p: Proof, n: int, start: int, end: int, *between: int) -> bool:
    """All are positions, and walking forward from ``start`` one meets ``between`` in order, then ``end``."""
    holds = (start >= 0) & (start < n)
    walked: int = 0
    for at in (*between, end):
        here = flat_steps(p, n, start, at)
        holds = holds & (at >= 0) & (at < n) & (walked <= here)
        walked = here
    return holds


def flat_order(p: Proof, k: Kring) -> bool:
    """``kring_order`` as one condition."""
    return flat_window(p, k.n, k.hwcur, k.hwtail, k.rhead, k.rcur, k.rtail)


def flat_kring(p: Proof, name: str) -> Kring:
    """As :func:`any_kring`: a kring of any size that satisfies 14.ring.kring-order."""
    k = any_positions(p, name)
    p.assume(flat_order(p, k))
    return k

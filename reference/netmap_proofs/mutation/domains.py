"""For which arguments a function of the model is ever called: the precondition of its equivalence proofs.

Each entry makes symbolic arguments that satisfy what the callers guarantee, and says so in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netmap_reference.gen14 import ring
from netmap_reference.gen2011 import ring as ring2011

from ..engine import Proof
from ..invariants import any_kring


@dataclass(frozen=True, slots=True)
class Domain:
    """``words`` for the report; ``arguments`` of one call, made of symbols."""

    words: str
    arguments: Callable[[Proof], tuple[Any, ...]]


def _integers(p: Proof, *names: str) -> tuple[int, ...]:
    return tuple(p.integer(name) for name in names)


def _positions(p: Proof, *names: str) -> tuple[int, ...]:
    """Positions of one ring, of any size, which comes last."""
    n = p.integer("n", 1)
    found = tuple(p.integer(name, 0) for name in names)
    p.assume_all([each < n for each in found])
    return (*found, n)


def _bound(p: Proof) -> tuple[int, ...]:
    value, default, low, high = _integers(p, "value", "default", "low", "high")
    p.assume(low <= high)
    return value, default, low, high


def _prologue(p: Proof) -> tuple[Any, ...]:
    return any_kring(p, "k"), p.symbolic(ring.UserRing, "user", lo=0), frozenset(p.switches)


def _reclaim(p: Proof) -> tuple[Any, ...]:
    k, hwofs, completed = any_kring(p, "k"), p.integer("hwofs", 0), p.integer("completed", 0)
    p.assume_all([hwofs < k.n, completed < k.n])
    return k, hwofs, completed


def _kring2011(p: Proof) -> Any:
    k = p.symbolic(ring2011.Kring, "k", lo=0, kflags=0, hwofs=0)
    p.assume_all([k.n >= 1, k.n < 1 << 30, k.hwcur < k.n, k.hwavail < k.n])
    return k


def _take2011(p: Proof) -> tuple[Any, ...]:
    k, cur = _kring2011(p), p.integer("cur", 0)
    p.assume(cur < k.n)
    return k, cur, frozenset(p.switches)


_ANY_RING = "any positions of a ring of any size"
_R14, _R2011 = "netmap_reference.gen14", "netmap_reference.gen2011"

#: By ``module:qualname``.
DOMAINS: dict[str, Domain] = {
    f"{_R14}.ring:between": Domain(_ANY_RING, lambda p: _positions(p, "low", "x", "high")[:3]),
    f"{_R14}.ring:distance": Domain(_ANY_RING, lambda p: _positions(p, "start", "end")),
    f"{_R14}.ring:advance": Domain(_ANY_RING, lambda p: _positions(p, "i", "by")),
    f"{_R14}.ring:nm_next": Domain(_ANY_RING, lambda p: _lim(_positions(p, "i"))),
    f"{_R14}.ring:nm_prev": Domain(_ANY_RING, lambda p: _lim(_positions(p, "i"))),
    f"{_R14}.ring:tx_prologue": Domain("any kring in order, any words, the contract", _prologue),
    f"{_R14}.ring:rx_prologue": Domain("any kring in order, any words, the contract", _prologue),
    f"{_R14}.ports.nic:tx_pending": Domain("any kring in order", lambda p: (any_kring(p, "k"),)),
    f"{_R14}.ports.nic:nic_tx_reclaim": Domain("any kring in order, any offset, what is pending", _reclaim),
    f"{_R14}.options:body_size": Domain("any type and size", lambda p: (p.u32("type"), p.u64("size"))),
    f"{_R14}.request:bound": Domain("any sizes with low <= high", _bound),
    f"{_R14}.ports.nic:netmap_idx_k2n": Domain(_ANY_RING, lambda p: _positions(p, "hwofs", "i")),
    f"{_R14}.ports.nic:netmap_idx_n2k": Domain(_ANY_RING, lambda p: _positions(p, "hwofs", "i")),
    f"{_R2011}.sync:distance": Domain(_ANY_RING, lambda p: _positions(p, "start", "end")),
    f"{_R2011}.sync:take": Domain("any kring in range, any cur inside it, the contract", _take2011),
}


def _lim(found: tuple[int, ...]) -> tuple[int, ...]:
    """The ring's last position in the place of its size."""
    return (*found[:-1], found[-1] - 1)

"""Index arithmetic of both generations in C's own integers: the same functions, every sum cut to 32 bits.

The model's integers have no end. A :class:`Word` is an integer whose sums and differences wrap as those of a
C ``uint32_t`` or ``int`` do; the model's functions run on words as they are. What they return there is what
they return on integers, so nothing that is proved on integers is lost in C.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from netmap_reference.core.step import Step
from netmap_reference.core.words import i32, u32
from netmap_reference.gen14 import ring
from netmap_reference.gen14.ports import nic
from netmap_reference.gen2011 import ring as ring2011
from netmap_reference.gen2011 import sync as sync2011

from ..engine import Proof
from ..obligation import Control, obligation


class Word:
    """A C integer of 32 bits; ``cut`` brings a sum back into it."""

    def __init__(self, value: int, cut: Callable[[int], int]) -> None:
        self.value, self.cut = value, cut

    def _with(self, other: Word | int, sign: int) -> Word:
        number = other.value if isinstance(other, Word) else other
        return Word(self.cut(self.value + sign * number), self.cut)

    def __add__(self, other: Word | int) -> Word:
        return self._with(other, 1)

    def __sub__(self, other: Word | int) -> Word:
        return self._with(other, -1)

    def __lt__(self, other: Word | int) -> bool:
        return self.value < _value(other)

    def __ge__(self, other: Word | int) -> bool:
        return self.value >= _value(other)

    def __eq__(self, other: object) -> bool:
        return self.value == _value(other)

    __hash__ = None  # type: ignore[assignment]  # a symbol cannot be hashed


def _value(of: Any) -> int:
    found = of.value if isinstance(of, Word) else of
    return found


def _number(result: Any) -> int:
    return _value(result.state if isinstance(result, Step) else result)


def in_c(function: Callable[..., Any], cut: Callable[[int], int], *arguments: int) -> int:
    """The function on C's integers."""
    return _number(function(*(Word(each, cut) for each in arguments)))


#: Up to how many slots a ring may have for a sum of two positions to fit: of ``uint32_t``, and of ``int``.
_UNSIGNED, _SIGNED = 1 << 31, 1 << 30
_CUTS = (("uint32_t", u32, _UNSIGNED), ("int", i32, _SIGNED))


def fits14_body(p: Proof, *functions: Callable[..., int]) -> None:
    nm_next, nm_prev, distance, advance, k2n, n2k = functions
    kind, cut, most = _CUTS[p.split("kind of integer", 2)]
    n = p.integer("n", 1, most)
    i, j, d = p.integer("i", 0), p.integer("j", 0), p.integer("d", 0)
    p.assume_all([i < n, j < n, d <= n])
    for name, function, arguments in (
        ("nm_next", nm_next, (i, n - 1)),
        ("nm_prev", nm_prev, (i, n - 1)),
        ("distance", distance, (i, j, n)),
        ("advance", advance, (i, d, n)),
        ("netmap_idx_k2n", k2n, (i, j, n)),
        ("netmap_idx_n2k", n2k, (i, j, n)),
    ):
        wanted = function(*arguments)
        p.goal(f"{name} in {kind}", p.run(in_c, function, cut, *arguments) == wanted)


def _compares_sums(i: int, by: int, n: int) -> int:
    """On integers this is advance; a sum of three does not fit."""
    if i + by + n >= n + n:
        return i + by - n
    return i + by


_FUNCTIONS = (
    ring.nm_next, ring.nm_prev, ring.distance, ring.advance, nic.netmap_idx_k2n, nic.netmap_idx_n2k,
)  # fmt: skip

obligation(
    "14.ring.words",
    clauses=("14.ring.kring-order", "14.nic.reset"),
    statement="""In a ring of at most 2^31 slots the index functions return in `uint32_t` what they return on
    integers, and in `int` with at most 2^30; so does every function that is made of them.""",
    functions=_FUNCTIONS,
    control=Control(
        "advance compares a sum of three", *_FUNCTIONS[:3], _compares_sums, *_FUNCTIONS[4:],
        goal="advance in uint32_t",
    ),
    assumptions="1 <= n, positions and offsets below n, a walk of at most n.",
)(fits14_body)  # fmt: skip


def fits2011_body(p: Proof, *functions: Callable[..., Any]) -> None:
    n2k, k2n, distance = functions
    n = p.integer("n", 1, _SIGNED)
    i, j, hwofs = p.integer("i", 0), p.integer("j", 0), p.integer("hwofs")
    p.assume_all([i < n, j < n, -n < hwofs, hwofs < n])
    for name, function, arguments in (
        ("idx_n2k", n2k, (n, hwofs, i)),
        ("idx_k2n", k2n, (n, hwofs, i)),
        ("distance", distance, (i, j, n)),
    ):
        wanted = _number(function(*arguments))
        p.goal(f"{name} in int", p.run(in_c, function, i32, *arguments) == wanted)


_MAPS = (ring2011.idx_n2k, ring2011.idx_k2n, sync2011.distance)
_fits2011 = partial(obligation, clauses=("2011.ring.hwofs", "2011.ring.positions"), functions=_MAPS, rules=())
_fits2011(
    "2011.ring.words",
    statement="""In a ring of at most 2^30 slots the maps between netmap's and the NIC's indices, and the
    distance of two positions, return in `int` what they return on integers.""",
    control=Control(
        "the sum is doubled before it is compared",
        lambda n, hwofs, idx: ring2011.idx_n2k(n, hwofs, idx) if idx + hwofs + n + n >= n + n
        else Step(idx + hwofs + n),
        *_MAPS[1:],
        goal="idx_n2k in int",
    ),
    assumptions="1 <= n, positions below n, -n < hwofs < n.",
)(fits2011_body)  # fmt: skip

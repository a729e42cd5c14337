"""What the contract leaves to the kernel, the NIC or the wire.

A step that has a choice asks ``choose(Choice(...))`` and goes on with the answer, an integer of the
closed interval ``[lo, hi]``. The reference device answers with a policy (:func:`eager`,
:func:`lazy`, :func:`seeded`); the oracle answers with what was observed, or tries every value.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Choice:
    """``name`` says what is chosen (``nic.tx-reclaim``), ``where`` for which ring (``v0:tx0``).

    ``lo <= hi``, both included. ``unit`` is what is counted: slots, frames, bytes.
    """

    name: str
    where: str
    lo: int
    hi: int
    unit: str = "slots"


Choose: TypeAlias = Callable[[Choice], int]


def eager(choice: Choice) -> int:
    """The kernel does as much as it may."""
    return choice.hi


def lazy(choice: Choice) -> int:
    """The kernel does as little as it may."""
    return choice.lo


def seeded(seed: int) -> Choose:
    """A repeatable mixture, a third each: everything, nothing, something."""
    source = random.Random(seed)

    def choose(choice: Choice) -> int:
        pick = source.randrange(3)
        if pick == 0:
            return choice.hi
        if pick == 1:
            return choice.lo
        return source.randint(choice.lo, choice.hi)

    return choose

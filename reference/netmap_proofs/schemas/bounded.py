"""Enumeration: for what no solver is needed, and for what no unbounded proof was found.

An obligation that enumerates is PROVED_UP_TO_N; it must say what N is and why it is enough.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from ..engine import Proof


def every(p: Proof, of: str, *domains: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Every combination of the ``domains``, counted as cases ``of`` that name."""
    count = 0
    for combination in itertools.product(*(tuple(d) for d in domains)):
        count += 1
        yield combination
    p.bounded(count, of)

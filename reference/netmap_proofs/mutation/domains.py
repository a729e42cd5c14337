"""For which arguments a function of the model is ever called: the precondition of its equivalence proofs.

Each entry makes symbolic arguments that satisfy what the callers guarantee, and says so in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..engine import Proof


@dataclass(frozen=True, slots=True)
class Domain:
    """``words`` for the report; ``arguments`` of one call, made of symbols."""

    words: str
    arguments: Callable[[Proof], tuple[Any, ...]]


DOMAINS: dict[str, Domain] = {}

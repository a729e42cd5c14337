"""What a pure step returns, and the register of the rules that steps fire.

Every decision of netmap is a *pure step*: a function of plain integers and small frozen
dataclasses that returns a :class:`Step`. The same function object is run by the reference device,
by the oracle and by the symbolic engine, so a step

* branches only with ``if``/``while`` on comparisons of its arguments,
* names each branch it takes by a rule id (``fired``),
* never looks at a clock, a global or an object's identity.

A *rule* is one sentence of the model; it is bound to the clause it implements and to the source
lines it was read from. Rule coverage ("which rules did this run fire") is the coverage metric.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .outcome import OK, Outcome

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Rule:
    """One named transition rule.

    ``id`` reads ``generation/chapter/step/case``, for example ``14/ring/tx_prologue/accept``;
    ``clause`` is the id of the clause it implements; ``source`` cites where it was read;
    ``switch`` names the deviation the rule belongs to, empty for the contract's own rules.
    """

    id: str
    clause: str
    source: str
    switch: str = ""


RULES: dict[str, Rule] = {}


def rule(id: str, *, clause: str, source: str, switch: str = "") -> str:
    """Register a rule once, at import time, and return its id.

    Raises ``ValueError`` when the id is already taken: two rules of one name would hide each other
    in every coverage figure.
    """
    if id in RULES:
        raise ValueError(f"rule {id} is registered twice")
    RULES[id] = Rule(id, clause, source, switch)
    return id


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """Result of a pure step: the new state, the rules fired, and how the step ended."""

    state: S
    fired: tuple[str, ...] = ()
    outcome: Outcome = field(default=OK)


def collect(*parts: Iterable[str]) -> tuple[str, ...]:
    """Concatenate the rule ids of sub-steps, in order."""
    return tuple(r for part in parts for r in part)

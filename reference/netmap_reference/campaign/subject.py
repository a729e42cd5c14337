"""What a generation gives to a campaign: machines that draw, judge and execute operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple, Protocol, TypeAlias

#: One operation in the recordings' form: its name and its arguments.
Operation: TypeAlias = tuple[str, dict[str, Any]]
#: Operations that belong together: the shrinker keeps all of them or none.
Unit: TypeAlias = tuple[Operation, ...]


class Broken(NamedTuple):
    """An invariant that does not hold: the predicate's name, the clause it states, and what was found."""

    predicate: str
    clause: str
    what: str

    def __str__(self) -> str:
        return f"{self.clause} ({self.predicate}): {self.what}"


class Machine(Protocol):
    """One machine of a campaign, from its header on a function of the operations alone."""

    coverage: Counter[str]

    def draw(self, rng: Random) -> Unit:
        """What comes next: a unit that is :meth:`possible` now."""
        ...

    def possible(self, unit: Unit) -> bool:
        """Can these operations be made now, and by whom the machine says its users are?

        A shrunk trace leaves operations out; those that lose their meaning by it are passed over.
        """
        ...

    def apply(self, op: str, args: dict[str, Any]) -> list[Broken]:
        """Make one operation, and check every object it touched."""
        ...

    def whole(self) -> list[Broken]:
        """Check every object there is, from the state itself."""
        ...


@dataclass(frozen=True)
class Generation:
    """A generation as campaigns see it."""

    name: str
    #: A machine's header (its configuration and the users it has), drawn for every episode anew.
    header: Any
    #: The machine of a header; raises ``ValueError`` for one that no machine can have.
    machine: Any
    #: The rules of the contract that a campaign is to fire.
    rules: frozenset[str]
    #: Rules that no operation of a campaign can fire, and why.
    unreachable: Mapping[str, str]

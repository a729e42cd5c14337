"""A set of integers of which nothing is known: what the model keeps as a ``frozenset`` of indices.

It can be asked ``x in s``, and gives new sets by ``difference`` and ``union`` with known members, as
``frozenset`` does. It has no size and cannot be walked: how many members it has is a matter of
explicit induction in the obligation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .errors import EngineError


class AnySet:
    """An arbitrary set ``name`` and the changes made to it; ``base(i)`` is 1 for a member at the start."""

    __slots__ = ("base", "changes", "name")

    def __init__(
        self, name: str, base: Callable[..., Any], changes: tuple[tuple[str, Any], ...] = ()
    ) -> None:
        self.name = name
        self.base = base
        self.changes = changes

    def has(self, index: Any) -> Any:
        """Is ``index`` a member: a truth value, symbolic where the set or the index is."""
        member = self.base(index) == 1
        for change, changed in self.changes:
            here = index == changed
            member = (member & (here ^ True)) if change == "without" else (member | here)
        return member

    def __contains__(self, index: Any) -> bool:
        return bool(self.has(index))

    def _changed(self, change: str, members: Iterable[Any]) -> AnySet:
        return AnySet(self.name, self.base, (*self.changes, *((change, m) for m in members)))

    def difference(self, members: Iterable[Any]) -> AnySet:
        """This set without the given members."""
        return self._changed("without", members)

    def union(self, members: Iterable[Any]) -> AnySet:
        """This set and the given members."""
        return self._changed("with", members)

    def concrete(self, value_of: Callable[[Any], Any]) -> AnySet:
        """The same changes with every symbol replaced by its value."""
        return AnySet(self.name, self.base, tuple((c, value_of(m)) for c, m in self.changes))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnySet) and (self.name, self.changes) == (other.name, other.changes)

    def __repr__(self) -> str:
        return self.name + "".join(f" {change} {member!r}" for change, member in self.changes)

    def __hash__(self) -> int:
        raise EngineError(f"hash() of the set {self.name}")

    def __iter__(self) -> Any:
        raise EngineError(f"the set {self.name} cannot be walked: nothing is known of its size")

    def __len__(self) -> int:
        raise EngineError(f"len() of the set {self.name}: nothing is known of its size")

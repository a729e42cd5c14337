"""Which of the implementation's numbers stands for which of the model's.

Buffer indices, memory ids and object offsets are the kernel's to choose. The oracle compares them
modulo one-to-one relations that grow as numbers are seen: a number seen for the first time is bound to
what the model has in its place, and has to agree from then on. Two of the model's objects can never
share one number of the implementation's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

Kind = tuple[str, int]


class Bindings:
    """One-to-one relations by kind, such as ``("buf", 1)`` for the buffers of memory 1. Cheap to copy."""

    __slots__ = ("_forward", "_mine", "_reverse")

    def __init__(self) -> None:
        self._forward: dict[Kind, dict[int, int]] = {}
        self._reverse: dict[Kind, dict[int, int]] = {}
        self._mine: set[Kind] = set()

    def clone(self) -> Bindings:
        """An independent copy; tables are shared until one side binds."""
        other = Bindings()
        other._forward, other._reverse = dict(self._forward), dict(self._reverse)
        self._mine.clear()
        return other

    def key(self) -> Hashable:
        """Equal for equal relations."""
        return frozenset((kind, frozenset(table.items())) for kind, table in self._forward.items() if table)

    def _own(self, kind: Kind) -> tuple[dict[int, int], dict[int, int]]:
        if kind not in self._mine:
            self._forward[kind] = dict(self._forward.get(kind, ()))
            self._reverse[kind] = dict(self._reverse.get(kind, ()))
            self._mine.add(kind)
        return self._forward[kind], self._reverse[kind]

    def seen(self, kind: Kind, model: int) -> int | None:
        """The implementation's number for the model's, ``None`` while it is unbound."""
        return self._forward.get(kind, {}).get(model)

    def model(self, kind: Kind, seen: int) -> int | None:
        """The model's number for the implementation's, ``None`` while it is unbound."""
        return self._reverse.get(kind, {}).get(seen)

    def bind(self, kind: Kind, model: int, seen: int) -> bool:
        """Relate the two; ``False`` when either is related to another number already."""
        forward, reverse = self._forward.get(kind, {}), self._reverse.get(kind, {})
        if model in forward or seen in reverse:
            return forward.get(model) == seen
        forward, reverse = self._own(kind)
        forward[model], reverse[seen] = seen, model
        return True

    def forget(self, kind: Kind, keep: Callable[[int], bool]) -> None:
        """Drop the relations of model numbers that are not kept: what was freed may come back as another."""
        gone = [model for model in self._forward.get(kind, ()) if not keep(model)]
        if gone:
            forward, reverse = self._own(kind)
            for model in gone:
                del reverse[forward.pop(model)]

    def kinds(self) -> list[Kind]:
        return list(self._forward)

"""How the reference device uses its freedom: policies that are lazy, but never unfair.

The contract lets a kernel put things off, not for ever. :class:`Policy` answers a step's choices
with ``eager``, ``lazy`` or ``seeded``, and gives way (answers with the most that is possible) once it
has put the same thing off :data:`PATIENCE` times in a row, so that ``settle`` comes to an end.
"""

from __future__ import annotations

from netmap_reference.core.choice import Choice, Choose, eager, lazy, seeded

PATIENCE = 3
#: Where a device that has little room takes some of what there is, rather than nothing, if that is little.
SOME, FEW = frozenset({"nic.tx-accepted"}), 3
NAMES = ("eager", "lazy", "seeded")


class Policy:
    """A chooser with a memory. Raises ``ValueError`` for an unknown name."""

    def __init__(self, name: str, seed: int = 0) -> None:
        choosers: dict[str, Choose] = {"eager": eager, "lazy": lazy}
        if name not in NAMES:
            raise ValueError(f"unknown policy '{name}'; known: {', '.join(NAMES)}")
        self.name = name
        self._choose = choosers.get(name) or seeded(seed)
        self._put_off: dict[tuple[str, str], int] = {}

    def __call__(self, choice: Choice) -> int:
        where = (choice.name, choice.where)
        value = self._choose(choice)
        if self.name == "lazy" and choice.name in SOME and choice.hi - choice.lo <= FEW:
            value = (choice.lo + choice.hi) // 2
        if value == choice.hi or choice.lo == choice.hi:
            self._put_off.pop(where, None)
            return value
        self._put_off[where] = self._put_off.get(where, 0) + 1
        if self._put_off[where] > PATIENCE:
            del self._put_off[where]
            return choice.hi
        return value

"""Which deviations could have made a difference to a step: those that the model asked about.

The model asks ``SWITCH in switches`` wherever a deviation begins. A run with one deviation on is the run
without any, up to the first time that this switch is asked for. So a switch that the contract's run never
asked for changes nothing, and need not be tried.
"""

from __future__ import annotations

from typing import Any, NoReturn


class Asked(frozenset[str]):
    """No deviation is on; ``switches`` are those that were asked for."""

    switches: set[str]

    def __new__(cls) -> Asked:
        self = super().__new__(cls)
        self.switches = set()
        return self

    def __contains__(self, switch: object) -> bool:
        self.switches.add(str(switch))
        return False

    def __sub__(self, other: object) -> Asked:
        """Still none of them."""
        return self

    def _refuse(self, *_: Any) -> NoReturn:
        raise TypeError("a step asks for one switch at a time: SWITCH in switches")

    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __rsub__ = __iter__ = _refuse
    __le__ = __lt__ = __ge__ = __gt__ = isdisjoint = issubset = issuperset = union = intersection = _refuse

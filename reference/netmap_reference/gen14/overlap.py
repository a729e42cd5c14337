"""Chapter *overlap*: a sync that another thread has not finished yet.

The device carries calls out one after the other, so nothing of a sync can be seen half done. An
:class:`Overlap` stops one where it matters most: it has read where the ring stands, and the port is about to
move the first slot. Until it goes on, the ring is its own, and whoever else wants it leaves it out
(14.sync.busy).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.effects import Do, Effect, Protocol
from ..core.outcome import fault
from .bind import Faulted
from .execute import Execution
from .result import Result

#: Effects that are not the port's own: they may come before it has done anything.
_AROUND = frozenset({"tryget", "put", "reinit-slots", "stamp-wanted", "stamp", "forward-up"})


class Overlap:
    """One sync in progress. ``result`` is None while it is held half way."""

    def __init__(self, x: Execution, protocol: Protocol, end: Callable[[Execution, Any], Result]) -> None:
        self._x = x
        self._protocol = protocol
        self._end = end
        self._next: Effect | None = None
        self.result: Result | None = None
        self._go(hold=True)

    def finish(self) -> Result:
        """Carry the rest out."""
        if self.result is None:
            self._x.s.busy -= {self._x.held}
            self._go(hold=False)
        assert self.result is not None
        return self.result

    def _go(self, hold: bool) -> None:
        answer: Any = None
        try:
            if self._next is not None:
                answer = self._x(self._next)
            while True:
                effect = self._protocol.send(answer)
                if hold and self._x.held and isinstance(effect, Do) and effect.what not in _AROUND:
                    self._next = effect
                    self._x.s.busy |= {self._x.held}
                    return
                answer = self._x(effect)
        except StopIteration as end:
            self.result = self._end(self._x, end.value)
        except Faulted as faulted:
            self.result = Result(fault(faulted.lines), tuple(self._x.fired))

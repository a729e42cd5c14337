"""The same body on plain integers: the check on every path and on every counterexample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from .errors import EndPath, EngineError
from .proof import Proof

T = TypeVar("T")


class Replay(Proof):
    """Executes a body with the values of a model; collects results and failed goals.

    A symbol or case the values do not cover ends the replay: everything before it was checked.
    """

    def __init__(self, values: Mapping[str, Any], cases: Sequence[int], switches: frozenset[str]) -> None:
        self.switches = switches
        self.values = values
        self.cases = list(cases)
        self.results: list[Any] = []
        self.calls: list[tuple[str, tuple[Any, ...], Any]] = []
        self.shown: dict[str, Any] = {}
        self.failed: list[str] = []
        self.left_out: str = ""

    def _value(self, name: str) -> Any:
        if name not in self.values:
            raise EndPath(f"no value for {name}")
        return self.values[name]

    def integer(self, name: str, lo: int | None = None, hi: int | None = None) -> int:
        value = self._value(name)
        if (lo is not None and value < lo) or (hi is not None and value > hi):
            raise EngineError(f"the model gives {name} = {value}, outside {lo} … {hi}")
        return int(value)

    def truth(self, name: str) -> bool:
        return bool(self._value(name))

    def function(self, name: str, arguments: int = 1) -> Callable[..., int]:
        value: Callable[..., int] = self._value(name)
        return value

    def pick(self, condition: bool, then: int, otherwise: int) -> int:
        return then if condition else otherwise

    def assume(self, condition: bool) -> None:
        if not condition:
            self.left_out = "an assumption does not hold"
            raise EndPath(self.left_out)

    def goal(self, name: str, *conditions: bool) -> None:
        if not all(conditions):
            self.failed.append(name)

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        result = function(*arguments)
        self.results.append(result)
        self.calls.append((getattr(function, "__name__", repr(function)), arguments, result))
        return result

    def split(self, name: str, ways: int = 2) -> int:
        if not self.cases:
            raise EndPath(f"no case for {name}")
        return self.cases.pop(0)

    def settled(self, goal: str) -> bool:
        return False

    def wanted(self, goal: str) -> bool:
        return False

    def states(self, cap: int) -> int:
        return cap

    def end(self) -> None:
        raise EndPath("case done")

    def bounded(self, cases: int = 1, of: str = "cases") -> None:
        pass

    def evidence(self, goal: str, holds: bool, shown: Any) -> None:
        if not holds:
            self.failed.append(goal)

    def reached(self, rules: Iterable[str]) -> None:
        pass

    def give_up(self, reason: str) -> None:
        pass

    def show(self, name: str, value: T) -> T:
        self.shown[name] = value
        return value

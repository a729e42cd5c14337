"""The language an obligation is written in.

A body receives a :class:`Proof` and the functions it is about. The same body is executed in two
ways: by ``execution.py`` on symbols, once per path, and by ``replay.py`` on the integers of a
model, to check that path or counterexample on the very same function objects::

    def head_stays_inside(p, nm_next):
        lim = p.integer("lim", lo=0)
        i = p.integer("i", lo=0)
        p.assume(i <= lim)
        p.goal("in range", 0 <= p.run(nm_next, i, lim) <= lim)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar, cast

from netmap_reference.core.words import U16, U32, U64

from .sets import AnySet
from .values import leaves

T = TypeVar("T")

#: The goal that every path carries: nothing was raised.
NO_EXCEPTION: Final = "no exception"


class Proof(ABC):
    """What a body may ask for. ``switches`` is the reading: the deviations that are on."""

    switches: frozenset[str] = frozenset()

    @abstractmethod
    def integer(self, name: str, lo: int | None = None, hi: int | None = None) -> int:
        """A fresh integer, ``lo <= it <= hi`` where given. One name is one symbol."""

    @abstractmethod
    def truth(self, name: str) -> bool:
        """A fresh truth value."""

    @abstractmethod
    def function(self, name: str, arguments: int = 1) -> Callable[..., int]:
        """An arbitrary function from integers to integers: contents of an array of any length."""

    def any_set(self, name: str) -> frozenset[int]:
        """An arbitrary set of integers; see :class:`.sets.AnySet` for what can be done with it."""
        return cast(frozenset[int], AnySet(name, self.function(name)))

    @abstractmethod
    def pick(self, condition: bool, then: int, otherwise: int) -> int:
        """``then if condition else otherwise`` as one number, without a fork."""

    @abstractmethod
    def assume(self, condition: bool) -> None:
        """From here on only the cases in which ``condition`` holds."""

    @abstractmethod
    def goal(self, name: str, *conditions: bool) -> None:
        """All ``conditions`` must hold on this path. Goals do not become assumptions."""

    @abstractmethod
    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function under proof: its result is compared with the rerun, its rules are counted."""

    @abstractmethod
    def split(self, name: str, ways: int = 2) -> int:
        """Prove what follows once for each number below ``ways`` (the cases of a schema)."""

    @abstractmethod
    def settled(self, goal: str) -> bool:
        """Has a search that only wants refutations already refuted this goal? Then its case may end."""

    @abstractmethod
    def wanted(self, goal: str) -> bool:
        """Does a search that stops at the first refutation wait for one of this goal?"""

    @abstractmethod
    def states(self, cap: int) -> int:
        """How many states another tool may look at: ``cap``, or less where the run says so."""

    @abstractmethod
    def end(self) -> None:
        """This path is done; nothing that follows in the body concerns it."""

    @abstractmethod
    def bounded(self, cases: int = 1, of: str = "cases") -> None:
        """Say that ``cases`` cases were enumerated: the obligation must state its bound and the reason."""

    @abstractmethod
    def evidence(self, goal: str, holds: bool, shown: Any) -> None:
        """A goal decided by another tool (the explorer, crosshair): ``shown`` is its counterexample."""

    @abstractmethod
    def reached(self, rules: Iterable[str]) -> None:
        """Rules that another tool saw fire."""

    @abstractmethod
    def give_up(self, reason: str) -> None:
        """Another tool did not get to the end: the obligation is NOT_CONFIRMED."""

    @abstractmethod
    def show(self, name: str, value: T) -> T:
        """Name a value that a counterexample should print."""

    # --- built on the above ---------------------------------------------------------------------

    def u16(self, name: str) -> int:
        return self.integer(name, 0, U16 - 1)

    def u32(self, name: str) -> int:
        return self.integer(name, 0, U32 - 1)

    def u64(self, name: str) -> int:
        return self.integer(name, 0, U64 - 1)

    def symbolic(
        self, kind: type[T], name: str, /, *, lo: int | None = None, hi: int | None = None, **given: Any
    ) -> T:
        """An instance of one of the model's own dataclasses with a fresh symbol in every field.

        Integer fields get ``lo`` and ``hi``; fields in ``given`` get that value; nested dataclasses
        are filled in the same way.
        """
        parts: dict[str, Any] = dict(given)
        for field, symbol, what in leaves(kind, name, given):
            if what is int:
                parts[field] = self.integer(symbol, lo, hi)
            elif what is bool:
                parts[field] = self.truth(symbol)
            else:
                parts[field] = self.symbolic(what, symbol, lo=lo, hi=hi)
        return self.show(name, kind(**parts))

    def assume_all(self, conditions: Iterable[bool]) -> None:
        for condition in conditions:
            self.assume(condition)

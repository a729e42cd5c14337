"""Path by path: the body is executed again and again, each time along another trail of decisions.

There is no second interpreter. Python itself runs the body and the functions; only the truth of a
symbolic condition is asked of the :class:`Run`, which answers along its trail and asks the solver
at the first new fork. A side whose infeasibility the solver cannot show (``unknown``) is followed.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import z3
from netmap_reference.core.step import Step

from .code import refuse_identity
from .errors import EndPath, EngineError
from .proof import NO_EXCEPTION, Proof
from .session import Session
from .symbols import SymBool, SymInt, enter, leave, term_of, truth_of
from .trail import Trail

T = TypeVar("T")


class Run(Proof):
    """One execution of the body along a given prefix of decisions."""

    def __init__(self, session: Session, trail: Trail) -> None:
        self.session = session
        self.switches = session.switches
        self.trail = trail
        self.position = 0
        self.path: list[Any] = []
        self.solver = trail.solver
        self.model: Any = None  # values that satisfy the path, where some are known
        self.symbols: dict[str, Any] = {}
        self.functions: dict[str, Any] = {}
        self.cases: list[int] = []
        self.results: list[Any] = []
        self.fired: set[str] = set()

    # --- the trail --------------------------------------------------------------------------------

    @property
    def known(self) -> bool:
        """Are we still on the prefix that an earlier execution has walked, and checked?"""
        return self.position < len(self.trail.decisions)

    def _constrain(self, condition: Any) -> None:
        self.trail.add(len(self.path), condition)
        self.path.append(condition)
        if self.model is not None and not self._agrees(condition):
            self.model = None

    def _agrees(self, condition: Any) -> bool:
        """Does the known model show that ``condition`` can hold here?"""
        return self.model is not None and bool(z3.is_true(self.model.eval(condition, model_completion=True)))

    def _feasible(self, side: Any) -> bool:
        """Can ``side`` hold here? The model answers when it can, else the solver, whose model is kept."""
        return self._agrees(side) or self.session.feasible(self, side)

    def decide(self, condition: Any) -> bool:
        """The truth of ``condition`` on this path."""
        decision = self.trail.recall(self.position, condition)
        if decision is None:
            simple = z3.simplify(condition)
            if z3.is_true(simple) or z3.is_false(simple):
                answers = [int(z3.is_true(simple))]
            else:
                sides = ((1, condition), (0, z3.Not(condition)))
                answers = [value for value, side in sides if self._feasible(side)]
            if not answers:
                raise EndPath("dead")
            decision = self.trail.record(condition, answers)
        self.position += 1
        if decision.forked:  # otherwise the path implies it
            self._constrain(condition if decision.answer else z3.Not(condition))
        return bool(decision.answer)

    def split(self, name: str, ways: int = 2) -> int:
        asked = f"split {name}"
        decision = self.trail.recall(self.position, asked) or self.trail.record(asked, list(range(ways)))
        self.position += 1
        self.cases.append(decision.answer)
        return decision.answer

    # --- what a body asks for ---------------------------------------------------------------------

    def integer(self, name: str, lo: int | None = None, hi: int | None = None) -> int:
        if name in self.symbols:
            raise EngineError(f"the symbol {name} is asked for twice")
        symbol = self.symbols[name] = SymInt(z3.Int(name))
        if lo is not None:
            self._constrain(symbol.term >= term_of(lo))
        if hi is not None:
            self._constrain(symbol.term <= term_of(hi))
        return symbol  # type: ignore[return-value]

    def truth(self, name: str) -> bool:
        if name in self.symbols:
            raise EngineError(f"the symbol {name} is asked for twice")
        symbol = self.symbols[name] = SymBool(z3.Bool(name))
        return symbol  # type: ignore[return-value]

    def function(self, name: str, arguments: int = 1) -> Callable[..., int]:
        declared = z3.Function(name, *[z3.IntSort()] * (arguments + 1))
        self.functions[name] = declared

        def apply(*values: Any) -> int:
            return SymInt(declared(*(term_of(v) for v in values)))  # type: ignore[return-value]

        return apply

    def pick(self, condition: bool, then: int, otherwise: int) -> int:
        term = z3.If(truth_of(condition), term_of(then), term_of(otherwise))
        return SymInt(term)  # type: ignore[return-value]

    def assume(self, condition: bool) -> None:
        term = truth_of(condition)
        if z3.is_false(z3.simplify(term)):
            raise EndPath("dead")
        self._constrain(term)
        if not self.known and not self._feasible(z3.BoolVal(True)):
            raise EndPath("dead")

    def goal(self, name: str, *conditions: bool) -> None:
        if not self.known:
            decided = all(type(c) is bool for c in conditions)
            self.session.check_goal(self, name, z3.And([truth_of(c) for c in conditions]), decided=decided)
            self._enough(name)

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        refuse_identity(function)
        result = function(*arguments)
        self.results.append(result)
        if isinstance(result, Step):
            self.fired.update(result.fired)
        return result

    def settled(self, goal: str) -> bool:
        return goal in self.session.until and goal in self.session.refuted

    def end(self) -> None:
        raise EndPath("case done")

    def bounded(self, cases: int = 1, of: str = "cases") -> None:
        if not self.known:
            self.session.count(of, cases)

    def evidence(self, goal: str, holds: bool, shown: Any) -> None:
        if not self.known:
            self.session.given_goal(self, goal, holds, shown)
            self._enough(goal)

    def _enough(self, goal: str) -> None:
        """End the body when this goal is refuted and a single refutation was asked for."""
        if self.wanted(goal) and goal in self.session.refuted:
            raise EndPath("enough")

    def wanted(self, goal: str) -> bool:
        return self.session.stop_at is not None and self.session.stop_at(goal)

    def states(self, cap: int) -> int:
        return min(cap, self.session.states) if self.session.states else cap

    def reached(self, rules: Iterable[str]) -> None:
        self.fired.update(rules)

    def give_up(self, reason: str) -> None:
        self.session.unconfirmed(reason)

    def show(self, name: str, value: T) -> T:
        return value

    def failed(self, error: Exception) -> None:
        """An exception left the body: on a feasible path that is a goal not met."""
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{where.filename.rsplit('/', 1)[-1]}:{where.lineno}"
        detail = f"{type(error).__name__} at {place}: {error}"
        self.session.check_goal(self, NO_EXCEPTION, z3.BoolVal(False), detail)


def execute(session: Session, body: Callable[..., object], functions: tuple[Callable[..., Any], ...]) -> None:
    """Execute ``body`` along every path, or until the session has seen enough; results are in the session."""
    trail = Trail(session.solver(), session.depth)
    while True:
        run = Run(session, trail)
        close = True
        enter(run)
        try:
            body(run, *functions)
        except EndPath as end:
            close = end.args not in (("dead",), ("enough",))
        except EngineError as error:
            close = False
            session.unconfirmed(f"engine: {error}")
        except Exception as error:
            run.failed(error)
        finally:
            leave()
        if close:
            session.close_path(run, body, functions)
        if session.enough() or not trail.next_path():
            return
        if session.paths >= session.cap:
            session.unconfirmed(f"more than {session.cap} paths")
            return

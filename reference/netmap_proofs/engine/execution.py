"""Path by path: the body is executed again and again, each time along another trail of decisions.

There is no second interpreter. Python itself runs the body and the functions; only the truth of a
symbolic condition is asked of the :class:`Run`, which answers along its trail and asks the solver
at the first new fork. A side whose infeasibility the solver cannot show (``unknown``) is followed.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import z3
from netmap_reference.core.step import Step

from .code import refuse_identity
from .errors import EndPath, EngineError
from .proof import NO_EXCEPTION, Proof
from .session import Session
from .symbols import SymBool, SymInt, enter, leave, term_of, truth_of

T = TypeVar("T")


@dataclass(slots=True)
class Decision:
    """One fork of the trail: what was asked, the answer taken, the answers still to take."""

    asked: Any
    answer: int
    left: list[int] = field(default_factory=list)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, str) or isinstance(right, str):
        return isinstance(left, str) and isinstance(right, str) and left == right
    return bool(z3.eq(left, right))


class Run(Proof):
    """One execution of the body along a given prefix of decisions."""

    def __init__(self, session: Session, trail: list[Decision]) -> None:
        self.session = session
        self.switches = session.switches
        self.trail = trail
        self.position = 0
        self.path: list[Any] = []
        self.solver = session.solver()
        self.symbols: dict[str, Any] = {}
        self.functions: dict[str, Any] = {}
        self.cases: list[int] = []
        self.results: list[Any] = []
        self.fired: set[str] = set()
        self.goals: list[str] = []

    # --- the trail --------------------------------------------------------------------------------

    def _constrain(self, condition: Any) -> None:
        self.path.append(condition)
        self.solver.add(condition)

    def _taken(self, asked: Any) -> int | None:
        """The recorded answer, if this fork is still on the prefix."""
        if self.position == len(self.trail):
            return None
        decision = self.trail[self.position]
        if not _same(decision.asked, asked):
            raise EngineError("the body does not do the same twice: the second execution forked elsewhere")
        self.position += 1
        return decision.answer

    def _record(self, asked: Any, answers: list[int]) -> int:
        if len(self.trail) >= self.session.depth:
            raise EngineError(f"a path has more than {self.session.depth} forks: a loop over a symbol?")
        self.trail.append(Decision(asked, answers[0], answers[1:]))
        self.position += 1
        return answers[0]

    def decide(self, condition: Any) -> bool:
        """The truth of ``condition`` on this path."""
        known = z3.simplify(condition)
        if z3.is_true(known) or z3.is_false(known):
            return bool(z3.is_true(known))
        answer = self._taken(condition)
        if answer is None:
            answers = [
                value
                for value, side in ((1, condition), (0, z3.Not(condition)))
                if self.session.feasible(self.solver, self.path, side)
            ]
            if not answers:
                raise EndPath("dead")
            answer = self._record(condition, answers)
        self._constrain(condition if answer else z3.Not(condition))
        return bool(answer)

    def split(self, name: str, ways: int = 2) -> int:
        answer = self._taken(f"split {name}")
        if answer is None:
            answer = self._record(f"split {name}", list(range(ways)))
        self.cases.append(answer)
        return answer

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

    def assume(self, condition: bool) -> None:
        term = truth_of(condition)
        if z3.is_false(z3.simplify(term)):
            raise EndPath("dead")
        self._constrain(term)
        if not self.session.feasible(self.solver, self.path, z3.BoolVal(True)):
            raise EndPath("dead")

    def goal(self, name: str, *conditions: bool) -> None:
        self.goals.append(name)
        self.session.check_goal(self, name, z3.And([truth_of(c) for c in conditions]))

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        refuse_identity(function)
        result = function(*arguments)
        self.results.append(result)
        if isinstance(result, Step):
            self.fired.update(result.fired)
        return result

    def end(self) -> None:
        raise EndPath("case done")

    def bounded(self, cases: int = 1, of: str = "cases") -> None:
        self.session.count(of, cases)

    def evidence(self, goal: str, holds: bool, shown: Any) -> None:
        self.goals.append(goal)
        self.session.given_goal(self, goal, holds, shown)

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
        self.goals.append(NO_EXCEPTION)
        detail = f"{type(error).__name__} at {place}: {error}"
        self.session.check_goal(self, NO_EXCEPTION, z3.BoolVal(False), detail)


def execute(session: Session, body: Callable[..., None], functions: tuple[Callable[..., Any], ...]) -> None:
    """Execute ``body`` along every path, or until the session has seen enough; results are in the session."""
    trail: list[Decision] = []
    while True:
        run = Run(session, trail)
        close = True
        enter(run)
        try:
            body(run, *functions)
        except EndPath as end:
            close = end.args != ("dead",)
        except EngineError as error:
            close = False
            session.unconfirmed(f"engine: {error}")
        except Exception as error:
            run.failed(error)
        finally:
            leave()
        if close:
            session.close_path(run, body, functions)
        if session.enough():
            return
        while trail and not trail[-1].left:
            trail.pop()
        if not trail:
            return
        if session.paths >= session.cap:
            session.unconfirmed(f"more than {session.cap} paths")
            return
        trail[-1].answer = trail[-1].left.pop(0)

"""What is found while one body is executed along its paths, and every question put to the solver.

Budgets are z3 resource units (``rlimit``), never seconds: the same run gives the same answer on a
slow machine. ``unknown`` never counts for us: a branch is followed, a goal is not confirmed, a path
without a model cannot be rerun and is not confirmed either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import z3

from .errors import EndPath, EngineError
from .proof import NO_EXCEPTION
from .replay import Replay
from .smt2 import write_goal
from .symbols import SymInt
from .values import concrete

if TYPE_CHECKING:
    from .execution import Run


def fresh_solver_state() -> None:
    """Start z3 anew, so that an answer does not depend on what this process asked before.

    z3 numbers its terms as they are made, and its choice among models follows the numbers. z3py keeps
    one global context and makes a new one when it finds none.
    """
    z3.z3._main_ctx = None


Body = Callable[..., object]
Functions = tuple[Callable[..., Any], ...]

#: Default budget of one query, in z3 resource units (2e6 is about half a second of z3 5.4).
RLIMIT = 4_000_000
#: A hunt for one counterexample gives up after so many queries, or paths without an end.
HUNT_QUERIES, HUNT_LOST = 2_500, 3


@dataclass(slots=True)
class Counterexample:
    """Values under which a goal fails, checked by running the body on them.

    ``values`` by symbol, ``cases`` the answers of the schemas' splits, ``shown`` the named objects,
    ``calls`` each function under proof with arguments and result; ``detail`` an exception's text;
    ``other`` what another tool gave as its counterexample.
    """

    goal: str
    values: dict[str, Any] = field(default_factory=dict)
    cases: list[int] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, tuple[Any, ...], Any]] = field(default_factory=list)
    detail: str = ""
    other: Any = None


class Session:
    """One body, one set of functions: paths, goals, reached rules, what stands in the way of a verdict."""

    def __init__(
        self,
        name: str = "",
        *,
        switches: frozenset[str] = frozenset(),
        rlimit: int = RLIMIT,
        cap: int = 2000,
        depth: int = 300,
        smt2: Path | None = None,
        stop_at: Callable[[str], bool] | None = None,
        until: frozenset[str] = frozenset(),
        states: int = 0,
        hunting: bool = False,
    ) -> None:
        """``stop_at`` ends the execution after the first refuted goal it accepts (for controls).

        ``until`` ends it when all these goals are refuted: nothing is claimed of others then. ``states``
        caps each exploration below what the obligation asks for (0: it does not). ``hunting`` asks for one
        counterexample, which is rerun: not for a small one, and for no rerun of the paths on which all holds.
        """
        self.name = name
        self.switches = switches
        self.rlimit = rlimit
        self.cap = cap
        self.depth = depth
        self.smt2 = smt2
        self.stop_at = stop_at
        self.until = until
        self.states = states
        self.hunting = hunting
        self.lost = 0
        self.paths = 0
        self.queries = 0
        self.exported = 0
        self.proved: dict[str, int] = {}
        self.refuted: dict[str, Counterexample] = {}
        self.unknown: dict[str, int] = {}
        self.not_confirmed: list[str] = []
        self.broken: list[str] = []
        self.reached: set[str] = set()
        self.counts: dict[str, int] = {}

    # --- the solver -------------------------------------------------------------------------------

    def solver(self) -> Any:
        solver = z3.Solver()
        solver.set("rlimit", self.rlimit)
        return solver

    def _check(self, solver: Any, *extra: Any) -> str:
        self.queries += 1
        return str(solver.check(*extra))

    def _fresh(self, conditions: list[Any]) -> tuple[str, Any]:
        solver = self.solver()
        solver.add(conditions)
        return self._check(solver), solver

    def feasible(self, run: Run, side: Any) -> bool:
        """False only when the solver shows that ``side`` cannot hold on this path. Leaves a model in
        ``run``."""
        run.solver.push()
        run.solver.add(side)
        answer = self._check(run.solver)
        if answer == "sat":
            run.model = run.solver.model()
        run.solver.pop()
        if answer == "unknown":  # the incremental core is the weaker one
            answer, _ = self._fresh([*run.path, side])
        return answer != "unsat"

    # --- goals ------------------------------------------------------------------------------------

    def check_goal(self, run: Run, name: str, term: Any, detail: str = "", *, decided: bool = False) -> None:
        """Can ``term`` be false on this path? ``decided``: it holds no symbol, so there is nothing to
        export."""
        if name in self.refuted:
            return
        if (decided or self.smt2 is None) and z3.is_true(z3.simplify(term)):
            self.proved[name] = self.proved.get(name, 0) + 1
            return
        answer, solver = self._fresh([*run.path, z3.Not(term)])
        if self.smt2 is not None:
            self.exported += 1
            write_goal(self.smt2, self.name, name, self.exported, answer, solver)
        if answer == "unsat":
            self.proved[name] = self.proved.get(name, 0) + 1
        elif answer == "unknown":
            self.unknown[name] = self.unknown.get(name, 0) + 1
        else:
            model = solver.model() if self.hunting else self._smallest(run, solver)
            found = Counterexample(name, self.values(run, model), list(run.cases), detail=detail)
            self.refuted[name] = found

    def given_goal(self, run: Run, name: str, holds: bool, shown: Any) -> None:
        """A goal that another tool decided; its counterexample is that tool's business."""
        if holds:
            self.proved[name] = self.proved.get(name, 0) + 1
        elif name not in self.refuted:
            self.refuted[name] = Counterexample(name, cases=list(run.cases), other=shown)

    def _smallest(self, run: Run, solver: Any) -> Any:
        """A model that is small in the order the symbols were asked for: it is for people to read."""
        model = solver.model()
        for symbol in run.symbols.values():
            if type(symbol) is not SymInt:
                continue
            for bound in range(0, 9):
                solver.push()
                solver.add(symbol.term >= -bound, symbol.term <= bound)
                if self._check(solver) == "sat":
                    model = solver.model()
                    break
                solver.pop()
        return model

    def values(self, run: Run, model: Any) -> dict[str, Any]:
        """What the model says about each symbol; a function symbol becomes a Python function."""
        found: dict[str, Any] = {name: concrete(model, symbol) for name, symbol in run.symbols.items()}
        for name, declared in run.functions.items():
            found[name] = _function(model, declared)
        return found

    # --- the end of a path --------------------------------------------------------------------------

    def close_path(self, run: Run, body: Body, functions: Functions) -> None:
        """Take a model of the path, rerun the body on it, compare each result of a function under proof."""
        self.paths += 1
        if self.hunting:
            self.reached |= run.fired
            return
        answer, solver = self._fresh(run.path)
        if answer == "unsat":  # followed only because a branch was unknown
            self.paths -= 1
            return
        if answer == "unknown":
            self.unconfirmed("a path without a model: it cannot be rerun")
            return
        self.reached |= run.fired
        if not run.symbols and not run.functions:
            return  # nothing symbolic: what ran was the concrete run
        model = solver.model()
        values = self.values(run, model)
        replay = self.replay(values, run.cases, body, functions)
        expected = [concrete(model, result) for result in run.results]
        if replay.left_out:
            self.broken.append(f"the rerun on {values} left the path: {replay.left_out}")
        elif replay.results != expected:
            self.broken.append(f"the rerun on {values} gave {replay.results}, the engine {expected}")
        elif any(goal not in self.refuted and goal not in self.unknown for goal in replay.failed):
            self.broken.append(f"the rerun on {values} failed {replay.failed}, the engine proved it")

    def replay(self, values: Mapping[str, Any], cases: list[int], body: Body, functions: Functions) -> Replay:
        """The body on concrete values. An exception of the function counts as the goal "no exception"."""
        replay = Replay(values, cases, self.switches)
        try:
            body(replay, *functions)
        except EndPath:
            pass
        except EngineError as error:
            replay.left_out = str(error)
        except Exception:
            replay.failed.append(NO_EXCEPTION)
        return replay

    def verify_refutations(self, body: Body, functions: Functions) -> None:
        """A counterexample counts only when the body fails the same goal on its values."""
        for name, found in self.refuted.items():
            if found.other is not None:
                continue
            replay = self.replay(found.values, found.cases, body, functions)
            if name not in replay.failed:
                self.broken.append(f"{name}: the body run on {found.values} does not fail it")
            found.shown, found.calls = replay.shown, replay.calls

    # --- notes --------------------------------------------------------------------------------------

    def count(self, of: str, cases: int) -> None:
        self.counts[of] = self.counts.get(of, 0) + cases

    def unconfirmed(self, reason: str) -> None:
        self.lost += 1
        if reason not in self.not_confirmed:
            self.not_confirmed.append(reason)

    def enough(self) -> bool:
        if self.hunting and (self.queries > HUNT_QUERIES or self.lost > HUNT_LOST):
            self.unconfirmed("a hunt ends here")
            return True
        if self.until and self.until <= self.refuted.keys():
            return True
        return self.stop_at is not None and any(self.stop_at(goal) for goal in self.refuted)


def _function(model: Any, declared: Any) -> Callable[..., int]:
    def apply(*values: int) -> int:
        return int(model.eval(declared(*values), model_completion=True).as_long())

    return apply

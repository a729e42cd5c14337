"""From the explorer to an obligation: each property becomes a goal, a schedule its counterexample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netmap_reference.core.effects import Protocol

from ..engine import Proof
from .fetches import Fetches, double_fetches
from .scenario import Memory, Scenario, Where
from .search import BALANCE, DEADLOCK, LOST, ORDER, RAISED, explore
from .state import Exploration


def explored(p: Proof, scenario: Scenario, cap: int = 200_000, label: str = "") -> Exploration:
    """Explore and hand every property to the proof: the explorer's own and those the scenario names.

    ``label`` tells several scenarios of one obligation apart in a counterexample.
    """
    cap = p.states(cap)
    seen = explore(scenario, cap, p.wanted)
    p.bounded(seen.states, "states")
    p.reached(seen.fired)
    if not seen.complete:
        p.give_up(f"more than {cap} states" + (f" in {label}" if label else ""))
    properties = [RAISED, DEADLOCK, LOST, BALANCE, ORDER, *scenario.always, *scenario.finally_]
    for name in properties:
        violation = seen.violated(name)
        if violation is None:
            p.evidence(name, True, None)
        else:
            found = violation.schedule.to_json()
            heading = f"{label}: {violation.what}" if label else violation.what
            p.evidence(name, False, {"what": heading, **found, "lines": [heading, *found["lines"]]})
    return seen


def one_value(
    p: Proof,
    goal: str,
    make: Callable[[], Protocol],
    words: Mapping[Where, tuple[Any, ...]],
    outcome: Callable[[Memory, Any], Any],
    scenario: Scenario,
) -> Fetches:
    """The ``goal`` that no double fetch matters: :func:`double_fetches` handed to the proof."""
    seen = double_fetches(make, words, outcome, scenario)
    p.bounded(seen.states, "states")
    p.reached(seen.fired)
    if not seen.complete:
        p.give_up("the explorer did not see every state")
    shown = None
    for torn, schedule in seen.torn.items():
        what = f"no one value explains {torn}"
        found = schedule.to_json()
        shown = shown or {"what": what, **found, "lines": [what, *found["lines"]]}
    p.evidence(goal, shown is None, shown)
    return seen

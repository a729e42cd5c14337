"""Double fetches: does it matter that the kernel reads a user's word twice?

Reading twice is a fault when something can come of it that no single value of the word could have
brought about. So the protocol is run with every constant value of its words, and against an
application that changes them between any two reads; what only the second can do is a double fetch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from netmap_reference.core.effects import Protocol, ReadUser

from .scenario import Memory, Scenario, Where
from .schedule import Schedule
from .search import explore


@dataclass(slots=True)
class Fetches:
    """``outcomes`` that constant values explain, ``torn`` those none does, ``twice`` the words read again."""

    outcomes: set[Any] = field(default_factory=set)
    torn: dict[Any, Schedule] = field(default_factory=dict)
    twice: set[Where] = field(default_factory=set)
    fired: set[str] = field(default_factory=set)
    states: int = 0
    complete: bool = True


def double_fetches(
    make: Callable[[], Protocol],
    words: Mapping[Where, tuple[Any, ...]],
    outcome: Callable[[Memory, Any], Any],
    scenario: Scenario | None = None,
) -> Fetches:
    """Compare a protocol under constant and under changing user ``words``.

    ``outcome(memory, result)`` is what counts (hashable): the kernel's words and the result, not the
    user's own. ``scenario`` gives the rest of memory, constants and handlers.
    """
    given = scenario or Scenario({})
    base = replace(given, threads={"kernel": make}, outcome=lambda m, r: outcome(m, r.get("kernel")))
    found = Fetches()

    def outcomes(one: Scenario) -> dict[Any, Schedule]:
        seen = explore(one)
        found.states += seen.states
        found.fired |= seen.fired
        found.complete = found.complete and seen.complete
        return seen.outcomes

    for values in itertools.product(*words.values()):
        constant = dict(zip(words, values, strict=True))
        found.outcomes.update(outcomes(replace(base, memory={**given.memory, **constant})))
    first = {where: values[0] for where, values in words.items()}
    for each, schedule in outcomes(
        replace(base, memory={**given.memory, **first}, adversary=dict(words))
    ).items():
        read = [m.effect.where for m in schedule.moves if isinstance(m.effect, ReadUser)]
        found.twice.update(w for w in read if read.count(w) > 1)
        if each not in found.outcomes:
            found.torn[each] = schedule
    return found

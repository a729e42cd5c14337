"""Make a scenario smaller while it shows the same thing.

Calls are left out in ever smaller groups (delta debugging); expressions such as ``head+2`` keep what
remains meaningful. The answer is the smallest scenario found within the budget of runs.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from .trace import Call, Trace

BUDGET = 400

Shows = Callable[[Trace], bool]


def shrink(scenario: Trace, shows: Shows, budget: int = BUDGET) -> Trace:
    """The smallest scenario found for which ``shows`` still holds; it holds for ``scenario``.

    ``shows`` is asked at most ``budget`` times. A candidate it cannot run counts as not showing it.
    """
    calls = list(scenario.calls())
    size = max(1, len(calls) // 2)
    while size >= 1 and budget > 0:
        smaller = False
        at = len(calls)
        # From the end: what comes last was built on what came first.
        while at > 0 and budget > 0:
            start = max(0, at - size)
            candidate = calls[:start] + calls[at:]
            budget -= 1
            if candidate and shows(rebuilt(scenario, candidate)):
                calls, smaller = candidate, True
            at = start
        if size == 1 and not smaller:
            break
        size = size if smaller and size > 1 else max(1, size // 2)
    return rebuilt(scenario, calls)


def rebuilt(scenario: Trace, calls: list[Call]) -> Trace:
    """The scenario with these calls only, numbered from 1."""
    events = [msgspec.structs.replace(call, n=n) for n, call in enumerate(calls, 1)]
    return Trace(header=scenario.header, events=list(events), path=scenario.path)

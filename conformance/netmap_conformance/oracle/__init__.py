"""The oracle: is what an implementation did within the contract, and if not, which clause did it break?

    judgement = judge(trace, manifest)          # a recorded run
    oracle = Oracle(header, manifest); oracle.feed(event); oracle.finish()      # as it runs

Start reading with :mod:`.oracle`; :mod:`.candidate` is one state it thinks possible, :mod:`.compare` looks
at one observation, :mod:`.progress` knows what is owed after ``settle``.
"""

from __future__ import annotations

from ..manifest import Manifest
from ..trace import Trace
from .oracle import CAP, Oracle, test_id
from .verdict import Finding, Judgement


def judge(trace: Trace, manifest: Manifest | None = None, cap: int = CAP) -> Judgement:
    """The judgement on a recorded run, of either generation."""
    if trace.header.generation == "2011":
        from ..recordings import judge2011

        return judge2011.judge(trace, manifest)
    test = test_id(trace.path) if trace.path else ""
    oracle = Oracle(trace.header, manifest, cap=cap, test=test)
    for event in trace.events:
        oracle.feed(event)
    return oracle.finish()


__all__ = ["CAP", "Finding", "Judgement", "Oracle", "judge"]

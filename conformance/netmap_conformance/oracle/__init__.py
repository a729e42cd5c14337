"""The oracle: is what an implementation did within the contract, and if not, which clause did it break?

    judgement = judge(trace, manifest)          # a recorded run
    oracle = Oracle(header, manifest); oracle.feed(event); oracle.finish()      # as it runs

Start reading with :mod:`.oracle`; :mod:`.candidate` is one state it thinks possible, :mod:`.compare` looks
at one observation, :mod:`.progress` knows what is owed after ``settle``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..manifest import Manifest
from ..trace import Header, Trace
from .oracle import CAP, Oracle, test_id
from .sane import Malformed
from .verdict import Finding, Judgement

if TYPE_CHECKING:
    from ..recordings.judge2011 import Oracle2011


def oracle_for(
    header: Header, manifest: Manifest | None = None, cap: int = CAP, test: str = ""
) -> Oracle | Oracle2011:
    """The oracle of the header's generation; both are fed and finished alike."""
    if header.generation == "2011":
        from ..recordings.judge2011 import Oracle2011

        return Oracle2011(header, manifest, test=test)
    return Oracle(header, manifest, cap=cap, test=test)


def judge(trace: Trace, manifest: Manifest | None = None, cap: int = CAP) -> Judgement:
    """The judgement on a recorded run, of either generation.

    Raises :class:`Malformed` for events that make no sense, ``ValueError`` for ports there cannot be.
    """
    test = test_id(trace.path) if trace.path else ""
    oracle = oracle_for(trace.header, manifest, cap=cap, test=test)
    for event in trace.events:
        oracle.feed(event)
    return oracle.finish()


__all__ = ["CAP", "Finding", "Judgement", "Malformed", "Oracle", "judge", "oracle_for"]

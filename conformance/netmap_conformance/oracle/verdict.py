"""What the oracle says: findings about single steps, and the judgement of a whole run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..picture import RingPicture

PASS = "PASS"
VIOLATION = "VIOLATION"
STALLED = "STALLED"
HANG = "HANG"
DEVIATION = "DEVIATION"
INCONCLUSIVE = "INCONCLUSIVE"
NOT_MODELLED = "NOT_MODELLED"

#: From the worst to the best; the verdict of a run is the worst of its findings.
_ORDER = (VIOLATION, STALLED, HANG, NOT_MODELLED, INCONCLUSIVE, DEVIATION)
#: Findings after which nothing can be judged any more.
FINAL = frozenset({VIOLATION, STALLED, HANG, NOT_MODELLED})


@dataclass(slots=True)
class Finding:
    """One thing the oracle found.

    ``kind`` is a name of this module but PASS. ``clause`` is the broken clause, empty where none is; ``step``
    the number of the call and ``line`` where the file has it (0: nowhere); ``op`` its text. ``allowed`` and
    ``seen`` are words. ``deviation`` names the as-written reading that explains the observation. ``reason``
    is the manifest's, of NOT_MODELLED the missing rule; ``link`` the manifest's. ``before`` and ``after``
    are the rings the finding is about.
    """

    kind: str
    clause: str
    step: int
    op: str
    allowed: str
    seen: str
    deviation: str = ""
    reason: str = ""
    link: str = ""
    line: int = 0
    before: tuple[RingPicture, ...] = ()
    after: tuple[RingPicture, ...] = ()

    def __str__(self) -> str:
        words = f"{self.kind} {self.clause or self.reason} at step {self.step} ({self.op})"
        if self.allowed:
            words += f": allowed {self.allowed}; seen {self.seen}"
        return f"{words} [{self.deviation}]" if self.deviation else words

    def to_json(self) -> dict[str, Any]:
        """As ``finding.schema.json`` wants it; pictures with the members of :class:`RingPicture`."""
        found: dict[str, Any] = {
            name: getattr(self, name) for name in ("kind", "clause", "step", "op", "allowed", "seen")
        }
        found |= {n: getattr(self, n) for n in ("deviation", "reason", "link", "line") if getattr(self, n)}
        for name in ("before", "after"):
            if getattr(self, name):
                found[name] = [msgspec.to_builtins(picture) for picture in getattr(self, name)]
        return found


@dataclass(slots=True)
class Judgement:
    """The verdict on a run, what was found, the rules the model fired, and what was chosen.

    ``rules`` counts rule ids; ``steps`` the returns that were judged. ``choices`` tells what the
    implementation did where the contract lets it choose: an errno by clause, ``lo``/``hi``/``between``
    counts by the name of a choice.
    """

    verdict: str
    findings: list[Finding]
    rules: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    choices: dict[str, Any] = field(default_factory=dict)


def verdict(findings: Iterable[Finding]) -> str:
    """The verdict that these findings amount to."""
    kinds = {f.kind for f in findings}
    return next((kind for kind in _ORDER if kind in kinds), PASS)

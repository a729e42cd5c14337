"""The automatic mutants of the model's proved functions, as rows of the kill matrix.

Who plants and hunts them is ``netmap_proofs.mutation``; a mutant is killed by the obligation that refutes
it. ``explained`` survivors, real changes that no proof is about, stay survivors in the matrix, with the
reason that ``known.toml`` gives.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ..errors import ABSENT, UserError
from .hunt import EQUIVALENT, KILLED, SURVIVED

if TYPE_CHECKING:
    from netmap_proofs.mutation.hunt import Hunted

#: The share of each kind of function's mutants, of those that are not equivalent, that proofs must refute.
WANTED = 0.95


@dataclass
class Automatic:
    """``rows`` for ``teeth.json``; the ``figures`` of the hunt, by kind of function."""

    rows: list[dict[str, Any]]
    figures: dict[str, dict[str, Any]]

    @property
    def enough(self) -> bool:
        """Do the proofs refute enough mutants of each kind, and is every one that survives explained?"""
        return all(f["share"] >= WANTED and not f["survived"] for f in self.figures.values())

    def lines(self) -> Iterator[str]:
        """What is said of them on a terminal."""
        for row in self.rows:
            if row["status"] == SURVIVED:
                yield f"{row['id']} survived: {row['reason']}"
        for kind, f in self.figures.items():
            yield (
                f"{f['mutants']} mutants of a {kind}: {f['refuted']} refuted by a proof, "
                f"{f['noticed']} noticed otherwise, {f['equivalent']} equivalent, "
                f"{f['explained']} explained, {f['survived']} survived; "
                f"{100 * f['share']:.1f} of 100 that are not equivalent are refuted"
            )


def hunt_proofs(only: str, jobs: int, told: Callable[[str], None]) -> Automatic:
    """Hunt every automatic mutant whose id matches. Raises :class:`UserError` without z3."""
    try:
        from netmap_proofs.mutation import hunt as mutation
    except ModuleNotFoundError as error:
        if error.name != "z3":
            raise
        raise UserError("teeth --proofs needs z3: pip install 'netmap-verify[prove]'", ABSENT) from None
    chosen = [m for m in mutation.mutants_of_everything() if fnmatchcase(m.id, only)]
    seen = 0

    def one(hunted: Hunted) -> None:
        nonlocal seen
        seen += 1
        told(f"proofs: {seen} of {len(chosen)}: {hunted.mutant.id}")

    hunted = mutation.hunt_all(chosen, jobs or os.cpu_count() or 1, one)
    status = {mutation.REFUTED: KILLED, mutation.NOTICED: KILLED, mutation.EQUIVALENT: EQUIVALENT}
    rows = [
        {
            "id": f"proofs: {h.mutant.id}",
            "clause": h.clause,
            "status": status.get(h.status, SURVIVED),
            "by": [h.by] if h.by else [],
            "reason": h.why or f"{h.mutant.kind}: no obligation is about it",
            "target": "proofs",
        }
        for h in hunted
    ]
    return Automatic(rows, mutation.figures(hunted))

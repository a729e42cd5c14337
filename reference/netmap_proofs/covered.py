"""Which clauses about state are proved, and which are only tested, with the reason.

Every MUST clause about a state (an invariant) is named by an obligation, or listed in ``tested_only.toml``.
A clause that is in neither, and an entry that names no such clause, is a :class:`Gap`: whoever writes a
clause says how it is held. An entry whose clause is proved by now is idle, and told.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from netmap_spec import clauses as spec_clauses
from netmap_spec.clauses import Clause

from .obligation import Obligation

LIST = Path(__file__).with_name("tested_only.toml")


@dataclass(frozen=True, slots=True)
class Covered:
    """One clause: the obligations about it (contract and as-written), or why it is only tested."""

    clause: Clause
    obligations: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """A clause that is not covered as it should be, in words."""

    clause: str
    what: str


def only_tested(path: Path = LIST) -> dict[str, str]:
    """The list: clause -> reason. Raises ``ValueError`` for one listed twice or without a reason."""
    found: dict[str, str] = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("tested", []):
        reason = " ".join(entry.get("reason", "").split())
        for id in entry["clauses"]:
            if not reason:
                raise ValueError(f"{path.name}: {id} has no reason")
            if id in found:
                raise ValueError(f"{path.name}: {id} is listed twice")
            found[id] = reason
    return found


def about_state(known: Mapping[str, Clause]) -> list[Clause]:
    """The clauses that must be covered: MUST, about a state."""
    return [c for c in known.values() if c.level == "MUST" and c.about == "state"]


def coverage(
    obligations: Iterable[Obligation], known: Mapping[str, Clause] | None = None, path: Path = LIST
) -> tuple[list[Covered], list[Gap], list[Gap]]:
    """How each MUST clause about a state is covered, in the order of the clauses; the gaps; idle entries."""
    clauses = spec_clauses.load() if known is None else known
    by: dict[str, list[str]] = {}
    for each in obligations:
        for name in each.clauses:
            by.setdefault(name, []).append(each.id)
    listed = only_tested(path)
    found, gaps, idle = [], [], list[Gap]()
    for clause in about_state(clauses):
        proofs, reason = tuple(by.get(clause.id, ())), listed.get(clause.id, "")
        found.append(Covered(clause, proofs, reason))
        if not proofs and not reason:
            gaps.append(Gap(clause.id, "no obligation is about it and tested_only.toml does not list it"))
        if proofs and reason:
            idle.append(Gap(clause.id, f"listed as tested only, and proved by {proofs[0]}: take it off"))
    wanted = {c.id for c in about_state(clauses)}
    gaps += [Gap(id, "listed, but no MUST clause about a state") for id in listed if id not in wanted]
    return found, gaps, idle

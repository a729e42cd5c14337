"""``summary.json``: the run in numbers, and the matrix, for other tools."""

from __future__ import annotations

from collections import Counter
from typing import Any

from . import view
from .matrix import rules
from .results import Results


def summarise(results: Results, found: list[view.Line], version: str) -> dict[str, Any]:
    """The document that ``netmap_spec/schemas/summary.schema.json`` describes, with a few members more."""
    used = view.rules_used(results)
    documents = [
        (results.prove, "obligations", "verdict"),
        (results.diff, "scenarios", "verdict"),
        (results.check, "files", "verdict"),
        (results.teeth, "mutants", "status"),
        *((d, "scenarios", "verdict") for d in results.conform.values()),
    ]
    verdicts = [each[key] for document, member, key in documents if document for each in document[member]]
    stages = [s["status"] for s in results.stages]
    return {
        "ok": bool(verdicts) and view.worst(verdicts) != "bad" and not any(stages),
        "version": version,
        "not_run": view.not_run(results),
        "stages": list(results.stages),
        "proofs": _count(results.prove, "obligations"),
        "targets": {t: _count(d, "scenarios") for t, d in results.conform.items()},
        "differences": _count(results.diff, "scenarios"),
        "recordings": _count(results.check, "files"),
        "teeth": _count(results.teeth, "mutants", "status"),
        "rules": {"all": len(rules()), "used": len(used & set(rules()))},
        "findings": len(view.findings(results)),
        "not_modelled": {reason: len(where) for reason, where in view.not_modelled(results)},
        "clauses": [_row(line) for line in found],
    }


def _count(document: dict[str, Any] | None, member: str, key: str = "verdict") -> dict[str, int]:
    return dict(sorted(Counter(each[key] for each in (document or {member: []})[member]).items()))


def _row(line: view.Line) -> dict[str, Any]:
    clause = line.row.clause
    return {
        "id": clause.id,
        "title": clause.title,
        "level": clause.level,
        "rules": [r.id for r in line.row.rules],
        "proofs": [p.id for p in line.row.proofs],
        "scenarios": [s.id for s in line.row.scenarios],
        "mutants": [m["id"] for m in line.mutants],
        "recordings": line.recordings,
        "verdicts": {
            "proofs": view.worst(v for v in line.proofs.values() if v),
            **{t: view.worst(v for v in s.values() if v) for t, s in line.scenarios.items()},
        },
    }

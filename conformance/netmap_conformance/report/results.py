"""What the commands left behind: one JSON file each in ``build/results``.

A result that is absent is ``None`` and shown as *not run*; one that cannot be read, or departs from its
schema, is an error the user hears of.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netmap_spec import schemas

from ..errors import UserError

RESULTS = Path("build/results")
REPORT = Path("build/report")

#: result -> schema; ``conform-*`` is one file a target.
KINDS = {
    "prove": "prove",
    "check": "check",
    "diff": "diff",
    "teeth": "teeth",
    "bench": "bench",
}


def load(kind: str, results: Path = RESULTS, report: Path = REPORT) -> dict[str, Any] | None:
    """The result ``kind`` (``prove``, ``conform-reference``, …) or ``None`` when it was not run.

    ``teeth`` and ``bench`` are looked for among the report's own files too, where their commands leave
    them. Raises :class:`UserError` (status 2) naming the file when it cannot be used.
    """
    for path in (results / f"{kind}.json", report / f"{kind}.json"):
        if path.is_file():
            return _read(path, "conform" if kind.startswith("conform-") else KINDS[kind])
    return None


def _read(path: Path, schema: str) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}") from None
    errors = schemas.validate(schema, document)
    if errors:
        raise UserError(f"{path}: not a result of {schema}: {errors[0]}")
    assert isinstance(document, dict)  # the schemas say so
    return document


@dataclass(frozen=True, slots=True)
class Results:
    """Everything the report is drawn from; ``None`` is *not run*. ``conform`` is keyed by
    what follows ``conform-`` in the file's name."""

    prove: dict[str, Any] | None
    conform: dict[str, dict[str, Any]]
    check: dict[str, Any] | None
    diff: dict[str, Any] | None
    teeth: dict[str, Any] | None
    bench: dict[str, Any] | None
    stages: tuple[dict[str, Any], ...] = ()


def _reference_first(path: Path) -> tuple[bool, str]:
    return not path.stem.startswith("conform-reference"), path.stem


def load_all(results: Path = RESULTS, report: Path = REPORT) -> Results:
    """Every result there is."""
    conform = {}
    for path in sorted(results.glob("conform-*.json"), key=_reference_first):
        conform[path.stem.removeprefix("conform-")] = _read(path, "conform")
    singles = {kind: load(kind, results, report) for kind in KINDS}
    stages: tuple[dict[str, Any], ...] = ()
    if (results / "stages.json").is_file():
        stages = tuple(json.loads((results / "stages.json").read_text(encoding="utf-8"))["stages"])
    return Results(conform=conform, stages=stages, **singles)

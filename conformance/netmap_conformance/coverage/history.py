"""The revisions of a history document against a table: which clause each became, or why none.

An entry of the document begins with ``# REVISION DATE AUTHOR``; the revision is eight or more hexadecimal
digits. The table ``history.toml`` beside the clauses of generation 14 says for a revision either
``clauses = [...]`` or ``reason = "..."``. A revision that is in neither is not mapped, and counted so.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netmap_spec import clauses

from ..errors import UserError, read_file

DOCUMENT = "netmap_kern.h history"
TABLE = clauses.HERE / "14" / "history.toml"

_HEADING = re.compile(
    r"^(?:\d+ )?# (?P<revision>[0-9a-f]{8,40}) (?P<date>\d{1,2}-[A-Z][a-z]{2}-\d{4}) (?P<author>.+)$"
)


@dataclass(frozen=True, slots=True)
class Revision:
    """One entry of the history: its id, date (``26-Mar-2024``) and author as the document writes them."""

    id: str
    date: str
    author: str


@dataclass(slots=True)
class Mapped:
    """``mapped`` of the ``revisions`` are in the table; ``problems`` are entries that cannot stand."""

    revisions: list[Revision]
    table: dict[str, tuple[tuple[str, ...], str]]
    problems: list[str] = field(default_factory=list)

    @property
    def unmapped(self) -> list[Revision]:
        return [r for r in self.revisions if r.id not in self.table]

    @property
    def complete(self) -> bool:
        return not (self.unmapped or self.problems)

    def to_json(self) -> dict[str, Any]:
        return {
            "document": DOCUMENT,
            "revisions": len(self.revisions),
            "mapped": len(self.revisions) - len(self.unmapped),
            "unmapped": [r.id for r in self.unmapped],
            "problems": self.problems,
            "complete": self.complete,
        }


def revisions(text: str) -> list[Revision]:
    """Every entry of a history document, newest first as it is written."""
    found = (_HEADING.match(line) for line in text.splitlines())
    return [Revision(m["revision"], m["date"], m["author"].strip()) for m in found if m]


def table(path: Path = TABLE) -> dict[str, tuple[tuple[str, ...], str]]:
    """Revision -> (clauses, reason), one of which is empty. Raises :class:`UserError`."""
    try:
        entries = tomllib.loads(read_file(path)).get("revision", {})
        return {rev: _entry(rev, value) for rev, value in entries.items()}
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise UserError(f"{path.name}: {error}") from None


def _entry(revision: str, value: Any) -> tuple[tuple[str, ...], str]:
    if not isinstance(value, dict) or len(value) != 1 or not set(value) <= {"clauses", "reason"}:
        raise ValueError(f"{revision} has not just one of 'clauses' and 'reason'")
    named, reason = tuple(value.get("clauses", ())), value.get("reason", "")
    if not (named or reason):
        raise ValueError(f"{revision} names no clause and no reason")
    return named, reason


def compare(text: str, known: dict[str, tuple[tuple[str, ...], str]]) -> Mapped:
    """The document's entries against the table; a clause that does not exist is a problem."""
    found = Mapped(revisions(text), known)
    if not found.revisions:
        raise UserError("the history has no entry '# REVISION DATE AUTHOR'")
    entries = {r.id for r in found.revisions}
    for revision, (named, _) in known.items():
        if revision not in entries:
            found.problems.append(f"{revision} is in the table and not in the document")
        found.problems += [f"{revision}: there is no clause '{c}'" for c in named if c not in clauses.load()]
    return found

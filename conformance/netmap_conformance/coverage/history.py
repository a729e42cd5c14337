"""The revisions of a history document against a table: which clause each became, or why none.

An entry of the document begins with ``# REVISION DATE AUTHOR``; the revision is eight or more hexadecimal
digits. The table ``history.toml`` beside the clauses of generation 14 says for a revision either
``clauses = [...]`` or ``reason = "..."``, and how many revisions the document has, with a hash of their ids:
so a table can be judged without the document, whose text is not part of the project.
"""

from __future__ import annotations

import hashlib
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
_KEYS = {"clauses", "reason", "about", "date"}


@dataclass(frozen=True, slots=True)
class Revision:
    """One entry of the document: its id, date (``26-Mar-2024``) and author as the document writes them."""

    id: str
    date: str
    author: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a revision: ``clauses``, or else the ``reason``; ``about`` is what it did.

    ``date`` reads ``2024-03-26``.
    """

    clauses: tuple[str, ...] = ()
    reason: str = ""
    about: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The table of revisions; ``count`` and ``hash`` are those of the document it was made from."""

    entries: dict[str, Entry]
    count: int = 0
    hash: str = ""


@dataclass(slots=True)
class Mapped:
    """``ids`` are the document's, or the table's own without one; ``count`` is how many the document has, as
    the table knows it where it is not at hand; ``problems`` are what cannot stand.
    """

    ids: list[str]
    table: Table
    count: int
    problems: list[str] = field(default_factory=list)

    @property
    def unmapped(self) -> list[str]:
        return [i for i in self.ids if i not in self.table.entries]

    @property
    def complete(self) -> bool:
        return not (self.unmapped or self.problems)

    def to_json(self) -> dict[str, Any]:
        return {
            "document": DOCUMENT,
            "revisions": self.count,
            "mapped": len(self.ids) - len(self.unmapped),
            "unmapped": self.unmapped,
            "problems": self.problems,
            "complete": self.complete,
            "entries": [self._row(i) for i in self.ids if i in self.table.entries],
        }

    def _row(self, revision: str) -> dict[str, Any]:
        entry = self.table.entries[revision]
        rules, scenarios = tested(entry.clauses)
        return {
            "revision": revision,
            "date": entry.date,
            "about": entry.about,
            "clauses": list(entry.clauses),
            "reason": entry.reason,
            "rules": rules,
            "scenarios": scenarios,
        }


def tested(named: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """``(rules, scenarios)`` that belong to some clauses, by id."""
    from ..report import matrix

    rows = {row.clause.id: row for row in matrix.rows()}
    chosen = [rows[c] for c in named if c in rows]
    rules = dict.fromkeys(r.id for row in chosen for r in row.rules)
    scenarios = dict.fromkeys(s.id for row in chosen for s in row.scenarios)
    return list(rules), list(scenarios)


def revisions(text: str) -> list[Revision]:
    """Every entry of a history document, newest first as it is written."""
    found = (_HEADING.match(line) for line in text.splitlines())
    return [Revision(m["revision"], m["date"], m["author"].strip()) for m in found if m]


def digest(ids: list[str]) -> str:
    """16 hexadecimal digits of SHA-256 over the ids, one a line, in the document's order."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]


def table(path: Path = TABLE) -> Table:
    """The table of revisions. Raises :class:`UserError`."""
    try:
        raw = tomllib.loads(read_file(path))
        entries = {rev: _entry(rev, value) for rev, value in raw.get("revision", {}).items()}
        document = raw.get("document", {})
        return Table(entries, int(document.get("revisions", 0)), str(document.get("hash", "")))
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise UserError(f"{path.name}: {error}") from None


def _entry(revision: str, value: Any) -> Entry:
    if not isinstance(value, dict) or not set(value) <= _KEYS or ("clauses" in value) == ("reason" in value):
        raise ValueError(f"{revision} has not just one of 'clauses' and 'reason'")
    named, reason, about = tuple(value.get("clauses", ())), value.get("reason", ""), value.get("about", "")
    entry = Entry(named, reason, about, str(value.get("date", "")))
    if not (entry.clauses or entry.reason):
        raise ValueError(f"{revision} names no clause and no reason")
    return entry


def compare(text: str | None, known: Table) -> Mapped:
    """The table against the document's text, or, without it, against what the table says of the document.

    A clause that does not exist is a problem, and so is a table that was made from another document.
    """
    ids = list(known.entries) if text is None else [r.id for r in revisions(text)]
    if not ids and text is not None:
        raise UserError("the history has no entry '# REVISION DATE AUTHOR'")
    found = Mapped(ids, known, known.count if text is None else len(ids))
    if (known.count, known.hash) != (len(ids), digest(ids)):
        found.problems.append(
            f"history.toml is of {known.count} revisions, hash {known.hash or 'none'}; "
            f"these are {len(ids)}, hash {digest(ids)}"
        )
    for revision, entry in known.entries.items():
        if revision not in ids:
            found.problems.append(f"{revision} is in the table and not in the document")
        found.problems += [
            f"{revision}: there is no clause '{c}'" for c in entry.clauses if c not in clauses.load()
        ]
    return found

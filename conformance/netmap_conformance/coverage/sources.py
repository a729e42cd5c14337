"""Every line of a source document against the clauses: what is covered, what is not, what spans too much.

A line that does something must lie in the range of at least one clause, or be on the short list
``no-behaviour.toml`` with its reason; and no clause may span more than :data:`MOST` such lines, so that a
clause stays one statement. Which lines do something is computed from the text (:mod:`.lines`); the text is
never part of the project, so its classification is kept as line numbers in ``lines.json`` beside the
clauses, with a hash of the text it was computed from.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netmap_spec import clauses
from netmap_spec.clauses import sources as citations

from ..errors import UserError, write_file
from . import lines as c

#: Behavioural lines that one clause may span.
MOST = 12
#: The source document of a generation that has one, as clauses cite it.
DOCUMENTS = {"2011": "netmap.c 2011-12-02"}


@dataclass(frozen=True, slots=True)
class Listed:
    """Lines that do something for the compiler but promise nothing, and why."""

    numbers: frozenset[int]
    reason: str


@dataclass(slots=True)
class Lines:
    """A document's lines: how many there are, which have no behaviour by kind, a hash of the text."""

    document: str
    hash: str
    count: int
    kinds: dict[str, list[int]]

    @property
    def mechanical(self) -> set[int]:
        return {n for numbers in self.kinds.values() for n in numbers}


@dataclass(slots=True)
class Covered:
    """What :func:`cover` found. ``long`` has clause and number of behavioural lines."""

    lines: Lines
    behaviour: list[int]
    listed: list[Listed]
    uncovered: list[int]
    long: list[tuple[str, int]]
    clauses: int
    problems: list[str] = field(default_factory=list)

    @property
    def percent(self) -> float:
        """Covered lines of those that do something, 100 when there are none."""
        whole = len(self.behaviour)
        return 100.0 * (whole - len(self.uncovered)) / whole if whole else 100.0

    @property
    def complete(self) -> bool:
        return not (self.uncovered or self.long or self.problems)

    def to_json(self) -> dict[str, Any]:
        return {
            "document": self.lines.document,
            "lines": self.lines.count,
            "without_behaviour": {kind: len(numbers) for kind, numbers in self.lines.kinds.items()},
            "listed": sum(len(entry.numbers) for entry in self.listed),
            "behaviour": len(self.behaviour),
            "covered": len(self.behaviour) - len(self.uncovered),
            "percent": round(self.percent, 2),
            "clauses": self.clauses,
            "uncovered": c.ranges(self.uncovered),
            "long": [{"clause": clause, "lines": count} for clause, count in self.long],
            "problems": self.problems,
            "complete": self.complete,
        }


def _folder(generation: str) -> Path:
    return clauses.HERE / generation


def numbered(text: str) -> set[int]:
    """The line numbers in ``"1-3, 7"``. Raises ``ValueError``."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        span = range(int(first), int(last or first) + 1)
        if not span:
            raise ValueError(f"{part.strip()} ends before it begins")
        found.update(span)
    return found


def no_behaviour(generation: str) -> list[Listed]:
    """The list ``no-behaviour.toml`` of a generation. Raises :class:`UserError` when it is malformed."""
    path = _folder(generation) / "no-behaviour.toml"
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))["lines"]
        listed = [Listed(frozenset(numbered(e["lines"])), e["reason"].strip()) for e in entries]
    except (OSError, tomllib.TOMLDecodeError, KeyError, ValueError, AttributeError) as error:
        raise UserError(f"{path.name}: {' '.join(str(error).split())}") from None
    if any(not entry.reason for entry in listed):
        raise UserError(f"{path.name}: an entry has no reason")
    return listed


def read(document: str, path: Path) -> Lines:
    """Classify the text of ``document`` that the user has at ``path``. Raises :class:`UserError`."""
    try:
        text = citations._lines(path)
    except citations.SourceMissing as error:
        raise UserError(str(error)) from None
    kinds: dict[str, list[int]] = {kind: [] for kind in c.KINDS}
    for number, kind in c.classify(text).items():
        if kind != c.BEHAVIOUR:
            kinds[kind].append(number)
    joined = "\n".join(line.rstrip() for line in text.values())
    digest = hashlib.sha256(joined.encode()).hexdigest()[:16]
    return Lines(document, digest, len(text), kinds)


def stored(generation: str) -> Lines:
    """The committed classification of the generation's document. Raises :class:`UserError`."""
    path = _folder(generation) / "lines.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        kinds = {kind: sorted(numbered(text)) if text else [] for kind, text in data["kinds"].items()}
        return Lines(data["document"], data["hash"], data["lines"], kinds)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path.name}: {' '.join(str(error).split())}") from None


def store(generation: str, lines: Lines) -> Path:
    """Keep a classification as ``lines.json``: numbers only, none of the text."""
    data = {
        "document": lines.document,
        "hash": lines.hash,
        "lines": lines.count,
        "kinds": {kind: c.ranges(numbers) for kind, numbers in lines.kinds.items()},
    }
    return write_file(_folder(generation) / "lines.json", json.dumps(data, indent=1) + "\n")


def spans(document: str) -> dict[str, set[int]]:
    """Clause id -> every line of ``document`` that it cites."""
    found: dict[str, set[int]] = {}
    for clause in clauses.load().values():
        for cited in _cited(clause.sources, document):
            found.setdefault(clause.id, set()).update(range(cited[0], cited[1] + 1))
    return found


def _cited(texts: tuple[str, ...], document: str) -> Iterator[tuple[int, int]]:
    for text in texts:
        citation = citations.parse(text)
        if citation is not None and citation.name == document:
            yield from citation.ranges


def cover(lines: Lines, listed: list[Listed], cited: Mapping[str, set[int]], most: int = MOST) -> Covered:
    """Compare a document's lines with what clauses cite. Pure: nothing is read.

    An entry of the list that names a line which is covered, or mechanical, or not there, is a problem: the
    list must stay what it says it is.
    """
    problems: list[str] = []
    excused: set[int] = set()
    mechanical = lines.mechanical
    for entry in listed:
        for number in sorted(entry.numbers):
            if not 1 <= number <= lines.count:
                problems.append(f"line {number} is listed as without behaviour and does not exist")
            elif number in mechanical:
                problems.append(f"line {number} is listed as without behaviour and needs no listing")
            elif number in excused:
                problems.append(f"line {number} is listed twice")
        excused |= entry.numbers
    behaviour = [n for n in range(1, lines.count + 1) if n not in mechanical and n not in excused]
    real = set(behaviour)
    seen: set[int] = set().union(*cited.values()) if cited else set()
    counts = Counter({clause: len(numbers & real) for clause, numbers in cited.items()})
    long = [(clause, count) for clause, count in counts.most_common() if count > most]
    for clause, numbers in cited.items():
        outside = [n for n in numbers if n > lines.count]
        if outside:
            problems.append(f"{clause} cites line {min(outside)}, and the document has {lines.count}")
    uncovered = [n for n in behaviour if n not in seen]
    return Covered(lines, behaviour, listed, uncovered, long, len(cited), problems)


def coverage(generation: str, path: Path | None) -> Covered:
    """The coverage of a generation's document: from the text at ``path``, or from what is committed.

    With the text at hand the committed classification must be the one computed from it.
    """
    document = DOCUMENTS[generation]
    known = stored(generation)
    lines = known if path is None else read(document, path)
    found = cover(lines, no_behaviour(generation), spans(document))
    if lines != known:
        what = "is not the text" if lines.hash != known.hash else "is classified otherwise than"
        found.problems.append(f"{document}: {what} lines.json was made from")
    return found

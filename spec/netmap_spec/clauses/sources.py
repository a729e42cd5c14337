"""Citations: where a clause was read, and a hash of the lines that were read there.

The texts of the sources are never part of the project. ``hashes.json`` holds, for every citation of lines, a
hash of these lines, so that whoever has a source at hand can see whether it still says what the
clause was written from::

    python -m netmap_spec.clauses.sources --source luigirizzo/netmap@89607e14=TREE \\
        --source "netmap.c 2011-12-02=FILE"            # compare; exit 1 on a difference
    … --write                                          # store the hashes of new and changed citations
    … --show 14.ring.tx-window                         # print the lines a clause cites

A citation is ``OWNER/REPO:PATH@COMMIT:LINES`` or ``DOCUMENT:LINES``; LINES are numbers and ranges. One that
names something other than lines (``:NR_REINIT``) has no hash.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from . import HERE, ClauseError, load

HASHES = HERE / "hashes.json"

_REPOSITORY = re.compile(
    r"^(?P<repo>[\w.-]+/[\w.-]+):(?P<path>[^@\s]+)@(?P<commit>[0-9a-f]{8,40})(:(?P<lines>.+))?$"
)
_DOCUMENT = re.compile(r"^(?P<name>[\w.]+\.[ch] [\w .-]+?)(:(?P<lines>.+))?$")
_RANGES = re.compile(r"^\d+(-\d+)?(, ?\d+(-\d+)?)*$")
_NUMBERED = re.compile(r"^ *(?P<number>\d+)(?:[ \xa0\t](?P<text>.*))?$")


@dataclass(frozen=True, slots=True)
class Citation:
    """``name`` is what ``--source`` binds (``OWNER/REPO@COMMIT`` or a document), ``path`` a file below it."""

    text: str
    name: str
    path: str
    ranges: tuple[tuple[int, int], ...]


def parse(text: str) -> Citation | None:
    """The citation in a ``source`` line, without ranges when it names no lines; None for another form."""
    if match := _REPOSITORY.match(text):
        name, path = f"{match['repo']}@{match['commit']}", match["path"]
    elif match := _DOCUMENT.match(text):
        name, path = match["name"], ""
    else:
        return None
    lines = (match["lines"] or "").replace("–", "-")
    ranges: list[tuple[int, int]] = []
    if _RANGES.match(lines):
        for part in lines.split(","):
            first, _, last = part.strip().partition("-")
            ranges.append((int(first), int(last or first)))
    return Citation(text, name, path, tuple(ranges))


class SourceMissing(LookupError):
    """A source is bound but does not have the cited file or lines; the message is one line."""


@cache
def _lines(file: Path) -> Mapping[int, str]:
    """Line number -> text; a file whose lines begin with their own numbers is taken at its word."""
    try:
        raw = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise SourceMissing(f"{file}: {(error.strerror or str(error)).lower()}") from None
    numbered = [_NUMBERED.match(line) for line in raw]
    found = {int(m["number"]): m["text"] or "" for m in numbered if m}
    if 2 * len(found) > len(raw) and list(found) == list(range(1, len(found) + 1)):
        return found
    return dict(enumerate(raw, 1))


def cited(citation: Citation, bound: Mapping[str, Path]) -> list[tuple[int, str]] | None:
    """The cited lines, numbered; None when the source is not at hand. Raises :class:`SourceMissing`."""
    root = next((path for name, path in bound.items() if _same(name, citation.name)), None)
    if root is None:
        return None
    file = root / citation.path if citation.path else root
    lines = _lines(file)
    numbers = [n for first, last in citation.ranges for n in range(first, last + 1)]
    for number in numbers:
        if number not in lines:
            raise SourceMissing(f"{citation.text}: {file} has no line {number}")
    if any(first > last for first, last in citation.ranges):
        raise SourceMissing(f"{citation.text}: a range ends before it begins")
    return [(number, lines[number]) for number in numbers]


def _same(bound: str, cited_name: str) -> bool:
    """Commits may be given in full or in short."""
    ours, theirs = bound.partition("@"), cited_name.partition("@")
    return ours[0] == theirs[0] and (ours[2].startswith(theirs[2]) or theirs[2].startswith(ours[2]))


def digest(lines: Iterable[tuple[int, str]]) -> str:
    """16 hexadecimal digits of SHA-256 over the lines, without numbers and without spaces at their ends."""
    text = "\n".join(line.strip() for _, line in lines)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def citations() -> dict[str, Citation]:
    """Every citation of lines in the clauses, by its text."""
    parsed = (parse(source) for clause in load().values() for source in clause.sources)
    return dict(sorted((c.text, c) for c in parsed if c and c.ranges))


def stored() -> dict[str, str]:
    """The hashes of ``hashes.json``, by citation."""
    found: dict[str, str] = json.loads(HASHES.read_text(encoding="utf-8")) if HASHES.exists() else {}
    return found


def compare(bound: Mapping[str, Path]) -> tuple[dict[str, str], list[str]]:
    """``(hash by citation as it should be stored, one line a difference)``.

    Citations whose source is not at hand keep the stored hash.
    """
    known = stored()
    now: dict[str, str] = {}
    problems: list[str] = []
    for text, citation in citations().items():
        try:
            lines = cited(citation, bound)
        except SourceMissing as missing:
            problems.append(str(missing))
            continue
        if lines is None:
            if text in known:
                now[text] = known[text]
            else:
                problems.append(f"{text}: has no hash, and its source is not at hand")
            continue
        now[text] = digest(lines)
        if text not in known:
            problems.append(f"{text}: has no hash")
        elif known[text] != now[text]:
            problems.append(f"{text}: the lines are not those the clause was written from")
    problems += [f"{text}: no clause cites it any more" for text in known if text not in citations()]
    return now, problems


def main(argv: list[str] | None = None) -> int:
    """Compare, write or show."""
    parser = argparse.ArgumentParser(prog="python -m netmap_spec.clauses.sources", description=__doc__)
    parser.add_argument("--source", action="append", default=[], metavar="NAME=PATH", help="a source at hand")
    parser.add_argument("--write", action="store_true", help="store the hashes")
    parser.add_argument("--show", metavar="ID", help="print what the clause cites")
    args = parser.parse_args(argv)
    bound = {name: Path(path) for name, _, path in (text.partition("=") for text in args.source)}
    for name, path in bound.items():
        if not path.exists():
            print(f"--source {name}: {path} is not there", file=sys.stderr)
            return 2
    try:
        if args.show:
            return _show(args.show, bound)
        now, problems = compare(bound)
    except ClauseError as error:
        print(error, file=sys.stderr)
        return 2
    if args.write:
        HASHES.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
        problems = compare(bound)[1]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def _show(clause_id: str, bound: Mapping[str, Path]) -> int:
    clause = load().get(clause_id)
    if clause is None:
        print(f"there is no clause '{clause_id}'", file=sys.stderr)
        return 2
    for source in clause.sources:
        print(source)
        citation = parse(source)
        try:
            lines = cited(citation, bound) if citation else None
        except SourceMissing as missing:
            print(f"    {missing}")
            continue
        for number, line in lines or []:
            print(f"    {number:5} {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The contract as numbered clauses: one Markdown file per area, readable as prose, loadable as data.

A clause is a second-level heading with a short attribute list and prose::

    ## 14.sync.tx-window: the head a txsync accepts

    - level: MUST
    - binds: kernel
    - about: state
    - source: luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14:1748-1768

    Between two txsyncs the application may move `head` forward ...

Ids read ``generation.area.name``. A clause that changes its meaning gets a new ``version``; an id
is never used again for something else (``retired.md`` keeps those that are gone).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent

LEVELS = ("MUST", "SHOULD", "IMPLEMENTATION-DEFINED", "UNDEFINED")
BINDS = ("kernel", "application", "library", "driver", "both")
ABOUT = ("state", "call", "progress", "layout")

KEYS = ("level", "binds", "about", "source", "version", "deviation", "symbols")
REQUIRED = ("level", "binds", "about", "source")
REPEATED = ("source", "deviation", "symbols")
ALLOWED = {"level": LEVELS, "binds": BINDS, "about": ABOUT}

_HEADING = re.compile(r"^## (?P<id>(?:2011|14|all)\.[a-z0-9]+\.[a-z0-9-]+): (?P<title>.+)$")
_ATTRIBUTE = re.compile(r"^- (?P<key>[a-z-]+): (?P<value>.+)$")
_RETIRED = re.compile(r"^- (?P<id>(?:2011|14|all)\.[a-z0-9]+\.[a-z0-9-]+): (?P<reason>.+)$")


class ClauseError(ValueError):
    """A clause file is malformed; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One sentence group of the contract.

    ``level`` is MUST, SHOULD, IMPLEMENTATION-DEFINED or UNDEFINED; ``binds`` says whose duty it is
    (kernel, application, driver, both); ``about`` is ``state`` (an invariant), ``call`` (what a call
    returns and does), ``progress`` (must eventually) or ``layout``. ``deviations`` are the switches
    of the as-written reading that break it, each with its text; ``symbols`` are names of netmap's headers
    that the clause is about without saying them in its text (:mod:`.symbols`).
    """

    id: str
    title: str
    level: str
    binds: str
    about: str
    text: str
    sources: tuple[str, ...]
    version: int
    area: str
    file: str
    line: int
    deviations: tuple[str, ...] = field(default=())
    symbols: tuple[str, ...] = field(default=())

    @property
    def generation(self) -> str:
        return self.id.split(".", 1)[0]


class _Draft:
    """A clause while its lines are being read."""

    def __init__(self, file: str, line: int, heading: re.Match[str]) -> None:
        self.file, self.line = file, line
        self.id, self.title = heading["id"], heading["title"].strip()
        self.attributes: dict[str, list[str]] = {}
        self.prose: list[str] = []

    def attribute(self, number: int, key: str, value: str) -> None:
        """One ``- key: value`` line; its own line number is in every complaint about it."""
        where = f"{self.file}:{number}"
        if key not in KEYS:
            raise ClauseError(f"{where}: {self.id} has '{key}', which is not one of {', '.join(KEYS)}")
        if key in self.attributes and key not in REPEATED:
            raise ClauseError(f"{where}: {self.id} has a second '{key}'")
        if key in ALLOWED and value not in ALLOWED[key]:
            raise ClauseError(f"{where}: {key} is '{value}', not one of {', '.join(ALLOWED[key])}")
        if key == "version" and not (value.isdecimal() and int(value) > 0):
            raise ClauseError(f"{where}: version is '{value}', not a number from 1")
        self.attributes.setdefault(key, []).append(value)

    def finish(self) -> Clause:
        for key in REQUIRED:
            if key not in self.attributes:
                raise ClauseError(f"{self.file}:{self.line}: clause {self.id} has no '{key}'")
        body = "\n".join(self.prose).strip()
        if not body:
            raise ClauseError(f"{self.file}:{self.line}: clause {self.id} says nothing")
        return Clause(
            id=self.id,
            title=self.title,
            level=self.attributes["level"][0],
            binds=self.attributes["binds"][0],
            about=self.attributes["about"][0],
            text=body,
            sources=tuple(self.attributes["source"]),
            version=int(self.attributes.get("version", ["1"])[0]),
            area=self.id.split(".")[1],
            file=self.file,
            line=self.line,
            deviations=tuple(self.attributes.get("deviation", ())),
            symbols=tuple(s for line in self.attributes.get("symbols", ()) for s in re.split(r",\s*", line)),
        )


def parse(text: str, file: str) -> list[Clause]:
    """Every clause of one file. Raises :class:`ClauseError` naming file and line."""
    drafts: list[_Draft] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            heading = _HEADING.match(line)
            if heading is None:
                raise ClauseError(f"{file}:{number}: not a clause heading: {line}")
            drafts.append(_Draft(file, number, heading))
        elif drafts:
            draft = drafts[-1]
            attribute = _ATTRIBUTE.match(line)
            if attribute and not any(p.strip() for p in draft.prose):
                draft.attribute(number, attribute["key"], attribute["value"].strip())
            else:
                draft.prose.append(line)
    return [draft.finish() for draft in drafts]


def retired(folder: Path = HERE) -> dict[str, str]:
    """Ids that are gone and may not be used again, with the reason: ``- ID: reason`` lines of retired.md."""
    path = folder / "retired.md"
    if not path.exists():
        return {}
    found = (_RETIRED.match(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {match["id"]: match["reason"] for match in found if match}


def load_from(folder: Path) -> dict[str, Clause]:
    """Every clause below ``folder`` by id. Raises :class:`ClauseError` on a double, retired or bad one."""
    found: dict[str, Clause] = {}
    gone = retired(folder)
    for path in sorted(folder.glob("*/*.md")):
        name = f"{path.parent.name}/{path.name}"
        for clause in parse(path.read_text(encoding="utf-8"), name):
            if clause.id in found:
                first = found[clause.id]
                raise ClauseError(
                    f"{name}:{clause.line}: {clause.id} is already at {first.file}:{first.line}"
                )
            if clause.id in gone:
                raise ClauseError(f"{name}:{clause.line}: {clause.id} is retired: {gone[clause.id]}")
            found[clause.id] = clause
    return found


@cache
def load() -> dict[str, Clause]:
    """Every clause of the project by id, in the order of the files. Raises :class:`ClauseError`."""
    return load_from(HERE)

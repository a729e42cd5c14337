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
BINDS = ("kernel", "application", "driver", "both")
ABOUT = ("state", "call", "progress", "layout")

_HEADING = re.compile(r"^## (?P<id>(?:2011|14|all)\.[a-z0-9]+\.[a-z0-9-]+): (?P<title>.+)$")
_ATTRIBUTE = re.compile(r"^- (?P<key>[a-z-]+): (?P<value>.+)$")


class ClauseError(ValueError):
    """A clause file is malformed; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One sentence group of the contract.

    ``level`` is MUST, SHOULD, IMPLEMENTATION-DEFINED or UNDEFINED; ``binds`` says whose duty it is
    (kernel, application, driver, both); ``about`` is ``state`` (an invariant), ``call`` (what a call
    returns and does), ``progress`` (must eventually) or ``layout``. ``deviations`` are the switches
    of the as-written reading that break it, each with its text.
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

    @property
    def generation(self) -> str:
        return self.id.split(".", 1)[0]


def parse(text: str, file: str) -> list[Clause]:
    """Every clause of one file. Raises :class:`ClauseError` naming file and line."""
    clauses: list[Clause] = []
    heading: re.Match[str] | None = None
    start = 0
    attributes: dict[str, list[str]] = {}
    prose: list[str] = []

    def close() -> None:
        if heading is None:
            return
        for key in ("level", "binds", "about", "source"):
            if key not in attributes:
                raise ClauseError(f"{file}:{start}: clause {heading['id']} has no '{key}'")
        level, binds, about = (attributes[k][0] for k in ("level", "binds", "about"))
        for key, value, allowed in (("level", level, LEVELS), ("binds", binds, BINDS), ("about", about, ABOUT)):
            if value not in allowed:
                raise ClauseError(f"{file}:{start}: {key} is '{value}', not one of {', '.join(allowed)}")
        body = "\n".join(prose).strip()
        if not body:
            raise ClauseError(f"{file}:{start}: clause {heading['id']} says nothing")
        clauses.append(
            Clause(
                id=heading["id"],
                title=heading["title"].strip(),
                level=level,
                binds=binds,
                about=about,
                text=body,
                sources=tuple(attributes["source"]),
                version=int(attributes.get("version", ["1"])[0]),
                area=heading["id"].split(".")[1],
                file=file,
                line=start,
                deviations=tuple(attributes.get("deviation", ())),
            )
        )

    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            close()
            heading = _HEADING.match(line)
            if heading is None:
                raise ClauseError(f"{file}:{number}: not a clause heading: {line}")
            start, attributes, prose = number, {}, []
        elif heading is not None:
            attribute = _ATTRIBUTE.match(line)
            if attribute and not any(p.strip() for p in prose):
                attributes.setdefault(attribute["key"], []).append(attribute["value"].strip())
            else:
                prose.append(line)
    close()
    return clauses


@cache
def load() -> dict[str, Clause]:
    """Every clause of the project by id. Raises :class:`ClauseError` on a double or malformed clause."""
    found: dict[str, Clause] = {}
    for path in sorted(HERE.glob("*/*.md")):
        name = f"{path.parent.name}/{path.name}"
        for clause in parse(path.read_text(), name):
            if clause.id in found:
                raise ClauseError(f"{name}:{clause.line}: {clause.id} is already in {found[clause.id].file}")
            found[clause.id] = clause
    return found

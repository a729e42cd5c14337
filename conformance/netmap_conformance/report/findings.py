"""``FINDINGS.md`` as data: what was found in netmap itself, by id.

The file stands at the root of a checkout; an installed package has none, and then there are no findings
to show.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).resolve().parents[3] / "FINDINGS.md"
_HEADING = re.compile(r"^#{1,6} (?:(?P<id>F\d+-\d+) · )?(?P<title>.+)$")


@dataclass(frozen=True, slots=True)
class Found:
    """One finding: ``id`` (``F14-001``), a title, and its text in Markdown."""

    id: str
    title: str
    text: str


def parse(text: str) -> dict[str, Found]:
    """Every finding of the file by id, in its order; headings without an id end the one before."""
    found: dict[str, Found] = {}
    id, title, body = "", "", list[str]()
    fenced = False
    for line in [*text.splitlines(), "# end"]:
        fenced ^= line.lstrip().startswith("```")
        heading = None if fenced else _HEADING.match(line)
        if heading is None:
            body.append(line)
            continue
        if id:
            found[id] = Found(id, title, "\n".join(body).strip())
        id, title, body = heading["id"] or "", heading["title"], []
    return found


@cache
def load() -> dict[str, Found]:
    """The findings of this checkout, none where there is no such file."""
    return parse(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}

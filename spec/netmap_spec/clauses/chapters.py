"""The contract as a book: parts, chapters with their introductions, clauses in reading order.

A chapter is one file of clauses: its title is the file's first heading, its introduction the prose before the
first clause. Which chapters make a part, and in which order, is in ``chapters.toml``.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from . import HERE, Clause, ClauseError, load

FILE = HERE / "chapters.toml"
#: What a part is called whose chapters nobody has put anywhere.
REST = "More"


@dataclass(frozen=True, slots=True)
class Chapter:
    """One file of clauses; ``intro`` is Markdown, empty when the file begins with a clause."""

    generation: str
    area: str
    title: str
    intro: str
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Some chapters of one generation under a title of their own."""

    generation: str
    title: str
    intro: str
    chapters: tuple[Chapter, ...]


def preamble(text: str) -> tuple[str, str]:
    """``(title, introduction)`` of a file of clauses: its first heading and the prose before a clause."""
    title, intro = "", list[str]()
    for line in text.splitlines():
        if line.startswith("## "):
            break
        if line.startswith("# ") and not title:
            title = line[2:].rsplit(", generation ", 1)[0].strip()
        else:
            intro.append(line)
    return title, "\n".join(intro).strip()


@cache
def chapters() -> dict[tuple[str, str], Chapter]:
    """Every chapter by ``(generation, area)``, in the order of the files. Raises :class:`ClauseError`."""
    by_file: dict[str, list[Clause]] = {}
    for clause in load().values():
        by_file.setdefault(clause.file, []).append(clause)
    found: dict[tuple[str, str], Chapter] = {}
    for file, inside in by_file.items():
        title, intro = preamble((HERE / file).read_text(encoding="utf-8"))
        if not title:
            raise ClauseError(f"{file}:1: the file has no title")
        generation, area = file.split("/")[0], Path(file).stem
        found[generation, area] = Chapter(generation, area, title, intro, tuple(inside))
    return found


def parts(path: Path = FILE) -> list[Part]:
    """The book: every chapter exactly once. Raises :class:`ClauseError` when the order is malformed."""
    try:
        order: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["part"]
        told = [(p["generation"], p["title"], p["intro"].strip(), list(p["chapters"])) for p in order]
    except (OSError, tomllib.TOMLDecodeError, KeyError, AttributeError, TypeError) as error:
        raise ClauseError(f"{path.name}: {' '.join(str(error).split())}") from None
    left = dict(chapters())
    found: list[Part] = []
    for generation, title, intro, areas in told:
        inside = tuple(left.pop((generation, area)) for area in areas if (generation, area) in left)
        if inside:
            found.append(Part(generation, title, intro, inside))
    for generation in dict.fromkeys(generation for generation, _ in left):
        rest = tuple(c for c in left.values() if c.generation == generation)
        last = max((i for i, p in enumerate(found) if p.generation == generation), default=len(found) - 1)
        found.insert(last + 1, Part(generation, REST, "", rest))
    return found

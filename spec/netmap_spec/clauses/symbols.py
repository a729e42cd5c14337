"""The names of netmap's headers and the clauses that speak about them.

The names are those of the measured tables (:mod:`netmap_spec.abi`), so no header is needed: every member of
every structure, constant, text, request and function-like macro of API 14. A clause of generation 14 *cites*

- a constant, text, request or macro whose name stands in its title or text;
- a member whose name stands there as ``STRUCT.MEMBER``, or alone between backticks where it is plain which
  structure is meant (:func:`meant`);
- whatever its ``symbols`` line lists.

``14/symbols.toml`` lists the names that promise nothing, with the reason.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from ..abi import layout, tables
from . import HERE, Clause, ClauseError, load

GENERATION = "14"
LIST = HERE / GENERATION / "symbols.toml"

MEMBER, CONSTANT, TEXT, REQUEST, MACRO = "member", "constant", "text", "ioctl", "macro"

#: Whose member a name between backticks is when several structures have one of that name: the first of
#: these, after those of the clause's area.
USUAL = ("netmap_ring", "netmap_slot", "netmap_if", "nmreq_header", "nmreq_option", "nmreq_register")
IN_AREA = {
    "legacy": ("nmreq",),
    "csb": ("nm_csb_atok", "nm_csb_ktoa"),
    "kloop": ("nm_csb_atok", "nm_csb_ktoa", "nmreq_sync_kloop_start", "nmreq_opt_sync_kloop_mode"),
    "extmem": ("nmreq_opt_extmem", "nmreq_pools_info"),
}
#: Members that a name alone does not mean: the kring has words of these names, ring and slot both have one,
#: or they are plain English.
AMBIGUOUS = frozenset({"hwcur", "hwtail", "flags", "mode", "data", "reg"})
#: A library's structures: their members are never meant by a name alone.
LIBRARY = "netmap_user.h"

_CODE = re.compile(r"`([^`]+)`")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[a-z]\w*)*")


@dataclass(frozen=True, slots=True)
class Symbol:
    """One name: ``STRUCT.MEMBER`` of a member; ``kind`` is member, constant, text, ioctl or macro."""

    name: str
    kind: str
    header: str

    @property
    def short(self) -> str:
        """The member's own name, or the name."""
        return self.name.rsplit(".", 1)[-1]


@dataclass(frozen=True, slots=True)
class Listed:
    """Names, with ``*`` for any part of one, that no clause needs to cite, and why."""

    patterns: tuple[str, ...]
    reason: str

    def has(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)


@dataclass(slots=True)
class Cited:
    """Every symbol with the ids of the clauses that cite it; ``reasons`` of those that are listed instead."""

    symbols: dict[str, Symbol]
    clauses: dict[str, list[str]]
    reasons: dict[str, str]
    problems: list[str] = field(default_factory=list)

    @property
    def missing(self) -> list[Symbol]:
        """Neither cited nor listed."""
        return [s for n, s in self.symbols.items() if not self.clauses[n] and n not in self.reasons]

    @property
    def complete(self) -> bool:
        return not (self.missing or self.problems)

    def only(self, area: str) -> list[str]:
        """The symbols that no clause outside ``area`` cites."""
        inside = f"{GENERATION}.{area}."
        return [n for n, ids in self.clauses.items() if ids and all(i.startswith(inside) for i in ids)]


@cache
def symbols(generation: str = GENERATION) -> dict[str, Symbol]:
    """Every name of the headers, structure by structure, then the rest in the order of the tables."""
    measured = layout(generation)
    found = [
        Symbol(f"{struct.name}.{f.name.replace('[0]', '')}", MEMBER, struct.header)
        for struct in measured.structs.values()
        for f in struct.fields
    ]
    where = measured.constant_header
    found += [Symbol(name, CONSTANT, where[name]) for name in measured.constants]
    found += [Symbol(name, TEXT, where.get(name, "")) for name in measured.strings]
    found += [Symbol(name, REQUEST, where.get(name, "")) for name in measured.ioctls["linux"]]
    macros: list[str] = tables()[measured.version]["function_macros"]
    found += [Symbol(name, MACRO, "") for name in macros]
    return {s.name: s for s in found}


@cache
def meant(area: str) -> dict[str, str]:
    """What a member's own name between backticks means in an area: the name -> the symbol."""
    by_short: dict[str, list[str]] = defaultdict(list)
    for symbol in symbols().values():
        if symbol.kind == MEMBER and symbol.header != LIBRARY and symbol.short not in AMBIGUOUS:
            by_short[symbol.short].append(symbol.name)
    found = {}
    for short, names in by_short.items():
        wanted = [f"{struct}.{short}" for struct in (*IN_AREA.get(area, ()), *USUAL)]
        chosen = names if len(names) == 1 else [name for name in wanted if name in names]
        if chosen:
            found[short] = chosen[0]
    return found


def cites(clause: Clause) -> Iterator[str]:
    """The symbols a clause cites, each as often as it does; its ``symbols`` line is taken as written."""
    yield from clause.symbols
    text = f"{clause.title}\n{clause.text}"
    for name in _NAME.findall(text):
        parts = name.split(".")
        for candidate in (name, ".".join(parts[:2]), parts[0]):
            if candidate in symbols():
                yield candidate
                break
    for code in _CODE.findall(text):
        for name in _NAME.findall(code):
            if name in meant(clause.area):
                yield meant(clause.area)[name]


def listed(path: Path = LIST) -> list[Listed]:
    """The names that need no clause. Raises :class:`ClauseError` when the list is malformed."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))["listed"]
        found = [Listed(tuple(e["symbols"]), " ".join(e["reason"].split())) for e in entries]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ClauseError(f"{path.name}: {' '.join(str(error).split())}") from None
    if any(not (entry.patterns and entry.reason) for entry in found):
        raise ClauseError(f"{path.name}: an entry has no symbols or no reason")
    return found


def compare(every: Iterable[Clause], excused: Iterable[Listed]) -> Cited:
    """Every symbol against some clauses and a list. Pure: nothing is read but the tables.

    A ``symbols`` line with a name that no header has, an entry of the list that is about nothing, and one
    that names a cited name in full, are problems.
    """
    by: dict[str, set[str]] = defaultdict(set)
    problems: list[str] = []
    for clause in every:
        for name in cites(clause):
            if name in symbols():
                by[name].add(clause.id)
            else:
                problems.append(f"{clause.id}: no header has '{name}'")
    reasons: dict[str, str] = {}
    for entry in excused:
        for pattern in entry.patterns:
            names = [n for n in symbols() if fnmatchcase(n, pattern)]
            if not names:
                problems.append(f"'{pattern}' is listed and no header has it")
            problems += [f"{n} is listed and {min(by[n])} cites it" for n in names if by[n] and n == pattern]
            reasons.update(dict.fromkeys((n for n in names if not by[n]), entry.reason))
    return Cited(dict(symbols()), {n: sorted(by[n]) for n in symbols()}, reasons, problems)


def cited() -> Cited:
    """The symbols of generation 14 against the project's clauses and list. Raises :class:`ClauseError`."""
    return compare((c for c in load().values() if c.generation == GENERATION), listed())

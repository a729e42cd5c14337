"""The clauses as a specification: chapters in reading order, structures with their offsets, links.

A name of netmap's headers in the prose leads to its row in the tables, a clause's id to the clause, a source
to the lines it cites, a scenario to its text. All of that is worked out here; the template lays it out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup
from netmap_spec import abi
from netmap_spec.clauses import Clause, chapters, symbols
from netmap_spec.clauses.sources import parse

from . import findings, view

#: The commits that clauses cite, in full: a forge shows a file's lines only at a full name.
COMMITS = {"89607e14": "89607e1406c1fa5ac2106bd2ff33417f090c0d60"}
FORGE = "https://github.com"

#: Kinds of targets whose layout can differ from the 64-bit one, with one target of each: 32-bit words, and
#: integers of 64 bits aligned to 4 bytes or to 8.
NARROW = {"32-bit, align 4": "freebsd-i386", "32-bit, align 8": "freebsd-armv7"}

#: Constants by what they are for: title, and how their names begin. The first that fits has a constant.
GROUPS = (
    ("Version", ("NETMAP_API", "NETMAP_MIN_API", "NETMAP_MAX_API")),
    ("Slot flags", ("NS_",)),
    ("Options", ("NETMAP_REQ_OPT_",)),
    ("Sizes", ("NETMAP_REQ_MAXSIZE", "NETMAP_REQ_IFNAMSIZ", "NETMAP_MAX_FRAGS", "NM_CACHE_ALIGN")),
    ("Sizes", ("NM_IFRDATA_LEN",)),
    ("Requests", ("NETMAP_REQ_",)),
    ("Modes of REGISTER", ("NR_REG_",)),
    ("Flags of rings", ("NR_TIMESTAMP", "NR_FORWARD")),
    ("Flags of REGISTER", ("NR_",)),
    ("Kernel loop and polling", ("NM_OPT_", "NETMAP_POLLING_")),
    ("Paravirtual devices", ("PTNETMAP_", "PTNET_")),
    ("Library", ("NM_", "MAXERRMSG")),
    ("Legacy requests", ("",)),
)  # fmt: skip

_WORD = re.compile(r"(?:2011|14)\.[a-z0-9]+\.[a-z0-9-]+|[A-Za-z_]\w*(?:\.[a-z]\w*)*")


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter with its clauses as the matrix has them, and its introduction as HTML."""

    chapter: chapters.Chapter
    intro: Markup
    lines: tuple[view.Line, ...]

    @property
    def anchor(self) -> str:
        return f"chapter-{self.chapter.generation}-{self.chapter.area}"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the book."""

    title: str
    generation: str
    intro: Markup
    chapters: tuple[Chapter, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One name: ``values`` are its columns, ``clauses`` those that cite it, ``reason`` why none does."""

    name: str
    anchor: str
    values: tuple[str, ...]
    clauses: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """A structure or a group of constants; ``note`` is said below its title."""

    title: str
    anchor: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


# --- links ----------------------------------------------------------------------------------------


def anchor(symbol: str) -> str:
    """The id of a symbol's row."""
    return f"abi-{symbol}"


def source_link(text: str) -> str | None:
    """Where the cited lines can be read, ``None`` for a source that is not on a forge."""
    citation = parse(text)
    repo, _, commit = citation.name.partition("@") if citation else ("", "", "")
    if citation is None or not citation.path or "/" not in repo or commit[:8] not in COMMITS:
        return None
    lines = ""
    if citation.ranges:
        first, last = citation.ranges[0]
        lines = f"#L{first}" + (f"-L{last}" if last != first else "")
    return f"{FORGE}/{repo}/blob/{COMMITS[commit[:8]]}/{citation.path}{lines}"


def source_text(text: str) -> str:
    """A source in short: the file and the lines."""
    citation = parse(text)
    if citation is None or not citation.path:
        return text
    where = ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in citation.ranges)
    return citation.path.rsplit("/", 1)[-1] + (f" {where}" if where else "")


def _targets(generation: str, clause: Clause | None) -> dict[str, str]:
    """Words of prose about a generation that lead somewhere -> the id they lead to; the tables are API 14's.

    A member's own name does when it is plain which is meant, or the clause cites only one of that name.
    """
    found = {
        f"{area}.md": f"chapter-{generation}-{area}" for g, area in chapters.chapters() if g == generation
    }
    if generation != symbols.GENERATION:
        return found
    known = symbols.symbols()
    found.update({name: anchor(name) for name in known})
    area = clause.area if clause else ""
    found.update({short: anchor(name) for short, name in symbols.meant(area).items()})
    cited: dict[str, set[str]] = defaultdict(set)
    for name in symbols.cites(clause) if clause else ():
        if name in known and known[name].kind == symbols.MEMBER:
            cited[known[name].short].add(name)
    for short, names in cited.items():
        if len(names) == 1:
            found[short] = anchor(min(names))
    found.update({struct: f"struct-{struct}" for struct in abi.layout("14").structs})
    return found


def linked(text: str, targets: dict[str, str], code: bool) -> str:
    """``text`` escaped, with links on clause ids and, by ``targets``, on names.

    Outside of code only names in capitals are words of netmap's; a member's name may be plain English.
    """
    from netmap_spec.clauses import load

    def one(match: re.Match[str]) -> str:
        word = match[0]
        if word in load():
            return f'<a class="mono" href="#{word}">{word}</a>'
        target = targets.get(word) if code or word.isupper() or "." in word or "NETMAP" in word else None
        return f'<a href="#{target}">{escape(word)}</a>' if target else escape(word)

    parts, at = [], 0
    for match in _WORD.finditer(text):
        parts += [escape(text[at : match.start()]), one(match)]
        at = match.end()
    return "".join([*parts, escape(text[at:])])


@cache
def prose(text: str, generation: str, clause: Clause | None = None) -> Markup:
    """Markdown as HTML, with tables, and links on names and ids; what is a link already stays one."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    targets = _targets(generation, clause)
    inside = [0]

    def words(tokens: Any, index: int, options: Any, env: Any) -> str:
        code = tokens[index].type == "code_inline"
        content: str = tokens[index].content
        told = escape(content) if inside[0] else linked(content, targets, code)
        return f"<code>{told}</code>" if code else told

    def link(tokens: Any, index: int, options: Any, env: Any) -> str:
        inside[0] += 1 if tokens[index].type == "link_open" else -1
        target = targets.get(str(tokens[index].attrGet("href") or ""))
        if target:  # another file of clauses
            tokens[index].attrSet("href", f"#{target}")
        return str(markdown.renderer.renderToken(tokens, index, options, env))  # type: ignore[attr-defined]

    for name, rule in {"text": words, "code_inline": words, "link_open": link, "link_close": link}.items():
        markdown.renderer.rules[name] = rule  # type: ignore[attr-defined]
    return Markup(markdown.render(text))


# --- chapters -------------------------------------------------------------------------------------


def parts(lines: Iterable[view.Line]) -> list[Part]:
    """The book, with the matrix's line of every clause."""
    by_id = {line.row.clause.id: line for line in lines}
    found = []
    for part in chapters.parts():
        inside = tuple(
            Chapter(c, prose(c.intro, part.generation), tuple(by_id[clause.id] for clause in c.clauses))
            for c in part.chapters
        )
        found.append(Part(part.title, part.generation, prose(part.intro, part.generation), inside))
    return found


@cache
def tested_only() -> dict[str, str]:
    """Clause id -> why no proof is about it; empty without the solver that proofs are written with."""
    try:
        from netmap_proofs import covered
    except ModuleNotFoundError as error:
        if error.name != "z3":
            raise
        return {}
    return covered.only_tested()


@cache
def mentioned() -> dict[str, list[str]]:
    """Clause id -> the findings whose text names the clause or one of its deviations."""
    from netmap_spec.clauses import load

    found: dict[str, list[str]] = {}
    words = {f.id: set(_WORD.findall(f.text)) for f in findings.load().values()}
    for clause in load().values():
        names = {clause.id, *(d.split()[0] for d in clause.deviations)}
        found[clause.id] = [finding for finding, said in words.items() if names & said]
    return found


# --- tables ---------------------------------------------------------------------------------------


@cache
def structures() -> tuple[Table, ...]:
    """Every structure of API 14: members with offsets on 64-bit targets, and where others have other ones."""
    return tuple(_structure(struct) for struct in abi.layout("14").structs.values())


def _structure(struct: abi.Struct) -> Table:
    narrow = {title: abi.layout("14", target).structs[struct.name] for title, target in NARROW.items()}
    here = (struct.size, struct.align)
    sizes = [f"{struct.size} bytes, aligned to {struct.align}"]
    sizes += [
        f"{title}: {o.size} bytes, aligned to {o.align}"
        for title, o in narrow.items()
        if (o.size, o.align) != here
    ]
    moved = [f.offset for f in struct.fields]
    others = {title: o for title, o in narrow.items() if [f.offset for f in o.fields] != moved}
    rows = []
    for f in struct.fields:
        shape = f"[{f.count or ''}]" if f.array else ""
        symbol = f"{struct.name}.{f.name.replace('[0]', '')}"
        there = [str(o.field(f.name).offset) for o in others.values()]
        rows.append(_row(symbol, f.name, (str(f.offset), *there, str(f.size), f"{f.ctype}{shape}")))
    columns = ("offset", *(f"offset ({title})" for title in others), "bytes", "type")
    note = f"{struct.header}; " + "; ".join(sizes)
    return Table(f"struct {struct.name}", f"struct-{struct.name}", note, columns, tuple(rows))


@cache
def constants() -> tuple[Table, ...]:
    """Every constant, text, ioctl and accessor of API 14, grouped by what they are for."""
    measured = abi.layout("14")
    grouped: dict[str, list[Row]] = {title: [] for title, _ in GROUPS}
    for name, value in measured.constants.items():
        title = next(title for title, begin in GROUPS if name.startswith(begin))
        grouped[title].append(_row(name, name, (f"{value:#x}", str(value))))
    linux, freebsd = measured.ioctls["linux"], measured.ioctls["freebsd"]
    calls = [_row(n, n, (f"{code:#010x}", f"{freebsd[n]:#010x}")) for n, code in linux.items()]
    texts = [_row(n, n, (f'"{text}"',)) for n, text in measured.strings.items()]
    macros = [_row(s.name, s.name, ()) for s in symbols.symbols().values() if s.kind == symbols.MACRO]
    tables = [
        Table("ioctls", "group-ioctls", "codes on x86, ARM and RISC-V", ("Linux", "FreeBSD"), tuple(calls))
    ]
    tables += [
        Table(title, f"group-{title.lower().replace(' ', '-')}", "", ("value", ""), tuple(rows))
        for title, rows in grouped.items()
        if rows
    ]
    tables.append(Table("Names", "group-names", "texts", ("text",), tuple(texts)))
    tables.append(Table("Macros", "group-macros", "function-like macros of the headers", (), tuple(macros)))
    return tuple(tables)


@cache
def _cited() -> symbols.Cited:
    return symbols.cited()


def _row(symbol: str, name: str, values: tuple[str, ...]) -> Row:
    cited = _cited()
    return Row(name, anchor(symbol), values, tuple(cited.clauses[symbol]), cited.reasons.get(symbol, ""))

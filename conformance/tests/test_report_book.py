"""The clauses as a specification: chapters in order, structures, and links between all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markupsafe import escape
from netmap_conformance.coverage import history
from netmap_conformance.report import book, findings, matrix, page, view
from netmap_conformance.report.results import load_all
from netmap_spec import abi, clauses, readiness
from netmap_spec.clauses import chapters, symbols


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a project in which nothing was run yet."""
    folder = tmp_path_factory.mktemp("report")
    path, _ = page.write(load_all(folder / "none", folder), folder)
    return path.read_text()


def ids(html: str) -> list[str]:
    return re.findall(r'\bid="([^"]+)"', html)


def test_the_readiness_matrix_is_shown_with_every_situation(html: str) -> None:
    matrix = html[html.index('id="readiness"') :]
    shown = readiness.load()
    assert all(str(escape(s.text)) in matrix for s in shown.situations)
    assert all(f">{port}</th>" in matrix for port in shown.ports)
    assert matrix.count("from the page</td>") == sum(len(s.freebsd) for s in shown.situations)
    assert all(way.name in matrix for way in shown.ways)


# --- the order -------------------------------------------------------------------------------------


def test_the_book_has_every_clause_once_and_in_the_order_of_its_file() -> None:
    told = [c.id for part in chapters.parts() for chapter in part.chapters for c in chapter.clauses]
    assert sorted(told) == sorted(clauses.load())
    for chapter in chapters.chapters().values():
        lines = [c.line for c in chapter.clauses]
        assert lines == sorted(lines) and chapter.title
        assert {c.area for c in chapter.clauses} == {chapter.area}


def test_a_chapter_nobody_put_anywhere_comes_last_in_its_generation(tmp_path: Path) -> None:
    order = tmp_path / "chapters.toml"
    order.write_text('[[part]]\ngeneration = "14"\ntitle = "T"\nintro = "i"\nchapters = ["ring", "later"]\n')
    first, *rest = chapters.parts(order)
    assert (first.title, [c.area for c in first.chapters]) == ("T", ["ring"])
    assert {p.title for p in rest} == {chapters.REST}
    assert sum(len(p.chapters) for p in (first, *rest)) == len(chapters.chapters())
    assert [p.generation for p in rest] == ["14", "2011"]


@pytest.mark.parametrize("text", ["", "[[part]]\ngeneration = '14'\n", "part = 3", "[["])
def test_an_order_that_makes_no_sense_is_refused(text: str, tmp_path: Path) -> None:
    order = tmp_path / "chapters.toml"
    order.write_text(text)
    with pytest.raises(clauses.ClauseError, match=r"^chapters\.toml: "):
        chapters.parts(order)


def test_every_chapter_of_ours_has_its_place() -> None:
    assert chapters.REST not in {part.title for part in chapters.parts()}


def test_every_part_and_chapter_begins_with_prose(html: str) -> None:
    for part in chapters.parts():
        assert part.intro, part.title
        for chapter in part.chapters:
            assert chapter.intro, (chapter.generation, chapter.area)
    start = html.index('id="chapter-14-ring"')
    assert html.index("A ring is an array of slots", start) < html.index('id="14.ring.', start)


# --- the page --------------------------------------------------------------------------------------


def test_the_contents_lead_to_every_part_chapter_and_clause(html: str) -> None:
    contents = html[html.index('<aside class="toc"') : html.index("</aside>")]
    links = re.findall(r'href="#([^"]+)"', contents)
    wanted = [f"part-{i}" for i, _ in enumerate(chapters.parts(), 1)]
    wanted += [f"chapter-{g}-{a}" for g, a in chapters.chapters()]
    wanted += list(clauses.load())
    wanted += [table.anchor for table in (*book.structures(), *book.constants())]
    assert set(wanted) <= set(links)
    assert set(links) <= set(ids(html))


def test_clauses_stand_on_the_page_in_reading_order(html: str) -> None:
    told = [c.id for part in chapters.parts() for chapter in part.chapters for c in chapter.clauses]
    assert re.findall(r'<article class="clause" id="([^"]+)"', html) == told


def test_a_clause_shows_its_level_whom_it_binds_and_what_holds_it(html: str) -> None:
    clause = clauses.load()["14.ring.tx-window"]
    start = html.index(f'<article class="clause" id="{clause.id}"')
    article = html[start : html.index("</article>", start)]
    assert '<span class="lvl must">MUST</span>' in article and "binds the application" in article
    row = next(row for row in matrix.rows() if row.clause.id == clause.id)
    for rule in row.rules:
        assert rule.id in article
    for scenario in row.scenarios:
        assert f'href="#scn-{scenario.generation}-{scenario.id}"' in article
    assert all(deviation in article for deviation in clause.deviations) and clause.deviations


def test_a_clause_that_is_only_tested_says_why(html: str) -> None:
    pytest.importorskip("z3", reason="the reasons stand beside the proofs, which need the extra prove")
    reasons = book.tested_only()
    assert reasons and set(reasons) <= set(clauses.load())
    for clause in reasons:
        start = html.index(f'<article class="clause" id="{clause}"')
        article = html[start : html.index("</article>", start)]
        assert "<dt>proofs</dt>" in article, clause


def test_every_scenario_is_there_with_its_text(html: str) -> None:
    for scenario in matrix.scenarios():
        assert f'id="scn-{scenario.generation}-{scenario.id}"' in html
    written = [s for s in matrix.scenarios() if s.lines]
    assert written and all("# title:" not in s.lines for s in written)


def test_the_history_leads_to_the_clauses_that_say_today_what_a_revision_brought(html: str) -> None:
    start = html.index('<section id="history">')
    section = html[start : html.index("</section>", start)]
    for revision, entry in history.table().entries.items():
        assert revision in section and entry.date in section
        assert all(f'href="#{c}"' in section for c in entry.clauses)


def test_a_clause_names_the_findings_about_it(html: str) -> None:
    found = book.mentioned()
    assert set(found) == set(clauses.load())
    named = {f for names in found.values() for f in names}
    assert named and named <= set(findings.load())
    clause = next(c for c, names in found.items() if names and clauses.load()[c].deviations)
    start = html.index(f'<article class="clause" id="{clause}"')
    article = html[start : html.index("</article>", start)]
    assert all(f'href="#{f}"' in article for f in found[clause])


# --- structures ------------------------------------------------------------------------------------


def test_every_name_of_the_headers_has_its_row_on_the_page(html: str) -> None:
    page_ids = ids(html)
    assert len(page_ids) == len(set(page_ids))
    assert {book.anchor(name) for name in symbols.symbols()} <= set(page_ids)


def test_a_structure_shows_its_offsets_and_where_32_bit_targets_have_others() -> None:
    tables = {t.title: t for t in book.structures()}
    slot = tables["struct netmap_slot"]
    assert [(r.name, r.values[0]) for r in slot.rows] == [
        (f.name, str(f.offset)) for f in abi.layout("14").structs["netmap_slot"].fields
    ]
    ring = tables["struct netmap_ring"]
    narrow = ring.columns.index("offset (32-bit, align 4)")
    there = abi.layout("14@freebsd-i386").structs["netmap_ring"]
    assert [int(r.values[narrow]) for r in ring.rows] == [f.offset for f in there.fields]
    assert "offset (32-bit, align 8)" not in ring.columns, "nothing of it moves there"
    assert len(tables["struct netmap_if"].columns) == 3
    assert "32-bit, align 4: 56 bytes, aligned to 4" in tables["struct netmap_if"].note
    assert "32-bit" not in tables["struct nmreq"].note, "nothing of it differs"


def test_every_constant_is_in_one_group_with_its_value() -> None:
    rows = [row for table in book.constants() for row in table.rows]
    measured = abi.layout("14")
    assert len({r.name for r in rows}) == len(rows)
    shown = {r.name: r.values for r in rows}
    for name, value in measured.constants.items():
        assert shown[name] == (f"{value:#x}", str(value))
    for name, code in measured.ioctls["linux"].items():
        assert int(shown[name][0], 16) == code and int(shown[name][1], 16) == measured.ioctls["freebsd"][name]


def test_a_row_names_the_clauses_that_cite_it_or_why_none_does() -> None:
    cited = symbols.cited()
    for table in (*book.structures(), *book.constants()):
        for row in table.rows:
            symbol = row.anchor.removeprefix("abi-")
            assert list(row.clauses) == cited.clauses[symbol]
            assert bool(row.clauses) != bool(row.reason), symbol


# --- links -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("a slot with NS_MOREFRAG", ["#abi-NS_MOREFRAG"]),
        ("`head` and `cur`", ["#abi-netmap_ring.head", "#abi-netmap_ring.cur"]),
        ("`netmap_slot.len`", ["#abi-netmap_slot.len"]),
        ("an `nmreq_register`", ["#struct-nmreq_register"]),
        ("as in 14.ring.tx-window.", ["#14.ring.tx-window"]),
        ("the head of it, `nothing` and 14.ring.no-such", []),
        ("[NS_REPORT](#elsewhere)", ["#elsewhere"]),
        ("see `ring.md` or [memory.md](memory.md)", ["#chapter-14-ring", "#chapter-14-memory"]),
    ],
)
def test_names_in_prose_lead_to_what_they_name(text: str, lead: list[str]) -> None:
    assert re.findall(r'href="([^"]+)"', book.prose(text, "14")) == lead


def test_prose_is_escaped_and_the_old_generation_has_no_tables() -> None:
    told = book.prose("a < b, <script>, `<i>`", "14")
    assert "<script>" not in told and "&lt;script&gt;" in told and "<code>&lt;i&gt;</code>" in told
    assert "href" not in book.prose("`cur` of NS_REPORT", "2011")
    assert "<table>" in book.prose("| a |\n|---|\n| b |\n", "14")


@pytest.mark.parametrize(
    ("source", "link", "short"),
    [
        (
            "luigirizzo/netmap:sys/net/netmap.h@89607e14:285-327",
            f"{book.FORGE}/luigirizzo/netmap/blob/{book.COMMITS['89607e14']}/sys/net/netmap.h#L285-L327",
            "netmap.h 285–327",
        ),
        (
            "luigirizzo/netmap:a/b.c@89607e14:7, 9-10",
            f"{book.FORGE}/luigirizzo/netmap/blob/{book.COMMITS['89607e14']}/a/b.c#L7",
            "b.c 7, 9–10",
        ),
        ("netmap.c 2011-12-02:88", None, "netmap.c 2011-12-02:88"),
        ("luigirizzo/netmap:a/b.c@00000000:7", None, "b.c 7"),
        ("recording pipe_basic", None, "recording pipe_basic"),
    ],
)
def test_a_source_leads_to_the_lines_it_cites(source: str, link: str | None, short: str) -> None:
    assert (book.source_link(source), book.source_text(source)) == (link, short)


def test_every_citation_of_a_repository_can_be_followed() -> None:
    for clause in clauses.load().values():
        for source in clause.sources:
            assert "@" not in source or book.source_link(source), source


def test_the_lines_of_the_book_are_those_of_the_matrix() -> None:
    lines = view.lines(matrix.rows(), load_all(Path("nowhere"), Path("nowhere")))
    inside = [line for part in book.parts(lines) for chapter in part.chapters for line in chapter.lines]
    assert sorted(x.row.clause.id for x in inside) == sorted(x.row.clause.id for x in lines)

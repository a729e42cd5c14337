"""The clauses of the contract: how they are written, and that all of ours are written so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from netmap_spec import clauses, schemas

GOOD = """\
# An area

Prose before the first clause belongs to nobody.

## 14.area.first: what it is about

- level: MUST
- binds: kernel
- about: call
- source: somebody/netmap:sys/file.c@89607e14:10-20
- source: somebody/netmap:sys/file.c@89607e14:30
- deviation: 14.some-switch
- version: 2

The text, which may go on

- with a list: of its own.

## 14.area.second: another one

- level: SHOULD
- binds: application
- about: progress
- source: netmap.c 2011-12-02:7

More text.
"""


def test_a_clause_is_a_heading_attributes_and_prose() -> None:
    first, second = clauses.parse(GOOD, "14/area.md")
    assert (first.id, first.title, first.line) == ("14.area.first", "what it is about", 5)
    assert (first.level, first.binds, first.about, first.version) == ("MUST", "kernel", "call", 2)
    assert first.sources == (
        "somebody/netmap:sys/file.c@89607e14:10-20",
        "somebody/netmap:sys/file.c@89607e14:30",
    )
    assert first.deviations == ("14.some-switch",)
    assert first.text == "The text, which may go on\n\n- with a list: of its own."
    assert (first.generation, first.area, first.file) == ("14", "area", "14/area.md")
    assert (second.id, second.version, second.deviations, second.text) == (
        "14.area.second",
        1,
        (),
        "More text.",
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("## 14.area.first: what it is about", "## 14.Area.first: x"), "14/area.md:5: not a clause heading"),
        (("## 14.area.first: what it is about", "## 14.area.first"), "14/area.md:5: not a clause heading"),
        (("- level: MUST", "- level: OUGHT"), "14/area.md:7: level is 'OUGHT', not one of MUST,"),
        (("- binds: kernel", "- binds: nobody"), "14/area.md:8: binds is 'nobody', not one of kernel,"),
        (("- about: call", "- about: money"), "14/area.md:9: about is 'money', not one of state,"),
        (("- about: call\n", ""), "14/area.md:5: clause 14.area.first has no 'about'"),
        (("- source: netmap.c 2011-12-02:7\n", ""), "14/area.md:19: clause 14.area.second has no 'source'"),
        (
            ("- level: MUST\n", "- level: MUST\n- level: MUST\n"),
            "14/area.md:8: 14.area.first has a second 'level'",
        ),
        (("- about: call", "- abuot: call"), "14/area.md:9: 14.area.first has 'abuot', which is not one of"),
        (("- version: 2", "- version: two"), "14/area.md:13: version is 'two', not a number from 1"),
        (("- version: 2", "- version: 0"), "14/area.md:13: version is '0', not a number from 1"),
        (("More text.\n", ""), "14/area.md:19: clause 14.area.second says nothing"),
    ],
)
def test_a_malformed_clause_is_refused_by_file_and_line(change: tuple[str, str], complaint: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(clauses.ClauseError) as error:
        clauses.parse(GOOD.replace(*change), "14/area.md")
    assert str(error.value).startswith(complaint)
    assert "\n" not in str(error.value)


def _folder(tmp_path: Path, **files: str) -> Path:
    (tmp_path / "14").mkdir()
    for name, text in files.items():
        (tmp_path / "14" / f"{name}.md").write_text(text)
    return tmp_path


def test_clauses_of_a_folder_are_found_by_id(tmp_path: Path) -> None:
    assert list(clauses.load_from(_folder(tmp_path, area=GOOD))) == ["14.area.first", "14.area.second"]


def test_an_id_that_comes_twice_is_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path, area=GOOD, later=GOOD)
    with pytest.raises(clauses.ClauseError) as error:
        clauses.load_from(folder)
    assert str(error.value) == "14/later.md:5: 14.area.first is already at 14/area.md:5"


def test_a_retired_id_is_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path, area=GOOD)
    (folder / "retired.md").write_text("# Retired\n\n- 14.area.second: it said too much\n")
    assert clauses.retired(folder) == {"14.area.second": "it said too much"}
    with pytest.raises(clauses.ClauseError) as error:
        clauses.load_from(folder)
    assert str(error.value) == "14/area.md:19: 14.area.second is retired: it said too much"


# --- ours -------------------------------------------------------------------------------------

OURS = sorted(clauses.load().values(), key=lambda c: c.id)
IDS = [c.id for c in OURS]

#: What a citation looks like. Two documents by name and date; any other file by repository and commit.
CITATION = re.compile(
    r"""^(
      netmap\.c\ 2011-12-02:\d[\d\ ,–-]*                         # the first source document
    | netmap(_kern)?\.h\ \d+\ \d{4}-\d\d-\d\d(:[\w,\ –-]+)?      # its headers, by revision and date
    | [\w.-]+/[\w.-]+:[^@\s]+@[0-9a-f]{8,40}(:[\d\ ,–-]+)?       # repository:path@commit:lines
    | recordings?\ .+                                            # what real netmap was seen to do
    )$""",
    re.VERBOSE,
)


def test_there_are_clauses_of_both_generations() -> None:
    assert {c.generation for c in OURS} >= {"2011", "14"}


@pytest.mark.parametrize("clause", OURS, ids=IDS)
def test_every_clause_is_described_by_the_schema(clause: clauses.Clause) -> None:
    assert schemas.validate("clause", clause) == []


@pytest.mark.parametrize("clause", OURS, ids=IDS)
def test_every_clause_cites_a_source_a_reader_can_find(clause: clauses.Clause) -> None:
    for source in clause.sources:
        assert CITATION.match(source), f"{clause.file}:{clause.line}: {source}"


@pytest.mark.parametrize("clause", OURS, ids=IDS)
def test_every_clause_lies_in_the_folder_of_its_generation(clause: clauses.Clause) -> None:
    assert clause.file.startswith(f"{clause.generation}/")


@pytest.mark.parametrize("clause", [c for c in OURS if c.deviations], ids=lambda c: c.id)
def test_every_deviation_names_a_switch_of_its_generation(clause: clauses.Clause) -> None:
    for deviation in clause.deviations:
        assert re.match(rf"{clause.generation}\.[a-z0-9-]+(\b|:|$)", deviation), deviation


@pytest.mark.parametrize("bad", ["netmap.c:12", "somewhere", "owner/repo:file.c:12", "netmap.c 2011-12-02"])
def test_a_citation_nobody_can_follow_is_noticed(bad: str) -> None:
    """The control of the citation test."""
    assert not CITATION.match(bad)

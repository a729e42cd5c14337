"""coverage --sources: which lines of a C text do something, and whether clauses hold all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from netmap_conformance import cli
from netmap_conformance.coverage import history, lines, sources
from netmap_conformance.errors import UserError

TEXT = """\
/* one
 * two */

#include <sys/types.h>
#define WORDS 3
struct thing;
static int answer;
static int other = 4;
TUNABLE_INT("hw.other", &other);
struct pair {
	int left;	/* first */
	int right;
};
static int twice(int x);

static int
twice(int x,
    int y)
{
	int a, *b;
	int c = 2;
	enum { NO, YES };

	ND("nothing %d",
		x);
	if (x) {
		a = c; // and so
		goto done;
	} else
		return (x + 1);
done:
	return 0;
}
"""
KINDS = {
    lines.COMMENT: [1, 2],
    lines.BLANK: [3, 15, 23],
    lines.DIRECTIVE: [4],
    lines.DECLARATION: [6, 7, 14, 20, 22],
    lines.MEMBER: [10, 11, 12, 13],
    lines.HEADING: [16, 17, 18],
    lines.BRACE: [19, 29, 33],
    lines.EMPTY_MACRO: [24, 25],
    lines.LABEL: [31],
}
BEHAVIOUR = [5, 8, 9, 21, 26, 27, 28, 30, 32]


def text() -> dict[int, str]:
    return dict(enumerate(TEXT.splitlines(), 1))


def test_every_kind_of_line_is_told_apart_by_the_text_alone() -> None:
    kinds = lines.classify(text())
    for kind, numbers in KINDS.items():
        assert [n for n, k in kinds.items() if k == kind] == numbers, kind
    assert [n for n, k in kinds.items() if k == lines.BEHAVIOUR] == BEHAVIOUR


@pytest.mark.parametrize(
    "line",
    ["return;", "return x;", "break;", "goto done;", "case 1:", "default:", "x = 1;", "f(x);", "int a = 1;"],
)
def test_what_does_something_inside_a_function_is_never_taken_for_a_declaration(line: str) -> None:
    kinds = lines.classify(dict(enumerate(["void", "f(void)", "{", f"\t{line}", "}"], 1)))
    assert kinds[4] == lines.BEHAVIOUR


def test_comments_inside_strings_are_no_comments() -> None:
    assert lines.without_comments({1: 'f("/*", x);', 2: "g(); /* a", 3: "b */ h();"}) == {
        1: 'f("", x);',
        2: "g();",
        3: " h();",
    }


def classified(kinds: dict[str, list[int]]) -> sources.Lines:
    return sources.Lines("x.c", "0", 33, kinds)


def test_a_line_that_no_clause_cites_is_named_unless_it_is_listed() -> None:
    cited = {"2011.a.one": {5, 8, 9}, "2011.a.two": {21, 26, 27, 28}}
    listed = [sources.Listed(frozenset({30}), "a reason")]
    found = sources.cover(classified(KINDS), listed, cited)
    assert (found.uncovered, found.long, found.problems) == ([32], [], [])
    assert found.percent == pytest.approx(100 * 7 / 8)
    assert not found.complete
    assert sources.cover(classified(KINDS), listed, {**cited, "2011.a.three": {32}}).complete


def test_a_clause_that_spans_too_much_is_named_with_its_lines() -> None:
    found = sources.cover(classified(KINDS), [], {"2011.a.all": set(range(1, 34))}, most=8)
    assert (found.uncovered, found.long) == ([], [("2011.a.all", 9)])


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [
        ({1}, "line 1 is listed as without behaviour and needs no listing"),
        ({99}, "line 99 is listed as without behaviour and does not exist"),
    ],
)
def test_the_list_of_lines_without_behaviour_stays_what_it_says(numbers: set[int], problem: str) -> None:
    listed = [sources.Listed(frozenset(numbers), "a reason")]
    assert sources.cover(classified(KINDS), listed, {"2011.a.b": set(BEHAVIOUR)}).problems == [problem]


def test_ranges_are_written_and_read_back() -> None:
    assert lines.ranges([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
    assert sources.numbered("1-3, 7, 9-10") == {1, 2, 3, 7, 9, 10}
    with pytest.raises(ValueError, match="ends before it begins"):
        sources.numbered("5-4")


# --- ours -------------------------------------------------------------------------------------


def test_every_line_of_2011_that_does_something_is_held_by_a_clause_of_a_dozen_lines() -> None:
    """From the committed classification: the text itself is not part of the project."""
    found = sources.coverage("2011", None)
    assert found.to_json()["uncovered"] == ""
    assert found.long == []
    assert found.problems == []
    assert len(found.behaviour) > 700


def test_a_clause_less_and_a_line_is_uncovered() -> None:
    """The check can fail: without any one of the clauses that alone hold a line, that line shows."""
    document = sources.DOCUMENTS["2011"]
    known, listed = sources.stored("2011"), sources.no_behaviour("2011")
    cited = sources.spans(document)
    alone = [
        clause
        for clause in cited
        if sources.cover(known, listed, {c: n for c, n in cited.items() if c != clause}).uncovered
    ]
    assert len(alone) > len(cited) / 2


def test_a_text_that_is_not_the_document_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "netmap.c"
    file.write_text("xref: somewhere\n" + "".join(f"{n} {line}\n" for n, line in text().items()))
    assert cli.main(["coverage", "--sources", "--source", f"netmap.c={file}", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert "netmap.c 2011-12-02: is not the text lines.json was made from" in found["problems"]
    assert found["lines"] == 33


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sources", "--source", "netmap.c=/nowhere/at/all"], "/nowhere/at/all: no such file or directory"),
        (["--sources", "--source", "x.c=y"], "this generation's document is 'netmap.c 2011-12-02'"),
        (["--sources", "--source", "x.c"], "not DOCUMENT=FILE"),
        (["--sources", "--write"], "--write needs the text"),
        (["--sources", "-g", "14"], "give the history with --source"),
        (["--sources", "-g", "12"], "there is no generation '12'"),
        (["--branches", "-g", "14"], "branches are measured for generation 2011"),
        (["--sources", "--rules"], "coverage wants one of"),
        ([], "coverage wants one of"),
        (["--rules", "--only", "2011/no/*"], "no rule of generation 2011 matches"),
    ],
)
def test_wrong_options_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["coverage", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


# --- the history -------------------------------------------------------------------------------

HISTORY = """\
History log of a file
Revision Date Author Comments
# 73fdbfb9 26-Mar-2024 A Person <a@example.org>

words
# not a heading
# 99efa2c8 7-Dec-2023 B Person <b@example.org>
"""


def test_revisions_are_mapped_to_clauses_or_a_reason() -> None:
    assert [r.id for r in history.revisions(HISTORY)] == ["73fdbfb9", "99efa2c8"]
    none = history.compare(HISTORY, {})
    assert [r.id for r in none.unmapped] == ["73fdbfb9", "99efa2c8"]
    assert (none.to_json()["mapped"], none.complete) == (0, False)
    both = {"73fdbfb9": (("14.ring.tx-window",), ""), "99efa2c8": ((), "a licence")}
    assert history.compare(HISTORY, both).complete


def test_a_table_that_cannot_stand_is_named(tmp_path: Path) -> None:
    wrong = {"73fdbfb9": (("14.no.such-clause",), ""), "00000000": ((), "gone")}
    assert history.compare(HISTORY, wrong).problems == [
        "73fdbfb9: there is no clause '14.no.such-clause'",
        "00000000 is in the table and not in the document",
    ]
    with pytest.raises(UserError, match="no entry"):
        history.compare("nothing", {})
    table = tmp_path / "history.toml"
    table.write_text("[revision.73fdbfb9]\nclauses = []\n")
    with pytest.raises(UserError, match="names no clause and no reason"):
        history.table(table)


def test_the_table_of_generation_14_loads_and_an_unmapped_history_is_not_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = history.table()
    assert all(bool(named) != bool(reason) for named, reason in known.values())
    file = tmp_path / "history.txt"
    file.write_text(HISTORY.replace("73fdbfb9", "0123abcd"))
    assert cli.main(["coverage", "--sources", "-g", "14", "--source", f"netmap_kern.h={file}"]) == 1
    assert "of 2 revisions mapped" in capsys.readouterr().out

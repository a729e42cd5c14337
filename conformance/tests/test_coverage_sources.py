"""coverage --sources: which lines of a C text do something, and whether clauses hold all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from netmap_conformance import cli
from netmap_conformance.coverage import history, lines, sources
from netmap_conformance.errors import UserError
from netmap_spec import clauses, schemas
from netmap_spec.clauses import symbols

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
        (["--sources", "-g", "14", "--write"], "14 has none"),
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


IDS = ["73fdbfb9", "99efa2c8"]


def made(**entries: history.Entry) -> history.Table:
    """A table of the two revisions above; names are revisions with an ``r`` before them."""
    known = {name.removeprefix("r"): entry for name, entry in entries.items()}
    return history.Table(known, len(IDS), history.digest(IDS))


def test_revisions_are_mapped_to_clauses_or_a_reason() -> None:
    assert [r.id for r in history.revisions(HISTORY)] == IDS
    none = history.compare(HISTORY, made())
    assert (none.unmapped, none.problems) == (IDS, [])
    assert (none.to_json()["mapped"], none.complete) == (0, False)
    clause = history.Entry(clauses=("14.ring.tx-window",))
    one = history.compare(HISTORY, made(r73fdbfb9=clause))
    assert (one.unmapped, one.complete) == (["99efa2c8"], False)
    both = made(r73fdbfb9=clause, r99efa2c8=history.Entry(reason="a licence"))
    assert history.compare(HISTORY, both).complete
    assert history.compare(None, both).complete


def test_without_the_text_a_table_with_an_entry_less_is_not_complete() -> None:
    found = history.compare(None, made(r73fdbfb9=history.Entry(reason="a licence")))
    assert (found.complete, found.count) == (False, 2)
    assert "history.toml is of 2 revisions" in found.problems[0] and "these are 1" in found.problems[0]


def test_an_entry_shows_the_rules_and_scenarios_of_its_clauses() -> None:
    entry = history.Entry(clauses=("14.ring.tx-window",), about="positions")
    row = history.compare(None, made(r73fdbfb9=entry)).to_json()["entries"][0]
    assert (row["revision"], row["about"]) == ("73fdbfb9", "positions")
    assert row["rules"] and row["scenarios"]


def test_a_table_that_cannot_stand_is_named(tmp_path: Path) -> None:
    wrong = made(
        r73fdbfb9=history.Entry(clauses=("14.no.such-clause",)), r00000000=history.Entry(reason="gone")
    )
    assert history.compare(HISTORY, wrong).problems == [
        "73fdbfb9: there is no clause '14.no.such-clause'",
        "00000000 is in the table and not in the document",
    ]
    with pytest.raises(UserError, match="no entry"):
        history.compare("nothing", made())
    table = tmp_path / "history.toml"
    for bad, complaint in [
        ("clauses = []", "names no clause and no reason"),
        ("about = 'x'", "has not just one of"),
        ("clauses = ['14.ring.tx-window']\nreason = 'x'", "has not just one of"),
        ("why = 'x'", "has not just one of"),
    ]:
        table.write_text(f"[revision.73fdbfb9]\n{bad}\n")
        with pytest.raises(UserError, match=complaint):
            history.table(table)


def test_another_history_than_the_tables_is_not_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "history.txt"
    file.write_text(HISTORY.replace("73fdbfb9", "0123abcd"))
    assert cli.main(["coverage", "--sources", "-g", "14", "--source", f"netmap_kern.h={file}"]) == 1
    told = capsys.readouterr().out
    assert "of 2 revisions mapped" in told and "not mapped: 0123abcd" in told
    assert "these are 2, hash" in told


# --- generation 14 -----------------------------------------------------------------------------


def shown(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    status = cli.main(["coverage", "--sources", "--generation", "14", *options])
    return status, capsys.readouterr().out


def test_the_document_of_14_has_every_name_and_every_revision(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = shown(capsys, "--json")
    found = json.loads(text)
    assert schemas.validate("sources", found) == []
    assert (found["complete"], found["symbols"]["complete"] and found["history"]["complete"]) == (
        status == 0,
        status == 0,
    )
    names = {e["symbol"]: e for e in found["symbols"]["entries"]}
    assert set(names) == set(symbols.symbols())
    missing = [n for n, e in names.items() if not e["clauses"] and not e["reason"]]
    assert missing == found["symbols"]["missing"]
    assert len(found["history"]["entries"]) == found["history"]["mapped"]


def test_nothing_of_14_is_missing() -> None:
    """From the committed tables: neither headers nor history are part of the project."""
    assert [s.name for s in symbols.cited().missing] == []
    mapped = history.compare(None, history.table())
    assert (mapped.unmapped, mapped.problems) == ([], [])
    assert len(mapped.ids) == mapped.count


def test_a_revision_without_clauses_says_that_it_has_no_behaviour() -> None:
    for revision, entry in history.table().entries.items():
        assert entry.about and re.fullmatch(r"20[12]\d-\d\d-\d\d", entry.date), revision
        assert entry.clauses or entry.reason.startswith("no behaviour: "), revision


def test_a_name_in_no_clause_is_status_1_and_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(n for n, ids in symbols.cited().clauses.items() if ids)
    without = {i: c for i, c in clauses.load().items() if name not in set(symbols.cites(c))}
    monkeypatch.setattr(symbols, "load", lambda: without)
    status, text = shown(capsys)
    assert status == 1 and f"in no clause: {name} ({symbols.symbols()[name].kind})" in text


def test_the_list_shows_every_name_and_revision(capsys: pytest.CaptureFixture[str]) -> None:
    _, text = shown(capsys, "--list")
    lines = [line.split() for line in text.splitlines()]
    first = {line[0] for line in lines if line}
    assert set(symbols.symbols()) <= first
    assert set(history.table().entries) <= first

"""Citations of the clauses: each has a hash of the lines it was written from, which can be recomputed."""

from __future__ import annotations

from pathlib import Path

import pytest
from netmap_spec.clauses import sources

TEXT = "int\nmain(void)\n{\n\treturn 0;   \n}\n"


@pytest.mark.parametrize(
    ("text", "name", "path", "ranges"),
    [
        ("a/b:sys/x.c@0123456789:4", "a/b@0123456789", "sys/x.c", ((4, 4),)),
        ("a/b:sys/x.c@01234567:4-9, 12", "a/b@01234567", "sys/x.c", ((4, 9), (12, 12))),
        ("a/b:sys/x.c@01234567", "a/b@01234567", "sys/x.c", ()),
        ("netmap.c 2011-12-02:983,1003–1017", "netmap.c 2011-12-02", "", ((983, 983), (1003, 1017))),
        ("netmap.h 9662 2011-11-16:NR_REINIT", "netmap.h 9662 2011-11-16", "", ()),
    ],
)
def test_the_forms_of_a_citation(
    text: str, name: str, path: str, ranges: tuple[tuple[int, int], ...]
) -> None:
    assert sources.parse(text) == sources.Citation(text, name, path, ranges)


def test_a_recording_is_no_citation_of_lines() -> None:
    assert sources.parse("recording pipe_basic") is None


def bind(folder: Path) -> dict[str, Path]:
    (folder / "sys").mkdir()
    (folder / "sys" / "x.c").write_text(TEXT)
    (folder / "netmap.c").write_text(
        "xref: somewhere\n" + "".join(f"{n} {line}\n" for n, line in enumerate(TEXT.splitlines(), 1))
    )
    return {"a/b@01234567": folder, "netmap.c 2011-12-02": folder / "netmap.c"}


def lines(text: str, bound: dict[str, Path]) -> list[tuple[int, str]] | None:
    citation = sources.parse(text)
    assert citation is not None
    return sources.cited(citation, bound)


def test_cited_lines_are_read_from_a_tree_or_a_numbered_file(tmp_path: Path) -> None:
    bound = bind(tmp_path)
    for text in ("a/b:sys/x.c@0123456789abcdef:2,4-5", "netmap.c 2011-12-02:2, 4-5"):
        assert lines(text, bound) == [(2, "main(void)"), (4, "\treturn 0;   "), (5, "}")]
    assert lines("c/d:sys/x.c@01234567:1", bound) is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a/b:sys/x.c@01234567:6", "has no line 6"),
        ("a/b:sys/x.c@01234567:0", "has no line 0"),
        ("a/b:sys/x.c@01234567:5-4", "a range ends before it begins"),
        ("a/b:sys/y.c@01234567:1", "no such file"),
    ],
)
def test_lines_that_are_not_there_are_one_clear_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(sources.SourceMissing) as error:
        lines(text, bind(tmp_path))
    assert complaint in str(error.value) and "\n" not in str(error.value)


def test_the_hash_is_of_the_words_and_not_of_numbers_or_spaces_at_the_ends(tmp_path: Path) -> None:
    bound = bind(tmp_path)
    tree, document = lines("a/b:sys/x.c@01234567:1-5", bound), lines("netmap.c 2011-12-02:1-5", bound)
    assert tree and document
    assert sources.digest(tree) == sources.digest(document)
    assert sources.digest(tree) == sources.digest([(n + 1, line.strip()) for n, line in tree])
    for i, (n, line) in enumerate(tree):
        changed = [*tree[:i], (n, line + "x"), *tree[i + 1 :]]
        assert sources.digest(changed) != sources.digest(tree)


# --- ours -------------------------------------------------------------------------------------


def test_every_cited_line_of_every_clause_has_a_hash_and_no_hash_is_left_over() -> None:
    assert set(sources.stored()) == set(sources.citations()), (
        "run python -m netmap_spec.clauses.sources --source NAME=PATH … --write"
    )


def test_without_a_source_at_hand_nothing_differs() -> None:
    now, problems = sources.compare({})
    assert (now, problems) == (sources.stored(), [])


def test_a_source_that_says_something_else_is_noticed(tmp_path: Path) -> None:
    """Every file the clauses cite, as a text of the right length with other words."""
    bound: dict[str, Path] = {}
    for citation in sources.citations().values():
        root = tmp_path / citation.name.replace("/", "+")
        file = root / citation.path if citation.path else root
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("something else\n" * 9000)
        bound[citation.name] = root
    _, problems = sources.compare(bound)
    assert problems == [
        f"{text}: the lines are not those the clause was written from" for text in sources.citations()
    ]


def test_a_source_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert sources.main(["--source", "a/b@01234567=/nowhere/at/all"]) == 2
    assert capsys.readouterr().err == "--source a/b@01234567: /nowhere/at/all is not there\n"


def test_an_unknown_clause_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert sources.main(["--show", "14.no.such-clause"]) == 2
    assert capsys.readouterr().err == "there is no clause '14.no.such-clause'\n"

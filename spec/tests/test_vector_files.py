"""Files of test vectors: their form. That they are right is tested where the model is."""

from __future__ import annotations

import json

import pytest
from netmap_spec import clauses, vectors

NAMES = vectors.names()

#: All files together stay small enough to be read and shipped.
LIMIT_BYTES = 300_000


def test_there_are_vectors() -> None:
    assert "14/tx_prologue" in NAMES and "14/rx_prologue" in NAMES
    assert sum((vectors.HERE / f"{name}.json").stat().st_size for name in NAMES) < LIMIT_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_loaded_under_its_own_name(name: str) -> None:
    loaded = vectors.load(name)
    document = json.loads((vectors.HERE / f"{name}.json").read_text())
    assert name == f"{document['generation']}/{document['step']}"
    assert len(loaded.cases) == len(document["cases"]) == len(set(loaded.cases))


@pytest.mark.parametrize("name", NAMES)
def test_the_clauses_of_a_file_exist(name: str) -> None:
    assert set(vectors.load(name).clauses) <= set(clauses.load())


@pytest.mark.parametrize("name", NAMES)
def test_no_two_cases_disagree(name: str) -> None:
    results: dict[str, str] = {}
    for given, result in vectors.load(name).rows():
        assert results.setdefault(str(given), str(result)) == str(result)


def _document() -> dict[str, object]:
    document: dict[str, object] = json.loads((vectors.HERE / "14/index.json").read_text())
    return document


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"vectors": 2}, "x.json: vectors: 1 was expected"),
        ({"cases": []}, "x.json: cases: [] should be non-empty"),
        ({"cases": [[1, 2, 3]]}, "x.json: case 0 has 3 values, not 7"),
        ({"cases": [[1, 2, 3, 4, 5, 6, None]]}, "x.json: cases/0/6: None is not of type"),
        ({"inputs": ["n", "n"]}, "x.json: inputs: ['n', 'n'] has non-unique elements"),
    ],
)
def test_a_malformed_file_is_one_clear_line(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(vectors.VectorError) as error:
        vectors.parse(json.dumps({**_document(), **change}), "x")
    assert str(error.value).startswith(complaint) and "\n" not in str(error.value)


def test_a_file_that_is_not_json_names_the_line() -> None:
    with pytest.raises(vectors.VectorError, match=r"^x\.json:2: not JSON"):
        vectors.parse("{\n,", "x")


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(KeyError, match="no vectors '14/nothing'; there are: 14/index"):
        vectors.load("14/nothing")

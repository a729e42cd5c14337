"""The published schemas: well-formed, described throughout, and strict where they promise to be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from netmap_spec import schemas

NAMES = schemas.names()

RESULTS = {
    "prove",
    "conform",
    "teeth",
    "summary",
    "bench",
    "diff",
    "check",
    "doctor",
    "finding",
    "abi",
    "sources",
}
INPUTS = {"clause", "trace", "manifest", "vectors"}


def test_the_schemas_are_these() -> None:
    assert set(NAMES) == RESULTS | INPUTS


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_a_draft_2020_12_schema_with_an_id_of_its_own(name: str) -> None:
    schema = schemas.load(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:netmap-verify:schema:{name}:1"
    assert schema["title"] and schema["description"]


def _properties(schema: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every member any part of the schema describes, conditions left out."""
    if isinstance(schema, dict):
        for name, member in schema.get("properties", {}).items():
            yield f"{at}/{name}", member
        for key, part in schema.items():
            if key not in ("if", "then", "else", "allOf"):
                yield from _properties(part, f"{at}/{key}")
    elif isinstance(schema, list):
        for part in schema:
            yield from _properties(part, at)


@pytest.mark.parametrize("name", NAMES)
def test_every_member_is_described(name: str) -> None:
    members = list(_properties(schemas.load(name)))
    assert members
    assert [
        place for place, member in members if not member.get("description") and "$ref" not in member
    ] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_object_of_a_result_may_grow_and_none_of_an_input_may(name: str) -> None:
    def objects(part: Any) -> Iterator[dict[str, Any]]:
        if isinstance(part, dict):
            if part.get("type") == "object" and "properties" in part:
                yield part
            for inner in part.values():
                yield from objects(inner)
        elif isinstance(part, list):
            for inner in part:
                yield from objects(inner)

    for found in objects(schemas.load(name)):
        assert found.get("additionalProperties", True) == (name in RESULTS)


def test_an_unknown_schema_is_named_with_those_there_are() -> None:
    with pytest.raises(KeyError, match="no schema 'proof'; there are: abi, bench,"):
        schemas.load("proof")


# --- documents --------------------------------------------------------------------------------

FINDING = {
    "kind": "VIOLATION",
    "clause": "14.ring.tx-window",
    "step": 3,
    "op": "txsync A",
    "allowed": "EINVAL",
    "seen": "OK",
}

GOOD: dict[str, Any] = {
    "clause": {
        "id": "14.ring.tx-window",
        "title": "positions",
        "level": "MUST",
        "binds": "application",
        "about": "state",
        "text": "Words.",
        "sources": ["netmap.c 2011-12-02:1"],
        "version": 1,
        "area": "ring",
        "file": "14/ring.md",
        "line": 1,
        "deviations": [],
    },
    "trace": [
        {"netmap_trace": 1, "generation": "14", "ports": [{"name": "v0", "tx_slots": 4}]},
        {"ev": "call", "n": 1, "op": "open", "fd": "A"},
        {
            "ev": "return",
            "of": 1,
            "see": {"rings": {"tx0": {"head": 0}}, "slots": {"tx0": [[0, 2, 0, 0, 0]]}},
        },
    ],
    "manifest": {
        "name": "mine",
        "ports": {"v0": "em0"},
        "errno": {"E45": "EOPNOTSUPP"},
        "deviations": [{"clause": "14.ring.tx-window", "reason": "known"}],
    },
    "vectors": {
        "vectors": 1,
        "generation": "14",
        "step": "index",
        "reading": "contract",
        "clauses": ["14.ring.kring-order"],
        "about": "It adds.",
        "inputs": ["n"],
        "outputs": ["n'"],
        "cases": [[1, 2]],
    },
    "prove": {
        "obligations": [
            {
                "id": "a",
                "clauses": ["14.ring.tx-window"],
                "verdict": "PROVED",
                "control": {"verdict": "REFUTED"},
                "paths": 3,
                "seconds": 0.1,
                "finding": None,
            }
        ]
    },
    "conform": {
        "target": "reference",
        "scenarios": [
            {"id": "a", "clauses": [], "verdict": "PASS", "reason": ""},
            {"id": "b", "clauses": [], "verdict": "VIOLATION", "reason": "accepted", "findings": [FINDING]},
        ],
    },
    "teeth": {
        "mutants": [
            {
                "id": "m",
                "clause": "14.ring.tx-window",
                "status": "killed",
                "by": ["a"],
                "reason": "off by one",
            }
        ]
    },
    "check": {
        "files": [
            {
                "file": "a.jsonl",
                "generation": "14",
                "verdict": "VIOLATION",
                "steps": 3,
                "findings": [FINDING],
                "rules": {"14/ring/sync_finalize": 2},
            }
        ]
    },
    "diff": {
        "left": "reference",
        "right": "native",
        "scenarios": [
            {"id": "a", "verdict": "SAME", "reason": "", "differences": []},
            {
                "id": "b",
                "verdict": "DIFFERENT",
                "reason": "tails",
                "differences": [{"step": 1, "op": "txsync A", "what": "tx0.tail", "left": 3, "right": 4}],
            },
        ],
    },
    "doctor": {
        "checks": [
            {"name": "z3", "ok": False, "detail": "not installed: pip install …", "enables": ["prove"]}
        ]
    },
    "bench": {
        "machine": {"system": "Linux 6.1", "cpu": "x", "cpus": 2, "python": "3.11"},
        "measurements": [{"id": "model", "unit": "op/s", "value": 1000.5, "runs": 5}],
    },
    "summary": {
        "ok": True,
        "version": "0.1.0",
        "proofs": {"PROVED": 3},
        "targets": {"reference": {"PASS": 4}},
        "recordings": {"PASS": 20},
        "clauses": [{"id": "14.ring.tx-window", "level": "MUST", "rules": [], "proofs": [], "scenarios": []}],
    },
    "finding": FINDING,
    "sources": {
        "generation": "14",
        "complete": False,
        "symbols": {
            "symbols": 1,
            "cited": 0,
            "listed": 0,
            "missing": ["NS_REPORT"],
            "problems": [],
            "complete": False,
            "entries": [
                {"symbol": "NS_REPORT", "kind": "constant", "header": "netmap.h", "clauses": [], "reason": ""}
            ],
        },
        "history": {
            "document": "netmap_kern.h history",
            "revisions": 1,
            "mapped": 0,
            "unmapped": ["73fdbfb9"],
            "problems": [],
            "complete": False,
            "entries": [],
        },
    },
    "abi": {
        "left": "2011",
        "right": "14",
        "differences": [
            {"kind": "field", "name": "netmap_ring.avail", "left": "uint32_t at 12", "right": ""}
        ],
    },
}


@pytest.mark.parametrize("name", NAMES)
def test_a_good_document_has_no_errors(name: str) -> None:
    assert schemas.validate(name, GOOD[name]) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_required_member_is_named(name: str) -> None:
    """Every required member of the outermost object, removed one at a time."""
    if name == "trace":
        assert schemas.validate(name, [{"generation": "14"}]) == ["0: 'netmap_trace' is a required property"]
        return
    required = schemas.load(name).get("required")
    if required is None:  # several shapes: none of them is left when a member is gone
        for member in GOOD[name]:
            document = {key: value for key, value in GOOD[name].items() if key != member}
            assert schemas.validate(name, document)
        return
    for member in required:
        document = {key: value for key, value in GOOD[name].items() if key != member}
        assert schemas.validate(name, document) == [f"document: '{member}' is a required property"]


def change(name: str, path: str, value: Any) -> Any:
    """The good document with one value replaced; the path is as in the messages."""
    steps = [int(step) if step.isdigit() else step for step in path.split("/")]
    document = deepcopy(GOOD[name])
    place = document
    for step in steps[:-1]:
        place = place[step]
    place[steps[-1]] = value
    return document


@pytest.mark.parametrize(
    ("name", "path", "value", "complaint"),
    [
        ("clause", "level", "OUGHT", "level: 'OUGHT' is not one of"),
        ("clause", "id", "14.ring", "id: '14.ring' does not match"),
        ("clause", "sources", [], "sources: [] should be non-empty"),
        ("clause", "author", "x", "document: Additional properties are not allowed"),
        ("trace", "0/netmap_trace", 2, "0/netmap_trace: 1 was expected"),
        ("trace", "1/op", 5, "1/op: 5 is not of type 'string'"),
        ("trace", "1/ev", "start", "1/ev: 'call' was expected"),
        ("trace", "2/returned", 0, "2: Additional properties are not allowed"),
        ("trace", "2/see/rings", [], "2/see/rings: [] is not of type 'object'"),
        ("manifest", "watchdog_s", 0, "watchdog_s: 0 is less than or equal to"),
        ("manifest", "errno/E45", "no", "errno/E45: 'no' does not match"),
        ("manifest", "deviations/0/why", "", "deviations/0: Additional properties"),
        ("vectors", "cases/0/0", 1.5, "cases/0/0: 1.5 is not of type"),
        ("prove", "obligations/0/verdict", "OK", "obligations/0/verdict: 'OK' is not one"),
        ("conform", "scenarios/1/reason", "", "scenarios/1/reason: '' should be non-empty"),
        ("conform", "scenarios/1/findings/0/step", -1, "scenarios/1/findings/0/step"),
        ("teeth", "mutants/0/by", [], "mutants/0/by: [] should be non-empty"),
        ("teeth", "mutants/0/status", "survived", "mutants/0/by: "),
        ("check", "files/0/findings", [], "files/0/findings: [] should be non-empty"),
        ("check", "files/0/verdict", "FINE", "files/0/verdict: 'FINE' is not one"),
        ("diff", "scenarios/1/differences", [], "scenarios/1/differences: [] should be"),
        ("diff", "scenarios/1/verdict", "SAME", "scenarios/1/differences: "),
        ("doctor", "checks/0/detail", "", "checks/0/detail: '' should be non-empty"),
        ("bench", "machine/cpus", 0, "machine/cpus: 0 is less than the minimum"),
        ("summary", "proofs/PROVED", "3", "proofs/PROVED: '3' is not of type 'integer'"),
        ("finding", "kind", "NOT_MODELLED", "document: 'reason' is a required property"),
        ("finding", "clause", "", "clause: '' should be non-empty"),
        ("sources", "symbols/entries/0/kind", "flag", "symbols/entries/0/kind: 'flag' is not one of"),
        ("abi", "differences/0/kind", "member", "differences/0/kind: 'member' is not one of"),
    ],
)
def test_a_bad_document_is_refused_where_it_is_bad(name: str, path: str, value: Any, complaint: str) -> None:
    errors = schemas.validate(name, change(name, path, value))
    assert any(error.startswith(complaint) for error in errors), errors
    assert all("\n" not in error for error in errors)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"verdict": "REFUTED_AS_RECORDED"}, "obligations/0/finding: None is not of type 'string'"),
        ({"verdict": "REFUTED_AS_RECORDED", "finding": ""}, "obligations/0/finding: '' should be non-empty"),
        ({"control": {"verdict": "PROVED"}}, "obligations/0/control/verdict: 'REFUTED' was expected"),
        ({"control": {}}, "obligations/0/control: 'verdict' is a required property"),
        ({"paths": 0}, "obligations/0/paths: 0 is less than the minimum of 1"),
        ({"clauses": []}, "obligations/0/clauses: [] should be non-empty"),
    ],
)
def test_a_green_proof_without_its_evidence_is_refused(changes: dict[str, Any], complaint: str) -> None:
    document = deepcopy(GOOD["prove"])
    document["obligations"][0].update(changes)
    assert complaint in schemas.validate("prove", document)


def test_a_broken_proof_may_say_so() -> None:
    document = deepcopy(GOOD["prove"])
    document["obligations"][0].update({"verdict": "BROKEN", "control": {"verdict": "PROVED"}, "paths": 0})
    assert schemas.validate("prove", document) == []


def test_python_values_are_judged_as_the_json_they_become() -> None:
    @dataclass
    class Mutant:
        id: str
        clause: str
        status: str
        by: tuple[str, ...]
        reason: str

    good = Mutant("m", "14.ring.tx-window", "killed", ("a",), "")
    assert schemas.validate("teeth", {"mutants": (good,)}) == []
    good.by = ()
    assert schemas.validate("teeth", {"mutants": (good,)}) == ["mutants/0/by: [] should be non-empty"]


def test_json_lines_are_judged_by_line_number() -> None:
    lines = [json.dumps(line) for line in GOOD["trace"]]
    assert schemas.validate_lines("trace", "\n".join(lines) + "\n") == []
    text = "\n".join([lines[0], "", '{"ev": "call", "n": 0, "op": "open"}', "open A", '{"ev": "return"}'])
    assert schemas.validate_lines("trace", text) == [
        "line 3: n: 0 is less than the minimum of 1",
        "line 4: not JSON: Expecting value",
        "line 5: 'of' is a required property",
    ]
    assert schemas.validate_lines("trace", "") == ["line 1: [] should be non-empty"]
    assert schemas.validate_lines("trace", "nonsense") == ["line 1: not JSON: Expecting value"]


def test_a_huge_value_is_not_printed_whole() -> None:
    [error] = schemas.validate("finding", {**FINDING, "step": "9" * 10_000})
    assert len(error) < 350

"""The numbers in the clauses on the binary interface are the measured ones."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from netmap_spec import abi, clauses

AREA = [c for c in clauses.load().values() if c.id.startswith("14.abi.")]
MEASURED = abi.layout("14")
NUMBER = r"0x[0-9a-f]+|\d+"


def of_rows(text: str) -> Iterator[tuple[str, int]]:
    """``(constant, number)`` of table rows: a cell of numbers only, and as many constants in another cell."""
    for line in text.splitlines():
        if not line.startswith("|"):
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        numbers = [c for c in cells if re.fullmatch(rf"(?:{NUMBER})(?:, (?:{NUMBER}))*", c)]
        named = [names for c in cells if (names := [w for w in c.split(", ") if w in MEASURED.constants])]
        if numbers and named:
            values = [int(n, 0) for n in numbers[0].split(", ")]
            assert len(values) == len(named[0]), line
            yield from zip(named[0], values, strict=True)


def of_prose(text: str) -> Iterator[tuple[str, int]]:
    """``(constant, number)`` of ``NAME, NUMBER`` in a sentence."""
    for match in re.finditer(rf"\b([A-Z][A-Z_]+\w*), ({NUMBER})\b", " ".join(text.split())):
        if match[1] in MEASURED.constants:
            yield match[1], int(match[2], 0)


def said(text: str) -> list[tuple[str, int]]:
    return [*of_rows(text), *of_prose(text)]


@pytest.mark.parametrize("clause", AREA, ids=lambda c: c.id)
def test_a_constant_has_the_number_that_its_clause_says(clause: clauses.Clause) -> None:
    for name, value in said(clause.text):
        assert MEASURED.constants[name] == value, name


def test_most_flags_requests_options_and_modes_are_said_with_their_numbers() -> None:
    found = {name for clause in AREA for name, _ in said(clause.text)}
    for begin in ("NS_", "NETMAP_REQ_", "NETMAP_BDG_", "NR_"):
        known = {n for n in MEASURED.constants if n.startswith(begin)}
        assert len(found & known) > len(known) / 2, known - found


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("| NS_REPORT | 0x0001 | application | x |", "NS_REPORT"),
        ("| 3 | NETMAP_REQ_REGISTER | `nmreq_register` | x |", "NETMAP_REQ_REGISTER"),
        ("sets NR_TIMESTAMP, 0x0004, to have", "NR_TIMESTAMP"),
    ],
)
def test_a_wrong_number_is_noticed(text: str, wrong: str) -> None:
    ((name, value),) = said(text)
    assert (name, MEASURED.constants[name] != value) == (wrong, True)


def test_the_codes_have_the_numbers_and_sizes_that_their_clause_says() -> None:
    text = " ".join(clauses.load()["14.abi.codes"].text.split())
    for system, codes in MEASURED.ioctls.items():
        for name, code in codes.items():
            assert f"{name} {code & 0xFF}" in text, (system, name)
            assert chr(code >> 8 & 0xFF) == "i"


def test_sizes_are_those_of_every_target() -> None:
    text = " ".join(clauses.load()["14.abi.layout"].text.split())
    assert "`netmap_slot` takes 16 bytes and a `netmap_ring` 256" in text and "on every target" in text
    for target in abi.TARGETS:
        structs = abi.layout("14", target).structs
        assert (structs["netmap_slot"].size, structs["netmap_ring"].size) == (16, 256)
        ring = structs["netmap_ring"]
        assert ring.field("sem").offset % MEASURED.constants["NM_CACHE_ALIGN"] == 0
        assert ring.field("slot").offset == ring.size
    blocks = {MEASURED.structs[name].size for name in ("nm_csb_atok", "nm_csb_ktoa")}
    text = " ".join(clauses.load()["14.abi.control-blocks"].text.split())
    assert "A block takes 64 bytes" in text and blocks == {64}


#: 14.abi.same-words: the members that a program of other words has elsewhere, by its alignment of 64 bits.
ELSEWHERE = {
    4: {
        "nmreq_register.nr_flags",
        "nmreq_vale_attach.reg",
        "nmreq_vale_attach.port_index",
        "nmreq_vale_attach.pad1",
        "netmap_if.ring_ofs",
        "netmap_ring.ts",
        "netmap_ring.offset_mask",
        "netmap_ring.buf_align",
    },
    8: {"netmap_if.ring_ofs"},
}


def elsewhere(target: str) -> set[str]:
    """Members of the interface that have another place or size there than on 64-bit targets."""
    other = abi.layout("14", target)
    return {
        f"{name}.{f.name}"
        for name, struct in MEASURED.structs.items()
        if struct.header != "netmap_user.h"
        for f, there in zip(struct.fields, other.structs[name].fields, strict=True)
        if (f.offset, f.elem_size) != (there.offset, there.elem_size)
    }


@pytest.mark.parametrize("target", abi.TARGETS)
def test_what_differs_between_targets_is_what_the_clause_names(target: str) -> None:
    align = {"freebsd-armv7": 8, "freebsd-i386": 4, "linux-i386": 4, "linux-i386-time64": 4}
    assert elsewhere(target) == ELSEWHERE.get(align.get(target, 0), set())
    text = clauses.load()["14.abi.same-words"].text
    told = {f"nmreq_vale_attach.{m}" for m in ("port_index", "pad1")}  # "what follows reg"
    assert all(f"`{m}`" in text for m in ELSEWHERE[4] - told)

"""Names of the headers against clauses: what counts as citing one, and that none is forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest
from netmap_spec import abi, clauses
from netmap_spec.clauses import symbols
from netmap_spec.clauses.symbols import Listed

EVENTFDS = "nmreq_opt_sync_kloop_eventfds.eventfds"


def clause(text: str, title: str = "a title", names: str = "") -> clauses.Clause:
    """A clause that says ``text``."""
    line = f"- symbols: {names}\n" if names else ""
    head = (
        f"## 14.area.name: {title}\n\n- level: MUST\n- binds: kernel\n- about: state\n- source: recording x\n"
    )
    return clauses.parse(f"{head}{line}\n{text}\n", "14/area.md")[0]


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("a slot with NS_MOREFRAG set", {"NS_MOREFRAG"}),
        ("`NR_REG_ONE_NIC` and NIOCTXSYNC", {"NR_REG_ONE_NIC", "NIOCTXSYNC"}),
        ("`netmap_slot.len` counts bytes", {"netmap_slot.len"}),
        ("netmap_ring.head moves", {"netmap_ring.head"}),
        ("`ring_ofs` of the rings", {"netmap_if.ring_ofs"}),
        ("`head` moves", {"netmap_ring.head"}),  # control blocks have one, and are not meant
        ("`nr_ringid` of that mode", {"nmreq_register.nr_ringid"}),
        ("`ring_ofs[i]` bytes", {"netmap_if.ring_ofs"}),
        ("the device is NETMAP_DEVICE_NAME", {"NETMAP_DEVICE_NAME"}),
        ("what NETMAP_BUF(ring, i) gives", {"NETMAP_BUF"}),
        ("`nmreq_opt_sync_kloop_mode.mode`", {"nmreq_opt_sync_kloop_mode.mode"}),
        ("`nmreq_opt_sync_kloop_eventfds.eventfds.irqfd`", {f"{EVENTFDS}.irqfd"}),
        ("an `irqfd` below 0", {f"{EVENTFDS}.irqfd"}),
        # not said clearly enough
        ("`hwcur` moves on", set()),  # the kring's
        ("`fd` of `nm_desc`", set()),  # a library's
        ("`flags` say so", set()),  # ring and slot have some
        ("ring_ofs of the rings", set()),  # a member alone, without backticks
        ("a transmission with more fragments", set()),
        ("NS_MOREFRAGS and XNS_MOREFRAG", set()),
    ],
)  # fmt: skip
def test_what_cites_a_name(text: str, cited: set[str]) -> None:
    assert set(symbols.cites(clause(text))) == cited


def test_a_chapter_of_its_own_means_its_own_structures() -> None:
    assert symbols.meant("legacy")["nr_ringid"] == "nmreq.nr_ringid"
    assert symbols.meant("csb")["cur"] == "nm_csb_atok.cur"
    assert symbols.meant("ring")["cur"] == "netmap_ring.cur"
    every = [name for area in (*symbols.IN_AREA, "ring") for name in symbols.meant(area).values()]
    assert set(every) <= set(symbols.symbols())
    structs = {s for known in (symbols.USUAL, *symbols.IN_AREA.values()) for s in known}
    assert structs <= set(abi.layout("14").structs)


def test_titles_and_symbol_lines_count() -> None:
    found = clause("words", title="what NS_REPORT asks for", names="netmap_ring.cur, netmap_ring.tail")
    assert set(symbols.cites(found)) == {"NS_REPORT", "netmap_ring.cur", "netmap_ring.tail"}
    assert found.symbols == ("netmap_ring.cur", "netmap_ring.tail")


def test_every_name_of_the_tables_is_a_symbol() -> None:
    layout, known = abi.layout("14"), symbols.symbols()
    members = sum(len(s.fields) for s in layout.structs.values())
    rest = [*layout.constants, *layout.strings, *layout.ioctls["linux"]]
    assert sum(s.kind == symbols.MEMBER for s in known.values()) == members
    assert all(name in known for name in rest)
    macros = [s.name for s in known.values() if s.kind == symbols.MACRO]
    assert len(known) == members + len(rest) + len(macros) and "NETMAP_BUF" in macros


def test_what_is_neither_cited_nor_listed_is_missing() -> None:
    some = [clause("NS_MOREFRAG"), clause("words", names="netmap_ring.cur")]
    found = symbols.compare(some, [Listed(("netmap_ring.*", "netmap_ring.cur"), "why")])
    assert found.clauses["NS_MOREFRAG"] == ["14.area.name"]
    assert found.problems == ["netmap_ring.cur is listed and 14.area.name cites it"]
    missing = {s.name for s in found.missing}
    assert "NS_REPORT" in missing and "netmap_slot.len" in missing
    assert not missing & {"NS_MOREFRAG", "netmap_ring.cur", "netmap_ring.head"}
    assert not found.complete
    assert symbols.compare([], [Listed(("*",), "everything")]).complete


@pytest.mark.parametrize(
    ("names", "listed", "problem"),
    [
        ("NS_MOREFRAGS", [], "14.area.name: no header has 'NS_MOREFRAGS'"),
        ("", [Listed(("nm_no_*",), "why")], "'nm_no_*' is listed and no header has it"),
    ],
)
def test_a_name_that_no_header_has_is_a_problem(names: str, listed: list[Listed], problem: str) -> None:
    assert symbols.compare([clause("words", names=names)], listed).problems == [problem]


def test_symbols_of_one_area_only_are_told() -> None:
    found = symbols.compare([clause("NS_MOREFRAG")], [])
    assert (found.only("area"), found.only("other")) == (["NS_MOREFRAG"], [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[listed]]\nsymbols = ['x']\n",
        "[[listed]]\nsymbols = []\nreason = 'x'\n",
        "[[listed]]\nsymbols = ['x']\nreason = ' '\n",
        "listed = 1",
    ],
)
def test_a_malformed_list_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "symbols.toml"
    path.write_text(text)
    with pytest.raises(clauses.ClauseError, match=r"symbols\.toml: "):
        symbols.listed(path)


# --- ours -------------------------------------------------------------------------------------


def test_our_list_and_symbol_lines_stand() -> None:
    assert symbols.cited().problems == []


def test_every_name_of_the_headers_is_in_a_clause_or_listed_with_a_reason() -> None:
    assert [s.name for s in symbols.cited().missing] == []

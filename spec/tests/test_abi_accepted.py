"""Which numbers each kernel takes: every layout has its row, and the rows say what was read."""

from __future__ import annotations

import pytest
from netmap_spec import abi
from netmap_spec.abi import AbiError, accepted
from netmap_spec.clauses import sources

NUMBERS = range(18)


def taken(version: str, request: str = "nmreq") -> list[int]:
    return [n for n in NUMBERS if accepted.takes(version, request, n)]


@pytest.mark.parametrize(
    ("version", "numbers", "told"),
    [
        ("api3-2013-03", [3], "own"),
        ("api5-2013-11", [5], "own"),
        ("api10-2014-01", [10], "own"),
        ("api11-2014-02", list(NUMBERS), "own"),
        ("api12-branch-2018-01", list(NUMBERS), "own"),
        ("api12-2018-03", list(NUMBERS), "sent"),
        ("api13-2018-10", list(NUMBERS), "sent"),
        ("api13-last-2019-02", list(range(11, 18)), "sent"),
        ("api14-2019-02", list(range(11, 18)), "sent"),
        ("14", list(range(14, 18)), "sent"),
    ],
)
def test_what_the_old_interface_took(version: str, numbers: list[int], told: str) -> None:
    row = accepted.accepted(version, "nmreq")
    assert row is not None
    assert (taken(version), row.told) == (numbers, told)


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("api12-2018-03", list(NUMBERS)), ("api13-2018-10", [13, 14, 15]), ("14", [14, 15])],
)
def test_what_nioctrl_took(version: str, numbers: list[int]) -> None:
    assert taken(version, "NIOCCTRL") == numbers


def test_every_layout_with_a_number_has_one_row_a_request() -> None:
    for key, table in abi.tables().items():
        named = [row.request for row in accepted.rows() if key in row.layouts]
        control = "NIOCCTRL" in table["ioctls"]["linux"] and key != "api12-branch-2018-01"
        wanted = [] if table["api"] is None else ["nmreq", "NIOCCTRL"] if control else ["nmreq"]
        assert named == wanted, key
        # Who speaks a kernel's own number is understood by it, whatever else it takes.
        assert all(accepted.takes(key, request, table["api"]) for request in wanted), key


def test_every_row_says_where_it_was_read() -> None:
    for row in accepted.rows():
        cited = [sources.parse(source) for source in row.source]
        assert all(c and c.ranges for c in cited)
        read = {c.name.rpartition("@")[2] for c in cited if c}
        for key in row.layouts:
            commit = abi.tables()[key]["source"].removeprefix("luigirizzo/netmap ")[:8]
            assert (commit in read) != (key in row.unread), key
        assert set(row.unread) <= set(row.layouts)


def test_requests_and_layouts_nobody_knows() -> None:
    with pytest.raises(AbiError, match="unknown request 'NIOCX'"):
        accepted.takes("14", "NIOCX", 14)
    assert accepted.takes("2011", "nmreq", 3) is None
    assert accepted.takes("api11-2014-02", "NIOCCTRL", 11) is None

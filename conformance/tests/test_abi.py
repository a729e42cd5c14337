"""netmap-verify abi: every shape of its output, as a table and as JSON of its schema."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from netmap_conformance.cli import main
from netmap_spec import abi, schemas
from netmap_spec.abi import check


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(["abi", *arguments]) == status
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed(capsys, *arguments, "--json", status=status))
    assert schemas.validate("abi", found) == []
    return found


def test_every_measured_version_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys)
    assert [v["version"] for v in found["versions"]] == list(abi.tables())
    assert found["targets"] == list(abi.TARGETS)
    table = printed(capsys).splitlines()
    for each in found["versions"]:
        line = next(x for x in table if x.strip().startswith(each["version"]))
        assert f" {each['structs']} " in line and f" {each['constants']} " in line
        assert all(f" {words} " in line for words in each["takes"].values())
    takes = {each["version"]: each["takes"] for each in found["versions"]}
    assert takes["pre-api-2011-11"] == {}
    assert takes["api10-2014-01"] == {"nmreq": "own"}
    assert takes["api13-last-2019-02"] == {"nmreq": "11-", "NIOCCTRL": "13-15"}


@pytest.mark.parametrize("version", ["2011", "14", "api11-2014-02@freebsd-i386"])
def test_a_structure_is_a_table_of_offsets(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    ring = abi.layout(version).structs["netmap_ring"]
    found = document(capsys, "netmap_ring", "--version", version)
    assert [(f["name"], f["offset"], f["size"]) for f in found["fields"]] == [
        (f.name, f.offset, f.size) for f in ring.fields
    ]
    rows = [line.split() for line in printed(capsys, "struct netmap_ring", "-v", version).splitlines()]
    for f in ring.fields:
        assert any(row[:2] == [str(f.offset), str(f.size)] and row[-1] == f.name for row in rows), f.name


def test_a_constant_a_text_and_the_codes_of_both_systems(capsys: pytest.CaptureFixture[str]) -> None:
    assert document(capsys, "NS_MOREFRAG")["values"] == {"NS_MOREFRAG": 0x20}
    assert document(capsys, "NM_BDG_NAME")["values"] == {"NM_BDG_NAME": "vale"}
    codes = {f"NIOCCTRL ({system})": table["NIOCCTRL"] for system, table in abi.layout("14").ioctls.items()}
    assert document(capsys, "NIOCCTRL")["values"] == codes
    assert printed(capsys, "NIOCCTRL").splitlines() == [f"{k} = {v:#x}" for k, v in codes.items()]


@pytest.mark.parametrize("option", ["--diff", "--compare"])
def test_a_difference_names_both_sides(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, option, "api5-2013-11", "14@freebsd-i386", status=1)
    assert len(found["differences"]) == len(abi.compare("api5-2013-11", "14@freebsd-i386"))
    table = printed(capsys, option, "api5-2013-11", "14@freebsd-i386", status=1)
    for each in found["differences"]:
        line = next(x for x in table.splitlines() if f" {each['name']} " in x)
        assert (each["left"] or "-") in line and (each["right"] or "-") in line
    assert document(capsys, option, "14", "14")["differences"] == []
    assert printed(capsys, option, "14", "14") == "14 and 14 agree\n"


def test_the_history_goes_from_version_to_version(capsys: pytest.CaptureFixture[str]) -> None:
    steps = document(capsys, "--history")["history"]
    assert (steps[0]["left"], steps[-1]["right"]) == ("pre-api-2011-11", "api14-HEAD")
    assert all(a["right"] == b["left"] for a, b in pairwise(steps))
    assert all(s["differences"] for s in steps)  # a version that changed nothing would not be one
    inside = [s["right"] for s in steps if s["right"].split("-")[0] == s["left"].split("-")[0]]
    assert "api14-HEAD" in inside and "api12-2018-03" in inside  # one API number, two layouts


def test_the_history_of_one_name_is_what_is_about_it(capsys: pytest.CaptureFixture[str]) -> None:
    steps = document(capsys, "netmap_ring", "--history")["history"]
    changed = {s["right"] for s in steps if s["differences"]}
    assert changed == {"api3-2012", "api10-2014-01", "api14-HEAD"}
    names = {d["name"] for s in steps for d in s["differences"]}
    assert {"netmap_ring.avail", "netmap_ring.tail", "netmap_ring.offset_mask"} <= names
    assert all(n == "netmap_ring" or n.startswith("netmap_ring.") for n in names)
    told = printed(capsys, "netmap_ring", "--history")
    assert "api5-2013-11 -> api10-2014-01" in told and "nothing changed in api3-2013-03, " in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["netmap_sloth"], "did you mean netmap_slot"),
        (["netmap_sloth", "--history"], "no version has 'netmap_sloth'; did you mean netmap_slot"),
        (["--diff", "14", "15"], "unknown ABI version '15'"),
        (["--diff", "11", "14"], "API 11 has more than one layout; choose one: api11-2014-02, api11-last"),
        (["netmap_slot", "--version", "13"], "choose one: api13-2018-10, api13-last-2019-02"),
        (["netmap_slot", "--version", "14@vax"], "unknown ABI target 'vax'"),
        (["--history", "--check"], "abi wants one of"),
        (["netmap_slot", "--diff", "2011", "14"], "abi wants one of"),
    ],
)
def test_wrong_input_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["abi", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


@pytest.mark.parametrize(("verdict", "status"), [("AGREES", 0), ("DIFFERS", 1), ("BROKEN", 1)])
def test_a_check_shows_every_header(
    verdict: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = () if verdict == "AGREES" else ("struct netmap_ring.cur is not at 25",)
    checked = [check.Checked("freebsd-i386", "net/netmap.h", verdict, errors)]
    monkeypatch.setattr(check, "check", lambda: checked)
    assert document(capsys, "--check", status=status)["checked"][0]["verdict"] == verdict
    told = printed(capsys, "--check", status=status)
    assert verdict in told and all(error in told for error in errors)


def test_without_a_compiler_a_check_is_status_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> list[check.Checked]:
        raise check.CompilerMissing("no zig: install the package 'ziglang'")

    monkeypatch.setattr(check, "check", missing)
    assert main(["abi", "--check"]) == 3
    assert "ziglang" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "key"), [("4", "api4-2013-11"), ("5", "api5-2013-11"), ("10", "api10-2014-01")]
)
def test_a_number_with_one_layout_is_its_name(
    number: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert document(capsys, "netmap_slot", "--version", number)["version"] == key
    assert document(capsys, "--diff", number, key)["differences"] == []

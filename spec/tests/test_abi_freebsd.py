"""FreeBSD's own netmap headers, from the wheel ``ziglang``, have generation 14's measured layout."""

from __future__ import annotations

import importlib.util
import shutil

import pytest
from netmap_spec import abi
from netmap_spec.abi import check
from netmap_spec.abi.emit_c import asserting_header
from netmap_spec.abi.generate import DECLARED
from netmap_spec.abi.measured import stem

FREEBSD = [target for target in check.TRIPLES if target.startswith("freebsd-")]

#: One target of each shape: 64-bit words, and 32-bit ones that align a 64-bit integer to 4 bytes or to 8.
SHAPES = ("linux-x86_64", "freebsd-i386", "freebsd-armv7")


@pytest.fixture(scope="module")
def compiler() -> list[str]:
    try:
        return check.find_compiler()
    except check.CompilerMissing as missing:
        pytest.skip(str(missing))


def test_every_measured_target_can_be_checked() -> None:
    assert set(check.TRIPLES) == set(abi.TARGETS)


@pytest.mark.parametrize("target", FREEBSD)
def test_freebsds_header_agrees(compiler: list[str], target: str) -> None:
    assert check.check_freebsd([target]) == [check.Checked(target, "net/netmap.h", "AGREES")]


@pytest.mark.parametrize("target", check.TRIPLES)
def test_declarations_of_every_version_agree_on_every_target(compiler: list[str], target: str) -> None:
    versions = check.VERSIONS if target in SHAPES else DECLARED
    found = {(c.header, c.verdict, c.errors) for c in check.check_own([target], versions)}
    assert found == {(f"abi_{stem(version)}.h", "AGREES", ()) for version in versions}


def judge(compiler: list[str], assertions: str) -> check.Checked:
    """FreeBSD's header on amd64 against some text of assertions."""
    texts = {"abi_assert_api14.h": assertions}
    return check.check_header(compiler, "freebsd-x86_64", "net/netmap.h", check.FOREIGN, texts)


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        (
            "(struct netmap_slot, 16, 8)",
            "(struct netmap_slot, 12, 8)",
            "size of struct netmap_slot is not 12",
        ),
        ("(NETMAP_API, 0xe)", "(NETMAP_API, 0xf)", "NETMAP_API is not 0xf"),
        ("NIOCCTRL, 0xc0586997", "NIOCCTRL, 0xc0586996", "NIOCCTRL is not 0xc0586996"),
        ("head, 4, uint32_t)", "head, 4, int32_t)", "struct netmap_ring.head is not a int32_t"),
    ],
)
def test_one_wrong_assertion_is_a_difference_with_its_name(
    compiler: list[str], right: str, wrong: str, complaint: str
) -> None:
    text = asserting_header("14")
    assert right in text
    found = judge(compiler, text.replace(right, wrong))
    assert (found.verdict, complaint in found.errors) == ("DIFFERS", True), found


def test_assertions_that_assert_nothing_are_broken(compiler: list[str]) -> None:
    assert judge(compiler, "/* nothing */\n").verdict == "BROKEN"


def test_a_header_that_does_not_compile_is_not_a_difference(compiler: list[str]) -> None:
    found = judge(compiler, "#error some other trouble\n")
    assert (found.verdict, found.errors) == ("FAILED", ("some other trouble",))


def test_a_missing_compiler_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(check.CompilerMissing) as error:
        check.check()
    assert "ziglang" in str(error.value) and "\n" not in str(error.value)

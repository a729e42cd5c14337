"""A manifest says what a target has and where it is known to differ; every slip in it is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest
from netmap_conformance import manifest
from netmap_conformance.manifest import ManifestError

DEV = 'name = "x"\n[[deviations]]\nclause = '

GOOD = """
name = "mine"
capabilities = ["pipe"]
[ports]
v0 = "em0"
[errno]
45 = "EOPNOTSUPP"
[[deviations]]
clause = "14.ring.reinit-resets"
switch = "14.reinit-trusts-user"
tests = "prologue-*"
reason = "keeps the user's words"
"""


def test_a_full_manifest_is_read() -> None:
    m = manifest.parse(GOOD)
    assert m.name == "mine"
    assert m.generation == "14"
    assert m.port("v0") == "em0"
    assert m.port("v0{1") == "em0{1", "a pipe's name keeps its suffix"
    assert m.port("x}2") == "x}2"
    assert (m.logical("em0"), m.logical("em0}1"), m.logical("v9")) == ("v0", "v0}1", "v9")
    assert m.errno_name(45) == "EOPNOTSUPP"
    assert m.errno_name(22) == "EINVAL"
    assert m.errno_name("ENOTSUP") == "EOPNOTSUPP", "one number, one name"


def test_a_deviation_speaks_for_its_clause_in_its_tests_only() -> None:
    m = manifest.parse(GOOD)
    assert m.deviation("14.ring.reinit-resets", "prologue-head") is not None
    assert m.deviation("14.ring.reinit-resets", "pipe-basic") is None
    assert m.deviation("14.ring.tx-window", "prologue-head") is None
    assert m.switches("prologue-head") == {"14.reinit-trusts-user"}
    assert m.switches("pipe-basic") == frozenset()


@pytest.mark.parametrize(
    ("text", "key", "what"),
    [
        ("", "name", "missing"),
        ("name = 3", "name", "Expected `str`"),
        ('name = ""', "name", "empty"),
        ('name = "x"\ngeneration = "13"', "generation", "13"),
        ('name = "x"\ncolour = 1', "colour", "unknown"),
        ('name = "x"\ncapabilities = ["teleport"]', "capabilities[0]", "teleport"),
        ('name = "x"\nwatchdog_s = 0', "watchdog_s", "positive"),
        ('name = "x"\n[errno]\n5 = "io error"', "errno.5", "io error"),
        (DEV + '"14.no.such"\nreason = "r"', "deviations[0].clause", "14.no.such"),
        (DEV + '"14.ring.tx-window"', "deviations[0].reason", "missing"),
        (DEV + '"14.ring.tx-window"\nreason = " "', "deviations[0].reason", "empty"),
        (GOOD.replace("14.reinit-trusts-user", "14.nonsense"), "deviations[0].switch", "14.nonsense"),
        (
            GOOD.replace('name = "mine"', 'name = "mine"\ngeneration = "2011"'),
            "deviations[0].clause",
            "generation",
        ),
        (GOOD + GOOD[GOOD.index("[[dev") :], "deviations[1]", "twice"),
        ("name = ", "not TOML", "Invalid value"),
    ],
)
def test_every_error_is_one_line_naming_file_and_key(text: str, key: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text(text)
    with pytest.raises(ManifestError) as caught:
        manifest.load(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert key in message
    assert what in message
    assert "\n" not in message


def test_a_missing_or_binary_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"nowhere\.toml: cannot be read: no such file"):
        manifest.load(tmp_path / "nowhere.toml")
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="not a text file"):
        manifest.load(binary)


@pytest.mark.parametrize("name", manifest.builtin())
def test_the_built_in_manifests_are_good_and_found_by_name(name: str) -> None:
    assert manifest.load(name).name

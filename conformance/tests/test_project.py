"""As a newcomer meets it: every folder says what it is, what is written is true, nothing leaks."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from netmap_conformance.commands import NAMES
from netmap_conformance.manifest import CAPABILITIES

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("spec", "reference", "conformance", "native", "hwtests")
#: Raw recordings are kept byte for byte; the lock is a machine's file, with a test of its own.
RAW = re.compile(r"\.(gz|jsonl|scn|png)$")


@cache
def committed() -> tuple[str, ...]:
    """Every file git knows, or in an unpacked archive every file that is not made by a build."""
    found = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if found.returncode == 0:
        return tuple(f for f in found.stdout.split("\0") if f and (ROOT / f).is_file())
    made = {".venv", "build", ".git", "__pycache__"}
    files = (p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file())
    return tuple(str(f) for f in files if not made & set(f.parts))


def texts() -> list[tuple[str, str]]:
    """The committed files that people wrote."""
    found = []
    for name in committed():
        if not RAW.search(name):
            found.append((name, (ROOT / name).read_text(encoding="utf-8")))
    return found


# --- every folder says what it is -----------------------------------------------------------------


def described(folder: Path) -> bool:
    """Has it a README, a text at the top of its ``__init__.py``, or its name in a README above it?

    A folder within ``tests`` is called after what it tests; there ``tests`` itself must be described.
    """
    if "tests" in folder.relative_to(ROOT).parts[:-1]:
        return described(folder.parent)
    readme, package = folder / "README.md", folder / "__init__.py"
    if readme.is_file() and readme.read_text(encoding="utf-8").strip():
        return True
    if package.is_file() and ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))):
        return True
    above = [p for p in folder.parents if p.is_relative_to(ROOT)]
    written = [(p / "README.md").read_text(encoding="utf-8") for p in above if (p / "README.md").is_file()]
    return any(re.search(rf"\b{re.escape(folder.name)}/", text) for text in written)


def test_every_folder_says_what_it_is() -> None:
    folders = {ROOT / parent for name in committed() for parent in Path(name).parents} - {ROOT / ".ci"}
    assert [str(f.relative_to(ROOT)) for f in sorted(folders) if not described(f)] == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_a_readme(room: str) -> None:
    readme = ROOT / room / "README.md"
    assert readme.is_file()
    assert readme.read_text().startswith("# ")


def test_links_in_readmes_lead_somewhere() -> None:
    dead = []
    for name in committed():
        if name.endswith(".md"):
            here = ROOT / name
            for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", here.read_text(encoding="utf-8")):
                if not re.match(r"[a-z]+:", link) and not (here.parent / link).exists():
                    dead.append(f"{name}: {link}")
    assert dead == []


# --- what is written is true ----------------------------------------------------------------------


def test_commands_named_in_the_readmes_exist() -> None:
    unknown = []
    for name in committed():
        if name.endswith(".md"):
            for command in re.findall(r"netmap-verify ([a-z]+)\b", (ROOT / name).read_text(encoding="utf-8")):
                if command not in NAMES:
                    unknown.append(f"{name}: netmap-verify {command}")
    assert unknown == []


def test_the_capabilities_in_the_readme_are_those_of_manifests() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "conformance/README.md").read_text(), re.MULTILINE)
    assert dict(rows) == CAPABILITIES


def make_targets() -> set[str]:
    (phony,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return set(phony.split())


def test_make_targets_named_in_the_readmes_exist() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "hwtests/README.md"):
        named = set(re.findall(r"\bmake ([a-z]+)", (ROOT / name).read_text()))
        assert named <= make_targets(), name
    told = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    helped = set(re.findall(r"^make (\w+)", told, re.MULTILINE))
    assert helped == make_targets() - {"help", "setup", "compiler"}


def test_ci_runs_the_readmes_test_command() -> None:
    assert "make test" in (ROOT / "README.md").read_text()
    ci = ROOT / ".ci/run"
    assert os.access(ci, os.X_OK)
    assert "make test" in ci.read_text()


def test_the_lock_is_complete_and_names_no_registry() -> None:
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text[text.index("\n\n") if text.startswith("#\n\n") else 0 :])
    pinned = [e for e in entries if re.match(r"[a-z0-9][a-z0-9.-]*==", e)]
    assert len(pinned) > 40
    assert all("--hash=sha256:" in e for e in pinned)
    assert not re.search(r"://|index-url|find-links|@ file", text)
    names = {re.split(r"==", e)[0] for e in pinned}
    assert {"typer", "rich", "msgspec", "z3-solver", "hypothesis", "pytest", "setuptools", "wheel"} <= names
    assert "netmap-verify" not in names


# --- nothing leaks --------------------------------------------------------------------------------


def test_no_path_of_a_machine_and_no_registry_host_is_committed() -> None:
    # written so that this file does not find itself
    words = ["py" + "pi.org", "pythonho" + "sted", "/ro" + "ot/", "/ho" + "me/", "/wo" + "rk/", "/op" + "t/"]
    pattern = re.compile("|".join(map(re.escape, words)))
    found = [f"{name}: {m[0]}" for name, text in texts() for m in pattern.finditer(text)]
    assert found == []


def test_no_upstream_text_is_committed() -> None:
    """Sources are cited, not copied: the licence blocks that their files begin with must not appear."""
    marks = ["Universita' " + "di Pisa", "THIS SOFTWARE IS PROVIDED BY " + "THE AUTHOR"]
    assert [name for name, text in texts() if any(m in text for m in marks)] == []

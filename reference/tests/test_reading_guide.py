"""The reading guide of the model names what is there, and says truly what is not modelled."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import netmap_reference
import netmap_spec.clauses
import pytest
from netmap_reference.core.step import RULES

PACKAGE = Path(netmap_reference.__file__).parent
GEN14 = PACKAGE / "gen14"
README = PACKAGE.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")
GUIDE = TEXT[TEXT.index("## Reading the model") : TEXT.index("## Two readings")]
MISSING = TEXT[TEXT.index("## What is not modelled") : TEXT.index("## Clauses without a rule")]
RULELESS = TEXT[TEXT.index("## Clauses without a rule") :]
#: Chapters of clauses that are no part of the model.
OTHERWISE = ("14.abi.", "14.driver.")


def named(text: str) -> set[str]:
    """Every file and folder between backticks."""
    return {word for word in re.findall(r"`([^` ]+)`", text) if word.endswith((".py", ".md", "/"))}


def columns() -> Iterator[tuple[set[str], set[str]]]:
    """``(files to read, clauses beside them)`` of every stage."""
    for line in GUIDE.splitlines():
        if re.match(r"\| (\d+ )?\| `", line):
            _, _, read, beside, look, _ = line.split("|")
            assert look.strip(), line
            yield named(read), named(beside)


def test_the_stages_read_files_that_are_there_beside_clauses_that_are_there() -> None:
    stages = list(columns())
    assert len(stages) > 10
    for read, beside in stages:
        assert read
        for name in read:
            assert (GEN14 / name).exists(), name
        for name in beside:
            assert (netmap_spec.clauses.HERE / "14" / name).exists(), name


#: Files of clauses that stand beside no stage, with the reason.
ALONE = {"abi.md": "bytes and numbers, which the model takes from netmap_spec"}


def test_every_file_of_clauses_stands_beside_a_stage() -> None:
    there = {path.name for path in (netmap_spec.clauses.HERE / "14").glob("*.md")}
    beside = {name for _, names in columns() for name in names}
    assert there == beside | ALONE.keys()
    assert not beside & ALONE.keys(), "no longer alone"


def test_every_folder_of_the_model_is_in_its_readme() -> None:
    told = set(re.findall(r"^## (\w+/)", (PACKAGE / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert told == {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}


def chapters() -> list[str]:
    """Every module of generation 14, below its folder."""
    found = [path.relative_to(GEN14).as_posix() for path in GEN14.rglob("*.py")]
    return sorted(name for name in found if not name.endswith("__init__.py"))


@pytest.mark.parametrize("module", chapters())
def test_every_module_of_generation_14_has_its_place_in_the_order(module: str) -> None:
    words = named(GUIDE)
    folder = module.split("/")[0] + "/"
    assert module in words or ("/" in module and folder in words), f"{module} is not in the reading guide"


def raised(source: str) -> Iterator[str]:
    """The ids that a module raises NotModelled with; what is not fixed in one is ``…``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "NotModelled" and node.args:
            first = node.args[0]
            if isinstance(first, ast.JoinedStr):
                parts = [str(v.value) if isinstance(v, ast.Constant) else "…" for v in first.values]
                yield "".join(parts)
            else:
                assert isinstance(first, ast.Constant), ast.unparse(node)
                yield str(first.value)


def test_what_is_not_modelled_is_what_the_model_refuses() -> None:
    told = set(re.findall(r"^\| `(14/[^`]+)`", MISSING, re.MULTILINE))
    there = {i for path in GEN14.rglob("*.py") for i in raised(path.read_text(encoding="utf-8"))}
    assert told == there, f"said and not raised: {told - there}; raised and not said: {there - told}"


def ruleless() -> list[tuple[list[str], str]]:
    """``(clauses, why)`` of every line of the table of clauses without a rule."""
    lines = re.findall(r"^\| (`14\.[^|]+) \| ([^|]+) \|$", RULELESS, re.MULTILINE)
    return [(re.findall(r"`(14\.[^`]+)`", names), why) for names, why in lines]


def test_every_clause_has_a_rule_of_the_contract_or_a_reason_why_not() -> None:
    for module in pkgutil.walk_packages(netmap_reference.__path__, "netmap_reference."):
        importlib.import_module(module.name)
    decided = {rule.clause for rule in RULES.values() if not rule.switch}
    asked = {c for c in netmap_spec.clauses.load() if c.startswith("14.") and not c.startswith(OTHERWISE)}
    told = [name for names, _ in ruleless() for name in names]
    assert len(told) == len(set(told))
    assert set(told) == asked - decided, "not told, or told and not so"


def test_who_is_bound_by_a_clause_without_a_rule_is_told_truly() -> None:
    known = netmap_spec.clauses.load()
    for names, why in ruleless():
        bound = {known[name].binds for name in names}
        assert ("binds the application" in why or "bind the application" in why) == (bound == {"application"})
        assert ("is a deviation" not in why) or all(known[name].deviations for name in names)


def test_an_id_is_found_however_it_is_written() -> None:
    source = 'raise NotModelled("14/a/b", "x")\nraise NotModelled(f"14/c/{name}/d", "y")\nraise Other("z")\n'
    assert list(raised(source)) == ["14/a/b", "14/c/…/d"]

"""A copy of the model imported beside the real one, with or without a rule.

The copy is the package under another name, built from the syntax trees of its files; relative imports
inside it stay inside it, so it has its own register of rules and the real model is never touched. Every
loop of the copy counts its rounds: one that does not end raises :class:`Endless` after a fixed number
of them, so that no verdict depends on a clock.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import netmap_reference

from . import deletion

NAME = "netmap_reference_copy"
REAL = "netmap_reference"
#: Rounds of all loops together that one copy may take between two refills.
ROUNDS = 2_000_000
_TICK = "_count_round"


class Endless(Exception):
    """A loop of the copy went on and on."""


class Fuel:
    """Rounds left until :class:`Endless`."""

    def __init__(self) -> None:
        self.left = ROUNDS

    def tick(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Endless("a loop that does not end")


class _Counting(ast.NodeTransformer):
    """Every loop's body begins with a call that counts the round."""

    def _loop(self, node: Any) -> Any:
        self.generic_visit(node)
        call = ast.Expr(ast.Call(ast.Name(_TICK, ast.Load()), [], []))
        node.body.insert(0, ast.copy_location(call, node.body[0]))
        return node

    visit_While = visit_For = _loop


def root() -> Path:
    """The folder of the real package."""
    return Path(netmap_reference.__file__).parent


@cache
def files() -> dict[str, Path]:
    """Module name below the package -> file, for every module of the model."""
    found: dict[str, Path] = {}
    for path in sorted(root().rglob("*.py")):
        parts = path.relative_to(root()).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(module: str) -> ast.Module:
    """The syntax tree of one module; never changed."""
    return ast.parse(files()[module].read_text(encoding="utf-8"))


@cache
def _unchanged(module: str) -> CodeType:
    return _compiled(tree(module), module)


def _compiled(made: ast.Module, module: str) -> CodeType:
    counted = _Counting().visit(ast.parse(ast.unparse(made)))
    return compile(ast.fix_missing_locations(counted), f"<copy of {module}>", "exec")


@cache
def homes() -> dict[str, tuple[str, str]]:
    """Rule id -> module and constant that define it."""
    return {
        rule: (module, constant)
        for module in files()
        for constant, rule in deletion.constants(tree(module)).items()
    }


def without(rule: str) -> tuple[dict[str, CodeType], int]:
    """The modules of the model that change when the rule is deleted, and at how many places it was fired."""
    module, constant = homes()[rule]
    generation = module.split(".")[0]
    switch = deletion.switch_of(tree(module), constant)
    changed: dict[str, CodeType] = {}
    places = 0
    for name in files():
        if name.split(".")[0] != generation:
            continue
        names = deletion.mentions(tree(name), constant, module, name == module)
        if names:
            made, count = deletion.delete(tree(name), names, switch)
            if count:
                changed[name] = _compiled(made, name)
                places += count
    return changed, places


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the copy's modules: the changed ones, else what the real files say."""

    def __init__(self, changed: dict[str, CodeType], fuel: Fuel) -> None:
        self.changed = changed
        self.fuel = fuel

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != NAME and not fullname.startswith(NAME + "."):
            return None
        module = fullname.removeprefix(NAME).removeprefix(".")
        if module not in files():
            return None
        package = files()[module].name == "__init__.py"
        return importlib.machinery.ModuleSpec(fullname, self, is_package=package)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__.removeprefix(NAME).removeprefix(".")
        module.__dict__[_TICK] = self.fuel.tick
        exec(self.changed.get(name) or _unchanged(name), module.__dict__)


@contextmanager
def copied(changed: dict[str, CodeType], module: str) -> Iterator[tuple[ModuleType, Fuel]]:
    """The named module of a fresh copy in which ``changed`` modules are so, and the copy's fuel."""
    fuel = Fuel()
    finder = _Finder(changed, fuel)
    sys.meta_path.insert(0, finder)
    try:
        yield importlib.import_module(f"{NAME}.{module}"), fuel
    finally:
        sys.meta_path.remove(finder)
        for name in [n for n in sys.modules if n == NAME or n.startswith(NAME + ".")]:
            del sys.modules[name]

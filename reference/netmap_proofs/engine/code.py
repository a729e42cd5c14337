"""What can be read off a function's code: the functions it calls, the rules it names, identity tests.

The functions reached from a step are those its code names: as globals of its module, as attributes
of a module it names, or as methods of a class it names; only the project's own packages are
followed.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import Any

from netmap_reference.core.step import RULES

from .errors import EngineError

PACKAGES = ("netmap_reference", "netmap_proofs", "netmap_spec")
#: Modules every step uses and no step is about.
_CORE = ("netmap_reference.core.step", "netmap_reference.core.outcome", "netmap_spec.clauses")


def _codes(code: CodeType) -> Iterator[CodeType]:
    """``code`` and every function body, lambda and comprehension inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _ours(module: str | None) -> bool:
    return module is not None and module.split(".")[0] in PACKAGES and module not in _CORE


def _names(function: FunctionType) -> Iterator[Any]:
    """Every object the code of ``function`` names through its globals, its closure or a module."""
    cells = function.__closure__ or ()
    for cell in cells:
        try:
            yield cell.cell_contents
        except ValueError:  # a name not bound yet
            continue
    for code in _codes(function.__code__):
        modules: list[ModuleType] = []
        for name in code.co_names:
            value = function.__globals__.get(name)
            if isinstance(value, ModuleType):
                modules.append(value)
            elif name in function.__globals__:
                yield value
        for module in modules:
            if _ours(module.__name__) or module.__name__ in _CORE:
                yield from (getattr(module, name) for name in code.co_names if hasattr(module, name))


def _methods(kind: type) -> Iterator[FunctionType]:
    """The methods and properties written in a class of ours; what @dataclass generated is not."""
    for value in vars(kind).values():
        if isinstance(value, property):
            value = value.fget
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        if isinstance(value, FunctionType) and not value.__code__.co_filename.startswith("<"):
            yield value


@cache
def closure(function: Callable[..., Any]) -> tuple[FunctionType, ...]:
    """``function`` and every function of the project that its code can reach by name, in a fixed order."""
    found: dict[FunctionType, None] = {}
    waiting: list[Any] = [inspect.unwrap(function)]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, type) and _ours(each.__module__):
            waiting.extend(method for method in _methods(each) if method not in found)
        elif isinstance(each, FunctionType) and _ours(each.__module__) and each not in found:
            found[each] = None
            waiting.extend(_names(each))
    return tuple(found)


def rules_named(function: Callable[..., Any]) -> frozenset[str]:
    """The ids of every registered rule that the function, or one it reaches, can name."""
    found: set[str] = set()
    for each in closure(function):
        strings = [c for code in _codes(each.__code__) for c in code.co_consts if isinstance(c, str)]
        for value in [*_names(each), *strings]:
            if isinstance(value, str) and value in RULES:
                found.add(value)
            elif isinstance(value, (tuple, frozenset, set, list)):
                found.update(v for v in value if isinstance(v, str) and v in RULES)
            elif isinstance(value, dict):
                found.update(v for v in value.values() if isinstance(v, str) and v in RULES)
    return frozenset(found)


@cache
def refuse_identity(function: Callable[..., Any]) -> None:
    """Raise :class:`EngineError` when the function tests identity with anything but ``None``.

    ``x is True`` or ``x is y`` would look at the symbol instead of the number it stands for, and no
    proxy can intercept it.
    """
    for each in closure(function):
        for code in _codes(each.__code__):
            before = None
            for instruction in dis.get_instructions(code):
                if instruction.opname == "IS_OP" and (before is None or before.argrepr != "None"):
                    line = instruction.positions.lineno if instruction.positions else code.co_firstlineno
                    file = code.co_filename.rsplit("/", 1)[-1]
                    raise EngineError(f"{file}:{line}: {each.__name__} tests identity")
                before = instruction

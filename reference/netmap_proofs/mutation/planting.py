"""A mutant in the running process: the function object stays, its code is exchanged.

Whoever holds the function (an obligation, another module, a method's class) then runs the mutant; the
original comes back when the block ends.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from types import CodeType, FunctionType
from typing import Any

from .operators import Mutant, bounded_tree, mutants, mutated_tree


def _compiled(function: FunctionType, tree: ast.Module) -> CodeType:
    """The code of a definition that stands in for the function's own."""
    namespace: dict[str, Any] = dict(function.__globals__)
    exec(compile(tree, function.__code__.co_filename, "exec"), namespace)
    code = namespace[function.__name__].__code__
    assert isinstance(code, CodeType)
    return code


def mutated_code(function: FunctionType, mutant: Mutant) -> CodeType:
    """The compiled code of the function with the slip in it."""
    return _compiled(function, mutated_tree(function, mutant))


@cache
def _bounded_code(function: FunctionType) -> CodeType | None:
    tree = bounded_tree(function)
    return None if tree is None else _compiled(function, tree)


@contextmanager
def loops_bounded(functions: Iterable[FunctionType]) -> Iterator[None]:
    """While the block runs, a ``while`` of these functions that does not end raises ``RuntimeError``."""
    own = {each: each.__code__ for each in functions}
    codes = {each: _bounded_code(each) for each in own}
    try:
        for each, code in codes.items():
            if code is not None:
                each.__code__ = code
        yield
    finally:
        for each, original in own.items():
            each.__code__ = original


def twin(function: FunctionType, code: CodeType | None = None) -> Callable[..., Any]:
    """A function object of its own with the same or other code: to be compared with the original."""
    return FunctionType(
        code or function.__code__, function.__globals__, function.__name__, function.__defaults__
    )


@contextmanager
def planted(function: FunctionType, mutant: Mutant) -> Iterator[None]:
    """While the block runs, ``function`` is the mutant."""
    original = function.__code__
    function.__code__ = mutated_code(function, mutant)
    try:
        yield
    finally:
        function.__code__ = original


class Slip:
    """A function with a slip in it, as the control of an obligation that runs a whole device.

    Such a body cannot be given a twin: the device calls its own functions. It plants what it was given
    with :func:`standing_in` instead. ``change`` is ``OLD -> NEW`` as in a mutant's id.
    """

    def __init__(self, function: Callable[..., Any], change: str) -> None:
        assert isinstance(function, FunctionType)
        self.function = function
        self.__name__ = function.__name__
        self.mutant = next(m for m in mutants(function) if m.id.endswith(f": {change}"))

    def __call__(self, *arguments: Any) -> Any:
        raise TypeError(f"{self.mutant.id} is planted, not called")


@contextmanager
def standing_in(functions: Iterable[Callable[..., Any]]) -> Iterator[None]:
    """While the block runs, every :class:`Slip` among ``functions`` is planted."""
    with ExitStack() as stack:
        for each in functions:
            if isinstance(each, Slip):
                stack.enter_context(planted(each.function, each.mutant))
        yield

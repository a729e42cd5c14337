"""A mutant in the running process: the function object stays, its code is exchanged.

Whoever holds the function (an obligation, another module, a method's class) then runs the mutant; the
original comes back when the block ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any

from .operators import Mutant, mutated_tree


def mutated_code(function: FunctionType, mutant: Mutant) -> CodeType:
    """The compiled code of the function with the slip in it."""
    namespace: dict[str, Any] = dict(function.__globals__)
    exec(compile(mutated_tree(function, mutant), function.__code__.co_filename, "exec"), namespace)
    code = namespace[function.__name__].__code__
    assert isinstance(code, CodeType)
    return code


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

"""From symbols to the values a model gives them, and from a type to a value made of symbols."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

import z3

from .errors import EngineError
from .sets import AnySet
from .symbols import SymBool, SymInt


def concrete(model: Any, value: Any) -> Any:
    """``value`` with every symbol replaced by what ``model`` says (0 and False where it does not care).

    Walks dataclasses, tuples, lists, sets and dictionaries; anything else is returned as it is.
    """
    kind = type(value)
    if kind is SymInt:
        return int(model.eval(value.term, model_completion=True).as_long())
    if kind is SymBool:
        return bool(z3.is_true(model.eval(value.term, model_completion=True)))
    if dataclasses.is_dataclass(kind):
        parts = {f.name: concrete(model, getattr(value, f.name)) for f in dataclasses.fields(kind) if f.init}
        return kind(**parts)
    if kind in (tuple, list, set, frozenset):
        return kind(concrete(model, v) for v in value)
    if kind is AnySet:
        return value.concrete(lambda v: concrete(model, v))
    if kind is dict:
        return {k: concrete(model, v) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind(*(concrete(model, v) for v in value))
    return value


def leaves(kind: type, name: str, given: Mapping[str, Any]) -> list[tuple[str, str, type]]:
    """The integer and truth fields of a dataclass: ``(field, symbol name, int or bool)``.

    Nested dataclasses are the caller's business; a field in ``given`` is left out. Raises
    :class:`EngineError` for a field that no symbol can stand for.
    """
    hints = typing.get_type_hints(kind)
    found: list[tuple[str, str, type]] = []
    for field in dataclasses.fields(kind):
        if field.name in given or not field.init:
            continue
        hint = hints[field.name]
        if hint is int or hint is bool or dataclasses.is_dataclass(hint):
            found.append((field.name, f"{name}.{field.name}", typing.cast(type, hint)))
        else:
            raise EngineError(
                f"{kind.__name__}.{field.name} is {hint}: no symbol can stand for it, give its value"
            )
    return found


def plain(value: Any) -> Any:
    """A value as JSON can hold it; dataclasses become ``{"type": NAME, field: …}``."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **parts}
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(v) for v in value), key=repr)
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if value is None or isinstance(value, (int, str, float)):
        return value
    return repr(value)

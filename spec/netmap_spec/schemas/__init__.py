"""JSON Schemas (draft 2020-12) of everything the project reads and writes.

``clause``, ``trace``, ``manifest`` and ``vectors`` describe inputs; unknown members are errors there.
The others describe results: their required members are what other tools may rely on, and further
ones may be added.

    from netmap_spec import schemas
    schemas.validate("prove", document)     # [] or one line an error
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

HERE = Path(__file__).parent
SUFFIX = ".schema.json"


def names() -> list[str]:
    """Every schema by name, sorted."""
    return sorted(path.name.removesuffix(SUFFIX) for path in HERE.glob(f"*{SUFFIX}"))


@cache
def load(name: str) -> dict[str, Any]:
    """The schema ``name``. Raises ``KeyError`` with the known names when there is none."""
    path = HERE / f"{name}{SUFFIX}"
    if name not in names():
        raise KeyError(f"no schema '{name}'; there are: {', '.join(names())}")
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


@cache
def _validator(name: str) -> Draft202012Validator:
    resources = [(load(n)["$id"], Resource.from_contents(load(n))) for n in names()]
    registry: Registry[Any] = Registry().with_resources(resources)
    return Draft202012Validator(load(name), registry=registry)


def validate(name: str, document: Any) -> list[str]:
    """Where ``document`` departs from the schema ``name``: one line an error, ``PLACE: problem``.

    ``document`` is what a JSON reader gives, or dataclasses, msgspec structs and tuples that would be
    written so. PLACE is a path of member names and indices (``obligations/0/verdict``), ``document``
    for the whole. Raises ``KeyError`` when there is no such schema.
    """
    plain = msgspec.json.decode(msgspec.json.encode(document))
    found = sorted(
        _validator(name).iter_errors(plain), key=lambda error: [str(p) for p in error.absolute_path]
    )
    return [
        f"{'/'.join(map(str, error.absolute_path)) or 'document'}: {_shorten(error.message)}"
        for error in found
    ]


def validate_lines(name: str, text: str) -> list[str]:
    """As :func:`validate`, for JSON Lines read as one array; PLACE begins with the line number.

    Lines without anything but spaces do not count. A line that is not JSON is its own error and is left out.
    """
    elements: list[Any] = []
    numbers: list[int] = []
    bad: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            elements.append(json.loads(line))
            numbers.append(number)
        except json.JSONDecodeError as error:
            bad.append((number, f"not JSON: {error.msg}"))
    for message in [] if bad and not elements else validate(name, elements):
        place, _, problem = message.partition(": ")
        index, _, rest = place.partition("/")
        if index.isdigit():
            bad.append((numbers[int(index)], f"{rest}: {problem}" if rest else problem))
        else:
            bad.append((numbers[0] if numbers else 1, problem))
    return [f"line {number}: {problem}" for number, problem in sorted(bad)]


def _shorten(message: str, limit: int = 300) -> str:
    """One line, without the whole document in it."""
    line = " ".join(message.split())
    return line if len(line) <= limit else f"{line[: limit - 20]} … {line[-18:]}"

"""Language-neutral test vectors: one application of a pure step a case, integers in, integers out.

The files are computed by the reference model (``netmap_reference.vectors``), which the spec does not
know; they are data here, for implementations in any language.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .. import schemas

HERE = Path(__file__).parent
FORMAT = 1

Value = int | bool | str


class VectorError(ValueError):
    """A file of vectors is malformed; the message is one line and names the file."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """One step's vectors. ``cases`` hold the values of ``inputs`` and then of ``outputs``."""

    name: str
    clauses: tuple[str, ...]
    about: str
    reading: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    cases: tuple[tuple[Value, ...], ...]

    def rows(self) -> Iterator[tuple[dict[str, Value], dict[str, Value]]]:
        """Each case as (inputs by name, outputs by name)."""
        cut = len(self.inputs)
        for case in self.cases:
            yield (
                dict(zip(self.inputs, case[:cut], strict=True)),
                dict(zip(self.outputs, case[cut:], strict=True)),
            )


def names() -> list[str]:
    """Every file of vectors: ``14/tx_prologue``, …"""
    return sorted(path.relative_to(HERE).with_suffix("").as_posix() for path in HERE.glob("*/*.json"))


def parse(text: str, name: str) -> Vectors:
    """The vectors in one file's text. Raises :class:`VectorError`."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise VectorError(f"{name}.json:{error.lineno}: not JSON: {error.msg}") from None
    for problem in schemas.validate("vectors", document):
        raise VectorError(f"{name}.json: {problem}")
    width = len(document["inputs"]) + len(document["outputs"])
    for number, case in enumerate(document["cases"]):
        if len(case) != width:
            raise VectorError(f"{name}.json: case {number} has {len(case)} values, not {width}")
    return Vectors(
        name=name,
        clauses=tuple(document["clauses"]),
        about=document["about"],
        reading=document["reading"],
        inputs=tuple(document["inputs"]),
        outputs=tuple(document["outputs"]),
        cases=tuple(tuple(case) for case in document["cases"]),
    )


@cache
def load(name: str) -> Vectors:
    """The vectors of that name. Raises ``KeyError`` with the known names, or :class:`VectorError`."""
    if name not in names():
        raise KeyError(f"no vectors '{name}'; there are: {', '.join(names())}")
    return parse((HERE / f"{name}.json").read_text(encoding="utf-8"), name)

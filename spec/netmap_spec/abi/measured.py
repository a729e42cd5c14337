"""The measured ABI tables: loading them, choosing a target, comparing two of them.

``tables.json`` holds sixteen versions of netmap's user-visible structures, each compiled and measured
on nine targets. A version lists the layout of its main target in full and, under
``differs_by_target``, only what other targets have otherwise; :func:`layout` puts the two together.

A version is named by its key in the tables (``api11-2014-02``), by a generation (``14``, ``2011``), or by a
number of the interface that had one layout (``10``); ``VERSION@TARGET`` names one on another target
(``14@freebsd-i386``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

#: generation -> key in tables.json
GENERATIONS = {"2011": "pre-api-2011-11", "14": "api14-HEAD"}

#: FreeBSD's own headers, measured apart: in nothing different from upstream's last (a test compares them).
SAME = {"api14-freebsd-zig0.17": "api14-HEAD"}

#: The targets every version was measured on. One that a version does not mention under
#: ``differs_by_target`` has the layout of the version's main target.
TARGETS = (
    "linux-x86_64", "linux-i386", "linux-i386-time64",
    "freebsd-x86_64", "freebsd-aarch64", "freebsd-riscv64", "freebsd-powerpc64",
    "freebsd-i386", "freebsd-armv7",
)  # fmt: skip


class AbiError(ValueError):
    """An ABI version or target that nobody measured; the message is one line."""


@dataclass(frozen=True, slots=True)
class Field:
    """One member: ``offset`` and ``size`` in bytes, ``ctype`` as declared, ``const`` included.

    An array has ``count`` elements of ``elem_size`` bytes; a flexible one has ``count`` and ``size``
    0. A name with a dot (``eventfds[0].irqfd``) is a member of an unnamed inner struct.
    """

    name: str
    offset: int
    size: int
    ctype: str
    count: int
    array: bool
    elem_size: int

    @property
    def bare(self) -> str:
        """The C type without ``const``."""
        return self.ctype.removeprefix("const ").strip()

    @property
    def inner(self) -> bool:
        """Is this a member of an unnamed inner struct, listed beside it?"""
        return "." in self.name


@dataclass(frozen=True, slots=True)
class Struct:
    """One structure: ``size`` and ``align`` in bytes, ``header`` the file of netmap that declares it."""

    name: str
    size: int
    align: int
    header: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        """The member of that name. Raises ``KeyError``."""
        for f in self.fields:
            if f.name == name:
                return f
        raise KeyError(f"{self.name}.{name}")


@dataclass(frozen=True, slots=True)
class Layout:
    """One version on one target.

    ``ioctls`` maps an operating system (``linux``, ``freebsd``) to codes by name;
    ``constant_header`` and ``enumerators`` tell where a constant is declared and how.
    """

    version: str
    target: str
    source: str
    api: int | None
    structs: Mapping[str, Struct]
    constants: Mapping[str, int]
    constant_header: Mapping[str, str]
    enumerators: frozenset[str]
    strings: Mapping[str, str]
    ioctls: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of a comparison; ``kind`` is struct, field, constant, string or ioctl, "" an absent side."""

    kind: str
    name: str
    left: str
    right: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.left or 'absent'} -> {self.right or 'absent'}"


@cache
def tables() -> dict[str, Any]:
    """Every measured ABI version as stored, by its name in ``tables.json``."""
    loaded: dict[str, Any] = json.loads((HERE / "tables.json").read_text(encoding="utf-8"))
    return loaded


def resolve(version: str) -> tuple[str, str]:
    """``(key in the tables, target)`` of ``VERSION`` or ``VERSION@TARGET``. Raises :class:`AbiError`."""
    name, _, target = version.partition("@")
    key = GENERATIONS.get(name, name)
    numbered = [k for k, table in tables().items() if name == str(table["api"])]
    if key not in tables() and len(numbered) > 1:
        raise AbiError(f"API {name} has more than one layout; choose one: {', '.join(numbered)}")
    if key not in tables() and numbered:
        key = numbered[0]
    if key not in tables():
        raise AbiError(f"unknown ABI version '{name}'; known: {', '.join([*GENERATIONS, *tables()])}")
    target = target or str(tables()[key]["structs_target"])
    if target not in TARGETS:
        raise AbiError(f"unknown ABI target '{target}'; known: {', '.join(TARGETS)}")
    return key, target


def stem(version: str) -> str:
    """What a version's generated files are called: ``api14``, ``api11_2014_02``. Raises :class:`AbiError`."""
    key = resolve(version)[0]
    key = SAME.get(key, key)
    for generation, known in GENERATIONS.items():
        if key == known:
            return f"api{generation}"
    return key.replace("-", "_")


def _struct(name: str, raw: Mapping[str, Any]) -> Struct:
    fields = tuple(
        Field(
            name=f["name"],
            offset=f["offset"],
            size=f["size"],
            ctype=f["type"],
            count=f["count"],
            array=bool(f.get("array")),
            elem_size=f.get("elem_size", f["size"]),
        )
        for f in raw["fields"]
    )
    return Struct(name, raw["size"], raw["align"], raw["header"], fields)


@cache
def layout(version: str, target: str | None = None) -> Layout:
    """A version as ``target`` has it (its main target when none is named). Raises :class:`AbiError`."""
    key, chosen = resolve(f"{version}@{target}" if target else version)
    table = tables()[key]
    differs = table["differs_by_target"].get(chosen, {})
    structs = {**table["structs"], **differs.get("structs", {})}
    absent = set(differs.get("constants_absent", ()))
    system = chosen.split("-", 1)[0]
    ioctls = {name: {k: int(v, 16) for k, v in codes.items()} for name, codes in table["ioctls"].items()}
    ioctls[system].update({k: int(v, 16) for k, v in differs.get("ioctls", {}).items()})
    return Layout(
        version=key,
        target=chosen,
        source=table["source"],
        api=table["api"],
        structs={name: _struct(name, raw) for name, raw in structs.items()},
        constants={k: v for k, v in table["constants"].items() if k not in absent},
        constant_header=table["constant_header"],
        enumerators=frozenset(table["enums_of"]),
        strings=table["strings"],
        ioctls=ioctls,
    )


def _field_text(f: Field) -> str:
    shape = f"[{f.count or ''}]" if f.array else ""
    return f"{f.ctype}{shape} at {f.offset}, {f.size} bytes"


def _pairs(kind: str, left: Mapping[str, str], right: Mapping[str, str]) -> list[Difference]:
    names = [*left, *(n for n in right if n not in left)]
    return [
        Difference(kind, n, left.get(n, ""), right.get(n, "")) for n in names if left.get(n) != right.get(n)
    ]


def compare(a: str, b: str) -> list[Difference]:
    """What changed from version ``a`` to version ``b``, in layout order, nothing when they agree.

    A struct only one side has is one difference; one that both have gives a line for its size or
    alignment and one for each member that moved, changed, came or went. Codes of both systems
    are compared. Raises :class:`AbiError`.
    """
    left, right = layout(a), layout(b)
    found: list[Difference] = []
    for name in [*left.structs, *(n for n in right.structs if n not in left.structs)]:
        x, y = left.structs.get(name), right.structs.get(name)
        sizes = [f"{s.size} bytes, aligned to {s.align}" if s else "" for s in (x, y)]
        if sizes[0] != sizes[1]:
            found.append(Difference("struct", name, *sizes))
        if x and y:
            found += _pairs(
                "field",
                {f"{name}.{f.name}": _field_text(f) for f in x.fields},
                {f"{name}.{f.name}": _field_text(f) for f in y.fields},
            )
    found += _pairs(
        "constant",
        {k: f"{v:#x}" for k, v in left.constants.items()},
        {k: f"{v:#x}" for k, v in right.constants.items()},
    )
    found += _pairs("string", left.strings, right.strings)
    for system in ("linux", "freebsd"):
        found += _pairs(
            "ioctl",
            {f"{k} ({system})": f"{v:#x}" for k, v in left.ioctls[system].items()},
            {f"{k} ({system})": f"{v:#x}" for k, v in right.ioctls[system].items()},
        )
    return found

"""The readiness matrix of generation 14: what a poll answers, by port, situation, event and flags.

``matrix.toml`` is the table; :func:`load` reads it. It is what the clauses of *poll* come to, written out: a
test of the reference runs every cell on the model, by Linux's choice and by FreeBSD's.

A cell is what the poll answers (``ready``, ``not``, ``error``, or both: ``ready+error``), and what it syncs:
``tx`` and ``rx`` when rings of that direction are. ``-`` stands where there is no such situation.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: Events of a poll, in the matrix's order; ``none`` asks for nothing.
EVENTS = ("in", "out", "none")
#: Flags of REGISTER that a row may be about; "" stands for none of them.
FLAGS = ("", "NR_NO_TX_POLL", "NR_DO_RX_POLL")
ANSWERS = ("ready", "not", "error", "ready+error", "-")


@dataclass(frozen=True, slots=True)
class Situation:
    """What has happened before the poll, and the rows by (event, flags): one cell a port.

    ``freebsd`` are the rows that differ where a poll is answered from the shared page (14.poll.syncs-ready).
    """

    name: str
    text: str
    rows: Mapping[tuple[str, str], tuple[str, ...]]
    freebsd: Mapping[tuple[str, str], tuple[str, ...]]

    def row(self, event: str, flags: str, freebsd: bool = False) -> tuple[str, ...]:
        """The cells of an event; flags without a row of their own change nothing."""
        for table in (self.freebsd, self.rows) if freebsd else (self.rows,):
            if (event, flags) in table:
                return table[event, flags]
        if freebsd and (event, flags) not in self.rows and (event, "") in self.freebsd:
            return self.freebsd[event, ""]
        return self.rows[event, ""]


@dataclass(frozen=True, slots=True)
class Way:
    """A way of waiting, and what it makes of the answer."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """All of it; ``ports`` are the columns."""

    ports: Mapping[str, str]
    situations: tuple[Situation, ...]
    ways: tuple[Way, ...]


def _rows(
    table: Mapping[str, list[str]], ports: int, where: str
) -> Mapping[tuple[str, str], tuple[str, ...]]:
    rows = {}
    for key, cells in table.items():
        event, _, flags = key.partition(" ")
        if event not in EVENTS or flags not in FLAGS:
            raise ValueError(f"{where}: '{key}' is not an event and flags")
        if len(cells) != ports or any(cell.split()[0] not in ANSWERS for cell in cells):
            raise ValueError(f"{where}, {key}: {ports} cells of {', '.join(ANSWERS)} are needed")
        rows[event, flags] = tuple(cells)
    return rows


@cache
def load() -> Matrix:
    """The matrix. ``ValueError`` when the file is not one, naming the situation."""
    data = tomllib.loads(Path(__file__).with_name("matrix.toml").read_text(encoding="utf-8"))
    ports = data["ports"]
    situations = tuple(
        Situation(
            name,
            s["text"],
            _rows(s["rows"], len(ports), name),
            _rows(s.get("freebsd", {}), len(ports), f"{name} on FreeBSD"),
        )
        for name, s in data["situations"].items()
    )
    return Matrix(ports, situations, tuple(Way(name, text) for name, text in data["ways"].items()))

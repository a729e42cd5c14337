"""Which numbers of the interface a kernel takes in ``nr_version``: ``accepted.toml``, a row for each habit.

A kernel of one layout takes its own number alone, any, or a range; afterwards ``nr_version`` holds its own or
what was sent.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache

from .measured import HERE, AbiError, resolve, tables

#: NIOCREGIF and NIOCGINFO take a ``struct nmreq``.
REQUESTS = ("nmreq", "NIOCCTRL")


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the kernels of ``layouts`` take in ``request``.

    ``first`` to ``last``, both included, without an end when it is ``None``; ``own`` says that each takes
    only its own number. ``told`` is what ``nr_version`` is afterwards, ``own`` or ``sent``; ``source`` where
    it was read, ``unread`` the layouts whose code was not at hand.
    """

    request: str
    layouts: tuple[str, ...]
    own: bool
    first: int
    last: int | None
    told: str
    source: tuple[str, ...]
    unread: tuple[str, ...]

    def takes(self, number: int, api: int) -> bool:
        """Does a kernel whose own number is ``api`` take ``number``?"""
        if self.own:
            return number == api
        return self.first <= number and (self.last is None or number <= self.last)

    @property
    def words(self) -> str:
        """For a table: ``own``, ``any``, ``11-``, ``14-15``."""
        if self.own:
            return "own"
        return "any" if self.first == 0 else f"{self.first}-{'' if self.last is None else self.last}"


@cache
def rows() -> tuple[Accepted, ...]:
    """Every row of ``accepted.toml``, in its order."""
    found = tomllib.loads((HERE / "accepted.toml").read_text(encoding="utf-8"))["row"]
    return tuple(
        Accepted(
            request=row["request"],
            layouts=tuple(row["layouts"]),
            own=row["takes"] == "own",
            first=row.get("first", 0),
            last=row.get("last"),
            told=row["told"],
            source=tuple(row["source"]),
            unread=tuple(row.get("unread", ())),
        )
        for row in found
    )


def accepted(version: str, request: str) -> Accepted | None:
    """The row of one layout, ``None`` when it has no such request or no number in it. Raises
    :class:`AbiError`."""
    if request not in REQUESTS:
        raise AbiError(f"unknown request '{request}'; known: {', '.join(REQUESTS)}")
    key = resolve(version)[0]
    return next((row for row in rows() if row.request == request and key in row.layouts), None)


def takes(version: str, request: str, number: int) -> bool | None:
    """Does a kernel of this layout take ``number``? ``None`` where it does not ask. Raises
    :class:`AbiError`."""
    row, api = accepted(version, request), tables()[resolve(version)[0]]["api"]
    return None if row is None or api is None else row.takes(number, api)

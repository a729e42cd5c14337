"""Chapter *words*: what the two parsers of port names have in common.

A port specification is a prefix, a name and a suffix: ``netmap:eth0-3/x``, ``vale0:a``. The suffix says which
rings, then flags behind ``/`` and a memory behind ``@``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netmap_spec.abi import api14

from ...core.outcome import errno
from ...core.step import Step, rule

USER_H = "luigirizzo/netmap:sys/net/netmap_user.h@89607e14"
NMREQ_C = "luigirizzo/netmap:libnetmap/nmreq.c@89607e14"
NMPORT_C = "luigirizzo/netmap:libnetmap/nmport.c@89607e14"

#: A memory's number beyond 16 bits becomes another memory's.
MEMID_CUT = "14.portspec-memory-cut"

MEMID = rule("14/portspec/memory/number", clause="14.portspec.memory", source=f"{NMREQ_C}:351-367")
MEMID_NONE = rule("14/portspec/memory/none", clause="14.portspec.memory", source=f"{NMREQ_C}:357-360")
MEMID_HIGH = rule("14/portspec/memory/too-high", clause="14.portspec.memory", source=f"{NMREQ_C}:356-366")
MEMID_WRAPS = rule(
    "14/portspec/memory/cut", clause="14.portspec.memory", source=f"{NMREQ_C}:356-366", switch=MEMID_CUT
)
RING_HIGH = rule("14/portspec/ring/out-of-range", clause="14.portspec.ring", source=f"{NMREQ_C}:305-318")
#: The deviations both parsers have.
AS_WRITTEN = frozenset({MEMID_CUT})
RING = rule("14/portspec/ring/number", clause="14.portspec.ring", source=f"{NMREQ_C}:305-318")
FLAG = rule("14/portspec/flags/letter", clause="14.portspec.flags", source=f"{NMREQ_C}:319-350")
NO_FLAG = rule("14/portspec/flags/unknown", clause="14.portspec.flags", source=f"{NMREQ_C}:344-346")

#: Letters behind ``/``.
FLAGS: Mapping[str, int] = {
    "x": api14.NR_EXCLUSIVE,
    "z": api14.NR_ZCOPY_MON,
    "t": api14.NR_MONITOR_TX,
    "r": api14.NR_MONITOR_RX,
    "R": api14.NR_RX_RINGS_ONLY,
    "T": api14.NR_TX_RINGS_ONLY,
}
RINGS = int(api14.NETMAP_RING_MASK)
ID_BITS = 1 << 16


class Unreadable(Exception):
    """A specification cannot be read: an errno's name, or the source lines of a fault."""

    def __init__(self, error: str, lines: str = "") -> None:
        super().__init__(error or lines)
        self.error = error
        self.lines = lines


def identifier(text: str) -> bool:
    """Letters, digits and underscores of ASCII; none at all will do."""
    return all(c.isascii() and (c.isalnum() or c == "_") for c in text)


def split(text: str, separators: str) -> tuple[str, str]:
    """``text`` up to the first separator, and the rest from it on."""
    at = min((i for i in (text.find(c) for c in separators) if i >= 0), default=len(text))
    return text[:at], text[at:]


@dataclass(frozen=True, slots=True)
class Number:
    """What strtol makes of a text: the value, how many characters it took, and whether there were digits."""

    value: int
    length: int
    digits: bool


def strtol(text: str) -> Number:
    """White space, a sign, digits; 0 and nothing taken without digits. Kept in a 64-bit ``long``."""
    i = 0
    while i < len(text) and text[i] in " \t\n\v\f\r":
        i += 1
    negative = text[i : i + 1] == "-"
    i += text[i : i + 1] in ("-", "+") and bool(text[i : i + 1])
    start = i
    while i < len(text) and text[i] in "0123456789":
        i += 1
    if i == start:
        return Number(0, 0, False)
    value = -int(text[start:i]) if negative else int(text[start:i])
    return Number(max(-(1 << 63), min(value, (1 << 63) - 1)), i, True)


def ring_number(value: int) -> Step[int]:
    """A ring's number: below 4095. EINVAL for any other."""
    if value < 0 or value >= RINGS:
        return Step(0, (RING_HIGH,), errno("EINVAL"))
    return Step(value, (RING,))


def memory_number(value: int, switches: frozenset[str] = frozenset()) -> Step[int]:
    """A memory's number, from 1 to 65535. EINVAL for any other; as written (MEMID_CUT) it wraps."""
    if value <= 0:
        return Step(0, (MEMID_NONE,), errno("EINVAL"))
    if value < ID_BITS:
        return Step(value, (MEMID,))
    if MEMID_CUT in switches:
        return Step(value % ID_BITS, (MEMID_WRAPS,))
    return Step(0, (MEMID_HIGH,), errno("EINVAL"))


def flag(letter: str) -> Step[int]:
    """The flag of a letter behind ``/``; EINVAL for a letter that is none."""
    if letter in FLAGS:
        return Step(FLAGS[letter], (FLAG,))
    return Step(0, (NO_FLAG,), errno("EINVAL"))

"""Is a return's observation of the right form? What the types of a trace leave open is checked here.

Rings, slots and request bodies are open dictionaries in a trace, since generations differ in their
fields. The oracle computes with them, so a text where a number belongs is the file's fault and is said
with its line, not found out in the middle of a comparison.
"""

from __future__ import annotations

from typing import Any

from ..trace import Call, Return, See

#: Members that hold text, in ``netmap_if`` and request bodies.
_TEXT = frozenset({"ni_name", "nr_name", "value", "text"})
#: Members of ``netmap_if`` that hold a list of numbers.
_LISTS = frozenset({"ring_ofs", "extra"})


class Malformed(ValueError):
    """An event says something that cannot be; ``line`` is where (0: nowhere)."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


def check(call: Call, done: Return) -> None:
    """Raises :class:`Malformed` for an observation that is no observation."""
    if done.see is not None:
        _see(done, done.see)
    if call.op == "register" and done.out is not None:
        _numbers(done, "out", done.out)


def _see(done: Return, see: See) -> None:
    for ring, fields in see.rings.items():
        if ring[:2] not in ("tx", "rx") or not ring[2:].isdigit():
            raise Malformed(done.line, f"'{ring}' is not the name of a ring")
        _numbers(done, f"rings.{ring}", fields)
    for ring, slots in see.slots.items():
        for slot in slots:
            if len(slot) != 5 or min(slot) < 0:
                raise Malformed(done.line, f"{slot} in {ring} is not [index, buf_idx, len, flags, ptr]")
    for name, value in (see.nifp or {}).items():
        if name in _LISTS:
            if not isinstance(value, list) or not all(isinstance(x, int) for x in value):
                raise Malformed(done.line, f"nifp.{name} is {value!r}, not a list of numbers")
        elif isinstance(value, int) == (name in _TEXT):
            raise Malformed(done.line, f"nifp.{name} is {value!r}")
    for place, data in see.bytes.items():
        ring, _, index = place.partition("/")
        if not (index.isdigit() and ring[2:].isdigit()) or not _is_hex(data):
            raise Malformed(done.line, f"bytes of '{place}' are {data!r}")
    for data in see.frames or []:
        if not _is_hex(data):
            raise Malformed(done.line, f"frame {data!r} is not bytes in hex")


def _numbers(done: Return, where: str, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if not isinstance(value, int) and name not in _TEXT:
            raise Malformed(done.line, f"{where}.{name} is {value!r}, not a number")


def _is_hex(text: str) -> bool:
    try:
        bytes.fromhex(text)
    except ValueError:
        return False
    return True

"""The small expressions of scenarios, made into numbers against the rings as they are now.

set A tx0 head=head+2          head, cur, tail (modulo the ring) or num (not), plus or minus a number
slot A tx0 0 buf_idx=extra:A:1 the second extra buffer of A's list
slot A tx0 1 buf_idx=@B:rx0:3  the buffer that slot 3 of B's rx0 names
slot A tx0 0 flags=NS_REPORT|NS_MOREFRAG     constants of API 14
slot A tx0 0 ptr=buf:A:tx0:9   the address at which A's application has the buffer of slot 9
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from netmap_spec.abi import api14

from .trace import See

#: Arguments that are text, whatever they look like.
TEXT = frozenset(
    (
        *("ring", "ring2", "fd2", "name", "request", "port", "side", "hex", "how", "prot", "flags", "mode"),
        *("events", "actor", "to", "options", "src", "dst", "at", "op", "fd", "point"),
        *("action", "lookup", "config"),
    )
)
_POSITION = re.compile(r"^(?P<base>head|cur|tail|num)(?P<by>(?:[+-]\d+)*)$")
_NUMBER = re.compile(r"^-?(0[xX][0-9a-fA-F]+|\d+)$")
_SLOT = re.compile(r"^@(?P<fd>\w+):(?P<ring>[tr]x\d+):(?P<index>\w+)(?P<by>[+-]\d+)?$")
_EXTRA = re.compile(r"^extra:(?P<fd>\w+):(?P<index>\d+)(?P<by>[+-]\d+)?$")
_ADDRESS = re.compile(r"^buf:(?P<fd>\w+):(?P<ring>[tr]x\d+):(?P<index>\d+)(?P<by>[+-]\d+)?$")
_U32 = 1 << 32

Look = Callable[[str], See]
Extra = Callable[[str, int], int]
Address = Callable[[str, str, int], int]


class ExpressionError(ValueError):
    """An expression cannot be made a number; one line."""


def is_number(value: Any) -> bool:
    """Is there nothing to resolve?"""
    return isinstance(value, int)


def is_address(value: Any) -> bool:
    """Is it an expression for an address of the application?"""
    return isinstance(value, str) and _ADDRESS.match(value) is not None


def no_address(fd: str, ring: str, index: int) -> int:
    """The answer of a target whose applications are not in this process. Raises :class:`ExpressionError`."""
    raise ExpressionError(f"where the application of {fd} has its buffers cannot be told")


def resolve(
    op: str, fd: str, args: dict[str, Any], look: Look, extra: Extra, address: Address = no_address
) -> dict[str, Any]:
    """The arguments of one call with every expression replaced by its number.

    ``look`` gives the rings of a descriptor as they are now, ``extra`` the n-th buffer of its list of
    extra buffers, ``address`` where its application has the buffer of a slot. Raises
    :class:`ExpressionError`.
    """
    found: dict[str, Any] = {}
    for key, value in args.items():
        text = key in TEXT and not (key == "flags" and op in ("set", "slot"))
        if text or not isinstance(value, str):
            found[key] = value
        elif is_address(value):
            place = _ADDRESS.match(value)
            assert place is not None
            at = address(place["fd"], place["ring"], int(place["index"]))
            found[key] = at + int(place["by"] or 0)
        else:
            found[key] = _value(value, fd, str(args.get("ring", "")), look, extra)
    return found


def _value(text: str, fd: str, ring: str, look: Look, extra: Extra) -> int:
    if _NUMBER.match(text):
        return int(text, 0)
    position = _POSITION.match(text)
    if position:
        fields = _ring(look, fd, ring)
        n = int(fields["num_slots"])
        by = sum(int(x) for x in re.findall(r"[+-]\d+", position["by"]))
        if position["base"] == "num":
            return (n + by) % _U32
        at = int(fields[position["base"]]) + by
        return at % n if n else at % _U32
    slot = _SLOT.match(text)
    if slot:
        see = look(slot["fd"])
        index = _value(slot["index"], slot["fd"], slot["ring"], look, extra)
        for entry in see.slots.get(slot["ring"], []):
            if entry[0] == index:
                return (entry[1] + int(slot["by"] or 0)) % _U32
        raise ExpressionError(f"{text}: {slot['fd']} shows no slot {index} of {slot['ring']}")
    more = _EXTRA.match(text)
    if more:
        return (extra(more["fd"], int(more["index"])) + int(more["by"] or 0)) % _U32
    total = 0
    for word in text.split("|"):
        number = int(word, 0) if _NUMBER.match(word) else getattr(api14, word, None)
        if not isinstance(number, int):
            raise ExpressionError(f"'{text}' is neither a number, a position nor a constant of API 14")
        total |= number
    return total


def _ring(look: Look, fd: str, ring: str) -> dict[str, Any]:
    rings = look(fd).rings
    if ring not in rings:
        raise ExpressionError(f"{fd} has no ring {ring}; it has {', '.join(rings) or 'none'}")
    return rings[ring]

"""Chapter *nm_open*: how ``nm_open`` of ``net/netmap_user.h`` reads the name of a port.

It fills a ``struct nmreq`` for NIOCREGIF. A name that begins neither with ``netmap:`` nor with ``vale`` is
not its business: it fails with errno 0. Names of pipes are numbers here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from netmap_spec.abi import api14

from ...core.outcome import errno
from ...core.step import Step, rule
from .words import (
    USER_H,
    Number,
    Unreadable,
    flag,
    identifier,
    memory_number,
    ring_number,
    split,
    strtol,
)

#: What the request had in ``nr_flags`` and ``nr_ringid`` before is kept, and the name's bits are added.
ADDS = "14.nm-open-adds-to-request"
#: A number may be missing, or have a sign and white space before it.
ANY_NUMBER = "14.nm-open-number-missing"
AS_WRITTEN = frozenset({ADDS, ANY_NUMBER})

NAME_SIZE = 16
_NAME = "14.nmopen.name"
OTHER = rule("14/nm-open/name/not-ours", clause=_NAME, source=f"{USER_H}:838-842")
NAME = rule("14/nm-open/name/netmap", clause=_NAME, source=f"{USER_H}:661-680")
VALE = rule("14/nm-open/name/vale", clause=_NAME, source=f"{USER_H}:645-660")
NO_COLON = rule("14/nm-open/name/no-colon", clause=_NAME, source=f"{USER_H}:647-652")
BAD_SWITCH = rule("14/nm-open/name/bad-switch", clause=_NAME, source=f"{USER_H}:654-658")
BAD_PORT = rule("14/nm-open/name/bad-port", clause=_NAME, source=f"{USER_H}:669-673")
LONG = rule("14/nm-open/name/too-long", clause=_NAME, source=f"{USER_H}:674-678")

_SUFFIX = "14.nmopen.suffix"
PLAIN = rule("14/nm-open/suffix/none", clause=_SUFFIX, source=f"{USER_H}:683")
HOST = rule("14/nm-open/suffix/host", clause=_SUFFIX, source=f"{USER_H}:688-691")
BOTH = rule("14/nm-open/suffix/both", clause=_SUFFIX, source=f"{USER_H}:692-695")
ONE = rule("14/nm-open/suffix/one", clause=_SUFFIX, source=f"{USER_H}:696-699")
MASTER = rule("14/nm-open/suffix/master", clause=_SUFFIX, source=f"{USER_H}:700-703")
SLAVE = rule("14/nm-open/suffix/slave", clause=_SUFFIX, source=f"{USER_H}:704-707")
UNEXPECTED = rule("14/nm-open/suffix/unexpected", clause=_SUFFIX, source=f"{USER_H}:728-731")
ENDS_EARLY = rule("14/nm-open/suffix/ends-early", clause=_SUFFIX, source=f"{USER_H}:794-797")
TWO_MEMORIES = rule("14/nm-open/suffix/two-memories", clause="14.portspec.memory", source=f"{USER_H}:778-782")
NO_NUMBER = rule("14/nm-open/number/none", clause="14.nmopen.number", source=f"{USER_H}:734-744")
MISSING = rule(
    "14/nm-open/number/missing", clause="14.nmopen.number", source=f"{USER_H}:734-744", switch=ANY_NUMBER
)
OVERRIDES = rule("14/nm-open/request/overrides", clause="14.nmopen.request", source=f"{USER_H}:804-806")
ADDED = rule("14/nm-open/request/added", clause="14.nmopen.request", source=f"{USER_H}:804-806", switch=ADDS)


@dataclass(frozen=True, slots=True)
class Nmreq:
    """The fields of ``struct nmreq`` that a name decides."""

    name: str = ""
    ringid: int = 0
    flags: int = 0
    arg2: int = 0


def nm_parse(text: str, before: Nmreq = Nmreq(), switches: frozenset[str] = frozenset()) -> Step[Nmreq]:
    """The request for a port's name; ``before`` is what the caller's request had. EINVAL for a name that
    cannot be read, no errno's name for one that is not nm_open's. Source: nm_open, nm_parse.
    """
    fired: list[str] = []
    try:
        found = _parse(text, before, switches, fired)
    except Unreadable as bad:
        return Step(before, tuple(fired), errno(bad.error))
    return Step(found, tuple(fired))


def _parse(text: str, before: Nmreq, switches: frozenset[str], fired: list[str]) -> Nmreq:
    name, suffix = _name(text, fired)
    if len(name) >= NAME_SIZE:
        fired.append(LONG)
        raise Unreadable("EINVAL")
    found = _suffix(suffix, switches, fired)
    ringid, flags = before.ringid | found.ringid, before.flags | found.flags
    if ADDS in switches and (ringid, flags) != (found.ringid, found.flags):
        fired.append(ADDED)
    else:
        fired.append(OVERRIDES)
        ringid, flags = found.ringid, found.flags
    return Nmreq(name, ringid, flags, found.arg2)


def _name(text: str, fired: list[str]) -> tuple[str, str]:
    """The port's name as NIOCREGIF gets it, and what stands behind it."""
    if not text.startswith(("vale", "netmap:")):
        fired.append(OTHER)
        raise Unreadable("")
    if text.startswith("vale"):
        fired.append(VALE)
        return _vale(text, fired)
    if text.startswith("netmap:"):
        fired.append(NAME)
        return split(text.removeprefix("netmap:"), "-*^{}/@")
    raise Unreadable("EINVAL")


def _vale(text: str, fired: list[str]) -> tuple[str, str]:
    """A switch, a colon and a port."""
    if ":" not in text:
        fired.append(NO_COLON)
        raise Unreadable("EINVAL")
    switch, rest = text.split(":", 1)
    if not identifier(switch[4:]):
        fired.append(BAD_SWITCH)
        raise Unreadable("EINVAL")
    port, suffix = split(rest, "-*^{}/@")
    if not identifier(port):
        fired.append(BAD_PORT)
        raise Unreadable("EINVAL")
    return f"{switch}:{port}", suffix


def _suffix(text: str, switches: frozenset[str], fired: list[str]) -> Nmreq:
    """First one of ``^ * -N {N }N`` or none, then ``/`` with flags and ``@`` with a memory."""
    found, text = _mode(text, switches, fired)
    while text:
        letter, text = text[0], text[1:]
        if letter == "/":
            found, text = _flags(found, text, fired)
        elif letter == "@":
            found, text = _memory(found, text, switches, fired)
        else:
            fired.append(UNEXPECTED)
            raise Unreadable("EINVAL")
    return found


def _mode(text: str, switches: frozenset[str], fired: list[str]) -> tuple[Nmreq, str]:
    """The mode and its ring, and what stands behind them."""
    first = text[:1]
    if first not in ("^", "*", "-", "{", "}"):
        fired.append(PLAIN)
        return Nmreq(flags=api14.NR_REG_ALL_NIC), text
    if first == "^":
        fired.append(HOST)
        return Nmreq(flags=api14.NR_REG_SW), text[1:]
    if first == "*":
        fired.append(BOTH)
        return Nmreq(flags=api14.NR_REG_NIC_SW), text[1:]
    if first == "-":
        fired.append(ONE)
        return _ring(api14.NR_REG_ONE_NIC, text[1:], switches, fired)
    if first == "{":
        fired.append(MASTER)
        return _ring(api14.NR_REG_PIPE_MASTER, text[1:], switches, fired)
    if first == "}":
        fired.append(SLAVE)
        return _ring(api14.NR_REG_PIPE_SLAVE, text[1:], switches, fired)
    raise Unreadable("EINVAL")


def _digits(text: str, switches: frozenset[str], fired: list[str]) -> Number:
    """The number a text begins with. As written (ANY_NUMBER) strtol decides what is one."""
    if not text:
        fired.append(ENDS_EARLY)
        raise Unreadable("EINVAL")
    if not text[0].isdigit():
        if ANY_NUMBER in switches:
            fired.append(MISSING)
        else:
            fired.append(NO_NUMBER)
            raise Unreadable("EINVAL")
    return strtol(text)


def _ring(mode: int, text: str, switches: frozenset[str], fired: list[str]) -> tuple[Nmreq, str]:
    """The number behind ``-``, ``{`` or ``}``."""
    number = _digits(text, switches, fired)
    step = ring_number(number.value)
    fired.extend(step.fired)
    if not step.outcome.ok:
        raise Unreadable(step.outcome.detail)
    return Nmreq(ringid=step.state, flags=mode), text[number.length :]


def _flags(found: Nmreq, text: str, fired: list[str]) -> tuple[Nmreq, str]:
    """Letters up to the end or to an ``@``; there is at least one, or an ``@``."""
    if not text:
        fired.append(ENDS_EARLY)
        raise Unreadable("EINVAL")
    letters, rest = split(text, "@")
    for letter in letters:
        step = flag(letter)
        fired.extend(step.fired)
        if not step.outcome.ok:
            raise Unreadable(step.outcome.detail)
        found = replace(found, flags=found.flags | step.state)
    return found, rest


def _memory(found: Nmreq, text: str, switches: frozenset[str], fired: list[str]) -> tuple[Nmreq, str]:
    """The number behind ``@``; one memory at most."""
    if found.arg2 and text:
        fired.append(TWO_MEMORIES)
        raise Unreadable("EINVAL")
    number = _digits(text, switches, fired)
    step = memory_number(number.value, switches)
    fired.extend(step.fired)
    if not step.outcome.ok:
        raise Unreadable(step.outcome.detail)
    return replace(found, arg2=step.state), text[number.length :]

"""Chapter *nm_open*: how ``nm_open`` of ``net/netmap_user.h`` reads the name of a port.

It fills a ``struct nmreq`` for NIOCREGIF. A name that begins neither with ``netmap:`` nor with ``vale`` is
not its business: it fails with errno 0. Names of pipes are numbers here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from netmap_spec.abi import api14

from ...core.outcome import errno
from ...core.step import Step, rule
from .words import MEMID_CUT, USER_H, Unreadable, flag, identifier, memory_number, ring_number, split, strtol

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


_MODES = {
    "^": (api14.NR_REG_SW, HOST),
    "*": (api14.NR_REG_NIC_SW, BOTH),
    "-": (api14.NR_REG_ONE_NIC, ONE),
    "{": (api14.NR_REG_PIPE_MASTER, MASTER),
    "}": (api14.NR_REG_PIPE_SLAVE, SLAVE),
}
_NUMBERED = "-{}"


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


def _refuse(fired: list[str], rules: str | tuple[str, ...], error: str = "EINVAL") -> Unreadable:
    fired.extend((rules,) if isinstance(rules, str) else rules)
    return Unreadable(error)


def _parse(text: str, before: Nmreq, switches: frozenset[str], fired: list[str]) -> Nmreq:
    if text.startswith("vale"):
        if ":" not in text:
            raise _refuse(fired, NO_COLON)
        switch, rest = text.split(":", 1)
        if not identifier(switch[4:]):
            raise _refuse(fired, BAD_SWITCH)
        port, suffix = split(rest, "-*^{}/@")
        if not identifier(port):
            raise _refuse(fired, BAD_PORT)
        name = f"{switch}:{port}"
        fired.append(VALE)
    elif text.startswith("netmap:"):
        name, suffix = split(text.removeprefix("netmap:"), "-*^{}/@")
        fired.append(NAME)
    else:
        raise _refuse(fired, OTHER, "")
    if len(name) >= NAME_SIZE:
        raise _refuse(fired, LONG)
    found = _suffix(suffix, switches, fired)
    if ADDS in switches and (before.ringid | found.ringid, before.flags | found.flags) != (
        found.ringid,
        found.flags,
    ):
        fired.append(ADDED)
        ringid, flags = before.ringid | found.ringid, before.flags | found.flags
    else:
        fired.append(OVERRIDES)
        ringid, flags = found.ringid, found.flags
    return Nmreq(name, ringid, flags, found.arg2)


def _suffix(text: str, switches: frozenset[str], fired: list[str]) -> Nmreq:
    """First one of ``^ * -N {N }N`` or none, then ``/`` with flags and ``@`` with a memory."""
    found = Nmreq(flags=api14.NR_REG_ALL_NIC)
    if text[:1] in _MODES:
        mode, which = _MODES[text[0]]
        fired.append(which)
        found = replace(found, flags=mode)
        numbered, text = text[0] in _NUMBERED, text[1:]
        if numbered:
            ring, text = _ring(text, switches, fired)
            found = replace(found, ringid=ring)
    else:
        fired.append(PLAIN)
    while text:
        letter, text = text[0], text[1:]
        if letter == "/":
            found, text = _flags(found, text, fired)
        elif letter == "@":
            found, text = _memory(found, text, switches, fired)
        else:
            raise _refuse(fired, UNEXPECTED)
    return found


def _ring(text: str, switches: frozenset[str], fired: list[str]) -> tuple[int, str]:
    """The number behind ``-``, ``{`` or ``}``."""
    if not text:
        raise _refuse(fired, ENDS_EARLY)
    number = strtol(text)
    if not text[0].isdigit():
        if ANY_NUMBER not in switches:
            raise _refuse(fired, NO_NUMBER)
        fired.append(MISSING)
    step = ring_number(number.value)
    if not step.outcome.ok:
        raise _refuse(fired, step.fired)
    fired.extend(step.fired)
    return step.state, text[number.length :]


def _flags(found: Nmreq, text: str, fired: list[str]) -> tuple[Nmreq, str]:
    """Letters up to the end or to an ``@``; there is at least one, or an ``@``."""
    if not text:
        raise _refuse(fired, ENDS_EARLY)
    letters, rest = split(text, "@")
    for letter in letters:
        step = flag(letter)
        if not step.outcome.ok:
            raise _refuse(fired, step.fired)
        fired.extend(step.fired)
        found = replace(found, flags=found.flags | step.state)
    return found, rest


def _memory(found: Nmreq, text: str, switches: frozenset[str], fired: list[str]) -> tuple[Nmreq, str]:
    """The number behind ``@``; one memory at most."""
    if not text:
        raise _refuse(fired, ENDS_EARLY)
    if found.arg2:
        raise _refuse(fired, TWO_MEMORIES)
    number = strtol(text)
    if number.digits and not text[0].isdigit():
        if ANY_NUMBER not in switches:
            raise _refuse(fired, NO_NUMBER)
        fired.append(MISSING)
    step = memory_number(number.value, MEMID_CUT in switches)
    if not step.outcome.ok:
        raise _refuse(fired, step.fired)
    fired.extend(step.fired)
    return replace(found, arg2=step.state), text[number.length :]

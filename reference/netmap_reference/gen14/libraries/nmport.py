"""Chapter *nmport*: how libnetmap reads a port specification.

``nmport_parse`` fills a header and an ``nmreq_register`` for NIOCCTRL. Behind name, mode and flags may come
options (:mod:`.nmport_options`): ``@conf:rings=2@share=vale0:a``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from netmap_spec.abi import api14

from ...core.outcome import errno, fault
from ...core.step import Step, rule
from .words import (
    NMPORT_C,
    NMREQ_C,
    Unreadable,
    flag,
    identifier,
    memory_number,
    ring_number,
    split,
    strtol,
)

#: A pipe may have an empty name when something follows.
EMPTY_PIPE = "14.nmport-empty-pipe"
#: A specification that cannot be read leaves the descriptor cleared.
CLEARS = "14.nmport-parse-clears"
AS_WRITTEN = frozenset({EMPTY_PIPE, CLEARS})

_NAME = "14.nmport.name"
NAME = rule("14/nmport/name/netmap", clause=_NAME, source=f"{NMREQ_C}:103-189")
VALE = rule("14/nmport/name/vale", clause=_NAME, source=f"{NMREQ_C}:103-189")
NO_PREFIX = rule("14/nmport/name/no-prefix", clause=_NAME, source=f"{NMREQ_C}:113-121")
NO_COLON = rule("14/nmport/name/no-colon", clause=_NAME, source=f"{NMREQ_C}:124-128")
NO_ID = rule("14/nmport/name/no-identifier-here", clause=_NAME, source=f"{NMREQ_C}:130-134")
BAD_ID = rule("14/nmport/name/bad-identifier", clause=_NAME, source=f"{NMREQ_C}:136-139")
EMPTY = rule("14/nmport/name/empty", clause=_NAME, source=f"{NMREQ_C}:176-179")
LONG = rule("14/nmport/name/too-long", clause=_NAME, source=f"{NMREQ_C}:171-175")
_PIPE = "14.nmport.pipe"
PIPE_BAD = rule("14/nmport/pipe/bad-name", clause=_PIPE, source=f"{NMREQ_C}:165-168")
PIPE_EMPTY = rule("14/nmport/pipe/empty-name", clause=_PIPE, source=f"{NMREQ_C}:161-164")
PIPE_PASSED = rule(
    "14/nmport/pipe/empty-passed", clause=_PIPE, source=f"{NMREQ_C}:159-169", switch=EMPTY_PIPE
)

_MODE = "14.nmport.mode"
PLAIN = rule("14/nmport/mode/none", clause=_MODE, source=f"{NMREQ_C}:259-262")
HOST = rule("14/nmport/mode/host", clause=_MODE, source=f"{NMREQ_C}:267-270")
ONE_HOST = rule("14/nmport/mode/one-host", clause=_MODE, source=f"{NMREQ_C}:368-375")
BOTH = rule("14/nmport/mode/both", clause=_MODE, source=f"{NMREQ_C}:271-274")
ONE = rule("14/nmport/mode/one", clause=_MODE, source=f"{NMREQ_C}:275-278")
NO_NUMBER = rule("14/nmport/mode/no-number", clause=_MODE, source=f"{NMREQ_C}:305-309")
UNEXPECTED = rule("14/nmport/mode/unexpected", clause=_MODE, source=f"{NMREQ_C}:299-302")
ENDS_EARLY = rule("14/nmport/mode/ends-early", clause=_MODE, source=f"{NMREQ_C}:378-386")
OTHER_MEMORY = rule("14/nmport/memory/other", clause="14.portspec.memory", source=f"{NMREQ_C}:361-364")
_FAILS = "14.nmport.failure"
UNCHANGED = rule("14/nmport/failure/unchanged", clause=_FAILS, source=f"{NMPORT_C}:555-568")
CLEARED = rule("14/nmport/failure/cleared", clause=_FAILS, source=f"{NMPORT_C}:555-568", switch=CLEARS)

NAME_SIZE = int(api14.NETMAP_REQ_IFNAMSIZ)


@dataclass(frozen=True, slots=True)
class Port:
    """What a specification decides: the header's version, type and name, fields of the register request, and
    options of it, each a type with fields; ``options`` are in the order the kernel will see them.
    """

    version: int = api14.NETMAP_API
    reqtype: int = api14.NETMAP_REQ_REGISTER
    name: str = ""
    mode: int = 0
    ringid: int = 0
    flags: int = 0
    mem_id: int = 0
    tx_slots: int = 0
    rx_slots: int = 0
    tx_rings: int = 0
    rx_rings: int = 0
    host_tx_rings: int = 0
    host_rx_rings: int = 0
    options: tuple[tuple[tuple[str, int | str], ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Around:
    """What surrounds a program that reads a specification.

    ``memory_of`` is PORT_INFO_GET for the port of a header's name: its memory, or an errno's name.
    ``file_size`` is the size of a file, bytes, or an errno's name. ``enabled`` are options beyond the usual
    ones, ``disabled`` those taken away (nmport_enable_option, nmport_disable_option).
    """

    memory_of: Callable[[str], int | str] = lambda name: "ENXIO"
    file_size: Callable[[str], int | str] = lambda name: "ENOENT"
    enabled: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    switches: frozenset[str] = frozenset()
    fired: list[str] = field(default_factory=list)


def nmport_parse(text: str, around: Around, before: Port = Port()) -> Step[Port]:
    """The descriptor after reading ``text``; ``before`` it, when it was refused. Source: nmport_parse."""
    from .nmport_options import options

    fired = around.fired
    start = len(fired)
    try:
        name, rest = header(text, around)
        port, rest = register(rest, replace(before, name=name), around)
        port = options(rest, port, around)
    except Unreadable as bad:
        outcome = errno(bad.error) if bad.error else fault(bad.lines)
        left = before
        if CLEARS in around.switches:
            fired.append(CLEARED)
            left = Port(0, 0)
        else:
            fired.append(UNCHANGED)
        return Step(left, tuple(fired[start:]), outcome)
    return Step(port, tuple(fired[start:]))


def header(text: str, around: Around) -> tuple[str, str]:
    """The port's name as the kernel gets it, and what stands behind it. Source: nmreq_header_decode."""
    prefix = next((p for p in ("netmap", "vale") if text.startswith(p)), "")
    if not prefix:
        around.fired.append(NO_PREFIX)
        raise Unreadable("EINVAL")
    inner, colon, rest = text.removeprefix(prefix).partition(":")
    if not colon:
        around.fired.append(NO_COLON)
        raise Unreadable("EINVAL")
    if inner and prefix == "netmap":
        around.fired.append(NO_ID)
        raise Unreadable("EINVAL")
    if not identifier(inner):
        around.fired.append(BAD_ID)
        raise Unreadable("EINVAL")
    port, suffix = split(rest, "-*^/@")
    _check_pipe(port, suffix, around)
    name = port
    if prefix == "vale":
        around.fired.append(VALE)
        name = f"vale{inner}:{port}"
    else:
        around.fired.append(NAME)
    if len(name) >= NAME_SIZE:
        around.fired.append(LONG)
        raise Unreadable("EINVAL")
    if not name:
        around.fired.append(EMPTY)
        raise Unreadable("EINVAL")
    return name, suffix


def _check_pipe(port: str, suffix: str, around: Around) -> None:
    """Behind the first brace stands the pipe's name: an identifier that is not empty."""
    _, rest = split(port, "{}")
    if not rest:
        return
    pipe = rest[1:]
    if not pipe and suffix and EMPTY_PIPE in around.switches:
        around.fired.append(PIPE_PASSED)
        return
    if not pipe:
        around.fired.append(PIPE_EMPTY)
        raise Unreadable("EINVAL")
    if not identifier(pipe):
        around.fired.append(PIPE_BAD)
        raise Unreadable("EINVAL")


def register(text: str, port: Port, around: Around) -> tuple[Port, str]:
    """Mode, ring, flags and memory, up to the options. Source: nmreq_register_decode."""
    mode, text = _mode(text, around)
    found = replace(port, mode=mode[0], ringid=mode[1], flags=0)
    while text:
        letter, text = text[0], text[1:]
        if letter == "/":
            found, text = _flags(found, text, around)
        elif letter == "@":
            if not text:
                around.fired.append(ENDS_EARLY)
                raise Unreadable("EINVAL")
            if not text[0].isdigit():
                return found, "@" + text
            found, text = _memory(found, text, around)
        else:
            around.fired.append(UNEXPECTED)
            raise Unreadable("EINVAL")
    return found, ""


def _mode(text: str, around: Around) -> tuple[tuple[int, int], str]:
    """(mode, ring number) and the rest: ``^``, ``^N``, ``*``, ``-N``, or nothing for all hardware rings."""
    first, rest = text[:1], text[1:]
    if first == "^" and rest[:1].isdigit():
        around.fired.append(ONE_HOST)
        return _ring(api14.NR_REG_ONE_SW, rest, around)
    if first == "^":
        around.fired.append(HOST)
        return (api14.NR_REG_SW, 0), rest
    if first == "-" and rest and not rest[0].isdigit():
        around.fired.append(NO_NUMBER)
        raise Unreadable("EINVAL")
    if first == "-" and rest:
        around.fired.append(ONE)
        return _ring(api14.NR_REG_ONE_NIC, rest, around)
    if first == "-":
        around.fired.append(ENDS_EARLY)
        raise Unreadable("EINVAL")
    if first == "*":
        around.fired.append(BOTH)
        return (api14.NR_REG_NIC_SW, 0), rest
    if first in ("", "/", "@"):
        around.fired.append(PLAIN)
        return (api14.NR_REG_ALL_NIC, 0), text
    raise Unreadable("EINVAL")


def _ring(mode: int, text: str, around: Around) -> tuple[tuple[int, int], str]:
    number = strtol(text)
    step = ring_number(number.value)
    around.fired.extend(step.fired)
    if not step.outcome.ok:
        raise Unreadable(step.outcome.detail)
    return (mode, step.state), text[number.length :]


def _flags(found: Port, text: str, around: Around) -> tuple[Port, str]:
    """Letters up to the end or to an ``@``; there is at least one, or an ``@``."""
    if not text:
        around.fired.append(ENDS_EARLY)
        raise Unreadable("EINVAL")
    letters, rest = split(text, "@")
    for letter in letters:
        step = flag(letter)
        around.fired.extend(step.fired)
        if not step.outcome.ok:
            raise Unreadable(step.outcome.detail)
        found = replace(found, flags=found.flags | step.state)
    return found, rest


def _memory(found: Port, text: str, around: Around) -> tuple[Port, str]:
    """The number behind ``@``: the memory, which cannot be two."""
    number = strtol(text)
    step = memory_number(number.value, around.switches)
    around.fired.extend(step.fired)
    if not step.outcome.ok:
        raise Unreadable(step.outcome.detail)
    if found.mem_id and found.mem_id != number.value:
        around.fired.append(OTHER_MEMORY)
        raise Unreadable("EINVAL")
    return replace(found, mem_id=step.state), text[number.length :]

"""One line of the line language (:mod:`.scn`): its forms, and how each becomes a call's arguments."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .trace import Call, TraceError

#: Every form of a line, as ``explain`` and error messages show it.
FORMS = {
    "open": "open H",
    "close": "close H",
    "dup": "dup H G",
    "reg": "reg H PORT [field=value …]",
    "ctl": "ctl H REQUEST PORT [field=value …]",
    "parse": "parse nm_open|nmport[+OPTION|-OPTION …] SPEC … [req.FIELD=N file.NAME=SIZE …]",
    "regif": "regif H PORT [field=value …]",
    "ginfo": "ginfo H PORT [field=value …]",
    "mmap": "mmap H [size=N] [off=N] [ro=1] [private=1] [nonif=1]",
    "munmap": "munmap H",
    "remap": "remap H",
    "usemap": "usemap H G",
    "useext": "useext H",
    "read": "read H",
    "write": "write H",
    "ioctl": "ioctl H CODE [SWITCH]",
    "set": "set H RING head=… cur=… both=… tail=… flags=…",
    "slot": "slot H RING INDEX idx=… len=… flags=… ptr=…",
    "swap": "swap H RING INDEX H2 RING2 INDEX2",
    "fill": "fill H RING INDEX OFFSET COUNT BYTE",
    "eth": "eth H RING INDEX DST SRC LEN [FILL]",
    "send": "send H RING COUNT [LEN [DST SRC]]",
    "bytes": "bytes H RING INDEX [COUNT [OFFSET]]",
    "store": "store H RING INDEX OFFSET HEX",
    "slots": "slots H RING INDEX COUNT",
    "show": "show H",
    "txsync": "txsync H",
    "rxsync": "rxsync H",
    "poll": "poll H EVENTS MS",
    "select": "select H EVENTS MS",
    "epoll": "epoll H EVENTS MS",
    "kqueue": "kqueue H EVENTS MS",
    "epset": "epset H EVENTS [edge]",
    "epwait": "epwait H",
    "csbset": "csbset H INDEX field=value …",
    "kick": "kick H INDEX",
    "irq": "irq H INDEX MS",
    "gsync": "gsync H INDEX [force=1]",
    "rawsock": "rawsock NAME PORT",
    "rawsend": "rawsend NAME LEN FILL",
    "rawrecv": "rawrecv NAME MS",
    "param": "param NAME [VALUE]",
    "sh": "sh COMMAND",
    "cap": "cap COMMAND",
    "sleep": "sleep MS",
    "frame": "frame PORT wire|host HEX",
    "frames": "frames PORT wire|host",
    "link": "link PORT up|down",
    "reset": "reset PORT",
    "detach": "detach PORT",
    "attach": "attach PORT",
    "resize": "resize PORT [tx_rings=N] [rx_rings=N] [tx_slots=N] [rx_slots=N]",
    "unload": "unload",
    "fail": "fail POINT [PASSES]",
    "module": "module create|destroy|regops|update|attach|detach|told SWITCH [field=value …]",
    "settle": "settle",
    "bg": "bg NAME OP …",
    "proc": "proc NAME OP;OP …",
    "join": "join NAME",
    "kill": "kill NAME",
    "exit": "exit NAME",
}

#: What each form is called in a trace.
OPS = {
    "reg": "register",
    "regif": "legacy",
    "ginfo": "legacy",
    "select": "poll",
    "epoll": "poll",
    "kqueue": "poll",
    "store": "bytes",
}

_REGISTER = {
    *("mode", "flags", "ringid", "tx_slots", "rx_slots", "tx_rings", "rx_rings", "mem_id", "extra_bufs"),
    *("host_tx_rings", "host_rx_rings", "version"),
}
#: Words about the header; ``nonul`` is a name that fills its field, ``body`` one where none belongs.
_HEADER = {"reserved", "nonul", "nobody", "badbody", "robody", "body", "badopt"}
#: Words about options: the type of the option and the field of it they give.
_OPTION = {
    "extmem": ("EXTMEM", "nr_memsize"),
    "extptr": ("EXTMEM", "usrptr"),
    **{
        f"{kind}{short}": ("EXTMEM", f"nr_{pool}_pool_{field}")
        for kind, pool in (("if", "if"), ("ring", "ring"), ("buf", "buf"))
        for short, field in (("n", "objtotal"), ("sz", "objsize"))
    },
    "eventfds": ("SYNC_KLOOP_EVENTFDS", "entries"),
    "csb": ("CSB", "entries"),
    **{f"{a}_{what}": ("CSB", f"{a}_{what}") for a in ("atok", "ktoa") for what in ("ofs", "bad")},
    **{word: ("SYNC_KLOOP_EVENTFDS", word) for word in ("nokick", "noirq")},
    "kmode": ("SYNC_KLOOP_MODE", "mode"),
    "offsets": ("OFFSETS", ""),
}
_OFFSETS = ("max_offset", "initial_offset", "offset_bits", "tx_align", "min_gap")
#: ``opts=TYPE[:SIZE][>NEXT],…`` gives a list as it stands; NEXT is an index, ``end`` or ``bad``.
_LISTS = ("opts", "rawopt", "rawopt2")
_RAW = re.compile(r"(?P<type>\w+)(:(?P<size>\d+))?(>(?P<next>\d+|end|bad))?")
_NEXT = {"end": -1, "bad": -2}
_EVENTFDS_HEADER, _EVENTFD = 24, 8
_NIOCCONFIG = 0xC1106996
_RENAMED = {
    "extra": "extra_bufs",
    "idx": "buf_idx",
    "first_cpu": "first_cpu_id",
    "ncpus": "num_polling_cpus",
}
_NUMBER = re.compile(r"-?(0[xX][0-9a-fA-F]+|\d+)")
_RING = re.compile(r"[tr]xh?\d+")
_NAME = re.compile(r"\w+")


class _Bad(Exception):
    """One line is wrong; the message says how."""


def value(text: str) -> int | str:
    """A number when it is one, else the expression as it stands."""
    return int(text, 0) if _NUMBER.fullmatch(text) else text


def _int(text: str, what: str, base: int = 0) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise _Bad(f"{what} '{text}' is not a number") from None


def _ring(text: str) -> str:
    if not _RING.fullmatch(text):
        raise _Bad(f"'{text}' is not the name of a ring (tx0, rx1, …)")
    return text


def _pairs(words: list[str]) -> dict[str, int | str]:
    found: dict[str, int | str] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key or not text:
            raise _Bad(f"'{word}' is not field=value")
        if key in found:
            raise _Bad(f"'{key}' is given twice")
        found[key] = value(text)
    return found


def _port(text: str) -> str:
    return "" if text == "-" else text


def _request(words: list[str]) -> dict[str, Any]:
    """Fields of a request; what belongs to options or to the header is put aside."""
    args: dict[str, Any] = {}
    options: dict[str, dict[str, Any]] = {}
    raw: list[dict[str, Any]] = []
    for key, given in _pairs(words).items():
        if key in _OPTION:
            kind, name = _OPTION[key]
            option = options.setdefault(kind, {"type": kind})
            option.update(_option(name, given))
            if name == "entries" and kind == "SYNC_KLOOP_EVENTFDS":
                option["size"] = _EVENTFDS_HEADER + int(given) * _EVENTFD
        elif key in _LISTS:
            raw += [_raw(part) for part in str(given).split(",")]
        elif key == "nonul":
            args["name"] = "x" * 64
        elif key in _HEADER:
            args.setdefault("header", {})[key] = given
        else:
            args[_RENAMED.get(key, key)] = given
    found = [options[kind] for kind in dict.fromkeys(k for k, _ in _OPTION.values()) if kind in options] + raw
    if found:
        args["options"] = found
    return args


def _option(name: str, given: int | str) -> dict[str, Any]:
    """Fields of an option; ``offsets`` has five in one word."""
    if not name:
        values = str(given).split(":")
        if len(values) != len(_OFFSETS):
            raise _Bad(f"offsets are {':'.join(_OFFSETS)}, not '{given}'")
        return {field: _int(text, field) for field, text in zip(_OFFSETS, values, strict=True)}
    if not isinstance(given, int):
        raise _Bad(f"'{given}' is not a number")
    return {name: given}


def _raw(text: str) -> dict[str, Any]:
    """One option of a list that is given as it stands."""
    found = _RAW.fullmatch(text)
    if not found:
        raise _Bad(f"'{text}' is not TYPE[:SIZE][>NEXT]")
    option: dict[str, Any] = {"type": value(found["type"])}
    if found["size"]:
        option["size"] = int(found["size"])
    if found["next"]:
        option["next"] = _NEXT[found["next"]] if found["next"] in _NEXT else int(found["next"])
    return option


def _store_fields(words: list[str], allowed: tuple[str, ...]) -> dict[str, Any]:
    args: dict[str, Any] = {}
    for key, given in _pairs(words).items():
        if key not in allowed:
            raise _Bad(f"'{key}' is none of {', '.join(allowed)}")
        for name in ("head", "cur") if key == "both" else (_RENAMED.get(key, key),):
            args[name] = given
    if not args:
        raise _Bad("nothing is stored")
    return args


@dataclass(slots=True)
class _Op:
    """One parsed operation, before it is numbered."""

    op: str
    fd: str = ""
    args: dict[str, Any] = field(default_factory=dict)
    actor: str = "main"


_Make = Callable[[list[str]], tuple[str, dict[str, Any]]]


def _fd_only(w: list[str]) -> tuple[str, dict[str, Any]]:
    return w[0], {}


def _nothing(w: list[str]) -> tuple[str, dict[str, Any]]:
    return "", {}


def _make_reg(w: list[str]) -> tuple[str, dict[str, Any]]:
    args = _request(w[2:])
    for key in args:
        if key not in _REGISTER and key not in ("options", "header", "name"):
            raise _Bad(f"REGISTER has no field '{key}'")
    return w[0], {"name": _port(w[1])} | args


def _make_ctl(w: list[str]) -> tuple[str, dict[str, Any]]:
    return w[0], {"request": w[1], "name": _port(w[2])} | _request(w[3:])


def _make_legacy(request: str) -> _Make:
    """The name as it stands: no port is called ``-`` here, and ``''`` is none."""
    return lambda w: (w[0], {"request": request, "name": "" if w[1] == "''" else w[1], **_pairs(w[2:])})


def _make_parse(w: list[str]) -> tuple[str, dict[str, Any]]:
    """Library and options turned on and off, then specifications, and words about the request or files."""
    how, *changes = re.split(r"(?=[+-])", w[0])
    if how not in ("nm_open", "nmport"):
        raise _Bad(f"'{how}' is no library: nm_open or nmport")
    args: dict[str, Any] = {"how": how, "texts": []}
    for change in changes:
        args.setdefault("enable" if change[0] == "+" else "disable", []).append(change[1:])
    for word in w[1:]:
        about, dot, rest = word.partition(".")
        if dot and about in ("req", "file") and "=" in rest:
            name, _, number = rest.partition("=")
            table = {"req": "request", "file": "files"}[about]
            args.setdefault(table, {})[name] = _int(number, name)
        else:
            args["texts"].append("" if word == "''" else word)
    return "", args


def _make_mmap(w: list[str]) -> tuple[str, dict[str, Any]]:
    args: dict[str, Any] = {}
    for key, given in _pairs(w[1:]).items():
        if key == "size":
            args["length"] = given
        elif key == "off":
            args["offset"] = given
        elif key == "ro":
            args["prot"] = "r" if given else "rw"
        elif key == "private":
            args["flags"] = "private" if given else "shared"
        elif key == "nonif":
            args["look"] = not given
        else:
            raise _Bad(f"mmap has no '{key}'")
    return w[0], args


def _code(text: str) -> int:
    """A number, or NIOCCONFIG, whose number is the same everywhere."""
    return _NIOCCONFIG if text == "NIOCCONFIG" else _int(text, "code")


def _make_set(w: list[str]) -> tuple[str, dict[str, Any]]:
    return w[0], {"ring": _ring(w[1]), **_store_fields(w[2:], ("head", "cur", "both", "tail", "flags"))}


def _make_slot(w: list[str]) -> tuple[str, dict[str, Any]]:
    fields = _store_fields(w[3:], ("idx", "buf_idx", "len", "flags", "ptr"))
    return w[0], {"ring": _ring(w[1]), "index": value(w[2]), **fields}


def _make_swap(w: list[str]) -> tuple[str, dict[str, Any]]:
    return w[0], {
        "ring": _ring(w[1]), "index": value(w[2]), "fd2": w[3], "ring2": _ring(w[4]), "index2": value(w[5]),
    }  # fmt: skip


def _make_fill(w: list[str]) -> tuple[str, dict[str, Any]]:
    return w[0], {
        "ring": _ring(w[1]), "index": value(w[2]), "offset": _int(w[3], "offset"),
        "count": _int(w[4], "count"), "fill": _int(w[5], "byte", 16),
    }  # fmt: skip


def _make_eth(w: list[str]) -> tuple[str, dict[str, Any]]:
    for octet in w[3:5]:
        _int(octet, "address", 16)
    args = {"ring": _ring(w[1]), "index": value(w[2]), "dst": w[3], "src": w[4], "len": _int(w[5], "length")}
    return w[0], args | ({"fill": _int(w[6], "byte", 16)} if len(w) > 6 else {})


def _make_send(w: list[str]) -> tuple[str, dict[str, Any]]:
    args: dict[str, Any] = {"ring": _ring(w[1]), "count": _int(w[2], "count")}
    if len(w) > 3:
        args["len"] = _int(w[3], "length")
    if len(w) == 5:
        raise _Bad("a destination without a source")
    if len(w) > 5:
        args |= {"dst": w[4], "src": w[5]}
        for octet in w[4:6]:
            _int(octet, "address", 16)
    return w[0], args


def _make_bytes(w: list[str]) -> tuple[str, dict[str, Any]]:
    args: dict[str, Any] = {"ring": _ring(w[1]), "index": value(w[2])}
    args["count"] = _int(w[3], "count") if len(w) > 3 else 16
    return w[0], args | ({"offset": _int(w[4], "offset")} if len(w) > 4 else {})


def _hex(text: str) -> str:
    try:
        return bytes.fromhex(text).hex()
    except ValueError:
        raise _Bad(f"'{text}' is not bytes in hex") from None


def _make_store(w: list[str]) -> tuple[str, dict[str, Any]]:
    return w[0], {
        "ring": _ring(w[1]), "index": value(w[2]), "offset": _int(w[3], "offset"), "hex": _hex(w[4]),
    }  # fmt: skip


def _make_slots(w: list[str]) -> tuple[str, dict[str, Any]]:
    return w[0], {"ring": _ring(w[1]), "index": value(w[2]), "count": _int(w[3], "count")}


_EVENTS = {
    "in": ["in"], "out": ["out"], "inout": ["in", "out"], "none": [], "rdnorm": ["rdnorm"],
    "wrnorm": ["wrnorm"], "inet": ["in", "et"], "outet": ["out", "et"],
}  # fmt: skip


def _make_poll(how: str) -> _Make:
    """Events; for a kqueue ``other`` too, a filter that is neither READ nor WRITE."""

    def make(w: list[str]) -> tuple[str, dict[str, Any]]:
        events: list[str] = []
        for word in re.split(r"[|+,]", w[1]):
            if word == "other" and how == "kqueue":
                events.append(word)
                continue
            if word not in _EVENTS:
                raise _Bad(f"'{word}' is no event: one of {', '.join(_EVENTS)}")
            events += _EVENTS[word]
        args: dict[str, Any] = {"events": events, "timeout_ms": _int(w[2], "timeout")}
        return w[0], args | ({"how": how} if how != "poll" else {})

    return make


def _make_epset(w: list[str]) -> tuple[str, dict[str, Any]]:
    """A set is for in and out; an error is told whatever was asked."""
    if len(w) == 3 and w[2] != "edge":
        raise _Bad(f"'{w[2]}' is not edge")
    _, args = _make_poll("poll")([w[0], w[1], "0"])
    return w[0], {"events": args["events"], "edge": int(len(w) == 3)}


def _make_indexed(*names: str) -> _Make:
    return lambda w: (w[0], {n: _int(x, n) for n, x in zip(names, w[1:], strict=True)})


def _numbers(words: list[str], allowed: tuple[str, ...]) -> dict[str, int]:
    """Fields that are numbers."""
    found: dict[str, int] = {}
    for key, given in _pairs(words).items():
        if key not in allowed:
            raise _Bad(f"'{key}' is none of {', '.join(allowed)}")
        if not isinstance(given, int):
            raise _Bad(f"'{given}' is not a number")
        found[key] = given
    return found


def _make_csbset(w: list[str]) -> tuple[str, dict[str, Any]]:
    return w[0], {"index": _int(w[1], "index"), **_numbers(w[2:], ("head", "cur", "kick", "flags"))}


def _side(text: str) -> str:
    if text not in ("wire", "host"):
        raise _Bad(f"'{text}' is no side of a port: wire or host")
    return text


def _make_port(w: list[str]) -> tuple[str, dict[str, Any]]:
    return "", {"port": w[0]}


def _on_off(w: list[str]) -> tuple[str, dict[str, Any]]:
    if w[1] not in ("up", "down"):
        raise _Bad(f"a link is up or down, not '{w[1]}'")
    return "", {"port": w[0], "up": w[1] == "up"}


_SIZES = ("tx_rings", "rx_rings", "tx_slots", "rx_slots")
_TEXT = {"sh", "cap"}
_PLAIN = ("open", "close", "munmap", "remap", "useext", "read", "write", "show", "txsync", "rxsync")
#: How a line becomes (descriptor, arguments), and how many words it may have.
_MAKE: dict[str, tuple[_Make, int, int]] = {
    **dict.fromkeys(_PLAIN, (_fd_only, 1, 1)),
    "dup": (lambda w: (w[0], {"to": w[1]}), 2, 2),
    "usemap": (lambda w: (w[0], {"to": w[1]}), 2, 2),
    "reg": (_make_reg, 2, 99),
    "ctl": (_make_ctl, 3, 99),
    "regif": (_make_legacy("REGIF"), 2, 99),
    "ginfo": (_make_legacy("GINFO"), 2, 99),
    "parse": (_make_parse, 2, 99),
    "mmap": (_make_mmap, 1, 9),
    "ioctl": (lambda w: (w[0], {"code": _code(w[1]), **({"name": w[2]} if w[2:] else {})}), 2, 3),
    "set": (_make_set, 3, 9),
    "slot": (_make_slot, 4, 9),
    "swap": (_make_swap, 6, 6),
    "fill": (_make_fill, 6, 6),
    "eth": (_make_eth, 6, 7),
    "send": (_make_send, 3, 6),
    "bytes": (_make_bytes, 3, 5),
    "store": (_make_store, 5, 5),
    "slots": (_make_slots, 4, 4),
    "poll": (_make_poll("poll"), 3, 3),
    "select": (_make_poll("select"), 3, 3),
    "epoll": (_make_poll("epoll"), 3, 3),
    "kqueue": (_make_poll("kqueue"), 3, 3),
    "epset": (_make_epset, 2, 3),
    "epwait": (lambda w: (w[0], {}), 1, 1),
    "csbset": (_make_csbset, 3, 9),
    "kick": (_make_indexed("index"), 2, 2),
    "irq": (_make_indexed("index", "timeout_ms"), 3, 3),
    "gsync": (lambda w: (w[0], {"index": _int(w[1], "index"), **_numbers(w[2:], ("force",))}), 2, 3),
    "rawsock": (lambda w: ("", {"socket": w[0], "port": w[1]}), 2, 2),
    "rawsend": (
        lambda w: ("", {"socket": w[0], "len": _int(w[1], "length"), "fill": _int(w[2], "byte", 16)}), 3, 3
    ),
    "rawrecv": (lambda w: ("", {"socket": w[0], "timeout_ms": _int(w[1], "timeout")}), 2, 2),
    "param": (lambda w: ("", {"name": w[0], **({"value": w[1]} if len(w) > 1 else {})}), 1, 2),
    "sleep": (lambda w: ("", {"ms": _int(w[0], "time")}), 1, 1),
    "frame": (lambda w: ("", {"port": w[0], "side": _side(w[1]), "hex": _hex(w[2])}), 3, 3),
    "frames": (lambda w: ("", {"port": w[0], "side": _side(w[1])}), 2, 2),
    "link": (_on_off, 2, 2),
    "reset": (_make_port, 1, 1),
    "detach": (_make_port, 1, 1),
    "attach": (_make_port, 1, 1),
    "resize": (lambda w: ("", {"port": w[0], **_numbers(w[1:], _SIZES)}), 2, 5),
    "unload": (_nothing, 0, 0),
    "fail": (
        lambda w: ("", {"point": w[0], "passes": _int(w[1], "number of passes") if len(w) > 1 else 0}), 1, 2
    ),
    "module": (lambda w: ("", {"action": w[0], "name": w[1], **_pairs(w[2:])}), 2, 9),
    "settle": (_nothing, 0, 0),
    "join": (lambda w: ("", {"actor": w[0]}), 1, 1),
    "kill": (lambda w: ("", {"actor": w[0]}), 1, 1),
    "exit": (lambda w: ("", {"actor": w[0]}), 1, 1),
}  # fmt: skip


def _one(line: str) -> _Op:
    """One operation that is neither ``bg`` nor ``proc``. Raises :class:`_Bad`."""
    word, *rest = line.split()
    if word in _TEXT:
        return _Op(word, args={"command": line.strip()[len(word) :].strip()})
    if word not in _MAKE:
        raise _Bad(f"unknown operation '{word}'")
    make, least, most = _MAKE[word]
    if not least <= len(rest) <= most:
        raise _Bad(f"{len(rest)} words after '{word}'; the form is: {FORMS[word]}")
    fd, args = make(rest)
    if fd and not _NAME.fullmatch(fd):
        raise _Bad(f"'{fd}' is no name of a descriptor")
    return _Op(OPS.get(word, word), fd, args)


def parse_op(text: str, where: str) -> Call:
    """One operation as an unnumbered call (``n`` 0). ``where`` is ``file:line``.

    Raises :class:`TraceError` for anything that is not one operation of :data:`FORMS`.
    """
    try:
        op = _one(text)
    except _Bad as bad:
        raise TraceError(f"{where}: {bad}") from None
    return Call(n=0, op=op.op, fd=op.fd, args=op.args, text=text.strip())


def background(text: str, where: str) -> tuple[str, list[str]]:
    """Name and operations of a ``bg NAME OP`` or ``proc NAME OP;OP`` line. Raises :class:`TraceError`."""
    words = text.split(None, 2)
    if len(words) < 3 or not _NAME.fullmatch(words[1]):
        raise TraceError(f"{where}: the form is: {FORMS[words[0]]}")
    if words[0] == "bg":
        return words[1], [words[2].strip()]
    parts = [part.strip() for part in words[2].split(";")]
    if not all(parts):
        raise TraceError(f"{where}: an empty operation between ';'")
    return words[1], parts

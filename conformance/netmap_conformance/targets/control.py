"""Requests of NIOCCTRL as bytes: ``struct nmreq_header``, the body it points to, and a list of options."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import Any

from netmap_spec.abi import Buffer, View, api14

from .base import TargetError
from .entry import address

#: Requests by name: the body they take.
BODIES: dict[str, type[View] | None] = {
    "REGISTER": api14.nmreq_register,
    "PORT_INFO_GET": api14.nmreq_port_info_get,
    "POOLS_INFO_GET": api14.nmreq_pools_info,
    "VALE_ATTACH": api14.nmreq_vale_attach,
    "VALE_DETACH": api14.nmreq_vale_detach,
    "VALE_LIST": api14.nmreq_vale_list,
    "VALE_NEWIF": api14.nmreq_vale_newif,
    "VALE_DELIF": None,
    "VALE_POLLING_ENABLE": api14.nmreq_vale_polling,
    "VALE_POLLING_DISABLE": api14.nmreq_vale_polling,
    "SYNC_KLOOP_START": api14.nmreq_sync_kloop_start,
    "PORT_HDR_SET": api14.nmreq_port_hdr,
    "PORT_HDR_GET": api14.nmreq_port_hdr,
    "SYNC_KLOOP_STOP": None,
    "CSB_ENABLE": None,
}


#: Options by name: the structure each is.
OPTIONS: dict[str, type[View]] = {
    "EXTMEM": api14.nmreq_opt_extmem,
    "SYNC_KLOOP_EVENTFDS": api14.nmreq_opt_sync_kloop_eventfds,
    "CSB": api14.nmreq_opt_csb,
    "SYNC_KLOOP_MODE": api14.nmreq_opt_sync_kloop_mode,
    "OFFSETS": api14.nmreq_opt_offsets,
}
#: An address that belongs to no process.
NOWHERE = 8
_END, _BAD = -1, -2


class Control:
    """One request: its header, body and options in buffers of this process.

    ``args`` are the fields without ``nr_``; ``name``, ``version`` and ``header`` for the header; ``options``,
    a list of mappings (type, size, next, fields). A request may be a number that netmap does not have: its
    body is a page of zeroes. Raises :class:`TargetError` (status 2) for a request or field netmap does not
    have.
    """

    def __init__(self, request: str, args: dict[str, Any]) -> None:
        if request not in BODIES and not request.isdecimal():
            raise TargetError(f"unknown request '{request}'; known: {', '.join(BODIES)}", status=2)
        fields = dict(args)
        name, version = str(fields.pop("name", "")), fields.pop("version", api14.NETMAP_API)
        words = dict(fields.pop("header", None) or {})
        kind = BODIES.get(request)
        self.header_bytes = bytearray(api14.nmreq_header.SIZE)
        self.header = api14.nmreq_header(Buffer(self.header_bytes))
        self.header.nr_version, self.header.nr_reserved = version, int(words.get("reserved", 0))
        raw = ("" if name == "-" else name).encode("latin-1")[: api14.NETMAP_REQ_IFNAMSIZ]
        self.header.mem.write(api14.nmreq_header.nr_name.offset, raw)
        number = getattr(api14, f"NETMAP_REQ_{request}") if request in BODIES else int(request)
        self.header.nr_reqtype = number
        self._options = [_Option(given) for given in fields.pop("options", None) or ()]
        for i, option in enumerate(self._options):
            option.link(self._options, i)
        if self._options or words.get("badopt"):
            self.header.nr_options = NOWHERE if words.get("badopt") else self._options[0].address
        self._body_bytes = _room(kind.SIZE if kind else _PAGE, bool(words.get("robody")))
        self.body: Any = kind(Buffer(self._body_bytes)) if kind else None
        if request in ("REGISTER", "VALE_ATTACH"):
            fields["mode"] = constant(fields.get("mode", api14.NR_REG_ALL_NIC), "NR_REG_")
            fields["flags"] = constant(fields.get("flags", 0), "NR_")
        for key, value in fields.items():
            _store(self.body, key, value, request)
        if words.get("robody"):
            _protect(self._body_bytes)
        if (kind or words.get("body") or request not in BODIES) and not words.get("nobody"):
            self.header.nr_body = NOWHERE if words.get("badbody") else address(self._body_bytes)

    def header_fields(self) -> dict[str, Any]:
        """The header as it is now, without its pointers."""
        return {k: v for k, v in self.header.fields().items() if k not in ("nr_body", "nr_options")}

    def body_fields(self) -> dict[str, Any] | None:
        """The body as it is now."""
        if isinstance(self.body, api14.nmreq_vale_attach):
            return {**self.body.fields(), "reg": self.body.reg.fields()}
        return self.body.fields() if self.body is not None else None

    def option_fields(self) -> list[dict[str, Any]]:
        """Every option as it is now."""
        return [option.fields() for option in self._options]


class Legacy:
    """A ``struct nmreq`` in a buffer of this process; the version is 14 unless ``args`` say otherwise."""

    def __init__(self, args: dict[str, Any]) -> None:
        fields = {"version": api14.NETMAP_API} | args
        self.bytes = bytearray(api14.nmreq.SIZE)
        self.view = api14.nmreq(Buffer(self.bytes))
        self.view.nr_name = str(fields.pop("name", ""))
        for key, value in fields.items():
            _store(self.view, key, value, "struct nmreq")

    def fields(self) -> dict[str, Any]:
        """Every field as it is now, but the name."""
        return {k: v for k, v in self.view.fields().items() if k != "nr_name"}


class _Option:
    """One option in a buffer of this process."""

    def __init__(self, given: dict[str, Any]) -> None:
        values = dict(given)
        kind = values.pop("type")
        names = {getattr(api14, f"NETMAP_REQ_OPT_{name}"): name for name in OPTIONS}
        number = kind if isinstance(kind, int) else getattr(api14, f"NETMAP_REQ_OPT_{str(kind).upper()}", -1)
        if number < 0:
            raise TargetError(f"unknown option '{kind}'; known: {', '.join(OPTIONS)}", status=2)
        view: Any = OPTIONS.get(names.get(number, ""), api14.nmreq_option)
        size = int(values.pop("size", 0))
        self._next = values.pop("next", None)
        self._bytes = bytearray(max(view.SIZE, min(size, _PAGE)))
        self._view: Any = view(Buffer(self._bytes))
        self._header: Any = api14.nmreq_option(Buffer(self._bytes))
        self._header.nro_reqtype, self._header.nro_size = number, size
        self.address = address(self._bytes)
        self._memory: list[bytearray] = []
        entries = values.pop("entries", None)
        if entries is not None and view is api14.nmreq_opt_csb:
            self._view.csb_atok, self._view.csb_ktoa = (self._csb(entries) for _ in range(2))
        for name, value in values.items():
            _store(self._view, name, value, "an option")

    def _csb(self, entries: int) -> int:
        """The address of a block of ``entries`` entries, aligned to one."""
        size = api14.nm_csb_atok.SIZE
        self._memory.append(bytearray((entries + 1) * size))
        return (address(self._memory[-1]) + size - 1) // size * size

    def link(self, options: list[_Option], i: int) -> None:
        """Store where the list goes on."""
        following = self._next if self._next is not None else i + 1 if i + 1 < len(options) else _END
        if following != _END:
            self._header.nro_next = NOWHERE if following == _BAD else options[following].address

    def fields(self) -> dict[str, Any]:
        """Type, status, size, and the fields of its type without ``nro_``."""
        h = self._header
        found = {"type": h.nro_reqtype, "status": h.nro_status, "size": h.nro_size}
        inner = self._view.nro_info.fields() if isinstance(self._view, api14.nmreq_opt_extmem) else {}
        own = self._view.fields() if type(self._view) is not api14.nmreq_option else {}
        return found | {k.removeprefix("nro_"): v for k, v in own.items()} | inner


_PAGE = 4096


def _room(size: int, page: bool) -> Any:
    """Bytes for a body; whole pages of their own when they shall be protected."""
    return mmap.mmap(-1, _PAGE) if page else bytearray(size)


def _protect(page: Any) -> None:
    """Take the right to write to a page away."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(address(page)), _PAGE, mmap.PROT_READ):
        raise TargetError(f"mprotect: {os.strerror(ctypes.get_errno())}")


def _store(view: Any, key: str, value: Any, what: str) -> None:
    """Store one field: under its name, with the prefix of its structure, or in a structure inside."""
    for prefix in ("", "nr_", "nro_"):
        for inner in (view, getattr(view, "reg", None), getattr(view, "nro_info", None)):
            if inner is not None and prefix + key in vars(type(inner)):
                setattr(inner, prefix + key, constant(value, "NR_"))
                return
    raise TargetError(f"{what} has no field '{key}'", status=2)


def constant(value: Any, prefix: str) -> int:
    """A number, or names of constants joined by ``|``, with or without their prefix."""
    if isinstance(value, int):
        return value
    total = 0
    for word in str(value).replace("+", "|").split("|"):
        number = getattr(api14, prefix + word, getattr(api14, word, None))
        total |= number if isinstance(number, int) else int(word, 0)
    return total

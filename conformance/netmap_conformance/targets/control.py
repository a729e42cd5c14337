"""Requests of NIOCCTRL as bytes: ``struct nmreq_header``, the body it points to, and a list of options."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Any

from netmap_spec.abi import Buffer, View, api14

from .base import TargetError
from .memory import NOWHERE, CsbArrays, EventFds, address, protect

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
_END, _BAD = -1, -2


class Control:
    """One request: its header, body and options in buffers of this process.

    ``args`` are the fields without ``nr_``; ``name``, ``version`` and ``header`` for the header; ``options``,
    a list of mappings (type, size, next, fields). A request may be a number that netmap does not have: its
    body is a page of zeroes. Raises :class:`TargetError` (status 2) for a request or field netmap does not
    have.

    ``csb``, ``eventfds`` and ``memory`` are what the application brought with its options, if it did: a
    device that takes them keeps pointers, so they must live on. ``bring`` gives the memory of the option
    EXTMEM, by the scenario's name for its address.
    """

    def __init__(self, request: str, args: dict[str, Any], bring: Bring | None = None) -> None:
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
        self._options = [_Option(given, bring) for given in fields.pop("options", None) or ()]
        self.csb = next((o.csb for o in self._options if o.csb), None)
        self.eventfds = next((o.eventfds for o in self._options if o.eventfds), None)
        self.memory = next((o.memory for o in self._options if o.memory is not None), None)
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
            protect(address(self._body_bytes), _PAGE, mmap.PROT_READ)
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

    def __init__(self, given: dict[str, Any], bring: Bring | None) -> None:
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
        self.csb: CsbArrays | None = None
        self.eventfds: EventFds | None = None
        self.memory: Any = None
        self._token: int | None = None
        entries = values.pop("entries", None)
        if entries is not None and view is api14.nmreq_opt_csb:
            self._bring_csb(CsbArrays(int(entries)), values)
        elif entries is not None and view is api14.nmreq_opt_sync_kloop_eventfds:
            self._bring_eventfds(int(entries), values)
        elif view is api14.nmreq_opt_extmem and bring is not None:
            self._token = int(values.pop("usrptr", 0))
            self.memory = bring(self._token, int(values.get("nr_memsize", 0)))
            self._view.nro_usrptr = address(self.memory)
        for name, value in values.items():
            _store(self._view, name, value, "an option")

    def _bring_csb(self, csb: CsbArrays, values: dict[str, Any]) -> None:
        """The addresses of both arrays, off by ``…_ofs`` bytes or nowhere (``…_bad``)."""
        self.csb = csb
        for array, at in (("atok", csb.atok), ("ktoa", csb.ktoa)):
            off, bad = int(values.pop(f"{array}_ofs", 0)), values.pop(f"{array}_bad", 0)
            setattr(self._view, f"csb_{array}", NOWHERE * csb.SIZE if bad else at + off)

    def _bring_eventfds(self, entries: int, values: dict[str, Any]) -> None:
        """A pair of eventfds an entry, behind the option's header: ioeventfd, irqfd."""
        self.eventfds = EventFds(entries, int(values.pop("nokick", 0)), int(values.pop("noirq", 0)))
        at = self._view.SIZE
        for pair in zip(self.eventfds.kicks, self.eventfds.irqs, strict=True):
            for fd in pair:
                self._bytes[at : at + 4] = fd.to_bytes(4, "little", signed=True)
                at += 4

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
        found |= {k.removeprefix("nro_"): v for k, v in own.items()} | inner
        return found if self._token is None else found | {"usrptr": self._token}


_PAGE = 4096
#: (the scenario's name for an address, bytes) -> memory of this process.
Bring = Callable[[int, int], Any]


def _room(size: int, page: bool) -> Any:
    """Bytes for a body; whole pages of their own when they shall be protected."""
    return mmap.mmap(-1, _PAGE) if page else bytearray(size)


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

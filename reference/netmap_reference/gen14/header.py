"""Chapter *requests*, header and body: which requests there are, and what is looked at first.

A request is a header with a version, a type and a name, the body of its type, and a list of options
(:mod:`.options`). Here is what a header must be, and how both are taken out of the fields of a trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from netmap_spec.abi import View, api14
from netmap_spec.abi.views import Int

from ..core.outcome import errno
from ..core.step import Step, rule
from . import request as asking

NETMAP_C = asking.NETMAP_C

RESERVED = rule("14/requests/header/reserved", clause="14.control.header", source=f"{NETMAP_C}:3391-3395")
NO_BODY = rule("14/requests/body/missing", clause="14.control.body", source=f"{NETMAP_C}:3409-3416")
EXTRA_BODY = rule("14/requests/body/unexpected", clause="14.control.body", source=f"{NETMAP_C}:3409-3416")


@dataclass(frozen=True, slots=True)
class Kind:
    """One request: its number, and the structure its body is, if it has one."""

    number: int
    body: type[View] | None = None

    @property
    def size(self) -> int:
        """Bytes of the body (nmreq_size_by_type)."""
        return self.body.SIZE if self.body else 0


def _kind(name: str, body: type[View] | None) -> Kind:
    return Kind(getattr(api14, f"NETMAP_REQ_{name}"), body)


#: The requests of API 14 by name.
KINDS = {
    name: _kind(name, body)
    for name, body in (
        ("REGISTER", api14.nmreq_register),
        ("PORT_INFO_GET", api14.nmreq_port_info_get),
        ("VALE_ATTACH", api14.nmreq_vale_attach),
        ("VALE_DETACH", api14.nmreq_vale_detach),
        ("VALE_LIST", api14.nmreq_vale_list),
        ("PORT_HDR_SET", api14.nmreq_port_hdr),
        ("PORT_HDR_GET", api14.nmreq_port_hdr),
        ("VALE_NEWIF", api14.nmreq_vale_newif),
        ("VALE_DELIF", None),
        ("VALE_POLLING_ENABLE", api14.nmreq_vale_polling),
        ("VALE_POLLING_DISABLE", api14.nmreq_vale_polling),
        ("POOLS_INFO_GET", api14.nmreq_pools_info),
        ("SYNC_KLOOP_START", api14.nmreq_sync_kloop_start),
        ("SYNC_KLOOP_STOP", None),
        ("CSB_ENABLE", None),
    )
}
_BY_NUMBER = {kind.number: name for name, kind in KINDS.items()}


def lookup(name: str) -> tuple[str, Kind, bool]:
    """A request by name or number: (name, kind, does API 14 have it?). ``ValueError`` for other words."""
    name = name.removeprefix("NETMAP_REQ_")
    if name in KINDS:
        return name, KINDS[name], True
    try:
        number = int(name, 0) % (1 << 16)
    except ValueError:
        raise ValueError(f"there is no request '{name}'") from None
    if number in _BY_NUMBER:
        return _BY_NUMBER[number], KINDS[_BY_NUMBER[number]], True
    return str(number), Kind(number), False


@dataclass(frozen=True, slots=True)
class Header:
    """A header as sent: ``name`` up to 64 bytes; ``body`` and ``list`` say where the pointers lead.

    ``body``: ``none``, ``there``, ``bad`` (no memory), ``read-only``. ``list``: ``there`` or ``bad``.
    """

    name: str = ""
    version: int = api14.NETMAP_API
    reserved: int = 0
    body: str = "there"
    list: str = "there"


def check_header(version: int, reserved: int) -> Step[bool]:
    """Is the header one to go on with? EINVAL for a version that is not spoken, and for ``nr_reserved``."""
    if version < api14.NETMAP_MIN_API or version > api14.NETMAP_MAX_API:
        return Step(False, (asking.VERSION,), errno("EINVAL"))
    if reserved != 0:
        return Step(False, (RESERVED,), errno("EINVAL"))
    return Step(True)


def check_body(size: int, given: bool) -> Step[bool]:
    """Is a body of ``size`` bytes there exactly when one belongs? EINVAL when not."""
    if size > 0 and not given:
        return Step(False, (NO_BODY,), errno("EINVAL"))
    if size == 0 and given:
        return Step(False, (EXTRA_BODY,), errno("EINVAL"))
    return Step(True)


def parse_header(fields: dict[str, Any], size: int, known: bool) -> Header:
    """Take the header's part out of a trace's fields.

    ``header`` is a mapping: ``reserved``; ``nobody``, ``badbody``, ``robody``: no body, none of the process's
    memory, read-only memory; ``body``: one where none belongs; ``badopt``: the list is none of the process's
    memory. A request netmap does not have comes with a body unless ``nobody`` says otherwise.
    """
    words = dict(fields.pop("header", None) or {})
    version = asking.named(fields.pop("version", api14.NETMAP_API), "NETMAP_") % (1 << 16)
    body = "there" if size or words.pop("body", not known) else "none"
    for word, place in (("nobody", "none"), ("badbody", "bad"), ("robody", "read-only")):
        if words.pop(word, 0):
            body = place
    bad_list = bool(words.pop("badopt", 0))
    reserved = int(words.pop("reserved", 0)) % (1 << 32)
    words.pop("body", None)
    if words:
        raise ValueError(f"a header has no {', '.join(words)}")
    name = str(fields.pop("name", ""))[: asking.NAMSIZ]
    return Header(name, version, reserved, body, "bad" if bad_list else "there")


def parse_body(name: str, kind: Kind, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of a request's body under its C name: what ``fields`` say, else 0; ``nr_mode`` of a
    REGISTER defaults to ALL_NIC. Integers wrap to the width of their C field.

    ``mode`` and ``flags`` may be names. Raises ``ValueError`` for a field the body does not have.
    """
    members = dict(_members(kind.body)) if kind.body else {}
    body: dict[str, Any] = dict.fromkeys(members, 0)
    if "nr_flags" in members:
        body["nr_mode"] = api14.NR_REG_ALL_NIC
    for key, value in fields.items():
        member = key if key in members else f"nr_{key}"
        if member not in members:
            raise ValueError(f"{name} has no field '{key}'")
        prefix = "NR_REG_" if key.endswith("mode") else "NR_"
        body[member] = asking.named(value, prefix) % (1 << 8 * members[member].size)
    return body


def _members(view: type[View]) -> Iterable[tuple[str, Int]]:
    """The integers of a structure; those of a structure in it are its own, as in nmreq_vale_attach."""
    for name, member in vars(view).items():
        if isinstance(member, Int) and not name.startswith("pad"):
            yield name, member
        elif hasattr(member, "kind") and name == "reg":
            yield from _members(member.kind)


def shown_body(kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
    """A body as a trace shows it: the structure inside nmreq_vale_attach is one."""
    if kind.body is api14.nmreq_vale_attach:
        inner = dict.fromkeys(name for name, _ in _members(api14.nmreq_register))
        return {"port_index": body["port_index"], "reg": {name: body[name] for name in inner}}
    return dict(body)

"""Requests of NIOCCTRL as bytes: ``struct nmreq_header`` and the body it points to."""

from __future__ import annotations

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
    "PORT_HDR_SET": api14.nmreq_port_hdr,
    "PORT_HDR_GET": api14.nmreq_port_hdr,
    "SYNC_KLOOP_STOP": None,
    "CSB_ENABLE": None,
}


class Control:
    """One request, its header and body in buffers of this process.

    ``args`` are the fields without ``nr_``, with ``name`` and ``version`` for the header. Raises
    :class:`TargetError` (status 2) for a request or field netmap does not have.
    """

    def __init__(self, request: str, args: dict[str, Any]) -> None:
        if request not in BODIES:
            raise TargetError(f"unknown request '{request}'; known: {', '.join(BODIES)}", status=2)
        fields = dict(args)
        name, version = str(fields.pop("name", "")), fields.pop("version", api14.NETMAP_API)
        if fields.pop("options", None):
            raise TargetError(f"{request} with options: a device is not driven with options", status=2)
        kind = BODIES[request]
        self.header_bytes = bytearray(api14.nmreq_header.SIZE)
        self.header = api14.nmreq_header(Buffer(self.header_bytes))
        self.header.nr_version, self.header.nr_name = version, "" if name == "-" else name
        self.header.nr_reqtype = getattr(api14, f"NETMAP_REQ_{request}")
        self._body_bytes = bytearray(kind.SIZE) if kind else None
        self.body: Any = kind(Buffer(self._body_bytes)) if kind else None
        if request == "REGISTER":
            fields["mode"] = constant(fields.get("mode", api14.NR_REG_ALL_NIC), "NR_REG_")
            fields["flags"] = constant(fields.get("flags", 0), "NR_")
        for key, value in fields.items():
            member = key if key.startswith("nr_") else f"nr_{key}"
            if self.body is None or member not in vars(kind):
                raise TargetError(f"{request} has no field '{key}'", status=2)
            setattr(self.body, member, value)
        if self._body_bytes is not None:
            self.header.nr_body = address(self._body_bytes)

    def header_fields(self) -> dict[str, Any]:
        """The header as it is now, without its pointers."""
        return {k: v for k, v in self.header.fields().items() if k not in ("nr_body", "nr_options")}

    def body_fields(self) -> dict[str, Any] | None:
        """The body as it is now."""
        return self.body.fields() if self.body is not None else None


def constant(value: Any, prefix: str) -> int:
    """A number, or names of constants joined by ``|``, with or without their prefix."""
    if isinstance(value, int):
        return value
    total = 0
    for word in str(value).replace("+", "|").split("|"):
        number = getattr(api14, prefix + word, getattr(api14, word, None))
        total |= number if isinstance(number, int) else int(word, 0)
    return total

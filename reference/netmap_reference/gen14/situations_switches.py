"""Requests about switches, and the legacy ones, whose every step is made to fail (:mod:`.situations`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netmap_spec.abi import api14

from .injection import Situation
from .situation_worlds import NOBODYS, after, ask, old, register, world

_NEWIF = ("VALE_NEWIF", {"name": "vi0", "tx_slots": 8, "rx_slots": 8})
_OTHER = ("REGISTER", {"name": "m0"})
_PIPE = ("REGISTER", {"name": "x{1", "tx_slots": 8, "rx_slots": 8})
_PORT = ("REGISTER", {"name": "vale0:a", "tx_slots": 8, "rx_slots": 8})
_NIC = ("VALE_ATTACH", {"name": "vale0:v0", "mode": "ALL_NIC"})
_NIC_SW = ("VALE_ATTACH", {"name": "vale0:v0", "mode": "NIC_SW"})
_VI = ("VALE_ATTACH", {"name": "vale0:vi0", "mode": "ALL_NIC"})
_POLL = {"name": "vale0:v0", "mode": "NETMAP_POLLING_MODE_MULTI_CPU", "num_polling_cpus": 2}
_POLLED = ("VALE_POLLING_ENABLE", _POLL)


def situations() -> Iterator[Situation]:
    """All of them."""
    yield from _ports()
    yield from _attachments()
    yield from _rest()
    yield from _options()
    yield from _legacy()


def _ports() -> Iterator[Situation]:
    """Ports of switches that come with a REGISTER, or are interfaces."""
    small: dict[str, Any] = {"tx_slots": 8, "rx_slots": 8}
    shape = small | {"tx_rings": 2, "rx_rings": 2}
    yield Situation("REGISTER vale0:a, no switch", world(), register(name="vale0:a", **shape, extra_bufs=3))
    yield Situation("REGISTER vale0:b, the switch there", after(_PORT), register(name="vale0:b", **shape))
    yield Situation("REGISTER vale0:a again", after(_PORT), register(name="vale0:a", **shape))
    yield Situation(
        "REGISTER vale0:a in another region", after(_PIPE), register(name="vale0:a", mem_id=2, **small)
    )
    brought = {
        "type": "EXTMEM", "usrptr": 1 << 20, "nr_memsize": 1 << 17, "nr_ring_pool_objsize": 2048,
        "nr_ring_pool_objtotal": 8, "nr_buf_pool_objtotal": 20,
    }  # fmt: skip
    options = [brought, {"type": "OFFSETS", "max_offset": 64, "initial_offset": 16}]
    yield Situation(
        "REGISTER vale0:a, memory, offsets",
        world(),
        register(name="vale0:a", **small, options=options),
    )
    yield Situation("REGISTER vale0:a{1, nothing there", world(), register(name="vale0:a{1", **small))
    yield Situation("REGISTER vale0:a{1, the port there", after(_PORT), register(name="vale0:a{1", **small))
    yield Situation(
        "REGISTER a monitor of a switch port", after(_PORT), register(name="vale0:a", flags="NR_MONITOR_RX")
    )
    yield Situation("REGISTER vi0, a persistent port", after(_NEWIF), register(name="vi0"))
    yield Situation("REGISTER vi0 in another region", after(_NEWIF, _PIPE), register(name="vi0", mem_id=3))


def _attachments() -> Iterator[Situation]:
    for name, mode in (("v0", "ALL_NIC"), ("v0", "NIC_SW"), ("m0", "NIC_SW")):
        for where, before in (("alone", ()), ("beside others", (_PORT, ("REGISTER", {"name": "p0"})))):
            yield Situation(
                f"VALE_ATTACH {name} {mode}, {where}",
                after(*before),
                ask("VALE_ATTACH", name=f"vale0:{name}", mode=mode),
            )
    yield Situation("VALE_ATTACH p0 of a pair", world(), ask("VALE_ATTACH", name="vale0:p0", mode="ALL_NIC"))
    yield Situation(
        "VALE_ATTACH v0 in another region",
        after(_PIPE),
        ask("VALE_ATTACH", name="vale0:v0", mode="ALL_NIC", mem_id=2),
    )
    yield Situation(
        "VALE_ATTACH v0 with offsets",
        after(_PORT),
        ask("VALE_ATTACH", name="vale0:v0", mode="NIC_SW", options=[{"type": "OFFSETS"}]),
        ok=False,
    )
    yield Situation("VALE_ATTACH vi0", after(_NEWIF), ask("VALE_ATTACH", name="vale0:vi0", mode="ALL_NIC"))
    yield Situation("VALE_DETACH v0", after(_NIC_SW), ask("VALE_DETACH", name="vale0:v0"))
    yield Situation("VALE_DETACH vi0", after(_NEWIF, _VI), ask("VALE_DETACH", name="vale0:vi0"))
    yield Situation(
        "VALE_DETACH of a port of REGISTER", after(_PORT), ask("VALE_DETACH", name="vale0:a"), ok=False
    )


def _rest() -> Iterator[Situation]:
    yield Situation("VALE_NEWIF vi0", world(), ask(_NEWIF[0], **_NEWIF[1]))
    yield Situation("VALE_NEWIF vi0 in another region", after(_PIPE), ask(_NEWIF[0], **_NEWIF[1], mem_id=2))
    yield Situation("VALE_DELIF vi0", after(_NEWIF), ask("VALE_DELIF", name="vi0"))
    yield Situation("VALE_LIST by name", after(_PORT), ask("VALE_LIST", name="vale0:a"))
    yield Situation("VALE_LIST the first", after(_PORT), ask("VALE_LIST", name=""))
    yield Situation("PORT_HDR_SET", after(_PORT), ask("PORT_HDR_SET", name="vale0:a", hdr_len=12))
    yield Situation("PORT_HDR_GET", after(_PORT), ask("PORT_HDR_GET", name="vale0:a"))
    yield Situation("PORT_HDR_GET m0", after(), ask("PORT_HDR_GET", name="m0"))
    yield Situation("VALE_POLLING_ENABLE", after(_NIC), ask("VALE_POLLING_ENABLE", **_POLL))
    yield Situation("VALE_POLLING_DISABLE", after(_NIC, _POLLED), ask("VALE_POLLING_DISABLE", **_POLL))


def _options() -> Iterator[Situation]:
    """Options are copied in and out for every request, also behind what cannot be taken back."""
    for request, before, fields in (
        ("VALE_ATTACH", (), {"name": "vale0:v0", "mode": "NIC_SW"}),
        ("VALE_DETACH", (_NIC_SW,), {"name": "vale0:v0"}),
        ("VALE_NEWIF", (), _NEWIF[1]),
        ("VALE_DELIF", (_NEWIF,), {"name": "vi0"}),
        ("VALE_LIST", (_PORT,), {"name": "vale0:a"}),
        ("PORT_HDR_SET", (_PORT,), {"name": "vale0:a", "hdr_len": 12}),
        ("PORT_HDR_GET", (_PORT,), {"name": "vale0:a"}),
        ("VALE_POLLING_ENABLE", (_NIC,), _POLL),
        ("VALE_POLLING_DISABLE", (_NIC, _POLLED), _POLL),
    ):
        asks = ask(request, **fields, options=NOBODYS)
        yield Situation(f"{request} with an option nobody takes", after(*before), asks)


def _legacy() -> Iterator[Situation]:
    """``nr_cmd`` says which request a NIOCREGIF is, so all of them pass what a translation passes."""
    for name in ("v0", "x{1", "vale0:a"):
        yield Situation(f"NIOCREGIF {name}", world(), old("REGIF", name=name))
        yield Situation(f"NIOCGINFO {name}", world(), old("GINFO", name=name))
    yield Situation("NIOCGINFO list", after(_PORT), old("GINFO", name="", cmd=api14.NETMAP_BDG_LIST))
    polling = {"arg1": 2, "flags": int(api14.NR_REG_ONE_NIC)}
    for cmd, name, before, more in (
        ("BDG_ATTACH", "vale0:v0", (), {"arg1": int(api14.NETMAP_BDG_HOST)}),
        ("BDG_DETACH", "vale0:v0", (_NIC,), {}),
        ("BDG_VNET_HDR", "vale0:a", (_PORT,), {"arg1": 12}),
        ("VNET_HDR_GET", "vale0:a", (_PORT,), {}),
        ("BDG_NEWIF", "vi0", (), {}),
        ("BDG_DELIF", "vi0", (_NEWIF,), {}),
        ("BDG_POLLING_ON", "vale0:v0", (_NIC,), polling),
        ("BDG_POLLING_OFF", "vale0:v0", (_NIC, _POLLED), {}),
    ):
        fields = {"name": name, "cmd": getattr(api14, f"NETMAP_{cmd}"), **more}
        yield Situation(f"NIOCREGIF {cmd}", after(*before), old("REGIF", **fields))

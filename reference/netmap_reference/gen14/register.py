"""Chapter *register*: NIOCCTRL with NETMAP_REQ_REGISTER, from the name to the netmap_if.

The order of the checks is part of the rule, for a request that is wrong in two ways: version, already
bound, memory identifier, mode of a pipe, name, parent, ring range, MTU, exclusive users, memory. A request
that fails leaves nothing behind: what it made on the way is unmade, and the request's fields are returned
as they were sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from netmap_spec.abi import api14

from ..core.outcome import NotModelled, errno, fault
from ..core.step import rule
from . import bind, memory, request
from .bind import Faulted, Refused, krings_get, rings_create
from .ports import nic_get
from .ports.ops import Asked
from .ports.table import find, ops
from .request import Request, Rings
from .result import Result
from .state import DIRECTIONS, RX, TX, File, System

NETMAP_C = request.NETMAP_C

_BOUND = "14.register.once"
BOUND_TWICE = rule("14/register/already-bound", clause=_BOUND, source=f"{NETMAP_C}:2807-2810")
BOUND = rule("14/register/bound", clause="14.register.result", source=f"{NETMAP_C}:2872-2916")
NOTHING_LEFT = rule("14/register/refused", clause="14.register.failure", source=f"{NETMAP_C}:2692-2708")
MEM_ID = rule("14/register/mem-id/unknown", clause="14.memory.ids", source=f"{NETMAP_C}:2826-2837")


def register(s: System, file: int, fields: Mapping[str, Any], switches: frozenset[str]) -> Result:
    """Bind an open file. On success ``out`` has every ``nr_`` field as copied back."""
    req = request.parse_request(fields)
    before = s.clone()
    fired: list[str] = []
    try:
        out = _register(s, file, req, fired, switches)
    except Refused as refused:
        asked = s.adapters.get(req.name)
        s.restore(before)
        if nic_get.HOST_RINGS_STICK in switches and asked is not None:
            fired.extend(nic_get.keep_host_rings(s, asked))
        return Result(errno(refused.name), (*fired, NOTHING_LEFT), req.echo())
    except Faulted as faulted:
        return Result(fault(faulted.lines), tuple(fired), req.echo())
    except NotModelled:
        s.restore(before)
        raise
    return Result(fired=tuple(fired), out=out)


def _register(
    s: System, file: int, req: Request, fired: list[str], switches: frozenset[str]
) -> dict[str, int]:
    if not api14.NETMAP_MIN_API <= req.version <= api14.NETMAP_MAX_API:
        fired.append(request.VERSION)
        raise Refused("EINVAL")
    if s.files[file].adapter:
        fired.append(BOUND_TWICE)
        raise Refused("EBUSY")
    if req.mem_id and req.mem_id not in s.allocators:
        fired.append(MEM_ID)
        raise Refused("EINVAL")
    name = find(Asked(s, req, fired, switches, find))
    na = s.adapters[name]
    # The reference the descriptor holds; a pipe end that was just made is held by it alone.
    s.adapters[name] = replace(na, refs=na.refs + 1)
    f = bind_file(s, name, req, fired, switches)
    na = s.adapters[name]
    a = s.allocators[na.mem]
    region = s.regions[na.mem]
    nifp = api14.netmap_if(region, a.if_offset(f.nifp))
    if a.private:
        nifp.ni_flags |= api14.NI_PRIV_MEM
    extra = 0
    nifp.ni_bufs_head = 0
    if req.extra_bufs:
        step = memory.extra_alloc(a, region, req.extra_bufs)
        s.allocators[na.mem], nifp.ni_bufs_head, extra = step.state
        fired.extend(step.fired)
    s.files[file] = f
    fired.append(BOUND)
    return req.echo() | {
        "nr_offset": nifp.off,
        "nr_memsize": a.memsize,
        "nr_tx_slots": na.tx_slots,
        "nr_rx_slots": na.rx_slots,
        "nr_tx_rings": na.tx_rings,
        "nr_rx_rings": na.rx_rings,
        "nr_host_tx_rings": na.host_tx_rings,
        "nr_host_rx_rings": na.host_rx_rings,
        "nr_mem_id": a.id,
        "nr_extra_bufs": extra,
    }


# --- binding the file -------------------------------------------------------------------------


def bind_file(s: System, name: str, req: Request, fired: list[str], switches: frozenset[str]) -> File:
    """Move the port towards netmap mode and bind a file to it. Source: netmap_do_regif."""
    na = s.adapters[name]
    a = s.allocators[na.mem]
    s.allocators[na.mem] = replace(a, active=a.active + 1)
    rings = Rings(
        na.tx_rings, na.rx_rings, na.host_tx_rings, na.host_rx_rings, na.all_rings(TX), na.all_rings(RX),
        na.host_rings,
    )  # fmt: skip
    step = request.ring_range(
        rings, req.mode, req.ringid, req.has(api14.NR_TX_RINGS_ONLY), req.has(api14.NR_RX_RINGS_ONLY)
    )
    fired.extend(step.fired)
    if not step.outcome.ok:
        raise Refused(step.outcome.detail)
    f = File(
        name,
        tx=step.state.tx,
        rx=step.state.rx,
        exclusive=req.has(api14.NR_EXCLUSIVE),
        tx_poll=not req.has(api14.NR_NO_TX_POLL),
        rx_poll=req.has(api14.NR_DO_RX_POLL),
        forward_down=step.state.tx[0] == 0 and step.state.tx[1] >= na.tx_rings,
    )
    many = {t: f.range(t)[1] - f.range(t)[0] > 1 for t in DIRECTIONS}
    f = replace(f, selinfo=(_selinfo(f, RX, many), _selinfo(f, TX, many)))
    first = na.fds == 0
    if first:
        ops(na).check(s, na, f, fired)
        ops(na).krings_create(s, name, fired)
    krings_get(s, f, fired)
    rings_create(s, name, fired)
    f = replace(f, nifp=bind.if_new(s, f, fired))
    bind.update_hostrings_mode(s, s.adapters[name])
    if first or bind.mode_pending(s, f):
        ops(na).register(s, name, fired, switches)
    na = s.adapters[name]
    users = (na.si_users[0] + many[RX], na.si_users[1] + many[TX])
    s.adapters[name] = replace(na, fds=na.fds + 1, si_users=users)
    return f


def _selinfo(f: File, t: str, many: Mapping[str, bool]) -> str:
    """Where a descriptor sleeps: on the port's shared selinfo when it is bound to several rings."""
    first, _ = f.range(t)
    return f"{f.adapter}:{t}" if many[t] else f"{f.adapter}:{t}{first}"

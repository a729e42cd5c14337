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

from ..core.memory import Region
from ..core.outcome import NotModelled, errno, fault
from ..core.step import rule
from . import bind, memory, request
from .bind import Refused, krings_get, rings_create
from .ports import nic_mode, pipe_ends
from .request import Request, Rings, Shape
from .result import Result
from .state import DIRECTIONS, RX, TX, Adapter, File, System

NETMAP_C = request.NETMAP_C
PIPE_C = request.PIPE_C
GENERIC_C = "luigirizzo/netmap:sys/dev/netmap/netmap_generic.c@89607e14"

#: The numbers of host rings a request asks for stay with the port though the request failed.
HOST_RINGS_STICK = "14.host-rings-stick"
#: The second end of a shared pair asks for more host rings than were made with the first.
HOST_RINGS_OVERRUN = "14.veth-host-rings-overrun"
AS_WRITTEN = frozenset({HOST_RINGS_STICK, HOST_RINGS_OVERRUN})

_BOUND = "14.register.once"
BOUND_TWICE = rule("14/register/already-bound", clause=_BOUND, source=f"{NETMAP_C}:2807-2810")
BOUND = rule("14/register/bound", clause="14.register.result", source=f"{NETMAP_C}:2872-2916")
NOTHING_LEFT = rule("14/register/refused", clause="14.register.failure", source=f"{NETMAP_C}:2692-2708")
MEM_ID = rule("14/register/mem-id/unknown", clause="14.memory.ids", source=f"{NETMAP_C}:2826-2837")
OLD_MODE = rule("14/register/mode/pipe", clause="14.register.names", source=f"{NETMAP_C}:1583-1588")
PIPE_MODE = rule("14/register/pipe/mode", clause="14.pipe.modes", source=f"{PIPE_C}:688-691")
PIPE_FOUND = rule("14/register/pipe/found", clause="14.pipe.ends", source=f"{PIPE_C}:730-746")
PIPE_MADE = rule("14/register/pipe/made", clause="14.pipe.ends", source=f"{PIPE_C}:752-850")
PARENT_MADE = rule("14/register/pipe/parent-made", clause="14.pipe.parent", source=f"{PIPE_C}:693-722")
STUCK = rule(
    "14/register/host-rings/stick",
    clause="14.host.counts",
    source=f"{NETMAP_C}:1654-1663",
    switch=HOST_RINGS_STICK,
)
OVERRUN = rule(
    "14/register/host-rings/overrun",
    clause="14.host.counts",
    source=f"{NETMAP_C}:1654-1663",
    switch=HOST_RINGS_OVERRUN,
)
HOST_ONLY = rule("14/register/host-only", clause="14.register.names", source=f"{GENERIC_C}:1086-1089")
NO_PORT = rule("14/register/no-such-port", clause="14.register.names", source=f"{NETMAP_C}:1641-1645")


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
        if HOST_RINGS_STICK in switches and asked is not None:
            fired.extend(keep_host_rings(s, asked))
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
    name = find(s, req, fired, switches)
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


# --- finding or making the port ---------------------------------------------------------------


class Faulted(Exception):
    """The kernel faults at these source lines."""

    def __init__(self, lines: str) -> None:
        super().__init__(lines)
        self.lines = lines


def keep_host_rings(s: System, asked: Adapter) -> tuple[str, ...]:
    """As written the numbers of host rings a failed request asked for are those of the next one."""
    na = s.adapters.get(asked.name)
    if na is None:
        return ()  # an end of a pipe that was made for the request went with it
    counts = (asked.host_tx_rings, asked.host_rx_rings)
    if na.kind != "nic" or s.ports[na.name].driver.copies or counts == (na.host_tx_rings, na.host_rx_rings):
        return ()
    s.adapters[na.name] = replace(na, host_tx_rings=counts[0], host_rx_rings=counts[1])
    return (STUCK,)


def find(s: System, req: Request, fired: list[str], switches: frozenset[str]) -> str:
    """The adapter a request names, made if it can be. Source: netmap_get_na."""
    if req.mode in (api14.NR_REG_PIPE_MASTER, api14.NR_REG_PIPE_SLAVE):
        fired.append(OLD_MODE)
        raise Refused("EINVAL")
    if req.mode == api14.NR_REG_NULL:
        raise NotModelled("14/register/null", f"null port {req.name}")
    if req.flags & (api14.NR_MONITOR_TX | api14.NR_MONITOR_RX | api14.NR_ZCOPY_MON):
        raise NotModelled("14/register/monitor", f"monitor of {req.name}")
    step = request.parse_name(req.name)
    fired.extend(step.fired)
    if not step.outcome.ok:
        raise Refused(step.outcome.detail)
    port = step.state
    if port.kind == "pipe":
        if req.mode not in (api14.NR_REG_ALL_NIC, api14.NR_REG_ONE_NIC):
            fired.append(PIPE_MODE)
            raise Refused("EINVAL")
        return _pipe(s, req, port, fired)
    if port.kind == "vale":
        raise NotModelled("14/register/vale", f"VALE port {req.name}")
    na = s.adapters.get(port.base)
    if na is None:
        fired.append(NO_PORT)
        raise Refused("ENXIO")
    if na.kind != "nic":
        raise NotModelled("14/register/persistent", f"{na.name} is a port made for its pipes")
    if s.ports[na.name].host_only:
        fired.append(HOST_ONLY)
        raise Refused("EINVAL")
    na = nic_mode.choose_driver(s, na, fired)
    _check_mem(na, req)
    if na.fds == 0:
        host_tx, host_rx = req.host_tx_rings or na.host_tx_rings, req.host_rx_rings or na.host_rx_rings
        if not na.created:
            s.adapters[na.name] = replace(na, host_tx_rings=host_tx, host_rx_rings=host_rx)
        elif HOST_RINGS_OVERRUN in switches and (host_tx > na.host_tx_rings or host_rx > na.host_rx_rings):
            fired.append(OVERRUN)
            raise Faulted("netmap.c:1658-1663, netmap_mem2.c:1981-1984")
    return na.name


def _check_mem(na: Adapter, req: Request) -> None:
    if req.mem_id and req.mem_id != na.mem and na.fds == 0:
        raise NotModelled("14/register/mem-id/override", f"{na.name} with the memory of {req.mem_id}")


def _pipe(s: System, req: Request, port: request.PortName, fired: list[str]) -> str:
    """The end of a pipe, both ends made if the pipe does not exist. Source: netmap_get_pipe_na."""
    if any(c in port.base for c in "{}"):
        raise NotModelled("14/register/pipe/nested", f"the parent of {req.name} is a pipe")
    if port.base.startswith("vale"):
        raise NotModelled("14/register/vale", f"the parent of {req.name} is a VALE port")
    shape = Shape(req.tx_rings, req.rx_rings, req.tx_slots, req.rx_slots, req.extra_bufs)
    if port.base not in s.adapters:
        shape = _make_parent(s, req, port.base, shape, fired)
    parent = s.adapters[port.base]
    if parent.kind == "nic":
        parent = nic_mode.choose_driver(s, parent, fired)
    _check_mem(parent, req)
    master, slave = f"{parent.name}{{{port.pipe_id}", f"{parent.name}}}{port.pipe_id}"
    mine, other = (master, slave) if port.role == "{" else (slave, master)
    if master in parent.pipes:
        fired.append(PIPE_FOUND)
        return mine
    step = request.pipe_shape(shape, parent.tx_slots, parent.rx_slots)
    fired.extend((*step.fired, PIPE_MADE))
    got = step.state
    ends = (
        (master, slave, got.tx_rings, got.rx_rings, got.tx_slots, got.rx_slots),
        (slave, master, got.rx_rings, got.tx_rings, got.rx_slots, got.tx_slots),
    )
    for name, peer, tx_rings, rx_rings, tx_slots, rx_slots in ends:
        s.adapters[name] = Adapter(
            name, "pipe", free_number(s), parent.mem, tx_rings, rx_rings, tx_slots, rx_slots,
            refs=int(name == other), role=name[len(parent.name)], peer=peer, peer_ref=name == mine,
            parent=parent.name,
        )  # fmt: skip
    s.adapters[parent.name] = replace(parent, refs=parent.refs + 2, pipes=(*parent.pipes, master))
    hold(s, parent.mem, 2)
    return mine


def _make_parent(s: System, req: Request, name: str, asked: Shape, fired: list[str]) -> Shape:
    """A port for pipes that name a parent which does not exist; it goes with its last pipe.

    Returns the request as the pipe sees it: making the parent has cut it. Source: netmap_vi_create.
    """
    named = request.parent_name(name)
    step = request.parent_shape(asked)
    shape = step.state
    if not named.outcome.ok:
        fired.extend(named.fired)
        raise Refused("ENXIO")
    if req.mem_id:
        mem = req.mem_id
    else:
        ids = tuple(sorted(s.allocators))
        mem = memory.assign_id(ids, s.last_mem).state
        params = memory.private_params(
            shape.tx_rings, shape.tx_slots, shape.rx_rings, shape.rx_slots, shape.extra_bufs, pipes=2
        )
        made = memory.new_allocator(mem, True, params)
        fired.extend(made.fired)
        if not made.outcome.ok:
            fired.append(request.NAME_PARENT)
            raise Refused("ENXIO")
        s.allocators[mem], s.regions[mem], s.last_mem = made.state, Region(made.state.memsize), mem
    hold(s, mem, 1)
    s.adapters[name] = Adapter(
        name,
        "persistent",
        free_number(s),
        mem,
        shape.tx_rings,
        shape.rx_rings,
        shape.tx_slots,
        shape.rx_slots,
    )
    fired.extend((*step.fired, PARENT_MADE))
    return shape


def hold(s: System, mem: int, by: int) -> None:
    """``by`` more ports hold a region."""
    a = s.allocators[mem]
    s.allocators[mem] = replace(a, refs=a.refs + by)


def free_number(s: System) -> int:
    """The smallest adapter number that is free."""
    taken = {na.number for na in s.adapters.values()}
    return next(n for n in range(len(taken) + 1) if n not in taken)


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
        if na.kind == "nic":
            nic_mode.check_mtu(s, na, f, fired)
            nic_mode.krings_create(s, name, fired)
        elif na.peer_ref:
            pipe_ends.krings_create_pair(s, name, fired)
    krings_get(s, f, fired)
    rings_create(s, name, fired)
    f = replace(f, nifp=bind.if_new(s, f, fired))
    bind.update_hostrings_mode(s, s.adapters[name])
    if first or bind.mode_pending(s, f):
        if na.kind == "nic":
            nic_mode.registered(s, name, fired, switches)
        else:
            pipe_ends.register_rings(s, name, fired, switches)
            pipe_ends.registered(s, name, first)
    na = s.adapters[name]
    users = (na.si_users[0] + many[RX], na.si_users[1] + many[TX])
    s.adapters[name] = replace(na, fds=na.fds + 1, si_users=users)
    return f


def _selinfo(f: File, t: str, many: Mapping[str, bool]) -> str:
    """Where a descriptor sleeps: on the port's shared selinfo when it is bound to several rings."""
    first, _ = f.range(t)
    return f"{f.adapter}:{t}" if many[t] else f"{f.adapter}:{t}{first}"

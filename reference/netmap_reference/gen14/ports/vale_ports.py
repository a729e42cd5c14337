"""Chapter *VALE ports*: the port of a switch that a request names, made with its switch if there is none.

A port made by its first descriptor (*ephemeral*) goes with its last one; the switch goes with its last port.
Each port has a region of its own, unless the request names another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from netmap_spec.abi import api14

from ...core.effects import Protocol
from ...core.outcome import OK, Outcome, errno
from ...core.step import rule
from .. import bind, callbacks, failure, lease, memory, regions, request, switch
from ..bind import Refused, free_number, hold, memory_put
from ..failure import Faulted, may_fail, point
from ..request import Shape
from ..state import RX, TX, Adapter, KringState, System
from ..switch import Bridge, VpPort
from . import pipe_ends, vale
from .ops import Asked, PortOps, any_offsets, register, unregister

if TYPE_CHECKING:
    from ..execute import Execution

NETMAP_C = request.NETMAP_C
BDG_C = switch.BDG_C
VALE_C = switch.VALE_C

TABLE = point("switch.table", "ENOMEM", source=f"{BDG_C}:215-219")
ADAPTER = point("vale.adapter", "ENOMEM", source=f"{VALE_C}:1156-1158")
FORWARDING = point("vale.forwarding", "ENOMEM", source=f"{VALE_C}:229-236,452-456")

#: A persistent port that a program binds is not found by its name on the switch any more.
RENAMED = "14.vale-persistent-renamed"
#: A request that names the host stack's port of a switch drops the only reference to it.
HOST_FREED = "14.vale-host-port-freed"
AS_WRITTEN = frozenset({RENAMED, HOST_FREED})

_FOUND = "14.switch.ports"
FOUND = rule("14/vale-port/find/found", clause=_FOUND, source=f"{BDG_C}:421-433")
MADE = rule("14/vale-port/find/made", clause=_FOUND, source=f"{BDG_C}:455-480,515-537")
NO_PORT = rule("14/vale-port/find/no-such-port", clause=_FOUND, source=f"{BDG_C}:411-415,434-436")
NIC_NAME = rule("14/vale-port/find/interface", clause="14.switch.nic-name", source=f"{BDG_C}:482-496")
SHAPED = rule("14/vale-port/make/shape", clause="14.switch.port-sizes", source=f"{VALE_C}:1161-1189")
SHARED = rule("14/vale-port/make/given-memory", clause="14.switch.port-memory", source=f"{VALE_C}:1211-1217")
OWN = rule("14/vale-port/make/own-memory", clause="14.switch.port-memory", source=f"{VALE_C}:1211-1217")
LEASES = rule("14/vale-port/krings/leases", clause="14.vale.lease", source=f"{VALE_C}:424-458")
BUSY = rule("14/vale-port/bind/attached", clause="14.switch.attach", source=f"{NETMAP_C}:2843-2846")
NO_HEADER = rule("14/vale-port/bind/header", clause="14.vale.header-length", source=f"{NETMAP_C}:2848-2853")
LOST = rule(
    "14/vale-port/bind/renamed", clause="14.switch.attach", source=f"{NETMAP_C}:761-768", switch=RENAMED
)
LEFT = rule("14/vale-port/destroy/detached", clause=_FOUND, source=f"{VALE_C}:398-419")


# --- switches -------------------------------------------------------------------------------------


def label(na: Adapter) -> str:
    """The name a port of a switch goes by there."""
    return na.label or na.name


HOST_FAULTS = rule(
    "14/vale-port/host/freed",
    clause="14.bwrap.host",
    source=f"{NETMAP_C}:4184-4204",
    switch=HOST_FREED,
)


def find_bridge(asked: Asked, name: str, least: int = 0) -> tuple[int, Outcome]:
    """The place of the switch that a port's name begins with; -1 and the error when there is none and none
    can be made. Source: nm_find_bridge."""
    s = asked.s
    named = switch.switch_name(name, least)
    asked.fired.extend(named.fired)
    if not named.outcome.ok:
        return -1, named.outcome if asked.create else errno("ENXIO")
    names = tuple(s.bridges[i].name if i in s.bridges else "" for i in range(s.params.max_bridges))
    at = switch.place(names, named.state)
    if at.state not in s.bridges and not asked.create:
        return -1, errno("ENXIO")
    asked.fired.extend(at.fired)
    if not at.outcome.ok:
        return -1, at.outcome
    if at.state not in s.bridges:
        may_fail(s, TABLE, asked.fired)
    return at.state, OK


def port_of(s: System, b: Bridge, name: str) -> str:
    """The adapter of the port that goes by this name on a switch, empty for none."""
    return next((port for _, port in b.ports if label(s.adapters[port]) == name), "")


def interfaces(s: System) -> set[str]:
    """Names of the system's network interfaces."""
    return {na.name for na in s.adapters.values() if na.kind in ("nic", "persistent")} | s.left


def join(s: System, place: int, b: Bridge, names: tuple[str, ...], fired: list[str]) -> None:
    """Attach ports to a switch, which comes with its first one."""
    step = switch.attach(b, names)
    fired.extend(step.fired)
    s.bridges[place] = step.state
    serials = dict(step.state.serials)
    for index, name in step.state.ports:
        if name in names:
            na = s.adapters[name]
            vp = replace(na.vp or VpPort(), bridge=place, index=index, serial=serials[index])
            s.adapters[name] = replace(na, vp=vp)


def leave(s: System, name: str, fired: list[str]) -> None:
    """Detach a port from its switch, which goes with its last one. Source: netmap_bdg_detach_common."""
    na = s.adapters[name]
    assert na.vp is not None
    step = switch.detach(s.bridges[na.vp.bridge], na.vp.index)
    fired.extend(step.fired)
    if step.state.dtor and na.kind != switch.BWRAP_HOST:
        s.told = (*s.told, label(na))
        fired.append(callbacks.TOLD)
    if step.state.ports or step.state.exclusive:
        s.bridges[na.vp.bridge] = step.state
    else:
        del s.bridges[na.vp.bridge]
        fired.append(switch.GONE)
    s.adapters[name] = replace(na, vp=replace(na.vp, bridge=-1, index=-1, serial=-1))


# --- ports ----------------------------------------------------------------------------------------


def make_port(
    s: System, name: str, kind: str, asked: Shape, mem_id: int, vp: VpPort, fired: list[str]
) -> Shape:
    """Make a port with the sizes it can give. ENOMEM when its region cannot be laid out.

    Source: netmap_vale_vp_create.
    """
    shape, mem = asked, mem_id
    may_fail(s, ADAPTER, fired)
    step = request.parent_shape(asked)
    if step.state != asked:
        fired.extend((*step.fired, SHAPED))
        shape = step.state
    if not mem_id:
        fired.append(OWN)
        params = memory.private_params(
            shape.tx_rings, shape.tx_slots, shape.rx_rings, shape.rx_slots, shape.extra_bufs, 2,
            s.params.private,
        )  # fmt: skip
        try:
            mem = regions.private_new(s, params, fired)
        except Refused:
            raise Refused("ENOMEM") from None
    if mem_id:
        fired.append(SHARED)
        hold(s, mem, 1)
    s.adapters[name] = Adapter(
        name, kind, free_number(s), mem, shape.tx_rings, shape.rx_rings, shape.tx_slots, shape.rx_slots, vp=vp
    )
    return shape


def find(asked: Asked) -> str:
    """The port of a switch of that name, made if it can be. Source: netmap_get_bdg_na.

    As written (HOST_FREED) nobody holds a reference to the host stack's port, so the one that a request takes
    is the last when it is dropped: the port is freed, and on the way a function is called that it has not.
    """
    s, req, fired = asked.s, asked.req, asked.fired
    ours = switch.is_vale(req.name, asked.switches)
    fired.extend(ours.fired)
    if not ours.state:
        return ""
    place, error = find_bridge(asked, req.name, len(switch.PREFIX))
    if not error.ok:
        raise Refused(error.detail)
    b = s.bridges.get(place, Bridge(req.name[: req.name.index(":")]))
    known = port_of(s, b, req.name)
    if known:
        fired.append(FOUND)
        if HOST_FREED in asked.switches and s.adapters[known].kind == switch.BWRAP_HOST:
            fired.append(HOST_FAULTS)
            raise Faulted("netmap.c:4196-4200")
        return known
    if not asked.create:
        fired.append(NO_PORT)
        raise Refused("ENXIO")
    room = switch.room_for(len(b.ports), 1, asked.switches)
    fired.extend(room.fired)
    if not room.state:
        raise Refused("ENOMEM")
    if req.name[len(b.name) + 1 :] in interfaces(s):
        fired.append(NIC_NAME)
        raise Refused("EINVAL")
    shape = Shape(req.tx_rings, req.rx_rings, req.tx_slots, req.rx_slots, req.extra_bufs)
    made = make_port(s, req.name, "vale", shape, req.mem_id, VpPort(), fired)
    asked.cut["extra_bufs"] = made.extra_bufs
    join(s, place, b, (req.name,), fired)
    failure.undo(s, "vale.port", lambda: _unmake(s, req.name))
    fired.append(MADE)
    return req.name


def _unmake(s: System, name: str) -> None:
    """A port made for a request that failed goes, unless its last reference has taken it already."""
    na = s.adapters.get(name)
    if na is None or na.refs:
        return
    leave(s, name, [])
    del s.adapters[name]
    memory_put(s, na.mem, [])


def attached(s: System, name: str) -> str:
    """The adapter that stands in for an interface on a switch, empty for none."""
    wraps = (na for na in s.adapters.values() if na.kind == switch.BWRAP)
    return next((na.name for na in wraps if na.vp and na.vp.below == name), "")


def may_bind(asked: Asked, name: str) -> None:
    """EBUSY for an interface that is attached, EIO for a program that does not know of the port's header."""
    s, fired = asked.s, asked.fired
    na = s.adapters[name]
    if na.kind in (switch.BWRAP, switch.BWRAP_HOST) or attached(s, name):
        fired.append(BUSY)
        raise Refused("EBUSY")
    if na.vp is not None and na.vp.hdr and not asked.req.has(api14.NR_ACCEPT_VNET_HDR):
        fired.append(NO_HEADER)
        raise Refused("EIO")
    if na.fds == 0:
        rename(s, name, fired, asked.switches)


def rename(s: System, name: str, fired: list[str], switches: frozenset[str]) -> None:
    """The first who binds a port gives it the name it has on its switch, if it is on one.

    As written (RENAMED) a persistent port goes by its interface's name from then on.
    """
    na = s.adapters[name]
    if RENAMED in switches and na.kind == "persistent" and na.label:
        s.adapters[name] = replace(na, label="")
        fired.append(LOST)


def krings_create(s: System, name: str, fired: list[str]) -> None:
    """The port's krings; its receive rings can be leased from, its transmit rings sort what they send."""
    bind.krings_create(s, s.adapters[name], fired)
    failure.undo(s, "vale.krings", lambda: bind.krings_delete(s, name))
    for _ in range(s.adapters[name].tx_rings):
        may_fail(s, FORWARDING, fired)
    for k in list(bind.krings_of(s, s.adapters[name], hardware_only=True)):
        if k.t == RX:
            bind.put(s, replace(k, lease=lease.fresh(k.pos.n)))
    fired.append(LEASES)


def sync(x: Execution, k: KringState, force: bool) -> Protocol:
    """The port's part of a sync."""
    return vale.txsync(k.name, x.switches) if k.t == TX else vale.rxsync(k.name)


def destroy(s: System, name: str, fired: list[str], put: Callable[[str], None]) -> None:
    """A port made by its first descriptor leaves its switch when it goes."""
    vp = s.adapters[name].vp
    if vp is not None and vp.bridge >= 0:
        leave(s, name, fired)
        fired.append(LEFT)


def persistent_destroy(s: System, name: str, fired: list[str], put: Callable[[str], None]) -> None:
    """An interface that was a port leaves its switch; one made for pipes went with the last of them.

    One that VALE_NEWIF made is left as an interface, until VALE_DELIF has it unregistered.
    """
    destroy(s, name, fired, put)
    vp = s.adapters[name].vp
    if vp is None or not vp.lasting:
        fired.append(pipe_ends.PARENT_GONE)
    else:
        s.left |= {name}


OPS = PortOps(
    krings_create=krings_create,
    register=register,
    unregister=unregister,
    sync=sync,
    destroy=destroy,
    offsets=any_offsets,
)
PERSISTENT_OPS = PortOps(
    krings_create=krings_create,
    register=register,
    unregister=unregister,
    sync=sync,
    destroy=persistent_destroy,
    offsets=any_offsets,
)

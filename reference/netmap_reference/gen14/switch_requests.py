"""Chapter *requests of switches*: list, header length, persistent ports, attaching, detaching, polling.

A *persistent* port of a switch is an interface of the system, made by VALE_NEWIF. It can be attached to a
switch and detached again, and goes by VALE_DELIF. Any other interface is attached with the kernel as the
program that has it bound (:mod:`.ports.bwrap`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from netmap_spec.abi import api14

from ..core.choice import Choice
from ..core.outcome import OK, errno, fault
from ..core.step import Step, rule
from ..core.words import u32
from . import bind, callbacks, failure, register, request, requests, switch
from .bind import Faulted, Refused, memory_put
from .close import adapter_put, unregister
from .failure import may_fail, point
from .ports import attach_steps, bwrap, monitor_ends, nic_mode, vale_ports
from .ports.ops import Asked
from .ports.table import find
from .request import Shape
from .requests import Ctl
from .state import Adapter, System
from .switch import NOPORT, PREFIX, Bridge, VpPort

NETMAP_C = request.NETMAP_C
U32_MAX = (1 << 32) - 1
BDG_C, VALE_C = switch.BDG_C, switch.VALE_C

#: A persistent port that is in use is attached although the request fails.
STAYS_ATTACHED = "14.vale-attach-sticks"
#: Rings to poll are counted in 32 bits, and those behind the end count as there.
POLLS_NO_RING = "14.bwrap-polls-no-ring"
AS_WRITTEN = frozenset({STAYS_ATTACHED, POLLS_NO_RING})

INTERFACE = point("vale.interface", "ENOMEM", source=f"{request.LINUX_C}:2476-2511")

_LIST = "14.switch.list"
LIST_NAME = rule("14/switch-requests/list/named", clause=_LIST, source=f"{VALE_C}:331-362")
LIST_NOT = rule("14/switch-requests/list/no-such-port", clause=_LIST, source=f"{VALE_C}:344-361")
LIST_NONE = rule("14/switch-requests/list/no-such-switch", clause=_LIST, source=f"{VALE_C}:332-342")
LIST_OTHER = rule("14/switch-requests/list/another-kind", clause=_LIST, source=f"{VALE_C}:332-335")
LIST_NEXT = rule("14/switch-requests/list/next", clause=_LIST, source=f"{VALE_C}:363-391")
LIST_END = rule("14/switch-requests/list/end", clause=_LIST, source=f"{VALE_C}:374-392")
_HDR = "14.vale.header-length"
HDR_SET = rule("14/switch-requests/header/set", clause=_HDR, source=f"{NETMAP_C}:3008-3049")
HDR_BAD = rule("14/switch-requests/header/bad-length", clause=_HDR, source=f"{NETMAP_C}:3017-3026")
HDR_OTHER = rule("14/switch-requests/header/no-switch-port", clause=_HDR, source=f"{NETMAP_C}:3034-3046")
HDR_GET = rule("14/switch-requests/header/get", clause=_HDR, source=f"{NETMAP_C}:3051-3074")
_NEWIF = "14.switch.persistent"
NEWIF = rule("14/switch-requests/newif/made", clause=_NEWIF, source=f"{VALE_C}:1321-1349,1417-1487")
NEWIF_NAME = rule("14/switch-requests/newif/bad-name", clause=_NEWIF, source=f"{VALE_C}:1430-1436")
NEWIF_THERE = rule("14/switch-requests/newif/exists", clause=_NEWIF, source=f"{VALE_C}:1437-1449")
DELIF = rule("14/switch-requests/delif/gone", clause=_NEWIF, source=f"{VALE_C}:1351-1403")
DELIF_NONE = rule("14/switch-requests/delif/no-such-interface", clause=_NEWIF, source=f"{VALE_C}:1359-1361")
DELIF_OTHER = rule("14/switch-requests/delif/another-kind", clause=_NEWIF, source=f"{VALE_C}:1363-1376")
DELIF_BUSY = rule("14/switch-requests/delif/busy", clause=_NEWIF, source=f"{VALE_C}:1377-1383")
_ATTACH = "14.switch.attach"
ATTACHED = rule("14/switch-requests/attach/persistent", clause=_ATTACH, source=f"{BDG_C}:498-537,544-610")
ATTACHED_NIC = rule(
    "14/switch-requests/attach/interface", clause=_ATTACH, source=f"{BDG_C}:1661-1692,1711-1800"
)
ATTACHED_HOST = rule(
    "14/switch-requests/attach/host", clause="14.bwrap.host", source=f"{BDG_C}:503-513,523-531"
)
ATTACH_TWICE = rule("14/switch-requests/attach/twice", clause=_ATTACH, source=f"{BDG_C}:571-576")
ATTACH_NONE = rule("14/switch-requests/attach/no-interface", clause=_ATTACH, source=f"{BDG_C}:456-466")
ATTACH_OTHER = rule("14/switch-requests/attach/another-kind", clause=_ATTACH, source=f"{BDG_C}:582-585")
ATTACH_BUSY = rule("14/switch-requests/attach/busy", clause=_ATTACH, source=f"{BDG_C}:587-590,1719-1723")
ATTACH_MODE = rule("14/switch-requests/attach/bad-mode", clause=_ATTACH, source=f"{BDG_C}:1671-1680")
ATTACH_STICKS = rule(
    "14/switch-requests/attach/sticks",
    clause=_ATTACH,
    source=f"{BDG_C}:515-534,587-590",
    switch=STAYS_ATTACHED,
)
_DETACH = "14.switch.detach"
DETACHED = rule("14/switch-requests/detach/persistent", clause=_DETACH, source=f"{BDG_C}:351-369,641-693")
DETACHED_NIC = rule("14/switch-requests/detach/interface", clause=_DETACH, source=f"{BDG_C}:1693-1704")
DETACH_OTHER = rule("14/switch-requests/detach/another-kind", clause=_DETACH, source=f"{BDG_C}:662-665")
DETACH_POLLED = rule("14/switch-requests/detach/polled", clause=_DETACH, source=f"{BDG_C}:665-670")
DETACH_HOST = rule("14/switch-requests/detach/host", clause=_DETACH, source=f"{BDG_C}:672-679")
DETACH_FIRST = rule(
    "14/switch-requests/detach/on-two-switches", clause="14.bwrap.two-switches", source=f"{BDG_C}:673-680"
)
DETACH_MADE = rule("14/switch-requests/detach/made-by-register", clause=_DETACH, source=f"{BDG_C}:673-680")
_POLL = "14.bwrap.polling"
POLL_ON = rule("14/switch-requests/polling/on", clause=_POLL, source=f"{BDG_C}:891-937")
POLL_OFF = rule("14/switch-requests/polling/off", clause=_POLL, source=f"{BDG_C}:939-957")
POLL_AGAIN = rule("14/switch-requests/polling/state", clause=_POLL, source=f"{BDG_C}:899-902,944-947")
NO_CPUS = rule("14/switch-requests/polling/no-cpus", clause=_POLL, source=f"{BDG_C}:842-845")
POLL_CPUS = rule("14/switch-requests/polling/cpus", clause=_POLL, source=f"{BDG_C}:845-848")
POLL_RINGS = rule("14/switch-requests/polling/rings", clause=_POLL, source=f"{BDG_C}:850-862")
POLL_ONE = rule("14/switch-requests/polling/one-cpu", clause=_POLL, source=f"{BDG_C}:864-874")
POLL_WRAPS = rule(
    "14/switch-requests/polling/rings-wrap",
    clause=_POLL,
    source=f"{BDG_C}:734-737,850-862",
    switch=POLLS_NO_RING,
)
POLL_MODE = rule("14/switch-requests/polling/mode", clause=_POLL, source=f"{BDG_C}:873-876")
POLL_VALE = rule("14/switch-requests/polling/no-interface", clause=_POLL, source=f"{BDG_C}:968-970")
POLL_OTHER = rule("14/switch-requests/polling/another-kind", clause=_POLL, source=f"{BDG_C}:982-985")


def _no_port(ctx: Ctl, name: str) -> str:
    """The port of a switch of that name, which is not made; "" when the name is not a switch port's.

    Raises ENXIO when there is none.
    """
    req = request.Request(name=name)
    return vale_ports.find(Asked(ctx.s, req, ctx.fired, ctx.switches, find, create=False))


# --- list -----------------------------------------------------------------------------------------


@requests.handles("VALE_LIST")
def vale_list(ctx: Ctl) -> None:
    """With a name: the switch's place and the port's index. Without: the first port from these on."""
    s = ctx.s
    if not ctx.name:
        _next(ctx)
        return
    if not ctx.name.startswith(PREFIX):
        ctx.fired.append(LIST_OTHER)
        raise Refused("EINVAL")
    wanted = switch.switch_name(ctx.name)
    place = next((i for i, b in s.bridges.items() if wanted.outcome.ok and b.name == wanted.state), -1)
    if place < 0:
        ctx.fired.append(LIST_NONE)
        raise Refused("ENOENT")
    port = vale_ports.port_of(s, s.bridges[place], ctx.name)
    index = next((i for i, name in s.bridges[place].ports if name == port), NOPORT)
    ctx.fired.append(LIST_NAME if port else LIST_NOT)
    ctx.body |= {"nr_bridge_idx": place, "nr_port_idx": index}


def _next(ctx: Ctl) -> None:
    s, least = ctx.s, ctx.body["nr_port_idx"]
    for place in range(ctx.body["nr_bridge_idx"], s.params.max_bridges):
        ports = sorted(s.bridges[place].ports) if place in s.bridges else []
        for index, name in ports:
            if index >= least:
                ctx.fired.append(LIST_NEXT)
                ctx.name = vale_ports.label(s.adapters[name])
                ctx.body |= {"nr_bridge_idx": place, "nr_port_idx": index}
                return
        least = 0
    ctx.fired.append(LIST_END)
    raise Refused("ENOENT")


# --- header length --------------------------------------------------------------------------------


def check_header_length(length: int) -> Step[bool]:
    """Bytes a virtio-net header may have: none, 10, or 12 with the number of merged buffers."""
    if length != 0 and length != 10 and length != 12:
        return Step(False, (HDR_BAD,))
    return Step(True)


@requests.handles("PORT_HDR_SET")
def port_hdr_set(ctx: Ctl) -> None:
    """Each packet of the port begins with a header of that many bytes from now on."""
    length = ctx.body["nr_hdr_len"]
    step = check_header_length(length)
    ctx.fired.extend(step.fired)
    if not step.state:
        raise Refused("EINVAL")
    name = _no_port(ctx, ctx.name)
    if not name:
        ctx.fired.append(HDR_OTHER)
        raise Refused("ENXIO")
    na = ctx.s.adapters[name]
    vp = na.vp or VpPort()
    failure.undo(ctx.s, "vale.header", lambda: _put_back(ctx.s, na))
    size = bind.allocator(ctx.s, name).buf_size
    ctx.s.adapters[name] = replace(na, vp=replace(vp, hdr=length, mfs=size if length else vp.mfs))
    ctx.fired.append(HDR_SET)


def _put_back(s: System, na: Adapter) -> None:
    """A port as it was."""
    s.adapters[na.name] = na


@requests.handles("PORT_HDR_GET")
def port_hdr_get(ctx: Ctl) -> None:
    """How long the header of a port is; 0 for what is not a port of a switch."""
    req = request.Request(name=ctx.name)
    start = failure.mark(ctx.s)
    name = find(Asked(ctx.s, req, ctx.fired, ctx.switches, find, create=False))
    vp = ctx.s.adapters[name].vp
    ctx.body["nr_hdr_len"] = vp.hdr if vp else 0
    failure.unwind(ctx.s, ctx.fired, ctx.switches, start)
    ctx.fired.append(HDR_GET)


# --- persistent ports -----------------------------------------------------------------------------


@requests.handles("VALE_NEWIF")
def vale_newif(ctx: Ctl) -> None:
    """An interface of the system that is a port for switches. Source: nm_vi_create, netmap_vi_create."""
    s, body = ctx.s, ctx.body
    named = request.parent_name(ctx.name)
    if ctx.name.startswith(PREFIX) or not named.outcome.ok:
        ctx.fired.append(NEWIF_NAME)
        raise Refused("EINVAL")
    if ctx.name in vale_ports.interfaces(s):
        ctx.fired.append(NEWIF_THERE)
        raise Refused("EEXIST")
    if body["nr_mem_id"] and body["nr_mem_id"] not in s.allocators:
        ctx.fired.append(register.MEM_ID)
        raise Refused("EINVAL")
    shape = Shape(body["nr_tx_rings"], body["nr_rx_rings"], body["nr_tx_slots"], body["nr_rx_slots"])
    may_fail(s, INTERFACE, ctx.fired)
    vale_ports.make_port(s, ctx.name, "persistent", shape, body["nr_mem_id"], VpPort(lasting=True), ctx.fired)
    na = s.adapters[ctx.name] = replace(s.adapters[ctx.name], refs=1)
    failure.undo(s, "vale.interface", lambda: memory_put(s, s.adapters.pop(ctx.name).mem, []))
    body |= {f"nr_{n}": getattr(na, n) for n in ("tx_rings", "rx_rings", "tx_slots", "rx_slots")}
    body["nr_mem_id"] = na.mem
    ctx.fired.append(NEWIF)


@requests.handles("VALE_DELIF")
def vale_delif(ctx: Ctl) -> None:
    """An interface made by VALE_NEWIF goes, when nobody uses it. Source: nm_vi_destroy."""
    s = ctx.s
    if ctx.name not in vale_ports.interfaces(s):
        ctx.fired.append(DELIF_NONE)
        raise Refused("ENXIO")
    na = s.adapters.get(ctx.name)
    if na is None or na.vp is None or not na.vp.lasting:
        ctx.fired.append(DELIF_OTHER)
        raise Refused("EINVAL")
    if na.fds or na.refs > 1:
        ctx.fired.append(DELIF_BUSY)
        raise Refused("EBUSY")
    requests.sure(ctx)
    adapter_put(s, na.name, ctx.fired)
    s.left -= {na.name}
    ctx.fired.append(DELIF)


# --- attaching ------------------------------------------------------------------------------------


def _permitted(ctx: Ctl) -> None:
    """EACCES on a switch of a module, unless it is the module that asks."""
    place = callbacks.find(ctx.s, ctx.name)
    if place >= 0:
        may = callbacks.allowed(ctx.s.bridges[place], ctx.file == callbacks.TOKEN)
        ctx.fired.extend(may.fired)
        if not may.outcome.ok:
            raise Refused(may.outcome.detail)


@requests.handles("VALE_ATTACH")
def vale_attach(ctx: Ctl) -> None:
    """An interface becomes a port of a switch. Source: netmap_bdg_attach."""
    s, body = ctx.s, ctx.body
    _permitted(ctx)
    if body["nr_mem_id"] and body["nr_mem_id"] not in s.allocators:
        ctx.fired.append(register.MEM_ID)
        raise Refused("EINVAL")
    ours = switch.is_vale(ctx.name, ctx.switches)
    ctx.fired.extend(ours.fired)
    if not ours.state:
        ctx.fired.append(ATTACH_OTHER)
        raise Refused("EINVAL")
    asked = Asked(s, ctx.asks(), ctx.fired, ctx.switches, find)
    place, error = vale_ports.find_bridge(asked, ctx.name, len(PREFIX))
    if not error.ok:
        raise Refused(error.detail)
    b = s.bridges.get(place, Bridge(ctx.name[: ctx.name.index(":")]))
    if vale_ports.port_of(s, b, ctx.name):
        ctx.fired.append(ATTACH_TWICE)
        raise Refused("EBUSY")
    interface = ctx.name[len(b.name) + 1 :]
    host = body["nr_mode"] == api14.NR_REG_NIC_SW
    room = switch.room_for(len(b.ports), 1 + host, ctx.switches)
    ctx.fired.extend(room.fired)
    if not room.state:
        raise Refused("ENOMEM")
    if interface not in vale_ports.interfaces(s):
        ctx.fired.append(ATTACH_NONE)
        raise Refused("EINVAL")
    na = s.adapters[interface]
    if na.kind == "persistent" and (na.vp is None or na.vp.bridge < 0):
        _attach_port(ctx, na, place, b)
    else:
        _attach_interface(ctx, na, place, b)


def _attach_port(ctx: Ctl, na: Adapter, place: int, b: Bridge) -> None:
    """A persistent port itself is the switch's port; it keeps its region and its rings.

    As written (STAYS_ATTACHED) one that is in use is attached and the request fails.
    """
    s = ctx.s
    if na.fds and STAYS_ATTACHED not in ctx.switches:
        ctx.fired.append(ATTACH_BUSY)
        raise Refused("EBUSY")
    s.adapters[na.name] = replace(na, label=ctx.name, refs=na.refs + 1)
    vale_ports.join(s, place, b, (na.name,), ctx.fired)
    if na.fds:
        s.adapters[na.name] = replace(s.adapters[na.name], refs=na.refs)
        ctx.fired.append(ATTACH_STICKS)
        raise Refused("EBUSY")
    failure.undo(s, "switch.join-port", lambda: _unjoin(s, na))
    vp = s.adapters[na.name].vp
    assert vp is not None
    ctx.body["port_index"] = vp.index
    ctx.fired.append(ATTACHED)


def _unjoin(s: System, na: Adapter) -> None:
    """Undo :func:`_attach_port`."""
    vale_ports.leave(s, na.name, [])
    _put_back(s, na)


def _kernel_file(s: System, name: str) -> int:
    """The number of the kernel's own file on an attached port: no process can hold it."""
    return -1 - s.adapters[name].number


def _attach_interface(ctx: Ctl, na: Adapter, place: int, b: Bridge) -> None:
    """The kernel binds the interface, all its rings or with the host's, and stands in for it."""
    s = ctx.s
    if na.fds or vale_ports.attached(s, na.name):
        ctx.fired.append(ATTACH_BUSY)
        raise Refused("EBUSY")
    mode = ctx.body["nr_mode"]
    if ctx.body["nr_ringid"] or mode not in (api14.NR_REG_ALL_NIC, api14.NR_REG_NIC_SW):
        ctx.fired.append(ATTACH_MODE)
        attach_steps.keep(ctx, na.name)
        raise Refused("EINVAL")
    if na.kind == "nic":
        na = nic_mode.choose_driver(s, na, ctx.fired)
    may_fail(s, attach_steps.ADAPTER, ctx.fired)
    attach_steps.kernel_file(ctx, na.name)
    start = failure.mark(s)
    register.adapter_get(s, na.name)
    file = _kernel_file(s, na.name)
    own = replace(ctx, file=file)
    try:
        s.files[file] = register.bind_file(own, na.name, ctx.asks())
    except Refused:
        attach_steps.lose_rings(ctx, s.adapters[na.name])
        raise
    failure.settle(s, "switch.attach", partial(_let_go, s, na.name, file), start)
    vale_ports.rename(s, na.name, ctx.fired, ctx.switches)
    na = s.adapters[na.name]
    names = [ctx.name]
    _stand_in(ctx, ctx.name, switch.BWRAP, na, na.rx_rings, na.tx_rings)
    if mode == api14.NR_REG_NIC_SW and na.host_rings:
        names.append(f"{ctx.name}^")
        _stand_in(ctx, names[1], switch.BWRAP_HOST, na, na.host_rx_rings, na.host_tx_rings)
        ctx.fired.append(ATTACHED_HOST)
    vale_ports.join(s, place, b, tuple(names), ctx.fired)
    failure.undo(s, "switch.join", lambda: _leave(s, names))
    vp = s.adapters[ctx.name].vp
    assert vp is not None
    s.adapters[ctx.name] = replace(s.adapters[ctx.name], vp=replace(vp, host=names[1] if names[1:] else ""))
    ctx.body["port_index"] = vp.index
    ctx.fired.append(ATTACHED_NIC)


def _leave(s: System, names: list[str]) -> None:
    """Undo the joining of an interface and its host stack."""
    for name in reversed(names):
        vale_ports.leave(s, name, [])


def _stand_in(ctx: Ctl, name: str, kind: str, na: Adapter, tx_rings: int, rx_rings: int) -> None:
    """The switch's side of an interface: what the one receives the other sends."""
    s = ctx.s
    bind.hold(s, na.mem, 1)
    failure.undo(s, "switch.stand-in", lambda: _stand_out(s, name))
    host = kind == switch.BWRAP and na.host_rings
    s.adapters[name] = Adapter(
        name, kind, bind.free_number(s), na.mem, tx_rings, rx_rings, na.rx_slots, na.tx_slots,
        host_rings=host, host_tx_rings=int(host), host_rx_rings=int(host), refs=1, vp=VpPort(below=na.name),
    )  # fmt: skip
    bind.krings_create(s, s.adapters[name], ctx.fired)
    for _ in range(tx_rings):
        may_fail(s, vale_ports.FORWARDING, ctx.fired)
    bwrap.share_rings(s, name)
    s.adapters[name] = replace(s.adapters[name], on=True)


def _stand_out(s: System, name: str) -> None:
    """Undo :func:`_stand_in`."""
    bind.krings_delete(s, name)
    memory_put(s, s.adapters.pop(name).mem, [])


def _let_go(s: System, name: str, file: int) -> None:
    unregister(s, file, [], frozenset())
    del s.files[file]
    adapter_put(s, name, [])


@requests.handles("VALE_DETACH")
def vale_detach(ctx: Ctl) -> None:
    """A port that was attached leaves its switch. Source: netmap_bdg_detach_locked."""
    s = ctx.s
    _permitted(ctx)
    name = _no_port(ctx, ctx.name)
    if not name:
        ctx.fired.append(DETACH_OTHER)
        raise Refused("EINVAL")
    na = s.adapters[name]
    vp = na.vp
    assert vp is not None
    if vp.polled:
        ctx.fired.append(DETACH_POLLED)
        raise Refused("EBUSY")
    if na.kind == "persistent" and vale_ports.attached(s, name):
        ctx.fired.append(DETACH_FIRST)
        raise Refused("EBUSY")
    if na.kind == "vale":
        ctx.fired.append(DETACH_MADE)
        raise Refused("EBUSY")
    ctx.body["port_index"] = vp.index
    if na.kind == "persistent":
        requests.sure(ctx)
        vale_ports.leave(s, name, ctx.fired)
        s.adapters[name] = replace(s.adapters[name], label="")
        adapter_put(s, name, ctx.fired)
        ctx.fired.append(DETACHED)
    elif na.kind == switch.BWRAP_HOST:
        ctx.fired.append(DETACH_HOST)
        raise Refused("EBUSY")
    elif na.kind == switch.BWRAP:
        requests.sure(ctx)
        for gone in (name, vp.host) if vp.host else (name,):
            monitor_ends.stop(
                s, gone, ctx.fired, ctx.switches, lambda other: adapter_put(s, other, ctx.fired)
            )
            vale_ports.leave(s, gone, ctx.fired)
            bind.krings_delete(s, gone)
            mem = s.adapters.pop(gone).mem
            memory_put(s, mem, ctx.fired)
        file = _kernel_file(s, vp.below)
        unregister(s, file, ctx.fired, ctx.switches)
        del s.files[file]
        adapter_put(s, vp.below, ctx.fired)
        ctx.fired.extend((bwrap.GONE, DETACHED_NIC))


# --- polling --------------------------------------------------------------------------------------


def check_polling(
    mode: int, first: int, cpus: int, rings: int, switches: frozenset[str] = frozenset()
) -> Step[bool]:
    """May the kernel poll ``rings`` receive rings like this, as far as the rings are concerned?

    EINVAL for no CPU, for a mode that is none, for more than one CPU in SINGLE_CPU, and in MULTI_CPU for a
    ring the port does not have. As written (POLLS_NO_RING) rings whose numbers wrap are polled, which are
    none. Source: get_polling_cfg.
    """
    if cpus == 0:
        return Step(False, (NO_CPUS,), errno("EINVAL"))
    if mode == api14.NETMAP_POLLING_MODE_MULTI_CPU:
        if POLLS_NO_RING in switches and first + cpus > rings >= u32(first + cpus):
            return Step(True, (POLL_WRAPS,), fault("netmap_bdg.c:734-737") if first < U32_MAX else OK)
        if first + cpus > rings:
            return Step(False, (POLL_RINGS,), errno("EINVAL"))
        return Step(True)
    if mode != api14.NETMAP_POLLING_MODE_SINGLE_CPU:
        return Step(False, (POLL_MODE,), errno("EINVAL"))
    if cpus != 1:
        return Step(False, (POLL_ONE,), errno("EINVAL"))
    return Step(True)


@requests.handles("VALE_POLLING_ENABLE", "VALE_POLLING_DISABLE")
def vale_polling(ctx: Ctl) -> None:
    """The kernel polls an attached interface, or waits for its interrupts again. Source: nm_bdg_polling."""
    s = ctx.s
    name = _no_port(ctx, ctx.name)
    if not name:
        ctx.fired.append(POLL_OTHER)
        raise Refused("EINVAL")
    na = s.adapters[name]
    if na.kind != switch.BWRAP or na.vp is None:
        ctx.fired.append(POLL_VALE)
        raise Refused("EOPNOTSUPP")
    on = ctx.request == "VALE_POLLING_ENABLE"
    if na.vp.polled == on:
        ctx.fired.append(POLL_AGAIN)
        raise Refused("EFAULT")
    failure.undo(s, "polling.state", lambda: _put_back(s, na))
    if on:
        _check_polling(ctx, na)
        s.adapters[name] = replace(na, vp=replace(na.vp, polled=True), refs=na.refs + 1)
        ctx.fired.append(POLL_ON)
    if not on:
        s.adapters[name] = replace(na, vp=replace(na.vp, polled=False), refs=na.refs - 1)
        ctx.fired.append(POLL_OFF)


def _check_polling(ctx: Ctl, na: Adapter) -> None:
    """EINVAL when the request makes no sense, or wants as many CPUs as the machine has."""
    mode, first, cpus = (ctx.body[f"nr_{n}"] for n in ("mode", "first_cpu_id", "num_polling_cpus"))
    step = check_polling(mode, first, cpus, na.rx_rings, ctx.switches)
    ctx.fired.extend(step.fired)
    if step.outcome.kind == "FAULT":
        raise Faulted(step.outcome.detail)
    if not step.outcome.ok:
        raise Refused(step.outcome.detail)
    if not ctx.choose(Choice("bwrap.polling-cpus", na.name, 0, 1, "answer")):
        ctx.fired.append(POLL_CPUS)
        raise Refused("EINVAL")
    attach_steps.polling_threads(ctx, cpus)

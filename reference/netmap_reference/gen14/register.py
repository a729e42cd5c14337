"""Chapter *register*: NIOCCTRL with NETMAP_REQ_REGISTER, from the name to the netmap_if.

The order of the checks is part of the rule, for a request that is wrong in two ways: what :mod:`.requests`
checks of every request, already bound, the EXTMEM option, memory identifier, mode of a pipe, name, parent,
ring range, MTU, exclusive users, memory, the OFFSETS and CSB options, options left over. A request that fails
leaves nothing behind: what it made on the way is unmade, and its fields are returned as they were sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netmap_spec.abi import api14

from ..core.step import rule
from . import bind, failure, memory, module, options, regions, request, requests
from .bind import Refused, krings_get, rings_create
from .close import adapter_put, unregister
from .ports import nic_mode, pipe_ends, vale_ports
from .ports.ops import Asked
from .ports.table import find, ops
from .request import Request
from .requests import Ctl
from .state import DIRECTIONS, RX, TX, File, System

NETMAP_C = request.NETMAP_C

_BOUND = "14.register.once"
BOUND_TWICE = rule("14/register/already-bound", clause=_BOUND, source=f"{NETMAP_C}:2807-2810")
BOUND = rule("14/register/bound", clause="14.register.result", source=f"{NETMAP_C}:2872-2916")
NOTHING_LEFT = rule("14/register/refused", clause="14.register.failure", source=f"{NETMAP_C}:2692-2708")
RINGID_LEFT = rule(
    "14/register/rings-left",
    clause="14.register.failure",
    source=f"{NETMAP_C}:2020-2025,2692-2708",
    switch=bind.RINGID_STICKS,
)
FORWARD_LEFT = rule(
    "14/register/forward-left",
    clause="14.register.failure",
    source=f"{NETMAP_C}:1978-1981,2028-2041",
    switch=bind.RINGID_STICKS,
)
SHAPE = ("tx_slots", "rx_slots", "tx_rings", "rx_rings", "host_tx_rings", "host_rx_rings")
MEM_ID = rule("14/register/mem-id/unknown", clause="14.memory.ids", source=f"{NETMAP_C}:2826-2837")


@requests.handles("REGISTER")
def register(ctx: Ctl) -> None:
    """Bind an open file. On success the body says what is in use."""
    req = ctx.asks()
    s, fired = ctx.s, ctx.fired
    ctx.afterwards.append(lambda _: (NOTHING_LEFT,))
    if s.files[ctx.file].adapter:
        fired.append(BOUND_TWICE)
        raise Refused("EBUSY")
    if options.apply(ctx, "EXTMEM"):
        req = replace(req, mem_id=ctx.mem)
    elif req.mem_id and req.mem_id not in s.allocators:
        fired.append(MEM_ID)
        raise Refused("EINVAL")
    asked = Asked(s, req, fired, ctx.switches, find, after=ctx.afterwards)
    name = find(asked)
    adapter_get(s, name)
    vale_ports.may_bind(asked, name)
    start = failure.mark(s)
    f = s.files[ctx.file] = bind_file(ctx, name, req)
    failure.settle(s, "register.bound", lambda: _unbind(ctx), start)
    options.apply(ctx, "CSB")
    na = s.adapters[name]
    a = s.allocators[na.mem]
    region = s.regions[na.mem]
    nifp = api14.netmap_if(region, a.if_offset(f.nifp))
    if a.private:
        nifp.ni_flags |= api14.NI_PRIV_MEM
    extra = 0
    if bind.STALE_HEAD in ctx.switches:
        nifp.ni_bufs_head = 0
    wanted = asked.cut.get("extra_bufs", req.extra_bufs)
    if wanted:
        bind.handed_out(s, a, memory.take(a.buf_pool, wanted).indices, fired)
        step = memory.extra_alloc(a, region, wanted)
        s.allocators[na.mem], nifp.ni_bufs_head, extra = step.state
        fired.extend(step.fired)
    options.check(ctx)
    fired.append(BOUND)
    ctx.body |= {f"nr_{n}": getattr(na, n) for n in SHAPE}
    if na.kind == "monitor":
        ctx.body["nr_flags"] = request.effective_flags(req.flags)
    ctx.body |= {"nr_offset": nifp.off, "nr_memsize": a.memsize, "nr_mem_id": a.id, "nr_extra_bufs": extra}


def adapter_get(s: System, name: str) -> None:
    """Refer to a port that was found or made; a request that fails lets go of it again."""
    na = s.adapters[name]
    s.adapters[name] = replace(na, refs=na.refs + 1)
    failure.undo(s, "adapter.reference", lambda: adapter_put(s, name, []))


def _unbind(ctx: Ctl) -> None:
    """Undo :func:`bind_file` and what was done to the bound descriptor since (netmap_do_unregif).

    As written (RINGID_STICKS) it may still forward into transmit rings if it had all of them.
    """
    unregister(ctx.s, ctx.file, ctx.fired, ctx.switches)
    left = File()
    if bind.RINGID_STICKS in ctx.switches and ctx.s.files[ctx.file].forward_down:
        ctx.fired.append(FORWARD_LEFT)
        left = File(forward_down=True)
    ctx.s.files[ctx.file] = left


# --- binding the file -------------------------------------------------------------------------


def bind_file(ctx: Ctl, name: str, req: Request) -> File:
    """Move the port towards netmap mode and bind a file to it. Source: netmap_do_regif."""
    s, fired = ctx.s, ctx.fired
    na = s.adapters[name]
    regions.finalize(s, name, nic_mode.has_device(s, na), fired, ctx.switches)
    na = module.update_config(s, name, fired) if na.fds == 0 else na
    step = request.ring_range(
        bind.ring_counts(na),
        req.mode,
        req.ringid,
        req.has(api14.NR_TX_RINGS_ONLY),
        req.has(api14.NR_RX_RINGS_ONLY),
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
    if ctx.file in s.files:
        f = _choose(s, ctx.file, f)
    many = {t: f.range(t)[1] - f.range(t)[0] > 1 for t in DIRECTIONS}
    f = replace(f, selinfo=(_selinfo(f, RX, many), _selinfo(f, TX, many)))
    first = na.fds == 0
    if first:
        ops(na).check(s, na, f, fired)
        pipe_ends.check_krings(s, na, ctx.switches, fired)
        start = failure.mark(s)
        ops(na).krings_create(s, name, fired)
        failure.settle(s, "bind.krings", lambda: ops(na).krings_delete(s, name, [], ctx.switches), start)
    krings_get(s, f, fired)
    rings_create(s, name, fired, ctx.switches)
    ctx.binding = f
    options.apply(ctx, "OFFSETS")
    f = replace(f, nifp=bind.if_new(s, f, fired, ctx.switches))
    bind.update_hostrings_mode(s, s.adapters[name])
    if first or bind.mode_pending(s, f):
        ops(na).register(s, name, fired, ctx.switches)
    na = s.adapters[name]
    users = (na.si_users[0] + many[RX], na.si_users[1] + many[TX])
    s.adapters[name] = replace(na, fds=na.fds + 1, si_users=users)
    return f


def _choose(s: System, file: int, f: File) -> File:
    """A descriptor has its rings before it is bound to them, and gives them up if it is not bound after all.

    As written (RINGID_STICKS) it does not, and may forward into transmit rings if it ever had all of them.
    The kernel's own descriptor of an attachment is not there yet.
    """
    before = s.files[file]
    f = replace(f, forward_down=f.forward_down or before.forward_down)
    s.files[file] = replace(f, adapter="")

    def give_up() -> None:
        s.files[file] = before

    failure.undo(s, "register.rings", give_up, bind.RINGID_STICKS, RINGID_LEFT)
    return f


def _selinfo(f: File, t: str, many: Mapping[str, bool]) -> str:
    """Where a descriptor sleeps: on the port's shared selinfo when it is bound to several rings."""
    first, _ = f.range(t)
    return f"{f.adapter}:{t}" if many[t] else f"{f.adapter}:{t}{first}"

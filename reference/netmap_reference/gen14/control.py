"""Chapter *control*: the requests that only ask.

PORT_INFO_GET tells what a REGISTER of the same name would find, without leaving anything behind: ports and
pipes that do not exist are made for the answer and unmade. Without a name it tells about memory alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..core.step import rule
from . import failure, memory, module, regions, register, request, requests
from .bind import Refused
from .ports import nic_get, nic_mode
from .ports.ops import Asked
from .ports.table import find
from .requests import Ctl
from .state import Adapter

NETMAP_C = request.NETMAP_C
LEGACY_C = "luigirizzo/netmap:sys/dev/netmap/netmap_legacy.c@89607e14"
LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"

INFO = rule("14/control/port-info/port", clause="14.control.port-info", source=f"{NETMAP_C}:2929-2995")
INFO_MEM = rule("14/control/port-info/memory", clause="14.control.port-info", source=f"{NETMAP_C}:2964-2979")
POOLS = rule("14/control/pools-info", clause="14.control.pools-info", source=f"{NETMAP_C}:3097-3139")
NO_IO = rule("14/control/read-write", clause="14.control.not-a-stream", source=f"{LINUX_C}:1562-1572")
NO_IOCTL = rule("14/control/unknown-ioctl", clause="14.control.other-ioctls", source=f"{LEGACY_C}:401-436")


@contextmanager
def found(ctx: Ctl, **changes: Any) -> Iterator[Adapter]:
    """The port that a REGISTER with the request's fields would find; whatever was made for it is unmade
    when the caller has seen enough. Memory that came for the region stays (14.memory.finalized).
    """
    s = ctx.s
    req = ctx.asks(**changes)
    if req.mem_id and req.mem_id not in s.allocators:
        ctx.fired.append(register.MEM_ID)
        raise Refused("EINVAL")
    asked = Asked(s, req, ctx.fired, ctx.switches - {nic_get.HOST_RINGS_OVERRUN}, find, after=ctx.afterwards)
    start = failure.mark(s)
    name = find(asked)
    register.adapter_get(s, name)
    yield s.adapters[name]
    failure.unwind(s, ctx.fired, ctx.switches, start, staying="memory.finalized")
    for left in ctx.afterwards:
        ctx.fired.extend(left(s))


@requests.handles("PORT_INFO_GET")
def port_info(ctx: Ctl) -> None:
    """What a REGISTER would find; of the region alone without a name."""
    if not ctx.name:
        mem = ctx.body["nr_mem_id"] or memory.GLOBAL_ID
        if mem not in ctx.s.allocators:
            ctx.fired.append(register.MEM_ID)
            raise Refused("EINVAL")
        ctx.fired.append(INFO_MEM)
        regions.reconfigure(ctx.s, mem, ctx.fired, ctx.switches)
        ctx.body |= {"nr_memsize": ctx.s.allocators[mem].memsize, "nr_mem_id": mem}
        return
    with found(ctx) as na:
        regions.reconfigure(ctx.s, na.mem, ctx.fired, ctx.switches)
        a = ctx.s.allocators[na.mem]
        ctx.fired.append(INFO)
        now = module.update_config(ctx.s, na.name, ctx.fired)
        ctx.body |= {f"nr_{n}": getattr(now, n) for n in register.SHAPE}
        ctx.body |= {"nr_memsize": a.memsize, "nr_mem_id": a.id}


@requests.handles("POOLS_INFO_GET")
def pools_info(ctx: Ctl) -> None:
    """The three pools of the region a port uses, as they are when it is in use: it is for this moment."""
    with found(ctx) as na:
        device = nic_mode.has_device(ctx.s, na)
        regions.finalize(ctx.s, na.name, device, ctx.fired, ctx.switches)
        a = ctx.s.allocators[na.mem]
        ctx.fired.append(POOLS)
        ctx.body |= {"nr_memsize": a.memsize, "nr_mem_id": a.id}
        pools = (
            ("if", a.if_pool, 0),
            ("ring", a.ring_pool, a.ring_offset(0)),
            ("buf", a.buf_pool, a.buf_offset(0)),
        )
        for kind, pool, start in pools:
            ctx.body |= {
                f"nr_{kind}_pool_offset": start,
                f"nr_{kind}_pool_objtotal": pool.objtotal,
                f"nr_{kind}_pool_objsize": pool.objsize,
            }

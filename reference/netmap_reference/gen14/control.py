"""Chapter *control*: the requests that only ask, and the module's parameters.

PORT_INFO_GET tells what a REGISTER of the same name would find, without leaving anything behind: ports and
pipes that do not exist are made for the answer and unmade. Without a name it tells about memory alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from netmap_spec.abi import api14

from ..core.memory import Region
from ..core.outcome import NotModelled, errno
from ..core.step import rule
from . import memory, register, request
from .bind import Refused
from .ports import nic_get
from .ports.ops import Asked
from .ports.table import find
from .result import Result
from .state import System

NETMAP_C = request.NETMAP_C
LEGACY_C = "luigirizzo/netmap:sys/dev/netmap/netmap_legacy.c@89607e14"
LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"

INFO = rule("14/control/port-info/port", clause="14.control.port-info", source=f"{NETMAP_C}:2929-2995")
INFO_MEM = rule("14/control/port-info/memory", clause="14.control.port-info", source=f"{NETMAP_C}:2964-2979")
POOLS = rule("14/control/pools-info", clause="14.control.pools-info", source=f"{NETMAP_C}:3097-3139")
NO_IO = rule("14/control/read-write", clause="14.control.not-a-stream", source=f"{LINUX_C}:1562-1572")
NO_IOCTL = rule("14/control/unknown-ioctl", clause="14.control.not-a-stream", source=f"{LEGACY_C}:432-436")
PARAMETER = rule("14/control/parameter", clause="14.control.parameters", source=f"{NETMAP_C}:540-581")

_INFO = ("tx_slots", "rx_slots", "tx_rings", "rx_rings", "host_tx_rings", "host_rx_rings", "mem_id")
_MEMORY = ("if_size", "if_num", "ring_size", "ring_num", "buf_size", "buf_num")


def control(s: System, name: str, fields: Mapping[str, Any], switches: frozenset[str]) -> Result:
    """A request other than REGISTER; on failure ``out`` has the fields as they were sent."""
    if name not in ("PORT_INFO_GET", "POOLS_INFO_GET"):
        raise NotModelled(f"14/control/{name.lower().replace('_', '-')}", f"NIOCCTRL {name}")
    req = request.parse_request({k: v for k, v in fields.items() if k != "request"})
    sent = {k: v for k, v in req.echo().items() if k == "nr_memsize" or k[3:] in _INFO}
    if not api14.NETMAP_MIN_API <= req.version <= api14.NETMAP_MAX_API:
        return Result(errno("EINVAL"), (request.VERSION,), sent)
    before = s.clone()
    fired: list[str] = []
    try:
        if name == "PORT_INFO_GET":
            result = Result(out=sent | _port_info(s, req, fired, switches))
        else:
            result = Result(out=_pools(s, req, fired))
    except Refused as refused:
        result = Result(errno(refused.name), out=sent)
    except NotModelled:
        s.restore(before)
        raise
    asked = s.adapters.get(req.name)
    s.restore(before)
    if nic_get.HOST_RINGS_STICK in switches and asked is not None:
        fired.extend(nic_get.keep_host_rings(s, asked))
    return replace(result, fired=tuple(fired))


def _port_info(s: System, req: request.Request, fired: list[str], switches: frozenset[str]) -> dict[str, int]:
    _check_mem_id(s, req, fired)
    if not req.name:
        fired.append(INFO_MEM)
        a = s.allocators[req.mem_id or memory.GLOBAL_ID]
        return {"nr_memsize": a.memsize, "nr_mem_id": a.id}
    na = s.adapters[find(Asked(s, req, fired, switches - {nic_get.HOST_RINGS_OVERRUN}, find))]
    a = s.allocators[na.mem]
    fired.append(INFO)
    return {f"nr_{n}": getattr(na, n) for n in _INFO[:-1]} | {"nr_memsize": a.memsize, "nr_mem_id": a.id}


def _pools(s: System, req: request.Request, fired: list[str]) -> dict[str, int]:
    _check_mem_id(s, req, fired)
    a = s.allocators[s.adapters[find(Asked(s, req, fired, frozenset(), find))].mem]
    fired.append(POOLS)
    out = {"nr_memsize": a.memsize, "nr_mem_id": a.id}
    pools = (
        ("if", a.if_pool, 0),
        ("ring", a.ring_pool, a.ring_offset(0)),
        ("buf", a.buf_pool, a.buf_offset(0)),
    )
    for kind, pool, start in pools:
        out[f"nr_{kind}_pool_offset"] = start
        out[f"nr_{kind}_pool_objtotal"] = pool.objtotal
        out[f"nr_{kind}_pool_objsize"] = pool.objsize
    return out


def _check_mem_id(s: System, req: request.Request, fired: list[str]) -> None:
    if req.mem_id and req.mem_id not in s.allocators:
        fired.append(register.MEM_ID)
        raise Refused("EINVAL")


def set_parameter(s: System, name: str, value: int) -> Result:
    """Set a module parameter.

    ``admode`` outside 0..2 counts as 0. The sizes and numbers of the global region's objects take effect
    while nobody uses it; EINVAL for a value that cannot be laid out.
    """
    if name == "admode":
        s.params = replace(s.params, admode=value if 0 <= value <= 2 else 0)
    elif name == "no_timestamp":
        s.params = replace(s.params, no_timestamp=value)
    elif name in _MEMORY:
        old = s.allocators[memory.GLOBAL_ID]
        if old.active:
            raise NotModelled("14/control/parameter/in-use", f"{name} while the global region is in use")
        values = [x for pair in memory.pool_params(old) for x in pair]
        values[_MEMORY.index(name)] = value
        pairs = list(zip(values[::2], values[1::2], strict=True))
        step = memory.new_allocator(old.id, False, pairs, memory.GLOBAL_LIMITS)
        if not step.outcome.ok:
            return Result(step.outcome, step.fired)
        s.allocators[old.id] = replace(step.state, refs=old.refs)
        s.regions[old.id] = Region(step.state.memsize)
    else:
        raise NotModelled(f"14/control/parameter/{name.replace('_', '-')}", f"module parameter {name}")
    return Result(fired=(PARAMETER,))

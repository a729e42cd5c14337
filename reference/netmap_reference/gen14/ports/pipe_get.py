"""Chapter *pipe, found*: the end of a pipe that a request names, made with its peer if there is none, and
with a port below which it lives if that does not exist either. Source: netmap_get_pipe_na.
"""

from __future__ import annotations

from dataclasses import replace

from netmap_spec.abi import api14

from ...core.outcome import NotModelled
from ...core.step import rule
from .. import failure, memory, regions, request
from ..bind import Refused, free_number, hold, memory_put
from ..failure import may_fail, point
from ..request import Request, Shape
from ..state import Adapter, System
from ..stop import GONE
from ..switch import VpPort
from . import nic_mode, vale_ports
from .ops import Asked

PIPE_C = request.PIPE_C

PIPE_MODE = rule("14/register/pipe/mode", clause="14.pipe.modes", source=f"{PIPE_C}:688-691")
PIPE_FOUND = rule("14/register/pipe/found", clause="14.pipe.ends", source=f"{PIPE_C}:730-746")
PIPE_NONE = rule("14/register/pipe/none", clause="14.pipe.ends", source=f"{PIPE_C}:746-750")
PIPE_MADE = rule("14/register/pipe/made", clause="14.pipe.ends", source=f"{PIPE_C}:752-850")
NESTED = rule("14/register/pipe/below-pipe", clause="14.pipe.nested", source=f"{PIPE_C}:693-707,730-746")
PARENT_MADE = rule("14/register/pipe/parent-made", clause="14.pipe.parent", source=f"{PIPE_C}:693-722")

#: A pipe that cannot be made keeps references to its region: the region is there for ever.
LEAKS_MEMORY = "14.pipe-leaks-memory"
AS_WRITTEN = frozenset({LEAKS_MEMORY})
MEMORY_LEAKED = rule(
    "14/register/pipe/memory-leaked",
    clause="14.failure.undone",
    source=f"{PIPE_C}:773,805,852-857",
    switch=LEAKS_MEMORY,
)
PARENT = point("pipe.parent", "ENXIO", source=f"{PIPE_C}:708-721")
MASTER_MEMORY = point("pipe.master", "ENOMEM", source=f"{PIPE_C}:756-760")
MASTER_NAMED = point("pipe.add", "ENOMEM", source=f"{PIPE_C}:792-795")
SLAVE_MEMORY = point("pipe.slave", "ENOMEM", source=f"{PIPE_C}:798-802")


def find(asked: Asked) -> str:
    """A name with a bracket is a pipe's, whatever stands before it."""
    step = request.parse_name(asked.req.name)
    if step.state.kind != "pipe":
        return ""
    asked.fired.extend(step.fired)
    if not step.outcome.ok:
        raise Refused(step.outcome.detail)
    if asked.req.mode not in (api14.NR_REG_ALL_NIC, api14.NR_REG_ONE_NIC):
        asked.fired.append(PIPE_MODE)
        raise Refused("EINVAL")
    return _pipe(asked, step.state)


def _pipe(asked: Asked, port: request.PortName) -> str:
    """The end of a pipe, both ends made if the pipe does not exist. Source: netmap_get_pipe_na."""
    s, req, fired = asked.s, asked.req, asked.fired
    shape = Shape(req.tx_rings, req.rx_rings, req.tx_slots, req.rx_slots, req.extra_bufs)
    there = set(s.adapters)
    base = _below_pipe(asked, port.base) or vale_ports.find(replace(asked, req=replace(req, name=port.base)))
    if base:
        # The request is written back when a port is made for it, so the pipe has that port's sizes.
        made = {na.kind for name, na in s.adapters.items() if name not in there}
        shape = request.parent_shape(shape).state if made & {"vale", "persistent"} else shape
    elif port.base not in s.adapters:
        shape = _make_parent(s, req, port.base, shape, fired)
    parent = s.adapters[base or port.base]
    if parent.interface == GONE:
        raise NotModelled("14/nic/detach/parent", f"the parent of {req.name} has gone")
    if parent.kind == "nic":
        parent = nic_mode.choose_driver(s, parent, fired)
    if parent.kind in ("nic", "persistent"):
        regions.override(s, parent.name, req.mem_id, fired, asked.switches)
        parent = s.adapters[parent.name]
    master, slave = f"{parent.name}{{{port.pipe_id}", f"{parent.name}}}{port.pipe_id}"
    mine, other = (master, slave) if port.role == "{" else (slave, master)
    if master in parent.pipes:
        fired.append(PIPE_FOUND)
        return mine
    if not asked.create:
        fired.append(PIPE_NONE)
        raise Refused("ENODEV")
    if master in s.adapters or slave in s.adapters:
        raise NotModelled("14/register/pipe/same-name", f"an end of {req.name} is called like another port")
    step = request.pipe_shape(shape, parent.tx_slots, parent.rx_slots)
    got = step.state
    start = failure.mark(s)
    may_fail(s, MASTER_MEMORY, fired)
    _hold(s, parent.mem)
    may_fail(s, MASTER_NAMED, fired)
    may_fail(s, SLAVE_MEMORY, fired)
    _hold(s, parent.mem)
    failure.forget(s, start)
    fired.extend((*step.fired, PIPE_MADE))
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
    return mine


def _below_pipe(asked: Asked, base: str) -> str:
    """The end of a pipe that another pipe shall be below, empty when ``base`` is not one's name.

    It is made like any other, and goes again if nothing is bound below it in the end.
    """
    name = find(replace(asked, req=replace(asked.req, name=base)))
    if name:
        asked.fired.append(NESTED)
        failure.undo(asked.s, "pipe.parent-pipe", lambda: _let_go(asked.s, name))
    return name


def _let_go(s: System, name: str) -> None:
    """A pipe nobody refers to goes."""
    from ..close import adapter_put  # closing knows every kind of port, this one too

    na = s.adapters.get(name)
    if na is not None and na.refs == 0:
        s.adapters[name] = replace(na, refs=1)
        adapter_put(s, name, [])


def _hold(s: System, mem: int) -> None:
    """One end holds its region. As written (LEAKS_MEMORY) it keeps it though the end is not made."""
    hold(s, mem, 1)
    failure.undo(s, "pipe.memory", lambda: memory_put(s, mem, []), LEAKS_MEMORY, MEMORY_LEAKED)


def _make_parent(s: System, req: Request, name: str, asked: Shape, fired: list[str]) -> Shape:
    """A port for pipes that name a parent which does not exist; it goes with its last pipe.

    Returns the request as the pipe sees it: making the parent has cut it. Source: netmap_vi_create.
    """
    named = request.parent_name(name)
    may_fail(s, PARENT, fired)
    step = request.parent_shape(asked)
    shape = step.state
    if not named.outcome.ok:
        fired.extend(named.fired)
        raise Refused("ENXIO")
    if req.mem_id:
        mem = req.mem_id
        hold(s, mem, 1)
    else:
        params = memory.private_params(
            shape.tx_rings, shape.tx_slots, shape.rx_rings, shape.rx_slots, shape.extra_bufs, 2,
            s.params.private,
        )  # fmt: skip
        try:
            mem = regions.private_new(s, params, fired)
        except Refused:
            fired.append(request.NAME_PARENT)
            raise Refused("ENXIO") from None
    failure.undo(s, "pipe.parent", lambda: _unmake_parent(s, name))
    s.adapters[name] = Adapter(
        name,
        "persistent",
        free_number(s),
        mem,
        shape.tx_rings,
        shape.rx_rings,
        shape.tx_slots,
        shape.rx_slots,
        vp=VpPort(),
    )
    fired.extend((*step.fired, PARENT_MADE))
    return shape


def _unmake_parent(s: System, name: str) -> None:
    """A port made for a pipe that was not made goes, unless it went already together with the pipe."""
    na = s.adapters.get(name)
    if na is not None and na.refs == 0:
        del s.adapters[name]
        memory_put(s, na.mem, [])

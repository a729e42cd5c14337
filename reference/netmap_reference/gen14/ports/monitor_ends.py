"""Chapter *monitor, its life*: how a monitor is found, which rings it stands at, and what comes after.

Each REGISTER with a monitor flag makes an adapter of its own, on top of the port that the rest of the request
names. That port must be open: a monitor does not put it into netmap mode and does not keep it there. When the
port's last descriptor goes its monitors are *orphans*: they stay open and see nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from netmap_spec.abi import api14

from ...core.effects import Protocol
from ...core.step import Step, rule
from .. import bind, failure, memory, regions, request
from ..bind import Refused, free_number, hold, krings_of, put
from ..failure import fails, may_fail, point
from ..ring import CONTRACT
from ..state import DIRECTIONS, RX, TX, Adapter, KringState, System, ring_name
from . import monitor
from .monitor import MONITOR_C
from .ops import Asked, PortOps

if TYPE_CHECKING:
    from ..execute import Execution

MAX_SLOTS = 4096
_FLAGS = api14.NR_MONITOR_TX | api14.NR_MONITOR_RX | api14.NR_ZCOPY_MON

#: Host rings of a monitor are bound and never watch anything; there is one, however many the port has.
HOST_UNWATCHED = "14.monitor-host-unwatched"
#: A ring is watched by the monitor's ring of the same number, be it a hardware ring or a host ring.
BY_NUMBER = "14.monitor-rings-by-number"
#: A monitor that stands at no ring is not told when the port leaves.
NOT_TOLD = "14.monitor-unattached-not-told"
#: Zero-copy monitors stay tied to each other when their port leaves, also to one that has been closed.
CHAINED_ORPHANS = "14.monitor-orphans-chained"
#: A copy monitor that cannot be entered in a ring's list is opened all the same, and sees nothing.
FAILS_UNNOTICED = "14.monitor-attach-fails-unnoticed"
#: A request that fails has used up a number.
NUMBER_SKIPPED = "14.monitor-number-skipped"
AS_WRITTEN = frozenset(
    {
        NUMBER_SKIPPED,
        FAILS_UNNOTICED,
        HOST_UNWATCHED,
        BY_NUMBER,
        NOT_TOLD,
        CHAINED_ORPHANS,
        monitor.CHAIN_FORGETS,
        monitor.CHAIN_RX_ONLY,
        monitor.READS_ON,
        monitor.STALE_START,
        monitor.SHOWN_AGAIN,
        monitor.FORWARDS,
        monitor.BUSY_SLEEPS,
    }
)

_RINGS = "14.monitor.rings"
BOTH = rule("14/monitor/find/both-directions", clause="14.monitor.zcopy-both", source=f"{MONITOR_C}:914-916")
NOT_OPEN = rule("14/monitor/find/not-open", clause="14.monitor.port-open", source=f"{MONITOR_C}:941-949")
NO_RING = rule("14/monitor/find/no-such-ring", clause="14.monitor.selection", source=f"{MONITOR_C}:958-963")
MADE = rule("14/monitor/find/made", clause="14.monitor.shape", source=f"{MONITOR_C}:964-995")
SHARED = rule("14/monitor/find/shared-memory", clause="14.monitor.memory", source=f"{MONITOR_C}:996-1003")
OWN = rule("14/monitor/find/own-memory", clause="14.monitor.memory", source=f"{MONITOR_C}:1004-1017")
NO_MEMORY = rule("14/monitor/find/no-memory", clause="14.monitor.memory", source=f"{MONITOR_C}:1015-1016")
WATCHES = rule("14/monitor/watched_ring/hardware", clause=_RINGS, source=f"{MONITOR_C}:527-543")
WATCHES_HOST = rule("14/monitor/watched_ring/host", clause=_RINGS, source=f"{MONITOR_C}:35-40,179-187")
WATCHES_NONE = rule("14/monitor/watched_ring/none", clause=_RINGS, source=f"{MONITOR_C}:536-537")
WATCHES_NUMBER = rule(
    "14/monitor/watched_ring/by-number", clause=_RINGS, source=f"{MONITOR_C}:536-539", switch=BY_NUMBER
)
UNWATCHED = rule(
    "14/monitor/watched_ring/host-unwatched",
    clause=_RINGS,
    source=f"{MONITOR_C}:530-531",
    switch=HOST_UNWATCHED,
)
ATTACHED = rule("14/monitor/attach/copy", clause="14.monitor.several", source=f"{MONITOR_C}:353-361")
APPENDED = rule("14/monitor/attach/zcopy", clause="14.monitor.stacked", source=f"{MONITOR_C}:327-352")
DETACHED = rule("14/monitor/detach/copy", clause="14.monitor.close", source=f"{MONITOR_C}:416-434")
TIED = rule("14/monitor/detach/zcopy", clause="14.monitor.close", source=f"{MONITOR_C}:392-415")
ORPHANED = rule("14/monitor/stop/orphaned", clause="14.monitor.port-leaves", source=f"{MONITOR_C}:448-503")
IGNORED = rule(
    "14/monitor/stop/not-told",
    clause="14.monitor.port-leaves",
    source=f"{MONITOR_C}:461-462",
    switch=NOT_TOLD,
)
STILL_TIED = rule(
    "14/monitor/stop/still-chained",
    clause="14.monitor.port-leaves",
    source=f"{MONITOR_C}:482-497,557-562",
    switch=CHAINED_ORPHANS,
)

MEMORY = point("monitor.adapter", "ENOMEM", source=f"{MONITOR_C}:951-955")
PRIVATE_MEMORY = point("monitor.memory", "ENOMEM", source=f"{MONITOR_C}:1004-1016")
ARRAY = point("monitor.array", "ENOMEM", source=f"{MONITOR_C}:206-227,353-357")
UNNOTICED = rule(
    "14/monitor/attach/failed-unnoticed",
    clause="14.monitor.several",
    source=f"{MONITOR_C}:353-357,538-541",
    switch=FAILS_UNNOTICED,
)

SKIPPED = rule(
    "14/monitor/find/number-skipped",
    clause="14.monitor.name",
    source=f"{MONITOR_C}:964-968",
    switch=NUMBER_SKIPPED,
)


# --- steps ------------------------------------------------------------------------------------


def monitor_name(parent: str, zcopy: bool, directions: tuple[str, ...], number: int) -> str:
    """What a monitor is called: the port, ``z`` for zero-copy, ``r`` and ``t`` for directions, a number."""
    return f"{parent}/{'z' * zcopy}{'r' * (RX in directions)}{'t' * (TX in directions)}#{number}"


def watched_ring(
    i: int, own_rings: int, rings: int, host_rings: int, switches: frozenset[str] = CONTRACT
) -> Step[int]:
    """Which ring of a direction the monitor's receive ring ``i`` watches, -1 for none.

    ``own_rings`` are the monitor's hardware rings, ``rings`` and ``host_rings`` the port's in that direction.
    Hardware rings watch hardware rings and host rings host rings, in order. As written host rings watch
    nothing (HOST_UNWATCHED) and the others the ring of the same number (BY_NUMBER), which in a direction with
    fewer rings is the first host ring.
    """
    if i >= own_rings:
        if HOST_UNWATCHED in switches:
            return Step(-1, (UNWATCHED,))
        j = i - own_rings
        if j < host_rings:
            return Step(rings + j, (WATCHES_HOST,))
        return Step(-1, (WATCHES_NONE,))
    if i < rings:
        return Step(i, (WATCHES,))
    if i == rings and BY_NUMBER in switches:
        return Step(i, (WATCHES_NUMBER,))
    return Step(-1, (WATCHES_NONE,))


def without(monitors: tuple[str, ...], name: str) -> tuple[str, ...]:
    """A ring's copy monitors when one has gone: the last one takes its place."""
    at = monitors.index(name)
    if at == len(monitors) - 1:
        return monitors[:-1]
    return (*monitors[:at], monitors[-1], *monitors[at + 1 : -1])


# --- found or made ----------------------------------------------------------------------------


def find(asked: Asked) -> str:
    """A monitor of the port that the request names without its monitor flags. Source: netmap_get_monitor_na.

    EINVAL when that port is not open, or has no such rings; whatever finding it fails with.
    """
    s, req, fired = asked.s, asked.req, asked.fired
    directions = request.monitor_directions(req.flags)
    if not directions:
        return ""
    zcopy = req.has(api14.NR_ZCOPY_MON)
    parent = asked.other(flags=req.flags & ~_FLAGS)
    start = failure.mark(s)
    _get(s, parent)
    pna = s.adapters[parent]
    if not pna.on:
        fired.append(NOT_OPEN)
        raise Refused("EINVAL")
    may_fail(s, MEMORY, fired)
    tx_only, rx_only = req.has(api14.NR_TX_RINGS_ONLY), req.has(api14.NR_RX_RINGS_ONLY)
    step = request.ring_range(bind.ring_counts(pna), req.mode, req.ringid, tx_only, rx_only)
    if not step.outcome.ok:
        fired.append(NO_RING)
        raise Refused(step.outcome.detail)
    if zcopy:
        fired.append(BOTH)
    tx_slots = request.bound(req.tx_slots, pna.tx_slots, 1, MAX_SLOTS).state
    rx_slots = request.bound(req.rx_slots, pna.rx_slots, 1, MAX_SLOTS).state
    rx_rings = max(pna.tx_rings, pna.rx_rings)
    host_rings = max(pna.host_tx_rings, pna.host_rx_rings)
    if pna.host_rings and HOST_UNWATCHED in asked.switches:
        host_rings = 1
    s.adapters[parent] = replace(pna, monitors=pna.monitors + 1)
    failure.undo(s, "monitor.number", lambda: _uncount(asked, parent), own=True)
    mem = _memory(s, pna, zcopy, (1, tx_slots, rx_rings, rx_slots), fired)
    label = name = monitor_name(pna.label or parent, zcopy, directions, pna.monitors)
    while name in s.adapters:
        name += "'"  # an orphan of a port of the same name
    fired.append(MADE)
    s.adapters[name] = Adapter(
        name, "monitor", free_number(s), mem, 1, rx_rings, tx_slots, rx_slots,
        host_rings=pna.host_rings, host_tx_rings=int(pna.host_rings), host_rx_rings=host_rings,
        parent=parent, directions=directions, zcopy=zcopy, label=label,
    )  # fmt: skip
    # The port and the region go with the monitor's own last reference from now on.
    failure.forget(s, start)
    return name


def _get(s: System, parent: str) -> None:
    """A monitor refers to the port it watches."""
    from ..close import adapter_put

    s.adapters[parent] = replace(s.adapters[parent], refs=s.adapters[parent].refs + 1)
    failure.undo(s, "monitor.parent", lambda: adapter_put(s, parent, []))


def _uncount(asked: Asked, parent: str) -> None:
    """The number goes to the next monitor; as written (NUMBER_SKIPPED) to none."""
    s = asked.s
    if NUMBER_SKIPPED in asked.switches:
        asked.fired.append(SKIPPED)
    elif parent in s.adapters:
        s.adapters[parent] = replace(s.adapters[parent], monitors=s.adapters[parent].monitors - 1)


def _memory(s: System, pna: Adapter, zcopy: bool, shape: tuple[int, int, int, int], fired: list[str]) -> int:
    """The region a monitor lives in: its port's, or one of its own."""
    if zcopy:
        fired.append(SHARED)
        hold(s, pna.mem, 1)
        return pna.mem
    may_fail(s, PRIVATE_MEMORY, fired)
    params = memory.private_params(*shape, extra=0, pipes=0, least=s.params.private)
    try:
        mem = regions.private_new(s, params, fired)
    except Refused:
        fired.append(NO_MEMORY)
        raise
    fired.append(OWN)
    return mem


# --- standing at rings ------------------------------------------------------------------------


def register(s: System, name: str, fired: list[str], switches: frozenset[str]) -> None:
    """Every bound receive ring of the monitor begins to watch. Source: netmap_monitor_reg_common."""
    na = s.adapters[name]
    parent = s.adapters[na.parent]
    failure.undo(s, "monitor.rings", lambda: _leave(s, name, []))
    for k in list(krings_of(s, na)):
        if k.t == TX or not k.pending:
            continue
        for t in (t for t in DIRECTIONS if t in na.directions):
            step = watched_ring(k.index, na.rx_rings, parent.rings(t), parent.host(t), switches)
            fired.extend(step.fired)
            if step.state >= 0:
                _attach(s, k.name, ring_name(parent.name, t, step.state), na.zcopy, fired, switches)
    bind.mode_commit(s, s.adapters[name])
    s.adapters[name] = replace(s.adapters[name], on=True)


def _attach(s: System, m: str, ring: str, zcopy: bool, fired: list[str], switches: frozenset[str]) -> None:
    """``m`` watches ``ring``, after those who watch it already. Source: netmap_monitor_add."""
    k = s.krings[ring]
    d = _direction(k.t)
    if k.t == TX:
        seen = k.seen if k.copies else k.pos.rhead
    else:
        step = monitor.first_unseen(k.seen, k.pos.hwtail, bool(k.copies), bool(k.zmon[d]), switches)
        fired.extend(step.fired)
        seen = step.state
    if zcopy:
        fired.append(APPENDED)
        last = ring
        while s.krings[last].zmon[d]:
            last = s.krings[last].zmon[d]
        put(s, replace(k, seen=seen))
        _tie(s, last, d, m)
        return
    if fails(s, ARRAY, fired):
        if FAILS_UNNOTICED in switches:
            fired.append(UNNOTICED)
            return
        raise Refused(ARRAY.errno)
    fired.append(ATTACHED)
    put(s, replace(k, copies=(*k.copies, m), seen=seen))


def _direction(t: str) -> int:
    return int(t == TX)


def _tie(s: System, ring: str, d: int, m: str) -> None:
    """What ``ring`` releases goes to ``m`` from now on, in the list of direction ``d`` (receive 0)."""
    k = s.krings[ring]
    put(s, replace(k, zmon=(m, k.zmon[1]) if d == 0 else (k.zmon[0], m)))


def unregister(s: System, name: str, fired: list[str]) -> None:
    """The monitor goes; its neighbours in each list get each other. Source: netmap_monitor_del."""
    _leave(s, name, fired)
    na = s.adapters[name]
    bind.mode_commit(s, na)
    if na.fds == 0:
        s.adapters[name] = replace(s.adapters[name], on=False)


def _leave(s: System, name: str, fired: list[str]) -> None:
    na = s.adapters[name]
    if not na.parent or not s.adapters[na.parent].created:
        return
    gone = {k.name for k in krings_of(s, na)}
    for k in list(krings_of(s, s.adapters[na.parent])):
        for m in (m for m in k.copies if m in gone):
            fired.append(DETACHED)
            put(s, replace(s.krings[k.name], copies=without(s.krings[k.name].copies, m)))
        _untie(s, k, gone, fired)
        k = s.krings[k.name]
        if not k.copies and not any(k.zmon):
            put(s, replace(k, seen=0))


def _untie(s: System, k: KringState, gone: set[str], fired: list[str]) -> None:
    d = _direction(k.t)
    ring = k.name
    while s.krings[ring].zmon[d]:
        m = s.krings[ring].zmon[d]
        if m in gone:
            fired.append(TIED)
            _tie(s, ring, d, s.krings[m].zmon[d])
            _tie(s, m, d, "")
        else:
            ring = m


def stop(
    s: System, name: str, fired: list[str], switches: frozenset[str], put_adapter: Callable[[str], None]
) -> None:
    """A port leaves netmap mode: its rings are nobody's to watch any more. Source: netmap_monitor_stop.

    As written only monitors that stand at a ring are told (NOT_TOLD), and those in a list stay tied to each
    other (CHAINED_ORPHANS).
    """
    if s.adapters[name].kind == "monitor":
        return  # its neighbours are told when it is unregistered
    attached: set[str] = set()
    for k in list(krings_of(s, s.adapters[name])):
        attached.update(s.krings[m].adapter for m in k.copies)
        d = _direction(k.t)
        m = k.zmon[d]
        put(s, replace(k, copies=(), zmon=("", ""), seen=0))
        while m:
            following = s.krings[m].zmon[d]
            attached.add(s.krings[m].adapter)
            if CHAINED_ORPHANS not in switches:
                _tie(s, m, d, "")
            elif following:
                fired.append(STILL_TIED)
            m = following
    for na in [na for na in s.adapters.values() if na.kind == "monitor" and na.parent == name]:
        if na.name not in attached and NOT_TOLD in switches:
            fired.append(IGNORED)
            continue
        fired.append(ORPHANED)
        s.adapters[na.name] = replace(na, parent="")
        put_adapter(name)


def destroy(s: System, name: str, fired: list[str], put_adapter: Callable[[str], None]) -> None:
    """A monitor gives back its port, if that is still there."""
    if s.adapters[name].parent:
        put_adapter(s.adapters[name].parent)


def sync(x: Execution, k: KringState, force: bool) -> Protocol:
    """A monitor's own part of a sync, of its host rings too."""
    if k.t == TX:
        return monitor.txsync(k.name)
    return monitor.rxsync(k.name, orphan=not x.s.adapters[k.adapter].parent)


def has_offsets(s: System, na: Adapter) -> bool:
    """Copies may begin anywhere in a copy monitor's buffers; a zero-copy monitor takes them as they are."""
    return not na.zcopy


OPS = PortOps(
    register=register,
    unregister=unregister,
    sync=sync,
    host_sync=sync,
    destroy=destroy,
    offsets=has_offsets,
)

"""Chapter *monitor, slots*: what is read from a watched slot and stored into a monitor's.

Which slots, and when, is decided in :mod:`.monitor`.
"""

from __future__ import annotations

from dataclasses import replace

from netmap_spec.abi import api14

from ...core.outcome import NotModelled
from .. import bind, memory
from ..bind import Faulted
from ..ring import nm_next
from ..state import KringState, System
from . import monitor


def ring(s: System, name: str) -> KringState:
    """A monitor's ring that a watched one leads to; as written it may be gone."""
    if name not in s.krings:
        raise Faulted("netmap_monitor.c:480-497, 590, 633-641")
    return s.krings[name]


def _flags(s: System, k: KringState, flags: int, switches: frozenset[str], fired: list[str]) -> int:
    step = monitor.monitor_flags(flags, k.t, s.adapters[k.adapter].kind == "monitor", switches)
    fired.extend(step.fired)
    return step.state


def copy(s: System, source: str, at: int, target: str, i: int, switches: frozenset[str]) -> list[str]:
    """Copy slot ``at`` of a watched ring into slot ``i`` of a copy monitor's; the rules fired."""
    k, mk = s.krings[source], s.krings[target]
    a, ma = bind.allocator(s, k.adapter), bind.allocator(s, mk.adapter)
    region, mregion = s.regions[a.id], s.regions[ma.id]
    theirs = memory.read_slot(region, bind.ring_at(s, k), at)
    mine = memory.read_slot(mregion, bind.ring_at(s, mk), i)
    reads, stores = monitor.begins(k.offset, theirs.ptr), monitor.begins(mk.offset, mine.ptr)
    source_at, target_at = reads.state, stores.state
    step = monitor.copy_length(theirs.len, a.buf_size - source_at, ma.buf_size - target_at, switches)
    fired = [monitor.COPIED, *reads.fired, *stores.fired, *step.fired]
    start = a.buf_offset(a.safe_index(theirs.buf_idx)) + source_at
    if start + step.state > a.memsize:
        raise NotModelled("14/monitor/copy/past-region", "a copy that reads behind the region")
    into = ma.buf_offset(ma.safe_index(mine.buf_idx)) + target_at
    mregion.write(into, region.read(start, step.state))
    flags = _flags(s, k, theirs.flags, switches, fired)
    memory.write_slot(mregion, bind.ring_at(s, mk), i, replace(mine, len=step.state, flags=flags))
    return fired


def swap(s: System, source: str, at: int, target: str, i: int, switches: frozenset[str]) -> list[str]:
    """Exchange slot ``at`` of a watched ring with slot ``i`` of a zero-copy monitor's; the rules fired."""
    k, mk = s.krings[source], s.krings[target]
    region = s.regions[s.adapters[k.adapter].mem]
    theirs = memory.read_slot(region, bind.ring_at(s, k), at)
    mine = memory.read_slot(region, bind.ring_at(s, mk), i)
    fired: list[str] = []
    step = monitor.swap_slots(theirs, mine, _flags(s, k, theirs.flags, switches, fired))
    fired.extend(step.fired)
    watched, taken = step.state
    memory.write_slot(region, bind.ring_at(s, k), at, watched)
    memory.write_slot(region, bind.ring_at(s, mk), i, taken)
    return fired


def forward_up(s: System, k: KringState, switches: frozenset[str], fired: list[str]) -> None:
    """Slots marked NS_FORWARD in a monitor's ring with NR_FORWARD: there is no host stack to pass them to.

    As written (FORWARDS) one that has host rings passes them to an interface that is none.
    """
    a = bind.allocator(s, k.adapter)
    i = k.pos.hwcur
    while i != k.pos.rhead:
        slot = memory.read_slot(s.regions[a.id], bind.ring_at(s, k), i)
        marked = (slot.flags & api14.NS_FORWARD or s.params.fwd) and 14 <= slot.len <= a.buf_size
        if marked and not k.host and s.adapters[k.adapter].host_rings and monitor.FORWARDS in switches:
            fired.append(monitor.FORWARDED)
            raise Faulted("netmap.c:1259, LINUX/bsd_glue.h:247-254")
        i = nm_next(i, k.pos.n - 1)

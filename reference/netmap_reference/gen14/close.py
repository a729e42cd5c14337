"""Chapter *close*: what happens when the last descriptor and the last mapping of an open file go.

Nothing is flushed: packets the application has not synced are not sent. Rings, buffers and extra buffers
return to their pools; krings go with the port's last descriptor. An exiting or killed process closes
its descriptors and unmaps its mappings like any other.
"""

from __future__ import annotations

from dataclasses import replace

from ..core.step import rule
from . import bind, kloop, loops, regions, stop
from .bind import krings_put, memory_put, rings_delete
from .ports import monitor_ends
from .ports.table import ops
from .state import RX, TX, System

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"

UNBOUND = rule("14/close/unbound", clause="14.close.last-reference", source=f"{NETMAP_C}:1145-1156")
UNREGISTER = rule("14/close/unregister", clause="14.close.returns", source=f"{NETMAP_C}:1041-1116")
HELD = rule("14/close/still-held", clause="14.close.last-reference", source=f"{NETMAP_C}:1145-1148")
ONE_HOST_RING = rule("14/close/host-rings", clause="14.host.counts", source=f"{NETMAP_C}:1097-1104")
LAST = rule("14/close/last-descriptor", clause="14.close.returns", source=f"{NETMAP_C}:1073-1105")


def held(s: System, file: int) -> bool:
    """Does a process still hold or map an open file?"""
    return file in s.holders.values() or file in s.mapped.values()


def release(s: System, file: int, switches: frozenset[str]) -> tuple[str, ...]:
    """Free an open file if no process holds or maps it any more; the rules fired."""
    if held(s, file) or file not in s.files:
        return (HELD,)
    if file in s.loops:
        return (kloop.HELD,)
    fired: list[str] = []
    f = s.files[file]
    if f.adapter:
        unregister(s, file, fired, switches)
        adapter_put(s, f.adapter, fired, switches)
    else:
        fired.append(UNBOUND)
    del s.files[file]
    s.sets.pop(file, None)
    loops.forget(s, file)
    s.waiting = {n: w - {file} for n, w in s.waiting.items() if w - {file}}
    s.woken -= {file}
    return tuple(fired)


def unregister(s: System, file: int, fired: list[str], switches: frozenset[str]) -> None:
    """Undo a REGISTER. Source: netmap_do_unregif."""
    f = s.files[file]
    name = f.adapter
    na = s.adapters[name]
    s.adapters[name] = na = replace(na, fds=na.fds - 1)
    krings_put(s, f)
    if na.fds == 0:
        monitor_ends.stop(s, name, fired, switches, lambda other: adapter_put(s, other, fired))
    na = s.adapters[name]
    bind.update_hostrings_mode(s, na)
    if na.fds == 0 or bind.mode_pending(s, f):
        ops(na).leave(s, name, fired, switches)
        ops(na).unregister(s, name, fired)
    rings_delete(s, name, fired)
    if na.fds == 0:
        fired.append(LAST)
        ops(na).krings_delete(s, name, fired, switches)
        na = s.adapters[name]
        if max(na.host_tx_rings, na.host_rx_rings) > 1:
            fired.append(ONE_HOST_RING)
            s.adapters[name] = replace(na, host_tx_rings=1, host_rx_rings=1)
    na = s.adapters[name]
    many = tuple(f.range(t)[1] - f.range(t)[0] > 1 for t in (RX, TX))
    s.adapters[name] = replace(na, si_users=(na.si_users[0] - many[0], na.si_users[1] - many[1]))
    bind.if_delete(s, f, f.nifp, fired)
    regions.drop(s, name, fired)
    fired.append(UNREGISTER)


def adapter_put(s: System, name: str, fired: list[str], switches: frozenset[str] | None = None) -> None:
    """Drop one reference to a port; a pipe end or a parent made on the fly goes with its last one.

    ``switches`` are given when a descriptor goes: a port that was only the parent of pipes uses its own
    region again with the last of them.
    """
    na = s.adapters[name]
    s.adapters[name] = na = replace(na, refs=na.refs - 1)
    if switches is not None:
        regions.left_alone(s, name, fired, switches)
    if na.refs > 0 or (ops(na).lasting and na.interface != stop.GONE):
        return
    if ops(na).kept(s, name, fired):
        return
    ops(na).destroy(s, name, fired, lambda other: adapter_put(s, other, fired, switches))
    regions.restore(s, name, [])
    memory_put(s, s.adapters.pop(name).mem, fired)

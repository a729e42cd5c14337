"""Chapter *interface*: what happens to a port in use when its device is reset, goes down, comes up, goes or
comes back.

These are not calls of applications: the administrator, or the driver on its own, does it, and descriptors
find out. Nothing that an application sees in its rings moves by itself.
"""

from __future__ import annotations

from dataclasses import replace

from ...core.effects import Protocol
from ...core.outcome import NotModelled
from ...core.step import rule
from .. import bind, memory
from ..notify import notify
from ..offsets import get_offset
from ..state import RX, TX, KringState, System
from ..stop import DOWN, GONE
from . import nic, wire

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"

LINK_DOWN = rule("14/interface/down", clause="14.nic.down", source=f"{LINUX_C}:163-165")
LINK_UP = rule("14/interface/up", clause="14.nic.down", source=f"{LINUX_C}:166-168")
RESET = rule("14/interface/reset", clause="14.nic.reset", source=f"{NETMAP_C}:4390-4454")
DETACHED = rule("14/interface/gone", clause="14.nic.gone", source=f"{NETMAP_C}:4229-4262")
BACK = rule("14/interface/back", clause="14.nic.gone", source=f"{NETMAP_C}:672-682")


def reset_ring(s: System, k: KringState) -> tuple[KringState, tuple[str, ...]]:
    """One ring whose device starts again: positions and offset, and the buffers the device fills from now on.

    Source: netmap_reset and the driver's own part, which gives the device what the slots name.
    """
    step = nic.netmap_reset(k.pos, k.t == TX)
    slots = memory.read_slots(s.regions[s.adapters[k.adapter].mem], bind.ring_at(s, k), k.pos.n)
    if k.t == RX:
        at = tuple(get_offset(k.offset, x.ptr) for x in slots)
        k = replace(k, desc=tuple(x.buf_idx for x in slots), desc_at=at)
    return (replace(k, pos=step.state.kring, hwofs=step.state.hwofs, announced=0, on=True), step.fired)


def reset(s: System, port: str, fired: list[str]) -> list[Protocol]:
    """The device of a port starts again: every ring in netmap mode is reset; whom to notify.

    Frames on their way may be lost with it. The emulated adapter and a pair that shares its buffers have no
    rings of a device that could be reset.
    """
    w: wire.Wire = s.ports[port]
    if w.driver.copies or w.driver.shares:
        return []
    wire.unsure(s, port)
    woken: list[Protocol] = []
    for k in [k for k in s.krings.values() if k.adapter == port and not k.host]:
        if k.on:
            k, rules = reset_ring(s, k)
            fired.extend((RESET, *rules))
            bind.put(s, k)
            woken.append(notify(k.name))
    return woken


def link(s: System, port: str, up: bool, fired: list[str]) -> list[Protocol]:
    """The interface of a port goes down or comes up; whom to notify."""
    na = s.adapters[port]
    if na.interface == ("" if up else DOWN):
        return []
    fired.append(LINK_UP if up else LINK_DOWN)
    s.adapters[port] = replace(na, interface="" if up else DOWN)
    wire.unsure(s, port)
    return reset(s, port, fired) if up else []


def detach(s: System, port: str, fired: list[str]) -> bool:
    """The driver of a port is unloaded, or the interface removed; does the port go at once?

    Nobody can bind it any more. Who is bound keeps rings and memory, and the port goes with the last.
    """
    na = s.adapters[port]
    if na.peer and na.created:
        raise NotModelled("14/nic/detach/shared", f"one end of the pair {port}, {na.peer} goes")
    fired.append(DETACHED)
    bind.hold(s, na.mem, 1)
    s.adapters[port] = replace(na, interface=GONE)
    wire.lose(s, port)
    return na.refs == 1


def attach(s: System, port: str, fired: list[str]) -> list[Protocol]:
    """The interface of a port that somebody is bound to is registered again; whom to notify.

    Source: netmap_undo_zombie.
    """
    na = s.adapters[port]
    if na.interface != GONE:
        return []
    fired.append(BACK)
    bind.hold(s, na.mem, -1)
    s.adapters[port] = replace(na, interface="", refs=na.refs + 1)
    return reset(s, port, fired)

"""Chapter *bwrap*: an interface, or its host stack, attached to a switch.

The kernel binds the interface to itself, so that no program can, and does with its rings what a program
would: whatever a receive ring reports is sent into the switch at once and released, and what the switch has
for the interface is put into a transmit ring, which is synced at once. The port of the switch has no rings of
its own: its transmit rings are the interface's receive rings, and the other way round. A persistent port that
is a port of one switch already is attached to a second one in the same way, and joins the two.

What a device stores when is the environment's choice, as for a port that a program has bound (:mod:`.wire`);
a frame that has arrived is forwarded no later than anybody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netmap_spec.abi import api14

from ...core.choice import Choice, Choose
from ...core.effects import Protocol, run
from ...core.step import rule
from .. import bind, memory
from ..bind import Faulted
from ..ring import advance, nm_next
from ..state import RX, TX, KringState, System, ring_name
from ..switch import BWRAP, BWRAP_HOST
from . import vale, vale_device
from .ops import PortOps
from .vale import Packet

if TYPE_CHECKING:
    from ..execute import Execution

BDG_C = "luigirizzo/netmap:sys/dev/netmap/netmap_bdg.c@89607e14"
VALE_C = "luigirizzo/netmap:sys/dev/netmap/netmap_vale.c@89607e14"

#: A copy monitor of what goes out at an attached interface calls a function that the port does not have.
UNSYNCED = "14.bwrap-receive-monitor"
AS_WRITTEN = frozenset({UNSYNCED})

_FORWARDS = "14.bwrap.forwards"
IN = rule("14/bwrap/forward/from-wire", clause=_FORWARDS, source=f"{BDG_C}:1241-1303")
IN_HOST = rule("14/bwrap/forward/from-host", clause="14.bwrap.host", source=f"{BDG_C}:1241-1303")
IN_PORT = rule("14/bwrap/forward/from-switch", clause="14.bwrap.two-switches", source=f"{BDG_C}:1241-1303")
OUT = rule("14/bwrap/transmit/to-wire", clause=_FORWARDS, source=f"{BDG_C}:1600-1653")
OUT_HOST = rule("14/bwrap/transmit/to-host", clause="14.bwrap.host", source=f"{BDG_C}:1600-1653")
OUT_PORT = rule("14/bwrap/transmit/to-switch", clause="14.bwrap.two-switches", source=f"{BDG_C}:1600-1653")
STOPPED = rule("14/bwrap/transmit/down", clause="14.bwrap.down", source=f"{BDG_C}:1618-1620")
NO_ROOM = rule("14/bwrap/transmit/no-room", clause="14.vale.full", source=f"{VALE_C}:965-967")
NO_SYNC = rule(
    "14/bwrap/transmit/no-sync",
    clause="14.bwrap.monitor",
    source=f"{VALE_C}:1286-1292",
    switch=UNSYNCED,
)
GONE = rule("14/bwrap/destroy", clause="14.switch.detach", source=f"{BDG_C}:1194-1220")


# --- which ring is which ----------------------------------------------------------------------


def below(s: System, ring: str) -> KringState:
    """The interface's ring that a ring of the switch's port is."""
    k = s.krings[ring]
    na = s.adapters[k.adapter]
    assert na.vp is not None
    t = RX if k.t == TX else TX
    nic = s.adapters[na.vp.below]
    return s.krings[ring_name(nic.name, t, k.index + (nic.rings(t) if na.kind == BWRAP_HOST else 0))]


def receiving(s: System) -> Iterator[str]:
    """The transmit rings of the switches' ports that stand for interfaces or host stacks."""
    for na in [na for na in s.adapters.values() if na.kind in (BWRAP, BWRAP_HOST)]:
        if na.vp is not None and na.vp.bridge >= 0:
            yield from (ring_name(na.name, TX, i) for i in range(na.tx_rings))


def share_rings(s: System, name: str) -> None:
    """The port's rings are those of the interface. Source: netmap_bwrap_krings_create_common."""
    na = s.adapters[name]
    for t in (TX, RX):
        for i in range(na.rings(t)):
            k = s.krings[ring_name(name, t, i)]
            hw = below(s, k.name)
            bind.put(s, replace(k, ring=hw.ring, on=True))


# --- from the interface into the switch -------------------------------------------------------


def catch_up(x: Execution) -> None:
    """Everything that has arrived at attached interfaces goes into their switches."""
    for sender in list(receiving(x.s)):
        forward(x, sender)


def told(x: Execution, ring: str) -> None:
    """A ring was notified: if it is an attached interface's, what it has goes on at once."""
    k = x.s.krings.get(ring)
    if k is None or k.t != RX:
        return
    for sender in [r for r in receiving(x.s) if below(x.s, r).name == ring]:
        forward(x, sender)


def forward(x: Execution, sender: str) -> None:
    """What the interface's ring reports is sent into the switch from the ring ``sender``, and released.

    Nothing when the ring is looked at already, or the interface is stopped. Source: netmap_bwrap_intr_notify.
    """
    hw = below(x.s, sender)
    nic = x.s.adapters[hw.adapter]
    if hw.name in x.s.busy or nic.interface or not _waiting(x.s, hw):
        return
    x.s.busy |= {hw.name}
    if hw.host:
        x.fired.append(IN_HOST)
        _push(x, sender, hw.name)
    if not hw.host and nic.kind == "nic":
        x.fired.append(IN)
        while _push(x, sender, hw.name):
            pass
    if nic.kind != "nic":
        x.fired.append(IN_PORT)
        _uncount(x.s, hw, hw.pos.hwcur, hw.pos.hwtail)
        _push(x, sender, hw.name)
    x.s.busy -= {hw.name}


def _uncount(s: System, hw: KringState, start: int, end: int) -> None:
    """The number of fragments that a switch has stored in the slots' flags is no destination on the next."""
    region, at = s.regions[s.adapters[hw.adapter].mem], bind.ring_at(s, hw)
    i = start
    while i != end:
        slot = memory.read_slot(region, at, i)
        memory.write_slot(region, at, i, replace(slot, flags=slot.flags % (1 << api14.NS_PORT_SHIFT)))
        i = nm_next(i, hw.pos.n - 1)


def _waiting(s: System, hw: KringState) -> bool:
    """Has the ring anything, or may there be anything new for it?"""
    if hw.host or hw.pos.hwcur != hw.pos.hwtail or s.adapters[hw.adapter].kind != "nic":
        return bool(hw.queue) or hw.pos.hwcur != hw.pos.hwtail
    return bool(hw.pipe) or bool(s.ports[hw.adapter].incoming[hw.index])


def _push(x: Execution, sender: str, ring: str) -> bool:
    """One look at the interface's ring; was there anything?"""
    error = run(x.port_sync(ring, True), x)
    hw = x.s.krings[ring]
    if error or hw.pos.hwcur == hw.pos.hwtail:
        return False
    k, tail = x.s.krings[sender], hw.pos.hwtail
    bind.put(x.s, replace(k, pos=replace(k.pos, hwcur=hw.pos.hwcur, rhead=tail, rcur=tail)))
    _sync(x, sender)
    hw = x.s.krings[ring]
    bind.put(x.s, replace(hw, pos=replace(hw.pos, rhead=tail, rcur=tail, rtail=tail)))
    run(x.port_sync(ring, True), x)
    return True


def _sync(x: Execution, ring: str) -> None:
    """The kernel syncs a transmit ring of its own, and all of it is its own again."""
    run(x.port_sync(ring, True), x)
    k = x.s.krings[ring]
    bind.put(x.s, replace(k, pos=replace(k.pos, rtail=k.pos.hwtail)))


# --- from the switch to the interface ---------------------------------------------------------


def outside(x: Execution, to: str) -> bool:
    """Does a receive ring stand for an interface, or its host stack?"""
    return x.s.adapters[x.s.krings[to].adapter].kind in (BWRAP, BWRAP_HOST)


def transmit(x: Execution, sender: str, to: str, packets: tuple[Packet, ...]) -> None:
    """What the switch has for the port leaves it at once. Source: nm_vale_flush, netmap_bwrap_notify."""
    hw = below(x.s, to)
    nic = x.s.adapters[hw.adapter]
    if nic.interface or hw.name in x.s.busy:
        x.fired.append(STOPPED)
        return
    if x.s.krings[to].copies and UNSYNCED in x.switches:
        x.fired.append(NO_SYNC)
        raise Faulted("netmap_monitor.c:853-880")
    x.s.busy |= {hw.name}
    fitting, _ = vale_device.needed(x, sender, to, packets)
    if hw.host:
        x.fired.append(OUT_HOST)
        _pull(x, sender, to, hw.name, fitting)
    if not hw.host and nic.kind == "nic":
        x.fired.append(OUT)
        _pull(x, sender, to, hw.name, fitting)
    if nic.kind != "nic":
        x.fired.append(OUT_PORT)
        _pull(x, sender, to, hw.name, fitting)
    x.s.busy -= {hw.name}


def _pull(x: Execution, sender: str, to: str, ring: str, packets: tuple[Packet, ...]) -> None:
    """Packet by packet into the interface's ring, which sends it and has it sent."""
    choose = x.choose
    x.choose = _at_once(choose)
    for packet in packets:
        hw = x.s.krings[ring]
        room = hw.pos.n - 1
        if len(packet) > room:
            x.fired.append(NO_ROOM)
            break
        at = hw.pos.hwcur
        used = vale_device.put(x, sender, to, at, packet, room)
        end = advance(at, used, hw.pos.n)
        k = x.s.krings[to]
        bind.put(x.s, replace(k, pos=replace(k.pos, hwcur=at, rhead=at, rcur=at, hwtail=end, rtail=end)))
        if x.s.krings[to].copies or any(x.s.krings[to].zmon):
            run(x.port_sync(to, True), x)
        hw = x.s.krings[ring]
        if x.s.adapters[hw.adapter].kind != "nic":
            _uncount(x.s, hw, at, end)
        bind.put(x.s, replace(hw, pos=replace(hw.pos, rhead=end, rcur=end)))
        _sync(x, ring)
        k = x.s.krings[to]
        bind.put(x.s, replace(k, pos=replace(k.pos, hwcur=end, rhead=end, rcur=end)))
    x.choose = choose


def _at_once(choose: Choose) -> Choose:
    """The kernel's own sending waits for nobody: the device takes and completes all of it."""

    def answer(c: Choice) -> int:
        return c.hi if c.name in ("nic.tx-accepted", "nic.tx-completed") else choose(c)

    return answer


def sync(x: Execution, k: KringState, force: bool) -> Protocol:
    """The kernel's own sync of a port's ring: what the interface has received is sent as from any port."""
    return vale.txsync(k.name, x.switches) if k.t == TX else vale.rxsync(k.name)


OPS = PortOps(sync=sync)

DO: dict[str, Callable[..., Any]] = {"vale-outside": outside, "vale-transmit": transmit}

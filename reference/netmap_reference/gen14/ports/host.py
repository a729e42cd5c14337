"""Chapter *host rings*: the rings between an application and the host's own network stack.

While a hardware transmit ring of a port is in netmap mode, what the host stack sends is queued for
the port's host receive ring; slots an application releases in the host transmit ring go up to the host
stack, each as one frame. Frames can also be forwarded without being copied by the application: slots
marked NS_FORWARD in a ring whose flags say NR_FORWARD go up from a hardware receive ring, and down from
the host receive ring (:mod:`.forward`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from netmap_spec.abi import api14

from ...core.choice import Choose
from ...core.effects import Do, Fired, Protocol, ReadKernel, WriteKernel
from ...core.step import Step, rule
from .. import bind, memory
from ..offsets import sent_from, slot_size, stored_at
from ..ring import CONTRACT, Kring, Slot, advance, distance, nm_next, nm_prev
from ..state import RX, TX, KringState, System, ring_name
from ..sync import forwards
from . import device, wire
from .forward import Down, forward_down, loop_down

if TYPE_CHECKING:
    from ..execute import Execution

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"

TX_UP = rule("14/host/txsync/up", clause="14.host.tx", source=f"{NETMAP_C}:1356-1377")
TX_BAD = rule("14/host/grab/bad-length", clause="14.host.tx", source=f"{NETMAP_C}:1254-1257")
RX_DOWN = rule("14/host/rxsync/imported", clause="14.host.rx", source=f"{NETMAP_C}:1404-1427")
RX_RELEASED = rule("14/host/rxsync/released", clause="14.host.rx", source=f"{NETMAP_C}:1429-1442")
QUEUED = rule("14/host/transmit/queued", clause="14.host.rx", source=f"{NETMAP_C}:4346-4361")
QUEUE_FULL = rule("14/host/transmit/full", clause="14.host.rx", source=f"{NETMAP_C}:4348-4353")
TOO_LONG = rule("14/host/transmit/too-long", clause="14.host.rx", source=f"{NETMAP_C}:4317-4322")
PASSED = rule("14/host/transmit/passed", clause="14.nic.netmap-mode", source=f"{NETMAP_C}:4311-4313")
#: Only the first host receive ring is treated as one when frames are forwarded.
FIRST_HOST_RING = "14.forward-first-host-ring"
FORWARD_BACK = rule(
    "14/host/forward/back-up",
    clause="14.host.forward",
    source=f"{NETMAP_C}:1269-1290",
    switch=FIRST_HOST_RING,
)
FORWARD_UP = rule("14/host/forward/up", clause="14.host.forward", source=f"{NETMAP_C}:1238-1266")
UNMARKED = rule("14/host/transparent/up", clause="14.host.transparent", source=f"{NETMAP_C}:1252-1253")
AS_WRITTEN = frozenset({FIRST_HOST_RING})


def host_txsync_positions(k: Kring) -> Step[Kring]:
    """The host takes everything at once: the whole ring is the application's again."""
    return Step(replace(k, hwcur=k.rhead, hwtail=nm_prev(k.rhead, k.n - 1)), (TX_UP,))


def host_rxsync_positions(k: Kring, imported: int) -> Step[Kring]:
    """``imported`` frames came down, released slots are given back."""
    moved = replace(k, hwcur=k.rhead, hwtail=advance(k.hwtail, imported, k.n))
    fired = (RX_DOWN,) if imported else ()
    return Step(moved, (*fired, RX_RELEASED) if k.hwcur != k.rhead else fired)


def sync(x: Execution, k: KringState, force: bool) -> Protocol:
    """The sync of a host ring; only a descriptor bound to all the port's transmit rings forwards down.

    As written (FIRST_HOST_RING) that is so for the first host ring only.
    """
    if k.t == TX:
        return txsync(k.name)
    f = x.s.files.get(x.file)
    down = f is not None and f.forward_down and f.adapter == k.adapter
    second = FIRST_HOST_RING in x.switches and k.index != x.s.adapters[k.adapter].rx_rings
    targets = tuple(ring_name(k.adapter, TX, t) for t in range(x.s.adapters[k.adapter].tx_rings))
    passed = partial(forward_down, k.name, targets, x.switches)
    if x.file in x.s.csbs and not second:
        return rxsync(k.name, partial(loop_down, k.name, down, passed, x.switches))
    return rxsync(k.name, passed if down and not second else None)


def forward_up(s: System, k: KringState, switches: frozenset[str]) -> list[str]:
    """What a receive ring with NR_FORWARD passes up before its own sync: a hardware ring's marked slots.

    As written (FIRST_HOST_RING) every host ring but the first counts as a hardware ring here: what came from
    the host goes back to it.
    """
    na = s.adapters[k.adapter]
    if not na.host_rings:
        return []
    count = distance(k.pos.hwcur, k.pos.rhead, k.pos.n)
    if not k.host:
        return grab(s, k, k.pos.hwcur, count, False)
    if FIRST_HOST_RING in switches and k.index != na.rx_rings and count:
        return [*grab(s, k, k.pos.hwcur, count, False), FORWARD_BACK]
    return []


def txsync(ring: str) -> Protocol:
    """The sync of a host transmit ring."""
    k: Kring = yield ReadKernel((ring, "kring"))
    yield Do("grab", (ring, k.hwcur, distance(k.hwcur, k.rhead, k.n), True))
    step = host_txsync_positions(k)
    yield Fired(TX_UP)
    yield WriteKernel((ring, "kring"), step.state)
    return ""


def rxsync(ring: str, down: Down | None) -> Protocol:
    """The sync of a host receive ring; with ``down`` marked slots go on to transmit rings."""
    k: Kring = yield ReadKernel((ring, "kring"))
    room = k.n - 1 - distance(k.hwcur, k.hwtail, k.n)
    imported = yield Do("host-import", (ring, k.hwtail, room))
    if k.hwcur != k.rhead and down is not None:
        wanted = yield from forwards(ring)
        if wanted:
            sent = yield from down(k.hwcur, distance(k.hwcur, k.rhead, k.n))
            if sent:
                yield WriteKernel((ring, "forwarded"), True)
    step = host_rxsync_positions(k, imported)
    for fired in step.fired:
        yield Fired(fired)
    yield WriteKernel((ring, "kring"), step.state)
    return ""


# --- what the effects do ----------------------------------------------------------------------


def transmit(
    s: System, port: str, data: bytes, choose: Choose, switches: frozenset[str] = CONTRACT
) -> tuple[list[str], str]:
    """The host stack sends a frame: (rules fired, host ring to notify). Source: netmap_transmit.

    As written (PAST_BUFFER) a frame that fits a buffer is taken though packets begin further behind.
    """
    na = s.adapters[port]
    t = wire.pick(choose, "host.tx-ring", port, 0, na.tx_rings - 1, "ring")
    tx = s.krings.get(ring_name(port, TX, t))
    if not na.on or tx is None or not tx.on:
        return [PASSED, *wire.send(s, port, (data,), f"{port}:host", choose)], ""
    i = na.rx_rings + wire.pick(choose, "host.rx-ring", port, 0, na.host_rx_rings - 1, "ring")
    k = s.krings[ring_name(port, RX, i)]
    size = slot_size(k.offset, bind.allocator(s, port).buf_size, True, switches)
    room = k.pos.n - 1 - distance(k.pos.hwcur, k.pos.hwtail, k.pos.n) - len(k.queue)
    step = host_queue(len(data), size.state, room)
    if step.state:
        bind.put(s, replace(k, queue=(*k.queue, data)))
    return [*size.fired, *step.fired], k.name


def host_queue(length: int, size: int, room: int) -> Step[bool]:
    """Does a frame of ``length`` bytes wait for the host receive ring, whose slots take ``size`` bytes each?

    ``room`` slots are free and not spoken for; 0 or less: none is.
    """
    if length > size:
        return Step(False, (TOO_LONG,))
    if room <= 0:
        return Step(False, (QUEUE_FULL,))
    return Step(True, (QUEUED,))


def goes_up(slot: Slot, force: bool, everything: bool, buf_size: int) -> Step[bool]:
    """Does this slot go up to the host? All that make a frame from a host ring (``force``); from others those
    marked NS_FORWARD, with the parameter ``fwd`` (``everything``) all of them, too."""
    marked = slot.flags & api14.NS_FORWARD != 0
    if not force and not everything and not marked:
        return Step(False)
    if slot.len < 14 or slot.len > buf_size:
        return Step(False, (TX_BAD,))
    if force:
        return Step(True, (TX_UP,))
    if not marked:
        return Step(True, (UNMARKED,))
    return Step(True, (FORWARD_UP,))


def grab(s: System, k: KringState, start: int, count: int, force: bool) -> list[str]:
    """Copy slots up to the host stack, see :func:`goes_up`."""
    region, at, a = s.regions[s.adapters[k.adapter].mem], bind.ring_at(s, k), bind.allocator(s, k.adapter)
    fired: list[str] = []
    frames: list[bytes] = []
    i = start
    for _ in range(count):
        slot = memory.read_slot(region, at, i)
        begins = sent_from(k.offset, slot.ptr)
        into = begins.state
        step = goes_up(slot, force, s.params.fwd != 0, a.buf_size - into)
        fired.extend(step.fired)
        if step.state:
            fired.extend(begins.fired)
            memory.write_slot(region, at, i, replace(slot, flags=slot.flags & ~api14.NS_FORWARD))
            frames.append(region.read(a.buf_offset(a.safe_index(slot.buf_idx)) + into, slot.len))
        i = nm_next(i, k.pos.n - 1)
    wire.to_host(s, k.adapter, frames)
    return fired


def host_import(
    s: System, k: KringState, start: int, room: int, switches: frozenset[str], fired: list[str]
) -> int:
    """Fill slots of a host receive ring with queued frames; how many.

    One that was queued before the ring's packets began further behind, and is too long now, is dropped.
    """
    region, at, a = s.regions[s.adapters[k.adapter].mem], bind.ring_at(s, k), bind.allocator(s, k.adapter)
    size = slot_size(k.offset, a.buf_size, True, switches)
    queue = k.queue
    if any(len(data) > size.state for data in queue):
        fired.append(TOO_LONG)
        queue = tuple(data for data in queue if len(data) <= size.state)
    if queue:
        fired.extend(size.fired)
    taken, rest = queue[:room], queue[room:]
    i = start
    for data in taken:
        slot = memory.read_slot(region, at, i)
        begins = stored_at(k.offset, slot.ptr)
        fired.extend(begins.fired)
        device.store(s, a, a.safe_index(slot.buf_idx), begins.state, data)
        memory.write_slot(region, at, i, replace(slot, len=len(data), flags=0))
        i = nm_next(i, k.pos.n - 1)
    bind.put(s, replace(k, queue=rest))
    return len(taken)

"""Chapter *device*: what a port's device and driver read from slots and store into them.

The positions are decided in :mod:`.nic`, the frames' fate in :mod:`.wire`; here are the slots between.
A driver programs the buffer of a transmit slot each time it is sent, that of a receive slot when the
application marks it NS_BUF_CHANGED; the emulated adapter copies and looks at the slot when it does. An
index that is not the pool's stands for buffer 0, and a length beyond the buffer is cut to it.
"""

from __future__ import annotations

from dataclasses import replace

from netmap_spec.abi import api14

from ...core.choice import Choose
from ...core.outcome import NotModelled
from ...core.step import Step, rule
from .. import bind, memory
from ..memory import Allocator
from ..offsets import get_offset, sent_from, slot_size, stored_at
from ..ring import CONTRACT, Slot, nm_next
from ..state import KringState, System
from . import wire
from .wire import Wire, pick

GENERIC_C = "luigirizzo/netmap:sys/dev/netmap/netmap_generic.c@89607e14"
KERN_H = "luigirizzo/netmap:sys/dev/netmap/netmap_kern.h@89607e14"

CUT = rule("14/device/tx/length-cut", clause="14.nic.bad-slot", source=f"{KERN_H}:1467-1471")
JUNK = rule("14/device/tx/buffer-0", clause="14.nic.bad-slot", source=f"{KERN_H}:1955-1981")


def tx_slot(slot: Slot, buffers: int, buf_size: int) -> Step[Slot]:
    """The slot as the device sends it: a buffer of the pool, a length within it."""
    fired: tuple[str, ...] = ()
    if slot.buf_idx >= buffers or slot.buf_idx == 0:
        slot, fired = replace(slot, buf_idx=0), (JUNK,)
    if slot.len > buf_size:
        slot, fired = replace(slot, len=buf_size), (*fired, CUT)
    return Step(slot, fired)


def accepted(s: System, k: KringState, count: int, choose: Choose) -> int:
    """How many of ``count`` slots the device takes: all, unless the emulated adapter has no room for some."""
    w: Wire = s.ports[k.adapter]
    return pick(choose, "nic.tx-accepted", k.name, 0, count) if w.driver.copies else count


def send(s: System, k: KringState, start: int, count: int, choose: Choose) -> list[str]:
    """Send ``count`` slots from ``start``; NS_REPORT and NS_BUF_CHANGED are cleared in them."""
    w: Wire = s.ports[k.adapter]
    a = bind.allocator(s, k.adapter)
    region, at = s.regions[a.id], bind.ring_at(s, k)
    fired: list[str] = []
    frames: list[bytes] = []
    partial = w.partial[k.index]
    clears = w.driver.clears_fragments == "yes"
    i = start
    for _ in range(count):
        slot = memory.read_slot(region, at, i)
        begins = sent_from(k.offset, slot.ptr)
        step = tx_slot(slot, a.buffers, a.buf_size - begins.state)
        fired.extend((*begins.fired, *step.fired))
        more = bool(slot.flags & api14.NS_MOREFRAG)
        if more and w.driver.clears_fragments == "may":
            clears = bool(pick(choose, "nic.clears-morefrag", k.name, 0, 1, "slots"))
        partial += region.read(a.buf_offset(step.state.buf_idx) + begins.state, step.state.len)
        if not more or not w.driver.fragments:
            frames.append(partial)
            partial = b""
        drop = api14.NS_REPORT | api14.NS_BUF_CHANGED | (api14.NS_MOREFRAG if clears else 0)
        if slot.flags & drop:
            memory.write_slot(region, at, i, replace(slot, flags=slot.flags & ~drop))
        i = nm_next(i, k.pos.n - 1)
    parts = (*w.partial[: k.index], partial, *w.partial[k.index + 1 :])
    s.ports[k.adapter] = replace(w, partial=parts)
    return fired + wire.send(s, k.adapter, frames, k.name, choose)


def completed(s: System, k: KringState, pending: int, choose: Choose) -> int:
    """How many of ``pending`` slots the device has completed: at least those an interrupt told of."""
    count = pick(choose, "nic.tx-completed", k.name, min(k.announced, pending), pending)
    bind.put(s, replace(s.krings[k.name], announced=max(0, k.announced - count)))
    return count


def store(s: System, a: Allocator, buf_idx: int, into: int, part: bytes) -> None:
    """Store a frame ``into`` bytes behind the start of a buffer; as written it may reach into the next one.

    Raises :class:`~...core.outcome.NotModelled` behind the last buffer.
    """
    start = a.buf_offset(buf_idx) + into
    if start + len(part) > a.memsize:
        raise NotModelled("14/offsets/store/past-region", "a frame that is stored behind the region")
    s.regions[a.id].write(start, part)


def receive(
    s: System, k: KringState, start: int, room: int, choose: Choose, switches: frozenset[str] = CONTRACT
) -> tuple[int, list[str]]:
    """Store what has arrived from ``start`` on: how many slots it took, -1 for a buffer that is no buffer.

    A slot takes what there is room for behind the largest offset; as written the emulated adapter fills whole
    buffers from the offset on (PAST_BUFFER).
    """
    w: Wire = s.ports[k.adapter]
    a = bind.allocator(s, k.adapter)
    region, at = s.regions[a.id], bind.ring_at(s, k)
    held = slot_size(k.offset, a.buf_size, w.driver.copies, switches)
    size = held.state
    frames, fired, blocked = wire.take(s, k, room, size, choose, switches)
    if blocked and not frames:
        return -1, fired
    if frames:
        fired = [*fired, *held.fired]
    bad = False
    used = 0
    i = start
    for frame in frames:
        for cut in range(0, max(1, len(frame)), size):
            part = frame[cut : cut + size]
            more = api14.NS_MOREFRAG if cut + size < len(frame) else 0
            slot = memory.read_slot(region, at, i)
            memory.write_slot(region, at, i, replace(slot, len=len(part), flags=more))
            if w.driver.copies:
                begins = stored_at(k.offset, slot.ptr)
                fired.extend(begins.fired)
                buf_idx, into = slot.buf_idx, begins.state
            else:
                buf_idx, into = k.desc[i], k.desc_at[i]
            bad = bad or a.safe_index(buf_idx) == 0
            if not bad:
                store(s, a, buf_idx, into, part)
            i, used = nm_next(i, k.pos.n - 1), used + 1
    return (-1 if bad else used), fired


def refill(s: System, k: KringState, start: int, count: int) -> bool:
    """Give released slots back to the device; False when one has no buffer of the pool."""
    w: Wire = s.ports[k.adapter]
    a = bind.allocator(s, k.adapter)
    region, at = s.regions[a.id], bind.ring_at(s, k)
    desc, desc_at = list(k.desc), list(k.desc_at)
    i = start
    for _ in range(count):
        slot = memory.read_slot(region, at, i)
        if not w.driver.copies and a.safe_index(slot.buf_idx) == 0:
            return False
        if slot.flags & api14.NS_BUF_CHANGED:
            if desc:
                desc[i], desc_at[i] = slot.buf_idx, get_offset(k.offset, slot.ptr)
            flags = slot.flags & ~api14.NS_BUF_CHANGED
            memory.write_slot(region, at, i, replace(slot, flags=flags))
        i = nm_next(i, k.pos.n - 1)
    bind.put(s, replace(s.krings[k.name], desc=tuple(desc), desc_at=tuple(desc_at)))
    return True

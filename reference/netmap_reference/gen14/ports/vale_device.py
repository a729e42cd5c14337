"""Chapter *VALE, bytes*: what a switch reads from senders' slots and stores into receivers'.

The decisions are in :mod:`.vale`, :mod:`..switch` and :mod:`.offload`; here they meet slots, buffers and the
table of switches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...core.step import Step, rule
from .. import bind, callbacks, memory, offsets, switch
from ..bind import Faulted
from ..memory import Allocator
from ..offsets import get_offset
from ..ring import nm_next
from ..state import RX, KringState, ring_name
from ..switch import NOPORT, Bridge, Head, VpPort
from . import offload, vale
from .vale import Fragment, Packet

if TYPE_CHECKING:
    from ..execute import Execution

VALE_C = vale.VALE_C

#: Where the model's applications map a region: its id and the offset follow. Pointers in slots are such.
USER_BASE, USER_SHIFT = 1 << 46, 32

_INDIRECT = "14.vale.indirect"
INDIRECT = rule("14/vale/bytes/indirect", clause=_INDIRECT, source=f"{VALE_C}:515-517,1008-1013")
UNREADABLE = rule("14/vale/bytes/unreadable", clause=_INDIRECT, source=f"{VALE_C}:625-630")
PART_UNREADABLE = rule("14/vale/bytes/part-unreadable", clause=_INDIRECT, source=f"{VALE_C}:1008-1013")
PART_EMPTY = rule(
    "14/vale/bytes/part-empty", clause=_INDIRECT, source=f"{VALE_C}:1008-1017", switch=vale.HOLES
)
_OVERSIZE = "14.vale.oversize"
OVERSIZE = rule("14/vale/bytes/oversize", clause=_OVERSIZE, source=f"{VALE_C}:1000-1006")
OVERSIZE_EMPTY = rule(
    "14/vale/bytes/oversize-empty", clause=_OVERSIZE, source=f"{VALE_C}:1000-1017", switch=vale.HOLES
)
STORED = rule("14/vale/bytes/receiver-buffer-0", clause="14.vale.receive-slot", source=f"{VALE_C}:983-985")
MIXED = rule(
    "14/vale/bytes/mixed", clause="14.vale.read-once", source=f"{VALE_C}:507-517", switch=vale.READS_TWICE
)


def _vp(x: Execution, ring: str) -> VpPort:
    vp = x.s.adapters[x.s.krings[ring].adapter].vp
    assert vp is not None
    return vp


def bridge_of(x: Execution, ring: str) -> Bridge:
    """The switch that a ring's port is attached to."""
    return x.s.bridges[_vp(x, ring).bridge]


def _memory(x: Execution, ring: str) -> Allocator:
    return bind.allocator(x.s, x.s.krings[ring].adapter)


# --- bytes ----------------------------------------------------------------------------------------


def user_address(mem: int, offset: int) -> int:
    """Where the model's applications have byte ``offset`` of a region."""
    return USER_BASE + (mem << USER_SHIFT) + offset


def user_bytes(x: Execution, ptr: int, length: int) -> bytes | None:
    """``length`` bytes of an application's memory, ``None`` when it has none there (copyin fails)."""
    mem, offset = divmod(ptr - USER_BASE, 1 << USER_SHIFT)
    region = x.s.regions.get(mem)
    mapped = any(x.s.adapters[f.adapter].mem == mem for f in map(x.s.files.get, x.s.mapped.values()) if f)
    if region is None or not mapped or offset + length > region.size:
        return None
    return region.read(offset, length)


def fragment_bytes(x: Execution, ring: str, f: Fragment, length: int) -> bytes | None:
    """``length`` bytes from a fragment's start, ``None`` when they cannot be read."""
    if f.bad:
        return b""
    if f.data is not None:
        return f.data[:length]
    if f.indirect:
        x.fired.append(INDIRECT)
        return user_bytes(x, f.ptr, length)
    a = _memory(x, ring)
    at = a.buf_offset(a.safe_index(f.buf_idx)) + get_offset(x.s.krings[ring].offset, f.ptr)
    region = x.s.regions[a.id]
    return region.read(at, min(length, region.size - at))


def rounded(length: int) -> int:
    """Bytes that are copied for so many: short packets are copied in whole lines. Source: pkt_copy."""
    if length >= vale.LONG_COPY:
        return length
    return (length + vale.LINE - 1) // vale.LINE * vale.LINE


# --- what the protocols ask for -------------------------------------------------------------------


def check(x: Execution, ring: str, f: Fragment) -> Step[Fragment]:
    """A slot against the sender's pool."""
    a = _memory(x, ring)
    begins = 0 if f.indirect else get_offset(x.s.krings[ring].offset, f.ptr)
    return vale.check_slot(f, a.buffers, a.buf_size - begins, x.switches)


def batch(x: Execution, ring: str) -> int:
    """Slots of a batch; -1 when the port is attached to no switch."""
    if _vp(x, ring).bridge < 0:
        return -1
    return max(0, min(x.s.params.bridge_batch, vale.BATCH))


def long_chains(x: Execution) -> bool:
    """Do packets of more than 64 fragments pass? The same answer every time."""
    return x.chosen_once("long_chains", "vale.long-chains")


def _head(x: Execution, ring: str, packet: Packet, hdr: int) -> tuple[Head | None, tuple[str, ...]]:
    """Addresses of a packet, ``None`` when it is not forwarded."""
    step = vale.header_start(hdr, packet[0].len, len(packet))
    start = step.state
    if start.fragment < 0:
        return None, step.fired
    f = packet[start.fragment]
    if f.len - start.offset < vale.SHORTEST:
        return None, (*step.fired, switch.SHORT)
    if f.mixed:
        x.fired.append(MIXED)
        raise Faulted("netmap_vale.c:507-517")
    data = fragment_bytes(x, ring, f, start.offset + 12)
    if data is None:
        return None, (*step.fired, UNREADABLE)
    at = data[start.offset :]
    head = Head(int.from_bytes(at[:6], "little"), int.from_bytes(at[6:12], "little"), packet[0].flags)
    return head, step.fired


def route(x: Execution, ring: str, packet: Packet) -> int:
    """Learn from a packet, and find where it goes."""
    na = x.s.adapters[x.s.krings[ring].adapter]
    vp = _vp(x, ring)
    b = x.s.bridges[vp.bridge]
    if b.lookup:
        start = vale.header_start(vp.hdr, packet[0].len, len(packet))
        aim = switch.target(b, vp.index, b.lookup[0] if start.state.fragment >= 0 else NOPORT)
        x.fired.extend((callbacks.DECIDED, *start.fired, *aim.fired))
        return aim.state
    head, fired = _head(x, ring, packet, vp.hdr)
    x.fired.extend(fired)
    if head is None:
        return NOPORT
    displaces = False
    if not switch.is_group(head.src) and switch.collides(b, head.src):
        displaces = x.chosen_once("displaces", "switch.displaces")
    learned = switch.learn(b, vp, head, displaces, x.switches)
    b = learned.state.bridge
    x.s.bridges[vp.bridge] = b
    x.s.adapters[na.name] = replace(na, vp=replace(vp, smac=learned.state.smac))
    found = switch.lookup(b, head, x.switches)
    aim = switch.target(b, vp.index, found.state)
    x.fired.extend((*learned.fired, *found.fired, *aim.fired))
    return aim.state


def queues(x: Execution, ring: str, targets: tuple[int, ...]) -> Step[tuple[vale.Queue, ...]]:
    """Who gets what of a batch."""
    vp = _vp(x, ring)
    ports = tuple((i, x.s.adapters[name].rx_rings) for i, name in x.s.bridges[vp.bridge].ports)
    number = callbacks.ring_of(x.s.bridges[vp.bridge], x.s.krings[ring].index)
    x.fired.extend(number.fired)
    return vale.queues(targets, number.state, vp.index, ports, x.switches)


def ring(x: Execution, sender: str, port: int, number: int) -> str:
    """The receive ring to serve, empty when nobody has opened it."""
    na = x.s.adapters[bridge_of(x, sender).at(port)]
    k = x.s.krings.get(ring_name(na.name, RX, number))
    wraps = na.vp is not None and na.vp.below
    closed = k is None or not k.on or (k.ring < 0 and not wraps)
    if not na.on or k is None or closed:
        return ""
    return k.name


def needed(x: Execution, sender: str, to: str, packets: tuple[Packet, ...]) -> tuple[tuple[Packet, ...], int]:
    """The packets that this receiver can take, and the slots they need.

    As written (HOLES) all of them, whatever becomes of fragments that cannot be copied.
    """
    source, target = _vp(x, sender), _vp(x, to)

    def slots(packets: tuple[Packet, ...]) -> int:
        """Slots for these packets, more when they may have to be cut."""
        whole = sum(len(p) for p in packets)
        return offload.slots_needed(whole, source.mfs, target.mfs) if source.hdr != target.hdr else whole

    if vale.HOLES in x.switches:
        return packets, slots(packets)
    size = _memory(x, to).buf_size - x.s.krings[to].offset.max
    fitting = []
    for packet in packets:
        if source.hdr == target.hdr and any(f.len > size for f in packet):
            x.fired.append(OVERSIZE)
            continue
        if any(f.indirect and user_bytes(x, f.ptr, f.len) is None for f in packet):
            x.fired.append(PART_UNREADABLE)
            continue
        fitting.append(packet)
    return tuple(fitting), slots(tuple(fitting))


def put(x: Execution, sender: str, to: str, at: int, packet: Packet, room: int) -> int:
    """Copy a packet into the receiver's slots from ``at`` on; how many it took."""
    k = x.s.krings[to]
    source, target = _vp(x, sender), _vp(x, to)
    if source.hdr != target.hdr:
        return _put_across(x, sender, k, at, packet, room)
    rest = len(packet) > 1 and x.chosen_once("counts_rest", "vale.counts-rest")
    for number, f in enumerate(packet):
        step = vale.received_flags(len(packet), number, rest)
        x.fired.extend(step.fired)
        _copy(x, sender, k, at, f, step.state)
        at = nm_next(at, k.pos.n - 1)
    return len(packet)


def _put_across(x: Execution, sender: str, k: KringState, at: int, packet: Packet, room: int) -> int:
    """Copy a packet to a port with another header, with the offloads that are left to do."""
    source, target = _vp(x, sender), _vp(x, k.name)
    a = _memory(x, k.name)
    parts = tuple(fragment_bytes(x, sender, f, f.len) or b"" for f in packet)
    step = offload.cross(
        parts, source.hdr, target.hdr, target.mfs, a.buf_size, room, packet[0].indirect, x.switches
    )
    x.fired.extend(step.fired)
    if not step.outcome.ok:
        raise Faulted(step.outcome.detail)
    slots, begun = step.state.slots, step.state.begun
    region, ring_at = x.s.regions[a.id], bind.ring_at(x.s, k)
    if offsets.behind(k.offset, slots, a.buf_size, x.switches):
        x.fired.append(OVERSIZE)
        return 0
    rest = len(slots) > 1 and not step.state.segments and x.chosen_once("counts_rest", "vale.counts-rest")
    if begun and not x.chosen_once("cut_first", "vale.cut-first"):
        begun = ()
    for number, data in enumerate(slots or begun):
        flags = 0
        if slots and not step.state.segments:
            told = vale.received_flags(len(slots), number, rest)
            x.fired.extend(told.fired)
            flags = told.state
        slot = memory.read_slot(region, ring_at, at)
        into = offsets.placed_across(k.offset, slot.ptr, x.switches)
        x.fired.extend(into.fired)
        start = a.buf_offset(a.safe_index(slot.buf_idx)) + into.state
        region.write(start, data[: region.size - start])
        memory.write_slot(region, ring_at, at, replace(slot, len=len(data), flags=flags))
        at = nm_next(at, k.pos.n - 1)
    return len(slots)


def _copy(x: Execution, sender: str, k: KringState, at: int, f: Fragment, flags: int) -> None:
    """One fragment into one slot."""
    a = _memory(x, k.name)
    region, ring_at = x.s.regions[a.id], bind.ring_at(x.s, k)
    slot = memory.read_slot(region, ring_at, at)
    length = f.len
    data = fragment_bytes(x, sender, f, length if f.indirect else rounded(length))
    if data is None:
        x.fired.append(PART_EMPTY)
        length, data = 0, b""
    buf_idx = slot.buf_idx
    if a.safe_index(buf_idx) != buf_idx:
        x.fired.append(STORED)
        buf_idx = 0
    begins = f.ptr if f.indirect else get_offset(x.s.krings[sender].offset, f.ptr)
    place = offsets.place(k.offset, slot.ptr, begins, length, a.buf_size, x.switches)
    x.fired.extend(place.fired)
    into = place.state
    if not into.fits and vale.HOLES in x.switches:
        x.fired.append(OVERSIZE_EMPTY)
        length, data = 0, b""
    # As written the sender's own memory is copied to the buffer's start, whatever the slot says then.
    stored = 0 if f.indirect and offsets.MISPLACED in place.fired else into.at
    region.write(a.buf_offset(buf_idx) + stored, data[: a.buf_size - stored])
    ptr = offsets.write_offset(k.offset, slot.ptr, into.told)
    memory.write_slot(region, ring_at, at, replace(slot, len=length, flags=flags, ptr=ptr))


def empty(x: Execution, to: str, at: int) -> None:
    """A slot that was leased and not needed becomes an empty packet."""
    k = x.s.krings[to]
    region, ring_at = x.s.regions[_memory(x, to).id], bind.ring_at(x.s, k)
    memory.write_slot(region, ring_at, at, replace(memory.read_slot(region, ring_at, at), len=0, flags=0))


#: What a ``Do`` of this chapter is carried out by.
DO: dict[str, Callable[..., Any]] = {
    "vale-check": check,
    "vale-batch": batch,
    "vale-long-chains": long_chains,
    "vale-route": route,
    "vale-queues": queues,
    "vale-ring": ring,
    "vale-needed": needed,
    "vale-put": put,
    "vale-empty": empty,
}

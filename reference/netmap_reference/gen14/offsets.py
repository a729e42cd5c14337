"""Chapter *offsets*: packets that begin behind the start of their buffer.

With the option OFFSETS a descriptor declares that the lower bits of ``slot.ptr`` say where in the buffer the
packet begins, and how far that may be at most. Every ring it is bound to remembers this as an
:class:`Offset`; a ring that has one keeps it until its last user has gone, and who comes later may ask for
as much or less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.outcome import errno
from ..core.step import Step, rule

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
NETMAP_H = "luigirizzo/netmap:sys/net/netmap.h@89607e14"
GENERIC_C = "luigirizzo/netmap:sys/dev/netmap/netmap_generic.c@89607e14"
VALE_C = "luigirizzo/netmap:sys/dev/netmap/netmap_vale.c@89607e14"
OFFLOAD_C = "luigirizzo/netmap:sys/dev/netmap/netmap_offloadings.c@89607e14"
KERN_H = "luigirizzo/netmap:sys/dev/netmap/netmap_kern.h@89607e14"

#: Bits of ``slot.ptr``.
MAX_BITS = 64

_ASKED = "14.offsets.asked"
BITS = rule("14/offsets/check/bits", clause=_ASKED, source=f"{NETMAP_C}:2323-2330")
TOO_FAR = rule("14/offsets/check/beyond-buffer", clause=_ASKED, source=f"{NETMAP_C}:2338-2344")
TOO_WIDE = rule("14/offsets/check/beyond-bits", clause=_ASKED, source=f"{NETMAP_C}:2345-2352")
INITIAL = rule("14/offsets/check/initial-beyond-maximum", clause=_ASKED, source=f"{NETMAP_C}:2353-2360")
CHECKED = rule("14/offsets/check/good", clause=_ASKED, source=f"{NETMAP_C}:2317-2337")
FIRST = rule("14/offsets/join/first", clause="14.offsets.users", source=f"{NETMAP_C}:2386-2391")
JOINED = rule("14/offsets/join/joined", clause="14.offsets.users", source=f"{NETMAP_C}:2384-2385")
MORE = rule("14/offsets/join/more", clause="14.offsets.users", source=f"{NETMAP_C}:2371-2383")


#: A VALE switch stores packets at the sender's place within a cache line, not where the receiver's slot says.
BY_LINE = "14.vale-offset-by-line"
PLACED = rule("14/offsets/place/receivers", clause="14.offsets.vale", source=f"{VALE_C}:983-1019")
MISPLACED = rule(
    "14/offsets/place/by-line", clause="14.offsets.vale", source=f"{VALE_C}:983-1019", switch=BY_LINE
)
#: Packets whose headers are changed on the way are stored at the start of the receiver's buffers.
NOT_ACROSS = "14.offload-ignores-offsets"
ACROSS = rule("14/offsets/placed_across/receivers", clause="14.offsets.headers", source=f"{VALE_C}:983-1019")
ACROSS_START = rule(
    "14/offsets/placed_across/start",
    clause="14.offsets.headers",
    source=f"{OFFLOAD_C}:165-175,224-240,433-462",
    switch=NOT_ACROSS,
)
#: The number of bits in effect is not returned.
BITS_KEPT = "14.offsets-bits-not-returned"
RETURNED = rule("14/offsets/returned/in-effect", clause="14.offsets.returned", source=f"{NETMAP_H}:973-986")
BITS_NOT = rule(
    "14/offsets/returned/bits-as-sent",
    clause="14.offsets.returned",
    source=f"{NETMAP_C}:2409-2413",
    switch=BITS_KEPT,
)
#: Where packets begin behind the start of a buffer, whole buffers are stored all the same.
PAST_BUFFER = "14.offsets-past-buffer"
SENT_AT = rule("14/offsets/sent_from/offset", clause="14.offsets.sent", source=f"{GENERIC_C}:688-696")
STORED_AT = rule("14/offsets/stored_at/offset", clause="14.offsets.received", source=f"{GENERIC_C}:986-1003")
LESS = rule(
    "14/offsets/slot_size/behind-offset", clause="14.offsets.received", source=f"{NETMAP_C}:2417-2492"
)
STORED_PAST = rule(
    "14/offsets/slot_size/whole-buffer",
    clause="14.offsets.received",
    source=f"{GENERIC_C}:884,945-956,986-1003",
    switch=PAST_BUFFER,
)
#: Bytes of a cache line (NM_BUF_ALIGN).
LINE = 64


@dataclass(frozen=True, slots=True)
class Offset:
    """What a ring's users have agreed on.

    ``bits`` lower bits of ``slot.ptr`` are the offset, none when nobody asked. ``max`` is the largest one,
    bytes; ``room`` how much of a buffer behind the offset a device may fill, bytes, 0 for all of it.
    """

    bits: int = 0
    max: int = 0
    room: int = 0

    @property
    def mask(self) -> int:
        """``ring->offset_mask``."""
        return (1 << self.bits) - 1


NONE = Offset()


def get_offset(offset: Offset, ptr: int) -> int:
    """Where the kernel finds the packet of a slot: never beyond the maximum. Source: nm_get_offset."""
    return min(ptr % (1 << offset.bits), offset.max)


def write_offset(offset: Offset, ptr: int, value: int) -> int:
    """``slot.ptr`` with another offset; its upper bits stay. Source: nm_write_offset."""
    span = 1 << offset.bits
    return ptr - ptr % span + value % span


def sent_from(offset: Offset, ptr: int) -> Step[int]:
    """Where a packet that is sent begins."""
    if offset.bits == 0:
        return Step(0)
    return Step(get_offset(offset, ptr), (SENT_AT,))


def stored_at(offset: Offset, ptr: int) -> Step[int]:
    """Where a packet that is received is stored."""
    if offset.bits == 0:
        return Step(0)
    return Step(get_offset(offset, ptr), (STORED_AT,))


def slot_size(
    offset: Offset, buf_size: int, copies: bool, switches: frozenset[str] = frozenset()
) -> Step[int]:
    """How much of a frame one slot takes, bytes. ``copies``: the kernel stores it, not a device.

    As written (PAST_BUFFER) the kernel stores whole buffers, from the offset on.
    """
    if offset.room == 0:
        return Step(buf_size)
    if copies and PAST_BUFFER in switches:
        return Step(buf_size, (STORED_PAST,))
    return Step(offset.room, (LESS,))


def check(bits: int, maximum: int, initial: int, buf_size: int) -> Step[Offset]:
    """Is what a descriptor asks for possible at all? EINVAL when not. ``bits`` 0 asks for all of them.

    Source: netmap_offsets_init.
    """
    if bits > MAX_BITS:
        return Step(NONE, (BITS,), errno("EINVAL"))
    if bits == 0:
        bits = MAX_BITS
    if maximum > buf_size:
        return Step(NONE, (TOO_FAR,), errno("EINVAL"))
    if maximum >= 1 << bits:
        return Step(NONE, (TOO_WIDE,), errno("EINVAL"))
    if initial > maximum:
        return Step(NONE, (INITIAL,), errno("EINVAL"))
    return Step(Offset(bits, maximum), (CHECKED,))


def join(ring: Offset, asked: Offset) -> Step[Offset]:
    """What holds for a ring when a descriptor asks for ``asked``: what it has, if that is at least as much.

    EBUSY when it is not: what is agreed on cannot be enlarged.
    """
    if ring.bits == 0:
        return Step(asked, (FIRST,))
    if asked.bits > ring.bits or asked.max > ring.max:
        return Step(ring, (MORE,), errno("EBUSY"))
    return Step(ring, (JOINED,))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a switch stores a part of a packet: bytes behind the buffer's start, what the slot then says, and
    whether it fits at all."""

    at: int
    told: int
    fits: bool


def place(
    offset: Offset, ptr: int, source: int, length: int, buf_size: int, switches: frozenset[str] = frozenset()
) -> Step[Place]:
    """Where ``length`` bytes go in a receiver's slot whose ring has agreed on ``offset``.

    ``source`` is where they begin behind the start of a cache line, or of the sender's buffer. As written
    (BY_LINE) both ends are made to begin at the same place of a line: that may be before the place the
    receiver wants, or beyond it, and a receiver without offsets is not told. Source: nm_vale_flush.
    """
    wanted = get_offset(offset, ptr)
    if BY_LINE in switches:
        lag = source % LINE
        at = wanted - wanted % LINE + lag
        if wanted % LINE < lag:
            at += LINE
        if at != wanted:
            if length > buf_size - at:
                return Step(Place(wanted, wanted, False), (MISPLACED,))
            return Step(Place(at, at, True), (MISPLACED,))
    return Step(Place(wanted, wanted, length <= buf_size - wanted), (PLACED,) if offset.bits else ())


def behind(
    offset: Offset, parts: tuple[bytes, ...], buf_size: int, switches: frozenset[str] = frozenset()
) -> bool:
    """Is a part of a packet too long for what is left of a buffer behind the largest offset?

    As written (NOT_ACROSS) nobody looks, since it is stored at the buffer's start.
    """
    if NOT_ACROSS in switches:
        return False
    return offset.bits > 0 and any(len(part) > buf_size - offset.max for part in parts)


def placed_across(offset: Offset, ptr: int, switches: frozenset[str] = frozenset()) -> Step[int]:
    """Where a packet that gets another header on its way is stored in a receiver's slot.

    As written (NOT_ACROSS) at the buffer's start, whatever the slot says. Source: bdg_mismatch_datapath.
    """
    if offset.bits == 0:
        return Step(0)
    if NOT_ACROSS in switches:
        return Step(0, (ACROSS_START,))
    return Step(get_offset(offset, ptr), (ACROSS,))


def returned(agreed: Offset, bits: int, switches: frozenset[str] = frozenset()) -> Step[Offset]:
    """What comes back to who asked for ``bits``: what is in effect; as written (BITS_KEPT) not the bits."""
    if BITS_KEPT in switches:
        return Step(replace(agreed, bits=bits), (BITS_NOT,))
    return Step(agreed, (RETURNED,))


def room(offset: Offset, gap: int, buf_size: int) -> Offset:
    """How much a device may fill behind an offset: what is left behind the largest one, and at most ``gap``
    bytes (when not 0), the distance of packets that share a buffer. Source: netmap_compute_buf_len."""
    left = buf_size - offset.max
    return replace(offset, room=min(left, gap) if gap else left)

"""Chapter *offloads*: packets between ports whose virtio-net headers differ.

A port may put a *virtio-net header* of 10 or 12 bytes before each packet, and leave work to whoever takes
the packet: a checksum to be filled in, a large TCP or UDP packet to be cut into segments. A receiver with a
header gets the sender's, or zeros. For a receiver without one the work is done on the way.

All of it is pure: a packet's fragments in, the bytes of the receiver's slots out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ...core.outcome import fault
from ...core.step import Step, rule

OFFLOAD_C = "luigirizzo/netmap:sys/dev/netmap/netmap_offloadings.c@89607e14"
VALE_C = "luigirizzo/netmap:sys/dev/netmap/netmap_vale.c@89607e14"
LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"

#: Bytes of the header's part that crosses: what struct nm_vnet_hdr has.
BASE = 10
NEEDS_CSUM, DATA_VALID = 1, 2
GSO_NONE, GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_ECN = 0, 1, 3, 4, 0x80
#: The longest header of a segment that room is made for: Ethernet, IPv6, TCP with options.
WORST_HEADER = 14 + 40 + 60

#: Lengths and offsets of a header are believed, and the receiver's buffer is believed to be large enough.
TRUSTS = "14.offload-trusts-header"
#: Checksums are wrong behind a fragment of odd length, and with IPv4 options.
CHECKSUMS = "14.offload-checksums"
AS_WRITTEN = frozenset({TRUSTS, CHECKSUMS})

_HEADERS = "14.offload.headers"
STRIPPED = rule("14/offload/cross/stripped", clause=_HEADERS, source=f"{OFFLOAD_C}:202-240")
ZEROED = rule("14/offload/cross/zeroed", clause=_HEADERS, source=f"{OFFLOAD_C}:202-240")
COPIED = rule("14/offload/cross/copied", clause=_HEADERS, source=f"{OFFLOAD_C}:202-240")
NEXT = rule("14/offload/cross/header-alone", clause=_HEADERS, source=f"{OFFLOAD_C}:242-250")
BAD_HEADER = rule(
    "14/offload/cross/bad-header", clause="14.offload.bad-header", source=f"{OFFLOAD_C}:184-200"
)
NO_ROOM = rule("14/offload/cross/grown", clause="14.vale.oversize", source=f"{OFFLOAD_C}:224-240,433-450")
GROWN = rule(
    "14/offload/cross/overrun",
    clause="14.vale.oversize",
    source=f"{OFFLOAD_C}:224-240,433-450",
    switch=TRUSTS,
)
DEREFERENCED = rule(
    "14/offload/cross/indirect", clause="14.vale.indirect", source=f"{OFFLOAD_C}:177-200", switch=TRUSTS
)
_CSUM = "14.offload.checksum"
FILLED = rule("14/offload/checksum/filled", clause=_CSUM, source=f"{OFFLOAD_C}:415-462")
CSUM_BAD = rule("14/offload/checksum/beyond", clause="14.offload.bad-header", source=f"{OFFLOAD_C}:415-423")
CSUM_WILD = rule(
    "14/offload/checksum/wild", clause="14.offload.bad-header", source=f"{OFFLOAD_C}:415-433", switch=TRUSTS
)
CSUM_EDGE = rule(
    "14/offload/checksum/edge", clause="14.offload.bad-header", source=f"{OFFLOAD_C}:415-423", switch=TRUSTS
)
CSUM_ODD = rule(
    "14/offload/checksum/odd-fragment", clause=_CSUM, source=f"{OFFLOAD_C}:425-433", switch=CHECKSUMS
)
_SEGMENTS = "14.offload.segments"
SEGMENTED = rule("14/offload/segment/cut", clause=_SEGMENTS, source=f"{OFFLOAD_C}:252-410")
FIXED = rule("14/offload/segment/headers", clause=_SEGMENTS, source=f"{OFFLOAD_C}:65-133")
OPTIONS_SUM = rule(
    "14/offload/segment/options", clause=_SEGMENTS, source=f"{LINUX_C}:398-406", switch=CHECKSUMS
)
NOT_CUT = rule("14/offload/segment/bad", clause="14.offload.bad-header", source=f"{OFFLOAD_C}:283-354")
OUT_OF_SLOTS = rule("14/offload/segment/no-room", clause="14.offload.room", source=f"{OFFLOAD_C}:274-281")
HEADER_LONG = rule(
    "14/offload/segment/no-payload", clause="14.offload.bad-header", source=f"{OFFLOAD_C}:366-380"
)
HEADER_WILD = rule(
    "14/offload/segment/wild", clause="14.offload.bad-header", source=f"{OFFLOAD_C}:366-380", switch=TRUSTS
)


@dataclass(frozen=True, slots=True)
class Crossing:
    """The bytes of the receiver's slots, none for a lost packet; with ``segments`` each is a packet.

    ``begun``: what was made of a packet before it was lost, in slots that stay the kernel's.
    """

    slots: tuple[bytes, ...] = ()
    segments: bool = False
    begun: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Vnet:
    """The virtio-net header's words: flags, what kind of large packet, where the checksum begins and goes."""

    flags: int
    gso_type: int
    csum_start: int
    csum_offset: int


def parse_vnet(data: bytes) -> Vnet:
    """The header at the start of a packet, of at least ten bytes; its words are little-endian."""
    flags, gso_type, _, _, start, offset = struct.unpack("<BBHHHH", data[:BASE])
    return Vnet(flags, gso_type, start, offset)


def vnet_is_bad(flags: int, gso_type: int) -> Step[bool]:
    """Does a header ask for something that is not known? Source: vnet_hdr_is_bad."""
    kind = gso_type % GSO_ECN
    known = kind in (GSO_NONE, GSO_TCPV4, GSO_UDP, GSO_TCPV6)
    if not known or flags > NEEDS_CSUM + DATA_VALID:
        return Step(True, (BAD_HEADER,))
    return Step(False)


def slots_needed(needed: int, src_mfs: int, dst_mfs: int) -> int:
    """Slots to ask for when a receiver takes shorter frames: so many segments ``needed`` slots can become."""
    if dst_mfs >= src_mfs or dst_mfs <= WORST_HEADER:
        return needed
    return needed * src_mfs // (dst_mfs - WORST_HEADER) + 1


# --- checksums ------------------------------------------------------------------------------------


def raw_sum(data: bytes, total: int = 0) -> int:
    """The sum of 16-bit words as the Internet checksum has it, not folded; a last odd byte counts as high."""
    if len(data) % 2:
        data += b"\0"
    words: tuple[int, ...] = struct.unpack(f">{len(data) // 2}H", data)
    return total + sum(words)


def fold(total: int) -> int:
    """The checksum of a sum."""
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


# --- one packet -----------------------------------------------------------------------------------


def cross(
    parts: tuple[bytes, ...],
    src_hdr: int,
    dst_hdr: int,
    mfs: int,
    buf_size: int,
    room: int,
    indirect: bool = False,
    switches: frozenset[str] = frozenset(),
) -> Step[Crossing]:
    """A packet of ``parts`` from a port with ``src_hdr`` bytes of header to one with ``dst_hdr``.

    ``mfs``: the longest frame the receiver takes; ``buf_size`` its buffers; ``room`` the slots there are, at
    least one for each part. ``indirect``: the first part is in the application's own memory. The first part
    has at least the header. As written (TRUSTS) the kernel may fault. Source: bdg_mismatch_datapath.
    """
    vnet = None
    fired: tuple[str, ...] = ()
    if indirect and TRUSTS in switches and src_hdr:
        return Step(Crossing(), (DEREFERENCED,), fault("netmap_offloadings.c:187-229"))
    if src_hdr and not dst_hdr:
        vnet = parse_vnet(parts[0])
        bad = vnet_is_bad(vnet.flags, vnet.gso_type)
        if bad.state:
            return Step(Crossing(), bad.fired)
        fired = (STRIPPED,)
    header = b""
    if src_hdr and dst_hdr:
        fired, header = (COPIED,), parts[0][:BASE].ljust(dst_hdr, b"\0")[:dst_hdr]
    if not src_hdr:
        fired, header = (ZEROED,), bytes(dst_hdr)
    rest = (parts[0][src_hdr:], *parts[1:])
    if not header and not rest[0] and len(rest) > 1:
        rest, fired = rest[1:], (*fired, NEXT)
    if vnet is not None and vnet.gso_type != GSO_NONE:
        cut = segments(rest, vnet.gso_type % GSO_ECN != GSO_UDP, min(mfs, buf_size), room, switches)
        return Step(cut.state, (*fired, *cut.fired), cut.outcome)
    out = (header + rest[0], *rest[1:])
    if any(len(part) > buf_size for part in out):
        if TRUSTS not in switches:
            return Step(Crossing(), (*fired, NO_ROOM))
        fired = (*fired, GROWN)
    if vnet is None or not vnet.flags & NEEDS_CSUM:
        return Step(Crossing(out), fired)
    filled = fill_checksum(out, vnet, switches)
    return Step(filled.state, (*fired, *filled.fired), filled.outcome)


def fill_checksum(parts: tuple[bytes, ...], vnet: Vnet, switches: frozenset[str]) -> Step[Crossing]:
    """Store the checksum of everything from ``csum_start`` on where the header wants it.

    A place that is not in the first fragment: the packet goes on without. As written a start beyond it is
    summed all the same and a place at its end is stored to (TRUSTS), and each fragment's sum begins with a
    high byte (CHECKSUMS).
    """
    first = parts[0]
    at = vnet.csum_start + vnet.csum_offset
    if vnet.csum_start > len(first):
        if TRUSTS in switches:
            return Step(Crossing(), (CSUM_WILD,), fault("netmap_offloadings.c:427-430"))
        return Step(Crossing(parts), (CSUM_BAD,))
    fired: tuple[str, ...] = (FILLED,)
    if at + 2 > len(first):
        if TRUSTS not in switches or at > len(first):
            return Step(Crossing(parts), (CSUM_BAD,))
        fired = (FILLED, CSUM_EDGE)
    pieces = (first[vnet.csum_start :], *parts[1:])
    if CHECKSUMS in switches and any(len(piece) % 2 for piece in pieces[:-1]):
        total = sum(raw_sum(piece) for piece in pieces)
        fired = (*fired, CSUM_ODD)
    else:
        total = raw_sum(b"".join(pieces))
    filled = first[:at] + struct.pack(">H", fold(total)) + first[at + 2 :]
    return Step(Crossing((filled[: len(first)], *parts[1:])), fired)


# --- segments -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the headers of a large packet are: bytes of Ethernet and IP header, of all headers."""

    eth: int
    ip: int
    all: int
    ipv4: bool


def layout(first: bytes, tcp: bool) -> Step[Layout]:
    """The headers of a large packet, which must be in its first fragment; ``all`` is 0 when they are not."""
    nothing = Layout(0, 0, 0, False)
    eth = 14
    while len(first) >= eth and first[eth - 2 : eth] == b"\x81\0":
        eth += 4
    if len(first) < eth:
        return Step(nothing, (NOT_CUT,))
    kind = first[eth - 2 : eth]
    if kind == b"\x08\0" and len(first) >= eth + 20:
        ip = 4 * (first[eth] & 15)
    elif kind == b"\x86\xdd":
        ip = 40
    else:
        return Step(nothing, (NOT_CUT,))
    if len(first) < eth + ip + (20 if tcp else 0):
        return Step(nothing, (NOT_CUT,))
    total = eth + ip + (4 * (first[eth + ip + 12] >> 4) if tcp else 8)
    if len(first) < total:
        return Step(nothing, (NOT_CUT,))
    return Step(Layout(eth, ip, total, kind == b"\x08\0"))


def segments(
    parts: tuple[bytes, ...], tcp: bool, mfs: int, room: int, switches: frozenset[str]
) -> Step[Crossing]:
    """Cut a large packet into frames of at most ``mfs`` bytes, each with the packet's headers.

    The packet is lost when its headers cannot be read, leave no room for data, or when there are fewer slots
    than segments. Without any data it becomes nothing.
    """
    found = layout(parts[0], tcp)
    where = found.state
    if where.all == 0:
        return Step(Crossing(), found.fired)
    # A header that is shorter than it may be says of itself that it is none.
    short = (where.ipv4 and where.ip < 20) or where.all < where.eth + where.ip + (20 if tcp else 8)
    if TRUSTS not in switches and short:
        return Step(Crossing(), (NOT_CUT,))
    if where.all >= mfs:
        if TRUSTS in switches and where.all > mfs:
            return Step(Crossing(), (HEADER_WILD,), fault("netmap_offloadings.c:366-373"))
        return Step(Crossing(), (HEADER_LONG,))
    headers = parts[0][: where.all]
    data = parts[0][where.all :] + b"".join(parts[1:])
    size = mfs - where.all
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    slots = []
    fired: tuple[str, ...] = (SEGMENTED,)
    for i, piece in enumerate(pieces[:room]):
        step = fix_segment(headers + piece, where, tcp, i, i * size, i == len(pieces) - 1, switches)
        slots.append(step.state)
        fired += step.fired
    if len(pieces) > room:
        return Step(Crossing(begun=tuple(slots)), (OUT_OF_SLOTS,))
    return Step(Crossing(tuple(slots), True), tuple(dict.fromkeys(fired)))


def fix_segment(
    frame: bytes, where: Layout, tcp: bool, index: int, before: int, last: bool, switches: frozenset[str]
) -> Step[bytes]:
    """The headers of segment ``index``, which has ``before`` bytes of data before it: lengths, IPv4
    identification, TCP sequence number, FIN and PSH on the last one only, checksums. Source: gso_fix_segment.
    """
    fired: tuple[str, ...] = (FIXED,)
    packet = bytearray(frame[where.eth :])
    ip = where.ip
    if where.ipv4:
        struct.pack_into(">H", packet, 2, len(packet))
        struct.pack_into(">H", packet, 4, (struct.unpack_from(">H", packet, 4)[0] + index) % (1 << 16))
        struct.pack_into(">H", packet, 10, 0)
        summed = bytes(packet[:ip])
        if CHECKSUMS in switches and ip != 20:
            summed, fired = bytes(packet[:20]), (FIXED, OPTIONS_SUM)
        struct.pack_into(">H", packet, 10, fold(raw_sum(summed)))
        addresses, protocol = bytes(packet[12:20]), packet[9]
    else:
        struct.pack_into(">H", packet, 4, len(packet) - ip)
        addresses, protocol = bytes(packet[8:40]), packet[6]
    if tcp:
        sequence = struct.unpack_from(">I", packet, ip + 4)[0]
        struct.pack_into(">I", packet, ip + 4, (sequence + before) % (1 << 32))
        if not last:
            packet[ip + 13] &= 0xFF - 9
        at = ip + 16
    else:
        struct.pack_into(">H", packet, ip + 4, len(packet) - ip)
        at = ip + 6
    struct.pack_into(">H", packet, at, 0)
    pseudo = addresses + struct.pack(">II", len(packet) - ip, protocol)
    struct.pack_into(">H", packet, at, fold(raw_sum(pseudo + bytes(packet[ip:]))))
    return Step(frame[: where.eth] + bytes(packet), fired)

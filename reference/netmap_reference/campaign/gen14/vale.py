"""Ports of one switch in the campaign: packets that tell who sent them, and a switch that only remembers.

``vale-send`` sends packets that carry who they are in their bytes. What every receive ring of the switch got
is then compared with what any switch may do, knowing nothing of tables, queues and leases: nobody gets a
packet twice or his own, flooded packets reach every open port that had room, packets arrive whole, unchanged
and in the order of their ring. Applications that write what they like into their rings are not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from netmap_spec.abi import api14

from ...core.choice import Choose, eager
from ...gen14 import bind, memory
from ...gen14.result import Result
from ...gen14.ring import advance, distance
from ...gen14.state import RX, Adapter, KringState, System
from ...gen14.switch import BWRAP, BWRAP_HOST, Bridge
from ...gen14.world import World
from ..subject import Broken, Operation, Unit
from .plug import Extension, Found

SWITCH = "vale0"
#: A persistent port, and what it goes by on the switch.
LASTING, ON_SWITCH = "lasting", f"{SWITCH}:lasting"


def _port(name: str, **fields: Any) -> dict[str, Any]:
    shape = {"tx_rings": 2, "rx_rings": 2, "tx_slots": 6, "rx_slots": 6}
    return {"name": f"{SWITCH}:{name}", "flags": "NR_ACCEPT_VNET_HDR", **shape, **fields}


#: Packets that begin up to so many bytes behind the start of their buffers.
FURTHEST = 64
OFFSETS = [{"type": "OFFSETS", "max_offset": FURTHEST, "initial_offset": 8}]

BINDINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "S": (_port("a"), _port("a", flags=0), _port("a", mode="ONE_NIC", ringid=1), _port("a", tx_slots=9)),
    "T": (_port("b", rx_rings=1, rx_slots=4), _port("b", mem_id=1), _port("b", extra_bufs=2)),
    "U": (
        _port("c", tx_rings=3),
        _port("c", mode="ONE_NIC"),
        {"name": f"{SWITCH}:c"},
        _port("c", options=OFFSETS),
    ),
    "W": (
        {"name": LASTING, "flags": "NR_ACCEPT_VNET_HDR"},
        {"name": ON_SWITCH, "flags": "NR_ACCEPT_VNET_HDR"},
        _port("a"),
        {"name": f"{SWITCH}:a"},
        {"name": "vale0"},
        {"name": f"{SWITCH}:v0"},
    ),
}

_HEADER = 14
_GROUP, _OWN, _NEW, _OTHER = "group", "own", "new", "other"


# --- what is drawn --------------------------------------------------------------------------------


def bound(s: System, fd: str) -> str:
    """The port a descriptor is bound to, when a switch has it."""
    name = next((s.files[file].adapter for (_, held), file in s.holders.items() if held == fd), "")
    return name if name in s.adapters and s.adapters[name].vp is not None else ""


def _draw_send(world: World, fd: str, rng: Random) -> Unit:
    if not bound(world.system(), fd):
        return ()
    rings = [name for name in world.rings(fd) if name[0] == "t"]
    packets = []
    for _ in range(rng.randint(1, 4)):
        to = rng.choice((_GROUP, _OWN, _NEW, _OTHER, _OTHER))
        # Who sends: one of a few addresses that move between ports, rarely a group address.
        who = rng.choice((0, 1, 2, 3, 3, 4, -1))
        lens = [rng.choice((0, 13, 14, 20, 60, 64, 65, 1514))]
        lens += [rng.choice((0, 1, 60, 2048)) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
        flags = rng.choice((0,) * 8 + (api14.NS_NO_LEARN, 1 << api14.NS_PORT_SHIFT, 9 << api14.NS_PORT_SHIFT))
        packets.append([to, who, rng.randrange(5), lens, flags])
    args = {"fd": fd, "ring": rng.choice(rings), "packets": packets, "choose": rng.randrange(1 << 30)}
    return (("vale-send", args),) if rings else ()


def _draw_request(world: World, fd: str, rng: Random) -> Unit:
    s = world.system()
    if not any(held == fd for _, held in s.holders):
        return ()
    header = {"name": f"{SWITCH}:{rng.choice('abc')}", "hdr_len": rng.choice((0, 0, 10, 12, 11))}
    request, fields = rng.choice(
        (
            ("PORT_HDR_SET", header),
            ("VALE_LIST", {"bridge_idx": rng.randrange(2), "port_idx": rng.randrange(4)}),
            ("VALE_NEWIF", {"name": LASTING, "tx_slots": 5, "rx_slots": 5}),
            ("VALE_NEWIF", {"name": LASTING, "tx_slots": 5, "rx_slots": 5}),
            ("VALE_DELIF", {"name": LASTING}),
            ("VALE_ATTACH", {"name": ON_SWITCH}),
            ("VALE_ATTACH", {"name": ON_SWITCH}),
            ("VALE_DETACH", {"name": ON_SWITCH}),
            ("PORT_INFO_GET", {"name": f"{SWITCH}:d"}),
        )
    )
    made = {"fd": fd, "request": request, "fields": fields, "choose": rng.randrange(1 << 30)}
    unit: tuple[Operation, ...] = (("vale-request", made),)
    if request == "PORT_HDR_SET" and rng.random() < 0.2 and not any(held == "W" for _, held in s.holders):
        unknowing = {"fd": "W", "fields": _port(rng.choice("abc"), flags=0), "choose": rng.randrange(1 << 30)}
        unit = (*unit, ("open", {"fd": "W"}), ("register", unknowing))
    if request == "VALE_NEWIF" and rng.random() < 0.7:
        attach = {**made, "request": "VALE_ATTACH", "fields": {"name": ON_SWITCH}}
        unit = (*unit, ("vale-request", attach))
    return unit


# --- what is made ---------------------------------------------------------------------------------


def _request(world: World, args: dict[str, Any], choose: Choose) -> Result:
    return world.ctl(args["fd"], args["request"], args["fields"], choose)


@dataclass(frozen=True)
class Sent:
    """One packet as it was put into a ring: whom it is for, its fragments' bytes and its first slot's flags.

    ``learned``: its source is no group address. ``forwarded``: it is long enough to be.
    """

    to: str
    fragments: tuple[bytes, ...]
    flags: int
    learned: bool
    forwarded: bool

    @property
    def everybody(self) -> bool:
        """Is it for all ports?"""
        return self.to in (_GROUP, _NEW) and not self.flags >> api14.NS_PORT_SHIFT

    def at(self, hdr: int, there: int) -> tuple[bytes, ...]:
        """The fragments as a port with ``there`` bytes of header gets them from one with ``hdr`` bytes."""
        if hdr == there:
            return self.fragments
        first, *rest = self.fragments
        first = first[hdr:]
        if not there and not first and rest:
            return tuple(rest)
        return (bytes(there) + first, *rest)


def frame_of(packet: list[Any], number: int, hdr: int, tag: int) -> Sent:
    """The packet's bytes. ``number`` is its place among those of one operation, ``tag`` that operation's: the
    shortest packets are told apart by their type alone, the others by what is behind it as well.
    """
    to, who, whom, lens, flags = packet
    source = b"\1\0\0\0\0\0" if who < 0 else bytes((2, 0, 0, 0, 0, who))
    dest = {_GROUP: b"\xff" * 6, _OWN: source, _NEW: bytes((4, 9)) + tag.to_bytes(4, "little")}
    first = bytes(hdr) + dest.get(to, bytes((2, 0, 0, 0, 0, whom))) + source + bytes((0x88, 0xB5 + number))
    body = bytes((number,)) + tag.to_bytes(4, "little")
    data = first + body * 500
    parts, at = [], 0
    for length in (lens[0] + hdr, *lens[1:]):
        length = min(length, 2048)
        parts.append((data[at : at + length]).ljust(length, body[:1]))
        at += length
    group = source[0] % 2 == 1
    ethernet = lens[0] if lens[0] or len(parts) < 2 else len(parts[1])
    to = _GROUP if dest.get(to, b"\0")[0] % 2 else to
    return Sent(to, tuple(parts), flags, not group, ethernet >= _HEADER)


def _send(world: World, args: dict[str, Any], choose: Choose) -> Result | None:
    """Send what is there already, then these packets as far as there is room, and look who got them."""
    s, fd = world.system(), args["fd"]
    port = bound(s, fd)
    if not port or args["ring"] not in world.rings(fd):
        return None
    before = world.txsync(fd, choose)
    quiet(world)
    ring = world.ring(fd, args["ring"])
    if not before.outcome.ok or max(ring.tail, ring.head) >= ring.num_slots:
        return before
    vp, a, tag = s.adapters[port].vp, bind.allocator(s, port), args["choose"]
    sent = []
    for number, packet in enumerate(args["packets"]):
        made = frame_of(packet, number, vp.hdr if vp else 0, tag)
        if len(made.fragments) > (ring.tail - ring.head) % ring.num_slots:
            break
        for i, part in enumerate(made.fragments):
            slot = ring.slot[ring.head]
            if not 2 <= slot.buf_idx < a.buffers:
                return before  # an application that writes what it likes has lost this slot
            begins = min(8 * (tag % 12), FURTHEST) if ring.offset_mask else 0
            if begins + len(part) > a.buf_size:
                made = replace(made, forwarded=False)
            s.regions[a.id].write(a.buf_offset(slot.buf_idx) + begins, part[: a.buf_size - begins])
            slot.len, slot.ptr = len(part), begins
            slot.flags = made.flags | (api14.NS_MOREFRAG if i < len(made.fragments) - 1 else 0)
            ring.head = ring.cur = (ring.head + 1) % ring.num_slots
        sent.append(made)
    outputs(world)
    was = world.clone()
    after = world.txsync(fd, choose)
    if after.outcome.ok:
        compare(was.system(), world.system(), port, sent, outputs(world))
    return Result(after.outcome, (*before.fired, *after.fired))


# --- what any switch may do -----------------------------------------------------------------------


def quiet(world: World) -> None:
    """Interfaces that are attached to a switch have sent it all that has come to them."""
    for _ in range(20):
        if not any(na.kind == BWRAP for na in world.system().adapters.values()) or not world.tau(eager).fired:
            return


Outputs = Mapping[tuple[str, str], list[bytes]]


def outputs(world: World) -> Outputs:
    """What came out at every interface's sides since the last look."""
    return {
        (port, side): world.frames(port, side) for port in world.system().ports for side in ("wire", "host")
    }


def open_rings(s: System, port: str) -> list[KringState]:
    return [k for k in s.krings.values() if k.adapter == port and k.t == RX and k.on and k.ring >= 0]


def _arrived(was: KringState, s: System) -> list[tuple[bytes, int]]:
    """Bytes and flags of the slots a receive ring got."""
    k = s.krings[was.name]
    a = bind.allocator(s, k.adapter)
    region = s.regions[a.id]
    slots = memory.read_slots(region, bind.ring_at(s, k), k.pos.n)
    got = []
    for i in range(distance(was.pos.hwtail, k.pos.hwtail, k.pos.n)):
        slot = slots[advance(was.pos.hwtail, i, k.pos.n)]
        begins = min(slot.ptr & k.offset.mask, k.offset.max)
        at = a.buf_offset(a.safe_index(slot.buf_idx)) + begins
        got.append((region.read(at, min(slot.len, a.buf_size - begins)), slot.flags))
    return got


def _packets(got: list[tuple[bytes, int]]) -> list[tuple[bytes, ...]]:
    """Cut what arrived into packets; the last one's MOREFRAG is checked by whoever compares."""
    packets: list[tuple[bytes, ...]] = []
    chain: list[bytes] = []
    for data, flags in got:
        chain.append(data)
        if not flags & api14.NS_MOREFRAG:
            packets.append(tuple(chain))
            chain = []
    return [*packets, tuple(chain)] if chain else packets


def orderly(s: System, port: str) -> bool:
    """Does every slot of a port have a buffer of its own? Programs that write what they like change that."""
    a = bind.allocator(s, port)
    found: list[int] = []
    for k in s.krings.values():
        if k.adapter == port and k.ring >= 0:
            slots = memory.read_slots(s.regions[a.id], bind.ring_at(s, k), k.pos.n)
            found.extend(slot.buf_idx for slot in slots)
    return len(set(found)) == len(found) and all(2 <= i < a.buffers for i in found)


def compare(was: System, now: System, port: str, sent: list[Sent], out: Outputs) -> None:
    """Raises :class:`Found` for what no switch may do.

    ``port`` is the adapter that sent, ``out`` what came out at interfaces meanwhile. Nothing is compared
    while a port joins two switches, or where a module says who gets what (:mod:`.modules`).
    """
    if any(na.vp and na.vp.below and na.vp.below not in was.ports for na in was.adapters.values()):
        return
    vp = was.adapters[port].vp
    receivers: dict[str, list[int]] = {}
    bridge = was.bridges[vp.bridge] if vp and vp.bridge >= 0 else Bridge("")
    if bridge.lookup:
        return
    members = {member for _, member in bridge.ports}
    for name, na in was.adapters.items():
        if vp and na.kind in (BWRAP, BWRAP_HOST):
            if name == port or name not in members:
                if frames := out[_side(na)]:
                    what = f"{len(frames)} frames left at {name}"
                    raise Found(Broken("no_echo", "14.switch.no-hairpin", what))
            elif orderly(was, port):
                receivers[name] = _out(was, name, vp.hdr, sent, out)
            continue
        rings = open_rings(was, name)
        got = {k.name: _arrived(k, now) for k in rings} if na.vp else {}
        if name not in members or name == port:
            if any(got.values()):
                raise Found(Broken("no_echo", "14.switch.no-hairpin", f"{name} got what {port} sent"))
            continue
        if vp and na.vp and orderly(was, name) and orderly(was, port):
            theirs = [p.at(vp.hdr, na.vp.hdr) for p in sent]
            receivers[name] = list(_received(name, rings, got, sent, theirs))
    _whom(port, sent, receivers)


def _side(na: Adapter) -> tuple[str, str]:
    assert na.vp is not None
    return na.vp.below, "wire" if na.kind == BWRAP else "host"


def _out(s: System, name: str, hdr: int, sent: list[Sent], out: Outputs) -> list[int]:
    """Which of the packets left at an interface or went up its host stack: in order, and each once.

    What leaves on a wire to another port of the machine is not seen here.
    """
    na = s.adapters[name]
    port, side = _side(na)
    driver = s.ports[port].driver
    expected = []
    for number, packet in enumerate(sent):
        parts = packet.at(hdr, 0)
        whole = side == "wire" and driver.fragments
        expected += [(number, frame) for frame in ([b"".join(parts)] if whole else parts)]
    here: list[int] = []
    for frame in out[port, side]:
        at = next((i for i, (_, data) in enumerate(expected) if data == frame), -1)
        if at < 0:
            raise Found(Broken("whole", "14.bwrap.forwards", f"{len(frame)} bytes left at {name}"))
        here.append(expected[at][0])
        # Several rings of a device are in no order with each other.
        expected = expected[:at] + expected[at + 1 :] if s.adapters[port].tx_rings > 1 else expected[at + 1 :]
    silent = s.adapters[port].interface or s.ports[port].peer
    for number, packet in enumerate(sent):
        usual = all(60 <= len(part) <= 1500 for part in packet.at(hdr, 0)) and len(packet.fragments) == 1
        if packet.everybody and packet.forwarded and usual and number not in here and not silent:
            raise Found(Broken("flood", "14.bwrap.forwards", f"packet {number} did not leave at {name}"))
    return here


def _received(
    name: str,
    rings: list[KringState],
    got: dict[str, list[tuple[bytes, int]]],
    sent: list[Sent],
    theirs: list[tuple[bytes, ...]],
) -> Iterator[int]:
    """Which of the packets a port got, after a look at each of its rings. ``theirs``: as they look there."""
    seen: set[int] = set()
    for k in rings:
        here = []
        for packet in _packets(got[k.name]):
            if packet not in theirs:
                what = f"{k.name} got {[len(f) for f in packet]} bytes that nobody sent"
                raise Found(Broken("whole", "14.vale.copied", what))
            here.append(theirs.index(packet))
        if sorted(here) != here:
            raise Found(Broken("in_order", "14.vale.lease", f"{k.name} got {here}"))
        if len(set(here)) < len(here) or seen & set(here):
            raise Found(Broken("once", "14.switch.once", f"{name} got {sorted(seen)} and {here}"))
        seen |= set(here)
        yield from here
        if k.index == 0:
            room = k.pos.n - 1 - distance(k.pos.hwcur, k.pos.hwtail, k.pos.n)
            behind = k.offset.max
            fits = [all(len(f) + behind <= 2048 for f in packet) for packet in theirs]
            _flooded(k.name, sent, here, room, fits)


def _flooded(name: str, sent: list[Sent], here: list[int], room: int, fits: list[bool]) -> None:
    """Of the packets for everybody a ring misses only what it had no room for, and what came after that.

    ``fits``: does each fragment fit a buffer there?
    """
    for number, packet in enumerate(sent):
        if not packet.everybody or number in here or not packet.forwarded or not fits[number]:
            continue
        taken = sum(len(sent[i].fragments) for i in here)
        longest = max(len(p.fragments) for i, p in enumerate(sent) if i <= number and i not in here)
        if taken + longest <= room:
            what = f"{name} misses packet {number}, got {here}, had room for {room}"
            raise Found(Broken("flood", "14.switch.flood", what))


def _whom(port: str, sent: list[Sent], receivers: dict[str, list[int]]) -> None:
    """A packet to its sender's own address, which the switch has just learned, reaches nobody.

    One to an index reaches at most one port.
    """
    for number, packet in enumerate(sent):
        got = [name for name, here in receivers.items() if number in here]
        own = packet.to == _OWN and packet.learned and not packet.flags
        if got and own:
            raise Found(Broken("no_hairpin", "14.switch.no-hairpin", f"{got} got what {port} sent to itself"))
        if len(got) > 1 and packet.flags >> api14.NS_PORT_SHIFT:
            raise Found(Broken("one_port", "14.switch.port", f"{got} got a packet for one port"))


_CONCURRENT = "one call ends before the next one begins; the obligations on leases interleave them"
_PARAMETER = "module parameters are not set in a campaign"
_LONG = "the rings of a campaign have fewer slots than the longest packet has fragments"
_INDIRECT = "by chance alone: nobody maps memory in a campaign, so hardly a pointer is good"
UNREACHABLE = {
    "14/lease/publish/later-ones-too": _CONCURRENT,
    "14/lease/publish/not-yet": _CONCURRENT,
    "14/lease/publish/empty-packets": _CONCURRENT,
    "14/vale/txsync/no-batch": _PARAMETER,
    "14/vale/txsync/batch-full": _LONG,
    "14/vale/chain/too-long": _LONG,
    "14/vale/chain/long-passed": _LONG,
    "14/vale/chain/long-dropped": _LONG,
    "14/vale/bytes/indirect": _INDIRECT,
    "14/switch/place/too-many": "there is one switch",
    "14/switch/attach/full": "a switch has a handful of ports",
    "14/switch/learn/displaced": "by chance alone: addresses of a campaign are in different entries",
}

VALE = Extension(
    "vale",
    bindings=BINDINGS,
    kinds={"vale-send": _draw_send, "vale-request": _draw_request},
    weight=6,
    operations={"vale-send": _send, "vale-request": _request},
    chapters=("14/switch/", "14/vale/", "14/lease/", "14/vale-port/"),
    unreachable=UNREACHABLE,
)

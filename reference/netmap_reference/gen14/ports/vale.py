"""Chapter *VALE*: how packets cross a switch.

A txsync takes every packet up to ``head`` off the sender's ring and hands a copy to each receiver: it never
waits, and whatever a receiver has no room for is lost to that receiver alone. Packets are taken in batches.
Of each batch the switch first finds where every packet goes, then it serves one receive ring after the
other: room for all is leased (:mod:`..lease`), the packets are copied in the order in which they were sent,
and what was copied is published.

A packet is a chain of slots that ends with the first one without NS_MOREFRAG. It crosses whole: each fragment
takes a slot of the receiver, whose flags tell how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from netmap_spec.abi import api14

from ...core.effects import Do, Fired, Lock, Protocol, ReadKernel, ReadUser, Unlock, WriteKernel, WriteUser
from ...core.step import Step, rule
from ..bind import Faulted, Hung
from ..lease import NOLEASE, Granted, Lease, Reported, report_lease, take_lease
from ..notify import notify
from ..ring import Kring, advance, nm_next, nm_prev
from ..switch import BROADCAST

VALE_C = "luigirizzo/netmap:sys/dev/netmap/netmap_vale.c@89607e14"
BDG_C = "luigirizzo/netmap:sys/dev/netmap/netmap_bdg.c@89607e14"
NETMAP_4 = "luigirizzo/netmap:share/man/man4/netmap.4@89607e14"

#: Fragments a packet may have, and what the table of a batch holds beyond the batch.
MAX_FRAGS = 64
#: Slots of a batch.
BATCH = 1024
#: Fragments that a slot's flags can count.
COUNTED = 255
#: Bytes of the shortest packet a switch forwards: two addresses and a type.
SHORTEST = 14
#: Bytes that the copy of a packet of less than LONG_COPY bytes is rounded up to.
LINE, LONG_COPY = 64, 1024

#: A slot that names no buffer sends what is in buffer 0.
JUNK_SENT = "14.vale-junk-buffer"
#: A fragment that cannot be copied arrives empty.
HOLES = "14.vale-holes"
#: The number of fragments of a packet is not looked at.
UNBOUNDED = "14.vale-chain-unbounded"
#: Length and flags of a slot are read again after they were used.
READS_TWICE = "14.vale-slot-read-twice"
#: A flooded packet reaches a port twice when its batch has others for another ring of that port.
FLOODS_TWICE = "14.vale-floods-twice"
AS_WRITTEN = frozenset({JUNK_SENT, HOLES, UNBOUNDED, READS_TWICE, FLOODS_TWICE})

_TXSYNC = "14.vale.txsync"
TAKEN = rule("14/vale/txsync/all-taken", clause=_TXSYNC, source=f"{VALE_C}:1101-1135")
NOTHING_NEW = rule("14/vale/txsync/nothing-new", clause=_TXSYNC, source=f"{VALE_C}:1101-1135")
UNATTACHED = rule("14/vale/txsync/no-switch", clause="14.vale.unattached", source=f"{VALE_C}:1111-1118")
NO_BATCH = rule("14/vale/txsync/no-batch", clause="14.vale.batch", source=f"{VALE_C}:1111-1114")
BATCH_FULL = rule("14/vale/txsync/batch-full", clause="14.vale.batch", source=f"{VALE_C}:543-544")
WHOLE = rule("14/vale/txsync/whole-packet", clause="14.vale.fragments", source=f"{VALE_C}:535-542")
TRUNCATED = rule("14/vale/txsync/truncated", clause="14.vale.incomplete", source=f"{VALE_C}:546-553")
_CHAIN = "14.vale.chain"
TOO_LONG = rule("14/vale/chain/too-long", clause=_CHAIN, source=f"{NETMAP_4}:525-529")
LONG_PASSED = rule("14/vale/chain/long-passed", clause=_CHAIN, source=f"{VALE_C}:535-542")
LONG_DROPPED = rule("14/vale/chain/long-dropped", clause=_CHAIN, source=f"{NETMAP_4}:525-529")
LONG_HANGS = rule("14/vale/chain/endless", clause=_CHAIN, source=f"{VALE_C}:541,761", switch=UNBOUNDED)
TABLE_OVERRUN = rule(
    "14/vale/chain/overrun", clause=_CHAIN, source=f"{VALE_C}:103-108,505-534", switch=UNBOUNDED
)
_SLOT = "14.vale.bad-slot"
SLOT_LEN = rule("14/vale/slot/too-long", clause=_SLOT, source=f"{VALE_C}:524-531")
SLOT_BUFFER = rule("14/vale/slot/no-buffer", clause=_SLOT, source=f"{VALE_C}:522-531")
SLOT_JUNK = rule("14/vale/slot/buffer-0", clause=_SLOT, source=f"{VALE_C}:522-531", switch=JUNK_SENT)
SLOT_DROPPED = rule("14/vale/slot/packet-lost", clause=_SLOT, source=f"{VALE_C}:524-531")
SLOT_HOLE = rule("14/vale/slot/hole", clause=_SLOT, source=f"{VALE_C}:524-537", switch=HOLES)
READ_AGAIN = rule(
    "14/vale/slot/read-again", clause="14.vale.read-once", source=f"{VALE_C}:505-535", switch=READS_TWICE
)
_START = "14.vale.header"
START_FIRST = rule("14/vale/header/first-fragment", clause=_START, source=f"{VALE_C}:769-771")
START_SECOND = rule("14/vale/header/second-fragment", clause=_START, source=f"{VALE_C}:772-774")
START_NOWHERE = rule("14/vale/header/nowhere", clause="14.vale.short", source=f"{VALE_C}:775-780")
_RING = "14.vale.rings"
RING_SAME = rule("14/vale/queues/same-ring", clause=_RING, source=f"{VALE_C}:762,906-910")
RING_FEWER = rule("14/vale/queues/fewer-rings", clause=_RING, source=f"{VALE_C}:907-910")
IN_ORDER = rule("14/vale/queues/in-order", clause="14.vale.order", source=f"{VALE_C}:941-961")
RING_FLOOD = rule("14/vale/queues/flood", clause="14.switch.flood", source=f"{VALE_C}:786-787,809-825")
ONCE = rule("14/vale/queues/flooded-once", clause="14.switch.once", source=f"{VALE_C}:792-825,863-873")
FLOODED_TWICE = rule(
    "14/vale/queues/flooded-twice",
    clause="14.switch.once",
    source=f"{VALE_C}:792-825,863-873",
    switch=FLOODS_TWICE,
)
CLOSED = rule(
    "14/vale/deliver/ring-not-open", clause="14.vale.closed-ring", source=f"{VALE_C}:843-860,911-913"
)
COPIED = rule("14/vale/deliver/copied", clause="14.vale.copied", source=f"{VALE_C}:966-1026")
COUNT_ALL = rule("14/vale/deliver/count", clause="14.vale.count", source=f"{VALE_C}:1017-1025")
COUNT_REST = rule("14/vale/deliver/count-rest", clause="14.vale.count", source=f"{NETMAP_4}:538-542")
NO_ROOM = rule("14/vale/deliver/no-room", clause="14.vale.full", source=f"{VALE_C}:965-967")
RELEASED = rule("14/vale/rxsync/released", clause="14.vale.rxsync", source=f"{BDG_C}:1095-1154")
NOT_RELEASED = rule("14/vale/rxsync/nothing-released", clause="14.vale.rxsync", source=f"{BDG_C}:1095-1154")


# --- a packet's slots ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fragment:
    """One slot as it was read: ``buf_idx``, ``len`` in bytes, ``flags``, ``ptr``.

    ``bad``: it has no bytes. ``mixed``: whether its bytes are in a buffer or at ``ptr`` was answered in two
    ways, so that an address of the application is used as one of the kernel, or the other way round.
    ``data``: its bytes, when they are in no slot of a program.
    """

    buf_idx: int
    len: int
    flags: int = 0
    ptr: int = 0
    bad: bool = False
    mixed: bool = False
    data: bytes | None = None

    @property
    def indirect(self) -> bool:
        """Is the packet's part at ``ptr`` in the sender's own memory?"""
        return bool(self.flags & api14.NS_INDIRECT)


Packet = tuple[Fragment, ...]
#: Flags of a sent slot that the switch acts upon.
_USED = api14.NS_INDIRECT | api14.NS_MOREFRAG


def check_slot(f: Fragment, buffers: int, buf_size: int, switches: frozenset[str]) -> Step[Fragment]:
    """A slot that has no bytes to send is marked ``bad``: one without a buffer of the pool, one whose length
    is more than a buffer. ``buffers``: how many the pool has, ``buf_size`` their size in bytes.

    As written (JUNK_SENT) a slot without a buffer of the pool stands for buffer 0. Source: nm_vale_preflush.
    """
    if f.len > buf_size:
        return Step(replace(f, len=0, flags=0, bad=True), (SLOT_LEN,))
    if f.indirect:
        return Step(f)
    if f.buf_idx < 2 or f.buf_idx >= buffers:
        if JUNK_SENT in switches:
            return Step(replace(f, buf_idx=f.buf_idx if f.buf_idx < buffers else 0), (SLOT_JUNK,))
        return Step(replace(f, len=0, flags=0, bad=True), (SLOT_BUFFER,))
    return Step(f)


def check_packet(packet: Packet, switches: frozenset[str]) -> Step[bool]:
    """Does a packet go on? Not with a slot that has no bytes; as written (HOLES) only if it is the first."""
    if not any(f.bad for f in packet):
        return Step(True)
    if HOLES in switches and not packet[0].bad:
        return Step(True, (SLOT_HOLE,))
    return Step(False, (SLOT_DROPPED,))


def check_chain(frags: int, longer_pass: bool, switches: frozenset[str]) -> Step[bool]:
    """Does a packet of this many fragments go on? ``longer_pass``: the switch's choice beyond 64.

    As written (UNBOUNDED) the number is kept in a byte: 256 and more make the kernel go round for ever.
    """
    if frags <= MAX_FRAGS:
        return Step(True)
    if frags > COUNTED and UNBOUNDED in switches:
        return Step(False, (LONG_HANGS,))
    if frags > COUNTED:
        return Step(False, (TOO_LONG,))
    if longer_pass:
        return Step(True, (LONG_PASSED,))
    return Step(False, (LONG_DROPPED,))


@dataclass(frozen=True, slots=True)
class Start:
    """Where a packet's Ethernet header is: fragment and offset in bytes; ``fragment`` -1: nowhere."""

    fragment: int
    offset: int


def header_start(hdr: int, first_len: int, fragments: int) -> Step[Start]:
    """``hdr`` bytes of virtio-net header come before the Ethernet header, which follows in the first fragment
    or begins the second one. Source: nm_vale_flush."""
    if hdr < first_len:
        return Step(Start(0, hdr), (START_FIRST,))
    if hdr == first_len and fragments > 1:
        return Step(Start(1, 0), (START_SECOND,))
    return Step(Start(-1, 0), (START_NOWHERE,))


# --- who gets what ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Queue:
    """The packets of a batch, by their place in it, for one receive ring of one port."""

    port: int
    ring: int
    packets: tuple[int, ...]


def queues(
    targets: tuple[int, ...],
    ring: int,
    own: int,
    ports: tuple[tuple[int, int], ...],
    switches: frozenset[str],
) -> Step[tuple[Queue, ...]]:
    """The receive rings to serve, and what each is to get, in the order in which it was sent.

    ``targets`` has a packet's port, :data:`BROADCAST` or one more for none; ``ring`` is the sender's ring,
    ``own`` its port; ``ports`` are (index, receive rings) of the switch in the order of a flood. A packet for
    one port goes to the ring of the sender's number, modulo the port's rings; a flooded one to ring 0.

    As written (FLOODS_TWICE) a port that gets packets of its own on another ring gets the flooded ones there
    too. Source: nm_vale_flush.
    """
    rings = dict(ports)
    flooded = tuple(i for i, t in enumerate(targets) if t == BROADCAST)
    fired: list[str] = []
    found: dict[tuple[int, int], list[int]] = {}
    for i, port in enumerate(targets):
        if port < BROADCAST:
            found.setdefault((port, ring), []).append(i)
    if flooded:
        fired.append(RING_FLOOD)
        for port, _ in ports:
            if port != own:
                found.setdefault((port, 0), [])
    served: dict[tuple[int, int], list[int]] = {}
    result: list[Queue] = []
    for (port, number), packets in found.items():
        ring_there = 0
        if 0 < number < rings[port]:
            fired.append(RING_SAME)
            ring_there = number
        if number >= rings[port]:
            fired.append(RING_FEWER)
            ring_there = number % rings[port]
        both = list(packets)
        if number == 0:
            both += flooded
        elif flooded and FLOODS_TWICE in switches:
            fired.append(FLOODED_TWICE)
            both += flooded
        elif flooded:
            fired.append(ONCE)
        at = (port, ring_there)
        if at in served and FLOODS_TWICE not in switches:
            served[at] += both
            continue
        served[at] = both
        result.append(Queue(port, at[1], tuple(both)))
    if FLOODS_TWICE not in switches:
        result = [replace(q, packets=tuple(served[q.port, q.ring])) for q in result]
    if any(list(q.packets) != sorted(q.packets) for q in result):
        fired.append(IN_ORDER)
        result = [replace(q, packets=tuple(sorted(q.packets))) for q in result]
    return Step(tuple(result), tuple(dict.fromkeys(fired)))


def received_flags(count: int, number: int, counts_rest: bool) -> Step[int]:
    """Flags of the slot that fragment ``number`` (from 0) of ``count`` arrives in: how many fragments the
    packet has, or with ``counts_rest`` how many of them are left, and whether more follow."""
    fired: tuple[str, ...] = ()
    told = 1
    if count > 1 and counts_rest:
        fired, told = (COUNT_REST,), count - number
    if count > 1 and not counts_rest:
        fired, told = (*fired, COUNT_ALL), count
    more = 0 if number == count - 1 else api14.NS_MOREFRAG
    return Step(told % (COUNTED + 1) * (1 << api14.NS_PORT_SHIFT) + more, fired)


def vale_txsync_positions(k: Kring) -> Step[Kring]:
    """Everything up to ``head`` is taken, and every slot but one is free again."""
    fired = (NOTHING_NEW,) if k.hwcur == k.rhead else (TAKEN,)
    return Step(replace(k, hwcur=k.rhead, hwtail=nm_prev(k.rhead, k.n - 1)), fired)


def vale_rxsync_positions(k: Kring) -> Step[Kring]:
    """Everything up to ``head`` is released."""
    return Step(replace(k, hwcur=k.rhead), (NOT_RELEASED,) if k.hwcur == k.rhead else (RELEASED,))


# --- the syncs ----------------------------------------------------------------------------------


def lock_of(ring: str) -> str:
    """The lock that senders and the receiver of a ring take (q_lock)."""
    return f"{ring} q_lock"


def read_slot(ring: str, i: int, switches: frozenset[str]) -> Protocol:
    """Slot ``i``, each word read once: (fragment, NS_MOREFRAG); NS_BUF_CHANGED is cleared in it.

    As written (READS_TWICE) length and flags are stored for later use when they are first read, and read
    again to be checked and to say where the bytes are and whether more fragments follow.
    """
    length: int = yield ReadUser((ring, "slot", i, "len"))
    flags: int = yield ReadUser((ring, "slot", i, "flags"))
    if flags & api14.NS_BUF_CHANGED:
        yield WriteUser((ring, "slot", i, "flags"), flags & ~api14.NS_BUF_CHANGED)
    checked, where, more = length, flags, flags
    if READS_TWICE in switches:
        where = yield ReadUser((ring, "slot", i, "flags"))
    buf_idx: int = yield ReadUser((ring, "slot", i, "buf_idx"))
    ptr: int = yield ReadUser((ring, "slot", i, "ptr"))
    if READS_TWICE in switches:
        checked = yield ReadUser((ring, "slot", i, "len"))
        more = yield ReadUser((ring, "slot", i, "flags"))
        if (checked, where & _USED, more & _USED) != (length, flags & _USED, flags & _USED):
            yield Fired(READ_AGAIN)
    step: Step[Fragment] = yield Do("vale-check", (ring, Fragment(buf_idx, checked, where, ptr)))
    for fired in step.fired:
        yield Fired(fired)
    found = step.state
    if not found.bad:
        mixed = bool((where ^ flags) & api14.NS_INDIRECT)
        found = replace(found, len=length, flags=flags, mixed=mixed)
    return found, bool(more & api14.NS_MOREFRAG)


def txsync(ring: str, switches: frozenset[str] = frozenset()) -> Protocol:
    """A switch port's own part of a txsync. Source: netmap_vale_vp_txsync, nm_vale_preflush."""
    k: Kring = yield ReadKernel((ring, "kring"))
    batch: int = yield Do("vale-batch", (ring,))
    if k.hwcur != k.rhead:
        forwards = True
        if batch < 0:
            forwards = False
            yield Fired(UNATTACHED)
        if batch == 0:
            forwards = False
            yield Fired(NO_BATCH)
        if forwards:
            yield from _forward(ring, k, batch, switches)
    k = yield ReadKernel((ring, "kring"))
    step = vale_txsync_positions(k)
    yield Fired(step.fired[0])
    yield WriteKernel((ring, "kring"), step.state)
    return ""


def _forward(ring: str, k: Kring, batch: int, switches: frozenset[str]) -> Protocol:
    """Cut what was sent into packets, and forward them a batch at a time."""
    packets: list[Packet] = []
    chain: list[Fragment] = []
    taken = 0
    i = k.hwcur
    while i != k.rhead:
        if UNBOUNDED in switches and taken >= BATCH + MAX_FRAGS:
            yield Fired(TABLE_OVERRUN)
            raise Faulted("netmap_vale.c:505-534")
        fragment, more = yield from read_slot(ring, i, switches)
        i = nm_next(i, k.n - 1)
        chain.append(fragment)
        taken += 1
        if more:
            continue
        yield Fired(WHOLE)
        packets.append(tuple(chain))
        chain = []
        if taken >= batch:
            yield Fired(BATCH_FULL)
            yield from flush(ring, packets, switches)
            packets, taken = [], 0
    if chain:
        yield Fired(TRUNCATED)
        packets.append(tuple(chain))
    if packets:
        yield from flush(ring, packets, switches)


def flush(ring: str, packets: list[Packet], switches: frozenset[str]) -> Protocol:
    """Find where each packet of a batch goes, then serve one receive ring after the other."""
    good: list[Packet] = []
    for packet in packets:
        passes = True
        if len(packet) > MAX_FRAGS:
            longer = yield Do("vale-long-chains")
            step = check_chain(len(packet), longer, switches)
            for fired in step.fired:
                yield Fired(fired)
            if LONG_HANGS in step.fired:
                raise Hung("netmap_vale.c:761")
            passes = step.state
        whole = check_packet(packet, switches)
        for fired in whole.fired:
            yield Fired(fired)
        if passes and whole.state:
            good.append(packet)
    targets = []
    for packet in good:
        target = yield Do("vale-route", (ring, packet))
        targets.append(target)
    served: Step[tuple[Queue, ...]] = yield Do("vale-queues", (ring, tuple(targets)))
    for fired in served.fired:
        yield Fired(fired)
    for queue in served.state:
        target_ring: str = yield Do("vale-ring", (ring, queue.port, queue.ring))
        if not target_ring:
            yield Fired(CLOSED)
            continue
        packets_there = tuple(good[i] for i in queue.packets)
        if (yield Do("vale-outside", (target_ring,))):
            yield Do("vale-transmit", (ring, target_ring, packets_there))
        else:
            yield from deliver(ring, target_ring, packets_there, switches)


def deliver(
    ring: str, to: str, packets: tuple[Packet, ...], switches: frozenset[str] = frozenset()
) -> Protocol:
    """Copy packets into one receive ring beside other senders. Source: nm_vale_flush."""
    fitting, needed = yield Do("vale-needed", (ring, to, packets))
    yield Lock(lock_of(to))
    k: Kring = yield ReadKernel((to, "kring"))
    lease: Lease = yield ReadKernel((to, "lease"))
    step: Step[Granted] = take_lease(k.n, k.hwcur, lease, needed, switches)
    granted = step.state
    yield WriteKernel((to, "lease"), granted.lease)
    yield Unlock(lock_of(to))
    for fired in step.fired:
        yield Fired(fired)
    at, room = granted.start, granted.count
    for packet in fitting:
        if len(packet) > room:
            yield Fired(NO_ROOM)
            break
        used: int = yield Do("vale-put", (ring, to, at, packet, room))
        if used:
            yield Fired(COPIED)
        at, room = advance(at, used, k.n), room - used
    if granted.index != NOLEASE:
        yield from _publish(to, k.n, granted, at, room, switches)


def _publish(
    to: str, n: int, granted: Granted, stop: int, leftover: int, switches: frozenset[str]
) -> Protocol:
    yield Lock(lock_of(to))
    lease: Lease = yield ReadKernel((to, "lease"))
    step: Step[Reported] = report_lease(n, lease, granted.start, granted.index, stop, leftover, switches)
    i = stop
    for _ in range(step.state.empty):
        yield Do("vale-empty", (to, i))
        i = nm_next(i, n - 1)
    yield WriteKernel((to, "lease"), step.state.lease)
    yield Unlock(lock_of(to))
    for fired in step.fired:
        yield Fired(fired)
    if step.state.news:
        yield from notify(to)


def rxsync(ring: str) -> Protocol:
    """A switch port's own part of an rxsync: packets are in the ring already, released slots are taken back.

    Source: netmap_vp_rxsync.
    """
    yield Lock(lock_of(ring))
    k: Kring = yield ReadKernel((ring, "kring"))
    i = k.hwcur
    while i != k.rhead:
        flags: int = yield ReadUser((ring, "slot", i, "flags"))
        if flags & api14.NS_BUF_CHANGED:
            yield WriteUser((ring, "slot", i, "flags"), flags & ~api14.NS_BUF_CHANGED)
        i = nm_next(i, k.n - 1)
    step = vale_rxsync_positions(k)
    yield WriteKernel((ring, "kring"), step.state)
    yield Unlock(lock_of(ring))
    yield Fired(step.fired[0])
    return ""

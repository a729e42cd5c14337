"""Chapter *wire*: where the frames are while no ring shows them.

A frame a port sends is on its way to the port at the other end of the wire, in order, until that
port's device stores it. A device with no room loses what arrives meanwhile; nothing else is lost. When a
frame arrives is the environment's choice, made as late as it can be told: a frame that may have met a
full device is only marked so, and what became of it is chosen when the next sync shows it.

Frames for a port that is not in netmap mode go to its host stack.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from ...core.choice import Choice, Choose
from ...core.step import rule
from .. import bind, memory
from ..offsets import slot_size
from ..ring import CONTRACT, distance, nm_next
from ..state import RX, TX, Adapter, KringState, System, ring_name
from .driver import GENERIC, Driver, on_wire
from .nic import rx_room, tx_pending

GENERIC_C = "luigirizzo/netmap:sys/dev/netmap/netmap_generic.c@89607e14"
LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"
NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"

#: The emulated adapter loses the frames it has taken when one of the slots for them has no buffer.
LOSES = "14.emulated-loses-with-bad-slot"
AS_WRITTEN = frozenset({LOSES})

SENT = rule("14/wire/sent", clause="14.nic.order", source=f"{GENERIC_C}:687-771")
UNSENT = rule("14/wire/not-sent", clause="14.nic.lengths", source=f"{GENERIC_C}:754-767")
TO_HOST = rule("14/wire/to-host", clause="14.nic.netmap-mode", source=f"{GENERIC_C}:828-831")
LOST = rule("14/wire/lost", clause="14.nic.loss", source=f"{GENERIC_C}:833-844")
BEFORE_BAD = rule("14/wire/before-bad-slot", clause="14.nic.loss", source=f"{GENERIC_C}:932-971")
WITH_BAD = rule(
    "14/wire/lost-with-bad-slot", clause="14.nic.loss", source=f"{GENERIC_C}:978-993", switch=LOSES
)
UNHEARD = rule("14/wire/unheard", clause="14.nic.down", source=f"{LINUX_C}:163-165")
ARRIVE = rule("14/wire/arrived", clause="14.poll.wakeup", source=f"{GENERIC_C}:845-863")
COMPLETE = rule("14/wire/completed", clause="14.poll.wakeup", source=f"{NETMAP_C}:4471-4498")


class Frame(NamedTuple):
    """A frame on its way; ``may_be_lost``: it was sent when the device may have been full."""

    data: bytes
    may_be_lost: bool


class Sizes(NamedTuple):
    """How many rings an interface has, and slots in each."""

    tx_rings: int
    rx_rings: int
    tx_slots: int
    rx_slots: int


@dataclass(frozen=True, slots=True)
class Wire:
    """The surroundings of one port.

    ``driver`` is the one in charge, ``native`` the one the port is configured with: an administrator can
    force emulation. ``incoming`` has, per receive ring, the frames on their way; ``partial``, per transmit
    ring, the fragments of a frame that is not complete. ``wire_out`` and ``host_out`` hold what left to where
    nothing of this machine's netmap listens, oldest first. A ``host_only`` port has no rings a descriptor
    could be bound to, such as a loopback interface. ``sizes`` are the rings of the interface since an
    administrator has changed them; its port finds out later (:mod:`..module`).
    """

    driver: Driver = GENERIC
    native: Driver = GENERIC
    mtu: int = 1500
    peer: str = ""
    incoming: tuple[tuple[Frame, ...], ...] = ()
    partial: tuple[bytes, ...] = ()
    wire_out: tuple[bytes, ...] = ()
    host_out: tuple[bytes, ...] = ()
    host_only: bool = False
    sizes: Sizes | None = None


def pick(choose: Choose, name: str, where: str, low: int, high: int, unit: str = "slots") -> int:
    """Ask only when there is something to choose."""
    return low if low >= high else choose(Choice(name, where, low, high, unit))


def to_host(s: System, port: str, frames: Iterable[bytes]) -> None:
    """Frames for the host stack of a port."""
    w: Wire = s.ports[port]
    s.ports[port] = replace(w, host_out=(*w.host_out, *frames))


def capacity(w: Wire, k: KringState) -> int:
    """How many frames may be on their way before the next one may meet a full device.

    A driver's device has the free slots of its ring, and counts slots; the emulated adapter queues one frame
    more than a ring has slots.
    """
    return k.pos.n + 1 if w.driver.copies else rx_room(k.pos)


def slots(data: bytes, size: int) -> int:
    """How many slots of ``size`` bytes a frame needs; an empty one takes one too."""
    return max(1, -(-len(data) // size))


def slots_of(s: System, k: KringState, data: bytes) -> int:
    """How many receive slots of a ring a frame needs."""
    return slots(data, slot_size(k.offset, bind.allocator(s, k.adapter).buf_size, True).state)


def send(s: System, port: str, frames: Iterable[bytes], where: str, choose: Choose) -> list[str]:
    """Frames leave a port on its wire; the rules fired."""
    fired = []
    w: Wire = s.ports[port]
    passed = []
    for frame in frames:
        data = on_wire(w.driver, w.mtu, frame, where, choose)
        if data is None:
            fired.append(UNSENT)
        else:
            passed.append(data)
            fired.append(SENT)
    if not w.peer:
        s.ports[port] = replace(w, wire_out=(*w.wire_out, *passed))
        return fired
    return fired + arrive(s, w.peer, passed, choose)


def arrive(s: System, port: str, frames: Iterable[bytes], choose: Choose) -> list[str]:
    """Frames come to a port on its wire; the rules fired. Nobody hears them while the port is down, and one
    that needs more slots than a ring ever has free finds no room.
    """
    if port not in s.adapters or s.adapters[port].interface:
        return [UNHEARD for _ in frames]
    na: Adapter = s.adapters[port]
    fired = []
    for data in frames:
        w: Wire = s.ports[port]
        r = pick(choose, "nic.rx-ring", port, 0, na.rx_rings - 1, "ring")
        k = s.krings.get(ring_name(port, RX, r))
        if not na.on or k is None or not k.on or w.driver.shares:
            to_host(s, port, (data,))
            fired.append(TO_HOST)
            continue
        waiting = w.incoming[r]
        need = slots_of(s, k, data)
        if need > k.pos.n - 1:
            fired.append(LOST)
            continue
        ahead = len(waiting) if w.driver.copies else sum(slots_of(s, k, f.data) for f in waiting) + need - 1
        frame = Frame(data, ahead >= capacity(w, k))
        s.ports[port] = replace(w, incoming=(*w.incoming[:r], (*waiting, frame), *w.incoming[r + 1 :]))
    return fired


def forget(s: System, port: str, r: int) -> None:
    """A receive ring leaves netmap mode: what was on its way to it is lost."""
    w: Wire = s.ports[port]
    s.ports[port] = replace(w, incoming=(*w.incoming[:r], (), *w.incoming[r + 1 :]))


def unsure(s: System, port: str) -> None:
    """The device starts again or does not listen: what was on its way may be lost."""
    w: Wire = s.ports[port]
    rings = tuple(tuple(Frame(f.data, True) for f in ring) for ring in w.incoming)
    s.ports[port] = replace(w, incoming=rings)


def purge(s: System, port: str, r: int, count: int) -> None:
    """The first ``count`` frames for a receive ring are lost for certain, those behind them may be."""
    unsure(s, port)
    w: Wire = s.ports[port]
    rest = w.incoming[r][count:]
    s.ports[port] = replace(w, incoming=(*w.incoming[:r], rest, *w.incoming[r + 1 :]))


def lose(s: System, port: str) -> None:
    """Nothing that was on its way to a port arrives any more."""
    w: Wire = s.ports[port]
    s.ports[port] = replace(w, incoming=((),) * len(w.incoming), partial=(b"",) * len(w.partial))


class Taken(NamedTuple):
    """What a sync finds: frames, the rules fired, and whether a slot without a buffer kept others back."""

    frames: list[bytes]
    fired: list[str]
    blocked: bool


def sound_slots(s: System, k: KringState, count: int) -> int:
    """How many of the ``count`` slots from ``hwtail`` on come before the first one that names no buffer."""
    a = bind.allocator(s, k.adapter)
    region, at = s.regions[a.id], bind.ring_at(s, k)
    i = k.pos.hwtail
    for sound in range(count):
        if a.safe_index(memory.read_slot(region, at, i).buf_idx) == 0:
            return sound
        i = nm_next(i, k.pos.n - 1)
    return count


def whole(frames: Iterable[bytes], room: int, buf_size: int) -> int:
    """How many of the frames, one behind the other, ``room`` slots of ``buf_size`` bytes hold."""
    fitting = used = 0
    for frame in frames:
        used += slots(frame, buf_size)
        if used > room:
            break
        fitting += 1
    return fitting


def take(
    s: System, k: KringState, room: int, buf_size: int, choose: Choose, switches: frozenset[str] = CONTRACT
) -> Taken:
    """The frames a sync finds in the device of ring ``k``, which has ``room`` free slots.

    At least those whose arrival was announced and at most all, in order, cut by the room. A frame needs
    a slot per ``buf_size`` bytes. Frames that met a full device are skipped. The emulated adapter, which
    looks at the slots only now, takes those that it can store, in front of the first slot without a buffer;
    as written (LOSES) it takes all.
    """
    w: Wire = s.ports[k.adapter]
    waiting = w.incoming[k.index]
    fitting = whole((f.data for f in waiting), room, buf_size)
    need = sum(slots(f.data, buf_size) for f in waiting)
    reach = min(need, room)
    sound = sound_slots(s, k, reach) if w.driver.copies else reach
    safe = next((i for i, f in enumerate(waiting) if f.may_be_lost), len(waiting))
    # The tail tells how many have arrived, unless a slot may keep it back.
    choice = "nic.rx-arrived" if sound == reach else "nic.rx-reached"
    count = pick(choose, choice, k.name, min(k.announced, safe, fitting), fitting, "frames")
    lost = 0
    if count > safe:
        lost = pick(choose, "nic.rx-lost", k.name, 0, len(waiting) - count, "frames")
    kept = waiting[:safe] + waiting[safe + lost :]
    found = [frame.data for frame in kept[:count]]
    found = found[: whole(found, room, buf_size)]  # behind lost frames come others, which may need more slots
    fired, blocked = [LOST] * lost, False
    storable = whole(found, sound, buf_size) if sound < reach else len(found)
    if storable < len(found):
        if LOSES in switches:
            fired.append(WITH_BAD)
        else:
            fired.append(BEFORE_BAD)
            found, blocked = found[:storable], True
    count, rest = len(found), kept[len(found) :]
    s.ports[k.adapter] = replace(w, incoming=(*w.incoming[: k.index], rest, *w.incoming[k.index + 1 :]))
    s.krings[k.name] = replace(k, announced=max(0, min(k.announced - count, len(rest))))
    return Taken(found, fired, blocked)


def movable(s: System, k: KringState) -> int:
    """Frames whose arrival, or slots whose completion, the environment can still announce at a ring."""
    if k.host or k.pipe or not k.on or k.adapter not in s.ports or s.adapters[k.adapter].interface:
        return 0
    if k.t == TX:
        return tx_pending(k.pos) - k.announced
    w: Wire = s.ports[k.adapter]
    waiting = w.incoming[k.index]
    safe = next((i for i, f in enumerate(waiting) if f.may_be_lost), len(waiting))
    return max(0, safe - k.announced)


def owed(s: System, k: KringState) -> str:
    """The progress clause a ring has not met yet although nothing hinders it, empty when it has.

    Due once the environment is quiet and the ring was synced: every slot handed over is completed, every
    frame that cannot have been lost is reported unless the ring is full, or the emulated adapter's next slots
    have no buffer.
    """
    if k.host or k.pipe or not k.on or k.adapter not in s.ports or s.adapters[k.adapter].interface:
        return ""
    if k.t == TX:
        if k.pos.hwcur != k.pos.rhead:
            return "14.nic.stops-early"
        return "14.nic.reclaim" if tx_pending(k.pos) else ""
    w: Wire = s.ports[k.adapter]
    waiting = w.incoming[k.index]
    if not waiting or waiting[0].may_be_lost:
        return ""
    room = k.pos.n - 1 - distance(k.pos.hwcur, k.pos.hwtail, k.pos.n)
    need = slots_of(s, k, waiting[0].data)
    if w.driver.copies and need <= room:
        room = sound_slots(s, k, need)
    return "14.nic.arrival" if need <= room else ""

"""Chapter *forwarding*: slots of a host receive ring that go on to the wire, without the application.

Released slots that are marked NS_FORWARD (with the parameter `fwd` all of them) change places with free slots
of the port's transmit rings, which are handed over as the application would do it: by moving `head` and `cur`
in the shared page. These words are the application's, so a ring is only believed as far as a txsync would
believe it, and read once. The way up, from a hardware receive ring to the host stack, is in :mod:`.host`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from netmap_spec.abi import api14

from ...core.effects import Do, Fired, Protocol, ReadKernel, ReadUser, WriteUser
from ...core.step import Step, rule
from .. import bind, memory
from ..offsets import get_offset, write_offset
from ..ring import CONTRACT, Kring, Slot, between, distance, nm_next
from ..state import KringState, System

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
KLOOP_C = "luigirizzo/netmap:sys/dev/netmap/netmap_kloop.c@89607e14"

#: A transmit ring is believed whatever its page says: `head` is an index, `tail` the end.
TRUSTS_RING = "14.forward-trusts-ring"
#: A frame that is forwarded to a transmit ring is sent from where that ring's slot says.
LOSES_OFFSET = "14.forward-loses-offset"
#: A loop forwards down for whoever stores this bit of his into `sync_flags`.
LOOP_TRUSTS = "14.kloop-trusts-sync-flags"
CAN_FORWARD_DOWN = 4
AS_WRITTEN = frozenset({TRUSTS_RING, LOSES_OFFSET, LOOP_TRUSTS})

DOWN = rule("14/host/forward/down", clause="14.host.forward", source=f"{NETMAP_C}:1303-1347")
NO_WINDOW = rule("14/host/forward/no-window", clause="14.host.forward", source=f"{NETMAP_C}:1744-1761")
UNMARKED = rule("14/host/transparent/down", clause="14.host.transparent", source=f"{NETMAP_C}:1325-1327")
TRUSTED = rule(
    "14/host/forward/trusted",
    clause="14.host.forward",
    source=f"{NETMAP_C}:1320-1331",
    switch=TRUSTS_RING,
)
UNMADE = rule(
    "14/host/forward/ring-not-made",
    clause="14.host.forward",
    source=f"{NETMAP_C}:1314-1321",
    switch=bind.RINGID_STICKS,
)
OFFSET_LOST = rule(
    "14/host/forward/offset-lost",
    clause="14.offsets.forwarded",
    source=f"{NETMAP_C}:1329-1342",
    switch=LOSES_OFFSET,
)

LOOP_PASSES_NOTHING = rule(
    "14/kloop/forward/nothing", clause="14.kloop.no-forwarding", source=f"{KLOOP_C}:348-370"
)
LOOP_TRUSTED = rule(
    "14/kloop/forward/trusted",
    clause="14.kloop.no-forwarding",
    source=f"{KLOOP_C}:95-110,359-363",
    switch=LOOP_TRUSTS,
)

#: Forwards ``count`` slots of a host receive ring from ``start`` on; its result is how many found room.
Down: TypeAlias = Callable[[int, int], Protocol]


def forward_room(k: Kring, head: int) -> Step[int]:
    """Slots of a transmit ring that forwarded frames may take, from ``head`` on, any u32.

    It must lie where a txsync accepts it, and the slots end at the kernel's own tail.
    """
    if head >= k.n or not between(k.rhead, head, k.rtail):
        return Step(0, (NO_WINDOW,))
    return Step(distance(head, k.rtail, k.n))


def forward_down(
    ring: str, targets: tuple[str, ...], switches: frozenset[str], start: int, count: int
) -> Protocol:
    """Exchange marked slots of a host receive ring with free slots of transmit rings; how many.

    The frames go out with the next txsync of the ``targets``. Source: netmap_sw_to_nic.
    """
    source: Kring = yield ReadKernel((ring, "kring"))
    everything: bool = yield ReadKernel((ring, "transparent"))
    i, left, sent = start, count, 0
    for target in targets:
        if not left:
            break
        k: Kring = yield Do("forward-ring", (target,))
        head, room = yield from _room(target, k, switches)
        while left and room:
            flags = yield ReadUser((ring, "slot", i, "flags"))
            marked = flags & api14.NS_FORWARD != 0
            if everything and not marked:
                yield Fired(UNMARKED)
                marked = True
            if marked:
                yield Do("forward-slot", (ring, i, target, head))
                head = nm_next(head, k.n - 1)
                yield WriteUser((target, "cur"), head)
                yield WriteUser((target, "head"), head)
                yield Fired(DOWN)
                room -= 1
                sent += 1
            i, left = nm_next(i, source.n - 1), left - 1
            if TRUSTS_RING in switches:
                head, room = yield from _room(target, k, switches)
    return sent


def _room(target: str, k: Kring, switches: frozenset[str]) -> Protocol:
    """Where the next frame goes in a transmit ring, and how many find room from there on.

    As written (TRUSTS_RING) this is asked again for each frame, with one more read of ``head``.
    """
    head = yield ReadUser((target, "head"))
    step = forward_room(k, head)
    if TRUSTS_RING in switches:
        tail = yield ReadUser((target, "tail"))
        again = yield ReadUser((target, "head"))
        if (head != tail) != bool(step.state):
            yield Fired(TRUSTED)
        return again, int(head != tail)
    for fired in step.fired:
        yield Fired(fired)
    return head, step.state


def loop_down(
    ring: str, bound: bool, down: Down, switches: frozenset[str], start: int, count: int
) -> Protocol:
    """``down`` as a loop does it: not at all, though the descriptor is ``bound`` to all transmit rings.

    As written (LOOP_TRUSTS) a bit of ``sync_flags``, which tells a sync what the descriptor may do, is taken
    from the application, bound or not.
    """
    forwards = bound
    if LOOP_TRUSTS in switches:
        flags = yield ReadUser((ring, "atok", "sync_flags"))
        forwards = flags // CAN_FORWARD_DOWN % 2 == 1
        if forwards:
            yield Fired(LOOP_TRUSTED)
    elif bound:
        yield Fired(LOOP_PASSES_NOTHING)
        forwards = False
    if not forwards:
        return 0
    return (yield from down(start, count))


# --- what the effects do ----------------------------------------------------------------------


def target_ring(k: KringState, switches: frozenset[str], fired: list[str]) -> Kring:
    """The positions of a transmit ring that frames may be forwarded to.

    One that was not made is asked about only as written (RINGID_STICKS): by a descriptor that has the right
    to forward from a request that failed.
    """
    if bind.RINGID_STICKS in switches and k.ring < 0:
        fired.append(UNMADE)
        raise bind.Faulted("netmap.c:1314-1321")
    return k.pos


def exchange(
    s: System, k: KringState, i: int, target: KringState, at: int, switches: frozenset[str] = CONTRACT
) -> list[str]:
    """Slot ``i`` of a host receive ring and slot ``at`` of a transmit ring change buffers; the rules fired.

    A frame keeps the place where it begins in its buffer. A slot that the transmit ring does not have lies in
    memory of others, or of nobody: the kernel's fault, and only as written.
    """
    region = s.regions[s.adapters[k.adapter].mem]
    source, out = bind.ring_at(s, k), bind.ring_at(s, target)
    if at >= target.pos.n:
        raise bind.Faulted("netmap.c:1323-1342")
    slot, free = memory.read_slot(region, source, i), memory.read_slot(region, out, at)
    changed = api14.NS_BUF_CHANGED
    memory.write_slot(region, source, i, replace(slot, buf_idx=free.buf_idx, flags=changed))
    moved = Slot(slot.buf_idx, slot.len, changed, free.ptr)
    into = get_offset(k.offset, slot.ptr)
    fired: list[str] = []
    if LOSES_OFFSET in switches:
        if into != get_offset(target.offset, free.ptr):
            fired.append(OFFSET_LOST)
    else:
        moved = replace(moved, ptr=write_offset(target.offset, free.ptr, into))
    memory.write_slot(region, out, at, moved)
    return fired

"""Small worlds of CSB mode for the explorer: a loop in the host, and a guest that works through the CSB.

The loop's thread passes over one ring and sleeps, for ever; the guest sends or receives a few packets and
sleeps while it has to wait. What they share is the ring's CSB entry and the contents of its slots, and
these words obey a memory model; positions are each side's own. A slot's content is the number of its packet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netmap_reference.core.effects import (
    Effect,
    Fence,
    Protocol,
    ReadKernel,
    ReadUser,
    SelRecord,
    Sleep,
    Wake,
    WriteKernel,
    WriteUser,
)
from netmap_reference.gen14 import kloop
from netmap_reference.gen14.csb import ATOK, KTOA
from netmap_reference.gen14.ring import CONTRACT, Kring, distance, nm_next, nm_prev

from .explorer.scenario import Handler, Memory, Scenario, Where, without

#: The ring, and where the loop waits for news of its port.
R, NEWS = "r", "r:news"
Make = Callable[..., Protocol]

STALE = "the slots of what was published are seen as they were then"
REJECTED = "the host finds positions it can accept"
TORN = "the guest's positions are in order"


@dataclass(frozen=True, slots=True)
class World:
    """What one obligation looks at, no larger than it has to be.

    ``n`` slots; the guest sends or receives ``packets`` and then, with ``wait``, waits for one more chance.
    ``full``: a receive ring begins with one packet, and has no room for another. ``wire``: packets that wait
    at the port from the start; ``coming``: packets that come meanwhile. ``passes``: the loop makes so many
    and does not sleep, 0 for one that waits for kicks; ``irq``: the ring has an irqfd. ``switches``: the
    reading.
    """

    transmit: bool
    n: int = 2
    packets: int = 1
    wait: bool = False
    full: bool = False
    wire: int = 0
    coming: int = 0
    passes: int = 0
    irq: bool = False
    switches: frozenset[str] = CONTRACT


def take_away(site: str, function: Make) -> Make:
    """The function without the barrier at ``site``."""

    def fenceless(*args: Any, **kwargs: Any) -> Protocol:
        return without(function(*args, **kwargs), lambda e: isinstance(e, Fence) and e.site == site)

    return fenceless


# --- the host ---------------------------------------------------------------------------------------------


def sending_port(ring: str, force: bool) -> Protocol:
    """A port that sends at once: it looks into every slot handed over and has finished with it."""
    k: Kring = yield ReadKernel((ring, "kring"))
    number: int = yield ReadKernel((ring, "handled"))
    at = k.hwcur
    while at != k.rhead:
        seen = yield ReadUser((ring, "slot", at))
        number += 1
        if seen != number:
            yield WriteKernel((ring, "stale"), True)
        at = nm_next(at, k.n - 1)
    yield WriteKernel((ring, "handled"), number)
    yield WriteKernel((ring, "kring"), replace(k, hwcur=at, hwtail=nm_prev(at, k.n - 1)))
    return ""


def receiving_port(ring: str, force: bool) -> Protocol:
    """A port that takes back what was released and stores what has come, as far as there is room."""
    k: Kring = yield ReadKernel((ring, "kring"))
    number: int = yield ReadKernel((ring, "handled"))
    came: int = yield ReadKernel((ring, "wire"))
    at = k.hwtail
    while number < came and at != nm_prev(k.rhead, k.n - 1):
        number += 1
        yield WriteUser((ring, "slot", at), number)
        at = nm_next(at, k.n - 1)
    yield WriteKernel((ring, "handled"), number)
    yield WriteKernel((ring, "kring"), replace(k, hwcur=k.rhead, hwtail=at))
    return ""


def host(w: World, one_pass: Make) -> Protocol:
    """The loop: a pass and a sleep; it starts over after that. Or a few passes of one that never waits."""
    a = kloop.RingArgs(R, irq=w.irq, busy_wait=w.passes > 0)
    rings = ((a,), ()) if w.transmit else ((), (a,))
    port = sending_port if w.transmit else receiving_port
    if w.passes:
        for _ in range(w.passes):
            yield from one_pass(*rings, (), port, w.switches)
        return
    selinfos = (f"{R}:kick",) if w.transmit else (f"{R}:kick", NEWS)
    yield from one_pass(*rings, selinfos, port, w.switches)
    yield Sleep()


def wire(w: World) -> Protocol:
    """Packets come one by one, and the port tells of each."""
    for number in range(w.wire + 1, w.wire + w.coming + 1):
        yield WriteKernel((R, "wire"), number)
        yield Wake(NEWS)


# --- the guest ----------------------------------------------------------------------------------------------


def _wait(transmit: bool, guest_sync: Make, switches: frozenset[str]) -> Protocol:
    """Sleep until the host has told of something new."""
    while True:
        yield SelRecord(f"{R}:irq")
        yield from guest_sync(R, transmit, False, switches)
        g: Kring = yield ReadKernel((R, "guest"))
        if g.rcur != g.hwtail:
            return
        yield Sleep()


def _say(head: int) -> Protocol:
    yield WriteUser((R, "head"), head)
    yield WriteUser((R, "cur"), head)


def sender(w: World, guest_sync: Make) -> Protocol:
    """A guest that sends packets one by one, each with a sync, and waits when there is no room."""
    for number in range(1, w.packets + 1):
        g: Kring = yield ReadKernel((R, "guest"))
        if g.rcur == g.hwtail:
            yield from _wait(True, guest_sync, w.switches)
            g = yield ReadKernel((R, "guest"))
        yield WriteUser((R, "slot", g.rhead), number)
        yield from _say(nm_next(g.rhead, g.n - 1))
        if w.wait and number == w.packets:
            yield from _wait(True, guest_sync, w.switches)
        else:
            yield from guest_sync(R, True, False, w.switches)


def receiver(w: World, guest_sync: Make) -> Protocol:
    """A guest that waits for packets, looks into each and releases it with the next sync."""
    number = 0
    while number < w.packets + w.wait:
        g: Kring = yield ReadKernel((R, "guest"))
        if g.rcur == g.hwtail:
            yield from _wait(False, guest_sync, w.switches)
            g = yield ReadKernel((R, "guest"))
        at = g.rhead
        while at != g.hwtail:
            seen = yield ReadUser((R, "slot", at))
            number += 1
            if seen != number:
                yield WriteKernel((R, "stale"), True)
            at = nm_next(at, g.n - 1)
        yield from _say(at)
        if number < w.packets + w.wait or not w.wait:
            yield from guest_sync(R, False, False, w.switches)


# --- the scenario -------------------------------------------------------------------------------------------


def _do(changes: Callable[[Memory], Memory], answer: Any) -> Handler:
    def handler(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
        yield answer, changes(at)

    return handler


def published(at: Memory) -> bool:
    """The guest has published something that the host has not taken over."""
    return bool(at[R, "atok", "head"] != at[R, "kring"].rhead)


def deliverable(at: Memory) -> bool:
    """Packets wait on the wire and the guest has published a slot for one."""
    k: Kring = at[R, "kring"]
    room = k.hwtail != nm_prev(at[R, "atok", "head"], k.n - 1)
    return bool(at[R, "wire"] > at[R, "handled"] and room)


def news(at: Memory) -> bool:
    """The host has told of more than the guest has seen."""
    return bool(at[R, "ktoa", "hwtail"] != at[R, "guest"].rcur)


def in_order(at: Memory) -> bool:
    """hwcur, rhead, hwtail of the guest's kring, walking forward."""
    g: Kring = at[R, "guest"]
    return distance(g.hwcur, g.rhead, g.n) <= distance(g.hwcur, g.hwtail, g.n)


def scenario(w: World, model: str, one_pass: Make, guest_sync: Make, locked: bool = True) -> Scenario:
    """Host and guest under a memory model. ``locked``: releasing a ring's lock is a full barrier (x86)."""
    last = w.n - 1
    tail = last if w.transmit or w.full else 0
    k = Kring(w.n, 0, tail, 0, 0, tail)
    entry = dict.fromkeys(ATOK, 0) | {"appl_need_kick": 1, "sync_flags": 1}
    back = dict.fromkeys(KTOA, 0) | {"hwtail": k.hwtail, "kern_need_kick": 1}
    shared: dict[Where, Any] = {(R, "atok", word): value for word, value in entry.items()}
    shared |= {(R, "ktoa", word): value for word, value in back.items()}
    shared |= {(R, "slot", i): i + 1 if w.full else 0 for i in range(w.n)}
    own: dict[Where, Any] = {
        (R, "kring"): k, (R, "guest"): k, (R, "handled"): last if w.full else 0,
        (R, "stale"): False, (R, "rejected"): False,
        (R, "head"): 0, (R, "cur"): 0, (R, "tail"): k.hwtail, (R, "wire"): w.wire,
    }  # fmt: skip
    # The flags of a sync ask a port to look harder; these ports always do.
    private: set[Where] = {
        (R, word) for word in ("kring", "guest", "handled", "head", "cur", "tail", "stale")
    }
    private |= {(R, "atok", "sync_flags")}
    own |= {(R, "atok", "sync_flags"): shared.pop((R, "atok", "sync_flags"))}
    threads: dict[str, Callable[[], Protocol]] = {
        "host": partial(host, w, one_pass),
        "guest": partial(sender if w.transmit else receiver, w, guest_sync),
    }
    if w.coming:
        threads["wire"] = partial(wire, w)
    waiting: Callable[[Memory], bool] = published if w.transmit else deliverable
    return Scenario(
        threads,
        memory=shared | own,
        do={
            "put": _do(lambda at: at, None),
            "reinit-slots": _do(lambda at: at.set(((R, "rejected"), True)), None),
        },
        constants={(R, "atok", "sync_flags"): 1},
        immediate={"tryget": True} | ({} if locked else {"put": None}),
        waits=({"guest": news} if w.irq else {}) | ({} if w.passes else {"host": waiting}),
        always={
            STALE: lambda at: not at[R, "stale"],
            REJECTED: lambda at: not at[R, "rejected"],
            TORN: in_order,
        },
        model=model,
        weak=frozenset(shared),
        private=frozenset(private),
        unordered=frozenset({"reinit-slots"}),
        forever=frozenset({"host"}) if not w.passes else frozenset(),
    )


def late(function: Make) -> Make:
    """A pass that is recorded where news come only after it has looked at the rings."""

    def looking_first(tx: Any, rx: Any, selinfos: tuple[str, ...], port: Any, switches: Any) -> Protocol:
        held: list[Effect] = []
        protocol, answer = function(tx, rx, selinfos, port, switches), None
        try:
            while True:
                effect = protocol.send(answer)
                if isinstance(effect, SelRecord):
                    held.append(effect)
                    answer = None
                else:
                    answer = yield effect
        except StopIteration as end:
            for effect in held:
                yield effect
            return end.value

    return looking_first

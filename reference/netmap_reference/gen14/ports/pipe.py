"""Chapter *pipe*: how packets cross a pipe.

A transmit ring of one end and the receive ring of the same number at the other end are two windows on
the same buffers. A txsync hands the slots between ``hwcur`` and ``head`` over, copying buffer index,
length, flags and pointer into the peer's ring at the same positions; an rxsync hands released slots back
the same way, so a receiver that put another buffer into a slot gives that one back. Each ring's
``pipe_tail`` is what its peer has handed over so far; a sync first takes it over into ``hwtail``.
Packets are published whole: the slots of a packet whose last fragment is missing wait.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from netmap_spec.abi import api14

from ...core.effects import Do, Fired, Protocol, ReadKernel, WriteKernel
from ...core.step import Step, rule
from ..notify import notify
from ..offsets import Offset, get_offset, write_offset
from ..ring import CONTRACT, Kring, advance, distance, nm_next, nm_prev

PIPE_C = "luigirizzo/netmap:sys/dev/netmap/netmap_pipe.c@89607e14"

TX_NOTHING = rule("14/pipe/txsync/nothing-new", clause="14.pipe.txsync", source=f"{PIPE_C}:201-208")
TX_MOVED = rule("14/pipe/txsync/handed-over", clause="14.pipe.txsync", source=f"{PIPE_C}:210-226")
TX_PUBLISHED = rule("14/pipe/txsync/published", clause="14.pipe.whole-packets", source=f"{PIPE_C}:232-236")
TX_WITHHELD = rule(
    "14/pipe/txsync/incomplete", clause="14.pipe.whole-packets", source=f"{PIPE_C}:210-211,223,232"
)
RX_NOTHING = rule("14/pipe/rxsync/nothing-released", clause="14.pipe.rxsync", source=f"{PIPE_C}:257-264")
RX_RELEASED = rule("14/pipe/rxsync/released", clause="14.pipe.rxsync", source=f"{PIPE_C}:266-279")
#: The receiver's slot gets a larger offset than the sender's, if it had one.
RAISES_OFFSET = "14.pipe-raises-offset"
AS_WRITTEN = frozenset({RAISES_OFFSET})
OFFSET_KEPT = rule("14/pipe/txsync/offset", clause="14.offsets.pipe", source=f"{PIPE_C}:211-216")
RAISED = rule(
    "14/pipe/txsync/offset-raised",
    clause="14.offsets.pipe",
    source=f"{PIPE_C}:214-219",
    switch=RAISES_OFFSET,
)


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a pipe's sync decides: the ring afterwards, how many slots go over, the peer's new pipe_tail.

    ``start`` is the first slot handed over; ``publish`` is -1 when nothing is published.
    """

    kring: Kring
    start: int
    count: int
    publish: int


def pipe_txsync_positions(k: Kring, pipe_tail: int, last_complete: int) -> Step[Transfer]:
    """Positions of a pipe's txsync.

    ``pipe_tail`` is what the receiver has released (the last slot the sender may use). ``last_complete``
    counts the slots handed over up to and with the last one that ends a packet, 0 when none does.
    Source: netmap_pipe_txsync.
    """
    count = distance(k.hwcur, k.rhead, k.n)
    moved = replace(k, hwtail=pipe_tail, hwcur=k.rhead)
    if count == 0:
        return Step(Transfer(moved, k.hwcur, 0, -1), (TX_NOTHING,))
    if last_complete == 0:
        return Step(Transfer(moved, k.hwcur, count, -1), (TX_MOVED, TX_WITHHELD))
    publish = advance(k.hwcur, last_complete, k.n)
    if last_complete < count:
        return Step(Transfer(moved, k.hwcur, count, publish), (TX_MOVED, TX_PUBLISHED, TX_WITHHELD))
    return Step(Transfer(moved, k.hwcur, count, publish), (TX_MOVED, TX_PUBLISHED))


def pipe_rxsync_positions(k: Kring, pipe_tail: int) -> Step[Transfer]:
    """Positions of a pipe's rxsync; ``pipe_tail`` is the first slot the sender has not handed over.

    Source: netmap_pipe_rxsync.
    """
    count = distance(k.hwcur, k.rhead, k.n)
    moved = replace(k, hwtail=pipe_tail, hwcur=k.rhead)
    if count == 0:
        return Step(Transfer(moved, k.hwcur, 0, -1), (RX_NOTHING,))
    return Step(Transfer(moved, k.hwcur, count, nm_prev(k.rhead, k.n - 1)), (RX_RELEASED,))


def receivers_offset(offset: Offset, sent: int, found: int, switches: frozenset[str] = CONTRACT) -> Step[int]:
    """``ptr`` of a receiver's slot whose ring has agreed on ``offset``, from the sender's and the one it had.

    Nothing is copied, so the packet begins where the sender put it. As written (RAISES_OFFSET) a receiver
    that had a larger offset in the slot finds that one. Source: netmap_pipe_txsync.
    """
    before = get_offset(offset, found)
    if RAISES_OFFSET in switches and get_offset(offset, sent) < before:
        return Step(write_offset(offset, sent, before), (RAISED,))
    return Step(sent, (OFFSET_KEPT,))


def txsync(ring: str) -> Protocol:
    """The pipe's own part of a txsync, between prologue and finalize; the errno's name, empty for success."""
    pipe_tail = yield ReadKernel((ring, "pipe_tail"))
    k: Kring = yield ReadKernel((ring, "kring"))
    peer: str = yield ReadKernel((ring, "pipe"))
    last_complete = 0
    count = distance(k.hwcur, k.rhead, k.n)
    i = k.hwcur
    for done in range(1, count + 1):
        flags = yield Do("pipe-slot", (ring, peer, i))
        if not flags & api14.NS_MOREFRAG:
            last_complete = done
        i = nm_next(i, k.n - 1)
    step = pipe_txsync_positions(k, pipe_tail, last_complete)
    yield from _commit(ring, peer, step)
    return ""


def rxsync(ring: str) -> Protocol:
    """The pipe's own part of an rxsync, like :func:`txsync`."""
    pipe_tail = yield ReadKernel((ring, "pipe_tail"))
    k: Kring = yield ReadKernel((ring, "kring"))
    peer: str = yield ReadKernel((ring, "pipe"))
    step = pipe_rxsync_positions(k, pipe_tail)
    i = step.state.start
    for _ in range(step.state.count):
        yield Do("pipe-slot", (ring, peer, i))
        i = nm_next(i, k.n - 1)
    yield from _commit(ring, peer, step)
    return ""


def _commit(ring: str, peer: str, step: Step[Transfer]) -> Protocol:
    for fired in step.fired:
        yield Fired(fired)
    yield WriteKernel((ring, "kring"), step.state.kring)
    if step.state.publish >= 0:
        # The slots are stored before they are published, so that a peer never sees an old slot.
        yield WriteKernel((peer, "pipe_tail"), step.state.publish)
        yield from notify(peer)

"""The drivers that the device of generation 14 runs, put on the bench.

Their syncs are the very protocols of :mod:`..gen14.ports.nic` and :mod:`..gen14.ports.pipe`; what they ask of
the device in one effect (``nic-send``, ``nic-receive`` …) is done here descriptor by descriptor, with the
pure steps of :mod:`..gen14.ports.device`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..core.effects import Do, Effect, Protocol, ReadKernel, ReadUser, WriteKernel, WriteUser
from ..gen14.notify import interrupt
from ..gen14.ports import device, nic, pipe
from ..gen14.ports.nic import netmap_idx_k2n
from ..gen14.ring import Kring, Slot, distance, nm_next, nm_prev
from .bench import BUF_SIZE, BUFFERS
from .native import CHANGED, MOREFRAG, REPORT, Native

#: Answers one effect of a protocol of the model with effects of the bench.
_WORDS = ("kring", "hwofs", "pending", "on")
_Answer = Callable[[str, Effect], Protocol]


def _translated(q: str, protocol: Protocol, answer: _Answer) -> Protocol:
    """Run ``protocol`` with its bulk effects replaced."""
    got: Any = None
    try:
        while True:
            effect = protocol.send(got)
            got = yield from answer(q, effect)
    except StopIteration as end:
        return end.value


class Ported(Native):
    """A driver whose syncs are :func:`.nic.txsync` and :func:`.nic.rxsync`."""

    def __init__(self, name: str, copies: bool) -> None:
        self.name = name
        self.copies = copies
        self.refused = False

    def txsync(self, q: str, force: bool) -> Protocol:
        carrier = yield Do("carrier")
        self.refused = False
        if carrier:
            yield from _translated(q, nic.txsync(q), self._bulk)
        return False

    def rxsync(self, q: str, force: bool) -> Protocol:
        carrier = yield Do("carrier")
        if not carrier:
            return False
        yield WriteKernel((q, "pending"), False)
        self.refused = False
        yield from _translated(q, nic.rxsync(q, self.copies, frozenset()), self._bulk)
        return self.refused

    def interrupt(self, q: str) -> Protocol:
        on = yield ReadKernel((q, "on"))
        if not on:
            return False
        if q == "rx":
            yield WriteKernel((q, "pending"), True)
        yield from _translated(q, interrupt(q, 1), self._bulk)
        return True

    def _bulk(self, q: str, effect: Effect) -> Protocol:
        match effect:
            case Do("nic-send", (_, start, count)):
                return (yield from _send(q, start, count))
            case Do("nic-completed", (_, _)):
                k: Kring = yield ReadKernel((q, "kring"))
                hwofs = yield ReadKernel((q, "hwofs"))
                head = yield Do("device-head", (q,))
                return distance(netmap_idx_k2n(hwofs, nm_next(k.hwtail, k.n - 1), k.n), head, k.n)
            case Do("nic-receive", (_, start, room)):
                return (yield from _receive(q, start, room, self.copies))
            case Do("nic-refill", (_, start, count)):
                return (yield from _refill(q, start, count, self.copies))
            case ReadKernel((_, word)) if word not in _WORDS:
                return 0  # nobody is bound to several rings, and nothing has been announced
            case WriteKernel((_, "announced"), _):
                return None
            case ReadUser((_, word)) | WriteUser((_, word)) if word in ("head", "cur", "tail"):
                self.refused = True  # the model puts the ring back itself; on the bench netmap does
                return 0
            case Do("reinit-slots"):
                self.refused = True
                return None
            case WriteKernel((_, "kring"), _) if self.refused:
                return None
        return (yield effect)


def _send(q: str, start: int, count: int) -> Protocol:
    k: Kring = yield ReadKernel((q, "kring"))
    hwofs = yield ReadKernel((q, "hwofs"))
    i = start
    for _ in range(count):
        slot: Slot = yield ReadUser((q, "slot", i))
        sent = device.tx_slot(slot, BUFFERS, BUF_SIZE).state
        d = netmap_idx_k2n(hwofs, i, k.n)
        yield Do("desc-write", (q, d, sent.buf_idx, sent.len))
        if slot.flags & REPORT:
            yield Do("desc-report", (q, d))
        yield Do("slot-write", (q, i, replace(slot, flags=slot.flags & ~(CHANGED | REPORT))))
        i = nm_next(i, k.n - 1)
    if count:
        yield Do("doorbell", (q, netmap_idx_k2n(hwofs, i, k.n)))
    return count


def _receive(q: str, start: int, room: int, copies: bool) -> Protocol:
    k: Kring = yield ReadKernel((q, "kring"))
    hwofs = yield ReadKernel((q, "hwofs"))
    i, used = start, 0
    part: list[tuple[int, int, bool]] = []
    while used + len(part) < room:
        status = yield Do("desc-read", (q, netmap_idx_k2n(hwofs, i, k.n)))
        if status is None:
            break
        part.append((i, status[0], status[1]))
        i = nm_next(i, k.n - 1)
        if not status[1]:
            continue
        for at, length, end in part:
            slot: Slot = yield ReadUser((q, "slot", at))
            good = yield Do("buffer", (slot.buf_idx,))
            if copies and not good:
                return -1
            yield Do("slot-write", (q, at, replace(slot, len=length, flags=0 if end else MOREFRAG)))
        used, part = used + len(part), []
    return used


def _refill(q: str, start: int, count: int, copies: bool) -> Protocol:
    k: Kring = yield ReadKernel((q, "kring"))
    hwofs = yield ReadKernel((q, "hwofs"))
    i = start
    for _ in range(count):
        slot: Slot = yield ReadUser((q, "slot", i))
        good = yield Do("buffer", (slot.buf_idx,))
        if not good and not copies:
            return False
        yield Do("desc-write", (q, netmap_idx_k2n(hwofs, i, k.n), slot.buf_idx if good else 0, 0))
        yield Do("slot-write", (q, i, replace(slot, flags=slot.flags & ~CHANGED)))
        i = nm_next(i, k.n - 1)
    if count:
        yield Do("doorbell", (q, nm_prev(netmap_idx_k2n(hwofs, i, k.n), k.n - 1)))
    return True


class Sharing(Ported):
    """The transmit half of a pair that shares its buffers: :func:`.pipe.txsync`; its device is the peer.

    What the other end releases is what the device has completed. A pipe looks at neither index nor length
    (14.pipe.txsync): the bench checks them as the other end would.
    """

    def txsync(self, q: str, force: bool) -> Protocol:
        carrier = yield Do("carrier")
        if carrier:
            yield from _translated(q, pipe.txsync(q), self._pipe)
        return False

    def _pipe(self, q: str, effect: Effect) -> Protocol:
        match effect:
            case ReadKernel((_, "pipe_tail")):
                k: Kring = yield ReadKernel((q, "kring"))
                hwofs = yield ReadKernel((q, "hwofs"))
                head = yield Do("device-head", (q,))
                return nm_prev(nic.netmap_idx_n2k(hwofs, head, k.n), k.n - 1)
            case ReadKernel((_, "pipe")):
                return "peer"
            case ReadKernel(("peer", _)):
                return 0
            case Do("pipe-slot", (_, _, i)):
                slot: Slot = yield ReadUser((q, "slot", i))
                yield from _send(q, i, 1)
                return slot.flags
            case WriteKernel(("peer", _), _):
                return None
        if getattr(effect, "selinfo", "") == "peer":
            return None
        return (yield effect)


MODELS: tuple[Native, ...] = (
    Native(),
    Ported("generic nic", copies=False),
    Ported("emulated", copies=True),
    Sharing("veth", copies=False),
)

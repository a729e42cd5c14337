"""Drivers that are wrong, each in one place, and the clause by which the checker must refuse it.

Most are mistakes that drivers of netmap have made, or still make (see FINDINGS.md).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..core.effects import Do, Protocol, ReadKernel, ReadUser, Wake, WriteKernel
from ..gen14.ports.nic import netmap_idx_k2n, netmap_idx_n2k
from ..gen14.ring import Kring, Slot, distance, nm_next, nm_prev
from .native import CHANGED, MOREFRAG, REPORT, Native


def _without(protocol: Protocol, *what: str) -> Protocol:
    """The routine with some of its calls left out."""
    answer: Any = None
    try:
        while True:
            effect = protocol.send(answer)
            gone = isinstance(effect, Do) and effect.what in what
            answer = None if gone else (yield effect)
    except StopIteration as end:
        return end.value


class TrustsHead(Native):
    name = "takes head from the shared page"

    def hand_over(self, q: str, k: Kring, hwofs: int) -> Protocol:
        head = yield ReadUser((q, "head"))
        return (yield from super().hand_over(q, replace(k, rhead=head), hwofs))


class MovesRhead(Native):
    name = "moves rhead with hwcur"

    def reclaim(self, q: str, k: Kring, hwofs: int) -> Protocol:
        yield WriteKernel((q, "kring"), replace(k, rhead=nm_next(k.rhead, k.n - 1)))


class SendsToCur(Native):
    name = "sends one slot too many"

    def hand_over(self, q: str, k: Kring, hwofs: int) -> Protocol:
        handed: Kring = yield from super().hand_over(q, k, hwofs)
        more = nm_next(handed.hwcur, k.n - 1)
        yield WriteKernel((q, "kring"), replace(handed, hwcur=more))
        return replace(handed, hwcur=more)


class StopsEarly(Native):
    name = "hands one slot over a time though it has room"

    def hand_over(self, q: str, k: Kring, hwofs: int) -> Protocol:
        slot: Slot = yield ReadUser((q, "slot", k.hwcur))
        good = yield Do("buffer", (slot.buf_idx,))
        d = netmap_idx_k2n(hwofs, k.hwcur, k.n)
        yield Do("desc-write", (q, d, slot.buf_idx if good else 0, min(slot.len, 64)))
        yield Do("slot-write", (q, k.hwcur, replace(slot, flags=0)))
        one = replace(k, hwcur=nm_next(k.hwcur, k.n - 1))
        yield WriteKernel((q, "kring"), one)
        yield Do("doorbell", (q, nm_next(d, k.n - 1)))
        return one


class NoDoorbell(Native):
    name = "does not tell the device"

    def txsync(self, q: str, force: bool) -> Protocol:
        return (yield from _without(super().txsync(q, force), "doorbell"))


class ReclaimsPending(Native):
    name = "takes back what the device has not sent"

    def reclaim(self, q: str, k: Kring, hwofs: int) -> Protocol:
        yield WriteKernel((q, "kring"), replace(k, hwtail=nm_prev(k.hwcur, k.n - 1)))


class ReclaimsOneShort(Native):
    name = "leaves the last completed slot with the device"

    def reclaim(self, q: str, k: Kring, hwofs: int) -> Protocol:
        head = yield Do("device-head", (q,))
        hwtail = nm_prev(netmap_idx_n2k(hwofs, head, k.n), k.n - 1)
        if hwtail != k.hwtail:
            yield WriteKernel((q, "kring"), replace(k, hwtail=nm_prev(hwtail, k.n - 1)))


class OldBuffer(Native):
    name = "sends from the buffer the slot had before"

    def __init__(self) -> None:
        self.had: dict[int, int] = {}

    def hand_over(self, q: str, k: Kring, hwofs: int) -> Protocol:
        i = k.hwcur
        while i != k.rhead:
            slot: Slot = yield ReadUser((q, "slot", i))
            yield Do("desc-write", (q, netmap_idx_k2n(hwofs, i, k.n), 2 + i, min(slot.len, 64)))
            yield Do("slot-write", (q, i, replace(slot, flags=slot.flags & ~(CHANGED | REPORT))))
            i = nm_next(i, k.n - 1)
        yield WriteKernel((q, "kring"), replace(k, hwcur=k.rhead))
        yield Do("doorbell", (q, netmap_idx_k2n(hwofs, k.rhead, k.n)))
        return replace(k, hwcur=k.rhead)


class KeepsFlag(Native):
    name = "leaves NS_BUF_CHANGED set"

    def hand_over(self, q: str, k: Kring, hwofs: int) -> Protocol:
        protocol = super().hand_over(q, k, hwofs)
        answer: Any = None
        try:
            while True:
                effect = protocol.send(answer)
                flags = isinstance(effect, Do) and effect.what == "slot-write"
                answer = None if flags else (yield effect)
        except StopIteration as end:
            return end.value


class NoReport(Native):
    name = "asks for no interrupt whatever the slot says (the emulated adapter)"

    def hand_over(self, q: str, k: Kring, hwofs: int) -> Protocol:
        return (yield from _without(super().hand_over(q, k, hwofs), "desc-report"))


class KeepsReport(Native):
    name = "does not know NS_REPORT"

    def hand_over(self, q: str, k: Kring, hwofs: int) -> Protocol:
        before: list[Slot] = []
        for i in range(k.n):
            before.append((yield ReadUser((q, "slot", i))))
        handed = yield from _without(super().hand_over(q, k, hwofs), "desc-report")
        for i, slot in enumerate(before):
            now: Slot = yield ReadUser((q, "slot", i))
            yield Do("slot-write", (q, i, replace(now, flags=now.flags | slot.flags & REPORT)))
        return handed


class TrustsSlots(Native):
    name = "gives the device whatever the slot says"

    def hand_over(self, q: str, k: Kring, hwofs: int) -> Protocol:
        i = k.hwcur
        while i != k.rhead:
            slot: Slot = yield ReadUser((q, "slot", i))
            yield Do("desc-write", (q, netmap_idx_k2n(hwofs, i, k.n), slot.buf_idx, slot.len))
            yield Do("slot-write", (q, i, replace(slot, flags=slot.flags & ~(CHANGED | REPORT))))
            i = nm_next(i, k.n - 1)
        yield WriteKernel((q, "kring"), replace(k, hwcur=k.rhead))
        yield Do("doorbell", (q, netmap_idx_k2n(hwofs, k.rhead, k.n)))
        return replace(k, hwcur=k.rhead)


class WrongIndex(Native):
    name = "takes slots for descriptors after a reset"

    def hand_over(self, q: str, k: Kring, hwofs: int) -> Protocol:
        return (yield from super().hand_over(q, k, 0))


class ClearsAll(Native):
    name = "clears flags in every slot"

    def txsync(self, q: str, force: bool) -> Protocol:
        again = yield from super().txsync(q, force)
        k: Kring = yield ReadKernel((q, "kring"))
        for i in range(k.n):
            slot: Slot = yield ReadUser((q, "slot", i))
            yield Do("slot-write", (q, i, replace(slot, flags=0)))
        return again


class ReportsParts(Native):
    name = "reports a frame before its end has come (e1000, e1000e, igb, igc)"

    def report(self, q: str) -> Protocol:
        k: Kring = yield ReadKernel((q, "kring"))
        hwofs = yield ReadKernel((q, "hwofs"))
        i = k.hwtail
        while True:
            status = yield Do("desc-read", (q, netmap_idx_k2n(hwofs, i, k.n)))
            if status is None:
                break
            slot: Slot = yield ReadUser((q, "slot", i))
            yield Do("slot-write", (q, i, replace(slot, len=status[0], flags=0 if status[1] else MOREFRAG)))
            i = nm_next(i, k.n - 1)
        yield WriteKernel((q, "kring"), replace(k, hwtail=i))


class FlagsReversed(Native):
    name = "sets NS_MOREFRAG in the last slot of a frame and in no other (e1000e)"

    def report(self, q: str) -> Protocol:
        protocol = super().report(q)
        answer: Any = None
        try:
            while True:
                effect = protocol.send(answer)
                if isinstance(effect, Do) and effect.what == "slot-write":
                    q, i, slot = effect.args
                    effect = Do("slot-write", (q, i, replace(slot, flags=MOREFRAG - slot.flags)))
                answer = yield effect
        except StopIteration as end:
            return end.value


class MissesPending(Native):
    name = "looks only when it is forced to"

    def rxsync(self, q: str, force: bool) -> Protocol:
        if force:
            return (yield from super().rxsync(q, True))
        return (yield from self.give_back(q))


class GivesAll(Native):
    name = "gives the device every slot"

    def give_back(self, q: str) -> Protocol:
        bad = yield from super().give_back(q)
        k: Kring = yield ReadKernel((q, "kring"))
        hwofs = yield ReadKernel((q, "hwofs"))
        yield Do("doorbell", (q, netmap_idx_k2n(hwofs, k.hwcur, k.n)))
        return bad


class ForgetsHwcur(Native):
    name = "gives slots back and does not say so"

    def give_back(self, q: str) -> Protocol:
        k: Kring = yield ReadKernel((q, "kring"))
        bad = yield from super().give_back(q)
        now: Kring = yield ReadKernel((q, "kring"))
        yield WriteKernel((q, "kring"), replace(now, hwcur=k.hwcur))
        return bad


class TrustsReleased(Native):
    name = "gives the device a slot without a buffer"

    def give_back(self, q: str) -> Protocol:
        return (yield from _without_check(super().give_back(q)))


def _without_check(protocol: Protocol) -> Protocol:
    answer: Any = None
    try:
        while True:
            effect = protocol.send(answer)
            answer = True if isinstance(effect, Do) and effect.what == "buffer" else (yield effect)
    except StopIteration as end:
        return end.value


class NotPending(Native):
    name = "wakes before it marks the ring as pending"

    def interrupt(self, q: str) -> Protocol:
        on = yield ReadKernel((q, "on"))
        if not on:
            return False
        yield Wake(q)
        yield WriteKernel((q, "pending"), True)
        return True


class SilentTx(Native):
    name = "does not notify transmit completions"

    def interrupt(self, q: str) -> Protocol:
        if q == "tx":
            return True
        return (yield from super().interrupt(q))


class TakesAllInterrupts(Native):
    name = "treats every interrupt as netmap's"

    def interrupt(self, q: str) -> Protocol:
        yield WriteKernel((q, "pending"), True)
        yield Wake(q)
        return True


class ResetWithoutNetmap(Native):
    name = "starts again without netmap_reset"

    def reset(self) -> Protocol:
        yield from self.stop()
        yield Do("device-start")
        yield Do("enable-rings")


class GivesUnread(Native):
    name = "gives the device slots that were not read, after a reset"

    def init_rx(self, q: str) -> Protocol:
        yield from super().init_rx(q)
        on = yield ReadKernel((q, "on"))
        if not on:
            return
        k: Kring = yield ReadKernel((q, "kring"))
        for d in range(k.n):
            yield Do("desc-write", (q, d, 12 + d, 0))
        yield Do("doorbell", (q, k.n - 1))


class KeptWithoutBuffer(Native):
    name = "leaves the kept slot's descriptor unwritten (e1000, e1000e)"

    def init_rx(self, q: str) -> Protocol:
        yield from super().init_rx(q)
        k: Kring = yield ReadKernel((q, "kring"))
        count = k.n - 1 - distance(k.hwcur, k.hwtail, k.n)
        yield Do("desc-forget", (q, count))


class StopsRunning(Native):
    name = "stops the device while syncs may run"

    def stop(self) -> Protocol:
        return (yield from _without(super().stop(), "disable-rings"))


class StaysDisabled(Native):
    name = "never enables its rings again"

    def start(self) -> Protocol:
        return (yield from _without(super().start(), "enable-rings"))


class NoCommit(Native):
    name = "leaves rings in their mode when they are to leave it"

    def register(self, on: bool, fds: int) -> Protocol:
        return (yield from super().register(on, fds) if on else self._stays(fds))

    def _stays(self, fds: int) -> Protocol:
        yield from self.stop()
        yield Do("device-start")
        yield Do("enable-rings")


class UnmarksEarly(Native):
    name = "leaves netmap mode with the first descriptor that goes"

    def register(self, on: bool, fds: int) -> Protocol:
        yield from super().register(on, fds if on else 0)


class IgnoresCarrier(Native):
    name = "sends without a carrier"

    def txsync(self, q: str, force: bool) -> Protocol:
        k: Kring = yield ReadKernel((q, "kring"))
        hwofs = yield ReadKernel((q, "hwofs"))
        if k.hwcur != k.rhead:
            k = yield from self.hand_over(q, k, hwofs)
        yield from self.reclaim(q, k, hwofs)
        return False


#: Each with the clause it breaks.
PLANTED: tuple[tuple[Native, str], ...] = (
    (TrustsHead(), "14.driver.positions"),
    (MovesRhead(), "14.driver.positions"),
    (SendsToCur(), "14.driver.tx-hands-over"),
    (StopsEarly(), "14.driver.tx-hands-over"),
    (NoDoorbell(), "14.driver.tx-hands-over"),
    (WrongIndex(), "14.driver.index"),
    (ReclaimsPending(), "14.driver.tx-reclaim"),
    (ReclaimsOneShort(), "14.driver.tx-reclaim"),
    (OldBuffer(), "14.driver.buf-changed"),
    (KeepsFlag(), "14.driver.buf-changed"),
    (NoReport(), "14.driver.report"),
    (KeepsReport(), "14.driver.report"),
    (TrustsSlots(), "14.driver.bad-slot"),
    (TrustsReleased(), "14.driver.bad-slot"),
    (ClearsAll(), "14.driver.own-slots"),
    (ReportsParts(), "14.driver.rx-reports"),
    (FlagsReversed(), "14.driver.rx-reports"),
    (MissesPending(), "14.driver.rx-reports"),
    (GivesAll(), "14.driver.rx-gives-back"),
    (ForgetsHwcur(), "14.driver.rx-gives-back"),
    (NotPending(), "14.driver.interrupt"),
    (SilentTx(), "14.driver.interrupt"),
    (TakesAllInterrupts(), "14.driver.interrupt"),
    (ResetWithoutNetmap(), "14.driver.reset"),
    (GivesUnread(), "14.driver.reset"),
    (KeptWithoutBuffer(), "14.driver.reset"),
    (StopsRunning(), "14.driver.stop"),
    (StaysDisabled(), "14.driver.stop"),
    (NoCommit(), "14.driver.register"),
    (UnmarksEarly(), "14.driver.register"),
    (IgnoresCarrier(), "14.driver.carrier"),
)

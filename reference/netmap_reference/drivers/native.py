"""A driver written out, for hardware with a descriptor for every slot: what a driver author starts from.

Read it beside the README: each routine is a generator of the effects :mod:`.bench` lists. The pure decisions
about positions are those of :mod:`..gen14.ports.nic`, which the device of this model runs too.
"""

from __future__ import annotations

from dataclasses import replace

from ..core.effects import Do, Protocol, ReadKernel, ReadUser, Wake, WriteKernel
from ..gen14.ports import device
from ..gen14.ports.nic import netmap_idx_k2n, netmap_idx_n2k
from ..gen14.ring import Kring, Slot, distance, nm_next, nm_prev
from .bench import BUF_SIZE, BUFFERS

CHANGED, REPORT, MOREFRAG = 0x1, 0x2, 0x20


class Native:
    """The routines of a driver; ``q`` is the ring, ``tx`` or ``rx``. A sync returns True to have it put back.

    ``early``: a txsync may stop before ``rhead``. ``copies``: the device has no buffers of its own, an rxsync
    copies into the slot's and looks at it only then.
    """

    name = "native"
    early = False
    copies = False

    # --- syncs ----------------------------------------------------------------------------------

    def txsync(self, q: str, force: bool) -> Protocol:
        """Hand new slots over, then take completed ones back."""
        carrier = yield Do("carrier")
        if not carrier:
            return False
        k: Kring = yield ReadKernel((q, "kring"))
        hwofs = yield ReadKernel((q, "hwofs"))
        if k.hwcur != k.rhead:
            k = yield from self.hand_over(q, k, hwofs)
        if force or k.rhead == k.hwtail:
            yield from self.reclaim(q, k, hwofs)
        return False

    def hand_over(self, q: str, k: Kring, hwofs: int) -> Protocol:
        i = k.hwcur
        while i != k.rhead:
            slot: Slot = yield ReadUser((q, "slot", i))
            sent = device.tx_slot(slot, BUFFERS, BUF_SIZE).state
            d = netmap_idx_k2n(hwofs, i, k.n)
            yield Do("desc-write", (q, d, sent.buf_idx, sent.len))
            if slot.flags & REPORT:
                yield Do("desc-report", (q, d))
            yield Do("slot-write", (q, i, replace(slot, flags=slot.flags & ~(CHANGED | REPORT))))
            i = nm_next(i, k.n - 1)
        k = replace(k, hwcur=k.rhead)
        yield WriteKernel((q, "kring"), k)
        yield Do("doorbell", (q, netmap_idx_k2n(hwofs, k.hwcur, k.n)))
        return k

    def reclaim(self, q: str, k: Kring, hwofs: int) -> Protocol:
        head = yield Do("device-head", (q,))
        hwtail = nm_prev(netmap_idx_n2k(hwofs, head, k.n), k.n - 1)
        yield WriteKernel((q, "kring"), replace(k, hwtail=hwtail))

    def rxsync(self, q: str, force: bool) -> Protocol:
        """Report what has come, then give released slots back."""
        carrier = yield Do("carrier")
        if not carrier:
            return False
        pending = yield ReadKernel((q, "pending"))
        if force or pending:
            yield WriteKernel((q, "pending"), False)
            yield from self.report(q)
        return (yield from self.give_back(q))

    def report(self, q: str) -> Protocol:
        k: Kring = yield ReadKernel((q, "kring"))
        hwofs = yield ReadKernel((q, "hwofs"))
        i = hwtail = k.hwtail
        found = []
        while True:
            status = yield Do("desc-read", (q, netmap_idx_k2n(hwofs, i, k.n)))
            if status is None:
                break
            found.append((i, *status))
            i = nm_next(i, k.n - 1)
            if not status[1]:
                continue
            for at, length, end in found:
                slot: Slot = yield ReadUser((q, "slot", at))
                yield Do("slot-write", (q, at, replace(slot, len=length, flags=0 if end else MOREFRAG)))
            found, hwtail = [], i
        yield WriteKernel((q, "kring"), replace(k, hwtail=hwtail))

    def give_back(self, q: str) -> Protocol:
        k: Kring = yield ReadKernel((q, "kring"))
        hwofs = yield ReadKernel((q, "hwofs"))
        if k.hwcur == k.rhead:
            return False
        i = k.hwcur
        while i != k.rhead:
            slot: Slot = yield ReadUser((q, "slot", i))
            good = yield Do("buffer", (slot.buf_idx,))
            if not good:
                return True
            yield Do("desc-write", (q, netmap_idx_k2n(hwofs, i, k.n), slot.buf_idx, 0))
            yield Do("slot-write", (q, i, replace(slot, flags=slot.flags & ~CHANGED)))
            i = nm_next(i, k.n - 1)
        yield WriteKernel((q, "kring"), replace(k, hwcur=k.rhead))
        yield Do("doorbell", (q, nm_prev(netmap_idx_k2n(hwofs, k.rhead, k.n), k.n - 1)))
        return False

    # --- everything else ------------------------------------------------------------------------

    def interrupt(self, q: str) -> Protocol:
        """The device has completed or filled something; False: not netmap's."""
        on = yield ReadKernel((q, "on"))
        if not on:
            return False
        if q == "rx":
            yield WriteKernel((q, "pending"), True)
        yield Wake(q)
        return True

    def register(self, on: bool, fds: int) -> Protocol:
        """Rings that are to change their mode do, and the device starts again. ``fds`` others are bound."""
        yield from self.stop()
        if on or fds == 0:
            yield Do("mark", (on,))
        yield Do("mode-commit", (on,))
        yield from self.start()

    def reset(self) -> Protocol:
        """The device starts again, for a reason of its own."""
        yield from self.stop()
        yield from self.start()

    def stop(self) -> Protocol:
        yield Do("disable-rings")
        yield Do("device-stop")

    def start(self) -> Protocol:
        yield from self.init_tx("tx")
        yield from self.init_rx("rx")
        yield Do("device-start")
        yield Do("enable-rings")

    def init_tx(self, q: str) -> Protocol:
        mine = yield Do("netmap-reset", (q,))
        if mine:
            yield Wake(q)

    def init_rx(self, q: str) -> Protocol:
        """Write the descriptors of all slots but the application's; the device may use all but one."""
        mine = yield Do("netmap-reset", (q,))
        if not mine:
            return
        k: Kring = yield ReadKernel((q, "kring"))
        hwofs = yield ReadKernel((q, "hwofs"))
        count = k.n - 1 - distance(k.hwcur, k.hwtail, k.n)
        for d in range(count + 1):
            slot: Slot = yield ReadUser((q, "slot", netmap_idx_n2k(hwofs, d, k.n)))
            good = yield Do("buffer", (slot.buf_idx,))
            yield Do("desc-write", (q, d, slot.buf_idx if good else 0, 0))
        yield Do("doorbell", (q, count))
        yield Wake(q)

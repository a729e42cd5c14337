"""What can happen to a port in the checker's scope, and what is looked at after each.

A move returns whether it happened at all; whatever the driver does wrong in it is a :class:`.bench.Broken`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol

from ..core.effects import Protocol as Routine
from ..gen14.ports.nic import netmap_idx_k2n
from ..gen14.ring import Slot, advance, distance, nm_next, nm_prev, slot_reinit
from .bench import BUF_SIZE, BUFFERS, Bench, Broken

CHANGED, REPORT = 0x1, 0x2
#: Lengths of the parts the device stores, and whether the frame ends there.
PARTS = ((50, True), (64, False))


class Driver(Protocol):
    """What a driver model has; :class:`.native.Native` says what each routine is for."""

    name: str
    early: bool
    copies: bool

    def txsync(self, q: str, force: bool) -> Routine: ...
    def rxsync(self, q: str, force: bool) -> Routine: ...
    def interrupt(self, q: str) -> Routine: ...
    def register(self, on: bool, fds: int) -> Routine: ...
    def reset(self) -> Routine: ...


# --- entering and leaving netmap mode ---------------------------------------------------------------


def enter(driver: Driver, b: Bench) -> None:
    """A descriptor is bound to the transmit ring, then another to the receive ring."""
    for fds, q in enumerate(("tx", "rx")):
        b.rings[q].wanted, b.log = True, []
        b.run(driver.register(True, fds))
        for each, ring in b.rings.items():
            if ring.on != ring.wanted:
                raise Broken("14.driver.register", f"{each} is {'on' if ring.on else 'off'} after a register")
        if not b.marked:
            raise Broken("14.driver.register", "the port is not marked")
        restarted(driver, b, "14.driver.register")
        for each in ("tx", "rx"):
            b.publish(each)


def restarted(driver: Driver, b: Bench, clause: str) -> None:
    """The device runs, the rings may be synced, and the device has what it should have."""
    if b.disabled:
        raise Broken("14.driver.stop", "the rings stay disabled")
    if not b.running:
        raise Broken(clause, "the device does not run")
    for q, ring in b.rings.items():
        if ring.on and ("reset", q) not in b.log:
            raise Broken("14.driver.reset", f"netmap_reset was not called for {q}")
    device_has(driver, b, "14.driver.reset")


def device_has(driver: Driver, b: Bench, clause: str) -> None:
    """The device may fill exactly the slots that are neither the application's nor kept."""
    ring, hw = b.rings["rx"], b.hw["rx"]
    if not ring.on:
        return
    k = ring.kring
    room = distance(hw.next, hw.tail, b.n) + len(hw.done)
    wanted = b.n - 1 - distance(k.hwcur, k.hwtail, b.n)
    if room != wanted:
        raise Broken(clause, f"the device has {room} slots, {wanted} are neither kept nor in use")
    first = b.place("rx", hw.next)
    for step in range(distance(hw.next, hw.tail, b.n) + 1):
        i = advance(first, step, b.n)
        found, slot = hw.desc[netmap_idx_k2n(ring.hwofs, i, b.n)], ring.slots[i]
        other = found is not None and found[0] != slot.buf_idx and 2 <= slot.buf_idx < BUFFERS
        if found is None or (other and not driver.copies):
            raise Broken(clause, f"slot {i} has buffer {slot.buf_idx}, its descriptor {found}")


# --- moves --------------------------------------------------------------------------------------------


def fill(driver: Driver, b: Bench) -> bool:
    return b.head("tx", 1)


def exchange(driver: Driver, b: Bench) -> bool:
    """The slot at head of the transmit ring gets another buffer."""
    k = b.rings["tx"].kring
    return k.rhead != k.rtail and _swap(b, "tx", k.rhead)


def spoil_tx(driver: Driver, b: Bench) -> bool:
    """A buffer that is none, and a length that is too much."""
    k, slots = b.rings["tx"].kring, b.rings["tx"].slots
    if k.rhead == k.rtail or slots[k.rhead].len > BUF_SIZE:
        return False
    slots[k.rhead] = Slot(BUFFERS + 7, BUF_SIZE + 9, CHANGED)
    return True


def ask_report(driver: Driver, b: Bench) -> bool:
    """The application wants to know when the slot at head of the transmit ring has been sent."""
    k, slots = b.rings["tx"].kring, b.rings["tx"].slots
    if k.rhead == k.rtail or slots[k.rhead].flags & REPORT:
        return False
    slots[k.rhead] = replace(slots[k.rhead], flags=slots[k.rhead].flags | REPORT)
    return True


def release(driver: Driver, b: Bench) -> bool:
    return b.head("rx", 1)


def exchange_rx(driver: Driver, b: Bench) -> bool:
    k = b.rings["rx"].kring
    return k.rhead != k.rtail and _swap(b, "rx", k.rhead)


def spoil_rx(driver: Driver, b: Bench) -> bool:
    k, slots = b.rings["rx"].kring, b.rings["rx"].slots
    if k.rhead == k.rtail or slots[k.rhead].buf_idx >= BUFFERS:
        return False
    slots[k.rhead] = replace(slots[k.rhead], buf_idx=BUFFERS + 7, flags=CHANGED)
    return True


def _swap(b: Bench, q: str, i: int) -> bool:
    slot = b.rings[q].slots[i]
    if slot.flags & CHANGED:
        return False
    b.rings[q].slots[i] = replace(slot, buf_idx=b.spare, flags=slot.flags | CHANGED)
    b.spare = slot.buf_idx if 2 <= slot.buf_idx < BUFFERS else 31
    return True


def completes(driver: Driver, b: Bench) -> bool:
    return b.complete()


def fills(part: tuple[int, bool]) -> Callable[[Driver, Bench], bool]:
    return lambda driver, b: b.fill(*part)


def interrupts(q: str) -> Callable[[Driver, Bench], bool]:
    def move(driver: Driver, b: Bench) -> bool:
        mine = b.run(driver.interrupt(q))
        wakes = [(what[1], what[2]) for what in b.log if what[0] == "wake"]
        if b.rings[q].on and (not mine or not wakes or wakes[0][0] != q):
            raise Broken("14.driver.interrupt", f"an interrupt of {q} wakes {wakes or 'nobody'}")
        if q == "rx" and not all(pending for _, pending in wakes):
            raise Broken("14.driver.interrupt", "who is woken finds the ring not marked as pending")
        return True

    return move


def off_interrupts(driver: Driver, b: Bench) -> bool:
    """Another port, not in netmap mode, interrupts."""
    other = Bench(b.n)
    if other.run(driver.interrupt("rx")) or any(what[0] == "wake" for what in other.log):
        raise Broken("14.driver.interrupt", "an interrupt of a ring that is not in netmap mode is netmap's")
    return False


def txsync(force: bool) -> Callable[[Driver, Bench], bool]:
    def move(driver: Driver, b: Bench) -> bool:
        ring, hw = b.rings["tx"], b.hw["tx"]
        k0, slots0, done = ring.kring, list(ring.slots), list(hw.done)
        again = b.run(driver.txsync("tx", force))
        k1 = ring.kring
        if not b.carrier:
            return _nothing(b, "tx", k0 != k1 or again)
        handed = _handed(driver, b, k0, slots0)
        _touched(b, "tx", set(_walk(k0.hwcur, k0.rhead, b.n)))
        taken = distance(k0.hwtail, k1.hwtail, b.n)
        if taken > len(done):
            raise Broken("14.driver.tx-reclaim", f"{taken} slots come back, {len(done)} were completed")
        if taken < len(done) and (force or k1.rhead == k0.hwtail):
            raise Broken("14.driver.tx-reclaim", f"{taken} slots come back of {len(done)} completed")
        if again:
            raise Broken("14.driver.bad-slot", "a txsync asks for its ring to be put back")
        del hw.done[:taken]
        b.publish("tx")
        return bool(handed or taken)

    return move


def _handed(driver: Driver, b: Bench, k0: Any, slots0: list[Slot]) -> int:
    """How many slots were handed over: in order, with what the slot said."""
    ring, hw = b.rings["tx"], b.hw["tx"]
    k1 = ring.kring
    count = distance(k0.hwcur, k1.hwcur, b.n)
    wanted = distance(k0.hwcur, k0.rhead, b.n)
    if count > wanted or (count < wanted and not driver.early):
        raise Broken("14.driver.tx-hands-over", f"{count} of {wanted} slots are handed over")
    for i in _walk(k0.hwcur, k1.hwcur, b.n):
        slot = slots0[i]
        good = _good(slot)
        said = (slot.buf_idx if good else 0, min(slot.len, BUF_SIZE))
        found = hw.desc[netmap_idx_k2n(ring.hwofs, i, b.n)]
        if found != said:
            clause = "14.driver.buf-changed" if slot.flags & CHANGED and good else "14.driver.tx-hands-over"
            if ring.hwofs and hw.desc[i] == said:
                clause = "14.driver.index"
            raise Broken(clause, f"slot {i} says {said}, its descriptor {found}")
        if ring.slots[i].flags & CHANGED:
            raise Broken("14.driver.buf-changed", f"slot {i} keeps NS_BUF_CHANGED")
        if ring.slots[i].flags & REPORT:
            raise Broken("14.driver.report", f"slot {i} keeps NS_REPORT")
        if slot.flags & REPORT and netmap_idx_k2n(ring.hwofs, i, b.n) not in hw.reports:
            raise Broken("14.driver.report", f"slot {i} has NS_REPORT, and no interrupt is asked for")
    place = netmap_idx_k2n(ring.hwofs, k1.hwcur, b.n)
    if count and hw.tail != place:
        raise Broken("14.driver.tx-hands-over", f"the device is told to go to {hw.tail}, not {place}")
    return count


def rxsync(force: bool) -> Callable[[Driver, Bench], bool]:
    def move(driver: Driver, b: Bench) -> bool:
        ring, hw = b.rings["rx"], b.hw["rx"]
        k0, slots0, done = ring.kring, list(ring.slots), list(hw.done)
        looks = force or ring.pending
        again = b.run(driver.rxsync("rx", force))
        k1 = ring.kring
        if not b.carrier:
            return _nothing(b, "rx", k0 != k1 or again)
        count = distance(k0.hwtail, k1.hwtail, b.n)
        whole = max((i + 1 for i, part in enumerate(done) if part[3]), default=0)
        unfit = [i for i in _walk(k0.hwtail, advance(k0.hwtail, whole, b.n), b.n) if not _good(slots0[i])]
        if unfit and driver.copies and looks:
            _put_back(b, unfit[0], again)
            return True
        if count > whole or (count < whole and looks):
            raise Broken("14.driver.rx-reports", f"{count} slots are reported, {whole} have whole frames")
        for i, (_, buf_idx, length, end) in zip(_walk(k0.hwtail, k1.hwtail, b.n), done, strict=False):
            slot = ring.slots[i]
            filled = slot.buf_idx if driver.copies else buf_idx
            if (slot.buf_idx, slot.len, slot.flags) != (filled, length, 0 if end else 0x20):
                raise Broken("14.driver.rx-reports", f"slot {i} is {slot}, the device filled {buf_idx}")
        released = list(_walk(k0.hwcur, k0.rhead, b.n))
        _touched(b, "rx", {*released, *_walk(k0.hwtail, k1.hwtail, b.n)})
        del hw.done[:count]
        bad = [i for i in released if not _good(slots0[i])]
        if bad and not driver.copies:
            _put_back(b, bad[0], again)
            return True
        if again or k1.hwcur != k0.rhead:
            raise Broken("14.driver.rx-gives-back", f"{released} released, hwcur is {k1.hwcur}")
        for i in released:
            d = netmap_idx_k2n(ring.hwofs, i, b.n)
            if hw.status[d] is not None:
                raise Broken("14.driver.rx-gives-back", f"descriptor {d} still counts as filled")
            found = hw.desc[d]
            other = found is not None and found[0] != slots0[i].buf_idx and not driver.copies
            if found is None or other or ring.slots[i].flags & CHANGED:
                raise Broken("14.driver.buf-changed", f"slot {i} is {slots0[i]}, descriptor {found}")
        device_has(driver, b, "14.driver.rx-gives-back")
        b.publish("rx")
        return True

    return move


def _good(slot: Slot) -> bool:
    return 2 <= slot.buf_idx < BUFFERS


def _put_back(b: Bench, first: int, again: bool) -> None:
    """A released slot had no buffer: the sync asks for its ring to be put back, which repairs it."""
    ring = b.rings["rx"]
    if not again:
        raise Broken("14.driver.bad-slot", f"slot {first} has no buffer, and the ring is not put back")
    k = ring.kring
    ring.slots = [slot_reinit(slot, BUFFERS, BUF_SIZE).state for slot in ring.slots]
    # The application repairs its slots.
    ring.slots = [replace(s, buf_idx=b.spare, flags=CHANGED) if s.buf_idx == 0 else s for s in ring.slots]
    ring.kring = replace(k, rhead=k.hwcur, rcur=k.hwcur, rtail=k.hwtail)


def resets(driver: Driver, b: Bench) -> bool:
    """The device starts again, whatever it was doing, between two syncs."""
    if any(r.kring.hwcur != r.kring.rhead for r in b.rings.values()):
        return False
    before = {q: (r.kring.rhead, r.kring.rcur, r.kring.rtail, list(r.slots)) for q, r in b.rings.items()}
    b.run(driver.reset())
    for q, (rhead, rcur, rtail, slots) in before.items():
        k = b.rings[q].kring
        if (k.rhead, k.rcur, k.rtail) != (rhead, rcur, rtail) or b.rings[q].slots != slots:
            raise Broken("14.driver.reset", f"{q}: what the application sees has moved")
    tx = b.rings["tx"].kring
    if tx.hwcur != tx.rhead or tx.hwtail != nm_prev(tx.rhead, b.n - 1):
        raise Broken("14.driver.reset", f"what was handed over does not count as sent: {tx}")
    restarted(driver, b, "14.driver.reset")
    return True


def link(up: bool) -> Callable[[Driver, Bench], bool]:
    def move(driver: Driver, b: Bench) -> bool:
        changed = b.carrier != up
        b.carrier = up
        return changed

    return move


def leaves(driver: Driver, b: Bench) -> bool:
    """The descriptor of the receive ring goes, then the last one."""
    other = b.clone()
    for fds, q in ((1, "rx"), (0, "tx")):
        other.rings[q].wanted, other.log = False, []
        other.run(driver.register(False, fds))
        if other.rings[q].on:
            raise Broken("14.driver.register", f"{q} stays in netmap mode")
        if any(other.hw[q].desc) or other.hw[q].next != other.hw[q].tail:
            raise Broken("14.driver.register", f"the device keeps buffers of {q}")
        if other.marked != bool(fds):
            raise Broken(
                "14.driver.register", f"the port is {'' if fds else 'still '}marked with {fds} bound"
            )
        restarted(driver, other, "14.driver.register")
    return False


def _nothing(b: Bench, q: str, moved: bool) -> bool:
    if moved or b.touched:
        raise Broken("14.driver.carrier", f"{q} moves without a carrier")
    return False


def _touched(b: Bench, q: str, allowed: set[int]) -> None:
    foreign = sorted(i for ring, i in b.touched if ring != q or i not in allowed)
    if foreign:
        raise Broken("14.driver.own-slots", f"slots {foreign} are changed, {sorted(allowed)} are in hand")


def _walk(start: int, end: int, n: int) -> Iterator[int]:
    while start != end:
        yield start
        start = nm_next(start, n - 1)


MOVES: dict[str, Callable[[Driver, Bench], bool]] = {
    "fill a slot": fill,
    "exchange a transmit buffer": exchange,
    "spoil a transmit slot": spoil_tx,
    "ask for a report": ask_report,
    "txsync, forced": txsync(True),
    "txsync": txsync(False),
    "the device sends": completes,
    "the device stores a frame": fills(PARTS[0]),
    "the device stores a part": fills(PARTS[1]),
    "transmit interrupt": interrupts("tx"),
    "receive interrupt": interrupts("rx"),
    "interrupt of another port": off_interrupts,
    "rxsync, forced": rxsync(True),
    "rxsync": rxsync(False),
    "release a slot": release,
    "exchange a receive buffer": exchange_rx,
    "spoil a receive slot": spoil_rx,
    "reset": resets,
    "the link goes": link(False),
    "the link comes": link(True),
    "leave netmap mode": leaves,
}

"""The bench a driver model runs on: one transmit and one receive ring, a device, and who may touch what.

Effects of a driver, with ``q`` being ``tx`` or ``rx``, ``i`` a slot and ``d`` a descriptor:

``ReadKernel((q, "kring"))``, ``(q, "hwofs")``, ``(q, "pending")``, ``(q, "on")``; ``WriteKernel`` likewise
``ReadUser((q, "slot", i))`` · ``Do("slot-write", (q, i, slot))``
``Do("buffer", (buf_idx,))``: is it a buffer of the region? · ``Do("carrier")``
``Do("desc-write", (q, d, buf_idx, len))`` · ``Do("desc-forget", (q, d))``
``Do("desc-report", (q, d))``: the device is to interrupt when it has completed what was written there
``Do("desc-read", (q, d))``: (len, end of frame), None while the device has it · ``Do("device-head", (q,))``
``Do("doorbell", (q, d))``: the device may use descriptors up to ``d``
``Do("disable-rings")`` · ``Do("enable-rings")`` · ``Do("device-stop")`` · ``Do("device-start")``
``Do("mark", (on,))``: the port is in netmap mode · ``Do("mode-commit", (on,))``
``Do("netmap-reset", (q,))``: is the ring in netmap mode? · ``Wake(q)``

Whatever a driver does that is wrong at once is a :class:`Broken`; the rest is found by :mod:`.checker`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ..core.effects import (
    Do,
    Effect,
    Fired,
    Protocol,
    ReadKernel,
    ReadUser,
    Wake,
    WriteKernel,
    WriteUser,
    run,
)
from ..gen14.ports import nic
from ..gen14.ring import Kring, Slot, advance, distance, nm_next

#: Buffers of the region are ``2 … BUFFERS-1``, ``BUF_SIZE`` bytes each.
BUFFERS, BUF_SIZE = 40, 64
_WORDS = ("head", "cur", "tail")


class Broken(Exception):
    """The driver broke a clause."""

    def __init__(self, clause: str, what: str) -> None:
        super().__init__(f"{clause}: {what}")
        self.clause = clause
        self.what = what


@dataclass(slots=True)
class Ring:
    """One ring as netmap has it and the driver sees it."""

    kring: Kring
    slots: list[Slot]
    hwofs: int = 0
    on: bool = False
    wanted: bool = False
    pending: bool = False


@dataclass(slots=True)
class Device:
    """One hardware ring: descriptors ``(buf_idx, len)``, the device's place ``next``, how far it may go.

    ``done`` are, oldest first, what was completed (tx: descriptors) or filled (rx: (descriptor, buffer, len,
    end of frame)) and not yet shown by ``hwtail``. ``reports``: descriptors whose completion is to be told.
    """

    desc: list[tuple[int, int] | None]
    next: int = 0
    tail: int = 0
    status: list[tuple[int, bool] | None] = field(default_factory=list)
    reports: frozenset[int] = frozenset()
    done: list[Any] = field(default_factory=list)


class Bench:
    """A port of one ring each way, ``n`` slots. ``log`` is what the driver did, in order."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.rings = {
            "tx": Ring(Kring(n, 0, n - 1, 0, 0, n - 1), [Slot(2 + i, 60) for i in range(n)]),
            "rx": Ring(Kring(n, 0, 0, 0, 0, 0), [Slot(12 + i, BUF_SIZE) for i in range(n)]),
        }
        self.hw = {q: Device([None] * n, status=[None] * n) for q in ("tx", "rx")}
        self.sent: list[tuple[int, int]] = []
        self.marked = self.running = self.disabled = False
        self.carrier = True
        self.spare = 30
        self.log: list[tuple[Any, ...]] = []
        self.touched: set[tuple[str, int]] = set()

    def clone(self) -> Bench:
        other = Bench.__new__(Bench)
        other.__dict__.update(self.__dict__)
        other.rings = {q: replace(r, slots=list(r.slots)) for q, r in self.rings.items()}
        other.hw = {
            q: replace(d, desc=list(d.desc), status=list(d.status), done=list(d.done))
            for q, d in self.hw.items()
        }
        other.sent, other.log, other.touched = list(self.sent), [], set()
        return other

    def key(self) -> Any:
        rings = tuple(
            (r.kring, tuple(r.slots), r.hwofs, r.on, r.wanted, r.pending) for r in self.rings.values()
        )
        hw = tuple(
            (tuple(d.desc), d.next, d.tail, tuple(d.status), tuple(d.done), d.reports)
            for d in self.hw.values()
        )
        return rings, hw, self.marked, self.running, self.disabled, self.carrier, self.spare

    def run(self, protocol: Protocol) -> Any:
        """Carry a driver's routine out. Raises :class:`Broken`."""
        return run(protocol, self)

    # --- effects --------------------------------------------------------------------------------

    def __call__(self, effect: Effect) -> Any:
        match effect:
            case ReadUser((q, "slot", i)):
                return self.rings[q].slots[i]
            case ReadUser((_, word)) | WriteUser((_, word)) if word in _WORDS:
                raise Broken("14.driver.positions", f"the driver goes to {word} of the shared page")
            case ReadKernel((q, word)):
                return getattr(self.rings[q], word)
            case WriteKernel((q, "kring"), kring):
                old = self.rings[q].kring
                if (old.rhead, old.rcur, old.rtail, old.n) != (kring.rhead, kring.rcur, kring.rtail, kring.n):
                    raise Broken("14.driver.positions", f"{q}: more than hwcur and hwtail changed: {kring}")
                self.rings[q].kring = kring
            case WriteKernel((q, word), value):
                setattr(self.rings[q], word, value)
            case Wake(q):
                self.log.append(("wake", q, self.rings[q].pending))
            case Fired(_):
                pass
            case Do(what, args):
                return getattr(self, "_do_" + what.replace("-", "_"))(*args)
            case _:
                raise TypeError(f"a driver has no {effect}")
        return None

    def _do_slot_write(self, q: str, i: int, slot: Slot) -> None:
        if self.rings[q].slots[i] != slot:
            self.touched.add((q, i))
        self.rings[q].slots[i] = slot

    def _do_buffer(self, buf_idx: int) -> bool:
        return 2 <= buf_idx < BUFFERS

    def _do_carrier(self) -> bool:
        return self.carrier

    def _do_desc_write(self, q: str, d: int, buf_idx: int, length: int) -> None:
        if not 0 <= d < self.n:
            raise Broken("14.driver.index", f"{q} descriptor {d} of {self.n}")
        if buf_idx == 1 or not 0 <= buf_idx < BUFFERS or not 0 <= length <= BUF_SIZE:
            raise Broken("14.driver.bad-slot", f"{q}: buffer {buf_idx}, {length} bytes reach the device")
        self.hw[q].desc[d], self.hw[q].status[d] = (buf_idx, length), None
        self.hw[q].reports -= {d}

    def _do_desc_report(self, q: str, d: int) -> None:
        self.hw[q].reports |= {d}

    def _do_desc_forget(self, q: str, d: int) -> None:
        self.hw[q].desc[d] = None

    def _do_desc_read(self, q: str, d: int) -> tuple[int, bool] | None:
        return self.hw[q].status[d]

    def _do_doorbell(self, q: str, d: int) -> None:
        if not 0 <= d < self.n:
            raise Broken("14.driver.index", f"{q} doorbell {d} of {self.n}")
        self.hw[q].tail = d

    def _do_device_head(self, q: str) -> int:
        return self.hw[q].next

    def _do_disable_rings(self) -> None:
        self.disabled = True

    def _do_enable_rings(self) -> None:
        self.disabled = False

    def _do_device_stop(self) -> None:
        if not self.disabled:
            raise Broken("14.driver.stop", "the device stops while syncs may run")
        self.running = False
        for device in self.hw.values():
            device.desc, device.status = [None] * self.n, [None] * self.n
            device.next = device.tail = 0
            device.done, device.reports = [], frozenset()

    def _do_device_start(self) -> None:
        self.running = True

    def _do_mark(self, on: bool) -> None:
        self.marked = on

    def _do_mode_commit(self, on: bool) -> None:
        for ring in self.rings.values():
            if ring.wanted == on:
                ring.on = on

    def _do_netmap_reset(self, q: str) -> bool:
        ring = self.rings[q]
        if not self.marked or not ring.wanted:
            ring.on = False
            return False
        step = nic.netmap_reset(ring.kring, q == "tx")
        ring.kring, ring.hwofs, ring.on = step.state.kring, step.state.hwofs, True
        self.log.append(("reset", q))
        return True

    # --- the device -----------------------------------------------------------------------------

    def place(self, q: str, d: int) -> int:
        """The slot of a descriptor."""
        return nic.netmap_idx_n2k(self.rings[q].hwofs, d, self.n)

    def complete(self) -> bool:
        """The device sends what its next descriptor says; False when it has nothing to send."""
        hw = self.hw["tx"]
        if not self.running or hw.next == hw.tail:
            return False
        found = hw.desc[hw.next]
        if found is None:
            raise Broken("14.driver.tx-hands-over", f"descriptor {hw.next} is to be sent and was not written")
        self.sent.append(found)
        hw.done.append(hw.next)
        hw.next = nm_next(hw.next, self.n - 1)
        return True

    def fill(self, length: int, end: bool) -> bool:
        """The device stores a part of a frame; False when it has no descriptor to use."""
        hw, ring = self.hw["rx"], self.rings["rx"]
        if not self.running or hw.next == hw.tail:
            return False
        found = hw.desc[hw.next]
        if found is None:
            raise Broken(
                "14.driver.rx-gives-back", f"descriptor {hw.next} is to be filled and was not written"
            )
        at, k = self.place("rx", hw.next), ring.kring
        if distance(k.hwcur, at, self.n) < distance(k.hwcur, k.hwtail, self.n):
            raise Broken(
                "14.driver.rx-gives-back", f"slot {at} is the application's, and the device fills it"
            )
        hw.status[hw.next] = (length, end)
        hw.done.append((hw.next, found[0], length, end))
        hw.next = nm_next(hw.next, self.n - 1)
        return True

    # --- netmap's side --------------------------------------------------------------------------

    def publish(self, q: str) -> None:
        """What a sync's end does: the application sees the kernel's tail."""
        ring = self.rings[q]
        ring.kring = replace(ring.kring, rtail=ring.kring.hwtail)

    def head(self, q: str, by: int) -> bool:
        """The application moves head and cur by so many slots, if it has them."""
        k = self.rings[q].kring
        if by > distance(k.rhead, k.rtail, self.n):
            return False
        head = advance(k.rhead, by, self.n)
        self.rings[q].kring = replace(k, rhead=head, rcur=head)
        return True

"""Chapter *NIC*: a port with hardware rings, as a netmap-capable driver or the emulated adapter syncs it.

Transmit: a txsync hands every slot up to ``head`` to the device and lets ``hwtail`` follow what the device
has completed. Receive: an rxsync reports the frames the device has stored, then gives the released slots
back to it. How far completion and arrival have got is the device's choice, in order and never
beyond what was handed over; when the device is quiet, everything is.

A driver keeps its own index into the hardware ring: the two differ by a constant (``hwofs``) since a device
that is reset starts again at 0 while the application's positions stay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...core.effects import Do, Fired, Protocol, ReadKernel, WriteKernel
from ...core.step import Step, rule
from ..ring import Kring, advance, distance, nm_next, nm_prev
from ..sync import reinit

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
KERN_H = "luigirizzo/netmap:sys/dev/netmap/netmap_kern.h@89607e14"
GENERIC_C = "luigirizzo/netmap:sys/dev/netmap/netmap_generic.c@89607e14"
E1000_H = "luigirizzo/netmap:LINUX/if_e1000_netmap.h@89607e14"

TX_SENT = rule("14/nic/txsync/sent", clause="14.nic.txsync", source=f"{E1000_H}:118-157")
TX_IDLE = rule("14/nic/txsync/nothing-new", clause="14.nic.txsync", source=f"{E1000_H}:118-119")
TX_STOPPED = rule("14/nic/txsync/stopped-early", clause="14.nic.stops-early", source=f"{GENERIC_C}:711-766")
TX_RECLAIM = rule("14/nic/txsync/reclaimed", clause="14.nic.reclaim", source=f"{E1000_H}:162-184")
RX_ARRIVED = rule("14/nic/rxsync/arrived", clause="14.nic.rxsync", source=f"{E1000_H}:224-264")
RX_QUIET = rule("14/nic/rxsync/nothing-arrived", clause="14.nic.rxsync", source=f"{E1000_H}:237-238")
RX_REFILL = rule("14/nic/rxsync/given-back", clause="14.nic.rxsync", source=f"{E1000_H}:269-303")
RX_BAD = rule("14/nic/rxsync/bad-buffer", clause="14.nic.bad-slot", source=f"{E1000_H}:278-279,308-309")
RESET_TX = rule("14/nic/reset/tx", clause="14.nic.reset", source=f"{NETMAP_C}:4403-4416,4442-4444")
RESET_RX = rule("14/nic/reset/rx", clause="14.nic.reset", source=f"{NETMAP_C}:4417-4431,4442-4444")


# --- index arithmetic -------------------------------------------------------------------------


def netmap_idx_k2n(hwofs: int, i: int, n: int) -> int:
    """The device's index of ring position ``i``. Source: netmap_kern.h netmap_idx_k2n."""
    if i < hwofs:
        return i - hwofs + n
    return i - hwofs


def netmap_idx_n2k(hwofs: int, i: int, n: int) -> int:
    """The ring position of the device's index ``i``. Source: netmap_kern.h netmap_idx_n2k."""
    if i + hwofs >= n:
        return i + hwofs - n
    return i + hwofs


def tx_pending(k: Kring) -> int:
    """Slots handed to the device and not reclaimed yet."""
    return distance(nm_next(k.hwtail, k.n - 1), k.hwcur, k.n)


def rx_room(k: Kring) -> int:
    """Slots the device may still fill: all but the application's and the one that is always kept."""
    return k.n - 1 - distance(k.hwcur, k.hwtail, k.n)


# --- positions --------------------------------------------------------------------------------


def nic_tx_send(k: Kring) -> Step[Kring]:
    """Everything up to ``head`` is the device's."""
    if k.hwcur == k.rhead:
        return Step(k, (TX_IDLE,))
    return Step(replace(k, hwcur=k.rhead), (TX_SENT,))


def nic_tx_stop(k: Kring, accepted: int) -> Step[Kring]:
    """The emulated adapter got rid of ``accepted`` slots only; the rest wait for the next txsync."""
    return Step(replace(k, hwcur=advance(k.hwcur, accepted, k.n)), (TX_STOPPED,))


def nic_tx_reclaim(k: Kring, hwofs: int, completed: int) -> Step[Kring]:
    """The device has completed ``completed`` more slots, ``0 <= completed <= tx_pending(k)``.

    The device says where it stands in its own index; the last slot before that is the new hwtail.
    """
    if completed == 0:
        return Step(k)
    next_to_clean = netmap_idx_k2n(hwofs, nm_next(k.hwtail, k.n - 1), k.n)
    device = advance(next_to_clean, completed, k.n)
    return Step(replace(k, hwtail=nm_prev(netmap_idx_n2k(hwofs, device, k.n), k.n - 1)), (TX_RECLAIM,))


def nic_rx_import(k: Kring, hwofs: int, arrived: int) -> Step[Kring]:
    """The device has filled ``arrived`` more slots, ``0 <= arrived <= rx_room(k)``."""
    if arrived == 0:
        return Step(k, (RX_QUIET,))
    device = advance(netmap_idx_k2n(hwofs, k.hwtail, k.n), arrived, k.n)
    return Step(replace(k, hwtail=netmap_idx_n2k(hwofs, device, k.n)), (RX_ARRIVED,))


def nic_rx_refill(k: Kring) -> Step[Kring]:
    """The released slots, up to ``head``, are the device's again."""
    if k.hwcur == k.rhead:
        return Step(k)
    return Step(replace(k, hwcur=k.rhead), (RX_REFILL,))


@dataclass(frozen=True, slots=True)
class Reset:
    """A ring after a reset of its device: positions and the new offset of the device's index."""

    kring: Kring
    hwofs: int


def netmap_reset(k: Kring, transmit: bool) -> Step[Reset]:
    """The device starts again at its index 0; the application's positions stay.

    What was handed over counts as sent, so a transmit ring is all the application's again; a receive
    ring keeps what was reported and not read. Source: netmap_reset.
    """
    if transmit:
        return Step(Reset(replace(k, hwcur=k.rhead, hwtail=nm_prev(k.rhead, k.n - 1)), k.rhead), (RESET_TX,))
    return Step(Reset(replace(k, hwcur=k.rhead), k.hwtail), (RESET_RX,))


# --- the syncs --------------------------------------------------------------------------------


def _store(ring: str, step: Step[Kring]) -> Protocol:
    for fired in step.fired:
        yield Fired(fired)
    yield WriteKernel((ring, "kring"), step.state)
    return step.state


def txsync(ring: str) -> Protocol:
    """The port's own part of a txsync."""
    k: Kring = yield ReadKernel((ring, "kring"))
    count = distance(k.hwcur, k.rhead, k.n)
    accepted = yield Do("nic-send", (ring, k.hwcur, count))
    k = yield from _store(ring, nic_tx_send(k) if accepted == count else nic_tx_stop(k, accepted))
    hwofs = yield ReadKernel((ring, "hwofs"))
    completed = yield Do("nic-completed", (ring, tx_pending(k)))
    yield from _store(ring, nic_tx_reclaim(k, hwofs, completed))
    return ""


def rxsync(ring: str, release_first: bool, switches: frozenset[str]) -> Protocol:
    """The port's own part of an rxsync.

    The emulated adapter takes released slots back before it looks for frames (``release_first``), a
    driver afterwards. A buffer that is not the pool's puts the ring back: the error is ``reinit``.
    """
    if release_first:
        bad = yield from _refill(ring)
        bad = bad or (yield from _import(ring))
    else:
        bad = yield from _import(ring)
        bad = bad or (yield from _refill(ring))
    if bad:
        yield Fired(RX_BAD)
        reset = yield from reinit(ring, switches)
        return "reinit" if reset else ""
    return ""


def _import(ring: str) -> Protocol:
    k: Kring = yield ReadKernel((ring, "kring"))
    hwofs = yield ReadKernel((ring, "hwofs"))
    arrived = yield Do("nic-receive", (ring, k.hwtail, rx_room(k)))
    if arrived < 0:
        return True
    yield from _store(ring, nic_rx_import(k, hwofs, arrived))
    return False


def _refill(ring: str) -> Protocol:
    k: Kring = yield ReadKernel((ring, "kring"))
    good = yield Do("nic-refill", (ring, k.hwcur, distance(k.hwcur, k.rhead, k.n)))
    if not good:
        return True
    yield from _store(ring, nic_rx_refill(k))
    return False

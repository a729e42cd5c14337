"""The NIC itself: descriptor rings, and what the hardware does with them on its own.

Plain state and plain functions; what the driver does is in :mod:`.nic`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from ..ring import next_pos

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TxRing:
    """A NIC's transmit ring: it sends ``head … tail-1``; the driver has reclaimed up to ``clean``.

    ``desc`` holds for each descriptor the buffer and the length in bytes it was filled with.
    """

    n: int
    head: int = 0
    tail: int = 0
    clean: int = 0
    desc: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class RxRing:
    """A NIC's receive ring: it fills descriptors ``head … tail-1``; the driver looks at ``check`` next.

    ``done`` and ``length`` are what the NIC wrote back for each descriptor, ``buffer`` where it writes;
    ``waiting`` are frames that found no descriptor, oldest first.
    """

    n: int
    head: int = 0
    tail: int = 0
    check: int = 0
    done: tuple[bool, ...] = ()
    length: tuple[int, ...] = ()
    buffer: tuple[int, ...] = ()
    waiting: tuple[bytes, ...] = ()


def fresh_tx(n: int) -> TxRing:
    """A transmit ring after the NIC was initialised."""
    return TxRing(n, desc=((0, 0),) * n)


def fresh_rx(n: int) -> RxRing:
    """A receive ring after the NIC was initialised; what was waiting is lost."""
    return RxRing(n, done=(False,) * n, length=(0,) * n, buffer=(0,) * n)


def put(items: tuple[T, ...], at: int, value: T) -> tuple[T, ...]:
    """The tuple with one item replaced."""
    return (*items[:at], value, *items[at + 1 :])


def rx_fill(nic: RxRing) -> tuple[RxRing, tuple[tuple[int, bytes], ...]]:
    """The NIC writes waiting frames into free descriptors; returns where each frame goes."""
    writes: list[tuple[int, bytes]] = []
    while nic.waiting and nic.head != nic.tail:
        frame, at = nic.waiting[0], nic.head
        writes.append((nic.buffer[at], frame))
        nic = replace(
            nic,
            head=next_pos(at, nic.n - 1),
            done=put(nic.done, at, True),
            length=put(nic.length, at, len(frame)),
            waiting=nic.waiting[1:],
        )
    return nic, tuple(writes)


def tx_send(nic: TxRing, most: int) -> tuple[TxRing, tuple[tuple[int, int], ...]]:
    """The NIC sends up to ``most`` frames (negative: all); returns their descriptors."""
    sent: list[tuple[int, int]] = []
    while nic.head != nic.tail and len(sent) != most:
        sent.append(nic.desc[nic.head])
        nic = replace(nic, head=next_pos(nic.head, nic.n - 1))
    return nic, tuple(sent)


def arrives(ring: RxRing, frame: bytes) -> RxRing:
    """A frame is on the wire, behind those that are waiting already."""
    return replace(ring, waiting=(*ring.waiting, frame))

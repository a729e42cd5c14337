"""Protocols as generators of effects.

Whatever has concurrency in it (poll, sync under locks, interrupts, wake-ups) is written as a
generator that *yields* what it does to the world and receives the answer::

    def rx_irq(na, q):
        yield Lock(f"rx{q}")
        yield Wake(f"rx{q}")
        yield Unlock(f"rx{q}")

The device model runs the effects one after the other (:func:`run`). The explorer of
``netmap_proofs`` interleaves several protocols at every effect and lets an adversary change
user-writable words between two reads. Both run the same generator.

A protocol must not keep state outside its own local variables and the effects' answers: the
explorer replays it from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Lock:
    """Take the named lock, waiting while another thread holds it."""

    name: str


@dataclass(frozen=True, slots=True)
class Unlock:
    """Release the named lock; it must be held by this thread."""

    name: str


@dataclass(frozen=True, slots=True)
class ReadUser:
    """Read one user-writable word; an adversary may have changed it since the last read.

    ``where`` names the word: ``("rx0", "cur")``, ``("tx1", "slot", 3, "buf_idx")``.
    """

    where: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class WriteUser:
    """Write one word of the shared region."""

    where: tuple[Any, ...]
    value: int


@dataclass(frozen=True, slots=True)
class ReadKernel:
    """Read one word of kernel state that other threads or the NIC may change."""

    where: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class WriteKernel:
    """Write one word of kernel state that other threads may read."""

    where: tuple[Any, ...]
    value: Any


@dataclass(frozen=True, slots=True)
class Do:
    """A call that is atomic at this level of detail, such as a driver's sync under its lock.

    The answer is whatever the world's handler for ``what`` returns.
    """

    what: str
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class SelRecord:
    """Put the calling thread on the wait queue of the named selinfo."""

    selinfo: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Wake every thread recorded on the named selinfo and empty its queue."""

    selinfo: str


@dataclass(frozen=True, slots=True)
class Sleep:
    """Sleep until woken through a selinfo this thread is recorded on (``tsleep`` names a channel)."""

    channel: str = ""


#: Kinds of memory barrier: what is kept in order on both sides of one.
STST = "store-store"
LDLD = "load-load"
STLD = "store-load"


@dataclass(frozen=True, slots=True)
class Fence:
    """A memory barrier of the thread that yields it.

    ``kind``: :data:`STST` keeps stores in order, :data:`LDLD` loads, :data:`STLD` everything. ``site`` names
    the place in the protocol, so that a proof can take one barrier away: ``csb/kernel-read/head``.
    """

    kind: str
    site: str


@dataclass(frozen=True, slots=True)
class Fired:
    """Report a rule; it has no effect on the world."""

    rule: str


Effect: TypeAlias = (
    Lock
    | Unlock
    | ReadUser
    | WriteUser
    | ReadKernel
    | WriteKernel
    | Do
    | SelRecord
    | Wake
    | Sleep
    | Fence
    | Fired
)
Protocol: TypeAlias = Generator[Effect, Any, Any]


def run(protocol: Protocol, execute: Callable[[Effect], Any]) -> Any:
    """Run a protocol to its end, answering every effect with ``execute(effect)``; return its result."""
    answer: Any = None
    try:
        while True:
            answer = execute(protocol.send(answer))
    except StopIteration as end:
        return end.value

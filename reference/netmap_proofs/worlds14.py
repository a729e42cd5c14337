"""Small worlds of generation 14 for the explorer: the two ends of a pipe, and those who wait there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from netmap_reference.core.effects import Protocol, Sleep, WriteUser
from netmap_reference.gen14 import poll, sync
from netmap_reference.gen14.ring import CONTRACT, Kring, nm_prev

from .explorer.scenario import Handler, Memory, Where

Make = Callable[..., Protocol]

#: Slots of each ring: one in the receiver's hands, one under way, one that stays free.
SLOTS = 3
#: The transmit ring of one end and the receive ring of the other.
TX, RX = "a:tx0", "b:rx0"


#: What every proof about poll's sleepers takes for granted.
WAKEUPS = """Who can go on does so in the end, in any order; nobody is woken without a reason
    (14.poll.spurious-wake-ups), no time runs out. The wake-up is owed once what is waited for is there."""


# --- threads --------------------------------------------------------------------------------------


def select(
    polling: Make, fd: poll.Bound, want_tx: bool, tx_port: Any, rx_port: Any, lock_free: bool
) -> Protocol:
    """A thread in poll: scan, and sleep until a selinfo it is recorded on was woken; then scan again."""
    while True:
        found = yield from polling(fd, want_tx, not want_tx, tx_port, rx_port, CONTRACT, lock_free)
        if found.tx or found.rx or found.error:
            return found
        yield Sleep()


def send(count: int, tx_port: Any) -> Protocol:
    """A program that fills ``count`` slots, one sync each."""
    for head in range(1, count + 1):
        yield WriteUser((TX, "head"), head)
        yield WriteUser((TX, "cur"), head)
        yield from sync.sync_all((TX,), True, tx_port)


def release(rx_port: Any) -> Protocol:
    """A program that gives one received slot back."""
    yield WriteUser((RX, "head"), 1)
    yield WriteUser((RX, "cur"), 1)
    yield from sync.sync_all((RX,), False, rx_port)


# --- memory ---------------------------------------------------------------------------------------


def _ring(ring: str, peer: str, k: Kring, pipe_tail: int, all_rings: bool) -> dict[Where, Any]:
    return {
        (ring, "kring"): k,
        (ring, "pipe_tail"): pipe_tail,
        (ring, "pipe"): peer,
        (ring, "si"): ring[:4],
        (ring, "si_users"): int(all_rings),
        (ring, "intercepted"): False,
        (ring, "forwarded"): False,
        (ring, "transparent"): False,
        (ring, "busy"): False,
        (ring, "head"): k.rhead,
        (ring, "cur"): k.rcur,
        (ring, "tail"): k.rtail,
        (ring, "flags"): 0,
    }


def pipe(full: bool, all_rings: bool) -> dict[Where, Any]:
    """A pipe with nothing in it, or ``full``: everything sent and published, nothing released."""
    last = SLOTS - 1
    if full:
        tx, rx = Kring(SLOTS, last, last, last, last, last), Kring(SLOTS, 0, last, 0, 0, last)
        published = last
    else:
        tx, rx, published = Kring(SLOTS, 0, last, 0, 0, last), Kring(SLOTS, 0, 0, 0, 0, 0), 0
    released = nm_prev(rx.hwcur, last)
    return {**_ring(TX, RX, tx, released, all_rings), **_ring(RX, TX, rx, published, all_rings)}


def readable(at: Memory) -> bool:
    """The sender has published something that the receiver has not seen."""
    return bool(at[RX, "pipe_tail"] != at[RX, "kring"].rcur)


def writable(at: Memory) -> bool:
    """The receiver has released something that the sender does not know of."""
    return bool(at[TX, "pipe_tail"] != at[TX, "kring"].rcur)


# --- handlers ---------------------------------------------------------------------------------------


def _tryget(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
    busy = (args[0], "busy")
    yield (False, at) if at[busy] else (True, at.set((busy, True)))


def _put(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
    yield None, at.set(((args[0], "busy"), False))


HANDLERS: dict[str, Handler] = {"tryget": _tryget, "put": _put}
#: A pipe's slots end a packet each, nothing is forwarded and nobody asks for the time.
IMMEDIATE: dict[str, Any] = {
    "pipe-slot": 0,
    "reinit-slots": None,
    "forward-up": None,
    "stamp-wanted": False,
}


def port(function: Make) -> Callable[[str, bool], Protocol]:
    """A pipe's own sync as poll and the ioctls call it."""
    return lambda ring, force: function(ring)


def everyone(threads: dict[str, Any]) -> dict[str, Callable[[], Protocol]]:
    """Thread makers by name, from ``(function, argument …)`` tuples."""
    return {name: partial(*call) for name, call in threads.items()}

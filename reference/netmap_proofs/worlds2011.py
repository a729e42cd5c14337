"""Small worlds of generation 2011 for the explorer: an interface, its driver and NIC, and those who wait.

The protocols are the model's own; what is added here is what surrounds them in a kernel: the loop of
select, the NIC that finishes a frame, the driver's interrupt handler that marks the ring and calls
netmap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netmap_reference.core.effects import Do, Effect, Lock, Protocol, Sleep, Unlock
from netmap_reference.gen2011.attach import Adapter
from netmap_reference.gen2011.ports import nic, nicring
from netmap_reference.gen2011.ring import Kring

from .explorer.scenario import Handler, Memory, Scenario, Where, inline, without

Make = Callable[..., Protocol]


#: Slots of each ring: enough for a frame, a free slot, and the one that stays back.
SLOTS = 3
#: Buffers the pool is said to have.
BUFFERS = 64


def is_lock(effect: Effect) -> bool:
    """Is this the taking or giving back of a lock?"""
    return isinstance(effect, (Lock, Unlock))


def without_locks(make: Callable[..., Protocol]) -> Callable[..., Protocol]:
    """The protocol with every lock left out: the planted bug of most obligations here."""

    def unlocked(*arguments: Any) -> Protocol:
        return without(make(*arguments), is_lock)

    return unlocked


def adapter(queues: int, separate: bool) -> Adapter:
    return Adapter("nic0", queues, SLOTS, SLOTS, separate)


@dataclass(frozen=True)
class Drivers:
    """The syncs that ``Do("txsync")`` and the like stand for in poll and in the ioctls."""

    rxsync: Make
    txsync: Make
    from_host: Make
    to_host: Make

    def calls(self, na: Adapter, switches: frozenset[str]) -> dict[str, Callable[..., Protocol]]:
        return {
            "rxsync": lambda q, lock: self.rxsync(na, q, lock, switches),
            "txsync": lambda q, lock: self.txsync(na, q, lock, switches),
            "sync_from_host": lambda record=False: self.from_host(na, record, switches),
            "sync_to_host": lambda: self.to_host(na, switches),
        }


# --- threads --------------------------------------------------------------------------------------


def select(poll: Make, na: Adapter, events: int, switches: frozenset[str]) -> Protocol:
    """A thread in select: scan, and sleep until a selinfo it is recorded on was woken; then scan again."""
    while True:
        revents = yield from poll(na, events, switches)
        if revents:
            return revents
        yield Sleep()


def receive(na: Adapter, q: int, irq: Make, interrupt: Make, switches: frozenset[str]) -> Protocol:
    """A frame arrives on queue ``q``; its driver marks the ring under its lock and calls netmap."""
    yield Do("nic.frame", (q,))
    lock = nic.lock_name(na, f"rx{q}")
    yield Lock(lock)
    yield from interrupt(na, q)
    yield Unlock(lock)
    yield from irq(na, False, q, switches)


def complete(na: Adapter, q: int, irq: Make, switches: frozenset[str]) -> Protocol:
    """The NIC has sent everything of queue ``q`` and says so."""
    yield Do("nic.sent", (q,))
    yield from irq(na, True, q, switches)


# --- memory and handlers ----------------------------------------------------------------------------


def _rings(na: Adapter, side: str, avail: int) -> Iterator[tuple[Where, Any]]:
    for q in range(na.num_queues + 1):
        ring = f"{side}{q}"
        yield (ring, "kring"), Kring(SLOTS, 0, avail)
        yield (ring, "cur"), 0
        yield (ring, "avail"), avail
        for slot in range(SLOTS):
            yield (ring, "slot", slot, "buf_idx"), 2 + slot
            yield (ring, "slot", slot, "len"), 60
            yield (ring, "slot", slot, "flags"), 0


def memory(na: Adapter, tx_full: bool = False) -> dict[Where, Any]:
    """Empty receive rings with descriptors posted; transmit rings idle, or ``tx_full`` and all under way."""
    words = dict(_rings(na, "rx", 0))
    words.update(_rings(na, "tx", 0 if tx_full else SLOTS - 1))
    for q in range(na.num_queues):
        words["nic", "rx", q] = replace(nicring.fresh_rx(SLOTS), tail=SLOTS - 1)
        idle = nicring.fresh_tx(SLOTS)
        words["nic", "tx", q] = replace(idle, tail=SLOTS - 1) if tx_full else idle
    return words


def _hwcur(ring: str, at: Memory) -> Any:
    return at[ring, "kring"].hwcur


def constants(tx_poll: bool) -> dict[Where, Any]:
    """Words nobody changes in these worlds."""
    return {
        ("sysctl", "verbose"): 0,
        ("sysctl", "no_timestamp"): 0,
        ("sysctl", "no_pendintr"): 0,
        ("if", "capenable"): True,
        ("priv", "txpoll"): int(tx_poll),
        ("mem", "total"): BUFFERS,
    }


def immediate(first: int, last: int) -> dict[str, Any]:
    """Calls that touch nothing anybody else sees. ``first … last-1`` is the descriptor's selection."""
    nothing = ("log", "microtime", "m_freem", "m_copydata", "send_up", "nic.tx_desc", "nic.rx_desc")
    return {"selection": (first, last), "m_devget": b"frame", **dict.fromkeys(nothing)}


def _on(side: str, change: Callable[..., Any]) -> Handler:
    """A handler that changes one NIC ring by ``change(ring, *args)``."""

    def handle(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
        where = ("nic", side, args[0])
        yield None, at.set((where, change(at[where], *args[1:])))

    return handle


def _look(side: str) -> Handler:
    def handle(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
        yield at["nic", side, args[0]], at

    return handle


def handlers() -> dict[str, Handler]:
    """What the NIC does, by the model's own functions on its rings."""
    return {
        "nic.rx": _look("rx"),
        "nic.tx": _look("tx"),
        "nic.frame": _on("rx", lambda ring: nicring.rx_fill(nicring.arrives(ring, b"frame"))[0]),
        "nic.rx_check": _on("rx", lambda ring, at: replace(ring, check=at)),
        "nic.rx_tail": _on("rx", lambda ring, at: replace(ring, tail=at)),
        "nic.sent": _on("tx", lambda ring: nicring.tx_send(ring, -1)[0]),
        "nic.tx_clean": _on("tx", lambda ring, at: replace(ring, clean=at)),
        "nic.tx_tail": _on("tx", lambda ring, at: replace(ring, tail=at)),
    }


def frames_ready(na: Adapter) -> Callable[[Memory], bool]:
    """A frame that the NIC has received, or that is in a receive ring already."""

    def ready(at: Memory) -> bool:
        rings = [at["nic", "rx", q] for q in range(na.num_queues)]
        return any(r.done[r.check] for r in rings) or any(
            at[f"rx{q}", "kring"].hwavail > 0 for q in range(na.num_queues)
        )

    return ready


def slots_ready(na: Adapter) -> Callable[[Memory], bool]:
    """A transmit slot that is free, or whose frame has left."""

    def ready(at: Memory) -> bool:
        rings = [at["nic", "tx", q] for q in range(na.num_queues)]
        return any(r.clean != r.head for r in rings) or any(
            at[f"tx{q}", "kring"].hwavail > 0 for q in range(na.num_queues)
        )

    return ready


def world(
    na: Adapter,
    threads: Mapping[str, Callable[[], Protocol]],
    drivers: Drivers,
    switches: frozenset[str],
    *,
    selection: tuple[int, int] | None = None,
    tx_full: bool = False,
    tx_poll: bool = False,
    words: Mapping[Where, Any] | None = None,
    **rest: Any,
) -> Scenario:
    """The scenario of these threads on one interface; ``rest`` goes to :class:`Scenario` (waits, always
    …)."""
    first, last = selection or (0, na.num_queues)
    calls = drivers.calls(na, switches)

    def carried_out(make: Callable[[], Protocol]) -> Callable[[], Protocol]:
        return lambda: inline(make(), calls)

    return Scenario(
        threads={name: carried_out(make) for name, make in threads.items()},
        memory={**memory(na, tx_full), **(words or {})},
        derived={(f"tx{q}", "hwcur"): partial(_hwcur, f"tx{q}") for q in range(na.num_queues)},
        constants=constants(tx_poll),
        immediate=immediate(first, last),
        do=handlers(),
        **rest,
    )

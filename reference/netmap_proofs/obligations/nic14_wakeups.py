"""Generation 14: no wake-up of a device, of the host stack or across two rings is lost while a thread polls.

The explorer runs every interleaving of poll, of the port's own syncs and of whoever tells of news. What a
sync finds is the device's choice: at least what an interrupt has announced, at most what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from netmap_reference.core.effects import Protocol, Wake, WriteKernel
from netmap_reference.gen14 import notify, poll
from netmap_reference.gen14.ports import host, nic
from netmap_reference.gen14.ring import CONTRACT, Kring

from ..engine import Proof
from ..explorer import Scenario, explored
from ..explorer.scenario import Handler, Memory, Where, without
from ..explorer.search import LOST
from ..obligation import Control, obligation
from ..worlds14 import HANDLERS, IMMEDIATE, SLOTS, WAKEUPS, Make, select

_LAST = SLOTS - 1


def _ring(name: str, k: Kring, all_rings: bool) -> dict[Where, Any]:
    """A ring of the port, and ``there``: frames that a device or the stack stored, or slots that are done."""
    return {
        (name, "kring"): k, (name, "hwofs"): 0, (name, "there"): 0, (name, "announced"): 0,
        (name, "si"): name[:2], (name, "si_users"): int(all_rings), (name, "intercepted"): False,
        (name, "forwarded"): False, (name, "busy"): False, (name, "flags"): 0, (name, "transparent"): False,
        (name, "head"): k.rhead, (name, "cur"): k.rcur, (name, "tail"): k.rtail,
    }  # fmt: skip


def _found(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[int, Memory]]:
    """A device's answer: any number between what was announced and what there is, within the room."""
    name, room = args[0], args[-1]
    there, announced = at[name, "there"], at[name, "announced"]
    most = min(there, room)
    for count in range(min(announced, most), most + 1):
        yield (
            count,
            at.set(((name, "there"), there - count), ((name, "announced"), max(0, announced - count))),
        )


def _taken(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[int, Memory]]:
    """The frames that the host stack has queued, as far as there is room."""
    name, room = args[0], args[-1]
    count = min(at[name, "there"], room)
    yield count, at.set(((name, "there"), at[name, "there"] - count))


_DO: Mapping[str, Handler] = {
    **HANDLERS,
    "nic-receive": _found,
    "nic-completed": _found,
    "host-import": _taken,
}


def _tells(name: str, telling: Callable[[str], Protocol]) -> Protocol:
    """One more is there, and whoever waits is told."""
    yield WriteKernel((name, "there"), 1)
    yield from telling(name)


def _is_there(name: str, at: Memory) -> bool:
    return bool(at[name, "there"])


def _stray(*selinfos: str) -> Protocol:
    """Somebody wakes for nothing those who wait, each once."""
    for selinfo in selinfos:
        yield Wake(selinfo)


def nic_body(
    p: Proof, polling: Make, txsync: Make, rxsync: Make, interrupt: Make, stray: bool = False
) -> None:
    full, empty = Kring(SLOTS, _LAST, _LAST, _LAST, _LAST, _LAST), Kring(SLOTS, 0, 0, 0, 0, 0)
    quiet = IMMEDIATE | {"nic-send": 0, "nic-refill": True}

    def tx_port(name: str, force: bool) -> Protocol:
        return txsync(name)

    def rx_port(name: str, force: bool) -> Protocol:
        return rxsync(name, False, p.switches)

    for lock_free in (False, True):
        for rings, transmit in ((1, False), (2, False), (1, True), (2, True)):
            names = tuple(f"{'tx' if transmit else 'rx'}{i}" for i in range(rings))
            si = names[0] if rings == 1 else names[0][:2]
            fd = poll.Bound(names, (), si, "rx") if transmit else poll.Bound((), names, "tx", si)
            memory: dict[Where, Any] = {}
            for name in names:
                memory |= _ring(name, full if transmit else empty, rings > 1)
            threads: dict[str, Callable[[], Protocol]] = {
                "poll": partial(select, polling, fd, transmit, tx_port, rx_port, lock_free),
                "device": partial(_tells, names[-1], partial(interrupt, count=1)),
            }
            if stray:
                threads["stray"] = partial(_stray, si, si)
            scenario = Scenario(
                threads, memory=memory, do=_DO, immediate=quiet,
                waits={"poll": partial(_is_there, names[-1])},
            )  # fmt: skip
            what = f"{rings} ring(s), for {'room' if transmit else 'packets'}"
            explored(p, scenario, label=f"{'FreeBSD' if lock_free else 'Linux'}, {what}")


def _only_then(ring: str, count: int) -> Protocol:
    """Whoever waits is woken, and the device tells afterwards what of."""
    yield Wake(ring)
    yield Wake(ring[:2])
    yield from without(notify.interrupt(ring, count), lambda e: isinstance(e, Wake))


_BOUNDS = f"""Rings of {SLOTS} slots, one and two of them bound, one frame or one completed slot: nothing is
counted but whether there is something."""

obligation(
    "14.poll.no-lost-wake-up.nic",
    clauses=("14.poll.wakeup", "14.nic.rxsync", "14.nic.reclaim"),
    statement="""A thread that polls rings of a NIC, one or several, for packets or for room, never sleeps for
    good when the device has stored a frame or is done with a slot, and has told so.""",
    functions=(poll.poll, nic.txsync, nic.rxsync, notify.interrupt),
    control=Control(
        "the device wakes before it tells what of", poll.poll, nic.txsync, nic.rxsync, _only_then, goal=LOST
    ),
    assumptions=f"""Each ring is synced by one thread at a time (14.sync.busy); a sync finds at least what an
    interrupt has announced. {WAKEUPS}""",
    bounds=_BOUNDS,
    rules=(
        poll.RECORDED, poll.RX_READY, poll.TX_READY, poll.RX_AGAIN, poll.TX_AGAIN, nic.RX_ARRIVED,
        nic.RX_QUIET, nic.TX_RECLAIM, notify.INTERRUPT, notify.NOTIFY, notify.NOTIFY_PORT,
    ),
)(nic_body)  # fmt: skip


def stray_body(p: Proof, polling: Make, txsync: Make, rxsync: Make, interrupt: Make) -> None:
    nic_body(p, polling, txsync, rxsync, interrupt, stray=True)


obligation(
    "14.poll.spurious-wake-ups",
    clauses=("14.poll.wakeup",),
    statement="""Who is woken for nothing, at any time and more than once, looks again and sleeps again: the
    wake-up that is owed (14.poll.no-lost-wake-up.nic) comes all the same.""",
    functions=(poll.poll, nic.txsync, nic.rxsync, notify.interrupt),
    control=Control(
        "the device wakes before it tells what of", poll.poll, nic.txsync, nic.rxsync, _only_then, goal=LOST
    ),
    assumptions="As 14.poll.no-lost-wake-up.nic.",
    bounds=f"""{_BOUNDS} Who waits is woken twice for nothing: it starts over each time, so a third time is as
    the second.""",
    rules=(poll.RECORDED, poll.RX_READY, poll.TX_READY, notify.INTERRUPT, notify.NOTIFY, notify.NOTIFY_PORT),
)(stray_body)


# --- the host stack -----------------------------------------------------------------------------------------


def host_body(p: Proof, polling: Make, rxsync: Make, telling: Make) -> None:
    def rx_port(name: str, force: bool) -> Protocol:
        return rxsync(name, None)

    for lock_free in (False, True):
        for together in (False, True):
            names = ("rx0", "rx1") if together else ("rx1",)
            memory: dict[Where, Any] = {}
            for name in names:
                memory |= _ring(name, Kring(SLOTS, 0, 0, 0, 0, 0), together)
            fd = poll.Bound((), names, "tx", "rx" if together else "rx1")

            def port(name: str, force: bool) -> Protocol:
                return rx_port(name, force) if name == "rx1" else nic.rxsync(name, False, CONTRACT)

            scenario = Scenario(
                {
                    "poll": partial(select, polling, fd, False, port, port, lock_free),
                    "stack": partial(_tells, "rx1", telling),
                },
                memory=memory,
                do=_DO,
                immediate=IMMEDIATE | {"nic-refill": True},
                waits={"poll": lambda at: bool(at["rx1", "there"])},
            )
            explored(p, scenario, label=f"{'FreeBSD' if lock_free else 'Linux'}, {len(names)} ring(s)")


def _only_alone(ring: str) -> Protocol:
    """Those who wait for several rings are not woken."""
    yield from without(notify.notify(ring), lambda e: e == Wake("rx"))


obligation(
    "14.poll.no-lost-wake-up.host",
    clauses=("14.poll.wakeup", "14.host.rx"),
    statement="""A thread that polls a host ring, alone or with a hardware ring, never sleeps for good when
    the host stack has queued a frame for it.""",
    functions=(poll.poll, host.rxsync, notify.notify),
    control=Control("who waits for several is not woken", poll.poll, host.rxsync, _only_alone, goal=LOST),
    assumptions=f"Each ring is synced by one thread at a time (14.sync.busy). {WAKEUPS}",
    bounds=_BOUNDS,
    rules=(poll.RECORDED, poll.RX_READY, notify.NOTIFY, notify.NOTIFY_PORT),
)(host_body)

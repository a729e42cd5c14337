"""Generation 14: the locks of switches and monitors, when both kinds meet in one call.

A packet for a switch's port is stored under the lock of its receive ring; a monitor that watches that ring
is shown it under the lock of its own. The explorer runs senders and the receiver against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from netmap_reference.core.effects import Lock, Protocol, Unlock
from netmap_reference.gen14 import lease, sync
from netmap_reference.gen14.ports import monitor, vale
from netmap_reference.gen14.ring import CONTRACT, Kring

from ..engine import Proof
from ..explorer import Scenario, explored
from ..explorer.scenario import Memory
from ..explorer.search import ORDER
from ..obligation import Control, obligation
from ..worlds14 import HANDLERS, WAKEUPS
from .monitor14 import looking

Make = Callable[..., Protocol]
TO, MONITOR = "b:rx0", "m:rx0"
_N = 3


def _ring(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
    yield at[args[0], "kring"], at


def _needed(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
    yield (args[2], len(args[2])), at


def locks_body(p: Proof, deliver: Make, rxsync: Make, watched_notify: Make, watched_rxsync: Make) -> None:
    packets = ((vale.Fragment(10, 60),),)

    def port(name: str, force: bool) -> Protocol:
        return watched_rxsync(name, partial(rxsync, name), CONTRACT)

    def receiver() -> Protocol:
        return sync.sync_all((TO,), False, port)

    def sender(name: str) -> Protocol:
        return looking(deliver(name, TO, packets), watched_notify, rxsync, CONTRACT)

    scenario = Scenario(
        {
            "a": partial(sender, "a:tx0"),
            "c": partial(sender, "c:tx0"),
            "receiver": receiver,
        },
        memory={
            (TO, "kring"): Kring(_N, 0, 0, 0, 0, 0), (TO, "lease"): lease.fresh(_N),
            (TO, "busy"): False, (TO, "seen"): 0, (MONITOR, "kring"): Kring(_N, 0, 0, 0, 0, 0),
            (TO, "head"): 0, (TO, "cur"): 0, (TO, "tail"): 0,
        },
        constants={
            (TO, "si"): "b:rx", (TO, "si_users"): 0, (TO, "intercepted"): True, (TO, "flags"): 0,
            (TO, "transparent"): False, (TO, "copies"): (MONITOR,), (TO, "zmon"): ("", ""),
            (TO, "stacked"): False,
            (MONITOR, "intercepted"): False, (MONITOR, "si_users"): 0, (MONITOR, "si"): "m:rx",
        },
        do=HANDLERS | {"monitor-ring": _ring, "vale-needed": _needed},
        immediate={
            "vale-put": 1, "vale-empty": None, "monitor-copy": None, "reinit-slots": None, "forward-up": None,
            "stamp-wanted": False,
        },
    )  # fmt: skip
    explored(p, scenario)


def _nests(name: str, own: Any, switches: frozenset[str]) -> Protocol:
    """A look that keeps the monitor's lock while it takes the watched ring's."""
    lock = f"{MONITOR} q_lock"
    yield Lock(lock)
    protocol, answer = monitor.watched_rxsync(name, own, switches), None
    try:
        while True:
            effect = protocol.send(answer)
            mine = isinstance(effect, (Lock, Unlock)) and effect.name == lock
            answer = None if mine else (yield effect)
    except StopIteration as end:
        yield Unlock(lock)
        return end.value


def _publishes_under_both(sender: str, to: str, packets: Any) -> Protocol:
    """What was filled is published while the monitor's lock is held inside the ring's."""
    protocol, answer = vale.deliver(sender, to, packets), None
    inner = f"{MONITOR} q_lock"
    try:
        while True:
            effect = protocol.send(answer)
            answer = yield effect
            if isinstance(effect, Lock):
                yield Lock(inner)
                yield Unlock(inner)
    except StopIteration as end:
        return end.value


obligation(
    "14.vale.locks",
    clauses=("14.vale.lease", "14.monitor.wakeup", "14.sync.busy"),
    statement="""Senders to a watched ring of a switch and its receiver give back every lock they take, in
    one order, and never wait for each other in a circle: no ring's lock is taken while another one is held,
    and a ring that somebody syncs is waited for by nobody.""",
    functions=(vale.deliver, vale.rxsync, monitor.watched_notify, monitor.watched_rxsync),
    control=Control(
        "a sender takes the monitor's lock inside the ring's, a look the ring's inside the monitor's",
        _publishes_under_both,
        vale.rxsync,
        monitor.watched_notify,
        _nests,
        goal=ORDER,
    ),
    assumptions=WAKEUPS,
    bounds="""Two senders of a packet each, a receiver and a copy monitor, rings of three slots: each holds a
    lock for a stretch without another one, so a third sender meets nothing new. A monitor's own program takes
    no lock.""",
    rules=(lease.TAKEN, lease.PUBLISHED, monitor.LOOKED, monitor.BUSY, vale.NOT_RELEASED),
)(locks_body)

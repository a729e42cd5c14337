"""Generation 2011: no wake-up is lost between poll and interrupts, and locks are taken in order.

The explorer runs every interleaving of the model's own protocols, driver included. A wake-up is lost
when a thread sleeps for good although the frame (or the free slot) it waits for is there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from netmap_reference.core.effects import Lock, Protocol, Unlock, Wake
from netmap_reference.gen2011 import interrupts, poll, sync
from netmap_reference.gen2011.attach import Adapter
from netmap_reference.gen2011.ports import host, nic

from ..engine import Proof
from ..explorer import explored
from ..explorer.scenario import without
from ..explorer.search import LOST, ORDER
from ..obligation import Control, obligation
from ..worlds2011 import (
    SLOTS,
    Drivers,
    Make,
    adapter,
    complete,
    frames_ready,
    receive,
    select,
    slots_ready,
    without_locks,
    world,
)

_SIZES = f"""Rings of {SLOTS} slots and one frame a queue: the protocols treat the rings of a direction alike
and count nothing but whether a frame is there."""
_MARKED = "The driver marks the ring (PENDINTR) while it holds the lock its rxsync runs under."
_WOKEN = """Who can go on does so in the end, in any order; nobody is woken without a reason, no time runs
out. The wake-up is owed once what is waited for is there (TRUSTED-BASE.md)."""


# --- receive --------------------------------------------------------------------------------------


def rx_body(p: Proof, polling: Make, irq: Make, rxsync: Make, interrupt: Make) -> None:
    drivers = Drivers(rxsync, nic.txsync, host.sync_from_host, host.sync_to_host)
    for queues, separate in ((1, False), (1, True), (2, False), (2, True), (3, True)):
        na = adapter(queues, separate)
        threads: dict[str, Callable[[], Protocol]] = {
            "poll": partial(select, polling, na, poll.POLLIN, p.switches)
        }
        arriving = range(queues) if queues < 3 else (queues - 1,)
        for q in arriving:
            threads[f"nic{q}"] = partial(receive, na, q, irq, interrupt, p.switches)
        label = f"{queues} queue(s), {'ring locks' if separate else 'one lock'}"
        explored(p, world(na, threads, drivers, p.switches, waits={"poll": frames_ready(na)}), label=label)


_rx = partial(
    obligation,
    clauses=("2011.poll.record-ring", "2011.poll.record-global", "2011.interrupt.wake-locks"),
    functions=(poll.poll, interrupts.irq, nic.rxsync, nic.interrupt),
    assumptions=f"{_MARKED} {_WOKEN}",
    bounds="One to three queues, with ring locks and with one lock. " + _SIZES,
)
_RX_RULES = (
    poll.CORE_NONE,
    poll.CORE_NEED,
    poll.RX_READY,
    poll.RX_WAIT,
    poll.GLOBAL_WAIT,
    interrupts.IRQ_ALONE,
    interrupts.IRQ_SEPARATE,
    interrupts.IRQ_CORE,
    interrupts.IRQ_CORE_ALL,
    nic.RX_IMPORT,
    nic.RX_NO_IMPORT,
)

_rx(
    "2011.poll.no-lost-wake-up.rx",
    statement="""A thread that polls for packets, on one ring or on all, never sleeps for good when a frame
    has arrived: it is recorded before the interrupt can get the lock to wake it.""",
    control=Control(
        "poll takes no lock",
        without_locks(poll.poll),
        interrupts.irq,
        nic.rxsync,
        nic.interrupt,
        goal=LOST,
    ),
    rules=(*_RX_RULES, interrupts.IRQ_NM_LOCK),
)(rx_body)


def _irq_wakes_ring_only(na: Adapter, tx: bool, q: int, switches: frozenset[str]) -> Protocol:
    ring = f"{'tx' if tx else 'rx'}{q}"
    return without(interrupts.irq(na, tx, q, switches), lambda e: isinstance(e, Wake) and e.selinfo != ring)


def _poll_keeps_core(na: Adapter, events: int, switches: frozenset[str]) -> Protocol:
    return without(poll.poll(na, events, switches), lambda e: e == Unlock("core"))


_rx(
    "2011.poll.no-lost-wake-up.rx.as-written.own-locks",
    statement="""As 2011.poll.no-lost-wake-up.rx for a driver that brings its own locks: the interrupt takes
    the adapter's mutexes instead, so nothing keeps it from waking before the thread is recorded.""",
    control=Control(
        "as written, and poll never gives the core lock back",
        _poll_keeps_core,
        interrupts.irq,
        nic.rxsync,
        nic.interrupt,
    ),
    switches={interrupts.BYPASSES_NM_LOCK},
    rules=(*_RX_RULES, interrupts.IRQ_OWN_MUTEX),
    finding="F2011-006",
    refutes={LOST},
)(rx_body)


# --- transmit -------------------------------------------------------------------------------------


@obligation(
    "2011.poll.no-lost-wake-up.tx",
    clauses=("2011.poll.record-ring", "2011.poll.record-global", "2011.interrupt.wake"),
    statement="""A thread that polls for transmit slots, all rings being full, never sleeps for good when the
    NIC has sent what was in them.""",
    functions=(poll.poll, interrupts.irq, nic.txsync),
    control=Control(
        "the interrupt wakes only those that poll one ring",
        poll.poll,
        _irq_wakes_ring_only,
        nic.txsync,
        goal=LOST,
    ),
    assumptions=_WOKEN,
    bounds="One and two queues, with ring locks and with one lock. " + _SIZES,
    rules=(poll.TX_READY, poll.TX_WAIT, poll.GLOBAL_WAIT, nic.TX_RECLAIM),
)
def tx_wake(p: Proof, polling: Make, irq: Make, txsync: Make) -> None:
    drivers = Drivers(nic.rxsync, txsync, host.sync_from_host, host.sync_to_host)
    for queues, separate in ((1, False), (1, True), (2, False), (2, True)):
        na = adapter(queues, separate)
        threads: dict[str, Callable[[], Protocol]] = {
            "poll": partial(select, polling, na, poll.POLLOUT, p.switches)
        }
        for q in range(queues):
            threads[f"nic{q}"] = partial(complete, na, q, irq, p.switches)
        scenario = world(
            na, threads, drivers, p.switches, tx_full=True, tx_poll=True, waits={"poll": slots_ready(na)}
        )
        explored(p, scenario, label=f"{queues} queue(s), {'ring locks' if separate else 'one lock'}")


# --- host rings -----------------------------------------------------------------------------------


def host_body(p: Proof, polling: Make, start: Make, from_host: Make) -> None:
    drivers = Drivers(nic.rxsync, nic.txsync, from_host, host.sync_to_host)
    na = adapter(1, True)
    ring = f"rx{na.host}"
    for cur, said in ((0, "cur in the ring"), (SLOTS, "cur beyond the ring")):
        threads: dict[str, Callable[[], Protocol]] = {
            "poll": partial(select, polling, na, poll.POLLIN, p.switches),
            "stack": partial(start, na, 60, p.switches),
        }
        scenario = world(
            na,
            threads,
            drivers,
            p.switches,
            selection=(na.host, na.host + 1),
            words={(ring, "cur"): cur, (ring, "flags"): 0},
            waits={"poll": lambda at: at[ring, "kring"].hwavail > 0},
        )
        explored(p, scenario, label=said)


_host = partial(
    obligation,
    clauses=("2011.poll.host", "2011.poll.host-rejected", "2011.host.rx-record"),
    functions=(poll.poll, interrupts.start, host.sync_from_host),
    assumptions=_WOKEN,
    bounds="One packet from the stack, one thread that polls. " + _SIZES,
)

_host(
    "2011.poll.no-lost-wake-up.host",
    statement="""A thread that polls the host ring never sleeps for good when a packet has come from the
    stack, also when what it stored in cur was refused.""",
    control=Control(
        "the receive half of poll takes no lock",
        poll.poll,
        interrupts.start,
        without_locks(host.sync_from_host),
        goal=LOST,
    ),
    rules=(
        poll.HOST_RX,
        poll.HOST_REJECTED,
        host.FROM_WAITS,
        host.FROM_OK,
        host.FROM_BAD_CUR,
        interrupts.START_PUT,
    ),
)(host_body)


def _start_keeps_core(na: Adapter, length: int, switches: frozenset[str]) -> Protocol:
    return without(interrupts.start(na, length, switches), lambda e: e == Unlock("core"))


_host(
    "2011.poll.no-lost-wake-up.host.as-written",
    statement="""As 2011.poll.no-lost-wake-up.host: a cur that was refused is not reported, and the thread is
    not recorded either; it sleeps, and no packet ever wakes it.""",
    control=Control(
        "as written, and the stack's side keeps the lock", poll.poll, _start_keeps_core, host.sync_from_host
    ),
    switches={poll.SLEEPS_UNRECORDED},
    rules=(poll.HOST_RX, poll.HOST_UNSAID, host.FROM_WAITS, interrupts.START_PUT),
    finding="F2011-007",
    refutes={LOST},
)(host_body)


# --- locks ----------------------------------------------------------------------------------------


def _irq_nests(na: Adapter, tx: bool, q: int, switches: frozenset[str]) -> Protocol:
    """An interrupt that holds its ring's lock all the time, also while it takes the core lock."""
    ring = f"{'tx' if tx else 'rx'}{q}"
    own = (Lock(ring), Unlock(ring))
    yield own[0]
    yield from without(interrupts.irq(na, tx, q, switches), lambda e: e in own)
    yield own[1]


@obligation(
    "2011.poll.locks",
    clauses=("2011.poll.locks", "2011.interrupt.wake-locks"),
    statement="""Poll, the sync ioctls, both interrupts and packets from the stack give back every lock they
    take, take ring locks only inside the core lock, and never wait for each other in a circle.""",
    functions=(poll.poll, interrupts.irq, sync.sync_ioctl, interrupts.start),
    control=Control(
        "the interrupt takes the core lock inside the ring's",
        poll.poll,
        _irq_nests,
        sync.sync_ioctl,
        interrupts.start,
        goal=ORDER,
    ),
    assumptions=_MARKED,
    bounds="Two queues, with ring locks and with one lock; three threads at a time. " + _SIZES,
    rules=(
        poll.CORE_NEED,
        interrupts.IRQ_SEPARATE,
        interrupts.IRQ_CORE_ALL,
        sync.ALL_RINGS,
        interrupts.START_PUT,
    ),
)
def locks(p: Proof, polling: Make, irq: Make, ioctl: Make, start: Make) -> None:
    drivers = Drivers(nic.rxsync, nic.txsync, host.sync_from_host, host.sync_to_host)
    for separate in (False, True):
        na = adapter(2, separate)
        poller = partial(polling, na, poll.POLLIN | poll.POLLOUT, p.switches)
        others = {
            "interrupts": {
                "rx irq": partial(receive, na, 1, irq, nic.interrupt, p.switches),
                "tx irq": partial(complete, na, 0, irq, p.switches),
            },
            "ioctl and stack": {
                "ioctl": partial(ioctl, True, na.num_queues, p.switches),
                "stack": partial(start, na, 60, p.switches),
            },
        }
        for label, threads in others.items():
            everyone = {"poll": poller, **threads}
            scenario = world(na, everyone, drivers, p.switches, tx_full=True, tx_poll=True)
            explored(p, scenario, label=f"{label}, {'ring locks' if separate else 'one lock'}")

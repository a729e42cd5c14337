"""Generation 14: small decisions of the kernel's loop and of monitors, said exactly."""

from __future__ import annotations

from collections.abc import Callable

from netmap_reference.core.step import Step
from netmap_reference.gen14 import kloop, ring
from netmap_reference.gen14.ports import monitor, monitor_ends

from ..engine import Proof
from ..invariants import flat_kring, flat_steps
from ..obligation import Control, obligation
from ..schemas import Cases, every


def loop_body(p: Proof, reclaim: Callable[..., Step[bool]], no_slots: Callable[..., bool]) -> None:
    k = flat_kring(p, "k")
    flags, head = p.u32("flags"), p.integer("head", 0)
    p.assume(head < k.n)
    step = p.run(reclaim, k, flags)
    free = flat_steps(p, k.n, k.hwcur, k.hwtail)
    few = 2 * free <= k.n
    asked = flags // kloop.FORCE_RECLAIM % 2 == 1
    p.goal(
        "slots are reclaimed when half of the ring is not free, or on request", step.state == (few or asked)
    )
    p.goal("the rule says that few were free", (kloop.TX_RECLAIM in step.fired) == few)
    nothing = flat_steps(p, k.n, head, k.hwtail) == k.n - 1
    p.goal(
        "nothing is left when all slots but one are unread", p.run(no_slots, head, k.hwtail, k.n) == nothing
    )


obligation(
    "14.kloop.decisions",
    clauses=("14.kloop.reclaim", "14.kloop.rx"),
    statement="""The kernel's loop reclaims transmit slots when at most half of the ring is free or when it
    is asked to; a receive ring has no slots left when all but one are full.""",
    functions=(kloop.reclaim_needed, kloop.no_rx_slots),
    control=Control(
        "a ring that is just half free is not reclaimed",
        lambda k, flags: Step(2 * ring.distance(k.hwcur, k.hwtail, k.n) < k.n),
        kloop.no_rx_slots,
    ),
    assumptions="The kring satisfies its order; any flags.",
    rules=(kloop.TX_RECLAIM,),
)(loop_body)


def handed_body(p: Proof, handed_on: Callable[..., Step[str]]) -> None:
    cases = Cases(p, "chains")
    for rx, tx in every(p, "next monitors", ("", "m"), ("", "m")):
        cases.case(rx=rx, tx=tx)
        step = handed_on(rx, tx, p.switches)
        p.reached(step.fired)
        cases.goal(_HANDED, step.state == ("m" if "m" in (rx, tx) else ""))
        cases.goal("whoever is next in the receive list gets it", rx == "" or step.state == rx)
        cut = monitor.CHAIN_RX_ONLY in p.switches and rx == ""
        cases.goal("the rule says so", step.fired == (monitor.NOT_CHAINED if cut else monitor.CHAINED,))
    cases.end()


_HANDED = "whoever is next in either list gets it"
obligation(
    "14.monitor.handed-on.as-written",
    clauses=("14.monitor.several",),
    statement="As 14.monitor.handed-on, but only the list of a receive ring is looked at.",
    functions=(monitor.handed_on,),
    control=Control(
        "as written, and nobody gets anything",
        lambda rx, tx, switches: Step("", monitor.handed_on(rx, tx, switches).fired),
        goal="whoever is next in the receive list gets it",
    ),
    bounds="Every combination of a next monitor in the two lists.",
    switches={monitor.CHAIN_RX_ONLY},
    rules=(monitor.CHAINED, monitor.NOT_CHAINED),
    finding="F14-101",
    refutes={_HANDED},
)(handed_body)

obligation(
    "14.monitor.handed-on",
    clauses=("14.monitor.several",),
    statement="""What a zero-copy monitor in front of others has released goes to the next one, in whichever
    list that stands.""",
    functions=(monitor.handed_on,),
    control=Control("only the transmit list counts", lambda rx, tx, switches: Step(tx), goal=_HANDED),
    bounds="Every combination of a next monitor in the two lists.",
    rules=(monitor.CHAINED,),
)(handed_body)


def watched_body(p: Proof, watched: Callable[..., Step[int]]) -> None:
    i, own, rings, hosts = (p.integer(name, 0) for name in ("i", "own_rings", "rings", "host_rings"))
    step = p.run(watched, i, own, rings, hosts, p.switches)
    if monitor_ends.HOST_UNWATCHED in p.switches and i >= own:
        p.goal("as written a host ring watches nothing", step.state == -1)
    elif i >= own:
        p.goal(
            "a host ring watches the host ring of its number",
            step.state == (rings + i - own if i - own < hosts else -1),
        )
    elif i < rings:
        p.goal("a hardware ring watches the one of its number", step.state == i)
    elif monitor_ends.BY_NUMBER in p.switches and i == rings:
        p.goal("as written one ring too many is watched", step.state == i)
    else:
        p.goal("there is nothing to watch beyond the port's rings", step.state == -1)


_WATCHED = Control(
    "host rings watch from the port's first ring on",
    lambda i, own, rings, hosts, switches: monitor_ends.watched_ring(
        i, own, rings if i < own else 0, hosts, switches
    ),
)
obligation(
    "14.monitor.watched-exactly",
    clauses=("14.monitor.rings",),
    statement="""Which ring a monitor's ring watches: hardware rings hardware rings, host rings host rings,
    in order, and none beyond those that the port has.""",
    functions=(monitor_ends.watched_ring,),
    control=_WATCHED,
    assumptions="Any numbers of rings.",
    rules=(monitor_ends.WATCHES, monitor_ends.WATCHES_HOST, monitor_ends.WATCHES_NONE),
)(watched_body)

obligation(
    "14.monitor.watched-extent",
    clauses=("14.monitor.rings",),
    statement="""How far the deviations go: host rings watch nothing at all, and one ring more than the port
    has is watched.""",
    functions=(monitor_ends.watched_ring,),
    control=Control(
        "no ring is too many",
        lambda i, own, rings, hosts, switches: monitor_ends.watched_ring(i, own, rings, hosts, frozenset()),
    ),
    assumptions="Any numbers of rings.",
    switches={monitor_ends.HOST_UNWATCHED, monitor_ends.BY_NUMBER},
    rules=(
        monitor_ends.UNWATCHED,
        monitor_ends.WATCHES,
        monitor_ends.WATCHES_NUMBER,
        monitor_ends.WATCHES_NONE,
    ),
)(watched_body)

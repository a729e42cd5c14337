"""Generation 14: small decisions of the kernel's loop and of monitors, said exactly."""

from __future__ import annotations

from collections.abc import Callable

from netmap_reference.core.step import Step
from netmap_reference.gen14 import kloop, ring
from netmap_reference.gen14.ports import monitor

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
        cases.goal("whoever is next in either list gets it", step.state == ("m" if "m" in (rx, tx) else ""))
    cases.end()


_HANDED = "whoever is next in either list gets it"
obligation(
    "14.monitor.handed-on",
    clauses=("14.monitor.several",),
    statement="""What a zero-copy monitor in front of others has released goes to the next one, in whichever
    list that stands.""",
    functions=(monitor.handed_on,),
    control=Control("only the transmit list counts", lambda rx, tx, switches: Step(tx)),
    bounds="Every combination of a next monitor in the two lists.",
    rules=(monitor.CHAINED,),
)(handed_body)

"""CSB mode under weak memory: what is read from an entry is a state the ring was in.

The host's loop and a guest run as they are written, under release/acquire, with every barrier and then with
one taken away: each has an obligation of its own, whose control must find the interleaving it prevents.
What a thread sees under SC or TSO it may also see there. Four barriers turn out to be covered by others;
there the proof runs without them, and the control takes both away.
"""

from __future__ import annotations

from netmap_reference.gen14 import kloop, ptnet
from netmap_reference.gen14.ring import CONTRACT

from ..engine import Proof
from ..explorer import explored
from ..obligation import Body, Control, obligation
from ..worlds_csb import REJECTED, STALE, TORN, Make, World, scenario, take_away

#: What SC and TSO allow, release/acquire allows as well.
MODELS = ("RA",)

#: A guest publishes one packet, the host sends it.
PUBLISH_TX = World(True, n=3, passes=1)
#: The host has one packet for a guest.
PUBLISH_RX = World(False, wire=1, passes=1)
#: One packet fills the ring: the guest reads back how far the host is.
BACK_TX = World(True, passes=1)
#: A guest releases the only slot, the host fills it again.
BACK_RX = World(False, full=True, wire=2, passes=1)


def reads(*worlds: World) -> Body:
    """The body: every property the worlds name, under each model."""

    def body(p: Proof, one_pass: Make, guest_sync: Make) -> None:
        for w in worlds:
            for model in MODELS:
                explored(p, scenario(w, model, one_pass, guest_sync), label=f"{model}, n {w.n}")

    return body


_ASSUMED = """Host and guest keep to the protocol; a call, a kick, an interrupt and a sleep order everything.
    Loads stay before later stores of their thread (no load buffering)."""
_BOUNDS = """Rings of two or three slots and one packet: the words are compared and copied, nothing is
    counted; with two slots the ring wraps at once. One pass of the loop, which repeats itself while there is
    more."""


def _barrier(
    site: str, goal: str, clauses: tuple[str, ...], statement: str, *worlds: World, host: bool
) -> None:
    """The obligation of one barrier; its control runs host or guest without it."""
    one_pass, guest_sync = kloop.one_pass, ptnet.guest_sync
    obligation(
        f"14.csb.barrier.{site.replace('/', '.')}",
        clauses=clauses,
        statement=statement,
        functions=(one_pass, guest_sync),
        control=Control(
            f"without the barrier {site}",
            take_away(site, one_pass) if host else one_pass,
            guest_sync if host else take_away(site, guest_sync),
            goal=goal,
        ),
        assumptions=_ASSUMED,
        bounds=_BOUNDS,
        switches=CONTRACT,
        rules=(kloop.PASS, ptnet.TX_QUIET if worlds[0].transmit else ptnet.RECEIVED),
    )(reads(*worlds))


def _covered(
    site: str, other: str, clauses: tuple[str, ...], statement: str, world: World, host: bool
) -> None:
    """A barrier whose work another one does as well: nothing is lost without it, but without both."""
    one_pass, guest_sync = kloop.one_pass, ptnet.guest_sync
    half = take_away(site, one_pass if host else guest_sync)
    none = take_away(other, half)
    obligation(
        f"14.csb.barrier.{site.replace('/', '.')}",
        clauses=clauses,
        statement=f"{statement} That holds without the barrier {site}, since {other} keeps the same order.",
        functions=(half if host else one_pass, guest_sync if host else half),
        control=Control(
            f"without {site} and {other}",
            none if host else one_pass,
            guest_sync if host else none,
            goal=STALE,
        ),
        assumptions=_ASSUMED,
        bounds=_BOUNDS,
        rules=(kloop.PASS, ptnet.PUBLISHED if world.transmit else ptnet.RECEIVED),
    )(reads(world))


_covered(
    "appl-write/slots",
    "appl-write/cur",
    ("14.csb.appl-write", "14.csb.kernel-read"),
    "Who sees a published head sees the slots before it as they were filled.",
    PUBLISH_TX,
    host=False,
)
_covered(
    "kernel-read/slots",
    "kernel-read/head",
    ("14.csb.kernel-read", "14.csb.appl-write"),
    "The host looks into slots no earlier than at the head that hands them over.",
    PUBLISH_TX,
    host=True,
)
_barrier(
    "appl-write/cur",
    REJECTED,
    ("14.csb.appl-write", "14.kloop.rejected"),
    "A head is never newer than the cur beside it, so the host rejects nothing of a guest that is right.",
    PUBLISH_TX,
    BACK_RX,
    host=False,
)
_barrier(
    "kernel-read/head",
    REJECTED,
    ("14.csb.kernel-read", "14.kloop.rejected"),
    "The host looks at cur no earlier than at head, so it rejects nothing of a guest that is right.",
    PUBLISH_TX,
    BACK_RX,
    host=True,
)
_covered(
    "kernel-write/slots",
    "kernel-write/hwcur",
    ("14.csb.kernel-write", "14.csb.appl-read"),
    "Who sees an hwtail sees the packets before it.",
    PUBLISH_RX,
    host=True,
)
_covered(
    "appl-read/slots",
    "appl-read/hwtail",
    ("14.csb.appl-read", "14.csb.kernel-write"),
    "A guest looks at packets no earlier than at the hwtail that hands them over.",
    PUBLISH_RX,
    host=False,
)
_barrier(
    "kernel-write/hwcur",
    TORN,
    ("14.csb.kernel-write", "14.ring.kring-order"),
    "An hwtail is never newer than the hwcur beside it: what a guest reads back is an order a ring can have.",
    BACK_TX,
    BACK_RX,
    host=True,
)
_barrier(
    "appl-read/hwtail",
    TORN,
    ("14.csb.appl-read", "14.ring.kring-order"),
    "A guest looks at hwcur no earlier than at hwtail, so what it reads back is an order a ring can have.",
    BACK_TX,
    BACK_RX,
    host=False,
)

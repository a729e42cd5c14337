"""CSB mode under weak memory: nobody sleeps on what the other side has published.

Each side tells that it is about to sleep, looks once more, and sleeps; the other publishes and looks whether
somebody sleeps. Both need a full barrier between their store and their load. One obligation a barrier, and
what is left when netmap has none.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from netmap_reference.gen14 import kloop, ptnet

from ..engine import Proof
from ..explorer import explored
from ..explorer.search import LOST
from ..obligation import Body, Control, obligation
from ..worlds_csb import Make, World, late, scenario, take_away

MODELS = ("TSO", "RA")
#: What TSO allows, release/acquire allows as well.
WEAKEST = ("RA",)

#: A guest publishes one packet, or one released slot, and goes; the loop must handle it.
KICK_TX = World(True, n=3)
KICK_RX = World(False, full=True, wire=2)
#: A guest waits until the host has sent its packet, or has one for it.
IRQ_TX = World(True, wait=True, irq=True)
IRQ_RX = World(False, wire=1, irq=True)
#: The same with a loop that sleeps for a time.
POLLED_TX = World(True, wait=True, irq=True, passes=1)
POLLED_RX = World(False, wire=1, irq=True, passes=1)
#: A packet comes while the loop looks.
NEWS_RX = World(False, packets=0, coming=1)


def wakeups(worlds: tuple[World, ...], models: tuple[str, ...] = MODELS, locked: bool = True) -> Body:
    """The body: nobody sleeps for good in these worlds, read as the obligation says."""

    def body(p: Proof, one_pass: Make, guest_sync: Make) -> None:
        for given in worlds:
            w = replace(given, switches=p.switches)
            for model in models:
                kind = f"{model}, {'transmit' if w.transmit else 'receive'}"
                explored(p, scenario(w, model, one_pass, guest_sync, locked), label=kind)

    return body


_ASSUMED = """Host and guest keep to the protocol; a call, a kick, an interrupt and a sleep order everything.
    Loads stay before later stores of their thread (no load buffering). Nobody wakes up without a reason: the
    three seconds after which Linux' loop does are not counted on."""
_BOUNDS = """Rings of two or three slots and one packet or slot: nothing is counted but whether there is
    something. The loop goes round for ever; one that sleeps for a time makes one pass, the last that
    matters."""

_wakeup = partial(
    obligation,
    functions=(kloop.one_pass, ptnet.guest_sync),
    assumptions=_ASSUMED,
    bounds=_BOUNDS,
    rules=(kloop.PASS,),
)


def _barrier(
    site: str,
    clauses: tuple[str, ...],
    statement: str,
    *worlds: World,
    host: bool,
    models: tuple[str, ...] = MODELS,
    locked: bool = True,
) -> None:
    """The obligation of one barrier; its control runs host or guest without it."""
    one_pass, guest_sync = kloop.one_pass, ptnet.guest_sync
    _wakeup(
        f"14.csb.barrier.{site.replace('/', '.')}",
        clauses=clauses,
        statement=statement,
        control=Control(
            f"without the barrier {site}",
            take_away(site, one_pass) if host else one_pass,
            guest_sync if host else take_away(site, guest_sync),
            goal=LOST,
        ),
    )(wakeups(worlds, models, locked))


_barrier(
    "tx-ring/sleep",
    ("14.kloop.kick", "14.ptnet.kick"),
    "A loop that goes to sleep on a transmit ring sees what was published, or is kicked for it.",
    KICK_TX,
    host=True,
)
_barrier(
    "rx-ring/sleep",
    ("14.kloop.kick", "14.ptnet.kick"),
    "A loop that goes to sleep without slots to receive into sees those released, or is kicked for them.",
    KICK_RX,
    host=True,
)
_barrier(
    "guest/kick",
    ("14.ptnet.kick", "14.kloop.kick"),
    "A guest that has published sees that the loop sleeps, or the loop sees what it has published.",
    KICK_TX,
    host=False,
)
_barrier(
    "guest-tx/sleep",
    ("14.ptnet.interrupts", "14.kloop.irq"),
    "A guest that waits for room sees that there is some, or is interrupted for it.",
    POLLED_TX,
    host=False,
    models=WEAKEST,
)
_barrier(
    "guest-rx/sleep",
    ("14.ptnet.interrupts", "14.kloop.irq"),
    "A guest that waits for packets sees that there are some, or is interrupted for them.",
    POLLED_RX,
    host=False,
    models=WEAKEST,
)
_barrier(
    "ring/irq",
    ("14.kloop.irq", "14.ptnet.interrupts"),
    """A host that has published sees that the guest sleeps, or the guest sees what it has published; also
    where releasing a ring's lock is no barrier, and of a loop that does not wait for kicks.""",
    POLLED_TX,
    POLLED_RX,
    host=True,
    models=WEAKEST,
    locked=False,
)

_wakeup(
    "14.kloop.recorded-before-looking",
    clauses=("14.kloop.kick", "14.kloop.progress"),
    statement="A packet that comes while the loop looks at its rings ends the sleep behind, or was seen.",
    control=Control("recorded only after the look", late(kloop.one_pass), ptnet.guest_sync, goal=LOST),
    rules=(kloop.PASS, kloop.RECORDED, kloop.RX_DRY),
)(wakeups((NEWS_RX,), MODELS, True))


_BOTH = """A guest that waits for room, or for a packet, and a loop that waits for kicks never both sleep
    while one of them has something for the other."""
_SLEEPERS = (kloop.PASS, kloop.SLEEPS, kloop.WON, kloop.SIGNALLED, ptnet.WANTS_IRQ, ptnet.NO_IRQ)
for _suffix, _worlds, _model, _said, _rules in (
    ("", (IRQ_TX, IRQ_RX), "TSO", "Under TSO.", _SLEEPERS),
    (".weak-tx", (IRQ_TX,), "RA", "Under release/acquire, waiting for room.", _SLEEPERS),
    (
        ".weak-rx",
        (IRQ_RX,),
        "RA",
        "Under release/acquire, waiting for a packet.",
        (kloop.PASS, kloop.SIGNALLED),
    ),
):
    _receives = not _worlds[0].transmit
    _wakeup(
        f"14.csb.no-lost-wake-up{_suffix}",
        clauses=("14.kloop.kick", "14.kloop.irq", "14.ptnet.kick", "14.ptnet.interrupts"),
        statement=f"{_BOTH} {_said}",
        control=Control(
            "the guest does not look again" if _receives else "the loop does not look again",
            kloop.one_pass if _receives else take_away("tx-ring/sleep", kloop.one_pass),
            take_away("guest-rx/sleep", ptnet.guest_sync) if _receives else ptnet.guest_sync,
            goal=LOST,
        ),
        rules=_rules,
    )(wakeups(_worlds, (_model,), True))

_wakeup(
    "14.csb.barrier.guest.kick.as-written",
    clauses=("14.ptnet.kick",),
    statement="""As 14.csb.barrier.guest.kick, without the barrier, which is nowhere in the code: the loop
    sleeps on a published packet and nobody kicks, under TSO as well.""",
    control=Control(
        "as written, and the host looks at cur before head",
        take_away("kernel-read/head", kloop.one_pass),
        ptnet.guest_sync,
        goal="the host finds positions it can accept",
    ),
    switches={ptnet.KICK_UNORDERED},
    rules=(kloop.PASS, ptnet.KICK_LATE),
    finding="F14-080",
    refutes={LOST},
)(wakeups((KICK_TX,), MODELS, True))

_wakeup(
    "14.csb.barrier.ring.irq.as-written",
    clauses=("14.kloop.irq",),
    statement="""As 14.csb.barrier.ring.irq, without the barrier and where releasing a lock is none, as on
    ARM: the guest sleeps on room or packets that the host has told of.""",
    control=Control(
        "as written, and the guest reads hwcur before hwtail",
        kloop.one_pass,
        take_away("appl-read/hwtail", ptnet.guest_sync),
        goal="the guest's positions are in order",
    ),
    switches={kloop.IRQ_UNORDERED},
    rules=(kloop.PASS, kloop.LATE),
    finding="F14-081",
    refutes={LOST},
)(wakeups((POLLED_TX, POLLED_RX), ("RA",), False))

_wakeup(
    "14.kloop.irq-on-x86",
    clauses=("14.kloop.irq",),
    statement="""As 14.csb.barrier.ring.irq, as written, where releasing a ring's lock is a full barrier and
    the memory is TSO, as on x86: no interrupt is lost.""",
    control=Control(
        "and the guest does not look again",
        kloop.one_pass,
        take_away("guest-rx/sleep", ptnet.guest_sync),
        goal=LOST,
    ),
    switches={kloop.IRQ_UNORDERED},
    rules=(kloop.PASS, kloop.LATE),
)(wakeups((POLLED_TX, POLLED_RX), ("TSO",), True))

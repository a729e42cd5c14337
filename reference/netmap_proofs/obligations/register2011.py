"""Generation 2011: which rings a NIOCREGIF selects, for every ring id and any number of hardware pairs."""

from __future__ import annotations

from collections.abc import Callable

from netmap_reference.core.step import Step
from netmap_reference.gen2011 import register
from netmap_reference.gen2011.register import HW_RING, NO_TX_POLL, SW_RING, Selection

from ..engine import Proof
from ..obligation import Control, obligation

Select = Callable[[Selection, int, int], Step[Selection]]


def _takes_any_number(old: Selection, num_queues: int, ringid: int) -> Step[Selection]:
    """A ring number just behind the last pair is taken."""
    return register.select(old, num_queues + 1, ringid)


@obligation(
    "2011.register.ring-range",
    clauses=("2011.register.selection", "2011.register.no-tx-poll"),
    statement="""Whatever ring id a NIOCREGIF has, the rings that are scanned from then on exist: all hardware
    pairs, the one asked for, or the host's behind them, never none; a number that is no hardware pair is
    EINVAL and leaves the old selection. NETMAP_NO_TX_POLL, and nothing else, says whether polls push.""",
    functions=(register.select,),
    control=Control("the number behind the last pair is taken", _takes_any_number),
    assumptions="At least one hardware pair, any number of them; ringid any u16; any selection before.",
)
def ring_range(p: Proof, select: Select) -> None:
    pairs, ringid = p.integer("num_queues", 1), p.u16("ringid")
    old = p.symbolic(Selection, "old", lo=0)
    step = p.run(select, old, pairs, ringid)
    got = step.state
    hardware, host = ringid // HW_RING % 2 == 1, ringid // SW_RING % 2 == 1
    number = ringid % 4096
    refused = hardware and number >= pairs
    p.goal("EINVAL exactly for a number that is no hardware pair", step.outcome.ok == (not refused))
    if refused:
        p.goal("a refused selection leaves the old one", got == old, step.outcome.detail == "EINVAL")
        return
    p.goal("the rings exist", got.qfirst >= 0, got.qlast <= pairs + 1)
    p.goal("never none", got.qfirst < got.qlast)
    if host:
        wanted = (pairs, pairs + 1)
    elif hardware:
        wanted = (number, number + 1)
    else:
        wanted = (0, pairs)
    p.goal("the host rings, the pair of that number, or all pairs", (got.qfirst, got.qlast) == wanted)
    p.goal("the ring id is remembered", got.ringid == ringid)
    p.goal("polls push unless NO_TX_POLL is set", got.txpoll == 1 - ringid // NO_TX_POLL % 2)

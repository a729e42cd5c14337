"""Generation 14: which rings a REGISTER binds, and how sizes are cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from netmap_reference.core.step import Step
from netmap_reference.core.words import U16, U32
from netmap_reference.gen14 import request
from netmap_spec.abi import api14

from ..engine import Proof
from ..obligation import Control, obligation

Rings = request.Rings
Ranges = request.Ranges


def _one_ring_late(rings: Rings, mode: int, ringid: int, tx_only: bool, rx_only: bool) -> Step[Ranges]:
    """A ring number that only the other direction has is taken as it is."""
    got = request.ring_range(rings, mode, ringid, tx_only, rx_only)
    if got.outcome.ok and mode == api14.NR_REG_ONE_NIC and not tx_only and not rx_only:
        return replace(got, state=Ranges((ringid, ringid + 1), (ringid, ringid + 1)))
    return got


@obligation(
    "14.register.ring-range",
    clauses=("14.register.rings",),
    statement="""Whatever mode and ring number a request has, the rings it binds exist: each range lies
    inside the port's rings, is not empty unless it was excluded, holds exactly the hardware rings, the host
    rings or the one ring asked for, and a request for anything else is refused with EINVAL and binds
    nothing.""",
    functions=(request.ring_range,),
    control=Control("a ring number is not cut to the direction that has fewer rings", _one_ring_late),
    assumptions="""At least one hardware ring in each direction; host rings, when there are any, in both; the
    total counts them. Mode any u32, ring number any u16.""",
)
def ring_range(p: Proof, function: Callable[[Rings, int, int, bool, bool], Step[Ranges]]) -> None:
    rings = p.symbolic(Rings, "rings", lo=0)
    p.assume_all([rings.tx >= 1, rings.rx >= 1])
    if rings.has_host:
        p.assume_all([rings.host_tx >= 1, rings.host_rx >= 1])
        p.assume_all([rings.all_tx == rings.tx + rings.host_tx, rings.all_rx == rings.rx + rings.host_rx])
    mode, ringid = p.integer("mode", 0, U32 - 1), p.integer("ringid", 0, U16 - 1)
    tx_only, rx_only = p.truth("tx_only"), p.truth("rx_only")
    step = p.run(function, rings, mode, ringid, tx_only, rx_only)
    (tx_from, tx_to), (rx_from, rx_to) = step.state.tx, step.state.rx
    if not step.outcome.ok:
        p.goal("refused: EINVAL", step.outcome.detail == "EINVAL")
        p.goal("refused: nothing is bound", tx_from == tx_to, rx_from == rx_to)
        return
    host = mode == api14.NR_REG_SW or mode == api14.NR_REG_ONE_SW or mode == api14.NR_REG_NIC_SW
    all_tx, all_rx = (rings.all_tx, rings.all_rx) if host else (rings.tx, rings.rx)
    p.goal("the rings exist", tx_from >= 0, tx_from <= tx_to, rx_from >= 0, rx_from <= rx_to)
    if rx_only:
        p.goal("rx only binds no transmit ring", tx_from == tx_to)
    else:
        p.goal("the transmit rings are the port's", tx_to <= all_tx, tx_from < tx_to)
    if tx_only:
        p.goal("tx only binds no receive ring", rx_from == rx_to)
    else:
        p.goal("the receive rings are the port's", rx_to <= all_rx, rx_from < rx_to)
    if tx_only or rx_only:
        return
    if mode == api14.NR_REG_ALL_NIC:
        p.goal("all hardware rings", tx_from == 0, tx_to == rings.tx, rx_from == 0, rx_to == rings.rx)
    elif mode == api14.NR_REG_NIC_SW:
        p.goal("all rings", tx_from == 0, tx_to == rings.all_tx, rx_from == 0, rx_to == rings.all_rx)
    elif mode == api14.NR_REG_SW:
        p.goal("the host rings", tx_from == rings.tx, tx_to == rings.all_tx, rx_from == rings.rx)
    else:
        p.goal("one ring of each direction", tx_to == tx_from + 1, rx_to == rx_from + 1)
        base_tx, base_rx = (0, 0) if mode == api14.NR_REG_ONE_NIC else (rings.tx, rings.rx)
        p.goal(
            "the ring asked for, in a direction that has it",
            tx_from == base_tx + ringid or rx_from == base_rx + ringid,
        )


@obligation(
    "14.register.bound",
    clauses=("14.register.sizes",),
    statement="""A size that is asked for is kept when it lies in its interval, becomes the default when it is
    too small and the upper end when it is too large; what comes out always lies in the interval.""",
    functions=(request.bound,),
    control=Control(
        "the default is not cut",
        lambda value, default, low, high: (
            Step(default) if value < low else request.bound(value, default, low, high)
        ),
    ),
    assumptions="low <= high; anything else is any integer.",
)
def bounded_sizes(p: Proof, bound: Callable[[int, int, int, int], Step[int]]) -> None:
    value, default, low, high = (p.integer(name) for name in ("value", "default", "low", "high"))
    p.assume(low <= high)
    got = p.run(bound, value, default, low, high).state
    p.goal("the result lies in the interval", got >= low, got <= high)
    if value >= low and value <= high:
        p.goal("a value inside is kept", got == value)
    elif value > high:
        p.goal("a value above becomes the upper end", got == high)
    elif default >= low and default <= high:
        p.goal("a value below becomes the default", got == default)

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
    inside the port's rings, is not empty unless it was excluded or the port has none, holds exactly the
    hardware rings, the host rings or the one ring asked for, and a request for anything else is refused with
    EINVAL and binds nothing.""",
    functions=(request.ring_range,),
    control=Control("a ring number is not cut to the direction that has fewer rings", _one_ring_late),
    assumptions="""At least one hardware ring in each direction, but for null ports, whose mode is their own;
    host rings, when there are any, in both; the total counts them. Mode any u32, ring number any u16.""",
)
def ring_range(p: Proof, function: Callable[[Rings, int, int, bool, bool], Step[Ranges]]) -> None:
    rings = p.symbolic(Rings, "rings", lo=0)
    if rings.has_host:
        p.assume_all([rings.host_tx >= 1, rings.host_rx >= 1])
        p.assume_all([rings.all_tx == rings.tx + rings.host_tx, rings.all_rx == rings.rx + rings.host_rx])
    else:
        p.assume_all([rings.all_tx > rings.tx, rings.all_rx > rings.rx])
    mode, ringid = p.integer("mode", 0, U32 - 1), p.integer("ringid", 0, U16 - 1)
    if mode != api14.NR_REG_NULL:
        p.assume_all([rings.tx >= 1, rings.rx >= 1])
    tx_only, rx_only = p.truth("tx_only"), p.truth("rx_only")
    step = p.run(function, rings, mode, ringid, tx_only, rx_only)
    (tx_from, tx_to), (rx_from, rx_to) = step.state.tx, step.state.rx
    nic = mode == api14.NR_REG_ALL_NIC or mode == api14.NR_REG_NULL
    both, one, one_sw = mode == api14.NR_REG_NIC_SW, mode == api14.NR_REG_ONE_NIC, mode == api14.NR_REG_ONE_SW
    host = mode == api14.NR_REG_SW
    if tx_only and rx_only:
        p.goal("excluding both binds nothing, whatever the mode", step.outcome.ok)
        p.goal("excluding both binds nothing, whatever the mode", tx_from == tx_to, rx_from == rx_to)
        return
    known = nic or host or both or one or one_sw
    absent = (host or both or one_sw) and not rings.has_host
    beyond = (one and ringid >= rings.tx and ringid >= rings.rx) or (
        one_sw and ringid >= rings.host_tx and ringid >= rings.host_rx
    )
    p.goal(
        "refused exactly: no such mode, no host rings, no such ring",
        step.outcome.ok == (known and not absent and not beyond),
    )
    if not step.outcome.ok:
        p.goal("refused: EINVAL", step.outcome.detail == "EINVAL")
        p.goal("refused: nothing is bound", tx_from == tx_to, rx_from == rx_to)
        return
    # (first, last) of each direction that the mode asks for
    if nic:
        tx, rx = (0, rings.tx), (0, rings.rx)
    elif both:
        tx, rx = (0, rings.all_tx), (0, rings.all_rx)
    elif host:
        tx, rx = (rings.tx, rings.all_tx), (rings.rx, rings.all_rx)
    else:
        own_tx, own_rx = (rings.tx, rings.rx) if one else (rings.host_tx, rings.host_rx)
        base_tx, base_rx = (0, 0) if one else (rings.tx, rings.rx)
        at_tx, at_rx = (ringid if ringid < own else 0 for own in (own_tx, own_rx))
        tx, rx = (base_tx + at_tx, base_tx + at_tx + 1), (base_rx + at_rx, base_rx + at_rx + 1)
    p.goal("the rings exist", tx_from >= 0, tx_to <= rings.all_tx, rx_from >= 0, rx_to <= rings.all_rx)
    if rx_only:
        p.goal("rx only binds no transmit ring", tx_from == tx_to)
    else:
        p.goal("the transmit rings are those of the mode", tx_from == tx[0], tx_to == tx[1])
        p.goal("none only when the port has none", tx_from < tx_to or rings.tx == 0)
    if tx_only:
        p.goal("tx only binds no receive ring", rx_from == rx_to)
    else:
        p.goal("the receive rings are those of the mode", rx_from == rx[0], rx_to == rx[1])
        p.goal("none only when the port has none", rx_from < rx_to or rings.rx == 0)


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
        goal="the result lies in the interval",
    ),
    assumptions="low <= high; anything else is any integer.",
)
def bounded_sizes(p: Proof, bound: Callable[[int, int, int, int], Step[int]]) -> None:
    value, default, low, high = (p.integer(name) for name in ("value", "default", "low", "high"))
    p.assume(low <= high)
    step = p.run(bound, value, default, low, high)
    got = step.state
    told = (request.CUT_DEFAULT in step.fired, request.CUT_MAX in step.fired)
    p.goal("the rule says what was done", told[0] == (value < low), told[1] == (value > high))
    p.goal("the result lies in the interval", got >= low, got <= high)
    if value >= low and value <= high:
        p.goal("a value inside is kept", got == value)
    elif value > high:
        p.goal("a value above becomes the upper end", got == high)
    elif default >= low and default <= high:
        p.goal("a value below becomes the default", got == default)

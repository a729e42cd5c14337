"""Generation 2011, host rings: what an application takes, where a packet from the stack goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from netmap_reference.core.step import Step
from netmap_reference.gen2011 import interrupts, ring
from netmap_reference.gen2011.ports import host
from netmap_spec import invariants as spec

from ..engine import Proof
from ..obligation import Control, obligation
from .ring2011_sync import VALID, any_kring, in_range

Kring = ring.Kring
Reading = frozenset[str]

# --- the host rings ----------------------------------------------------------------------------------------


def _from_host_stays(k: Kring, cur: int, switches: Reading) -> Step[host.FromHost]:
    got = host.from_host(k, cur, switches)
    return replace(got, state=replace(got.state, kring=replace(got.state.kring, hwcur=k.hwcur)))


def from_host_body(p: Proof, from_host: Callable[[Kring, int, Reading], Step[host.FromHost]]) -> None:
    k, cur = any_kring(p), p.u32("cur")
    p.assume(k.n < 1 << 30)
    got = p.run(from_host, k, cur, p.switches).state
    fair = cur < k.n and spec.steps(k.n, k.hwcur, cur) <= k.hwavail
    p.goal("accepted exactly when no more was taken than there was", got.accepted == fair)
    p.goal("hwcur and hwavail stay in range", *in_range(got.kring))
    if got.accepted:
        p.goal("accepted: hwcur is cur", got.kring.hwcur == cur)
        p.goal(
            "accepted: hwavail is what is left",
            spec.steps(k.n, k.hwcur, cur) + got.kring.hwavail == k.hwavail,
        )
    else:
        p.goal("rejected: the kring is unchanged", got.kring == k)


_from_host = partial(
    obligation,
    clauses=("2011.host.rx-window", "2011.ring.cur-inside"),
    functions=(host.from_host,),
    control=Control("hwcur does not move", _from_host_stays),
    assumptions=VALID + " n < 2^30.",
)

_from_host(
    "2011.host.rx-window",
    statement="""The host receive ring takes back the slots up to cur when they are no more than there were
    packets, and is unchanged otherwise.""",
    rules=(host.FROM_OK, host.FROM_BAD_CUR, host.FROM_TOO_FAR),
)(from_host_body)

_from_host(
    "2011.host.rx-window.as-written",
    statement="""As 2011.host.rx-window, but hwavail is reduced before it is compared and stays negative.""",
    switches={host.DEBITS_FIRST},
    rules=(host.FROM_OK, host.FROM_BAD_CUR, host.FROM_DEBITED),
    finding="F2011-004",
    refutes={"hwcur and hwavail stay in range", "rejected: the kring is unchanged"},
)(from_host_body)


def _position_without_wrap(k: Kring, switches: Reading) -> Step[interrupts.Place | None]:
    if k.hwavail >= k.n - 1 or k.hwavail < 0:
        return Step(None, (interrupts.START_FULL,))
    return Step(interrupts.Place(k.hwcur + k.hwavail), (interrupts.START_PUT,))


def position_body(
    p: Proof, insert_position: Callable[[Kring, Reading], Step[interrupts.Place | None]]
) -> None:
    k = p.symbolic(Kring, "k", hwofs=0, kflags=0)
    p.assume_all([k.n >= 1, k.n < 1 << 30, k.hwcur >= 0, k.hwcur < k.n])
    p.assume_all([k.hwavail >= -(1 << 31), k.hwavail < 1 << 31])
    step = p.run(insert_position, k, p.switches)
    p.goal("no fault", step.outcome.ok)
    if step.state is not None:
        p.goal("the packet goes into the ring", step.state.at >= 0, step.state.at < k.n)
        if k.hwavail >= 0 and step.outcome.ok:
            p.goal("behind the packets that are there", spec.steps(k.n, k.hwcur, step.state.at) == k.hwavail)
    else:
        p.goal("refused only when there is no room", k.hwavail >= k.n - 1 or k.hwavail < 0)


_position = partial(
    obligation,
    clauses=("2011.host.rx-position", "2011.host.rx-full"),
    functions=(interrupts.insert_position,),
    assumptions="n < 2^30, hwcur a slot of the ring, hwavail any int, also a negative one.",
)

_position(
    "2011.host.rx-position",
    statement="A packet from the host stack goes into a free slot of the host ring, or is refused.",
    control=Control("the position is not wrapped", _position_without_wrap),
)(position_body)

_position(
    "2011.host.rx-position.as-written",
    statement="""As 2011.host.rx-position, with unsigned sums: a negative hwavail larger than hwcur addresses
    a slot far outside the pool.""",
    unreachable={interrupts.START_BAD_POS: "as written a negative hwavail is not looked for"},
    control=Control(
        "as written, and a full ring takes one more",
        lambda k, switches: interrupts.insert_position(
            replace(k, hwavail=k.hwavail - 1) if k.hwavail == k.n - 1 else k, switches
        ),
    ),
    switches={interrupts.START_WRAPS},
    finding="F2011-005",
    refutes={"no fault", "the packet goes into the ring"},
)(position_body)

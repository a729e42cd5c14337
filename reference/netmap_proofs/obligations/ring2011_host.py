"""Generation 2011, host rings: what an application takes, where a packet from the stack goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from netmap_reference.core.step import Step
from netmap_reference.gen2011 import interrupts, ring
from netmap_reference.gen2011.memory import BUF_SIZE
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


def wrapped_body(
    p: Proof, insert_position: Callable[[Kring, Reading], Step[interrupts.Place | None]]
) -> None:
    k = p.symbolic(Kring, "k", hwofs=0, kflags=0)
    p.assume_all([k.n >= 1, k.n < 1 << 30, k.hwcur >= 0, k.hwcur < k.n])
    p.assume_all([k.hwavail >= -(1 << 31), k.hwavail < 1 << 31])
    step = p.run(insert_position, k, p.switches)
    if step.state is None:
        p.goal("only a full ring refuses", k.hwavail >= k.n - 1)
        return
    at = step.state.at
    total = k.hwcur + k.hwavail
    wanted = p.pick(total < 0, total + (1 << 32) - k.n, p.pick(total >= k.n, total - k.n, total))
    p.goal("the position is the unsigned sum, less one turn", at == wanted)
    p.goal("beyond the ring it is a fault", step.outcome.ok == (total >= 0))
    p.goal("the rule says so", (interrupts.START_FAULT in step.fired) == (total < 0))


obligation(
    "2011.host.rx-position-extent",
    clauses=("2011.host.rx-position",),
    statement="""How far the deviation goes: the position is the unsigned sum of hwcur and hwavail less one
    turn of the ring, so a negative one lies beyond every ring.""",
    functions=(interrupts.insert_position,),
    control=Control(
        "the turn is not taken off",
        lambda k, switches: Step(
            interrupts.Place((k.hwcur + k.hwavail) % (1 << 32)), (interrupts.START_PUT,)
        ),
    ),
    assumptions="n < 2^30, hwcur a slot of the ring, hwavail any int, also a negative one.",
    switches={interrupts.START_WRAPS},
    rules=(interrupts.START_FULL, interrupts.START_PUT, interrupts.START_FAULT),
)(wrapped_body)

# --- how far the deviation goes, and the other direction -----------------------------------------------


def extent_body(p: Proof, from_host: Callable[[Kring, int, Reading], Step[host.FromHost]]) -> None:
    k, cur = any_kring(p), p.u32("cur")
    p.assume(k.n < 1 << 30)
    got = p.run(from_host, k, cur, p.switches).state
    if got.accepted or cur >= k.n:
        return
    left = k.hwavail - spec.steps(k.n, k.hwcur, cur)
    p.goal("a claim too far leaves what is missing", got.kring.hwavail == left, left < 0)
    p.goal("and nothing else", replace(got.kring, hwavail=k.hwavail) == k)


obligation(
    "2011.host.rx-window-extent",
    clauses=("2011.host.rx-window",),
    statement="""How far the deviation goes: after a claim too far hwavail is what is missing, a negative
    number, and everything else is as it was.""",
    functions=(host.from_host,),
    control=Control("hwcur moves all the same", lambda k, cur, switches: Step(
        replace(host.from_host(k, cur, switches).state, kring=replace(
            host.from_host(k, cur, switches).state.kring, hwcur=cur)))),
    assumptions=VALID + " n < 2^30.",
    switches={host.DEBITS_FIRST},
    rules=(host.FROM_OK, host.FROM_BAD_CUR, host.FROM_DEBITED),
)(extent_body)  # fmt: skip


def up_body(
    p: Proof, drained: Callable[[Kring, int], Step[Kring]], up_length: Callable[[int], Step[bool]]
) -> None:
    k, cur, length = any_kring(p), p.integer("cur", 0), p.u16("len")
    p.assume(cur < k.n)
    got = p.run(drained, k, cur).state
    p.goal("everything up to cur was taken", got.hwcur == cur)
    p.goal("and the ring is the application's again", got.hwavail == k.n - 1)
    p.goal("nothing else changes", replace(got, hwcur=k.hwcur, hwavail=k.hwavail) == k)
    step = p.run(up_length, length)
    p.goal(
        "a frame has 14 bytes and no more than a buffer", step.state == (length >= 14 and length <= BUF_SIZE)
    )
    p.goal("the rule says so", (host.TO_SENT in step.fired) == step.state)


obligation(
    "2011.host.tx-steps",
    clauses=("2011.host.tx-drained", "2011.host.tx-length"),
    statement="""After a send the host transmit ring is empty again, from any position; a frame of 14 to 2048
    bytes is passed up and no other.""",
    functions=(host.drained, host.up_length),
    control=Control(
        "a frame of 13 bytes is passed up", host.drained, lambda length: host.up_length(length + 1)
    ),
    assumptions=VALID + " len is any u16.",
)(up_body)

"""Generation 14: what the two prologues accept, for every value an application can store.

The application's three words are any ``uint32_t``; the kring is any that satisfies its order
invariant. Each body is registered for the contract and, with one deviation switched on, as written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from netmap_reference.core.step import Step
from netmap_reference.core.words import U32
from netmap_reference.gen14 import ring
from netmap_spec import invariants as spec

from ..engine import Proof
from ..invariants import any_kring, kring_order
from ..obligation import Control, obligation

Prologue = Callable[[ring.Kring, ring.UserRing, frozenset[str]], Step[ring.Prologue]]
Finalize = Callable[[ring.Kring], Step[ring.Kring]]

_ASSUMED = "The kring satisfies 14.ring.kring-order, n >= 1; head, cur and tail are any u32."


def _words(p: Proof) -> tuple[ring.Kring, ring.UserRing]:
    k = any_kring(p, "k")
    return k, p.symbolic(ring.UserRing, "user", lo=0, hi=U32 - 1)


def _decided(p: Proof, k: ring.Kring, user: ring.UserRing, got: ring.Prologue, inside: bool) -> None:
    """What both prologues owe, whatever their window."""
    if got.accepted:
        p.goal("accepted: head and cur lie in the window", inside)
        p.goal("accepted: head and cur are slots of the ring", got.kring.rhead < k.n, got.kring.rcur < k.n)
        p.goal("accepted: head is a slot of the ring", got.kring.rhead < k.n)
        p.goal(
            "accepted: rhead and rcur are the application's",
            got.kring == replace(k, rhead=user.head, rcur=user.cur),
        )
        p.goal("accepted: the tail stored back is the kernel's", got.tail == k.rtail)
    else:
        p.goal("rejected: head or cur lies outside the window", not inside)
        p.goal("rejected: the kring is unchanged", got.kring == k)


# --- transmit -----------------------------------------------------------------------------------


def _tx_against_hwtail(k: ring.Kring, user: ring.UserRing, switches: frozenset[str]) -> Step[ring.Prologue]:
    return ring.tx_prologue(replace(k, rtail=k.hwtail), user, switches)


def tx_body(p: Proof, tx_prologue: Prologue) -> None:
    k, user = _words(p)
    got = p.run(tx_prologue, k, user, p.switches).state
    _decided(p, k, user, got, spec.tx_window(k.n, k.rhead, k.rtail, user.head, user.cur))
    if got.accepted:
        p.goal("accepted: the order of the kring is kept", kring_order(got.kring))


_tx = partial(
    obligation,
    clauses=("14.ring.tx-window", "14.ring.kring-order", "14.ring.tail-is-kernels"),
    functions=(ring.tx_prologue,),
    control=Control("the window ends at hwtail, which the application was never told", _tx_against_hwtail),
    assumptions=_ASSUMED,
)

_tx(
    "14.ring.tx-prologue",
    statement="""A txsync is accepted exactly when head lies between rhead and rtail and cur between head and
    rtail. Accepted: the kring takes both over, keeps its order, and an overwritten tail is put back.
    Rejected: nothing in the kring changes.""",
)(tx_body)

_tx(
    "14.ring.tx-prologue.as-written.unbounded",
    statement="""As 14.ring.tx-prologue, with the comparisons as they are written for a window that wraps:
    they have no upper bound, so values of num_slots and more pass.""",
    switches={ring.PROLOGUE_UNBOUNDED},
    finding="F14-003",
    refutes={
        "accepted: head and cur lie in the window",
        "accepted: head and cur are slots of the ring",
        "accepted: the order of the kring is kept",
        "rejected: the kring is unchanged",
    },
)(tx_body)


# --- receive ------------------------------------------------------------------------------------


def _rx_against_rtail(k: ring.Kring, user: ring.UserRing, switches: frozenset[str]) -> Step[ring.Prologue]:
    got = ring.rx_prologue(replace(k, hwtail=k.rtail), user, switches)
    return replace(got, state=replace(got.state, kring=replace(got.state.kring, hwtail=k.hwtail)))


def rx_body(p: Proof, rx_prologue: Prologue, sync_finalize: Finalize) -> None:
    k, user = _words(p)
    got = p.run(rx_prologue, k, user, p.switches).state
    _decided(p, k, user, got, spec.rx_window(k.n, k.hwcur, k.hwtail, user.head, user.cur))
    if got.accepted:
        # Between a driver's push and the sync that publishes it, rtail may be behind what rx accepts.
        p.goal(
            "accepted: the order of the kring is back when the sync ends",
            kring_order(p.run(sync_finalize, got.kring).state),
        )
        if k.rtail == k.hwtail:
            p.goal("accepted: the order of the kring is kept", kring_order(got.kring))


_rx = partial(
    obligation,
    clauses=("14.ring.rx-window", "14.ring.kring-order", "14.ring.tail-is-kernels", "14.ring.tail-published"),
    functions=(ring.rx_prologue, ring.sync_finalize),
    control=Control(
        "the window ends at rtail, so that what a driver pushed meanwhile is refused",
        _rx_against_rtail,
        ring.sync_finalize,
        goal="rejected: head or cur lies outside the window",
    ),
    assumptions=_ASSUMED,
)

_rx(
    "14.ring.rx-prologue",
    statement="""An rxsync is accepted exactly when head lies between hwcur and hwtail and cur between head
    and hwtail; cur may go back. Accepted: the kring takes both over and has its order again when the
    sync ends (at once, where no slot was pushed since the last sync). Rejected: the kring is unchanged.""",
)(rx_body)

_rx(
    "14.ring.rx-prologue.as-written.stores-first",
    statement="As 14.ring.rx-prologue, with rhead and rcur stored before they are checked.",
    switches={ring.RX_PROLOGUE_STORES_FIRST},
    finding="F14-002",
    refutes={"rejected: the kring is unchanged"},
)(rx_body)

_rx(
    "14.ring.rx-prologue.as-written.unbounded",
    statement="As 14.ring.rx-prologue, without an upper bound when the window wraps.",
    switches={ring.PROLOGUE_UNBOUNDED},
    finding="F14-003",
    refutes={
        "accepted: head and cur lie in the window",
        "accepted: head and cur are slots of the ring",
        "accepted: the order of the kring is kept",
        "accepted: the order of the kring is back when the sync ends",
        "rejected: the kring is unchanged",
    },
)(rx_body)


# --- how far the deviations go ----------------------------------------------------------------------------


def _passes(low: int, x: int, high: int) -> bool:
    """The comparison as it is written: a window that wraps has no upper end."""
    straight = (low <= high) & (low <= x) & (x <= high)
    return straight | ((low > high) & ((x >= low) | (x <= high)))


def extent_body(p: Proof, prologue: Prologue) -> None:
    k, user = _words(p)
    transmit = prologue is not ring.rx_prologue and ring.RX_PROLOGUE_STORES_FIRST not in p.switches
    low, high = (k.rhead, k.rtail) if transmit else (k.hwcur, k.hwtail)
    step = p.run(prologue, k, user, p.switches)
    got, taken = step.state, replace(k, rhead=user.head, rcur=user.cur)
    head, cur = _passes(low, user.head, high), _passes(user.head, user.cur, high)
    inside = user.head < k.n
    if ring.PROLOGUE_UNBOUNDED not in p.switches:
        head, cur = head & inside, cur & (user.cur < k.n)
    p.goal("what the comparisons let through is taken", got.accepted == (head & cur & inside))
    stored = ring.RX_PROLOGUE_STORES_FIRST in p.switches
    p.goal("the kring has what was taken, or stored", got.kring == (taken if (head & cur) or stored else k))
    p.goal("the tail is put back when both pass", got.tail == p.pick(head & cur, k.rtail, user.tail))
    wrong = (ring.TX_HEAD if transmit else ring.RX_HEAD, ring.TX_CUR if transmit else ring.RX_CUR)
    rules = (wrong[0] in step.fired, wrong[1] in step.fired, ring.TAIL_RESTORED in step.fired)
    p.goal("the rules say which word was refused", rules[0] == (not head), rules[1] == (head and not cur))
    p.goal("the rule says whether the tail was put back", rules[2] == (head & cur & (user.tail != k.rtail)))
    beyond = (
        ring.TX_HEAD_TAKEN if transmit else ring.RX_HEAD_TAKEN,
        ring.TX_CUR_TAKEN if transmit else ring.RX_CUR_TAKEN,
    )
    p.goal(
        "the rules say what passed beyond the ring", (beyond[0] in step.fired) == (head & cur & (not inside))
    )
    outside = user.cur >= k.n
    p.goal(
        "the rules say what passed beyond the ring",
        (beyond[1] in step.fired) == (head & cur & inside & outside),
    )


def _always_puts_back(prologue: Prologue) -> Prologue:
    def planted(k: ring.Kring, user: ring.UserRing, switches: frozenset[str]) -> Step[ring.Prologue]:
        step = prologue(k, user, switches)
        return replace(step, state=replace(step.state, tail=k.rtail))

    return planted


for _name, _function, _switches in (
    ("tx-prologue", ring.tx_prologue, {ring.PROLOGUE_UNBOUNDED}),
    ("rx-prologue", ring.rx_prologue, {ring.PROLOGUE_UNBOUNDED, ring.RX_PROLOGUE_STORES_FIRST}),
):
    obligation(
        f"14.ring.{_name}-extent",
        clauses=(f"14.ring.{_name[:2]}-window",),
        statement="""How far the deviations of a prologue go: exactly what the comparisons let through is
        taken, a head beyond the ring among it, which then counts as refused.""",
        functions=(_function,),
        control=Control("the tail is put back in any case", _always_puts_back(_function)),
        assumptions=_ASSUMED,
        switches=_switches,
    )(extent_body)

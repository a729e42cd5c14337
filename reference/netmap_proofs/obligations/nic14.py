"""Generation 14, NIC ports: the positions a driver moves, and the map to the device's own ring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from netmap_reference.core.step import Step
from netmap_reference.gen14 import ring
from netmap_reference.gen14.ports import nic
from netmap_spec import invariants as spec

from ..engine import Proof
from ..invariants import any_kring, kring_order
from ..obligation import Control, obligation

Kring = ring.Kring


def _k2n_without_wrap(hwofs: int, i: int, n: int) -> int:
    return i - hwofs if i >= hwofs else hwofs - i


@obligation(
    "14.nic.index-map",
    clauses=("14.nic.reset", "14.driver.index"),
    statement="Positions of the ring and indices of the device correspond one to one, whatever the offset.",
    functions=(nic.netmap_idx_k2n, nic.netmap_idx_n2k),
    control=Control("a negative difference is turned round", _k2n_without_wrap, nic.netmap_idx_n2k),
    assumptions="n >= 1, 0 <= hwofs < n, 0 <= i < n.",
)
def index_map(p: Proof, k2n: Callable[[int, int, int], int], n2k: Callable[[int, int, int], int]) -> None:
    n = p.integer("n", 1)
    hwofs, i = p.integer("hwofs", 0), p.integer("i", 0)
    p.assume_all([hwofs < n, i < n])
    there, back = p.run(k2n, hwofs, i, n), p.run(n2k, hwofs, i, n)
    p.goal("both maps stay inside", there >= 0, there < n, back >= 0, back < n)
    p.goal("n2k undoes k2n", p.run(n2k, hwofs, there, n) == i)
    p.goal("k2n undoes n2k", p.run(k2n, hwofs, back, n) == i)


def _reclaims_one_more(k: Kring, hwofs: int, completed: int) -> Step[Kring]:
    if completed == 0:
        return Step(k)
    return nic.nic_tx_reclaim(k, hwofs, completed + 1)


@obligation(
    "14.nic.tx-positions",
    clauses=("14.nic.txsync", "14.nic.reclaim", "14.ring.kring-order"),
    statement="""The body of a NIC's txsync keeps the order of the kring: everything up to head becomes the
    device's, and the tail moves forward by exactly what the device has completed, never onto slots it still
    has.""",
    functions=(nic.nic_tx_send, nic.nic_tx_reclaim, ring.sync_finalize),
    control=Control(
        "one slot more than completed is given back", nic.nic_tx_send, _reclaims_one_more, ring.sync_finalize
    ),
    assumptions="""The kring satisfies its order; its window is published (rtail = hwtail); the device
    completes any number of the slots it has, and its index is off by any amount below n.""",
)
def tx_positions(
    p: Proof,
    send: Callable[[Kring], Step[Kring]],
    reclaim: Callable[[Kring, int, int], Step[Kring]],
    finalize: Callable[[Kring], Step[Kring]],
) -> None:
    k = any_kring(p, "k")
    p.assume(k.rtail == k.hwtail)
    hwofs, completed = p.integer("hwofs", 0), p.integer("completed", 0)
    p.assume(hwofs < k.n)
    sent = p.run(send, k).state
    p.goal("everything up to head is the device's", sent.hwcur == k.rhead)
    pending = nic.tx_pending(sent)
    p.goal("what the device has is what is left", pending == k.n - 1 - spec.steps(k.n, sent.hwcur, k.hwtail))
    p.assume(completed <= pending)
    step = p.run(reclaim, sent, hwofs, completed)
    got = step.state
    p.goal("the rule says whether any were", (nic.TX_RECLAIM in step.fired) == (completed > 0))
    p.goal("the tail moves by what was completed", spec.steps(k.n, k.hwtail, got.hwtail) == completed)
    p.goal("the order of the kring is kept", kring_order(p.run(finalize, got).state))


def _imports_into_full(k: Kring, hwofs: int, arrived: int) -> Step[Kring]:
    got = nic.nic_rx_import(k, hwofs, arrived)
    return replace(got, state=replace(got.state, hwtail=ring.nm_next(got.state.hwtail, k.n - 1)))


@obligation(
    "14.nic.rx-positions",
    clauses=("14.nic.rxsync", "14.ring.kring-order"),
    statement="""The body of a NIC's rxsync keeps the order of the kring, whichever comes first: what arrived
    is shown, what was released is the device's again, and one slot always stays back.""",
    functions=(nic.nic_rx_import, nic.nic_rx_refill, ring.sync_finalize),
    control=Control(
        "one slot more than arrived is shown", _imports_into_full, nic.nic_rx_refill, ring.sync_finalize
    ),
    assumptions="""The kring satisfies its order; any number of frames that the device had room for arrive;
    its index is off by any amount below n.""",
)
def rx_positions(
    p: Proof,
    receive: Callable[[Kring, int, int], Step[Kring]],
    refill: Callable[[Kring], Step[Kring]],
    finalize: Callable[[Kring], Step[Kring]],
) -> None:
    k = any_kring(p, "k")
    hwofs, arrived = p.integer("hwofs", 0), p.integer("arrived", 0)
    p.assume(hwofs < k.n)
    release_first = p.split("released slots first") == 0
    if release_first:
        k = p.run(refill, k).state
    p.assume(arrived <= nic.rx_room(k))
    got = p.run(receive, k, hwofs, arrived).state
    p.goal("the tail moves by what arrived", spec.steps(k.n, k.hwtail, got.hwtail) == arrived)
    if not release_first:
        got = p.run(refill, got).state
    p.goal("released slots are the device's again", got.hwcur == k.rhead)
    p.goal("the order of the kring is kept", kring_order(p.run(finalize, got).state))


def _reset_full(k: Kring, transmit: bool) -> Step[nic.Reset]:
    got = nic.netmap_reset(k, transmit)
    return replace(got, state=replace(got.state, kring=replace(got.state.kring, hwtail=k.rhead)))


@obligation(
    "14.nic.reset",
    clauses=("14.nic.reset", "14.ring.kring-order"),
    statement="""After a reset of the device a transmit ring is all the application's but one slot, a receive
    ring keeps what it has not read, the device's index 0 meets the slot it will use next, and the order of
    the kring holds once the sync publishes it.""",
    functions=(nic.netmap_reset, ring.sync_finalize),
    control=Control("the tail is put on head", _reset_full, ring.sync_finalize),
    assumptions="The kring satisfies its order.",
)
def reset(
    p: Proof, netmap_reset: Callable[[Kring, bool], Step[nic.Reset]], finalize: Callable[[Kring], Step[Kring]]
) -> None:
    k = any_kring(p, "k")
    transmit = p.truth("transmit")
    got = p.run(netmap_reset, k, transmit).state
    p.goal("the offset is a position", spec.position(k.n, got.hwofs))
    p.goal("the application's words stay", got.kring.rhead == k.rhead, got.kring.rcur == k.rcur)
    p.goal("what was handed over is the device's no more", got.kring.hwcur == k.rhead)
    first = nic.netmap_idx_n2k(got.hwofs, 0, k.n)
    if transmit:
        p.goal("all but one slot are free", spec.steps(k.n, k.rhead, got.kring.hwtail) == k.n - 1)
        p.goal("the device goes on at head", first == k.rhead)
    else:
        p.goal("what was not read is kept", got.kring.hwtail == k.hwtail)
        p.goal("the device goes on at the tail", first == k.hwtail)
    p.goal("the order of the kring is kept", kring_order(p.run(finalize, got.kring).state))

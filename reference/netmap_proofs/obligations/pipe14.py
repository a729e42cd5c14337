"""Generation 14, pipes: who owns which slot, over any number of syncs at both ends.

Walking around the ring from the first slot the receiver has not released, one meets, in this order,
everything the two ends know: what the receiver keeps, what it was told, what was published, what was
handed over, what the sender keeps, what the sender may use, and at last the one slot that nobody has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from netmap_reference.core.step import Step
from netmap_reference.core.words import U32
from netmap_reference.gen14 import ring
from netmap_reference.gen14.ports import pipe

from ..engine import Proof
from ..invariants import any_positions, flat_steps
from ..obligation import Control, obligation
from ..schemas import always

Kring = ring.Kring
Prologue = Callable[[Kring, ring.UserRing, frozenset[str]], Step[ring.Prologue]]
Reinit = Callable[[Kring, ring.UserRing, frozenset[str]], Step[ring.Reinit]]


@dataclass(frozen=True, slots=True)
class Pair:
    """The transmit kring of one end, the receive kring of the other, and what each was handed by its peer.

    ``released`` is the transmit ring's pipe_tail, the last slot the sender may use; ``published`` the
    receive ring's, the first slot it may not.
    """

    tx: Kring
    rx: Kring
    released: int
    published: int


def pair_order(p: Proof, pair: Pair) -> Iterator[bool]:
    """Everything both ends know, in one walk around the ring from the receiver's hwcur.

    Condition by condition, each as soon as it can be told, and without forks (:func:`flat_steps`).
    """
    n, start = pair.rx.n, pair.rx.hwcur
    stations = (
        pair.rx.rhead,
        pair.rx.rcur,
        pair.rx.rtail,
        pair.rx.hwtail,
        pair.published,
        pair.tx.hwcur,
        pair.tx.rhead,
        pair.tx.rcur,
        pair.tx.rtail,
        pair.tx.hwtail,
        pair.released,
    )
    yield pair.tx.n == n
    yield (start >= 0) & (start < n)
    walked = 0
    for station in stations:
        yield (station >= 0) & (station < n)
        so_far, walked = walked, flat_steps(p, n, start, station)
        yield so_far <= walked
    yield walked == n - 1


def pipe_body(
    p: Proof,
    tx_prologue: Prologue,
    rx_prologue: Prologue,
    ring_reinit: Reinit,
    tx_positions: Callable[[Kring, int, int], Step[pipe.Transfer]],
    rx_positions: Callable[[Kring, int], Step[pipe.Transfer]],
    sync_finalize: Callable[[Kring], Step[Kring]],
) -> None:
    n = p.integer("n", 1)

    def words(name: str) -> ring.UserRing:
        return p.symbolic(ring.UserRing, name, lo=0, hi=U32 - 1)

    def txsync(pair: Pair) -> Pair:
        got = p.run(tx_prologue, pair.tx, words("user"), p.switches).state
        if not got.accepted:
            reset = p.run(ring_reinit, got.kring, words("later"), p.switches).state.kring
            return replace(pair, tx=reset)
        handed = ring.distance(got.kring.hwcur, got.kring.rhead, n)
        last_complete = p.integer("last_complete", 0)
        p.assume(last_complete <= handed)
        moved = p.run(tx_positions, got.kring, pair.released, last_complete).state
        p.goal("what is handed over is what was new", moved.count == handed)
        p.goal("that nothing is published is said in one way", moved.publish >= -1)
        done = p.run(sync_finalize, moved.kring).state
        published = moved.publish if moved.publish >= 0 else pair.published
        return replace(pair, tx=done, published=published)

    def rxsync(pair: Pair) -> Pair:
        got = p.run(rx_prologue, pair.rx, words("user"), p.switches).state
        k = got.kring
        if not got.accepted:  # a rejected receive ring is put back, and the sync goes on
            k = p.run(ring_reinit, k, words("later"), p.switches).state.kring
        moved = p.run(rx_positions, k, pair.published).state
        p.goal("what is handed back is what was released", moved.count == ring.distance(k.hwcur, k.rhead, n))
        p.goal("that nothing is published is said in one way", moved.publish >= -1)
        done = p.run(sync_finalize, moved.kring).state
        released = moved.publish if moved.publish >= 0 else pair.released
        return replace(pair, rx=done, released=released)

    always(
        p,
        "ownership",
        starts=[Pair(Kring(n, 0, n - 1, 0, 0, n - 1), Kring(n, 0, 0, 0, 0, 0), n - 1, 0)],
        arbitrary=lambda name: Pair(
            any_positions(p, f"{name}.tx", n),
            any_positions(p, f"{name}.rx", n),
            p.integer(f"{name}.released", 0, n - 1),
            p.integer(f"{name}.published", 0, n - 1),
        ),
        invariant=partial(pair_order, p),
        steps={"txsync": txsync, "rxsync": rxsync},
    )


def _releases_one_more(k: Kring, pipe_tail: int) -> Step[pipe.Transfer]:
    """An rxsync that leaves no slot between the two ends."""
    got = pipe.pipe_rxsync_positions(k, pipe_tail)
    if got.state.publish >= 0:
        return replace(got, state=replace(got.state, publish=k.rhead))
    return got


_FUNCTIONS = (
    ring.tx_prologue,
    ring.rx_prologue,
    ring.ring_reinit,
    pipe.pipe_txsync_positions,
    pipe.pipe_rxsync_positions,
    ring.sync_finalize,
)
_pipe = partial(
    obligation,
    clauses=("14.pipe.txsync", "14.pipe.rxsync", "14.pipe.whole-packets", "14.ring.kring-order"),
    functions=_FUNCTIONS,
    assumptions="""Any n >= 1; both ends store any u32 at any time, also between a prologue and a
    re-initialisation; any part of what was handed over may end a packet.""",
)

_pipe(
    "14.pipe.ownership",
    statement="""Whatever the two programs store in their rings, after any number of syncs each slot of a
    pipe has one owner: the receiver releases only what was published, the sender uses only what was
    released, and one slot always stays free.""",
    control=Control(
        "the receiver releases the slot that must stay free",
        *_FUNCTIONS[:4],
        _releases_one_more,
        ring.sync_finalize,
        goal="ownership: rxsync",
    ),
)(pipe_body)

_pipe(
    "14.pipe.ownership.as-written",
    statement="""As 14.pipe.ownership, with the re-initialisation as written: after one rejected sync a
    sender uses slots the receiver still reads, and a receiver releases slots that were never sent.""",
    switches={ring.REINIT_TRUSTS_USER},
    finding="F14-001",
    refutes={"ownership: txsync", "ownership: rxsync"},
    only_refute=True,
    control=Control(
        "as written, and a slot too few is handed over",
        *_FUNCTIONS[:3],
        lambda k, pipe_tail, last: Step(
            replace(pipe.pipe_txsync_positions(k, pipe_tail, last).state, count=0)
        ),
        *_FUNCTIONS[4:],
        goal="what is handed over is what was new",
    ),
)(pipe_body)

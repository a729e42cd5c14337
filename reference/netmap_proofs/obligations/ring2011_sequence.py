"""Generation 2011: the positions of a ring over any number of syncs, packets and resets.

A ring has ``n - 1`` slots to share: `nr_hwavail` are the application's, the rest are the NIC's or, in a host
ring, free. The one that stays lies behind them. That no position passes another one says just that: the
two numbers are never negative and never change their sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netmap_reference.core.step import Step
from netmap_reference.gen2011 import interrupts, ring, sync
from netmap_reference.gen2011.ports import host
from netmap_spec import invariants as spec

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import always

Kring = ring.Kring


@dataclass(frozen=True, slots=True)
class Shared:
    """A kring, and how many slots are not the application's: the NIC's, or free in a host ring."""

    k: Kring
    rest: int


def in_order(r: Shared) -> Iterator[bool]:
    """hwcur is a slot, hwavail and the rest are all slots but one, the offset can be mapped."""
    yield (r.k.hwcur >= 0) & (r.k.hwcur < r.k.n)
    yield (r.k.hwavail >= 0) & (r.rest >= 0)
    yield r.k.hwavail + r.rest == r.k.n - 1
    yield (r.k.hwofs > -r.k.n) & (r.k.hwofs < r.k.n)


_FITS = "what the NIC has finished fits the ring"


def sequence_body(
    p: Proof,
    check_cur: Callable[[int, int], Step[bool]],
    take: Callable[..., Step[sync.Taken]],
    give: Callable[[Kring, int], Step[sync.Taken]],
    from_host: Callable[..., Step[host.FromHost]],
    drained: Callable[[Kring, int], Step[Kring]],
    insert: Callable[..., Step[Any]],
    reset: Callable[[Kring, bool, int], Step[Kring]],
) -> None:
    n = p.integer("n", 1, (1 << 30) - 1)

    def takes(r: Shared) -> Shared:
        """The application's slots up to cur, which may be anything; a refused sync leaves the kring."""
        cur = p.u32("cur")
        if not p.run(check_cur, cur, n).state:
            return r
        got = p.run(take, r.k, cur, p.switches).state
        if not got.accepted:
            return replace(r, k=got.kring)
        return Shared(got.kring, r.rest + spec.steps(n, r.k.hwcur, cur))

    def gives(r: Shared) -> Shared:
        """The NIC has finished any number of the slots it has."""
        count = p.integer("count", 0)
        p.assume(count <= r.rest)
        got = p.run(give, r.k, count).state
        p.goal(_FITS, got.accepted)
        return Shared(got.kring, r.rest - count)

    def host_receive(r: Shared) -> Shared:
        cur = p.u32("cur")
        got = p.run(from_host, r.k, cur, p.switches).state
        return Shared(got.kring, r.rest + spec.steps(n, r.k.hwcur, cur) if got.accepted else r.rest)

    def host_transmit(r: Shared) -> Shared:
        cur = p.integer("sent", 0, n - 1)
        return Shared(p.run(drained, r.k, cur).state, 0)

    def packet(r: Shared) -> Shared | None:
        place = p.run(insert, r.k, p.switches).state
        if place is None:
            return None
        ahead = spec.steps(n, r.k.hwcur, place.at)
        p.goal("a packet from the stack goes into a free slot", ahead == r.k.hwavail, r.rest > 0)
        return Shared(replace(r.k, hwavail=r.k.hwavail + 1), r.rest - 1)

    def restarted(r: Shared, transmit: bool) -> Shared:
        new_cur = p.integer("new_cur", 0, n - 1)
        return Shared(p.run(reset, r.k, transmit, new_cur).state, 0 if transmit else r.rest)

    always(
        p,
        "positions",
        starts=[Shared(Kring(n, 0, n - 1), 0), Shared(Kring(n, 0, 0), n - 1)],
        arbitrary=lambda name: Shared(p.symbolic(Kring, name, n=n, kflags=0), p.integer(f"{name}.rest")),
        invariant=in_order,
        steps={
            "txsync": lambda r: gives(takes(r)),
            "rxsync": lambda r: takes(gives(r)),
            "host receive": host_receive,
            "host transmit": host_transmit,
            "a packet from the stack": packet,
            "the NIC's transmit ring restarts": lambda r: restarted(r, True),
            "the NIC's receive ring restarts": lambda r: restarted(r, False),
        },
    )


def _gives_one_more(k: Kring, count: int) -> Step[sync.Taken]:
    """The slot that always stays back is given too, when all others were."""
    step = sync.give(k, count)
    if count > 0 and step.state.kring.hwavail == k.n - 1:
        return replace(step, state=sync.Taken(replace(step.state.kring, hwavail=k.n), True))
    return step


_FUNCTIONS = (
    sync.check_cur,
    sync.take,
    sync.give,
    host.from_host,
    host.drained,
    interrupts.insert_position,
    interrupts.reset_hwofs,
)
_GIVES = Control(
    "the slot that always stays back is given too",
    *_FUNCTIONS[:2],
    _gives_one_more,
    *_FUNCTIONS[3:],
    goal="positions: txsync",
)
_sequence = partial(
    obligation,
    functions=_FUNCTIONS,
    assumptions="""1 <= n < 2^30; cur is any u32 at every sync; the NIC finishes any number of the slots it
    has, and restarts at any of its descriptors.""",
)

_sequence(
    "2011.ring.any-syncs",
    clauses=("2011.ring.positions", "2011.ring.sync-window", "2011.host.rx-window", "2011.host.rx-position"),
    statement="""From a fresh ring on, any number of syncs with anything in cur, completions, frames, packets
    of the stack and restarts of the NIC keeps hwcur in the ring and hwavail between 0 and n - 1: the
    application's slots, the NIC's and the one that stays back never overlap. Hardware and host rings.""",
    control=_GIVES,
    unreachable={
        sync.GIVE_TOO_MANY: "the NIC has no more slots than fit",
        interrupts.START_BAD_POS: "hwavail is never negative",
    },
)(sequence_body)

_sequence(
    "2011.ring.any-syncs.as-written",
    clauses=("2011.ring.positions", "2011.ring.sync-window"),
    statement="As 2011.ring.any-syncs, with the driver as it was: one cur too far makes hwavail negative.",
    control=Control(
        "as written, and a host ring that was sent is not drained",
        *_FUNCTIONS[:4],
        lambda k, cur: Step(replace(k, hwcur=cur)),
        *_FUNCTIONS[5:],
        goal="positions: host transmit",
    ),
    switches={sync.IGNORES_AVAIL},
    finding="F2011-001",
    refutes={"positions: txsync", "positions: rxsync"},
    only_refute=True,
)(sequence_body)

_sequence(
    "2011.ring.any-syncs.as-written.host",
    clauses=("2011.ring.positions", "2011.host.rx-window"),
    statement="""As 2011.ring.any-syncs, with a host ring that is debited before it is looked at: one cur too
    far and hwavail is negative.""",
    control=_GIVES,
    switches={host.DEBITS_FIRST},
    finding="F2011-004",
    refutes={"positions: host receive"},
    only_refute=True,
)(sequence_body)

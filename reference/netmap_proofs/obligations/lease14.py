"""Generation 14, switches: leases of a receive ring, granted in order and reported in any order."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from netmap_reference.gen14 import lease
from netmap_spec import invariants as spec

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every

_N = 5


def lease_body(
    p: Proof, space: Callable[..., int], take: Callable[..., Any], report: Callable[..., Any]
) -> None:
    cases = Cases(p, "orders")
    sizes = ((1, 1, 1), (2, 1, 1), (1, 2, 9), (3, 2, 1), (9, 1, 1))
    for at, number, released in every(p, "starts", range(_N), range(_N), (0, 2)):
        for needed, order, short in itertools.product(
            sizes, itertools.permutations(range(3)), (None, 0, 1, 2)
        ):
            cases.case(hwtail=at, index=number, unread=released, needed=needed, order=order, shorter=short)
            hwcur = (at - released) % _N
            state = lease.Lease(at, at, number, (lease.NOSLOT,) * _N)
            granted: list[tuple[int, int, int]] = []
            for want in needed:
                room = _N - 1 - spec.steps(_N, hwcur, state.hwlease)
                cases.goal(
                    "the room is what is neither leased nor unread, less one",
                    space(_N, hwcur, state.hwlease) == room,
                )
                step = take(_N, hwcur, state, want)
                p.reached(step.fired)
                got = step.state
                cases.goal(
                    "a lease begins behind the last one",
                    got.start == state.hwlease,
                    got.index == (number + len(granted)) % _N,
                )
                cases.goal("it is as long as asked for, or as there is room", got.count == min(want, room))
                cases.goal("the rule says which", (lease.TAKEN_PART in step.fired) == (want > room))
                cases.goal("the next one begins behind it", got.lease.hwlease == (got.start + got.count) % _N)
                granted.append((got.start, got.index, got.count))
                state = got.lease
            done: dict[int, int] = {}
            kept = set[int]()  # reported and not published
            tail, first = at, 0
            for which in order:
                start, index, count = granted[which]
                leftover = 1 if which == short and count else 0
                stop = (start + count - leftover) % _N
                step = report(_N, state, start, index, stop, leftover)
                p.reached(step.fired)
                last = which == len(granted) - 1
                emptied = leftover if leftover and not last else 0
                cases.goal(
                    "what the last lease did not need is given back",
                    step.state.lease.hwlease == (stop if leftover and last else state.hwlease),
                )
                cases.goal("what another one did not need is emptied", step.state.empty == emptied)
                back = (lease.GIVEN_BACK in step.fired, lease.EMPTIED in step.fired)
                wanted = (bool(leftover and last), bool(leftover and not last))
                cases.goal("the rules say what became of it", back == wanted)
                done[which] = (stop + emptied) % _N
                heads = start == tail and (
                    which == first or all(granted[w][2] == 0 for w in range(first, which))
                )
                before = tail
                while first in done and heads:
                    tail, first = done[first], first + 1
                cases.goal(
                    "published is what all earlier senders have finished", step.state.lease.hwtail == tail
                )
                told, more = lease.PUBLISHED in step.fired, lease.PUBLISHED_MORE in step.fired
                cases.goal("the rules say what was published", told == (start == before))
                kept.add(which)
                following = start == before and which + 1 in kept
                cases.goal("the rules say what was published", more == following)
                while start == before and which in kept:
                    kept.remove(which)
                    which += 1
                cases.goal(
                    "the receiver is told when something is published", step.state.news == (tail != before)
                )
                state = step.state.lease
            if first == len(granted):
                cases.goal(
                    "in the end everything is published and no lease is kept",
                    state.hwtail == state.hwlease,
                    set(state.ends) == {lease.NOSLOT},
                )
    cases.end()


obligation(
    "14.vale.lease-order",
    clauses=("14.vale.lease",),
    statement="""Leases follow one another in the ring, each as long as asked for or as there is room; in
    whatever order their senders finish, what is published is exactly what all earlier ones have finished;
    what a sender did not need is given back, or emptied when somebody else's slots follow.""",
    functions=(lease.space, lease.take_lease, lease.report_lease),
    control=Control(
        "a lease is published as soon as it is finished",
        lease.space,
        lease.take_lease,
        lambda n, state, start, index, stop, leftover: lease.report_lease(
            n, lease.Lease(start, state.hwlease, state.index, state.ends), start, index, stop, leftover
        ),
        goal="published is what all earlier senders have finished",
    ),
    bounds="""A ring of five slots, three leases of several lengths from every position and number, finished
    in every order, each of them once a slot short.""",
    rules=(
        lease.TAKEN,
        lease.TAKEN_PART,
        lease.GIVEN_BACK,
        lease.EMPTIED,
        lease.PUBLISHED,
        lease.PUBLISHED_MORE,
        lease.NOT_YET,
    ),
)(lease_body)

"""Generation 14, switches: leases of a receive ring, granted in order and reported in any order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netmap_reference.gen14 import lease
from netmap_spec import invariants as spec

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every
from ..schemas.reachable import reachable

_N = 5


def lease_body(
    p: Proof, space: Callable[..., int], take: Callable[..., Any], report: Callable[..., Any]
) -> None:
    cases = Cases(p, "orders")
    written = lease.EMPTY_NUMBERED in p.switches
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
                step = take(_N, hwcur, state, want, p.switches)
                p.reached(step.fired)
                got = step.state
                none = room == 0 and not written
                cases.goal(
                    "a lease begins behind the last one",
                    got.start == state.hwlease,
                    got.index == (lease.NOLEASE if none else (number + len(granted)) % _N),
                )
                empty = (lease.NONE_TAKEN in step.fired, lease.EMPTY_TAKEN in step.fired)
                cases.goal("the rules say that there was no slot", empty == (none, room == 0 and written))
                cases.goal("it is as long as asked for, or as there is room", got.count == min(want, room))
                cases.goal("the rule says which", (lease.TAKEN_PART in step.fired) == (want > room))
                cases.goal("the next one begins behind it", got.lease.hwlease == (got.start + got.count) % _N)
                if none:
                    cases.goal("without a slot there is no lease", got.lease == state)
                    continue
                granted.append((got.start, got.index, got.count))
                state = got.lease
            done: dict[int, int] = {}
            kept = set[int]()  # reported and not published
            gone = set[int]()  # given back, number and all
            tail, first = at, 0
            for which in order:
                if which >= len(granted):
                    continue
                start, index, count = granted[which]
                leftover = 1 if which == short and count else 0
                stop = (start + count - leftover) % _N
                step = report(_N, state, start, index, stop, leftover, p.switches)
                p.reached(step.fired)
                last = all(later in gone for later in range(which + 1, len(granted)))
                whole = leftover > 0 and last and stop == start
                withdrawn = whole and not written
                cases.goal(
                    "who gives all slots back gives the number back",
                    step.state.lease.index == (index if withdrawn else state.index),
                )
                number_back = (lease.WITHDRAWN in step.fired, lease.EMPTY_KEPT in step.fired)
                cases.goal(
                    "the rules say what becomes of the number", number_back == (withdrawn, whole and written)
                )
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
                publishes = start == before and not withdrawn
                cases.goal("the rules say what was published", told == publishes)
                (gone if withdrawn else kept).add(which)
                following = publishes and which + 1 in kept
                cases.goal("the rules say what was published", more == following)
                while publishes and which in kept:
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


_order = partial(
    obligation,
    clauses=("14.vale.lease",),
    functions=(lease.space, lease.take_lease, lease.report_lease),
    control=Control(
        "a lease is published as soon as it is finished",
        lease.space,
        lease.take_lease,
        lambda n, state, start, index, stop, leftover, switches: lease.report_lease(
            n,
            lease.Lease(start, state.hwlease, state.index, state.ends),
            start,
            index,
            stop,
            leftover,
            switches,
        ),
        goal="published is what all earlier senders have finished",
    ),
    bounds="""A ring of five slots, three leases of several lengths from every position and number, finished
    in every order, each of them once a slot short.""",
)
_RULES = (
    *(lease.TAKEN, lease.TAKEN_PART, lease.GIVEN_BACK, lease.EMPTIED),
    *(lease.PUBLISHED, lease.PUBLISHED_MORE, lease.NOT_YET),
)
_order(
    "14.vale.lease-order",
    statement="""Leases follow one another in the ring, each as long as asked for or as there is room; in
    whatever order their senders finish, what is published is exactly what all earlier ones have finished;
    what a sender did not need is given back, or emptied when somebody else's slots follow. There is no lease
    without a slot.""",
    rules=(*_RULES, lease.NONE_TAKEN, lease.WITHDRAWN),
)(lease_body)
_order(
    "14.vale.lease-order-extent",
    statement="""How far the deviation goes: leases without slots are numbered like others, and as long as
    there are fewer leases than slots, everything else holds.""",
    switches={lease.EMPTY_NUMBERED},
    rules=(*_RULES, lease.EMPTY_TAKEN, lease.EMPTY_KEPT),
)(lease_body)


# --- as many leases as slots ----------------------------------------------------------------------------


def stuck_body(p: Proof, report: Callable[..., Any]) -> None:
    cases = Cases(p, "rings")
    n = 3
    for at, number, second, third in every(p, "starts and reports", range(n), range(n), *[(False, True)] * 2):
        cases.case(hwtail=at, index=number, second=second, third=third)
        full = (at + 2) % n
        state = lease.Lease(at, full, number, (lease.NOSLOT,) * n)
        ends = [lease.NOSLOT] * n
        for reports, start, which in ((second, (at + 1) % n, 1), (third, full, 2)):
            if reports:
                index = (number + which) % n
                step = report(n, state, start, index, full, 0, p.switches)
                p.reached(step.fired)
                ends[index] = full
                state = lease.Lease(at, full, number, tuple(ends))
                cases.goal("behind the first nobody publishes", step.state == lease.Reported(state, 0, False))
        own = (at + 1) % n
        step = report(n, state, at, number, own, 0, p.switches)
        p.reached(step.fired)
        ends[number] = own
        stuck = lease.Reported(lease.Lease(own, full, number, tuple(ends)), 0, True)
        cases.goal("the first publishes its own slot and no other", step.state == stuck)
        cases.goal("the rule says so", step.fired == (lease.PUBLISHED,))
    cases.end()


obligation(
    "14.vale.lease-extent",
    clauses=("14.vale.lease",),
    statement="""With as many leases as slots the number of the next one is that of the first: the first takes
    it for the end of the walk and publishes its own slots alone, also when those behind it are done.""",
    functions=(lease.report_lease,),
    control=Control(
        "those behind it are published",
        lambda n, state, start, index, stop, leftover, switches: lease.report_lease(
            n,
            replace(state, index=(state.index + 1) % n if start == state.hwtail else state.index),
            *(start, index, stop, leftover, switches),
        ),
    ),
    bounds="Rings of three slots in every state, two leases of a slot and one of none, done or not.",
    switches={lease.EMPTY_NUMBERED},
    rules=(lease.PUBLISHED, lease.NOT_YET),
)(stuck_body)


# --- any number of senders --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ring:
    """A receive ring, and who has leased from it, in that order: (start, number, slots, end or None)."""

    hwcur: int
    lease: lease.Lease
    out: tuple[tuple[int, int, int, int | None], ...]


_SHOWN = "shown is what everybody up to the first who is still at work has filled"
_APART = "no two leases that are not shown have the same number"
_LEFT = "when nobody is at work, nothing is left that was leased and is not shown"


def any_body(p: Proof, take: Callable[..., Any], report: Callable[..., Any]) -> None:
    for n in (2, 3, 4, 5):

        def taking(count: int, n: int = n) -> Callable[[Ring], Ring | None]:
            def move(at: Ring) -> Ring | None:
                step = take(n, at.hwcur, at.lease, count, p.switches)
                p.reached(step.fired)
                got = step.state
                if got.index == lease.NOLEASE or len(at.out) > n:
                    return None
                return replace(at, lease=got.lease, out=(*at.out, (got.start, got.index, got.count, None)))

            return move

        def reporting(which: int, used: int, n: int = n) -> Callable[[Ring], Ring | None]:
            def move(at: Ring) -> Ring | None:
                if which >= len(at.out):
                    return None
                start, index, count, done = at.out[which]
                if done is not None or used > count:
                    return None
                stop, left = (start + used) % n, count - used
                step = report(n, at.lease, start, index, stop, left, p.switches)
                p.reached(step.fired)
                end = (stop + step.state.empty) % n
                out = (*at.out[:which], (start, index, count, end), *at.out[which + 1 :])
                if used == 0 and which == len(at.out) - 1:
                    out = at.out[:which]
                while out and out[0][3] is not None:
                    out = out[1:]
                return Ring(at.hwcur, step.state.lease, out)

            return move

        def checks(at: Ring) -> Iterator[tuple[str, bool, str]]:
            first = at.out[0][0] if at.out else at.lease.hwlease
            yield _SHOWN, at.lease.hwtail == first, f"{at}"
            numbers = [index for _, index, _, _ in at.out]
            yield _APART, len(set(numbers)) == len(numbers), f"{at}"
            yield _LEFT, bool(at.out) or at.lease.hwtail == at.lease.hwlease, f"{at}"

        moves = {f"somebody leases {count}": taking(count) for count in range(1, n + 1)}
        for which, used in itertools.product(range(n + 1), range(n)):
            moves[f"the {which + 1}. of those out has filled {used}"] = reporting(which, used)
        moves["the receiver releases everything"] = lambda at: replace(at, hwcur=at.lease.hwtail)
        start = Ring(0, lease.fresh(n), ())
        reachable(p, start, moves, checks, key=lambda at: at, depth=_LONG, label=f"{n} slots")


#: More moves than lead to any state of these rings: no state is beyond them.
_LONG = 40

obligation(
    "14.vale.any-senders",
    clauses=("14.vale.lease",),
    statement="""However many senders come, in whatever order they are done, whatever they need of what they
    leased: no two have one number, what is shown is what those before the first one still at work have
    filled, and when nobody is at work everything is shown.""",
    functions=(lease.take_lease, lease.report_lease),
    control=Control(
        "who gives all slots back keeps the number",
        lease.take_lease,
        lambda n, state, start, index, stop, leftover, switches: lease.report_lease(
            n, state, start, index, stop, leftover, frozenset({lease.EMPTY_NUMBERED})
        ),
    ),
    bounds="Rings of two to five slots, every state that any number of senders leads to.",
    rules=(*_RULES, lease.NONE_TAKEN, lease.WITHDRAWN),
)(any_body)

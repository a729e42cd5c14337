"""What moves by itself in the oracle. A sync-kloop may pass over its rings at any moment, also between a call
and the look; so may a copy monitor look at what has arrived.

So after every call each candidate is followed to wherever passes over single rings lead it. There are few
such states: a pass that finds nothing new changes nothing, and who is in the middle of one that will change
nothing more may as well be through with it, since another may begin at any moment.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace

from netmap_reference.core.choice import Choose
from netmap_reference.gen14.world import Result

from ..trace import Call
from .candidate import Candidate
from .choices import Enumeration, TooMany
from .requests import Mismatch

#: States that passes may lead to from one.
MAX_STATES = 256


def passed(c: Candidate) -> Iterator[tuple[Candidate, tuple[str, ...]]]:
    """The candidate, and every other one that passes of its loops lead to, with the rules these fired."""
    if not c.world.looping():
        yield c, ()
        return
    waiting: list[tuple[Candidate, tuple[str, ...]]] = [_through(c)]
    known: set[Hashable] = {waiting[0][0].world.key()}
    yield waiting[0]
    while waiting:
        at, fired = waiting.pop(0)
        for file, ring in at.world.looping():
            for step, more in _one(at, file, ring):
                after, silent = _through(step)
                key = after.world.key()
                if key in known:
                    continue
                known.add(key)
                if len(known) > MAX_STATES:
                    raise TooMany(MAX_STATES)
                waiting.append((after, (*fired, *more, *silent)))
                yield waiting[-1]


def _through(c: Candidate) -> tuple[Candidate, tuple[str, ...]]:
    """The candidate after what loops have yet to do that changes nothing, with the rules this fired."""
    fired: tuple[str, ...] = ()
    moved = True
    while moved:
        moved = False
        shown = c.world.shown()
        for file, ring in c.world.begun():
            outcomes = list(_one(c, file, ring))
            if len(outcomes) == 1 and outcomes[0][0].world.shown() == shown:
                c, more = outcomes[0]
                fired += more
                moved = True
                break
    return c, fired


def _one(c: Candidate, file: int, ring: str) -> Iterator[tuple[Candidate, tuple[str, ...]]]:
    """A pass over one ring, in every way it may go."""

    def act(choose: Choose) -> tuple[Candidate, tuple[str, ...]]:
        after = c.clone()
        return after, after.world.loop_step(file, ring, choose).fired

    for run in Enumeration(act, lambda choice: None):
        yield run.value


def monitored(c: Candidate, reading: frozenset[str]) -> Iterator[tuple[Candidate, tuple[str, ...]]]:
    """Every other candidate that a look of copy monitors at what arrived leads to, with the rules fired."""

    def act(choose: Choose) -> tuple[Candidate, tuple[str, ...]]:
        after = c.clone()
        after.world.switches = reading
        fired = after.world.looked(choose).fired
        after.world.switches = frozenset()
        return after, fired

    if not c.world.watched():
        return
    for run in Enumeration(act, lambda choice: None):
        if run.value[1]:
            yield run.value


def sleeps_in_loop(call: Call) -> bool:
    """Is this the call that lends its thread to a loop?"""
    return call.op == "ctl" and str(call.args.get("request", "")).endswith("SYNC_KLOOP_START")


def too_early() -> Mismatch:
    """A START may not return while its loop runs."""
    return Mismatch("ret", "no return before a SYNC_KLOOP_STOP", "a return", clause="14.kloop.stop")


def come_back(
    c: Candidate, call: Call, started: Result, actor: str
) -> tuple[Candidate, Result, list[Mismatch]]:
    """A START that slept in its loop returns: the candidate afterwards, the result, and what does not fit."""
    after = c.clone()
    ended = after.world.start_returns(call.fd, actor)
    if ended is None:
        return after, started, [too_early()]
    return after, replace(started, asleep=False, fired=(*started.fired, *ended.fired)), []

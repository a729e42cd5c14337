"""One step for a set of candidates: every way each of them may go, and which of those fit what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from netmap_reference.core.choice import Choice, Choose
from netmap_reference.core.step import RULES
from netmap_reference.gen14 import poll, sync
from netmap_reference.gen14.ring import distance
from netmap_reference.gen14.world import Result

from ..trace import Call, Return
from .apply import make
from .asked import Asked
from .candidate import Candidate, Started
from .choices import Enumeration
from .compare import Comparison
from .frames import compare_frames
from .loops import come_back, monitored, passed, sleeps_in_loop, too_early
from .requests import Mismatch

_BUSY = {sync.BUSY, poll.BUSY}
Answers = tuple[tuple[Choice, int], ...]


@dataclass(slots=True)
class Attempt:
    """One way one candidate went: where it is now, what the call gave, the answers and what does not fit."""

    before: Candidate
    after: Candidate
    result: Result
    answers: Answers
    found: list[Mismatch] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Context:
    """What a step needs to know about the run: processes, known initial state, errno names, deviations.

    ``readings`` are the sets of switches to try beside the contract.
    """

    process_of: Callable[[str], str]
    known: bool
    errno_name: Callable[[int | str], str]
    readings: tuple[frozenset[str], ...] = ()


def attempts(c: Candidate, call: Call, done: Return | None, context: Context) -> Iterator[Attempt]:
    """Every way the candidate may go when ``call`` is made, compared with ``done`` when it is given.

    A call that took effect before (``started``) only has its return compared; a sleeping poll may look again.
    """
    started = c.started.get(call.n)
    if started is None:
        for attempt in _act(c, call, done, context):
            if done is not None and attempt.result.asleep and sleeps_in_loop(call):
                attempt.found = [too_early()]
            yield attempt
        return
    if started.asleep and sleeps_in_loop(call):
        process = context.process_of(call.actor)
        after, result, wrong = come_back(c, call, started.result, process)
        attempt = _finish(c, after, call, done, result, (), context)
        attempt.found = wrong or attempt.found
        yield attempt
        return
    if not started.asleep:
        yield _finish(c, c.clone(), call, done, started.result, (), context)
        return
    assert done is not None
    if not done.revents:
        yield _finish(c, c.clone(), call, done, started.result, (), context)
    yield from _act(c, call, done, context)


def start(c: Candidate, call: Call, context: Context) -> Iterator[Candidate]:
    """Every way the candidate may go when ``call`` takes effect now and returns later."""
    for attempt in _act(c, call, None, context):
        attempt.after.started[call.n] = Started(attempt.result, attempt.result.asleep)
        yield attempt.after


def left_out(
    c: Candidate, call: Call, taken: frozenset[str], done: Return | None, context: Context
) -> Iterator[Attempt]:
    """The ways a sync or poll goes that finds rings ``taken`` by another call (14.sync.busy).

    It leaves them out. Any one of them may be taken at that moment, or all.
    """
    if not taken or call.n in c.started:
        return
    for rings in {taken, *(frozenset({ring}) for ring in taken)}:
        held = c.clone()
        held.world.system().busy = rings
        for attempt in _act(held, call, done, context):
            if _BUSY & set(attempt.result.fired):
                attempt.before = c
                attempt.after.world.system().busy = frozenset()
                yield attempt


def skipped(c: Candidate, call: Call, taken: frozenset[str], context: Context) -> Iterator[Candidate]:
    """Like :func:`start`, for a call that leaves rings out."""
    for attempt in left_out(c, call, taken, None, context):
        attempt.after.started[call.n] = Started(attempt.result, attempt.result.asleep)
        yield attempt.after


def _act(c: Candidate, call: Call, done: Return | None, context: Context) -> Iterator[Attempt]:
    if not context.readings:
        yield from _read(c, call, done, context, frozenset())
        return
    asked = Asked()
    yield from _read(c, call, done, context, asked)
    # All deviations together first. Where none of them makes a difference, none makes one alone.
    *alone, together = context.readings
    deviant = list(_deviant(c, call, done, context, together)) if together & asked.switches else []
    if deviant:
        for reading in alone:
            if reading & asked.switches:
                yield from _deviant(c, call, done, context, reading)
    yield from deviant


def _deviant(
    c: Candidate, call: Call, done: Return | None, context: Context, reading: frozenset[str]
) -> Iterator[Attempt]:
    """The ways that need a deviation of this reading; the others are the contract's own, already there."""
    for attempt in _read(c, call, done, context, reading):
        telling = frozenset(r for r in attempt.result.fired if r in RULES and RULES[r].switch)
        if telling:
            attempt.after.deviant |= {RULES[r].switch for r in telling}
            attempt.after.because |= telling
            yield attempt


def _read(
    c: Candidate, call: Call, done: Return | None, context: Context, reading: frozenset[str]
) -> Iterator[Attempt]:
    current = c

    def act(choose: Choose) -> tuple[Candidate, Result]:
        nonlocal current
        current = after = c.clone()
        after.world.switches = reading
        result = make(after, call, choose, context.process_of(call.actor))
        after.world.switches = frozenset()
        return after, result

    def needed(choice: Choice) -> int | None:
        return _needed(current, call, done, choice)

    runs = Enumeration(act, needed)
    for run in runs:
        after, result = run.value
        if _told(after, call, done, run.answers):
            runs.told(run)
        for later, fired in _passes(after, reading):
            more = replace(result, fired=(*result.fired, *fired)) if fired else result
            yield _finish(c, later, call, done, more, run.answers, context)


def _passes(c: Candidate, reading: frozenset[str]) -> Iterator[tuple[Candidate, tuple[str, ...]]]:
    """Where the passes of loops and the looks of monitors may have led the candidate when it is looked at."""
    if not c.world.looping():
        yield c, ()
        yield from monitored(c, reading)
        return
    c.world.switches = reading
    for later, fired in passed(c):
        found = later.clone()
        found.world.switches = frozenset()
        yield found, fired


def _told(c: Candidate, call: Call, done: Return | None, answers: Answers) -> bool:
    """Do the tails of all rings whose tail tells a choice stand where they were seen?"""
    pinned = [choice for choice, _ in answers if choice.name in PINNED]
    return bool(pinned) and all(_needed(c, call, done, choice) == 0 for choice in pinned)


def _needed(c: Candidate, call: Call, done: Return | None, choice: Choice) -> int | None:
    """How far the observed tail of the choice's ring is ahead of the candidate's, in slots."""
    if done is None or done.see is None or choice.unit not in ("slots", "frames"):
        return None
    if choice.name not in PINNED:
        return None
    kring = c.world.system().krings.get(choice.where)
    if kring is None or not c.bound(call.fd) or c.adapter(call.fd) != kring.adapter:
        return None
    seen = done.see.rings.get(f"{kring.t}{kring.index}", {}).get("tail")
    if not isinstance(seen, int) or not 0 <= seen < kring.pos.n:
        return None
    return distance(kring.pos.hwtail, seen, kring.pos.n)


#: Choices that move the tail of the ring they are about by as many slots (frames: at least as many).
PINNED = frozenset({"nic.tx-completed", "nic.rx-arrived"})


def _finish(
    before: Candidate,
    after: Candidate,
    call: Call,
    done: Return | None,
    result: Result,
    answers: Answers,
    context: Context,
) -> Attempt:
    attempt = Attempt(before, after, result, answers)
    after.started.pop(call.n, None)
    if result.outcome.ok and call.op == "fork":
        _inherit(after, context.process_of(call.actor), str(call.args["actor"]))
    if done is not None:
        process = context.process_of(call.actor)
        view = after.view(call.fd, process) or (process, call.fd)
        comparison = Comparison(after, call, done, result, view, context.known, context.errno_name)
        attempt.found = comparison.run()
        if call.op == "frames" and not attempt.found:
            attempt.found = compare_frames(after, call, done)
    if call.op in ("close", "exit", "kill", "munmap", "ctl", "legacy"):
        after.forget_freed()
    return attempt


def _inherit(c: Candidate, parent: str, child: str) -> None:
    """A child process has looked at what its parent had."""
    for (view, ring), data in list(c.looks.items()):
        if view[0] == parent:
            c.looks[(child, view[1]), ring] = data

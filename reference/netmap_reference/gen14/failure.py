"""Chapter *failure*: a step in the middle of a request fails, and what was done before it is undone.

A request is a row of steps: memory is allocated, bytes are copied in and out, adapters, krings and rings are
made, a driver is asked. A step that can fail names itself a **failure point** and passes it with
:func:`may_fail`; a step that changed something says with :func:`undo` how that is taken back. When the
request ends with an errno, :func:`unwind` takes everything back, the last thing first, as netmap's own error
paths do. Nothing else restores the state, so a step that forgets its inverse leaves something behind and
:mod:`.injection` finds it.

The *plan* of a system says which points will fail in the next request, open or mmap. It is empty unless the
environment filled it (:meth:`~.world.World.fail`): then passing a point costs one comparison. Where the code
as written forgets an inverse, the step names the *switch* of that deviation, and is left out while the switch
is on.

A point's errno is what the request ends with when the point fails; some points fail without ending the
request (an allocation that gets less than it asked for): they ask with :func:`fails` and go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from ..core.choice import Choose, eager
from ..core.step import rule

if TYPE_CHECKING:
    from .state import System

T = TypeVar("T")


class Refused(Exception):
    """A request fails with this errno; whoever carries it out undoes what it did so far."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Faulted(Exception):
    """The kernel faults at these source lines."""

    def __init__(self, lines: str) -> None:
        super().__init__(lines)
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Point:
    """A step that can fail: ``name``, the ``errno`` the request ends with, the ``rule`` that fires.

    No ``errno``: the request goes on with less.
    """

    name: str
    errno: str
    rule: str


POINTS: dict[str, Point] = {}


def point(name: str, errno: str, *, source: str, clause: str = "14.failure.errno") -> Point:
    """Register a failure point, at import time. Raises ``ValueError`` when the name is taken."""
    if name in POINTS:
        raise ValueError(f"failure point {name} is registered twice")
    POINTS[name] = found = Point(name, errno, rule(rule_of(name), clause=clause, source=source))
    return found


def rule_of(name: str) -> str:
    """The rule that fires when the point of this name fails."""
    return f"14/failure/{name.replace('.', '/')}"


@dataclass(frozen=True, slots=True)
class Undo:
    """How one step is taken back. ``switch``: the deviation that leaves it out; ``rule`` fires then.

    ``own``: what takes back the larger step this one is part of does not take this one back.
    """

    step: str
    inverse: Callable[[], None]
    switch: str = ""
    rule: str = ""
    own: bool = False


@dataclass(slots=True)
class Request:
    """The request in progress.

    ``plan`` has (point, how many passes of it go well before one fails). ``passed`` collects the names of
    the points passed, in order, while somebody listens (``None``: nobody). ``undo`` are the steps so far.
    ``taken`` collects the names of steps that have an inverse, while somebody listens. ``omit`` names
    inverses that are left out: the control of the check, never set by a model that runs.
    ``choose`` answers what the request leaves to the kernel.
    """

    plan: tuple[tuple[str, int], ...] = ()
    passed: list[str] | None = None
    undo: list[Undo] = field(default_factory=list)
    omit: frozenset[str] = frozenset()
    choose: Choose = eager
    taken: set[str] | None = None

    def clone(self) -> Request:
        """Between two requests there is nothing but the plan."""
        return Request(self.plan)

    def key(self) -> tuple[tuple[str, int], ...]:
        return self.plan


def fails(s: System, at: Point, fired: list[str]) -> bool:
    """Does this pass of a point fail? Then its rule has fired, and the caller says what follows."""
    request = s.request
    if request.passed is not None:
        request.passed.append(at.name)
    if not request.plan:
        return False
    for i, (name, good) in enumerate(request.plan):
        if name != at.name:
            continue
        later = ((name, good - 1),) if good else ()
        request.plan = (*request.plan[:i], *later, *request.plan[i + 1 :])
        if good == 0:
            fired.append(at.rule)
            return True
        break
    return False


def may_fail(s: System, at: Point, fired: list[str]) -> None:
    """Pass a point whose failure ends the request. Raises :class:`Refused`."""
    if fails(s, at, fired):
        raise Refused(at.errno)


def undo(
    s: System, step: str, inverse: Callable[[], None], switch: str = "", rule: str = "", own: bool = False
) -> None:
    """The step just done is taken back by ``inverse`` if the request fails later; see :class:`Undo`."""
    if s.request.taken is not None:
        s.request.taken.add(step)
    s.request.undo.append(Undo(step, inverse, switch, rule, own))


def mark(s: System) -> int:
    """How far the request has come, for :func:`unwind`, :func:`forget` and :func:`settle`."""
    return len(s.request.undo)


def unwind(s: System, fired: list[str], switches: frozenset[str], to: int = 0, staying: str = "") -> None:
    """Take back every step since ``to``, the last one first. Those called ``staying`` are left for when the
    request fails after all."""
    left: list[Undo] = []
    while len(s.request.undo) > to:
        step = s.request.undo.pop()
        if step.step == staying:
            left.insert(0, step)
        elif step.switch and step.switch in switches:
            if step.rule:
                fired.append(step.rule)
        elif step.step not in s.request.omit:
            step.inverse()
    s.request.undo.extend(left)


def forget(s: System, to: int) -> None:
    """The steps since ``to`` need no inverse any more: what follows takes them back with it."""
    s.request.undo[to:] = [u for u in s.request.undo[to:] if u.own]


def forget_all(s: System) -> None:
    """Nothing is undone though the request fails: only ever because of a deviation."""
    s.request.undo.clear()


def settle(s: System, step: str, inverse: Callable[[], None], to: int) -> None:
    """The steps since ``to`` have become one that has an inverse of its own."""
    forget(s, to)
    undo(s, step, inverse)


def carry_out(
    s: System, act: Callable[[], T], fired: list[str], switches: frozenset[str], keep: bool = True
) -> T:
    """Run a request. When it is refused everything is undone; also when it succeeds, unless ``keep``.

    Lets :class:`Refused` pass. Whatever else ends it leaves the system as it is then. The plan is for one
    request: nothing of it is left.
    """
    s.request.undo.clear()
    try:
        result = act()
        if not keep:
            unwind(s, fired, switches)
        return result
    except Refused:
        unwind(s, fired, switches)
        raise
    finally:
        s.request.undo.clear()
        s.request.plan = ()

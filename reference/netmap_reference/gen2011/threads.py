"""Other threads: what they do while one thread is at a certain point of a call.

An operation ``meanwhile`` names a point and what another thread does there the next time any thread gets to
it. Points are effects of the protocols, where threads can overtake each other:

===========================  =====================================================================
``lock core``                the thread is about to take the lock, and has to wait
``read tx1 slot 0 len``      the thread has read this word of the shared page; its next effect is to come
``sleep NIOCUNREG``          the thread sleeps on a channel with this message
===========================  =====================================================================

So one list of operations can hold what otherwise only two processors show: a word read twice, a value read
before the lock, a registration in the middle of a teardown. Several entries for a point are used up
one after the other. An operation that would have to wait for a lock held at its point is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.effects import Effect, Lock, ReadUser, Sleep
from ..core.outcome import HANG
from .device import Context, Panic

if TYPE_CHECKING:
    from .world import World


def point(effect: Effect) -> str:
    """The name of the point at which a thread is with this effect, empty when none can be named."""
    match effect:
        case Lock(name):
            return f"lock {name}"
        case ReadUser(where):
            return " ".join(map(str, ("read", *where)))
        case Sleep(channel):
            return f"sleep {channel}"
    return ""


def execute(world: World, effect: Effect, ctx: Context) -> Any:
    """Execute one effect, and what other threads do at its point: before a lock, after everything else."""
    if not world.others:
        return world.execute(effect, ctx)
    here = point(effect)
    if isinstance(effect, Lock):
        _overtake(world, here)
        return world.execute(effect, ctx)
    answer = world.execute(effect, ctx)
    if here:
        _overtake(world, here)
    return answer


def _overtake(world: World, here: str) -> None:
    """The first operation that waits for this point is done; its return is an event like any other."""
    from .operations import OPERATIONS, STORES

    for at, (where, op, args) in enumerate(world.others):
        if where == here:
            del world.others[at]
            table = STORES if op in STORES else OPERATIONS
            recorded, world.recorded = world.recorded, []
            try:
                returned = table[op](world, args)
            except Panic as panic:
                if panic.outcome == HANG:
                    raise ValueError(f"at {here} another thread's {op} would wait for a lock") from None
                raise
            world.recorded = recorded
            world.emit("THREAD", op, returned)
            return

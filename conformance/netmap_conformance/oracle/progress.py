"""What must have happened when the environment is at rest: "nothing happened" is no way to pass.

After ``settle`` nothing may be owed any more: frames that were handed over are completed and have arrived,
and no poll sleeps whose condition holds. A candidate that still owes something is no state an
implementation may be in; when all of them owe, the implementation has stalled.
"""

from __future__ import annotations

from dataclasses import dataclass

from netmap_reference.core.choice import eager

from ..trace import Call
from .candidate import Candidate
from .loops import sleeps_in_loop


@dataclass(frozen=True, slots=True)
class Owed:
    """The clause that is not met, what it wants and what there is, and the rings it is about."""

    clause: str
    wanted: str
    seen: str
    port: str = ""
    ring: str = ""


def owed(c: Candidate, asleep: list[Call]) -> list[Owed]:
    """Everything the candidate still owes when nothing moves any more; ``asleep`` are calls not returned."""
    found = [_ring(c, clause, name) for clause, name in c.world.owed()]
    for call in asleep:
        if sleeps_in_loop(call) and call.n not in c.started:
            found.append(Owed("14.kloop.start", f"the loop of {call.fd} (step {call.n}) runs", "not begun"))
        if call.op != "poll" or not c.bound(call.fd):
            continue
        world = c.world.clone()
        events = frozenset(call.args.get("events", ())) - {"et"}
        result = world.poll(call.fd, events, eager)
        if result.revents:
            ready = "|".join(sorted(result.revents))
            wanted = f"poll of {call.fd} (step {call.n}) returns: {ready} is ready"
            found.append(Owed("14.poll.wakeup", wanted, "asleep"))
    return found


def _ring(c: Candidate, clause: str, name: str) -> Owed:
    k = c.world.system().krings[name]
    port, _, ring = name.rpartition(":")
    n, pos = k.pos.n, k.pos
    if clause == "14.kloop.progress":
        return Owed(clause, f"everything published for {name} is handled", "not handled", port, ring)
    if k.t == "tx":
        wanted = f"every slot handed over is completed: tail of {name} at {(pos.hwcur - 1) % n}"
    else:
        wanted = f"every frame that came is reported in {name}"
    return Owed(clause, wanted, f"tail still {pos.hwtail}", port, ring)

"""From "no candidate fits" to a finding: the clause, what was allowed, what was seen, the rings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netmap_reference.core.step import RULES
from netmap_reference.gen14.ring import advance

from ..picture import RingPicture
from ..trace import Call, Return
from . import clauses, pictures
from .candidate import Candidate
from .requests import Mismatch
from .steps import PINNED, Attempt
from .verdict import VIOLATION, Finding

#: Allowed values written out before they are counted.
LISTED = 6


def blame(call: Call, done: Return, tried: Sequence[Attempt], last: Sequence[str]) -> Finding:
    """The VIOLATION for a return that no attempt explains.

    ``last`` are the rules that the descriptor's port fired most recently, for steps that fire none.
    """
    own = [a for a in tried if not a.after.deviant] or list(tried)
    best = min(own, key=_distance)
    mismatch = best.found[0]
    everywhere = [m for a in own for m in a.found if (m.field, m.ring) == (mismatch.field, mismatch.ring)]
    where = f"{mismatch.ring} " if mismatch.ring else ""
    clause = clauses.clause_of(call, mismatch, best.result.fired or last, _kind(best, call, mismatch.ring))
    rings = _rings(best, call, mismatch)
    return Finding(
        kind=VIOLATION,
        clause=clause,
        step=call.n,
        op=call.text or call.op,
        allowed=f"{where}{mismatch.field} {_allowed(best, call, mismatch, everywhere)}",
        seen=mismatch.seen,
        line=done.line or call.line,
        before=pictures.before(best.before, call.fd, rings),
        after=pictures.after(best.after, call.fd, rings, done),
    )


def _kind(best: Attempt, call: Call, ring: str) -> str:
    """What sort of ring it is: nic, host or pipe; empty for none."""
    if not ring or not best.after.bound(call.fd):
        return ""
    k = best.after.world.system().krings.get(best.after.full_name(call.fd, ring))
    if k is not None and best.after.world.system().adapters[k.adapter].kind == "monitor":
        return "monitor"
    return "" if k is None else "pipe" if k.pipe else "host" if k.host else "nic"


def _distance(a: Attempt) -> tuple[bool, int]:
    """An attempt that ends as the call did is nearer, however much of the rings differs."""
    return a.found[0].field in ("ret", "errno", "outcome"), len(a.found)


def _allowed(best: Attempt, call: Call, mismatch: Mismatch, everywhere: Iterable[Mismatch]) -> str:
    """The set of allowed values in words; an interval where the kernel may choose how far the tail moves."""
    if mismatch.field == "tail":
        for choice, _ in best.answers:
            kring = best.before.world.system().krings.get(choice.where)
            if choice.name in PINNED and kring is not None and choice.where.endswith(f":{mismatch.ring}"):
                low, high = (advance(kring.pos.hwtail, by, kring.pos.n) for by in (choice.lo, choice.hi))
                if low != high:
                    return f"{low} to {high} (the kernel may choose)"
    values = list(dict.fromkeys(m.allowed for m in everywhere))
    if len(values) > LISTED:
        return f"{' or '.join(values[:LISTED])} or one of {len(values) - LISTED} more"
    return " or ".join(values)


def _rings(best: Attempt, call: Call, mismatch: Mismatch) -> list[str]:
    """The rings to draw: the one that differs, else those the operation is about."""
    if mismatch.ring:
        return [mismatch.ring]
    if not best.before.bound(call.fd):
        return []
    wanted = {"txsync": ("tx",), "rxsync": ("rx",), "poll": ("tx", "rx")}.get(call.op, ())
    return [name for name in best.before.world.rings(call.fd) if name.startswith(wanted)] if wanted else []


def pictures_of_port(c: Candidate, port: str, ring: str) -> tuple[RingPicture, ...]:
    """A ring of a port, through whatever descriptor is bound to it."""
    s = c.world.system()
    for _, fd in sorted(s.holders):
        if c.bound(fd) and c.adapter(fd) == port and ring in c.world.rings(fd):
            return pictures.before(c, fd, [ring])
    return ()


def port_of(tried: Sequence[Attempt], fd: str) -> str:
    """The port the descriptor is bound to, empty for none."""
    for a in tried:
        if fd and a.after.bound(fd):
            return a.after.adapter(fd)
    return ""


def open_errno(fired: Sequence[str]) -> str:
    """The implementation-defined clause that decided the error of a call, empty when the error is fixed."""
    found = [RULES[r].clause for r in fired if r in RULES and clauses.decides_return(r)]
    return found[-1] if found and clauses.implementation_defined(found[-1]) else ""


def clause_of_switch(switch: str) -> str:
    """The clause that a deviation breaks, by the first rule that belongs to it."""
    return next((rule.clause for rule in RULES.values() if rule.switch == switch), switch)


def main_clause(call: Call) -> str:
    """What an operation is about when no single field of it is."""
    return clauses.operation_clause(call.op)

"""Which clause an observation breaks: from the field that differs and the rules the model fired.

A rule that decides a field names its clause: the port's own part of a sync decides ``tail`` and the slots,
the prologue decides what becomes of ``head`` and ``cur``. Where no rule of the step speaks about the field,
the clause is the one that says who may change it, or the main clause of the operation.
"""

from __future__ import annotations

from collections.abc import Sequence

from netmap_reference.core.step import RULES, Rule
from netmap_spec import clauses

from ..trace import Call
from .compare import Mismatch

#: The main clause of an operation: what it returns and does.
OPERATIONS = {
    "open": "14.close.last-reference",
    "close": "14.close.returns",
    "dup": "14.close.last-reference",
    "fork": "14.close.last-reference",
    "exit": "14.close.returns",
    "register": "14.register.result",
    "ctl": "14.control.port-info",
    "mmap": "14.memory.mmap",
    "munmap": "14.memory.mmap",
    "remap": "14.memory.mmap",
    "txsync": "14.sync.each-ring",
    "rxsync": "14.sync.each-ring",
    "poll": "14.poll.ready",
    "frame": "14.nic.arrival",
    "frames": "14.nic.order",
    "read": "14.control.not-a-stream",
    "write": "14.control.not-a-stream",
    "ioctl": "14.control.not-a-stream",
    "sysctl": "14.control.parameters",
    "env": "14.control.parameters",
}
#: What only a store of the application can have done: the region is shared and the kernel left it alone.
STORES = "14.memory.mmap"
#: Fields that one clause speaks about, whatever was done.
FIELDS = {
    "num_slots": "14.register.sizes",
    "nr_buf_size": "14.memory.layout",
    "ringid": "14.register.nifp",
    "dir": "14.register.direction",
    "offset_mask": "14.memory.layout",
    "buf_align": "14.memory.layout",
    "buf_ofs": "14.memory.layout",
    "flags": "14.memory.leftovers",
    "ts_set": "14.sync.timestamp",
    "rings": "14.register.rings",
    "see": "14.memory.mmap",
    "nifp.ni_bufs_head": "14.memory.extra-buffers",
    "nifp.extra": "14.memory.extra-buffers",
    "nifp.ring_ofs": "14.register.nifp",
    "out.nr_mem_id": "14.memory.ids",
    "out.nr_memsize": "14.memory.layout",
    "out.nr_offset": "14.memory.layout",
    "out.nr_extra_bufs": "14.memory.extra-buffers",
}
PREFIXES = {
    "nifp.": "14.register.nifp",
    "out.nr_host": "14.host.counts",
    "out.nr_tx": "14.register.sizes",
    "out.nr_rx": "14.register.sizes",
    "out.": "14.register.result",
}
#: Chapters whose rules decide what a sync does to a ring, and those that only follow up.
_PORTS = ("pipe", "nic", "device", "host", "wire", "vale")
_REJECTED = ("14/sync/tx/reinit", "14/sync/rx/reinit")


def clause_of(call: Call, mismatch: Mismatch, fired: Sequence[str]) -> str:
    """The clause that the mismatch breaks, given the rules the model fired in this step (or the last ones
    of the descriptor's port, when this step fired none)."""
    field = mismatch.field
    if mismatch.clause:
        return mismatch.clause
    rules = [RULES[r] for r in fired if r in RULES]
    if field in ("ret", "errno", "outcome"):
        if call.op == "poll":
            return _poll_clause(rules)
        deciding = (
            [] if mismatch.allowed in ("OK", "0") else [r.clause for r in rules if decides_return(r.id)]
        )
        return deciding[-1] if deciding else operation_clause(call.op)
    if field == "revents":
        return _poll_clause(rules)
    if field in ("head", "cur", "tail") or field.startswith("slot"):
        return _ring_clause(call, field, mismatch.ring, rules)
    if field in ("bytes", "frames"):
        ports = [r.clause for r in rules if chapter(r.id) in _PORTS]
        return ports[-1] if ports else "14.memory.mmap" if field == "bytes" else operation_clause(call.op)
    if field in FIELDS:
        return FIELDS[field]
    return next((c for prefix, c in PREFIXES.items() if field.startswith(prefix)), operation_clause(call.op))


def _poll_clause(rules: Sequence[Rule]) -> str:
    """An error is decided by the rule that reports it, anything else by the rings being ready or not."""
    errors = [r.clause for r in rules if r.clause in ("14.poll.error", "14.poll.unbound")]
    return errors[-1] if errors else "14.poll.ready"


def _ring_clause(call: Call, field: str, ring: str, rules: Sequence[Rule]) -> str:
    """Positions and slots of a ring."""
    if any(r.id in _REJECTED for r in rules):
        return "14.ring.reinit-slots" if field.startswith("slot") else "14.ring.reinit-resets"
    ports = [r.clause for r in rules if f"/{ring[:2]}sync/" in r.id and chapter(r.id) in _PORTS]
    if field == "tail" and ports[:1] == ["14.nic.txsync"]:
        ports = ["14.nic.reclaim"]
    if call.op in ("mmap", "register", "remap"):
        shared = [r.clause for r in rules if chapter(r.id) == "pipe"]
        return shared[-1] if shared else "14.memory.fresh-ring"
    if call.op in ("txsync", "rxsync", "poll"):
        if field in ("head", "cur"):
            return "14.ring.tail-published"
        if call.op == "poll":
            # What a poll leaves alone is decided by what it syncs.
            own = ("flush", "receive", "do-rx-poll") if ring.startswith("rx") else ("flush",)
            quiet = "14.poll.receive" if ring.startswith("rx") else "14.poll.flush"
            touched = any(r.clause == f"14.poll.{word}" for r in rules for word in own)
            return ports[0] if ports and touched else quiet
        if ports and ring.startswith(call.op[:2]):
            return ports[0]
        return "14.sync.each-ring"
    return "14.ring.tail-is-kernels" if field == "tail" else STORES


def decides_return(id: str) -> bool:
    """May this rule be the one that decided how the call ends?"""
    return id != "14/register/refused" and chapter(id) not in ("notify", "wire")


def chapter(id: str) -> str:
    """The chapter of a rule, ``pipe`` of ``14/pipe/txsync/published``."""
    return id.split("/")[1]


def operation_clause(op: str) -> str:
    """The main clause of an operation; a store's, where none is listed."""
    return OPERATIONS.get(op, STORES)


def implementation_defined(clause: str) -> bool:
    """May an implementation choose here, as long as it keeps to its choice?"""
    found = clauses.load().get(clause)
    return found is not None and found.level == "IMPLEMENTATION-DEFINED"

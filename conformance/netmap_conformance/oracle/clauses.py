"""Which clause an observation breaks: from the field that differs and the rules the model fired.

A rule that decides a field names its clause: the port's own part of a sync decides ``tail`` and the slots,
the prologue decides what becomes of ``head`` and ``cur``. Where no rule of the step speaks about the field,
the clause is the one that says who may change it, or the main clause of the operation.
"""

from __future__ import annotations

from collections.abc import Sequence

from netmap_reference.core.step import RULES
from netmap_spec import clauses

from ..trace import Call
from .compare import Mismatch

#: The main clause of an operation: what it returns.
OPERATIONS = {
    "register": "14.register.result",
    "mmap": "14.memory.mmap",
    "munmap": "14.memory.mmap",
    "remap": "14.memory.mmap",
    "poll": "14.poll.ready",
    "txsync": "14.sync.result",
    "rxsync": "14.sync.result",
    "ctl": "14.control.port-info",
    "close": "14.close.result",
    "open": "14.open.result",
    "frame": "14.nic.arrival",
    "frames": "14.nic.order",
    "read": "14.control.not-a-stream",
    "write": "14.control.not-a-stream",
    "ioctl": "14.control.not-a-stream",
}
#: Fields that one clause speaks about, whatever was done.
FIELDS = {
    "num_slots": "14.register.sizes",
    "nr_buf_size": "14.memory.layout",
    "ringid": "14.memory.layout",
    "dir": "14.memory.layout",
    "offset_mask": "14.memory.layout",
    "buf_align": "14.memory.layout",
    "buf_ofs": "14.memory.layout",
    "flags": "14.ring.flags-are-users",
    "ts_set": "14.sync.timestamp",
    "rings": "14.register.rings",
    "see": "14.memory.mmap",
    "revents": "14.poll.ready",
    "nifp.ni_bufs_head": "14.memory.extra-buffers",
    "nifp.extra": "14.memory.extra-buffers",
    "nifp.ring_ofs": "14.register.rings",
    "nifp.ni_name": "14.register.result",
    "out.nr_mem_id": "14.memory.ids",
    "out.nr_memsize": "14.memory.layout",
    "out.nr_offset": "14.memory.layout",
    "out.nr_extra_bufs": "14.memory.extra-buffers",
    "out.nr_mode": "14.register.rings",
    "out.nr_ringid": "14.register.rings",
}
_PREFIXES = (
    ("nifp.", "14.memory.layout"),
    ("out.nr_host", "14.host.counts"),
    ("out.nr_tx", "14.register.sizes"),
    ("out.nr_rx", "14.register.sizes"),
    ("out.", "14.register.result"),
)
#: Chapters whose rules decide what a sync does to a ring, and those that only follow up.
_PORTS = ("pipe", "nic", "device", "host", "wire", "vale")
_REJECTED = ("14/sync/tx/reinit", "14/sync/rx/reinit")


def clause_of(call: Call, mismatch: Mismatch, fired: Sequence[str]) -> str:
    """The clause that the mismatch breaks, given the rules the model fired in this step (or the last one
    that touched the ring, when this step fired none about it)."""
    field = mismatch.field
    rules = [RULES[r] for r in fired if r in RULES]
    if field in ("ret", "errno", "outcome"):
        deciding = [r.clause for r in rules if decides_return(r.id)]
        return _existing(deciding[-1:] or [OPERATIONS.get(call.op, "")], "14.register.result")
    if field in ("head", "cur", "tail") or field.startswith("slot"):
        return _ring_clause(call, field, [(r.id, r.clause) for r in rules])
    if field == "bytes" or field == "frames":
        ports = [r.clause for r in rules if _chapter(r.id) in _PORTS]
        return _existing(ports[-1:] or ["14.nic.order"], "14.pipe.txsync")
    if field in FIELDS:
        return _existing([FIELDS[field]], "14.register.result")
    for prefix, clause in _PREFIXES:
        if field.startswith(prefix):
            return _existing([clause], "14.register.result")
    return _existing([OPERATIONS.get(call.op, "")], "14.register.result")


def _ring_clause(call: Call, field: str, rules: list[tuple[str, str]]) -> str:
    ids = [id for id, _ in rules]
    if any(r in ids for r in _REJECTED):
        reinit = [c for id, c in rules if id.startswith("14/ring/reinit")]
        if field.startswith("slot"):
            reinit = ["14.ring.reinit-slots"]
        return _existing(reinit[-1:], "14.ring.reinit-resets")
    if field in ("head", "cur"):
        return _existing(["14.ring.tail-published"], "14.ring.tail-published")
    ports = [c for id, c in rules if _chapter(id) in _PORTS]
    if call.op in ("mmap", "register", "remap"):
        registered = [c for id, c in rules if _chapter(id) in ("pipe", "memory")]
        return _existing(registered[-1:] or ["14.memory.layout"], "14.ring.kring-order")
    if ports and call.op in ("txsync", "rxsync", "poll"):
        return _existing(ports[-1:], "14.ring.tail-published")
    if field == "tail":
        return "14.ring.tail-is-kernels"
    return _existing(["14.memory.owner"], "14.ring.kring-order")


def decides_return(id: str) -> bool:
    """May this rule be the one that decided how the call ends?"""
    return id != "14/register/refused" and _chapter(id) not in ("notify", "wire")


def _chapter(id: str) -> str:
    return id.split("/")[1]


def _existing(wanted: Sequence[str], otherwise: str) -> str:
    """The first clause of the list that the specification has."""
    known = clauses.load()
    return next((c for c in wanted if c in known), otherwise)


def implementation_defined(clause: str) -> bool:
    """May an implementation choose here, as long as it keeps to its choice?"""
    found = clauses.load().get(clause)
    return found is not None and found.level == "IMPLEMENTATION-DEFINED"


def operation_clause(op: str) -> str:
    """The main clause of an operation."""
    return _existing([OPERATIONS.get(op, "")], "14.register.result")

"""Which clause an observation breaks: from the field that differs and the rules the model fired.

How a call ends is decided by the last rule it fired; ``tail`` and the slots of a ring by its port's own part
of the sync, or by what put a rejected ring back. Where no rule of the step speaks about the field, the clause
is the one that says who may change it, or the main clause of the operation.
"""

from __future__ import annotations

from collections.abc import Sequence

from netmap_reference.core.step import RULES, Rule
from netmap_spec import clauses

from ..trace import Call
from .requests import Mismatch

#: The main clause of an operation: what it returns and does.
OPERATIONS = {
    "open": "14.close.last-reference",
    "close": "14.close.returns",
    "dup": "14.close.last-reference",
    "fork": "14.close.last-reference",
    "exit": "14.close.returns",
    "register": "14.register.result",
    "ctl": "14.control.port-info",
    "legacy": "14.legacy.back",
    "mmap": "14.memory.mmap",
    "munmap": "14.memory.mmap",
    "remap": "14.memory.mmap",
    "useext": "14.extmem.region",
    "txsync": "14.sync.each-ring",
    "rxsync": "14.sync.each-ring",
    "poll": "14.poll.ready",
    "epset": "14.poll.sets",
    "epwait": "14.poll.sets",
    "link": "14.nic.down",
    "reset": "14.nic.reset",
    "detach": "14.nic.gone",
    "attach": "14.nic.gone",
    "resize": "14.module.reconfigured",
    "unload": "14.module.in-use",
    "frame": "14.nic.arrival",
    "frames": "14.nic.order",
    "read": "14.control.not-a-stream",
    "write": "14.control.not-a-stream",
    "ioctl": "14.control.other-ioctls",
    "sysctl": "14.control.parameters",
    "param": "14.control.parameters",
    "fail": "14.failure.undone",
    "module": "14.callbacks.create",
    "env": "14.control.parameters",
    "csbset": "14.csb.entries",
    "kick": "14.kloop.kick",
    "irq": "14.kloop.irq",
    "gsync": "14.ptnet.txsync",
}
#: What only a store of the application can have done: the region is shared and the kernel left it alone.
STORES = "14.memory.mmap"
#: Fields that one clause speaks about, whatever was done.
FIELDS = {
    "param": "14.control.parameters",
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
    "hdr.nr_name": "14.control.copied-back",
    "irq": "14.kloop.irq",
    "csb": "14.csb.entries",
    "csb.hwcur": "14.csb.kernel-write",
    "csb.hwtail": "14.csb.kernel-write",
    "csb.kern_need_kick": "14.kloop.kick",
    "options": "14.control.copied-back",
    "options.status": "14.options.status",
    "out.nr_mem_id": "14.memory.ids",
    "out.nr_arg2": "14.memory.ids",
    "out.nr_version": "14.legacy.version-told",
    "out.nr_memsize": "14.memory.layout",
    "out.nr_offset": "14.memory.layout",
    "out.nr_extra_bufs": "14.memory.extra-buffers",
}
PREFIXES = {
    "csb.": "14.csb.initial",
    "hdr.": "14.control.header",
    "options.": "14.control.copied-back",
    "nifp.": "14.register.nifp",
    "out.nr_host": "14.host.counts",
    "out.nr_tx": "14.register.sizes",
    "out.nr_rx": "14.register.sizes",
    "out.": "14.register.result",
}
#: Chapters whose rules decide what becomes of frames.
_PORTS = ("pipe", "nic", "device", "host", "wire")
#: Who decides about a ring in its own sync, by kind of ring and direction.
RINGS = {
    ("pipe", "tx"): "14.pipe.txsync",
    ("pipe", "rx"): "14.pipe.rxsync",
    ("host", "tx"): "14.host.tx",
    ("host", "rx"): "14.host.rx",
    ("nic", "tx"): "14.nic.txsync",
    ("nic", "rx"): "14.nic.rxsync",
    ("monitor", "tx"): "14.monitor.no-sending",
    ("monitor", "rx"): "14.monitor.seen",
}
#: Clauses that say when a poll has an error, and a kqueue's filter has none.
_ERRORS = ("14.poll.error", "14.poll.unbound", "14.csb.no-sync", "14.kqueue.filters", "14.kqueue.ready")
_REJECTED = ("14/sync/tx/reinit", "14/sync/rx/reinit")


def clause_of(call: Call, mismatch: Mismatch, fired: Sequence[str], kind: str = "") -> str:
    """The clause that the mismatch breaks.

    ``fired`` are the rules of this step, or the last ones of the descriptor's port when it fired none;
    ``kind`` tells what sort of ring the mismatch is about: nic, host, pipe, monitor, or empty.
    """
    field = mismatch.field
    if mismatch.clause:
        return mismatch.clause
    if call.op == "parse":
        return next((RULES[r].clause for r in reversed(fired) if r in RULES), "14.portspec.ring")
    rules = [RULES[r] for r in fired if r in RULES]
    if field in ("ret", "errno", "outcome"):
        if call.op == "poll":
            return _poll_clause(rules)
        deciding = [r.clause for r in rules if decides_return(r.id)]
        expected_success = mismatch.allowed in ("OK", "0")
        if expected_success or not deciding or call.op not in OPERATIONS:
            return operation_clause(call.op)
        return deciding[-1]
    if field == "revents" and call.op == "epwait":
        return next((r.clause for r in reversed(rules) if chapter(r.id) == "sets"), "14.poll.sets")
    if field == "revents":
        return _poll_clause(rules)
    if field in ("head", "cur", "tail") or field.startswith("slot"):
        return _ring_clause(call, mismatch, rules, kind)
    if field in ("bytes", "frames"):
        ports = [r.clause for r in rules if chapter(r.id) in _PORTS]
        return ports[-1] if ports else "14.memory.mmap" if field == "bytes" else operation_clause(call.op)
    if field in FIELDS:
        return FIELDS[field]
    return next((c for prefix, c in PREFIXES.items() if field.startswith(prefix)), operation_clause(call.op))


def _poll_clause(rules: Sequence[Rule]) -> str:
    """An error is decided by the rule that reports it, anything else by the rings being ready or not."""
    errors = [r.clause for r in rules if r.clause in _ERRORS]
    return errors[-1] if errors else "14.poll.ready"


def _ring_clause(call: Call, mismatch: Mismatch, rules: Sequence[Rule], kind: str) -> str:
    """Positions and slots of a ring of this kind (nic, host, pipe)."""
    field, direction = mismatch.field, mismatch.ring[:2]
    if any(r.id in _REJECTED for r in rules):
        return "14.ring.reinit-slots" if field.startswith("slot") else "14.ring.reinit-resets"
    if call.op in ("mmap", "register", "remap"):
        shared = [r.clause for r in rules if chapter(r.id) == "pipe"]
        return shared[-1] if shared else "14.memory.fresh-ring"
    if call.op in ("txsync", "rxsync", "poll"):
        if field in ("head", "cur"):
            return "14.ring.tail-published"
        looked = any(r.id.startswith("14/ring/rx_prologue") for r in rules)
        if call.op == "poll" and direction == "rx" and not looked:
            return "14.poll.receive"  # a poll that does not wait for packets leaves receive rings alone
        if call.op == "poll" and direction == "tx" and not any(r.id == "14/poll/tx/flush" for r in rules):
            return "14.poll.flush"
        if call.op != "poll" and direction != call.op[:2]:
            return "14.sync.each-ring"
        if (kind, direction, field) == ("nic", "tx", "tail"):
            return "14.nic.reclaim"
        return RINGS.get((kind, direction), "14.sync.each-ring")
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

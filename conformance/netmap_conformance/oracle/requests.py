"""What a control request gave back against the model's: header, options, and every field of the body.

Identifiers, sizes and offsets are the kernel's to choose and are compared modulo the bindings. A body
that belongs to something which is gone again (PORT_INFO_GET of a port that does not exist) binds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from netmap_reference.gen14.memory import GLOBAL_ID
from netmap_reference.gen14.world import Result

from ..trace import Call, Return
from .candidate import Candidate

#: Operations that are requests with something copied back.
REQUESTS = frozenset({"register", "ctl", "legacy", "parse"})
#: Commands of NIOCREGIF whose ``nr_arg2`` is a memory's identifier: none, BDG_ATTACH, BDG_NEWIF.
_WITH_MEMORY = (0, 1, 6)
_BDG_LIST = 4


@dataclass(frozen=True, slots=True)
class Mismatch:
    """``field`` that differs (``ret``, ``out.nr_mem_id``, ``slot.len`` …), of a ``ring`` or of none.

    ``clause`` is given where the field alone tells which one is broken.
    """

    field: str
    allowed: str
    seen: str
    ring: str = ""
    clause: str = ""


def memory_id(call: Call) -> str:
    """What the memory's identifier is called in the body of this request."""
    if call.op != "legacy":
        return "nr_mem_id"
    cmd = call.args.get("cmd", 0)
    info = call.args.get("request") == "GINFO"
    return "nr_arg2" if (cmd != _BDG_LIST if info else cmd in _WITH_MEMORY) else ""


def compare_request(
    c: Candidate, call: Call, done: Return, result: Result, errno_name: Callable[[int | str], str]
) -> list[Mismatch]:
    """Everything copied back that does not fit; what is seen for the first time is bound in ``c``."""
    found: list[Mismatch] = []
    if done.hdr and result.hdr:
        found += _header(done.hdr, result.hdr)
    if done.options is not None and result.hdr:
        found += _options(done.options, result.options, errno_name)
    if done.out is not None and result.out:
        seen, model = dict(_flat(done.out)), dict(_flat(result.out))
        if call.op == "parse":
            found += _parsed(c, seen, model)
        elif result.outcome.ok:
            found += _body(c, call, seen, model)
        else:
            found += _untouched(c, call, seen, model)
    return found


def _flat(body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """A body's fields; those of a structure in it count as its own."""
    for name, value in body.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield name, value


def _header(seen: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[Mismatch]:
    for name, value in model.items():
        if name in seen and seen[name] != value:
            yield Mismatch(f"hdr.{name}", str(value), str(seen[name]))


def _options(
    seen: list[dict[str, Any]], model: tuple[dict[str, Any], ...], errno_name: Callable[[int | str], str]
) -> Iterator[Mismatch]:
    if len(seen) != len(model):
        yield Mismatch("options", f"{len(model)} options", f"{len(seen)} options")
        return
    for i, (theirs, ours) in enumerate(zip(seen, model, strict=True)):
        for name, value in ours.items():
            if name not in theirs:
                continue
            shown = theirs[name]
            if name == "status":
                shown = errno_name(shown) if shown else ""
            if shown != value:
                yield Mismatch(f"options.{name}", f"{value or 0} in option {i}", str(shown or 0))


def _untouched(
    c: Candidate, call: Call, seen: Mapping[str, Any], model: Mapping[str, Any]
) -> Iterator[Mismatch]:
    """A request that failed gives its fields back as they were sent."""
    for name, value in model.items():
        if name not in seen:
            continue
        sent = value
        if name == memory_id(call) and value:
            given = call.args.get(name.removeprefix("nr_"))
            sent = given if isinstance(given, int) else c.binds.seen(("mem", 0), value)
        if seen[name] != sent:
            yield Mismatch(f"out.{name}", f"{sent} as sent", str(seen[name]), clause=_failure(call))


def _parsed(c: Candidate, seen: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[Mismatch]:
    """What a library read: every field is fixed, but for the memory that it asked the kernel for."""
    for name, value in model.items():
        if name == "nr_mem_id" and value in c.world.system().allocators and name in seen:
            yield from bound(c, ("mem", 0), value, seen[name], f"out.{name}")
        elif name in seen and seen[name] != value:
            yield Mismatch(f"out.{name}", str(value), str(seen[name]))


def _failure(call: Call) -> str:
    """Who says that a failed request is given back as it was."""
    return "14.register.failure" if call.op == "register" else "14.control.copied-back"


def _body(c: Candidate, call: Call, seen: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[Mismatch]:
    """Identifiers, sizes and offsets are the kernel's, the rest is fixed."""
    mem = int(model.get(memory_id(call), 0))
    lasting = mem in c.world.system().allocators
    for name, value in model.items():
        if name not in seen:
            continue
        if name == memory_id(call) and value:
            if (seen[name] == GLOBAL_ID) != (mem == GLOBAL_ID) or seen[name] == 0:
                allowed = "1" if mem == GLOBAL_ID else "neither 0 nor 1"
                yield Mismatch(f"out.{name}", allowed, str(seen[name]))
            elif lasting:
                yield from bound(c, ("mem", 0), mem, seen[name], f"out.{name}")
        elif name == "nr_memsize" and mem and value:
            if lasting:
                yield from bound(c, ("memsize", mem), value, seen[name], f"out.{name}")
        elif name == "nr_offset" and mem and _binds(call):
            yield from bound(c, ("nifp", mem), value, seen[name], f"out.{name}")
        elif name.endswith("_pool_offset"):
            if lasting:
                yield from bound(c, (name, mem), value, seen[name], f"out.{name}")
        elif value != seen[name]:
            yield Mismatch(f"out.{name}", str(value), str(seen[name]))


def _binds(call: Call) -> bool:
    """Does this request bind a descriptor, so that it returns where its netmap_if is?"""
    if call.op == "legacy":
        return call.args.get("request") == "REGIF" and not call.args.get("cmd")
    return call.op == "register" or str(call.args.get("request")) in ("REGISTER", "NETMAP_REQ_REGISTER")


def bound(c: Candidate, kind: tuple[str, int], model: int, seen: int, field: str) -> Iterator[Mismatch]:
    """Bind the two numbers; a mismatch when either is bound to another one."""
    if not c.binds.bind(kind, model, seen):
        known, other = c.binds.seen(kind, model), c.binds.model(kind, seen)
        allowed = known if known is not None else f"one nothing else has (model's {other} has it)"
        yield Mismatch(field, str(allowed), str(seen))

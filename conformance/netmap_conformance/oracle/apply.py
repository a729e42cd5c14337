"""One call made on one candidate: system calls by the model, stores by an application of the oracle's own.

Expressions are resolved in the model's numbers, against the model's rings. Numbers that an application
wrote out are the implementation's and are translated through the bindings.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from netmap_reference.core.choice import Choose
from netmap_reference.core.outcome import NotModelled, errno
from netmap_reference.gen14.world import Result

from .. import expressions
from ..targets.application import Api14Target
from ..targets.mapping import Mapping, MappingError
from ..trace import Call, Return, See
from .candidate import Candidate
from .requests import memory_id

#: Operations that change nothing the model knows of.
NEUTRAL = frozenset({"sleep", "join", "settle", "lost", "show", "slots"})
STORES = frozenset({"set", "slot", "send", "eth", "fill", "swap", "bytes"})
_BOUND_ONLY = STORES | {"show", "slots"}
#: What the commands of recordings do that the model's ports have from the start.
_HARMLESS = ("rawsock", "cap", "join", "kill")


class NoSuchPort(Exception):
    """A frame for a port or side that the machine does not have."""


class _Application(Api14Target):
    """The stores of :class:`Api14Target`, over a candidate's region."""

    def __init__(self, c: Candidate) -> None:
        self._c = c

    def mapping(self, fd: str, actor: str = "main") -> Mapping | None:
        return self._c.mapping(fd) if self._c.bound(fd) else None

    def system_call(self, call: Call) -> Return | None:
        raise NotImplementedError  # only the stores are used


def make(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    """Make ``call`` on the candidate, in place; ``actor`` is the process it belongs to.

    Raises :class:`NotModelled` for what the model does not have.
    """
    if call.op in NEUTRAL:
        return _show(c, call, actor) if call.op in _BOUND_ONLY else Result()
    if call.op in STORES:
        return _store(c, call, actor)
    method = _CALLS.get(call.op)
    if method is None:
        raise NotModelled(f"14/{call.op}", f"operation {call.op}")
    try:
        return method(c, call, choose, actor)
    except (ValueError, NoSuchPort) as error:
        raise NotModelled(f"14/{call.op}/arguments", str(error)) from None


# --- the application --------------------------------------------------------------------------


def _show(c: Candidate, call: Call, actor: str) -> Result:
    return Result() if c.view(call.fd, actor) is not None else Result(errno("EFAULT"))


def _store(c: Candidate, call: Call, actor: str) -> Result:
    if c.view(call.fd, actor) is None or not c.bound(call.fd):
        return Result(errno("EFAULT"))
    app = _Application(c)
    try:
        args = resolve(c, call) | {"actor": actor}
        if call.op == "swap" and c.memory(call.fd) != c.memory(args["fd2"]):
            return _swap_across(c, call.fd, args)
        done = Return(of=call.n)
        getattr(app, f"do_{call.op}")(c.mapping(call.fd), args, done)
    except (LookupError, struct.error, MappingError):
        return Result(errno("EFAULT"))
    return Result()


def resolve(c: Candidate, call: Call) -> dict[str, Any]:
    """The call's arguments as the model's numbers. Raises :class:`NotModelled` for unknown expressions."""
    args = dict(call.args)
    if isinstance(args.get("buf_idx"), int):
        args["buf_idx"] = c.to_model(c.memory(call.fd), args["buf_idx"])

    def look(fd: str) -> See:
        return c.mapping(fd).look(full=True)

    def extra(fd: str, index: int) -> int:
        buffers = c.extra.get(fd, ())
        if index >= len(buffers):
            raise expressions.ExpressionError(f"{fd} got {len(buffers)} extra buffers, not {index + 1}")
        return buffers[index]

    try:
        return expressions.resolve(call.op, call.fd, args, look, extra, c.address)
    except expressions.ExpressionError as error:
        raise NotModelled(f"14/{call.op}/arguments", str(error)) from None


def _swap_across(c: Candidate, fd: str, args: dict[str, Any]) -> Result:
    """A swap between two memories: what crosses is the number the application saw."""
    other = args["fd2"]
    mems = (c.memory(fd), c.memory(other))
    slots = (
        c.mapping(fd).slot(args["ring"], args["index"]),
        c.mapping(other).slot(args["ring2"], args["index2"]),
    )
    numbers = [c.to_seen(mem, slot.buf_idx) for mem, slot in zip(mems, slots, strict=True)]
    for mem, slot, number in zip(mems, slots, reversed(numbers), strict=True):
        if number is None:
            raise NotModelled("14/swap/arguments", "a buffer nobody has looked at goes to another memory")
        slot.buf_idx = c.to_model(mem, number)
        slot.flags |= 1
    return Result()


# --- system calls -----------------------------------------------------------------------------


def _register(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    return c.world.register(call.fd, _fields(c, call), choose, actor)


def _ctl(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    return c.world.ctl(call.fd, str(call.args["request"]), _fields(c, call), choose, actor)


def _fields(c: Candidate, call: Call, name: str = "mem_id") -> dict[str, Any]:
    """The fields of a request, with the model's id for the memory that the field ``name`` says."""
    fields = {k: v for k, v in call.args.items() if k != "request"}
    mem = fields.get(name)
    if isinstance(mem, int) and mem:
        known = c.binds.model(("mem", 0), mem)
        s = c.world.system()
        taken = mem in s.allocators and c.binds.seen(("mem", 0), mem) is not None
        fields[name] = known if known is not None else mem if not taken else max(s.allocators) + 1
    elif isinstance(mem, str):
        fields[name] = _memory_of(c, mem)
    return fields


def _memory_of(c: Candidate, text: str) -> int:
    """``memid:A``: the memory that descriptor A has."""
    word, _, fd = text.partition(":")
    if word != "memid":
        raise NotModelled("14/register/arguments", f"mem_id {text}")
    return c.memory(fd)


def _mmap(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    a = call.args
    size = a.get("length")
    result = c.world.mmap(
        call.fd, size, a.get("offset", 0), a.get("prot", "rw"), a.get("flags", "shared"), actor
    )
    if result.outcome.ok and size is None:
        c.extra[call.fd] = tuple(c.mapping(call.fd).extra())
    return result


def _useext(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    """The process looks at memory of its own; a descriptor that is bound has its region there."""
    return _mmap(c, call, choose, actor) if c.bound(call.fd) else Result()


def _remap(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    return _show(c, call, actor)


def _legacy(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    fields = _fields(c, call, "arg2" if memory_id(call) == "nr_arg2" else "")
    return c.world.legacy(call.fd, str(call.args["request"]), fields, choose, actor)


def _parse(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    fields = {k: v for k, v in call.args.items() if k not in ("how", "texts")}
    return c.world.parse(str(call.args["how"]), list(call.args["texts"]), fields, choose)


def _env(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    action = call.args.get("action")
    if action in _HARMLESS:
        return Result()
    if action == "param":
        return _param(c, call, choose, actor)
    if action == "sh":
        return _shell(c, str(call.args["command"]))
    raise NotModelled(f"14/environment/{action}", call.text)


def _param(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    """A module parameter is set, or read: what was set last comes back."""
    name = str(call.args["name"])
    result = _parameter(c, name, str(call.args["value"])) if "value" in call.args else Result()
    read = c.world.read_parameter(name) if result.outcome.ok else result
    return replace(read, fired=tuple(dict.fromkeys((*result.fired, *read.fired))))


def _parameter(c: Candidate, name: str, value: str) -> Result:
    if not value.lstrip("-").isdigit():
        raise NotModelled("14/control/parameter/text", f"module parameter {name} is set to '{value}'")
    return c.world.sysctl(name, int(value))


def _shell(c: Candidate, command: str) -> Result:
    """Links that come up are there from the start; one may go when nobody is bound to it."""
    for part in (p.split() for p in command.split(";")):
        if part[:2] == ["sleep", *part[1:2]] or part[:3] in (["ip", "link", "add"], ["ip", "link", "set"]):
            continue
        if part[:3] == ["ip", "link", "del"] and len(part) == 4:
            s = c.world.system()
            if part[3] in s.adapters and s.adapters[part[3]].fds == 0:
                continue
            raise NotModelled("14/nic/detach/shell", f"port {part[3]} goes while it is in use")
        raise NotModelled("14/environment/sh", f"shell command {' '.join(part)}")
    return Result()


def _interface(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    port, _ = _place(c, call)
    if call.op == "link":
        return c.world.link(port, bool(call.args["up"]), choose)
    return c.world.reset(port, choose) if call.op == "reset" else c.world.detach(port, choose)


def _attach(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    try:
        return c.world.attach(str(call.args["port"]), choose)
    except LookupError as error:
        raise NoSuchPort(str(error)) from None


def _resize(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    port, _ = _place(c, call)
    return c.world.resize(port, {k: int(v) for k, v in call.args.items() if k != "port"}, choose)


def _frame(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    port, side = _place(c, call)
    return c.world.frame(port, side, bytes.fromhex(call.args["hex"]), choose)


def _frames(c: Candidate, call: Call, choose: Choose, actor: str) -> Result:
    place = _place(c, call)
    c.inbox[place] = (*c.inbox.get(place, ()), *c.world.frames(*place))
    return Result()


def _place(c: Candidate, call: Call) -> tuple[str, str]:
    port, side = str(call.args["port"]), str(call.args.get("side", "wire"))
    if port not in c.world.system().ports or side not in ("wire", "host"):
        raise NoSuchPort(f"there is no {side} side of a port {port}")
    return port, side


_CALLS: dict[str, Callable[[Candidate, Call, Choose, str], Result]] = {
    "open": lambda c, call, choose, actor: c.world.open(call.fd, actor),
    "close": lambda c, call, choose, actor: c.world.close(call.fd, actor),
    "dup": lambda c, call, choose, actor: c.world.dup(call.fd, str(call.args["to"]), actor),
    "fork": lambda c, call, choose, actor: c.world.fork(actor, str(call.args["actor"])),
    "exit": lambda c, call, choose, actor: c.world.exit(str(call.args.get("actor", actor))),
    "kill": lambda c, call, choose, actor: c.world.exit(str(call.args.get("actor", actor))),
    "register": _register,
    "ctl": _ctl,
    "legacy": _legacy,
    "parse": _parse,
    "mmap": _mmap,
    "remap": _remap,
    "useext": _useext,
    "munmap": lambda c, call, choose, actor: c.world.munmap(call.fd, actor),
    "txsync": lambda c, call, choose, actor: c.world.txsync(call.fd, choose, actor),
    "rxsync": lambda c, call, choose, actor: c.world.rxsync(call.fd, choose, actor),
    "poll": lambda c, call, choose, actor: c.world.poll(
        call.fd,
        frozenset(call.args.get("events", ())) - {"et"},
        choose,
        actor,
        str(call.args.get("how", "")),
    ),
    "epset": lambda c, call, choose, actor: c.world.epset(
        call.fd, frozenset(call.args.get("events", ())), bool(call.args.get("edge", 0)), choose, actor
    ),
    "epwait": lambda c, call, choose, actor: c.world.epwait(call.fd, choose, actor),
    "read": lambda c, call, choose, actor: c.world.read(call.fd, actor),
    "write": lambda c, call, choose, actor: c.world.write(call.fd, actor),
    "ioctl": lambda c, call, choose, actor: c.world.ioctl(
        call.fd, int(call.args["code"]), actor, str(call.args.get("name", ""))
    ),
    "sysctl": lambda c, call, choose, actor: _parameter(c, str(call.args["name"]), str(call.args["value"])),
    "fail": lambda c, call, choose, actor: c.world.fail(str(call.args["point"]), int(call.args["passes"])),
    "module": lambda c, call, choose, actor: c.world.module(
        str(call.args["action"]),
        str(call.args["name"]),
        {k: v for k, v in call.args.items() if k not in ("action", "name")},
        choose,
    ),
    "csbset": lambda c, call, choose, actor: c.world.csbset(
        call.fd, int(call.args["index"]), {k: v for k, v in call.args.items() if k != "index"}, actor
    ),
    "kick": lambda c, call, choose, actor: c.world.kick(call.fd, int(call.args["index"]), choose, actor),
    "irq": lambda c, call, choose, actor: c.world.irq(call.fd, int(call.args["index"]), actor),
    "gsync": lambda c, call, choose, actor: c.world.guest_sync(
        call.fd, int(call.args["index"]), bool(call.args.get("force", 0)), choose, actor
    ),
    "param": _param,
    "env": _env,
    "link": _interface,
    "reset": _interface,
    "detach": _interface,
    "attach": _attach,
    "resize": _resize,
    "unload": lambda c, call, choose, actor: c.world.unload(),
    "frame": _frame,
    "frames": _frames,
}

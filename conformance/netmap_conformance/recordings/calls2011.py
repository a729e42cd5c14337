"""The operations of generation 2011 as calls and returns of a trace, and back.

The recordings, the model (:meth:`netmap_reference.gen2011.world.World.apply`) and so the reference
target speak one vocabulary (``regif``, ``ring_set``, ``wire_in`` …); traces have the project's own.

==================================  =======================================================
recording                           trace
==================================  =======================================================
``regif ginfo unregif ioctl``       ``legacy`` with ``request`` NIOCREGIF … or ``0x`` and a code
``ring_set slot_set buf_put``       ``set slot bytes``, the ring as ``port`` and ``ring`` (or by ``fd``)
``wire_in host_in``                 ``frame`` on side ``wire`` (``queue``) or ``host``
``wire_out host_out``               ``frames``
``nic_tx nic_init rx_irq tx_irq
netmap_reset attach detach inject
reload reset``                      ``env`` with ``name``
``meanwhile``                       ``env``, what another thread does as ``op``, ``fd`` and ``args``
==================================  =======================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netmap_reference.gen2011.device import ERRNO

from ..trace import Call, Return, See

ERRNO_NAME = {number: name for name, number in ERRNO.items()}
EVENT_BITS = {"in": 1, "out": 4, "err": 8, "rdnorm": 64}
REQUESTS = {"ginfo": "NIOCGINFO", "regif": "NIOCREGIF", "unregif": "NIOCUNREGIF"}
PROT = {1: "r", 2: "w", 3: "rw", 5: "rx", 7: "rwx"}
#: Moves of the environment; arguments go over as they are, ``ifname`` as ``port``, ``q`` as ``queue``.
ENV = frozenset(
    (
        "nic_tx",
        "nic_init",
        "rx_irq",
        "tx_irq",
        "netmap_reset",
        "attach",
        "detach",
        "inject",
        "reload",
        "reset",
        "attach_nothing",
        "module_event",
    )
)
_RENAMED = {"ifname": "port", "q": "queue", "what": "request"}
_STORES = {"ring_set": "set", "slot_set": "slot", "buf_put": "bytes"}
#: A fault whose source line nobody knows: in the driver, whose lines are not in the model.
SOMEWHERE = "unknown line"

#: The name of the interface a descriptor is registered on.
PortOf = Callable[[str], str]


class NotModelled(ValueError):
    """A call that generation 2011 does not have, or arguments it cannot have; one line."""


def event_names(mask: int) -> list[str]:
    """The names of a poll mask; POLLWRNORM is POLLOUT on the recorded system."""
    return [name for name, bit in EVENT_BITS.items() if mask & bit]


def event_mask(names: list[str]) -> int:
    """The poll mask of event names. Raises :class:`NotModelled` for another name."""
    mask = 0
    for name in names:
        bit = EVENT_BITS.get("out" if name == "wrnorm" else name)
        if bit is None:
            raise NotModelled(f"poll has no event '{name}'")
        mask |= bit
    return mask


# --- recording to trace -----------------------------------------------------------------------


def to_call(op: str, args: dict[str, Any], ret: Any) -> tuple[str, str, dict[str, Any]]:
    """Operation, descriptor and arguments of the trace's call for one recorded operation.

    ``ret`` names the descriptor that an ``open`` made. Raises ``KeyError`` when an argument is missing.
    """
    fd = str(args["fd"]) if "fd" in args else ""
    if op == "open":
        return "open", str(ret), {}
    if op in REQUESTS:
        rest = {k: v for k, v in args.items() if k != "fd"}
        return "legacy", fd, {"request": REQUESTS[op], **rest}
    if op == "ioctl":
        return "legacy", fd, {"request": hex(args["cmd"]), "name": args.get("name", "")}
    if op == "poll":
        return "poll", fd, {"events": event_names(args["events"]), "timeout_ms": 0}
    if op == "mmap":
        return "mmap", fd, {"offset": args["offset"], "prot": PROT.get(args["prot"], "rw")}
    if op in _STORES:
        ring = f"{'tx' if args['tx'] else 'rx'}{args['ring']}"
        where = {"port": args["ifname"], "ring": ring}
        if op == "ring_set":
            return "set", "", {**where, **args["set"]}
        if op == "slot_set":
            return "slot", "", {**where, "index": args["slot"], **args["set"]}
        return "bytes", "", {**where, "index": args["slot"], "hex": args["data"]}
    if op in ("wire_in", "host_in"):
        side = op.removesuffix("_in")
        more = {"queue": args["q"]} if op == "wire_in" else {k: args[k] for k in ("force",) if k in args}
        return "frame", "", {"port": args["ifname"], "side": side, **more, "hex": args["data"]}
    if op in ("wire_out", "host_out"):
        return "frames", "", {"port": args["ifname"], "side": op.removesuffix("_out")}
    if op == "sysctl":
        return "sysctl", "", {"name": args["name"], "value": args["v"]}
    if op in ("attach", "detach"):
        return "env", "", {"name": op, "port": args["name"]}
    if op in ENV:
        return "env", "", {"name": op, **{_RENAMED.get(k, k): v for k, v in args.items()}}
    return op, fd, {k: v for k, v in args.items() if k != "fd"}


def to_return(of: int, op: str, recorded: dict[str, Any]) -> Return:
    """The trace's return for what a recording (or the model) gives for ``op``: ``ret``, ``ev``, ``state`` …

    A log line keeps function and source line; its text is the kernel's own.
    """
    ret = recorded["ret"]
    made = Return(of=of, see=See(kernel=recorded.get("state")))
    made.events = [event[:3] if event and event[0] == "LOG" else event for event in recorded["ev"]]
    if "panic" in recorded:
        made.ret, made.see = -1, None
        made.hang = recorded["panic"] == "HANG"
        made.fault = "" if made.hang else ", ".join(recorded.get("at") or [SOMEWHERE])
        return made
    if op in ("regif", "ginfo", "ioctl"):
        made.out = dict(ret[1])
        return _with_errno(made, ret[0])
    if op in (
        "unregif",
        "txsync",
        "rxsync",
        "close",
        "host_in",
        "attach",
        "attach_nothing",
        "module_event",
        "reload",
    ):
        return _with_errno(made, ret)
    if op == "poll":
        made.ret, made.revents = int(bool(ret[0])), event_names(ret[0])
        made.out = {"recorded": list(ret[1])}
    elif op == "mmap":
        made.ret, made.out = ret[0], {"offset": ret[1]}
    elif op == "rx_irq":
        made.ret, made.out = ret[0], {"work_done": ret[1]}
    elif op == "netmap_reset":
        made.out = {"slots": ret}
    elif op in ("wire_out", "host_out") and made.see is not None:
        made.see.frames = [frame[1] if op == "wire_out" else frame for frame in ret]
        if op == "wire_out":
            made.out = {"queues": [frame[0] for frame in ret]}
    elif isinstance(ret, str):
        made.ret, made.errno = -1, ret
    else:
        made.ret = ret or 0
    return made


def _with_errno(made: Return, number: int) -> Return:
    if number > 0:
        made.ret, made.errno = -1, ERRNO_NAME.get(number, f"E{number}")
    else:
        made.ret = number
    return made


# --- trace to model ---------------------------------------------------------------------------


def to_operation(call: Call, fds: dict[str, int], port_of: PortOf) -> tuple[str, dict[str, Any]]:
    """The recordings' operation for one call; ``fds`` has the number of each descriptor's name.

    Raises :class:`NotModelled` when there is none.
    """
    try:
        return _operation(call, fds, port_of)
    except KeyError as missing:
        raise NotModelled(f"{call.op}: {missing} is unknown or missing") from None


def _operation(call: Call, fds: dict[str, int], port_of: PortOf) -> tuple[str, dict[str, Any]]:
    op, args = call.op, call.args
    if op == "open":
        return "open", {}
    if op in ("close", "txsync", "rxsync"):
        return op, {"fd": fds[call.fd]}
    if op == "poll":
        return "poll", {"fd": fds[call.fd], "events": event_mask(args.get("events", []))}
    if op == "legacy":
        return _request(fds[call.fd], args)
    if op == "mmap":
        prot = {name: number for number, name in PROT.items()}
        return "mmap", {"offset": args.get("offset", 0), "prot": prot[args.get("prot", "rw")]}
    if op in ("set", "slot", "bytes"):
        return _store(call, args.get("port") or port_of(call.fd))
    if op == "frame":
        made = {"ifname": args["port"], "data": args["hex"]}
        if args["side"] == "wire":
            return "wire_in", {**made, "q": args.get("queue", 0)}
        return "host_in", {**made, **({"force": 1} if args.get("force") else {})}
    if op == "frames":
        return f"{args['side']}_out", {"ifname": args["port"]}
    if op == "sysctl":
        return "sysctl", {"name": args["name"], "v": args["value"]}
    if op == "env" and args["name"] == "meanwhile":
        other = Call(n=call.n, op=args["op"], fd=args.get("fd", ""), args=args.get("args", {}))
        name, inner = _operation(other, fds, port_of)
        return "meanwhile", {"at": args["at"], "op": name, "args": inner}
    if op == "env" and args["name"] in ENV:
        return _environment(args)
    raise NotModelled(f"generation 2011 has no operation '{op}'")


def _request(fd: int, args: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    request = args["request"] if args["request"].startswith(("NIOC", "0x")) else f"NIOC{args['request']}"
    if request == "NIOCREGIF":
        return "regif", {"fd": fd, "name": args["name"], "ringid": args.get("ringid", 0)}
    if request == "NIOCGINFO":
        return "ginfo", {"fd": fd, "name": args["name"]}
    if request == "NIOCUNREGIF":
        return "unregif", {"fd": fd}
    if request in ("NIOCTXSYNC", "NIOCRXSYNC"):
        return request[4:].lower(), {"fd": fd}
    try:
        return "ioctl", {"fd": fd, "cmd": int(request, 16), "name": args.get("name", "")}
    except ValueError:
        raise NotModelled(f"generation 2011 has no request {request}") from None


def _store(call: Call, port: str) -> tuple[str, dict[str, Any]]:
    args = call.args
    side, number = args["ring"][:2], args["ring"][2:]
    if side not in ("tx", "rx") or not number.isdigit():
        raise NotModelled(f"'{args['ring']}' is not the name of a ring")
    where = {"ifname": port, "tx": int(side == "tx"), "ring": int(number)}
    fields = {k: v for k, v in args.items() if k not in ("port", "ring", "index", "hex")}
    if call.op == "set":
        return "ring_set", {**where, "set": fields}
    if call.op == "slot":
        return "slot_set", {**where, "slot": args["index"], "set": fields}
    return "buf_put", {**where, "slot": args["index"], "data": args["hex"]}


def _environment(args: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    back = {new: old for old, new in _RENAMED.items()}
    op = args["name"]
    if op in ("attach", "detach"):
        return op, {"name": args["port"]}
    return op, {back.get(k, k): v for k, v in args.items() if k != "name"}

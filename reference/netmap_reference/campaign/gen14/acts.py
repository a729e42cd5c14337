"""What the operations of a campaign of generation 14 do: the applications' stores, and the calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from netmap_spec.abi import api14

from ...core.choice import Choose, seeded
from ...gen14.world import Result, World
from .plug import EXTENSIONS

#: Whose descriptor it is; the others are the main process's.
PROCESS = {
    "B": "other",
    "Q": "other",
    "D": "other",
    "F": "other",
    "G": "third",
    "H": "third",
    "O": "third",
    "R": "other",
    "I": "third",
}
_OPERATIONS = {op: make for extension in EXTENSIONS for op, make in extension.operations.items()}


def room(r: Any) -> int:
    """Slots from head to tail, 0 when the words make no sense."""
    return (r.tail - r.head) % r.num_slots if max(r.tail, r.head) < r.num_slots else 0


def _put(world: World, args: dict[str, Any]) -> None:
    r = world.ring(args["fd"], args["ring"])
    for _ in range(min(args["count"], room(r))):
        slot = r.slot[r.head]
        slot.len = args["len"]
        slot.flags |= args["flags"]
        r.head = r.cur = (r.head + 1) % r.num_slots


def _release(world: World, args: dict[str, Any]) -> None:
    r = world.ring(args["fd"], args["ring"])
    if max(r.tail, r.head) < r.num_slots:
        r.head = (r.head + min(args["count"], room(r))) % r.num_slots
        r.cur = (r.head + min(args["see"], room(r))) % r.num_slots


def _exchange(world: World, args: dict[str, Any]) -> None:
    """Zero copy: the first received buffer for that of the first free transmit slot."""
    rx, tx = world.ring(args["fd"], args["rx"]), world.ring(args["fd"], args["tx"])
    if room(rx) and room(tx):
        a, z = rx.slot[rx.head], tx.slot[tx.head]
        a.buf_idx, z.buf_idx = z.buf_idx, a.buf_idx
        a.flags |= api14.NS_BUF_CHANGED
        z.flags |= api14.NS_BUF_CHANGED


def _forward(world: World, args: dict[str, Any]) -> None:
    """Mark everything received to be passed on between host and wire."""
    for name in world.rings(args["fd"]):
        r = world.ring(args["fd"], name)
        if name[0] == "r":
            r.flags = api14.NR_FORWARD
            for i in range(room(r)):
                r.slot[(r.head + i) % r.num_slots].flags |= api14.NS_FORWARD


def _ring(world: World, args: dict[str, Any]) -> None:
    for word, value in args["set"].items():
        setattr(world.ring(args["fd"], args["ring"]), word, value)


def _slot(world: World, args: dict[str, Any]) -> None:
    for word, value in args["set"].items():
        setattr(world.ring(args["fd"], args["ring"]).slot[args["index"]], word, value)


#: The application's own stores: nothing else happens.
STORES = {
    "put": _put,
    "release": _release,
    "exchange": _exchange,
    "forward": _forward,
    "ring": _ring,
    "slot": _slot,
}


def _overlap(world: World, args: dict[str, Any], choose: Choose) -> Result:
    """A sync that is half done when another call of the same descriptor is made; both calls' rules."""
    begun = world.begin_sync(args["fd"], args["t"], choose, PROCESS.get(args["fd"], "main"))
    if isinstance(begun, Result):
        return begun
    inner = make(world, args["op"], {**args, "choose": args["choose"] + 1})
    done = begun.finish()
    return replace(done, fired=(*inner.fired, *done.fired))


#: Operations that put no buffer anywhere: where buffers are need not be looked at after them.
MOVE_NO_BUFFERS = frozenset({"put", "release", "open", "frame", "frames", "tau", "link"})


def make(world: World, op: str, args: dict[str, Any]) -> Any:
    """Make one operation; a :class:`~...gen14.result.Result` for calls, ``None`` for stores."""
    if op in STORES:
        STORES[op](world, args)
        return None
    choose = seeded(args.get("choose", 0))
    if op in _OPERATIONS:
        return _OPERATIONS[op](world, args, choose)
    actor = PROCESS.get(args.get("fd", ""), "main")
    match op:
        case "open":
            return world.open(args["fd"], actor)
        case "close":
            return world.close(args["fd"], actor)
        case "exit":
            return world.exit(args["process"])
        case "register":
            return world.register(args["fd"], args["fields"], choose, actor)
        case "txsync":
            return world.txsync(args["fd"], choose, actor)
        case "rxsync":
            return world.rxsync(args["fd"], choose, actor)
        case "poll":
            return world.poll(args["fd"], frozenset(args["events"]), choose, actor)
        case "overlap":
            return _overlap(world, args, choose)
        case "link":
            return world.link(args["port"], args["up"], choose)
        case "detach":
            return world.detach(args["port"], choose)
        case "attach":
            return world.attach(args["port"], choose)
        case "reset":
            return world.reset(args["port"], choose)
        case "frame":
            return world.frame(args["port"], args["side"], bytes(args["bytes"]), choose)
        case "tau":
            return world.tau(choose)
        case "frames":
            world.frames(args["port"], args["side"])
            return None
    raise ValueError(f"there is no operation {op}")

"""Generation 2011: small machines: who is registered, what each finds in the shared block, whose a buffer is.

Every state that a few registrations, closes and stores of the applications can reach is compared with
the list of who is registered.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from netmap_reference.gen2011 import actions
from netmap_reference.gen2011.memory import BUF_SIZE
from netmap_reference.gen2011.ring import Kring
from netmap_reference.gen2011.world import START_OF_TIME, World
from netmap_spec.abi import api2011

from ..engine import Proof
from ..mutation.planting import Slip, standing_in
from ..obligation import Control, obligation
from ..schemas.reachable import reachable

#: Pairs and slots of the two interfaces; buffers of the pool: enough for both, and two reserved.
IFS = {"em0": (1, 2, 3), "em1": (2, 2, 2)}
_BUFFERS, _SPACE, _ENTRY, _HOST_RINGS = 26, 4096, 8, 0x2000
_FRESH = "a first registration finds fresh rings, whatever was there before"
_STAY = "a later registration changes nothing in the rings"
_SWITCHED = "the driver is told of the first registration and of the end of the last, nothing else"
_REGISTERS = "there is room for all of them"


@dataclass(frozen=True)
class Life:
    """A machine, who is registered where (name, number, interface), and what went wrong so far."""

    world: World
    bound: tuple[tuple[str, int, str], ...] = ()
    wrong: frozenset[str] = frozenset()

    def key(self) -> Hashable:
        """All that the moves and checks look at: the object area, who holds what, and the interfaces."""
        w = self.world
        interfaces = tuple(w.ifs[name].key() for name in IFS)
        privs = tuple((fd, w.privs[fd]) for fd in sorted(w.privs))
        area = bytes(w.region.read(0, _SPACE))
        return (area, w.pool, w.objs, privs, interfaces, self.bound, self.wrong)

    def users(self, name: str) -> int:
        return sum(interface == name for _, _, interface in self.bound)


def machine(switches: frozenset[str]) -> World:
    made = [
        {"name": name, "num_queues": pairs, "num_tx_desc": tx, "num_rx_desc": rx}
        for name, (pairs, tx, rx) in IFS.items()
    ]
    config = {"pool_limit": 1 << 20, "n_buffers": _BUFFERS, "ring_bytes": _SPACE, "ifs": made}
    return World(config, switches)


def _rings(name: str) -> dict[str, int]:
    """The rings of an interface in the order in which they lie, and their slots."""
    pairs, tx, rx = IFS[name]
    return {f"{side}{i}": tx if side == "tx" else rx for i in range(pairs + 1) for side in ("tx", "rx")}


def _ring_bytes(n: int) -> int:
    return api2011.netmap_ring.SIZE + n * api2011.netmap_slot.SIZE


def _bytes(world: World, name: str) -> bytes:
    start = world.ifs[name].ring_at["tx0"]
    return bytes(world.region.read(start, sum(_ring_bytes(n) for n in _rings(name).values())))


# --- moves ---------------------------------------------------------------------------------------------


def register(fd: str, name: str, ringid: int = 0) -> Callable[[Life], Life | None]:
    def move(life: Life) -> Life | None:
        if any(who == fd for who, _, _ in life.bound):
            return None
        world, wrong = life.world.clone(), set(life.wrong)
        number = world.apply("open", {})["ret"]
        before = _bytes(world, name) if life.users(name) else b""
        got = world.apply("regif", {"fd": number, "name": name, "ringid": ringid})
        world.now = START_OF_TIME
        if got["ret"][0] != 0:
            return replace(life, wrong=life.wrong | {_REGISTERS})
        asked = [event[2] for event in got["ev"] if event[0] == "REGISTER"]
        if asked != ([] if life.users(name) else [1]):
            wrong.add(_SWITCHED)
        if life.users(name) and _bytes(world, name) != before:
            wrong.add(_STAY)
        if not life.users(name) and not _fresh(world, name):
            wrong.add(_FRESH)
        return Life(world, tuple(sorted((*life.bound, (fd, number, name)))), frozenset(wrong))

    return move


def close(fd: str) -> Callable[[Life], Life | None]:
    def move(life: Life) -> Life | None:
        found = [each for each in life.bound if each[0] == fd]
        if not found:
            return None
        ((_, number, name),) = found
        world, wrong = life.world.clone(), set(life.wrong)
        got = world.apply("close", {"fd": number})
        world.now = START_OF_TIME
        asked = [event[2] for event in got["ev"] if event[0] == "REGISTER"]
        if asked != ([0] if life.users(name) == 1 else []):
            wrong.add(_SWITCHED)
        return Life(world, tuple(each for each in life.bound if each[0] != fd), frozenset(wrong))

    return move


def scribble(name: str) -> Callable[[Life], Life | None]:
    """The application stores in every word of a ring that is its own, and exchanges two slots' buffers."""

    def move(life: Life) -> Life | None:
        if not life.users(name):
            return None
        world = life.world.clone()
        interface = world.ifs[name]
        for ring in _rings(name):
            view = world.ring(interface, ring)
            view.flags, view.ts_sec, view.ts_usec, view.cur, view.avail = 2, 5, 6, 1, 1
            one, two = view.slot[0], view.slot[1]
            one.buf_idx, two.buf_idx, one.len, one.flags = two.buf_idx, one.buf_idx, 60, 6
        return replace(life, world=world)

    return move


def _fresh(world: World, name: str) -> bool:
    """Every word of the rings that were just made, and their krings."""
    interface, at = world.ifs[name], world.ifs[name].ring_at["tx0"]
    good = True
    for ring, n in _rings(name).items():
        view, avail = world.ring(interface, ring), n - 1 if ring.startswith("tx") else 0
        good = good and interface.ring_at[ring] == at
        good = good and (view.num_slots, view.nr_buf_size, view.cur, view.avail) == (n, BUF_SIZE, 0, avail)
        good = good and (view.flags, view.ts_sec, view.ts_usec) == (0, 0, 0)
        good = good and at + view.buf_ofs == world.layout.buf_start
        slots = [view.slot[i] for i in range(n)]
        good = good and all((slot.len, slot.flags) == (BUF_SIZE, 1) for slot in slots)
        good = good and interface.krings[ring] == Kring(n=n, hwavail=avail)
        at += _ring_bytes(n)
    good = good and not interface.zeroed
    return good and not any(interface.waiting.get(ring) for ring in _rings(name))


# --- what holds in every state ------------------------------------------------------------------------


def checks(life: Life) -> Iterator[tuple[str, bool, str]]:
    world, named, used = life.world, list[int](), dict[int, int]()
    for goal in (_FRESH, _STAY, _SWITCHED, _REGISTERS):
        yield goal, goal not in life.wrong, goal
    for name, (pairs, _, _) in IFS.items():
        interface, users = world.ifs[name], life.users(name)
        counts = (interface.refcount, interface.refs, interface.enabled)
        yield "registrations are counted", counts == (users, users, users > 0), f"{name}: {counts}"
        if users == 0:
            continue
        rings = _rings(name)
        used[interface.ring_at["tx0"]] = sum(_ring_bytes(n) for n in rings.values())
        for ring, n in rings.items():
            named += [world.ring(interface, ring).slot[i].buf_idx for i in range(n)]
        for fd, number, bound in life.bound:
            if bound != name:
                continue
            nifp = world.privs[number].nifp
            assert nifp is not None
            yield "everybody has a netmap_if of its own", nifp not in used, f"{fd} at {nifp}"
            used[nifp] = api2011.netmap_if.SIZE + 2 * (pairs + 1) * _ENTRY
            view = api2011.netmap_if(world.region, nifp)
            says = (view.ni_name, view.ni_num_queues, view.ni_rx_queues)
            yield "which says whose rings they are", says == (name, pairs, 0), f"{fd}: {says}"
            found = [view.ring_ofs[i] + nifp for i in range(2 * (pairs + 1))]
            order = [f"{side}{i}" for side in ("tx", "rx") for i in range(pairs + 1)]
            right = found == [interface.ring_at[ring] for ring in order]
            yield "and where they are, the host's last in both groups", right, f"{fd}: {found}"
    objects = {obj.offset: obj.size for obj in world.objs if obj.used}
    yield "these objects are in use, and no others", objects == used, f"{objects}, not {used}"
    once = len(set(named)) == len(named) and all(2 <= index < _BUFFERS for index in named)
    yield "every slot has a buffer of its own, never a reserved one", once, str(sorted(named))
    free = {index for index in world.pool.bitmap if index < _BUFFERS}
    rest = set(range(2, _BUFFERS)) - set(named)
    yield "every other buffer is free", free == rest, f"{sorted(free ^ rest)}"
    yield "and counted", world.pool.free == len(rest), f"{world.pool.free}, not {len(rest)}"


_MOVES: dict[str, Callable[[Life], Life | None]] = {
    "A registers em0": register("A", "em0"),
    "B registers em0's host rings": register("B", "em0", _HOST_RINGS),
    "C registers em1": register("C", "em1"),
    "A closes": close("A"),
    "B closes": close("B"),
    "C closes": close("C"),
    "em0's application stores": scribble("em0"),
    "em1's application stores": scribble("em1"),
}
_FUNCTIONS = (
    actions.init_if,
    actions.init_ring,
    actions.init_offsets,
    actions.zero,
    actions.free_unreferenced,
)


@obligation(
    "2011.life.registrations",
    clauses=(
        "2011.iface.own", "2011.iface.first", "2011.iface.shared-rings", "2011.iface.ring-fields",
        "2011.iface.kring", "2011.iface.offsets", "2011.iface.one-object", "2011.iface.own-buffers",
        "2011.pool.new-slots", "2011.pool.conserved", "2011.pool.count", "2011.memory.carved",
        "2011.register.mode", "2011.register.last", "2011.host.rings",
    ),
    statement="""Whoever registers has a `netmap_if` of its own that leads to the rings of its interface; the
    first one finds them fresh, later ones as they are; with the last close they are gone. Every buffer is a
    slot's or free, and what is in use of the object area is what the registrations made.""",
    functions=_FUNCTIONS,
    control=Control(
        "a fresh slot is not marked",
        actions.init_if,
        Slip(actions.init_ring, "1 -> 0"),
        *_FUNCTIONS[2:],
        goal=_FRESH,
    ),
    bounds="""Two interfaces of one and two pairs, rings of two and three slots, three descriptors, six moves:
    two generations of rings in the same memory, with everything stored in between.""",
    rules=(),
    whole_device=True,
)  # fmt: skip
def registrations(p: Proof, *functions: Callable[..., Any]) -> None:
    with standing_in(functions):
        reachable(p, Life(machine(p.switches)), _MOVES, checks, key=Life.key, depth=6)

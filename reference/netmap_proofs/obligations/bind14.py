"""Generation 14: a port whose rings several descriptors bind and leave, in every mode and any order.

What the port counts, which rings there are and what they show follow from who is bound to what, and from
nothing that happened before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netmap_reference.core.choice import eager
from netmap_reference.gen14 import bind, close, register
from netmap_reference.gen14.memory import GLOBAL_ID
from netmap_reference.gen14.result import Result
from netmap_reference.gen14.state import RX, TX
from netmap_reference.gen14.world import PortConfig, World
from netmap_spec.abi import api14

from .. import bound14, bound14_checks
from ..bound14 import BITS, Bound, Held, Move, Ring, Told
from ..engine import Proof
from ..mutation.planting import Slip, standing_in
from ..obligation import Control, obligation
from ..schemas.reachable import reachable

NIC = "v0"
RINGS = {TX: 2, RX: 1}
SLOTS = {TX: 4, RX: 3}
SHAPE = (SLOTS[TX], SLOTS[RX])
#: A ring object has room for so many slots, a netmap_if for so many rings, and neither for one more.
ROOM, RINGS_OF_IF = 4, 9
RING_BYTES = api14.netmap_ring.SIZE + ROOM * api14.netmap_slot.SIZE
IF_BYTES = api14.netmap_if.SIZE + RINGS_OF_IF * 8
ONLY = {TX: api14.NR_TX_RINGS_ONLY, RX: api14.NR_RX_RINGS_ONLY}
_GIVEN_BACK = (bind.krings_put, bind.rings_create, bind.rings_delete, close.unregister)
_FUNCTIONS = (
    bind.krings_put,
    bind.krings_get,
    bind.krings_create,
    bind.rings_create,
    bind.rings_delete,
    bind.if_new,
    bind.update_hostrings_mode,
    bind.mode_pending,
    bind.mode_commit,
    bind.krings_delete,
    register.adapter_get,
    register.bind_file,
    close.unregister,
)


@dataclass(frozen=True, slots=True)
class Want:
    """A REGISTER of v0: ``only`` which directions it says (none says both), ``hosts`` how many host rings,
    which counts while nobody is bound."""

    mode: int
    ringid: int = 0
    only: tuple[str, ...] = ()
    alone: bool = False
    hosts: int = 1
    extra: int = 0
    offsets: bool = False
    polls: tuple[bool, bool] = (True, False)

    def fields(self) -> dict[str, Any]:
        flags = sum(ONLY[t] for t in self.only) + self.alone * api14.NR_EXCLUSIVE
        flags |= 0 if self.polls[0] else api14.NR_NO_TX_POLL
        flags |= api14.NR_DO_RX_POLL if self.polls[1] else 0
        found = {"name": NIC, "mode": self.mode, "ringid": self.ringid, "flags": flags}
        found |= {"host_tx_rings": self.hosts, "host_rx_rings": self.hosts, "extra_bufs": self.extra}
        if self.offsets:
            found["options"] = [{"type": "OFFSETS", "max_offset": 64, "offset_bits": BITS}]
        return found

    def range(self, t: str, hosts: int) -> tuple[int, int]:
        """The rings of a direction that it names (14.register.rings)."""
        n = RINGS[t]
        if self.only and self.only != (t,):
            return (0, 0)
        if self.mode == api14.NR_REG_ONE_NIC:
            return (self.ringid, self.ringid + 1) if self.ringid < n else (0, 1)
        first = n if self.mode == api14.NR_REG_SW else 0
        last = n if self.mode == api14.NR_REG_ALL_NIC else n + hosts
        return (first, last)


def _mask_at(world: World, after: Held, ring: Ring) -> int:
    """``offset_mask`` as a world has it at the place where a ring is afterwards."""
    s = after.world.system()
    a, k = s.allocators[GLOBAL_ID], s.krings[f"{ring[0]}:{ring[1]}{ring[2]}"]
    at = a.if_pool.memtotal + k.ring * a.ring_pool.objsize
    return int(api14.netmap_ring(world.system().regions[GLOBAL_ID], at).offset_mask)


def binds(want: Want) -> Move:
    """One more descriptor of the port."""

    def then(before: Held, after: Held, got: Result) -> tuple[Held, Told]:
        made = after.used(NIC) - before.used(NIC)
        kept = 0
        if bind.OFFSETS_OUTLIVE in before.world.switches:
            kept = len(made & before.asked) + sum(_mask_at(before.world, after, r) != 0 for r in made)
        told = {bind.RING_REAL: len(made), bind.RING_FAKE: 0, bind.OFFSETS_KEPT: kept}
        return (after if before.of(NIC) else replace(after, hosts=want.hosts)), told

    def move(held: Held) -> Held | None:
        if not (fd := held.free_name()):
            return None
        hosts = held.hosts if held.of(NIC) else want.hosts
        tx, rx = want.range(TX, hosts), want.range(RX, hosts)
        bound = Bound(fd, NIC, tx, rx, SHAPE, want.alone, want.extra, want.offsets, (), want.polls, NIC)
        return bound14.asking(held, bound, want.fields(), then)

    return move


def _own_port(before: Held, after: Held, got: Result) -> tuple[Held, Told]:
    """A port that was made for the request: its rings are all there are."""
    s = after.world.system()
    bound = after.bound[-1]
    bound = replace(bound, port=s.files[s.holders["main", bound.fd]].adapter)
    return replace(after, bound=(*before.bound, bound)), {bind.RING_REAL: len(bound.rings())}


def watches(flags: int, *directions: str) -> Move:
    """A monitor of the port; refused while nobody is bound."""

    def move(held: Held) -> Held | None:
        if not (fd := held.free_name()):
            return None
        fields = {"name": NIC, "mode": api14.NR_REG_ALL_NIC, "flags": flags}
        monitor = Bound(fd, "", (0, 1), (0, max(RINGS.values())), SHAPE, watches=directions)
        return bound14.asking(held, monitor, fields, _own_port, "" if held.of(NIC) else "EINVAL")

    return move


def null(tx_rings: int, rx_rings: int, slots: int) -> Move:
    """A port with nothing behind it, of any size that memory objects have room for (14.null.sizes). The
    netmap_if has a word for an unused host ring in each direction."""
    fields = {"name": "n", "mode": api14.NR_REG_NULL, "mem_id": GLOBAL_ID}
    fields |= {"tx_rings": tx_rings, "rx_rings": rx_rings, "tx_slots": slots, "rx_slots": slots}
    fits = slots <= ROOM and tx_rings + rx_rings + 2 <= RINGS_OF_IF

    def move(held: Held) -> Held | None:
        if not (fd := held.free_name()):
            return None
        bound = Bound(fd, "", (0, tx_rings), (0, rx_rings), (slots, slots), name="null:n")
        return bound14.asking(held, bound, fields, _own_port, "" if fits else "ENOMEM")

    return move


def closes(fd: str) -> Move:
    """A descriptor goes, and with it what nobody else needs. With the last one of the port its offsets are
    forgotten, there is one host ring again, and monitors watch nothing."""

    def then(before: Held, after: Held) -> tuple[Held, Told]:
        gone = next(b for b in before.bound if b.fd == fd)
        if gone.port != NIC:
            return after, {bind.RING_GONE: len(gone.rings()), close.LAST: 1}
        went = before.used(NIC) - after.used(NIC)
        if after.of(NIC):
            return after, {bind.RING_GONE: len(went), close.LAST: 0, close.ONE_HOST_RING: 0}
        bound = tuple(replace(b, watches=()) for b in after.bound)
        told = {bind.RING_GONE: len(went), close.LAST: 1, close.ONE_HOST_RING: int(before.hosts > 1)}
        return replace(after, bound=bound, asked=frozenset(), hosts=1), told

    return lambda held: bound14.leaving(held, fd, then)


def checks(held: Held) -> bound14_checks.Found:
    s = held.world.system()
    yield from bound14_checks.calls(held)
    for name, slots in {NIC: SHAPE, **{b.port: b.slots for b in held.bound}}.items():
        yield from bound14_checks.port(held, name)
        yield from bound14_checks.rings(held, name)
        yield from bound14_checks.pages(held, name, slots)
        yield from bound14_checks.untouched(held, name, slots)
    na = s.adapters[NIC]
    counts = (na.host_tx_rings, na.host_rx_rings)
    yield "host rings are as many as the first descriptor asked for", counts == (held.hosts,) * 2, f"{counts}"
    watching = [b for b in held.bound if b.watches]
    parents = [b.port for b in held.bound if s.adapters[b.port].parent]
    same = parents == [b.port for b in watching]
    yield "monitors watch a port until it leaves netmap mode", same, f"{parents}, not {watching}"
    for k in (k for k in s.krings.values() if k.adapter == NIC):
        seen = {s.krings[m].adapter for m in (*k.copies, *k.zmon) if m}
        wanted = {b.port for b in watching if k.t in b.watches and not k.host}
        there = seen <= wanted and bool(seen) == bool(wanted)
        yield "a ring is watched by those who watch the port", there, f"{k.name}: {seen}, {wanted}"
    refs = 1 + len(held.of(NIC)) + len(watching)
    yield "references to a port are counted", na.refs == refs, f"{na.refs}, not {refs}"
    yield from bound14_checks.descriptors(held)
    yield from bound14_checks.interfaces(held)
    yield from bound14_checks.buffers(held)


_ALL, _ONE, _SW, _BOTH = api14.NR_REG_ALL_NIC, api14.NR_REG_ONE_NIC, api14.NR_REG_SW, api14.NR_REG_NIC_SW
WANTS = {
    "all hardware rings": Want(_ALL),
    "all hardware rings alone, an extra buffer": Want(_ALL, alone=True, extra=1),
    "ring 1 with offsets": Want(_ONE, ringid=1, offsets=True),
    "transmit ring 0, a poll does not send": Want(_ONE, only=(TX,), polls=(False, False)),
    "the host rings, of two": Want(_SW, hosts=2),
    "the receive rings, of two host rings, alone": Want(_BOTH, only=(RX,), hosts=2, alone=True),
    "no rings, a poll receives": Want(_ALL, only=(TX, RX), polls=(True, True)),
}
_CLOSES = {f"{fd} closes": closes(fd) for fd in "ABC"}
MOVES: dict[str, Move] = {
    **{f"v0 is bound: {name}": binds(want) for name, want in WANTS.items()},
    "a copy monitor of v0 is bound": watches(api14.NR_MONITOR_RX, RX),
    "a zero-copy monitor of v0 is bound": watches(api14.NR_MONITOR_RX | api14.NR_ZCOPY_MON, RX, TX),
    "a null port is bound, its netmap_if full": null(3, 4, 2),
    "a null port is bound, of one ring too many": null(4, 4, 2),
    "a null port is bound, its rings too large": null(0, 1, ROOM + 1),
    **_CLOSES,
}
_OFFSETS = ("all hardware rings", "ring 1 with offsets", "transmit ring 0, a poll does not send")
_LARGE = "a null port is bound, its rings too large"
#: Those among which offsets come and go, and rings that there is no room for.
FEW: dict[str, Move] = {name: binds(WANTS[name]) for name in _OFFSETS} | {_LARGE: MOVES[_LARGE]} | _CLOSES


def device(switches: frozenset[str]) -> World:
    """The NIC, given other rings after it was used, in memory whose objects are just large enough."""
    ports = [PortConfig(NIC, tx_slots=2, rx_slots=2)]
    world = World(ports, switches)
    world.sysctl("ring_size", RING_BYTES)
    world.sysctl("if_size", IF_BYTES)
    world.open("A")
    world.register("A", {"name": NIC}, eager)  # from now on the sizes hold
    world.close("A")
    sizes = {"tx_rings": RINGS[TX], "rx_rings": RINGS[RX], "tx_slots": SLOTS[TX], "rx_slots": SLOTS[RX]}
    world.resize(NIC, sizes, eager)
    return world


_MASK = "offset_mask is what the ring's users have agreed on"
_KERNEL = "the kernel knows of the offsets agreed on"


def bind_body(p: Proof, *functions: Callable[..., Any]) -> None:
    with standing_in(functions):
        reachable(p, Held(device(p.switches)), MOVES, checks, key=Held.key, depth=3)


def offsets_body(p: Proof, *functions: Callable[..., Any]) -> None:
    with standing_in(functions):
        reachable(p, Held(device(p.switches)), FEW, checks, key=Held.key, depth=4)


_CLAUSES = (
    "14.close.returns",
    "14.register.rings",
    "14.register.exclusive",
    "14.register.failure",
    "14.register.nifp",
    "14.null.register",
    "14.null.sizes",
    "14.module.reconfigured",
    "14.host.counts",
    "14.memory.pool",
    "14.memory.layout",
    "14.memory.fresh-ring",
    "14.memory.returned",
    "14.memory.one-slot",
    "14.memory.reserved",
    "14.memory.extra-returned",
    "14.monitor.port-leaves",
    "14.abi.ring",
)
_PORT = """A port of two transmit rings and one receive ring, of four and three slots, which had others when
it was used before, in memory whose objects have room for just these; up to three descriptors,"""


def _control(functions: tuple[Callable[..., Any], ...], what: str) -> Control:
    slip = Slip(bind.krings_put, "k.users - 1 -> k.users + 1")
    return Control(what, slip, *functions[1:], goal="users of a ring are counted")


obligation(
    "14.bind.held",
    clauses=_CLAUSES,
    statement="""Whoever binds rings of a port and leaves them, in any mode and order: users and claims of
    each ring, its mode, whether it has a ring object and what that shows, its offsets, what the port counts,
    its host rings, what each descriptor's netmap_if shows and the kernel remembers of it, the buffers in use
    and who is refused follow from who is bound to what now. So with null ports beside it, and with monitors,
    which watch it until its last descriptor goes. A request that is refused leaves nothing behind.""",
    functions=_FUNCTIONS,
    control=_control(_FUNCTIONS, "a ring keeps its users"),
    bounds=f"""{_PORT} every sequence of up to three moves: each mode and claim beside each other one, and
    after it.""",
    rules=(),
    whole_device=True,
)(bind_body)

_offsets = partial(
    obligation,
    clauses=("14.offsets.forgotten", "14.memory.returned", "14.close.returns"),
    functions=_GIVEN_BACK,
    control=_control(_GIVEN_BACK, "a ring keeps its users"),
    bounds=f"""{_PORT} all hardware rings, one with offsets or another one, every sequence of up to four
    moves: a ring with offsets loses its users and gets new ones while the port stays open, and after it was
    closed. Beside that, rings that there is no room for.""",
    rules=(),
    whole_device=True,
)
_offsets(
    "14.bind.offsets",
    statement="""Rings that are made anew have no offsets, whoever had them before, and what goes with the
    users of a ring is given back as in 14.bind.held.""",
)(offsets_body)
_offsets(
    "14.bind.offsets.as-written",
    statement="""As 14.bind.offsets, but a ring that is made anew shows the mask that its memory held before,
    and keeps the offsets of the users it had before.""",
    switches={bind.OFFSETS_OUTLIVE},
    finding="F14-113",
    refutes={_MASK, _KERNEL},
)(offsets_body)

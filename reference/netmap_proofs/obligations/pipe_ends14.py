"""Generation 14: the two ends of a pipe whose rings several descriptors bind and leave, in any order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netmap_reference.core.choice import eager
from netmap_reference.gen14 import bind
from netmap_reference.gen14.ports import pipe_ends
from netmap_reference.gen14.result import Result
from netmap_reference.gen14.state import RX, TX
from netmap_reference.gen14.world import PortConfig, World
from netmap_spec import invariants as spec
from netmap_spec.abi import api14

from .. import bound14, bound14_checks
from ..bound14 import BITS, Bound, Held, Move, Ring, Told
from ..engine import Proof
from ..mutation.planting import Slip, standing_in
from ..obligation import Control, obligation
from ..schemas import Cases, every
from ..schemas.reachable import reachable

NIC = "v0"
RINGS, SLOTS = 2, 3
SHAPE = (SLOTS, SLOTS)
_FUNCTIONS = (
    pipe_ends.krings_create,
    pipe_ends.krings_create_pair,
    pipe_ends.register_rings,
    pipe_ends.register,
    pipe_ends.unregister,
    pipe_ends.krings_delete_pair,
    bind.krings_create,
    bind.rings_create,
    bind.mode_commit,
)


def other(end: str) -> str:
    """The other end of a pipe."""
    return end.replace("{", "}") if "{" in end else end.replace("}", "{")


def across(ring: Ring) -> Ring:
    """The ring that shows the same buffers."""
    return (other(ring[0]), RX if ring[1] == TX else TX, ring[2])


@dataclass(frozen=True, slots=True)
class Want:
    """A REGISTER of a pipe's end: all its rings, or those of one number."""

    end: str
    ring: int = -1
    alone: bool = False
    offsets: bool = False

    def fields(self) -> dict[str, Any]:
        mode = api14.NR_REG_ALL_NIC if self.ring < 0 else api14.NR_REG_ONE_NIC
        found = {"name": self.end, "mode": mode, "ringid": max(self.ring, 0)}
        found |= {"flags": self.alone * api14.NR_EXCLUSIVE}
        found |= {"tx_rings": RINGS, "rx_rings": RINGS, "tx_slots": SLOTS, "rx_slots": SLOTS}
        if self.offsets:
            found["options"] = [{"type": "OFFSETS", "max_offset": 64, "offset_bits": BITS}]
        return found

    @property
    def range(self) -> tuple[int, int]:
        return (0, RINGS) if self.ring < 0 else (self.ring, self.ring + 1)


def binds(want: Want) -> Move:
    """One more descriptor of an end. Rings that it is the first to use are made with those of the other end,
    unless they are there."""
    end = want.end

    def then(before: Held, after: Held, got: Result) -> tuple[Held, Told]:
        fresh = after.used(end) - before.used(end)
        made = fresh - before.made
        pairs = made | {across(ring) for ring in made}
        masked = after.masked | {across(ring) for ring in made & after.masked}
        first = before.first or end
        late = len(made) if first != end and pipe_ends.COPIES_FAKE in before.world.switches else 0
        told = {
            pipe_ends.BOTH: int(not before.first),
            pipe_ends.COPIED: len(made) - late,
            pipe_ends.OVERWRITTEN: late,
            pipe_ends.REOPENED: len(fresh - made),
            bind.RING_REAL: len(made),
            bind.RING_FAKE: len(made),
        }
        return replace(after, made=before.made | pairs, masked=masked, first=first), told

    def move(held: Held) -> Held | None:
        if not (fd := held.free_name()):
            return None
        bound = Bound(fd, end, want.range, want.range, SHAPE, want.alone, offsets=want.offsets, name=end)
        return bound14.asking(held, bound, want.fields(), then)

    return move


def nic(held: Held) -> Held | None:
    """A descriptor of the port whose region the pipe shares."""
    if held.of(NIC) or not (fd := held.free_name()):
        return None
    bound = Bound(fd, NIC, (0, 1), (0, 1), SHAPE, name=NIC)
    return bound14.asking(held, bound, {"name": NIC}, lambda before, after, got: (after, {bind.RING_REAL: 2}))


def host_rings(held: Held) -> Held | None:
    """A pipe has no host rings."""
    if not (fd := held.free_name()):
        return None
    fields = Want("v0{1").fields() | {"mode": api14.NR_REG_NIC_SW}
    bound = Bound(fd, "v0{1", (0, 0), (0, 0), SHAPE)
    return bound14.asking(held, bound, fields, lambda before, after, got: (after, {}), "EINVAL")


def sends_part(end: str) -> Move:
    """One slot of a packet that never ends, in ring 0: the other end does not see it."""

    def move(held: Held) -> Held | None:
        found = [b for b in held.of(end) if b.range(TX)[0] == 0]
        if not found or held.parts:
            return None
        world = held.world.clone()
        view = world.ring(found[0].fd, "tx0")
        view.slot[view.head].flags = api14.NS_MOREFRAG
        view.head = view.cur = view.head + 1
        world.txsync(found[0].fd, eager)
        return replace(held, world=world, parts=1, wrong=())

    return move


def closes(fd: str) -> Move:
    """A descriptor goes; with the last one of both ends the pipe does."""

    def then(before: Held, after: Held) -> tuple[Held, Told]:
        end = next(b.port for b in before.bound if b.fd == fd)
        if end == NIC:
            return after, {bind.RING_GONE: 2}
        left = not after.of(end)
        gone = left and not after.of(other(end))
        leaks = gone and before.parts and pipe_ends.LEAKS_INCOMPLETE in before.world.switches
        told = {
            pipe_ends.KEPT: int(left and not gone),
            pipe_ends.GONE: int(gone),
            pipe_ends.LEAKED: int(leaks),
            bind.RING_GONE: len(before.made) if gone else 0,
        }
        if not gone:
            return after, told
        nothing = frozenset[Ring]()
        return replace(after, agreed=nothing, masked=nothing, made=nothing, first="", parts=0), told

    return lambda held: bound14.leaving(held, fd, then)


def checks(ends: tuple[str, str]) -> Callable[[Held], bound14_checks.Found]:
    def check(held: Held) -> bound14_checks.Found:
        s = held.world.system()
        yield from bound14_checks.calls(held)
        living = any(held.of(end) for end in ends)
        there = [end for end in ends if end in s.adapters]
        yield "the two ends live together", there == (list(ends) if living else []), f"{there}"
        for end in there:
            yield from bound14_checks.port(held, end)
            yield from bound14_checks.rings(held, end)
            yield from bound14_checks.pages(held, end, SHAPE)
            na = s.adapters[end]
            keeps = bool(held.of(end)) and not held.of(other(end))
            yield "an end keeps the other one while that is not bound", na.peer_ref == keeps, f"{end}"
            kept = bool(held.of(other(end))) and not held.of(end)
            yield "references to an end are counted", na.refs == len(held.of(end)) + kept, f"{end}: {na.refs}"
        yield from bound14_checks.descriptors(held)
        yield from bound14_checks.interfaces(held)
        yield from bound14_checks.buffers(held, frozenset(r for r in held.made if r[0] == ends[1]))

    return check


def device(switches: frozenset[str]) -> World:
    return World([PortConfig(NIC, tx_slots=SLOTS, rx_slots=SLOTS)], switches)


def moves(ends: tuple[str, str]) -> dict[str, Move]:
    found: dict[str, Move] = {}
    for end in ends:
        found[f"all rings of {end} are bound"] = binds(Want(end))
        found[f"ring 1 of {end} is bound, with offsets"] = binds(Want(end, 1, offsets=True))
        found[f"ring 0 of {end} is bound alone"] = binds(Want(end, 0, alone=True))
    return found | {f"{fd} closes": closes(fd) for fd in "ABC"}


SHARED, OWN = ("v0{1", "v0}1"), ("x{1", "x}1")
MOVES = moves(SHARED) | {
    "the NIC is bound": nic,
    "the pipe is bound with host rings": host_rings,
    "a part of a packet is sent": sends_part("v0{1"),
}
_LEAKING = (
    "all rings of v0{1 are bound",
    "the NIC is bound",
    "a part of a packet is sent",
    "A closes",
    "B closes",
)


def ends_body(p: Proof, *functions: Callable[..., Any]) -> None:
    """A pipe in the region of a NIC, and one with a region of its own; as written only what shows it."""
    searches = [(SHARED, MOVES, 4), (OWN, moves(OWN), 3)]
    if pipe_ends.COPIES_FAKE in p.switches:
        searches = [(SHARED, moves(SHARED), 3)]
    elif p.switches:
        searches = [(SHARED, {name: MOVES[name] for name in _LEAKING}, 5)]
    with standing_in(functions):
        for ends, among, depth in searches:
            start = Held(device(p.switches))
            reachable(p, start, among, checks(ends), key=Held.key, depth=depth, label=ends[0])


def _control(function: Callable[..., Any], change: str) -> tuple[Callable[..., Any], ...]:
    return tuple(Slip(f, change) if f is function else f for f in _FUNCTIONS)


_ends = partial(
    obligation,
    functions=_FUNCTIONS,
    control=Control(
        "an end that is bound is not in netmap mode",
        *_control(pipe_ends.register, "replace(na, on=True) -> replace(na)"),
        goal="a port is in netmap mode while it is bound",
    ),
    bounds="""A pipe of two rings a direction, of three slots, up to three descriptors, every sequence of up
    to four moves in the region of a NIC that others use meanwhile, of three in a region of its own: each end
    is bound first or second, ring by ring or at once, and left before the other or after it.""",
    rules=(),
    whole_device=True,
)
_ends(
    "14.pipe.held",
    clauses=(
        "14.pipe.ends",
        "14.pipe.shared-buffers",
        "14.pipe.reopen",
        "14.pipe.modes",
        "14.close.returns",
        "14.register.rings",
        "14.register.exclusive",
        "14.register.failure",
        "14.memory.returned",
        "14.memory.one-slot",
        "14.memory.reserved",
        "14.memory.fresh-ring",
        "14.offsets.ring-fields",
    ),
    statement="""Whoever binds rings of the two ends of a pipe and leaves them, in any order: which rings each
    end has and that they show one set of buffers, users, claims and modes of rings, the offsets they show,
    which end keeps the other, and what is free again follow from who is bound now and which rings were bound
    since the pipe is there.""",
)(ends_body)
_ends(
    "14.pipe.held.as-written.copies",
    clauses=("14.pipe.shared-buffers",),
    statement="""As 14.pipe.held, but when the end that was not bound first is the first to bind a ring, both
    rings of the pair show empty slots.""",
    switches={pipe_ends.COPIES_FAKE},
    finding="F14-005",
    refutes={
        "every slot has a buffer",
        "a buffer is in one place",
        "no buffer is lost",
        "what is in a slot or chain is allocated",
    },
)(ends_body)
_ends(
    "14.pipe.held.as-written.leaks",
    clauses=("14.memory.returned",),
    statement="""As 14.pipe.held, but the buffer of a part of a packet that lies between the two ends is lost
    with the pipe.""",
    switches={pipe_ends.LEAKS_INCOMPLETE},
    finding="F14-008",
    refutes={"no buffer is lost", "buffers in use are those of rings and the extra ones"},
)(ends_body)


# --- which slots are whose ------------------------------------------------------------------------------

_MOST = 5


def kernel_part_body(p: Proof, kernel_part: Callable[..., list[int]]) -> None:
    cases = Cases(p, "rings")
    sizes = range(1, _MOST + 1)
    for n, hwcur, stop, receive in every(p, "positions", sizes, range(_MOST), range(_MOST), (False, True)):
        if hwcur >= n or stop >= n:
            continue
        cases.case(n=n, hwcur=hwcur, stop=stop, receive=receive)
        found = p.run(kernel_part, n, hwcur, stop, receive)
        own = spec.steps(n, hwcur, stop)
        at_other = [i for i in range(n) if spec.steps(n, hwcur, i) >= own + (not receive)]
        cases.goal("exactly the positions that the end does not hold are found", sorted(found) == at_other)
    cases.end()


obligation(
    "14.pipe.kernel-part",
    clauses=("14.memory.returned", "14.memory.one-slot"),
    statement="""Walking a ring of a pipe's end finds each position whose buffer is at the other end, once:
    those behind the last slot that a transmit ring may use, those from the first on that a receive ring has
    not got, up to where the kernel stands.""",
    functions=(pipe_ends.kernel_part,),
    control=Control(
        "the first slot of a receive ring is left out",
        lambda n, hwcur, stop, receive: pipe_ends.kernel_part(n, hwcur, stop, False),
        goal="exactly the positions that the end does not hold are found",
    ),
    bounds="Rings of up to five slots, every position of both ends: the walk wraps at every place.",
    rules=(),
)(kernel_part_body)

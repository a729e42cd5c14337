"""Generation 14: pipes from the first REGISTER to the last close, with packets and buffers on their way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from netmap_reference.gen14 import bind, close, memory
from netmap_reference.gen14.ports import pipe_ends
from netmap_spec.abi import api14

from .. import life14
from ..engine import Proof
from ..life14 import Life
from ..mutation.planting import Slip, standing_in
from ..obligation import Control, obligation
from ..schemas.reachable import reachable

_CLAUSES = (
    "14.pipe.ends",
    "14.pipe.shared-buffers",
    "14.pipe.reopen",
    "14.memory.one-slot",
    "14.memory.pool",
    "14.memory.reserved",
    "14.memory.returned",
    "14.memory.last-user",
    "14.memory.fresh-ring",
    "14.memory.extra-buffers",
    "14.close.returns",
    "14.register.failure",
)
_FUNCTIONS = (
    close.unregister,
    bind.rings_create,
    bind.rings_delete,
    bind.if_delete,
    bind.krings_put,
    pipe_ends.register_rings,
    pipe_ends.krings_delete_pair,
    pipe_ends.register,
    pipe_ends.unregister,
    pipe_ends.kernel_part,
    memory.extra_free,
)


def _control(function: Callable[..., Any], change: str) -> tuple[Callable[..., Any], ...]:
    return tuple(Slip(f, change) if f is function else f for f in _FUNCTIONS)


def _checks(life: Life) -> life14.Found:
    s = life.world.system()
    yield from life14.owners(s)
    yield from life14.pools(s)
    yield from life14.positions(s)
    yield from life14.counted(s)
    for fd in ("A", "B"):
        if life.bound(fd):
            yield from life14.fresh(life.world, fd)
    lost = life14.drained(life, "B")
    yield "nothing is lost or comes twice, also across a close", not lost, lost


def _moves(flags: int = 0) -> dict[str, Callable[[Life], Life | None]]:
    return {
        "A binds, with one extra buffer": life14.bind("A", "v0{1", extra_bufs=1),
        "B binds": life14.bind("B", "v0}1"),
        "A closes": life14.close("A", ("A", "B")),
        "B closes": life14.close("B", ("A", "B")),
        "A sends": life14.send("A", flags=flags),
        "A exchanges a buffer": life14.swap("A", "tx0"),
        "B receives": life14.receive("B"),
        "C binds the NIC": life14.bind("C", "v0"),
        "C closes": life14.close("C"),
    }


def pipe_body(p: Proof, *functions: Callable[..., Any]) -> None:
    with standing_in(functions):
        start = Life(life14.device(p.switches))
        reachable(p, start, _moves(), _checks, key=Life.key, depth=6)


_LOSES = Control(
    "a ring that goes keeps buffer 2",
    *_control(bind.rings_delete, "x.buf_idx > 1 -> x.buf_idx > 2"),
    goal="no buffer is lost",
)

obligation(
    "14.life.pipe",
    clauses=_CLAUSES,
    statement="""Whatever well-behaved programs at the two ends of a pipe do, in any order: each buffer in use
    is in exactly one place, the pools know exactly what is held, packets arrive in order with none lost or
    doubled also when an end is closed and bound again, a refused request leaves nothing behind, and the last
    one leaves a clean region.""",
    functions=_FUNCTIONS,
    control=_LOSES,
    bounds="""Rings of three slots, one ring a direction, one extra buffer, every sequence of up to six moves:
    a slot can be filled, handed over, received and given back, either end closed and bound again, and the
    NIC whose memory the pipe shares come and go meanwhile.""",
    rules=(),
    whole_device=True,
)(pipe_body)


# --- incomplete packets ---------------------------------------------------------------------------------


def _owners_only(life: Life) -> life14.Found:
    s = life.world.system()
    yield from life14.owners(s)
    yield from life14.pools(s)
    yield from life14.positions(s)
    yield from life14.counted(s)


_MISCOUNTS = Control(
    "as written, and who leaves is counted twice",
    *_control(bind.krings_put, "k.users - 1 -> k.users + 1"),
    goal="users of a ring are counted",
)


def incomplete_body(p: Proof, *functions: Callable[..., Any]) -> None:
    moves = _moves(api14.NS_MOREFRAG)
    del moves["B receives"], moves["A exchanges a buffer"]
    with standing_in(functions):
        start = Life(life14.device(p.switches))
        reachable(p, start, moves, _owners_only, key=Life.key, depth=6)


_incomplete = partial(
    obligation,
    clauses=("14.memory.returned", "14.memory.one-slot", "14.pipe.whole-packets"),
    functions=_FUNCTIONS,
    bounds="As 14.life.pipe; every packet lacks its last fragment: slots lie between the two ends.",
    rules=(),
    whole_device=True,
)

_incomplete(
    "14.life.pipe-incomplete",
    statement="""A pipe that goes while slots of an incomplete packet lie between its ends gives their buffers
    back like all others.""",
    control=_LOSES,
)(incomplete_body)

_incomplete(
    "14.life.pipe-incomplete.as-written",
    statement="""As 14.life.pipe-incomplete: the slots between what was handed over and what was published
    belong to neither end, and their buffers are lost.""",
    control=_MISCOUNTS,
    switches={pipe_ends.LEAKS_INCOMPLETE},
    finding="F14-008",
    refutes={"no buffer is lost"},
)(incomplete_body)


# --- rings bound one by one --------------------------------------------------------------------------------


def late_body(p: Proof, *functions: Callable[..., Any]) -> None:
    one = {"mode": api14.NR_REG_ONE_NIC, "tx_rings": 2, "rx_rings": 2}
    moves: dict[str, Callable[[Life], Life | None]] = {}
    for fd, name, ring in (("A", "v0{1", 0), ("B", "v0{1", 1), ("C", "v0}1", 0)):
        moves[f"{fd} binds ring {ring} of {name}"] = life14.bind(fd, name, ringid=ring, **one)
        moves[f"{fd} closes"] = life14.close(fd)
    moves["D binds both rings of v0}1"] = life14.bind("D", "v0}1", tx_rings=2, rx_rings=2)

    def checks(life: Life) -> life14.Found:
        yield from _owners_only(life)
        for fd in ("A", "B", "C", "D"):
            if life.bound(fd):
                yield from life14.fresh(life.world, fd)

    with standing_in(functions):
        reachable(p, Life(life14.device(p.switches)), moves, checks, key=Life.key, depth=4)


_late = partial(
    obligation,
    clauses=("14.pipe.shared-buffers", "14.memory.fresh-ring", "14.memory.one-slot", "14.register.rings"),
    functions=_FUNCTIONS,
    bounds="A pipe of two rings a direction, four descriptors, every sequence of up to four moves.",
    rules=(),
    whole_device=True,
)

_late(
    "14.life.pipe-late",
    statement="""Whichever rings of a pipe are bound, in whatever order and from whichever end: both ends'
    slots name the same buffers, and every slot has one.""",
    control=Control(
        "a ring is made only for its own users",
        *_control(bind.rings_create, "k.users > 0 or k.needed -> k.users > 0"),
        goal="a fresh ring names a buffer in every slot",
    ),
)(late_body)

_late(
    "14.life.pipe-late.as-written",
    statement="""As 14.life.pipe-late: the slots are copied from the end that was bound last, even where it is
    the other one that has the buffers.""",
    control=_MISCOUNTS,
    switches={pipe_ends.COPIES_FAKE},
    finding="F14-005",
    refutes={
        "a fresh ring names a buffer in every slot",
        "no buffer is lost",
        "what is in a slot or chain is allocated",
        "a buffer is in one place",
    },
)(late_body)

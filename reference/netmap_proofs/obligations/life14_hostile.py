"""Generation 14: a program that stores anything in its rings, and what of it reaches others.

It may lose its own buffers and those it names. What must never happen: an index outside the pool in the
device's descriptors, or that or a reserved one among the free buffers, in another program's ring or device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netmap_reference.core.choice import eager
from netmap_reference.gen14 import bind, memory
from netmap_reference.gen14.bind import ring_at
from netmap_reference.gen14.memory import GLOBAL_ID
from netmap_reference.gen14.ports import device
from netmap_reference.gen14.world import PortConfig, World

from .. import life14
from ..engine import Proof
from ..life14 import SLOTS, Life
from ..mutation.planting import Slip, standing_in
from ..obligation import Control, obligation
from ..schemas.reachable import reachable

Move = Callable[[Life], Life | None]
_FUNCTIONS = (bind.rings_create, bind.rings_delete, device.refill, device.tx_slot, memory.free_many)


def _stores(fd: str, ring: str, **words: int) -> Move:
    """Stores into the ring's words, or into those of its first slot."""

    def move(life: Life) -> Life | None:
        if not life.bound(fd):
            return None
        world = life.world.clone()
        view = world.ring(fd, ring)
        for word, value in words.items():
            setattr(view if word in ("head", "cur", "tail") else view.slot[0], word, value)
        return Life(world)

    return move


def _does(what: Callable[[World], Any], fd: str) -> Move:
    def move(life: Life) -> Life | None:
        if not life.bound(fd):
            return None
        world = life.world.clone()
        what(world)
        return Life(world)

    return move


def _checks(life: Life) -> life14.Found:
    s = life.world.system()
    a, region = s.allocators[GLOBAL_ID], s.regions[GLOBAL_ID]
    total = a.buf_pool.objtotal
    inside = all(0 <= i < total for i in a.buf_pool.used)
    yield "no index outside the pool is in use or freed", inside, f"{sorted(a.buf_pool.used)[-3:]}"
    yield "buffers 0 and 1 are never free", a.buf_pool.used >= memory.RESERVED, ""
    yield from life14.positions(s)
    for k in s.krings.values():
        bad = [i for i in k.desc if not 0 <= i < total]
        yield "the device is given buffers of the pool only", not bad, f"{k.name}: {k.desc}"
        # A driver compares with buffer 0 alone: who names the reserved buffer 1 in a slot of his own has it
        # filled, which is nobody's.
        own = k.adapter == "v0" or all(1 < i < total for i in k.desc)
        yield "another program's device is given no reserved buffer", own, f"{k.name}: {k.desc}"
        if k.adapter == "v1" and k.ring >= 0:
            slots = memory.read_slots(region, ring_at(s, k), k.pos.n)
            mine = [slot.buf_idx for slot in slots]
            yield (
                "another program's ring names buffers of the pool",
                all(1 < i < total for i in mine),
                f"{mine}",
            )


def hostile_body(p: Proof, *functions: Callable[..., Any]) -> None:
    ports = [PortConfig(name, tx_slots=SLOTS, rx_slots=SLOTS) for name in ("v0", "v1")]
    with standing_in(functions):
        start = World(ports, p.switches)
        total = start.system().allocators[GLOBAL_ID].buf_pool.objtotal
        moves: dict[str, Move] = {
            "A binds": life14.bind("A", "v0"),
            "A closes": life14.close("A"),
            "the victim binds": life14.bind("V", "v1"),
            "the victim closes": life14.close("V"),
            "A transmits": _does(lambda w: w.txsync("A", eager), "A"),
            "A receives": _does(lambda w: w.rxsync("A", eager), "A"),
            "a frame arrives": _does(lambda w: w.frame("v0", "wire", b"x" * 60, eager), "A"),
        }
        for ring in ("tx0", "rx0"):
            for value in (1, total, 2**32 - 1, 8):
                moves[f"A names buffer {value} in {ring}"] = _stores("A", ring, buf_idx=value)
                moves[f"A hands buffer {value} of {ring} over"] = _stores(
                    "A", ring, buf_idx=value, flags=1, len=2**16 - 1, head=1, cur=1
                )
            moves[f"A stores {SLOTS} as head of {ring}"] = _stores("A", ring, head=SLOTS)
        reachable(p, Life(start), moves, _checks, key=Life.key, depth=4)
        there = Life(start)
        for move in ("A binds", "the victim binds", "a frame arrives", "A receives"):
            after = moves[move](there)
            assert after is not None
            there = after
        reachable(p, there, moves, _checks, key=Life.key, depth=3, label="with a frame received")


obligation(
    "14.life.hostile",
    clauses=(
        "14.memory.reserved",
        "14.memory.pool",
        "14.ring.reinit-slots",
        "14.nic.bad-slot",
        "14.ring.kring-order",
    ),
    statement="""Whatever a program stores in its rings, in any order with its syncs, its close and another
    program's coming and going: no index outside the pool reaches a device or the free buffers, no reserved
    one the free buffers, the other program's ring or its device, and every kring keeps its order.""",
    functions=_FUNCTIONS,
    control=Control(
        "a ring that goes frees whatever its slots name",
        *(Slip(f, "x.buf_idx > 1 -> x.buf_idx > 0") if f is bind.rings_delete else f for f in _FUNCTIONS),
        goal="buffers 0 and 1 are never free",
    ),
    bounds="""Two ports with rings of three slots, two programs, every sequence of up to four moves from
    nothing, and of three from where both are bound and a frame was received; indices inside, reserved, one
    past the pool and 2^32 - 1, stored in the first slot.""",
    rules=(),
    whole_device=True,
)(hostile_body)

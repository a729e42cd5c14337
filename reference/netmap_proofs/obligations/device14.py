"""Generation 14: the buffers that a port's device fills, when slots are given back to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from netmap_reference.core.choice import eager
from netmap_reference.gen14 import memory
from netmap_reference.gen14.memory import GLOBAL_ID
from netmap_reference.gen14.ports import device
from netmap_reference.gen14.ring import Slot
from netmap_reference.gen14.state import KringState, System
from netmap_reference.gen14.world import PortConfig, World
from netmap_spec.abi import api14

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every

SLOTS, BITS, FARTHEST = 3, 8, 64
_DRIVERS = ("generic nic", "emulated")
_KEPT = api14.NS_MOREFRAG
_CHANGED = api14.NS_BUF_CHANGED | _KEPT
#: Bits of ``ptr`` above those of an offset are the application's.
_ABOVE = 1 << BITS

Refill = Callable[[System, KringState, int, int], bool]


def _port(driver: str) -> tuple[System, KringState, int]:
    """A receive ring with offsets, and where it is in the region."""
    world = World([PortConfig("v0", tx_slots=SLOTS, rx_slots=SLOTS, driver=driver)])
    world.open("A")
    agreed = {"type": "OFFSETS", "offset_bits": BITS, "max_offset": FARTHEST}
    world.register("A", {"name": "v0", "options": [agreed]}, eager)
    s = world.system()
    k, a = s.krings["v0:rx0"], s.allocators[GLOBAL_ID]
    return s, k, a.if_pool.memtotal + k.ring * a.ring_pool.objsize


def _kinds(total: int) -> tuple[Slot, ...]:
    """What an application may have stored in a slot: a buffer without the mark, one with it at an offset, and
    at one that is too large; no buffer; an index the pool does not have."""
    return (
        Slot(2, 60, _KEPT, 16),
        Slot(20, 60, _CHANGED, 16 | _ABOVE),
        Slot(21, 60, _CHANGED, FARTHEST + 1),
        Slot(0, 0, _KEPT, 0),
        Slot(total, 60, _CHANGED, 0),
    )


def refill_body(p: Proof, refill: Refill) -> None:
    cases = Cases(p, "rings given back")
    positions = range(SLOTS)
    for driver in _DRIVERS:
        s, fresh, at = _port(driver)
        region, total = s.regions[GLOBAL_ID], s.allocators[GLOBAL_ID].buf_pool.objtotal
        copies = driver == "emulated"
        kinds = _kinds(total)
        for *slots, start, count in every(p, "slots", *[kinds] * SLOTS, positions, range(SLOTS + 1)):
            cases.case(driver=driver, slots=slots, start=start, count=count)
            memory.write_slots(region, at, slots)
            s.krings[fresh.name] = fresh
            good = refill(s, fresh, start, count)
            released = [(start + i) % SLOTS for i in range(count)]
            bad = [i for i in released if not 0 < slots[i].buf_idx < total]
            cases.goal("a driver refuses exactly what is no buffer", good == (copies or not bad))
            desc, desc_at = list(fresh.desc), list(fresh.desc_at)
            for i in released if good and not copies else ():
                if slots[i].flags & api14.NS_BUF_CHANGED:
                    desc[i] = slots[i].buf_idx
                    desc_at[i] = min(slots[i].ptr % _ABOVE, FARTHEST)
            after = replace(fresh, desc=tuple(desc), desc_at=tuple(desc_at))
            same = s.krings[fresh.name] == after
            cases.goal("the device fills the buffers of marked slots, at their offset, and no others", same)
            seen = released if good else released[: released.index(bad[0])]
            left = [replace(x, flags=_KEPT) if i in seen else x for i, x in enumerate(slots)]
            now = memory.read_slots(region, at, SLOTS)
            cases.goal("a mark that was seen is cleared, nothing else in a slot changes", now == left)
    cases.end()


obligation(
    "14.device.refill",
    clauses=("14.nic.rxsync", "14.nic.bad-slot", "14.offsets.window", "14.offsets.reprogram"),
    statement="""When slots of a receive ring are given back, the device of a driver fills the buffers of
    those marked with NS_BUF_CHANGED from now on, at their offset or the largest there is, and for the others
    those that it had; the marks are cleared. A slot without a buffer of the pool ends it, and nothing is
    given to the device. An adapter that copies takes any slot.""",
    functions=(device.refill,),
    control=Control(
        "a slot is given back that was not released",
        lambda s, k, start, count: device.refill(s, k, start, min(count + 1, SLOTS)),
        goal="a mark that was seen is cleared, nothing else in a slot changes",
    ),
    bounds="""A ring of three slots, every stretch of it, five kinds of slots in any order: without the mark
    and with it, at an offset and at one too large, without a buffer, with an index beyond the pool.""",
    rules=(),
    whole_device=True,
)(refill_body)

"""Chapter *null ports*: rings and buffers with nothing behind them.

A REGISTER with mode NULL makes a port of its own in a region that exists already, and the port goes with its
descriptor. No name leads to it: whoever asks for the same name again gets another port. A sync succeeds and
moves nothing, so a transmit ring is full once all its slots were handed over. Source: netmap_null.c.
"""

from __future__ import annotations

from netmap_spec.abi import api14

from ...core.outcome import errno
from ...core.step import Step, rule
from ...core.words import u32
from .. import bind, memory
from ..bind import Faulted, Refused
from ..failure import may_fail, point
from ..request import NAMSIZ
from ..state import RX, TX, Adapter
from .ops import Asked, PortOps, any_offsets

NULL_C = "luigirizzo/netmap:sys/dev/netmap/netmap_null.c@89607e14"
MEM2_C = memory.MEM2_C

#: Nothing looks at the numbers of rings and slots that are asked for.
SIZES_UNCHECKED = "14.null-sizes-unchecked"
AS_WRITTEN = frozenset({SIZES_UNCHECKED})

_SIZES = "14.null.sizes"
MADE = rule("14/null/get/made", clause="14.null.register", source=f"{NULL_C}:126-157")
NO_MEMORY = rule("14/null/get/no-region", clause="14.null.register", source=f"{NULL_C}:121-124")
MEMORY = point("null.adapter", "ENOMEM", source=f"{NULL_C}:126-130")
NO_SLOTS = rule("14/null/sizes/no-slots", clause=_SIZES, source=f"{MEM2_C}:2000-2003")
SLOTLESS = rule(
    "14/null/sizes/slotless-ring-made", clause=_SIZES, source=f"{NULL_C}:140-144", switch=SIZES_UNCHECKED
)
OVERRUN = rule(
    "14/null/sizes/ring-object-overrun",
    clause=_SIZES,
    source=f"{MEM2_C}:2000-2028",
    switch=SIZES_UNCHECKED,
)


def ring_size(slots: int, objsize: int, switches: frozenset[str] = frozenset()) -> Step[int]:
    """Bytes that a ring of ``slots`` slots takes of a ring object of ``objsize`` bytes.

    EINVAL for no slots. As written (SIZES_UNCHECKED) that is no error, and the product is cut to 32 bits; the
    rule OVERRUN is fired when a ring passes for one that fits only for that.
    """
    size = api14.netmap_ring.SIZE + slots * api14.netmap_slot.SIZE
    if SIZES_UNCHECKED not in switches:
        if slots == 0:
            return Step(size, (NO_SLOTS,), errno("EINVAL"))
        return Step(size)
    if slots == 0:
        return Step(size, (SLOTLESS,))
    if u32(size) != size and u32(size) <= objsize:
        return Step(u32(size), (OVERRUN,))
    return Step(size)


def find(asked: Asked) -> str:
    """A new port for every request of this mode. EINVAL without a region. Source: netmap_get_null_na."""
    s, req = asked.s, asked.req
    if req.mode != api14.NR_REG_NULL:
        return ""
    if not req.mem_id:
        asked.fired.append(NO_MEMORY)
        raise Refused("EINVAL")
    number = bind.free_number(s)
    shown = f"null:{req.name}"[: NAMSIZ - 1]
    name = f"{shown}#{number}"
    na = Adapter(
        name, "null", number, req.mem_id, req.tx_rings, req.rx_rings, req.tx_slots, req.rx_slots, label=shown
    )
    check_sizes(asked, na)
    may_fail(s, MEMORY, asked.fired)
    asked.fired.append(MADE)
    bind.hold(s, req.mem_id, 1)
    s.adapters[name] = na
    return name


def check_sizes(asked: Asked, na: Adapter) -> None:
    """Can the rings that are to be bound be rings?"""
    objsize = asked.s.allocators[na.mem].ring_pool.objsize
    for t, excluded in ((RX, api14.NR_TX_RINGS_ONLY), (TX, api14.NR_RX_RINGS_ONLY)):
        if not na.rings(t) or asked.req.has(excluded):
            continue
        step = ring_size(na.slots(t), objsize, asked.switches)
        asked.fired.extend(step.fired)
        if not step.outcome.ok:
            raise Refused(step.outcome.detail)
        if OVERRUN in step.fired:
            raise Faulted("netmap_mem2.c:2000-2028")


#: Everything as netmap does it for any port, and no sync moves anything.
OPS = PortOps(offsets=any_offsets)

"""Chapter *offsets, bound*: what a REGISTER with the option OFFSETS does to the rings it binds.

The numbers are decided in :mod:`.offsets`. The rings exist by then, and ``users`` counts the descriptor that
is being bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..core.step import rule
from . import bind, failure, memory, offsets, options
from .bind import Refused
from .offsets import NETMAP_C
from .options import Option
from .ports.table import ops
from .ring import Slot, nm_next
from .state import RX, KringState, System

if TYPE_CHECKING:
    from .requests import Ctl

#: The initial offset is also written into slots that hold packets on their way.
INITIAL_OVERWRITES = "14.offsets-initial-overwrites"
#: What a failed request has agreed on holds for the rings that stay.
OUTLIVE = bind.OFFSETS_OUTLIVE
AS_WRITTEN = frozenset(
    {
        offsets.BITS_KEPT,
        INITIAL_OVERWRITES,
        OUTLIVE,
        offsets.BY_LINE,
        offsets.PAST_BUFFER,
        offsets.NOT_ACROSS,
    }
)

UNSUPPORTED = rule("14/offsets/bind/unsupported", clause="14.offsets.ports", source=f"{NETMAP_C}:2308-2314")
ATTACHED = rule(
    "14/offsets/bind/attached",
    clause="14.offsets.ports",
    source="luigirizzo/netmap:sys/dev/netmap/netmap_bdg.c@89607e14:1688-1696",
)
MASKED = rule("14/offsets/bind/mask", clause="14.offsets.ring-fields", source=f"{NETMAP_C}:2386-2391")
WRITTEN = rule("14/offsets/bind/initial", clause="14.offsets.initial", source=f"{NETMAP_C}:2393-2406")
IN_USE = rule("14/offsets/bind/initial-in-use", clause="14.offsets.initial", source=f"{NETMAP_C}:2396-2400")
SPARED = rule("14/offsets/bind/initial-spared", clause="14.offsets.initial", source=f"{NETMAP_C}:2396-2400")
OVERWRITTEN = rule(
    "14/offsets/bind/initial-overwrites",
    clause="14.offsets.initial",
    source=f"{NETMAP_C}:2399-2406",
    switch=INITIAL_OVERWRITES,
)
STUCK = rule(
    "14/offsets/bind/stuck",
    clause="14.offsets.forgotten",
    source=f"{NETMAP_C}:2386-2391,2648-2650",
    switch=OUTLIVE,
)


@options.handles("OFFSETS", "REGISTER", "VALE_ATTACH")
def ask(ctx: Ctl, option: Option) -> Mapping[str, int]:
    """Agree on offsets for every ring that is being bound, receive rings first. Source: netmap_offsets_init.

    Returns what is in effect. EOPNOTSUPP for a port without offsets, as is what stands in for an interface on
    a switch, whatever the interface has; EINVAL for numbers that make no sense, EBUSY for more than was
    agreed on before.
    """
    s, f, fired = ctx.s, ctx.binding, ctx.fired
    na = s.adapters[f.adapter]
    if ctx.request == "VALE_ATTACH":
        fired.append(ATTACHED)
        raise Refused("EOPNOTSUPP")
    if not ops(na).offsets(s, na):
        fired.append(UNSUPPORTED)
        raise Refused("EOPNOTSUPP")
    sent = option.fields()
    buf_size = s.allocators[na.mem].buf_size
    initial, gap = int(sent.get("initial_offset", 0)), int(sent.get("min_gap", 0))
    step = offsets.check(int(sent.get("offset_bits", 0)), int(sent.get("max_offset", 0)), initial, buf_size)
    fired.extend(step.fired)
    if not step.outcome.ok:
        raise Refused(step.outcome.detail)
    asked = step.state
    failure.undo(s, "offsets.agreed", lambda: _forget(ctx, before), own=True)
    before = tuple(bind.selected(s, f))
    for k in before:
        step = offsets.join(k.offset, asked)
        fired.extend(step.fired)
        if not step.outcome.ok:
            raise Refused(step.outcome.detail)
        asked = step.state
        if not k.offset.bits:
            k = replace(k, offset=offsets.room(asked, gap, buf_size))
            bind.put(s, k)
            bind.view(s, k).offset_mask = k.offset.mask
            fired.append(MASKED)
        if initial:
            _initial(s, k, initial, fired, ctx.switches)
    effect = offsets.returned(asked, int(sent.get("offset_bits", 0)), ctx.switches)
    fired.extend(effect.fired)
    return {"max_offset": effect.state.max, "offset_bits": effect.state.bits}


def _initial(s: System, k: KringState, initial: int, fired: list[str], switches: frozenset[str]) -> None:
    """Write an initial offset into the slots of a ring nobody else uses, except where a packet waits."""
    if k.users > 1:
        fired.append(IN_USE)
        return
    spared: set[int] = set()
    waiting = _waiting(k)
    if waiting and INITIAL_OVERWRITES in switches:
        fired.append(OVERWRITTEN)
    elif waiting:
        fired.append(SPARED)
        spared = waiting
    fired.append(WRITTEN)
    region, at = s.regions[s.adapters[k.adapter].mem], bind.ring_at(s, k)
    slots = memory.read_slots(region, at, k.pos.n)
    failure.undo(s, "offsets.initial", lambda: _rewrite(s, k, slots), OUTLIVE, own=True)
    memory.write_slots(
        region,
        at,
        (
            x if i in spared else replace(x, ptr=offsets.write_offset(k.offset, x.ptr, initial))
            for i, x in enumerate(slots)
        ),
    )


def _waiting(k: KringState) -> set[int]:
    """Slots of a receive ring that hold packets nobody has released: a pipe's end may find some."""
    found: set[int] = set()
    i, end = k.pos.hwcur, k.pipe_tail if k.pipe else k.pos.hwtail
    while k.t == RX and i != end:
        found.add(i)
        i = nm_next(i, k.pos.n - 1)
    return found


def _forget(ctx: Ctl, before: tuple[KringState, ...]) -> None:
    """Rings that had no offsets have none again. As written (OUTLIVE) they keep what was asked for."""
    s = ctx.s
    if OUTLIVE in ctx.switches:
        ctx.fired.append(STUCK)
        return
    for old in before:
        if not old.offset.bits and old.name in s.krings:
            k = replace(s.krings[old.name], offset=old.offset)
            bind.put(s, k)
            if k.ring >= 0:
                bind.view(s, k).offset_mask = 0


def _rewrite(s: System, old: KringState, slots: list[Slot]) -> None:
    """A ring that outlives the request has its slots back."""
    k = s.krings.get(old.name)
    if k is not None and k.ring == old.ring:
        memory.write_slots(s.regions[s.adapters[k.adapter].mem], bind.ring_at(s, k), slots)

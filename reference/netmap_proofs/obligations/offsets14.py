"""Generation 14, offsets: what can be agreed on, where packets begin, how much fits behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from netmap_reference.core.step import Step
from netmap_reference.gen14 import offsets
from netmap_reference.gen14.offsets import MAX_BITS, Offset

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every

#: Masks that are looked at: none, one bit, within a buffer, a power of a buffer's size, all of the word.
_BITS = (0, 1, 6, 11, 16, 63, MAX_BITS)


def _agreed(p: Proof, bits: int) -> Offset:
    """Any offset of so many bits that 14.offsets.asked admits, and any room behind it."""
    maximum, room = p.integer("max", 0), p.integer("room", 0)
    p.assume(maximum < 1 << bits)
    return p.show("offset", Offset(bits, maximum, room))


def window_body(
    p: Proof, get: Callable[..., int], write: Callable[..., int], mask: Callable[..., int]
) -> None:
    bits = _BITS[p.split("bits", len(_BITS))]
    offset, ptr, value = _agreed(p, bits), p.u64("ptr"), p.u64("value")
    span = 1 << bits
    found = p.run(get, offset, ptr)
    p.goal("an offset is never beyond the maximum", found >= 0, found <= offset.max)
    low = ptr % span
    p.goal("one within it is itself", found == (low if low <= offset.max else offset.max))
    after = p.run(write, offset, ptr, value)
    p.goal("the bits above the mask stay", after // span == ptr // span)
    p.goal("the bits of the mask are the new offset", after % span == value % span)
    p.goal("the word stays a word", after >= 0, after < 1 << 64)
    p.goal("the mask is these bits", p.run(mask, offset) == span - 1)
    p.bounded(1, "paths")


_FIND = offsets.Offset.mask.fget  # type: ignore[attr-defined]

obligation(
    "14.offsets.window",
    clauses=("14.offsets.window",),
    statement="""Whatever an application stores in ptr, the kernel takes an offset between 0 and the maximum;
    writing one changes the bits of the mask and no other.""",
    functions=(offsets.get_offset, offsets.write_offset, _FIND),
    control=Control(
        "the bits above the mask are lost",
        offsets.get_offset,
        lambda offset, ptr, value: value % (1 << offset.bits),
        _FIND,
    ),
    assumptions="Any maximum that fits the bits; ptr and the new offset any u64.",
    bounds="Masks of 0, 1, 6, 11, 16, 63 and 64 bits: the code takes the remainder by their power of two.",
    rules=(),
)(window_body)


def check_body(p: Proof, check: Callable[..., Step[Offset]], room: Callable[..., Offset]) -> None:
    bits = (*_BITS, MAX_BITS + 1, 2**32 - 1)[p.split("bits", len(_BITS) + 2)]
    maximum, initial, size = p.u64("max"), p.u64("initial"), p.integer("buf_size", 64, 1 << 16)
    step = p.run(check, bits, maximum, initial, size)
    effective = bits or MAX_BITS
    if bits > MAX_BITS:
        good = maximum < 0
    else:
        good = (maximum <= size) & (maximum < 1 << effective) & (initial <= maximum)
    p.goal("refused exactly when it cannot be", good ^ (not step.outcome.ok))
    if not step.outcome.ok:
        p.goal("with EINVAL, and nothing is agreed on", step.outcome.detail == "EINVAL")
        p.goal("with EINVAL, and nothing is agreed on", step.state == offsets.NONE)
        return
    p.goal("no number of bits stands for all of them", step.state.bits == effective)
    p.goal("the maximum is the one asked for", step.state.max == maximum)
    gap = p.u64("gap")
    got = p.run(room, step.state, gap, size)
    p.goal("what a device may fill ends with the buffer", got.max + got.room <= size, got.room >= 0)
    p.goal("and with the next packet, where they share one", gap == 0 or got.room <= gap)
    p.goal("and no earlier", got.room == size - maximum or (gap != 0 and got.room == gap))
    p.goal("the agreement stays", got.bits == step.state.bits, got.max == step.state.max)
    p.bounded(1, "paths")


obligation(
    "14.offsets.asked",
    clauses=("14.offsets.asked", "14.offsets.received"),
    statement="""What can be asked for is exactly what the clause admits, and then what a device may fill
    behind the largest offset ends with the buffer.""",
    functions=(offsets.check, offsets.room),
    control=Control(
        "a maximum beyond the buffer is taken",
        lambda bits, maximum, initial, size: offsets.check(bits, maximum, initial, 1 << 64),
        offsets.room,
    ),
    assumptions="Maximum, initial offset and gap any u64, buffers of 64 to 65536 bytes.",
    bounds="0, 1, 6, 11, 16, 63, 64, 65 and 2^32 - 1 bits: the code compares with 64 and shifts.",
    rules=(offsets.BITS, offsets.TOO_FAR, offsets.TOO_WIDE, offsets.INITIAL, offsets.CHECKED),
)(check_body)


# --- several users ----------------------------------------------------------------------------------------

_RETURNED = "what is in effect is returned"


def join_body(p: Proof, join: Callable[..., Step[Offset]], returned: Callable[..., Step[Offset]]) -> None:
    ring = Offset(p.integer("ring.bits", 0, 64), p.u64("ring.max"), p.u64("ring.room"))
    asked = Offset(p.integer("asked.bits", 1, 64), p.u64("asked.max"))
    bits = p.integer("bits", 0, 64)
    step = p.run(join, ring, asked)
    more = (asked.bits > ring.bits) | (asked.max > ring.max)
    p.goal("more than was agreed on is refused", (not step.outcome.ok) == ((ring.bits != 0) & more))
    if not step.outcome.ok:
        p.goal(
            "with EBUSY, and the ring keeps what it has", step.outcome.detail == "EBUSY", step.state == ring
        )
        return
    first = ring.bits == 0
    p.goal("the first one's wish holds, then what the ring has", step.state == (asked if first else ring))
    got = p.run(returned, step.state, bits, p.switches)
    p.goal(_RETURNED, got.state.bits == step.state.bits)
    p.goal("the maximum in effect is returned", got.state.max == step.state.max)
    if offsets.BITS_KEPT in p.switches:
        p.goal("as written the number of bits is that which was sent", got.state.bits == bits)


_join = partial(
    obligation,
    clauses=("14.offsets.users", "14.offsets.returned"),
    functions=(offsets.join, offsets.returned),
    assumptions="Any agreement of the ring, any wish that passed 14.offsets.asked.",
)
_ENLARGES = Control(
    "an agreement is enlarged",
    lambda ring, asked: replace(offsets.join(ring, asked), outcome=Step(0).outcome),
    offsets.returned,
    goal="more than was agreed on is refused",
)

_join(
    "14.offsets.users",
    statement="""What the first descriptor agreed on holds for the ring; who asks for more bits or a larger
    maximum is refused, who asks for as much or less gets what there is, and is told.""",
    control=_ENLARGES,
    rules=(offsets.FIRST, offsets.JOINED, offsets.MORE, offsets.RETURNED),
)(join_body)

_join(
    "14.offsets.users.as-written.bits",
    statement="As 14.offsets.users, but the number of bits comes back as it was sent.",
    control=_ENLARGES,
    switches={offsets.BITS_KEPT},
    rules=(offsets.FIRST, offsets.JOINED, offsets.MORE, offsets.BITS_NOT),
    finding="F14-114",
    refutes={_RETURNED},
)(join_body)


# --- where packets are stored ---------------------------------------------------------------------------

_INSIDE = "what is stored ends with the buffer"


def stored_body(p: Proof, stored: Any, sent: Any, slot_size: Any) -> None:
    bits = _BITS[p.split("bits", len(_BITS))]
    copies, size, ptr = p.truth("the kernel stores"), p.integer("buf_size", 64, 1 << 16), p.u64("ptr")
    offset = _agreed(p, bits)
    p.assume_all([offset.max <= size, offset.max + offset.room <= size])
    p.assume(offset.room > 0 if bits else offset.room == 0)
    begin = p.run(stored, offset, ptr)
    length = p.run(slot_size, offset, size, copies, p.switches)
    p.goal(_INSIDE, begin.state + length.state <= size)
    p.goal("it begins at the slot's offset", begin.state == offsets.get_offset(offset, ptr))
    p.goal("without offsets a slot takes a whole buffer", bits > 0 or length.state == size)
    p.goal("behind an offset it takes what a device may fill", bits == 0 or length.state == offset.room)
    device = offset.room if bits else size
    p.goal("a device fills no more than it may", copies or length.state == device)
    going = p.run(sent, offset, ptr)
    p.goal("what is sent begins there too", going.state == begin.state)
    told = (offsets.STORED_AT in begin.fired, offsets.SENT_AT in going.fired)
    p.goal("the rules say whether there is an offset", told == (bits > 0, bits > 0))
    p.bounded(1, "paths")


_stored = partial(
    obligation,
    clauses=("14.offsets.received", "14.offsets.sent"),
    functions=(offsets.stored_at, offsets.sent_from, offsets.slot_size),
    assumptions="Any agreement that 14.offsets.asked admits, ptr any u64, buffers of 64 to 65536 bytes.",
    bounds="Masks as in 14.offsets.window.",
)
_AT_THE_START = Control(
    "packets are stored at the start",
    lambda offset, ptr: replace(offsets.stored_at(offset, ptr), state=0),
    offsets.sent_from,
    offsets.slot_size,
    goal="it begins at the slot's offset",
)

_stored(
    "14.offsets.stored",
    statement="""A frame is stored at its slot's offset and ends with the buffer, whatever ptr says; a packet
    is sent from there.""",
    control=_AT_THE_START,
    rules=(offsets.STORED_AT, offsets.SENT_AT, offsets.LESS),
)(stored_body)

_stored(
    "14.offsets.stored.as-written",
    statement="As 14.offsets.stored, but the kernel stores whole buffers from the offset on.",
    control=_AT_THE_START,
    switches={offsets.PAST_BUFFER},
    rules=(offsets.STORED_AT, offsets.SENT_AT, offsets.STORED_PAST),
    finding="F14-110",
    refutes={_INSIDE, "behind an offset it takes what a device may fill"},
)(stored_body)

_WANTED = "a packet is stored where its receiver looks"


def place_body(p: Proof, place: Callable[..., Step[offsets.Place]]) -> None:
    cases = Cases(p, "packets")
    size = 256
    agreements = (Offset(), Offset(6, 40, 100), Offset(8, 200, 50), Offset(16, 256, 0))
    ptrs, lags, lengths = (
        (0, 16, 40, 64, 100, 200, 255, 300, 1 << 20),
        (0, 16, 63, 64, 80),
        (0, 60, 156, 240, 256, 257),
    )
    for offset, ptr, source, length in every(p, "combinations", agreements, ptrs, lags, lengths):
        cases.case(offset=offset, ptr=ptr, source=source, length=length)
        step = place(offset, ptr, source, length, size, p.switches)
        p.reached(step.fired)
        wanted = min(ptr % (1 << offset.bits), offset.max)
        got = step.state
        cases.goal(_WANTED, got.at == wanted)
        cases.goal("it is told where it is", got.told == got.at)
        cases.goal("it fits when it ends with the buffer", got.fits == (length <= size - got.at))
    cases.end()


_place = partial(
    obligation,
    clauses=("14.offsets.vale",),
    functions=(offsets.place,),
    bounds="""Buffers of four lines; no agreement, one within a line, one of some lines and one of the whole
    buffer; offsets and lengths at every edge; packets that begin anywhere in a line.""",
)

_place(
    "14.offsets.place",
    statement="A switch stores a packet at the place its receiver's slot says, if it fits the buffer there.",
    control=Control(
        "the sender's place is taken",
        lambda offset, ptr, source, length, size, switches: replace(
            offsets.place(offset, ptr, source, length, size, switches),
            state=offsets.Place(source, source, length <= size - source),
        ),
    ),
    rules=(offsets.PLACED,),
)(place_body)

_place(
    "14.offsets.place.as-written",
    statement="As 14.offsets.place, but both ends are made to begin at the same place of a line.",
    control=Control(
        "as written, and the slot is not told",
        lambda *arguments: replace(
            offsets.place(*arguments), state=replace(offsets.place(*arguments).state, told=-1)
        ),
        goal="it is told where it is",
    ),
    switches={offsets.BY_LINE},
    rules=(offsets.MISPLACED, offsets.PLACED),
    finding="F14-112",
    refutes={_WANTED, "it fits when it ends with the buffer"},
)(place_body)


def by_line_body(p: Proof, place: Callable[..., Step[offsets.Place]]) -> None:
    cases = Cases(p, "packets")
    wishes, sources = (0, 1, 16, 40, 63, 64, 200, 255, 256), (0, 1, 16, 40, 44, 63, 64, 80)
    lengths = (0, 1, 56, 64, 120, 192, 240, 256)
    for wanted, source, length, size in every(p, "combinations", wishes, sources, lengths, (256, 300)):
        offset = Offset(16, size, 0)
        cases.case(wanted=wanted, source=source, length=length)
        step = place(offset, wanted, source, length, size, p.switches)
        p.reached(step.fired)
        got = step.state
        lag = source % 64
        at = wanted if wanted % 64 == lag else wanted - wanted % 64 + lag + (64 if wanted % 64 < lag else 0)
        fits = at <= size and at + length <= size
        cases.goal("both ends begin at the same place of a line", not got.fits or got.at == at)
        cases.goal("it fits when it ends with the buffer", got.fits == fits)
        cases.goal("one that does not fit stays where it was wanted", got.fits or got.at == wanted)
        cases.goal("the slot is told", got.told == got.at)
        moved = at != wanted
        cases.goal(
            "the rule says whether it moved", step.fired == (offsets.MISPLACED if moved else offsets.PLACED,)
        )
    cases.end()


obligation(
    "14.offsets.place-extent",
    clauses=("14.offsets.vale",),
    statement="""How far the deviation goes: a packet is stored in the receiver's line at the sender's place,
    or in the next line when that would be behind the receiver's, and lost when it does not fit there.""",
    functions=(offsets.place,),
    control=Control(
        "it is stored where it was wanted",
        lambda offset, ptr, source, length, size, switches: offsets.place(offset, ptr, source, length, size),
    ),
    bounds="As 14.offsets.place, with one agreement, and buffers that end within a line.",
    switches={offsets.BY_LINE},
    rules=(offsets.MISPLACED, offsets.PLACED),
)(by_line_body)

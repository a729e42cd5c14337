"""Generation 14: small decisions of null ports, monitors, pipes, switches and of rings that cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from netmap_reference.core.step import Step
from netmap_reference.gen14 import offsets, stop
from netmap_reference.gen14.offsets import Offset
from netmap_reference.gen14.ports import monitor, null, pipe, vale
from netmap_spec.abi import api14

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every

WORD = 1 << 32

# --- null ports ---------------------------------------------------------------------------------------------

_LEAST, _WHOLE = "a ring has a slot", "the size of a ring is not cut"


def size_body(p: Proof, ring_size: Callable[..., Step[int]]) -> None:
    slots, objsize = p.u32("slots"), p.u32("objsize")
    step = p.run(ring_size, slots, objsize, p.switches)
    size = api14.netmap_ring.SIZE + slots * api14.netmap_slot.SIZE
    if slots == 0:
        p.goal(_LEAST, step.outcome.detail == "EINVAL")
        p.goal("a ring without slots has a size all the same", step.state == size)
        made = null.SLOTLESS in step.fired
        p.goal("the rule says whether it is made", made == (null.SIZES_UNCHECKED in p.switches))
        return
    p.goal("a ring with slots is one", step.outcome.ok)
    p.goal(_WHOLE, step.state == size)
    cut = (size >= WORD) & (size % WORD <= objsize)
    unchecked = null.SIZES_UNCHECKED in p.switches
    p.goal(
        "as written it is cut where that makes it fit",
        step.state == (size % WORD if unchecked and cut else size),
    )
    p.goal("the rule says so", (null.OVERRUN in step.fired) == (cut if unchecked else False))


_size = partial(
    obligation,
    clauses=("14.null.sizes",),
    functions=(null.ring_size,),
    control=Control(
        "a ring has one slot more",
        lambda slots, objsize, switches: null.ring_size(slots + 1, objsize, switches),
        goal="as written it is cut where that makes it fit",
    ),
    assumptions="Any number of slots, ring objects of any size.",
)
_size(
    "14.null.ring-size",
    statement="A null port's ring of no slots is refused, any other is as large as its slots.",
    rules=(null.NO_SLOTS,),
)(size_body)
_size(
    "14.null.ring-size.as-written",
    statement="As 14.null.ring-size, but nothing compares the number of slots with anything.",
    switches={null.SIZES_UNCHECKED},
    rules=(null.SLOTLESS, null.OVERRUN),
    finding="F14-030",
    refutes={_LEAST, _WHOLE},
)(size_body)

# --- rings that cannot be had ----------------------------------------------------------------------

_RETURNS = "a call on an interface that is down does not wait"


def tryget_body(p: Proof, tryget: Callable[..., Step[str]]) -> None:
    cases = Cases(p, "rings")
    for busy, interface in every(p, "rings", (False, True), ("", stop.DOWN, stop.GONE)):
        cases.case(busy=busy, interface=interface)
        step = tryget(stop.Wanted(busy, interface), p.switches)
        p.reached(step.fired)
        cases.goal(_RETURNS, step.state != stop.LOCKED)
        if interface != stop.DOWN:
            wanted = stop.STOPPED if interface else stop.BUSY if busy else ""
            cases.goal("that the port is gone comes first, then who has the ring", step.state == wanted)
            cases.goal("the rule says so", step.fired == ((stop.IS_GONE,) if interface else ()))
        else:
            cases.goal("of one that is down it is not had", step.state in (stop.STOPPED, stop.LOCKED))
            cases.goal("the rule says so", step.fired == (
                (stop.WAITS if step.state == stop.LOCKED else stop.IS_DOWN),))  # fmt: skip
    cases.end()


_tryget = partial(
    obligation,
    clauses=("14.sync.stopped", "14.nic.gone", "14.sync.busy"),
    functions=(stop.nm_kr_tryget,),
    control=Control(
        "a busy ring is given to a second call",
        lambda wanted, switches: stop.nm_kr_tryget(replace(wanted, busy=False), switches),
    ),
    bounds="Every state of an interface, rings that are busy and not.",
)
_tryget(
    "14.sync.tryget",
    statement="""A ring is had by one call at a time; of an interface that is down or gone it is not had, and
    nobody waits for that.""",
    rules=(stop.IS_GONE, stop.IS_DOWN),
)(tryget_body)
_tryget(
    "14.sync.tryget.as-written",
    statement="As 14.sync.tryget, but a ring whose interface is down is locked, and callers wait.",
    switches={stop.DOWN_LOCKS},
    rules=(stop.IS_GONE, stop.WAITS),
    finding="F14-031",
    refutes={_RETURNS},
)(tryget_body)

# --- monitors --------------------------------------------------------------------------------------

_INSIDE = "no byte behind the watched buffer is read"


def copy_body(p: Proof, copy_length: Callable[..., Step[int]]) -> None:
    length, source, target = p.u16("len"), p.integer("source", 0), p.integer("target", 0)
    step = p.run(copy_length, length, source, target, p.switches)
    p.goal(_INSIDE, step.state <= source)
    p.goal("nor written behind the monitor's", step.state <= target)
    p.goal("what fits is copied whole", (length > source) | (length > target) | (step.state == length))
    p.goal("no more than there is", step.state <= length, step.state >= 0)
    least = p.pick(source < target, source, target)
    short = p.pick(length < target, length, target)
    past = (short > source) & (monitor.READS_ON in p.switches)
    p.goal("as much as both hold, or as written the monitor's", step.state == p.pick(
        past, short, p.pick(length > least, least, length)))  # fmt: skip
    p.goal("the rules say so", (monitor.CUT in step.fired) == ((length > least) & (past ^ True)))


_copy = partial(
    obligation,
    clauses=("14.monitor.copy-length",),
    functions=(monitor.copy_length,),
    control=Control(
        "the monitor's buffer is not looked at",
        lambda length, source, target, switches: monitor.copy_length(length, source, source, switches),
        goal="nor written behind the monitor's",
    ),
    assumptions="len any u16, buffers of any sizes from where the packet begins.",
)
_copy(
    "14.monitor.copy-length",
    statement="A copy monitor gets what both buffers hold of a packet, and no byte behind either.",
    rules=(monitor.CUT,),
)(copy_body)
_copy(
    "14.monitor.copy-length.as-written",
    statement="As 14.monitor.copy-length, but the watched buffer is not looked at.",
    switches={monitor.READS_ON},
    rules=(monitor.CUT, monitor.READ_ON),
    finding="F14-104",
    refutes={_INSIDE},
)(copy_body)

_NEW = "the first copy monitor is shown nothing from before it came"


def unseen_body(p: Proof, first_unseen: Callable[..., Step[int]]) -> None:
    seen, tail = p.integer("seen", 0), p.integer("hwtail", 0)
    copies, taken = p.truth("others copy"), p.truth("others take")
    step = p.run(first_unseen, seen, tail, copies, taken, p.switches)
    if copies:
        p.goal("beside others it goes on where they are", step.state == seen)
        return
    p.goal(_NEW, step.state == tail)
    stale = monitor.STALE_START in p.switches and taken
    p.goal("as written a look begins where some monitor's did", step.state == (seen if stale else tail))
    p.goal("the rule says so", (monitor.STALE in step.fired) == (stale and seen != tail))


_unseen = partial(
    obligation,
    clauses=("14.monitor.copy-rx",),
    functions=(monitor.first_unseen,),
    control=Control(
        "a second copy monitor begins anew",
        lambda seen, tail, copies, taken, switches: monitor.first_unseen(seen, tail, False, taken, switches),
        goal="beside others it goes on where they are",
    ),
    assumptions="Any positions, any other monitors.",
)
_unseen(
    "14.monitor.first-look",
    statement="A copy monitor's first look at a receive ring begins behind what was reported before it came.",
    rules=(),
)(unseen_body)
_unseen(
    "14.monitor.first-look.as-written",
    statement="As 14.monitor.first-look, but the note of the first monitor of any kind is kept.",
    switches={monitor.STALE_START},
    rules=(monitor.STALE,),
    finding="F14-105",
    refutes={_NEW},
)(unseen_body)

# --- pipes -----------------------------------------------------------------------------------------

_WHERE = "a packet is shown where it begins"
_BITS = (0, 8, 64)


def offset_body(p: Proof, receivers_offset: Callable[..., Step[int]]) -> None:
    bits = _BITS[p.split("bits", len(_BITS))]
    maximum, sent, found = p.integer("max", 0), p.u64("sent"), p.u64("found")
    p.assume(maximum < 1 << bits)
    agreed = Offset(bits, maximum)
    step = p.run(receivers_offset, agreed, sent, found, p.switches)
    before, begins = offsets.get_offset(agreed, found), offsets.get_offset(agreed, sent)
    p.goal(_WHERE, step.state == sent)
    raised = pipe.RAISES_OFFSET in p.switches and begins < before
    p.goal("as written at the larger of two offsets", offsets.get_offset(agreed, step.state) == (
        before if raised else begins))  # fmt: skip
    p.goal("bits above the mask are the sender's", step.state // (1 << bits) == sent // (1 << bits))
    p.goal("the rule says so", (pipe.RAISED in step.fired) == raised)
    p.bounded(1, "paths")


_offset = partial(
    obligation,
    clauses=("14.offsets.pipe",),
    functions=(pipe.receivers_offset,),
    control=Control(
        "the bits above the mask are the receiver's",
        lambda agreed, sent, found, switches: replace(
            pipe.receivers_offset(agreed, sent, found, switches),
            state=found - found % (1 << agreed.bits) + sent % (1 << agreed.bits),
        ),
        goal="bits above the mask are the sender's",
    ),
    assumptions="Any agreement, ptr of both slots any u64.",
    bounds="Masks of 0, 8 and 64 bits: the code takes remainders by their power of two.",
)
_offset(
    "14.offsets.pipe",
    statement="A pipe hands a packet's offset on: nothing is copied, so it begins where the sender put it.",
    rules=(pipe.OFFSET_KEPT,),
)(offset_body)
_offset(
    "14.offsets.pipe.as-written",
    statement="As 14.offsets.pipe, but the larger of the sender's and the receiver's offset is shown.",
    switches={pipe.RAISES_OFFSET},
    rules=(pipe.OFFSET_KEPT, pipe.RAISED),
    finding="F14-111",
    refutes={_WHERE},
)(offset_body)

# --- switches --------------------------------------------------------------------------------------

_OWN, _HOLE = (
    "a slot without a buffer of its own sends nothing",
    "a packet with a slot that has no bytes is lost",
)


def slot_body(
    p: Proof, check_slot: Callable[..., Step[vale.Fragment]], check_packet: Callable[..., Step[bool]]
) -> None:
    cases = Cases(p, "slots")
    flags = (0, api14.NS_INDIRECT, api14.NS_MOREFRAG)
    for index, length, flag in every(p, "slots", (0, 1, 2, 9, 10, 11, WORD - 1), (0, 60, 64, 65), flags):
        sent = vale.Fragment(index, length, flag)
        cases.case(slot=sent)
        step = check_slot(sent, 10, 64, p.switches)
        p.reached(step.fired)
        got, indirect = step.state, flag == api14.NS_INDIRECT
        if length > 64:
            cases.goal("one that is too long has no bytes", got == replace(sent, len=0, flags=0, bad=True))
            told: tuple[str, ...] = (vale.SLOT_LEN,)
        elif indirect or 2 <= index < 10:
            cases.goal("a good one stays", got == sent)
            told = ()
        else:
            cases.goal(_OWN, got == replace(sent, len=0, flags=0, bad=True))
            junk = vale.JUNK_SENT in p.switches
            stands = got == replace(sent, buf_idx=index if index < 10 else 0)
            cases.goal("as written it stands for the reserved ones", stands or not junk)
            told = (vale.SLOT_JUNK if junk else vale.SLOT_BUFFER,)
        cases.goal("the rule says what was wrong", step.fired == told)
    for bad in every(p, "packets", (False, True), (False, True), (False, True)):
        packet = tuple(vale.Fragment(4, 60, bad=b) for b in bad)
        cases.case(bad=bad)
        whole = check_packet(packet, p.switches)
        p.reached(whole.fired)
        cases.goal(_HOLE, whole.state == (True not in bad))
        passes = vale.HOLES in p.switches and not bad[0]
        cases.goal("as written only the first counts", whole.state == (True not in bad or passes))
        told = () if True not in bad else (vale.SLOT_HOLE if passes else vale.SLOT_DROPPED,)
        cases.goal("the rule says whether it goes on", whole.fired == told)
    cases.end()


_slot = partial(
    obligation,
    clauses=("14.vale.bad-slot",),
    functions=(vale.check_slot, vale.check_packet),
    control=Control(
        "a slot that is too long is cut",
        lambda f, buffers, size, switches: (
            vale.check_slot(f, buffers, size, switches) if f.len <= size else Step(replace(f, len=size))
        ),
        vale.check_packet,
        goal="one that is too long has no bytes",
    ),
    bounds="Indices and lengths at every edge, packets of three slots.",
)
_slot(
    "14.vale.bad-slot",
    statement="""A slot without a buffer of the pool or with more bytes than one sends nothing, and its packet
    is lost.""",
    rules=(vale.SLOT_LEN, vale.SLOT_BUFFER, vale.SLOT_DROPPED),
)(slot_body)
_slot(
    "14.vale.bad-slot.as-written",
    statement="As 14.vale.bad-slot, but an index that is not the pool's stands for a reserved buffer.",
    switches={vale.JUNK_SENT},
    rules=(vale.SLOT_LEN, vale.SLOT_JUNK, vale.SLOT_DROPPED),
    finding="F14-068",
    refutes={_OWN},
)(slot_body)
_slot(
    "14.vale.bad-slot.as-written.holes",
    statement="As 14.vale.bad-slot, but only the first slot of a packet counts.",
    switches={vale.HOLES},
    rules=(vale.SLOT_LEN, vale.SLOT_BUFFER, vale.SLOT_HOLE, vale.SLOT_DROPPED),
    finding="F14-068",
    refutes={_HOLE},
)(slot_body)

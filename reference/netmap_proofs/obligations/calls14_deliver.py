"""Generation 14, switches: what one sender does to one receive ring, and how one slot is read, as stories.

What several senders do to each other is ``vale14_lease.py``; here one call is told as a story, for a sender
that others have leased before or lease behind, and the model must do exactly that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netmap_reference.core.effects import Do, Lock, Protocol, Unlock, Wake, WriteKernel, WriteUser
from netmap_reference.core.step import Step
from netmap_reference.gen14 import lease
from netmap_reference.gen14.ports import vale
from netmap_reference.gen14.ring import Kring
from netmap_spec.abi import api14

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, Done, every, read_as
from ..schemas.alone import Answers, Words

Make = Callable[..., Protocol]
Story = list[tuple[Any, ...]]
TO = "b:rx0"
_LOCK = f"{TO} q_lock"


# --- one receive ring -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """A ring of ``n`` slots, of which ``unread`` from ``hwcur`` on are published and ``before`` are leased by
    others; ``sizes``: the slots of each packet, negative for one that is lost when it is copied; ``behind``:
    others lease a slot while the packets are copied, if there is one; ``waits``: somebody waits for any ring
    of the port."""

    n: int
    hwcur: int
    unread: int
    before: int
    sizes: tuple[int, ...]
    behind: bool
    waits: bool

    @property
    def lease(self) -> lease.Lease:
        """The leases at the beginning; the one that others hold has number 0."""
        tail = (self.hwcur + self.unread) % self.n
        ends = (lease.NOSLOT,) * self.n
        return lease.Lease(tail, (tail + self.before) % self.n, 1 if self.before else 0, ends)

    @property
    def packets(self) -> tuple[vale.Packet, ...]:
        return tuple((vale.Fragment(i, max(size, 0)),) * abs(size) for i, size in enumerate(self.sizes))


def _with_one_more(at: lease.Lease, n: int) -> lease.Lease:
    """Another sender has leased a slot."""
    return replace(at, index=(at.index + 1) % n, hwlease=(at.hwlease + 1) % n)


def story(case: Send, written: bool) -> tuple[Story, int, bool]:
    """What the call must do, how many packets it copies, and whether one found no room. ``written``: no slots
    are a lease as well."""
    n, start = case.n, case.lease
    room = n - 1 - case.unread - case.before
    left = min(sum(abs(size) for size in case.sizes), room)
    own, at, more = start.index, start.hwlease, room > left
    if left == 0 and not written:
        return [("locks",), ("leases", start), ("unlocks",)], 0, bool(case.sizes)
    now = replace(start, hwlease=(at + left) % n, index=(own + 1) % n)
    did: Story = [("locks",), ("leases", now), ("unlocks",)]
    copied, full, came = 0, False, False
    for packet, size in zip(case.packets, case.sizes, strict=True):
        if abs(size) > left:
            full = True
            break
        did.append(("puts", at, packet, left))
        came = case.behind and more
        if size > 0:
            copied, at, left = copied + 1, (at + size) % n, left - size
    now = _with_one_more(now, n) if came else now
    did.append(("locks",))
    if came:
        did += [("empties", (at + i) % n) for i in range(left)]
        at = (at + left) % n
    elif left:
        now = replace(now, hwlease=at)
    withdrawn = left > 0 and not came and at == start.hwlease and not written
    first = case.before == 0
    if withdrawn:
        now = replace(now, index=own)
    elif first:
        now = replace(now, hwtail=at)
    else:
        now = replace(now, ends=tuple(at if i == own else end for i, end in enumerate(now.ends)))
    did += [("leases", now), ("unlocks",)]
    if first and at != start.hwlease:
        did += [("wakes", TO)] + ([("wakes", "port")] if case.waits else [])
    return did, copied, full


def told(done: Done) -> Story:
    """The log of a call, an effect a line."""
    found: Story = []
    for effect in done.log:
        match effect:
            case Lock(name) if name == _LOCK:
                found.append(("locks",))
            case Unlock(name) if name == _LOCK:
                found.append(("unlocks",))
            case WriteKernel((_, "lease"), value):
                found.append(("leases", value))
            case Do("vale-put", (_, _, at, packet, room)):
                found.append(("puts", at, packet, room))
            case Do("vale-empty", (_, i)):
                found.append(("empties", i))
            case Wake(name):
                found.append(("wakes", name))
    return found


def _sends(p: Proof) -> Iterator[Send]:
    sizes = ((), (1,), (-2,), (3,), (1, 1), (-1, 2), (2, -2), (1, -3), (2, 2), (-1, 1, 1))
    rings = [(n, hwcur) for n in (4, 5) for hwcur in range(n)]
    flags = (False, True)
    for (n, hwcur), unread, before, packets, behind, waits in every(
        p, "combinations", rings, (0, 1), (0, 1), sizes, flags, flags
    ):
        yield Send(n, hwcur, unread, before, packets, behind, waits)


def deliver_body(p: Proof, deliver: Make) -> None:
    cases = Cases(p, "calls")
    written = lease.EMPTY_NUMBERED in p.switches
    for case in _sends(p):
        cases.case(case=case)
        tail = case.lease.hwtail
        words: Words = {(TO, "kring"): Kring(case.n, case.hwcur, tail, case.hwcur, case.hwcur, tail)}
        words |= {(TO, "lease"): case.lease, (TO, "si"): "port", (TO, "si_users"): int(case.waits)}
        words[TO, "intercepted"] = False
        came: list[bool] = []

        def put(words: Words, args: tuple[Any, ...], case: Send = case, came: list[bool] = came) -> int:
            now: lease.Lease = words[TO, "lease"]
            if case.behind and not came and (now.hwlease + 1) % case.n != case.hwcur:
                came.append(True)
                words[TO, "lease"] = _with_one_more(now, case.n)
            return len(args[3]) if args[3][0].len else 0

        do: Answers = {
            "vale-needed": lambda words, args: (args[2], sum(len(packet) for packet in args[2])),
            "vale-put": put,
            "vale-empty": lambda words, args: None,
        }
        done = cases.run(deliver, "a:tx0", TO, case.packets, p.switches, memory=words, do=do)
        wanted, copied, full = story(case, written)
        cases.goal("the call does what its story tells, in that order", told(done) == wanted)
        cases.goal("every packet that is copied is told", done.fired.count(vale.COPIED) == copied)
        cases.goal("a packet without room is told", (vale.NO_ROOM in done.fired) == full)
    cases.end()


_RULES = (lease.TAKEN, lease.TAKEN_PART, lease.GIVEN_BACK, lease.EMPTIED, vale.COPIED, vale.NO_ROOM)
_deliver = partial(
    obligation,
    clauses=("14.vale.lease", "14.vale.full", "14.vale.copied", "14.vale.order"),
    functions=(vale.deliver,),
    control=Control(
        "what is left over is not emptied",
        lambda *arguments: without(
            vale.deliver(*arguments), lambda e: isinstance(e, Do) and e.what == "vale-empty"
        ),
    ),
    bounds="""Rings of four and five slots from every position, none or one slot unread, none or one leased by
    others before, up to three packets of up to three slots that are copied or lost, others that lease while
    they are copied or not: a packet is copied the same way whatever came before it.""",
)
_deliver(
    "14.vale.delivery-story",
    statement="""A sender leases what its packets need, or what there is, and copies them in order, each
    behind the one before and only as long as it fits whole; what is left over is given back, or emptied when
    others have leased behind it; what was copied is published, and the receiver woken, when all before it
    is. Without a slot there is no lease, and one that is given back whole is none.""",
    rules=(*_RULES, lease.NONE_TAKEN, lease.WITHDRAWN),
)(deliver_body)
_deliver(
    "14.vale.delivery-extent",
    statement="""As 14.vale.delivery-story, with no slots a lease like any other, noted and published.""",
    switches={lease.EMPTY_NUMBERED},
    rules=(*_RULES, lease.EMPTY_TAKEN, lease.EMPTY_KEPT),
)(deliver_body)


# --- one slot -------------------------------------------------------------------------------------------

TX = "a:tx0"
_SIZE, _JUNK = 100, 9
_CHANGED, _INDIRECT, _MORE = api14.NS_BUF_CHANGED, api14.NS_INDIRECT, api14.NS_MOREFRAG


def _check(words: Words, args: tuple[Any, ...]) -> Step[vale.Fragment]:
    """A length beyond the buffer is bad; one index stands for another."""
    f = args[1]
    if f.len > _SIZE:
        return Step(replace(f, len=0, flags=0, bad=True), (vale.SLOT_LEN,))
    return Step(replace(f, buf_idx=0) if f.buf_idx == _JUNK else f)


def slot_body(p: Proof, read_slot: Make) -> None:
    twice = vale.READS_TWICE in p.switches
    cases = Cases(p, "slots")
    flags = (0, _CHANGED, _INDIRECT, _MORE | _CHANGED, api14.NS_REPORT)
    lengths = (60, _SIZE + 1)
    for first, second, f1, f2, f3, buf_idx in every(
        p, "combinations", lengths, lengths, flags, flags, flags, (5, _JUNK)
    ):
        cases.case(lengths=(first, second), flags=(f1, f2, f3), buf_idx=buf_idx)
        values = {"len": (first, second), "flags": (f1, f2, f3), "buf_idx": (buf_idx,), "ptr": (7,)}
        script = {(TX, "slot", 3, word): found for word, found in values.items()}
        words: Words = dict.fromkeys(script, 0)

        def make(*arguments: Any, script: Any = script) -> Protocol:
            return read_as(read_slot(*arguments), script)

        done = cases.run(make, TX, 3, p.switches, memory=words, do={"vale-check": _check})
        asked = vale.Fragment(buf_idx, second if twice else first, f2 if twice else f1, 7)
        more = f3 if twice else f1
        checked = done.done("vale-check")
        cases.goal("the slot is checked as it was read last", checked == [(TX, asked)])
        cases.goal("whether more follow is what was read last", done.result[1] == (more // _MORE % 2 == 1))
        if asked.len > _SIZE:
            wanted = replace(asked, len=0, flags=0, bad=True)
        else:
            mixed = asked.flags // _INDIRECT % 2 != f1 // _INDIRECT % 2
            kept = 0 if buf_idx == _JUNK else buf_idx
            wanted = replace(asked, buf_idx=kept, len=first, flags=f1, mixed=mixed)
        cases.goal("a good one is sent as it was read first", done.result[0] == wanted)
        told_bad = (vale.SLOT_LEN in done.fired) == (asked.len > _SIZE)
        cases.goal("what the check says is told", told_bad)
        stores = [e.value for e in done.of(WriteUser) if e.where == (TX, "slot", 3, "flags")]
        cases.goal(
            "NS_BUF_CHANGED is cleared where it is set, and no other flag",
            stores == ([f1 - _CHANGED] if f1 // _CHANGED % 2 else []),
            len(done.of(WriteUser)) == len(stores),
        )
        used = {(f // _INDIRECT % 2, f // _MORE % 2) for f in (f1, asked.flags, more)}
        other = asked.len != first or len(used) > 1
        cases.goal("that a word was another the next time is told", (vale.READ_AGAIN in done.fired) == other)
        often = [done.reads(TX, "slot", 3, word) for word in values]
        cases.goal("each word is read so many times", often == ([2, 3, 1, 1] if twice else [1, 1, 1, 1]))
    cases.end()


_slot = partial(
    obligation,
    clauses=("14.vale.read-once",),
    functions=(vale.read_slot,),
    control=Control(
        "NS_BUF_CHANGED is left in the slot",
        lambda *arguments: without(vale.read_slot(*arguments), lambda e: isinstance(e, WriteUser)),
    ),
    bounds="""A length that fits and one that does not, flags with and without each that is looked at and one
    that is not, a buffer that stays and one that is replaced; each word another one at each read.""",
)
_slot(
    "14.vale.slot-call",
    statement="""Reading a slot of a sender, the kernel takes each word once, checks exactly these, clears
    NS_BUF_CHANGED and no other flag, and says of a good one what it read.""",
    rules=(vale.SLOT_LEN,),
)(slot_body)
_slot(
    "14.vale.slot-extent",
    statement="""How far the deviation goes: what is checked, and whether more fragments follow, comes from
    the later reads; length and flags of what is sent from the first one, also where they disagree on whose
    memory the bytes are in.""",
    switches={vale.READS_TWICE},
    rules=(vale.SLOT_LEN, vale.READ_AGAIN),
)(slot_body)

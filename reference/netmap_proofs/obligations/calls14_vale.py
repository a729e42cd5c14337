"""Generation 14, switches: a txsync as a whole, from the slots handed over to what each receiver has.

The call is run with every answer a switch can give; what must come of it is told from the packets alone, for
each receive ring by itself: what others have or lack room for is no part of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from netmap_reference.core.effects import Do, Lock, Protocol, Unlock, Wake, WriteKernel, WriteUser
from netmap_reference.gen14 import lease, ring
from netmap_reference.gen14.ports import vale
from netmap_reference.gen14.switch import BROADCAST, NOPORT
from netmap_spec.abi import api14

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, Done, every

Make = Callable[..., Protocol]
Kring = ring.Kring
TX = "a:tx0"
#: Slots of the sender's ring and of each receiver's, buffers of a pool and their bytes.
_N, M, _POOL, _SIZE = 6, 4, 100, 64
#: The ports beside the sender's, one receive ring each.
_PORTS = ((0, 1), (1, 1), (2, 1))
TO = {1: "b:rx0", 2: "c:rx0"}
CLOSED, OUTSIDE = -1, -2
NOSLOT = lease.NOSLOT


@dataclass(frozen=True, slots=True)
class Sent:
    """What is handed over: the packets' numbers of slots, whether the last one lacks its end, the slot that
    is bad (-1: none), where each packet goes, and the switch's answers: slots of a batch, and for each
    receiver how many slots of its ring are unread (or that the ring is closed, or an interface's)."""

    packets: tuple[int, ...]
    cut: bool
    bad: int
    targets: tuple[int, ...]
    batch: int
    unread: tuple[int, int]


def _packets(case: Sent, at: int) -> Iterator[list[int]]:
    """The slots of each packet."""
    for slots in case.packets:
        yield [(at + i) % _N for i in range(slots)]
        at += slots


def _due(case: Sent, start: int, port: int) -> list[list[list[int]]]:
    """Batch by batch, the packets that a receiver with room for everything gets: each its slots."""
    batches: list[list[list[int]]] = [[]]
    taken = 0
    for number, slots in enumerate(_packets(case, start)):
        first = sum(case.packets[:number])
        taken += len(slots)
        if case.targets[number] in (port, BROADCAST) and not first <= case.bad < first + len(slots):
            batches[-1].append(slots)
        if taken >= case.batch:
            batches.append([])
            taken = 0
    return batches


def _full(case: Sent) -> int:
    """How many packets that have their end fill a batch."""
    found = taken = 0
    for slots in case.packets[: len(case.packets) - case.cut]:
        taken += slots
        if taken >= case.batch:
            found, taken = found + 1, 0
    return found


def _cases(p: Proof) -> Iterator[tuple[int, Sent]]:
    """Every combination of packets, targets and room; then batches, bad slots and ends that lack."""
    aims = (1, 2, BROADCAST, NOPORT)
    shapes: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (1, 1), (2, 1), (1, 2), (1, 1, 1))
    rooms = (0, 1, M - 1, CLOSED, OUTSIDE)
    for packets in shapes:
        for *targets, b, c in every(p, "packets, targets and room", *[aims] * len(packets), rooms, rooms):
            yield 4, Sent(packets, False, -1, tuple(targets), 1024, (b, c))
    ends, bads, batches = (False, True), (-1, 0, 1), (1024, 3, 2, 1, 0, -1)
    some = ((1, BROADCAST, 2), (BROADCAST, 1, 1))
    for packets, cut, bad, batch, targets, unread in every(
        p, "batches and bad slots", shapes, ends, bads, batches, some, ((1, 0), (2, 1))
    ):
        yield 0, Sent(packets, cut, bad, targets[: len(packets)], batch, unread)


def _memory(start: int, case: Sent) -> dict[tuple[Any, ...], Any]:
    head = (start + sum(case.packets)) % _N
    words: dict[tuple[Any, ...], Any] = {(TX, "kring"): Kring(_N, start, (start - 1) % _N, head, head, head)}
    number = 0
    for slots in _packets(case, start):
        for i, at in enumerate(slots):
            more = i + 1 < len(slots) or (case.cut and number + 1 == sum(case.packets))
            words[TX, "slot", at, "len"] = _SIZE + 1 if number == case.bad else 60
            words[TX, "slot", at, "flags"] = (api14.NS_MOREFRAG if more else 0) + api14.NS_BUF_CHANGED
            words[TX, "slot", at, "buf_idx"], words[TX, "slot", at, "ptr"] = 10 + at, 0
            number += 1
    for (_, to), unread in zip(TO.items(), case.unread, strict=True):
        behind = 2 % M
        hwcur = (behind - max(unread, 0)) % M
        words[to, "kring"] = Kring(M, hwcur, behind, hwcur, hwcur, behind)
        words[to, "lease"] = lease.Lease(behind, behind, 1, (NOSLOT,) * M)
        words |= {(to, "si"): to[:1], (to, "si_users"): 0, (to, "intercepted"): False}
    return words


def answers(start: int, case: Sent) -> dict[str, Any]:
    first = {10 + slots[0]: t for slots, t in zip(_packets(case, start), case.targets, strict=True)}
    kinds = dict(zip(TO, case.unread, strict=True))

    def opened(words: Any, args: tuple[Any, ...]) -> str:
        return "" if kinds[args[1]] == CLOSED else TO[args[1]]

    return {
        "vale-batch": lambda words, args: case.batch,
        "vale-check": lambda words, args: vale.check_slot(args[1], _POOL, _SIZE, frozenset()),
        "vale-route": lambda words, args: first[args[1][0].buf_idx],
        "vale-queues": lambda words, args: vale.queues(args[1], 0, 0, _PORTS, frozenset()),
        "vale-ring": opened,
        "vale-outside": lambda words, args: case.unread[[*TO.values()].index(args[0])] == OUTSIDE,
        "vale-transmit": lambda words, args: None,
        "vale-needed": lambda words, args: (args[2], sum(len(packet) for packet in args[2])),
        "vale-put": lambda words, args: len(args[3]),
        "vale-empty": lambda words, args: None,
    }


def _judge_receiver(cases: Cases, case: Sent, start: int, port: int, done: Done) -> None:
    """What became of a receiver's copies: told from the packets and from its own ring alone."""
    to, unread = TO[port], case.unread[port - 1]
    due = _due(case, start, port) if case.batch > 0 else []
    puts = [(args[2], [f.buf_idx - 10 for f in args[3]]) for args in done.done("vale-put") if args[1] == to]
    if unread == OUTSIDE:
        out = [[[f.buf_idx - 10 for f in packet] for packet in args[2]]
               for args in done.done("vale-transmit") if args[1] == to]  # fmt: skip
        cases.goal("an interface is handed what is for it, whole and in order", out == [b for b in due if b])
    if unread < 0:
        cases.goal("nothing is stored in a ring that is closed or an interface's", puts == [])
        return
    wanted, at, room, published = [], 2, M - 1 - unread, 2
    for batch in due:
        left = min(room, sum(len(slots) for slots in batch))
        for slots in batch:
            if len(slots) > left:
                break
            wanted.append((at % M, slots))
            at, left, room = at + len(slots), left - len(slots), room - len(slots)
    published = at % M
    cases.goal(
        "each receiver gets what is for it, once, in order and whole, as far as its own ring has room",
        puts == wanted,
    )
    after = done.memory[to, "lease"]
    cases.goal("it is shown exactly that", after.hwtail == published, after.hwlease == published)
    stores = [
        i for i, e in enumerate(done.log) if isinstance(e, Do) and e.what == "vale-put" and e.args[1] == to
    ]
    wakes = [i for i, e in enumerate(done.log) if e == Wake(to)]
    cases.goal("who waits for it is woken when there is something, behind it", bool(wakes) == bool(wanted))
    cases.goal(
        "who waits for it is woken when there is something, behind it", not wanted or stores[-1] < wakes[-1]
    )


_TAKEN = "every slot up to head is taken, and all but one are free again"
_ONCE = "each word of a slot is read once, and NS_BUF_CHANGED is cleared"


def txsync_body(p: Proof, txsync: Make) -> None:
    cases = Cases(p, "calls")
    for start, case in _cases(p):
        cases.case(case=case)
        memory = _memory(start, case)
        done = cases.run(txsync, TX, p.switches, memory=memory, do=answers(start, case))
        head = (start + sum(case.packets)) % _N
        got = done.memory[TX, "kring"]
        cases.goal(_TAKEN, got.hwcur == head, got.hwtail == (head - 1) % _N, done.result == "")
        forwards, slots = case.batch > 0, sum(case.packets)
        times = [done.reads(TX, "slot", (start + i) % _N, word)
                 for i in range(slots) for word in ("len", "flags", "buf_idx", "ptr")]  # fmt: skip
        cases.goal(_ONCE, set(times) <= {1 if forwards else 0})
        cleared = [e.where[2] for e in done.of(WriteUser) if not e.value & api14.NS_BUF_CHANGED]
        cases.goal(_ONCE, cleared == ([(start + i) % _N for i in range(slots)] if forwards else []))
        for port in TO:
            _judge_receiver(cases, case, start, port, done)
        held = [e.name for e in done.of(Lock)]
        cases.goal(
            "a ring's lock is held while slots are leased and while they are published, never between",
            [e.name for e in done.of(Lock, Unlock)] == [name for name in held for _ in "lu"],
        )
        _told(cases, case, start, done)
    cases.end()


def _told(cases: Cases, case: Sent, start: int, done: Done) -> None:
    """The rules that say what became of the sender's slots."""
    some = case.packets != ()
    whole = len(case.packets) - case.cut if some else 0
    fired = [done.fired.count(r) for r in (vale.TAKEN, vale.NOTHING_NEW, vale.UNATTACHED, vale.NO_BATCH)]
    cases.goal(
        "the rules say what was taken, and why nothing is forwarded",
        fired == [some, not some, some and case.batch < 0, some and case.batch == 0],
    )
    forwards = some and case.batch > 0
    full = _full(case) if forwards else 0
    cases.goal("the rules say how often a batch was full", done.fired.count(vale.BATCH_FULL) == full)
    told = (done.fired.count(vale.WHOLE), vale.TRUNCATED in done.fired)
    cases.goal("the rules say what each packet was", told == ((whole, case.cut) if forwards else (0, False)))
    closed = sum(1 for port, unread in zip(TO, case.unread, strict=True) if unread == CLOSED
                 for batch in (_due(case, start, port) if forwards else []) if batch)  # fmt: skip
    cases.goal("the rules say what a closed ring lost", done.fired.count(vale.CLOSED) == closed)


def _stops_at_a_full_ring(name: str, switches: frozenset[str]) -> Protocol:
    """Once a receiver had no room, the others get nothing either."""
    protocol, answer, full = vale.txsync(name, switches), None, False
    try:
        while True:
            effect = protocol.send(answer)
            if full and isinstance(effect, Do) and effect.what == "vale-ring":
                answer = ""
                continue
            answer = yield effect
            if isinstance(effect, WriteKernel) and effect.where[1] == "lease":
                full = full or effect.value.hwlease == (answer or effect.value).hwtail
    except StopIteration as end:
        return end.value


_EACH = "each receiver gets what is for it, once, in order and whole, as far as its own ring has room"
obligation(
    "14.vale.txsync-call",
    clauses=(
        *("14.vale.txsync", "14.vale.full", "14.vale.order", "14.vale.fragments", "14.vale.closed-ring"),
        *("14.vale.batch", "14.vale.incomplete", "14.vale.unattached", "14.vale.bad-slot", "14.switch.once"),
    ),
    statement="""A txsync of a switch's port takes every slot that was handed over and gives each receiver the
    packets for it and the flooded ones, once, in order and whole, as far as that receiver's own ring has
    room: a ring that is full, closed or an interface's takes nothing from the others. Words of slots are read
    once.""",
    functions=(vale.txsync,),
    control=Control("a ring without room ends the delivery for all", _stops_at_a_full_ring, goal=_EACH),
    bounds="""Up to three packets of one or two slots on a ring of six that wraps, each for either of two
    ports, both or none, whose rings of four slots have room for three, two or none, are closed, or an
    interface's; batches of one slot, two and all, none and no switch; a bad slot at two places, an end that
    lacks. Packets and rings are treated alike, one after the other (14.switch.forwarding,
    14.vale.lease-order).""",
    rules=(
        *(vale.TAKEN, vale.NOTHING_NEW, vale.UNATTACHED, vale.NO_BATCH, vale.BATCH_FULL, vale.WHOLE),
        *(vale.TRUNCATED, vale.COPIED, vale.NO_ROOM, vale.CLOSED, vale.SLOT_LEN, vale.SLOT_DROPPED),
    ),
)(txsync_body)


# --- what was released ------------------------------------------------------------------------------------


def rxsync_body(p: Proof, rxsync: Make) -> None:
    cases = Cases(p, "calls")
    to, marks = TO[1], (0, api14.NS_BUF_CHANGED, api14.NS_BUF_CHANGED + api14.NS_MOREFRAG)
    for hwcur, count, tail, *flags in every(p, "rings", range(M), range(M), range(M), *[marks] * 3):
        head = (hwcur + count) % M
        cases.case(hwcur=hwcur, released=count, tail=tail, flags=flags)
        memory: dict[tuple[Any, ...], Any] = {(to, "kring"): Kring(M, hwcur, tail, head, head, tail)}
        memory |= {(to, "slot", (hwcur + i) % M, "flags"): flag for i, flag in enumerate(flags)}
        done = cases.run(rxsync, to, memory=memory, do={})
        cases.goal(
            "what was released is taken back, and nothing else moves",
            done.memory[to, "kring"] == Kring(M, head, tail, head, head, tail),
        )
        for i, flag in enumerate(flags):
            left = flag % api14.NS_BUF_CHANGED + flag // 2 * 2 if i < count else flag
            cases.goal(
                "NS_BUF_CHANGED is cleared in released slots alone",
                done.memory[to, "slot", (hwcur + i) % M, "flags"] == left,
            )
            reads = done.reads(to, "slot", (hwcur + i) % M, "flags")
            cases.goal("each word of a slot is read once", reads == (1 if i < count else 0))
        name = vale.lock_of(to)
        cases.goal(
            "under the ring's lock, from first to last",
            done.log[0] == Lock(name),
            done.log[-1] == Unlock(name),
        )
        wanted = vale.RELEASED if count else vale.NOT_RELEASED
        cases.goal("the rule says whether there was anything", done.fired == (wanted,))
    cases.end()


def _leaves_marks(name: str) -> Protocol:
    return without(vale.rxsync(name), lambda e: isinstance(e, WriteUser))


obligation(
    "14.vale.rxsync-call",
    clauses=("14.vale.rxsync",),
    statement="""An rxsync of a switch's port takes the released slots back, clears NS_BUF_CHANGED in them and
    in no other, and moves nothing else, all under the lock that senders take.""",
    functions=(vale.rxsync,),
    control=Control("the mark stays", _leaves_marks),
    bounds="""A ring of four slots with every position, and flags of all kinds: the walk does the same at each
    slot.""",
    rules=(vale.RELEASED, vale.NOT_RELEASED),
)(rxsync_body)

"""Generation 14, switches: several senders to one ring, and what a sender's other thread may do meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from netmap_reference.core.effects import Do, Lock, Protocol, ReadKernel, SelRecord, Sleep, Unlock
from netmap_reference.core.step import Step
from netmap_reference.gen14 import lease
from netmap_reference.gen14.lease import Lease
from netmap_reference.gen14.ports import vale
from netmap_reference.gen14.ring import Kring
from netmap_spec.abi import api14

from ..engine import Proof
from ..explorer import Scenario, explored, one_value
from ..explorer.scenario import Memory
from ..obligation import Control, obligation
from ..worlds14 import WAKEUPS

Make = Callable[..., Protocol]
TO = "b:rx0"
#: A packet is a chain of fragments; which one it is tells its first fragment's buffer.
_Packet = tuple[vale.Fragment, ...]


def packet(name: int, slots: int, fits: bool = True) -> _Packet:
    """A packet of so many slots; one that does not fit is lost when it is copied, as a bad large one is."""
    return (vale.Fragment(name, 60 if fits else 0),) * slots


def _needed(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
    packets = args[2]
    yield (packets, sum(len(p) for p in packets)), at


def _put(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
    _, _, start, copied, _ = args
    if copied[0].len == 0:
        yield 0, at
        return
    n = at[TO, "kring"].n
    changes: list[tuple[tuple[Any, ...], Any]] = []
    for i in range(len(copied)):
        where = ("slot", (start + i) % n)
        if at[where] is not None:
            changes.append((("overwritten",), True))
        changes.append((where, (copied[0].buf_idx, i)))
    yield len(copied), at.set(*changes)


def _empty(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
    yield None, at.set((("slot", args[1]), "empty"))


def _outside(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
    yield False, at


def receiver() -> Protocol:
    """A program that waits for packets: it is recorded, looks, and sleeps while there are none."""
    while True:
        yield SelRecord(TO)
        state: Lease = yield ReadKernel((TO, "lease"))
        if state.hwtail:
            return state.hwtail
        yield Sleep()


_WHOLE = "no slot is shown before it is filled"
_ALL = "in the end everything that was leased is shown"
_OWN = "no sender stores into another's slots"
_ORDER = "the packets of one sender are shown in order, and whole"


def _published(at: Memory) -> list[Any]:
    return [at["slot", i] for i in range(at[TO, "lease"].hwtail)]


def _in_order(at: Memory, _: Any) -> bool:
    shown = [s for s in _published(at) if s != "empty"]
    for sender in (10, 20, 30):
        mine = [s for s in shown if s is not None and s[0] // 10 * 10 == sender]
        if mine != sorted(mine):
            return False
    for i, slot in enumerate(shown):
        # A fragment that is not a packet's first comes right behind the one before it.
        if slot is not None and slot[1] and shown[i - 1] != (slot[0], slot[1] - 1):
            return False
    return True


def _batches(
    deliver: Make, sender: str, batches: tuple[tuple[_Packet, ...], ...], switches: frozenset[str]
) -> Protocol:
    """A program that sends batch after batch."""
    for packets in batches:
        yield from deliver(sender, TO, packets, switches)


#: A case in which each packet is a batch of its own.
_HELD_UP = "one is held up, the other sends twice"


def lease_body(p: Proof, deliver: Make) -> None:
    sends: dict[str, tuple[int, dict[str, Any]]] = {
        "two senders": (6, {"a": ((10, 1), (11, 1)), "b": ((20, 2),)}),
        "three senders, one packet is lost": (6, {"a": ((10, 1),), "b": ((20, 2, False),), "c": ((30, 1),)}),
        "more than there is": (3, {"a": ((10, 1),), "b": ((20, 1), (21, 2))}),
        "more senders than slots": (2, {"a": ((10, 1),), "b": ((20, 1),), "c": ((30, 1),)}),
        _HELD_UP: (3, {"a": ((10, 1),), "b": ((20, 1), (21, 1))}),
        "as many senders as slots, two packets are lost": (
            3,
            {"a": ((10, 1),), "b": ((20, 1, False),), "c": ((30, 1, False),)},
        ),
    }
    for label, (n, senders) in sends.items():
        # A receiver meets one publication after the other: two senders are all it needs.
        threads: dict[str, Any] = {"receiver": receiver} if len(senders) == 2 else {}
        for name, packets in senders.items():
            chains = tuple(packet(*each) for each in packets)
            batches = tuple((chain,) for chain in chains) if label == _HELD_UP else (chains,)
            threads[name] = partial(_batches, deliver, f"{name}:tx0", batches, p.switches)
        scenario = Scenario(
            threads,
            memory={
                (TO, "kring"): Kring(n, 0, 0, 0, 0, 0),
                (TO, "lease"): lease.fresh(n),
                ("overwritten",): False,
                **{("slot", i): None for i in range(n)},
            },
            constants={(TO, "si"): "b:rx", (TO, "si_users"): 0, (TO, "intercepted"): False},
            do={"vale-needed": _needed, "vale-put": _put, "vale-empty": _empty, "vale-outside": _outside},
            waits={"receiver": lambda at: bool(at[TO, "lease"].hwtail)} if "receiver" in threads else {},
            always={
                _WHOLE: lambda at: None not in _published(at),
                _OWN: lambda at: not at[("overwritten",)],
            },
            finally_={
                _ALL: lambda at, _: at[TO, "lease"].hwtail == at[TO, "lease"].hwlease,
                _ORDER: _in_order,
            },
        )
        explored(p, scenario, label=label)


def _unlocked(sender: str, to: str, packets: Any, switches: frozenset[str]) -> Protocol:
    """Leases are taken and given back without the ring's lock."""
    protocol, answer = vale.deliver(sender, to, packets, switches), None
    try:
        while True:
            effect = protocol.send(answer)
            answer = None if isinstance(effect, (Lock, Unlock)) else (yield effect)
    except StopIteration as end:
        return end.value


_RULES = (
    *(lease.TAKEN, lease.TAKEN_PART, lease.PUBLISHED, lease.PUBLISHED_MORE, lease.NOT_YET),
    *(lease.GIVEN_BACK, lease.EMPTIED, vale.COPIED, vale.NO_ROOM),
)
_protocol = partial(
    obligation,
    functions=(vale.deliver,),
    control=Control("the ring's lock is not taken", _unlocked, goal=_OWN),
    assumptions=WAKEUPS,
    bounds="""Two or three senders of up to two packets on rings of two to six slots, a packet that is dropped
    when it is copied, more packets than slots, more senders than slots. Between its two locked parts a sender
    only fills slots of its own, so a fourth one meets nothing new.""",
)
_protocol(
    "14.vale.lease-protocol",
    clauses=("14.vale.lease", "14.vale.full", "14.vale.fragments", "14.poll.wakeup"),
    statement="""However senders to one receive ring meet: each fills slots of its own, the receiver is shown
    none that is not filled, in the end everything is shown, packets whole and in order, no publication is
    lost, and a receiver that waits is woken.""",
    rules=(*_RULES, lease.NONE_TAKEN, lease.WITHDRAWN),
)(lease_body)

_protocol(
    "14.vale.lease-protocol.as-written",
    clauses=("14.vale.lease",),
    statement="""As 14.vale.lease-protocol, but who gets no slot takes a lease as well: when there are as many
    leases as slots, the first of them publishes its own slots and those behind it are never shown.""",
    switches={lease.EMPTY_NUMBERED},
    rules=(*_RULES, lease.EMPTY_TAKEN, lease.EMPTY_KEPT),
    finding="F14-074",
    refutes={_ALL},
)(lease_body)


# --- what is read from slots ----------------------------------------------------------------------

TX = "a:tx0"
_BUFFERS, _SIZE = 10, 100
_ONE = "what is sent can be explained by one value of each word"
_FITS = "no fragment is longer than a buffer"


def _check(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
    yield vale.check_slot(args[1], _BUFFERS, _SIZE, frozenset()), at


def fetch_body(p: Proof, read_slot: Make) -> None:
    words: dict[tuple[Any, ...], tuple[int, ...]] = {
        (TX, "slot", 0, "len"): (60, _SIZE + 1),
        (TX, "slot", 0, "flags"): (0, api14.NS_INDIRECT, api14.NS_MOREFRAG),
        (TX, "slot", 0, "buf_idx"): (5, _BUFFERS),
        (TX, "slot", 0, "ptr"): (7,),
    }

    def seen_by(at: Memory, result: tuple[vale.Fragment, bool]) -> Any:
        return result

    seen = one_value(
        p,
        _ONE,
        partial(read_slot, TX, 0, p.switches),
        words,
        seen_by,
        Scenario({}, do={"vale-check": _check}),
    )
    everything = (*seen.outcomes, *seen.torn)
    long = next((o for o in everything if o[0].len > _SIZE), None)
    schedule = seen.torn[long].to_json() if long in seen.torn else {"lines": [str(long)]}
    p.evidence(_FITS, long is None, schedule)
    p.goal("a slot that has nothing says so", all(not f.bad or f.len == 0 for f, _ in everything))


def _unchecked(name: str, i: int, switches: frozenset[str]) -> Protocol:
    """A bad slot is not marked."""
    protocol, answer = vale.read_slot(name, i, switches), None
    try:
        while True:
            effect = protocol.send(answer)
            answer = yield effect
            if isinstance(effect, Do) and effect.what == "vale-check":
                answer = Step(effect.args[1].__class__(0, 9, bad=True))
    except StopIteration as end:
        return end.value


_fetch = partial(
    obligation,
    clauses=("14.vale.read-once", "14.vale.bad-slot"),
    functions=(vale.read_slot,),
    assumptions="Another thread of the program may change any word of the slot between any two reads.",
    bounds="One slot; a good length and one that is too long, a buffer and none, three values of the flags.",
    control=Control("what was found bad is sent", _unchecked, goal="a slot that has nothing says so"),
)
_fetch(
    "14.vale.read-once",
    statement="""Sending a slot, the kernel reads each of its words once: what is sent, and how long it is, is
    what was checked.""",
    rules=(),
)(fetch_body)
_fetch(
    "14.vale.read-once.as-written",
    statement="""As 14.vale.read-once, but length and flags are read again: a length that was not checked is
    used, and an address of the program passes for one of the kernel.""",
    switches={vale.READS_TWICE},
    finding="F14-062",
    refutes={_ONE, _FITS},
    rules=(vale.READ_AGAIN,),
)(fetch_body)

"""Generation 14: frames of the host that are forwarded into transmit rings, whose words any program stores.

The step on symbols, for rings of any size; then the protocol, while another thread stores what it likes into
the ring's page between any two reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from netmap_reference.core.effects import Do, Lock, Protocol, ReadUser
from netmap_reference.gen14 import ring
from netmap_reference.gen14.ports import forward
from netmap_spec.abi import api14

from ..engine import Proof
from ..explorer import Scenario, explored, one_value
from ..explorer.scenario import Memory
from ..invariants import flat_kring, flat_steps
from ..obligation import Control, obligation
from ..schemas import alone

Make = Callable[..., Protocol]

# --- how much room a ring has ---------------------------------------------------------------------------


def room_body(p: Proof, forward_room: Callable[..., Any]) -> None:
    k, head = flat_kring(p, "k"), p.u32("head")
    step = p.run(forward_room, k, head)
    inside = head < k.n and ring.between(k.rhead, head, k.rtail)
    left = flat_steps(p, k.n, head, k.rtail) if inside else 0
    p.goal("as many frames as slots lie before the kernel's tail, none in a ring that is out of order",
           step.state == left)  # fmt: skip
    p.goal("the rule says that a ring is left out", (forward.NO_WINDOW in step.fired) == (not inside))


obligation(
    "14.host.forward-room",
    clauses=("14.host.forward", "14.ring.tx-window"),
    statement="""Frames are forwarded to the slots from head up to the kernel's tail, and only when head lies
    where a txsync accepts it: whatever the application stored there.""",
    functions=(forward.forward_room,),
    control=Control(
        "head may be one behind the ring",
        lambda k, head: forward.forward_room(k, head - 1 if head == k.n else head),
        goal="as many frames as slots lie before the kernel's tail, none in a ring that is out of order",
    ),
    assumptions="The kring satisfies its order; head is any u32.",
    rules=(forward.NO_WINDOW,),
)(room_body)

# --- words that change between two reads ----------------------------------------------------------------

_N = 3
_HOST, _TX = "host", "tx"
_WRITTEN = (_TX, "written")
_OWN = "frames go only to slots that the application has to fill"
_ONE_VALUE = "what happens can be explained by one value of each word"
_FLAGS = (api14.NS_FORWARD,) * 2
#: The transmit ring's window: with its end before its beginning and not, and none at all.
_RINGS = (
    ring.Kring(_N, 0, 2, 0, 0, 2),
    ring.Kring(_N, 1, 1, 2, 2, 1),
    ring.Kring(_N, 0, 1, 1, 1, 1),
)


def _slot(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
    """The exchange: only which slots of the transmit ring it takes counts."""
    yield None, at.set((_WRITTEN, (*at[_WRITTEN], args[3])))


def _ring(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
    yield at[args[0], "kring"], at


def _own(at: Memory) -> bool:
    k: ring.Kring = at[_TX, "kring"]
    return all(w < k.n and ring.between(k.rhead, w, k.rtail) and w != k.rtail for w in at[_WRITTEN]) and len(
        set(at[_WRITTEN])
    ) == len(at[_WRITTEN])


def forward_body(p: Proof, forward_down: Make) -> None:
    words = {(_TX, "head"): (0, _N), (_TX, "tail"): (0, 1)}
    for k in _RINGS:
        memory = {(_TX, "kring"): k, (_HOST, "kring"): ring.Kring(_N, 0, 2, 2, 2, 2), _WRITTEN: ()}
        memory[_HOST, "transparent"] = False
        flags = {(_HOST, "slot", i, "flags"): flag for i, flag in enumerate(_FLAGS)}
        scenario = Scenario(
            {"forward": partial(forward_down, _HOST, (_TX,), p.switches, 0, len(_FLAGS))},
            memory=memory | dict.fromkeys(words, 0) | {(_TX, "cur"): 0},
            constants=flags,
            adversary=words,
            do={"forward-slot": _slot, "forward-ring": _ring},
            always={_OWN: _own},
        )
        explored(p, scenario, label=f"window {k.rhead} to {k.rtail}")
        one_value(
            p,
            _ONE_VALUE,
            scenario.threads["forward"],
            words,
            lambda at, result: (at[_WRITTEN], result),
            Scenario({}, memory={**memory, (_TX, "cur"): 0}, constants=flags, do=scenario.do),
        )


def _reads_head_again(
    ring_name: str, targets: tuple[str, ...], switches: frozenset[str], start: int, count: int
) -> Protocol:
    """Room is looked for with one read of head, and frames go where the next one says."""
    protocol, answer = forward.forward_down(ring_name, targets, switches, start, count), None
    try:
        while True:
            effect = protocol.send(answer)
            if isinstance(effect, Do) and effect.what == "forward-slot":
                again = yield ReadUser((effect.args[2], "head"))
                effect = Do("forward-slot", (*effect.args[:3], again))
            answer = yield effect
    except StopIteration as end:
        return end.value


_forward = partial(
    obligation,
    clauses=("14.host.forward",),
    functions=(forward.forward_down,),
    assumptions="""Another thread of the program may store other positions, and one that is none, into the
    transmit ring's head and tail between any two reads.""",
    bounds="""A transmit ring of three slots, its window wrapped, not wrapped, and without room; two marked
    frames; a head that is a slot and one that is none; two tails. Positions are only compared with each other
    and with the kring's (14.host.forward-room).""",
)

_forward(
    "14.host.forward-fetches",
    statement="""Whatever another thread of the program stores into a transmit ring meanwhile, forwarded
    frames go to slots between its head and the kernel's tail, to each one once, and what happens can be
    explained by one value of each word.""",
    control=Control("head is read again after it was checked", _reads_head_again, goal=_OWN),
    rules=(forward.DOWN, forward.NO_WINDOW),
)(forward_body)


def _keeps_lock(
    ring_name: str, targets: tuple[str, ...], switches: frozenset[str], start: int, count: int
) -> Protocol:
    """A lock is taken and kept."""
    yield Lock("ring")
    return (yield from forward.forward_down(ring_name, targets, switches, start, count))


_forward(
    "14.host.forward-fetches.as-written",
    statement="""As 14.host.forward-fetches: head and tail of the page are believed, and head is read once
    more behind the comparison, so frames are stored into slots of the kernel and behind the ring.""",
    control=Control("as written, and a lock is kept", _keeps_lock),
    switches={forward.TRUSTS_RING},
    rules=(forward.DOWN, forward.TRUSTED),
    finding="F14-038",
    refutes={_OWN, _ONE_VALUE},
)(forward_body)


# --- loops ----------------------------------------------------------------------------------------------

_NOTHING = "a loop forwards nothing"
_ALL = "if anything goes on, it is what was released"


def loop_body(p: Proof, loop_down: Make) -> None:
    def down(start: int, count: int) -> Protocol:
        return (yield Do("forward-down", (start, count)))

    start, count = p.integer("start", 0), p.integer("count", 1)
    flags, bound = p.u32("sync_flags"), p.split("bound to all transmit rings") == 1
    memory = {(_HOST, "atok", "sync_flags"): flags}
    arguments = (_HOST, bound, down, p.switches, start, count)
    done = alone(p, loop_down, *arguments, memory=memory, do={"forward-down": lambda words, args: args[1]})
    p.goal(_NOTHING, done.done("forward-down") == [], done.result == 0)
    for call in done.done("forward-down"):
        p.goal(_ALL, call[0] == start, call[1] == count)
    trusts = forward.LOOP_TRUSTS in p.switches
    asked = trusts and flags // 4 % 2 == 1
    p.goal("as written that bit alone decides", (done.done("forward-down") != []) == asked)
    p.goal("what was forwarded is told", done.result == (count if asked else 0))
    told = (forward.LOOP_PASSES_NOTHING in done.fired, forward.LOOP_TRUSTED in done.fired)
    p.goal("the rules say why", told == (bound and not trusts, asked))


_loop = partial(
    obligation,
    clauses=("14.kloop.no-forwarding",),
    functions=(forward.loop_down,),
    assumptions="sync_flags is any u32; the descriptor is bound to all transmit rings, or is not.",
)

_loop(
    "14.kloop.forwards-nothing",
    statement="""Whatever an application stores in sync_flags, and whichever rings it is bound to, a loop has
    no frame of the host forwarded.""",
    control=Control(
        "a loop forwards for who is bound to all transmit rings",
        lambda ring, bound, down, switches, start, count: (
            down(start, count) if bound else forward.loop_down(ring, bound, down, switches, start, count)
        ),
        goal=_NOTHING,
    ),
    rules=(forward.LOOP_PASSES_NOTHING,),
)(loop_body)


_loop(
    "14.kloop.forwards-nothing.as-written",
    statement="""As 14.kloop.forwards-nothing: with bit 4 of sync_flags the loop forwards, bound or not.""",
    control=Control(
        "as written, and the first slot is left out",
        lambda ring, bound, down, switches, start, count: forward.loop_down(
            ring, bound, down, switches, start + 1, count
        ),
        goal=_ALL,
    ),
    switches={forward.LOOP_TRUSTS},
    rules=(forward.LOOP_TRUSTED,),
    finding="F14-039",
    refutes={_NOTHING},
)(loop_body)

"""Generation 2011: user memory read twice, and sleeping with a lock held."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from netmap_reference.core.effects import Do, Lock, Protocol, Unlock, WriteKernel
from netmap_reference.gen2011 import memory
from netmap_reference.gen2011.memory import BUF_SIZE, Obj
from netmap_reference.gen2011.ports import host

from ..engine import Proof
from ..explorer import Scenario, explored, one_value
from ..explorer.scenario import Memory
from ..obligation import Control, obligation
from ..worlds2011 import Make, adapter, constants, immediate
from ..worlds2011 import memory as ring_memory

# --- host transmit ring -------------------------------------------------------------------------------

_ONE_VALUE = "what is passed up can be explained by one value of each word"
_FITS = "no frame longer than a buffer is read"


def _copied(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
    """The stack copies a frame: its length is what counts here."""
    yield b"frame", at.set((("copied",), (*at[("copied",)], args[1])))


def fetch_body(p: Proof, sync_to_host: Make) -> None:
    na = adapter(1, True)
    ring = f"tx{na.host}"
    words: dict[tuple[Any, ...], tuple[int, ...]] = {(ring, "slot", 0, "len"): (60, BUF_SIZE + 1, 13)}
    quiet = {k: v for k, v in immediate(0, 1).items() if k != "m_devget"}
    seen = one_value(
        p,
        _ONE_VALUE,
        partial(sync_to_host, na, p.switches),
        words,
        lambda at, result: (at[("copied",)], at[ring, "kring"].hwcur, result),
        Scenario(
            {},
            memory={**ring_memory(na), (ring, "cur"): 1, ("copied",): ()},
            constants=constants(True),
            immediate=quiet,
            do={"m_devget": _copied},
        ),
    )
    everything = (*seen.outcomes, *seen.torn)
    p.goal("the ring is drained", all(hwcur == 1 for _, hwcur, _ in everything))
    long = next((o for o in everything if any(length > BUF_SIZE for length in o[0])), None)
    schedule = seen.torn[long].to_json() if long in seen.torn else {"lines": [str(long)]}
    p.evidence(_FITS, long is None, schedule)


def _to_host_unchecked(na: Any, switches: frozenset[str]) -> Protocol:
    """Every length is taken for good."""
    protocol, answer = host.sync_to_host(na, switches), None
    try:
        while True:
            effect = protocol.send(answer)
            answer = yield effect
            if getattr(effect, "where", ("",))[-1] == "len":
                answer = 60 if answer > BUF_SIZE else answer
            if isinstance(effect, Do) and effect.what == "m_devget":
                yield Do("m_devget", (0, BUF_SIZE + 1))
    except StopIteration as end:
        return end.value


def _to_host_keeps_hwcur(na: Any, switches: frozenset[str]) -> Protocol:
    """As written, and the ring is not drained."""
    protocol, answer = host.sync_to_host(na, switches), None
    try:
        while True:
            effect = protocol.send(answer)
            if isinstance(effect, WriteKernel) and effect.where[-1] == "kring":
                answer = None
            else:
                answer = yield effect
    except StopIteration as end:
        return end.value


_fetch = partial(
    obligation,
    clauses=("2011.host.tx-read-once", "2011.host.tx-length"),
    functions=(host.sync_to_host,),
    assumptions="Another thread of the program may change a slot's length between any two reads.",
    bounds="One slot; a good length, one that is too long and one that is too short: the code only compares.",
)

_fetch(
    "2011.host.tx-read-once",
    statement="""Passing a frame up, the kernel reads a slot's length once: no frame longer than a buffer is
    ever copied, however the length changes meanwhile.""",
    control=Control("a length is checked and another one used", _to_host_unchecked, goal=_FITS),
    rules=(host.TO_SENT, host.TO_BAD_LEN, host.TO_READ_ONCE),
)(fetch_body)

_fetch(
    "2011.host.tx-read-once.as-written",
    statement="As 2011.host.tx-read-once, but the length is read again after it was found good.",
    control=Control("as written, and the ring is not drained", _to_host_keeps_hwcur),
    switches={host.READS_LEN_TWICE},
    rules=(host.TO_SENT, host.TO_READ_AGAIN),
    finding="F2011-009",
    refutes={_ONE_VALUE, _FITS},
)(fetch_body)


# --- sleeping with a lock held --------------------------------------------------------------------------

_NO_SLEEP = "the kernel never sleeps with a lock held"


def watched(protocol: Protocol) -> Protocol:
    """``protocol``, remembering in a kernel word when it may sleep in the allocator with a lock held."""
    held, answer = 0, None
    try:
        while True:
            effect = protocol.send(answer)
            held += isinstance(effect, Lock)
            held -= isinstance(effect, Unlock)
            if isinstance(effect, Do) and effect.what == "kmalloc" and effect.args[2] and held:
                yield WriteKernel(("slept",), True)
            answer = yield effect
    except StopIteration as end:
        return end.value


def sleep_body(p: Proof, malloc: Make) -> None:
    for got_memory in (True, False):
        scenario = Scenario(
            {
                "first": lambda: watched(malloc(8, p.switches)),
                "second": lambda: watched(malloc(8, p.switches)),
            },
            memory={("mem", "objs"): (Obj(0, 24, False),), ("slept",): False},
            immediate={"kmalloc": got_memory, "zero": None, "log": None},
            always={_NO_SLEEP: lambda at: not at[("slept",)]},
            finally_={
                "two allocations never share memory": lambda at, results: (
                    results["first"] != results["second"] or results["first"] is None
                )
            },
        )
        explored(p, scenario, label="memory" if got_memory else "no memory")


def _malloc_unlocked(size: int, switches: frozenset[str]) -> Protocol:
    protocol, answer = memory.malloc(size, switches), None
    try:
        while True:
            effect = protocol.send(answer)
            answer = None if isinstance(effect, (Lock, Unlock)) else (yield effect)
    except StopIteration as end:
        return end.value


_sleep = partial(
    obligation,
    clauses=("2011.memory.no-sleep-under-lock", "2011.memory.first-fit"),
    functions=(memory.malloc,),
    control=Control(
        "the allocator takes no lock", _malloc_unlocked, goal="two allocations never share memory"
    ),
    bounds="Two threads, one allocation each from one free object: the lock makes more follow one another.",
)

_sleep(
    "2011.memory.no-sleep-under-lock",
    statement="""Two allocations at the same time get different memory, and neither may sleep while it holds
    the allocator's lock.""",
    rules=(memory.MALLOC_NOWAIT, memory.CARVE_SPLIT),
)(sleep_body)

_sleep(
    "2011.memory.no-sleep-under-lock.as-written",
    statement="As 2011.memory.no-sleep-under-lock, but the list's entry is allocated with M_WAITOK.",
    switches={memory.MALLOC_SLEEPS},
    rules=(memory.MALLOC_WAITOK, memory.CARVE_SPLIT),
    finding="F2011-010",
    refutes={_NO_SLEEP},
)(sleep_body)

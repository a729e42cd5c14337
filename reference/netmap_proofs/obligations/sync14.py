"""Generation 14: what a sync and a poll do while somebody else acts at the same time.

Two kinds of neighbour: another thread of the same program, which may change the words of the shared
page between any two reads; and the program at the other end of a pipe.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from netmap_reference.core.effects import Do, Lock, Protocol, ReadKernel, WriteKernel, WriteUser
from netmap_reference.gen14 import poll, ring, sync
from netmap_reference.gen14.ports import pipe

from ..engine import Proof
from ..explorer import Scenario, explored, one_value
from ..explorer.scenario import without
from ..explorer.search import LOST
from ..obligation import Control, obligation
from ..schemas import Cases, every, read_as
from ..worlds14 import (
    HANDLERS,
    IMMEDIATE,
    RX,
    SLOTS,
    TX,
    WAKEUPS,
    Make,
    everyone,
    port,
    readable,
    release,
    select,
    send,
    writable,
)
from ..worlds14 import pipe as pipe_memory

# --- words that change between two reads ---------------------------------------------------------------

_INSIDE = "the port's sync finds head inside the ring"
_N = 2
_WORDS = (0, _N)  # a slot of the ring, and none


def _recording_port(name: str, force: bool) -> Protocol:
    """A port's sync that only remembers the head it was given."""
    k = yield ReadKernel((name, "kring"))
    yield WriteKernel((name, "seen"), k.rhead)
    return ""


def fetch_body(p: Proof, txsync_ring: Make, rxsync_ring: Make) -> None:
    words = {("r", word): _WORDS for word in ("head", "cur", "tail")}
    for function, k in (
        (rxsync_ring, ring.Kring(_N, 0, 1, 0, 0, 1)),
        (txsync_ring, ring.Kring(_N, 0, 1, 0, 0, 1)),
        (rxsync_ring, ring.Kring(_N, 1, 0, 1, 1, 0)),
        (txsync_ring, ring.Kring(_N, 1, 0, 1, 1, 0)),
    ):
        scenario = Scenario(
            {"sync": partial(function, "r", _recording_port, True, p.switches)},
            memory={
                ("r", "kring"): k,
                ("r", "seen"): 0,
                ("r", "flags"): 0,
                ("r", "transparent"): False,
                **dict.fromkeys(words, 0),
            },
            adversary=words,
            immediate=IMMEDIATE,
            always={_INSIDE: lambda at: at["r", "seen"] < _N},
        )
        explored(p, scenario, label=f"{function.__name__}, hwcur {k.hwcur}")


_fetch = partial(
    obligation,
    clauses=("14.sync.rejected", "14.ring.reinit-resets"),
    functions=(sync.txsync_ring, sync.rxsync_ring),
    assumptions="Another thread of the program may store 0 or n between any two reads of a word.",
    bounds="""A ring of two slots, its window wrapped and not; one value inside the ring and one outside: the
    code only compares the words with each other and with the kring's.""",
    rules=(sync.TX_REINIT, sync.RX_REINIT),
)


def _rxsync_late(name: str, port: Any, force: bool, switches: frozenset[str]) -> Protocol:
    """A receive sync that stores head once more after everything was checked."""
    got = yield from sync.rxsync_ring(name, port, force, switches)
    user = yield from sync.read_user(name)
    k = yield ReadKernel((name, "kring"))
    yield WriteKernel((name, "kring"), ring.Kring(k.n, k.hwcur, k.hwtail, user.head, user.cur, k.rtail))
    yield from port(name, force)
    return got


_fetch(
    "14.sync.port-sees-the-ring",
    statement="""Whatever another thread of the program stores meanwhile, the port's own sync is only run
    with a head that is a slot of the ring.""",
    control=Control("head is stored again after the checks", sync.txsync_ring, _rxsync_late, goal=_INSIDE),
)(fetch_body)


def _txsync_keeps_lock(name: str, port: Any, force: bool, switches: frozenset[str]) -> Protocol:
    """A transmit sync that takes a lock and keeps it."""
    yield Lock("ring")
    return (yield from sync.txsync_ring(name, port, force, switches))


_fetch(
    "14.sync.port-sees-the-ring.as-written",
    statement="""As 14.sync.port-sees-the-ring: the re-initialisation stores the words in the kring before it
    reads them again to check them, and a receive sync goes on after it.""",
    control=Control("as written, and a lock is kept", _txsync_keeps_lock, sync.rxsync_ring),
    switches={ring.REINIT_TRUSTS_USER},
    finding="F14-004",
    refutes={_INSIDE},
)(fetch_body)


_ONE_VALUE = "what happens can be explained by one value of each word"


def reinit_body(p: Proof, reinit: Make) -> None:
    words = {("r", word): _WORDS for word in ("head", "cur", "tail")}
    for k in (ring.Kring(_N, 0, 1, 0, 0, 1), ring.Kring(_N, 1, 0, 1, 1, 0)):
        seen = one_value(
            p,
            _ONE_VALUE,
            partial(reinit, "r", p.switches),
            words,
            lambda at, result: (at["r", "kring"], result),
            Scenario({}, memory={("r", "kring"): k}, immediate=IMMEDIATE),
        )
        p.goal("the re-initialisation ends", bool(seen.outcomes))
        outside = [o for o in (*seen.outcomes, *seen.torn) if not o[0].rhead < _N]
        p.goal("without interference the positions are slots of the ring", not set(outside) & seen.outcomes)


def _reinit_reads_hwcur_of_user(name: str, switches: frozenset[str]) -> Protocol:
    """The kernel's own position is checked against one read of cur and taken from another."""
    got = yield from sync.reinit(name, switches)
    first = yield from sync.read_user(name)
    second = yield from sync.read_user(name)
    k = yield ReadKernel((name, "kring"))
    if first.cur < k.n:
        yield WriteKernel((name, "kring"), ring.Kring(k.n, k.hwcur, k.hwtail, second.cur, k.rcur, k.rtail))
    return got


def _reinit_takes_head(name: str, switches: frozenset[str]) -> Protocol:
    """The kring takes head from the application without looking at it."""
    user = yield from sync.read_user(name)
    got = yield from sync.reinit(name, switches)
    k = yield ReadKernel((name, "kring"))
    yield WriteKernel((name, "kring"), ring.Kring(k.n, k.hwcur, k.hwtail, user.head, k.rcur, k.rtail))
    return got


_reinit = partial(
    obligation,
    clauses=("14.ring.reinit-resets",),
    functions=(sync.reinit,),
    assumptions="Another thread of the program may store 0 or n between any two reads of a word.",
    bounds="""A ring of two slots, its window wrapped and not; one value of each word inside it and one
    outside: the code only compares the words with the ring's end.""",
)

_reinit(
    "14.sync.reinit-fetches",
    statement="""What a re-initialisation does can be explained by one value of each word, however the words
    change while it runs: no double fetch matters.""",
    control=Control("cur is checked in one read and taken from another", _reinit_reads_hwcur_of_user),
    rules=(ring.REINIT,),
)(reinit_body)

_reinit(
    "14.sync.reinit-fetches.as-written",
    statement="""As 14.sync.reinit-fetches: head, cur and tail are stored before they are read again and
    checked, so the kring can keep positions that were never found good.""",
    control=Control(
        "as written, and head is taken unseen",
        _reinit_takes_head,
        goal="without interference the positions are slots of the ring",
    ),
    switches={ring.REINIT_TRUSTS_USER},
    rules=(ring.REINIT, ring.REINIT_KEEPS),
    finding="F14-004",
    refutes={_ONE_VALUE},
)(reinit_body)


# --- which of two reads is kept -----------------------------------------------------------------------


def kept_body(p: Proof, reinit: Make) -> None:
    cases = Cases(p, "re-initialisations")
    n, words = 3, ("head", "cur", "tail")
    some = ((0, 1, 2), (2, 2, 1), (3, 0, 5))
    later = ((1, 2, 0), (2, 2, 1), (0, 0, 2), (3, 0, 1), (0, 3, 1), (0, 1, 3))
    for first, second, hwcur, hwtail in every(p, "reads and rings", some, later, range(n), range(n)):
        k = ring.Kring(n, hwcur, hwtail, 2, 0, 1)
        cases.case(first=first, second=second, k=k)
        script = {("r", w): pair for w, pair in zip(words, zip(first, second, strict=True), strict=True)}
        memory: dict[tuple[Any, ...], Any] = {("r", "kring"): k, **dict.fromkeys(script, 0)}

        def make(*arguments: Any, script: Any = script) -> Protocol:
            return read_as(reinit(*arguments), script)

        done = cases.run(make, "r", p.switches, memory=memory, do={"reinit-slots": lambda words, args: None})
        good = all(word < n for word in second)
        kernels = (hwcur, hwcur, hwtail)
        rhead, rcur, rtail = first if good else kernels
        wanted = ring.Kring(n, hwcur, hwtail, rhead, rcur, rtail)
        cases.goal(
            "what was read first is kept when what was read last is good", done.memory["r", "kring"] == wanted
        )
        stores = [] if good or second == kernels else list(zip(words, kernels, strict=True))
        stored = [(e.where[1], e.value) for e in done.of(WriteUser)]
        cases.goal("then nothing is stored in the shared page, else what is the kernel's", stored == stores)
        cases.goal("the slots are repaired, once", done.done("reinit-slots") == [("r",)])
        cases.goal("it says whether the positions were reset", done.result == (not good))
        told = (ring.REINIT_KEEPS in done.fired, ring.REINIT in done.fired)
        cases.goal("and so do the rules", told == (good, not good))
    cases.end()


obligation(
    "14.sync.reinit-extent",
    clauses=("14.ring.reinit-resets",),
    statement="""How far the deviation goes: the words are read twice; when those of the second read are all
    slots the kring keeps those of the first, else kring and shared page are put back as promised.""",
    functions=(sync.reinit,),
    control=Control(
        "slots are not repaired",
        lambda *arguments: without(sync.reinit(*arguments), lambda e: isinstance(e, Do)),
    ),
    bounds="A ring of three slots in every position; words inside and outside it, in one read and in both.",
    switches={ring.REINIT_TRUSTS_USER},
    rules=(ring.REINIT, ring.REINIT_KEEPS),
)(kept_body)


# --- the other end of a pipe ------------------------------------------------------------------------


def wakeup_body(p: Proof, polling: Make, txsync: Make, rxsync: Make) -> None:
    tx_port, rx_port = port(txsync), port(rxsync)
    for lock_free in (False, True):
        for all_rings in (False, True):
            flavour = f"{'FreeBSD' if lock_free else 'Linux'}, {'all rings' if all_rings else 'one ring'}"
            reader = poll.Bound((), (RX,), "b:tx", "b:rx" if all_rings else RX)
            receiving = everyone(
                {
                    "poll": (select, polling, reader, False, tx_port, rx_port, lock_free),
                    "sender": (send, 1, tx_port),
                }
            )
            writer = poll.Bound((TX,), (), "a:tx" if all_rings else TX, "a:rx")
            sending = everyone(
                {
                    "poll": (select, polling, writer, True, tx_port, rx_port, lock_free),
                    "receiver": (release, rx_port),
                }
            )
            for threads, full, waits in ((receiving, False, readable), (sending, True, writable)):
                scenario = Scenario(
                    threads,
                    memory=pipe_memory(full, all_rings),
                    do=HANDLERS,
                    immediate=IMMEDIATE,
                    waits={"poll": waits},
                )
                explored(p, scenario, label=f"{flavour}, {'for room' if full else 'for packets'}")


def _txsync_notifies_first(name: str) -> Protocol:
    """The sender wakes the receiver and publishes afterwards."""
    protocol, answer, late = pipe.txsync(name), None, None
    try:
        while True:
            effect = protocol.send(answer)
            if isinstance(effect, WriteKernel) and effect.where[1] == "pipe_tail":
                late, answer = effect, None
            else:
                answer = yield effect
    except StopIteration as end:
        if late is not None:
            yield late
        return end.value


@obligation(
    "14.poll.no-lost-wake-up.pipe",
    clauses=("14.poll.wakeup",),
    statement="""A thread that polls one end of a pipe, for packets or for room, never sleeps for good when
    the other end has sent or released something: Linux's order of recording and looking, and FreeBSD's.""",
    functions=(poll.poll, pipe.txsync, pipe.rxsync),
    control=Control(
        "a txsync notifies before it publishes", poll.poll, _txsync_notifies_first, pipe.rxsync, goal=LOST
    ),
    assumptions=f"Each ring is synced by one thread at a time (14.sync.busy). {WAKEUPS}",
    bounds=f"""Rings of {SLOTS} slots, one packet sent or one slot released: nothing is counted but whether
    there is something.""",
    rules=(
        poll.RECORDED,
        poll.RX_READY,
        poll.TX_READY,
        poll.RX_AGAIN,
        poll.TX_AGAIN,
        pipe.TX_PUBLISHED,
        pipe.RX_RELEASED,
    ),
)
def no_lost_wakeup(p: Proof, polling: Make, txsync: Make, rxsync: Make) -> None:
    wakeup_body(p, polling, txsync, rxsync)

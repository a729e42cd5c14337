"""Generation 2011: whole calls, carried out alone: what they take, tell, and leave in the shared page.

The interleavings are the business of ``poll2011.py``; here every combination of what the rings can be like
is run once, and what the call did is compared with what its clauses say.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from netmap_reference.core.effects import (
    Do,
    Lock,
    Protocol,
    SelRecord,
)
from netmap_reference.gen2011 import poll
from netmap_reference.gen2011.attach import Adapter

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, Done, every
from ..schemas.alone import Answers, Words

Make = Callable[..., Protocol]
_B = (False, True)
_Q = 2  # hardware pairs


def _without(make: Make, dropped: Callable[[Any], bool]) -> Make:
    return lambda *arguments: without(make(*arguments), dropped)


# --- poll -----------------------------------------------------------------------------------------------


def _poll_words(first: int, last: int, txpoll: bool, no_stamp: bool, verbose: int) -> Words:
    return {
        ("if", "capenable"): True,
        ("sysctl", "verbose"): verbose,
        ("sysctl", "no_timestamp"): int(no_stamp),
        ("priv", "txpoll"): int(txpoll),
        ("priv", "qfirst"): first,
        ("priv", "qlast"): last,
    }


def _judge_poll(cases: Cases, na: Adapter, first: int, last: int, events: int, txpoll: bool, facts: Any,
                done: Done) -> None:  # fmt: skip
    """``facts[side, q]`` is (avail before, avail after a sync, rejected, unsent)."""
    want_tx, want_rx = events & poll.TX_EVENTS, events & poll.RX_EVENTS
    got, several = done.result, first + 1 != last
    rings = range(first, last)
    synced = {side: [a[0] for a in done.done(f"{side}sync")] for side in ("tx", "rx")}
    free = {s: any(facts[s, q][0] for q in rings) for s in ("tx", "rx")}
    wants = {"tx": bool(want_tx) and not free["tx"], "rx": bool(want_rx) and not free["rx"]}
    # what is synced
    expected, found_tx = [], False
    for q in rings:
        if (wants["tx"] and not found_tx) or ((txpoll or wants["tx"]) and facts["tx", q][3]):
            expected.append(q)
            found_tx = found_tx or (wants["tx"] and facts["tx", q][1])
    cases.goal("transmit rings are synced when slots are wanted or unsent", synced["tx"] == expected)
    cases.goal(
        "receive rings are synced when packets are wanted",
        synced["rx"] == (list(rings) if wants["rx"] else []),
    )
    cases.goal(
        "poll's syncs are under its own locks", all(not a[1] for s in synced for a in done.done(f"{s}sync"))
    )
    # what is answered
    room = bool(want_tx) and (free["tx"] or found_tx)
    packets = bool(want_rx) and (free["rx"] or any(facts["rx", q][1] for q in synced["rx"]))
    bad = any(facts[s, q][2] for s in synced for q in synced[s])
    cases.goal(
        "room is answered exactly when there is some", (got & poll.TX_EVENTS) == (want_tx if room else 0)
    )
    cases.goal(
        "packets are answered exactly when there are some",
        (got & poll.RX_EVENTS) == (want_rx if packets else 0),
    )
    cases.goal("an error is answered exactly when a ring was rejected", bool(got & poll.POLLERR) == bad)
    # where it is recorded
    where = [e.selinfo for e in done.of(SelRecord)]
    expected_at = []
    if several:
        if got == 0:
            expected_at += [f"tx{na.global_queue}"] if wants["tx"] and not found_tx else []
            expected_at += [f"rx{na.global_queue}"] if wants["rx"] else []
    else:
        expected_at += [f"tx{q}" for q in synced["tx"] if wants["tx"] and not facts["tx", q][1]]
        expected_at += [f"rx{q}" for q in synced["rx"] if not facts["rx", q][1]]
    cases.goal("who found nothing is recorded where it will be woken", where == expected_at)
    # under which locks
    core = several or not na.separate_locks
    locks = [e.name for e in done.of(Lock)]
    ring_locks = [f"{s}{q}" for s in ("tx", "rx") for q in synced[s]] if na.separate_locks else []
    wanted = (["core"] if core and (synced["tx"] or synced["rx"]) else []) + ring_locks
    cases.goal("the locks of what is synced are taken, the core lock first", locks == wanted)
    stamped = [a[0] for a in done.done("microtime")]
    cases.goal(
        "rings are stamped unless the sysctl says no and the ring does not ask",
        stamped
        == [
            f"rx{q}"
            for q in synced["rx"]
            if not done.memory["sysctl", "no_timestamp"] or done.memory[f"rx{q}", "flags"] & 2
        ],
    )
    verbose = done.memory["sysctl", "verbose"]
    # what is read
    looked = {s: [q for q in rings if not any(facts[s, o][0] for o in range(first, q))] for s in ("tx", "rx")}
    read = {
        "tx": (looked["tx"] if want_tx else [], [q for q in synced["tx"] if wants["tx"]]),
        "rx": (looked["rx"] if want_rx else [], synced["rx"]),
    }
    if found_tx:
        served = next(q for q in synced["tx"] if facts["tx", q][1])
        read["tx"] = (read["tx"][0], [q for q in read["tx"][1] if q <= served])
    cases.goal(
        "a look without locks ends at the first ring that has some",
        all(
            done.reads(f"{s}{q}", "avail") == before.count(q) + after.count(q)
            for s, (before, after) in read.items()
            for q in rings
        ),
    )
    said = [("netmap_poll", 1306)] * bool(verbose & 0x8000)
    said += [("netmap_poll", 1413)] * (len(synced["tx"]) if verbose & 0x20 else 0)
    cases.goal("what is asked for is logged", done.done("log") == said)


def hardware_body(p: Proof, polling: Make) -> None:
    cases = Cases(p, "polls")
    kinds = [(a, b, r, u) for a in (0, 1) for b in (0, 1) for r in _B for u in _B if not (a and not b)]
    shapes = [(0, 1, [t], [r]) for t in kinds for r in kinds]
    few = [(0, 0, False, False), (0, 1, False, False), (1, 1, False, True), (0, 0, True, True)]
    shapes += [(0, 2, [a, b], [few[0], few[0]]) for a in few for b in few]
    shapes += [(0, 2, [few[0], few[0]], [a, b]) for a in few for b in few]
    shapes += [(1, 2, [few[1]], [few[1]])]
    flags = list(
        every(
            p, "flags", (0, poll.POLLIN, poll.POLLOUT, poll.POLLIN | poll.POLLRDNORM | poll.POLLOUT), _B, _B
        )
    )
    for first, last, tx, rx in shapes:
        for events, txpoll, separate in flags:
            for no_stamp, flag, verbose in ((False, 0, 1), (True, 0, 0x8000), (True, 2, 0x20)):
                if no_stamp and (first, last) == (0, 2):
                    continue
                na = Adapter("nic0", _Q, 4, 4, separate)
                words = _poll_words(first, last, txpoll, no_stamp, verbose)
                facts: dict[tuple[str, int], tuple[int, int, bool, bool]] = {}
                for side, likes in (("tx", tx), ("rx", rx)):
                    for q, like in zip(range(first, last), likes, strict=True):
                        name = f"{side}{q}"
                        facts[side, q] = like
                        words.update(
                            {(name, "avail"): like[0], (name, "cur"): int(like[3]), (name, "hwcur"): 0}
                        )
                        words[name, "flags"] = flag
                cases.case(
                    rings=facts, events=events, txpoll=txpoll, separate=separate, no_timestamp=no_stamp
                )

                def synced(side: str, facts: Any = facts) -> Callable[[Words, tuple[Any, ...]], int]:
                    def answer(memory: Words, args: tuple[Any, ...]) -> int:
                        like = facts[side, args[0]]
                        memory[f"{side}{args[0]}", "avail"] = like[1]
                        return int(like[2])

                    return answer

                do = {
                    "txsync": synced("tx"),
                    "rxsync": synced("rx"),
                    "selection": lambda memory, args: (memory["priv", "qfirst"], memory["priv", "qlast"]),
                    "microtime": lambda memory, args: None,
                    "log": lambda memory, args: None,
                }
                done = cases.run(polling, na, events, p.switches, memory=words, do=do)
                _judge_poll(cases, na, first, last, events, txpoll, facts, done)
    cases.end()


obligation(
    "2011.poll.scan",
    clauses=(
        "2011.poll.lock-free",
        "2011.poll.tx-rings",
        "2011.poll.rx-rings",
        "2011.poll.tx-push",
        "2011.poll.error",
        "2011.poll.record-ring",
        "2011.poll.record-global",
        "2011.poll.locks",
        "2011.poll.no-lost-wakeup",
    ),
    statement="""One poll of hardware rings syncs the rings it must and no others, under the locks that are
    theirs; it answers room, packets or an error exactly when there are, and is recorded on its only ring or,
    of several, on the global selinfo when it found nothing.""",
    functions=(poll.poll,),
    control=Control(
        "nobody is recorded on a ring",
        _without(poll.poll, lambda e: isinstance(e, SelRecord) and e.selinfo in ("tx0", "rx0")),
        goal="who found nothing is recorded where it will be woken",
    ),
    bounds="""One ring in each direction with every combination of facts, two with some: a ring's turn depends
    on the others only through what was found.""",
    rules=(
        poll.CORE_NONE,
        poll.CORE_NEED,
        poll.FREE_RX,
        poll.FREE_TX,
        poll.TX_SKIP,
        poll.TX_READY,
        poll.TX_WAIT,
        poll.TX_REJECTED,
        poll.TX_OFF,
        poll.RX_READY,
        poll.RX_WAIT,
        poll.RX_REJECTED,
        poll.RX_STAMP,
        poll.RX_NO_STAMP,
        poll.GLOBAL_WAIT,
    ),
)(hardware_body)


def _said(rejected: bool, memory: Words, args: tuple[Any, ...]) -> int:
    return int(rejected)


_ANSWER = "sending up is always possible, packets are answered when there are some"


def host_poll_body(p: Proof, polling: Make) -> None:
    cases = Cases(p, "polls")
    na = Adapter("nic0", _Q, 4, 4, True)
    ring_name = f"rx{na.host}"
    for events, txpoll, before, after, bad_tx, bad_rx in every(
        p,
        "combinations",
        (0, poll.POLLIN, poll.POLLOUT, poll.POLLIN | poll.POLLOUT),
        _B,
        (0, 1),
        (0, 1),
        _B,
        _B,
    ):
        cases.case(events=events, txpoll=txpoll, avail=(before, after), rejected=(bad_tx, bad_rx))
        words = _poll_words(na.host, na.host + 1, txpoll, False, 0)
        words[ring_name, "avail"] = before

        def receive(memory: Words, args: tuple[Any, ...], after: int = after, bad: bool = bad_rx) -> int:
            memory[ring_name, "avail"] = after
            return int(bad)

        do: Answers = {
            "sync_to_host": partial(_said, bad_tx),
            "sync_from_host": receive,
            "selection": lambda memory, args: (memory["priv", "qfirst"], memory["priv", "qlast"]),
        }
        done = cases.run(polling, na, events, p.switches, memory=words, do=do)
        want_tx, want_rx = events & poll.TX_EVENTS, events & poll.RX_EVENTS
        pushes = txpoll or bool(want_tx)
        looks = bool(want_rx) and before == 0
        cases.goal(
            "packets go up when pushed or when room is wanted", len(done.done("sync_to_host")) == int(pushes)
        )
        cases.goal(
            "the ring is looked at when nothing is there, recording",
            done.done("sync_from_host") == ([(True,)] if looks else []),
        )
        have = (after if looks else before) > 0
        rejected = (pushes and bad_tx) or (looks and bad_rx)
        answer = want_tx | (want_rx if want_rx and have else 0) | (poll.POLLERR if rejected else 0)
        cases.goal(_ANSWER, done.result == answer)
        unsaid = poll.SLEEPS_UNRECORDED in p.switches
        told = (poll.HOST_REJECTED in done.fired, poll.HOST_UNSAID in done.fired)
        silent = rejected and answer == poll.POLLERR
        cases.goal("the rules say so", told == ((False, silent) if unsaid else (rejected, False)))
    off = _poll_words(0, 1, True, False, 0) | {("if", "capenable"): False}
    cases.case(mode="off")
    done = cases.run(polling, na, poll.POLLIN, p.switches, memory=off, do={})
    cases.goal("an interface that is not in netmap mode is an error", done.result == poll.POLLERR)
    cases.end()


_host_scan = partial(
    obligation,
    clauses=("2011.poll.host", "2011.poll.host-rejected", "2011.poll.error"),
    functions=(poll.poll,),
    control=Control(
        "the ring that found nothing is not asked to record",
        lambda na, events, switches: _relabelled(poll.poll(na, events, switches)),
        goal="the ring is looked at when nothing is there, recording",
    ),
    bounds="Every combination of events, of packets there before and after, and of rejections.",
)
_host_scan(
    "2011.poll.host-scan",
    statement="""One poll of the host rings pushes what is to go up, looks for packets when none is there, and
    answers room, packets and errors as there are.""",
    rules=(poll.HOST_TX, poll.HOST_RX, poll.HOST_REJECTED, poll.MODE_OFF),
)(host_poll_body)
_host_scan(
    "2011.poll.host-scan.as-written",
    statement="As 2011.poll.host-scan, but nobody is told of a ring that was rejected.",
    switches={poll.SLEEPS_UNRECORDED},
    rules=(poll.HOST_TX, poll.HOST_RX, poll.HOST_UNSAID, poll.MODE_OFF),
    finding="F2011-007",
    refutes={_ANSWER},
)(host_poll_body)


def _relabelled(protocol: Protocol) -> Protocol:
    answer: Any = None
    try:
        while True:
            effect = protocol.send(answer)
            if isinstance(effect, Do) and effect.what == "sync_from_host":
                effect = Do("sync_from_host", (False,))
            answer = yield effect
    except StopIteration as end:
        return end.value

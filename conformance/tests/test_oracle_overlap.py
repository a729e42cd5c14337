"""Calls that overlap take effect between their starts and their returns, in any order."""

from __future__ import annotations

import copy

from netmap_conformance import manifest as manifests
from netmap_conformance.oracle import judge
from netmap_conformance.runner import run
from netmap_conformance.scn import parse_scn
from netmap_conformance.targets.reference import ReferenceTarget
from netmap_conformance.trace import Call, Event, Return, Trace

START = """
open A
open B
reg A x{1 tx_slots=8 rx_slots=8
reg B x}1
mmap A
mmap B
"""


def recorded(text: str) -> Trace:
    target = ReferenceTarget(manifests.load("reference"))
    trace, judgement = run(target, parse_scn(START + text, "overlap.scn"), build=None)
    assert judgement.verdict == "PASS"
    return trace


def starting(trace: Trace, op: str, before: str, actor: str = "P") -> Trace:
    """The run in which a thread makes the last call of ``op``, starting before that of ``before``."""
    other = copy.deepcopy(trace)
    events: list[Event] = other.events
    moved = max((e for e in events if isinstance(e, Call) and e.op == op), key=lambda c: c.n)
    moved.actor = actor
    events.remove(moved)
    first = max((e for e in events if isinstance(e, Call) and e.op == before), key=lambda c: c.n)
    events.insert(events.index(first), moved)
    return other


def returning_last(trace: Trace, op: str) -> None:
    """Let another thread make the first call of ``op``, and come back from it at the very end."""
    call = next(e for e in trace.events if isinstance(e, Call) and e.op == op)
    done = next(e for e in trace.events if isinstance(e, Return) and e.of == call.n)
    call.actor, done.see = "P", None
    trace.events.remove(done)
    trace.events.append(done)


def rx_tail(trace: Trace, tail: int, slots: bool = False) -> Trace:
    """The run in which the last rxsync reported this many of the packets that were sent.

    ``slots``: the slots have come all the same (a pipe's sender stores them before anything is reported).
    """
    other = copy.deepcopy(trace)
    sync = max((e for e in other.events if isinstance(e, Call) and e.op == "rxsync"), key=lambda c: c.n)
    done = next(e for e in other.events if isinstance(e, Return) and e.of == sync.n)
    assert done.see is not None
    done.see.rings["rx0"]["tail"] = tail
    if tail == 0 and not slots:
        done.see.slots.pop("rx0", None)
    return other


def test_a_packet_sent_meanwhile_may_be_seen_or_not() -> None:
    """rxsync starts before txsync returns: both packets are there, or none; never one of them."""
    trace = starting(recorded("send A tx0 2\ntxsync A\nrxsync B\n"), "rxsync", before="txsync")
    assert judge(trace).verdict == "PASS"
    assert judge(rx_tail(trace, 0, slots=True)).verdict == "PASS"
    judgement = judge(rx_tail(trace, 1))
    assert judgement.verdict == "VIOLATION"
    assert judgement.findings[0].clause == "14.pipe.rxsync"


def test_without_overlap_the_packet_must_be_there() -> None:
    trace = recorded("send A tx0 2\ntxsync A\nrxsync B\n")
    assert judge(rx_tail(trace, 0)).verdict == "VIOLATION"


def test_a_call_takes_effect_once() -> None:
    """Seen through the other end while it was in progress, it is not made again when it returns."""
    trace = recorded("send A tx0 2\ntxsync A\nrxsync B\nset B rx0 both=tail\nrxsync B\n")
    returning_last(trace, "txsync")
    assert judge(trace).verdict == "PASS"


def test_a_sync_that_finds_its_ring_taken_leaves_it_out() -> None:
    """14.sync.busy: P read head before anything was there to send, and holds the ring until it returns."""
    trace = recorded("txsync A\nshow A\nsend A tx0 2\ntxsync A\nrxsync B\n")
    assert judge(rx_tail(trace, 0)).verdict == "VIOLATION", "alone, a sync cannot be left out"
    returning_last(trace, "txsync")
    assert judge(trace).verdict == "PASS"
    assert judge(rx_tail(trace, 0)).verdict == "PASS"


def test_syncs_of_other_directions_take_other_rings() -> None:
    trace = recorded("rxsync A\nshow A\nsend A tx0 2\ntxsync A\nrxsync B\n")
    returning_last(trace, "rxsync")
    assert judge(trace).verdict == "PASS"
    assert judge(rx_tail(trace, 0)).verdict == "VIOLATION"


def polled(trace: Trace, revents: list[str]) -> Trace:
    """The run in which the sleeping poll returned this."""
    other = copy.deepcopy(trace)
    call = next(e for e in other.events if isinstance(e, Call) and e.op == "poll")
    done = next(e for e in other.events if isinstance(e, Return) and e.of == call.n)
    done.revents, done.ret = revents, int(bool(revents))
    return other


def test_a_sleeping_poll_returns_with_what_came_or_by_its_timeout() -> None:
    trace = recorded("bg P poll B in 1000\nsend A tx0 1\ntxsync A\njoin P\n")
    assert judge(trace).verdict == "PASS"
    assert judge(polled(trace, ["out"])).verdict == "VIOLATION", "nobody asked for room"


def test_a_poll_that_returned_before_the_packet_was_sent_saw_nothing() -> None:
    trace = recorded("bg P poll B in 1000\ntxsync A\njoin P\nsend A tx0 1\ntxsync A\n")
    assert judge(trace).verdict == "PASS"
    judgement = judge(polled(trace, ["in"]))
    assert (judgement.verdict, judgement.findings[0].clause) == ("VIOLATION", "14.poll.ready")


def test_a_sleeping_poll_has_sent_what_was_waiting() -> None:
    """poll flushes transmit rings when it starts; the other end may see that while it still sleeps."""
    text = "send A tx0 2\nbg P poll A in 1000\nrxsync B\njoin P\n"
    trace = recorded(text)
    assert judge(trace).verdict == "PASS"
    assert judge(rx_tail(trace, 0)).verdict == "PASS", "it may not have got that far"


def test_a_sleeping_poll_excuses_nobodys_sync() -> None:
    """It holds no ring: the sync after its start may have met it at work, a later one cannot."""
    text = "bg P poll A in 1000\nshow A\nsend A tx0 1\ntxsync A\ntxsync A\nrxsync B\njoin P\n"
    trace = recorded(text)
    assert judge(trace).verdict == "PASS"
    assert judge(rx_tail(trace, 0)).verdict == "VIOLATION"


def test_what_a_killed_process_was_doing_may_have_happened() -> None:
    text = "proc P open C;txsync A\nkill P\nrxsync B\n"
    trace = recorded("send A tx0 2\n" + text)
    sync = next(e for e in trace.events if isinstance(e, Call) and e.op == "txsync")
    killed = [e for e in trace.events if not (isinstance(e, Return) and e.of == sync.n)]
    trace.events = killed
    assert judge(trace).verdict == "PASS"
    assert judge(rx_tail(trace, 0)).verdict == "PASS"


def test_a_thread_is_no_process() -> None:
    """A thread uses the mappings of the process that started it; a process only what it inherited."""
    assert judge(recorded("bg P txsync A\njoin P\n")).verdict == "PASS"
    text = "proc P show A;open C;reg C y{1 tx_slots=8 rx_slots=8;mmap C\njoin P\n"
    assert judge(recorded(text)).verdict == "PASS"


LOOP = """
reg A x{1 tx_slots=8 rx_slots=8 flags=NR_EXCLUSIVE csb=2
mmap A
bg K ctl A SYNC_KLOOP_START - sleep_us=100
ctl A SYNC_KLOOP_STOP -
join K
"""


def loop_that_returns(after: int) -> Trace:
    """The run of a loop that comes back ``after`` the call of its STOP: 0 before it, 1 while it is made."""
    target = ReferenceTarget(manifests.load("reference"))
    trace, judgement = run(target, parse_scn("open A" + LOOP, "loop.scn"), build=None)
    assert judgement.verdict == "PASS"
    start = next(e for e in trace.events if isinstance(e, Call) and e.actor == "K")
    stop = next(e for e in trace.events if isinstance(e, Call) and "STOP" in e.text)
    done = next(e for e in trace.events if isinstance(e, Return) and e.of == start.n)
    trace.events.remove(done)
    trace.events.insert(trace.events.index(stop) + after, done)
    return trace


def test_a_loop_does_not_come_back_before_it_is_stopped() -> None:
    finding = judge(loop_that_returns(0), manifests.load("reference")).findings[0]
    assert (finding.kind, finding.clause) == ("VIOLATION", "14.kloop.stop")


def test_a_loop_may_come_back_before_the_call_that_stops_it() -> None:
    assert judge(loop_that_returns(1), manifests.load("reference")).verdict == "PASS"

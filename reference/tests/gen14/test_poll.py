"""Chapter *poll*: readiness, the syncs on the way, and who is woken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.core.effects import Fired, SelRecord, Sleep, run
from netmap_reference.gen14 import poll as chapter
from netmap_reference.gen14 import readings
from netmap_reference.gen14.execute import Execution
from netmap_reference.gen14.ring import REINIT_TRUSTS_USER
from netmap_reference.gen14.world import PortConfig

# --- ready (14.poll.ready) -----------------------------------------------------------------------


def test_readiness_of_a_fresh_pipe(pipe: Any) -> None:
    assert pipe.poll("A", "in") == set()
    assert pipe.poll("A", "out") == {"out"}
    assert pipe.poll("A", "in", "out") == {"out"}
    assert pipe.poll("A") == set()


def test_both_names_of_an_event(pipe: Any) -> None:
    pipe.send("A", b"x")
    assert pipe.poll("B", "rdnorm") == {"rdnorm"}
    assert pipe.poll("B", "in", "rdnorm", "wrnorm") == {"in", "rdnorm", "wrnorm"}


def test_cur_decides_not_head(pipe: Any) -> None:
    """recordings pipe_head_lt_cur, pipe_tx_cur_gt_head"""
    pipe.send("A", b"one", b"two")
    pipe.world.rxsync("B", pipe.choose)
    pipe.set("B", "rx0", head=0, cur=2)
    assert pipe.poll("B", "in") == set()
    pipe.send("A", b"three")
    assert pipe.poll("B", "in") == {"in"}
    pipe.set("A", "tx0", cur=7)
    assert pipe.poll("A", "out") == set()


def test_any_ring_will_do(bench: Callable[..., Any]) -> None:
    b = bench()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8, tx_rings=2, rx_rings=2)
    b.bind("B", "x}1")
    b.send("A", b"on the second", ring="tx1")
    assert b.poll("B", "in") == {"in"}


def test_a_direction_without_rings_is_never_ready(bench: Callable[..., Any]) -> None:
    b = bench()
    b.bind("A", "x{1", flags="NR_TX_RINGS_ONLY")
    assert b.poll("A", "in") == set()
    assert b.poll("A", "out") == {"out"}


def test_an_unbound_descriptor(bench: Callable[..., Any]) -> None:
    """14.poll.unbound"""
    b = bench()
    b.world.open("A")
    assert b.poll("A", "in") == {"err"}
    assert b.poll("A") == {"err"}


# --- syncs on the way (14.poll.flush, 14.poll.receive, 14.poll.do-rx-poll) -----------------------


def test_a_poll_for_packets_sends(pipe: Any) -> None:
    pipe.put("A", "tx0", b"pushed")
    assert pipe.poll("A", "in") == set()
    assert pipe.receive("B") == [b"pushed"]


def test_not_with_NR_NO_TX_POLL(bench: Callable[..., Any]) -> None:
    b = bench()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8, flags="NR_NO_TX_POLL")
    b.bind("B", "x}1")
    b.put("A", "tx0", b"later")
    b.poll("A", "in")
    assert b.receive("B") == []
    b.poll("A", "out")
    assert b.receive("B") == [b"later"]


def test_a_poll_for_room_leaves_receive_rings_alone(pipe: Any) -> None:
    pipe.send("A", b"x")
    pipe.poll("B", "out")
    assert pipe.words("B", "rx0") == (0, 0, 0)


@pytest.mark.parametrize(("switches", "tail"), [(readings.CONTRACT, 1), (readings.AS_WRITTEN, 0)])
def test_unless_bound_with_NR_DO_RX_POLL(
    bench: Callable[..., Any], switches: frozenset[str], tail: int
) -> None:
    """Deviation 14.do-rx-poll-ignored (recording pipe_do_rx_poll)"""
    b = bench(switches=switches)
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.bind("B", "x}1", flags="NR_DO_RX_POLL")
    b.send("A", b"x")
    assert b.poll("B", "out") == {"out"}
    assert b.words("B", "rx0") == (0, 0, tail)


def test_an_idle_ring_is_not_synced_once_room_was_found(bench: Callable[..., Any]) -> None:
    b = bench()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8, tx_rings=2, rx_rings=2)
    result = b.world.poll("A", frozenset({"out"}), b.choose)
    assert result.fired.count(chapter.TX_FLUSH) == 1
    assert result.fired.count(chapter.TX_SKIP) == 1


# --- errors (14.poll.error) ----------------------------------------------------------------------


def test_a_rejected_ring_is_an_error_and_the_others_are_looked_at(pipe: Any) -> None:
    pipe.send("A", b"x")
    pipe.set("B", "tx0", head=99)
    assert pipe.poll("B", "in", "out") == {"err", "in", "out"}
    pipe.set("B", "rx0", cur=99)
    assert pipe.poll("B", "in") == {"err", "in"}


def test_as_written_a_ring_that_was_put_back_wrongly_is_ready(bench: Callable[..., Any]) -> None:
    b = bench(switches=frozenset({REINIT_TRUSTS_USER}))
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.set("A", "rx0", head=3, cur=3)
    assert b.poll("A", "in") == {"err", "in"}


# --- sleeping and waking (14.poll.wakeup) --------------------------------------------------------


def test_a_sleeper_is_woken_by_the_other_end(pipe: Any) -> None:
    assert pipe.world.poll("B", frozenset({"in"}), pipe.choose).asleep
    pipe.put("A", "tx0", b"x")
    assert pipe.world.woken() == frozenset()
    pipe.world.txsync("A", pipe.choose)
    assert pipe.world.woken() == {"B"}
    assert pipe.poll("B", "in") == {"in"}
    assert pipe.world.woken() == frozenset()


def test_a_sender_is_woken_by_a_release(pipe: Any) -> None:
    pipe.send("A", *[b"x"] * 7)
    assert pipe.world.poll("A", frozenset({"out"}), pipe.choose).asleep
    pipe.receive("B")
    pipe.world.rxsync("B", pipe.choose)
    assert pipe.world.woken() == {"A"}
    assert pipe.poll("A", "out") == {"out"}


def test_nobody_is_woken_who_did_not_sleep(pipe: Any) -> None:
    pipe.send("A", b"x")
    assert pipe.poll("B", "in") == {"in"}
    pipe.send("A", b"y")
    assert pipe.world.woken() == frozenset()


@pytest.mark.parametrize("ring", ["tx0", "tx1"])
def test_a_descriptor_of_several_rings_is_woken_by_any(bench: Callable[..., Any], ring: str) -> None:
    b = bench()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8, tx_rings=2, rx_rings=2)
    b.bind("B", "x}1")
    b.bind("C", "x}1", mode="ONE_NIC", ringid=0)
    for fd in "BC":
        assert b.world.poll(fd, frozenset({"in"}), b.choose).asleep
    b.send("A", b"x", ring=ring)
    assert b.world.woken() == ({"B", "C"} if ring == "tx0" else {"B"})


def test_a_closed_descriptor_is_on_no_queue(pipe: Any) -> None:
    pipe.world.poll("B", frozenset({"in"}), pipe.choose)
    pipe.close("B")
    pipe.send("A", b"x")
    assert pipe.world.woken() == frozenset()


# --- the order of record and look ----------------------------------------------------------------


def scan(b: Any, fd: str, want_tx: bool, want_rx: bool, lock_free: bool) -> tuple[chapter.Polled, list[Any]]:
    """One scan of the protocol itself, and the effects it made."""
    s = b.world.system()
    file = s.holders["main", fd]
    f = s.files[file]
    tx = tuple(f"{f.adapter}:tx{i}" for i in range(*f.tx))
    rx = tuple(f"{f.adapter}:rx{i}" for i in range(*f.rx))
    x = Execution(s, file, b.choose, b.world.switches)
    made: list[Any] = []

    def execute(effect: Any) -> Any:
        made.append(effect)
        return x(effect)

    bound = chapter.Bound(tx, rx, f.selinfo[1], f.selinfo[0], f.tx_poll)
    protocol = chapter.poll(bound, want_tx, want_rx, x.port_sync, x.port_sync, b.world.switches, lock_free)
    return run(protocol, execute), made


def test_linux_records_before_it_looks(pipe: Any) -> None:
    _, made = scan(pipe, "B", False, True, lock_free=False)
    records = [i for i, e in enumerate(made) if isinstance(e, SelRecord)]
    looks = [i for i, e in enumerate(made) if not isinstance(e, SelRecord | Fired)]
    assert max(records) < min(looks)


def test_freebsd_records_when_it_found_nothing_and_looks_again(pipe: Any) -> None:
    polled, made = scan(pipe, "B", False, True, lock_free=True)
    assert not polled.rx
    assert len([e for e in made if e == SelRecord("x}1:rx0")]) == 1
    after = made[made.index(SelRecord("x}1:rx0")) :]
    assert any(getattr(e, "what", "") == "tryget" for e in after), "no look after the record"


def test_freebsd_s_cheap_round_takes_no_lock(pipe: Any) -> None:
    polled, made = scan(pipe, "A", True, False, lock_free=True)
    assert polled.tx
    assert not any(getattr(e, "what", "") == "tryget" for e in made)
    pipe.send("A", b"x")
    pipe.world.rxsync("B", pipe.choose)
    polled, made = scan(pipe, "B", False, True, lock_free=True)
    assert polled.rx
    assert not any(getattr(e, "what", "") == "tryget" for e in made)


def test_freebsd_s_cheap_round_goes_on_when_slots_were_released(pipe: Any) -> None:
    pipe.send("A", b"one", b"two")
    pipe.world.rxsync("B", pipe.choose)
    pipe.set("B", "rx0", head=1, cur=1)
    polled, _ = scan(pipe, "B", False, True, lock_free=True)
    assert polled.rx
    pipe.world.txsync("A", pipe.choose)
    assert pipe.words("A", "tx0")[2] == 0


@pytest.mark.parametrize("lock_free", [False, True])
def test_a_waiting_poll_scans_again_when_it_is_woken(pipe: Any, lock_free: bool) -> None:
    s = pipe.world.system()
    file = s.holders["main", "B"]
    x = Execution(s, file, pipe.choose, frozenset())
    bound = chapter.Bound(("x}1:tx0",), ("x}1:rx0",), "x}1:tx0", "x}1:rx0")
    slept = 0

    def execute(effect: Any) -> Any:
        nonlocal slept
        if isinstance(effect, Sleep):
            slept += 1
            assert file in s.waiting["x}1:rx0"]
            pipe.send("A", b"x")
            assert file in s.woken
            return None
        return x(effect)

    polled = run(chapter.wait(bound, False, True, x.port_sync, x.port_sync, lock_free=lock_free), execute)
    assert (polled.rx, slept) == (True, 1)


def test_polling_one_port_leaves_another_alone(bench: Callable[..., Any]) -> None:
    b = bench(PortConfig("v0", tx_slots=8, rx_slots=8))
    b.bind("A", "v0")
    b.bind("B", "x{1")
    assert b.world.poll("A", frozenset({"in"}), b.choose).asleep
    b.world.frame("v0", "wire", b"x" * 60, b.choose)
    b.world.tau(b.choose)
    assert b.world.woken() == {"A"}

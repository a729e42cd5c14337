"""CSB mode and the sync-kloop on the device: what requests refuse, what a pass does, who is told."""

from __future__ import annotations

from typing import Any

import pytest
from netmap_reference.core.choice import eager
from netmap_reference.gen14 import csb, kloop, ptnet, readings
from netmap_reference.gen14.ring import Kring
from netmap_reference.gen14.world import World

CSB = {"type": "CSB", "entries": 2}
EVENTFDS = {"type": "SYNC_KLOOP_EVENTFDS", "entries": 2, "size": 40}


def pipe(switches: frozenset[str] = readings.CONTRACT, **fields: Any) -> World:
    """A in CSB mode at one end of a pipe of 4 slots, B at the other."""
    w = World((), switches)
    w.open("A")
    w.open("B")
    asked = {"name": "x{1", "tx_slots": 4, "rx_slots": 4, "flags": "NR_EXCLUSIVE", "options": [CSB]}
    assert w.register("A", {**asked, **fields}, eager).outcome.ok
    assert w.register("B", {"name": "x}1"}, eager).outcome.ok
    return w


def start(w: World, *options: dict[str, Any], sleep_us: int = 0) -> Any:
    return w.ctl("A", "SYNC_KLOOP_START", {"sleep_us": sleep_us, "options": list(options)}, eager)


def words(w: World, index: int) -> dict[str, int]:
    entries = w.csb("A")
    assert entries is not None
    return entries[index]


# --- steps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ((True, 2, True, csb.Array(0, True), csb.Array(0, True)), "EBUSY"),
        ((False, 2, False, csb.Array(0, True), csb.Array(0, True)), "EINVAL"),
        ((False, 2, True, csb.Array(32, False), csb.Array(0, True)), "EINVAL"),
        ((False, 2, True, csb.Array(0, False), csb.Array(32, True)), "EFAULT"),
        ((False, 2, True, csb.Array(0, True), csb.Array(1, False)), "EINVAL"),
        ((False, 2, True, csb.Array(0, True), csb.Array(0, False)), "EFAULT"),
    ],
)
def test_the_checks_of_csb_mode_come_in_this_order(given: Any, error: str) -> None:
    assert csb.csb_check(*given).outcome.detail == error


def test_nothing_is_looked_at_without_rings() -> None:
    step = csb.csb_check(False, 0, False, csb.Array(1, False), csb.Array(1, False))
    assert (step.outcome.ok, step.state) == (True, False)


def test_half_a_ring_that_is_not_free_is_reclaimed_unasked() -> None:
    assert not kloop.reclaim_needed(Kring(8, 0, 7, 0, 0, 7), 1).state
    assert kloop.reclaim_needed(Kring(8, 4, 0, 4, 4, 0), 1).state
    assert kloop.reclaim_needed(Kring(8, 0, 7, 0, 0, 7), 2).state


# --- requests ---------------------------------------------------------------------------------------------


def test_a_start_that_fails_leaves_no_loop() -> None:
    w = pipe()
    assert start(w, {"type": "SYNC_KLOOP_MODE", "mode": 4}).outcome.detail == "EINVAL"
    assert start(w).asleep


def test_a_stop_without_a_loop_is_remembered_as_written_only() -> None:
    for switches, asleep in ((readings.CONTRACT, True), (frozenset({kloop.STOP_REMEMBERED}), False)):
        w = pipe(switches)
        assert w.ctl("A", "SYNC_KLOOP_STOP", {}, eager).outcome.ok
        assert start(w).asleep is asleep


def test_a_failed_register_leaves_csb_mode_as_written_only() -> None:
    left_over = {"type": "SYNC_KLOOP_MODE", "mode": 1}
    for switches, error in ((readings.CONTRACT, ""), (frozenset({csb.SURVIVES_FAILURE}), "EBUSY")):
        w = World((), switches)
        w.open("A")
        asked = {"name": "x{1", "flags": "NR_EXCLUSIVE", "options": [CSB, left_over]}
        assert w.register("A", asked, eager).outcome.detail == "EOPNOTSUPP"
        assert w.register("A", {"name": "x{1"}, eager).outcome.ok
        assert w.txsync("A", eager).outcome.detail == error


def test_direct_mode_without_eventfds_is_idle_as_written() -> None:
    w = pipe(frozenset({kloop.DIRECT_ALONE}))
    assert start(w, {"type": "SYNC_KLOOP_MODE", "mode": 3}).asleep
    w.csbset("A", 0, {"head": 1, "cur": 1})
    w.tau(eager)
    assert words(w, 0)["hwcur"] == 0


# --- passes -----------------------------------------------------------------------------------------------


def test_a_loop_with_eventfds_waits_for_a_kick() -> None:
    w = pipe()
    start(w, EVENTFDS)
    w.tau(eager)
    assert words(w, 0)["kern_need_kick"] == 1
    w.csbset("A", 0, {"head": 2, "cur": 2})
    w.tau(eager)
    assert words(w, 0)["hwcur"] == 0
    w.kick("A", 0, eager)
    assert w.loop_owed() == [("14.kloop.progress", "x{1:tx0")]
    w.tau(eager)
    assert (words(w, 0)["hwcur"], w.loop_owed()) == (2, [])


def test_positions_no_sync_would_accept_are_left_alone() -> None:
    w = pipe()
    start(w)
    w.csbset("A", 0, {"head": 4, "cur": 4})
    before = words(w, 0)
    w.tau(eager)
    assert words(w, 0) == {**before, "kern_need_kick": 0}


def test_an_interrupt_comes_only_to_who_wants_it() -> None:
    w = pipe()
    start(w, EVENTFDS)
    w.tau(eager)
    for wanted in (0, 1):
        w.csbset("A", 1, {"kick": wanted})
        ring = w.ring("B", "tx0")
        ring.head = ring.cur = ring.head + 1
        w.txsync("B", eager)
        w.tau(eager)
        assert w.irq("A", 1).out["count"] == wanted


def test_a_closed_descriptor_keeps_its_port_while_the_loop_runs() -> None:
    w = pipe()
    start(w)
    assert w.close("A").fired == (kloop.HELD,)
    assert "x{1" in w.system().adapters


def test_a_guest_with_room_left_wants_no_interrupt() -> None:
    w = pipe()
    w.csbset("A", 0, {"kick": 1})
    ring = w.ring("A", "tx0")
    ring.head = ring.cur = 1
    fired = w.guest_sync("A", 0, False, eager).fired
    assert words(w, 0)["appl_need_kick"] == 0
    assert ptnet.TX_KICK in fired and ptnet.WANTS_IRQ not in fired
    ring.head = ring.cur = 3
    assert ptnet.WANTS_IRQ in w.guest_sync("A", 0, False, eager).fired
    assert words(w, 0)["appl_need_kick"] == 1

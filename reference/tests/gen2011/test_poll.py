"""Chapter poll: what is ready, what is locked, where a caller is recorded."""

from __future__ import annotations

from typing import Any

import pytest
from netmap_reference.gen2011 import poll
from netmap_reference.gen2011.attach import Adapter
from netmap_reference.gen2011.device import Context

CONTRACT: frozenset[str] = frozenset()
IN, OUT, ERR, HW, SW = 1, 4, 8, 0x4000, 0x2000


@pytest.mark.parametrize(
    ("first", "last", "separate", "check_all", "core"),
    [
        (0, 1, True, False, poll.NO_CL),
        (0, 1, False, False, poll.NEED_CL),
        (0, 2, True, True, poll.NEED_CL),
        (0, 2, False, True, poll.NEED_CL),
        (2, 3, True, False, poll.NO_CL),
    ],
)
def test_which_locks_a_poll_needs(first: int, last: int, separate: bool, check_all: bool, core: int) -> None:
    assert poll.plan(first, last, separate).state == poll.Plan(check_all, core)


@pytest.mark.parametrize(
    ("sysctl", "flags", "stamped"), [(0, 0, True), (1, 0, False), (1, 1, False), (1, 2, True)]
)
def test_poll_stamps_by_sysctl_or_ring_flag(sysctl: int, flags: int, stamped: bool) -> None:
    assert poll.stamps(sysctl, flags).state is stamped


def locks(m: Any) -> list[str]:
    return [event[1] for event in m.last["ev"] if event[0] in ("L", "SR", "U")]


def test_a_ready_ring_takes_no_lock(machine: Any) -> None:
    m = machine()
    fd = m.open()
    assert m("poll", fd=fd, events=OUT) == [OUT, []]
    assert m.last["ev"] == []


def test_one_pair_waits_on_its_ring_inside_the_ring_lock(machine: Any) -> None:
    m = machine(switches=CONTRACT, ifs=[{"num_queues": 2, "separate_locks": 1}])
    fd = m.open(ringid=HW | 1)
    assert m("poll", fd=fd, events=IN) == [0, ["rx1:em0"]]
    assert locks(m) == ["rx1:em0", "rx1:em0", "rx1:em0"]
    m("wire_in", ifname="em0", q=1, data="00" * 60)
    m("rx_irq", ifname="em0", q=1)
    assert ["WK", "rx1:em0", [fd]] in m.last["ev"]
    assert m("poll", fd=fd, events=IN) == [IN, []]


def test_several_pairs_wait_on_the_global_selinfo_inside_the_core_lock(machine: Any) -> None:
    m = machine(switches=CONTRACT, ifs=[{"num_queues": 2, "separate_locks": 1}])
    fd = m.open()
    assert m("poll", fd=fd, events=IN) == [0, ["rx3:em0"]]
    assert locks(m) == ["core:em0", "rx0:em0", "rx0:em0", "rx1:em0", "rx1:em0", "rx3:em0", "core:em0"]
    m("rx_irq", ifname="em0", q=0)
    assert ["WK", "rx3:em0", [fd]] in m.last["ev"]


def test_poll_pushes_unless_told_not_to(machine: Any) -> None:
    m = machine()
    fd = m.open()
    m("buf_put", ifname="em0", tx=1, ring=0, slot=0, data="11" * 60)
    m.set("tx0", cur=1, avail=2)
    m("regif", fd=fd, name="", ringid=0x1000)
    m("poll", fd=fd, events=0)
    assert m("wire_out", ifname="em0") == []
    m("regif", fd=fd, name="", ringid=0)
    m("poll", fd=fd, events=0)
    assert m("wire_out", ifname="em0") == [[0, "11" * 60]]


def test_a_rejected_ring_is_an_error(machine: Any) -> None:
    m = machine()
    fd = m.open()
    m.set("tx0", cur=4)
    assert m("poll", fd=fd, events=0) == [ERR, []]
    m.set("rx0", cur=4)
    assert m("poll", fd=fd, events=IN)[0] == ERR


@pytest.mark.parametrize(
    ("switches", "revents"), [(None, 0), (CONTRACT, ERR)], ids=["as-written", "contract"]
)
def test_a_rejected_host_ring(machine: Any, switches: Any, revents: int) -> None:
    """As written nothing is reported and nobody is recorded: the caller would sleep for good."""
    m = machine() if switches is None else machine(switches=switches)
    fd = m.open(ringid=SW)
    m.set("rx1", cur=2, avail=0)
    assert m("poll", fd=fd, events=IN) == [revents, []]


def test_an_interface_that_left_netmap_mode_is_an_error(machine: Any) -> None:
    m = machine()
    fd = m.open()
    iface = m.world.ifs["em0"]
    iface.enabled = False
    na = Adapter("em0", 1, 4, 4, False)
    assert m.world.run(poll.poll(na, IN), Context(iface, fd)) == ERR

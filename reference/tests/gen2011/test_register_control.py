"""Chapters iface, register, control, attach: registrations, their end, and the other calls."""

from __future__ import annotations

from typing import Any

import pytest
from netmap_reference.core.outcome import errno
from netmap_reference.gen2011 import attach, control, register
from netmap_reference.gen2011.register import Selection
from netmap_spec.abi import api2011

CONTRACT: frozenset[str] = frozenset()
HW, SW, NO_TX = 0x4000, 0x2000, 0x1000


@pytest.mark.parametrize(
    ("ringid", "first", "last", "txpoll"),
    [
        (0, 0, 3, 1),
        (7, 0, 3, 1),
        (HW | 2, 2, 3, 1),
        (SW, 3, 4, 1),
        (SW | HW | 1, 3, 4, 1),
        (SW | NO_TX, 3, 4, 0),
        (HW | NO_TX, 0, 1, 0),
    ],
)
def test_the_ring_id_selects(ringid: int, first: int, last: int, txpoll: int) -> None:
    assert register.select(Selection(), 3, ringid).state == Selection(ringid, first, last, txpoll)


@pytest.mark.parametrize("ringid", [HW | 3, HW | 0xFFF, HW | SW | 3])
def test_a_ring_that_does_not_exist_is_refused_and_the_old_selection_stays(ringid: int) -> None:
    old = Selection(SW, 3, 4, 1)
    step = register.select(old, 3, ringid)
    assert (step.state, step.outcome) == (old, errno("EINVAL"))


def test_a_registration_lays_out_its_memory(machine: Any) -> None:
    m = machine(ifs=[{"num_queues": 2, "num_tx_desc": 4, "num_rx_desc": 3}])
    fd = m("open")
    error, answer = m("regif", fd=fd, name="em0", ringid=0)
    assert error == 0
    assert (answer["numrings"], answer["numslots"], answer["memsize"], answer["offset"]) == (2, 4, 1060864, 0)
    nifp = api2011.netmap_if(m.world.region, answer["offset"])
    assert (nifp.ni_name, nifp.ni_num_queues, nifp.ni_rx_queues) == ("em0", 2, 0)
    ring = api2011.netmap_ring(m.world.region, nifp.ring_ofs[3])  # the first receive ring
    assert (ring.num_slots, ring.avail, ring.cur) == (3, 0, 0)
    tx = api2011.netmap_ring(m.world.region, nifp.ring_ofs[0])
    assert (tx.num_slots, tx.avail, tx.slot[0].buf_idx) == (4, 3, 2)
    assert tx.off + tx.buf_ofs == m.world.layout.buf_start
    # transmit and receive rings alternate in memory and take buffers in that order
    assert ring.slot[0].buf_idx == 6


@pytest.mark.parametrize("what", ["kmalloc", "register", "set_cdevpriv"])
@pytest.mark.parametrize("switches", [CONTRACT, None], ids=["contract", "as-written"])
def test_a_registration_that_fails_leaves_no_trace(machine: Any, what: str, switches: Any) -> None:
    m = machine() if switches is None else machine(switches=switches)
    fd = m("open")
    before = m.last["state"]
    m("inject", what=what, count=1)
    assert m("regif", fd=fd, name="em0", ringid=0)[0] != 0
    after = m.last["state"]
    for part in ("mem", "kmem", "fds"):
        assert after[part] == before[part]
    assert after["ifs"]["em0"]["refs"] == after["ifs"]["em0"]["na"]["refcount"] == 0
    assert m("regif", fd=fd, name="em0", ringid=0)[0] == 0


def test_the_last_close_gives_everything_back(machine: Any) -> None:
    m = machine()
    before = m.last = m.world.apply("open", {})["state"]["mem"]
    assert m("regif", fd=0, name="em0", ringid=0)[0] == 0
    second = m.open()
    m("close", fd=0)
    assert m.last["state"]["mem"]["free"] == 514 - 2 - 16
    m("close", fd=second)
    assert m.last["state"]["mem"] == before
    assert [event[2] for event in m.events("SLEEP")] == ["NIOCUNREG"]
    assert len(m.events("WK")) == 6  # every ring of one queue, the host's, and the global ones


def test_requests_that_need_a_registration(machine: Any) -> None:
    m = machine()
    fd = m("open")
    assert [m(op, fd=fd) for op in ("txsync", "rxsync", "unregif")] == [6, 6, 6]
    assert m("poll", fd=fd, events=1) == [8, []]


def test_ignored_and_foreign_requests(machine: Any) -> None:
    m = machine()
    fd = m("open")
    for code in control.BIOC:
        assert m("ioctl", fd=fd, cmd=code, name="")[0] == 0
    assert m("ioctl", fd=fd, cmd=0xC0206921, name="em0")[0] == 45
    assert m("ioctl", fd=fd, cmd=0xC0206921, name="none")[0] == 6
    assert m.last["state"]["ifs"]["em0"]["refs"] == 0


@pytest.mark.parametrize(
    ("offset", "executable", "contract", "written"),
    [
        (0, False, True, True),
        (0, True, False, False),
        (-4096, False, False, True),
        (1 << 33, False, False, True),
    ],
)
def test_mmap(offset: int, executable: bool, contract: bool, written: bool) -> None:
    assert control.mmap_page(offset, executable, 1060864).state is contract
    assert control.mmap_page(offset, executable, 1060864, control.AS_WRITTEN).state is written


def test_attach_and_detach() -> None:
    assert attach.attach(2, False, True).outcome == errno("EINVAL")
    assert attach.attach(2, True, False).outcome == errno("ENOMEM")
    assert len(attach.attach(2, True, True).state.krings) == 4
    assert attach.detach(False, 0).state == attach.Detach(False, False)
    assert attach.detach(True, 2).state == attach.Detach(True, True)
    assert attach.detach(True, 2, attach.AS_WRITTEN).state == attach.Detach(True, False)


@pytest.mark.parametrize(
    ("call", "at", "address"),
    [
        ({"op": "rxsync"}, "netmap_ioctl netmap.c:1219", 0x8),
        ({"op": "poll", "events": 1}, "netmap_poll netmap.c:1314", 0x8),
        ({"op": "close"}, "netmap_dtor netmap.c:806", 0x50),
        ({"op": "regif", "name": "em0", "ringid": HW}, "netmap_set_ringid netmap.c:1034", 0x8),
        ({"op": "regif", "name": "em0", "ringid": SW}, "netmap_set_ringid netmap.c:1039", 0x50),
    ],
)
def test_a_detached_interface_under_a_descriptor(
    machine: Any, call: dict[str, Any], at: str, address: int
) -> None:
    """As written the next call dies; in the contract the descriptor is as if never registered."""
    for switches in (None, CONTRACT):
        m = machine() if switches is None else machine(switches=switches)
        fd = m.open()
        m("detach", name="em0")
        args = {k: v for k, v in call.items() if k != "op"}
        ret = m(call["op"], fd=fd, **args)
        if switches is None:
            assert m.last["at"] == [at]
            assert m.last["panic"] == f"page fault at {address:#x} (NULL dereference)"
            assert m("reset") == 0
        else:
            assert "panic" not in m.last
            assert ret in (6, 0, [8, []]) or ret[0] == 6
            assert m.last["state"]["mem"]["objs"] == [[0, 5304, 0]]


def test_buffers_that_slots_name_are_freed_as_written(machine: Any) -> None:
    """em0's slot names a buffer of em1: it is free under its owner, and em0's own buffer is lost."""
    for switches, free, stolen in ((None, 514 - 2 - 16, True), (CONTRACT, 514 - 2 - 16, False)):
        m = machine(ifs=[{}, {}]) if switches is None else machine(switches=switches, ifs=[{}, {}])
        m.open("em0")
        other = m.open("em1")
        theirs = m.ring("tx0", "em1").slot[0].buf_idx
        mine = m.ring("tx0").slot[0].buf_idx
        m.slot("tx0", 0, buf_idx=theirs)
        m("close", fd=0)
        assert m.world.pool.free == free
        assert (theirs in m.world.pool.bitmap) is stolen
        assert (mine in m.world.pool.bitmap) is not stolen
        m("close", fd=other)
        assert m.world.pool.free == (511 if stolen else 512)


def test_the_junk_buffer_is_handed_out_as_written(machine: Any) -> None:
    for switches, first in ((None, 0), (CONTRACT, 2)):
        m = machine() if switches is None else machine(switches=switches)
        fd = m.open()
        m.slot("tx0", 0, buf_idx=100000)
        m.set("tx0", cur=1, avail=2)
        m("txsync", fd=fd)
        m("close", fd=fd)
        m.open()
        assert m.ring("tx0").slot[0].buf_idx == first

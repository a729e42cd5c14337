"""The NIC port: sending, receiving, initialisation, registration with the driver."""

from __future__ import annotations

from typing import Any

import pytest
from netmap_reference.gen2011.ports import nicring

CONTRACT: frozenset[str] = frozenset()


def send(m: Any, fd: int, slots: list[int], cur: int) -> None:
    for slot in slots:
        m("buf_put", ifname="em0", tx=1, ring=0, slot=slot, data=f"{slot:02x}" * 20)
    m.set("tx0", cur=cur)
    m("txsync", fd=fd)


def test_the_nic_sends_in_order_and_wraps() -> None:
    ring = nicring.TxRing(4, head=3, tail=2, desc=((0, 1), (1, 1), (2, 1), (3, 1)))
    after, sent = nicring.tx_send(ring, -1)
    assert sent == ((3, 1), (0, 1), (1, 1))
    assert (after.head, nicring.tx_send(after, -1)[1]) == (2, ())
    assert nicring.tx_send(ring, 1)[1] == ((3, 1),)


def test_the_nic_fills_free_descriptors_and_keeps_the_rest_waiting() -> None:
    ring = nicring.RxRing(2, 0, 1, 0, (False, False), (0, 0), (100, 200), (b"a", b"bc"))
    after, writes = nicring.rx_fill(ring)
    assert writes == ((100, b"a"),)
    assert (after.head, after.done, after.waiting) == (1, (True, False), (b"bc",))


def test_sent_slots_come_back_when_somebody_looks(machine: Any) -> None:
    m = machine(ifs=[{"auto_tx": 0}])
    fd = m.open()
    send(m, fd, [0, 1], 2)
    assert m.ring("tx0").avail == 1
    m("nic_tx", ifname="em0", q=0, n=1)
    m("poll", fd=fd, events=0)
    assert m.ring("tx0").avail == 1
    m("txsync", fd=fd)
    assert m.ring("tx0").avail == 2
    assert m("wire_out", ifname="em0") == [[0, "00" * 20]]


def test_a_bad_slot_keeps_the_whole_batch_back(machine: Any) -> None:
    m = machine()
    fd = m.open()
    m.slot("tx0", 1, buf_idx=0)
    send(m, fd, [0], 2)
    assert m("wire_out", ifname="em0") == []
    assert (m.kring("tx0").hwcur, m.ring("tx0").cur) == (0, 0)


def test_frames_are_imported_by_lock_mark_or_sysctl(machine: Any) -> None:
    m = machine()
    fd = m.open()
    m("wire_in", ifname="em0", q=0, data="aa" * 60)
    assert m("poll", fd=fd, events=1)[0] == 0
    m("rx_irq", ifname="em0", q=0)
    assert m("poll", fd=fd, events=1)[0] == 1
    assert m.ring("rx0").slot[0].len == 60
    m.set("rx0", cur=1, avail=0)
    m("wire_in", ifname="em0", q=0, data="bb" * 14)
    m("sysctl", name="no_pendintr", v=1)
    assert m("poll", fd=fd, events=1)[0] == 1


def test_one_descriptor_stays_back_and_slots_given_back_are_filled(machine: Any) -> None:
    m = machine()
    fd = m.open()
    for i in range(5):
        m("wire_in", ifname="em0", q=0, data=f"{i:02x}" * 14)
    m("rxsync", fd=fd)
    assert m.ring("rx0").avail == 3
    assert len(m.world.ifs["em0"].rx[0].waiting) == 2
    m.set("rx0", cur=2, avail=1)
    m("rxsync", fd=fd)
    m("rxsync", fd=fd)
    assert m.ring("rx0").avail == 3
    assert m.world.ifs["em0"].rx[0].waiting == ()


def test_initialising_the_nic_keeps_what_the_application_holds(machine: Any) -> None:
    m = machine()
    fd = m.open()
    for i in range(2):
        m("wire_in", ifname="em0", q=0, data=f"{i:02x}" * 60)
    m("rxsync", fd=fd)
    m("nic_init", ifname="em0")
    assert (m.kring("rx0").hwofs, m.ring("rx0").avail) == (2, 2)
    m("wire_in", ifname="em0", q=0, data="ee" * 60)
    m("rxsync", fd=fd)
    assert m.ring("rx0").avail == 3
    index = m.ring("rx0").slot[2].buf_idx
    assert m.world.region.read(m.world.buffer(index), 60) == b"\xee" * 60


def test_as_written_a_cur_too_far_wraps_avail(machine: Any) -> None:
    for switches, avail in ((None, 4294967293), (CONTRACT, 0)):
        m = machine() if switches is None else machine(switches=switches)
        fd = m.open()
        m.set("rx0", cur=3)
        m("rxsync", fd=fd)
        assert m.ring("rx0").avail == avail


@pytest.mark.parametrize("queue", [1, -1, 7])
def test_a_queue_that_is_not_there_is_one_line(machine: Any, queue: int) -> None:
    m = machine()
    with pytest.raises(ValueError, match="wire_in"):
        m("wire_in", ifname="em0", q=queue, data="00")

"""Pipes on the device in user space, at the level of the ABI, in both modes of the data path.

Full judgement is the conformance suite's; here is what belongs to this implementation: the layout, that
both modes behave alike, and that nothing is left behind.
"""

from __future__ import annotations

import select

import pytest
from netmap_native import Binding, Device
from netmap_spec.abi import api14


def _frames(count: int, length: int = 60) -> list[bytes]:
    return [bytes([i % 251]) * length for i in range(count)]


def test_packets_cross_both_ways_in_order(device: Device) -> None:
    a, b = Binding(device, "x{1", tx_slots=16, rx_slots=16), Binding(device, "x}1")
    assert a.send(_frames(10)) == 10
    assert b.receive() == _frames(10)
    assert b.send(_frames(3, 1500)) == 3
    assert a.receive() == _frames(3, 1500)


@pytest.mark.parametrize("slots", [1, 2, 3, 1300, 1301, 4080, 4096])
def test_rings_of_any_size(device: Device, slots: int) -> None:
    """Objects are rounded to 64 bytes only: a ring of 1300 slots is not aligned to more than that."""
    a, b = Binding(device, "x{1", tx_slots=slots, rx_slots=slots), Binding(device, "x}1")
    assert a.reg.nr_tx_slots == slots
    for _ in range(3):
        sent = a.send(_frames(slots))
        assert b.receive() == _frames(sent)
        assert b.rxsync() == 0 and a.txsync() == 0
        assert sent == slots - 1


def test_a_ring_goes_round_many_times_and_loses_nothing(device: Device) -> None:
    a, b = Binding(device, "x{1", tx_slots=7, rx_slots=5), Binding(device, "x}1")
    sent = received = 0
    for _ in range(200):
        frames = [(sent + i).to_bytes(4, "little") for i in range(4)]
        sent += a.send(frames)
        for frame in b.receive():
            assert int.from_bytes(frame, "little") == received
            received += 1
        assert b.rxsync() == 0
    assert sent == received > 500


def test_the_two_ends_show_the_same_buffers(device: Device) -> None:
    a, b = Binding(device, "x{1", tx_slots=8, rx_slots=8), Binding(device, "x}1")
    for ours, theirs in ((a.tx(), b.rx()), (a.rx(), b.tx())):
        ids = [ours.slot[i].buf_idx for i in range(8)]
        assert ids == [theirs.slot[i].buf_idx for i in range(8)]
        assert len(set(ids)) == 8 and min(ids) >= 2


def test_a_receivers_buffer_comes_back_to_the_sender(device: Device) -> None:
    a, b = Binding(device, "x{1", tx_slots=8, rx_slots=8), Binding(device, "x}1", extra_bufs=1)
    spare = b.nifp.ni_bufs_head
    a.send(_frames(1))
    assert b.rxsync() == 0
    slot = b.rx().slot[0]
    given = slot.buf_idx
    slot.buf_idx, slot.flags = spare, api14.NS_BUF_CHANGED
    b.nifp.ni_bufs_head = given
    b.rx().head = b.rx().cur = 1
    assert b.rxsync() == a.txsync() == 0
    assert a.tx().slot[0].buf_idx == spare
    assert slot.flags == 0


def test_rings_that_were_opened_later_have_buffers_too(device: Device) -> None:
    """14.pipe.shared-buffers, where netmap itself deviates."""
    one = Binding(device, "x{1", tx_slots=8, rx_slots=8, tx_rings=2, rx_rings=2, mode=4, ringid=1)
    both = Binding(device, "x}1")
    later = Binding(device, "x{1", mode=4, ringid=0)
    assert both.send(_frames(2), ring=0) == 2
    assert later.receive(ring=0) == _frames(2)
    assert both.send(_frames(1), ring=1) == 1
    assert one.receive(ring=1) == _frames(1)


def test_an_end_is_found_as_it_was_left(device: Device) -> None:
    a, b = Binding(device, "x{1", tx_slots=16, rx_slots=16), Binding(device, "x}1")
    a.send(_frames(6))
    b.rxsync()
    b.rx().head = b.rx().cur = 2
    b.rxsync()
    b.close()
    assert a.poll(select.POLLOUT) == select.POLLOUT
    again = Binding(device, "x}1")
    ring = again.rx()
    assert (ring.head, ring.cur, ring.tail) == (2, 2, 6)
    assert again.receive() == _frames(6)[2:]


def test_nothing_stays_when_both_ends_are_closed(device: Device) -> None:
    before = device.stats()
    for _ in range(3):
        a, b = Binding(device, "x{1", extra_bufs=5), Binding(device, "x}1")
        a.send(_frames(3))
        assert (device.stats()["pipes"], device.stats()["krings"]) == (1, 4)
        a.close()
        b.close()
        assert device.stats() == before


def test_a_mapping_keeps_the_binding(device: Device) -> None:
    """14.close.last-reference."""
    a = Binding(device, "x{1", flags=api14.NR_EXCLUSIVE)
    assert device.close(a.fd) == 0
    with pytest.raises(OSError, match="busy"):
        Binding(device, "x{1")
    assert device.munmap(a.memory) == 0
    Binding(device, "x{1").close()


def test_buffers_of_a_pipe_below_a_nic_return_to_its_region(device: Device) -> None:
    """With the NIC open the shared region lives on, so a leak would show: the pool would run out."""
    from netmap_native.device import ports

    device.configure(ports("v0", tx_slots=64, rx_slots=64))
    nic = Binding(device, "v0")
    for _ in range(60):
        a, b = Binding(device, "v0{1", tx_slots=2000, rx_slots=2000), Binding(device, "v0}1")
        assert a.reg.nr_mem_id == nic.reg.nr_mem_id
        # Some fragments of a packet that is never finished, some packets on their way: all come back.
        a.put(_frames(9))
        a.tx().slot[8].flags = api14.NS_MOREFRAG
        a.txsync()
        b.rxsync()
        b.rx().head = b.rx().cur = 3
        b.rxsync()
        a.close()
        b.close()


def test_modes_are_what_was_asked_for(brokered: Device, in_process: Device) -> None:
    assert (brokered.running_mode(), in_process.running_mode()) == ("brokered", "in-process")

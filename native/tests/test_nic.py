"""NICs on the device in user space: wires between ports, wires the environment holds, host rings."""

from __future__ import annotations

import errno
import select

import pytest
from netmap_native import Binding, Device
from netmap_native.device import ports
from netmap_spec.abi import api14


def _frame(number: int, length: int = 60) -> bytes:
    return b"\xff" * 6 + b"\x02" * 6 + b"\x88\xb5" + number.to_bytes(4, "big") + bytes(length - 18)


def test_frames_cross_a_wire_by_copy(device: Device) -> None:
    device.configure(ports("v0", "v1", tx_slots=32, rx_slots=32))
    a, b = Binding(device, "v0"), Binding(device, "v1")
    sent = [_frame(i) for i in range(20)]
    assert a.send(sent) == 20
    assert a.tx().tail == 19, "completed at once"
    assert b.receive() == sent
    mine = {a.tx().slot[i].buf_idx for i in range(32)}
    assert mine.isdisjoint(b.rx().slot[i].buf_idx for i in range(32))


def test_only_a_full_ring_drops(device: Device) -> None:
    device.configure(ports("v0", "v1", tx_slots=64, rx_slots=16))
    a, b = Binding(device, "v0"), Binding(device, "v1")
    for start in (0, 40):
        assert a.send([_frame(i) for i in range(start, start + 40)]) == 40
    assert b.receive() == [_frame(i) for i in range(15)]
    assert b.rxsync() == 0
    a.send([_frame(99)])
    assert b.receive() == [_frame(99)]


def test_frames_for_a_port_nobody_has_open_go_to_its_host(device: Device) -> None:
    device.configure(ports("v0", "v1"))
    a = Binding(device, "v0")
    a.send([_frame(1)])
    assert device.frames("v1", "host") == [_frame(1)]


def test_a_wire_the_environment_holds(device: Device) -> None:
    device.configure(ports("v0", rx_slots=8))
    a = Binding(device, "v0")
    a.send([_frame(1), _frame(2)])
    assert device.frames("v0", "wire") == [_frame(1), _frame(2)]
    assert device.frames("v0", "wire") == []
    device.frame("v0", "wire", _frame(3))
    assert a.poll(select.POLLIN) == select.POLLIN
    assert a.get() == [_frame(3)]


def test_fragments_leave_as_one_frame_and_long_frames_arrive_in_fragments(device: Device) -> None:
    device.configure(ports("v0", mtu=2048))
    a = Binding(device, "v0")
    whole = _frame(7, 1000)
    a.put([whole[:400], whole[400:700], whole[700:]])
    for i in (0, 1):
        a.tx().slot[i].flags = api14.NS_MOREFRAG
    a.txsync()
    assert device.frames("v0", "wire") == [whole]
    long = _frame(8, 2060)
    device.frame("v0", "wire", long)
    a.rxsync()
    ring = a.rx()
    assert [ring.slot[i].flags for i in (0, 1)] == [api14.NS_MOREFRAG, 0]
    assert b"".join(a.get()) == long


def test_a_frame_in_fragments_may_take_several_syncs(device: Device) -> None:
    device.configure(ports("v0", "v1"))
    a, b = Binding(device, "v0"), Binding(device, "v1")
    whole = _frame(9, 300)
    a.put([whole[:100]])
    a.tx().slot[0].flags = api14.NS_MOREFRAG
    a.txsync()
    assert b.receive() == []
    a.send([whole[100:]])
    assert b.receive() == [whole]
    a.send([_frame(10)])
    assert b.receive() == [_frame(10)]


def test_slots_that_make_no_sense_read_and_write_nothing_else(device: Device) -> None:
    device.configure(ports("v0", "v1", tx_slots=16, rx_slots=16))
    a, b = Binding(device, "v0"), Binding(device, "v1")
    for index, (buf_idx, length) in enumerate(((0xFFFFFFFF, 60), (163840, 60), (0, 60), (2, 0xFFFF))):
        a.tx().slot[index].buf_idx, a.tx().slot[index].len = buf_idx, length
    a.tx().head = a.tx().cur = 4
    assert a.txsync() == 0
    assert all(len(f) <= 2048 for f in b.receive())
    # A receive slot without a buffer: the ring is put back, and goes on when it was repaired.
    a.send([_frame(1)])
    b.rxsync()
    b.rx().slot[b.rx().head].buf_idx = 0xFFFFFFFF
    b.rx().slot[b.rx().head].flags = api14.NS_BUF_CHANGED
    b.rx().head = b.rx().cur = b.rx().tail
    assert b.poll(select.POLLIN) & select.POLLERR


def test_an_mtu_that_does_not_fit_a_buffer_is_refused(device: Device) -> None:
    device.configure(ports("v0", mtu=9000))
    with pytest.raises(OSError) as refused:
        Binding(device, "v0")
    assert refused.value.errno == errno.EINVAL
    Binding(device, "v0", flags=api14.NR_TX_RINGS_ONLY).close()


def test_host_rings(device: Device) -> None:
    device.configure(ports("v0"))
    a = Binding(device, "v0", mode=api14.NR_REG_NIC_SW)
    device.frame("v0", "host", _frame(1))
    assert a.receive(ring=1) == [_frame(1)]
    a.send([_frame(2)], ring=1)
    assert device.frames("v0", "host") == [_frame(2)]
    assert device.frames("v0", "wire") == []


def test_released_slots_are_forwarded(device: Device) -> None:
    """14.host.forward, both ways."""
    device.configure(ports("v0", tx_slots=16, rx_slots=16))
    a = Binding(device, "v0", mode=api14.NR_REG_NIC_SW)
    a.rx(0).flags = a.rx(1).flags = api14.NR_FORWARD
    device.frame("v0", "wire", _frame(1))
    device.frame("v0", "host", _frame(2))
    a.rxsync()
    for i in (0, 1):
        a.rx(i).slot[0].flags = api14.NS_FORWARD
        a.rx(i).head = a.rx(i).cur = 1
    a.poll(select.POLLIN)
    assert device.frames("v0", "host") == [_frame(1)]
    assert device.frames("v0", "wire") == [_frame(2)]


@pytest.mark.parametrize("head", [4, 8, 9, 100_000_000])
def test_a_ring_whose_head_no_txsync_accepts_takes_no_frame(device: Device, head: int) -> None:
    """14.host.forward: the kernel's tail, though the page has another, and what is no slot of the ring."""
    device.configure(ports("v0", tx_slots=8, rx_slots=8))
    a = Binding(device, "v0", mode=api14.NR_REG_NIC_SW)
    a.rx(1).flags = api14.NR_FORWARD
    a.send([_frame(n) for n in range(1, 6)])
    a.txsync()
    device.frames("v0", "wire")
    device.frame("v0", "host", _frame(9))
    a.rxsync()
    tx = a.tx()
    slots = [tx.slot[i].buf_idx for i in range(8)]
    assert (tx.head, tx.tail) == (5, 4)
    tx.head, tx.tail = head, head - 1
    a.rx(1).slot[0].flags = api14.NS_FORWARD
    a.rx(1).head = a.rx(1).cur = 1
    a.rxsync()
    assert ([tx.slot[i].buf_idx for i in range(8)], tx.head, tx.cur) == (slots, head, 5)


def test_rings_are_opened_one_by_one(device: Device) -> None:
    device.configure(ports("v0", "v1", tx_rings=2, rx_rings=2, tx_slots=16, rx_slots=16))
    one = Binding(device, "v0", mode=api14.NR_REG_ONE_NIC, ringid=1)
    with pytest.raises(OSError, match="busy"):
        Binding(device, "v0", flags=api14.NR_EXCLUSIVE)
    with pytest.raises(LookupError):
        one.tx(0)
    b = Binding(device, "v1")
    one.send([_frame(4)], ring=1)
    assert b.receive(ring=1) == [_frame(4)]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (ports("v0", rx_slots=0), errno.EINVAL),
        (ports("v0", tx_rings=1000), errno.EINVAL),
        (ports("v0", tx_slots=5000), errno.EINVAL),
        (ports("v/0"), errno.EINVAL),
        (ports("vale0:1"), errno.EINVAL),
        (ports("v0", "v0"), errno.EEXIST),
    ],
)
def test_configurations_that_cannot_be(device: Device, wanted: list[object], code: int) -> None:
    with pytest.raises(OSError) as refused:
        device.configure(wanted)  # type: ignore[arg-type]
    assert refused.value.errno == code
    assert device.stats()["ports"] == 0


def test_ports_in_use_are_not_taken_away(device: Device) -> None:
    device.configure(ports("v0"))
    a = Binding(device, "v0")
    with pytest.raises(OSError, match="busy"):
        device.configure(ports("w0"))
    a.close()
    device.configure(ports("w0"))
    with pytest.raises(OSError) as unknown:
        device.frame("v0", "wire", _frame(1))
    assert unknown.value.errno == errno.ENXIO

"""What two threads can do to each other: one interleaving for each finding, and its repair.

Threads are advanced by hand, effect by effect; locks are honoured because no test runs a thread up to
a lock that another one holds.
"""

from __future__ import annotations

from typing import Any

import pytest
from netmap_reference.core.effects import Do, Lock, ReadUser, Sleep
from netmap_reference.gen2011 import interrupts, register, sync
from netmap_reference.gen2011.device import Context, Panic
from netmap_reference.gen2011.ports import host, nic
from netmap_reference.gen2011.readings import AS_WRITTEN
from netmap_reference.gen2011.register import ATTEMPTS

CONTRACT: frozenset[str] = frozenset()
SW, HW = 0x2000, 0x4000


def lock(name: str) -> Any:
    return lambda effect: effect == Lock(name)


def sleep(effect: Any) -> bool:
    return isinstance(effect, Sleep)


def regif(m: Any, thread: Any, fd: int) -> Any:
    """A thread in the middle of NIOCREGIF: the interface is found and referenced."""
    iface = m.world.ifs["em0"]
    iface.refs += 1
    ctx = Context(iface, fd, {"name": "em0"})
    return thread(m.world, register.regif(iface.na, 0, m.world.switches), ctx)


def test_a_refused_registration_frees_the_rings_of_another_one(machine: Any, thread: Any) -> None:
    """2011.failed-register-drops-lock."""
    m = machine()
    first, second = m("open"), m("open")
    m("inject", what="register", count=1)
    failing = regif(m, thread, first).until(sleep)
    assert failing.waiting == Sleep("NIOCUNREG")
    assert m("regif", fd=second, name="em0", ringid=0)[0] == 0
    at = m.world.ifs["em0"].ring_at["tx0"]
    assert any(obj.offset == at and obj.used for obj in m.world.objs)
    assert failing.finish() == "ENOMEM"
    iface = m.world.ifs["em0"]
    assert second in m.world.privs and not iface.enabled
    assert not any(obj.offset == at and obj.used for obj in m.world.objs)


def test_in_the_contract_a_refused_registration_never_lets_go(machine: Any, thread: Any) -> None:
    m = machine(switches=CONTRACT)
    fd = m("open")
    m("inject", what="register", count=1)
    failing = regif(m, thread, fd).until(sleep)
    assert (failing.done, failing.result) == (True, "ENOMEM")


def test_a_registration_waits_for_a_teardown_and_gives_up(machine: Any, thread: Any) -> None:
    m = machine()
    fd, late = m.open(), m("open")
    iface = m.world.ifs["em0"]
    leaving = thread(m.world, register.dtor(iface.na, AS_WRITTEN), Context(iface, fd)).until(sleep)
    waiting = regif(m, thread, late)
    for _ in range(ATTEMPTS):
        waiting.until(sleep)
        assert waiting.waiting == Sleep("NIOCREGIF")
        waiting._advance(m.world.execute(waiting.waiting, waiting.ctx))
    assert waiting.finish() == "EINVAL"
    leaving.finish()
    assert m("regif", fd=late, name="em0", ringid=0)[0] == 0


def sync_from_host(m: Any, thread: Any) -> Any:
    iface = m.world.ifs["em0"]
    return thread(m.world, host.sync_from_host(iface.na, False, m.world.switches), Context(iface, 0))


def test_two_well_behaved_receivers_leave_a_negative_count(machine: Any, thread: Any) -> None:
    """2011.host-rx-reads-cur-unlocked: the overtaken thread's cur is behind hwcur by one.

    Nobody broke a rule; the next packet from the stack kills the kernel as written.
    """
    for switches, hwavail in ((AS_WRITTEN, -3), (CONTRACT, 0)):
        m = machine(switches=switches)
        m.open(ringid=SW)
        for _ in range(2):
            m("host_in", ifname="em0", data="43" * 60)
        m.set("rx1", cur=1, avail=1)
        slow = sync_from_host(m, thread).until(lock("core"))
        m.set("rx1", cur=2, avail=0)
        sync_from_host(m, thread).finish()
        slow.finish()
        assert (m.kring("rx1").hwcur, m.kring("rx1").hwavail) == (2, hwavail)
        died = m("host_in", ifname="em0", data="43" * 60) == -1000
        assert died is (switches == AS_WRITTEN)


def test_two_senders_pass_a_packet_up_twice(machine: Any, thread: Any) -> None:
    """2011.host-tx-unlocked."""
    m = machine()
    fd = m.open(ringid=SW)
    m("buf_put", ifname="em0", tx=1, ring=1, slot=0, data="42" * 20)
    m.set("tx1", cur=1, avail=2)
    iface = m.world.ifs["em0"]
    slow = thread(m.world, host.sync_to_host(iface.na, AS_WRITTEN), Context(iface, fd))
    slow.until(lambda effect: isinstance(effect, Do) and effect.what == "m_devget")
    m("txsync", fd=fd)
    slow.finish()
    assert m("host_out", ifname="em0") == ["42" * 20, "42" * 20]


@pytest.mark.parametrize(("switches", "copied"), [(AS_WRITTEN, 65535), (CONTRACT, 60)])
def test_a_length_that_grows_after_it_was_checked(
    machine: Any, thread: Any, switches: frozenset[str], copied: int
) -> None:
    """2011.host-tx-reads-len-again: buffer 2 has 2048 bytes, 65535 are passed up."""
    m = machine(switches=switches)
    fd = m.open(ringid=SW)
    m.slot("tx1", 0, len=60)
    m.set("tx1", cur=1, avail=2)
    iface = m.world.ifs["em0"]
    sender = thread(m.world, host.sync_to_host(iface.na, switches), Context(iface, fd))
    read = ReadUser(("tx1", "slot", 0, "len"))
    sender.until(lambda effect: effect == read)
    sender._advance(m.world.execute(read, sender.ctx))
    m.slot("tx1", 0, len=65535)
    sender.finish()
    assert [len(frame) for frame in iface.up] == [copied]


def test_a_length_that_grows_can_leave_the_pool(machine: Any, thread: Any) -> None:
    """The same with the last buffer of the pool: the copy runs off the end."""
    m = machine()
    fd = m.open(ringid=SW)
    m.slot("tx1", 0, buf_idx=513, len=60)
    m.set("tx1", cur=1, avail=2)
    iface = m.world.ifs["em0"]
    sender = thread(m.world, host.sync_to_host(iface.na, AS_WRITTEN), Context(iface, fd))
    sender.until(lambda effect: effect == ReadUser(("tx1", "slot", 0, "len")))
    sender._advance(60)
    m.slot("tx1", 0, len=65535)
    with pytest.raises(Panic):
        sender.finish()


def test_a_selection_that_changes_during_a_sync(machine: Any, thread: Any) -> None:
    """2011.selection-read-unlocked: the driver is asked to sync a ring it does not have."""
    for switches, asked in ((AS_WRITTEN, [0, 1, 2]), (CONTRACT, [0, 1])):
        m = machine(switches=switches, ifs=[{"num_queues": 2}])
        fd = m.open()
        iface = m.world.ifs["em0"]
        syncing = thread(m.world, sync.sync_ioctl(True, 2, switches), Context(iface, fd))
        rings = []
        while not syncing.done:
            syncing.until(lambda effect: isinstance(effect, Do) and effect.what == "txsync")
            if syncing.done:
                break
            rings.append(syncing.waiting.args[0])
            if len(rings) == 1:
                assert m("regif", fd=fd, name="em0", ringid=SW)[0] == 0
            syncing._advance(0)
        assert rings == asked


def test_a_driver_that_reads_cur_early_sends_a_whole_turn(machine: Any, thread: Any) -> None:
    """2011.driver-reads-cur-unlocked, with a driver that does compare cur with avail or does not."""
    for switches, frames in ((AS_WRITTEN, 5), (CONTRACT, 2)):
        m = machine(switches=switches)
        fd = m.open()
        for slot in range(4):
            m("buf_put", ifname="em0", tx=1, ring=0, slot=slot, data=f"{slot:02x}" * 20)
        iface = m.world.ifs["em0"]
        m.set("tx0", cur=1)
        slow = thread(m.world, nic.txsync(iface.na, 0, True, switches), Context(iface, fd)).until(
            lock("core")
        )
        m.set("tx0", cur=2)
        m("txsync", fd=fd)
        slow.finish()
        assert len(iface.out) == frames


def test_a_packet_that_waited_for_the_lock_finds_the_rings_gone(machine: Any, thread: Any) -> None:
    """2011.start-after-delete: the stack's thread came while the interface was in netmap mode."""
    for switches, ret, written in ((AS_WRITTEN, "", True), (CONTRACT, "EBUSY", False)):
        m = machine(switches=switches)
        fd = m.open()
        iface = m.world.ifs["em0"]
        ctx = Context(iface, frame=b"\x43" * 60)
        packet = thread(m.world, interrupts.start(iface.na, 60, switches), ctx).until(lock("core"))
        m("close", fd=fd)
        before = m.world.region.read(0, 5304)
        assert packet.finish() == ret
        assert (m.world.region.read(0, 5304) != before) is written

"""Processes that share the device: one is killed, the other notices and nothing stays; the broker comes
with the first client, goes with the last, and its death is an error, not a hang.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from netmap_native import Binding, Device
from netmap_native.application import CODES
from netmap_native.device import ports

Soon = Callable[[Callable[[], bool]], None]
Running = Callable[[int], bool]

SOCKET = "netmap-verify.sock"


def _memfds(pid: int) -> int:
    """How many memory regions a process holds."""
    found = 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found += "netmap-region" in os.readlink(fd)
        except OSError:
            continue
    return found


def test_two_processes_a_pipe_and_a_death(device: Device, running: Running, soon: Soon) -> None:
    """The spike: both ways across the pipe, SIGKILL, and everything is given back."""
    peer = device.spawn_peer()
    a, b = Binding(device, "x{1"), Binding(peer, "x}1")
    broker = device.stats()["pid"]
    assert a.send([b"to the other process"]) == 1
    assert b.receive() == [b"to the other process"]
    assert b.send([b"and back", b"again"]) == 2
    assert a.receive() == [b"and back", b"again"]

    assert b.send([b"sent before the end"]) == 1
    assert b.put([b"never synced"]) == 1
    peer.kill()
    # For the survivor it is like a close: what was synced arrives, calls go on well, nothing hangs.
    assert a.receive() == [b"sent before the end"]
    assert a.txsync() == a.rxsync() == 0
    assert a.poll(select.POLLIN, 10) == 0
    assert a.send([b"for nobody"]) == 1
    assert device.stats()["handles"] == 2 + 0, "the dead one's descriptors are gone"

    again = Binding(device, "x}1")
    assert again.receive() == [b"for nobody"]
    assert _memfds(broker) == 1
    again.close()
    a.close()
    assert device.stats() | {"pid": 0} == {
        "handles": 1, "ports": 0, "pipes": 0, "regions": 0, "krings": 0, "sleeping": 0, "pid": 0,
    }  # fmt: skip
    assert _memfds(broker) == 0
    socket = Path(device.directory) / SOCKET
    assert socket.exists()
    device.stop()
    soon(lambda: not running(broker) and not socket.exists())


def test_a_peers_death_while_it_sleeps(device: Device, soon: Soon) -> None:
    peer = device.spawn_peer()
    a, b = Binding(device, "x{1"), Binding(peer, "x}1")
    peer.begin("poll", fd=b.fd, events=select.POLLIN, timeout_ms=-1)
    soon(lambda: device.stats()["sleeping"] == 1)
    peer.kill()
    assert device.stats()["sleeping"] == 0
    assert a.txsync() == 0
    a.close()
    assert device.stats()["pipes"] == 0


def test_a_sleeper_in_another_process_is_woken(device: Device, soon: Soon) -> None:
    peer = device.spawn_peer()
    a, b = Binding(device, "x{1"), Binding(peer, "x}1")
    for i in range(20):
        peer.begin("poll", fd=b.fd, events=select.POLLIN, timeout_ms=-1)
        if i % 2:
            soon(lambda: device.stats()["sleeping"] == 1)
        a.send([bytes([i])])
        assert peer.finish() == {"ret": 1, "revents": select.POLLIN, "errno": 0}
        assert b.get() == [bytes([i])]


def test_a_sender_that_waits_for_room_is_woken(device: Device, soon: Soon) -> None:
    peer = device.spawn_peer()
    a, b = Binding(peer, "x{1", tx_slots=8, rx_slots=8), Binding(device, "x}1")
    assert a.send([b"."] * 20) == 7
    peer.begin("poll", fd=a.fd, events=select.POLLOUT, timeout_ms=-1)
    soon(lambda: device.stats()["sleeping"] == 1)
    assert len(b.receive()) == 7
    assert b.rxsync() == 0
    assert peer.finish()["revents"] == select.POLLOUT


def test_a_frame_from_the_environment_wakes(device: Device, soon: Soon) -> None:
    device.configure(ports("v0"))
    peer = device.spawn_peer()
    b = Binding(peer, "v0")
    peer.begin("poll", fd=b.fd, events=select.POLLIN, timeout_ms=-1)
    soon(lambda: device.stats()["sleeping"] == 1)
    assert device.quiet()
    device.frame("v0", "wire", bytes(60))
    assert peer.finish()["revents"] == select.POLLIN
    assert device.quiet()


def test_two_threads_asleep_on_one_ring_are_both_woken(device: Device, soon: Soon) -> None:
    a, b = Binding(device, "x{1"), Binding(device, "x}1")
    other = Binding(device, "x}1")
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(b.poll(select.POLLIN, -1)))]
    threads += [threading.Thread(target=lambda: seen.append(other.poll(select.POLLIN, -1)))]
    for t in threads:
        t.start()
    soon(lambda: device.stats()["sleeping"] == 2)
    a.send([b"x"])
    for t in threads:
        t.join()
    assert seen == [select.POLLIN, select.POLLIN]


def test_a_poll_that_times_out_returns_nothing(device: Device) -> None:
    a = Binding(device, "x{1")
    assert a.poll(select.POLLIN, 20) == 0
    assert a.poll(0, 20) == 0
    assert a.poll(select.POLLIN | select.POLLOUT, -1) == select.POLLOUT
    assert device.stats()["sleeping"] == 0


def test_the_brokers_death_is_a_clean_error(device: Device, running: Running, soon: Soon) -> None:
    a = Binding(device, "x{1")
    b = Binding(device, "x}1")
    pid = device.stats()["pid"]
    seen: list[int] = []
    sleeper = threading.Thread(target=lambda: seen.append(b.poll(select.POLLIN, -1)))
    sleeper.start()
    soon(lambda: device.stats()["sleeping"] == 1)
    os.kill(pid, signal.SIGKILL)
    sleeper.join()
    assert seen == [select.POLLERR], "a sleeper is told"
    soon(lambda: not running(pid))
    assert a.txsync() == a.rxsync() == errno.ENODEV
    assert a.poll(select.POLLIN, 1000) == select.POLLERR
    assert device.mmap(a.fd, 4096, 3, 1) == (None, errno.ENODEV)
    # The memory is still there, and the next client gets a new broker.
    a.mem.write(0, bytes(a.mem.read(0, 8)))
    fd, code = device.open()
    assert code == 0
    assert device.ioctl(fd, CODES["NIOCTXSYNC"]) == (-1, errno.ENXIO)


def test_many_first_clients_start_one_broker(tmp_path: Path, running: Running) -> None:
    """Race-free start: all of them find the same broker."""
    program = (
        "import sys; from netmap_native import Device; d = Device('user:' + sys.argv[1])\n"
        "print(d.stats()['pid'], flush=True); sys.stdin.readline()"
    )
    clients = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "device")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(12)
    ]
    try:
        found = {c.stdout.readline().strip() for c in clients if c.stdout}
        assert len(found) == 1
        assert running(int(found.pop()))
    finally:
        for c in clients:
            c.communicate("\n")


def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    (tmp_path / SOCKET).write_text("not even a socket")
    with Device(f"user:{tmp_path}") as device:
        assert device.stats()["handles"] == 1


def test_a_directory_with_a_very_long_name(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    with Device(f"user:{deep}") as device:
        a, b = Binding(device, "x{1"), Binding(device, "x}1")
        a.send([b"x"])
        assert b.receive() == [b"x"]


def test_a_forked_child_shares_the_descriptor(device: Device) -> None:
    """The port stays open until the last copy is closed, and the child's syncs are the parent's."""
    a, b = Binding(device, "x{1"), Binding(device, "x}1")
    a.send([b"first"])
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.read(go[0], 1)
            if a.send([b"from the child"]) == 1:
                status = 0
        finally:
            os._exit(status)
    assert b.receive() == [b"first"]
    assert device.munmap(a.memory) == 0
    assert device.close(a.fd) == 0
    assert device.stats()["handles"] == 3, "the child still has it"
    os.write(go[1], b"x")
    assert os.waitpid(child, 0)[1] == 0
    assert b.receive() == [b"from the child"]
    assert device.stats()["handles"] == 2
    for end in (*ready, *go):
        os.close(end)


def test_a_copy_of_a_descriptor_is_the_same_descriptor(device: Device) -> None:
    a, b = Binding(device, "x{1"), Binding(device, "x}1")
    copy = os.dup(a.fd)
    a.put([b"by the copy"])
    assert device.ioctl(copy, CODES["NIOCTXSYNC"]) == (0, 0)
    assert b.receive() == [b"by the copy"]
    assert device.close(a.fd) == 0
    assert device.ioctl(copy, CODES["NIOCTXSYNC"]) == (0, 0)
    assert device.close(copy) == 0


def test_a_stopped_process_does_not_stop_the_device(device: Device) -> None:
    """Nobody waits for a client that does not run: neither the broker nor other clients."""
    peer = device.spawn_peer()
    a, b = Binding(device, "x{1"), Binding(peer, "x}1")
    os.kill(peer.pid, signal.SIGSTOP)
    try:
        assert a.send([b"x"]) == 1
        assert a.poll(select.POLLOUT) == select.POLLOUT
        Binding(device, "y{1").close()
    finally:
        os.kill(peer.pid, signal.SIGCONT)
    assert b.receive() == [b"x"]


@pytest.mark.parametrize("path", ["/dev/netmap-that-is-not-there", "nonsense"])
def test_a_missing_node_is_one_clear_line(path: str) -> None:
    from netmap_native import DeviceMissing

    with pytest.raises(DeviceMissing) as missing:
        Device(path)
    assert path in str(missing.value) and "\n" not in str(missing.value)


def test_a_missing_broker_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from netmap_native import DeviceMissing

    monkeypatch.setenv("NETMAP_VERIFY_BROKER", str(tmp_path / "no-broker"))
    with pytest.raises(DeviceMissing, match="nm-broker") as missing:
        Device("user")
    assert "\n" not in str(missing.value)


def test_a_broker_that_fails_to_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from netmap_native import DeviceMissing

    monkeypatch.setenv("NETMAP_VERIFY_BROKER", "/bin/false")
    with pytest.raises(DeviceMissing):
        Device("user")

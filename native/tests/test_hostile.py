"""Clients that do not play by the rules: nonsense on the broker's socket, scribbling over shared memory.

The broker answers or hangs up, serves everybody else, and gives back what the offender held.
"""

from __future__ import annotations

import random
import select
import socket
from pathlib import Path

import pytest
from netmap_native import Binding, Device
from netmap_native.device import ports
from netmap_spec.abi import api14

SEED = 314


def _connect(device: Device) -> socket.socket:
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    raw.connect(str(Path(device.directory) / "netmap-verify.sock"))
    return raw


def test_nonsense_on_the_socket(device: Device) -> None:
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    for _ in range(200):
        with _connect(device) as raw:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with ours, theirs, open("/dev/null", "rb") as other:
                length = rng.choice((1, 31, 32, 33, 500, 16_416))
                message = bytearray(rng.randbytes(length))
                if rng.random() < 0.7 and length >= 12:  # a head that is nearly right
                    message[0:4] = (0x6E6D7631).to_bytes(4, "little")
                    message[4:8] = rng.randrange(14).to_bytes(4, "little")
                    message[8:12] = max(0, length - 32).to_bytes(4, "little")
                fds = rng.choice(([], [theirs.fileno()], [other.fileno()], [theirs.fileno()] * 20))
                socket.send_fds(raw, [bytes(message)], fds)
    a, b = Binding(device, "x{1"), Binding(device, "x}1")
    a.send([b"still here"])
    assert b.receive() == [b"still here"]
    assert device.stats()["handles"] == 3


def test_a_client_that_never_reads_its_answers(device: Device) -> None:
    """The broker waits for nobody: answers to a full socket are lost, others are served."""
    with _connect(device) as raw:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        head = (0x6E6D7631).to_bytes(4, "little") + (11).to_bytes(4, "little") + bytes(24)
        with ours, theirs:
            for _ in range(2000):
                socket.send_fds(raw, [head], [theirs.fileno()])
            assert device.stats()["handles"] >= 2


@pytest.mark.parametrize("port", ["pipe", "wire"])
def test_scribbling_over_the_shared_region(device: Device, port: str) -> None:
    """Interface records, rings and slots in random bytes, between syncs of both ends."""
    rng = random.Random(SEED + 1)
    device.configure(ports("v0", "v1", tx_slots=16, rx_slots=16))
    names = ("x{1", "x}1") if port == "pipe" else ("v0", "v1")
    for _ in range(15):
        a = Binding(device, names[0], tx_slots=16, rx_slots=16)
        b = Binding(device, names[1])
        ends = [(x, x.tx(), x.rx()) for x in (a, b)]
        for _ in range(60):
            x, tx, rx = rng.choice(ends)
            ring = rng.choice((tx, rx))
            for _ in range(rng.randrange(4)):
                where = ring.off + rng.randrange(api14.netmap_ring.SIZE + 16 * 16)
                x.mem.write(where, rng.randbytes(4))
            if rng.random() < 0.5:
                ring.head = ring.cur = rng.randrange(16)
            assert rng.choice((x.txsync, x.rxsync))() == 0
            x.poll(rng.choice((select.POLLIN, select.POLLOUT, 0)))
        a.mem.write(a.reg.nr_offset, rng.randbytes(64))
        a.close()
        b.close()
    assert device.stats() | {"pid": 0} == {
        "handles": 1, "ports": 2, "pipes": 0, "regions": 0, "krings": 8, "sleeping": 0, "pid": 0,
    }  # fmt: skip
    a, b = Binding(device, names[0]), Binding(device, names[1])
    a.send([b"as good as new" * 5])
    assert b.receive() == [b"as good as new" * 5]


def test_a_region_cannot_be_cut_off(device: Device) -> None:
    """The memory a client gets is sealed: truncating it would kill the broker at its next store."""
    import os

    binding = Binding(device, "x{1")
    pid = device.stats()["pid"]
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if "netmap-region" not in os.readlink(fd):
                continue
        except OSError:
            continue
        with open(fd, "r+b") as region, pytest.raises(PermissionError):
            region.truncate(4096)
        break
    else:
        pytest.fail("the broker has no region open")
    assert binding.txsync() == 0

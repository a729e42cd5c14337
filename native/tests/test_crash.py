"""Clients that are killed in the middle of a sync, at every place where that matters.

A build of the library with places to die in (``make -C native crash``) runs in a peer process; another
descriptor of this process is bound to the same rings and goes on with them. Whatever the dead one had
begun is either done or was never begun: no packet twice, none lost that was synced, no lock held, every
ring in order.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from netmap_native import Binding, Device, PeerGone
from netmap_native.application import CODES
from netmap_native.device import ports

NATIVE = Path(__file__).resolve().parents[1]
FRAMES = [bytes([i]) * 60 for i in range(1, 6)]


@pytest.fixture(scope="module")
def crashing(make: Callable[..., subprocess.CompletedProcess[str]]) -> dict[str, str]:
    """The environment of a peer that runs the crash build."""
    built = make("-s", "crash")
    assert built.returncode == 0, built.stderr
    return {"NETMAP_VERIFY_LIB": str(NATIVE.parent / "build" / "native-crash")}


def _dies(device: Device, env: dict[str, str], place: str, port: str, what: str, prepare: str) -> None:
    """A peer binds ``port``, prepares its ring and dies in the sync ``what``."""
    peer = device.spawn_peer(env | {"NMD_CRASH": place})
    p = Binding(peer, port)
    if prepare == "put":
        p.put(FRAMES)
    else:
        p.rx().head = p.rx().cur = 3
    with pytest.raises(PeerGone):
        peer.ioctl(p.fd, CODES[what])


@pytest.mark.parametrize(
    "place",
    ["tx-locked", "tx-entered", "pipe-slot", "pipe-tx-uncommitted", "pipe-tx-committed", "tx-done"],
)
def test_a_pipes_sender_dies(in_process: Device, crashing: dict[str, str], place: str) -> None:
    device = in_process
    shared = Binding(device, "x{1", tx_slots=16, rx_slots=16)
    b = Binding(device, "x}1")
    _dies(device, crashing, place, "x{1", "NIOCTXSYNC", "put")
    seen = b.receive()
    assert seen in ([], FRAMES), "all or nothing"
    # The other holder of the ring goes on: what was not sent is still before head, and goes out now.
    assert shared.txsync() == 0
    assert seen + b.receive() == FRAMES
    assert shared.send([b"more"]) == 1
    assert b.receive() == [b"more"]
    assert b.rxsync() == shared.txsync() == 0
    assert shared.tx().tail == 5, "six slots came back"


@pytest.mark.parametrize("place", ["rx-entered", "pipe-slot", "pipe-rx-uncommitted", "pipe-rx-committed"])
def test_a_pipes_receiver_dies(in_process: Device, crashing: dict[str, str], place: str) -> None:
    device = in_process
    a = Binding(device, "x{1", tx_slots=16, rx_slots=16)
    shared = Binding(device, "x}1")
    a.send(FRAMES)
    assert shared.rxsync() == 0
    _dies(device, crashing, place, "x}1", "NIOCRXSYNC", "release")
    assert shared.rxsync() == a.txsync() == 0
    assert a.tx().tail == 2, "three slots came back, once"
    assert shared.receive() == FRAMES[3:]


@pytest.mark.parametrize(
    "place", ["tx-locked", "tx-entered", "nic-unpublished", "nic-intent", "nic-committed", "tx-done"]
)
def test_a_nics_sender_dies(in_process: Device, crashing: dict[str, str], place: str) -> None:
    device = in_process
    device.configure(ports("v0", "v1", tx_slots=16, rx_slots=16))
    shared, b = Binding(device, "v0"), Binding(device, "v1")
    _dies(device, crashing, place, "v0", "NIOCTXSYNC", "put")
    assert shared.txsync() == 0
    assert b.receive() == FRAMES, "on the wire once"
    assert shared.send([b"."]) == 1
    assert b.receive() == [b"."]


@pytest.mark.parametrize("place", ["tx-entered", "pipe-slot"])
def test_a_client_that_is_stopped_in_a_sync(
    in_process: Device, crashing: dict[str, str], place: str, soon: Callable[[Callable[[], bool]], None]
) -> None:
    """14.sync.busy: nobody waits for it. Others leave its ring out, and it ends its sync when it may."""
    device = in_process
    shared = Binding(device, "x{1", tx_slots=16, rx_slots=16)
    b = Binding(device, "x}1")
    peer = device.spawn_peer(crashing | {"NMD_STOP": place})
    p = Binding(peer, "x{1")
    p.put(FRAMES)
    peer.begin("ioctl", fd=p.fd, code=CODES["NIOCTXSYNC"])
    state = Path(f"/proc/{peer.pid}/stat")
    soon(lambda: state.read_text().rsplit(")", 1)[1].split()[0] == "T")
    assert shared.txsync() == 0
    assert shared.poll(select.POLLIN, 10) == 0
    assert b.receive() == []
    shared.close()
    assert device.stats()["pipes"] == 1
    while peer_is_stopped(state):
        os.kill(peer.pid, signal.SIGCONT)
    assert peer.finish()["errno"] == 0
    assert b.receive() == FRAMES


def peer_is_stopped(state: Path) -> bool:
    """It stops once for every slot: go on until it has done them all and waits for its next request."""
    return state.read_text().rsplit(")", 1)[1].split()[0] != "S"


@pytest.mark.parametrize("place", ["pipe-slot", "nic-unpublished", "nic-intent"])
def test_nobody_else_holds_the_rings(in_process: Device, crashing: dict[str, str], place: str) -> None:
    """Then they go with the dead one, and whoever opens the port next finds a fresh one."""
    device = in_process
    device.configure(ports("v0", "v1", tx_slots=16, rx_slots=16))
    port, far = ("x{1", "x}1") if place.startswith("pipe") else ("v0", "v1")
    b = Binding(device, far)
    _dies(device, crashing, place, port, "NIOCTXSYNC", "put")
    again = Binding(device, port)
    left = b.receive()
    assert left in ([], FRAMES)
    again.txsync()
    # A pipe's end is found as it was left, a NIC's ring is new.
    rest = FRAMES if place.startswith("pipe") and not left else []
    assert b.receive() == rest
    assert again.send([b"new"]) == 1
    assert b.receive() == [b"new"]

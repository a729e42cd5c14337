"""Generation 14: smallest traces of what ports do with packets, where a finding breaks it (:mod:`..traces`).

Host rings, the emulated adapter, monitors, pipes with offsets, switches.
"""

from __future__ import annotations

from netmap_reference.core.choice import eager
from netmap_reference.gen14 import offsets, offsets_bind
from netmap_reference.gen14.ports import bwrap, forward, host, monitor, monitor_ends, nic_mode, offload, wire
from netmap_reference.gen14.world import PortConfig, World
from netmap_spec.abi import api14

from ..traces import (
    FORWARD,
    MONITOR_RX,
    MONITOR_TX,
    OTHERS,
    Goals,
    ask,
    bind,
    faults,
    fill,
    frame,
    good,
    promise,
    register,
    send,
    shown,
    take,
)

_PIPE = {"name": "x{1", "tx_slots": 8, "rx_slots": 8}


# --- host rings and devices -------------------------------------------------------------------------------


def second_host_ring(w: World) -> Goals:
    made = bind(w, "A", name="v0", mode="NIC_SW", host_tx_rings=2, host_rx_rings=2)
    yield OTHERS, good(made)
    for ring in ("rx2", "rx3"):
        w.ring("A", ring).flags = FORWARD
    for i in range(2):
        w.frame("v0", "host", frame(0x11 * (i + 1)), eager)
    for ring in ("rx2", "rx3"):
        take(w, "A", ring, flags=api14.NS_FORWARD)
    w.rxsync("A", eager)
    w.txsync("A", eager)
    up, out = w.frames("v0", "host"), w.frames("v0", "wire")
    yield (
        "what came from the host and is forwarded goes out, from every host ring",
        len(out) == 2 and up == [],
    )


promise(
    "14.host.forward-second", ("14.host.forward",), second_host_ring, host.FIRST_HOST_RING, "F14-032",
    "what came from the host and is forwarded goes out, from every host ring",
    "A frame of any host ring that is marked for forwarding goes down to the wire, and none goes back up.",
    "only the first host ring counts as one, and frames of the second go back to the host",
)  # fmt: skip


def ring_leaves(w: World) -> Goals:
    made = [bind(w, "A", name="m0", mode="ONE_NIC", ringid=0)]
    made.append(bind(w, "B", name="m0", mode="ONE_NIC", ringid=1, flags="NR_TX_RINGS_ONLY"))
    yield OTHERS, good(*made)
    for i in range(2):
        w.frame("m0", "wire", frame(0x11 * (i + 1)), eager)
    w.tau(eager)
    w.close("B")
    found = take(w, "A")
    yield "a ring that leaves takes nothing from the others", found == [frame(0x11), frame(0x22)]


promise(
    "14.nic.ring-leaves", ("14.nic.rxsync",), ring_leaves, nic_mode.EMULATED_PURGES, "F14-033",
    "a ring that leaves takes nothing from the others",
    "Frames that wait for one ring of an emulated port are received though another ring is closed.",
    "the queues of all rings are emptied",
    ports=(PortConfig("m0", tx_rings=2, tx_slots=8, rx_slots=8, emulated=True),),
)  # fmt: skip


def bad_receive_slot(w: World) -> Goals:
    made = bind(w, "A", name="m0")
    yield OTHERS, good(made)
    view = w.ring("A", "rx0")
    kept = view.slot[1].buf_idx
    view.slot[1].buf_idx = 99_999_999
    for i in range(3):
        w.frame("m0", "wire", frame(0x11 * (i + 1)), eager)
    first = take(w, "A")
    view.slot[1].buf_idx = kept
    view.slot[1].flags |= api14.NS_BUF_CHANGED
    rest = take(w, "A") + take(w, "A")
    yield (
        "frames wait for a slot that has a buffer",
        first + rest == [frame(0x11 * (i + 1)) for i in range(3)],
    )


promise(
    "14.nic.waits-for-buffer", ("14.nic.rxsync", "14.nic.bad-slot"), bad_receive_slot, wire.LOSES, "F14-054",
    "frames wait for a slot that has a buffer",
    "A receive slot without a buffer keeps frames waiting until it has one; none of them is lost.",
    "all frames that were taken with it are lost",
)  # fmt: skip


# --- monitors -----------------------------------------------------------------------------------------------


def orphans(w: World) -> Goals:
    made = [bind(w, "A", **_PIPE), bind(w, "B", name="x}1")]
    made += [bind(w, fd, name="x{1", flags="NR_ZCOPY_MON") for fd in "LM"]
    yield OTHERS, good(*made)
    send(w, "A", b"a packet" * 8)
    take(w, "B")
    w.rxsync("B", eager)
    w.txsync("A", eager)
    yield OTHERS, take(w, "L") == [b"a packet" * 8]
    for fd in "AM":
        w.close(fd)
    after = w.rxsync("L", eager)
    yield "a monitor that was closed is not written to", not faults(after)


promise(
    "14.monitor.orphans", ("14.monitor.port-leaves", "14.monitor.close"), orphans,
    monitor_ends.CHAINED_ORPHANS, "F14-106",
    "a monitor that was closed is not written to",
    "Monitors whose port has left depend on nobody: one of them is closed, and another one syncs.",
    "the list still leads to the ring of the one that is gone",
)  # fmt: skip


def no_entry(w: World) -> Goals:
    made = bind(w, "A", **_PIPE)
    w.open("M")
    yield OTHERS, good(made)
    w.fail("monitor.array")
    failed = register(w, "M", name="x{1", flags=MONITOR_TX)
    again = register(w, "M", name="x{1", flags=MONITOR_TX) if not failed.outcome.ok else failed
    send(w, "A", b"a packet" * 8)
    yield "a monitor that is opened sees what passes", good(again) and take(w, "M") == [b"a packet" * 8]


promise(
    "14.monitor.no-entry", ("14.monitor.several", "14.failure.errno"), no_entry, monitor_ends.FAILS_UNNOTICED,
    "F14-107",
    "a monitor that is opened sees what passes",
    "A copy monitor for which there is no memory in a ring's list is refused; one that is opened sees.",
    "it is opened all the same, and sees nothing",
)  # fmt: skip


def unattached(w: World) -> Goals:
    made = [bind(w, "A", name="v0"), bind(w, "M", name="v0", flags=MONITOR_RX, mode="SW")]
    yield OTHERS, good(*made)
    w.close("A")
    told = w.poll("M", frozenset({"in"}), eager).revents
    yield "a monitor learns that its port has left", "err" in told


promise(
    "14.monitor.unattached", ("14.monitor.port-leaves",), unattached, monitor_ends.NOT_TOLD, "F14-107",
    "a monitor learns that its port has left",
    "Every monitor of a port that leaves is told, also one that stands at none of its rings.",
    "one that stands at no ring, as those of host rings do (F14-102), is not",
    also={monitor_ends.HOST_UNWATCHED},
)  # fmt: skip


def marked(w: World) -> Goals:
    made = [bind(w, "A", name="v0"), bind(w, "M", name="v0", flags=MONITOR_TX)]
    yield OTHERS, good(*made)
    send(w, "A", frame(0x11))
    w.ring("M", "rx0").flags = FORWARD
    yield OTHERS, take(w, "M", flags=api14.NS_FORWARD) == [frame(0x11)]
    after = w.rxsync("M", eager)
    yield "a monitor forwards nothing", good(after) and w.frames("v0", "host") == []


promise(
    "14.monitor.marked", ("14.monitor.no-forwarding",), marked, monitor.FORWARDS, "F14-108",
    "a monitor forwards nothing",
    "Marks for forwarding do nothing in a monitor's ring, though its port has host rings.",
    "the packet is for an interface that a monitor does not have",
)  # fmt: skip


def watched_out(w: World) -> Goals:
    w.open("A")
    made = [ask(w, "A", "VALE_ATTACH", name="vale0:v0")]
    made += [bind(w, "B", name="vale0:b", tx_slots=8, rx_slots=8)]
    made += [bind(w, "N", name="vale0:v0", flags=MONITOR_RX)]
    yield OTHERS, good(*made)
    sent = send(w, "B", frame(0x11))
    yield "a monitor shows what the switch has for an interface", good(sent) and take(w, "N") == [frame(0x11)]


promise(
    "14.bwrap.watched-out", ("14.bwrap.monitor",), watched_out, bwrap.UNSYNCED, "F14-071",
    "a monitor shows what the switch has for an interface",
    "A monitor of what a switch has for an attached interface shows it, and it goes out.",
    "the kernel calls a function that the port does not have",
)  # fmt: skip


# --- offsets ------------------------------------------------------------------------------------------------


def _asks(initial: int, maximum: int = 64, bits: int = 0) -> list[dict[str, int | str]]:
    return [{"type": "OFFSETS", "max_offset": maximum, "initial_offset": initial, "offset_bits": bits}]


def initial(w: World) -> Goals:
    made = [bind(w, "A", **_PIPE)]
    yield OTHERS, good(*made)
    send(w, "A", b"a packet" * 8)
    made.append(bind(w, "B", name="x}1", options=_asks(32)))
    yield OTHERS, good(*made)
    w.rxsync("B", eager)
    yield "a packet that waits is shown where it begins", shown(w, "B") == [b"a packet" * 8]


promise(
    "14.offsets.initial-spares", ("14.offsets.initial",), initial, offsets_bind.INITIAL_OVERWRITES, "F14-111",
    "a packet that waits is shown where it begins",
    "An initial offset is not written into slots whose packets wait.",
    "it is written into them, and they are shown elsewhere",
)  # fmt: skip


def forwarded(w: World) -> Goals:
    made = bind(w, "A", name="v0", mode="NIC_SW", options=_asks(16))
    yield OTHERS, good(made)
    w.ring("A", "tx0").slot[0].ptr = 8
    w.ring("A", "rx2").flags = FORWARD
    w.frame("v0", "host", frame(0x11), eager)
    take(w, "A", "rx2", flags=api14.NS_FORWARD)
    w.rxsync("A", eager)
    w.txsync("A", eager)
    yield "a frame that is forwarded is sent from where it begins", w.frames("v0", "wire") == [frame(0x11)]


promise(
    "14.offsets.forwarded-from", ("14.offsets.forwarded",), forwarded, forward.LOSES_OFFSET, "F14-114",
    "a frame that is forwarded is sent from where it begins",
    "A frame of the host that is forwarded takes its offset along into the transmit ring.",
    "it is sent from the offset of the slot it goes to",
)  # fmt: skip


_PORT = {"tx_slots": 8, "rx_slots": 8}


def across(w: World) -> Goals:
    w.open("A")
    made = [register(w, "A", name="vale0:a", flags="NR_ACCEPT_VNET_HDR", **_PORT)]
    made.append(ask(w, "A", "PORT_HDR_SET", name="vale0:a", hdr_len=10))
    made.append(bind(w, "B", name="vale0:b", options=_asks(64, 128, 16), **_PORT))
    yield OTHERS, good(*made)
    send(w, "A", bytes(10) + frame(0x11))
    w.rxsync("B", eager)
    yield "a packet whose header goes is stored where its receiver looks", shown(w, "B") == [frame(0x11)]


promise(
    "14.offsets.across-headers", ("14.offsets.headers",), across, offsets.NOT_ACROSS, "F14-115",
    "a packet whose header goes is stored where its receiver looks",
    "Where headers differ, a switch stores at the offset that the receiver's slot says.",
    "it stores at the start of the buffer",
)  # fmt: skip


# --- headers of offloads ------------------------------------------------------------------------------------


def _header(flags: int, start: int, offset: int) -> bytes:
    """A virtio-net header of 10 bytes that asks for a checksum."""
    return bytes((flags, 0)) + bytes(4) + start.to_bytes(2, "little") + offset.to_bytes(2, "little")


def wild_checksum(w: World) -> Goals:
    w.open("A")
    made = [register(w, "A", name="vale0:a", flags="NR_ACCEPT_VNET_HDR", **_PORT)]
    made.append(ask(w, "A", "PORT_HDR_SET", name="vale0:a", hdr_len=10))
    made.append(bind(w, "B", name="vale0:b", **_PORT))
    yield OTHERS, good(*made)
    wild = send(w, "A", _header(1, 2000, 6) + frame(0x11))
    yield "a checksum that would begin behind the packet is not computed", not faults(wild)


promise(
    "14.offload.wild-checksum", ("14.offload.bad-header",), wild_checksum, offload.TRUSTS, "F14-063",
    "a checksum that would begin behind the packet is not computed",
    "A virtio-net header that asks for a checksum from behind the packet on has none computed.",
    "the kernel sums over a negative length",
)  # fmt: skip


def odd_fragments(w: World) -> Goals:
    w.open("A")
    made = [register(w, "A", name="vale0:a", flags="NR_ACCEPT_VNET_HDR", **_PORT)]
    made.append(ask(w, "A", "PORT_HDR_SET", name="vale0:a", hdr_len=10))
    made.append(bind(w, "B", name="vale0:b", **_PORT))
    yield OTHERS, good(*made)
    packet = _header(1, 34, 6) + frame(0x11)[:14] + bytes(range(50))
    send(w, "A", packet)
    whole = b"".join(take(w, "B"))
    fill(w, "A", "tx0", packet[:55], flags=int(api14.NS_MOREFRAG))
    send(w, "A", packet[55:])
    parts = b"".join(take(w, "B"))
    yield "a packet in fragments has the checksum it has in one", whole != b"" and parts == whole


promise(
    "14.offload.odd-fragments", ("14.offload.checksum",), odd_fragments, offload.CHECKSUMS, "F14-068",
    "a packet in fragments has the checksum it has in one",
    "A checksum that a switch computes does not depend on how the packet was cut into slots.",
    "behind a fragment of odd length it is wrong",
)  # fmt: skip

"""How fast two ports move packets: the measurement behind ``hwtests`` and ``bench``.

One application opens both ends. Every transmit slot is filled once; a packet then costs nothing but its
share of a batch: ``head`` moves over all free slots, one txsync, and on the other side one rxsync gives a
batch back. So the figure is the device's, not Python's, once batches are a few hundred slots long.

A frame carries the ethertype 0x88b5 (local experiments) and a mark; the first slot of every received
batch is looked at, a batch that starts with anything else counts as ``foreign``.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netmap_spec.abi import Buffer, api14

from .errors import ABSENT, UserError
from .targets.entry import EVENTS, FLAGS, PROT, SYSTEM, EntryPoints
from .targets.mapping import Mapping
from .targets.memory import address
from .trace import Port

CODES = api14.IOCTLS[SYSTEM]
ETHERTYPE = bytes.fromhex("88b5")
MARK = b"netmap-verify"
#: Octets of a frame on the wire beside its own: preamble, checksum, gap.
OVERHEAD = 8 + 4 + 12
#: How long nothing has to arrive before the rest counts as lost, in seconds.
GONE_S = 2.0


@dataclass(frozen=True, slots=True)
class Rate:
    """What was measured. ``size`` is the frame's length in bytes, without checksum; times in seconds.

    ``sent`` packets left their ring in ``tx_seconds``; ``received`` arrived in ``rx_seconds``, counted from
    the first txsync to the last packet. ``foreign`` of the ``batches`` began with somebody else's frame.
    """

    port_a: str
    port_b: str
    size: int
    sent: int
    received: int
    tx_seconds: float
    rx_seconds: float
    batches: int
    foreign: int

    @property
    def lost(self) -> int:
        return max(0, self.sent - self.received)

    @property
    def tx_pps(self) -> float:
        """Packets a second that were transmitted."""
        return self.sent / self.tx_seconds if self.tx_seconds else 0.0

    @property
    def rx_pps(self) -> float:
        """Packets a second that were received."""
        return self.received / self.rx_seconds if self.rx_seconds else 0.0

    def text(self) -> str:
        """One line for people."""
        share = ""
        line = line_rate(self.port_a, self.size)
        if line:
            share = f", {100 * self.tx_pps / line:.1f} % of line rate"
        return (
            f"{self.port_a} -> {self.port_b}, {self.size} bytes: tx {self.tx_pps / 1e6:.3f} Mpps{share}, "
            f"rx {self.rx_pps / 1e6:.3f} Mpps, {self.lost} of {self.sent} lost"
        )


def line_rate(port: str, size: int) -> float:
    """Packets of ``size`` bytes a second that the link of ``port`` can carry; 0 when nobody knows."""
    try:
        megabits = int(Path(f"/sys/class/net/{port.split(':')[-1]}/speed").read_text())
    except (OSError, ValueError):
        return 0.0
    return megabits * 1e6 / (8 * (size + OVERHEAD)) if megabits > 0 else 0.0


class OpenPort:
    """All hardware rings of one port, registered and mapped. Raises :class:`UserError` when it cannot be."""

    def __init__(self, device: EntryPoints, name: str) -> None:
        self.device = device
        self.name = name
        self.fd, code = device.open()
        if self.fd < 0:
            raise UserError(f"{name}: the device cannot be opened: {os.strerror(code)}", ABSENT)
        try:
            self._bind()
        except BaseException:
            device.close(self.fd)
            raise

    def _bind(self) -> None:
        body_bytes, header_bytes = bytearray(api14.nmreq_register.SIZE), bytearray(api14.nmreq_header.SIZE)
        body, header = api14.nmreq_register(Buffer(body_bytes)), api14.nmreq_header(Buffer(header_bytes))
        header.nr_version, header.nr_reqtype = api14.NETMAP_API, api14.NETMAP_REQ_REGISTER
        header.nr_name, header.nr_body = self.name, address(body_bytes)
        body.nr_mode = api14.NR_REG_ALL_NIC
        ret, code = self.device.ioctl(self.fd, CODES["NIOCCTRL"], header_bytes)
        if ret < 0:
            raise UserError(f"{self.name}: cannot be put in netmap mode: {os.strerror(code)}", ABSENT)
        size, offset = body.nr_memsize, body.nr_offset
        self.memory, code = self.device.mmap(self.fd, size, PROT["rw"], FLAGS["shared"], 0)
        if code:
            raise UserError(f"{self.name}: its rings cannot be mapped: {os.strerror(code)}", ABSENT)
        mapping = Mapping(Buffer(self.memory), size, offset)
        self.mapping = mapping
        count = mapping.nifp().ni_tx_rings, mapping.nifp().ni_rx_rings
        self.tx = [mapping.ring(f"tx{i}") for i in range(count[0])]
        self.rx = [mapping.ring(f"rx{i}") for i in range(count[1])]

    def fill(self, size: int) -> None:
        """Put one frame of ``size`` bytes into the buffer of every transmit slot."""
        frame = (b"\xff" * 6 + b"\x02\0\0\0\0\x01" + ETHERTYPE + MARK).ljust(size, b"\0")[:size]
        for ring in self.tx:
            for index in range(ring.num_slots):
                slot = ring.slot[index]
                slot.len, slot.flags = size, 0
                self.mapping.write(ring.buf_ofs + ring.off + slot.buf_idx * ring.nr_buf_size, frame)

    def send(self, most: int) -> int:
        """Hand at most ``most`` packets over and sync; how many were."""
        sent = 0
        for ring in self.tx:
            n, head = ring.num_slots, ring.head
            count = min((ring.tail - head) % n, most - sent)
            if count:
                ring.head = ring.cur = (head + count) % n
                sent += count
        self._sync("NIOCTXSYNC")
        return sent

    def pending(self) -> int:
        """Packets handed over that have not left the rings, as of the last sync."""
        return sum((ring.head - ring.tail - 1) % ring.num_slots for ring in self.tx)

    def receive(self) -> tuple[int, int, int]:
        """Sync and give everything back; (packets, batches, batches that began with a foreign frame)."""
        self._sync("NIOCRXSYNC")
        packets = batches = foreign = 0
        for ring in self.rx:
            n, head, tail = ring.num_slots, ring.head, ring.tail
            count = (tail - head) % n
            if count:
                packets += count
                batches += 1
                foreign += not self._mine(ring, head)
                ring.head = ring.cur = tail
        return packets, batches, foreign

    def _mine(self, ring: Any, index: int) -> bool:
        at = ring.off + ring.buf_ofs + ring.slot[index].buf_idx * ring.nr_buf_size
        return self.mapping.read(at + 12, 2 + len(MARK)) == ETHERTYPE + MARK

    def _sync(self, code: str) -> None:
        ret, errno = self.device.ioctl(self.fd, CODES[code], None)
        if ret < 0:
            raise UserError(f"{self.name}: {code}: {os.strerror(errno)}", ABSENT)

    def wait(self, milliseconds: int) -> None:
        """Sleep until a packet arrives, at most so long."""
        self.device.poll(self.fd, EVENTS["in"], milliseconds)

    def close(self) -> None:
        """Give the rings back and leave netmap mode."""
        self.rx, self.tx = [], []
        del self.mapping
        self.device.munmap(self.memory)
        self.device.close(self.fd)


def measure(device: EntryPoints, port_a: str, port_b: str, packets: int, size: int = 60) -> Rate:
    """Send ``packets`` frames of ``size`` bytes from ``port_a`` and receive them at ``port_b``.

    The ports must be the two ends of one wire. Raises :class:`UserError` when one cannot be opened.
    """
    a = OpenPort(device, port_a)
    try:
        b = OpenPort(device, port_b)
        try:
            a.fill(size)
            return _run(a, b, packets, size)
        finally:
            b.close()
    finally:
        a.close()


def _run(a: OpenPort, b: OpenPort, packets: int, size: int) -> Rate:
    b.receive()  # what was there before is not ours
    # A receiver gives slots back at its next sync only: a batch must fit beside the one before it.
    batch = max(1, min(ring.num_slots for ring in b.rx) // 2 - 1)
    sent = received = batches = foreign = 0
    started = last_tx = last_rx = time.perf_counter()
    while sent < packets or a.pending() or received < sent:
        moved = a.send(min(batch, packets - sent))
        got, more, strange = b.receive()
        now = time.perf_counter()
        if sent < packets or a.pending():
            last_tx = now
        if got:
            last_rx = now
        sent, received = sent + moved, received + got
        batches, foreign = batches + more, foreign + strange
        if not moved and not got:
            if now - max(last_rx, started) > GONE_S and now - last_tx > GONE_S:
                break
            b.wait(50)
    return Rate(a.name, b.name, size, sent, received, last_tx - started, last_rx - started, batches, foreign)


def user_ports(a: str = "nma", b: str = "nmb", slots: int = 1024) -> list[Port]:
    """Two ports for the device in user space, wired to each other."""
    return [Port(name=name, peer=peer, tx_slots=slots, rx_slots=slots) for name, peer in ((a, b), (b, a))]

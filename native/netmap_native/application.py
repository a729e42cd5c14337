"""A small netmap application in Python: bind a port, look at its rings, send and receive frames.

It works on a :class:`~netmap_native.Device` and, in another process, on a :class:`~netmap_native.Peer`,
through the same calls. It is meant for tests and measurements: it trusts the device.

    with Device() as device:
        a, b = Binding(device, "x{1"), Binding(device, "x}1")
        a.send([b"hello"])
        assert b.receive() == [b"hello"]
"""

from __future__ import annotations

import mmap
import os
import select
import sys
from collections.abc import Sequence
from typing import Any

from netmap_spec.abi import Buffer, api14

from .peer_process import Memory, Peer

CODES = api14.IOCTLS["freebsd" if sys.platform.startswith("freebsd") else "linux"]


def fail(code: int, what: str) -> None:
    """Raise ``OSError`` when ``code`` is an errno."""
    if code:
        raise OSError(code, f"{what}: {os.strerror(code)}")


def header(request: int, name: str, version: int = api14.NETMAP_API) -> bytearray:
    """A ``struct nmreq_header`` without pointers."""
    raw = bytearray(api14.nmreq_header.SIZE)
    view = api14.nmreq_header(Buffer(raw))
    view.nr_version, view.nr_reqtype, view.nr_name = version, request, name
    return raw


def control(device: Any, fd: int, head: bytearray, body: bytearray | None = None) -> int:
    """NIOCCTRL on a device or a peer, with ``body`` behind the header's pointer; 0 or an errno."""
    if isinstance(device, Peer):
        return device.control(fd, head, body)[1]
    if body is not None:
        at = int(device.address(body))
        head[80:88] = at.to_bytes(8, "little")
    return int(device.ioctl(fd, CODES["NIOCCTRL"], head)[1])


def register(device: Any, fd: int, name: str, **fields: int) -> tuple[int, api14.nmreq_register]:
    """REGISTER; fields are those of ``nmreq_register`` without ``nr_``. ``(errno, the body afterwards)``."""
    raw = bytearray(api14.nmreq_register.SIZE)
    body = api14.nmreq_register(Buffer(raw))
    body.nr_mode = api14.NR_REG_ALL_NIC
    for key, value in fields.items():
        setattr(body, f"nr_{key}", value)
    return control(device, fd, header(api14.NETMAP_REQ_REGISTER, name), raw), body


class Binding:
    """A descriptor bound to a port, and its mapping. Raises ``OSError`` when one of the steps fails."""

    def __init__(self, device: Any, name: str, **fields: int) -> None:
        self.device = device
        self.fd, code = device.open()
        fail(code, "open")
        code, self.reg = register(device, self.fd, name, **fields)
        if code:
            device.close(self.fd)
        fail(code, f"register {name}")
        prot = mmap.PROT_READ | mmap.PROT_WRITE
        self.memory, code = device.mmap(self.fd, self.reg.nr_memsize, prot, mmap.MAP_SHARED, 0)
        fail(code, "mmap")
        self.mem = self.memory if isinstance(self.memory, Memory) else Buffer(self.memory)
        self.nifp = api14.netmap_if(self.mem, self.reg.nr_offset)

    # --- rings ------------------------------------------------------------------------------------

    def _ring(self, position: int) -> api14.netmap_ring:
        offset = self.nifp.ring_ofs[position]
        if offset == 0:
            raise LookupError(f"the descriptor is not bound to ring_ofs[{position}]")
        return api14.netmap_ring(self.mem, self.reg.nr_offset + offset)

    def tx(self, i: int = 0) -> api14.netmap_ring:
        """Transmit ring ``i``; host rings count on after the hardware ones."""
        return self._ring(i)

    def rx(self, i: int = 0) -> api14.netmap_ring:
        """Receive ring ``i``."""
        return self._ring(self.nifp.ni_tx_rings + self.nifp.ni_host_tx_rings + i)

    def buffer(self, ring: api14.netmap_ring, buf_idx: int) -> int:
        """Offset in the region of a buffer."""
        return int(ring.off + ring.buf_ofs + buf_idx * ring.nr_buf_size)

    # --- calls ------------------------------------------------------------------------------------

    def txsync(self) -> int:
        """0 or an errno."""
        return int(self.device.ioctl(self.fd, CODES["NIOCTXSYNC"])[1])

    def rxsync(self) -> int:
        """0 or an errno."""
        return int(self.device.ioctl(self.fd, CODES["NIOCRXSYNC"])[1])

    def poll(self, events: int = select.POLLIN, timeout_ms: int = 0) -> int:
        """``revents``. Raises ``OSError``."""
        _, revents, code = self.device.poll(self.fd, events, timeout_ms)
        fail(code, "poll")
        return int(revents)

    def put(self, frames: Sequence[bytes], ring: int = 0) -> int:
        """Store frames into free slots and advance head and cur; how many there was room for."""
        r = self.tx(ring)
        n, head, tail = r.num_slots, r.head, r.tail
        done = 0
        for frame in frames:
            if head == tail:
                break
            slot = r.slot[head]
            self.mem.write(self.buffer(r, slot.buf_idx), frame)
            slot.len = len(frame)
            slot.flags = 0
            head = (head + 1) % n
            done += 1
        r.head = r.cur = head
        return done

    def send(self, frames: Sequence[bytes], ring: int = 0) -> int:
        """:meth:`put` and a txsync; how many frames."""
        done = self.put(frames, ring)
        fail(self.txsync(), "txsync")
        return done

    def get(self, ring: int = 0) -> list[bytes]:
        """The frames that are there, their slots released (with the next sync); fragments one by one."""
        r = self.rx(ring)
        n, head, tail = r.num_slots, r.head, r.tail
        found = []
        while head != tail:
            slot = r.slot[head]
            found.append(self.mem.read(self.buffer(r, slot.buf_idx), slot.len))
            head = (head + 1) % n
        r.head = r.cur = head
        return found

    def receive(self, ring: int = 0) -> list[bytes]:
        """An rxsync and :meth:`get`."""
        fail(self.rxsync(), "rxsync")
        return self.get(ring)

    def close(self) -> None:
        """Unmap and close."""
        if self.memory is not None:
            self.device.munmap(self.memory)
            self.memory = None
        fail(self.device.close(self.fd), "close")

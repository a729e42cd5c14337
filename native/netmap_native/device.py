"""A netmap device through its five entry points, at the level of the ABI.

:class:`Device` drives either the device in user space (``libnetmap_user.so`` and its broker) or a node of the
kernel, through the C backend's one table of functions. Errnos are numbers of this system, 0 for success,
as the runner's ``EntryPoints`` wants them.
"""

from __future__ import annotations

import errno as errnos
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from . import _library
from ._library import DeviceMissing, NotBuilt
from .peer_process import Peer

CDEF = """
struct pollfd { int fd; short events; short revents; };
struct nmx_ops {
    int (*open)(const char *device, int flags);
    int (*ioctl)(int fd, unsigned long request, void *arg);
    void *(*mmap)(void *addr, size_t length, int prot, int flags, int fd, ssize_t offset);
    int (*munmap)(void *addr, size_t length);
    int (*poll)(struct pollfd *fds, unsigned long nfds, int timeout_ms);
    int (*close)(int fd);
};
const struct nmx_ops *nmx_ops(const char *device);
int nmx_check(const char *device, char *message, size_t room);

struct nmu_port {
    char name[16]; char peer[16];
    uint32_t tx_rings, rx_rings, tx_slots, rx_slots; uint32_t mtu; uint32_t host_only;
};
struct nmu_stats { uint32_t handles, ports, pipes, regions, krings, sleeping, pid; };
int nmu_configure(int fd, const struct nmu_port *ports, size_t count);
int nmu_frame(int fd, const char *port, int side, const void *data, size_t length);
ssize_t nmu_frames(int fd, const char *port, int side, void *data, size_t room);
int nmu_quiet(int fd);
int nmu_stats(int fd, struct nmu_stats *stats);
const char *nmu_mode(int fd);
"""

SIDES = {"wire": 0, "host": 1}
FRAME_ROOM = 1 << 14
ENVIRONMENT = frozenset({"configure", "frame", "quiet", "peer"})


class PortLike(Protocol):
    """What :meth:`Device.configure` reads of a port: the fields of a trace's ``Port``."""

    name: str
    kind: str
    peer: str
    tx_rings: int
    rx_rings: int
    tx_slots: int
    rx_slots: int
    mtu: int


class Device:
    """One netmap device.

    ``kind`` is ``"user"`` for a device in user space of its own (a private directory, a private broker),
    ``"user:DIRECTORY"`` for the one that lives in that directory, or the path of a node. ``mode`` is
    ``"brokered"`` or ``"in-process"``; it counts for whoever starts the broker. Raises
    :class:`~netmap_native.NotBuilt` without the C side and :class:`~netmap_native.DeviceMissing` when the
    device cannot be opened; both are one line.
    """

    def __init__(self, kind: str = "user", mode: str = "") -> None:
        self._ffi, self._lib = _library.load("libnetmap_user.so", CDEF)
        self.user = kind == "user" or kind.startswith("user:")
        self.environment = ENVIRONMENT if self.user else frozenset({"peer"})
        self.mode = mode
        self._own = kind == "user"
        self._kind = kind
        self._fds: set[int] = set()
        self._mapped: dict[int, tuple[int, int]] = {}
        self._peers: list[Peer] = []
        self._env = -1
        self._start()

    # --- life -----------------------------------------------------------------------------------

    @property
    def directory(self) -> str:
        """Where a device in user space has its socket; empty for a node."""
        return self.device.removeprefix("user:") if self.user else ""

    def _start(self) -> None:
        self.device = self._kind
        if self._own:
            self.device = "user:" + tempfile.mkdtemp(prefix="netmap-verify-")
        name = self.device.encode()
        self._ops = self._lib.nmx_ops(name)
        if self._ops == self._ffi.NULL:
            raise DeviceMissing(f"{self._kind}: neither 'user' nor the path of a device node")
        if self.user:
            self._env = self._open_in_mode(name)
        if not self.user or self._env < 0:
            message = self._ffi.new("char[]", 512)
            if self._lib.nmx_check(name, message, 512) != 0:
                self._remove()
                raise DeviceMissing(self._ffi.string(message).decode())

    def _open_in_mode(self, name: bytes) -> int:
        """Open one descriptor; whoever starts the broker decides its mode, by an environment variable."""
        before = os.environ.get("NETMAP_VERIFY_MODE")
        if self.mode:
            os.environ["NETMAP_VERIFY_MODE"] = self.mode
        try:
            return int(self._ops.open(name, os.O_CLOEXEC))
        finally:
            if before is None:
                os.environ.pop("NETMAP_VERIFY_MODE", None)
            else:
                os.environ["NETMAP_VERIFY_MODE"] = before

    def _remove(self) -> None:
        if self._own:
            shutil.rmtree(self.directory, ignore_errors=True)

    def stop(self) -> None:
        """Close every descriptor and mapping of this object, end its peers; the broker leaves by itself."""
        for peer in self._peers:
            peer.kill()
        self._peers.clear()
        for at, length in self._mapped.values():
            self._ops.munmap(self._ffi.cast("void *", at), length)
        self._mapped.clear()
        for fd in [*self._fds, *([self._env] if self._env >= 0 else [])]:
            self._ops.close(fd)
        self._fds.clear()
        self._env = -1
        self._remove()

    def reset(self) -> None:
        """A fresh device: everything closed, and for ``"user"`` a new broker."""
        self.stop()
        self._start()

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- the five entry points --------------------------------------------------------------------

    def _result(self, ret: int) -> tuple[int, int]:
        return ret, self._ffi.errno if ret < 0 else 0

    def open(self) -> tuple[int, int]:
        """``(descriptor, 0)`` or ``(-1, errno)``."""
        fd, code = self._result(self._ops.open(self.device.encode(), os.O_CLOEXEC))
        if fd >= 0:
            self._fds.add(fd)
        return fd, code

    def ioctl(self, fd: int, code: int, argument: bytearray | int | None = None) -> tuple[int, int]:
        """``argument`` is the struct's bytes, written in place, or the address of one."""
        if isinstance(argument, bytearray):
            at = self._ffi.from_buffer("char[]", argument, require_writable=True)
        else:
            at = self._ffi.cast("void *", argument or 0)
        return self._result(self._ops.ioctl(fd, code, at))

    def address(self, buffer: bytearray) -> int:
        """Where a buffer's bytes lie in this process, as long as it lives and is not resized."""
        at = self._ffi.from_buffer("char[]", buffer, require_writable=True)
        return int(self._ffi.cast("uintptr_t", at))

    def mmap(self, fd: int, length: int, prot: int, flags: int, offset: int = 0) -> tuple[Any, int]:
        """``(writable buffer, 0)`` or ``(None, errno)``. The buffer is the memory itself."""
        at = self._ops.mmap(self._ffi.NULL, length, prot, flags, fd, offset)
        address = int(self._ffi.cast("uintptr_t", at))
        if address == (1 << 64) - 1:
            return None, self._ffi.errno
        memory = self._ffi.buffer(at, length)
        self._mapped[id(memory)] = (address, length)
        return memory, 0

    def munmap(self, memory: Any) -> int:
        """Give back what :meth:`mmap` returned; 0 or an errno (EINVAL: not one of ours)."""
        at, length = self._mapped.pop(id(memory), (0, 0))
        if not at:
            return errnos.EINVAL
        return self._result(self._ops.munmap(self._ffi.cast("void *", at), length))[1]

    def poll(self, fd: int, events: int, timeout_ms: int) -> tuple[int, int, int]:
        """``(ret, revents, errno)``. Other threads run while it sleeps."""
        entry = self._ffi.new("struct pollfd *", {"fd": fd, "events": events & 0x7FFF})
        ret, code = self._result(self._ops.poll(entry, 1, timeout_ms))
        return ret, entry.revents & 0xFFFF, code

    def close(self, fd: int) -> int:
        """0 or an errno."""
        self._fds.discard(fd)
        return self._result(self._ops.close(fd))[1]

    # --- the environment ----------------------------------------------------------------------------

    def _environment(self, what: str) -> int:
        if not self.user:
            raise DeviceMissing(f"{self._kind}: a device node has no environment to {what}")
        return self._env

    def _must(self, ret: int, what: str) -> int:
        if ret < 0:
            raise OSError(self._ffi.errno, f"{what}: {os.strerror(self._ffi.errno)}")
        return ret

    def configure(self, ports: Sequence[PortLike]) -> None:
        """From now on these are the NICs. Raises ``OSError`` (EBUSY: one of the present ones is open)."""
        env = self._environment("configure")
        entries = self._ffi.new("struct nmu_port[]", max(1, len(ports)))
        for entry, port in zip(entries, ports, strict=False):
            entry.name, entry.peer = port.name.encode(), port.peer.encode()
            entry.tx_rings, entry.rx_rings = port.tx_rings, port.rx_rings
            entry.tx_slots, entry.rx_slots = port.tx_slots, port.rx_slots
            entry.mtu, entry.host_only = port.mtu, port.kind == "host-only"
        self._must(self._lib.nmu_configure(env, entries, len(ports)), "configure")

    def frame(self, port: str, side: str, data: bytes) -> None:
        """A frame arrives at ``port`` from its ``"wire"`` or from the ``"host"`` stack."""
        env = self._environment("put a frame in")
        self._must(self._lib.nmu_frame(env, port.encode(), SIDES[side], data, len(data)), f"frame at {port}")

    def frames(self, port: str, side: str) -> list[bytes]:
        """What came out there since the last look, oldest first."""
        env = self._environment("take frames from")
        room = self._ffi.new("char[]", FRAME_ROOM)
        found = []
        while (got := self._lib.nmu_frames(env, port.encode(), SIDES[side], room, FRAME_ROOM)) >= 0:
            found.append(bytes(self._ffi.buffer(room, got)))
        if self._ffi.errno != errnos.EAGAIN:
            self._must(-1, f"frames at {port}")
        return found

    def quiet(self) -> bool:
        """Is nothing under way, and nobody woken who has not looked yet?"""
        return not self.user or bool(self._must(self._lib.nmu_quiet(self._env), "quiet"))

    def stats(self) -> dict[str, int]:
        """How many handles, ports, pipes, regions, krings and sleepers the broker has, and its ``pid``."""
        found = self._ffi.new("struct nmu_stats *")
        self._must(self._lib.nmu_stats(self._environment("count"), found), "stats")
        return {name: int(getattr(found, name)) for name in dir(found)}

    def running_mode(self) -> str:
        """``"brokered"`` or ``"in-process"``: what the broker was started as."""
        found = self._lib.nmu_mode(self._environment("ask"))
        return "" if found == self._ffi.NULL else str(self._ffi.string(found).decode())

    def spawn_peer(self, env: Mapping[str, str] | None = None) -> Peer:
        """Another process with the same device open, to be driven and, if wanted, killed."""
        peer = Peer(self.device, env)
        self._peers.append(peer)
        return peer


def ports(*names: str, **fields: Any) -> list[PortLike]:
    """Ports for :meth:`Device.configure`, two names of which are connected to each other."""
    from types import SimpleNamespace

    defaults = {"kind": "nic", "tx_rings": 1, "rx_rings": 1, "tx_slots": 1024, "rx_slots": 1024, "mtu": 1500}
    peers = dict(zip(names, reversed(names), strict=True)) if len(names) == 2 else {}
    found: list[Any] = []
    for name in names:
        found.append(SimpleNamespace(name=name, peer=peers.get(name, ""), **{**defaults, **fields}))
    return found


__all__ = ["Device", "DeviceMissing", "NotBuilt", "Peer", "PortLike", "ports"]

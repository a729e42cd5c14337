"""The five entry points of a netmap device, in three forms.

:class:`Node` is a device node of the kernel (``/dev/netmap``); :func:`native` the device in user space
of this project, or a node; :func:`library` any shared object with ``nm_open``, ``nm_ioctl``, ``nm_mmap``,
``nm_poll`` and ``nm_close``:

    int   nm_open(void);
    int   nm_ioctl(int fd, unsigned long request, void *argument);
    void *nm_mmap(int fd, size_t length, int prot, int flags, off_t offset);
    int   nm_poll(int fd, short events, short *revents, int timeout_ms);
    int   nm_close(int fd);

They return what the system calls return, -1 (``MAP_FAILED``) with ``errno`` on failure; ``request`` is the
ioctl code of the system the library is compiled for. Where they are exported, the environment's calls
are used too:

    int   nm_munmap(void *address, size_t length);
    int   nm_configure(const char *ports_as_json);      before the first nm_open of every scenario
    int   nm_frame(const char *port, const char *side, const void *frame, size_t length);
    int   nm_frames(const char *port, const char *side, void *buffer, size_t size);    length, 0 for none
    int   nm_quiet(void);                               1 when the environment has nothing left to do
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import mmap as os_mmap
import os
import select
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from ..trace import Port
from .base import TargetError
from .memory import address

SYSTEM = "freebsd" if sys.platform.startswith("freebsd") else "linux"

#: Values that Linux and FreeBSD share, or that this Python knows for its system.
PROT = {"r": os_mmap.PROT_READ, "rw": os_mmap.PROT_READ | os_mmap.PROT_WRITE, "ro": os_mmap.PROT_READ}
FLAGS = {"shared": os_mmap.MAP_SHARED, "private": os_mmap.MAP_PRIVATE}
EVENTS = {
    "in": select.POLLIN,
    "out": select.POLLOUT,
    "pri": select.POLLPRI,
    "err": select.POLLERR,
    "hup": select.POLLHUP,
    "nval": select.POLLNVAL,
    "rdnorm": getattr(select, "POLLRDNORM", 0x40),
    "wrnorm": getattr(select, "POLLWRNORM", 0x100 if SYSTEM == "linux" else 0x4),
}


def event_names(revents: int, wanted: Any) -> list[str]:
    """Names of poll's bits. Of two names of one bit (FreeBSD: out and wrnorm) the one that was asked for."""
    found = []
    for name, bit in EVENTS.items():
        twins = [n for n, b in EVENTS.items() if b == bit]
        asked = [n for n in twins if n in wanted]
        if revents & bit and name == (asked[0] if asked else twins[0]):
            found.append(name)
    return sorted(found)


class EntryPoints(Protocol):
    """A device, whatever is behind it. Numbers of errnos are the system's own, 0 for success."""

    environment: frozenset[str]

    def open(self) -> tuple[int, int]: ...
    def ioctl(self, fd: int, code: int, argument: bytearray | None) -> tuple[int, int]: ...
    def mmap(self, fd: int, length: int, prot: int, flags: int, offset: int) -> tuple[Any, int]: ...
    def munmap(self, memory: Any) -> int: ...
    def poll(self, fd: int, events: int, timeout_ms: int) -> tuple[int, int, int]: ...
    def close(self, fd: int) -> int: ...
    def configure(self, ports: Sequence[Port]) -> None: ...
    def frame(self, port: str, side: str, data: bytes) -> None: ...
    def frames(self, port: str, side: str) -> list[bytes]: ...
    def quiet(self) -> bool: ...
    def reset(self) -> None: ...


@runtime_checkable
class Sets(Protocol):
    """A device whose descriptors can be put into epoll sets, one a set; part of the environment ``epoll``."""

    def epset(self, fd: int, events: int, edge: bool) -> int: ...
    def epwait(self, fd: int) -> tuple[int, int, int]: ...


class Node:
    """A device node of the kernel. Its environment is the machine's own: ports must exist already."""

    environment = frozenset({"io"} | ({"epoll"} if hasattr(select, "epoll") else set()))

    def __init__(self, path: str) -> None:
        self.path = path
        #: The set of each descriptor that is in one.
        self._sets: dict[int, select.epoll] = {}
        self._libc = ctypes.CDLL(None, use_errno=True)

    def open(self) -> tuple[int, int]:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CLOEXEC), 0
        except OSError as error:
            return -1, error.errno or 0

    def ioctl(self, fd: int, code: int, argument: bytearray | None) -> tuple[int, int]:
        pointer = ctypes.c_void_p(address(argument) if argument else None)
        ctypes.set_errno(0)
        ret = int(self._libc.ioctl(ctypes.c_int(fd), ctypes.c_ulong(code), pointer))
        return ret, ctypes.get_errno() if ret < 0 else 0

    def mmap(self, fd: int, length: int, prot: int, flags: int, offset: int) -> tuple[Any, int]:
        if length == 0:  # Python would take it for the length of the file
            return None, errno.EINVAL
        try:
            return os_mmap.mmap(fd, length, flags=flags, prot=prot, offset=offset), 0
        except OSError as error:
            return None, error.errno or 0

    def munmap(self, memory: Any) -> int:
        memory.close()
        return 0

    def poll(self, fd: int, events: int, timeout_ms: int) -> tuple[int, int, int]:
        poller = select.poll()
        try:
            poller.register(fd, events)
            found = poller.poll(timeout_ms if timeout_ms >= 0 else None)
        except OSError as error:
            return -1, 0, error.errno or 0
        return len(found), found[0][1] if found else 0, 0

    def epset(self, fd: int, events: int, edge: bool) -> int:
        made = self._sets.get(fd) or select.epoll()
        try:
            made.register(fd, events | (select.EPOLLET if edge else 0))
        except OSError as error:
            return error.errno or 0
        self._sets[fd] = made
        return 0

    def epwait(self, fd: int) -> tuple[int, int, int]:
        found = self._sets[fd].poll(0)
        return len(found), found[0][1] if found else 0, 0

    def close(self, fd: int) -> int:
        if fd in self._sets:
            self._sets.pop(fd).close()
        try:
            os.close(fd)
        except OSError as error:
            return error.errno or 0
        return 0

    def configure(self, ports: Sequence[Port]) -> None:
        """Nothing: the manifest's ``[ports]`` says what the machine calls them."""

    def frame(self, port: str, side: str, data: bytes) -> None:
        raise TargetError(f"{self.path}: no way to put a frame on the {side} of {port}")

    def frames(self, port: str, side: str) -> list[bytes]:
        raise TargetError(f"{self.path}: no way to see the {side} of {port}")

    def quiet(self) -> bool:
        return True

    def reset(self) -> None:
        """Nothing: the descriptors are closed, the machine stays as it is."""


class Library:
    """A shared object with the five symbols. Raises :class:`TargetError` naming the one that is missing."""

    NEEDED = ("nm_open", "nm_ioctl", "nm_mmap", "nm_poll", "nm_close")

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._lib = ctypes.CDLL(str(path.resolve()), use_errno=True)
        except OSError as error:
            raise TargetError(f"lib: {path} cannot be loaded: {error}") from None
        for symbol in self.NEEDED:
            if not hasattr(self._lib, symbol):
                raise TargetError(f"lib: {path} has no symbol {symbol}")
        c_int, c_void, c_char = ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p
        size, pointer = ctypes.c_size_t, ctypes.POINTER(ctypes.c_short)
        self._nm_open = self._function("nm_open", c_int)
        self._nm_ioctl = self._function("nm_ioctl", c_int, c_int, ctypes.c_ulong, c_void)
        self._nm_mmap = self._function("nm_mmap", c_void, c_int, size, c_int, c_int, ctypes.c_int64)
        self._nm_poll = self._function("nm_poll", c_int, c_int, ctypes.c_short, pointer, c_int)
        self._nm_close = self._function("nm_close", c_int, c_int)
        self._nm_munmap = self._function("nm_munmap", c_int, c_void, size)
        self._nm_configure = self._function("nm_configure", c_int, c_char)
        self._nm_frame = self._function("nm_frame", c_int, c_char, c_char, c_char, size)
        self._nm_frames = self._function("nm_frames", c_int, c_char, c_char, c_void, size)
        self._nm_quiet = self._function("nm_quiet", c_int)
        self.environment = frozenset(
            name
            for name, function in (
                ("configure", self._nm_configure),
                ("frame", self._nm_frame and self._nm_frames),
                ("quiet", self._nm_quiet),
            )
            if function is not None
        )
        self._mapped: dict[int, int] = {}

    def _function(self, name: str, result: Any, *arguments: Any) -> Any:
        if not hasattr(self._lib, name):
            return None
        function = getattr(self._lib, name)
        function.restype, function.argtypes = result, list(arguments)
        return function

    def _call(self, function: Any, *arguments: Any) -> tuple[int, int]:
        ctypes.set_errno(0)
        ret = function(*arguments)
        return int(ret), ctypes.get_errno() if ret < 0 else 0

    def open(self) -> tuple[int, int]:
        return self._call(self._nm_open)

    def ioctl(self, fd: int, code: int, argument: bytearray | None) -> tuple[int, int]:
        return self._call(self._nm_ioctl, fd, code, address(argument) if argument else None)

    def mmap(self, fd: int, length: int, prot: int, flags: int, offset: int) -> tuple[Any, int]:
        ctypes.set_errno(0)
        at = self._nm_mmap(fd, length, prot, flags, offset)
        if at is None or at == ctypes.c_void_p(-1).value:
            return None, ctypes.get_errno()
        memory = (ctypes.c_char * length).from_address(at)
        self._mapped[id(memory)] = at
        return memory, 0

    def munmap(self, memory: Any) -> int:
        at = self._mapped.pop(id(memory), None)
        if at is None or self._nm_munmap is None:
            return 0
        return self._call(self._nm_munmap, at, len(memory))[1]

    def poll(self, fd: int, events: int, timeout_ms: int) -> tuple[int, int, int]:
        revents = ctypes.c_short(0)
        ret, code = self._call(self._nm_poll, fd, events, ctypes.byref(revents), timeout_ms)
        return ret, revents.value & 0xFFFF, code

    def close(self, fd: int) -> int:
        return self._call(self._nm_close, fd)[1]

    def configure(self, ports: Sequence[Port]) -> None:
        if self._nm_configure is None:
            return
        text = json.dumps([msgspec.structs.asdict(p) for p in ports]).encode()
        ret, code = self._call(self._nm_configure, text)
        if ret < 0:
            raise TargetError(f"lib: {self.path}: nm_configure failed: {os.strerror(code)}")

    def frame(self, port: str, side: str, data: bytes) -> None:
        ret, code = self._call(self._nm_frame, port.encode(), side.encode(), data, len(data))
        if ret < 0:
            raise TargetError(f"lib: {self.path}: nm_frame at {port}: {os.strerror(code)}")

    def frames(self, port: str, side: str) -> list[bytes]:
        found = []
        buffer = ctypes.create_string_buffer(1 << 16)
        while (got := self._call(self._nm_frames, port.encode(), side.encode(), buffer, len(buffer))[0]) > 0:
            found.append(buffer.raw[:got])
        return found

    def quiet(self) -> bool:
        return self._nm_quiet is None or bool(self._nm_quiet())

    def reset(self) -> None:
        """Nothing: ``nm_configure`` is told of every scenario's ports."""


def library(path: Path) -> EntryPoints:
    """The device a shared object offers."""
    return Library(path)


def native(device: str) -> EntryPoints:
    """The device in user space (``user``), or the node at a path."""
    from netmap_native import Device, DeviceMissing, NotBuilt

    try:
        return Device(device or "user")
    except (NotBuilt, DeviceMissing) as error:
        raise TargetError(f"native: {error}") from None


def close_quietly(entry: EntryPoints, fds: Sequence[int]) -> None:
    """Close what a scenario left open."""
    for fd in fds:
        with contextlib.suppress(Exception):
            entry.close(fd)

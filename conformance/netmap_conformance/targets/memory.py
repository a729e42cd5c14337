"""Memory that an application brings to a request: the two arrays of CSB mode, with eventfds, and a region.

A device keeps pointers into it, so it lives as long as the descriptor. Everything here is this process's own;
what it means is said by clauses ``14.csb.*``, ``14.kloop.*`` and ``14.extmem.*``.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import select
from typing import Any

from netmap_spec.abi import Buffer, api14

from .base import TargetError

#: An address that belongs to no process.
NOWHERE = 8
#: Words an application stores into an entry, by their names in scenarios.
STORED = {"head": "head", "cur": "cur", "kick": "appl_need_kick", "flags": "sync_flags"}
ATOK = ("head", "cur", "appl_need_kick", "sync_flags")
KTOA = ("hwcur", "hwtail", "kern_need_kick")


def address(buffer: Any) -> int:
    """Where a buffer's bytes lie in this process; valid as long as the buffer lives and is not resized."""
    return ctypes.addressof((ctypes.c_char * len(buffer)).from_buffer(buffer))


def protect(at: int, size: int, prot: int) -> None:
    """Change what may be done with whole pages: a ``PROT_`` mask, 0 for nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(size), prot):
        raise TargetError(f"mprotect: {os.strerror(ctypes.get_errno())}")


class CsbArrays:
    """``entries`` entries that the application writes (atok), and as many that the kernel writes (ktoa).

    Behind the last entry of each there is no memory: a kernel that wants one more gets EFAULT.
    """

    #: Bytes of an entry, in both arrays; also what their addresses are multiples of.
    SIZE = api14.nm_csb_atok.SIZE

    def __init__(self, entries: int) -> None:
        self.entries = entries
        used = -(-entries * self.SIZE // mmap.PAGESIZE) * mmap.PAGESIZE
        self._bytes = [mmap.mmap(-1, used + mmap.PAGESIZE) for _ in range(2)]
        for each in self._bytes:
            protect(address(each) + used, mmap.PAGESIZE, 0)
        self._at = used - entries * self.SIZE

    @property
    def atok(self) -> int:
        """Address of the application's array, aligned to an entry."""
        return address(self._bytes[0]) + self._at

    @property
    def ktoa(self) -> int:
        """Address of the kernel's array, aligned to an entry."""
        return address(self._bytes[1]) + self._at

    def _entry(self, array: int, index: int) -> Any:
        view = (api14.nm_csb_atok, api14.nm_csb_ktoa)[array]
        return view(Buffer(self._bytes[array]), self._at + index * view.SIZE)

    def look(self) -> list[dict[str, int]]:
        """Every entry, each word by its C name."""
        return [
            {word: int(getattr(self._entry(0, i), word)) for word in ATOK}
            | {word: int(getattr(self._entry(1, i), word)) for word in KTOA}
            for i in range(self.entries)
        ]

    def store(self, index: int, words: dict[str, int]) -> None:
        """Store an application's words: ``head`` last, so that whoever reads it first finds the others.

        Raises ``IndexError`` where there is no such entry.
        """
        if not 0 <= index < self.entries:
            raise IndexError(index)
        for word in sorted(words, key=lambda name: name == "head"):
            setattr(self._entry(0, index), STORED[word], words[word])


class EventFds:
    """A pair of eventfds for each entry; ``nokick`` and ``noirq`` are bits of entries that lack one (-1)."""

    def __init__(self, entries: int, nokick: int = 0, noirq: int = 0) -> None:
        self.kicks = [-1 if nokick >> i & 1 else _eventfd() for i in range(entries)]
        self.irqs = [-1 if noirq >> i & 1 else _eventfd() for i in range(entries)]

    def kick(self, index: int) -> int:
        """Signal an ioeventfd: bytes written. Raises ``IndexError``, ``OSError``."""
        return os.write(self.kicks[index], (1).to_bytes(8, "little"))

    def irq(self, index: int, timeout_ms: int) -> tuple[int, int]:
        """Read an irqfd, waiting so long for the first signal: (bytes read, signals since the last read)."""
        if not select.select([self.irqs[index]], [], [], timeout_ms / 1000)[0]:
            return 0, 0
        data = os.read(self.irqs[index], 8)
        return len(data), int.from_bytes(data, "little")

    def close(self) -> None:
        """Give the descriptors back."""
        for fd in self.kicks + self.irqs:
            if fd >= 0:
                os.close(fd)
        self.kicks, self.irqs = [], []


def _eventfd() -> int:
    return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)


def region(size: int) -> Any:
    """Whole pages of ``size`` bytes, shared, for the option EXTMEM."""
    return mmap.mmap(-1, max(1, -(-size // mmap.PAGESIZE)) * mmap.PAGESIZE)

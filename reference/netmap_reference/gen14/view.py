"""What can be seen of a device: the application's mapped memory, and the kernel's state behind it.

The application's side is real bytes under netmap's own structures; what it stores there the next system
call reads. The white-box side is for invariants, pictures and proofs.
"""

from __future__ import annotations

from collections.abc import Iterable

from netmap_spec.abi import api14

from ..core.memory import Region
from . import memory
from .ports.wire import Wire
from .ring import Kring
from .state import RX, TX, File, KringState, System, ring_name


class WorldView:
    """The part of :class:`~.world.World` that only looks."""

    __slots__ = ("_s",)
    _s: System

    # --- the application's memory -------------------------------------------------------------

    def region(self, fd: str) -> Region:
        """The bytes a descriptor's mapping shows."""
        return self._s.regions[self._allocator(self._bound_file(fd)).id]

    def region_id(self, fd: str) -> int:
        """The identifier of the region a descriptor's mapping shows."""
        return self._allocator(self._bound_file(fd)).id

    def nifp(self, fd: str) -> api14.netmap_if:
        """The descriptor's netmap_if, over the real bytes."""
        f = self._bound_file(fd)
        return api14.netmap_if(self.region(fd), self._allocator(f).if_offset(f.nifp))

    def ring(self, fd: str, name: str) -> api14.netmap_ring:
        """A ring the descriptor is bound to (``tx0``), over the real bytes. ``KeyError`` for any other."""
        k = self._kring(fd, name)
        return api14.netmap_ring(self.region(fd), self._allocator(self._bound_file(fd)).ring_offset(k.ring))

    def rings(self, fd: str) -> dict[str, int]:
        """The rings a descriptor is bound to; equal numbers are the same ring."""
        f = self._bound_file(fd)
        number = self._s.adapters[f.adapter].number
        return {
            f"{t}{i}": (number << 18) + ((t == TX) << 17) + i for t in (TX, RX) for i in range(*f.range(t))
        }

    def buffer(self, fd: str, buf_idx: int) -> tuple[int, int]:
        """(offset, size) of a buffer in the region, bytes. ``IndexError`` for one the pool does not have."""
        a = self._allocator(self._bound_file(fd))
        if not 0 <= buf_idx < a.buffers:
            raise IndexError(f"buffer {buf_idx} of {a.buffers}")
        return a.buf_offset(buf_idx), a.buf_size

    # --- white box ----------------------------------------------------------------------------

    def kring(self, fd: str, name: str) -> Kring:
        """The kernel's positions in a ring the descriptor is bound to."""
        return self._kring(fd, name).pos

    def system(self) -> System:
        """The kernel's state, for invariants and proofs; not for drivers of the model."""
        return self._s

    # --- lookups ------------------------------------------------------------------------------

    def _port(self, port: str, side: str) -> Wire:
        if port not in self._s.ports or side not in ("wire", "host"):
            raise LookupError(f"there is no {side} side of a port {port}")
        found: Wire = self._s.ports[port]
        return found

    @staticmethod
    def _anyone(table: Iterable[tuple[str, str]], fd: str) -> tuple[str, str] | None:
        return min((k for k in table if k[1] == fd), default=None)

    def _holder(self, fd: str, actor: str) -> tuple[str, str] | None:
        if (actor, fd) in self._s.holders:
            return (actor, fd)
        return self._anyone(self._s.holders, fd)

    def _file(self, fd: str, actor: str) -> int | None:
        key = self._holder(fd, actor)
        return None if key is None else self._s.holders[key]

    def _bound_file(self, fd: str) -> File:
        key = self._holder(fd, "main") or self._anyone(self._s.mapped, fd)
        file = self._s.holders.get(key, self._s.mapped.get(key)) if key else None
        if file is None or not self._s.files[file].adapter:
            raise LookupError(f"{fd} is not bound to a port")
        return self._s.files[file]

    def _allocator(self, f: File) -> memory.Allocator:
        return self._s.allocators[self._s.adapters[f.adapter].mem]

    def _bound(self, f: File, t: str) -> tuple[str, ...]:
        return tuple(ring_name(f.adapter, t, i) for i in range(*f.range(t)))

    def _kring(self, fd: str, name: str) -> KringState:
        f = self._bound_file(fd)
        t, index = name[:2], int(name[2:])
        first, last = f.range(t)
        if not first <= index < last:
            raise KeyError(f"{fd} is not bound to {name}")
        return self._s.krings[ring_name(f.adapter, t, index)]

"""What an application does with the shared region: find its rings, look at them, store into them.

Every target that gives a real mapping (the model's region, an ``mmap`` of a device, a buffer of a
library) is looked at through :class:`Mapping`, so that no target has its own idea of what was seen.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from typing import Any

from netmap_spec.abi import api14
from netmap_spec.abi.views import Bytes

from ..trace import See

SLOT = api14.netmap_slot.SIZE
NUM_SLOTS_MAX = 1 << 20
EXTRA_MAX = 1024

#: Fields of a ring that a look reports, in the order of ``struct netmap_ring``; the time stamp is
#: reported as set or not, its value is the clock's.
RING_FIELDS = (
    *("num_slots", "buf_ofs", "nr_buf_size", "ringid", "dir", "head", "cur", "tail"),
    *("flags", "offset_mask", "buf_align"),
)
NIFP_FIELDS = (
    *("ni_name", "ni_version", "ni_flags", "ni_tx_rings", "ni_rx_rings", "ni_bufs_head"),
    *("ni_host_tx_rings", "ni_host_rx_rings"),
)


class MappingError(Exception):
    """The shared region points outside itself: the application would fault. One line."""


class Mapping:
    """One descriptor's mapping of the region.

    ``mem`` holds ``size`` bytes; ``nifp`` is where its ``netmap_if`` lies (``nr_offset``). Looks are
    deltas against the previous look of this object.
    """

    def __init__(self, mem: Bytes, size: int, nifp: int) -> None:
        self.mem = mem
        self.size = size
        self.nifp_offset = nifp
        self._seen: dict[str, bytes] = {}

    def again(self) -> Mapping:
        """A copy: the same memory, and what was seen of it so far."""
        copy = Mapping(self.mem, self.size, self.nifp_offset)
        copy._seen = dict(self._seen)
        return copy

    # --- finding --------------------------------------------------------------------------------

    def nifp(self) -> Any:
        """The ``netmap_if`` view."""
        self._inside("netmap_if", self.nifp_offset, api14.netmap_if.SIZE)
        return api14.netmap_if(self.mem, self.nifp_offset)

    def rings(self) -> dict[str, int]:
        """Offsets of the registered rings by name: ``tx0`` … then ``rx0`` …, host rings last on each side."""
        nifp = self.nifp()
        tx = nifp.ni_tx_rings + nifp.ni_host_tx_rings
        rx = nifp.ni_rx_rings + nifp.ni_host_rx_rings
        if tx + rx > 8192:
            raise MappingError(f"netmap_if lists {tx} + {rx} rings")
        self._inside("ring_ofs", self.nifp_offset + nifp.SIZE, 8 * (tx + rx))
        found = {}
        for i in range(tx + rx):
            offset = nifp.ring_ofs[i]
            if offset:
                found[f"tx{i}" if i < tx else f"rx{i - tx}"] = self.nifp_offset + offset
        return found

    def ring(self, name: str) -> Any:
        """The ``netmap_ring`` view of a registered ring. Raises ``KeyError`` when there is none."""
        return self._view(name, self.rings()[name])

    def _view(self, name: str, offset: int) -> Any:
        self._inside(f"ring {name}", offset, api14.netmap_ring.SIZE)
        ring = api14.netmap_ring(self.mem, offset)
        if ring.num_slots > NUM_SLOTS_MAX:
            raise MappingError(f"ring {name} has {ring.num_slots} slots")
        self._inside(f"slots of {name}", offset + api14.netmap_ring.SIZE, SLOT * ring.num_slots)
        return ring

    def slot(self, name: str, index: int) -> Any:
        """The ``netmap_slot`` view. Raises ``KeyError`` or ``IndexError``."""
        ring = self.ring(name)
        if not 0 <= index < ring.num_slots:
            raise IndexError(f"{name} has {ring.num_slots} slots, not {index}")
        return ring.slot[index]

    def buffer(self, name: str, index: int) -> int:
        """Offset in the region of the buffer that slot ``index`` of ring ``name`` names now."""
        ring = self.ring(name)
        return int(self._buffer(ring, ring.slot[index].buf_idx))

    def _buffer(self, ring: Any, buf_idx: int) -> int:
        return int(ring.off + ring.buf_ofs + buf_idx * ring.nr_buf_size)

    def extra(self) -> list[int]:
        """The ``buf_idx`` of every extra buffer of the list that starts at ``ni_bufs_head``.

        The list ends where it leaves the region: its links are the buffers' first bytes, which an
        application that uses the buffers overwrites.
        """
        found: list[int] = []
        rings = self.rings()
        at = int(self.nifp().ni_bufs_head)
        if not rings:
            return found
        ring = self.ring(next(iter(rings)))
        while at and at not in found and len(found) < EXTRA_MAX:
            found.append(at)
            try:
                at = int.from_bytes(self.read(self._buffer(ring, at), 4), "little")
            except MappingError:
                break
        return found

    def _inside(self, what: str, offset: int, length: int) -> None:
        if offset < 0 or offset + length > self.size:
            raise MappingError(
                f"{what} at [{offset}, {offset + length}) is outside the region of {self.size} bytes"
            )

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the region. Raises :class:`MappingError` outside it."""
        self._inside("memory", offset, length)
        return self.mem.read(offset, length)

    def write(self, offset: int, data: bytes) -> None:
        """Store into the region. Raises :class:`MappingError` outside it."""
        self._inside("memory", offset, len(data))
        self.mem.write(offset, data)

    # --- looking --------------------------------------------------------------------------------

    def look(self, full: bool = False) -> See:
        """Every registered ring's fields, and the slots that changed since the last look (``full``: all)."""
        see = See(full=full)
        for name, offset in self.rings().items():
            ring = self._view(name, offset)
            fields = {field: getattr(ring, field) for field in RING_FIELDS}
            fields["ts_set"] = int(bool(ring.ts_sec or ring.ts_usec))
            see.rings[name] = fields
            now = self.mem.read(offset + api14.netmap_ring.SIZE, SLOT * ring.num_slots)
            before = b"" if full else self._seen.get(name, b"")
            changed = changed_slots(before, now)
            if changed or full:
                see.slots[name] = changed
            self._seen[name] = now
        if full:
            nifp = self.nifp()
            see.nifp = {field: getattr(nifp, field) for field in NIFP_FIELDS}
            total = nifp.ni_tx_rings + nifp.ni_rx_rings + nifp.ni_host_tx_rings + nifp.ni_host_rx_rings
            see.nifp["ring_ofs"] = [nifp.ring_ofs[i] for i in range(total)]
        return see

    # --- storing --------------------------------------------------------------------------------

    def set_ring(self, name: str, values: Dict[str, int]) -> None:
        """Store fields of a ring, the way an application does: any value that fits the C type."""
        ring = self.ring(name)
        for field, value in values.items():
            setattr(ring, field, value)

    def set_slot(self, name: str, index: int, values: Dict[str, int]) -> None:
        """Store fields of a slot."""
        slot = self.slot(name, index)
        for field, value in values.items():
            setattr(slot, field, value)


def changed_slots(before: bytes, now: bytes) -> list[list[int]]:
    """``[index, buf_idx, len, flags, ptr]`` of the slots that differ; all when ``before`` is empty."""
    if before == now:
        return []
    found = []
    for i in range(len(now) // SLOT):
        raw = now[i * SLOT : i * SLOT + SLOT]
        if raw != before[i * SLOT : i * SLOT + SLOT]:
            found.append(
                [
                    i,
                    int.from_bytes(raw[0:4], "little"),
                    int.from_bytes(raw[4:6], "little"),
                    int.from_bytes(raw[6:8], "little"),
                    int.from_bytes(raw[8:16], "little"),
                ]
            )
    return found

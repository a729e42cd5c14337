"""The readings of this generation: contract is no switch, as-written is all of them.

A switch names one place where the code does something else than headers, manual page and comments
promise; the clause it belongs to tells what.
"""

from __future__ import annotations

from . import attach, control, iface, interrupts, memory, poll, pool, register, ring, sync
from .ports import host, nic

CONTRACT: frozenset[str] = frozenset()
AS_WRITTEN: frozenset[str] = (
    pool.AS_WRITTEN
    | memory.AS_WRITTEN
    | ring.AS_WRITTEN
    | sync.AS_WRITTEN
    | iface.AS_WRITTEN
    | register.AS_WRITTEN
    | control.AS_WRITTEN
    | poll.AS_WRITTEN
    | interrupts.AS_WRITTEN
    | attach.AS_WRITTEN
    | host.AS_WRITTEN
    | nic.AS_WRITTEN
)

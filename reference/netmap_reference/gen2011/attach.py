"""Chapter *attach*: a driver offers its interface to netmap, and takes it away again.

`netmap_attach` allocates one block: the adapter, then ``num_queues + 2`` krings for transmission and
as many for reception. Krings ``0 … num_queues-1`` are the hardware's, ``num_queues`` the host's, and
the last one exists only for its selinfo, on which callers sleep that watch several rings.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core.effects import Do, Fired, Protocol
from ..core.outcome import errno
from ..core.step import Step, rule
from .ring import Kring
from .source import lines

DETACH_IN_USE = "2011.detach-while-in-use"
CONTRACT: frozenset[str] = frozenset()
AS_WRITTEN = frozenset({DETACH_IN_USE})

#: Kernel-private sizes on the recorded system (netmap_adapter, netmap_kring); only counters see them.
ADAPTER_BYTES = 104
KRING_BYTES = 72
#: Where a read through a NULL adapter faults, by field, on the same system.
FIELD_OFFSET = {"num_queues": 8, "tx_rings": 24, "rx_rings": 32, "nm_lock": 80}

NO_IFP = rule("2011/attach/attach/no-interface", clause="2011.driver.attach", source=lines("1540-1543"))
NO_MEMORY = rule("2011/attach/attach/no-memory", clause="2011.driver.attach", source=lines("1547-1548, 1567"))
ATTACHED = rule("2011/attach/attach/ok", clause="2011.driver.attach", source=lines("1548-1567"))
NOT_ATTACHED = rule(
    "2011/attach/detach/never-attached", clause="2011.driver.detach", source=lines("1581-1582")
)
DETACHED = rule("2011/attach/detach/ok", clause="2011.driver.detach", source=lines("1584-1590"))
DETACHED_IN_USE = rule(
    "2011/attach/detach/in-use",
    clause="2011.driver.detach-in-use",
    source=lines("1576-1591"),
    switch=DETACH_IN_USE,
)
REVOKED = rule("2011/attach/detach/revoked", clause="2011.driver.detach-in-use", source=lines("731-736"))
NULL_ADAPTER = rule(
    "2011/attach/use-after-detach",
    clause="2011.driver.detach-in-use",
    source=lines("804-806, 1029-1034, 1217-1219, 1310-1314"),
    switch=DETACH_IN_USE,
)


@dataclass(frozen=True, slots=True)
class Adapter:
    """What an interface offered: its name, queue pairs, slots of each ring, a lock for each ring or not."""

    name: str
    num_queues: int
    num_tx_desc: int
    num_rx_desc: int
    separate_locks: bool

    def num_desc(self, tx: bool) -> int:
        return self.num_tx_desc if tx else self.num_rx_desc

    @property
    def host(self) -> int:
        """The index of the host rings."""
        return self.num_queues

    @property
    def global_queue(self) -> int:
        """The index of the krings that are only a selinfo."""
        return self.num_queues + 1


def block_bytes(num_queues: int) -> int:
    """Size of the block `netmap_attach` allocates."""
    return ADAPTER_BYTES + 2 * (num_queues + 2) * KRING_BYTES


@dataclass(frozen=True, slots=True)
class Attached:
    """The fresh krings of one direction, or none when attach failed."""

    krings: tuple[Kring, ...]


def attach(num_queues: int, has_interface: bool, got_memory: bool) -> Step[Attached]:
    """What `netmap_attach` returns and leaves behind. A failure changes nothing."""
    if not has_interface:
        return Step(Attached(()), (NO_IFP,), errno("EINVAL"))
    if not got_memory:
        return Step(Attached(()), (NO_MEMORY,), errno("ENOMEM"))
    return Step(Attached((Kring(),) * (num_queues + 2)), (ATTACHED,))


@dataclass(frozen=True, slots=True)
class Detach:
    """Whether the block is freed, and whether its users' descriptors are revoked first."""

    free: bool
    revoke: bool


def detach(attached: bool, refcount: int, switches: frozenset[str] = CONTRACT) -> Step[Detach]:
    """What `netmap_detach` does. As written (DETACH_IN_USE) it never looks at the reference count."""
    if not attached:
        return Step(Detach(False, False), (NOT_ATTACHED,))
    if refcount == 0:
        return Step(Detach(True, False), (DETACHED,))
    if DETACH_IN_USE in switches:
        return Step(Detach(True, False), (DETACHED, DETACHED_IN_USE))
    return Step(Detach(True, True), (DETACHED, REVOKED))


def faults(function: str, line: int, field: str) -> Protocol:
    """The kernel reads ``field`` through an adapter that is NULL: FAULT at this line."""
    yield Fired(NULL_ADAPTER)
    yield Do("fault", ((f"{function} netmap.c:{line}",), FIELD_OFFSET[field]))

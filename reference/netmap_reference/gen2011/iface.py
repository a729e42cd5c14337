"""Chapter *iface*: what a registration puts into shared memory.

Every registered descriptor has a `netmap_if` of its own: the interface's name, the number of queue
pairs, and for every ring its distance from the `netmap_if` in bytes. The rings lie in one object,
tx 0, rx 0, tx 1, rx 1 … and the host's last, and are made by the first registration.
"""

from __future__ import annotations

from netmap_spec.abi import api2011

from ..core.effects import Do, Fired, Lock, Protocol, ReadKernel, Unlock, WriteKernel
from ..core.step import rule
from ..core.words import u32
from .attach import Adapter
from .memory import malloc, mfree
from .pool import new_bufs
from .source import lines

ZEROES_LOCKS = "2011.rings-zero-their-locks"
CONTRACT: frozenset[str] = frozenset()
AS_WRITTEN = frozenset({ZEROES_LOCKS})

IF_AGAIN = rule(
    "2011/register/if_new/shared-rings", clause="2011.iface.shared-rings", source=lines("397-399")
)
IF_FIRST = rule("2011/register/if_new/first", clause="2011.iface.first", source=lines("401-485"))
IF_NO_AREA = rule(
    "2011/register/if_new/no-room-for-if", clause="2011.iface.no-memory", source=lines("389-391")
)
IF_NO_RINGS = rule(
    "2011/register/if_new/no-room-for-rings", clause="2011.iface.no-memory", source=lines("412-420")
)
IF_NO_BUFS = rule(
    "2011/register/if_new/too-few-buffers", clause="2011.iface.no-memory", source=lines("425-429")
)
IF_OFFSETS = rule("2011/register/if_new/offsets", clause="2011.iface.offsets", source=lines("489-502"))
LOCKS_ZEROED = rule(
    "2011/register/if_new/locks-zeroed",
    clause="2011.iface.locks-kept",
    source=lines("442, 469, 1561-1563"),
    switch=ZEROES_LOCKS,
)
LOCKS_KEPT = rule(
    "2011/register/if_new/locks-kept", clause="2011.iface.locks-kept", source=lines("1559-1563")
)


def if_bytes(num_queues: int) -> int:
    """Size of a `netmap_if` with its offsets: one for every tx and rx ring, the host's included."""
    return u32(api2011.netmap_if.SIZE + 2 * (num_queues + 1) * 8)


def ring_bytes(num_desc: int) -> int:
    """Size of one ring of ``num_desc`` slots."""
    return u32(api2011.netmap_ring.SIZE + num_desc * api2011.netmap_slot.SIZE)


def rings_bytes(na: Adapter) -> int:
    """Size of the object that holds all rings of an interface."""
    return u32((na.num_queues + 1) * (ring_bytes(na.num_tx_desc) + ring_bytes(na.num_rx_desc)))


def bufs_needed(na: Adapter) -> int:
    """Buffers an interface needs: one for every slot of every ring."""
    return u32((na.num_queues + 1) * (na.num_tx_desc + na.num_rx_desc))


def ring_places(na: Adapter, start: int) -> list[tuple[str, int]]:
    """Name and offset of every ring, in memory order: tx 0, rx 0, tx 1, rx 1 … the host's last."""
    places, at = [], start
    for i in range(na.num_queues + 1):
        for tx in (True, False):
            places.append((f"{'tx' if tx else 'rx'}{i}", at))
            at += ring_bytes(na.num_desc(tx))
    return places


def if_new(na: Adapter, switches: frozenset[str] = CONTRACT) -> Protocol:
    """Make the descriptor's `netmap_if`, for the first one the rings too; returns its offset or ``None``."""
    nifp = yield from malloc(if_bytes(na.num_queues), switches)
    if nifp is None:
        yield Fired(IF_NO_AREA)
        return None
    yield Do("init_if", (nifp, na.name, na.num_queues))
    refcount = (yield ReadKernel(("na", "refcount"))) + 1
    yield WriteKernel(("na", "refcount"), refcount)
    if refcount > 1:
        yield Fired(IF_AGAIN)
    else:
        start = yield from malloc(rings_bytes(na), switches)
        if start is None:
            yield Fired(IF_NO_RINGS)
            yield Do("log", ("netmap_if_new", 414))
            yield WriteKernel(("na", "refcount"), 0)
            yield from mfree(nifp)
            return None
        yield Lock("nma")
        pool = yield ReadKernel(("mem", "pool"))
        if pool.free < bufs_needed(na):
            yield Unlock("nma")
            yield Fired(IF_NO_BUFS)
            yield from mfree(start)
            yield WriteKernel(("na", "refcount"), 0)
            yield from mfree(nifp)
            return None
        yield Fired(IF_FIRST)
        zeroes = ZEROES_LOCKS in switches
        yield Fired(LOCKS_ZEROED if zeroes else LOCKS_KEPT)
        for ring, at in ring_places(na, start):
            tx = ring.startswith("tx")
            n = na.num_desc(tx)
            taken = new_bufs((yield ReadKernel(("mem", "pool"))), n)
            for fired in taken.fired:
                yield Fired(fired)
            yield WriteKernel(("mem", "pool"), taken.state.pool)
            yield Do("init_ring", (ring, at, n, n - 1 if tx else 0, taken.state.taken, zeroes))
        yield Unlock("nma")
    yield Fired(IF_OFFSETS)
    yield Do("init_offsets", (nifp,))
    return nifp

"""Chapter *sync*: NIOCTXSYNC and NIOCRXSYNC over the rings of a descriptor, in ascending order.

Each ring on its own goes through prologue, the port's own sync, and finalize. A ring somebody else is
syncing at that moment is left out. What follows a rejected prologue differs: a txsync puts the ring back
and is done with it, an rxsync puts it back and goes on with the port's sync, so that new packets are
reported and their arrival is stamped. The next ring has its turn in any case; whether the call then
succeeds or fails is the system's choice, made once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from netmap_spec.abi import api14

from ..core.effects import Do, Fired, Protocol, ReadKernel, ReadUser, WriteKernel, WriteUser
from ..core.step import rule
from . import stop
from .ring import (
    CONTRACT,
    REINIT,
    REINIT_KEEPS,
    REINIT_TRUSTS_USER,
    Kring,
    Prologue,
    UserRing,
    ring_reinit,
    rx_prologue,
    sync_finalize,
    tx_prologue,
)

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
NETMAP_H = "luigirizzo/netmap:sys/net/netmap.h@89607e14"

#: A transmit ring is not stamped, whatever its flags say.
TX_NOT_STAMPED = "14.tx-not-stamped"
AS_WRITTEN = frozenset({TX_NOT_STAMPED})

TX_STAMPED = rule("14/sync/tx/timestamp", clause="14.sync.timestamp", source=f"{NETMAP_H}:333-338")
TX_FLAG_IGNORED = rule(
    "14/sync/tx/flag-ignored",
    clause="14.sync.timestamp",
    source=f"{NETMAP_C}:3211-3220",
    switch=TX_NOT_STAMPED,
)
REJECTED_OK = rule(
    "14/sync/rejected/succeeds", clause="14.sync.rejected-result", source=f"{NETMAP_C}:3216-3228"
)
REJECTED_EINVAL = rule(
    "14/sync/rejected/fails", clause="14.sync.rejected-result", source=f"{NETMAP_C}:3216-3228"
)
UNBOUND = rule("14/sync/unbound", clause="14.sync.unbound", source=f"{NETMAP_C}:3181-3184")
BUSY = rule("14/sync/busy", clause="14.sync.busy", source=f"{NETMAP_C}:3206-3209")
STOPPED = rule("14/sync/stopped", clause="14.sync.stopped", source=f"{NETMAP_C}:3206-3209")
TX_REINIT = rule("14/sync/tx/reinit", clause="14.sync.rejected", source=f"{NETMAP_C}:3216-3217")
RX_REINIT = rule("14/sync/rx/reinit", clause="14.sync.rejected", source=f"{NETMAP_C}:3226-3228")
TRANSPARENT = rule("14/sync/rx/transparent", clause="14.host.transparent", source=f"{NETMAP_C}:1268-1290")
STAMPED = rule("14/sync/rx/timestamp", clause="14.sync.timestamp", source=f"{NETMAP_C}:2730-2737,3236")

#: The port's own part of a sync: given a ring and whether it may not be lazy, a protocol that returns "" or
#: an errno's name.
PortSync: TypeAlias = Callable[[str, bool], Protocol]


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of one ring: ``rejected`` by the prologue, ``error`` of the port's sync."""

    rejected: bool = False
    error: str = ""
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class SyncedAll:
    """What became of a sync call: was a ring ``rejected``, was one ``stopped`` and so left out?"""

    rejected: bool
    stopped: bool


def read_user(ring: str) -> Protocol:
    """The application's three words, each read once."""
    head = yield ReadUser((ring, "head"))
    cur = yield ReadUser((ring, "cur"))
    tail = yield ReadUser((ring, "tail"))
    return UserRing(head, cur, tail)


def reinit(ring: str, switches: frozenset[str]) -> Protocol:
    """Put a ring back, positions and slots; were the positions reset?"""
    k: Kring = yield ReadKernel((ring, "kring"))
    user: UserRing = yield from read_user(ring)
    step = ring_reinit(k, user, switches)
    kring = step.state.kring
    if REINIT_TRUSTS_USER in switches:
        # As written the words that are kept are read before the ones that are checked.
        kept = user
        user = yield from read_user(ring)
        step = ring_reinit(k, user, switches)
        kring = step.state.kring
        if REINIT_KEEPS in step.fired:
            kring = replace(kring, rhead=kept.head, rcur=kept.cur, rtail=kept.tail)
    for fired in step.fired:
        yield Fired(fired)
    yield Do("reinit-slots", (ring,))
    yield WriteKernel((ring, "kring"), kring)
    if step.state.user != user:
        yield WriteUser((ring, "head"), step.state.user.head)
        yield WriteUser((ring, "cur"), step.state.user.cur)
        yield WriteUser((ring, "tail"), step.state.user.tail)
    return REINIT in step.fired


def prologue(ring: str, transmit: bool, switches: frozenset[str]) -> Protocol:
    """Run a ring's prologue on what the application wrote; is the sync accepted?"""
    k: Kring = yield ReadKernel((ring, "kring"))
    user: UserRing = yield from read_user(ring)
    step = tx_prologue(k, user, switches) if transmit else rx_prologue(k, user, switches)
    for fired in step.fired:
        yield Fired(fired)
    decided: Prologue = step.state
    yield WriteKernel((ring, "kring"), decided.kring)
    if decided.tail != user.tail:
        yield WriteUser((ring, "tail"), decided.tail)
    return decided.accepted


def finalize(ring: str) -> Protocol:
    """Publish the kernel's tail."""
    k: Kring = yield ReadKernel((ring, "kring"))
    step = sync_finalize(k)
    for fired in step.fired:
        yield Fired(fired)
    yield WriteKernel((ring, "kring"), step.state)
    yield WriteUser((ring, "tail"), step.state.rtail)


def txsync_ring(ring: str, port: PortSync, force: bool, switches: frozenset[str] = CONTRACT) -> Protocol:
    """One transmit ring, which the caller has locked. ``force``: reclaim even if there is room."""
    accepted = yield from prologue(ring, True, switches)
    if not accepted:
        yield Fired(TX_REINIT)
        yield from reinit(ring, switches)
        return Synced(rejected=True)
    error = yield from port(ring, force)
    if not error:
        yield from finalize(ring)
    if TX_NOT_STAMPED in switches:
        yield Fired(TX_FLAG_IGNORED)
        return Synced(error=error)
    flags = yield ReadUser((ring, "flags"))
    if flags & api14.NR_TIMESTAMP:
        yield Do("stamp", (ring,))
        yield Fired(TX_STAMPED)
    return Synced(error=error)


def forwards(ring: str) -> Protocol:
    """Are slots of a receive ring passed on: does the ring ask for it, or ``fwd`` for all?"""
    flags = yield ReadUser((ring, "flags"))
    if flags & api14.NR_FORWARD:
        return True
    everywhere: bool = yield ReadKernel((ring, "transparent"))
    if everywhere:
        yield Fired(TRANSPARENT)
        return True
    return False


def rxsync_ring(ring: str, port: PortSync, force: bool, switches: frozenset[str] = CONTRACT) -> Protocol:
    """One receive ring, which the caller has locked. ``force``: look even without an interrupt."""
    accepted = yield from prologue(ring, False, switches)
    if not accepted:
        yield Fired(RX_REINIT)
        yield from reinit(ring, switches)
    wanted = yield from forwards(ring)
    if wanted:
        yield Do("forward-up", (ring,))
    error = yield from port(ring, force)
    if not error:
        yield from finalize(ring)
    wanted = yield Do("stamp-wanted", (ring,))
    if wanted:
        yield Do("stamp", (ring,))
        yield Fired(STAMPED)
    return Synced(rejected=not accepted, error=error)


def sync_all(
    rings: tuple[str, ...], transmit: bool, port: PortSync, switches: frozenset[str] = CONTRACT
) -> Protocol:
    """The ioctl: every ring once, whatever the others say; :class:`SyncedAll`."""
    one = txsync_ring if transmit else rxsync_ring
    rejected = stopped = False
    for ring in rings:
        why = yield from stop.take(ring)
        if why == stop.STOPPED:
            yield Fired(STOPPED)
            stopped = True
            continue
        if why:
            yield Fired(BUSY)
            continue
        synced: Synced = yield from one(ring, port, True, switches)
        rejected = rejected or synced.rejected
        yield Do("put", (ring,))
    return SyncedAll(rejected, stopped)

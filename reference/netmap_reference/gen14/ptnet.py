"""Chapter *ptnet*: the application's side of a CSB, as the driver of a guest's paravirtual port has it.

A guest's netmap runs a port whose rings the host syncs. What a sync is there: publish ``head`` and ``cur``,
kick the host's loop if it asks for it, read ``hwcur`` and ``hwtail`` back. Interrupts are wanted only while
the guest's program would have to wait; then, after a full barrier, the positions are read once more.

Any program that works through a CSB has to do the same; these functions are its half of the protocol.
"""

from __future__ import annotations

from dataclasses import replace

from ..core.effects import Fired, Protocol, ReadKernel, ReadUser, Wake, WriteKernel, WriteUser
from ..core.step import rule
from .csb import appl_read, appl_write, full_barrier
from .kloop import FORCE_READ, FORCE_RECLAIM
from .ring import CONTRACT, Kring, UserRing, rx_prologue, tx_prologue
from .sync import read_user

KLOOP_C = "luigirizzo/netmap:sys/dev/netmap/netmap_kloop.c@89607e14"
PTNET_C = "luigirizzo/netmap:LINUX/netmap_ptnet.c@89607e14"

#: Nothing keeps the load of kern_need_kick behind the store of head.
KICK_UNORDERED = "14.ptnet-kick-unordered"
AS_WRITTEN = frozenset({KICK_UNORDERED})

_KICK, _INTR = "14.ptnet.kick", "14.ptnet.interrupts"
PUBLISHED = rule("14/ptnet/tx/published", clause="14.ptnet.txsync", source=f"{KLOOP_C}:983-991")
TX_KICK = rule("14/ptnet/tx/kick", clause=_KICK, source=f"{KLOOP_C}:993-999")
TX_QUIET = rule("14/ptnet/tx/no-kick", clause=_KICK, source=f"{KLOOP_C}:993-999")
RECLAIMED = rule("14/ptnet/tx/reclaim", clause="14.ptnet.txsync", source=f"{KLOOP_C}:1001-1007")
RECEIVED = rule("14/ptnet/rx/read-back", clause="14.ptnet.rxsync", source=f"{KLOOP_C}:1051-1060")
RELEASED = rule("14/ptnet/rx/released", clause="14.ptnet.rxsync", source=f"{KLOOP_C}:1062-1068")
RX_KICK = rule("14/ptnet/rx/kick", clause=_KICK, source=f"{KLOOP_C}:1088-1093")
RX_QUIET = rule("14/ptnet/rx/no-kick", clause=_KICK, source=f"{KLOOP_C}:1088-1093")
WANTS_IRQ = rule("14/ptnet/wants-interrupt", clause=_INTR, source=f"{KLOOP_C}:1009-1020,1070-1081")
NO_IRQ = rule("14/ptnet/interrupt-off-again", clause=_INTR, source=f"{KLOOP_C}:1021-1024,1082-1085")
KICK_LATE = rule(
    "14/ptnet/kick-unordered",
    clause=_KICK,
    source=f"{KLOOP_C}:990-999,1066-1093",
    switch=KICK_UNORDERED,
)
REJECTED = rule("14/ptnet/rejected", clause="14.ptnet.rejected", source=f"{PTNET_C}:1175-1207")


def kick(ring: str) -> Protocol:
    """Tell the host's loop that there is something to do: a write to the ring's ioeventfd."""
    yield Wake(f"{ring}:kick")


def would_block(k: Kring) -> bool:
    """Has the program seen everything the host has told of? Source: nm_kr_wouldblock."""
    return k.rcur == k.hwtail


def guest_txsync(ring: str, force: bool, switches: frozenset[str] = CONTRACT) -> Protocol:
    """The guest's part of a transmit sync; is a kick owed? Source: netmap_pt_guest_txsync.

    ``(ring, "guest")`` is the guest's own kring. ``force``: reclaim even if there is room.
    """
    yield WriteUser((ring, "atok", "appl_need_kick"), 0)
    g: Kring = yield ReadKernel((ring, "guest"))
    hwcur = yield ReadUser((ring, "ktoa", "hwcur"))
    g = replace(g, hwcur=hwcur)
    yield from appl_write(ring, g.rcur, g.rhead)
    yield Fired(PUBLISHED)
    wanted = yield from _kick_wanted(ring, g, switches)
    owed = False
    if wanted or force:
        yield WriteUser((ring, "atok", "sync_flags"), FORCE_RECLAIM if force else 0)
        yield Fired(TX_KICK)
        owed = True
    else:
        yield Fired(TX_QUIET)
    if would_block(g) or force:
        yield Fired(RECLAIMED)
        g = yield from _read_back(ring, g)
    g = yield from _sleep(ring, g, "guest-tx/sleep")
    yield WriteKernel((ring, "guest"), g)
    return owed


def guest_rxsync(ring: str, force: bool, switches: frozenset[str] = CONTRACT) -> Protocol:
    """The guest's part of a receive sync; is a kick owed? Source: netmap_pt_guest_rxsync."""
    yield WriteUser((ring, "atok", "appl_need_kick"), 0)
    g: Kring = yield ReadKernel((ring, "guest"))
    g = yield from _read_back(ring, g)
    yield Fired(RECEIVED)
    if g.rhead != g.hwcur:
        yield from appl_write(ring, g.rcur, g.rhead)
        yield Fired(RELEASED)
    g = yield from _sleep(ring, g, "guest-rx/sleep")
    owed = False
    wanted = yield from _kick_wanted(ring, g, switches)
    if wanted:
        yield WriteUser((ring, "atok", "sync_flags"), FORCE_READ if force else 0)
        yield Fired(RX_KICK)
        owed = True
    else:
        yield Fired(RX_QUIET)
    yield WriteKernel((ring, "guest"), g)
    return owed


def _kick_wanted(ring: str, g: Kring, switches: frozenset[str]) -> Protocol:
    """Has the host something to do, and does it sleep?

    As written (KICK_UNORDERED) the load may be made before the store of head is seen.
    """
    if g.rhead == g.hwcur and not would_block(g):
        return False
    if KICK_UNORDERED in switches:
        yield Fired(KICK_LATE)
    else:
        yield from full_barrier("guest/kick")
    wanted = yield ReadUser((ring, "ktoa", "kern_need_kick"))
    return bool(wanted)


def _read_back(ring: str, g: Kring) -> Protocol:
    hwtail, hwcur = yield from appl_read(ring)
    return replace(g, hwcur=hwcur, hwtail=hwtail)


def _sleep(ring: str, g: Kring, site: str) -> Protocol:
    """A program that would have to wait wants an interrupt, unless something came meanwhile."""
    if not would_block(g):
        return g
    yield WriteUser((ring, "atok", "appl_need_kick"), 1)
    yield from full_barrier(site)
    g = yield from _read_back(ring, g)
    if would_block(g):
        yield Fired(WANTS_IRQ)
    else:
        yield WriteUser((ring, "atok", "appl_need_kick"), 0)
        yield Fired(NO_IRQ)
    return g


def guest_sync(ring: str, transmit: bool, force: bool, switches: frozenset[str] = CONTRACT) -> Protocol:
    """A whole sync of a guest's ring: prologue, the CSB, a kick if one is owed, and the new tail.

    Returns whether the program's positions were accepted.
    """
    g: Kring = yield ReadKernel((ring, "guest"))
    user: UserRing = yield from read_user(ring)
    step = tx_prologue(g, user, switches) if transmit else rx_prologue(g, user, switches)
    for fired in step.fired:
        yield Fired(fired)
    if not step.state.accepted:
        yield Fired(REJECTED)
        return False
    yield WriteKernel((ring, "guest"), step.state.kring)
    owed = yield from (guest_txsync if transmit else guest_rxsync)(ring, force, switches)
    if owed:
        yield from kick(ring)
    g = yield ReadKernel((ring, "guest"))
    yield WriteKernel((ring, "guest"), replace(g, rtail=g.hwtail))
    yield WriteUser((ring, "tail"), g.hwtail)
    return True

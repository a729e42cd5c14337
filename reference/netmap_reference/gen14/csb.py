"""Chapter *csb*: positions that travel through memory of the application's own instead of the ring.

A descriptor in CSB mode has two arrays in its application's memory, one entry for each ring it is bound to,
transmit rings first. ``atok`` goes from the application to the kernel (``head``, ``cur``, ``appl_need_kick``,
``sync_flags``), ``ktoa`` back (``hwcur``, ``hwtail``, ``kern_need_kick``). Nobody locks them, so the order of
loads and stores is all there is: a position that may be old is stored and loaded so that what can be seen
is an older state of the ring, never a state the ring was not in. Each barrier has a name, for the proofs
that take it away.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core.effects import LDLD, STLD, STST, Fence, Protocol, ReadUser, WriteUser
from ..core.outcome import errno
from ..core.step import Step, rule
from .failure import point
from .ring import Kring

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
KLOOP_C = "luigirizzo/netmap:sys/dev/netmap/netmap_kloop.c@89607e14"

#: CSB_ENABLE on a descriptor that is not bound succeeds and does nothing.
ENABLE_UNBOUND = "14.csb-enable-unbound"
#: The arrays of a REGISTER that failed afterwards stay with the descriptor.
SURVIVES_FAILURE = "14.csb-survives-failure"
AS_WRITTEN = frozenset({ENABLE_UNBOUND, SURVIVES_FAILURE})

#: Bytes of one entry, and what its address is a multiple of.
ENTRY = 64

LOOPING = rule("14/csb/enable/looping", clause="14.csb.enable", source=f"{NETMAP_C}:2153-2156")
NO_RINGS = rule("14/csb/enable/no-rings", clause="14.csb.enable", source=f"{NETMAP_C}:2158-2164")
SHARED = rule("14/csb/enable/not-exclusive", clause="14.csb.exclusive", source=f"{NETMAP_C}:2166-2169")
UNALIGNED = rule("14/csb/enable/unaligned", clause="14.csb.memory", source=f"{NETMAP_C}:2185-2188")
UNREADABLE = rule("14/csb/enable/unreadable", clause="14.csb.memory", source=f"{NETMAP_C}:2190-2206")
ENABLED = rule("14/csb/enable/enabled", clause="14.csb.enable", source=f"{NETMAP_C}:2208-2209")
INITIAL = rule("14/csb/enable/initial", clause="14.csb.initial", source=f"{NETMAP_C}:2211-2237")
NO_OPTION = rule("14/csb/enable/no-option", clause="14.csb.enable", source=f"{NETMAP_C}:3144-3146")
UNBOUND = rule("14/csb/enable/unbound", clause="14.csb.enable-bound", source=f"{NETMAP_C}:3141-3156")
UNBOUND_OK = rule(
    "14/csb/enable/unbound-ignored",
    clause="14.csb.enable-bound",
    source=f"{NETMAP_C}:2158-2164",
    switch=ENABLE_UNBOUND,
)
SURVIVED = rule(
    "14/csb/enable/survives",
    clause="14.csb.failure",
    source=f"{NETMAP_C}:2208-2209,2904-2908",
    switch=SURVIVES_FAILURE,
)
#: A copy of each array, to see whether it can be accessed.
COPY = point("csb.copy", "ENOMEM", source=f"{NETMAP_C}:2190-2192")
TOUCH = point("csb.memory", "EFAULT", source=f"{NETMAP_C}:2193-2205")
SYNC_BUSY = rule("14/csb/sync", clause="14.csb.no-sync", source=f"{NETMAP_C}:3187-3191")
POLL_ERROR = rule("14/csb/poll", clause="14.csb.no-sync", source=f"{NETMAP_C}:3711-3714")


# --- turning it on ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Array:
    """Where an array lies: its address modulo :data:`ENTRY`, and whether all of it can be accessed."""

    offset: int
    accessible: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One ring's words, both directions: u32 each. Positions in slots, the others flags."""

    head: int = 0
    cur: int = 0
    appl_need_kick: int = 0
    sync_flags: int = 0
    hwcur: int = 0
    hwtail: int = 0
    kern_need_kick: int = 0


#: The words of each array, in the order of the C structures.
ATOK = ("head", "cur", "appl_need_kick", "sync_flags")
KTOA = ("hwcur", "hwtail", "kern_need_kick")


def csb_check(looping: bool, rings: int, exclusive: bool, atok: Array, ktoa: Array) -> Step[bool]:
    """Can a descriptor with this many ``rings`` work through these arrays? The state: is CSB mode to begin?

    EBUSY while its loop runs, EINVAL when it shares its rings or an array is not aligned, EFAULT when one
    cannot be read (atok) or written (ktoa). Source: netmap_csb_validate.
    """
    if looping:
        return Step(False, (LOOPING,), errno("EBUSY"))
    if rings <= 0:
        return Step(False, (NO_RINGS,))
    if not exclusive:
        return Step(False, (SHARED,), errno("EINVAL"))
    if atok.offset != 0:
        return Step(False, (UNALIGNED,), errno("EINVAL"))
    if not atok.accessible:
        return Step(False, (UNREADABLE,), errno("EFAULT"))
    if ktoa.offset != 0:
        return Step(False, (UNALIGNED,), errno("EINVAL"))
    if not ktoa.accessible:
        return Step(False, (UNREADABLE,), errno("EFAULT"))
    return Step(True, (ENABLED,))


def csb_init(k: Kring) -> Step[Entry]:
    """A ring's entry when CSB mode begins: the kernel's positions, and each side wants to be told."""
    return Step(Entry(k.rhead, k.rcur, 1, 1, k.hwcur, k.hwtail, 1), (INITIAL,))


# --- the kernel's accesses ------------------------------------------------------------------------


def kernel_write(ring: str, hwcur: int, hwtail: int) -> Protocol:
    """Tell the application how far the kernel is. Source: sync_kloop_kernel_write.

    Slots were stored before; a reader that knows the new ``hwtail`` also knows the new ``hwcur``.
    """
    yield Fence(STST, "kernel-write/slots")
    yield WriteUser((ring, "ktoa", "hwcur"), hwcur)
    yield Fence(STST, "kernel-write/hwcur")
    yield WriteUser((ring, "ktoa", "hwtail"), hwtail)


def kernel_read(ring: str) -> Protocol:
    """(head, cur, sync_flags) as the application stored them. Source: sync_kloop_kernel_read.

    ``cur`` is never older than ``head``, and slots loaded afterwards are no older than either.
    """
    head = yield ReadUser((ring, "atok", "head"))
    yield Fence(LDLD, "kernel-read/head")
    cur = yield ReadUser((ring, "atok", "cur"))
    flags = yield ReadUser((ring, "atok", "sync_flags"))
    yield Fence(LDLD, "kernel-read/slots")
    return head, cur, flags


def kick_enable(ring: str, on: bool) -> Protocol:
    """Does the kernel want to be kicked? Source: csb_ktoa_kick_enable."""
    yield WriteUser((ring, "ktoa", "kern_need_kick"), int(on))


def full_barrier(site: str) -> Protocol:
    """Keep the stores before from being passed by the loads behind (nm_stld_barrier)."""
    yield Fence(STLD, site)


# --- the application's accesses ---------------------------------------------------------------------


def appl_write(ring: str, cur: int, head: int) -> Protocol:
    """Publish how far the application is. Source: nm_sync_kloop_appl_write.

    Slots were stored before; a reader that knows the new ``head`` also knows the new ``cur``.
    """
    yield Fence(STST, "appl-write/slots")
    yield WriteUser((ring, "atok", "cur"), cur)
    yield Fence(STST, "appl-write/cur")
    yield WriteUser((ring, "atok", "head"), head)


def appl_read(ring: str) -> Protocol:
    """(hwtail, hwcur) as the kernel stored them. Source: nm_sync_kloop_appl_read.

    ``hwcur`` is never older than ``hwtail``, and slots loaded afterwards are no older than either.
    """
    hwtail = yield ReadUser((ring, "ktoa", "hwtail"))
    yield Fence(LDLD, "appl-read/hwtail")
    hwcur = yield ReadUser((ring, "ktoa", "hwcur"))
    yield Fence(LDLD, "appl-read/slots")
    return hwtail, hwcur

"""Chapter *stop*: who may sync a ring, and when nobody may.

One call at a time syncs a ring: whoever comes meanwhile leaves it out. While a port binds or unbinds
descriptors, or its device is reset, its rings are *locked*: callers wait for the short time it takes. While
a port cannot work, because its interface is down or gone, its rings are *stopped*: a sync fails with EIO, a
poll reports an error, and neither waits. Source: nm_kr_tryget.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core.effects import Do, Protocol, Sleep
from ..core.step import Step, rule

KERN_H = "luigirizzo/netmap:sys/dev/netmap/netmap_kern.h@89607e14"
NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"

#: An interface that goes down locks its rings, which is meant for short waits, instead of stopping them.
DOWN_LOCKS = "14.down-locks-rings"
AS_WRITTEN = frozenset({DOWN_LOCKS})

#: Why a ring cannot be had; "" when it can.
BUSY, STOPPED, LOCKED = "busy", "stopped", "locked"
#: States of an interface; "" while it is up.
DOWN, GONE = "down", "gone"

_STOPPED = "14.sync.stopped"
IS_DOWN = rule("14/stop/tryget/down", clause=_STOPPED, source=f"{KERN_H}:1227,1260-1265,1284-1300")
IS_GONE = rule("14/stop/tryget/gone", clause="14.nic.gone", source=f"{KERN_H}:1277-1300")
WAITS = rule(
    "14/stop/tryget/locked-while-down",
    clause=_STOPPED,
    source=f"{LINUX_C}:163-165",
    switch=DOWN_LOCKS,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What matters for a ring that somebody wants to sync: does another call have it, and how is its
    interface (up, :data:`DOWN` or :data:`GONE`)?"""

    busy: bool
    interface: str = ""


def nm_kr_tryget(wanted: Wanted, switches: frozenset[str] = frozenset()) -> Step[str]:
    """ "" when the ring is the caller's now, else why not. That the port cannot work comes first.

    As written (DOWN_LOCKS) a ring whose interface is down is locked, and its caller waits until it is up.
    """
    if wanted.interface == GONE:
        return Step(STOPPED, (IS_GONE,))
    if wanted.interface == DOWN:
        if DOWN_LOCKS in switches:
            return Step(LOCKED, (WAITS,))
        return Step(STOPPED, (IS_DOWN,))
    if wanted.busy:
        return Step(BUSY)
    return Step("")


def take(ring: str) -> Protocol:
    """Try to have a ring for oneself: "" when it worked, else BUSY or STOPPED. Waits while it is locked.

    ``Do("tryget")`` answers True when the ring was taken, else False (it is busy) or the word for why not.
    """
    while True:
        got = yield Do("tryget", (ring,))
        if got != LOCKED:
            break
        yield Sleep(ring)
    if got in (BUSY, STOPPED):
        return got
    return "" if got else BUSY

"""Chapter *sync*: what a sync of one ring decides, and the sync ioctls over the rings of a descriptor.

The pure steps are shared by the hardware rings (:mod:`.ports.nic`) and the host rings
(:mod:`.ports.host`). `k` is the application's `cur`, read once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.effects import Do, Fired, Protocol, ReadKernel
from ..core.step import Step, rule
from ..core.words import i32
from .ring import Kring
from .source import DRIVER, lines

IGNORES_AVAIL = "2011.driver-ignores-avail"
ALWAYS_STAMPS = "2011.rxsync-ignores-no-timestamp"
RINGID_UNLOCKED = "2011.selection-read-unlocked"
CONTRACT: frozenset[str] = frozenset()
AS_WRITTEN = frozenset({IGNORES_AVAIL, ALWAYS_STAMPS, RINGID_UNLOCKED})

_WINDOW = "2011.ring.sync-window"
CUR_OK = rule("2011/sync/check_cur/accept", clause="2011.ring.cur-inside", source=DRIVER)
CUR_BAD = rule("2011/sync/check_cur/beyond", clause="2011.ring.cur-inside", source=DRIVER)
TAKE_OK = rule("2011/sync/take/accept", clause=_WINDOW, source=DRIVER)
TAKE_TOO_FAR = rule(
    "2011/sync/take/too-far-rejected", clause=_WINDOW, source="netmap.h 9662 2011-11-16:avail"
)
TAKE_BEYOND = rule("2011/sync/take/too-far-taken", clause=_WINDOW, source=DRIVER, switch=IGNORES_AVAIL)
GIVE_NONE = rule("2011/sync/give/none", clause="2011.ring.completions", source=DRIVER)
GIVE = rule("2011/sync/give/some", clause="2011.ring.completions", source=DRIVER)
GIVE_TOO_MANY = rule("2011/sync/give/too-many", clause="2011.ring.completions", source=DRIVER)
ALL_RINGS = rule("2011/sync/ioctl/ring", clause="2011.control.sync", source=lines("1228-1244"))
HOST_RINGS = rule("2011/sync/ioctl/host", clause="2011.control.sync", source=lines("1219-1226"))
STAMP = rule("2011/sync/ioctl/stamp", clause="2011.control.timestamp", source=lines("1242"))
STAMP_UNASKED = rule(
    "2011/sync/ioctl/stamp-unasked",
    clause="2011.control.timestamp",
    source=lines("1242"),
    switch=ALWAYS_STAMPS,
)
STAMP_OFF = rule("2011/sync/ioctl/no-stamp", clause="2011.control.timestamp", source=lines("104, 110"))
SELECTION_ONCE = rule("2011/sync/selection/once", clause="2011.control.selection", source=lines("1219-1228"))
SELECTION_AGAIN = rule(
    "2011/sync/selection/again",
    clause="2011.control.selection",
    source=lines("1219-1228"),
    switch=RINGID_UNLOCKED,
)


def check_cur(cur: int, n: int) -> Step[bool]:
    """Is the application's `cur` (u32) a position of a ring of ``n`` slots?"""
    if cur >= n:
        return Step(False, (CUR_BAD,))
    return Step(True, (CUR_OK,))


def distance(start: int, end: int, n: int) -> int:
    """Slots from ``start`` (included) to ``end`` (not), walking forward; both below ``n``."""
    if end >= start:
        return end - start
    return end - start + n


@dataclass(frozen=True, slots=True)
class Taken:
    """The kring after the application's slots were taken over, and whether they were."""

    kring: Kring
    accepted: bool


def take(k: Kring, cur: int, switches: frozenset[str] = CONTRACT) -> Step[Taken]:
    """Take over the slots from hwcur up to ``cur`` (below n): they are no longer the application's.

    Contract: at most `nr_hwavail` of them. As written (IGNORES_AVAIL) any number, so that hwavail
    becomes negative and is shown to the application as an `avail` of about four thousand million.
    """
    count = distance(k.hwcur, cur, k.n)
    if count > k.hwavail:
        if IGNORES_AVAIL not in switches:
            return Step(Taken(k, False), (TAKE_TOO_FAR,))
        return Step(Taken(replace(k, hwcur=cur, hwavail=i32(k.hwavail - count)), True), (TAKE_BEYOND,))
    return Step(Taken(replace(k, hwcur=cur, hwavail=k.hwavail - count), True), (TAKE_OK,))


def give(k: Kring, count: int) -> Step[Taken]:
    """The NIC is done with ``count`` slots: they are the application's now. More than fit: rejected."""
    if count == 0:
        return Step(Taken(k, True), (GIVE_NONE,))
    given = replace(k, hwavail=i32(k.hwavail + count))
    if given.hwavail > k.n - 1:
        return Step(Taken(given, False), (GIVE_TOO_MANY,))
    return Step(Taken(given, True), (GIVE,))


def must_stamp(no_timestamp: int, switches: frozenset[str] = CONTRACT) -> Step[bool]:
    """Does NIOCRXSYNC stamp the ring? As written (ALWAYS_STAMPS) whatever the sysctl says."""
    if no_timestamp == 0:
        return Step(True, (STAMP,))
    if ALWAYS_STAMPS in switches:
        return Step(True, (STAMP_UNASKED,))
    return Step(False, (STAMP_OFF,))


def sync_ioctl(tx: bool, num_queues: int, switches: frozenset[str] = CONTRACT) -> Protocol:
    """NIOCTXSYNC and NIOCRXSYNC of a registered descriptor; the errors of the rings are not reported.

    As written (RINGID_UNLOCKED) the descriptor's ring selection is read again before every ring and
    without a lock, so a NIOCREGIF of another thread can take effect half way.
    """
    again = RINGID_UNLOCKED in switches
    yield Fired(SELECTION_AGAIN if again else SELECTION_ONCE)
    first, last = (0, 0) if again else (yield Do("selection"))
    qfirst = (yield ReadKernel(("priv", "qfirst"))) if again else first
    if qfirst == num_queues:
        yield Fired(HOST_RINGS)
        yield Do("sync_to_host" if tx else "sync_from_host")
        return
    i = (yield ReadKernel(("priv", "qfirst"))) if again else first
    while i < ((yield ReadKernel(("priv", "qlast"))) if again else last):
        yield Fired(ALL_RINGS)
        if tx:
            if (yield ReadKernel(("sysctl", "verbose"))) & 0x20:
                yield Do("log", ("netmap_ioctl", 1232))
            yield Do("txsync", (i, True))
            if (yield ReadKernel(("sysctl", "verbose"))) & 0x20:
                yield Do("log", ("netmap_ioctl", 1237))
        else:
            yield Do("rxsync", (i, True))
            step = must_stamp((yield ReadKernel(("sysctl", "no_timestamp"))), switches)
            yield Fired(step.fired[0])
            if step.state:
                yield Do("microtime", (f"rx{i}",))
        i += 1

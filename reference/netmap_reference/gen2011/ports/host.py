"""The host rings: what an application puts into the host tx ring goes up to the host stack, and what
the host stack sends (:func:`..interrupts.start`) waits in the host rx ring.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...core.effects import (
    Do,
    Fired,
    Lock,
    Protocol,
    ReadKernel,
    ReadUser,
    SelRecord,
    Unlock,
    WriteKernel,
    WriteUser,
)
from ...core.step import Step, rule
from ...core.words import i32
from ..attach import Adapter
from ..memory import BUF_SIZE
from ..ring import Kring, next_pos, ring_reinit, wrap_avail
from ..source import lines
from ..sync import check_cur

#: The shortest frame that is passed up: an Ethernet header.
MIN_FRAME = 14

DEBITS_FIRST = "2011.host-rx-debits-before-check"
READS_CUR_EARLY = "2011.host-rx-reads-cur-unlocked"
READS_LEN_TWICE = "2011.host-tx-reads-len-again"
UNLOCKED = "2011.host-tx-unlocked"
CONTRACT: frozenset[str] = frozenset()
AS_WRITTEN = frozenset({DEBITS_FIRST, READS_CUR_EARLY, READS_LEN_TWICE, UNLOCKED})

_TAKE = "2011.host.rx-window"
FROM_OK = rule("2011/host/from_host/accept", clause=_TAKE, source=lines("924-932"))
FROM_BAD_CUR = rule("2011/host/from_host/cur-beyond", clause="2011.ring.cur-inside", source=lines("922-923"))
FROM_TOO_FAR = rule("2011/host/from_host/too-far-rejected", clause=_TAKE, source=lines("927-929"))
FROM_DEBITED = rule(
    "2011/host/from_host/too-far-debited", clause=_TAKE, source=lines("927-929"), switch=DEBITS_FIRST
)
FROM_WAITS = rule("2011/host/from_host/recorded", clause="2011.host.rx-record", source=lines("933-934"))
FROM_READ = rule("2011/host/from_host/cur-under-lock", clause="2011.host.rx-serial", source=lines("919-921"))
FROM_READ_EARLY = rule(
    "2011/host/from_host/cur-before-lock",
    clause="2011.host.rx-serial",
    source=lines("919-921"),
    switch=READS_CUR_EARLY,
)
TO_BAD_CUR = rule("2011/host/to_host/cur-beyond", clause="2011.ring.cur-inside", source=lines("861-865"))
TO_SENT = rule("2011/host/to_host/passed-up", clause="2011.host.tx-up", source=lines("880-889, 896-902"))
TO_BAD_LEN = rule("2011/host/to_host/bad-length", clause="2011.host.tx-length", source=lines("876-879"))
TO_NO_MBUF = rule("2011/host/to_host/no-mbuf", clause="2011.host.tx-drop", source=lines("868-870, 882-883"))
TO_DRAINED = rule("2011/host/to_host/drained", clause="2011.host.tx-drained", source=lines("891-892"))
TO_READ_ONCE = rule("2011/host/to_host/length-once", clause="2011.host.tx-read-once", source=lines("876-880"))
TO_READ_AGAIN = rule(
    "2011/host/to_host/length-again",
    clause="2011.host.tx-read-once",
    source=lines("876-880"),
    switch=READS_LEN_TWICE,
)
TO_LOCKED = rule("2011/host/to_host/locked", clause="2011.host.tx-serial", source=lines("847-852, 866, 893"))
TO_UNLOCKED = rule(
    "2011/host/to_host/unlocked",
    clause="2011.host.tx-serial",
    source=lines("847-852, 866, 893"),
    switch=UNLOCKED,
)


@dataclass(frozen=True, slots=True)
class FromHost:
    """The kring of the host rx ring afterwards, and whether the application's `cur` was accepted."""

    kring: Kring
    accepted: bool


def from_host(k: Kring, cur: int, switches: frozenset[str] = CONTRACT) -> Step[FromHost]:
    """Take back the slots up to ``cur`` (any u32). Source: netmap_sync_from_host.

    As written (DEBITS_FIRST) hwavail is reduced before it is compared, and stays negative when the
    application claimed more packets than there are.
    """
    if not check_cur(cur, k.n).state:
        return Step(FromHost(k, False), (FROM_BAD_CUR,))
    delta = i32(cur - k.hwcur)
    if delta < 0:
        delta = i32(delta + k.n)
    left = i32(k.hwavail - delta)
    if left < 0:
        if DEBITS_FIRST in switches:
            return Step(FromHost(replace(k, hwavail=left), False), (FROM_DEBITED,))
        return Step(FromHost(k, False), (FROM_TOO_FAR,))
    return Step(FromHost(replace(k, hwavail=left, hwcur=cur), True), (FROM_OK,))


def sync_from_host(na: Adapter, record: bool, switches: frozenset[str] = CONTRACT) -> Protocol:
    """Receive from the host stack; ``record`` when called by poll. Returns 1 when the ring was rejected."""
    ring = f"rx{na.host}"
    early = READS_CUR_EARLY in switches
    yield Fired(FROM_READ_EARLY if early else FROM_READ)
    cur = (yield ReadUser((ring, "cur"))) if early else 0
    yield Lock("core")
    if not early:
        cur = yield ReadUser((ring, "cur"))
    step = from_host((yield ReadKernel((ring, "kring"))), cur, switches)
    yield Fired(step.fired[0])
    yield WriteKernel((ring, "kring"), step.state.kring)
    if step.state.accepted:
        ready = step.state.kring.hwavail
        yield WriteUser((ring, "avail"), wrap_avail(ready))
        if ready == 0 and record:
            yield Fired(FROM_WAITS)
            yield SelRecord(ring)
        if ready and (yield ReadKernel(("sysctl", "verbose"))) & 2:
            yield Do("log", ("netmap_sync_from_host", 936))
    yield Unlock("core")
    if step.state.accepted:
        return 0
    yield from ring_reinit(ring, switches)
    return 1


def up_length(length: int) -> Step[bool]:
    """Is ``length`` (u16, bytes) that of a frame that can be passed up?"""
    if length < MIN_FRAME or length > BUF_SIZE:
        return Step(False, (TO_BAD_LEN,))
    return Step(True, (TO_SENT,))


def drained(k: Kring, cur: int) -> Step[Kring]:
    """After a send the ring is empty again, whatever happened to its packets."""
    return Step(replace(k, hwcur=cur, hwavail=k.n - 1), (TO_DRAINED,))


def sync_to_host(na: Adapter, switches: frozenset[str] = CONTRACT) -> Protocol:
    """Pass the packets of the host tx ring up. Returns 1 when the ring was rejected.

    As written there is no lock (UNLOCKED), and a slot's length is read from user memory again after it
    was found good (READS_LEN_TWICE).
    """
    ring = f"tx{na.host}"
    locked = UNLOCKED not in switches
    yield Fired(TO_LOCKED if locked else TO_UNLOCKED)
    if locked:
        yield Lock("core")
    n = (yield ReadKernel((ring, "kring"))).n
    cur = yield ReadUser((ring, "cur"))
    if not check_cur(cur, n).state:
        yield Fired(TO_BAD_CUR)
        if locked:
            yield Unlock("core")
        yield from ring_reinit(ring, switches)
        return 1
    again = READS_LEN_TWICE in switches
    frames = []
    k: Kring = yield ReadKernel((ring, "kring"))
    at = k.hwcur
    while at != cur:
        slot = at
        at = next_pos(at, k.n - 1)
        length = yield ReadUser((ring, "slot", slot, "len"))
        good = up_length(length)
        yield Fired(good.fired[0])
        if not good.state:
            yield Do("log", ("netmap_sync_to_host", 877))
            continue
        yield Fired(TO_READ_AGAIN if again else TO_READ_ONCE)
        if again:
            length = yield ReadUser((ring, "slot", slot, "len"))
        index = yield ReadUser((ring, "slot", slot, "buf_idx"))
        frame = yield Do("m_devget", (index, length))
        if frame is None:
            yield Fired(TO_NO_MBUF)
            break
        frames.append(frame)
    done = drained(k, cur)
    yield Fired(done.fired[0])
    yield WriteKernel((ring, "kring"), done.state)
    yield WriteUser((ring, "avail"), k.n - 1)
    if locked:
        yield Unlock("core")
    for frame in frames:
        if (yield ReadKernel(("sysctl", "verbose"))) & 2:
            yield Do("log", ("netmap_sync_to_host", 900))
        yield Do("send_up", (frame,))
    return 0

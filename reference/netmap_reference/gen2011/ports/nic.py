"""The NIC port: the driver that was under netmap in the recordings.

A NIC ring (:mod:`.nicring`) has as many descriptors as its netmap ring has slots; netmap index and
NIC index differ by `nkr_hwofs`. A sync that is asked to lock takes the ring's own lock (adapters
with separate locks) or the core lock; called from poll it finds the lock held.
"""

from __future__ import annotations

from dataclasses import replace

from ...core.effects import Do, Fired, Lock, Protocol, ReadKernel, ReadUser, Unlock, WriteKernel, WriteUser
from ...core.step import Step, rule
from ...core.words import u32
from ..attach import Adapter
from ..interrupts import reset
from ..memory import BUF_SIZE
from ..ring import NS_BUF_CHANGED, NS_REPORT, Kring, idx_k2n, idx_n2k, next_pos, ring_reinit, wrap_avail
from ..source import DRIVER
from ..sync import check_cur, distance, give, take
from .nicring import RxRing, TxRing

PENDINTR = 1
READS_CUR_EARLY = "2011.driver-reads-cur-unlocked"
CONTRACT: frozenset[str] = frozenset()
AS_WRITTEN = frozenset({READS_CUR_EARLY})

TX_BAD_SLOT = rule("2011/nic/txsync/bad-slot", clause="2011.driver.tx-slot", source=DRIVER)
TX_SLOT = rule("2011/nic/txsync/slot", clause="2011.driver.tx-slot", source=DRIVER)
TX_RECLAIM = rule("2011/nic/txsync/reclaim", clause="2011.driver.tx-reclaim", source=DRIVER)
TX_NO_RECLAIM = rule("2011/nic/txsync/no-reclaim", clause="2011.driver.tx-reclaim", source=DRIVER)
RX_IMPORT = rule("2011/nic/rxsync/import", clause="2011.driver.rx-import", source=DRIVER)
RX_NO_IMPORT = rule("2011/nic/rxsync/no-import", clause="2011.driver.rx-import", source=DRIVER)
RX_BAD_SLOT = rule("2011/nic/rxsync/bad-slot", clause="2011.driver.rx-slot", source=DRIVER)
RX_SLOT = rule("2011/nic/rxsync/slot", clause="2011.driver.rx-slot", source=DRIVER)
CUR_LOCKED = rule("2011/nic/sync/cur-under-lock", clause="2011.driver.cur-under-lock", source=DRIVER)
CUR_EARLY = rule(
    "2011/nic/sync/cur-before-lock",
    clause="2011.driver.cur-under-lock",
    source=DRIVER,
    switch=READS_CUR_EARLY,
)
INIT_RX_TAIL = rule("2011/nic/init/rx-tail", clause="2011.driver.init", source=DRIVER)
REG_ON = rule("2011/nic/register/on", clause="2011.driver.register", source=DRIVER)
REG_OFF = rule("2011/nic/register/off", clause="2011.driver.register", source=DRIVER)
REG_FAILED = rule("2011/nic/register/failed", clause="2011.driver.register", source=DRIVER)


def rx_init_tail(n: int, hwavail: int) -> Step[int]:
    """The tail after initialisation: one descriptor short of what is not full of packets."""
    return Step((n - 1 - hwavail) % n, (INIT_RX_TAIL,))


def lock_name(na: Adapter, ring: str) -> str:
    """Which lock a sync of this ring takes when it is asked to lock."""
    return ring if na.separate_locks else "core"


def txsync(na: Adapter, q: int, lock: bool, switches: frozenset[str] = CONTRACT) -> Protocol:
    """Hand the slots up to `cur` to the NIC and take back what it has sent; returns 1 when rejected.

    ``lock``: take the lock, and reclaim even if there are slots left.
    """
    ring = f"tx{q}"
    early = READS_CUR_EARLY in switches
    yield Fired(CUR_EARLY if early else CUR_LOCKED)
    n = (yield ReadKernel((ring, "kring"))).n
    cur = (yield ReadUser((ring, "cur"))) if early else 0
    if early and not (yield from _valid(cur, n)):
        return (yield from ring_reinit(ring, switches))
    if lock:
        yield Lock(lock_name(na, ring))
    if not early:
        cur = yield ReadUser((ring, "cur"))
    good = early or (yield from _valid(cur, n))
    good = good and (yield from _send(ring, q, cur, switches))
    k: Kring = yield ReadKernel((ring, "kring"))
    if good and (lock or k.hwavail <= 0):
        yield Fired(TX_RECLAIM)
        nic: TxRing = yield Do("nic.tx", (q,))
        done = distance(nic.clean, nic.head, nic.n)
        yield Do("nic.tx_clean", (q, nic.head))
        step = give(k, done)
        yield Fired(step.fired[0])
        k = step.state.kring
        yield WriteKernel((ring, "kring"), k)
        good = step.state.accepted
    elif good:
        yield Fired(TX_NO_RECLAIM)
    if good:
        yield WriteUser((ring, "avail"), wrap_avail(k.hwavail))
    if lock:
        yield Unlock(lock_name(na, ring))
    return 0 if good else (yield from ring_reinit(ring, switches))


def _valid(cur: int, n: int) -> Protocol:
    step = check_cur(cur, n)
    yield Fired(step.fired[0])
    return step.state


def _send(ring: str, q: int, cur: int, switches: frozenset[str]) -> Protocol:
    """Fill descriptors for the slots from hwcur to ``cur``; false when one is refused (none is sent then)."""
    k: Kring = yield ReadKernel((ring, "kring"))
    if k.hwcur == cur:
        return True
    step = take(k, cur, switches)
    yield Fired(step.fired[0])
    if not step.state.accepted:
        return False
    total = yield ReadKernel(("mem", "total"))
    mapped = idx_k2n(k.n, k.hwofs, k.hwcur)
    yield Fired(mapped.fired[0])
    at, to = k.hwcur, mapped.state
    while at != cur:
        flags = yield ReadUser((ring, "slot", at, "flags"))
        length = yield ReadUser((ring, "slot", at, "len"))
        index = yield ReadUser((ring, "slot", at, "buf_idx"))
        if index == 0 or index >= total or length > BUF_SIZE:
            yield Fired(TX_BAD_SLOT)
            return False
        yield Fired(TX_SLOT)
        kept = flags & ~(NS_BUF_CHANGED | NS_REPORT)
        if kept != flags:
            yield WriteUser((ring, "slot", at, "flags"), kept)
        yield Do("nic.tx_desc", (q, to, index, length))
        at, to = next_pos(at, k.n - 1), next_pos(to, k.n - 1)
    yield WriteKernel((ring, "kring"), step.state.kring)
    yield Do("nic.tx_tail", (q, to))
    return True


def rxsync(na: Adapter, q: int, lock: bool, switches: frozenset[str] = CONTRACT) -> Protocol:
    """Give consumed slots back to the NIC, take over what it has received; returns 1 when rejected."""
    ring = f"rx{q}"
    early = READS_CUR_EARLY in switches
    yield Fired(CUR_EARLY if early else CUR_LOCKED)
    n = (yield ReadKernel((ring, "kring"))).n
    cur = (yield ReadUser((ring, "cur"))) if early else 0
    if early and not (yield from _valid(cur, n)):
        return (yield from ring_reinit(ring, switches))
    if lock:
        yield Lock(lock_name(na, ring))
    if not early:
        cur = yield ReadUser((ring, "cur"))
    good = early or (yield from _valid(cur, n))
    if good:
        k: Kring = yield ReadKernel((ring, "kring"))
        if lock or k.kflags & PENDINTR or (yield ReadKernel(("sysctl", "no_pendintr"))):
            yield Fired(RX_IMPORT)
            yield from _import(ring, q)
        else:
            yield Fired(RX_NO_IMPORT)
        good = yield from _release(ring, q, cur, switches)
    if good:
        k = yield ReadKernel((ring, "kring"))
        yield WriteUser((ring, "avail"), wrap_avail(k.hwavail))
    if lock:
        yield Unlock(lock_name(na, ring))
    return 0 if good else (yield from ring_reinit(ring, switches))


def _import(ring: str, q: int) -> Protocol:
    """Take over every finished descriptor from ``check`` on."""
    k: Kring = yield ReadKernel((ring, "kring"))
    nic: RxRing = yield Do("nic.rx", (q,))
    mapped = idx_n2k(k.n, k.hwofs, nic.check)
    yield Fired(mapped.fired[0])
    at, frm, count = u32(mapped.state), nic.check, 0
    while nic.done[frm]:
        if count > nic.n:
            yield Do("hang")
        yield WriteUser((ring, "slot", at, "len"), nic.length[frm])
        yield WriteUser((ring, "slot", at, "flags"), 0)
        at, frm, count = next_pos(at, k.n - 1), next_pos(frm, nic.n - 1), count + 1
    if count:
        yield Do("nic.rx_check", (q, frm))
    kflags = k.kflags & ~PENDINTR
    yield WriteKernel((ring, "kring"), replace(k, hwavail=k.hwavail + count, kflags=kflags))


def _release(ring: str, q: int, cur: int, switches: frozenset[str]) -> Protocol:
    """Give the slots from hwcur to ``cur`` back to the NIC; false when one is refused."""
    k: Kring = yield ReadKernel((ring, "kring"))
    if k.hwcur == cur:
        return True
    step = take(k, cur, switches)
    yield Fired(step.fired[0])
    if not step.state.accepted:
        return False
    total = yield ReadKernel(("mem", "total"))
    mapped = idx_k2n(k.n, k.hwofs, k.hwcur)
    yield Fired(mapped.fired[0])
    at, to = k.hwcur, mapped.state
    while at != cur:
        index = yield ReadUser((ring, "slot", at, "buf_idx"))
        if index == 0 or index >= total:
            yield Fired(RX_BAD_SLOT)
            return False
        yield Fired(RX_SLOT)
        flags = yield ReadUser((ring, "slot", at, "flags"))
        if flags & NS_BUF_CHANGED:
            yield WriteUser((ring, "slot", at, "flags"), flags & ~NS_BUF_CHANGED)
        yield Do("nic.rx_desc", (q, to, index))
        at, to = next_pos(at, k.n - 1), next_pos(to, k.n - 1)
    yield WriteKernel((ring, "kring"), step.state.kring)
    yield Do("nic.rx_tail", (q, k.n - 1 if to == 0 else to - 1))
    return True


def init(na: Adapter | None, num_queues: int) -> Protocol:
    """Initialise the NIC; in netmap mode its rings are aligned with the netmap rings as they stand."""
    yield Do("nic.restart")
    for q in range(num_queues):
        yield from reset(na, True, q, 0)
        if (yield from reset(na, False, q, 0)) is not None:
            k: Kring = yield ReadKernel((f"rx{q}", "kring"))
            total = yield ReadKernel(("mem", "total"))
            for to in range(k.n):
                at = idx_n2k(k.n, k.hwofs, to).state
                index = yield ReadUser((f"rx{q}", "slot", at, "buf_idx"))
                yield Do("nic.rx_desc", (q, to, index if index < total else 0))
            tail = rx_init_tail(k.n, k.hwavail)
            yield Fired(tail.fired[0])
            yield Do("nic.rx_tail", (q, tail.state))


def nic_init(na: Adapter, num_queues: int) -> Protocol:
    """The driver's init routine called from outside netmap: the same under the core lock."""
    yield Lock("core")
    yield from init(na, num_queues)
    yield Unlock("core")


def register(na: Adapter, on: bool) -> Protocol:
    """`nm_register`: netmap mode on or off, under the core lock; returns an errno's name or ""."""
    if on:
        yield WriteKernel(("if", "capenable"), True)
        yield WriteKernel(("if", "intercept"), True)
        yield from init(na, na.num_queues)
        if not (yield Do("nic.fails")):
            yield Fired(REG_ON)
            return ""
        yield Fired(REG_FAILED)
    else:
        yield Fired(REG_OFF)
    yield WriteKernel(("if", "intercept"), False)
    yield WriteKernel(("if", "capenable"), False)
    yield from init(na, na.num_queues)
    return "ENOMEM" if on else ""


def interrupt(na: Adapter | None, q: int) -> Protocol:
    """Before the receive interrupt is handed to netmap, the driver marks the ring."""
    if na is not None and (yield ReadKernel(("if", "capenable"))):
        k: Kring = yield ReadKernel((f"rx{q}", "kring"))
        yield WriteKernel((f"rx{q}", "kring"), replace(k, kflags=k.kflags | PENDINTR))

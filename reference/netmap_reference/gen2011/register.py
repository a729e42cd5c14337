"""Chapter *register*: NIOCREGIF gives a descriptor rings, its destructor takes them back.

A registration makes a `netmap_if` of its own for the descriptor; the rings of the interface are made
by the first registration and freed with the last. The core lock is held throughout, except while the
last registration is torn down and waits for others to notice (the *deleting window*: reference count
0 while netmap mode is still on).
"""

from __future__ import annotations

from dataclasses import dataclass

from netmap_spec.abi import api2011

from ..core.effects import (
    Do,
    Fired,
    Lock,
    Protocol,
    ReadKernel,
    ReadUser,
    Sleep,
    Unlock,
    Wake,
    WriteKernel,
)
from ..core.outcome import errno
from ..core.step import Step, rule
from .attach import Adapter, faults
from .iface import if_new
from .memory import mfree
from .pool import free_buf, give_buf
from .source import lines

HW_RING = api2011.NETMAP_HW_RING
SW_RING = api2011.NETMAP_SW_RING
NO_TX_POLL = api2011.NETMAP_NO_TX_POLL
RING_MASK = api2011.NETMAP_RING_MASK
#: How often NIOCREGIF waits for an interface that is being torn down.
ATTEMPTS = 10

TRUSTS_SLOTS = "2011.destructor-trusts-slots"
FAILED_SLEEPS = "2011.failed-register-drops-lock"
CONTRACT: frozenset[str] = frozenset()
AS_WRITTEN = frozenset({TRUSTS_SLOTS, FAILED_SLEEPS})

_SEL = "2011.register.selection"
SELECT_BAD = rule("2011/register/select/no-such-ring", clause=_SEL, source=lines("1034-1037"))
SELECT_HOST = rule("2011/register/select/host", clause=_SEL, source=lines("1041-1043"))
SELECT_ONE = rule("2011/register/select/one", clause=_SEL, source=lines("1044-1046"))
SELECT_ALL = rule("2011/register/select/all", clause=_SEL, source=lines("1047-1050"))
SELECT_LOCKED = rule("2011/register/select/locked", clause="2011.register.again", source=lines("1031-1053"))
REG_NO_PRIV = rule("2011/register/regif/no-memory", clause="2011.register.errors", source=lines("1131-1137"))
REG_WAIT = rule("2011/register/regif/deleting", clause="2011.register.deleting", source=lines("1139-1145"))
REG_GIVE_UP = rule("2011/register/regif/gave-up", clause="2011.register.gave-up", source=lines("1146-1152"))
REG_MODE_ON = rule("2011/register/regif/mode-on", clause="2011.register.mode", source=lines("1163-1167"))
REG_MODE_WAS_ON = rule(
    "2011/register/regif/mode-was-on", clause="2011.register.mode", source=lines("1161-1162")
)
REG_DRIVER_FAILED = rule(
    "2011/register/regif/driver-failed", clause="2011.register.errors", source=lines("1167-1179")
)
REG_ERROR = rule("2011/register/regif/undone", clause="2011.register.errors", source=lines("1172-1178"))
REG_NO_CDEVPRIV = rule(
    "2011/register/regif/no-cdevpriv", clause="2011.register.private", source=lines("1182-1190")
)
REG_OK = rule("2011/register/regif/ok", clause="2011.register.answer", source=lines("1192-1197"))
DTOR_MORE = rule("2011/register/dtor/others-left", clause="2011.register.last", source=lines("745-746, 795"))
DTOR_LAST = rule("2011/register/dtor/last", clause="2011.register.last", source=lines("746-794"))
DTOR_WINDOW = rule("2011/register/dtor/window", clause="2011.register.deleting", source=lines("750-764"))
DTOR_FAILED_WINDOW = rule(
    "2011/register/dtor/unmarked-window",
    clause="2011.register.failed-exclusive",
    source=lines("750-764, 1167-1169"),
    switch=FAILED_SLEEPS,
)
DTOR_FAILED_HELD = rule(
    "2011/register/dtor/failed-under-lock", clause="2011.register.failed-exclusive", source=lines("750-760")
)
DTOR_WAKES = rule("2011/register/dtor/wakes", clause="2011.register.last-wakes", source=lines("766-772"))
DTOR_SLOTS = rule(
    "2011/register/dtor/slots-decide",
    clause="2011.pool.conserved",
    source=lines("773-791"),
    switch=TRUSTS_SLOTS,
)
DTOR_OWNED = rule("2011/register/dtor/owners-decide", clause="2011.pool.conserved", source=lines("773-791"))


# --- pure decisions ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selection:
    """The rings a descriptor watches: ``qfirst … qlast-1``, the host rings being ``num_queues``.

    ``ringid`` u16 as asked for; ``txpoll`` 1 when poll also pushes out what is waiting to be sent.
    """

    ringid: int = 0
    qfirst: int = 0
    qlast: int = 0
    txpoll: int = 0


def select(old: Selection, num_queues: int, ringid: int) -> Step[Selection]:
    """Which rings ``ringid`` names; EINVAL for a ring that does not exist. Source: netmap_set_ringid."""
    ring = ringid & RING_MASK
    hardware, host = ringid & HW_RING != 0, ringid & SW_RING != 0
    if hardware and ring >= num_queues:
        return Step(old, (SELECT_BAD,), errno("EINVAL"))
    txpoll = 0 if ringid & NO_TX_POLL else 1
    if host:
        return Step(Selection(ringid, num_queues, num_queues + 1, txpoll), (SELECT_HOST,))
    if hardware:
        return Step(Selection(ringid, ring, ring + 1, txpoll), (SELECT_ONE,))
    return Step(Selection(ringid, 0, num_queues, txpoll), (SELECT_ALL,))


# --- netmap_set_ringid ------------------------------------------------------------------------


def set_ringid(na: Adapter | None, ringid: int) -> Protocol:
    """Change the selection of the calling descriptor; returns an errno's name or "".

    The first time the caller holds the core lock; later, told by a selection that is not empty, it
    is taken here.
    """
    if na is None:
        if ringid & HW_RING:
            yield from faults("netmap_set_ringid", 1034, "num_queues")
        yield from faults("netmap_set_ringid", 1039, "nm_lock")
        return "ENXIO"
    old: Selection = yield ReadKernel(("priv", "selection"))
    need_lock = old.qfirst != old.qlast
    step = select(old, na.num_queues, ringid)
    yield Fired(step.fired[0])
    if not step.outcome.ok:
        yield Do("log", ("netmap_set_ringid", 1035))
        return step.outcome.detail
    if need_lock:
        yield Fired(SELECT_LOCKED)
        yield Lock("core")
    yield WriteKernel(("priv", "selection"), step.state)
    if need_lock:
        yield Unlock("core")
    line = {SELECT_HOST: 1055, SELECT_ONE: 1057, SELECT_ALL: 1060}[step.fired[0]]
    yield Do("log", ("netmap_set_ringid", line))
    return ""


# --- NIOCREGIF --------------------------------------------------------------------------------


def regif(na: Adapter, ringid: int, switches: frozenset[str] = CONTRACT) -> Protocol:
    """NIOCREGIF of a descriptor that has no interface yet; the caller holds a reference to it.

    Returns an errno's name or ""; on success ``Do("answer")`` has filled the request.
    """
    if not (yield Do("kmalloc", ("devbuf", 0, False))):
        yield Fired(REG_NO_PRIV)
        yield Do("if_rele")
        return "ENOMEM"
    attempt = ATTEMPTS
    while attempt > 0:
        yield Lock("core")
        if not (yield ReadKernel(("na", "deleting"))):
            break
        yield Fired(REG_WAIT)
        yield Unlock("core")
        yield Sleep("NIOCREGIF")
        attempt -= 1
    if attempt == 0:
        yield Fired(REG_GIVE_UP)
        yield Do("log", ("netmap_ioctl", 1147))
        yield Do("if_rele")
        return "EINVAL"
    yield Do("new_priv")
    error = yield from set_ringid(na, ringid)
    if not error:
        nifp = yield from if_new(na, switches)
        if nifp is None:
            error = "ENOMEM"
        else:
            yield WriteKernel(("priv", "nifp"), nifp)
            if (yield ReadKernel(("if", "capenable"))):
                yield Fired(REG_MODE_WAS_ON)
            else:
                yield Fired(REG_MODE_ON)
                error = yield Do("nm_register", (1,))
                if error:
                    yield Fired(REG_DRIVER_FAILED)
                    yield from dtor_locked(na, True, switches)
    if error:
        yield Fired(REG_ERROR)
        yield Unlock("core")
        yield Do("drop_priv")
        yield Do("if_rele")
        return error
    yield Unlock("core")
    error = yield Do("set_cdevpriv")
    if error:
        yield Fired(REG_NO_CDEVPRIV)
        yield from dtor(na, switches)
        return error
    yield Fired(REG_OK)
    yield Do("answer")
    return ""


# --- the destructor ---------------------------------------------------------------------------


def dtor(na: Adapter | None, switches: frozenset[str] = CONTRACT) -> Protocol:
    """`netmap_dtor`: the descriptor's last close, or NIOCUNREGIF."""
    if na is None:
        yield from faults("netmap_dtor", 806, "nm_lock")
        return
    yield Lock("core")
    yield from dtor_locked(na, False, switches)
    yield Unlock("core")
    yield Do("if_rele")
    yield Do("drop_priv")


def dtor_locked(na: Adapter, failed: bool, switches: frozenset[str] = CONTRACT) -> Protocol:
    """Undo one registration under the core lock; ``failed`` when netmap mode could not be switched on.

    The last one drops the lock for a moment so that others can see the deleting mark. As written
    (FAILED_SLEEPS) it does so after a failed registration as well, when the mark is not there.
    """
    refcount = (yield ReadKernel(("na", "refcount"))) - 1
    yield WriteKernel(("na", "refcount"), refcount)
    if refcount <= 0:
        yield Fired(DTOR_LAST)
        yield Do("log", ("netmap_dtor_locked", 749))
        if failed and FAILED_SLEEPS not in switches:
            yield Fired(DTOR_FAILED_HELD)
        else:
            yield Fired(DTOR_FAILED_WINDOW if failed else DTOR_WINDOW)
            yield Unlock("core")
            yield Sleep("NIOCUNREG")
            yield Lock("core")
        yield Do("nm_register", (0,))
        yield Fired(DTOR_WAKES)
        for i in range(na.num_queues + 2):
            yield Wake(f"tx{i}")
            yield Wake(f"rx{i}")
        yield Lock("nma")
        yield from _free_bufs(na, switches)
        yield Unlock("nma")
        yield from mfree((yield ReadKernel(("tx0", "ring"))))
        yield Do("wakeup")
    else:
        yield Fired(DTOR_MORE)
    yield from mfree((yield ReadKernel(("priv", "nifp"))))


def _free_bufs(na: Adapter, switches: frozenset[str]) -> Protocol:
    """Give the buffers back. As written (TRUSTS_SLOTS) those that the slots, user memory, happen to name."""
    if TRUSTS_SLOTS not in switches:
        yield Fired(DTOR_OWNED)
        yield Do("free_unreferenced")
        return
    yield Fired(DTOR_SLOTS)
    for i in range(na.num_queues + 1):
        for ring in (f"tx{i}", f"rx{i}"):
            k = yield ReadKernel((ring, "kring"))
            for j in range(k.n):
                index = yield ReadUser((ring, "slot", j, "buf_idx"))
                pool = yield ReadKernel(("mem", "pool"))
                step = free_buf(index, pool.total, index in pool.bitmap, switches)
                yield Fired(step.fired[0])
                if step.state.log:
                    yield Do("log", ("netmap_free_buf", step.state.log))
                if step.state.freed:
                    yield WriteKernel(("mem", "pool"), give_buf(pool, index))

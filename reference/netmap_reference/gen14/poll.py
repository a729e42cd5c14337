"""Chapter *poll*: readiness, with sync as its side effect.

poll looks at ``cur``: a ring is ready when its ``cur`` has not caught up with its tail, a descriptor is
ready when one of its rings is. On the way poll syncs: transmit rings are flushed when the caller waits
for room or, unless the descriptor was bound with NR_NO_TX_POLL, whenever a ring has unsent slots; receive
rings are synced when the caller waits for packets. A rejected ring is put back as in a sync and makes
poll report an error.

The races are met by order: first be recorded on the selinfos, then look, so that whatever comes after
the look wakes us. Linux records at once, FreeBSD only after a first round found nothing and then looks
again; before that it tries a cheap round that takes no lock (``lock_free``).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core.effects import Do, Fired, Protocol, ReadKernel, ReadUser, SelRecord, Sleep, WriteKernel
from ..core.step import Step, rule
from . import stop
from .ring import CONTRACT, Kring
from .sync import PortSync, Synced, rxsync_ring, txsync_ring

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
FREEBSD_C = "luigirizzo/netmap:sys/dev/netmap/netmap_freebsd.c@89607e14"
NETMAP_H = "luigirizzo/netmap:sys/net/netmap.h@89607e14"

#: NR_DO_RX_POLL is accepted and has no effect.
DO_RX_POLL_IGNORED = "14.do-rx-poll-ignored"
#: In FreeBSD's cheap round a descriptor without receive rings is always ready for packets.
READY_WITHOUT_RINGS = "14.poll-ready-without-rings"
AS_WRITTEN = frozenset({DO_RX_POLL_IGNORED, READY_WITHOUT_RINGS})

_READY = "14.poll.ready"
TX_READY = rule("14/poll/tx/ready", clause=_READY, source=f"{NETMAP_C}:3834-3838")
RX_READY = rule("14/poll/rx/ready", clause=_READY, source=f"{NETMAP_C}:3895-3899")
TX_FLUSH = rule("14/poll/tx/flush", clause="14.poll.flush", source=f"{NETMAP_C}:3786-3826")
TX_SKIP = rule("14/poll/tx/nothing-to-flush", clause="14.poll.flush", source=f"{NETMAP_C}:3806-3813")
TX_AGAIN = rule("14/poll/tx/second-round", clause="14.poll.wakeup", source=f"{NETMAP_C}:3846-3852")
RX_AGAIN = rule("14/poll/rx/second-round", clause="14.poll.wakeup", source=f"{NETMAP_C}:3906-3917")
SEND_DOWN = rule("14/poll/tx/forwarded", clause="14.host.forward", source=f"{NETMAP_C}:3911-3914")
RECORDED = rule(
    "14/poll/recorded", clause="14.poll.wakeup", source=f"{NETMAP_C}:3780-3784,3847-3849,3906-3910"
)
REJECTED = rule("14/poll/rejected", clause="14.poll.error", source=f"{NETMAP_C}:3818-3820,3871-3874")
FAILED = rule("14/poll/sync-failed", clause="14.poll.error", source=f"{NETMAP_C}:3822-3823,3889-3890")
_RECEIVE = "14.poll.receive"
RX_ASKED = rule("14/poll/rx/asked", clause=_RECEIVE, source=f"{NETMAP_C}:3855-3871")
RX_LEFT = rule("14/poll/rx/left-alone", clause=_RECEIVE, source=f"{NETMAP_C}:3855")
RX_UNASKED = rule("14/poll/rx/unasked", clause="14.poll.do-rx-poll", source=f"{NETMAP_H}:466-470")
RX_FLAG_IGNORED = rule(
    "14/poll/rx/flag-ignored",
    clause="14.poll.do-rx-poll",
    source=f"{NETMAP_C}:3855-3862",
    switch=DO_RX_POLL_IGNORED,
)
ERROR_UNTOLD = rule("14/poll/kqueue/error-untold", clause="14.kqueue.ready", source=f"{FREEBSD_C}:1361-1379")
NO_RINGS = rule(
    "14/poll/lock-free/no-rings", clause=_READY, source=f"{NETMAP_C}:3757-3777", switch=READY_WITHOUT_RINGS
)
FILTER_OTHER = rule("14/poll/kqueue/other", clause="14.kqueue.filters", source=f"{FREEBSD_C}:1411-1423")
FILTER_UNBOUND = rule("14/poll/kqueue/unbound", clause="14.kqueue.filters", source=f"{FREEBSD_C}:1424-1433")
UNBOUND = rule("14/poll/unbound", clause="14.poll.unbound", source=f"{NETMAP_C}:3701-3703")
BUSY = rule("14/poll/busy", clause="14.sync.busy", source=f"{NETMAP_C}:3815-3816,3868-3869")
STOPPED = rule("14/poll/stopped", clause="14.poll.stopped", source=f"{NETMAP_C}:3815-3816,3868-3869")
IN, OUT = frozenset({"in", "rdnorm"}), frozenset({"out", "wrnorm"})
_FIRST = "14.poll.syncs-ready"
LOCK_FREE_TX = rule("14/poll/lock-free/tx", clause=_FIRST, source=f"{NETMAP_C}:3737-3756")
LOCK_FREE_RX = rule("14/poll/lock-free/rx", clause=_FIRST, source=f"{NETMAP_C}:3757-3777")


@dataclass(frozen=True, slots=True)
class Bound:
    """What poll needs to know of a descriptor: its rings by full name and where it sleeps.

    ``tx_poll``: flush transmit rings without being asked (the default). ``rx_poll``: also give released
    receive slots back without being asked (NR_DO_RX_POLL).
    """

    tx: tuple[str, ...]
    rx: tuple[str, ...]
    si_tx: str
    si_rx: str
    tx_poll: bool = True
    rx_poll: bool = False


@dataclass(frozen=True, slots=True)
class Polled:
    """``tx`` and ``rx``: ready for what was wanted; ``error``: a ring was rejected or its sync failed."""

    tx: bool
    rx: bool
    error: bool


def ready(cur: int, tail: int) -> bool:
    """Is there something the application has not seen in a ring?"""
    return cur != tail


def revents(polled: Polled, want: frozenset[str], how: str = "") -> Step[frozenset[str]]:
    """The events a scan ends with, of those that were wanted, and ``err``.

    An event filter of a kqueue (``how`` is ``kqueue``) has no word for an error.
    """
    found = frozenset(e for e in want if (polled.tx and e in OUT) or (polled.rx and e in IN))
    if polled.error and how == "kqueue":
        return Step(found, (ERROR_UNTOLD,))
    if polled.error:
        return Step(found | {"err"})
    return Step(found)


def flush_needed(want_tx: bool, send_down: bool, head: int, hwcur: int) -> Step[bool]:
    """Must poll sync this transmit ring?

    Yes while the caller waits for room, when slots are unsent, and after the host forwarded some.
    """
    if want_tx or send_down or head != hwcur:
        return Step(True, (TX_FLUSH,))
    return Step(False, (TX_SKIP,))


def rx_asked(want_rx: bool) -> Step[bool]:
    """Must poll sync receive rings because somebody waits for packets, of which none are known yet?"""
    if want_rx:
        return Step(True, (RX_ASKED,))
    return Step(False, (RX_LEFT,))


def rx_unasked(rx_poll: bool, want_rx: bool, switches: frozenset[str] = CONTRACT) -> Step[bool]:
    """Must poll sync receive rings though nobody waits for packets? ``rx_poll``: bound with NR_DO_RX_POLL.

    As written (DO_RX_POLL_IGNORED) nothing looks at the flag.
    """
    if not rx_poll or want_rx:
        return Step(False)
    if DO_RX_POLL_IGNORED in switches:
        return Step(False, (RX_FLAG_IGNORED,))
    return Step(True, (RX_UNASKED,))


def poll(
    fd: Bound,
    want_tx: bool,
    want_rx: bool,
    tx_port: PortSync,
    rx_port: PortSync,
    switches: frozenset[str] = CONTRACT,
    lock_free: bool = False,
) -> Protocol:
    """One scan of a descriptor, its second round included; :class:`Polled`. Source: netmap_poll.

    With ``lock_free`` the scan is FreeBSD's, else Linux's.
    """
    tx = rx = error = False
    still_tx, still_rx = want_tx, want_rx
    if lock_free:
        tx, rx = yield from look(fd, want_tx, want_rx, switches)
        still_tx, still_rx = want_tx and not tx, want_rx and not rx
    else:
        yield from _record(fd.si_rx)
        yield from _record(fd.si_tx)
    flush = fd.tx_poll or still_tx
    retry_tx = retry_rx = True
    send_down = False
    while True:
        while flush:
            for ring in fd.tx:
                found, bad = yield from _tx(ring, still_tx, send_down, tx_port, switches)
                error = error or bad
                if found and still_tx:
                    tx, still_tx = True, False
            # Whatever the host rings forwarded has been handed over by now.
            send_down = flush = False
            if still_tx and retry_tx:
                retry_tx, flush = False, True
                yield Fired(TX_AGAIN)
                if lock_free:
                    yield from _record(fd.si_tx)
        asked = rx_asked(still_rx)
        yield Fired(asked.fired[0])
        if not asked.state:
            unasked = rx_unasked(fd.rx_poll, want_rx, switches)
            for fired in unasked.fired:
                yield Fired(fired)
            for ring in fd.rx if unasked.state else ():
                _, bad, _ = yield from _rx(ring, rx_port, switches)
                error = error or bad
            break
        for ring in fd.rx:
            found, bad, forwarded = yield from _rx(ring, rx_port, switches)
            error = error or bad
            send_down = send_down or forwarded
            if found:
                rx, retry_rx = True, False
        if lock_free and retry_rx:
            yield from _record(fd.si_rx)
        if not send_down and not retry_rx:
            break
        retry_rx = False
        if send_down:
            flush = True
            yield Fired(SEND_DOWN)
        else:
            yield Fired(RX_AGAIN)
    return Polled(tx, rx, error)


def wait(
    fd: Bound,
    want_tx: bool,
    want_rx: bool,
    tx_port: PortSync,
    rx_port: PortSync,
    switches: frozenset[str] = CONTRACT,
    lock_free: bool = False,
) -> Protocol:
    """What the system makes of :func:`poll`: scan, sleep until woken, scan again until one is ready."""
    while True:
        polled: Polled = yield from poll(fd, want_tx, want_rx, tx_port, rx_port, switches, lock_free)
        if polled.tx or polled.rx or polled.error:
            return polled
        yield Sleep()


def _record(selinfo: str) -> Protocol:
    yield SelRecord(selinfo)
    yield Fired(RECORDED)


def look(fd: Bound, want_tx: bool, want_rx: bool, switches: frozenset[str] = CONTRACT) -> Protocol:
    """FreeBSD's cheap round: what the shared page alone says. Unseen room is enough for transmit; receive
    must go on to a sync when a ring has nothing unseen or has released slots to give back.

    As written (READY_WITHOUT_RINGS) a descriptor without receive rings has none of which that could be
    said, and so always has packets.
    """
    tx = rx = False
    if want_tx:
        for ring in fd.tx:
            cur = yield ReadUser((ring, "cur"))
            tail = yield ReadUser((ring, "tail"))
            if ready(cur, tail):
                yield Fired(LOCK_FREE_TX)
                tx = True
                break
    if want_rx and not fd.rx and READY_WITHOUT_RINGS in switches:
        yield Fired(NO_RINGS)
        rx = True
    elif want_rx and fd.rx:
        rx = True
        for ring in fd.rx:
            cur = yield ReadUser((ring, "cur"))
            tail = yield ReadUser((ring, "tail"))
            head = yield ReadUser((ring, "head"))
            k: Kring = yield ReadKernel((ring, "kring"))
            if not ready(cur, tail) or k.rhead != head:
                rx = False
                break
        if rx:
            yield Fired(LOCK_FREE_RX)
    return tx, rx


def _tx(ring: str, want_tx: bool, send_down: bool, port: PortSync, switches: frozenset[str]) -> Protocol:
    """One transmit ring of a round: (has unseen room, went wrong)."""
    head = yield ReadUser((ring, "head"))
    k: Kring = yield ReadKernel((ring, "kring"))
    step = flush_needed(want_tx, send_down, head, k.hwcur)
    yield Fired(step.fired[0])
    if not step.state:
        return False, False
    why = yield from stop.take(ring)
    if why == stop.STOPPED:
        yield Fired(STOPPED)
        return False, True
    if why:
        yield Fired(BUSY)
        return False, False
    synced: Synced = yield from txsync_ring(ring, port, False, switches)
    k = yield ReadKernel((ring, "kring"))
    yield Do("put", (ring,))
    bad = yield from _verdict(synced)
    found = ready(k.rcur, k.rtail)
    if found:
        yield Fired(TX_READY)
    return found, bad


def _rx(ring: str, port: PortSync, switches: frozenset[str]) -> Protocol:
    """One receive ring of a round: (has unseen packets, went wrong, forwarded frames to transmit rings)."""
    why = yield from stop.take(ring)
    if why == stop.STOPPED:
        yield Fired(STOPPED)
        return False, True, False
    if why:
        yield Fired(BUSY)
        return False, False, False
    yield WriteKernel((ring, "forwarded"), False)
    synced: Synced = yield from rxsync_ring(ring, port, False, switches)
    k: Kring = yield ReadKernel((ring, "kring"))
    forwarded: bool = yield ReadKernel((ring, "forwarded"))
    yield Do("put", (ring,))
    bad = yield from _verdict(synced)
    found = ready(k.rcur, k.rtail)
    if found:
        yield Fired(RX_READY)
    return found, bad, forwarded


def _verdict(synced: Synced) -> Protocol:
    if synced.rejected:
        yield Fired(REJECTED)
    if synced.error:
        yield Fired(FAILED)
    return synced.rejected or bool(synced.error)

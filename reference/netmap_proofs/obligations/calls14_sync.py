"""Generation 14: a whole sync of one ring, from the first read to the last store, and of all rings.

The steps are proved one by one elsewhere; here the protocols that join them are run on symbols, with
a port of which nothing is known but what every port keeps: hwcur moves at most to rhead, hwtail forward.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from netmap_reference.core.effects import (
    Do,
    Effect,
    Protocol,
    ReadKernel,
    Wake,
    WriteKernel,
    WriteUser,
)
from netmap_reference.gen14 import notify, ring, sync
from netmap_spec import invariants as spec
from netmap_spec.abi import api14

from ..engine import Proof
from ..explorer.scenario import without
from ..invariants import any_positions, flat_kring, flat_order, flat_steps, flat_window, kring_order
from ..obligation import Control, obligation
from ..schemas import Cases, Done, alone, every
from ..schemas.alone import Answers, Words

Make = Callable[..., Protocol]
R = "r"


def moved(p: Proof, k: ring.Kring) -> ring.Kring:
    """What a port may do: hwcur forward, at most to rhead; then hwtail forward, never past a full turn."""
    hwcur, hwtail = p.integer("port.hwcur", 0), p.integer("port.hwtail", 0)
    p.assume_all([hwcur < k.n, hwtail < k.n])
    p.assume(flat_steps(p, k.n, k.hwcur, hwcur) <= flat_steps(p, k.n, k.hwcur, k.rhead))
    p.assume(flat_steps(p, k.n, hwcur, k.hwtail) <= flat_steps(p, k.n, hwcur, hwtail))
    return replace(k, hwcur=hwcur, hwtail=hwtail)


def _port(p: Proof, fails: bool) -> Callable[[str, bool], Protocol]:
    def port(name: str, force: bool) -> Protocol:
        k = yield ReadKernel((name, "kring"))
        yield Do("port", (name, force, k))
        yield WriteKernel((name, "kring"), moved(p, k))
        return "EIO" if fails else ""

    return port


def _call(p: Proof, function: Make, fails: bool, force: bool) -> tuple[ring.Kring, ring.UserRing, int, Done]:
    k = flat_kring(p, "k")
    user = ring.UserRing(p.u32("head"), p.u32("cur"), p.u32("tail"))
    flags, everywhere = p.u32("flags"), p.truth("transparent")
    memory = {
        (R, "kring"): k,
        (R, "head"): user.head,
        (R, "cur"): user.cur,
        (R, "tail"): user.tail,
        (R, "flags"): flags,
        (R, "transparent"): everywhere,
    }
    quiet = {name: lambda words, args: None for name in ("reinit-slots", "forward-up", "port", "stamp")}
    do = {**quiet, "stamp-wanted": lambda words, args: False}
    done = alone(p, function, R, _port(p, fails), force, p.switches, memory=memory, do=do)
    return k, user, flags, done


def _words(done: Done) -> tuple[int, int, int]:
    return done.memory[R, "head"], done.memory[R, "cur"], done.memory[R, "tail"]


def _read_once(done: Done) -> bool:
    return all(done.reads(R, word) == 1 for word in ("head", "cur", "tail"))


def _reset(p: Proof, before: ring.Kring, got: ring.Kring, words: tuple[int, int, int]) -> None:
    p.goal(
        "rejected: the kring is the kernel's own",
        spec.reset_to_kernel(before.hwcur, before.hwtail, got.rhead, got.rcur, got.rtail),
        got.hwcur == before.hwcur,
        got.hwtail == before.hwtail,
    )
    p.goal(
        "rejected: the application's words are the kernel's",
        spec.reset_to_kernel(before.hwcur, before.hwtail, *words),
    )


def tx_body(p: Proof, txsync_ring: Make) -> None:
    fails, force = p.truth("the port fails"), p.truth("forced")
    k, user, flags, done = _call(p, txsync_ring, fails, force)
    inside = flat_window(p, k.n, k.rhead, k.rtail, user.head, user.cur)
    got, ports = done.memory[R, "kring"], done.done("port")
    p.goal("rejected exactly when head or cur lies outside", inside ^ done.result.rejected)
    if done.result.rejected:
        p.goal("rejected: the port does not sync", ports == [], done.result.error == "")
        p.goal("rejected: the slots are repaired, once", done.done("reinit-slots") == [(R,)])
        p.goal("rejected: it is not stamped", done.done("stamp") == [])
        _reset(p, k, got, _words(done))
        return
    p.goal("accepted: the port syncs once, with what was accepted", len(ports) == 1)
    _, forced, seen = ports[0]
    p.goal("accepted: the port sees head", seen.rhead == user.head, seen.rcur == user.cur, forced == force)
    p.goal("accepted: every word is read once", _read_once(done))
    p.goal("accepted: slots are left alone", done.done("reinit-slots") == [])
    p.goal("accepted: head and cur stay", done.memory[R, "head"] == user.head)
    p.goal("accepted: head and cur stay", done.memory[R, "cur"] == user.cur)
    p.goal("the port's answer is passed on", done.result.error == ("EIO" if fails else ""))
    if fails:
        p.goal("a failure publishes nothing", done.memory[R, "tail"] == k.rtail, got.rtail == k.rtail)
    else:
        p.goal("the tail is published", spec.tail_published(done.memory[R, "tail"], got.rtail, got.hwtail))
        p.goal("the order of the kring is kept", flat_order(p, got))
    asked = flags // api14.NR_TIMESTAMP % 2 == 1
    p.goal("stamped exactly when the ring asks for it", (len(done.done("stamp")) == 1) == asked)


def _unless(dropped: Callable[[Effect], bool]) -> Callable[[Make], Make]:
    """A twin of a protocol that leaves some of its effects out."""

    def planted(make: Make) -> Make:
        return lambda *arguments: without(make(*arguments), dropped)

    return planted


def _is_tail(effect: Effect) -> bool:
    return isinstance(effect, WriteUser) and effect.where[1] == "tail"


_tx = partial(
    obligation,
    functions=(sync.txsync_ring,),
    control=Control("the tail is never stored in the shared page", _unless(_is_tail)(sync.txsync_ring)),
    assumptions="""The kring satisfies its order; the application's words and the flags are any u32 and do not
    change during the call; the port moves hwcur at most to rhead and hwtail forward, or fails.""",
)

_tx(
    "14.sync.txsync-call",
    clauses=("14.sync.rejected", "14.ring.tail-published", "14.ring.reinit-resets", "14.sync.timestamp"),
    statement="""A txsync of one ring, as a whole: outside the window the ring is put back and the port does
    not sync; inside, the port syncs once with head and cur as they were read, once, and the kernel's tail is
    published when it succeeded. The ring is stamped when its flags ask for it.""",
    rules=(
        ring.TX_ACCEPT,
        ring.TX_HEAD,
        ring.TX_CUR,
        ring.TAIL_RESTORED,
        ring.FINALIZE,
        sync.TX_REINIT,
        sync.TX_STAMPED,
        ring.REINIT,
    ),
)(tx_body)

_tx(
    "14.sync.txsync-call.as-written.not-stamped",
    clauses=("14.sync.timestamp",),
    statement="As 14.sync.txsync-call, but nothing looks at NR_TIMESTAMP on a transmit ring.",
    switches={sync.TX_NOT_STAMPED},
    rules=(sync.TX_FLAG_IGNORED, ring.TX_ACCEPT),
    finding="F14-007",
    refutes={"stamped exactly when the ring asks for it"},
)(tx_body)


def rx_body(p: Proof, rxsync_ring: Make) -> None:
    fails, force = p.truth("the port fails"), p.truth("forced")
    k, user, flags, done = _call(p, rxsync_ring, fails, force)
    inside = flat_window(p, k.n, k.hwcur, k.hwtail, user.head, user.cur)
    got, ports = done.memory[R, "kring"], done.done("port")
    p.goal("rejected exactly when head or cur lies outside", inside ^ done.result.rejected)
    p.goal("the port syncs once, forced or not as asked", len(ports) == 1, ports[0][1] == force)
    seen = ports[0][2]
    if done.result.rejected:
        _reset(p, k, seen, (seen.rhead, seen.rcur, seen.rtail))
        p.goal("rejected: the slots are repaired, once", done.done("reinit-slots") == [(R,)])
        p.goal("rejected: head and cur are the kernel's", done.memory[R, "head"] == k.hwcur)
        p.goal("rejected: head and cur are the kernel's", done.memory[R, "cur"] == k.hwcur)
    else:
        p.goal("accepted: the port sees head", seen.rhead == user.head, seen.rcur == user.cur)
        p.goal("accepted: every word is read once", _read_once(done))
        p.goal("accepted: slots are left alone", done.done("reinit-slots") == [])
    p.goal("the port's answer is passed on", done.result.error == ("EIO" if fails else ""))
    if fails:
        p.goal("a failure publishes nothing", got.rtail == seen.rtail)
    else:
        p.goal("the tail is published", spec.tail_published(done.memory[R, "tail"], got.rtail, got.hwtail))
        p.goal("the order of the kring is kept", flat_order(p, got))
    forwards = done.memory[R, "transparent"] or flags // api14.NR_FORWARD % 2 == 1
    p.goal(
        "forwarded exactly when the ring or the parameter asks for it",
        (len(done.done("forward-up")) == 1) == forwards,
    )
    p.goal("the system is asked for a stamp, once", done.done("stamp-wanted") == [(R,)])


obligation(
    "14.sync.rxsync-call",
    clauses=(
        "14.sync.rejected",
        "14.ring.tail-published",
        "14.ring.reinit-resets",
        "14.host.forward",
        "14.host.transparent",
    ),
    statement="""An rxsync of one ring, as a whole: outside the window the ring is put back first; in any case
    the port syncs once, with positions inside the ring, and the kernel's tail is published when it succeeded.
    Slots are forwarded when the flags ask for it, or the parameter.""",
    functions=(sync.rxsync_ring,),
    control=Control("the tail is never stored in the shared page", _unless(_is_tail)(sync.rxsync_ring)),
    assumptions="As 14.sync.txsync-call.",
    rules=(ring.RX_ACCEPT, ring.RX_HEAD, ring.RX_CUR, ring.FINALIZE, sync.RX_REINIT, ring.REINIT),
)(rx_body)


# --- all rings of a descriptor --------------------------------------------------------------------------

_RINGS = ("a", "b")


def _free(busy: dict[str, bool], words: Words, args: tuple[Any, ...]) -> bool:
    return not busy[args[0]]


def all_body(p: Proof, sync_all: Make) -> None:
    cases = Cases(p, "calls")

    def port(name: str, force: bool) -> Protocol:
        yield Do("port", (name, force))
        return ""

    for transmit, *facts in every(p, "combinations", (True, False), *[(False, True)] * 4):
        busy, bad = dict(zip(_RINGS, facts[:2], strict=True)), dict(zip(_RINGS, facts[2:], strict=True))
        cases.case(transmit=transmit, busy=busy, rejected=bad)
        memory: dict[tuple[Any, ...], Any] = {}
        for name in _RINGS:
            memory[name, "kring"] = ring.Kring(3, 0, 1, 0, 0, 1)
            memory.update({(name, "head"): 2 if bad[name] else 0, (name, "cur"): 0, (name, "tail"): 1})
            memory[name, "flags"], memory[name, "transparent"] = 0, False
        do: Answers = {
            "tryget": partial(_free, busy),
            **{w: lambda words, args: None for w in ("put", "port", "reinit-slots", "stamp-wanted")},
        }
        done = cases.run(sync_all, _RINGS, transmit, port, p.switches, memory=memory, do=do)
        free = [name for name in _RINGS if not busy[name]]
        tried = [e.args[0] for e in done.of(Do) if e.what == "tryget"]
        cases.goal("every ring has its turn, in order", tried == list(_RINGS))
        held = [(e.what, e.args[0]) for e in done.of(Do) if e.what == "put" or e.what == "tryget"]
        wanted = [
            step
            for name in _RINGS
            for step in ([("tryget", name)] if busy[name] else [("tryget", name), ("put", name)])
        ]
        cases.goal("a ring that was taken is given back before the next one's turn", held == wanted)
        synced = [n for n in free if not (transmit and bad[n])]
        cases.goal(
            "the port syncs each ring that is free and not refused, forced",
            done.done("port") == [(n, True) for n in synced],
        )
        cases.goal("a busy ring is left alone", all(done.reads(n, "head") == 0 for n in _RINGS if busy[n]))
        got = done.result
        cases.goal(
            "rejected when one of them was", got.rejected == any(bad[n] for n in free), not got.stopped
        )
    cases.end()


obligation(
    "14.sync.all-rings",
    clauses=("14.sync.busy", "14.sync.rejected", "14.sync.rejected-result"),
    statement="""A sync ioctl gives every ring of the descriptor its turn, in order; a ring somebody else is
    syncing is left alone, one that was taken is given back before the next, and one that is rejected keeps
    none of the others from their sync.""",
    functions=(sync.sync_all,),
    control=Control(
        "a ring is never given back",
        _unless(lambda e: isinstance(e, Do) and e.what == "put")(sync.sync_all),
        goal="a ring that was taken is given back before the next one's turn",
    ),
    bounds="Two rings, each busy or not, rejected or not: rings share nothing but the descriptor.",
    rules=(sync.BUSY, sync.TX_REINIT, sync.RX_REINIT),
)(all_body)


# --- telling those who wait -------------------------------------------------------------------------------


def notify_body(p: Proof, notifying: Make, interrupt: Make) -> None:
    users, before, count = p.integer("users", 0), p.integer("announced", 0), p.integer("count", 1)
    watched, go_on = p.truth("a monitor looks first"), p.truth("there is something left")
    memory = {
        (R, "si_users"): users,
        (R, "si"): "port",
        (R, "announced"): before,
        (R, "intercepted"): watched,
    }
    do: Answers = {"look": lambda words, args: go_on}
    done = alone(p, notifying, R, memory=memory, do=do)
    several, silent = users > 0, watched and not go_on
    p.goal("a monitor looks before anybody is woken", (done.done("look") == [(R,)]) == watched)
    woken = [] if silent else [Wake(R), *([Wake("port")] if several else [])]
    p.goal("who waits for the ring is woken, and who waits for several", done.of(Wake) == woken)
    told = alone(p, interrupt, R, count, memory=memory, do=do)
    p.goal("an interrupt tells of so many more", told.memory[R, "announced"] == before + count)
    p.goal("it tells before it wakes", isinstance(told.of(WriteKernel, Do, Wake)[0], WriteKernel))
    p.goal("and wakes as any other", told.of(Wake) == woken)


obligation(
    "14.notify.wakes",
    clauses=("14.poll.wakeup",),
    statement="""A notification wakes those who wait for the ring and, when any descriptor is bound to several
    rings, those who wait for the port; an interrupt first stores how much it tells of.""",
    functions=(notify.notify, notify.interrupt),
    control=Control(
        "only the ring's own sleepers are woken",
        _unless(lambda e: e == Wake("port"))(notify.notify),
        notify.interrupt,
    ),
    assumptions="Any number of descriptors bound to several rings.",
)(notify_body)


# --- the invariants without forks -----------------------------------------------------------------------


def flat_body(p: Proof, order: Callable[[ring.Kring], bool]) -> None:
    k, user = any_positions(p, "k"), p.symbolic(ring.UserRing, "user", lo=0)
    p.goal("the order", order(k) == flat_order(p, k))
    tx = spec.tx_window(k.n, k.rhead, k.rtail, user.head, user.cur)
    p.goal("the transmit window", tx == flat_window(p, k.n, k.rhead, k.rtail, user.head, user.cur))
    rx = spec.rx_window(k.n, k.hwcur, k.hwtail, user.head, user.cur)
    p.goal("the receive window", rx == flat_window(p, k.n, k.hwcur, k.hwtail, user.head, user.cur))


obligation(
    "14.ring.flat-order",
    clauses=("14.ring.kring-order", "14.ring.tx-window", "14.ring.rx-window"),
    statement="""The order of a kring and the windows of its syncs, written as one condition each for the
    proofs about whole calls, are those of the spec.""",
    functions=(kring_order,),
    control=Control("rtail may lie behind hwtail", lambda k: kring_order(replace(k, rtail=k.hwtail))),
    assumptions="The five positions are slots of the ring; head and cur are any number from 0 on.",
    rules=(),
)(flat_body)

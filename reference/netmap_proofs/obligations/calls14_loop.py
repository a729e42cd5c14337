"""Generation 14, the kernel's loop: several rings in one pass, and whatever an application publishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from netmap_reference.core.effects import Do, Fired, Protocol, ReadKernel, ReadUser, WriteKernel, WriteUser
from netmap_reference.gen14 import kloop, ring
from netmap_reference.gen14.csb import ATOK, KTOA

from ..engine import Proof
from ..invariants import flat_kring, flat_order
from ..obligation import Control, obligation
from ..schemas import Cases, alone, every
from .calls14_sync import moved

Make = Callable[..., Protocol]
Kring = ring.Kring

# --- one pass over several rings --------------------------------------------------------------------------

_TX, _RX = ("t0", "t1"), ("r0", "r1")


def pass_body(p: Proof, one_pass: Make) -> None:
    cases = Cases(p, "passes")
    names = (*_TX, *_RX)
    for *answers, kicks in every(p, "combinations", *[("", "EIO", "busy")] * len(names), (False, True)):
        fates = dict(zip(names, answers, strict=True))
        cases.case(ports=fates, kicks=kicks)
        memory: dict[tuple[Any, ...], Any] = {}
        for name in names:
            memory[name, "kring"] = Kring(3, 0, 1, 0, 0, 1)
            memory |= {(name, "atok", word): 0 for word in ATOK}
            memory |= {(name, "atok", "head"): 1, (name, "atok", "cur"): 1}
            memory |= {(name, "ktoa", word): 7 for word in KTOA}

        def port(name: str, force: bool, fates: dict[str, str] = fates) -> Protocol:
            k: Kring = yield ReadKernel((name, "kring"))
            yield Do("port", (name,))
            if fates[name] == "":
                yield WriteKernel((name, "kring"), replace(k, hwcur=k.rhead))
            return fates[name]

        do: dict[str, Any] = {w: lambda words, args: None for w in ("put", "port", "reinit-slots")}
        do["tryget"] = lambda words, args, fates=fates: fates[args[0]] != "busy"
        args = {name: kloop.RingArgs(name, busy_wait=not kicks) for name in names}
        rings = [tuple(args[name] for name in some) for some in (_TX, _RX)]
        done = cases.run(one_pass, *rings, (), port, p.switches, memory=memory, do=do)
        tried = [e.args[0] for e in done.of(Do) if e.what == "tryget"]
        cases.goal("every ring has its turn, transmit rings first", tried == list(names))
        cases.goal("what was taken is given back", [a[0] for a in done.done("put")] == [
            n for n in names if fates[n] != "busy"])  # fmt: skip
        for name in names:
            synced = [args for args in done.done("port") if args == (name,)]
            told = [e.value for e in done.of(WriteUser) if e.where[:2] == (name, "ktoa")
                    and e.where[2] in ("hwcur", "hwtail")]  # fmt: skip
            kick = done.memory[name, "ktoa", "kern_need_kick"]
            if fates[name] == "busy":
                cases.goal("a ring that somebody else has is left alone", synced == [], told == [], kick == 7)
            elif fates[name] == "EIO":
                cases.goal("a ring whose port fails has one sync, and nothing of it is published",
                           len(synced) == 1, told == [])  # fmt: skip
                cases.goal("it asks to be kicked, if the loop ever does", kick == int(kicks))
            else:
                cases.goal("the others go on and are published", len(synced) >= 1, told != [])
                cases.goal("the others go on and are published", done.memory[name, "ktoa", "hwcur"] == 1)
        failed = sum(1 for fate in fates.values() if fate == "EIO")
        cases.goal("each failure is told", done.fired.count(kloop.FAILED) == failed)
    cases.end()


def _ends_at_a_failure(tx: Any, rx: Any, selinfos: Any, port: Any, switches: frozenset[str]) -> Protocol:
    """The loop leaves when a port's sync fails."""
    failed: list[str] = []

    def watched(name: str, force: bool) -> Protocol:
        error = yield from port(name, force)
        failed.extend([error] if error else [])
        return error

    for passing, rings in ((kloop.tx_ring, tx), (kloop.rx_ring, rx)):
        for a in rings:
            if not failed:
                yield from passing(a, watched, switches)


obligation(
    "14.kloop.pass-goes-on",
    clauses=("14.kloop.failed", "14.kloop.pass"),
    statement="""One pass of the loop gives every ring its turn, transmit rings first: one whose port fails
    has one sync, publishes nothing and asks to be kicked if the loop ever does; one that somebody else has is
    left alone; the others go on.""",
    functions=(kloop.one_pass,),
    control=Control("the loop ends where a port fails", _ends_at_a_failure),
    bounds="""Two rings in each direction, each of them free, in use by somebody else or with a port that
    fails, a loop that waits for kicks and one that does not.""",
    rules=(kloop.FAILED, kloop.BUSY, kloop.PASS, kloop.TX_SYNC, kloop.RX_SYNC),
)(pass_body)


# --- an application that stores what it likes --------------------------------------------------------------

_R = "r"
_INSIDE = "the port's sync finds positions of the ring, in order"
_KEPT = "the kring is in order before the next look, and when the ring is left"


def hostile_body(p: Proof, tx_ring: Make, rx_ring: Make) -> None:
    """One round of the loop from any kring in order; the next round begins with such a kring again."""
    transmit = p.split("direction") == 0
    k = flat_kring(p, "k")
    memory: dict[tuple[Any, ...], Any] = {(_R, "kring"): k, (_R, "atok", "appl_need_kick"): 1}
    memory |= {(_R, word): p.u32(word) for word in ("head", "cur", "tail")}
    memory |= {(_R, "atok", word): p.u32(f"published {word}") for word in ("head", "cur", "sync_flags")}
    memory |= {(_R, "ktoa", word): 0 for word in KTOA}

    def port(name: str, force: bool) -> Protocol:
        given: Kring = yield ReadKernel((name, "kring"))
        p.goal(_INSIDE, flat_order(p, replace(given, rtail=given.hwtail)))
        yield WriteKernel((name, "kring"), moved(p, given))
        return "EIO" if p.truth("the port fails") else ""

    def one_round(make: Make, *arguments: Any) -> Protocol:
        """The call up to its second look at what is published."""
        protocol, answer, now, looks = make(*arguments), None, k, 0
        try:
            while True:
                effect = protocol.send(answer)
                if isinstance(effect, WriteKernel) and effect.where == (_R, "kring"):
                    now = effect.value
                if isinstance(effect, Fired):
                    p.reached([effect.rule])
                looks += isinstance(effect, ReadUser) and effect.where == (_R, "atok", "head")
                if looks == 2:
                    p.goal(_KEPT, flat_order(p, now))
                    p.end()
                answer = yield effect
        except StopIteration:
            p.goal(_KEPT, flat_order(p, replace(now, rtail=now.hwtail)))

    args = kloop.RingArgs(_R)
    do: dict[str, Any] = {w: lambda words, args: None for w in ("put", "reinit-slots")}
    do["tryget"] = lambda words, args: True
    called = partial(one_round, tx_ring if transmit else rx_ring)
    alone(p, called, args, port, p.switches, memory=memory, do=do)


def _believes(function: Make) -> Make:
    """The loop reads head once more before the port syncs, and believes it."""

    def planted(a: kloop.RingArgs, port: Any, switches: frozenset[str]) -> Protocol:
        def believing(name: str, force: bool) -> Protocol:
            head = yield ReadUser((name, "head"))
            k = yield ReadKernel((name, "kring"))
            yield WriteKernel((name, "kring"), replace(k, rhead=head))
            return (yield from port(name, force))

        return function(a, believing, switches)

    return planted


obligation(
    "14.kloop.port-sees-the-ring",
    clauses=("14.kloop.rejected", "14.csb.kernel-read", "14.ring.kring-order"),
    statement="""Whatever an application publishes in its CSB entry, a port's sync is run by the loop with
    positions of the ring in their order; the kring is in order again before the loop looks once more, and
    when it leaves the ring. So it is in any number of rounds, whatever is published meanwhile.""",
    functions=(kloop.tx_ring, kloop.rx_ring),
    control=Control(
        "the port is given a head that was not looked at",
        _believes(kloop.tx_ring),
        kloop.rx_ring,
        goal=_INSIDE,
    ),
    assumptions="""The kring satisfies its order, of any size; head, cur and flags are any u32; the port moves
    hwcur at most to rhead and hwtail forward, or fails.""",
    rules=(kloop.TX_SYNC, kloop.RX_SYNC, kloop.TX_REJECTED, kloop.RX_REJECTED, kloop.FAILED),
)(hostile_body)

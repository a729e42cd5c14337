"""Generation 14, CSB mode: what one sync of a guest's ring does, from its first read to its last store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from netmap_reference.core.effects import STLD, Fence, Protocol, ReadUser, Wake, WriteUser
from netmap_reference.gen14 import ptnet, ring
from netmap_spec import invariants as spec

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, Done, every
from ..worlds_csb import take_away
from .calls14_kloop import R, Story, scripted

Kring = ring.Kring
Make = Callable[..., Protocol]
_N = 4


def told(done: Done) -> Story:
    """The log of a guest's sync, an effect a line; what the host stored is left out."""
    found: Story = []
    for effect in done.log:
        match effect:
            case WriteUser((_, "atok", word), value):
                found.append((word, value))
            case WriteUser((_, "tail"), value):
                found.append(("tail", value))
            case ReadUser((_, "ktoa", word)):
                found.append((f"reads {word}",))
            case Fence(kind, site) if kind == STLD:
                found.append(("barrier", site))
            case Wake(name):
                found.append(("wakes", name))
    return found


def story(
    g: Kring, user: ring.UserRing, transmit: bool, force: bool, host: list[tuple[int, int]], kick: int
) -> tuple[Story, Kring, bool]:
    """What a sync must do, the guest's kring afterwards, and whether it is accepted."""
    inside = spec.tx_window if transmit else spec.rx_window
    window = (g.rhead, g.rtail) if transmit else (g.hwcur, g.hwtail)
    if not inside(g.n, *window, user.head, user.cur):
        return [], g, False
    did, left = Story(), list(host)
    g = replace(g, rhead=user.head, rcur=user.cur)

    def reads_back() -> Kring:
        did.extend([("reads hwtail",), ("reads hwcur",)])
        hwcur, hwtail = left.pop(0) if len(left) > 1 else left[0]
        return replace(g, hwcur=hwcur, hwtail=hwtail)

    def publishes() -> None:
        did.extend([("cur", g.rcur), ("head", g.rhead)])

    def wanted() -> bool:
        if g.rhead == g.hwcur and g.rcur != g.hwtail:
            return False
        did.extend([("barrier", "guest/kick"), ("reads kern_need_kick",)])
        return bool(kick)

    def sleeps() -> Kring:
        if g.rcur != g.hwtail:
            return g
        did.extend([("appl_need_kick", 1), ("barrier", f"guest-{'tx' if transmit else 'rx'}/sleep")])
        after = reads_back()
        if after.rcur != after.hwtail:
            did.append(("appl_need_kick", 0))
        return after

    did.append(("appl_need_kick", 0))
    if transmit:
        did.append(("reads hwcur",))
        g = replace(g, hwcur=left[0][0])
        publishes()
        owed = wanted() or force
        if owed:
            did.append(("sync_flags", 2 if force else 0))
        if g.rcur == g.hwtail or force:
            g = reads_back()
        g = sleeps()
    else:
        g = reads_back()
        if g.rhead != g.hwcur:
            publishes()
        g = sleeps()
        owed = wanted()
        if owed:
            did.append(("sync_flags", 1 if force else 0))
    if owed:
        did.append(("wakes", f"{R}:kick"))
    did.append(("tail", g.hwtail))
    return did, replace(g, rtail=g.hwtail), True


_RINGS = {
    True: (Kring(_N, 0, 3, 0, 0, 3), Kring(_N, 0, 1, 1, 1, 1), Kring(_N, 1, 3, 2, 3, 3)),
    False: (Kring(_N, 0, 0, 0, 0, 0), Kring(_N, 0, 2, 1, 1, 2), Kring(_N, 1, 3, 1, 2, 3)),
}


def sync_body(p: Proof, guest_sync: Make) -> None:
    cases = Cases(p, "syncs")
    hosts = (
        ((0, 1),),
        ((0, 1), (1, 3)),
        ((1, 3),),
        ((1, 2), (1, 2), (2, 0)),
        ((3, 2), (3, 2)),
        ((2, 1), (2, 3)),
    )
    words = [(head, cur) for head in range(_N) for cur in range(_N)] + [(_N, 0), (0, _N)]
    for transmit in (True, False):
        ways = every(p, "combinations", _RINGS[transmit], words, hosts, (False, True), (0, 1), (0, 3))
        for g, (head, cur), host, force, kick, tail in ways:
            user = ring.UserRing(head, cur, tail)
            cases.case(guest=g, user=user, transmit=transmit, force=force, host=host, kick=kick)
            memory: dict[tuple[Any, ...], Any] = {(R, "guest"): g}
            memory |= {(R, word): getattr(user, word) for word in ("head", "cur", "tail")}
            memory |= {(R, "ktoa", "hwcur"): host[0][0], (R, "ktoa", "hwtail"): host[0][1]}
            memory[R, "ktoa", "kern_need_kick"] = kick
            stores = [(((R, "ktoa", "hwcur"), a), ((R, "ktoa", "hwtail"), b)) for a, b in host]

            def make(*arguments: Any, stores: Any = stores) -> Protocol:
                return scripted(guest_sync(*arguments), {(R, "ktoa", "hwtail"): stores})

            done = cases.run(make, R, transmit, force, p.switches, memory=memory, do={})
            wanted, after, accepted = story(g, user, transmit, force, list(host), kick)
            cases.goal("accepted exactly when head and cur lie in the window", done.result == accepted)
            cases.goal("the sync does what its story tells, in that order", told(done) == wanted)
            cases.goal("the guest's kring is what that leaves", done.memory[R, "guest"] == after)
            if not accepted:
                cases.goal("a rejected sync says so", ptnet.REJECTED in done.fired)
                continue
            owed = ("wakes", f"{R}:kick") in wanted
            told_kick = {ptnet.TX_KICK, ptnet.RX_KICK} & set(done.fired)
            cases.goal("the rule says whether a kick is owed", bool(told_kick) == owed)
            slept = ("appl_need_kick", 1) in wanted
            waits = {ptnet.WANTS_IRQ, ptnet.NO_IRQ} & set(done.fired)
            last = [x for x in wanted if x[0] == "appl_need_kick"][-1]
            cases.goal("the rule says whether an interrupt is wanted", bool(waits) == slept)
            cases.goal(
                "the rule says whether an interrupt is wanted", (ptnet.WANTS_IRQ in waits) == (last[1] == 1)
            )
            shown = {ptnet.PUBLISHED, ptnet.RELEASED} & set(done.fired)
            cases.goal(
                "the rule says whether something was published", bool(shown) == (("head", head) in wanted)
            )
            looked = wanted.count(("reads hwtail",)) - slept
            back = {ptnet.RECLAIMED, ptnet.RECEIVED} & set(done.fired)
            cases.goal("the rule says whether the positions were read back", bool(back) == (looked > 0))
    cases.end()


obligation(
    "14.ptnet.sync-call",
    clauses=(
        "14.ptnet.txsync",
        "14.ptnet.rxsync",
        "14.ptnet.kick",
        "14.ptnet.interrupts",
        "14.ptnet.rejected",
    ),
    statement="""A guest's sync publishes head and cur, kicks the host when that sleeps and there is something
    to do, reads back how far the host is, and wants an interrupt only when its program would have to wait,
    looking once more before; a rejected one touches nothing.""",
    functions=(ptnet.guest_sync,),
    control=Control("the guest does not look once more", take_away("guest-tx/sleep", ptnet.guest_sync)),
    bounds="""Rings of four slots with all, some and hardly any free, every head and cur, the host standing
    still or moving between two looks.""",
    rules=(
        ptnet.PUBLISHED, ptnet.TX_KICK, ptnet.TX_QUIET, ptnet.RECLAIMED, ptnet.RECEIVED, ptnet.RELEASED,
        ptnet.RX_KICK, ptnet.RX_QUIET, ptnet.WANTS_IRQ, ptnet.NO_IRQ, ptnet.REJECTED,
    ),
)(sync_body)  # fmt: skip

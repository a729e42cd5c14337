"""Generation 14: each port's own part of a sync, as a whole: which slots it touches, what it stores when.

NIC and host rings on symbols, for rings of any size; pipes, which walk slot by slot, on small rings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from netmap_reference.core.effects import Do, Effect, Protocol, Wake, WriteKernel
from netmap_reference.core.words import U32
from netmap_reference.gen14 import ring
from netmap_reference.gen14.ports import device, host, nic, pipe
from netmap_spec.abi import api14

from ..engine import Proof
from ..explorer.scenario import without
from ..invariants import flat_kring, flat_order, flat_steps
from ..obligation import Control, obligation
from ..schemas import Cases, Done, alone, every
from ..schemas.alone import Words

Make = Callable[..., Protocol]
R = "r"


def _unless(make: Make, dropped: Callable[[Effect], bool]) -> Make:
    return lambda *arguments: without(make(*arguments), dropped)


def _stores(effect: Effect) -> bool:
    return isinstance(effect, WriteKernel) and effect.where[1] == "kring"


def _published(p: Proof, k: ring.Kring) -> bool:
    return flat_order(p, replace(k, rtail=k.hwtail))


# --- NIC ------------------------------------------------------------------------------------------------


def nic_tx_body(p: Proof, txsync: Make) -> None:
    k = flat_kring(p, "k")
    p.assume(k.rtail == k.hwtail)
    hwofs, completed = p.integer("hwofs", 0), p.integer("completed", 0)
    accepted = p.integer("accepted", 0)
    p.assume(hwofs < k.n)

    def take(words: Words, args: tuple[Any, ...]) -> int:
        p.assume(accepted <= args[2])
        return accepted

    def answer(words: Words, args: tuple[Any, ...]) -> int:
        p.assume(completed <= args[1])
        return completed

    do = {"nic-send": take, "nic-completed": answer}
    done = alone(p, txsync, R, memory={(R, "kring"): k, (R, "hwofs"): hwofs}, do=do)
    (sent,), (asked,) = done.done("nic-send"), done.done("nic-completed")
    got = done.memory[R, "kring"]
    p.goal("everything between hwcur and head is sent", sent[1] == k.hwcur)
    p.goal("everything between hwcur and head is sent", sent[2] == flat_steps(p, k.n, k.hwcur, k.rhead))
    p.goal(
        "the device is asked of what it has", asked[1] == k.n - 1 - flat_steps(p, k.n, got.hwcur, k.hwtail)
    )
    p.goal("what was sent is stored before completions are looked at",
           done.at(Do("nic-send", sent))[0] < done.at(Do("nic-completed", asked))[0])  # fmt: skip
    p.goal("hwcur moves by what was accepted", flat_steps(p, k.n, k.hwcur, got.hwcur) == accepted)
    p.goal("the tail moves by what was completed", flat_steps(p, k.n, k.hwtail, got.hwtail) == completed)
    p.goal("the rest of the kring stays", got.rhead == k.rhead, got.rcur == k.rcur, got.rtail == k.rtail)
    p.goal("the order of the kring is kept", _published(p, got))
    p.goal("it succeeds", done.result == "")


obligation(
    "14.nic.txsync-call",
    clauses=("14.nic.txsync", "14.nic.reclaim", "14.ring.kring-order"),
    statement="""A NIC's part of a txsync hands exactly the slots between hwcur and head to the device, then
    asks it how many of all it has are done, and moves the tail by that many.""",
    functions=(nic.txsync,),
    control=Control("no position is ever stored", _unless(nic.txsync, _stores)),
    assumptions="""The kring satisfies its order, its window is published; the device completes any number of
    the slots it has, accepts any part of what it is handed (an emulated one may stop), its index is off by
    any amount below n.""",
    rules=(nic.TX_SENT, nic.TX_IDLE, nic.TX_STOPPED, nic.TX_RECLAIM),
)(nic_tx_body)


def nic_rx_body(p: Proof, rxsync: Make) -> None:
    k = flat_kring(p, "k")
    release_first = p.split("released slots first") == 1
    hwofs, arrived = p.integer("hwofs", 0), p.integer("arrived", -1)
    good = p.truth("released slots are good")
    p.assume(hwofs < k.n)
    user = ring.UserRing(p.u32("head"), p.u32("cur"), p.u32("tail"))

    def answer(words: Words, args: tuple[Any, ...]) -> int:
        p.assume(arrived <= args[2])
        return arrived

    do = {
        "nic-receive": answer,
        "nic-refill": lambda words, args: good,
        "reinit-slots": lambda words, args: None,
    }
    memory = {(R, "kring"): k, (R, "hwofs"): hwofs}
    memory |= {(R, "head"): user.head, (R, "cur"): user.cur, (R, "tail"): user.tail}
    done = alone(p, rxsync, R, release_first, p.switches, memory=memory, do=do)
    received, refilled = done.done("nic-receive"), done.done("nic-refill")
    got = done.memory[R, "kring"]
    order = [e.what for e in done.of(Do) if e.what in ("nic-receive", "nic-refill")]
    first = "nic-refill" if release_first else "nic-receive"
    p.goal("each half has its turn, unless the one before it failed", order[0] == first, len(order) <= 2)
    for call in refilled:
        p.goal("everything between hwcur and head is given back", call[1] == k.hwcur)
        p.goal(
            "everything between hwcur and head is given back", call[2] == flat_steps(p, k.n, k.hwcur, k.rhead)
        )
    for call in received:
        base = k.rhead if release_first else k.hwcur
        room = k.n - 1 - flat_steps(p, k.n, base, k.hwtail)
        p.goal("the device is offered the room there is", call[1] == k.hwtail, call[2] == room)
    bad = (bool(received) and arrived < 0) or (bool(refilled) and not good)
    p.goal("a bad buffer puts the ring back", (done.result == "reinit") == bad)
    if bad:
        p.goal(
            "put back: the positions are the kernel's",
            got.rhead == got.hwcur,
            got.rcur == got.hwcur,
            got.rtail == got.hwtail,
        )
        return
    p.goal("both halves were done", len(order) == 2, done.result == "")
    p.goal("the rule says whether any came", (nic.RX_QUIET in done.fired) == (arrived == 0))
    p.goal("hwcur is head", got.hwcur == k.rhead)
    p.goal("the tail moves by what arrived", flat_steps(p, k.n, k.hwtail, got.hwtail) == arrived)
    p.goal("the rest of the kring stays", got.rhead == k.rhead, got.rcur == k.rcur, got.rtail == k.rtail)
    p.goal("the order of the kring is kept", _published(p, got))


obligation(
    "14.nic.rxsync-call",
    clauses=("14.nic.rxsync", "14.nic.bad-slot", "14.ring.kring-order"),
    statement="""A NIC's part of an rxsync offers the device the room there is and gives it exactly the slots
    between hwcur and head back, in either order; a buffer that is not the pool's ends the sync and puts the
    ring back.""",
    functions=(nic.rxsync,),
    control=Control("no position is ever stored", _unless(nic.rxsync, _stores)),
    assumptions="""The kring satisfies its order; the device fills any part of the room, or has met a bad
    buffer; its index is off by any amount below n; the application's words are any u32.""",
    rules=(nic.RX_ARRIVED, nic.RX_QUIET, nic.RX_REFILL, nic.RX_BAD),
)(nic_rx_body)


# --- what reaches the device ----------------------------------------------------------------------------


def tx_slot_body(p: Proof, tx_slot: Callable[..., Any]) -> None:
    slot = p.show(
        "slot", ring.Slot(p.u32("slot.buf_idx"), p.u16("slot.len"), p.u16("slot.flags"), p.u64("slot.ptr"))
    )
    buffers, size = p.integer("buffers", 2, U32 - 1), p.integer("buf_size", 64)
    step = p.run(tx_slot, slot, buffers, size)
    got = step.state
    p.goal("the device gets a buffer of the pool", got.buf_idx < buffers)
    p.goal("buffer 1, which is nobody's, only when it was named", got.buf_idx != 1 or slot.buf_idx == 1)
    p.goal("and bytes inside it", got.len <= size)
    good = slot.buf_idx >= 1 and slot.buf_idx < buffers
    p.goal("a good buffer is sent as it is", got.buf_idx == (slot.buf_idx if good else 0))
    p.goal("a good length is sent as it is", got.len == (slot.len if slot.len <= size else size))
    p.goal("flags and ptr stay", got.flags == slot.flags, got.ptr == slot.ptr)
    fired = (device.JUNK in step.fired, device.CUT in step.fired)
    p.goal("the rules say what was wrong", fired[0] == (not good), fired[1] == (slot.len > size))


obligation(
    "14.nic.tx-slot",
    clauses=("14.nic.bad-slot", "14.memory.reserved"),
    statement="""Whatever an application stores in a slot, the device is handed a buffer of the pool and bytes
    inside it; an index that is not the pool's, or 0, becomes the junk buffer. Only buffer 1, which is
    nobody's either, is sent when it is named: drivers compare with the first buffer alone.""",
    functions=(device.tx_slot,),
    control=Control(
        "the index one past the pool passes",
        lambda slot, buffers, size: device.tx_slot(slot, buffers + 1, size),
    ),
    assumptions="buf_idx any u32, len any u16.",
)(tx_slot_body)


# --- host rings -----------------------------------------------------------------------------------------


def host_body(p: Proof, txsync: Make, rxsync: Make) -> None:
    k = flat_kring(p, "k")
    flags, imported = p.u32("flags"), p.integer("imported", 0)
    some, everywhere = p.truth("some were forwarded"), p.truth("transparent")
    memory = {(R, "kring"): k, (R, "flags"): flags, (R, "forwarded"): False, (R, "transparent"): everywhere}
    if p.split("direction") == 0:
        done = alone(p, txsync, R, memory=memory, do={"grab": lambda words, args: None})
        got, (grabbed,) = done.memory[R, "kring"], done.done("grab")
        p.goal("everything between hwcur and head goes up", grabbed[1] == k.hwcur, grabbed[3])
        p.goal(
            "everything between hwcur and head goes up", grabbed[2] == flat_steps(p, k.n, k.hwcur, k.rhead)
        )
        p.goal("the ring is the application's again but for one slot",
               flat_steps(p, k.n, k.rhead, got.hwtail) == k.n - 1, got.hwcur == k.rhead)  # fmt: skip
    else:

        def answer(words: Words, args: tuple[Any, ...]) -> int:
            p.assume(imported <= args[2])
            return imported

        def forward_down(start: int, count: int) -> Protocol:
            return (yield Do("forward-down", (R, start, count)))

        do = {"host-import": answer, "forward-down": lambda words, args: some}
        down = p.split("forward_down") == 1
        done = alone(p, rxsync, R, forward_down if down else None, memory=memory, do=do)
        got, (asked,) = done.memory[R, "kring"], done.done("host-import")
        room = k.n - 1 - flat_steps(p, k.n, k.hwcur, k.hwtail)
        p.goal(
            "frames are put behind those that are there, as many as fit",
            asked[1] == k.hwtail,
            asked[2] == room,
        )
        p.goal("released slots are free again", got.hwcur == k.rhead)
        released = host.RX_RELEASED in done.fired
        p.goal("the rule says whether slots were released", released == (k.hwcur != k.rhead))
        p.goal("the rule says whether any came", (host.RX_DOWN in done.fired) == (imported > 0))
        p.goal("the tail moves by what came", flat_steps(p, k.n, k.hwtail, got.hwtail) == imported)
        forwards = down and k.hwcur != k.rhead and (everywhere or flags // api14.NR_FORWARD % 2 == 1)
        passed = done.done("forward-down")
        p.goal("released slots are forwarded when asked for", (len(passed) == 1) == forwards)
        for call in passed:
            p.goal("all of them", call[1] == k.hwcur, call[2] == flat_steps(p, k.n, k.hwcur, k.rhead))
        p.goal("and who forwarded says so", done.memory[R, "forwarded"] == bool(passed and some))
    p.goal("the rest of the kring stays", got.rhead == k.rhead, got.rcur == k.rcur, got.rtail == k.rtail)
    p.goal("the order of the kring is kept", _published(p, got))
    p.goal("it succeeds", done.result == "")


obligation(
    "14.host.sync-calls",
    clauses=("14.host.tx", "14.host.rx", "14.host.forward", "14.host.transparent", "14.ring.kring-order"),
    statement="""The sync of a host transmit ring passes everything between hwcur and head up and gives the
    ring back; that of a host receive ring adds the frames that fit, frees what was released and, when asked
    for, forwards it.""",
    functions=(host.txsync, host.rxsync),
    control=Control("released slots are never freed", host.txsync, _unless(host.rxsync, _stores)),
    assumptions="The kring satisfies its order; any number of frames that fit came down; any flags.",
    rules=(host.TX_UP, host.RX_DOWN, host.RX_RELEASED),
)(host_body)


# --- pipes ----------------------------------------------------------------------------------------------


def pipe_body(p: Proof, txsync: Make, rxsync: Make) -> None:
    cases = Cases(p, "calls")
    for n in (1, 2, 3, 4):
        for hwcur, rhead, tail, users, more in every(
            p, f"rings of {n}", range(n), range(n), range(n), (0, 2), range(2 ** (n - 1))
        ):
            count = (rhead - hwcur) % n
            fragments = {(hwcur + i) % n: bool(more >> i & 1) for i in range(count)}
            k = ring.Kring(n, hwcur, (hwcur - 1) % n, rhead, rhead, (hwcur - 1) % n)
            cases.case(n=n, hwcur=hwcur, rhead=rhead, pipe_tail=tail, fragments=fragments)
            memory = {(R, "kring"): k, (R, "pipe_tail"): tail, (R, "pipe"): "peer", ("peer", "pipe_tail"): -1}
            memory |= {("peer", "si_users"): users, ("peer", "si"): "shared", ("peer", "intercepted"): False}

            def flags(words: Words, args: tuple[Any, ...], fragments: dict[int, bool] = fragments) -> int:
                return api14.NS_MOREFRAG if fragments[args[2]] else 0

            for function, transmit in ((txsync, True), (rxsync, False)):
                done = cases.run(function, R, memory=memory, do={"pipe-slot": flags})
                _judge_pipe(cases, k, tail, count, fragments, users > 0, transmit, done)
    cases.end()


def _judge_pipe(cases: Cases, k: ring.Kring, tail: int, count: int, fragments: dict[int, bool], shared: bool,
                transmit: bool, done: Done) -> None:  # fmt: skip
    n, positions = k.n, [(k.hwcur + i) % k.n for i in range(count)]
    cases.goal(
        "each slot that is new goes over once, in order",
        done.done("pipe-slot") == [(R, "peer", i) for i in positions],
    )
    cases.goal(
        "hwcur is head, and the tail is what the peer had told",
        done.memory[R, "kring"] == replace(k, hwcur=k.rhead, hwtail=tail),
    )
    whole = [i for i, at in enumerate(positions) if not fragments[at]]
    if transmit:
        publish = (positions[whole[-1]] + 1) % n if whole else -1
    else:
        publish = (k.rhead - 1) % n if count else -1
    cases.goal(
        "whole packets are published, and released slots but one", done.memory["peer", "pipe_tail"] == publish
    )
    told = ["peer", *(["shared"] if shared else [])] if publish >= 0 else []
    cases.goal("the peer is told, when there is something", [e.selinfo for e in done.of(Wake)] == told)
    if publish >= 0:
        stored = done.at(WriteKernel(("peer", "pipe_tail"), publish))
        slots = done.at(*[Do("pipe-slot", (R, "peer", i)) for i in positions])
        cases.goal("slots, then positions, then wake-ups", slots[-1] < stored[0] < done.at(Wake("peer"))[0])
        own = done.at(WriteKernel((R, "kring"), done.memory[R, "kring"]))
        cases.goal("slots, then positions, then wake-ups", own[0] < stored[0])
    nothing = (pipe.TX_NOTHING if transmit else pipe.RX_NOTHING) in done.fired
    if transmit and count:
        held = pipe.TX_WITHHELD in done.fired
        cases.goal("the rule says that a part is withheld", held == (not whole or whole[-1] < count - 1))
    cases.goal("the rule says that nothing was new", nothing == (count == 0))
    cases.goal("it succeeds", done.result == "")


def _wakes_early(name: str) -> Protocol:
    """A txsync that wakes the receiver before anything is published."""
    yield Wake("peer")
    return (yield from without(pipe.txsync(name), lambda e: isinstance(e, Wake)))


obligation(
    "14.pipe.sync-calls",
    clauses=("14.pipe.txsync", "14.pipe.rxsync", "14.pipe.whole-packets", "14.poll.wakeup"),
    statement="""A pipe's txsync copies each new slot once, in order, publishes whole packets and tells the
    receiver; its rxsync copies each released slot back and publishes all but one. Slots are stored first,
    then positions, then somebody is woken.""",
    functions=(pipe.txsync, pipe.rxsync),
    control=Control(
        "the receiver is woken first", _wakes_early, pipe.rxsync, goal="slots, then positions, then wake-ups"
    ),
    bounds="""Rings of one to four slots, every position and every pattern of last fragments: the walk does
    the same at each slot.""",
    rules=(
        pipe.TX_NOTHING,
        pipe.TX_MOVED,
        pipe.TX_PUBLISHED,
        pipe.TX_WITHHELD,
        pipe.RX_NOTHING,
        pipe.RX_RELEASED,
    ),
)(pipe_body)

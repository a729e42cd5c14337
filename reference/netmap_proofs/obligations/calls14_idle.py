"""Generation 14: ports whose own part of a sync does little, for rings of any size: null, monitors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from netmap_reference.core.effects import Do, Protocol, ReadKernel, WriteKernel
from netmap_reference.gen14 import ring, sync
from netmap_reference.gen14.ports import monitor, ops
from netmap_spec import invariants as spec

from ..engine import Proof
from ..explorer.scenario import without
from ..invariants import flat_kring, flat_order, flat_steps, flat_window
from ..obligation import Control, obligation
from ..schemas import alone

Make = Callable[..., Protocol]
R = "r"


# --- null ports -------------------------------------------------------------------------------------------


def null_body(p: Proof, txsync_ring: Make, rxsync_ring: Make, own: Make) -> None:
    k = flat_kring(p, "k")
    user = ring.UserRing(p.u32("head"), p.u32("cur"), p.u32("tail"))
    memory: dict[tuple[Any, ...], Any] = {(R, "kring"): k, (R, "flags"): 0, (R, "transparent"): False}
    memory |= {(R, "head"): user.head, (R, "cur"): user.cur, (R, "tail"): user.tail}

    def port(name: str, force: bool) -> Protocol:
        return own(None, None, force)

    do: dict[str, Any] = {name: lambda words, args: None for name in ("reinit-slots", "forward-up")}
    do["stamp-wanted"] = lambda words, args: False
    transmit = p.split("direction") == 0
    done = alone(p, txsync_ring if transmit else rxsync_ring, R, port, True, p.switches, memory=memory, do=do)
    got = done.memory[R, "kring"]
    p.goal("nothing moves", got.hwcur == k.hwcur, got.hwtail == k.hwtail)
    p.goal("the sync succeeds, whatever the port would have to do", done.result.error == "")
    low, high = (k.rhead, k.rtail) if transmit else (k.hwcur, k.hwtail)
    inside = flat_window(p, k.n, low, high, user.head, user.cur)
    p.goal("the prologue is that of any ring", done.result.rejected ^ inside)
    if done.result.rejected:
        p.goal("a ring that is refused is put back", got.rhead == k.hwcur, done.memory[R, "head"] == k.hwcur)
        return
    p.goal("slots that were handed over are kept for good", got.rhead == user.head, got.rcur == user.cur)
    p.goal("the tail is published", spec.tail_published(done.memory[R, "tail"], got.rtail, got.hwtail))
    p.goal("the order of the kring is kept", flat_order(p, got))


def _completes(x: None, k: None, force: bool) -> Protocol:
    """Everything that was handed over comes back."""
    found = yield ReadKernel((R, "kring"))
    yield WriteKernel((R, "kring"), replace(found, hwcur=found.rhead))
    return ""


obligation(
    "14.null.sync-call",
    clauses=("14.null.sync", "14.ring.kring-order", "14.ring.tail-published"),
    statement="""A sync of a null port succeeds and moves nothing: what is handed over for transmission never
    comes back, and nothing arrives. Its prologue is that of any ring.""",
    functions=(sync.txsync_ring, sync.rxsync_ring, ops.sync),
    control=Control("it completes what was handed over", sync.txsync_ring, sync.rxsync_ring, _completes,
                    goal="nothing moves"),
    assumptions="The kring satisfies its order; the application's words are any u32. Rings of any size.",
    rules=(),
)(null_body)  # fmt: skip


# --- a monitor's own rings --------------------------------------------------------------------------------


def monitor_body(p: Proof, rxsync: Make) -> None:
    k, orphan = flat_kring(p, "k"), p.split("the port has left") == 1
    done = alone(p, rxsync, R, orphan, memory={(R, "kring"): k})
    got = done.memory[R, "kring"]
    p.goal("nothing but the kring is touched", done.of(Do) == [])
    if orphan:
        p.goal("without a port it fails and moves nothing", done.result == "EIO", got == k)
        return
    p.goal("what was released is given back", got.hwcur == k.rhead)
    p.goal("and nothing else moves", replace(got, hwcur=k.hwcur) == k, done.result == "")
    free = k.n - 1 - flat_steps(p, k.n, k.hwcur, k.hwtail)
    room = k.n - 1 - flat_steps(p, k.n, got.hwcur, got.hwtail)
    back = flat_steps(p, k.n, k.hwcur, k.rhead)
    p.goal("what is free is what was free and what was released", room == free + back)
    p.goal("the order of the kring is kept", flat_order(p, replace(got, rtail=got.hwtail)))


obligation(
    "14.monitor.own-rxsync",
    clauses=("14.monitor.rxsync", "14.monitor.port-leaves", "14.ring.kring-order"),
    statement="""The rxsync of a monitor's ring of any size gives exactly the released slots back and keeps
    the order of the kring; when the port has left it fails and moves nothing.""",
    functions=(monitor.rxsync,),
    control=Control(
        "nothing is given back",
        lambda name, orphan: without(monitor.rxsync(name, orphan), lambda e: isinstance(e, WriteKernel)),
    ),
    assumptions="The kring satisfies its order.",
    rules=(monitor.RX_RELEASED, monitor.RX_ORPHAN),
)(monitor_body)

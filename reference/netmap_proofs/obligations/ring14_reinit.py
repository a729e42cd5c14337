"""Generation 14: re-initialisation after a rejection, the repair of slots, and syncs in any number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from netmap_reference.core.step import Step
from netmap_reference.core.words import U16, U32
from netmap_reference.gen14 import ring
from netmap_spec import invariants as spec

from ..engine import Proof
from ..invariants import any_positions, kernel_positions, kring_order
from ..obligation import Control, obligation
from ..schemas import always

Reinit = Callable[[ring.Kring, ring.UserRing, frozenset[str]], Step[ring.Reinit]]
Prologue = Callable[[ring.Kring, ring.UserRing, frozenset[str]], Step[ring.Prologue]]
Finalize = Callable[[ring.Kring], Step[ring.Kring]]


# --- ring_reinit ----------------------------------------------------------------------------------------


def _reinit_forgets_tail(k: ring.Kring, user: ring.UserRing, switches: frozenset[str]) -> Step[ring.Reinit]:
    got = ring.ring_reinit(k, user, switches)
    return replace(got, state=replace(got.state, kring=replace(got.state.kring, rtail=k.rtail)))


def reinit_body(p: Proof, ring_reinit: Reinit) -> None:
    k = p.symbolic(ring.Kring, "k", lo=0, hi=U32 - 1)
    p.assume(kernel_positions(k))
    user = p.symbolic(ring.UserRing, "user", lo=0, hi=U32 - 1)
    got = p.run(ring_reinit, k, user, p.switches).state
    p.goal("the order of the kring is restored", kring_order(got.kring))
    p.goal("head and cur are hwcur", got.kring.rhead == k.hwcur, got.kring.rcur == k.hwcur)
    p.goal("tail is hwtail", got.kring.rtail == k.hwtail)
    p.goal("hwcur and hwtail are not touched", got.kring.hwcur == k.hwcur, got.kring.hwtail == k.hwtail)
    p.goal(
        "the application sees what the kring says",
        got.user.head == got.kring.rhead,
        got.user.cur == got.kring.rcur,
        got.user.tail == got.kring.rtail,
    )


_reinit = partial(
    obligation,
    clauses=("14.ring.reinit-resets", "14.ring.kring-order"),
    functions=(ring.ring_reinit,),
    assumptions="""hwcur and hwtail are slots of the ring. Everything else is any u32: rhead, rcur and rtail
    of the kring and the application's three words.""",
)

_reinit(
    "14.ring.reinit",
    statement="""Whatever is in the application's words and in its half of the kring, re-initialisation puts
    both back to hwcur, hwcur, hwtail and thereby restores the order invariant.""",
    control=Control("the kring's rtail is left as it was", _reinit_forgets_tail),
)(reinit_body)


def _reinit_trusts_and_clears_hwtail(
    k: ring.Kring, user: ring.UserRing, switches: frozenset[str]
) -> Step[ring.Reinit]:
    got = ring.ring_reinit(k, user, switches)
    return replace(got, state=replace(got.state, kring=replace(got.state.kring, hwtail=0)))


_reinit(
    "14.ring.reinit.as-written",
    statement="""As 14.ring.reinit, but as written: the reset happens only when one of the three words is not
    a slot at all; otherwise the kring takes all three from the application.""",
    control=Control("as written, and hwtail is cleared too", _reinit_trusts_and_clears_hwtail),
    switches={ring.REINIT_TRUSTS_USER},
    finding="F14-001",
    refutes={"the order of the kring is restored", "head and cur are hwcur", "tail is hwtail"},
)(reinit_body)


def extent_body(p: Proof, ring_reinit: Reinit) -> None:
    k = p.symbolic(ring.Kring, "k", lo=0, hi=U32 - 1)
    p.assume(k.n >= 1)
    user = p.symbolic(ring.UserRing, "user", lo=0, hi=U32 - 1)
    got = p.run(ring_reinit, k, user, p.switches).state
    slots = user.head < k.n and user.cur < k.n and user.tail < k.n
    kept = replace(k, rhead=user.head, rcur=user.cur, rtail=user.tail)
    reset = p.run(ring_reinit, k, user, frozenset()).state
    if slots:
        p.goal("three slots are kept, all three", got.kring == kept, got.user == user)
    else:
        p.goal("anything else is reset as promised", got == reset)


obligation(
    "14.ring.reinit-extent",
    clauses=("14.ring.reinit-resets",),
    statement="""How far the deviation of F14-001 goes: the application's words are kept exactly when all
    three are slots of the ring; otherwise the code does what it promises.""",
    functions=(ring.ring_reinit,),
    control=Control(
        "the last slot counts as none",
        lambda k, user, switches: ring.ring_reinit(
            k, user, frozenset() if user.head == k.n - 1 else switches
        ),
    ),
    assumptions="Any kring of one slot or more, any three words.",
    switches={ring.REINIT_TRUSTS_USER},
)(extent_body)


# --- slots ----------------------------------------------------------------------------------------------


def _slot_reinit_accepts_junk(slot: ring.Slot, objtotal: int, buf_size: int) -> Step[ring.Slot]:
    if slot.buf_idx == 1:
        return Step(slot)
    return ring.slot_reinit(slot, objtotal, buf_size)


@obligation(
    "14.ring.slot-reinit",
    clauses=("14.ring.reinit-slots",),
    statement="""After its repair a slot names buffer 0 with length 0 or a buffer of the pool with a length
    that fits; a slot that was good stays; flags and ptr stay; repairing twice changes nothing more.""",
    functions=(ring.slot_reinit,),
    control=Control("the reserved buffer 1 passes", _slot_reinit_accepts_junk),
    assumptions="buf_idx any u32, len any u16, flags and ptr any, objtotal >= 2, buf_size >= 0.",
)
def slot_repair(p: Proof, slot_reinit: Callable[[ring.Slot, int, int], Step[ring.Slot]]) -> None:
    slot = p.show(
        "slot",
        ring.Slot(p.u32("slot.buf_idx"), p.u16("slot.len"), p.u16("slot.flags"), p.u64("slot.ptr")),
    )
    objtotal = p.integer("objtotal", 2, U32 - 1)
    buf_size = p.integer("buf_size", 0, U16 - 1)
    got = p.run(slot_reinit, slot, objtotal, buf_size).state
    p.goal("the slot is safe", spec.slot_safe(got.buf_idx, got.len, objtotal, buf_size))
    if slot.buf_idx >= 2 and slot.buf_idx < objtotal:
        p.goal("a buffer of the pool stays in its slot", got.buf_idx == slot.buf_idx)
        if slot.len <= buf_size:
            p.goal("a good slot stays", got == slot)
    p.goal("flags and ptr stay", got.flags == slot.flags, got.ptr == slot.ptr)
    p.goal("twice is once", p.run(slot_reinit, got, objtotal, buf_size).state == got)


# --- any number of syncs --------------------------------------------------------------------------------


def _tail_moves(p: Proof, k: ring.Kring) -> ring.Kring:
    """The kernel (a NIC, a peer) gives slots: hwtail moves forward, never a full turn past hwcur."""
    room = k.n - 1 - ring.distance(k.hwcur, k.hwtail, k.n)
    given = p.integer("given", 0)
    p.assume(given <= room)
    return replace(k, hwtail=ring.advance(k.hwtail, given, k.n))


def _kernel_took(p: Proof, k: ring.Kring) -> ring.Kring:
    """The body of a sync: hwcur moves up to rhead or less far, then hwtail forward."""
    taken = p.integer("taken", 0)
    p.assume(taken <= ring.distance(k.hwcur, k.rhead, k.n))
    return _tail_moves(p, replace(k, hwcur=ring.advance(k.hwcur, taken, k.n)))


def sequence_body(
    p: Proof, tx_prologue: Prologue, rx_prologue: Prologue, sync_finalize: Finalize, ring_reinit: Reinit
) -> None:
    def sync(prologue: Prologue) -> Callable[[ring.Kring], ring.Kring]:
        def step(k: ring.Kring) -> ring.Kring:
            user = p.symbolic(ring.UserRing, "user", lo=0, hi=U32 - 1)
            got = p.run(prologue, k, user, p.switches).state
            if got.accepted:
                done = p.run(sync_finalize, _kernel_took(p, got.kring)).state
                p.goal("an accepted sync publishes hwtail", done.rtail == done.hwtail)
                return done
            # The rejected sync reads the words again; the application may have changed them meanwhile.
            later = p.symbolic(ring.UserRing, "later", lo=0, hi=U32 - 1)
            return p.run(ring_reinit, got.kring, later, p.switches).state.kring

        return step

    n = p.integer("n", 1)
    always(
        p,
        "order",
        starts=[ring.Kring(n, 0, n - 1, 0, 0, n - 1), ring.Kring(n, 0, 0, 0, 0, 0)],
        arbitrary=lambda name: any_positions(p, name, n),
        invariant=lambda k: [kring_order(k)],
        steps={
            "txsync": sync(tx_prologue),
            "rxsync": sync(rx_prologue),
            "the kernel moves hwtail between two syncs": lambda k: _tail_moves(p, k),
        },
    )


_sequence = partial(
    obligation,
    clauses=("14.ring.kring-order", "14.ring.reinit-resets", "14.ring.tail-published"),
    functions=(ring.tx_prologue, ring.rx_prologue, ring.sync_finalize, ring.ring_reinit),
    assumptions="""Any n >= 1. In a sync the kernel moves hwcur at most to rhead and hwtail forward, never a
    full turn past hwcur; between syncs it may move hwtail. The application stores any u32 at any time,
    also between a prologue and the re-initialisation.""",
)


def _reinit_as_written(k: ring.Kring, user: ring.UserRing, switches: frozenset[str]) -> Step[ring.Reinit]:
    return ring.ring_reinit(k, user, ring.AS_WRITTEN)


_sequence(
    "14.ring.any-syncs",
    statement="""Starting from an empty receive ring or an all-free transmit ring, any number of syncs,
    accepted or rejected, with anything in the application's words, keeps the order of the kring.""",
    control=Control(
        "a rejected ring keeps its rtail",
        ring.tx_prologue,
        ring.rx_prologue,
        ring.sync_finalize,
        lambda k, user, switches: Step(
            ring.Reinit(replace(k, rhead=k.hwtail, rcur=k.hwcur, rtail=k.rtail), user)
        ),
    ),
)(sequence_body)

_sequence(
    "14.ring.any-syncs.stores-first-is-harmless",
    statement="""A receive prologue that stores before it checks does no harm as long as every rejection is
    followed by a re-initialisation that keeps its promise.""",
    switches={ring.RX_PROLOGUE_STORES_FIRST},
    control=Control(
        "as that, with the re-initialisation as written",
        ring.tx_prologue,
        ring.rx_prologue,
        ring.sync_finalize,
        _reinit_as_written,
    ),
)(sequence_body)

_sequence(
    "14.ring.any-syncs.as-written",
    statement="""As 14.ring.any-syncs, with the re-initialisation as written: one rejected sync is enough to
    lose the order, in transmit and in receive rings.""",
    switches={ring.REINIT_TRUSTS_USER},
    finding="F14-001",
    refutes={"order: txsync", "order: rxsync"},
    only_refute=True,
    control=Control(
        "as written, and an accepted sync publishes its head instead of the tail",
        ring.tx_prologue,
        ring.rx_prologue,
        lambda k: Step(replace(k, rtail=k.rhead)),
        ring.ring_reinit,
    ),
)(sequence_body)

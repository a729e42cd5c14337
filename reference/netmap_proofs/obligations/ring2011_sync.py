"""Generation 2011: what a sync takes over, the map to the NIC's ring, re-initialisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from netmap_reference.core.step import Step
from netmap_reference.core.words import U32
from netmap_reference.gen2011 import interrupts, ring, sync
from netmap_reference.gen2011.memory import BUF_SIZE
from netmap_spec import invariants as spec

from ..engine import Proof
from ..obligation import Control, obligation

Kring = ring.Kring
Reading = frozenset[str]

VALID = "n >= 1, hwcur is a slot of the ring, 0 <= hwavail <= n - 1; cur is any u32."


def any_kring(p: Proof) -> Kring:
    """A kring between two syncs; the map to the NIC and the driver's flags do not matter here."""
    k = p.symbolic(Kring, "k", hwofs=0, kflags=0)
    p.assume_all([k.n >= 1, k.hwcur >= 0, k.hwcur < k.n, k.hwavail >= 0, k.hwavail <= k.n - 1])
    return k


def in_range(k: Kring) -> list[bool]:
    return [k.hwavail >= 0, k.hwavail <= k.n - 1, k.hwcur >= 0, k.hwcur < k.n]


# --- the window of a sync -------------------------------------------------------------------------------


def _take_one_more(k: Kring, cur: int, switches: Reading) -> Step[sync.Taken]:
    if sync.distance(k.hwcur, cur, k.n) == k.hwavail + 1:
        return Step(sync.Taken(replace(k, hwcur=cur, hwavail=0), True), (sync.TAKE_OK,))
    return sync.take(k, cur, switches)


def window_body(
    p: Proof,
    check_cur: Callable[[int, int], Step[bool]],
    take: Callable[[Kring, int, Reading], Step[sync.Taken]],
) -> None:
    k, cur = any_kring(p), p.u32("cur")
    inside = p.run(check_cur, cur, k.n).state
    p.goal("cur is refused exactly when it is no slot of the ring", inside == (cur < k.n))
    if not inside:
        return
    claimed = spec.steps(k.n, k.hwcur, cur)
    got = p.run(take, k, cur, p.switches).state
    if got.accepted:
        p.goal("accepted: no more than avail slots were claimed", claimed <= k.hwavail)
        p.goal("accepted: hwcur and hwavail stay in range", *in_range(got.kring))
        p.goal("accepted: hwcur is cur", got.kring.hwcur == cur, got.kring.n == k.n)
        if claimed <= k.hwavail:
            p.goal("accepted: hwavail is what is left", got.kring.hwavail == k.hwavail - claimed)
    else:
        p.goal("rejected: more was claimed than avail", claimed > k.hwavail)
        p.goal("rejected: the kring is unchanged", got.kring == k)


_WINDOW_CONTROL = Control("a sync that claims one slot too many is accepted", sync.check_cur, _take_one_more)

obligation(
    "2011.ring.sync-window",
    clauses=("2011.ring.sync-window", "2011.ring.cur-inside", "2011.ring.positions"),
    statement="""A sync takes over exactly the slots from hwcur to cur when they are no more than avail;
    otherwise it is rejected and the kring is unchanged. hwavail never leaves 0 … n-1.""",
    functions=(sync.check_cur, sync.take),
    control=_WINDOW_CONTROL,
    assumptions=VALID,
)(window_body)


def _take_keeps_hwcur(k: Kring, cur: int, switches: Reading) -> Step[sync.Taken]:
    got = sync.take(k, cur, switches)
    return replace(got, state=replace(got.state, kring=replace(got.state.kring, hwcur=k.hwcur)))


obligation(
    "2011.ring.sync-window.as-written",
    clauses=("2011.ring.sync-window", "2011.ring.cur-inside"),
    statement="""As 2011.ring.sync-window, with the driver as it was: cur is not compared with avail, so that
    hwavail becomes negative.""",
    functions=(sync.check_cur, sync.take),
    control=Control("as written, and hwcur does not move", sync.check_cur, _take_keeps_hwcur),
    assumptions=VALID,
    switches={sync.IGNORES_AVAIL},
    unreachable={sync.TAKE_TOO_FAR: "as written cur is not compared with avail"},
    finding="F2011-001",
    refutes={"accepted: no more than avail slots were claimed", "accepted: hwcur and hwavail stay in range"},
)(window_body)


@obligation(
    "2011.ring.completions",
    clauses=("2011.ring.completions", "2011.ring.positions"),
    statement="""Slots the NIC is done with become the application's, as many as there are; more than the ring
    can hold are refused.""",
    functions=(sync.give,),
    control=Control(
        "the slot that always stays back is given too",
        lambda k, count: Step(sync.Taken(replace(k, hwavail=k.hwavail + count), k.hwavail + count <= k.n)),
        goal="refused exactly when they do not fit",
    ),
    assumptions="A kring in range with n < 2^30; 0 <= count <= n.",
)
def completions(p: Proof, give: Callable[[Kring, int], Step[sync.Taken]]) -> None:
    k = any_kring(p)
    p.assume(k.n < 1 << 30)
    count = p.integer("count", 0)
    p.assume(count <= k.n)
    step = p.run(give, k, count)
    got = step.state
    p.goal("the rule says whether there were any", (sync.GIVE_NONE in step.fired) == (count == 0))
    p.goal("refused exactly when they do not fit", got.accepted == (k.hwavail + count <= k.n - 1))
    if got.accepted:
        p.goal("all of them become the application's", got.kring == replace(k, hwavail=k.hwavail + count))


# --- the map to the NIC's ring --------------------------------------------------------------------------


def _n2k_without_wrap(n: int, hwofs: int, idx: int) -> Step[int]:
    return Step(idx + hwofs if idx + hwofs < n else idx + hwofs - n)


@obligation(
    "2011.ring.hwofs-map",
    clauses=("2011.ring.hwofs",),
    statement="For any offset between -n and n the two index maps stay in the ring and undo each other.",
    functions=(ring.idx_n2k, ring.idx_k2n),
    control=Control("a negative sum is not brought back", _n2k_without_wrap, ring.idx_k2n),
    assumptions="n >= 1, -n < hwofs < n, 0 <= idx < n.",
)
def hwofs_map(
    p: Proof, n2k: Callable[[int, int, int], Step[int]], k2n: Callable[[int, int, int], Step[int]]
) -> None:
    n, hwofs, idx = p.integer("n", 1), p.integer("hwofs"), p.integer("idx", 0)
    p.assume_all([-n < hwofs, hwofs < n, idx < n])
    there, back = p.run(n2k, n, hwofs, idx).state, p.run(k2n, n, hwofs, idx).state
    p.goal("both maps stay inside", there >= 0, there < n, back >= 0, back < n)
    p.goal("k2n undoes n2k", p.run(k2n, n, hwofs, there).state == idx)
    p.goal("n2k undoes k2n", p.run(n2k, n, hwofs, back).state == idx)


def _reset_without_wrap(k: Kring, tx: bool, new_cur: int) -> Step[Kring]:
    if tx:
        return interrupts.reset_hwofs(k, tx, new_cur)
    return Step(replace(k, hwofs=k.hwcur + k.hwavail - new_cur))


@obligation(
    "2011.ring.reset-hwofs",
    clauses=("2011.interrupt.reset", "2011.ring.hwofs"),
    statement="""When a driver restarts the NIC's ring, the new offset lies between -n and n, so the index
    maps are right; a transmit ring is idle again and a receive ring keeps its packets.""",
    functions=(interrupts.reset_hwofs,),
    control=Control("the receive offset is not brought back below n", _reset_without_wrap),
    assumptions="A kring in range with n < 2^30, the NIC restarts at one of its n descriptors.",
)
def reset_offset(p: Proof, reset_hwofs: Callable[[Kring, bool, int], Step[Kring]]) -> None:
    k = any_kring(p)
    p.assume(k.n < 1 << 30)
    tx, new_cur = p.truth("tx"), p.integer("new_cur", 0)
    p.assume(new_cur < k.n)
    after = p.run(reset_hwofs, k, tx, new_cur).state
    p.goal("the offset lies between -n and n", -k.n < after.hwofs, after.hwofs < k.n)
    if tx:
        p.goal("a transmit ring is idle", after.hwavail == k.n - 1, after.hwcur == k.hwcur)
        first = ring.idx_n2k(k.n, after.hwofs, new_cur).state
        p.goal("the NIC goes on at hwcur", first == k.hwcur)
    else:
        p.goal("a receive ring keeps its packets", after.hwavail == k.hwavail, after.hwcur == k.hwcur)
        first = ring.idx_n2k(k.n, after.hwofs, new_cur).state
        p.goal("the NIC goes on behind the packets", spec.steps(k.n, k.hwcur, first) == k.hwavail)


# --- re-initialisation ----------------------------------------------------------------------------------


def _reinit_keeps_avail(
    k: Kring, cur: int, avail: int, flags: int, errors: int, switches: Reading
) -> Step[ring.Reinit]:
    got = ring.reinit_positions(k, cur, avail, flags, errors, switches)
    return replace(got, state=replace(got.state, avail=avail))


def _reinit_forgets_flags(
    k: Kring, cur: int, avail: int, flags: int, errors: int, switches: Reading
) -> Step[ring.Reinit]:
    got = ring.reinit_positions(k, cur, avail, flags, errors, switches)
    return replace(got, state=replace(got.state, flags=got.state.flags % 2))


_ReinitStep = Callable[[Kring, int, int, int, int, Reading], Step[ring.Reinit]]


def _any_reinit(p: Proof) -> tuple[Kring, int, int, int, int]:
    """Arguments of a re-initialisation: a kring in range, any cur, avail and flags, any number of errors."""
    k = any_kring(p)
    p.assume(k.n < U32)
    return k, p.u32("cur"), p.u32("avail"), p.u32("flags"), p.integer("errors", 0)


def reinit_body(p: Proof, reinit_positions: _ReinitStep) -> None:
    k, cur, avail, flags, errors = _any_reinit(p)
    got = p.run(reinit_positions, k, cur, avail, flags, errors, p.switches).state
    p.goal("cur is hwcur", got.cur == k.hwcur)
    p.goal("avail is hwavail", got.avail == k.hwavail)
    p.goal("the caller learns that the ring was put back", got.ret == 1)
    p.goal("the application is told", got.flags % 2 == ring.NR_REINIT)
    p.goal("the other flags stay", got.flags // 2 == flags // 2)


_reinit = partial(
    obligation,
    clauses=("2011.ring.reinit-resets", "2011.ring.reinit-told"),
    functions=(ring.reinit_positions,),
    assumptions="A kring in range; cur, avail and flags any u32; any number of errors found on the way.",
)
_AVAIL_STAYS = Control("avail stays what the application wrote", _reinit_keeps_avail)
_FLAGS_LOST = Control("the other flags are lost", _reinit_forgets_flags)

_reinit(
    "2011.ring.reinit",
    statement="""Re-initialisation puts cur and avail back to the kernel's values, reports it to its caller
    and tells the application, whatever the caller found wrong.""",
    control=_AVAIL_STAYS,
)(reinit_body)

_reinit(
    "2011.ring.reinit.as-written.conditional",
    statement="As 2011.ring.reinit, but only when the routine itself finds something wrong.",
    control=_FLAGS_LOST,
    switches={ring.REINIT_CONDITIONAL},
    finding="F2011-002",
    refutes={
        "cur is hwcur",
        "avail is hwavail",
        "the caller learns that the ring was put back",
        "the application is told",
    },
)(reinit_body)

_reinit(
    "2011.ring.reinit.as-written.silent",
    statement="As 2011.ring.reinit, but NR_REINIT is never set.",
    control=_AVAIL_STAYS,
    switches={ring.REINIT_SILENT},
    unreachable={ring.REINIT_TOLD: "as written NR_REINIT is never set"},
    finding="F2011-003",
    refutes={"the application is told"},
)(reinit_body)


def extent_body(p: Proof, reinit_positions: _ReinitStep) -> None:
    k, cur, avail, flags, errors = _any_reinit(p)
    got = p.run(reinit_positions, k, cur, avail, flags, errors, p.switches).state
    if errors == 0:
        p.goal("nothing is changed, and nothing reported", got == ring.Reinit(cur, avail, flags, 0))
    else:
        promised = p.run(reinit_positions, k, cur, avail, flags, errors, frozenset()).state
        p.goal("anything else is put back as promised", got == promised)


obligation(
    "2011.ring.reinit-extent",
    clauses=("2011.ring.reinit-resets",),
    statement="""How far the deviation of F2011-002 goes: a ring in which the routine itself finds nothing
    wrong stays as it is and 0 is returned; otherwise the code does what it promises.""",
    functions=(ring.reinit_positions,),
    control=Control(
        "a ring that stays is reported",
        lambda k, cur, avail, flags, errors, switches: (
            Step(ring.Reinit(cur, avail, flags, 1))
            if errors == 0
            else ring.reinit_positions(k, cur, avail, flags, errors, switches)
        ),
    ),
    assumptions="A kring in range; cur, avail and flags any u32; any number of errors found on the way.",
    switches={ring.REINIT_CONDITIONAL},
)(extent_body)


def _slot_one_past(slot: ring.Slot, total: int) -> Step[ring.SlotCheck]:
    if slot.buf_idx == total:
        return Step(ring.SlotCheck(slot))
    return ring.reinit_slot(slot, total)


@obligation(
    "2011.ring.reinit-slot",
    clauses=("2011.ring.reinit-slots",),
    statement="""After its repair a slot names the junk buffer with length 0 or a buffer of the pool with a
    length that fits; a slot that was good stays, and so do its flags.""",
    functions=(ring.reinit_slot,),
    control=Control("the index one past the pool's last buffer passes", _slot_one_past),
    assumptions="buf_idx any u32, len and flags any u16, at least the two reserved buffers.",
)
def slot_repair(p: Proof, reinit_slot: Callable[[ring.Slot, int], Step[ring.SlotCheck]]) -> None:
    slot = p.show("slot", ring.Slot(p.u32("slot.buf_idx"), p.u16("slot.len"), p.u16("slot.flags")))
    total = p.integer("total", 2, U32 - 1)
    got = p.run(reinit_slot, slot, total).state
    p.goal("the slot is safe", spec.slot_safe(got.slot.buf_idx, got.slot.len, total, BUF_SIZE))
    p.goal("flags stay", got.slot.flags == slot.flags)
    if slot.buf_idx >= 2 and slot.buf_idx < total and slot.len <= BUF_SIZE:
        p.goal("a good slot stays", got.slot == slot, got.error == "")
    else:
        p.goal("a bad one has no length", got.slot.len == 0)
        p.goal("a bad slot is reported", got.error != "")

"""Generation 2011: what interrupts wake and mark, and a rejected ring put back, as whole calls, alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from netmap_reference.core.effects import Lock, Protocol, ReadKernel, Unlock, Wake, WriteKernel, WriteUser
from netmap_reference.gen2011 import interrupts, ring
from netmap_reference.gen2011.attach import Adapter
from netmap_reference.gen2011.memory import BUF_SIZE
from netmap_reference.gen2011.ports import nic

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, every
from ..schemas.alone import Words, quiet

Make = Callable[..., Protocol]
Kring = ring.Kring
_N, _TOTAL = 3, 10
_B = (False, True)


# --- interrupts -----------------------------------------------------------------------------------------


#: The rule of an interrupt, by whether rings have their own locks and whether there are several queues.
_TOLD = {
    (True, False): interrupts.IRQ_ALONE,
    (True, True): interrupts.IRQ_SEPARATE,
    (False, False): interrupts.IRQ_CORE,
    (False, True): interrupts.IRQ_CORE_ALL,
}


def irq_body(p: Proof, irq: Make, reset: Make) -> None:
    cases = Cases(p, "calls")
    for on, tx, queues, separate in every(p, "combinations", _B, _B, (1, 2), _B):
        na = Adapter("nic0", queues, _N, _N, separate)
        name, everyone = f"{'tx' if tx else 'rx'}0", f"{'tx' if tx else 'rx'}{na.global_queue}"
        cases.case(mode=on, transmit=tx, queues=queues, separate=separate)
        words: Words = {("if", "capenable"): on, (name, "kring"): Kring(_N, 1, 1), (name, "slots"): 64}
        done = cases.run(irq, na, tx, 0, p.switches, memory=words, do={})
        cases.goal("the interrupt is netmap's in netmap mode only", done.result == int(on))
        waked = [e.selinfo for e in done.of(Wake)]
        wanted = ([name] + ([everyone] if queues > 1 else [])) if on else []
        cases.goal("who waits for the ring is woken, and who waits for several", waked == wanted)
        held = ""
        for effect in done.of(Lock, Unlock, Wake):
            if isinstance(effect, Lock):
                held = effect.name
            elif isinstance(effect, Unlock):
                held = ""
            else:
                right = name if separate and effect.selinfo == name else "core"
                cases.goal("each under the lock its sleepers recorded under", held == right)
        cases.goal("the rules say so", not on or _TOLD[separate, queues > 1] in done.fired)
        cases.goal("the rules say so", on == (interrupts.IRQ_NM_LOCK in done.fired))
        done = cases.run(reset, na, tx, 0, 2, memory=words, do=quiet("log"))
        cases.goal("a reset answers with the ring's first slot", done.result == (64 if on else None))
        waked = [e.selinfo for e in done.of(Wake)]
        cases.goal("a reset wakes everybody", waked == ([name, everyone] if on else []))
        expected = interrupts.reset_hwofs(Kring(_N, 1, 1), tx, 2).state if on else Kring(_N, 1, 1)
        cases.goal("a reset stores the new offset", done.memory[name, "kring"] == expected)
        cases.case(mode=on, transmit=tx, adapter="none")
        done = cases.run(reset, None, tx, 0, 2, memory={("if", "capenable"): on}, do={})
        cases.goal("without an adapter there is no netmap mode", done.result is None, done.of(Wake) == [])
    cases.end()


obligation(
    "2011.interrupt.calls",
    clauses=("2011.interrupt.wake", "2011.interrupt.wake-locks", "2011.interrupt.reset"),
    statement="""An interrupt wakes who waits for its ring and, with several queues, who waits for all, each
    under the lock under which those recorded themselves; a reset stores the new offset and wakes both.""",
    functions=(interrupts.irq, interrupts.reset),
    control=Control(
        "who waits for several rings is not woken",
        lambda na, tx, q, switches: without(
            interrupts.irq(na, tx, q, switches), lambda e: isinstance(e, Wake) and e.selinfo[2:] != str(q)
        ),
        interrupts.reset,
    ),
    bounds="One queue and two, one lock and ring locks.",
    rules=(
        interrupts.IRQ_OFF,
        interrupts.IRQ_ALONE,
        interrupts.IRQ_SEPARATE,
        interrupts.IRQ_CORE,
        interrupts.IRQ_CORE_ALL,
        interrupts.IRQ_NM_LOCK,
        interrupts.RESET_OFF,
        interrupts.RESET_TX,
        interrupts.RESET_RX,
    ),
)(irq_body)


# --- the mark that an interrupt leaves ------------------------------------------------------------------


def marks_body(p: Proof, interrupt: Make) -> None:
    cases = Cases(p, "calls")
    na = Adapter("nic0", 2, _N, _N, True)
    for on, attached, q, kflags in every(p, "combinations", _B, _B, (0, 1), (0, 4, nic.PENDINTR)):
        before = {f"rx{i}": Kring(_N, 1, 1, 0, kflags) for i in (0, 1)}
        words: Words = {("if", "capenable"): on} | {(name, "kring"): k for name, k in before.items()}
        cases.case(mode=on, attached=attached, ring=q, kflags=kflags)
        done = cases.run(interrupt, na if attached else None, q, memory=words, do={})
        marked = {f"rx{q}"} if on and attached else set()
        for name, k in before.items():
            wanted = replace(k, kflags=k.kflags | nic.PENDINTR) if name in marked else k
            cases.goal(
                "in netmap mode the interrupt's ring is marked, and nothing else",
                done.memory[name, "kring"] == wanted,
            )
        looked = ReadKernel(("if", "capenable")) in done.log
        cases.goal("without an adapter nothing is looked at", attached or done.log == (), looked == attached)
    cases.end()


obligation(
    "2011.driver.interrupt-marks",
    clauses=("2011.driver.rx-import", "2011.interrupt.wake"),
    statement="""A receive interrupt in netmap mode marks its ring, so that the next sync looks at the NIC,
    and changes nothing else; out of netmap mode it marks none.""",
    functions=(nic.interrupt,),
    control=Control(
        "the mark is not stored",
        lambda na, q: without(nic.interrupt(na, q), lambda e: isinstance(e, WriteKernel)),
    ),
    bounds="Two queues, each one's interrupt, a ring with and without the mark and with another flag.",
    rules=(),
)(marks_body)


# --- a rejected ring ------------------------------------------------------------------------------------


def _ring(name: str, k: Kring, cur: int, slots: tuple[tuple[int, int], ...]) -> Words:
    """A ring's words; ``slots`` as (buf_idx, len)."""
    words: Words = {
        (name, "kring"): k,
        (name, "cur"): cur,
        (name, "avail"): k.hwavail,
        (name, "flags"): 0,
        ("mem", "total"): _TOTAL,
    }
    for i, (index, length) in enumerate(slots):
        words[name, "slot", i, "buf_idx"], words[name, "slot", i, "len"] = index, length
    return words


def reinit_body(p: Proof, ring_reinit: Make) -> None:
    cases = Cases(p, "calls")
    slots = ((4, 60), (1, 60), (2, BUF_SIZE), (_TOTAL - 1, BUF_SIZE + 1), (_TOTAL, 60))
    for cur, flags, first, second, last in every(
        p, "combinations", (1, _N, _N - 1), (0, 1, 2), slots, slots, slots
    ):
        given = (first, second, last)
        cases.case(cur=cur, flags=flags, slots=given)
        words = _ring("r", Kring(_N, 2, 1), cur, given)
        words["r", "flags"] = flags
        done = cases.run(ring_reinit, "r", p.switches, memory=words, do=quiet("log"))
        bad = [i for i, (index, length) in enumerate(given) if not 2 <= index < _TOTAL or length > BUF_SIZE]
        for i, (index, length) in enumerate(given):
            wrong = not 2 <= index < _TOTAL
            got = (done.memory["r", "slot", i, "buf_idx"], done.memory["r", "slot", i, "len"])
            cases.goal(
                "bad slots are made safe, good ones stay",
                got == ((0 if wrong else index), (0 if i in bad else length)),
            )
            cases.goal(
                "every slot is read once",
                done.reads("r", "slot", i, "buf_idx") == 1,
                done.reads("r", "slot", i, "len") == 1,
            )
        errors = len(bad) + (cur > _N - 1)
        told = (done.memory["r", "cur"], done.memory["r", "avail"], done.memory["r", "flags"], done.result)
        cases.goal(
            "cur and avail are the kernel's, and the application is told",
            told == (2, 1, flags | ring.NR_REINIT, 1),
        )
        logs = 1 + (2 if errors else 0) + (1 if bad and cur <= _N - 1 else 0)
        cases.goal("what was found is logged", len(done.done("log")) == logs)
    cases.end()


obligation(
    "2011.ring.reinit-call",
    clauses=("2011.ring.reinit-resets", "2011.ring.reinit-slots", "2011.ring.reinit-told"),
    statement="""Putting a rejected ring back, as a whole: every slot is made safe, cur and avail are the
    kernel's, the application is told, and each of its words is read once but cur, which is read again.""",
    functions=(ring.ring_reinit,),
    control=Control(
        "slots are left as they are",
        lambda name, switches: without(
            ring.ring_reinit(name, switches), lambda e: isinstance(e, WriteUser) and "slot" in e.where
        ),
    ),
    bounds="""A ring of three slots, indices and lengths on both sides of their limits, cur inside and
    outside.""",
    rules=(ring.REINIT, ring.REINIT_TOLD, ring.SLOT_OK, ring.SLOT_BAD_IDX, ring.SLOT_BAD_LEN),
)(reinit_body)


obligation(
    "2011.ring.reinit-call.as-written.conditional",
    clauses=("2011.ring.reinit-resets",),
    statement="As 2011.ring.reinit-call, but only when the routine itself finds something wrong.",
    functions=(ring.ring_reinit,),
    bounds="As the obligation for the contract.",
    switches={ring.REINIT_CONDITIONAL},
    rules=(ring.REINIT_KEPT, ring.REINIT),
    finding="F2011-002",
    refutes={"cur and avail are the kernel's, and the application is told"},
    control=Control(
        "as written, and slots are left as they are",
        lambda name, switches: without(
            ring.ring_reinit(name, switches), lambda e: isinstance(e, WriteUser) and "slot" in e.where
        ),
        goal="bad slots are made safe, good ones stay",
    ),
)(reinit_body)

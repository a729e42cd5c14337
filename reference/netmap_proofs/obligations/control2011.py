"""Generation 2011: mappings, unloading, drivers that leave, interfaces that are made and taken down."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from netmap_reference.core.effects import (
    Do,
    Lock,
    Protocol,
    ReadUser,
    Unlock,
    Wake,
)
from netmap_reference.core.step import Step
from netmap_reference.gen2011 import attach, control, memory, pool, register
from netmap_reference.gen2011.attach import Adapter
from netmap_reference.gen2011.memory import Obj
from netmap_reference.gen2011.ring import Kring

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, every
from ..schemas.alone import awake, quiet, under

Make = Callable[..., Protocol]
_B = (False, True)

# --- mappings -----------------------------------------------------------------------------------------------

_INSIDE = "nothing outside the block is mapped"


def mmap_body(p: Proof, mmap_page: Callable[..., Step[bool]]) -> None:
    offset, total = p.integer("offset", -(1 << 63), (1 << 63) - 1), p.integer("total", 0)
    executable = p.truth("executable")
    step = p.run(mmap_page, offset, executable, total, p.switches)
    inside = (offset >= 0) & (offset < total)
    p.goal("nothing is mapped to be executed", not (executable and step.state))
    if executable:
        p.goal("the rule says so", step.fired == (control.MMAP_EXEC,))
        return
    p.goal(_INSIDE, inside or not step.state)
    p.goal("what is inside is", step.state or not inside)
    p.goal("the rule says so", (control.MMAP_OK in step.fired) == inside)


_mmap = partial(
    obligation,
    clauses=("2011.control.mmap", "2011.control.mmap-bounds"),
    functions=(control.mmap_page,),
    control=Control(
        "the first page is not mapped",
        lambda offset, executable, total, switches: (
            Step(False, (control.MMAP_OK,))
            if offset == 0 and total > 0 and not executable
            else control.mmap_page(offset, executable, total, switches)
        ),
        goal="what is inside is",
    ),
    assumptions="Any 64-bit offset, a block of any size.",
)
_mmap(
    "2011.control.mmap",
    statement="Every page of the block can be mapped, none to be executed, and none outside it.",
    rules=(control.MMAP_EXEC, control.MMAP_OK, control.MMAP_OUTSIDE),
)(mmap_body)
_mmap(
    "2011.control.mmap.as-written",
    statement="As 2011.control.mmap, but an offset is not compared with the block.",
    switches={control.MMAP_UNBOUNDED},
    rules=(control.MMAP_EXEC, control.MMAP_OK, control.MMAP_ANYWHERE),
    finding="F2011-014",
    refutes={_INSIDE},
)(mmap_body)

# --- unloading -------------------------------------------------------------------------------------

_ALL = "every byte is given back"


def fini_body(
    p: Proof, fini: Callable[..., Step[memory.Fini]], reclaim: Callable[..., Step[pool.Pool]]
) -> None:
    cases = Cases(p, "modules")
    for buffers, used in every(
        p, "modules", (2, 32, 33, 514), ((), (True,), (False, True), (True, True, False))
    ):
        objs = tuple(Obj(64 * i, 64, u) for i, u in enumerate(used))
        cases.case(buffers=buffers, used=used)
        step = fini(objs, pool.fresh_pool(buffers), p.switches)
        p.reached(step.fired)
        cases.goal(_ALL, step.state.lost == 0)
        words = -(-buffers // 32) * 4
        cases.goal("at most the bitmap stays", step.state.lost in (0, words))
        cases.goal("what is in use is told", step.state.leaked == tuple(o for o in objs if o.used))
    total = 2 * pool.WORD - 3
    spare = frozenset(range(total, 2 * pool.WORD))
    for free, named in every(p, "pools", ((), (2,), (2, 5, 60)), ((), (2,), (5, 60), (0, 1, 61, 4_000_000))):
        before = pool.Pool(total, len(free), spare | set(free))
        cases.case(free=free, named=named)
        after = reclaim(before, frozenset(named))
        p.reached(after.fired)
        left = frozenset(i for i in range(2, total) if i not in named)
        cases.goal("what nobody names is free, the reserved two are not", after.state.bitmap == left | spare)
        cases.goal("and counted", after.state.free == len(left), after.state.total == total)
    cases.end()


_fini = partial(
    obligation,
    clauses=("2011.memory.fini", "2011.pool.conserved", "2011.pool.reserved"),
    functions=(memory.memory_fini, pool.reclaim),
    control=Control(
        "what is in use is not told",
        lambda objs, one, switches: memory.memory_fini((), one, switches),
        pool.reclaim,
        goal="what is in use is told",
    ),
    bounds="Pools of one word, at its edge and of many; lists of up to three objects.",
)
_fini(
    "2011.memory.fini",
    statement="""Unloading gives every byte back and tells what was still in use; the buffers that come free
    with an interface are those that no other one names.""",
    rules=(memory.FINI, memory.FINI_FREES, pool.RECLAIM),
)(fini_body)
_fini(
    "2011.memory.fini.as-written",
    statement="As 2011.memory.fini, but the bitmap is not freed.",
    switches={memory.LEAKS_BITMAP},
    rules=(memory.FINI, memory.FINI_BITMAP, pool.RECLAIM),
    finding="F2011-021",
    refutes={_ALL},
)(fini_body)

# --- a driver that leaves --------------------------------------------------------------------------

_ENDED = "registrations end before their driver leaves"


def detach_body(p: Proof, detach: Callable[..., Step[attach.Detach]]) -> None:
    attached, refcount = p.truth("attached"), p.integer("refcount", 0)
    step = p.run(detach, attached, refcount, p.switches)
    p.goal("only what was attached is freed", step.state.free == attached)
    used = attached and refcount > 0
    p.goal(_ENDED, step.state.revoke == used)
    p.goal("nobody is revoked without a registration", used or not step.state.revoke)
    unlooked = attach.DETACH_IN_USE in p.switches
    told = (attach.DETACHED_IN_USE in step.fired, attach.REVOKED in step.fired)
    p.goal("the rules say so", told == ((used, False) if unlooked else (False, used)))
    p.goal("and whether it was attached", (attach.DETACHED in step.fired) == attached)


_detach = partial(
    obligation,
    clauses=("2011.driver.detach", "2011.driver.detach-in-use"),
    functions=(attach.detach,),
    control=Control(
        "what never was attached is freed",
        lambda attached, refcount, switches: attach.detach(True, 0, switches),
        goal="only what was attached is freed",
    ),
    assumptions="Any number of registrations.",
)
_detach(
    "2011.driver.detach",
    statement="A driver that leaves while descriptors are registered has their registrations ended first.",
    rules=(attach.NOT_ATTACHED, attach.DETACHED, attach.REVOKED),
)(detach_body)
_detach(
    "2011.driver.detach.as-written",
    statement="As 2011.driver.detach, but nothing looks at the number of registrations.",
    switches={attach.DETACH_IN_USE},
    rules=(attach.NOT_ATTACHED, attach.DETACHED, attach.DETACHED_IN_USE),
    finding="F2011-015",
    refutes={_ENDED},
)(detach_body)

# --- the last close --------------------------------------------------------------------------------

_OWNERS = "user memory does not decide which buffers come free"
_HELD = "a refused registration never lets go of the lock"
_LAST = "the last close lets go once, for those who look at the mark"


def _locked(protocol: Protocol) -> Protocol:
    """The call, entered with the core lock as its callers have it; a short sleep is one more effect."""
    yield Lock("core")
    result = yield from awake(protocol)
    yield Unlock("core")
    return result


def close_body(p: Proof, dtor_locked: Make) -> None:
    cases = Cases(p, "closes")
    na = Adapter("nic0", 1, 2, 2, True)
    rings = [f"{t}{i}" for i in range(2) for t in ("tx", "rx")]
    plain = tuple(range(2, 10))
    for failed, refcount, slots in every(
        p,
        "combinations",
        _B,
        (1, 2, 3),
        (plain, (0, 1, *plain[2:]), (2, 2, *plain[2:]), (12, 99, *plain[2:])),
    ):
        cases.case(failed=failed, refcount=refcount, slots=slots)
        taken = frozenset(range(2, 14)) - set(plain)
        words: dict[tuple[Any, ...], Any] = {
            ("na", "refcount"): refcount, ("mem", "pool"): pool.Pool(14, 4, taken),
            ("mem", "objs"): (Obj(0, 64, True), Obj(64, 128, True)), ("tx0", "ring"): 64, ("priv", "nifp"): 0,
        }  # fmt: skip
        for i, ring in enumerate(rings):
            words[ring, "kring"] = Kring(2, 0, 1)
            words |= {(ring, "slot", j, "buf_idx"): slots[2 * i + j] for j in range(2)}
        do = quiet("log", "nm_register", "free_unreferenced", "wakeup", "pause")

        def make(*arguments: Any) -> Protocol:
            return _locked(dtor_locked(*arguments))

        done = cases.run(make, na, failed, p.switches, memory=words, do=do)
        last = refcount == 1
        cases.goal("one registration less", done.memory["na", "refcount"] == refcount - 1)
        lets_go = done.done("pause") != []
        if failed:
            cases.goal(_HELD, not lets_go)
        else:
            cases.goal(_LAST, lets_go == last)
        windows = (register.DTOR_WINDOW in done.fired, register.DTOR_FAILED_WINDOW in done.fired)
        sleeps = register.FAILED_SLEEPS in p.switches
        opens = (last and not failed, last and failed and sleeps)
        cases.goal("the rules say so", windows == opens)
        held = register.DTOR_FAILED_HELD in done.fired
        cases.goal("the rules say so", held == (last and failed and not sleeps))
        cases.goal("it sleeps without the lock", not lets_go or _outside(done.log))
        cases.goal("netmap mode ends with the last one", done.done("nm_register") == ([(0,)] if last else []))
        woken = sorted(e.selinfo for e in done.of(Wake))
        names = sorted(f"{t}{i}" for i in range(3) for t in ("tx", "rx")) if last else []
        cases.goal("and everybody is woken", woken == names, done.done("wakeup") == ([()] if last else []))
        objs = done.memory["mem", "objs"]
        cases.goal("the interface's memory is given back, with the last its rings'", objs == (
            (Obj(0, 192, False),) if last else (Obj(0, 64, False), Obj(64, 128, True))))  # fmt: skip
        cases.goal(_OWNERS, done.of(ReadUser) == [])
        trusts = last and register.TRUSTS_SLOTS in p.switches
        given = frozenset(i for i in slots if 1 < i < 14) if trusts else frozenset[int]()
        cases.goal(
            "as written what the slots name comes free", done.memory["mem", "pool"].bitmap == taken | given
        )
        logged = [line for what, line in done.done("log") if what == "netmap_free_buf"]
        wrong = _refusals(slots, taken) if trusts else []
        cases.goal("as written what cannot come free is logged", logged == wrong)
        owned = done.done("free_unreferenced") == ([()] if last else [])
        cases.goal("those that no ring names come free", owned or register.TRUSTS_SLOTS in p.switches)
        if last:
            locked = under(done.log, "nma", lambda e: isinstance(e, ReadUser) or e == Do("free_unreferenced"))
            cases.goal("under the allocator's lock", locked)
    cases.end()


def _refusals(slots: tuple[int, ...], free: frozenset[int]) -> list[int]:
    """The lines that log an index beyond the pool of 14, and one that is free already."""
    lines, now = list[int](), set(free)
    for index in slots:
        if index >= 14:
            lines.append(215)
        elif index in now:
            lines.append(221)
        elif index > 1:
            now.add(index)
    return lines


def _outside(log: tuple[Any, ...]) -> bool:
    at = log.index(Do("pause", ()))
    return bool(log[at - 1] == Unlock("core") and log[at + 1] == Lock("core"))


_close = partial(
    obligation,
    clauses=("2011.register.last", "2011.register.failed-exclusive", "2011.pool.conserved",
             "2011.register.last-wakes"),
    functions=(register.dtor_locked,),
    control=Control(
        "nobody is woken",
        lambda na, failed, switches: without(
            register.dtor_locked(na, failed, switches), lambda e: isinstance(e, Wake)
        ),
        goal="and everybody is woken",
    ),
    bounds="""One pair of rings of two slots and the host's; slots with good, reserved, doubled and wild
    indices.""",
)  # fmt: skip
_close(
    "2011.register.last-close",
    statement="""The last registration of an interface ends netmap mode, wakes everybody, frees what no ring
    of another one names, and gives the memory back; one that was refused never lets go of the lock.""",
    rules=(register.DTOR_LAST, register.DTOR_MORE, register.DTOR_OWNED, register.DTOR_FAILED_HELD,
           register.DTOR_WINDOW, register.DTOR_WAKES),
)(close_body)  # fmt: skip
_close(
    "2011.register.last-close.as-written.slots",
    statement="As 2011.register.last-close, but the buffers that the slots name come free.",
    switches={register.TRUSTS_SLOTS},
    rules=(register.DTOR_SLOTS,),
    finding="F2011-011",
    refutes={_OWNERS},
)(close_body)
_close(
    "2011.register.last-close.as-written.window",
    statement="""As 2011.register.last-close, but a refused registration lets go of the lock as a last close
    does.""",
    switches={register.FAILED_SLEEPS},
    rules=(register.DTOR_FAILED_WINDOW,),
    finding="F2011-012",
    refutes={_HELD},
)(close_body)

"""Generation 2011: a selection that is stored, and NIOCREGIF as a whole call, carried out alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netmap_reference.core.effects import Do, Lock, Protocol, Unlock, WriteKernel
from netmap_reference.gen2011 import register
from netmap_reference.gen2011.attach import Adapter
from netmap_reference.gen2011.memory import Obj
from netmap_reference.gen2011.pool import Pool
from netmap_reference.gen2011.register import Selection

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, Done, every
from ..schemas.alone import awake, quiet

Make = Callable[..., Protocol]
_B = (False, True)

#: Bits of a ring id: the host rings, one hardware pair, no pushing in poll; the pair's number is below them.
_HOST, _ONE, _QUIET, _NUMBER = 0x2000, 0x4000, 0x1000, 0x0FFF

# --- netmap_set_ringid ---------------------------------------------------------------------------------

#: The line that logs a selection, and the one that refuses it.
_SAID = {"host": 1055, "one": 1057, "all": 1060, "": 1035}


def set_ringid_body(p: Proof, set_ringid: Make) -> None:
    cases = Cases(p, "calls")
    for ringid, bound in every(p, "combinations", (0, _HOST, _ONE, _ONE | 2, _HOST | _ONE | 2, _QUIET), _B):
        cases.case(ringid=ringid, bound=bound)
        old = Selection(0, 0, 2, 1) if bound else Selection()
        words = {("priv", "selection"): old}
        na = Adapter("nic0", 2, 2, 2, True)
        done = cases.run(set_ringid, na, ringid, memory=words, do=quiet("log"))
        wrong = bool(ringid & _ONE) and ringid & _NUMBER >= 2
        kind = "" if wrong else "host" if ringid & _HOST else "one" if ringid & _ONE else "all"
        wanted = old if wrong else register.select(old, 2, ringid).state
        cases.goal("the selection is stored when it is good", done.memory["priv", "selection"] == wanted)
        cases.goal("and what came of it is told", done.result == ("EINVAL" if wrong else ""))
        cases.goal("it is logged", done.done("log") == [("netmap_set_ringid", _SAID[kind])])
        locked = done.of(Lock, Unlock, WriteKernel)
        store = [WriteKernel(("priv", "selection"), wanted)] * (not wrong)
        around = [Lock("core"), *store, Unlock("core")] if bound and not wrong else store
        cases.goal("under the core lock when others may look at it", locked == around)
    for ringid in (0, _ONE):
        cases.case(ringid=ringid, adapter="none")
        faults: list[Any] = []
        answers = {"fault": lambda memory, args, faults=faults: faults.append(args)}
        cases.run(set_ringid, None, ringid, memory={}, do=answers)
        line = 1034 if ringid else 1039
        wanted_at = (f"netmap_set_ringid netmap.c:{line}",)
        cases.goal(
            "without an adapter it faults where it looks", faults[:1] != [] and faults[0][0] == wanted_at
        )
    cases.end()


obligation(
    "2011.register.set-ringid",
    clauses=("2011.register.selection", "2011.register.again", "2011.register.selection-logged"),
    statement="""A selection that is good is stored, under the core lock once others may look at it, and is
    logged with what was selected; one that is not changes nothing and is logged.""",
    functions=(register.set_ringid,),
    control=Control(
        "a bound descriptor's selection is stored without the lock",
        lambda na, ringid: without(register.set_ringid(na, ringid), lambda e: isinstance(e, Lock | Unlock)),
        goal="under the core lock when others may look at it",
    ),
    bounds="Two pairs and the host's: each kind of ring id, good and bad, on a fresh and a bound descriptor.",
    rules=(register.SELECT_LOCKED, register.SELECT_BAD),
)(set_ringid_body)

# --- NIOCREGIF -----------------------------------------------------------------------------------------

_NA = Adapter("nic0", 1, 2, 2, True)
_NONE = "a request that fails leaves nothing"


def _world(refcount: int, on: bool, room: bool) -> dict[tuple[Any, ...], Any]:
    return {
        ("na", "refcount"): refcount,
        ("if", "capenable"): on,
        ("priv", "selection"): Selection(),
        ("mem", "objs"): (Obj(0, 4096 if room else 32, False),),
        ("mem", "pool"): Pool(40, 38, frozenset(range(2, 40))),
        ("tx0", "ring"): None,
    }


def regif_body(p: Proof, regif: Make) -> None:
    cases = Cases(p, "registrations")
    for busy, memory, ringid, room, on, refused, late in every(
        p, "combinations", (0, 1, 9, 10), _B, (0, _ONE | 7), _B, _B, ("", "ENXIO"), ("", "ENOENT")
    ):
        cases.case(busy=busy, memory=memory, ringid=ringid, room=room, mode=on, driver=refused, private=late)
        words = _world(int(on), on, room)
        waits, driver = [busy], [refused]

        def marked(memory: Any, args: Any, waits: list[int] = waits) -> None:
            waits[0] -= 1
            memory["na", "deleting"] = waits[0] > 0

        def switched(memory: Any, args: Any, driver: list[str] = driver) -> str:
            memory["if", "capenable"] = bool(args[0]) and not driver[0]
            return driver[0] if args[0] else ""

        words["na", "deleting"] = busy > 0

        def laid(memory: Any, args: Any) -> None:
            memory[args[0], "ring"] = args[1]

        def emptied(memory: Any, args: Any, pool: Any = words["mem", "pool"]) -> None:
            memory["mem", "pool"] = pool

        do = quiet(
            "if_rele", "log", "new_priv", "drop_priv", "answer", "zero", "init_if", "init_offsets", "wakeup"
        )
        do |= {
            "kmalloc": lambda words, args, memory=memory: memory or args[0] != "devbuf",
            "nm_register": switched,
            "init_ring": laid,
            "free_unreferenced": emptied,
            "set_cdevpriv": lambda memory, args, late=late: late,
            "pause": marked,
        }
        before = dict(words)
        done = cases.run(lambda *args: awake(regif(*args)), _NA, ringid, p.switches, memory=words, do=do)
        wanted = (
            "ENOMEM" if not memory
            else "EINVAL" if busy >= register.ATTEMPTS or ringid
            else "ENOMEM" if not room
            else refused if refused and not on
            else late
        )  # fmt: skip
        cases.goal("it ends with the errno of what failed first", done.result == wanted)
        _calls(cases, done, wanted, memory, busy, on, ringid, room)
        kept = [w for w in before if w[0] in ("na", "if", "mem") and w[1] != "deleting"]
        if wanted:
            same = all(done.memory[w] == before[w] for w in kept)
            cases.goal(_NONE, same, len(done.done("if_rele")) == 1, done.done("answer") == [])
        else:
            cases.goal("one registration more", done.memory["na", "refcount"] == int(on) + 1)
            cases.goal("it holds its interface", done.done("if_rele") == [])
            cases.goal("in netmap mode", done.memory["if", "capenable"] is True)
            cases.goal("and answered, once", done.done("answer") == [()])
            nifp, (made,) = done.memory["priv", "nifp"], done.done("init_if")
            cases.goal("with a netmap_if of its own", made == (nifp, "nic0", 1))
    cases.end()


def _calls(
    cases: Cases, done: Done, error: str, memory: bool, busy: int, on: bool, ringid: int, room: bool
) -> None:
    pauses = min(busy, register.ATTEMPTS) if memory else 0
    begun = bool(memory) and busy < register.ATTEMPTS
    modes = [a[0] for a in done.done("nm_register")]
    made = begun and not ringid and room
    undone = error != "" and made and not on
    cases.goal(
        "the driver is asked once, by the first registration, and told when that is undone",
        modes == ([1] if made and not on else []) + ([0] if undone else []),
    )
    held, good, slept = False, True, 0
    for effect in done.log:
        if effect in (Lock("core"), Unlock("core")):
            held = effect == Lock("core")
        slept += effect == Do("pause", ())
        good = good and (held or not (isinstance(effect, WriteKernel) or _named(effect, "nm_register")))
        good = good and not (held and (effect == Do("pause", ()) or _named(effect, "set_cdevpriv")))
    cases.goal("all of it under the core lock, waits and the descriptor's data without", good)
    last = error != "" and made and not on and _window(done)
    cases.goal("it waits while an interface is torn down, ten times at most", slept == pauses + int(last))
    taken = [e for e in done.of(WriteKernel) if e.where[0] == "mem"]
    chosen = done.at(*[e for e in done.of(WriteKernel) if e.where == ("priv", "selection")])
    cases.goal("the selection comes before memory", not taken or chosen[0] < done.at(taken[0])[0])
    cases.goal(
        "and memory before the driver", not modes or done.at(taken[0])[0] < _first(done, "nm_register")
    )
    logs = [line for what, line in done.done("log") if what == "netmap_ioctl"]
    cases.goal("giving up is logged", logs == [1147] * (bool(memory) and busy >= register.ATTEMPTS))


def _named(effect: Any, what: str) -> bool:
    return isinstance(effect, Do) and effect.what == what


def _first(done: Done, what: str) -> int:
    return next(i for i, effect in enumerate(done.log) if _named(effect, what))


def _window(done: Done) -> bool:
    """Was the descriptor's data refused? That registration is undone as at a last close, with its wait."""
    return done.done("set_cdevpriv") != []


obligation(
    "2011.register.regif",
    clauses=(
        "2011.register.mode", "2011.register.errors", "2011.register.order", "2011.register.deleting",
        "2011.register.gave-up", "2011.register.private", "2011.register.interface", "2011.register.answer",
        "2011.iface.own",
    ),
    statement="""NIOCREGIF of a fresh descriptor selects, makes a `netmap_if` of its own, and switches netmap
    mode on when it is the first, all under the core lock; while the interface is torn down it waits, ten
    times. Whatever fails, it ends with that errno and leaves nothing behind.""",
    functions=(register.regif,),
    control=Control(
        "nobody gives the interface back",
        lambda na, ringid, switches: without(
            register.regif(na, ringid, switches), lambda e: isinstance(e, Do) and e.what == "if_rele"
        ),
        goal=_NONE,
    ),
    bounds="""One pair of rings of two slots: every combination of a teardown that ends after none, one, nine
    or no attempts, of memory that is there or not, of a selection, a driver and a system that refuse.""",
    rules=(
        register.REG_NO_PRIV, register.REG_WAIT, register.REG_GIVE_UP, register.REG_MODE_ON,
        register.REG_MODE_WAS_ON, register.REG_DRIVER_FAILED, register.REG_ERROR, register.REG_NO_CDEVPRIV,
        register.REG_OK,
    ),
)(regif_body)  # fmt: skip

"""Generation 14, CSB mode: who may start a loop, with which options, and what its entries begin with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from netmap_reference.core.step import Step
from netmap_reference.gen14 import csb, kloop
from netmap_reference.gen14.csb import Array

from ..engine import Proof
from ..invariants import any_kring
from ..obligation import Control, obligation
from ..schemas import Cases, every

_B = (False, True)


def start_body(p: Proof, start: Callable[..., Step[bool]], check: Callable[..., Step[bool]]) -> None:
    cases = Cases(p, "requests")
    for us, bound, csb_mode, running in every(
        p, "starts", (0, 1, 1_000_000, 1_000_001, 2**32 - 1), _B, _B, _B
    ):
        cases.case(sleep_us=us, bound=bound, csb=csb_mode, running=running)
        step = start(us, bound, csb_mode, running)
        p.reached(step.fired)
        wrong = (
            "EINVAL" if us > 1_000_000 else "ENXIO" if not bound else "EINVAL" if not csb_mode
            else "EBUSY" if running else ""
        )  # fmt: skip
        cases.goal(
            "a loop starts exactly when it may", step.outcome.detail == wrong, step.state == (wrong == "")
        )
        told = (
            kloop.SLEEP_LONG if us > 1_000_000 else kloop.START_UNBOUND if not bound
            else kloop.START_NO_CSB if not csb_mode else kloop.START_TWICE if running else kloop.STARTED
        )  # fmt: skip
        cases.goal("the rule says why not", step.fired == (told,))
    ways = [Array(offset, there) for offset in (0, 1, 63) for there in _B]
    for looping, rings, exclusive, atok, ktoa in every(p, "arrays", _B, (0, 1, 4), _B, ways, ways):
        cases.case(looping=looping, rings=rings, exclusive=exclusive, atok=atok, ktoa=ktoa)
        step = check(looping, rings, exclusive, atok, ktoa)
        p.reached(step.fired)
        error, told, on = "", csb.ENABLED, rings > 0
        if looping:
            error, told = "EBUSY", csb.LOOPING
        elif rings == 0:
            told = csb.NO_RINGS
        elif not exclusive:
            error, told = "EINVAL", csb.SHARED
        else:
            for array in (ktoa, atok):
                if array.offset:
                    error, told = "EINVAL", csb.UNALIGNED
                elif not array.accessible:
                    error, told = "EFAULT", csb.UNREADABLE
        cases.goal("CSB mode begins exactly when it may", step.outcome.detail == error, step.fired == (told,))
        cases.goal("and only with rings", step.state == (on and error == ""))
    cases.end()


obligation(
    "14.kloop.start",
    clauses=("14.kloop.start", "14.kloop.one", "14.csb.enable", "14.csb.exclusive", "14.csb.memory"),
    statement="""A loop starts for a bound descriptor in CSB mode that has none, and sleeps no longer than a
    second; CSB mode begins for who has its rings alone, with two arrays that are aligned and there.""",
    functions=(kloop.start_check, csb.csb_check),
    control=Control(
        "a second loop starts",
        lambda us, bound, mode, running: kloop.start_check(us, bound, mode, False),
        csb.csb_check,
    ),
    bounds="Every combination of the answers, sleeps at the limit, arrays off by 0, 1 and 63 bytes.",
    rules=(
        kloop.SLEEP_LONG, kloop.START_UNBOUND, kloop.START_NO_CSB, kloop.START_TWICE, kloop.STARTED,
        csb.LOOPING, csb.NO_RINGS, csb.SHARED, csb.UNALIGNED, csb.UNREADABLE, csb.ENABLED,
    ),
)(start_body)  # fmt: skip

# --- options ------------------------------------------------------------------------------------------------

_NOBODY = "direct mode is refused where nobody can kick"


def mode_body(p: Proof, mode: Callable[..., Step[kloop.Direct]], fds: Callable[..., Step[bool]]) -> None:
    cases = Cases(p, "options")
    for tx, rx, unknown, eventfds in every(p, "modes", _B, _B, _B, _B):
        cases.case(tx=tx, rx=rx, unknown=unknown, eventfds=eventfds)
        step = mode(tx, rx, unknown, eventfds, p.switches)
        p.reached(step.fired)
        alone = (tx or rx) and not eventfds and not unknown
        if alone:
            cases.goal(_NOBODY, step.outcome.detail == "EINVAL", step.state == kloop.Direct())
            idle = kloop.DIRECT_ALONE in p.switches
            cases.goal("the rule says so", step.fired == (kloop.MODE_IDLE if idle else kloop.MODE_ALONE,))
            continue
        cases.goal("unknown bits are refused", step.outcome.detail == ("EINVAL" if unknown else ""))
        wanted = kloop.Direct() if unknown else kloop.Direct(tx, rx)
        cases.goal("each direction is handled as asked", step.state == wanted)
        direct = (kloop.MODE_DIRECT,) if tx or rx else ()
        cases.goal("the rule says so", step.fired == ((kloop.MODE_BAD,) if unknown else direct))
    for entries, rings, kicks, direct in every(p, "eventfds", range(4), range(4), _B, _B):
        cases.case(entries=entries, rings=rings, all_kicks=kicks, direct=direct)
        found = fds(entries, rings, kicks, direct)
        p.reached(found.fired)
        lacks = entries == rings and direct and not kicks
        cases.goal("there is one entry for each ring", found.outcome.ok == (entries == rings and not lacks))
        cases.goal(
            "a loop waits for kicks when every ring can be kicked",
            found.state == (entries != rings or not kicks),
        )
        told = (
            kloop.EVENTFDS_COUNT if entries != rings else kloop.EVENTFDS_ALL if kicks
            else kloop.EVENTFDS_DIRECT if direct else kloop.EVENTFDS_SOME
        )  # fmt: skip
        cases.goal("the rule says which", found.fired == (told,))
    cases.end()


_mode = partial(
    obligation,
    clauses=("14.kloop.mode", "14.kloop.eventfds"),
    functions=(kloop.mode_check, kloop.eventfds_check),
    control=Control(
        "unknown bits are taken",
        lambda tx, rx, unknown, eventfds, switches: kloop.mode_check(tx, rx, False, eventfds, switches),
        kloop.eventfds_check,
        goal="unknown bits are refused",
    ),
    bounds="Every combination of the bits, up to three entries and rings.",
)

_mode(
    "14.kloop.mode",
    statement="""A direct mode needs every ring's ioeventfd, unknown modes are refused, eventfds come one pair
    a ring, and a loop waits for kicks only when every ring can be kicked.""",
    rules=(
        kloop.MODE_BAD, kloop.MODE_ALONE, kloop.MODE_DIRECT, kloop.EVENTFDS_COUNT, kloop.EVENTFDS_ALL,
        kloop.EVENTFDS_DIRECT, kloop.EVENTFDS_SOME,
    ),
)(mode_body)  # fmt: skip

_mode(
    "14.kloop.mode.as-written",
    statement="As 14.kloop.mode, but a direct mode is taken without eventfds, and nothing syncs the rings.",
    switches={kloop.DIRECT_ALONE},
    rules=(kloop.MODE_BAD, kloop.MODE_IDLE, kloop.MODE_DIRECT),
    finding="F14-083",
    refutes={_NOBODY},
)(mode_body)


def initial_body(p: Proof, init: Callable[..., Step[csb.Entry]]) -> None:
    k = any_kring(p, "k")
    entry = p.run(init, k).state
    p.goal("the application finds its own positions", entry.head == k.rhead, entry.cur == k.rcur)
    p.goal("and the kernel's", entry.hwcur == k.hwcur, entry.hwtail == k.hwtail)
    p.goal("each side wants to be told", entry.appl_need_kick == 1, entry.kern_need_kick == 1)
    p.goal("the first sync is a full one", entry.sync_flags == 1)


obligation(
    "14.csb.initial",
    clauses=("14.csb.initial",),
    statement="""When CSB mode begins each entry shows where its ring stands, and each side wants to be told
    of the other's news.""",
    functions=(csb.csb_init,),
    control=Control(
        "the kernel asks for no kicks", lambda k: Step(csb.Entry(k.rhead, k.rcur, 1, 1, k.hwcur, k.hwtail))
    ),
    assumptions="The kring satisfies its order.",
)(initial_body)

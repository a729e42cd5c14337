"""From a mutant to the obligation that refutes it.

Only obligations whose functions reach the mutated code are run, the most specific first. A mutant is
*refuted* when a goal of an obligation fails that does not fail without it. It is *noticed* when an
obligation turns BROKEN for another reason: a recorded refutation that holds now, a rule that is never
reached. An obligation that gives no answer notices nothing.
"""

from __future__ import annotations

import concurrent.futures
import inspect
import multiprocessing
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any

from ..engine import Session, execute, fresh_solver_state
from ..engine.code import closure
from ..obligation import Obligation
from ..obligations import load
from .equivalence import proved_equal
from .known import KNOWN
from .operators import Mutant, mutants, name_of
from .planting import loops_bounded, planted

GENERATIONS = ("netmap_reference.gen14", "netmap_reference.gen2011")
STATUSES = REFUTED, NOTICED, EQUIVALENT, EXPLAINED, SURVIVED = (
    "refuted",
    "noticed",
    "equivalent",
    "explained",
    "survived",
)
STEP, PROTOCOL, DEVICE = "step", "protocol", "device"
#: An exploration of a mutant ends at this many states: the largest of the model's own has half of it.
STATES = 20_000
#: At most so many obligations are asked about one mutant, the most specific ones, which are the quickest too:
#: of contracts, of as-written readings, which alone run a deviation's code, and of explorations.
JUDGES, AS_WRITTEN, EXPLORED = 6, 3, 3
EXPLORER = "netmap_proofs.explorer.search"


@dataclass(frozen=True, slots=True)
class Hunted:
    """What became of a mutant: ``by`` the obligation, ``why`` the goal that failed, or why nothing did."""

    mutant: Mutant
    status: str
    clause: str
    by: str = ""
    why: str = ""


@cache
def functions_covered() -> dict[str, FunctionType]:
    """The functions of the model that some obligation runs, by ``module:qualname``."""
    found: dict[str, FunctionType] = {}
    for each in load().values():
        for function in reached(each):
            found[name_of(function)] = function
    return dict(sorted(found.items()))


@cache
def _reached(id: str) -> frozenset[FunctionType]:
    each = load()[id]
    found: set[Any] = set(each.functions)
    if not each.whole_device:
        found = {f for function in each.functions for f in closure(function)}
    return frozenset(
        f
        for f in found
        if f.__module__.startswith(GENERATIONS) and not f.__closure__ and "<" not in f.__qualname__
    )


def reached(each: Obligation) -> frozenset[FunctionType]:
    """The functions of the model that an obligation's functions can reach; of a whole device, these alone."""
    return frozenset() if each.id.startswith("xh.") else _reached(each.id)


@cache
def kind_of(function: str) -> str:
    """``step`` for a pure step, ``protocol`` for a generator of effects, ``device`` for a part of a device.

    Steps are the core: what they decide must be proved. A protocol's order of effects and a device's
    bookkeeping are looked at by exploration and enumeration, as far as those go.
    """
    if inspect.isgeneratorfunction(functions_covered()[function]):
        return PROTOCOL
    own = functions_covered()[function]
    runs = [each for each in load().values() if own in reached(each)]
    return DEVICE if all(each.whole_device for each in runs) else STEP


@cache
def judges(function: str) -> tuple[Obligation, ...]:
    """The obligations that run a function: contracts, as-written readings, explorations; of each those that
    run the fewest other functions first."""
    own = functions_covered()[function]
    found = [each for each in load().values() if own in reached(each)]
    found.sort(key=lambda o: (o.whole_device, len(reached(o)), o.id))
    calm = [each for each in found if not explores(each)]
    contracts = [each for each in calm if not each.switches]
    as_written = [each for each in calm if each.switches]
    explored = [each for each in found if explores(each)]
    return (*contracts[:JUDGES], *as_written[:AS_WRITTEN], *explored[:EXPLORED])


def explores(each: Obligation) -> bool:
    """Does it look at interleavings? Those take the longest, and are asked last."""
    return any(f.__module__ == EXPLORER for f in closure(each.body))


def mutants_of_everything() -> list[Mutant]:
    """Every mutant of every function that is covered, in the order of modules and lines."""
    return [m for function in functions_covered().values() for m in mutants(function)]


def sample(every: int, kind: str = STEP, start: int = 0) -> list[Mutant]:
    """About one mutant in ``every`` of a kind, for tests that have little time.

    Chosen by a checksum of its id: who else comes or goes does not matter. ``start`` gives another sample.
    """
    return [
        m
        for m in mutants_of_everything()
        if kind_of(m.function) == kind and zlib.crc32(m.id.encode()) % every == start
    ]


# --- one mutant -------------------------------------------------------------------------------------


def _judge(each: Obligation) -> tuple[str, str]:
    """``refuted`` with the goal, ``noticed`` with the reason, or two empty words."""
    session = Session(
        each.id,
        switches=each.switches,
        rlimit=each.rlimit,
        cap=each.cap,
        stop_at=lambda goal: goal not in each.refutes,
        states=STATES,
        hunting=True,
    )
    fresh_solver_state()
    execute(session, each.body, each.functions)
    session.verify_refutations(each.body, each.functions)
    failed = [goal for goal in session.refuted if goal not in each.refutes]
    if failed:
        return REFUTED, failed[0]
    if session.not_confirmed or session.unknown:
        return "", ""
    gone = each.refutes - frozenset(session.refuted)
    if gone:
        return NOTICED, f"holds now: {min(gone)}"
    unreached = each.rules - session.reached
    if unreached:
        return NOTICED, f"never reached: {min(unreached)}"
    return "", ""


def hunt(mutant: Mutant) -> Hunted:
    """Plant one mutant and run what could notice it."""
    function = functions_covered()[mutant.function]
    candidates = judges(mutant.function)
    clause = candidates[0].clauses[0]
    noticed: Hunted | None = None
    with loops_bounded(functions_covered().values()), planted(function, mutant):
        for each in candidates:
            status, why = _judge(each)
            if status == REFUTED:
                return Hunted(mutant, REFUTED, each.clauses[0], each.id, why)
            if status and noticed is None:
                noticed = Hunted(mutant, NOTICED, each.clauses[0], each.id, why)
    if noticed is not None:
        return noticed
    domain = proved_equal(function, mutant)
    if domain:
        return Hunted(mutant, EQUIVALENT, clause, why=f"proved: the same result for {domain}")
    known = KNOWN.get(mutant.id)
    if known is not None:
        return Hunted(mutant, EQUIVALENT if known.equivalent else EXPLAINED, clause, why=known.reason)
    return Hunted(mutant, SURVIVED, clause)


# --- all of them ------------------------------------------------------------------------------------


def _work(chosen: list[Mutant]) -> list[Hunted]:
    return [hunt(mutant) for mutant in chosen]


def hunt_all(
    chosen: Sequence[Mutant], jobs: int = 1, told: Callable[[Hunted], None] = lambda hunted: None
) -> list[Hunted]:
    """Hunt the ``chosen`` mutants in ``jobs`` processes; results in the same order."""
    results: dict[Mutant, Hunted] = {}

    def done(several: Iterable[Hunted]) -> None:
        for hunted in several:
            results[hunted.mutant] = hunted
            told(hunted)

    portions: Iterable[list[Mutant]] = ([m] for m in chosen)
    if jobs <= 1:
        for portion in portions:
            done(_work(portion))
    else:
        context = multiprocessing.get_context("spawn")
        size = 4
        packs = [list(chosen[at : at + size]) for at in range(0, len(chosen), size)]
        with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context) as pool:
            for future in concurrent.futures.as_completed([pool.submit(_work, pack) for pack in packs]):
                done(future.result())
    return [results[mutant] for mutant in chosen]


def figures(hunted: Iterable[Hunted]) -> dict[str, dict[str, Any]]:
    """By kind of function: how many of each status, and the share of the mutants that are not equivalent
    which a proof refutes."""
    found: dict[str, dict[str, Any]] = {}
    for each in hunted:
        of = found.setdefault(kind_of(each.mutant.function), dict.fromkeys(STATUSES, 0))
        of[each.status] += 1
    for of in found.values():
        live = sum(of[status] for status in STATUSES if status != EQUIVALENT)
        of["mutants"] = live + of[EQUIVALENT]
        of["share"] = of[REFUTED] / live if live else 1.0
    return found

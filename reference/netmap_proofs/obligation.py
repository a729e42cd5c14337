"""What an obligation is: a statement about functions of the model, and the bug that must break it.

    @obligation(
        "14.ring.next-prev",
        clauses=("14.ring.kring-order",),
        statement="Going one forward and one back is where one was, and both stay in the ring.",
        functions=(ring.nm_next, ring.nm_prev),
        control=Control("nm_prev forgets to wrap", ring.nm_next, prev_without_wrap),
    )
    def next_prev(p: Proof, nm_next: Next, nm_prev: Next) -> None: ...

The body receives the functions, so the control runs the *same* body on mutated twins. One body may
be registered several times: for the contract, and as written with the deviations switched on. The
latter names the finding it belongs to and exactly the goals that are refuted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from netmap_reference.core.step import RULES

from .engine import RLIMIT
from .engine.code import rules_named

Body = Callable[..., object]
B = TypeVar("B", bound=Body)

PROVED = "PROVED"
PROVED_UP_TO_N = "PROVED_UP_TO_N"
REFUTED_AS_RECORDED = "REFUTED_AS_RECORDED"
REFUTED = "REFUTED"
NOT_CONFIRMED = "NOT_CONFIRMED"
BROKEN = "BROKEN"
VERDICTS = (PROVED, PROVED_UP_TO_N, REFUTED_AS_RECORDED, REFUTED, NOT_CONFIRMED, BROKEN)
GREEN = frozenset({PROVED, PROVED_UP_TO_N, REFUTED_AS_RECORDED})


class Control:
    """A planted bug: ``what`` in words, then one function for each function of the obligation.

    ``goal`` narrows down which goal must fail; an exception counts only when it is named there.
    """

    def __init__(self, what: str, *functions: Callable[..., Any], goal: str = "") -> None:
        self.what = what
        self.functions = functions
        self.goal = goal


@dataclass(frozen=True, slots=True)
class Obligation:
    """``id`` and the ``clauses`` it is about; ``statement`` in words; the ``functions`` it runs.

    ``switches`` is the reading (empty: the contract). ``assumptions`` are the preconditions in
    words, ``bounds`` why a bounded proof is enough (empty: unbounded). ``rlimit`` is the budget of
    one query in z3 resource units, ``cap`` the number of paths. ``finding`` and ``refutes`` tie an
    as-written refutation to FINDINGS.md; ``only_refute`` ends the search when those goals are refuted,
    where following every path would take long. ``rules`` must all be reached, those in ``unreachable``
    must not, each with its reason. ``whole_device``: the body runs a device, of which ``functions`` are the
    parts that the statement is about.
    """

    id: str
    clauses: tuple[str, ...]
    statement: str
    functions: tuple[Callable[..., Any], ...]
    control: Control
    body: Body
    assumptions: str = ""
    bounds: str = ""
    rlimit: int = RLIMIT
    cap: int = 2000
    switches: frozenset[str] = frozenset()
    finding: str | None = None
    refutes: frozenset[str] = frozenset()
    only_refute: bool = False
    rules: frozenset[str] = frozenset()
    unreachable: Mapping[str, str] = field(default_factory=dict)
    whole_device: bool = False


OBLIGATIONS: dict[str, Obligation] = {}


def default_rules(functions: Iterable[Callable[..., Any]], switches: frozenset[str]) -> frozenset[str]:
    """Every rule the functions name that belongs to the reading: the contract's and those of its switches."""
    named = frozenset[str]().union(*(rules_named(f) for f in functions))
    return frozenset(r for r in named if not RULES[r].switch or RULES[r].switch in switches)


def obligation(
    id: str,
    *,
    clauses: Iterable[str],
    statement: str,
    functions: Iterable[Callable[..., Any]],
    control: Control,
    assumptions: str = "",
    bounds: str = "",
    rlimit: int = RLIMIT,
    cap: int = 2000,
    switches: Iterable[str] = (),
    finding: str | None = None,
    refutes: Iterable[str] = (),
    only_refute: bool = False,
    rules: Iterable[str] | None = None,
    unreachable: Mapping[str, str] | None = None,
    whole_device: bool = False,
) -> Callable[[B], B]:
    """Register a body as an obligation; raises ``ValueError`` for one that could not be judged."""
    functions = tuple(functions)
    reading = frozenset(switches)
    excused = dict(unreachable or {})
    if id in OBLIGATIONS:
        raise ValueError(f"obligation {id} is registered twice")
    if len(control.functions) != len(functions):
        raise ValueError(f"obligation {id}: its control needs {len(functions)} functions")
    if all(a is b for a, b in zip(control.functions, functions, strict=True)):
        raise ValueError(f"obligation {id}: the control changes nothing")
    if control.goal in tuple(refutes):
        raise ValueError(f"obligation {id}: its control must refute another goal than the recorded one")
    if (finding is None) != (not tuple(refutes)):
        raise ValueError(f"obligation {id}: a finding and the goals it refutes go together")
    needed = frozenset(rules) if rules is not None else default_rules(functions, reading)
    if only_refute:  # a counterexample that was run is not vacuous
        needed = frozenset()
    for each in [*needed, *excused]:
        if each not in RULES:
            raise ValueError(f"obligation {id}: no rule {each}")

    def register(body: B) -> B:
        OBLIGATIONS[id] = Obligation(
            id=id,
            clauses=tuple(clauses),
            statement=" ".join(statement.split()),
            functions=functions,
            control=control,
            body=body,
            assumptions=" ".join(assumptions.split()),
            bounds=" ".join(bounds.split()),
            rlimit=rlimit,
            cap=cap,
            switches=reading,
            finding=finding,
            refutes=frozenset(refutes),
            only_refute=only_refute,
            rules=needed - frozenset(excused),
            unreachable=excused,
            whole_device=whole_device,
        )
        return body

    return register

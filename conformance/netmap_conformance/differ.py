"""Where do two implementations differ? Both are judged by the oracle, then compared with each other.

What one side does and the contract does not allow is a difference with a clause. Beyond that, the
outcome of every call of the scenario is compared, and at every ``settle`` everything the applications
see: modulo a bijection between the two sides' buffer indices, and without offsets and identifiers,
which are the kernel's own. What differs between two sides that are both within the contract is a legal
choice and goes to the profile: it is a fact about them, not a fault of either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import runner
from .expressions import ExpressionError
from .manifest import Manifest
from .oracle import Judgement
from .scenarios import SETTLE, scenario_id
from .suite import one_line
from .targets import Target
from .trace import Call, Return, Trace

SAME, DIFFERENT, SKIPPED, INCONCLUSIVE = "SAME", "DIFFERENT", "SKIPPED", "INCONCLUSIVE"
#: Output fields of a request that are the kernel's own.
OWN = frozenset({"nr_offset", "nr_memsize", "nr_mem_id"})
#: Fields of a ring that are compared at settle.
RING = ("num_slots", "nr_buf_size", "ringid", "dir", "head", "cur", "tail", "flags", "ts_set")


@dataclass(frozen=True)
class Difference:
    """``what`` differs after step ``step`` of the scenario: what each side showed."""

    step: int
    op: str
    what: str
    left: Any
    right: Any


@dataclass
class Compared:
    """One scenario on both sides.

    ``legal`` is what differs although both are within the contract, ``choices`` what the oracle knows to
    have been chosen differently: name -> (left, right).
    """

    id: str
    verdict: str
    reason: str = ""
    differences: list[Difference] = field(default_factory=list)
    legal: list[Difference] = field(default_factory=list)
    choices: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    calls: int = 0

    def to_json(self) -> dict[str, Any]:
        """As ``diff.schema.json`` wants it."""
        return {
            "id": self.id,
            "verdict": self.verdict,
            "reason": self.reason,
            "differences": [vars(d) for d in self.differences],
        }


@dataclass
class Side:
    """One of the two: the target, what its owner says, and the capabilities it has."""

    target: Target
    manifest: Manifest
    allowed: frozenset[str]


def diff(left: Side, right: Side, scenario: Trace) -> Compared:
    """Run one scenario on both sides and compare. Raises :class:`~.targets.TargetError`."""
    result = Compared(scenario_id(scenario), SKIPPED, calls=len(scenario.events))
    for side in (left, right):
        missing = [c for c in scenario.header.needs if c not in side.allowed]
        if missing:
            result.reason = f"{side.target.name} has no {', '.join(missing)}"
            return result
    try:
        one, judged_one = runner.run(left.target, scenario, left.manifest, build=None)
        two, judged_two = runner.run(right.target, scenario, right.manifest, build=None)
    except ExpressionError as error:
        result.verdict, result.reason = INCONCLUSIVE, str(error)
        return result
    return compare(result, (one, judged_one), (two, judged_two))


def compare(result: Compared, left: tuple[Trace, Judgement], right: tuple[Trace, Judgement]) -> Compared:
    """Judge two recorded runs of one scenario against each other."""
    verdicts = left[1].verdict, right[1].verdict
    for side, (_, judged) in (("left", left), ("right", right)):
        if judged.verdict in (INCONCLUSIVE, "NOT_MODELLED"):
            result.verdict, result.reason = INCONCLUSIVE, f"the {side} side cannot be judged"
            return result
    result.choices = choices(left[1], right[1])
    found = list(differences(left[0], right[0]))
    if verdicts == ("PASS", "PASS"):
        result.verdict, result.legal = SAME, found
        if found:
            result.reason = f"legal: {found[0].what} at step {found[0].step}"
        return result
    if verdicts[0] != verdicts[1] or _words(left[1]) != _words(right[1]):
        bad = next(f for _, j in (left, right) for f in j.findings)
        found.insert(0, Difference(bad.step, bad.op, "verdict", _words(left[1]), _words(right[1])))
    result.differences = found
    result.verdict = DIFFERENT if found else SAME
    if found:
        result.reason = f"step {found[0].step} ({found[0].op}): {found[0].what}"
    return result


def _words(judged: Judgement) -> str:
    bad = next((f for f in judged.findings), None)
    return f"{judged.verdict}: {one_line(bad)}" if bad else judged.verdict


def choices(left: Judgement, right: Judgement) -> dict[str, tuple[Any, Any]]:
    """What the two sides chose differently where the contract leaves it open."""
    names = left.choices.keys() | right.choices.keys()
    pairs = {name: (_plain(left.choices.get(name)), _plain(right.choices.get(name))) for name in names}
    return {name: pair for name, pair in sorted(pairs.items()) if pair[0] != pair[1]}


def _plain(choice: Any) -> Any:
    """A count of ``lo``/``hi``/``between`` as what was ever done, for the table; an errno as it is."""
    if choice is None:
        return "-"
    return "+".join(sorted(choice)) if isinstance(choice, dict) else choice


# --- two traces ---------------------------------------------------------------------------------


def differences(left: Trace, right: Trace) -> Iterator[Difference]:
    """Call by call of the scenario; the syncs of a settle count only by what they lead to."""
    one, two = list(steps(left)), list(steps(right))
    for (call, done, before), (_, other, after) in zip(one, two, strict=False):
        op = call.text or call.op
        if call.op == "settle":
            for what, x, y in visible(before, after):
                yield Difference(call.n, op, what, x, y)
            continue
        for what, x, y in outcomes(call, done, other):
            yield Difference(call.n, op, what, x, y)
    if len(one) != len(two):
        shorter = min(len(one), len(two))
        call = (one if len(one) > shorter else two)[shorter][0]
        yield Difference(call.n, call.text or call.op, "one side stopped here", len(one), len(two))


View = dict[str, dict[str, Any]]


def steps(trace: Trace) -> Iterator[tuple[Call, Return | None, View]]:
    """(call, return, what is visible then) of every call of the scenario, numbered as in it."""
    returns = {e.of: e for e in trace.events if isinstance(e, Return)}
    state: View = {}
    number = 0
    for call in trace.calls():
        done = returns.get(call.n)
        if done is not None and done.see is not None:
            _look(state, call, done)
        if call.op == "close" and done is not None and not done.errno:
            state.pop(f"{call.actor}/{call.fd}", None)
        if call.text != SETTLE or call.op == "settle":
            number += 1
            copy = {k: {n: dict(r) for n, r in v.items()} for k, v in state.items()}
            yield (
                Call(n=number, op=call.op, fd=call.fd, actor=call.actor, args=call.args, text=call.text),
                done,
                copy,
            )


def _look(state: View, call: Call, done: Return) -> None:
    """Follow the deltas: the rings of each descriptor as its application knows them."""
    assert done.see is not None
    view = state.setdefault(f"{call.actor}/{call.fd}", {})
    if done.see.full:
        view.clear()
    for name, fields in done.see.rings.items():
        ring = view.setdefault(name, {"slots": {}})
        ring.update({k: v for k, v in fields.items() if k != "slots"})
        ring["slots"] = ring["slots"] | {s[0]: s[1:] for s in done.see.slots.get(name, [])}


def outcomes(call: Call, one: Return | None, two: Return | None) -> Iterator[tuple[str, Any, Any]]:
    """What differs in how a call ended."""
    if one is None or two is None:
        if one is not two:
            yield "return", one is not None, two is not None
        return
    for name in ("errno", "fault", "hang"):
        if getattr(one, name) != getattr(two, name):
            yield name, getattr(one, name), getattr(two, name)
    if (one.revents or []) != (two.revents or []):
        yield "revents", one.revents, two.revents
    if call.op == "register" and not one.errno and not two.errno:
        mine, other = one.out or {}, two.out or {}
        for name in sorted((mine.keys() & other.keys()) - OWN):
            if mine[name] != other[name]:
                yield name, mine[name], other[name]
    frames = [r.see.frames if r.see else None for r in (one, two)]
    if frames[0] != frames[1]:
        yield "frames", frames[0], frames[1]


def visible(left: View, right: View) -> Iterator[tuple[str, Any, Any]]:
    """What differs in what the applications see, modulo one bijection between buffer indices."""
    there: dict[int, int] = {}
    back: dict[int, int] = {}
    for fd in sorted(left.keys() | right.keys()):
        if set(left.get(fd, {})) != set(right.get(fd, {})):
            yield f"rings of {fd}", sorted(left.get(fd, {})), sorted(right.get(fd, {}))
            continue
        for name in sorted(left.get(fd, {})):
            one, two = left[fd][name], right[fd][name]
            where = f"{fd.removeprefix('main/')} {name}"
            unlike = [f for f in RING if one.get(f) != two.get(f)]
            for f in unlike:
                yield f"{where} {f}", one.get(f), two.get(f)
            if not unlike:
                yield from _slots(where, one, two, there, back)


def _slots(
    where: str, one: dict[str, Any], two: dict[str, Any], there: dict[int, int], back: dict[int, int]
) -> Iterator[tuple[str, Any, Any]]:
    """The slots between head and tail: the application's."""
    n, i = int(one["num_slots"]), int(one["head"])
    if i >= n:
        return
    while i != one["tail"]:
        mine, other = one["slots"].get(i), two["slots"].get(i)
        if mine is not None and other is not None:
            buf, ours = mine[0], other[0]
            if there.setdefault(buf, ours) != ours or back.setdefault(ours, buf) != buf:
                yield f"{where} slot {i} buf_idx", there[buf], ours
            if mine[1:] != other[1:]:
                yield f"{where} slot {i} (len, flags, ptr)", mine[1:], other[1:]
        i = i + 1 if i + 1 < n else 0

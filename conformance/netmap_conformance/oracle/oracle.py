"""The oracle: the set of states the contract allows, pruned by every observation.

:class:`Oracle` is fed the events of a trace in order. A call takes effect between its start and its return;
when another call returns in that time, the effect may lie before or after, and both are followed. The
set is explicit and bounded: more candidates than ``cap`` end the judgement as INCONCLUSIVE. The first
violation or stall ends it too: what follows would be judged from a state the contract does not have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from netmap_reference.core.choice import lazy
from netmap_reference.core.outcome import NotModelled
from netmap_reference.core.step import RULES
from netmap_reference.gen14.readings import AS_WRITTEN
from netmap_reference.gen14.world import PortConfig, World

from ..expressions import is_address
from ..manifest import Manifest, canonical
from ..trace import Call, Event, Header, Return
from . import blame, sane
from .candidate import Candidate, unique
from .choices import TooMany
from .loops import passed, sleeps_in_loop
from .progress import Owed, owed
from .sane import Malformed
from .steps import Attempt, Context, attempts, left_out, skipped, start
from .verdict import (
    DEVIATION,
    FINAL,
    HANG,
    INCONCLUSIVE,
    NOT_MODELLED,
    STALLED,
    Finding,
    Judgement,
    verdict,
)

CAP = 512


class Oracle:
    """Judges one run of generation 14, event by event.

    ``manifest`` says how the implementation names its errors and which deviations it lists; ``test`` is the
    id its globs are matched against, by default the header's title or source. ``cap`` bounds the candidates.
    """

    def __init__(
        self, header: Header, manifest: Manifest | None = None, cap: int = CAP, test: str = ""
    ) -> None:
        if header.generation != "14":
            raise ValueError(f"this oracle judges generation 14, not {header.generation}")
        self.header = header
        self.manifest = manifest
        self.cap = cap
        self.test = test or header.source.split(".")[0] or header.title
        self.findings: list[Finding] = []
        self.rules: Counter[str] = Counter()
        self.choices: dict[str, Any] = {}
        self.steps = 0
        self.ended = False
        ports = [PortConfig(**msgspec.structs.asdict(port)) for port in header.ports]
        self.candidates = [Candidate(World(ports))]
        self._open: dict[int, Call] = {}
        self._quiet = False
        self._last = Call(n=0, op="")
        self._processes = {"main"}
        self._fired: dict[str, tuple[str, ...]] = {}
        self._listed = manifest.switches(self.test) & AS_WRITTEN if manifest is not None else frozenset()
        self._context = self._with(self._listed)

    # --- events ---------------------------------------------------------------------------------

    def feed(self, event: Event) -> list[Finding]:
        """Take one event; the findings it led to. Raises :class:`Malformed` for one that makes no sense."""
        already = len(self.findings)
        if not self.ended:
            try:
                if isinstance(event, Call):
                    self._open[event.n] = event
                else:
                    self._return(event)
            except NotModelled as missing:
                self._not_modelled(event, missing)
            except TooMany as many:
                self._inconclusive(event, f"at most {many.count} ways to go", "more")
        return self.findings[already:]

    def finish(self) -> Judgement:
        """The judgement on everything that was fed."""
        return Judgement(verdict(self.findings), self.findings, self.rules, self.steps, self.choices)

    def _return(self, done: Return) -> None:
        call = self._open.get(done.of)
        if call is None:
            raise Malformed(done.line, f"return of call {done.of}, which was not made")
        if not sleeps_in_loop(call):  # a loop that ends may have begun before the call that ends it
            del self._open[done.of]
        sane.check(call, done)
        call = self._last = _as_written(call, done)
        self._before(call)
        if call.op == "settle":
            self._settle(call, done)
            return
        if call.op == "lost":
            self._inconclusive(done, "every operation of the recording", call.text, call)
            return
        self._others(call)
        self._open.pop(done.of, None)
        tried = [a for c in self.candidates for a in attempts(c, call, done, self._context)]
        for c in self.candidates:
            tried += left_out(c, call, self._held(c, call), done, self._context)
        self.steps += 1
        self._judge(call, done, tried)
        self._collected(call)
        self._after(call)

    def _before(self, call: Call) -> None:
        if call.op == "fork":
            self._processes.add(str(call.args["actor"]))

    def _after(self, call: Call) -> None:
        """A process that is gone never returns from what it slept in."""
        if call.op in ("exit", "kill"):
            gone = str(call.args.get("actor", call.actor))
            self._processes.discard(gone)
            for n in [n for n, other in self._open.items() if other.actor == gone]:
                del self._open[n]
                for c in self.candidates:
                    c.started.pop(n, None)

    def _others(self, call: Call) -> None:
        """Calls in progress may take effect before the one that returns now."""
        if call.op in _INERT:
            return
        for other in [o for o in self._open.values() if o.op not in _INERT and o.op != "settle"]:
            more: list[Candidate] = []
            for c in self.candidates:
                known = c.started.get(other.n)
                again = known is not None and known.asleep and not sleeps_in_loop(other)
                if known is not None and not (again and other.fd in c.world.woken()):
                    continue
                more += start(c, other, self._context)
                more += skipped(c, other, _meet(c, call, other), self._context)
            self.candidates = self._bounded(unique([*self.candidates, *more]))

    def _held(self, c: Candidate, call: Call) -> frozenset[str]:
        """The rings this call wants that a call in progress may hold. A sleeping poll holds none.

        It may have had its effect already, or have it only when it comes back.
        """
        others = (o for o in self._open.values() if not (o.n in c.started and c.started[o.n].asleep))
        return frozenset[str]().union(*(_meet(c, call, other) for other in others))

    # --- judging a step -------------------------------------------------------------------------

    def _judge(self, call: Call, done: Return, tried: list[Attempt]) -> None:
        good = [a for a in tried if not a.found]
        if not good:
            good = self._chosen_errno(tried)
        if not good:
            self._violation(call, done, tried)
            return
        fewest = min(len(a.after.deviant) for a in good)
        best = next(a for a in good if len(a.after.deviant) == fewest)
        self.rules.update(best.result.fired)
        self._record_choices(best)
        if call.fd and best.after.bound(call.fd):
            port = best.after.adapter(call.fd)
            self._fired[port] = best.result.fired or self._fired.get(port, ())
        self._deviations(call, done, tried, [a.after for a in good])
        self.candidates = self._bounded(unique(a.after for a in good))

    def _bounded(self, candidates: list[Candidate]) -> list[Candidate]:
        if len(candidates) > self.cap:
            raise TooMany(self.cap)
        return candidates

    def _chosen_errno(self, tried: list[Attempt]) -> list[Attempt]:
        """Another error where the contract leaves it open which: taken, when it is the same every time."""
        good = []
        for a in tried:
            if [m.field for m in a.found] != ["errno"]:
                continue
            clause = blame.open_errno(a.result.fired)
            if clause and self.choices.setdefault(clause, a.found[0].seen) == a.found[0].seen:
                good.append(a)
        return good

    def _record_choices(self, a: Attempt) -> None:
        for choice, value in a.answers:
            where = "hi" if value == choice.hi else "lo" if value == choice.lo else "between"
            table: Counter[str] = self.choices.setdefault(choice.name, Counter())
            table[where] += 1

    def _deviations(
        self, call: Call, done: Return, tried: Sequence[Attempt], alive: Sequence[Candidate]
    ) -> None:
        """Every state left needs a deviation: it is a finding, once."""
        told = {f.deviation for f in self.findings if f.kind == DEVIATION}
        needed = frozenset.intersection(*(c.deviant for c in alive))
        if not needed - told:
            return
        # What only shows now fired in a step that looked like the contract's.
        told_by = frozenset.intersection(*(c.because for c in alive))
        self.rules.update(
            r for r in sorted(told_by) if RULES[r].switch in needed - told and not self.rules[r]
        )
        contract = [a for a in tried if a.found and not a.after.deviant & needed - told]
        for switch in sorted(needed - told):
            finding = (
                blame.blame(call, done, contract, ()) if contract else _about(call, DEVIATION, "", "", "")
            )
            manifest = self.manifest.deviations if self.manifest else []
            listed = next((d for d in manifest if d.switch == switch), None)
            finding.kind, finding.deviation = DEVIATION, switch
            finding.clause = listed.clause if listed else blame.clause_of_switch(switch)
            if listed is not None:
                finding.reason, finding.link = listed.reason, listed.link
            self._add(finding)

    # --- findings -------------------------------------------------------------------------------

    def _violation(self, call: Call, done: Return, tried: list[Attempt]) -> None:
        last = self._fired.get(blame.port_of(tried, call.fd), ())
        if done.hang:
            self._hang(call, tried, last)
            return
        finding = blame.blame(call, done, tried, last)
        listed = self.manifest.deviation(finding.clause, self.test) if self.manifest else None
        if listed is not None and not listed.switch:
            finding.kind, finding.reason, finding.link = DEVIATION, listed.reason, listed.link
            self.ended = True
        elif not self._listed >= AS_WRITTEN:
            finding.reason = self._explained(call, done)
        self._add(finding)

    def _explained(self, call: Call, done: Return) -> str:
        """Would a deviation that the manifest does not list explain the observation?"""
        context = self._with(AS_WRITTEN)
        try:
            explaining = [a for c in self.candidates for a in attempts(c, call, done, context) if not a.found]
        except (NotModelled, TooMany):
            return ""
        if not explaining:
            return ""
        fewest = min((a.after.deviant for a in explaining), key=lambda used: (len(used), sorted(used)))
        return f"as the code is written: {', '.join(sorted(fewest))} (the manifest does not list it)"

    def _hang(self, call: Call, tried: list[Attempt], last: tuple[str, ...]) -> None:
        """The call did not come back: a poll may sleep as long as nothing is ready, others may not."""
        if (
            call.op == "poll"
            and int(call.args["timeout_ms"]) < 0
            and any(a.result.asleep and self._sleeps_on(a.before, call) for a in tried)
        ):
            self._inconclusive(call, "sleeping until something is ready", "no return", call)
            return
        clause = "14.poll.wakeup" if call.op == "poll" else blame.main_clause(call)
        self._add(_about(call, HANG, clause, "the call returns", "no return"))

    def _sleeps_on(self, c: Candidate, call: Call) -> bool:
        """Would the poll find nothing if it looked now? Then it may sleep, woken or not."""
        world = c.world.clone()
        events = frozenset(call.args.get("events", ())) - {"et"}
        return world.poll(call.fd, events, lazy, self._process_of(call.actor)).asleep

    def _settle(self, call: Call, done: Return) -> None:
        """Everything that must eventually happen is due."""
        self.steps += 1
        self._others(call)
        self.candidates = self._bounded(unique(later for c in self.candidates for later, _ in passed(c)))
        asleep = list(self._open.values())
        debts = [(c, owed(c, asleep)) for c in self.candidates]
        paid = [c for c, debt in debts if not debt]
        if not paid:
            c, debt = min(debts, key=lambda item: len(item[1]))
            self._stalled(call, c, debt[0])
        elif done.errno or done.ret < 0:
            self._inconclusive(done, "an environment that comes to rest", "one that does not", call)
        else:
            self.candidates = paid
            self._quiet = True

    def _collected(self, call: Call) -> None:
        """At rest, whatever left a port has come out there."""
        if call.op not in _LOOKS:
            self._quiet = False
        if call.op != "frames" or "count" in call.args or not self._quiet or self.ended:
            return
        place = (str(call.args["port"]), str(call.args["side"]))
        complete = [c for c in self.candidates if not c.inbox.get(place)]
        if not complete:
            missing = len(self.candidates[0].inbox[place])
            clause = "14.host.tx" if place[1] == "host" else "14.nic.txsync"
            wanted = f"every frame that was sent comes out at {place[0]}"
            self._add(_about(call, STALLED, clause, wanted, f"{missing} are missing"))
        self.candidates = complete or self.candidates

    def _stalled(self, call: Call, c: Candidate, debt: Owed) -> None:
        finding = _about(call, STALLED, debt.clause, debt.wanted, debt.seen)
        finding.before = blame.pictures_of_port(c, debt.port, debt.ring)
        self._add(finding)

    def _not_modelled(self, event: Event, missing: NotModelled) -> None:
        call = event if isinstance(event, Call) else self._call_of(event)
        words = missing.why or str(missing)
        finding = _about(call, NOT_MODELLED, "", "", words)
        finding.reason = missing.rule
        self._add(finding)

    def _inconclusive(self, event: Event, allowed: str, seen: str, call: Call | None = None) -> None:
        call = call or (event if isinstance(event, Call) else self._call_of(event))
        finding = _about(call, INCONCLUSIVE, "", allowed, seen)
        finding.reason = f"{seen} instead of {allowed}"
        self._add(finding)
        self.ended = self.ended or call.op != "lost"

    def _call_of(self, done: Return) -> Call:
        return self._open.get(done.of, self._last)

    def _add(self, finding: Finding) -> None:
        self.findings.append(finding)
        if finding.kind in FINAL:
            self.ended = True

    def _with(self, switches: frozenset[str]) -> Context:
        """What steps need to know, with these deviations beside the contract."""
        known = self.header.initial == "known"
        return Context(self._process_of, known, self._errno, _readings(switches))

    # --- small things ---------------------------------------------------------------------------

    def _process_of(self, actor: str) -> str:
        """Threads belong to the main process."""
        return actor if actor in self._processes else "main"

    def _errno(self, code: int | str) -> str:
        if self.manifest is not None:
            return self.manifest.errno_name(code)
        return canonical(str(code))


#: Operations after which an environment at rest is still at rest.
_LOOKS = frozenset({"frames", "show", "slots", "sleep", "join", "settle"})
#: Operations that happen to the observer only: they order nothing.
_INERT = frozenset({"sleep", "join", "env", "lost", "fork"})


#: The directions whose rings an operation takes.
_TAKES = {"txsync": {"tx"}, "rxsync": {"rx"}, "poll": {"tx", "rx"}}


def _as_written(call: Call, done: Return) -> Call:
    """The call with the positions its expressions had when it was made.

    Buffers and addresses stay expressions: their numbers are the implementation's, the expression is the
    model's too.
    """
    numbers = {
        k: v
        for k, v in (done.wrote or {}).items()
        if k in call.args and k != "buf_idx" and not is_address(call.args[k])
    }
    return msgspec.structs.replace(call, args=call.args | numbers) if numbers else call


def _meet(c: Candidate, one: Call, other: Call) -> frozenset[str]:
    """The rings that both calls take."""
    ways = _TAKES.get(one.op, set()) & _TAKES.get(other.op, set())
    if not ways or not (c.bound(one.fd) and c.bound(other.fd)) or c.adapter(one.fd) != c.adapter(other.fd):
        return frozenset()
    both = c.world.rings(one.fd).keys() & c.world.rings(other.fd).keys()
    return frozenset(c.full_name(one.fd, ring) for ring in both if ring[:2] in ways)


def _about(call: Call, kind: str, clause: str, allowed: str, seen: str) -> Finding:
    return Finding(kind, clause, call.n, call.text or call.op, allowed, seen, line=call.line)


def _readings(switches: frozenset[str]) -> tuple[frozenset[str], ...]:
    """Each deviation alone, then all together."""
    alone = tuple(frozenset({s}) for s in sorted(switches))
    return alone if len(alone) < 2 else (*alone, switches)


def test_id(path: str) -> str:
    """What a manifest's globs are matched against: the file's name without endings."""
    return Path(path).name.split(".")[0]

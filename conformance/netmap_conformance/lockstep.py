"""Random campaigns: a hypothesis state machine drives a target, the oracle follows every step.

The machine knows what an application can know (what it saw in its rings) and draws its next
operation from that, good ones more often than bad ones. hypothesis is led towards runs that fire many
rules of the model (:func:`hypothesis.target`). A failing run is shrunk call by call (:mod:`.shrink`) and
kept as a trace under ``build/failures``, never as a blob. A machine rule that never fired in a whole
campaign fails it, and so does a port that was never bound: such a campaign did not test what it claims.

hypothesis is imported when a campaign starts, not before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .expressions import ExpressionError
from .habits import ENDS, HANDLES, End, rules
from .manifest import Manifest
from .oracle import Finding
from .runner import BUILD, FAILURES, Runner, run
from .scenarios import asked
from .scn_ops import parse_op
from .shrink import rebuilt, shrink
from .suite import Entry, one_line
from .targets import Target, TargetError
from .trace import FORMAT, Header, Port, Return, Trace

STEPS = 40
#: The ends of the pipe that every run begins with.
_PIPE = [end for end in ENDS if end.port in ("x{1", "x}1") and not end.flags]
#: A NIC on the environment's wire; pipes are made as they are opened.
PORTS = [Port(name="v0", tx_slots=8, rx_slots=8)]
#: Campaigns of this many examples or more must have fired every machine rule.
ENOUGH = 20


class Disagreement(AssertionError):
    """The oracle found something; the message is the finding."""


@dataclass
class Bound:
    """One bound descriptor as its application knows it: the last ring fields it saw, and its memory."""

    port: str
    mem_id: int
    rings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def free(self, ring: str) -> int:
        """Slots between head and tail: the application's."""
        r = self.rings[ring]
        n = int(r["num_slots"])
        return (int(r["tail"]) - int(r["head"])) % n if n else 0


class Driver:
    """One example: a run on the target, and what the application knows so far."""

    def __init__(self, target: Target, manifest: Manifest, seed: int) -> None:
        header = Header(
            netmap_trace=FORMAT,
            generation="14",
            title=f"random, seed {seed}",
            ports=PORTS if "nic" in target.capabilities() else [],
            needs=["pipe"],
            seed=seed,
        )
        scenario = Trace(header=header, events=[], path=f"random-{seed}")
        self.manifest = manifest
        self.runner = Runner(target, scenario, manifest, None)
        #: What was bound, by name.
        self.opened: Counter[str] = Counter()
        self.wire = bool(header.ports) and "wire" in target.capabilities()
        self.bound: dict[str, Bound] = {}
        self._learned = 0
        self._calls: dict[int, str] = {}
        self.runner.start()

    def do(self, line: str) -> Return | None:
        """One line of the scenario language. Raises :class:`Disagreement`."""
        call = parse_op(line, "random")
        self.runner.step(call)
        done = next((e for e in reversed(self.runner.events) if isinstance(e, Return)), None)
        self._learn()
        if self.runner.stopped:
            findings = self.runner.finish().findings
            worst = worst_of(findings)
            raise Disagreement(str(worst) if worst else "the run stopped")
        return done

    def _learn(self) -> None:
        """Take over what the last returns showed of each descriptor's rings."""
        for event in self.runner.events[self._learned :]:
            if isinstance(event, Return):
                fd = self._calls.pop(event.of, "")
                if fd in self.bound and event.see is not None:
                    self.bound[fd].rings.update(event.see.rings)
            else:
                self._calls[event.n] = event.fd
        self._learned = len(self.runner.events)

    def open(self, handle: str, end: End, flag: str = "") -> None:
        """open, REGISTER and mmap; a REGISTER that is refused is closed again."""
        self.do(f"open {handle}")
        done = self.do(f"reg {handle} {end.asked(flag)}")
        if done is None or done.errno:
            self.do(f"close {handle}")
            return
        self.opened[f"open {end.name}"] += 1
        self.bound[handle] = Bound(end.port, int((done.out or {}).get("nr_mem_id", 0)))
        self.do(f"mmap {handle}")

    def close(self, handle: str) -> None:
        del self.bound[handle]
        self.do(f"close {handle}")


def ends(target: Target) -> tuple[End, ...]:
    """What can be bound on a target."""
    return tuple(end for end in ENDS if set(end.needs.split()) <= target.capabilities())


def machine(
    make: Callable[[], Driver], can: Sequence[End], fired: Counter[str], told: Callable[[Driver], None]
) -> Any:
    """The state machine's class, which binds what it ``can``. ``fired`` counts its rules, ``told`` is shown
    every example at its end.

    hypothesis would draw its rules evenly and leave some out of an example altogether; deep states need
    the frequent ones often, so one rule of the machine draws among ours by weight.
    """
    from hypothesis import strategies as st
    from hypothesis import target as aim
    from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

    table = rules(st, can)
    fired.update({r.name: 0 for r in table})

    class Application(RuleBasedStateMachine):
        """What applications do, in a random order."""

        def __init__(self) -> None:
            super().__init__()
            self.driver = make()

        def begin(self, more: list[End]) -> None:
            """Most of what can go wrong needs both ends of a pipe; a monitor needs what it watches."""
            plain = [end for end in can if not end.flags]
            watched = [end for end in plain if any(m.flags and m.port == end.port for m in more)]
            for handle, end in zip(HANDLES, dict.fromkeys([*_PIPE, *watched, *more]), strict=False):
                self.driver.open(handle, end)

        def step(self, data: Any) -> None:
            """One rule that is ready, by weight."""
            ready = [r for r in table for _ in range(r.weight) if r.ready(self.driver)]
            chosen = data.draw(st.sampled_from(ready), label="rule")
            drawn = {name: data.draw(strategy) for name, strategy in chosen.args.items()}
            fired[chosen.name] += 1
            chosen.step(self.driver, **drawn)

        def teardown(self) -> None:
            """Everything is due at the end; then tell how many rules of the model this example fired."""
            try:
                if not self.driver.runner.stopped:
                    self.driver.do("settle")
            finally:
                aim(float(len(self.driver.runner.oracle.finish().rules)), label="rules of the model")
                told(self.driver)

    # Applied as functions: hypothesis's decorators have no types.
    start: Any = initialize(more=st.lists(st.sampled_from(list(can)), min_size=1, max_size=3, unique=True))
    each: Any = rule(data=st.data())
    Application.begin = start(Application.begin)  # type: ignore[method-assign]
    Application.step = each(Application.step)  # type: ignore[method-assign]
    return Application


def campaign(target: Target, manifest: Manifest, examples: int, seed: int, build: Path = BUILD) -> Entry:
    """Run ``examples`` random runs. A failing one is shrunk and kept; the entry says where.

    The same seed gives the same runs. Raises :class:`~.errors.UserError` without hypothesis.
    """
    try:
        from hypothesis import HealthCheck, Phase, Verbosity, settings
        from hypothesis import seed as seeded
        from hypothesis.stateful import get_state_machine_test
    except ImportError as error:
        from .errors import extra_missing

        raise extra_missing("conform --random", "campaign", error) from None
    fired: Counter[str] = Counter()
    entry = Entry(f"random-{seed}", [], "PASS")
    last: list[Driver] = []

    def told(driver: Driver) -> None:
        judged = driver.runner.oracle.finish()
        fired.update(driver.opened)
        entry.rules.update(judged.rules)
        entry.steps += judged.steps
        if driver.runner.stopped:
            last[:] = [driver]

    can = ends(target)
    fired.update({f"open {end.name}": 0 for end in can})
    made = machine(lambda: Driver(target, manifest, seed), can, fired, told)
    how = settings(
        max_examples=examples,
        phases=(Phase.generate, Phase.target),
        stateful_step_count=STEPS,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
        report_multiple_bugs=False,
    )
    test = seeded(seed)(get_state_machine_test(made, settings=how))
    try:
        test()
    except Disagreement as found:
        return failed(entry, last[0], str(found), build)
    silent = sorted(name for name, count in fired.items() if not count)
    if silent and examples >= ENOUGH:
        entry.verdict = "INCONCLUSIVE"
        entry.reason = f"seed {seed}: never fired in {examples} runs: {', '.join(silent)}"
    return entry


def failed(entry: Entry, driver: Driver, message: str, build: Path) -> Entry:
    """The entry of a campaign that found something: the shrunk run's findings, and where it is kept."""
    whole = driver.runner.trace()
    judged = driver.runner.finish()
    wanted = worst_of(judged.findings)
    small = whole.scenario()
    if wanted is not None:
        small = rebuilt(whole, list(asked(whole).calls()))

        def shows(candidate: Trace) -> bool:
            try:
                found = worst_of(
                    run(driver.runner.target, candidate, driver.manifest, build=None)[1].findings
                )
            except (ExpressionError, TargetError):
                return False
            return found is not None and (found.kind, found.clause) == (wanted.kind, wanted.clause)

        if shows(small):
            small = shrink(small, shows)
            runner = Runner(driver.runner.target, small, driver.manifest, None)
            judged = runner.run()
            driver.runner = runner
    entry.findings = judged.findings
    worst = worst_of(judged.findings)
    entry.verdict = "INCONCLUSIVE" if worst is None or worst.kind == "NOT_MODELLED" else worst.kind
    entry.reason = one_line(worst) if worst else message
    kept = driver.runner.keep(build / FAILURES)
    entry.trace = str(kept) if kept else ""
    return entry


def worst_of(findings: list[Finding]) -> Finding | None:
    """The first finding that is no listed deviation."""
    return next((f for f in findings if f.kind != "DEVIATION"), None)


__all__ = ["Disagreement", "Driver", "campaign"]

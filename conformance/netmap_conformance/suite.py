"""All scenarios on one target: what is run, what is skipped and why, and what it comes to.

Capabilities are declared in the manifest *and* probed on the target: one that is declared and not found
is an error of the manifest, one that is not declared is skipped with its reason. Nothing is skipped
because it failed. Listed deviations run like everything else; a scenario that is about the clause of
a listed deviation and passes without it is an UNEXPECTED_PASS.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from . import runner
from .errors import CANNOT_JUDGE, FOUND, USAGE, UserError
from .expressions import ExpressionError
from .manifest import Manifest
from .oracle import Finding
from .runner import BUILD
from .scenarios import scenario_id
from .targets import Target, TargetError
from .trace import Trace

#: Verdicts that make the command fail.
BAD = frozenset({"VIOLATION", "STALLED", "HANG", "UNEXPECTED_PASS"})


@dataclass
class Entry:
    """One scenario and how it ended; ``trace`` is where a failing run was kept."""

    id: str
    clauses: list[str]
    verdict: str
    reason: str = ""
    findings: list[Finding] = field(default_factory=list)
    steps: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    choices: dict[str, Any] = field(default_factory=dict)
    trace: str = ""

    def to_json(self) -> dict[str, Any]:
        """As ``conform.schema.json`` wants it."""
        found: dict[str, Any] = {
            "id": self.id,
            "clauses": self.clauses,
            "verdict": self.verdict,
            "reason": self.reason,
            "findings": [f.to_json() for f in self.findings],
            "steps": self.steps,
            "rules": dict(self.rules),
        }
        return found | ({"trace": self.trace} if self.trace else {})


@dataclass
class Suite:
    """Every scenario of a run, in order."""

    target: str
    entries: list[Entry] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Scenarios by verdict."""
        return dict(Counter(e.verdict for e in self.entries))

    def rules(self) -> Counter[str]:
        """How often each rule of the model fired."""
        total: Counter[str] = Counter()
        for entry in self.entries:
            total.update(entry.rules)
        return total

    def status(self) -> int:
        """The command's exit status; 125 when nothing was found and something could not be judged."""
        verdicts = {e.verdict for e in self.entries}
        if verdicts & BAD:
            return FOUND
        if "INCONCLUSIVE" in verdicts or verdicts == {"SKIPPED"}:
            return CANNOT_JUDGE
        return 0

    def to_json(self) -> dict[str, Any]:
        return {"target": self.target, "scenarios": [e.to_json() for e in self.entries]}


def allowed_capabilities(target: Target, manifest: Manifest, given: bool) -> frozenset[str]:
    """The capabilities scenarios may use. ``given``: somebody wrote a manifest for this target.

    Raises :class:`UserError` when the manifest declares what the probe does not find.
    """
    probed = target.capabilities()
    if not given:
        return probed
    denied = [c for c in manifest.capabilities if c not in probed]
    if denied:
        raise UserError(
            f"manifest {manifest.name} declares {', '.join(denied)}, which the probe of {target.name} denies",
            USAGE,
        )
    return frozenset(manifest.capabilities)


def run_all(
    target: Target,
    scenarios: Iterable[Trace],
    manifest: Manifest,
    allowed: frozenset[str],
    told: Callable[[Entry], None] = lambda entry: None,
) -> Suite:
    """Run every scenario. Raises :class:`UserError` (status 3) when the target is gone for good."""
    suite = Suite(target.name)
    for scenario in scenarios:
        entry = run_one(target, scenario, manifest, allowed)
        suite.entries.append(entry)
        told(entry)
    return suite


def run_one(target: Target, scenario: Trace, manifest: Manifest, allowed: frozenset[str]) -> Entry:
    """One scenario, or why it is skipped."""
    name, header = scenario_id(scenario), scenario.header
    entry = Entry(name, list(header.clauses), "SKIPPED")
    missing = [c for c in header.needs if c not in allowed]
    if header.generation != manifest.generation:
        entry.reason = f"is of generation {header.generation}"
        return entry
    if missing:
        entry.reason = f"needs {', '.join(missing)}, which {manifest.name} does not declare"
        return entry
    try:
        trace, judged = runner.run(target, scenario, manifest)
    except ExpressionError as error:
        # What the target did before leaves an expression without a value: a scenario that cannot go on.
        entry.verdict, entry.reason = "INCONCLUSIVE", str(error)
        return entry
    except TargetError as error:
        raise UserError(f"{name}: {error}", error.status) from None
    entry.findings, entry.steps = judged.findings, judged.steps
    entry.rules, entry.choices = judged.rules, judged.choices
    entry.verdict, entry.reason = classify(judged.verdict, judged.findings, name, header.clauses, manifest)
    if entry.verdict in BAD or entry.verdict == "INCONCLUSIVE":
        kept = runner.kept_path(BUILD, trace)
        entry.trace = str(kept) if kept.exists() else ""
    return entry


def classify(
    verdict: str, findings: list[Finding], name: str, clauses: list[str], manifest: Manifest
) -> tuple[str, str]:
    """The verdict of a scenario and its reason in one line."""
    if verdict == "NOT_MODELLED":
        verdict = "INCONCLUSIVE"
    if verdict == "PASS":
        expected = [d for d in manifest.deviations if d.clause in clauses and d.applies(d.clause, name)]
        if expected:
            return "UNEXPECTED_PASS", f"listed deviation from {expected[0].clause} was not seen"
        return "PASS", ""
    if verdict == "DEVIATION":
        seen = dict.fromkeys(f.clause for f in findings if f.kind == "DEVIATION")
        return "DEVIATION", f"listed: {', '.join(seen)}"
    worst = next((f for f in findings if f.kind not in ("DEVIATION",)), None)
    return verdict, one_line(worst) if worst else verdict.lower()


def one_line(finding: Finding) -> str:
    """A finding for a table."""
    text = f"{finding.clause} at step {finding.step} ({finding.op})"
    if finding.kind in ("INCONCLUSIVE", "NOT_MODELLED"):
        return f"{text}: {finding.reason or finding.seen}"
    return f"{text}: seen {finding.seen}"

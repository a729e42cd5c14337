"""What the page shows, worked out from the matrix and the results; the template only lays it out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..errors import FOUND
from .matrix import Row
from .results import Results

#: How a verdict is coloured: well, noted, bad, open. Every verdict's word is on the page as well.
KIND = {
    "PASS": "ok", "PROVED": "ok", "PROVED_UP_TO_N": "ok", "SAME": "ok", "killed": "ok",
    "DEVIATION": "dev", "REFUTED_AS_RECORDED": "dev", "equivalent": "dev",
    "VIOLATION": "bad", "STALLED": "bad", "HANG": "bad", "REFUTED": "bad", "BROKEN": "bad",
    "DIFFERENT": "bad", "survived": "bad", "UNEXPECTED_PASS": "bad",
    "INCONCLUSIVE": "open", "NOT_CONFIRMED": "open", "SKIPPED": "open", "NOT_MODELLED": "open",
}  # fmt: skip
ORDER = ("bad", "open", "dev", "ok")
FAULTS = ("VIOLATION", "STALLED", "HANG")


def worst(verdicts: Iterable[str]) -> str:
    """The kind that decides of several verdicts: bad before open before noted before well; empty of none."""
    kinds = {KIND[v] for v in verdicts}
    return next((k for k in ORDER if k in kinds), "")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the matrix: ``kind`` colours it, ``text`` is short, ``title`` says it in full."""

    kind: str = ""
    text: str = ""
    title: str = ""


@dataclass(slots=True)
class Line:
    """One clause of the matrix with what the last run said about it."""

    row: Row
    proofs: dict[str, str] = field(default_factory=dict)
    scenarios: dict[str, dict[str, str]] = field(default_factory=dict)
    mutants: list[dict[str, Any]] = field(default_factory=list)
    recordings: int = 0
    cells: list[Cell] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bar:
    """A tile of the summary: ``parts`` are ``(kind, label, count)``, ``note`` stands for a result not run."""

    title: str
    parts: tuple[tuple[str, str, int], ...]
    note: str = ""

    @property
    def total(self) -> int:
        return sum(count for _, _, count in self.parts)


def bar(title: str, verdicts: Iterable[str] | None, note: str = "not run") -> Bar:
    """A tile that counts verdicts; ``None`` when there is no result."""
    if verdicts is None:
        return Bar(title, (), note)
    counts = Counter(verdicts)
    parts = sorted(((KIND[v], v, n) for v, n in counts.items()), key=lambda p: (-ORDER.index(p[0]), p[1]))
    return Bar(title, tuple(parts))


def bars(results: Results, lines: list[Line]) -> list[Bar]:
    """The tiles of the summary."""

    def of(document: dict[str, Any] | None, member: str, key: str = "verdict") -> list[str] | None:
        return None if document is None else [each[key] for each in document[member]]

    found = [bar("Proofs", of(results.prove, "obligations"))]
    found += [bar(f"Scenarios on {t}", of(d, "scenarios")) for t, d in results.conform.items()]
    if not results.conform:
        found.append(bar("Scenarios", None))
    title = "Differences"
    if results.diff is not None:
        title = f"{results.diff['left']} against {results.diff['right']}"
    found.append(bar(title, of(results.diff, "scenarios")))
    found.append(bar("Recordings", of(results.check, "files")))
    teeth = of(results.teeth, "mutants", "status")
    found.append(bar("Planted defects", teeth, "not run: netmap-verify teeth"))
    return found


def red(results: Results, shown: list[Bar]) -> list[str]:
    """What is wrong, in a few words each: bad verdicts by tile, and stages that broke down."""
    wrong = [f"{n} {v} ({tile.title})" for tile in shown for kind, v, n in tile.parts if kind == "bad"]
    broken = [s for s in results.stages if s["status"] not in (0, FOUND)]
    return wrong + [f"{s['name']}: {s['outcome']}" for s in broken]


def not_run(results: Results) -> list[str]:
    """Results that are not there, by the command that makes them."""
    missing = [k for k in ("prove", "diff", "check", "teeth", "bench") if getattr(results, k) is None]
    return missing + ([] if results.conform else ["conform"])


# --- the matrix -----------------------------------------------------------------------------------


def lines(rows: list[Row], results: Results) -> list[Line]:
    """The matrix with the results filled in; cells: rules, proofs, each target, recordings, mutants."""
    proved = {o["id"]: o["verdict"] for o in (results.prove or {"obligations": []})["obligations"]}
    ran = {t: {s["id"]: s["verdict"] for s in d["scenarios"]} for t, d in results.conform.items()}
    mutants: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for mutant in (results.teeth or {"mutants": []})["mutants"]:
        mutants[mutant["clause"]].append(mutant)
    fired = fired_in(results)
    found = []
    for row in rows:
        line = Line(row, mutants=mutants[row.clause.id])
        line.proofs = {p.id: proved.get(p.id, "") for p in row.proofs}
        line.scenarios = {t: {s.id: ran[t][s.id] for s in row.scenarios if s.id in ran[t]} for t in ran}
        line.recordings = len({f for r in row.rules for f in fired.get(r.id, ())})
        kind = "ok" if line.recordings else ""
        seen = Cell(kind, str(line.recordings or ""), "recordings that used its rules")
        line.cells = [
            _count("rule", len(row.rules), [r.id for r in row.rules]),
            _verdicts("proof", line.proofs),
            *(_verdicts("scenario", per_target) for per_target in line.scenarios.values()),
            seen,
            _verdicts("mutant", {m["id"]: m["status"] for m in line.mutants}),
        ]
        found.append(line)
    return found


def columns(results: Results) -> list[str]:
    """The titles of the matrix's cells."""
    return ["rules", "proofs", *results.conform, "recordings", "mutants"]


def fired_in(results: Results) -> dict[str, set[str]]:
    """Rule id -> the recordings that used it."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in (results.check or {"files": []})["files"]:
        for rule in file.get("rules", {}):
            found[rule].add(file["file"])
    return found


def rules_used(results: Results) -> set[str]:
    """Every rule that a recording or a scenario used."""
    used = set(fired_in(results))
    for document in results.conform.values():
        for scenario in document["scenarios"]:
            used.update(scenario.get("rules", ()))
    return used


def _count(what: str, number: int, names: list[str]) -> Cell:
    return Cell("ok" if number else "", str(number or ""), "\n".join(names) or f"no {what}")


def _verdicts(what: str, verdicts: dict[str, str]) -> Cell:
    """A cell of several verdicts, empty strings being those that were not run."""
    if not verdicts:
        return Cell("", "", f"no {what}")
    told = [v for v in verdicts.values() if v]
    title = "\n".join(f"{i}: {v or 'not run'}" for i, v in verdicts.items())
    if not told:
        return Cell("none", f"{len(verdicts)}", title)
    kind = worst(told)
    same = sum(KIND[v] == kind for v in told)
    text = str(len(verdicts)) if same == len(verdicts) else f"{same}/{len(verdicts)}"
    return Cell(kind, text, title)


# --- findings -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found, wherever: ``where`` is target or file, ``what`` scenario or obligation."""

    where: str
    what: str
    kind: str
    clause: str
    step: int
    op: str
    allowed: str
    seen: str
    note: str = ""
    before: tuple[dict[str, Any], ...] = ()
    after: tuple[dict[str, Any], ...] = ()
    trace: str = ""


def findings(results: Results) -> list[Finding]:
    """What was found on targets and in recordings, faults first; deviations are not among them."""
    found = []
    for target, document in results.conform.items():
        for scenario in document["scenarios"]:
            found += _of(target, scenario["id"], scenario)
    for file in (results.check or {"files": []})["files"]:
        found += _of(file["file"], "", file)
    return [f for f in found if f.kind in FAULTS]


def deviations(results: Results) -> list[tuple[str, str, list[str]]]:
    """``(switch, clause, where)`` of every deviation seen, most often seen first."""
    seen: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, document in _judged(results):
        for finding in document.get("findings", ()):
            if finding["kind"] == "DEVIATION":
                where = seen[finding.get("deviation", ""), finding["clause"]]
                if name not in where:
                    where.append(name)
    return sorted(((s, c, w) for (s, c), w in seen.items()), key=lambda each: (-len(each[2]), each[:2]))


def not_modelled(results: Results) -> list[tuple[str, list[str]]]:
    """``(missing rule, recordings)`` of what no rule describes yet."""
    missing: dict[str, list[str]] = defaultdict(list)
    for name, document in _judged(results):
        for finding in document.get("findings", ()):
            reason = finding.get("reason") or finding["clause"]
            if finding["kind"] == "NOT_MODELLED" and name not in missing[reason]:
                missing[reason].append(name)
    return sorted(missing.items(), key=lambda each: (-len(each[1]), each[0]))


def _judged(results: Results) -> Iterable[tuple[str, dict[str, Any]]]:
    """Everything that was judged: recordings by file, scenarios by target and id."""
    for file in (results.check or {"files": []})["files"]:
        yield short(file["file"]), file
    for target, document in results.conform.items():
        for scenario in document["scenarios"]:
            yield f"{target}: {scenario['id']}", scenario


def short(path: str) -> str:
    """The name of a recording without its folders."""
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def _of(where: str, what: str, judged: dict[str, Any]) -> list[Finding]:
    return [
        Finding(
            where=where,
            what=what,
            kind=f["kind"],
            clause=f["clause"],
            step=f["step"],
            op=f["op"],
            allowed=f["allowed"],
            seen=f["seen"],
            note=f.get("reason", ""),
            before=tuple(f.get("before", ())),
            after=tuple(f.get("after", ())),
            trace=judged.get("trace", ""),
        )
        for f in judged.get("findings", ())
    ]

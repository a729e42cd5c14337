"""``netmap-verify check``: is what was recorded within the contract, and if not, which clause broke where?

A file may be a trace of this project or a recording in one of the two formats it knows, gzip or not; a
folder stands for every recording below it. Without ``--manifest`` a recording is judged with the manifest of
the system it came from, whose deviations are listed when they are seen.

Exit status: 0 when nothing but listed deviations was found; 1 when something was; 2 for a file that cannot
be read or is malformed; 125 when nothing was found but something could not be judged: a run of several
files goes on over what is not modelled yet, a single file that is not modelled cannot be judged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import CANNOT_JUDGE, FOUND, UserError
from .convert import read

if TYPE_CHECKING:
    from rich.console import Console

    from ..manifest import Manifest
    from ..oracle import Finding, Judgement
    from ..trace import Trace

BAD = ("VIOLATION", "STALLED", "HANG")
COLOURS = {
    "PASS": "green",
    "DEVIATION": "yellow",
    "NOT_MODELLED": "dim",
    "INCONCLUSIVE": "magenta",
} | dict.fromkeys(BAD, "bold red")


@dataclass(frozen=True, slots=True)
class Judged:
    """One file, the manifest it was judged with (empty: none) and the judgement."""

    file: str
    generation: str
    manifest: str
    judgement: Judgement

    def to_json(self) -> dict[str, Any]:
        """As ``check.schema.json`` wants it."""
        j = self.judgement
        return {
            "file": self.file,
            "generation": self.generation,
            "manifest": self.manifest,
            "verdict": j.verdict,
            "steps": j.steps,
            "findings": [finding.to_json() for finding in j.findings],
            "rules": dict(j.rules),
            "choices": j.choices,
        }


def register(app: typer.Typer) -> None:
    @app.command()
    def check(
        files: list[Path] = typer.Argument(..., metavar="FILE…", help="Traces, recordings, folders."),  # noqa: B008
        manifest: str = typer.Option(
            "", "--manifest", "-m", help="What was recorded (TOML, or the name of a built-in one)."
        ),
        as_json: bool = typer.Option(False, "--json", help="Print the judgements as JSON."),
        picture: bool = typer.Option(False, "--picture", help="Draw the rings of listed deviations too."),
    ) -> None:
        """Judge recorded runs step by step."""
        judged = [_judge(path, manifest) for path in find(files)]
        if as_json:
            typer.echo(json.dumps({"files": [j.to_json() for j in judged]}, indent=2))
        else:
            show(judged, picture)
        raise typer.Exit(status(judged))


def find(paths: list[Path]) -> list[Path]:
    """The files to judge, folders opened. Raises :class:`UserError` for what is not there."""
    from ..recordings import is_recording

    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(p for p in path.rglob("*") if p.is_file() and is_recording(p))
            if not below:
                raise UserError(f"there is no recording below {path}")
            found += below
        else:
            found.append(path)
    return found


def _judge(path: Path, manifest: str) -> Judged:
    from ..oracle import Malformed, judge
    from ..trace import Return

    trace = read(path)
    if not any(isinstance(event, Return) for event in trace.events):
        raise UserError(
            f"{path}: nothing was observed in this file (a scenario? netmap-verify conform runs it)"
        )
    chosen = _manifest(trace, manifest)
    try:
        judgement = judge(trace, chosen)
    except Malformed as error:
        raise UserError(f"{path}:{error.line}: {error}") from None
    except ValueError as error:
        raise UserError(f"{path}:1: {error}") from None
    return Judged(str(path), trace.header.generation, chosen.name if chosen else "", judgement)


def _manifest(trace: Trace, named: str) -> Manifest | None:
    """The manifest that was named, else the built-in one of what was recorded."""
    from ..manifest import ManifestError, builtin, load

    name = named or (trace.header.target if trace.header.target in builtin() else "")
    if not name:
        return None
    try:
        return load(name)
    except ManifestError as error:
        raise UserError(str(error)) from None


def status(judged: list[Judged]) -> int:
    """The exit status that these judgements amount to."""
    verdicts = {j.judgement.verdict for j in judged}
    if verdicts & set(BAD):
        return FOUND
    if "INCONCLUSIVE" in verdicts or verdicts == {"NOT_MODELLED"}:
        return CANNOT_JUDGE
    return 0


# --- for people -------------------------------------------------------------------------------


def show(judged: list[Judged], picture: bool) -> None:
    """A line a file, what was found, and which rules are missing."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for one in judged:
        verdict = one.judgement.verdict
        words = f"{one.judgement.steps} steps" + (f", manifest {one.manifest}" if one.manifest else "")
        told = "not yet modelled" if verdict == "NOT_MODELLED" else verdict
        console.print(f"[{COLOURS[verdict]}]{told:16}[/] ", end="")
        console.print(f"{one.file}  ({words})", markup=False)
        for finding in one.judgement.findings:
            if finding.kind == "DEVIATION" and len(judged) > 1 and not picture:
                words = f"{finding.deviation or finding.clause}, first at step {finding.step}"
                console.print(f"    deviation {words}: {finding.reason}", markup=False)
            else:
                _finding(console, finding, picture)
    _missing(console, judged)
    counts: dict[str, int] = {}
    for one in judged:
        counts[one.judgement.verdict] = counts.get(one.judgement.verdict, 0) + 1
    if len(judged) > 1:
        console.print(", ".join(f"{number} {verdict}" for verdict, number in counts.items()))


def _finding(console: Console, finding: Finding, picture: bool) -> None:
    for line in describe(finding, picture or finding.kind in BAD):
        console.print(f"    {line}", markup=False)


def describe(finding: Finding, picture: bool = True) -> Iterator[str]:
    """A finding in lines: kind, clause, step and operation; what was allowed and seen; the rings."""
    at = f"step {finding.step}" + (f", line {finding.line}" if finding.line else "")
    about = finding.clause or finding.reason
    yield f"{finding.kind} {about} at {at}: {finding.op}"
    if finding.kind == "NOT_MODELLED":
        yield f"  missing: {finding.seen or finding.reason}"
        return
    if finding.allowed:
        yield f"  allowed: {finding.allowed}"
        yield f"  seen:    {finding.seen}"
    for label, text in (("deviation", finding.deviation), ("why", finding.reason), ("see", finding.link)):
        if text and text != about:
            yield f"  {label}: {text}"
    if picture:
        for title, rings in (("before", finding.before), ("after", finding.after)):
            for ring in rings:
                yield f"  {title}:"
                yield from (f"    {line}" for line in ring.to_text().splitlines())


def _missing(console: Console, judged: list[Judged]) -> None:
    """Which rules the files that were not judged to the end would need."""
    missing: dict[str, list[str]] = {}
    for one in judged:
        for finding in one.judgement.findings:
            if finding.kind == "NOT_MODELLED":
                missing.setdefault(finding.reason, []).append(Path(one.file).name)
    if len(judged) > 1 and missing:
        console.print("not yet modelled, by missing rule:")
        for rule, files in sorted(missing.items(), key=lambda item: (-len(item[1]), item[0])):
            console.print(f"    {rule}: {', '.join(files)}", markup=False)

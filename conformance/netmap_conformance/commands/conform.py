"""``netmap-verify conform``: is this implementation right, and if not, which rule did it break where?

Exit status: 0 when every scenario passed, was skipped with a reason or showed listed deviations only; 1
when one did not (also when a listed deviation was not seen); 2 for a wrong manifest, glob or unknown
target; 3 when the target is not there; 4 when the JUnit file cannot be written; 125 when nothing was
found but something could not be judged, as ``git bisect run`` wants it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import UserError, write_file

if TYPE_CHECKING:
    from ..manifest import Manifest
    from ..suite import Entry, Suite

COLOURS = {
    "PASS": "green",
    "DEVIATION": "yellow",
    "SKIPPED": "dim",
    "INCONCLUSIVE": "magenta",
    "UNEXPECTED_PASS": "bold red",
    "VIOLATION": "bold red",
    "STALLED": "bold red",
    "HANG": "bold red",
}


def register(app: typer.Typer) -> None:
    @app.command()
    def conform(
        target: str = typer.Option(
            "", "--target", "-t", help="reference, native, lib:FILE.so or exec:COMMAND [the manifest's]."
        ),
        device: str = typer.Option(
            "", "--device", "-d", help="For native: user, or a node such as /dev/netmap."
        ),
        manifest: str = typer.Option(
            "", "--manifest", "-m", help="What the target's owner says about it (TOML)."
        ),
        only: str = typer.Option("*", "--only", metavar="GLOB", help="Only scenarios whose id matches."),
        clause: str = typer.Option("", "--clause", help="Only scenarios about this clause."),
        scenario: list[Path] = typer.Option(  # noqa: B008  (typer's way)
            [], "--scenario", metavar="FILE", help="Run this file (.scn or a kept trace) instead."
        ),
        policy: str = typer.Option("", "--policy", help="For reference: eager, lazy or seeded."),
        seed: int = typer.Option(0, "--seed", help="For random campaigns and the seeded policy."),
        random: int = typer.Option(0, "--random", metavar="N", help="Run N random scenarios as well."),
        as_json: bool = typer.Option(False, "--json", help="Print the results as JSON."),
        tap: bool = typer.Option(False, "--tap", help="Print the results as TAP."),
        junit: str = typer.Option("", "--junit", metavar="FILE", help="Write a JUnit file as well."),
    ) -> None:
        """Run the scenarios on an implementation and judge every step."""
        from .. import suite as suites
        from ..targets import TargetError, open_target

        chosen = load_manifest(manifest, target)
        spec = target or chosen.target
        if not spec:
            raise UserError("no target: give --target, or a manifest that names one")
        if as_json and tap:
            raise UserError("--json and --tap both want the standard output")
        traces = _scenarios(chosen, only, clause, scenario)
        given = described(spec, manifest, device or chosen.device)
        try:
            opened = open_target(spec, chosen, device=device, seed=seed, policy=policy)
            try:
                allowed = suites.allowed_capabilities(opened, chosen, given)
                with _progress(len(traces), quiet=as_json or tap) as told:
                    suite = suites.run_all(opened, traces, chosen, allowed, told)
                if random:
                    from .. import lockstep

                    if "random" not in allowed:
                        raise UserError(f"{chosen.name} does not declare the capability random")
                    suite.entries.append(lockstep.campaign(opened, chosen, random, seed))
            finally:
                opened.stop()
        except TargetError as error:
            raise UserError(str(error), error.status) from None
        if junit:
            write_file(Path(junit), to_junit(suite))
        if as_json:
            typer.echo(json.dumps(suite.to_json(), indent=2))
        elif tap:
            typer.echo(to_tap(suite), nl=False)
        else:
            show(suite)
        raise typer.Exit(suite.status())


def described(spec: str, manifest: str, device: str) -> bool:
    """Has somebody written down what this target can do? Not for a device node nobody gave a manifest for."""
    return bool(manifest) or spec == "reference" or (spec == "native" and not device.startswith("/"))


def load_manifest(path: str, target: str) -> Manifest:
    """The manifest that was named, the built-in one of the target, or one that declares nothing."""
    from .. import manifest as manifests

    try:
        if path:
            return manifests.load(path)
        if target in manifests.builtin():
            return manifests.load(target)
    except manifests.ManifestError as error:
        raise UserError(str(error)) from None
    return manifests.Manifest(name=target or "unnamed")


def _scenarios(manifest: Manifest, only: str, clause: str, files: list[Path]) -> list[Any]:
    """The scenarios to run. Raises :class:`UserError` when there are none."""
    from netmap_spec import clauses

    from .. import scenarios
    from ..trace import TraceError

    if clause and clause not in clauses.load():
        raise UserError(f"there is no clause '{clause}'")
    try:
        if files:
            return [scenarios.load_file(path) for path in files]
        found = scenarios.load(manifest.generation, only)
    except TraceError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"cannot read {error.filename}: {(error.strerror or '').lower()}") from None
    found = [t for t in found if not clause or clause in t.header.clauses]
    if not found:
        what = f"matches '{only}'" + (f" and is about {clause}" if clause else "")
        raise UserError(f"no scenario of generation {manifest.generation} {what}")
    return found


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Any]:
    """A bar on a terminal; nothing where nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda entry: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("scenarios", total=total)

        def told(entry: Entry) -> None:
            progress.update(task, advance=1, description=entry.id)

        yield told


# --- the table ----------------------------------------------------------------------------------


def show(suite: Suite) -> None:
    """One row a scenario, then every finding that was not expected, with its pictures."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, 140)  # a file has no edge
    table = Table(title=f"Scenarios on {suite.target}", title_justify="left", header_style="bold")
    table.add_column("scenario", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("steps", justify="right")
    table.add_column("reason", overflow="fold")
    for entry in suite.entries:
        colour = COLOURS[entry.verdict]
        table.add_row(entry.id, f"[{colour}]{entry.verdict}[/]", str(entry.steps or ""), entry.reason)
    console.print(table)
    for entry in suite.entries:
        if entry.verdict in ("PASS", "SKIPPED", "DEVIATION"):
            continue
        for line in describe(entry):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    skipped = Counter(e.reason for e in suite.entries if e.verdict == "SKIPPED")
    for reason, count in skipped.items():
        console.print(f"skipped {count}: {reason}", markup=False, highlight=False)
    console.print(", ".join(f"{n} {v}" for v, n in suite.counts().items()), highlight=False)


def describe(entry: Entry) -> Iterator[str]:
    """What was found in one scenario: clause, step, allowed and seen, and the ring before and after."""
    yield ""
    yield f"{entry.id}: {entry.verdict}" + (f" (kept in {entry.trace})" if entry.trace else "")
    if not entry.findings:
        yield f"  {entry.reason}"
    for f in entry.findings:
        yield f"  {f.kind} {f.clause}, step {f.step}: {f.op}"
        for label, text in (
            ("allowed", f.allowed),
            ("seen", f.seen),
            ("deviation", f.deviation),
            ("why", f.reason),
        ):
            if text:
                yield f"    {label}: {text}"
        for title, pictures in (("before", f.before), ("after", f.after)):
            for picture in pictures:
                yield f"    {title}: {picture.name}"
                yield from ("      " + line for line in picture.to_text().splitlines())


# --- for other programs -------------------------------------------------------------------------


def to_tap(suite: Suite) -> str:
    """TAP version 13."""
    from ..suite import BAD

    lines = ["TAP version 13", f"1..{len(suite.entries)}"]
    for number, entry in enumerate(suite.entries, 1):
        ok = "not ok" if entry.verdict in BAD or entry.verdict == "INCONCLUSIVE" else "ok"
        directive = f" # SKIP {entry.reason}" if entry.verdict == "SKIPPED" else ""
        lines.append(f"{ok} {number} - {entry.id}{directive}")
        if entry.verdict not in ("PASS", "SKIPPED"):
            lines += [
                "  ---",
                f"  verdict: {entry.verdict}",
                f"  reason: {json.dumps(entry.reason)}",
                "  ...",
            ]
    return "\n".join(lines) + "\n"


def to_junit(suite: Suite) -> str:
    """A JUnit file: violations, stalls and hangs are failures, what cannot be judged is an error."""
    from xml.etree import ElementTree as Xml

    from ..suite import BAD

    count = Counter(e.verdict for e in suite.entries)
    root = Xml.Element(
        "testsuite",
        name=f"netmap-verify conform {suite.target}",
        tests=str(len(suite.entries)),
        failures=str(sum(count[v] for v in BAD)),
        errors=str(count["INCONCLUSIVE"]),
        skipped=str(count["SKIPPED"]),
    )
    for entry in suite.entries:
        case = Xml.SubElement(root, "testcase", classname=f"netmap.{suite.target}", name=entry.id)
        if entry.verdict == "SKIPPED":
            Xml.SubElement(case, "skipped", message=entry.reason)
        elif entry.verdict in BAD or entry.verdict == "INCONCLUSIVE":
            kind = "error" if entry.verdict == "INCONCLUSIVE" else "failure"
            found = Xml.SubElement(case, kind, type=entry.verdict, message=entry.reason)
            found.text = "\n".join(describe(entry))
        elif entry.verdict == "DEVIATION":
            Xml.SubElement(case, "system-out").text = entry.reason
    Xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"

"""``netmap-verify diff``: where do two implementations differ, smallest case first?

Exit status: 0 when they do not; 1 when they do; 2 for a wrong manifest, glob or unknown target; 3 when a
target is not there; 125 when nothing differs and something could not be judged.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from ..errors import CANNOT_JUDGE, FOUND, UserError

if TYPE_CHECKING:
    from ..differ import Compared

COLOURS = {"SAME": "green", "DIFFERENT": "bold red", "SKIPPED": "dim", "INCONCLUSIVE": "magenta"}


def register(app: typer.Typer) -> None:
    @app.command()
    def diff(
        left: str = typer.Option(
            ..., "--left", help="A target: reference, native, lib:FILE.so, exec:COMMAND."
        ),
        right: str = typer.Option(..., "--right", help="Another one, or the same with another device."),
        left_manifest: str = typer.Option("", "--left-manifest", metavar="FILE"),
        right_manifest: str = typer.Option("", "--right-manifest", metavar="FILE"),
        left_device: str = typer.Option("", "--left-device"),
        right_device: str = typer.Option("", "--right-device"),
        left_policy: str = typer.Option("", "--left-policy", help="For reference: eager, lazy or seeded."),
        right_policy: str = typer.Option("", "--right-policy"),
        only: str = typer.Option("*", "--only", metavar="GLOB", help="Only scenarios whose id matches."),
        seed: int = typer.Option(0, "--seed", help="For the seeded policy."),
        as_json: bool = typer.Option(False, "--json", help="Print the result as JSON."),
    ) -> None:
        """Run the scenarios on two implementations and compare what they did."""
        from .. import differ, scenarios, suite
        from ..targets import TargetError, open_target
        from .conform import described, load_manifest

        opened = []
        try:
            sides = []
            for spec, path, device, policy in (
                (left, left_manifest, left_device, left_policy),
                (right, right_manifest, right_device, right_policy),
            ):
                manifest = load_manifest(path, spec)
                target = open_target(spec, manifest, device, seed, policy)
                opened.append(target)
                given = described(spec, path, device or manifest.device)
                sides.append(
                    differ.Side(target, manifest, suite.allowed_capabilities(target, manifest, given))
                )
            found = scenarios.load(sides[0].manifest.generation, only)
            if not found:
                raise UserError(f"no scenario of generation {sides[0].manifest.generation} matches '{only}'")
            results = [differ.diff(sides[0], sides[1], scenario) for scenario in found]
        except TargetError as error:
            raise UserError(str(error), error.status) from None
        finally:
            for target in opened:
                target.stop()
        if as_json:
            typer.echo(json.dumps(document(left, right, results), indent=2))
        else:
            show(left, right, results)
        verdicts = {r.verdict for r in results}
        if "DIFFERENT" in verdicts:
            raise typer.Exit(FOUND)
        raise typer.Exit(CANNOT_JUDGE if "INCONCLUSIVE" in verdicts or verdicts == {"SKIPPED"} else 0)


def document(left: str, right: str, results: list[Compared]) -> dict[str, Any]:
    """As ``diff.schema.json`` wants it."""
    return {
        "left": left,
        "right": right,
        "scenarios": [r.to_json() for r in results],
        "profile": {k: {"left": x, "right": y, "scenarios": n} for k, (x, y, n) in profile(results).items()},
    }


def profile(results: list[Compared]) -> dict[str, tuple[str, str, int]]:
    """Legal differences: what each side was seen to do, and in how many scenarios they differed."""
    found: dict[str, tuple[set[str], set[str], int]] = {}
    for result in results:
        pairs = dict(result.choices)
        for d in result.legal:
            pairs.setdefault(f"seen: {d.what.split()[-1]} in {result.id}", (brief(d.left), brief(d.right)))
        for name, (one, two) in pairs.items():
            mine, other, count = found.setdefault(name, (set(), set(), 0))
            mine |= set(str(one).split("+")) - {"-"}
            other |= set(str(two).split("+")) - {"-"}
            found[name] = (mine, other, count + 1)
    return {k: ("+".join(sorted(x)), "+".join(sorted(y)), n) for k, (x, y, n) in sorted(found.items())}


def brief(value: Any) -> str:
    """A value for a table: frames by number and length, anything else as it is, not too long."""
    if isinstance(value, list) and value and all(isinstance(v, str) and len(v) > 20 for v in value):
        return f"{len(value)} frames of " + ", ".join(str(len(v) // 2) for v in value[:6])
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def show(left: str, right: str, results: list[Compared]) -> None:
    """What differs, smallest scenario first; then the table of legal choices."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, 140)  # a file has no edge
    unlike = sorted((r for r in results if r.verdict == "DIFFERENT"), key=lambda r: (r.calls, r.id))
    for result in unlike:
        console.print(f"[bold red]{result.id}[/] ({result.calls} calls)")
        for d in result.differences[:8]:
            console.print(f"  step {d.step}: {d.op}", markup=False, highlight=False)
            console.print(
                f"    {d.what}: {left} {brief(d.left)}; {right} {brief(d.right)}",
                markup=False,
                highlight=False,
            )
        if len(result.differences) > 8:
            console.print(f"  and {len(result.differences) - 8} more")
    chosen = profile(results)
    if chosen:
        table = Table(title="Legal choices", title_justify="left", header_style="bold")
        table.add_column("where the contract leaves it open", overflow="fold")
        table.add_column(left, overflow="fold")
        table.add_column(right, overflow="fold")
        table.add_column("scenarios", justify="right")
        for name, (one, two, count) in chosen.items():
            table.add_row(name, one, two, str(count))
        console.print(table)
    for verdict in ("INCONCLUSIVE", "SKIPPED"):
        for result in results:
            if result.verdict == verdict:
                console.print(
                    f"{verdict.lower()} {result.id}: {result.reason}", markup=False, highlight=False
                )
    counts = {v: sum(r.verdict == v for r in results) for v in COLOURS}
    console.print(", ".join(f"[{COLOURS[v]}]{n} {v}[/]" for v, n in counts.items() if n), highlight=False)

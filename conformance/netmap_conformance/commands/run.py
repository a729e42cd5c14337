"""``netmap-verify run``: the whole pipeline, with progress and one summary at the end.

Exit status: 0 when every stage was well; 1 when one found something; otherwise that of the gravest
stage (3: something needed is not there, 70: a stage broke down, 125: nothing found, but not everything
could be judged).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from ..pipeline import Outcome, Stage

COLOURS = {0: "green", 1: "bold red", 3: "yellow", 125: "magenta"}


def register(app: typer.Typer) -> None:
    @app.command()
    def run(
        output: str = typer.Option("build/report", "--output", "-o", metavar="DIR", help="Report folder."),
        results: str = typer.Option("build/results", "--results", metavar="DIR", help="Results folder."),
        dry: bool = typer.Option(False, "--dry-run", help="Only say what would be run."),
    ) -> None:
        """Prove, conform on every target here, diff, replay the recordings, report."""
        from rich.console import Console

        from .. import pipeline
        from ..errors import write_file
        from ..report import page
        from ..report.results import load_all

        chosen = pipeline.stages()
        if dry:
            for stage in chosen:
                typer.echo(stage.line())
            return
        folder = Path(output)
        write_file(folder / ".writable", "").unlink()  # now, not after minutes
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = max(console.width, 120)
        told = _stages(console, chosen, Path(results))
        try:
            path, _ = page.write(load_all(Path(results), folder), folder)
        except UserError as error:
            _show(console, told, f"no report: {error.message}")
            raise
        _show(console, told, str(path))
        raise typer.Exit(pipeline.status(told))


def _stages(console: Console, chosen: list[Stage], results: Path) -> list[Outcome]:
    """Run the stages: on a terminal a moving line for the current one, elsewhere a line when it starts."""
    from .. import pipeline

    total = len(chosen)
    number = 0
    with console.status("starting") as moving:

        def before(stage: Stage) -> None:
            nonlocal number
            number += 1
            text = f"{number}/{total}  {stage.name}"
            if console.is_terminal:
                moving.update(f"{text}  [dim]{stage.line()}[/]")
            else:
                console.print(f"{text} …", markup=False)

        def after(stage: Stage, outcome: Outcome) -> None:
            colour = COLOURS.get(outcome.status, "bold red")
            console.print(
                f"{number}/{total}  {stage.name}: [{colour}]{outcome.outcome}[/] in {outcome.seconds:.1f} s",
                end="",
            )
            console.print(f" ({outcome.reason})" if outcome.reason else "", markup=False, soft_wrap=True)

        return pipeline.run(chosen, results, before, after)


def _show(console: Console, told: list[Outcome], path: str) -> None:
    from rich.table import Table

    table = Table(title="Summary", title_justify="left", header_style="bold")
    table.add_column("stage", no_wrap=True)
    table.add_column("how it ended", no_wrap=True)
    table.add_column("seconds", justify="right")
    table.add_column("", overflow="fold")
    for outcome in told:
        colour = COLOURS.get(outcome.status, "bold red")
        ended = f"[{colour}]{outcome.outcome}[/]"
        table.add_row(outcome.name, ended, f"{outcome.seconds:.1f}", outcome.reason)
    console.print()
    console.print(table)
    for outcome in told:
        if outcome.status:
            console.print(f"again: {outcome.command}", markup=False, soft_wrap=True)
    console.print(f"report: {path}", markup=False, soft_wrap=True)

"""``netmap-verify report``: what the last runs found, as one HTML page and ``summary.json``.

It runs nothing: results that are not in ``build/results`` are shown as not run. Exit status: 0 when the
page is written, whatever it shows; 2 when a result file cannot be used; 4 when the folder cannot be
written.
"""

from __future__ import annotations

import json
from pathlib import Path

import typer


def register(app: typer.Typer) -> None:
    @app.command()
    def report(
        output: str = typer.Option("build/report", "--output", "-o", metavar="DIR", help="Target folder."),
        results: str = typer.Option("build/results", "--results", metavar="DIR", help="Their folder."),
        as_json: bool = typer.Option(False, "--json", help="Print the summary as JSON."),
    ) -> None:
        """Write the HTML report of what was run last."""
        from ..report import page
        from ..report.results import load_all

        folder = Path(output)
        path, told = page.write(load_all(Path(results), folder), folder)
        if as_json:
            typer.echo(json.dumps(told, indent=2))
            return
        if told["not_run"]:
            typer.echo(f"not run: {', '.join(told['not_run'])}")
        typer.echo(str(path))

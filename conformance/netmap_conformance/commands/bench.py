"""``netmap-verify bench``: how fast model, oracle, proofs, C ring functions and device are here.

Writes ``bench.json`` into the report's folder. Exit status: 0; 3 when nothing can be measured; 4 when the
folder cannot be written. What cannot be measured is said with its reason.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer


def register(app: typer.Typer) -> None:
    @app.command()
    def bench(
        runs: int = typer.Option(5, "--runs", min=1, help="How often each is measured; the median counts."),
        output: str = typer.Option("build/report", "--output", "-o", metavar="DIR", help="Report folder."),
        as_json: bool = typer.Option(False, "--json", help="Print the measurements as JSON."),
    ) -> None:
        """Measure the parts on this machine."""
        from rich.console import Console

        from .. import bench as parts
        from ..errors import write_file

        path = Path(output) / "bench.json"
        write_file(path.with_name(".writable"), "").unlink()
        with Console(stderr=True).status("measuring") as moving:
            found = parts.run(runs, lambda part: moving.update(f"measuring: {part}")).to_json()
        write_file(path, json.dumps(found, indent=2) + "\n")
        if as_json:
            typer.echo(json.dumps(found, indent=2))
        else:
            _show(found, path)


def _show(found: dict[str, Any], path: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 110)
    where = found["machine"]
    title = f"{where['cpu']}, {where['cpus']} processors, Python {where['python']}"
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("what", overflow="fold")
    for column in ("median", "lowest", "highest"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("unit")
    table.add_column("runs", justify="right")
    for m in found["measurements"]:
        row = (m["id"], _figure(m["value"]), _figure(m["low"]), _figure(m["high"]), m["unit"], str(m["runs"]))
        table.add_row(*row)
    console.print(table)
    for ratio in found["ratios"]:
        console.print(f"{ratio['text']}: {_figure(ratio['value'])}")
    for each in found["absent"]:
        console.print(f"not measured: {each['id']}: {each['reason']}", markup=False, soft_wrap=True)
    console.print(str(path), markup=False, soft_wrap=True)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.3g}"

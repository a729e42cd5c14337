"""``netmap-verify teeth``: which planted defects does the suite notice?

With ``--proofs`` the automatic mutants of the model's proved functions are hunted by obligations too.

Exit status: 0 when every mutant is killed or equivalent and the unchanged copies are not; 1 when one
survived, or proofs refute less than 95 of 100 automatic mutants, of a kind of function, that are not
equivalent, or one of these survives without an explanation; 2 when a list of mutants is wrong; 3 when a
target or the compiler is not there; 4 when the report cannot be written.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import ABSENT, FOUND, UserError, write_file

if TYPE_CHECKING:
    from ..teeth.hunt import Kill

COLOURS = {"killed": "green", "survived": "bold red", "equivalent": "dim"}
REPORT = Path("build/report/teeth.json")


def register(app: typer.Typer) -> None:
    @app.command()
    def teeth(
        only: str = typer.Option("*", "--only", metavar="GLOB", help="Only mutants whose id matches."),
        target: str = typer.Option("", "--target", "-t", help="Only mutants of reference, or of native."),
        everything: bool = typer.Option(
            False, "--all", help="Run every scenario on every mutant, not only until one kills it."
        ),
        as_json: bool = typer.Option(False, "--json", help="Print the matrix as JSON."),
        proofs: bool = typer.Option(
            False, "--proofs", help="Hunt the automatic mutants of the proved functions as well."
        ),
        jobs: int = typer.Option(
            0, "--jobs", "-j", min=0, help="Processes for --proofs; 0: one a processor."
        ),
    ) -> None:
        """Plant known defects in copies of the targets and see which scenario notices them."""
        from .. import scenarios
        from .. import teeth as lists
        from ..targets import TargetError
        from ..teeth.hunt import hunt

        if target not in ("", "reference", "native", "proofs"):
            raise UserError(f"there are no mutants of '{target}': reference, native or proofs")
        try:
            mutants = [] if target == "proofs" else lists.load(only, target)
            if not mutants and not proofs and target != "proofs":
                raise UserError(f"no mutant matches '{only}'")
            if any(m.target == "native" for m in mutants) and not shutil.which("make"):
                raise UserError("teeth of native needs make and a C compiler", ABSENT)
            known = scenarios.load("14")
            with _progress(quiet=as_json) as told:
                kills: list[Kill] = []
                for name in dict.fromkeys(m.target for m in mutants):
                    told(f"{name}: unchanged copy")
                    control = hunt(None, name, known, everything=False)
                    if control.found:
                        scenario, finding = next(iter(control.found.items()))
                        raise UserError(f"the unchanged copy of {name} fails {scenario}: {finding}", FOUND)
                    for number, m in enumerate(mutants, 1):
                        if m.target == name:
                            told(f"{number} of {len(mutants)}: {m.id}")
                            kills.append(hunt(m, name, known, everything))
        except lists.TeethError as error:
            raise UserError(str(error)) from None
        except TargetError as error:
            raise UserError(str(error), error.status) from None
        document = {"mutants": [k.to_json() for k in kills]}
        automatic = None
        if proofs or target == "proofs":
            from ..teeth.proofs import hunt_proofs

            with _progress(quiet=as_json) as told:
                automatic = hunt_proofs(only, jobs, told)
            document["mutants"] += automatic.rows
        if not document["mutants"]:
            raise UserError(f"no mutant matches '{only}'")
        write_file(REPORT, json.dumps(document, indent=2) + "\n")
        if as_json:
            typer.echo(json.dumps(document, indent=2))
        else:
            if kills:
                show(kills)
            if automatic is not None:
                typer.echo("\n".join(automatic.lines()))
        bad = any(k.status == "survived" for k in kills) or (automatic is not None and not automatic.enough)
        raise typer.Exit(FOUND if bad else 0)


class _progress:
    """A line on a terminal; nothing where nobody looks."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console

        console = Console(stderr=True)
        self._status = console.status("teeth") if console.is_terminal and not quiet else None

    def __enter__(self) -> _progress:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, text: str) -> None:
        if self._status is not None:
            self._status.update(text)


def show(kills: list[Kill]) -> None:
    """One row a mutant: what killed it, and the clause that was named."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, 160)  # a file has no edge
    table = Table(title="Planted defects", title_justify="left", header_style="bold")
    table.add_column("mutant", no_wrap=True)
    for column in ("target", "status", "breaks", "named", "by"):
        table.add_column(column, overflow="fold")
    for k in kills:
        table.add_row(
            k.mutant.id,
            k.mutant.target,
            f"[{COLOURS[k.status]}]{k.status}[/]",
            k.mutant.clause,
            ", ".join(k.clauses),
            ", ".join(k.found),
        )
    console.print(table)
    for k in kills:
        if k.status == "survived":
            console.print(f"{k.mutant.id} survived {k.ran} scenarios: {k.mutant.reason}", markup=False)
    console.print(
        f"{len(kills)} mutants, {sum(k.status == 'killed' for k in kills)} killed; {REPORT} written"
    )

"""``netmap-verify prove``: is the contract itself sound? The proof, or the counterexample.

Exit status: 0 when every obligation is PROVED, PROVED_UP_TO_N or REFUTED_AS_RECORDED; 1 when one is
REFUTED or BROKEN, or (``--coverage``) a clause about state is neither proved nor listed as tested only; 125
when the only trouble is NOT_CONFIRMED; 2 when nothing matches ``--only``; 3 without z3; 4 when ``--smt2``
cannot be written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import UserError
from ..picture import RingPicture

if TYPE_CHECKING:
    from netmap_proofs.judge import Result

COLOURS = {
    "PROVED": "green",
    "PROVED_UP_TO_N": "green",
    "REFUTED_AS_RECORDED": "yellow",
    "REFUTED": "bold red",
    "NOT_CONFIRMED": "magenta",
    "BROKEN": "bold red",
}
FOUND = 1
ABSENT = 3
UNWRITABLE = 4
CANNOT_JUDGE = 125


def register(app: typer.Typer) -> None:
    @app.command()
    def prove(
        only: str = typer.Option("*", "--only", metavar="GLOB", help="Only obligations whose id matches."),
        as_json: bool = typer.Option(False, "--json", help="Print the results as JSON."),
        fresh: bool = typer.Option(False, "--fresh", help="Prove again what is cached in build/prove-cache."),
        smt2: str = typer.Option("", "--smt2", metavar="DIR", help="Write every goal there as SMT-LIB 2."),
        jobs: int = typer.Option(0, "--jobs", "-j", min=0, help="Processes; 0 means one for each processor."),
        counterexamples: bool = typer.Option(
            False, "--counterexamples", help="Draw the counterexamples of recorded findings too."
        ),
        coverage: bool = typer.Option(
            False,
            "--coverage",
            help="Prove nothing: list by which obligation each clause about state is held.",
        ),
    ) -> None:
        """Prove the model: every obligation, each with a planted bug it must refute."""
        if coverage:
            raise typer.Exit(show_coverage(as_json))
        raise typer.Exit(run(only, as_json, fresh, Path(smt2) if smt2 else None, jobs, counterexamples))


def run(only: str, as_json: bool, fresh: bool, smt2: Path | None, jobs: int, counterexamples: bool) -> int:
    """The command without its parser; returns the exit status."""
    try:
        from netmap_proofs import suite
        from netmap_proofs.obligation import GREEN, NOT_CONFIRMED
    except ModuleNotFoundError as error:
        if error.name != "z3":
            raise
        raise UserError("prove needs the z3 solver: pip install 'netmap-verify[prove]'", ABSENT) from None
    chosen = suite.select(only)
    if not chosen:
        raise UserError(f"no obligation matches '{only}' (netmap-verify prove --json lists all ids)", 2)
    try:
        with _progress(len(chosen), quiet=as_json) as told:
            results = suite.prove(chosen, fresh=fresh, smt2=smt2, jobs=jobs or os.cpu_count() or 1, told=told)
    except OSError as error:
        raise UserError(f"cannot write to {smt2}: {error.strerror}", UNWRITABLE) from None
    if as_json:
        typer.echo(json.dumps({"obligations": [r.to_json() for r in results]}, indent=2))
    else:
        show(results, counterexamples)
    bad = {r.verdict for r in results} - GREEN
    if not bad:
        return 0
    return CANNOT_JUDGE if bad == {NOT_CONFIRMED} else FOUND


def show_coverage(as_json: bool) -> int:
    """Every MUST clause about state: its obligations, or why it is only tested. 1 when one has neither."""
    try:
        from netmap_proofs.covered import coverage
        from netmap_proofs.obligations import load
    except ModuleNotFoundError as error:
        if error.name != "z3":
            raise
        raise UserError("prove needs the z3 solver: pip install 'netmap-verify[prove]'", ABSENT) from None
    found, gaps, idle = coverage(load().values())
    if as_json:
        rows = [
            {"clause": c.clause.id, "obligations": list(c.obligations), "reason": c.reason} for c in found
        ]
        typer.echo(json.dumps({"clauses": rows, "gaps": [f"{g.clause}: {g.what}" for g in gaps]}, indent=2))
        return FOUND if gaps else 0
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, 140)
    table = Table(title="MUST clauses about state", title_justify="left", header_style="bold")
    table.add_column("clause", no_wrap=True)
    table.add_column("held by", overflow="fold")
    for c in found:
        table.add_row(c.clause.id, ", ".join(c.obligations) or f"[dim]tested only: {c.reason}[/]")
    console.print(table)
    for gap in (*gaps, *idle):
        console.print(f"{gap.clause}: {gap.what}", markup=False, highlight=False, soft_wrap=True)
    proved = sum(bool(c.obligations) for c in found)
    console.print(f"{len(found)} clauses, {proved} proved, {sum(bool(c.reason) for c in found)} tested only")
    return FOUND if gaps else 0


class _progress:
    """A line on a terminal while proofs run; nothing where nobody looks."""

    def __init__(self, total: int, quiet: bool) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)
        self.total = total
        self.seen = 0
        self.status = self.console.status("proving") if self.console.is_terminal and not quiet else None

    def __enter__(self) -> Any:
        if self.status is not None:
            self.status.start()
        return self.told

    def __exit__(self, *_: object) -> None:
        if self.status is not None:
            self.status.stop()

    def told(self, result: Result) -> None:
        self.seen += 1
        if self.status is not None:
            self.status.update(f"proving: {self.seen} of {self.total}, last {result.id}")


# --- the table ----------------------------------------------------------------------------------


def show(results: list[Result], counterexamples: bool) -> None:
    """The table, then every counterexample that was not expected (all of them on request)."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, 120)  # a file has no edge
    table = Table(title="Obligations", title_justify="left", header_style="bold")
    table.add_column("obligation", overflow="fold")
    for column in ("verdict", "control", "finding"):
        table.add_column(column, no_wrap=True)
    for column in ("paths", "cases", "seconds"):
        table.add_column(column, justify="right")
    for r in results:
        table.add_row(
            r.id,
            f"[{COLOURS[r.verdict]}]{r.verdict}[/]",
            r.control["verdict"],
            r.finding or "",
            str(r.paths),
            str(sum(r.cases.values()) or ""),
            "cached" if r.cached else f"{r.seconds:.2f}",
        )
    console.print(table)
    for r in results:
        for reason in r.reasons:
            console.print(f"{r.id}: {reason}", markup=False, highlight=False, soft_wrap=True)
        if r.verdict == "REFUTED" or counterexamples:
            for found in r.counterexamples:
                console.print("\n".join(describe(r.id, found)), markup=False, highlight=False, soft_wrap=True)
    counts = {v: sum(r.verdict == v for r in results) for v in COLOURS}
    console.print(", ".join(f"{n} {v}" for v, n in counts.items() if n), highlight=False)


def describe(id: str, found: dict[str, Any]) -> Iterator[str]:
    """One counterexample in lines: the goal, the values, each call, and the ring before and after."""
    yield ""
    yield f"{id}: not {found['goal']}" + (f" ({found['detail']})" if found["detail"] else "")
    if found["values"]:
        yield "  " + "  ".join(f"{name}={value}" for name, value in found["values"].items())
    for line in found.get("schedule", {}).get("lines", []):
        yield f"  {line}"
    for call in found["calls"]:
        yield f"  {call['function']} -> {_short(call['result'])}"
        for title, picture in pictures(call):
            yield f"  {title}"
            yield from ("    " + line for line in picture.to_text().splitlines())


def _short(value: Any) -> str:
    if isinstance(value, dict) and "type" in value:
        inner = ", ".join(f"{k}={_short(v)}" for k, v in value.items() if k != "type")
        return f"{value['type']}({inner})"
    if isinstance(value, list):
        return "[" + ", ".join(_short(v) for v in value) + "]"
    return str(value)


# --- pictures -----------------------------------------------------------------------------------

KRING = ("hwcur", "rhead", "rcur", "rtail", "hwtail")
USER = ("head", "cur", "tail")


def _find(value: Any, kind: str) -> dict[str, Any] | None:
    """The first object of a type, at any depth."""
    if isinstance(value, dict):
        if value.get("type") == kind:
            return value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            found = _find(each, kind)
            if found is not None:
                return found
    return None


def pictures(call: dict[str, Any]) -> Iterator[tuple[str, RingPicture]]:
    """The ring before and after a call that has a kring among its arguments."""
    before, words = _find(call["arguments"], "Kring"), _find(call["arguments"], "UserRing")
    after, stored = _find(call["result"], "Kring"), _find(call["result"], "UserRing") or words
    if (before, words) == (after, stored):
        after = None  # one picture says it all
    for title, kring, user in (("before", before, words), ("after", after, stored)):
        if kring is not None and kring.get("n", 0) >= 1 and "hwtail" in kring:
            marks = {name: kring[name] for name in KRING}
            marks |= {name: user[name] for name in USER} if user else {}
            yield title, RingPicture(call["function"], kring["n"], marks)

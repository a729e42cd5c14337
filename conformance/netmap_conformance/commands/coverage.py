"""``netmap-verify coverage``: how much of source and model is held by clauses and scenarios.

``--sources``   every line of the generation's source document against the clauses that cite it; of generation
                14 every name of the headers, and every revision of the history
``--rules``     every rule of the model: do the scenarios fire it?
``--knockout``  every rule of the model, deleted from a copy: does a scenario about its clause fail?
``--branches``  every branch of the 2011 model's code: does a scenario take it?

Exit status: 0 when everything asked for is complete; 1 when something is not; 2 for a wrong option, list or
document.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import FOUND, UserError

if TYPE_CHECKING:
    from netmap_spec.clauses.symbols import Cited

    from ..coverage.history import Mapped
    from ..coverage.sources import Covered

#: Entries of a list that a terminal shows.
SHOWN = 20


def register(app: typer.Typer) -> None:
    @app.command()
    def coverage(
        sources: bool = typer.Option(False, "--sources", help="Lines of the source against clauses."),
        rules: bool = typer.Option(False, "--rules", help="Rules that the scenarios fire."),
        knockout: bool = typer.Option(False, "--knockout", help="Delete each rule; a scenario must fail."),
        branches: bool = typer.Option(False, "--branches", help="Branches of the 2011 model's code."),
        generation: str = typer.Option("2011", "--generation", "-g", help="2011 or 14."),
        source: list[str] = typer.Option(  # noqa: B008  (typer's way)
            [], "--source", metavar="DOCUMENT=FILE", help="A source document at hand."
        ),
        only: str = typer.Option("*", "--only", metavar="GLOB", help="Only rules whose id matches."),
        recordings: bool = typer.Option(False, "--recordings", help="Count what recordings fire as well."),
        write: bool = typer.Option(False, "--write", help="Keep which lines of the source do nothing."),
        every: bool = typer.Option(False, "--list", help="Show every revision and name, not only gaps."),
        as_json: bool = typer.Option(False, "--json", help="Print the result as JSON."),
    ) -> None:
        """Measure how much is covered: source lines, rules, and rules whose deletion is noticed."""
        if [sources, rules, knockout, branches].count(True) != 1:
            raise UserError("coverage wants one of --sources, --rules, --knockout and --branches")
        if generation not in ("2011", "14"):
            raise UserError(f"there is no generation '{generation}': 2011 or 14")
        if sources:
            complete, document = source_coverage(generation, source, write, every, as_json)
        elif branches:
            complete, document = branch_coverage(generation, as_json)
        elif rules:
            complete, document = rule_coverage(generation, only, recordings, as_json)
        else:
            complete, document = knocked_out(generation, only, as_json)
        if as_json:
            typer.echo(json.dumps(document, indent=2))
        raise typer.Exit(0 if complete else FOUND)


# --- sources ------------------------------------------------------------------------------------


def source_coverage(
    generation: str, given: list[str], write: bool, every: bool, quiet: bool
) -> tuple[bool, dict[str, Any]]:
    """The document of a generation; 14 has its headers and a history instead of one document."""
    from ..coverage import history
    from ..coverage import sources as lines

    document = lines.DOCUMENTS.get(generation, history.DOCUMENT)
    path = bound(document, given)
    if document == history.DOCUMENT:
        if write:
            raise UserError("--write keeps the lines of generation 2011's document; 14 has none")
        return headers_and_history(path, every, quiet)
    if write:
        if path is None:
            raise UserError(f"--write needs the text: --source '{document}=FILE'")
        lines.store(generation, lines.read(document, path))
    found = lines.coverage(generation, path)
    if not quiet:
        show_sources(found)
    return found.complete, found.to_json()


def headers_and_history(path: Path | None, every: bool, quiet: bool) -> tuple[bool, dict[str, Any]]:
    """Every name of the API 14 headers, and every revision of the history, against the clauses."""
    from netmap_spec.clauses import ClauseError, symbols

    from ..coverage import history
    from ..errors import read_file

    try:
        cited = symbols.cited()
    except ClauseError as error:
        raise UserError(str(error)) from None
    mapped = history.compare(read_file(path) if path else None, history.table())
    if not quiet:
        show_symbols(cited, every)
        show_history(mapped, path, every)
    complete = cited.complete and mapped.complete
    document = {
        "generation": symbols.GENERATION,
        "symbols": symbols_json(cited),
        "history": mapped.to_json(),
        "complete": complete,
    }
    return complete, document


def bound(document: str, given: list[str]) -> Path | None:
    """The file that a ``DOCUMENT=FILE`` binds to a document, by its full name or its first word."""
    found: Path | None = None
    for text in given:
        name, equals, file = text.partition("=")
        if not equals or not file:
            raise UserError(f"--source {text}: not DOCUMENT=FILE")
        if name not in (document, document.split()[0]):
            raise UserError(f"--source {name}: this generation's document is '{document}'")
        found = Path(file)
    return found


def show_sources(found: Covered) -> None:
    """One line of figures, then what is missing."""
    from ..coverage.lines import ranges

    done = len(found.behaviour) - len(found.uncovered)
    listed = sum(len(entry.numbers) for entry in found.listed)
    typer.echo(
        f"{found.lines.document}: {found.lines.count} lines, {len(found.lines.mechanical)} without "
        f"behaviour, {listed} listed with a reason; {done} of {len(found.behaviour)} others are in the range "
        f"of one of {found.clauses} clauses ({found.percent:.1f} %)"
    )
    if found.uncovered:
        typer.echo(f"not covered: {ranges(found.uncovered)}")
    for clause, count in found.long:
        typer.echo(f"too long: {clause} spans {count} lines")
    for problem in found.problems:
        typer.echo(problem)


def symbols_json(cited: Cited) -> dict[str, Any]:
    """Every name of the headers with the clauses that cite it, or the reason why none does."""
    return {
        "symbols": len(cited.symbols),
        "cited": sum(bool(ids) for ids in cited.clauses.values()),
        "listed": len(cited.reasons),
        "missing": [s.name for s in cited.missing],
        "problems": cited.problems,
        "complete": cited.complete,
        "entries": [
            {
                "symbol": s.name,
                "kind": s.kind,
                "header": s.header,
                "clauses": cited.clauses[s.name],
                "reason": cited.reasons.get(s.name, ""),
            }
            for s in cited.symbols.values()
        ],
    }


def show_symbols(cited: Cited, every: bool) -> None:
    count = sum(bool(ids) for ids in cited.clauses.values())
    typer.echo(
        f"headers of API 14: {count} of {len(cited.symbols)} names in clauses "
        f"({len(cited.only('abi'))} of them only in area abi), "
        f"{len(cited.reasons)} listed with a reason, {len(cited.missing)} missing"
    )
    if every:
        for name, ids in cited.clauses.items():
            typer.echo(f"  {name:<48} {', '.join(ids) or cited.reasons.get(name, 'MISSING')}")
    for symbol in [] if every else cited.missing[:SHOWN]:
        typer.echo(f"in no clause: {symbol.name} ({symbol.kind})")
    more(len(cited.missing) - SHOWN, every)
    for problem in cited.problems:
        typer.echo(problem)


def show_history(mapped: Mapped, path: Path | None, every: bool) -> None:
    from ..coverage import history

    whence = "" if path else f" (without the text: --source '{history.DOCUMENT}=FILE')"
    done = len(mapped.ids) - len(mapped.unmapped)
    typer.echo(f"{history.DOCUMENT}: {done} of {mapped.count} revisions mapped{whence}")
    if every:
        for row in mapped.to_json()["entries"]:
            typer.echo(f"  {row['revision']} {row['date']} {row['about']}")
            for clause in row["clauses"]:
                rules, scenarios = history.tested((clause,))
                typer.echo(f"    {clause}: {len(rules)} rules; scenarios {', '.join(scenarios) or 'none'}")
            if row["reason"]:
                typer.echo(f"    {row['reason']}")
    for revision in mapped.unmapped[:SHOWN]:
        typer.echo(f"not mapped: {revision}")
    more(len(mapped.unmapped) - SHOWN, False)
    for problem in mapped.problems:
        typer.echo(problem)


def more(count: int, shown: bool) -> None:
    """One line for what a list left out."""
    if count > 0 and not shown:
        typer.echo(f"… and {count} more (--json lists all)")


# --- rules --------------------------------------------------------------------------------------


def rule_coverage(generation: str, only: str, recordings: bool, quiet: bool) -> tuple[bool, dict[str, Any]]:
    """Every rule of the generation, and how often the scenarios fired it."""
    from ..coverage import rules

    found = rules.measure(generation, only, recordings)
    if not quiet:
        typer.echo(
            f"generation {generation}: {len(found.fired)} of {len(found.rules)} rules fired by "
            f"{found.runs} runs of scenarios{' and recordings' if recordings else ''}"
        )
        for rule in found.gaps:
            typer.echo(f"never fired: {rule.id} ({rule.clause})")
        for rule in found.listed:
            typer.echo(f"listed: {rule.id}: {found.excused[rule.id]}")
    return not found.gaps, found.to_json()


def branch_coverage(generation: str, quiet: bool) -> tuple[bool, dict[str, Any]]:
    """The branches of the model's code that no scenario takes."""
    from ..coverage import branches

    if generation != branches.GENERATION:
        raise UserError(f"branches are measured for generation {branches.GENERATION}")
    found = branches.measure()
    if not quiet:
        typer.echo(
            f"generation {generation}: {found.taken} of {found.total} branches taken, "
            f"{len(found.listed)} listed as unreachable ({found.percent:.1f} %)"
        )
        for branch in found.missing:
            typer.echo(f"not taken: {branch.file}:{branch.start} -> {branch.end}: {branch.text}")
        for problem in found.problems:
            typer.echo(problem)
    return found.complete, found.to_json()


def knocked_out(generation: str, only: str, quiet: bool) -> tuple[bool, dict[str, Any]]:
    """Every rule deleted from a copy of the model, one at a time."""
    from ..coverage import knockout

    found = knockout.run(generation, only)
    if not quiet:
        typer.echo(found.summary())
        for entry in found.survivors:
            typer.echo(f"survived: {entry.rule} ({entry.clause}): {entry.reason}")
    return not found.survivors, found.to_json()

"""``netmap-verify explain``: a clause, rule, deviation or finding, a name of netmap's headers, or a log line.

Exit status: 0 when it could be explained; 2 for an id nobody knows or text that is no complaint of
netmap's.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from ..logline import Diagnosis
    from ..report.findings import Found
    from ..report.matrix import Row


def register(app: typer.Typer) -> None:
    @app.command(no_args_is_help=False)
    def explain(
        subject: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[ID | LOG LINE]",
                help="A clause (14.ring.tx-window), rule, deviation or finding, a name of netmap's headers "
                "(NS_MOREFRAG, netmap_ring.head), or a line of the kernel's log; without it, log lines are "
                "read from standard input.",
            ),
        ] = None,
        slots: int = typer.Option(0, "--slots", min=0, help="Slots of the ring in the log line, if known."),
        svg: str = typer.Option("", "--svg", metavar="FILE", help="Write the ring of the log line as SVG."),
        every: bool = typer.Option(False, "--list", help="List every clause."),
        as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    ) -> None:
        """Say what a clause means, or what a line of the kernel's log is about."""
        text = " ".join(subject or []).strip()
        if every:
            _list(as_json)
        elif text and " " not in text:
            _explain_id(text, as_json)
        elif text:
            _explain_log([text], slots, svg, as_json)
        elif sys.stdin.isatty():
            raise UserError("explain needs a clause id or a log line (netmap-verify explain --list)")
        else:
            _explain_log(sys.stdin.read().splitlines(), slots, svg, as_json)


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 100
    return console


# --- ids ----------------------------------------------------------------------------------------


def _list(as_json: bool) -> None:
    from netmap_spec import clauses

    found = clauses.load()
    if as_json:
        typer.echo(json.dumps([{"id": c.id, "level": c.level, "title": c.title} for c in found.values()]))
        return
    wide = max(len(i) for i in found)
    for clause in found.values():
        typer.echo(f"{clause.id:<{wide}}  {clause.level:<22}  {clause.title}")


def _explain_id(name: str, as_json: bool) -> None:
    from ..report import findings, matrix

    if name.upper() in findings.load():
        _show_finding(findings.load()[name.upper()], as_json)
        return
    if _explain_name(name, as_json):
        return
    rows = {row.clause.id: row for row in matrix.rows()}
    rule = matrix.rules().get(name)
    by_switch = [row for row in rows.values() if name in (d.split()[0] for d in row.clause.deviations)]
    if name in rows:
        chosen = [rows[name]]
    elif rule is not None and rule.clause in rows:
        chosen = [rows[rule.clause]]
    elif by_switch:
        chosen = by_switch
    else:
        raise UserError(_unknown(name, [*rows, *matrix.rules(), *findings.load()]))
    if as_json:
        typer.echo(json.dumps([_row_json(row) for row in chosen], indent=2))
        return
    console = _console()
    if rule is not None:
        about = f"rule {rule.id} ({rule.source})" + (f", deviation {rule.switch}" if rule.switch else "")
        console.print(f"{about} implements:", markup=False, soft_wrap=True)
    elif by_switch and name not in rows:
        console.print(f"{name} is a deviation from:", markup=False)
    for row in chosen:
        _show(console, row)


def _explain_name(name: str, as_json: bool) -> bool:
    """The clauses about a name of netmap's headers; was it one? ``head`` is every member called so."""
    from netmap_spec import clauses
    from netmap_spec.clauses import symbols

    cited = symbols.cited()
    chosen = [s for s in cited.symbols.values() if name in (s.name, s.short)]
    if as_json and chosen:
        found = [
            {
                "symbol": s.name,
                "kind": s.kind,
                "header": s.header,
                "clauses": cited.clauses[s.name],
                "reason": cited.reasons.get(s.name, ""),
            }
            for s in chosen
        ]
        typer.echo(json.dumps(found, indent=2))
    for s in [] if as_json else chosen:
        where = f"{s.kind}, {s.header}" if s.header else s.kind
        typer.echo(f"{s.name} ({where}): netmap-verify abi {s.name.split('.')[0]}")
        for clause in cited.clauses[s.name]:
            typer.echo(f"  {clause:<32} {clauses.load()[clause].title}")
        if s.name in cited.reasons:
            typer.echo(f"  in no clause: {cited.reasons[s.name]}")
    return bool(chosen)


def _show_finding(found: Found, as_json: bool) -> None:
    from rich.markdown import Markdown
    from rich.padding import Padding
    from rich.text import Text

    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return
    console = _console()
    console.print()
    console.print(Text.assemble((found.id, "bold"), "  ", found.title))
    console.print(Padding(Markdown(found.text), (1, 2)))


def _unknown(name: str, known: list[str]) -> str:
    """One line with the nearest ids: by spelling of the whole, of the last part, or by a word in them."""
    near = get_close_matches(name, known, n=3, cutoff=0.6)
    last = {k.rsplit(".", 1)[-1]: k for k in known if "/" not in k}
    near += [last[m] for m in get_close_matches(name.rsplit(".", 1)[-1], list(last), n=3, cutoff=0.6)]
    near += [k for k in known if name.lower() in k]
    hint = ", ".join(list(dict.fromkeys(near))[:3])
    more = f"did you mean {hint}?" if hint else "netmap-verify explain --list has them all"
    return f"no clause '{name}'; {more}"


def _row_json(row: Row) -> dict[str, Any]:
    clause = asdict(row.clause)
    return {
        **clause,
        "rules": [asdict(r) for r in row.rules],
        "proofs": [asdict(p) for p in row.proofs],
        "scenarios": [{"id": s.id, "clauses": s.clauses, "title": s.title} for s in row.scenarios],
        "mutants": _mutants(row.clause.id),
    }


def _mutants(clause: str) -> list[dict[str, Any]]:
    """The mutants that break this clause, from the last ``teeth`` run in this folder."""
    from ..report.results import load

    teeth = load("teeth")
    return [] if teeth is None else [m for m in teeth["mutants"] if m["clause"] == clause]


def _show(console: Console, row: Row) -> None:
    from rich.markdown import Markdown
    from rich.padding import Padding
    from rich.text import Text

    clause = row.clause
    console.print()
    console.print(Text.assemble((clause.id, "bold"), "  ", clause.title))
    console.print(f"{clause.level}, binds the {clause.binds}, about {clause.about}", style="dim")
    console.print(Padding(Markdown(clause.text), (1, 2)))
    sections: list[tuple[str, list[tuple[str, str]]]] = [
        ("sources", [(s, "") for s in clause.sources]),
        ("deviations as written", [(d, "") for d in clause.deviations]),
        ("rules of the model", [(r.id, f"deviation {r.switch}" if r.switch else "") for r in row.rules]),
        ("proofs", [(p.id, p.statement) for p in row.proofs]),
        ("scenarios", [(s.id, s.title) for s in row.scenarios]),
        ("mutants", [(m["id"], m["status"]) for m in _mutants(clause.id)]),
    ]
    for title, entries in sections:
        if entries or title in ("rules of the model", "scenarios"):
            console.print(title if entries else f"{title}: none", style="bold" if entries else "dim")
        for name, more in entries:
            console.print(Text.assemble("  ", name, ("  " + more if more else "", "dim")), soft_wrap=True)


# --- log lines ----------------------------------------------------------------------------------


def _explain_log(lines: list[str], slots: int, svg: str, as_json: bool) -> None:
    from .. import logline

    told: list[dict[str, Any]] = []
    seen: set[str] = set()
    last: Diagnosis | None = None
    console = _console()
    for line in lines:
        complaint = logline.parse(line)
        remark = None if complaint else logline.other(line)
        if complaint is not None:
            try:
                last = logline.diagnose(complaint, slots or None)
            except ValueError as error:
                raise UserError(str(error)) from None
            told.append(_diagnosis_json(last))
            if not as_json:
                _show_diagnosis(console, last)
        elif remark is not None:
            clause, words = remark
            told.append({"clause": clause, "text": [words]})
            if not as_json and words not in seen:
                console.print()
                console.print(words, markup=False)
                console.print(f"clause {clause}", style="dim")
            seen.add(words)
    if not told:
        raise UserError(
            "no complaint of netmap in that text; expected a line like: nm_txsync_prologue vale0:a TX0: "
            "fail '…' h 64 c 64 t 63 rh 0 rc 0 rt 63 hc 0 ht 63"
        )
    if svg:
        _write_svg(svg, last)
    if as_json:
        typer.echo(json.dumps(told, indent=2))


def _write_svg(path: str, last: Diagnosis | None) -> None:
    from pathlib import Path

    from ..errors import write_file

    if last is None:
        raise UserError("no ring to draw: no line of a refused sync in that text")
    write_file(Path(path), last.picture.to_svg() + "\n")


def _diagnosis_json(found: Diagnosis) -> dict[str, Any]:
    return {
        "complaint": asdict(found.complaint),
        "slots": found.slots,
        "slots_why": found.slots_why,
        "rule": found.rule,
        "clause": found.clause,
        "text": list(found.text),
        "picture": found.picture.to_text(),
    }


def _show_diagnosis(console: Console, found: Diagnosis) -> None:
    from netmap_spec import clauses

    console.print()
    console.print(found.picture.to_text(min(console.width, 120)), markup=False, soft_wrap=True)
    console.print()
    for sentence in found.text:
        console.print(sentence, markup=False)
    if found.slots_why != "given":
        text = f"The line does not say how large the ring is; {found.slots} slots: {found.slots_why}."
        console.print(text + " Give --slots if that is wrong.", style="dim", markup=False)
    clause = clauses.load().get(found.clause)
    title = f": {clause.title}" if clause else ""
    rule = f", rule {found.rule}" if found.rule else ""
    console.print(f"broken: {found.clause}{title}{rule}", style="bold", markup=False, soft_wrap=True)

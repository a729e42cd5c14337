"""``netmap-verify abi``: the measured layouts, what changed between two, and are they still true?

``abi``                the versions, how much each has, and which versions its kernels take
``abi NAME``           one structure, constant or request; ``--version VERSION@TARGET`` chooses whose
``abi --history``      what changed from each version to the next; with a NAME, only what is about it
``abi --diff A B``     what changed from one version or target to another
``abi --check``        compile the assertions, and FreeBSD's own headers against them

Exit status: 0; 1 when ``--diff`` finds a difference, or ``--check`` a header that disagrees or a stale
generated file; 2 for an unknown version, structure or target; 3 when ``--check`` has no compiler.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import typer

from ..errors import ABSENT, FOUND, UserError

if TYPE_CHECKING:
    from netmap_spec.abi import Difference, Layout

#: Columns where the output is no terminal, so that nothing is folded that a program reads.
IN_A_PIPE = 240


def register(app: typer.Typer) -> None:
    @app.command()
    def abi(
        name: str = typer.Argument("", metavar="[STRUCT | CONSTANT]", help="Without it: what is measured."),
        version: str = typer.Option("14", "--version", "-v", help="VERSION or VERSION@TARGET."),
        diff: tuple[str, str] = typer.Option(
            ("", ""), "--diff", "--compare", metavar="A B", help="What changed from one version to another."
        ),
        history: bool = typer.Option(False, "--history", help="What changed from version to version."),
        check: bool = typer.Option(False, "--check", help="Compile the assertions, and FreeBSD's headers."),
        as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    ) -> None:
        """Show, compare or check the layout of what netmap shares with applications."""
        from netmap_spec.abi import AbiError

        if [any(diff), history, check].count(True) > 1 or (name and (any(diff) or check)):
            raise UserError(
                "abi wants one of NAME, --diff, --history and --check (--history may have a NAME)"
            )
        try:
            if check:
                _check(as_json)
            elif any(diff):
                _diff(*diff, as_json)
            elif history:
                _history(name.removeprefix("struct "), as_json)
            elif name:
                _one(name.removeprefix("struct "), version, as_json)
            else:
                _versions(as_json)
        except AbiError as error:
            raise UserError(str(error)) from None


def _table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()
) -> None:
    """Print a table; ``right`` names the columns of numbers. Nothing is cut."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else IN_A_PIPE
    Console(highlight=False, markup=False, width=width).print(table)


# --- what there is --------------------------------------------------------------------------------


def _versions(as_json: bool) -> None:
    from netmap_spec.abi import GENERATIONS, TARGETS, tables
    from netmap_spec.abi.accepted import REQUESTS, accepted
    from netmap_spec.abi.measured import stem

    generations = {key: generation for generation, key in GENERATIONS.items()}
    found = [
        {
            "version": key,
            "generation": generations.get(key, ""),
            "api": table["api"],
            "structs": len(table["structs"]),
            "constants": len(table["constants"]),
            "ioctls": len(table["ioctls"]["linux"]),
            "takes": {r: row.words for r in REQUESTS if (row := accepted(key, r))},
            "source": table["source"],
            "views": f"{stem(key)}.py",
            "assertions": f"abi_assert_{stem(key)}.h",
        }
        for key, table in tables().items()
    ]
    if as_json:
        typer.echo(json.dumps({"versions": found, "targets": TARGETS}, indent=2))
        return
    columns = (
        *("version", "API", "structures", "constants", "ioctls"),
        *("NIOCREGIF takes", "NIOCCTRL takes", "measured from"),
    )
    _table(
        "",
        columns,
        [
            (
                each["version"] + (f" (generation {each['generation']})" if each["generation"] else ""),
                "-" if each["api"] is None else str(each["api"]),
                *(str(each[k]) for k in ("structs", "constants", "ioctls")),
                *(each["takes"].get(request, "-") for request in REQUESTS),
                each["source"].split(" author-date")[0],
            )
            for each in found
        ],
        right=("API", "structures", "constants", "ioctls"),
    )
    typer.echo(f"each on {', '.join(TARGETS)}")


def _values(measured: Layout) -> dict[str, Any]:
    values: dict[str, Any] = {**measured.constants, **measured.strings}
    for system, codes in measured.ioctls.items():
        values.update({f"{code} ({system})": value for code, value in codes.items()})
    return values


def _one(name: str, version: str, as_json: bool) -> None:
    from netmap_spec.abi import layout

    measured = layout(version)
    where = {"version": measured.version, "target": measured.target}
    if name in measured.structs:
        struct = measured.structs[name]
        if as_json:
            typer.echo(json.dumps({**where, **asdict(struct)}, indent=2))
            return
        typer.echo(f"struct {name}: {struct.size} bytes, aligned to {struct.align}")
        typer.echo(f"{measured.version} on {measured.target}, {struct.header}")
        rows = [
            (str(f.offset), str(f.size), f"{f.ctype}{f'[{f.count or str()}]' if f.array else ''}", f.name)
            for f in struct.fields
        ]
        _table("", ("offset", "bytes", "type", "member"), rows, right=("offset", "bytes"))
        return
    values = _values(measured)
    chosen = {k: v for k, v in values.items() if k == name or k.startswith(f"{name} (")}
    if not chosen:
        raise UserError(f"{measured.version} has no '{name}'{_near(name, measured)}")
    if as_json:
        typer.echo(json.dumps({**where, "values": chosen}, indent=2))
        return
    for key, value in chosen.items():
        typer.echo(f"{key} = {value:#x}" if isinstance(value, int) else f"{key} = {value!r}")


def _near(name: str, measured: Layout) -> str:
    known = [*measured.structs, *(k.split(" ")[0] for k in _values(measured))]
    near = get_close_matches(name, known, n=3)
    return f"; did you mean {', '.join(dict.fromkeys(near))}?" if near else ""


# --- what changed ---------------------------------------------------------------------------------


def _rows(found: Iterable[Difference]) -> list[tuple[str, str, str, str]]:
    return [(d.kind, d.name, d.left or "-", d.right or "-") for d in found]


def _diff(a: str, b: str, as_json: bool) -> None:
    from netmap_spec.abi import compare

    found = compare(a, b)
    if as_json:
        document = {"left": a, "right": b, "differences": [asdict(d) for d in found]}
        typer.echo(json.dumps(document, indent=2))
    elif found:
        _table("", ("", "name", a, b), _rows(found))
        typer.echo(f"{len(found)} differences")
    else:
        typer.echo(f"{a} and {b} agree")
    raise typer.Exit(FOUND if found else 0)


def _about(name: str, found: Iterable[Difference]) -> list[Difference]:
    """The differences that are about ``name``: a structure, with its members, a constant or a request."""
    return [d for d in found if not name or d.name.split(" ")[0] == name or d.name.startswith(f"{name}.")]


def _history(name: str, as_json: bool) -> None:
    from netmap_spec.abi import compare, layout, tables
    from netmap_spec.abi.measured import SAME

    versions = [v for v in tables() if v not in SAME]
    every = [layout(v) for v in versions]
    if name and not any(name in m.structs or name in {k.split(" ")[0] for k in _values(m)} for m in every):
        raise UserError(f"no version has '{name}'{_near(name, every[-1])}")
    steps = [(a, b, _about(name, compare(a, b))) for a, b in pairwise(versions)]
    if as_json:
        document = [
            {"left": a, "right": b, "differences": [asdict(d) for d in found]} for a, b, found in steps
        ]
        typer.echo(json.dumps({"name": name, "history": document}, indent=2))
        return
    for a, b, found in steps:
        if found:
            _table(f"{a} -> {b}", ("", "name", "before", "after"), _rows(found))
    quiet = [b for _, b, found in steps if not found]
    if quiet:
        typer.echo(f"nothing changed in {', '.join(quiet)}")


# --- is it still true? ----------------------------------------------------------------------------


def _check(as_json: bool) -> None:
    from netmap_spec.abi.check import CompilerMissing, check
    from netmap_spec.abi.generate import stale

    old = [path.name for path in stale()]
    try:
        found = check()
    except CompilerMissing as error:
        raise UserError(str(error), ABSENT) from None
    if as_json:
        typer.echo(json.dumps({"stale": old, "checked": [asdict(c) for c in found]}, indent=2))
    else:
        for name in old:
            typer.echo(f"stale: {name}")
        rows = [(c.verdict, c.target, c.header, "\n".join(c.errors[:10])) for c in found]
        _table("", ("verdict", "target", "header", ""), rows)
    raise typer.Exit(FOUND if old or any(c.verdict != "AGREES" for c in found) else 0)

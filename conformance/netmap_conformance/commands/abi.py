"""``netmap-verify abi``: the measured layouts, what changed between two, and are they still true?

Exit status: 0; 1 when ``--compare`` finds a difference, or ``--check`` a header that disagrees or a stale
generated file; 2 for an unknown version, structure or target; 3 when ``--check`` has no compiler.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any

import typer

from ..errors import ABSENT, FOUND, UserError


def register(app: typer.Typer) -> None:
    @app.command()
    def abi(
        name: str = typer.Argument("", metavar="[STRUCT | CONSTANT]", help="Without it: what is measured."),
        version: str = typer.Option("14", "--version", "-v", help="VERSION or VERSION@TARGET."),
        compare: tuple[str, str] = typer.Option(
            ("", ""), "--compare", metavar="A B", help="What changed from one version to another."
        ),
        check: bool = typer.Option(False, "--check", help="Compile the assertions, and FreeBSD's headers."),
        as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    ) -> None:
        """Show, compare or check the layout of what netmap shares with applications."""
        from netmap_spec.abi import AbiError

        try:
            if check:
                _check(as_json)
            elif any(compare):
                _compare(*compare, as_json)
            elif name:
                _one(name, version, as_json)
            else:
                _versions(as_json)
        except AbiError as error:
            raise UserError(str(error)) from None


def _versions(as_json: bool) -> None:
    from netmap_spec.abi import GENERATIONS, TARGETS, tables

    stems = {key: generation for generation, key in GENERATIONS.items()}
    found = [
        {
            "version": key,
            "generation": stems.get(key, ""),
            "api": table["api"],
            "structs": len(table["structs"]),
            "constants": len(table["constants"]),
        }
        for key, table in tables().items()
    ]
    if as_json:
        typer.echo(json.dumps({"versions": found, "targets": TARGETS}, indent=2))
        return
    for each in found:
        typer.echo(
            f"{each['version']:<24} API {each['api'] if each['api'] is not None else '-':<3} "
            f"{each['structs']:>3} structures, {each['constants']:>3} constants"
            + (f"   generation {each['generation']}" if each["generation"] else "")
        )
    typer.echo(f"each on {', '.join(TARGETS)}")


def _one(name: str, version: str, as_json: bool) -> None:
    from netmap_spec.abi import layout

    measured = layout(version)
    name = name.removeprefix("struct ")
    if name in measured.structs:
        struct = measured.structs[name]
        if as_json:
            where = {"version": measured.version, "target": measured.target}
            typer.echo(json.dumps({**where, **asdict(struct)}, indent=2))
            return
        typer.echo(f"struct {name}: {struct.size} bytes, aligned to {struct.align}")
        typer.echo(f"{measured.version} on {measured.target}, {struct.header}")
        for f in struct.fields:
            shape = f"[{f.count or ''}]" if f.array else ""
            typer.echo(f"  {f.offset:>5}  {f.size:>5}  {f.ctype}{shape} {f.name}")
        return
    values: dict[str, Any] = {**measured.constants, **measured.strings}
    for system, codes in measured.ioctls.items():
        values.update({f"{code} ({system})": value for code, value in codes.items()})
    chosen = {k: v for k, v in values.items() if k == name or k.startswith(f"{name} (")}
    if not chosen:
        known = [*measured.structs, *(k.split(" ")[0] for k in values)]
        near = get_close_matches(name, known, n=3)
        hint = f"; did you mean {', '.join(dict.fromkeys(near))}?" if near else ""
        raise UserError(f"{measured.version} has no '{name}'{hint}")
    if as_json:
        typer.echo(json.dumps(chosen, indent=2))
        return
    for key, value in chosen.items():
        typer.echo(f"{key} = {value:#x}" if isinstance(value, int) else f"{key} = {value!r}")


def _compare(a: str, b: str, as_json: bool) -> None:
    from netmap_spec.abi import compare

    found = compare(a, b)
    if as_json:
        typer.echo(json.dumps([asdict(d) for d in found], indent=2))
    else:
        for difference in found:
            typer.echo(str(difference))
        typer.echo(f"{len(found)} differences" if found else f"{a} and {b} agree")
    raise typer.Exit(FOUND if found else 0)


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
        for c in found:
            typer.echo(f"{c.verdict:<8} {c.target:<20} {c.header}")
            for line in c.errors[:10]:
                typer.echo(f"         {line}")
    raise typer.Exit(FOUND if old or any(c.verdict != "AGREES" for c in found) else 0)

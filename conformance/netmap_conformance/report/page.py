"""The report as one HTML file: no script, style, font or picture is fetched from anywhere."""

from __future__ import annotations

import platform
from collections import defaultdict
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup
from netmap_spec import readiness

from ..coverage import history
from ..drawing import example
from ..drawing.svg import STYLE as RING_STYLE
from ..errors import write_file
from ..picture import RingPicture
from . import book, findings, matrix, plots, steps, summary, view
from .results import Results

TEMPLATES = Path(__file__).parent / "templates"
#: Steps drawn before a finding, and the scenario drawn step by step.
LAST_STEPS = 6
WALK = "pipe-basic"


def write(results: Results, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Write ``index.html`` and ``summary.json`` into ``folder``; the page's path and the summary.

    Raises :class:`~netmap_conformance.errors.UserError` (status 4) when the folder cannot be written.
    """
    import json

    lines = view.lines(matrix.rows(), results)
    told = summary.summarise(results, lines, metadata.version("netmap-verify"))
    write_file(folder / "summary.json", json.dumps(told, indent=2) + "\n")
    for name, document in (("teeth", results.teeth), ("bench", results.bench)):
        if document is not None:
            write_file(folder / f"{name}.json", json.dumps(document, indent=2) + "\n")
    return write_file(folder / "index.html", render(results, lines, told)), told


def render(results: Results, lines: list[view.Line], told: dict[str, Any]) -> str:
    """The page's text."""
    tiles = view.bars(results, lines)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    environment.filters.update(
        markdown=lambda text: Markup(markdown.render(text)),
        prose=lambda clause: book.prose(clause.text, clause.generation, clause),
        source_link=book.source_link,
        source_text=book.source_text,
        svg=lambda picture: Markup(picture.to_svg(style=False)),
        kind=lambda verdict: view.KIND.get(verdict, ""),
        seconds=lambda value: f"{value:.2f} s" if value < 100 else f"{value / 60:.1f} min",
    )
    return environment.get_template("report.html").render(
        told=told,
        results=results,
        style=Markup(RING_STYLE + _asset("style.css") + _asset("book.css")),
        script=Markup(_asset("script.js")),
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        machine=f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        bars=tiles,
        red=view.red(results, tiles),
        columns=view.columns(results),
        short=view.short,
        areas=_areas(lines),
        parts=book.parts(lines),
        structures=book.structures(),
        constants=book.constants(),
        readiness=readiness.load(),
        mentioned=book.mentioned(),
        tested_only=book.tested_only(),
        scenarios=matrix.scenarios(),
        history=history.table().entries,
        figure=example.example(),
        known={line.row.clause.id for line in lines},
        proofs=_proofs(results),
        findings=[_finding(f) for f in view.findings(results)],
        deviations=view.deviations(results),
        known_findings=findings.load(),
        shown_by=_shown_by(results),
        not_modelled=view.not_modelled(results),
        unused=sorted(set(matrix.rules()) - view.rules_used(results)) if _ran(results) else None,
        walk=_walk(),
        plot=Markup(plots.bench_plot(results.bench)) if results.bench else "",
    )


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _ran(results: Results) -> bool:
    return results.check is not None or bool(results.conform)


def _areas(lines: list[view.Line]) -> dict[str, list[view.Line]]:
    """The matrix by generation and area, in the order of the clause files."""
    areas: dict[str, list[view.Line]] = defaultdict(list)
    for line in lines:
        clause = line.row.clause
        areas[f"{clause.generation} {clause.area}"].append(line)
    return areas


def _proofs(results: Results) -> list[dict[str, Any]]:
    """Every obligation with what was found about it; one that was not run has no verdict."""
    from ..commands.prove import pictures

    blank: dict[str, Any] = {"statement": "", "bounds": "", "verdict": "", "finding": "", "paths": ""}
    blank |= {"seconds": None, "control": None, "drawn": []}
    proved = (results.prove or {"obligations": []})["obligations"]
    found = []
    for each in proved:
        drawn = []
        for shown in each.get("counterexamples", ()):
            rings: list[tuple[str, RingPicture]] = []
            for call in shown.get("calls", ()):
                rings += [(f"{call['function']}, {title}", p) for title, p in pictures(call)]
            drawn.append({"values": {}, "schedule": None, **shown, "rings": rings})
        found.append({**blank, **each, "drawn": drawn})
    ran = {each["id"] for each in proved}
    waiting = [p for p in matrix.proofs() or () if p.id not in ran]
    return found + [{**blank, "id": p.id, "clauses": p.clauses, "statement": p.statement} for p in waiting]


def _shown_by(results: Results) -> dict[str, list[str]]:
    """Finding id -> the obligations that show it."""
    shown: dict[str, list[str]] = defaultdict(list)
    for each in (results.prove or {"obligations": []})["obligations"]:
        if each["finding"]:
            shown[each["finding"]].append(each["id"])
    return shown


def _finding(found: view.Finding) -> dict[str, Any]:
    before = [steps.picture_of(p) for p in found.before]
    after = [steps.picture_of(p) for p in found.after]
    trail = steps.load_steps(found.trace, LAST_STEPS, found.step) if found.trace else []
    return {"f": found, "before": before, "after": after, "trail": trail}


def _walk() -> dict[str, Any]:
    """One scenario run on the model, drawn step by step: what the pictures of findings look like."""
    from ..manifest import Manifest
    from ..runner import run
    from ..scenarios import load
    from ..targets import open_target

    scenario = load("14", WALK)[0]
    manifest = Manifest(name="reference", target="reference")
    target = open_target("reference", manifest)
    try:
        trace, _ = run(target, scenario, manifest, build=None)
    finally:
        target.stop()
    drawn = [s for s in steps.steps(trace) if s.rings]
    return {"id": WALK, "title": scenario.header.title, "text": scenario.header.text, "steps": drawn}

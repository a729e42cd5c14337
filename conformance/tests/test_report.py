"""The report: one page that shows everything that was found, and says what was not run."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from netmap_conformance.cli import main
from netmap_conformance.picture import ring_picture
from netmap_conformance.report import book, findings, matrix, plots, view
from netmap_conformance.report.results import load, load_all
from netmap_conformance.report.steps import steps
from netmap_conformance.trace import Call, Header, Return, See, Trace, write
from netmap_spec import clauses, schemas

CLAUSE = "14.ring.tail-published"
VOID = {"meta", "link", "br", "input", "img", "hr", "path", "rect"}


class Page(HTMLParser):
    """A strict look at HTML: balanced elements, ids, links, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.text = ""
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "a":
            assert "a" not in self.open, "a link in a link"
            self.links.append(str(given["href"]))
        if tag in ("link", "img", "iframe") or "src" in given:
            self.fetched.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data


def ring(**marks: int) -> dict[str, Any]:
    return asdict(ring_picture("A tx0", 8, marks, [(2 + i, 60, 0) for i in range(8)]))


def results(folder: Path, trace: str = "") -> Path:
    """A run in which something of every kind happened."""
    finding = {
        "kind": "VIOLATION",
        "clause": CLAUSE,
        "step": 3,
        "op": "txsync A",
        "allowed": "tail 7",
        "seen": "tail <6>",
        "before": [ring(head=3, cur=3, tail=7)],
        "after": [ring(head=3, cur=3, tail=6)],
    }
    deviation = {**finding, "kind": "DEVIATION", "deviation": "14.reinit-trusts-user"}
    missing = {**finding, "kind": "NOT_MODELLED", "clause": "", "reason": "VALE switches"}
    scenario = next(s for s in matrix.scenarios() if s.clauses)
    used = sorted(matrix.rules())[:5]
    documents: dict[str, Any] = {
        "prove": {"obligations": [obligation("14.x.good", "PROVED"), obligation("14.x.bad", "REFUTED")]},
        "conform-mine": {
            "target": "mine",
            "scenarios": [
                {"id": scenario.id, "clauses": list(scenario.clauses), "verdict": "PASS", "reason": ""},
                {
                    "id": "broken",
                    "clauses": [CLAUSE],
                    "verdict": "VIOLATION",
                    "reason": "tail",
                    "findings": [finding],
                    "trace": trace,
                },
            ],
        },
        "check": {
            "files": [
                recording("a.jsonl", "DEVIATION", [deviation], used),
                recording("b.jsonl", "INCONCLUSIVE", [missing], used[:1]),
            ]
        },
        "diff": {
            "left": "reference",
            "right": "mine",
            "scenarios": [
                {"id": "same", "verdict": "SAME", "reason": "", "differences": []},
                {
                    "id": "differs",
                    "verdict": "DIFFERENT",
                    "reason": "tails",
                    "differences": [{"step": 1, "op": "txsync A", "what": "tail", "left": 7, "right": 6}],
                },
            ],
        },
        "teeth": {
            "mutants": [
                {"id": "m1", "clause": CLAUSE, "status": "killed", "by": ["broken"], "reason": ""},
                {"id": "m2", "clause": CLAUSE, "status": "survived", "by": [], "reason": "nobody looked"},
            ]
        },
        "bench": {
            "machine": {"system": "any", "cpu": "any", "cpus": 2, "python": "3"},
            "measurements": [{"id": "model", "unit": "op/s", "value": 5.0, "low": 4, "high": 6, "runs": 3}],
        },
    }
    folder.mkdir()
    for name, document in documents.items():
        assert schemas.validate(name.split("-")[0], document) == [], name
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


def obligation(id: str, verdict: str) -> dict[str, Any]:
    return {
        "id": id,
        "clauses": [CLAUSE],
        "verdict": verdict,
        "control": {"verdict": "REFUTED"},
        "paths": 3,
        "seconds": 0.1,
        "finding": None,
    }


def recording(name: str, verdict: str, findings: list[Any], rules: list[str]) -> dict[str, Any]:
    return {
        "file": name,
        "generation": "14",
        "verdict": verdict,
        "steps": 9,
        "findings": findings,
        "rules": dict.fromkeys(rules, 1),
    }


def report(tmp_path: Path, given: Path) -> tuple[Page, dict[str, Any]]:
    out = tmp_path / "report"
    assert main(["report", "--results", str(given), "-o", str(out)]) == 0
    told = json.loads((out / "summary.json").read_text())
    return Page((out / "index.html").read_text()), told


def section(html: str, name: str) -> str:
    """One section of the page."""
    start = html.index(f'<section id="{name}">')
    return html[start : html.index("</section>", start)]


# --- the page -------------------------------------------------------------------------------------


def test_the_page_is_whole_and_fetches_nothing(tmp_path: Path) -> None:
    page, _ = report(tmp_path, results(tmp_path / "results"))
    assert page.fetched == []
    assert len(page.ids) == len(set(page.ids))
    inside = [link.removeprefix("#") for link in page.links if link.startswith("#")]
    assert inside and set(inside) <= set(page.ids)
    outside = [link for link in page.links if not link.startswith("#")]
    assert outside and all(link.startswith(f"{book.FORGE}/luigirizzo/netmap/blob/") for link in outside)
    html = (tmp_path / "report/index.html").read_text()
    for link in set(outside):
        html = html.replace(f'<a href="{link}"', "<a").replace(f'<a class="small" href="{link}"', "<a")
    fetched = re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org)", html)
    assert not fetched, "a source is a link, and nothing else leads outside"


def test_every_clause_has_its_row_and_its_prose(tmp_path: Path) -> None:
    page, told = report(tmp_path, results(tmp_path / "results"))
    assert {row["id"] for row in told["clauses"]} == set(clauses.load())
    assert set(clauses.load()) <= set(page.ids)
    for clause in clauses.load().values():
        assert clause.title in page.text


def test_what_was_found_is_on_the_page(tmp_path: Path) -> None:
    page, _ = report(tmp_path, results(tmp_path / "results"))
    html = (tmp_path / "report/index.html").read_text()
    for part in ("tail <6>", "txsync A", "14.x.bad", "VALE switches", "14.reinit-trusts-user", "differs"):
        assert part in page.text, part
    assert "tail <6>" not in html, "what targets say is escaped"
    assert section(html, "findings").count('aria-label="Ring A tx0 of 8 slots') == 2, "before and after"


def test_the_summary_is_what_the_schema_says(tmp_path: Path) -> None:
    _, told = report(tmp_path, results(tmp_path / "results"))
    assert schemas.validate("summary", told) == []
    assert told["ok"] is False
    assert told["proofs"] == {"PROVED": 1, "REFUTED": 1}
    assert told["targets"] == {"mine": {"PASS": 1, "VIOLATION": 1}}
    assert told["recordings"] == {"DEVIATION": 1, "INCONCLUSIVE": 1}
    assert told["not_modelled"] == {"VALE switches": 1}
    assert told["findings"] == 1 and told["not_run"] == []
    (row,) = [row for row in told["clauses"] if row["id"] == CLAUSE]
    assert row["mutants"] == ["m1", "m2"] and row["rules"]
    assert told["rules"]["used"] == 5


@pytest.mark.parametrize("bad", ["conform-mine", "prove", "diff", "teeth"])
def test_one_red_result_makes_the_run_not_ok(tmp_path: Path, bad: str) -> None:
    given = results(tmp_path / "results")
    for name in {"conform-mine", "prove", "diff", "teeth"} - {bad}:
        (given / f"{name}.json").unlink()
    _, told = report(tmp_path, given)
    assert told["ok"] is False


def test_a_run_without_red_is_ok(tmp_path: Path) -> None:
    given = results(tmp_path / "results")
    for name in ("conform-mine", "prove", "diff", "teeth"):
        (given / f"{name}.json").unlink()
    page, told = report(tmp_path, given)
    assert told["ok"] is True
    assert set(told["not_run"]) == {"prove", "diff", "teeth", "conform"}
    assert "Nothing wrong was found" in page.text and "Not run: prove" in page.text


def test_nothing_run_yet_is_said_and_is_not_ok(tmp_path: Path) -> None:
    page, told = report(tmp_path, tmp_path / "absent")
    assert told["ok"] is False and "Nothing has been run here yet" in page.text
    assert set(clauses.load()) <= set(page.ids)


def test_the_steps_that_led_to_a_finding_are_drawn(tmp_path: Path) -> None:
    events: list[Any] = []
    for n, head in enumerate((0, 1, 2, 3), 1):
        fields = {"num_slots": 8, "head": head, "cur": head, "tail": 7}
        events += [Call(n=n, op="txsync", fd="A"), Return(of=n, see=See(rings={"tx0": fields}))]
    trace = Trace(header=Header(netmap_trace=1, generation="14"), events=events)
    write(trace, tmp_path / "kept.jsonl")
    assert [s.n for s in steps(trace)] == [1, 2, 3, 4]
    page, _ = report(tmp_path, results(tmp_path / "results", str(tmp_path / "kept.jsonl")))
    assert "The steps that led there" in page.text
    trail = section((tmp_path / "report/index.html").read_text(), "findings")
    assert "3. <code>txsync A" in trail and "4. <code>" not in trail, "nothing after the finding"


def test_a_kept_trace_that_is_gone_costs_only_its_steps(tmp_path: Path) -> None:
    page, _ = report(tmp_path, results(tmp_path / "results", str(tmp_path / "gone.jsonl")))
    assert "The steps that led there" not in page.text and "VIOLATION" in page.text


def test_a_step_shows_the_rings_it_changed_only() -> None:
    def ret(n: int, head: int, slots: list[list[int]]) -> Return:
        tx = {"num_slots": 4, "head": head, "cur": head, "tail": 3}
        rx = {"num_slots": 4, "head": 0, "cur": 0, "tail": 0}
        return Return(of=n, see=See(rings={"tx0": tx, "rx0": rx}, slots={"tx0": slots} if slots else {}))

    every = [[i, 10 + i, 0, 0] for i in range(4)]
    events: list[Any] = []
    for n, (head, slots) in enumerate([(0, every), (0, []), (1, [[0, 10, 60, 0]])], 1):
        events += [Call(n=n, op="set", fd="A"), ret(n, head, slots)]
    drawn = list(steps(Trace(header=Header(netmap_trace=1, generation="14"), events=events)))
    assert [[r.name for r in s.rings] for s in drawn] == [["A tx0", "A rx0"], [], ["A tx0"]]
    assert drawn[2].rings[0].slot(0) == ("kernel", 10, 60, 0)
    assert drawn[2].rings[0].slot(2) == ("user", 12, 0, 0)


def test_findings_md_is_read_by_id() -> None:
    first = "# F\n## F14-001 · one\ntext\n```\n# no heading\n```\n"
    found = findings.parse(first + "### plain\nlost\n#### F2011-002 · two\nmore\n")
    assert list(found) == ["F14-001", "F2011-002"]
    assert found["F14-001"].text == "text\n```\n# no heading\n```" and found["F2011-002"].title == "two"


def test_every_finding_of_the_project_is_on_the_page(tmp_path: Path) -> None:
    page, _ = report(tmp_path, tmp_path / "absent")
    assert findings.load()
    assert set(findings.load()) <= set(page.ids)


# --- what can go wrong ----------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["report", "--results", str(tmp_path), "-o", str(tmp_path / "file" / "report")]) == 4
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and "cannot write" in err


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "not JSON"), ('{"obligations": 3}', "not a result of prove"), ("[]", "not a result of prove")],
)
def test_a_damaged_result_is_named(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prove.json").write_text(text)
    assert main(["report", "--results", str(tmp_path), "-o", str(tmp_path / "report")]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and "prove.json" in err and said in err


# --- the matrix -----------------------------------------------------------------------------------


def test_worst_is_the_verdict_that_decides() -> None:
    assert view.worst(["PASS", "DEVIATION", "VIOLATION", "SKIPPED"]) == "bad"
    assert view.worst(["PASS", "DEVIATION", "SKIPPED"]) == "open"
    assert view.worst(["PASS", "DEVIATION"]) == "dev"
    assert view.worst(["PASS"]) == "ok"
    assert view.worst([]) == ""


def test_every_verdict_of_every_schema_has_a_colour() -> None:
    verdicts: set[str] = set()
    members = {"prove": "Obligation", "conform": "Scenario", "diff": "Scenario", "check": "File"}
    for name, member in members.items():
        verdicts.update(schemas.load(name)["$defs"][member]["properties"]["verdict"]["enum"])
    verdicts.update(schemas.load("teeth")["$defs"]["Mutant"]["properties"]["status"]["enum"])
    verdicts.update(schemas.load("finding")["properties"]["kind"]["enum"])
    assert verdicts == set(view.KIND)


def test_a_cell_counts_and_takes_the_worst_colour(tmp_path: Path) -> None:
    found = load_all(results(tmp_path / "results"), tmp_path / "report")
    (line,) = [x for x in view.lines(matrix.rows(), found) if x.row.clause.id == CLAUSE]
    cells = dict(zip(view.columns(found), line.cells, strict=True))
    assert (cells["mutants"].kind, cells["mutants"].text) == ("bad", "1/2")
    assert "m2: survived" in cells["mutants"].title
    assert cells["rules"].kind == "ok" and int(cells["rules"].text) == len(line.row.rules)


def test_teeth_and_bench_are_found_where_their_commands_leave_them(tmp_path: Path) -> None:
    given = results(tmp_path / "results")
    (tmp_path / "report").mkdir()
    for name in ("teeth", "bench"):
        (given / f"{name}.json").rename(tmp_path / "report" / f"{name}.json")
        assert load(name, given, tmp_path / "report") is not None
    _, told = report(tmp_path, given)
    assert told["not_run"] == []


def test_the_plot_is_inline_and_needs_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="plots need the extra report")
    document = {"measurements": [{"id": "a", "unit": "op/s", "value": 5.0, "runs": 3}]}
    text = plots.bench_plot(document)
    assert text.startswith("<svg") and "op/s" in text
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    assert plots.bench_plot(document) == ""

"""The runner: expressions against live rings, settle, records, the last stimulus, and what ends a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from netmap_conformance import expressions, manifest, runner, scenarios
from netmap_conformance.oracle import judge
from netmap_conformance.scn import parse_scn
from netmap_conformance.shrink import shrink
from netmap_conformance.targets import Target, open_target
from netmap_conformance.trace import Call, Return, See, Trace, parse

PIPE = """# title: a pipe
# needs: pipe
open A
open B
reg A x{1 tx_slots=8 rx_slots=8 extra=2
reg B x}1
mmap A
mmap B
"""


@pytest.fixture()
def target() -> Target:
    return open_target("reference", manifest.load("reference"))


def run(target: Target, lines: str, build: Path | None = None) -> tuple[Trace, str]:
    trace, judged = runner.run(target, parse_scn(PIPE + lines, "t.scn"), build=build)
    return trace, judged.verdict


def last(trace: Trace, op: str) -> tuple[Call, Return]:
    """The last call of a kind and its return."""
    call = [c for c in trace.calls() if c.op == op][-1]
    return call, next(e for e in trace.events if isinstance(e, Return) and e.of == call.n)


# --- expressions --------------------------------------------------------------------------------


SEE = See(
    rings={"tx0": {"num_slots": 8, "head": 6, "cur": 7, "tail": 5}},
    slots={"tx0": [[i, 10 + i, 60, 0, 0] for i in range(8)]},
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("head", 6),
        ("head+1", 7),
        ("head+3", 1),
        ("tail-6", 7),
        ("num", 8),
        ("num-1", 7),
        ("num+1", 9),
        ("0x10", 16),
        ("-1", -1),
        ("NS_REPORT|NS_MOREFRAG", 0x22),
        ("@A:tx0:3", 13),
        ("@A:tx0:head", 16),
        ("@A:tx0:3+1", 14),
        ("extra:A:1", 101),
        ("extra:A:0+1", 101),
    ],
)
def test_an_expression_becomes_a_number(text: str, value: int) -> None:
    args = {"ring": "tx0", "head": text}
    found = expressions.resolve("set", "A", args, lambda fd: SEE, lambda fd, i: 100 + i)
    assert found == {"ring": "tx0", "head": value}


@pytest.mark.parametrize("text", ["nonsense", "@A:tx9:0", "@A:tx0:9", "head+x"])
def test_an_expression_without_a_value_is_one_line(text: str) -> None:
    with pytest.raises(expressions.ExpressionError) as caught:
        expressions.resolve("set", "A", {"ring": "tx0", "head": text}, lambda fd: SEE, lambda fd, i: 0)
    assert "\n" not in str(caught.value)


def test_the_call_keeps_its_expression_and_the_return_what_was_written(target: Target) -> None:
    trace, verdict = run(target, "set A tx0 both=head+2\ntxsync A\n")
    call, done = last(trace, "set")
    assert verdict == "PASS"
    assert call.args["head"] == "head+2"
    assert done.wrote == {"head": 2, "cur": 2}


def test_extra_buffers_keep_their_place_in_the_list_after_they_were_used(target: Target) -> None:
    trace, verdict = run(
        target, "slot A tx0 0 idx=extra:A:0\neth A tx0 0 ff 1 60 aa\nslot A tx0 1 idx=extra:A:1\n"
    )
    assert verdict == "PASS"
    slots = [e.see.slots for e in trace.events if isinstance(e, Return) and e.see and e.wrote]
    assert slots[0]["tx0"][0][1] != slots[1]["tx0"][0][1]


# --- recording ----------------------------------------------------------------------------------


def test_mmap_is_a_checkpoint_and_everything_else_a_delta(target: Target) -> None:
    trace, _ = run(target, "send A tx0 2\nshow A\n")
    _, mapped = last(trace, "mmap")
    _, sent = last(trace, "send")
    _, shown = last(trace, "show")
    assert mapped.see is not None and mapped.see.full and len(mapped.see.slots["tx0"]) == 8
    assert mapped.see.nifp is not None and mapped.see.nifp["ni_name"] == "x}1"
    assert sent.see is not None and [s[0] for s in sent.see.slots["tx0"]] == [0, 1]
    assert shown.see is not None and shown.see.slots == {}, "nothing changed since the last look"


def test_settle_becomes_syncs_of_every_bound_descriptor(target: Target) -> None:
    trace, verdict = run(target, "send A tx0 3\nsettle\n")
    calls = list(trace.calls())
    settle = calls[-1]
    made = [(c.op, c.fd) for c in calls if c.text == scenarios.SETTLE and c.op != "settle"]
    assert verdict == "PASS"
    assert settle.op == "settle"
    assert set(made) == {("txsync", "A"), ("rxsync", "A"), ("txsync", "B"), ("rxsync", "B")}
    assert len(made) >= 8, "two passes that change nothing come after the one that does"
    _, done = last(trace, "rxsync")
    assert done.see is not None and done.see.rings["rx0"]["tail"] == 3


def test_a_run_is_judged_alike_when_it_is_read_back(target: Target) -> None:
    trace, verdict = run(
        target, "send A tx0 3\ntxsync A\nrxsync B\nset B rx0 both=9\nrxsync B\nsettle\nclose A\n"
    )
    assert judge(trace).verdict == verdict == "PASS"


def test_a_recorded_run_can_be_done_again(target: Target) -> None:
    trace, _ = run(target, "send A tx0 3\nsettle\nset B rx0 both=tail\nsettle\nclose A\n")
    again = scenarios.asked(trace)
    assert [c.text for c in again.calls()][6:] == [
        "send A tx0 3",
        "settle",
        "set B rx0 both=tail",
        "settle",
        "close A",
    ]
    # A run that ended in the middle of a settle ends with that settle.
    cut = [i for i, e in enumerate(trace.events) if isinstance(e, Call) and e.text == scenarios.SETTLE][2]
    short = scenarios.asked(Trace(header=trace.header, events=trace.events[:cut]))
    assert [c.text for c in short.calls()][6:] == ["send A tx0 3", "settle"]


# --- the last stimulus and failing runs ---------------------------------------------------------


class Liar:
    """The reference target, with one lie: ``lie`` changes what a return shows."""

    def __init__(self, inner: Target, op: str, lie: str) -> None:
        self.inner = inner
        self.name = "liar"
        self.op, self.lie = op, lie
        self.stimulus: list[str] = []
        self.build: Path | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def call(self, call: Call) -> Return | None:
        if self.build is not None:
            self.stimulus = (self.build / "last-stimulus.jsonl").read_text().splitlines()
            assert f'"n":{call.n},' in self.stimulus[-1], "the call is on disk before it is made"
        done = self.inner.call(call)
        if call.op == self.op and done is not None and done.see is not None:
            if self.lie == "tail":
                done.see.rings["tx0"]["tail"] = 1
            elif self.lie == "fault":
                return Return(of=call.n, ret=-1, fault="SIGSEGV")
            elif self.lie == "hang":
                return Return(of=call.n, ret=-1, hang=True)
        return done


def test_every_call_is_on_disk_before_it_is_made(target: Target, tmp_path: Path) -> None:
    liar = Liar(target, "nothing", "")
    liar.build = tmp_path
    _, verdict = run(liar, "send A tx0 1\ntxsync A\n", tmp_path)  # type: ignore[arg-type]
    assert verdict == "PASS"
    again = parse("\n".join(liar.stimulus), "last")
    assert [c.op for c in again.calls()][-2:] == ["send", "txsync"]
    assert not (tmp_path / "failures").exists()


@pytest.mark.parametrize(
    ("lie", "verdict"), [("tail", "VIOLATION"), ("fault", "VIOLATION"), ("hang", "HANG")]
)
def test_the_first_violation_ends_the_run_and_keeps_it(
    target: Target, tmp_path: Path, lie: str, verdict: str
) -> None:
    liar = Liar(target, "txsync", lie)
    scenario = parse_scn(PIPE + "send A tx0 1\ntxsync A\nrxsync B\n", "t.scn")
    trace, judged = runner.run(liar, scenario, build=tmp_path)  # type: ignore[arg-type]
    finding = judged.findings[0]
    assert judged.verdict == verdict
    assert finding.clause.startswith("14.")
    assert finding.step == 8
    assert [c.op for c in trace.calls()][-1] == "txsync", "nothing is made after it"
    kept = parse((tmp_path / "failures" / "t.liar.jsonl").read_text(), "kept")
    assert judge(kept).verdict == verdict


def test_a_restless_environment_is_judged_for_safety_only(target: Target) -> None:
    class Restless(Liar):
        def quiet(self) -> bool:
            return False

    trace, judged = runner.run(Restless(target, "", ""), parse_scn(PIPE + "send A tx0 1\nsettle\nshow A\n"))  # type: ignore[arg-type]
    assert judged.verdict == "INCONCLUSIVE"
    assert "quiet" in judged.findings[0].reason
    assert [c.op for c in trace.calls()][-1] == "show", "the run goes on"


# --- shrinking ----------------------------------------------------------------------------------


def test_shrinking_leaves_the_calls_that_matter(target: Target) -> None:
    noise = "txsync A\nrxsync B\nshow A\n"
    scenario = parse_scn(PIPE + noise * 3 + "send A tx0 1\n" + noise + "rxsync A\nrxsync B\n", "t.scn")

    def shows(candidate: Trace) -> bool:
        ops = [(c.op, c.fd) for c in candidate.calls()]
        return ("send", "A") in ops and ops[-1] == ("rxsync", "B")

    small = shrink(scenario, shows)
    assert [(c.op, c.fd) for c in small.calls()] == [("send", "A"), ("rxsync", "B")]
    assert [c.n for c in small.calls()] == [1, 2]


def test_shrinking_keeps_to_its_budget() -> None:
    scenario = parse_scn(PIPE + "show A\n" * 50, "t.scn")
    asked = 0

    def shows(candidate: Trace) -> bool:
        nonlocal asked
        asked += 1
        return False

    shrink(scenario, shows, budget=10)
    assert asked == 10

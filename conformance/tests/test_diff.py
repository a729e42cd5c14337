"""``diff``: what two implementations do differently, and what of that either may do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest
from netmap_conformance import cli, differ, manifest, runner, scenarios
from netmap_conformance.commands.diff import brief, document, profile
from netmap_conformance.differ import Compared, Difference, Side, compare, diff
from netmap_conformance.oracle import Judgement
from netmap_conformance.targets import open_target
from netmap_conformance.trace import Return, Trace
from netmap_spec import schemas


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def side(policy: str = "eager") -> Side:
    m = manifest.load("reference")
    target = open_target("reference", m, policy=policy, seed=3)
    return Side(target, m, target.capabilities())


def recorded(name: str) -> tuple[Trace, Judgement]:
    (scenario,) = scenarios.load("14", name)
    return runner.run(side().target, scenario, build=None)


def edited(trace: Trace, change: dict[str, int], ring: str = "tx0", at: str = "settle") -> Trace:
    """A copy in which every look at ``ring`` after the first ``at`` shows other fields."""
    copy = msgspec.convert(msgspec.to_builtins(trace), Trace)
    started = False
    calls = {c.n: c for c in copy.calls()}
    for event in copy.events:
        if isinstance(event, Return):
            started = started or calls[event.of].text == at or calls[event.of].op == at
            if started and event.see is not None and ring in event.see.rings:
                event.see.rings[ring].update(change)
    return copy


# --- two recorded runs --------------------------------------------------------------------------


def test_a_run_is_the_same_as_itself() -> None:
    run = recorded("pipe-swap-rx")
    result = compare(Compared("x", ""), run, run)
    assert (result.verdict, result.differences, result.legal) == ("SAME", [], [])


def test_other_buffer_indices_offsets_and_identifiers_are_no_difference() -> None:
    """The two sides number buffers as they like: what counts is that the numbers correspond."""
    trace, judged = recorded("pipe-bridge")
    moved = msgspec.convert(msgspec.to_builtins(trace), Trace)
    for event in moved.events:
        if isinstance(event, Return) and event.see is not None:
            for slots in event.see.slots.values():
                for slot in slots:
                    slot[1] = 5000 - slot[1]
            for ring in event.see.rings.values():
                ring["buf_ofs"] += 4096
        if isinstance(event, Return) and event.out and "nr_offset" in event.out:
            event.out |= {"nr_offset": 512, "nr_memsize": 1 << 20, "nr_mem_id": 9}
    result = compare(Compared("x", ""), (trace, judged), (moved, judged))
    assert (result.verdict, result.legal) == ("SAME", [])


def test_buffers_that_do_not_correspond_are_seen() -> None:
    trace, judged = recorded("pipe-bridge")
    broken = msgspec.convert(msgspec.to_builtins(trace), Trace)
    for event in broken.events:
        if isinstance(event, Return) and event.see is not None and event.see.full:
            for slots in event.see.slots.values():
                slots[1][1] = slots[0][1]
    (first, *_) = compare(Compared("x", ""), (trace, judged), (broken, judged)).legal
    assert first.op == "settle"
    assert "buf_idx" in first.what


def test_what_applications_see_at_settle_is_compared() -> None:
    trace, judged = recorded("pipe-full")
    result = compare(Compared("x", ""), (trace, judged), (edited(trace, {"tail": 1}), judged))
    assert result.verdict == "SAME", "both are within the contract"
    (found, *_) = result.legal
    assert (found.op, found.what, found.right) == ("settle", "B tx0 tail", 1)


def test_what_a_call_gives_is_compared_at_every_call() -> None:
    trace, judged = recorded("register-exclusive")
    other = msgspec.convert(msgspec.to_builtins(trace), Trace)
    refused = next(e for e in other.events if isinstance(e, Return) and e.errno)
    refused.errno = "EPERM"
    (found,) = compare(Compared("x", ""), (trace, judged), (other, judged)).legal
    assert (found.what, found.left, found.right) == ("errno", "EBUSY", "EPERM")


def test_a_side_that_breaks_the_contract_is_a_difference() -> None:
    from netmap_conformance.oracle import judge

    trace, judged = recorded("pipe-full")
    bad = edited(trace, {"tail": 1})
    result = compare(Compared("x", ""), (trace, judged), (bad, judge(bad)))
    assert result.verdict == "DIFFERENT"
    assert result.differences[0].what == "verdict"
    assert "VIOLATION: 14." in result.differences[0].right


def test_a_side_that_cannot_be_judged_is_not_compared() -> None:
    trace, judged = recorded("pipe-full")
    unknown = Judgement("INCONCLUSIVE", [])
    result = compare(Compared("x", ""), (trace, judged), (trace, unknown))
    assert (result.verdict, result.reason) == ("INCONCLUSIVE", "the right side cannot be judged")


# --- two targets --------------------------------------------------------------------------------


def test_an_eager_and_a_lazy_model_differ_in_legal_choices_only() -> None:
    results = [diff(side("eager"), side("lazy"), s) for s in scenarios.load("14", "nic-tx*")]
    assert {r.verdict for r in results} == {"SAME"}
    found = profile(results)
    assert "nic.tx-completed" in found
    left, right, count = found["nic.tx-completed"]
    assert left == "hi" and "lo" in right and count > 1


def test_a_scenario_one_side_cannot_run_is_skipped_with_the_reason() -> None:
    (scenario,) = scenarios.load("14", "dup")
    poor = side()
    poor.allowed = frozenset({"pipe"})
    result = diff(side(), poor, scenario)
    assert (result.verdict, result.reason) == ("SKIPPED", "reference has no dup")


# --- the command --------------------------------------------------------------------------------


def test_the_command_prints_json_that_keeps_to_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["diff", "--left", "reference", "--right", "reference", "--right-policy", "lazy"]
    status = cli.main([*args, "--only", "nic-tx*", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert status == 0
    assert schemas.validate("diff", found) == []
    assert found["profile"]["nic.tx-completed"]["left"] == "hi"


def test_a_difference_is_1_and_shown_smallest_first(capsys: pytest.CaptureFixture[str]) -> None:
    script = Path("liar.py")
    script.write_text(
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-m', 'netmap_conformance.targets.serve', 'reference'],\n"
        "                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)\n"
        "for line in sys.stdin:\n"
        "    p.stdin.write(line); p.stdin.flush()\n"
        "    sys.stdout.write(p.stdout.readline().replace('\"tail\":7', '\"tail\":6')); sys.stdout.flush()\n"
    )
    right = f"exec:{sys.executable} liar.py"
    status = cli.main(["diff", "--left", "reference", "--right", right, "--only", "pipe-[bw]*"])
    out = capsys.readouterr().out
    assert status == 1
    assert "VIOLATION: 14." in out
    assert out.index("pipe-bad-slots") < out.index("pipe-wrap")
    assert "DIFFERENT" in out


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (["--left", "reference", "--right", "teleport"], 2, "unknown target 'teleport'"),
        (["--left", "exec:/no/such", "--right", "reference"], 3, "cannot start /no/such"),
        (["--left", "reference", "--right", "reference", "--only", "zzz"], 2, "matches 'zzz'"),
        (["--left", "reference"], 2, "--right"),
    ],
)
def test_what_goes_wrong_is_one_line(
    capsys: pytest.CaptureFixture[str], args: list[str], status: int, words: str
) -> None:
    assert cli.main(["diff", *args]) == status
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1


def test_long_values_are_cut_for_a_table() -> None:
    assert brief(["ab" * 60, "cd" * 64]) == "2 frames of 60, 64"
    assert brief("x" * 100) == "x" * 57 + "..."
    assert brief(None) == "None"


def test_results_of_every_verdict_keep_to_the_schema() -> None:
    results = [
        Compared("a", "SAME"),
        Compared("b", "DIFFERENT", "why", [Difference(1, "txsync A", "errno", "EINVAL", "")]),
        Compared("c", "SKIPPED", "no dup"),
        Compared("d", "INCONCLUSIVE", "cannot be judged"),
    ]
    assert schemas.validate("diff", document("l", "r", results)) == []
    assert differ.SAME == "SAME"

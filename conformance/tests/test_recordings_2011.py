"""The recordings and scenarios of generation 2011: converted, replayed, judged."""

from __future__ import annotations

import copy
import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from netmap_conformance.manifest import Manifest, load
from netmap_conformance.oracle.verdict import DEVIATION, NOT_MODELLED, PASS, VIOLATION
from netmap_conformance.recordings import convert
from netmap_conformance.recordings.calls2011 import NotModelled, to_operation
from netmap_conformance.recordings.convert2011 import convert2011
from netmap_conformance.recordings.judge2011 import Oracle2011, judge
from netmap_conformance.recordings.replay2011 import Replay, compare, differences
from netmap_conformance.scenarios import load as load_scenarios
from netmap_conformance.scenarios import scenario_id
from netmap_conformance.targets.reference2011 import Reference2011Target
from netmap_conformance.trace import Call, Return, Trace, TraceError, dump, parse
from netmap_reference.core.step import RULES
from netmap_reference.gen2011.readings import AS_WRITTEN
from netmap_reference.gen2011.snapshot import state
from netmap_reference.gen2011.world import World
from netmap_spec import clauses

DATA = Path(convert.__code__.co_filename).parent.parent / "data" / "recordings" / "2011"
RECORDINGS = sorted(DATA.glob("*.jsonl.gz"))
NAMES = [path.name.split(".")[0] for path in RECORDINGS]
SCENARIOS = load_scenarios("2011")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.open(path, "rt")]


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return load("netmap-2011")


# --- recordings -----------------------------------------------------------------------------------


def test_there_are_recordings_of_every_kind() -> None:
    assert {name.rsplit("_", 1)[1] for name in NAMES} == {"good", "bad", "wild"}


@pytest.mark.parametrize("path", RECORDINGS, ids=NAMES)
def test_the_model_repeats_a_recording_word_for_word(path: Path) -> None:
    """Everything is compared after every operation, panics with stack and address, without any converter."""
    start, *steps = lines(path)
    world = World(start["config"])
    assert list(differences(state(world), start["state"])) == []
    for step in steps:
        got = world.apply(step["op"], step["args"])
        seen = [event[:3] if event[0] == "LOG" else event for event in step["ev"]]
        at = f"{path.name} operation {step['i']} {step['op']} {step['args']}"
        first = next(differences(got["state"], step["state"]), None)
        assert first is None, f"{at}: {first}"
        assert (got["ret"], got["ev"]) == (step["ret"], seen), at
        assert (got.get("panic"), got.get("at")) == (step.get("panic"), step.get("at")), at


@pytest.mark.parametrize("path", RECORDINGS, ids=NAMES)
def test_a_recording_is_accepted_with_its_manifest(path: Path, manifest: Manifest) -> None:
    judgement = judge(convert(path), manifest)
    assert judgement.verdict == DEVIATION, judgement.findings[-1]
    assert judgement.steps == 200
    for finding in judgement.findings:
        assert finding.deviation in AS_WRITTEN and finding.reason


def test_the_contract_alone_refuses_a_recording() -> None:
    judgement = judge(convert(RECORDINGS[0]))
    assert judgement.verdict == VIOLATION
    assert judgement.findings[-1].clause == "2011.memory.no-sleep-under-lock"


def test_conversion_loses_nothing() -> None:
    """Every operation comes back from the trace's call as it was recorded, and a dumped trace is the same."""
    for path in RECORDINGS:
        trace = convert(path)
        numbers = {str(i): i for i in range(10)}
        for call, step in zip(trace.calls(), lines(path)[1:], strict=True):
            assert to_operation(call, numbers, str) == (step["op"], step["args"])
    again = parse(dump(trace))
    assert again.header == trace.header
    assert dump(again) == dump(trace)


def test_the_files_are_described_and_complete() -> None:
    assert len(RECORDINGS) == 29
    assert all(len(lines(path)) == 201 for path in RECORDINGS)
    assert "FNV-1a" in (DATA / "README.md").read_text()


# --- corrupted recordings ---------------------------------------------------------------------------


def corrupted(name: str, step: int, change: Any) -> Trace:
    """A recording with one observation changed; ``change`` gets the return of call ``step``."""
    trace = copy.deepcopy(convert(DATA / f"{name}.jsonl.gz"))
    change(next(e for e in trace.events if isinstance(e, Return) and e.of == step))
    return trace


def kernel(*path: Any) -> Any:
    """Adds one to a number in the recorded state."""

    def change(returned: Return) -> None:
        assert returned.see is not None
        at = returned.see.kernel
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] += 1

    return change


def no_record(returned: Return) -> None:
    returned.events = [event for event in returned.events or [] if event[0] != "SR"]


def no_wakeup(returned: Return) -> None:
    returned.events = [event for event in returned.events or [] if event[0] != "WK"]


def other_line(returned: Return) -> None:
    returned.fault = returned.fault.replace("1219", "1220")


NA = ("ifs", "em0", "na")
RX0 = (*NA, "rx", 0)


@pytest.mark.parametrize(
    ("name", "step", "change", "clause", "word"),
    [
        ("trace_009_wild", 6, kernel("mem", "free"), "2011.pool.new-slots", "mem.free"),
        ("trace_009_wild", 6, kernel("mem", "objs", 1, 1), "2011.memory.first-fit", "mem.objs"),
        ("trace_009_wild", 6, kernel(*RX0, "ring", "slots", 0, 0), "2011.pool.new-slots", "slots[0][0]"),
        ("trace_009_wild", 24, kernel(*RX0, "hwavail"), "2011.driver.rx-import", "hwavail"),
        ("trace_009_wild", 24, kernel(*RX0, "ring", "ts", 1), "2011.control.timestamp", "ts"),
        ("trace_009_wild", 29, kernel(*NA, "rx", 2, "hwavail"), "2011.host.rx-put", "hwavail"),
        ("trace_009_wild", 55, no_record, "2011.poll.record-ring", "events"),
        ("trace_009_wild", 29, no_wakeup, "2011.host.rx-put", "events"),
        ("trace_009_wild", 31, other_line, "2011.driver.detach-in-use", "fault"),
        ("trace_079_wild", 78, kernel(*NA, "rx", 1, "hwavail"), "2011.host.rx-window", "hwavail"),
        ("trace_093_bad", 20, kernel(*NA, "tx", 2, "hwofs"), "2011.interrupt.reset", "hwofs"),
        ("trace_058_bad", 1, kernel("now"), "2011.control.not-registered", "now"),
    ],
)  # fmt: skip
def test_a_changed_observation_names_clause_and_step(
    name: str, step: int, change: Any, clause: str, word: str, manifest: Manifest
) -> None:
    judgement = judge(corrupted(name, step, change), manifest)
    last = judgement.findings[-1]
    assert (judgement.verdict, last.kind) == (VIOLATION, VIOLATION)
    assert last.step == step
    assert word in last.allowed or word in last.seen, str(last)
    assert last.clause == clause, str(last)
    assert last.clause in clauses.load()


def test_a_violation_of_a_ring_comes_with_its_picture(manifest: Manifest) -> None:
    last = judge(corrupted("trace_009_wild", 24, kernel(*RX0, "hwavail")), manifest).findings[-1]
    assert [picture.name for picture in last.before + last.after] == ["em0:rx0", "em0:rx0"]
    assert "hwavail 2" in last.after[0].note


FIRST = '{"seed":1,"profile":"good","config":{"ifs":[]},"state":{}}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"seed":1,"profile":"good"}', "1: not a recording of generation 2011: 'config' is missing"),
        (FIRST + '{"op":', "2: not a recording"),
        (FIRST + '{"op":"poll","ret":0}', "2: not a recording"),
        (FIRST + '[]', "2: not a recording"),
        ("", "1: the file is empty"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_one_line_with_its_number(text: str, message: str) -> None:
    with pytest.raises(TraceError) as error:
        convert2011(text, "some.jsonl")
    assert str(error.value).startswith(f"some.jsonl:{message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "call",
    [
        Call(n=1, op="dup", fd="A"),
        Call(n=1, op="txsync", fd="B"),
        Call(n=1, op="poll", fd="A", args={"events": ["pri"]}),
        Call(n=1, op="env", args={"name": "eclipse"}),
        Call(n=1, op="set", args={"port": "em0", "ring": "up0"}),
        Call(n=1, op="legacy", fd="A", args={"request": "SIOCATMARK", "name": ""}),
    ],
)
def test_what_generation_2011_does_not_have(call: Call, manifest: Manifest) -> None:
    with pytest.raises(NotModelled):
        to_operation(call, {"A": 0}, str)
    trace = copy.deepcopy(SCENARIOS[0])
    trace.events = [Call(n=1, op="open", fd="A"), call]
    oracle = Oracle2011(trace.header, manifest)
    found = [finding for event in trace.events for finding in oracle.feed(event)]
    assert [finding.kind for finding in found] == [NOT_MODELLED]
    assert found[0].reason


# --- scenarios --------------------------------------------------------------------------------------


@cache
def run(id: str, name: str) -> tuple[Oracle2011, list[Return]]:
    """A scenario on the reference target with a built-in manifest, judged as it goes."""
    scenario, manifest = next(t for t in SCENARIOS if scenario_id(t) == id), load(name)
    target, oracle = Reference2011Target(manifest), Oracle2011(scenario.header, manifest)
    target.start(scenario.header)
    returns = []
    for call in scenario.calls():
        oracle.feed(call)
        returned = target.call(call)
        assert returned is not None
        oracle.feed(returned)
        returns.append(returned)
        if returned.fault:
            break
    target.stop()
    return oracle, returns


#: Scenarios in which the driver breaks its own duty: what follows is undefined, also in contract reading.
DRIVER_MISUSE = {"interrupts-reset-outside": "netmap_reset with a position that is none of the NIC's ring"}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=scenario_id)
@pytest.mark.parametrize("name", ["reference-2011", "netmap-2011"])
def test_a_scenario_passes_in_both_readings(scenario: Trace, name: str) -> None:
    oracle, returns = run(scenario_id(scenario), name)
    judgement = oracle.finish()
    assert judgement.verdict in ((PASS,) if name == "reference-2011" else (PASS, DEVIATION))
    if scenario_id(scenario) not in DRIVER_MISUSE:
        assert not any(returned.fault and name == "reference-2011" for returned in returns)
    assert judgement.steps == len(returns)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=scenario_id)
def test_a_scenario_fires_the_rules_of_its_clauses(scenario: Trace) -> None:
    """A clause that has rules is tagged only where one of them fires, in one reading or the other."""
    runs = [run(scenario_id(scenario), name)[0] for name in ("reference-2011", "netmap-2011")]
    fired = {RULES[rule].clause for oracle in runs for rule in oracle.rules}
    with_rules = {rule.clause for rule in RULES.values()}
    assert scenario.header.clauses
    for clause in scenario.header.clauses:
        assert clause in clauses.load()
        assert clause in fired or clause not in with_rules, clause


def test_ids_are_those_of_no_other_generation() -> None:
    others = {scenario_id(trace) for trace in load_scenarios("14")}
    assert others.isdisjoint(scenario_id(trace) for trace in SCENARIOS)


#: Clauses whose rules no operation of a scenario reaches: tests of the reference have them.
ELSEWHERE = {
    *("2011.memory.free-unknown", "2011.module.event", "2011.pool.all-or-none"),
    "2011.register.gave-up",  # needs a second thread
}


def test_every_clause_that_has_rules_has_a_scenario() -> None:
    tagged = {clause for trace in SCENARIOS for clause in trace.header.clauses}
    with_rules = {rule.clause for name, rule in RULES.items() if name.startswith("2011/")}
    assert with_rules - tagged <= ELSEWHERE


def test_every_deviation_shows_in_a_scenario_or_needs_two_threads() -> None:
    shown = {f.deviation for t in SCENARIOS for f in run(scenario_id(t), "netmap-2011")[0].findings}
    assert AS_WRITTEN - shown <= {
        "2011.host-rx-reads-cur-unlocked",
        "2011.host-tx-reads-len-again",
        "2011.selection-read-unlocked",
    }


def test_a_target_that_differs_is_caught() -> None:
    """The control: the contract's model judged against the code as written, and a lost reply."""
    scenario = next(t for t in SCENARIOS if scenario_id(t) == "host-down-too-far")
    written, contract = load("netmap-2011"), load("reference-2011")
    target, oracle = Reference2011Target(written), Oracle2011(scenario.header, contract)
    target.start(scenario.header)
    for call in scenario.calls():
        oracle.feed(call)
        if oracle.feed(target.call(call) or Return(of=call.n)):
            break
    assert oracle.finish().verdict == VIOLATION


def test_a_fault_matches_by_the_lines_the_model_names() -> None:
    known = Return(of=1, ret=-1, fault="netmap_ioctl netmap.c:1219")
    assert compare(known, Return(of=1, fault="netmap_ioctl netmap.c:1219, sys_ioctl sys.c:1")) is None
    assert compare(known, Return(of=1, fault="netmap_ioctl netmap.c:1220")) is not None
    assert compare(known, Return(of=1)) is not None
    assert compare(Return(of=1), known) is not None


def test_the_replay_names_descriptors() -> None:
    replay = Replay(SCENARIOS[0].header, frozenset())
    for name in ("A", "B"):
        replay.call(Call(n=1, op="open", fd=name))
    replay.call(Call(n=2, op="close", fd="A"))
    replay.call(Call(n=3, op="open", fd="C"))
    assert replay.fds == {"B": 1, "C": 0}

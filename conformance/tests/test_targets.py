"""Targets: the reference's policies, processes and sleepers; commands over JSON Lines and how they fail."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest
from netmap_conformance import manifest, runner, scenarios
from netmap_conformance.manifest import Manifest
from netmap_conformance.scn import parse_op
from netmap_conformance.targets import Target, TargetError, open_target, served
from netmap_conformance.targets.exec import ExecTarget
from netmap_conformance.targets.policy import PATIENCE, Policy
from netmap_conformance.trace import FORMAT, Call, Header, Return
from netmap_reference.core.choice import Choice

HEADER = Header(netmap_trace=FORMAT, generation="14")


class Session:
    """A target driven line by line."""

    def __init__(self, target: Target) -> None:
        self.target = target
        target.start(HEADER)
        self.n = 0

    def __call__(self, line: str, actor: str = "main") -> Return | None:
        self.n += 1
        call = parse_op(line, "test")
        call.n, call.actor = self.n, actor
        return self.target.call(call)

    def done(self, line: str, actor: str = "main") -> Return:
        made = self(line, actor)
        assert made is not None
        return made


@pytest.fixture()
def session() -> Session:
    s = Session(open_target("reference", manifest.load("reference")))
    for line in ("open A", "open B", "reg A x{1 tx_slots=4 rx_slots=4", "reg B x}1", "mmap A", "mmap B"):
        assert not s.done(line).errno
    return s


# --- the reference ------------------------------------------------------------------------------


def test_a_sleeper_comes_back_when_the_other_end_syncs(session: Session) -> None:
    assert session("poll B in -1", "P") is None
    session("send A tx0 1")
    assert session.target.finished() == []
    session("txsync A")
    (late,) = session.target.finished()
    assert late.revents == ["in"] and late.of == 7


def test_a_sleeper_nobody_wakes_hangs_at_its_join_or_times_out(session: Session) -> None:
    assert session("poll B in -1", "P") is None
    assert session("poll A in 50", "Q") is None
    session.target.call(Call(n=98, op="join", args={"actor": "P"}))
    session.target.call(Call(n=99, op="join", args={"actor": "Q"}))
    hung, timed_out = session.target.finished()
    assert hung.hang
    assert not timed_out.hang and timed_out.revents == []


def test_a_child_has_mappings_of_its_own(session: Session) -> None:
    session.target.call(Call(n=50, op="fork", args={"actor": "P"}))
    assert session.done("send A tx0 1", "P").errno == ""
    assert session.done("close A", "P").errno == ""
    assert session.done("show A").errno == "", "the parent's is still there"
    session.target.call(Call(n=60, op="kill", args={"actor": "P"}))
    assert session.done("txsync A").errno == ""


def test_stores_without_a_mapping_and_outside_a_ring_are_the_applications_own_fault(session: Session) -> None:
    session.done("munmap A")
    assert session.done("send A tx0 1").errno == "EFAULT"
    assert session.done("slot B tx0 9 len=1").errno == "EFAULT"
    assert session.done("slot B tx7 0 len=1").errno == "EFAULT"


def test_unknown_operations_and_generations_are_one_line(session: Session) -> None:
    with pytest.raises(TargetError, match="unknown operation 'teleport'"):
        session.target.call(Call(n=1, op="teleport"))
    with pytest.raises(TargetError, match="2011"):
        session.target.start(Header(netmap_trace=FORMAT, generation="2011"))


def test_a_lazy_policy_gives_way_in_the_end() -> None:
    choice = Choice("nic.tx-completed", "v0:tx0", 0, 5)
    policy = Policy("lazy")
    answers = [policy(choice) for _ in range(PATIENCE + 2)]
    assert answers == [0] * PATIENCE + [5, 0]
    assert [Policy("eager")(choice)] == [5]
    assert [Policy("seeded", 7)(choice) for _ in range(20)] == [
        Policy("seeded", 7)(choice) for _ in range(20)
    ]


def test_an_unknown_policy_is_one_line() -> None:
    with pytest.raises(TargetError, match=r"unknown policy 'hasty'; known: eager, lazy, seeded") as caught:
        open_target("reference", manifest.load("reference"), policy="hasty")
    assert caught.value.status == 2


def test_the_reference_of_generation_2011_runs_its_scenarios() -> None:
    m = manifest.load("reference-2011")
    target = open_target("reference", m)
    for scenario in scenarios.load("2011", "poll-*"):
        _, judged = runner.run(target, scenario, m, build=None)
        assert judged.verdict == "PASS", scenario.path


# --- what cannot be opened ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "device", "status", "words"),
    [
        ("teleport", "", 2, "unknown target 'teleport'"),
        ("lib:", "", 2, "names no file"),
        ("lib:/no/such.so", "", 3, "no file /no/such.so"),
        ("native", "/dev/no-such-netmap", 3, "/dev/no-such-netmap"),
        ("native", "tap0", 2, "unknown device 'tap0'"),
        ("exec:", "", 2, "empty"),
        ("exec:'unfinished", "", 2, "cannot parse"),
    ],
)
def test_a_target_that_is_not_there_is_one_line(spec: str, device: str, status: int, words: str) -> None:
    with pytest.raises(TargetError) as caught:
        open_target(spec, Manifest(name="x"), device=device)
    assert caught.value.status == status
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_c_side_native_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NETMAP_VERIFY_LIB", str(tmp_path))
    with pytest.raises(TargetError, match="make native") as caught:
        open_target("native", manifest.load("native"))
    assert caught.value.status == 3


# --- commands over JSON Lines -------------------------------------------------------------------

ECHO = """
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    ev = m["ev"]
    if ev == "hello": a = {"ev": "ready", "name": "fake", "capabilities": ["pipe"]}
    elif ev == "start": a = {"ev": "started"}
    elif ev == "quiet": a = {"ev": "quiet", "quiet": True}
    elif ev == "stop": a = {"ev": "stopped"}
    elif ev == "call": a = {"ev": "return", "of": m["n"]}
    if ev == "call" and m["op"] == "txsync":
        %s
    print(json.dumps(a), flush=True)
"""


def command(tmp_path: Path, at_txsync: str = "pass", watchdog: float = 20.0) -> ExecTarget:
    script = tmp_path / "fake.py"
    script.write_text(ECHO % at_txsync)
    return ExecTarget([sys.executable, str(script)], Manifest(name="fake", watchdog_s=watchdog))


def test_a_command_tells_its_capabilities_and_answers_calls(tmp_path: Path) -> None:
    target = command(tmp_path)
    assert target.capabilities() == {"pipe"}
    s = Session(target)
    assert s.done("open A") == Return(of=1)
    assert target.quiet()
    target.stop()


def test_a_command_that_dies_is_a_fault_of_the_call_and_is_started_again(tmp_path: Path) -> None:
    target = command(tmp_path, "import os; os.kill(os.getpid(), 11)")
    s = Session(target)
    assert s.done("txsync A").fault == "SIGSEGV"
    s = Session(target)
    assert s.done("open A").fault == ""
    target.stop()


def test_the_last_words_of_a_dying_command_are_kept(tmp_path: Path) -> None:
    target = command(tmp_path, "sys.exit('the ring is on fire')")
    assert Session(target).done("txsync A").fault == "exit status 1: the ring is on fire"
    target.stop()


def test_a_command_that_does_not_answer_hangs(tmp_path: Path) -> None:
    target = command(tmp_path, "import time; time.sleep(1000)", watchdog=1.0)
    s = Session(target)
    assert s.done("txsync A").hang
    assert Session(target).done("open A").errno == "", "a new one is there for the next scenario"
    target.stop()


def test_a_call_that_sleeps_returns_with_a_later_answer(tmp_path: Path) -> None:
    wakes = "print(json.dumps({'ev': 'return', 'of': 1, 'revents': ['in']}), flush=True)"
    target = command(tmp_path, wakes)
    s = Session(target)
    target._asleep.add(1)
    s.n = 1
    assert s.done("txsync A").of == 2
    assert [r.revents for r in target.finished()] == [["in"]]
    target.stop()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import sys; sys.exit('no such card')", "exit status 1: no such card"),
        ("print('hello world', flush=True)\nimport sys; sys.stdin.read()", "not an answer: hello world"),
        (
            'print(\'{"ev": "error", "message": "busy"}\', flush=True)\nimport sys; sys.stdin.read()',
            "busy",
        ),
    ],
)
def test_a_command_that_does_not_speak_the_protocol_is_one_line(
    tmp_path: Path, script: str, words: str
) -> None:
    path = tmp_path / "fake.py"
    path.write_text(script)
    target = ExecTarget([sys.executable, str(path)], Manifest(name="fake", watchdog_s=20))
    with pytest.raises(TargetError) as caught:
        target.start(HEADER)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    target.stop()


def test_a_command_that_does_not_exist_is_one_line() -> None:
    with pytest.raises(TargetError, match=r"cannot start /no/such/command: no such file"):
        open_target("exec:/no/such/command", Manifest(name="x")).capabilities()


def test_the_reference_behind_the_protocol_does_what_it_does_in_process() -> None:
    """The server is the smallest complete example of the protocol; it must not change a byte."""
    m = manifest.load("reference")
    here, there = open_target("reference", m), served("reference", m)
    chosen = ("pipe-swap-rx", "poll-wakeup-in", "process-killed", "nic-rx", "fork-inherits", "prologue-tail")
    for name in chosen:
        (scenario,) = scenarios.load("14", name)
        one, judged_one = runner.run(here, scenario, m, build=None)
        two, judged_two = runner.run(there, scenario, m, build=None)
        assert judged_one.verdict == judged_two.verdict == "PASS", name
        assert [msgspec.to_builtins(e) for e in one.events] == [msgspec.to_builtins(e) for e in two.events]
    there.stop()

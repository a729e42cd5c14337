"""The recordings of real netmap: what the model covers is accepted step by step, the rest is listed by the
rule that is missing, and a recording that was tampered with is rejected at the place.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from netmap_conformance import manifest as manifests
from netmap_conformance.oracle import Judgement, judge
from netmap_conformance.recordings import DATA, convert, recording_id
from netmap_conformance.recordings.convert14 import convert14
from netmap_reference.core.step import RULES
from netmap_spec import clauses

FILES = {recording_id(path): path for path in sorted((DATA / "14").rglob("*.jsonl"))}

#: Recordings that show a known difference between the code and its texts, with the readings that explain it.
DEVIATIONS = {
    "option_offsets": {"14.offsets-bits-not-returned"},
    "option_offsets_bad": {"14.offsets-bits-not-returned"},
    "option_offsets_two_users": {"14.offsets-bits-not-returned"},
    "kloop_mode": {"14.kloop-direct-without-eventfds"},
    "ctl_unbound": {"14.csb-enable-unbound"},
    "ctl_header_bad": {"14.header-reserved-left"},
    "legacy_api": {"14.legacy-version-kept", "14.legacy-version-unbounded"},
    "vale_dst_port_flag": {"14.vale-port-ignored"},
    "vale_mac_back": {"14.vale-source-cache"},
    "vale_newif": {"14.vale-persistent-renamed"},
    "vale_no_learn": {"14.vale-no-learn-ignored"},
    "native/nic_veth_forward": {"14.reinit-trusts-user"},
    "native/nic_veth_rx_full": {"14.reinit-trusts-user"},
    "pipe_do_rx_poll": {"14.do-rx-poll-ignored"},
    "pipe_poll_wakeup_thread": {"14.reinit-trusts-user"},
    "pipe_ring_selection": {"14.pipe-copies-fake-ring"},
    "pipe_timestamp": {"14.tx-not-stamped"},
    "pipe_user_writes_tail": {"14.reinit-trusts-user"},
}


@cache
def manifest(name: str) -> manifests.Manifest:
    return manifests.load("linux-netmap-native-drivers" if name.startswith("native/") else "linux-netmap")


@cache
def judged(name: str) -> Judgement:
    return judge(convert(FILES[name]), manifest(name))


def test_nothing_is_left_unmodelled() -> None:
    assert len(FILES) == 106
    assert set(DEVIATIONS) <= set(FILES)


@pytest.mark.parametrize("name", sorted(FILES))
def test_accepted_step_by_step(name: str) -> None:
    judgement = judged(name)
    assert {f.deviation for f in judgement.findings} == DEVIATIONS.get(name, set())
    assert judgement.verdict == ("DEVIATION" if name in DEVIATIONS else "PASS"), judgement.findings
    assert judgement.steps == len(list(convert(FILES[name]).calls())) - _unreturned(name)
    assert judgement.rules
    assert set(judgement.rules) <= set(RULES)
    for finding in judgement.findings:
        assert finding.clause in clauses.load() and finding.reason


def _unreturned(name: str) -> int:
    trace = convert(FILES[name])
    return len(list(trace.calls())) * 2 - len(trace.events)


@pytest.mark.parametrize("name", sorted(DEVIATIONS))
def test_without_the_manifest_the_same_is_a_violation(name: str) -> None:
    judgement = judge(convert(FILES[name]))
    (finding,) = judgement.findings
    assert (judgement.verdict, finding.kind) == ("VIOLATION", "VIOLATION")
    assert finding.clause in clauses.load()


# --- tampering --------------------------------------------------------------------------------

Line = dict[str, Any]


def tampered(name: str, change: Callable[[list[Line]], Any]) -> Judgement:
    """The judgement on a recording whose lines were changed."""
    path = FILES[name]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    return judge(convert14("\n".join(map(json.dumps, lines)), str(path)), manifest(name))


def at(lines: list[Line], op: str, nth: int = 0) -> Line:
    """The ``nth`` line of an operation."""
    return [line for line in lines if line["op"].split()[0] == op][nth]


@pytest.mark.parametrize(
    ("name", "change", "clause", "step"),
    [
        pytest.param(
            "pipe_basic",
            lambda x: at(x, "txsync", 1)["rings"]["tx0"].update(tail=3),
            "14.pipe.txsync", 13,
            id="pipe: a tail",
        ),
        pytest.param(
            "pipe_basic",
            lambda x: at(x, "rxsync")["rings"]["rx0"]["changed"][1].__setitem__(1, 1028),
            "14.pipe.rxsync", 9,
            id="pipe: a buffer index",
        ),
        pytest.param(
            "pipe_basic",
            lambda x: at(x, "mmap")["rings"]["tx0"]["slots"][2].__setitem__(1, 7),
            "14.memory.fresh-ring", 5,
            id="pipe: a buffer that another slot of the ring has",
        ),
        pytest.param(
            "pipe_exclusive",
            lambda x: at(x, "reg", 1).update(errno="EINVAL"),
            "14.register.exclusive", 5,
            id="REGISTER: another errno",
        ),
        pytest.param(
            "pipe_exclusive",
            lambda x: at(x, "reg", 1).update(ret=0, errno="0"),
            "14.register.exclusive", 5,
            id="REGISTER: success",
        ),
        pytest.param(
            "pipe_basic",
            lambda x: at(x, "reg")["out"].update(nr_tx_slots=1000),
            "14.register.sizes", 3,
            id="REGISTER: an output field",
        ),
        pytest.param(
            "pipe_poll_semantics",
            lambda x: at(x, "poll", 1).update(ret=0, revents=""),
            "14.poll.ready", 8,
            id="poll: not ready",
        ),
        pytest.param(
            "pipe_basic",
            lambda x: at(x, "bytes").update(hex="00" * 20),
            "14.pipe.rxsync", 10,
            id="pipe: bytes",
        ),
        pytest.param(
            "nic_veth_open",
            lambda x: at(x, "txsync")["rings"]["tx0"].update(tail=2),
            "14.nic.reclaim", 9,
            id="NIC: a tail beyond what was sent",
        ),
        pytest.param(
            "nic_veth_open",
            lambda x: at(x, "rxsync")["rings"]["rx0"]["changed"][0].__setitem__(2, 61),
            "14.nic.rxsync", 11,
            id="NIC: a length",
        ),
        pytest.param(
            "native/nic_e1000_swap",
            lambda x: at(x, "poll")["rings"]["rx0"]["changed"][0].__setitem__(1, 517),
            "14.nic.rxsync", 15,
            id="NIC: a buffer nobody gave it",
        ),
        pytest.param(
            "native/nic_veth_host_rings",
            lambda x: at(x, "txsync")["rings"]["tx1"].update(tail=1023),
            "14.host.tx", 15,
            id="host ring: a tail",
        ),
        pytest.param(
            "pipe_basic",
            lambda x: x.remove(at(x, "txsync")),
            "14.pipe.rxsync", 9,
            id="a txsync left out",
        ),
        pytest.param(
            "pipe_basic",
            lambda x: x.remove(at(x, "rxsync", 1)),
            "14.pipe.txsync", 13,
            id="an rxsync left out",
        ),
        pytest.param(
            "pipe_basic",
            lambda x: x.remove(at(x, "mmap")),
            "14.memory.mmap", 7,
            id="an mmap left out",
        ),
        pytest.param(
            "pipe_basic",
            lambda x: x.remove(at(x, "set")),
            "14.ring.tail-published", 12,
            id="a store left out",
        ),
    ],
)  # fmt: skip
def test_a_changed_recording_is_rejected_at_the_place(
    name: str, change: Callable[[list[Line]], Any], clause: str, step: int
) -> None:
    judgement = tampered(name, change)
    assert judgement.verdict == "VIOLATION"
    finding = judgement.findings[-1]
    assert (finding.kind, finding.clause, finding.step) == ("VIOLATION", clause, step)
    assert finding.allowed and finding.seen


#: One number of an observation, by kind: where it may be found in a line, and what it becomes instead.
NUMBERS: dict[str, Callable[[Line, random.Random], bool]] = {}


def number(kind: str) -> Callable[[Callable[[Line, random.Random], bool]], None]:
    """Register a way to change one number of a line; it returns False for a line that has none."""

    def add(change: Callable[[Line, random.Random], bool]) -> None:
        NUMBERS[kind] = change

    return add


def _word(line: Line, source: random.Random, word: str) -> bool:
    rings = [ring for ring in line.get("rings", {}).values() if "changed" in ring]
    if not rings:
        return False
    ring = source.choice(rings)
    ring[word] = (ring[word] + source.randrange(1, ring["num_slots"])) % ring["num_slots"]
    return True


def _slot(line: Line, source: random.Random, column: int) -> bool:
    slots = [slot for ring in line.get("rings", {}).values() for slot in ring.get("changed", [])]
    if not slots:
        return False
    source.choice(slots)[column] += source.randrange(1, 40)
    return True


number("head")(lambda line, source: _word(line, source, "head"))
number("cur")(lambda line, source: _word(line, source, "cur"))
number("tail")(lambda line, source: _word(line, source, "tail"))
number("buf_idx")(lambda line, source: _slot(line, source, 1))
number("len")(lambda line, source: _slot(line, source, 2))


@number("errno")
def _errno(line: Line, source: random.Random) -> bool:
    # What a request for polling answers is the implementation's choice, its errno included.
    if line["op"].split()[0] not in ("reg", "ctl", "mmap", "txsync", "rxsync") or "POLLING" in line["op"]:
        return False
    line.update({"errno": "EPERM"} if line["ret"] < 0 else {"ret": -1, "errno": "EBUSY"})
    return True


@number("revents")
def _revents(line: Line, source: random.Random) -> bool:
    if "revents" not in line:
        return False
    line.update({"revents": "", "ret": 0} if line["revents"] else {"revents": "in ", "ret": 1})
    return True


@pytest.mark.parametrize("name", sorted(FILES))
def test_one_changed_number_is_enough(name: str) -> None:
    """Any position, slot, error or event that a recording shows, changed anywhere, is noticed."""
    seed = sum(name.encode())
    source = random.Random(seed)
    lines = [json.loads(line) for line in FILES[name].read_text().splitlines()]
    places = [
        (kind, i)
        for i, line in enumerate(lines)
        for kind, change in NUMBERS.items()
        if change(copy.deepcopy(line), random.Random(0))
    ]
    if not places:
        assert name == "params", "a recording of parameters alone shows no ring, request or event"
        return
    kind, i = source.choice(places)
    try:
        judgement = tampered(name, lambda x: NUMBERS[kind](x[i], source))
    except ValueError as malformed:
        assert str(malformed).startswith(f"{FILES[name]}:{i + 1}:"), f"seed {seed}: {kind} in line {i + 1}"
        return
    assert judgement.verdict == "VIOLATION", f"seed {seed}: {kind} in line {i + 1}: {lines[i]['op']}"


@pytest.mark.parametrize("name", ["pipe_basic", "pipe_close_pending", "nic_veth_open", "pipe_proc_killed"])
def test_no_line_can_go_unnoticed(name: str) -> None:
    """Whatever line is left out, the recording is not accepted; at the least there is a hole."""
    count = len(FILES[name].read_text().splitlines())
    for i in range(count - 1):
        try:
            judgement = tampered(name, lambda lines, i=i: lines.pop(i))  # type: ignore[misc]
        except ValueError as malformed:
            assert str(malformed).startswith(str(FILES[name]))
        else:
            if name == "pipe_proc_killed" and judgement.verdict == "PASS":
                # The process was killed after this operation: it may as well have been killed in it.
                assert i == 8
                continue
            assert judgement.findings[0].kind in ("VIOLATION", "INCONCLUSIVE"), (i, judgement.findings)


def test_data_is_what_was_recorded() -> None:
    """Each recording has its scenario beside it, operation for operation."""
    for name, path in FILES.items():
        scenario = Path(str(path).removesuffix(".jsonl") + ".scn")
        asked = [s for s in map(str.strip, scenario.read_text().splitlines()) if s and not s.startswith("#")]
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        done = [line["op"].strip() for line in lines if "who" not in line]
        assert done == asked, name

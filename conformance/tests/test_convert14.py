"""Recordings of API 14 become traces: what was said when, by whom; holes and nonsense are noticed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from netmap_conformance import trace as traces
from netmap_conformance.recordings import DATA, convert, recording_id
from netmap_conformance.recordings.convert14 import convert14
from netmap_conformance.trace import Call, Return, Trace, TraceError
from netmap_spec import schemas

FILES = sorted((DATA / "14").rglob("*.jsonl"))


def lines(*ops: Any) -> str:
    """A recording: operations that succeed, or whole objects."""
    found = []
    for n, op in enumerate(ops, 1):
        line = {"n": n, "op": op, "ret": 0, "errno": "0"} if isinstance(op, str) else op
        found.append(json.dumps(line))
    return "\n".join(found) + "\n"


def order(trace: Trace) -> list[str]:
    """The events in words: ``+`` a call's start, ``-`` its return."""
    texts = {e.n: f"{e.actor}:{e.op}" for e in trace.events if isinstance(e, Call)}
    return [
        f"{'+' if isinstance(e, Call) else '-'}{texts[e.n if isinstance(e, Call) else e.of]}"
        for e in trace.events
    ]


@pytest.mark.parametrize("path", FILES, ids=recording_id)
def test_every_recording_is_read_and_comes_back_from_our_own_format(path: Path, tmp_path: Path) -> None:
    trace = convert(path)
    assert trace.header.initial == "unknown"
    assert trace.header.target == (
        "linux-netmap-native-drivers" if "native" in path.parts else "linux-netmap"
    )
    started = {e.n for e in trace.events if isinstance(e, Call)}
    assert all(e.of in started for e in trace.events if isinstance(e, Return))
    written = tmp_path / "t.jsonl.gz"
    traces.write(trace, written)
    again = convert(written)
    assert (again.header, again.events) == (trace.header, trace.events)
    document = [json.loads(line) for line in traces.dump(trace).splitlines()]
    assert schemas.validate("trace", document) == []


def test_gzip_makes_no_difference(tmp_path: Path) -> None:
    raw = (DATA / "14" / "pipe_basic.jsonl").read_bytes()
    packed = tmp_path / "pipe_basic.jsonl.gz"
    packed.write_bytes(gzip.compress(raw))
    assert convert(packed).events == convert(DATA / "14" / "pipe_basic.jsonl").events


def test_ports_come_from_the_commands_and_the_first_register() -> None:
    emulated = {p.name: p for p in convert(DATA / "14" / "nic_veth_one_nic.jsonl").header.ports}
    assert emulated["v0"].emulated and emulated["v0"].peer == "v1"
    assert (emulated["v0"].tx_rings, emulated["v0"].rx_rings, emulated["v0"].tx_slots) == (2, 2, 1024)
    native = {p.name: p for p in convert(DATA / "14" / "native" / "nic_e1000_swap.jsonl").header.ports}
    assert (native["eth0"].driver, native["eth0"].emulated, native["eth0"].tx_slots) == ("e1000", False, 256)
    big = {p.name: p for p in convert(DATA / "14" / "nic_veth_mtu_big.jsonl").header.ports}
    assert (big["v0"].mtu, big["v1"].mtu, big["lo"].kind) == (9000, 9000, "host-only")


def test_a_thread_starts_at_once_and_ends_when_its_line_comes() -> None:
    text = lines(
        "open B",
        "bg P poll B in 500",
        {"n": 4, "op": "close A", "ret": 0, "errno": "0"},
        {"n": 3, "who": "P", "op": "poll B in 500", "ret": 0, "errno": "0", "revents": ""},
        {"n": 5, "op": "join P", "ret": 0, "errno": "0"},
    )
    assert order(convert14(text, "t")) == [
        "+main:open", "-main:open",
        "+P:poll",
        "+main:close", "-main:close",
        "+main:env",  # join P waits while P ends
        "-P:poll",
        "-main:env",
    ]  # fmt: skip


def test_a_process_starts_each_operation_when_the_one_before_has_ended() -> None:
    text = lines(
        "proc P open B;txsync B;sleep 5000",
        {"n": 2, "who": "P", "op": " open B", "ret": 0, "errno": "0"},
        {"n": 2, "op": "kill P", "ret": 0, "errno": "0"},
    )
    assert order(convert14(text, "t")) == [
        "+main:fork", "-main:fork",
        "+P:open", "+main:env", "-P:open",
        "+P:txsync",  # it was killed in there
        "+main:exit", "-main:exit",
        "-main:env",
    ]  # fmt: skip


def test_a_missing_line_is_a_hole_where_it_was() -> None:
    whole = [
        {"n": n, "op": op, "ret": 0, "errno": "0"} for n, op in enumerate(("open A", "close A", "open A"), 1)
    ]
    events = convert14(lines(whole[0], whole[2]), "t").events
    lost = [e for e in events if isinstance(e, Call) and e.op == "lost"]
    assert [(c.args, c.line) for c in lost] == [({"number": 2}, 2)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("not json\n", "t:2: not JSON"),
        ("[1]\n", "t:2: not an object"),
        ('{"n": 2, "op": "fly A", "ret": 0, "errno": "0"}\n', "t:2: unknown operation 'fly'"),
        ('{"n": 2, "op": "close A", "errno": "0"}\n', "t:2: 'ret' is None, not int"),
        ('{"n": 2, "op": "close A", "ret": 0, "errno": 0}\n', "t:2: 'errno' is 0, not str"),
        ('{"n": "2", "op": "close A", "ret": 0, "errno": "0"}\n', "t:2: 'n' is '2', not int"),
        ('{"n": 1, "op": "close A", "ret": 0, "errno": "0"}\n', "t:2: operation 1 is out of order"),
        ('{"n": 99999, "op": "close A", "ret": 0, "errno": "0"}\n', "t:2: operation 99999 is far ahead"),
        ('{"n": 2, "op": "close A", "ret": 0, "errno": "0", "mood": 1}\n', "t:2: unknown member 'mood'"),
        ('{"n": 2, "who": "P", "op": "close A", "ret": 0, "errno": "0"}\n', "t:2: there is no actor P"),
        ('{"n": 2, "op": "show A", "ret": 0, "errno": "0", "rings": {"tx0": 3}}\n', "t:2: ring tx0 is 3"),
        (
            '{"n": 2, "op": "show A", "ret": 0, "errno": "0", "rings": {"tx0": {"changed": [[1, 2]]}}}\n',
            "t:2: [1, 2] in tx0 is not [index, buf_idx, len, flags, ptr]",
        ),
        ('{"n": 2, "op": "rawsend S 60 aa", "ret": 0, "errno": "0"}\n', "t:2: there is no packet socket S"),
    ],
)  # fmt: skip
def test_nonsense_is_one_line_with_its_number(change: str, message: str) -> None:
    with pytest.raises(TraceError) as error:
        convert14(lines("open A") + change, "t")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ":1: the file is empty"),
        (b"\x1f\x8bbroken", ":1: not a text file"),
        (b"\xff\xfe", ":1: not a text file"),
        (b"hello\n", ":1: not JSON"),
        (b'{"what": 1}\n', ":1: neither a trace's header nor the first line of a recording"),
        (b'{"netmap_trace": 2, "generation": "14"}\n', ":1: trace format 2, this version reads 1"),
        (b'{"netmap_trace": 1, "generation": "14"}\n{"ev": "cry"}\n', ":2: "),
    ],
)
def test_files_of_no_known_format(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(TraceError) as error:
        convert(path)
    assert f"{path}{message}" in str(error.value)

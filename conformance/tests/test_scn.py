"""The line language: every form, and one clear line for everything that is not one."""

from __future__ import annotations

import pytest
from netmap_conformance.recordings import DATA
from netmap_conformance.scn import parse_scn
from netmap_conformance.scn_ops import FORMS, parse_op
from netmap_conformance.trace import Call, TraceError


def calls(text: str) -> list[Call]:
    return list(parse_scn(text, "t.scn").calls())


def test_the_header_is_in_comments_and_other_comments_are_prose() -> None:
    trace = parse_scn(
        "# title: two ports\n"
        "# a sender never waits: or does it?\n"
        "# clauses: 14.pipe.rxsync, 14.ring.rx-window\n"
        "# ports: v0 nic peer=v1 tx_slots=64 emulated=1; v1 peer=v0 driver=veth\n"
        "# needs: pipe nic\n"
        "# seed: 7\n"
        "\n"
        "open A   \n",
        "t.scn",
    )
    header = trace.header
    assert (header.title, header.generation, header.seed) == ("two ports", "14", 7)
    assert header.clauses == ["14.pipe.rxsync", "14.ring.rx-window"]
    assert header.needs == ["pipe", "nic"]
    v0, v1 = header.ports
    assert (v0.name, v0.peer, v0.tx_slots, v0.emulated) == ("v0", "v1", 64, True)
    assert (v1.kind, v1.peer, v1.driver) == ("nic", "v0", "veth")
    assert [(c.n, c.op, c.fd, c.line) for c in trace.calls()] == [(1, "open", "A", 8)]


@pytest.mark.parametrize(
    ("line", "op", "args"),
    [
        ("reg A x{1", "register", {"name": "x{1"}),
        ("reg A - mode=NULL extra=8", "register", {"name": "", "mode": "NULL", "extra_bufs": 8}),
        ("reg A v0 flags=NR_A|NR_B", "register", {"name": "v0", "flags": "NR_A|NR_B"}),
        ("reg A x reserved=1", "register", {"name": "x", "header": {"reserved": 1}}),
        (
            "reg A x{1 rawopt=5 rawopt2=5",
            "register",
            {"name": "x{1", "options": [{"type": 5}, {"type": 5}]},
        ),
        (
            "reg A x{1 opts=99>1,CSB:5000>bad",
            "register",
            {"name": "x{1", "options": [{"type": 99, "next": 1}, {"type": "CSB", "size": 5000, "next": -2}]},
        ),
        (
            "ctl A SYNC_KLOOP_START - kmode=3 eventfds=2",
            "ctl",
            {
                "request": "SYNC_KLOOP_START",
                "name": "",
                "options": [
                    {"type": "SYNC_KLOOP_EVENTFDS", "entries": 2, "size": 40},
                    {"type": "SYNC_KLOOP_MODE", "mode": 3},
                ],
            },
        ),
        (
            "reg A x{1 offsets=64:16:0:0:0",
            "register",
            {
                "name": "x{1",
                "options": [
                    {
                        "type": "OFFSETS", "max_offset": 64, "initial_offset": 16, "offset_bits": 0,
                        "tx_align": 0, "min_gap": 0,
                    }
                ],
            },
        ),
        ("ctl A VALE_LIST - bridge_idx=1", "ctl", {"request": "VALE_LIST", "name": "", "bridge_idx": 1}),
        ("regif A x version=14", "legacy", {"request": "REGIF", "name": "x", "version": 14}),
        ("mmap A size=4096 nonif=1", "mmap", {"length": 4096, "look": False}),
        ("mmap A ro=1 private=1", "mmap", {"prot": "r", "flags": "private"}),
        ("set A tx0 both=head+2", "set", {"ring": "tx0", "head": "head+2", "cur": "head+2"}),
        ("set A rx1 flags=NR_FORWARD", "set", {"ring": "rx1", "flags": "NR_FORWARD"}),
        ("slot A tx0 3 idx=extra:A:0", "slot", {"ring": "tx0", "index": 3, "buf_idx": "extra:A:0"}),
        ("slot A tx0 4 ptr=0x1f", "slot", {"ring": "tx0", "index": 4, "ptr": 31}),
        (
            "swap B rx0 0 C tx0 1",
            "swap",
            {"ring": "rx0", "index": 0, "fd2": "C", "ring2": "tx0", "index2": 1},
        ),
        ("fill A tx0 2 0 9 bb", "fill", {"ring": "tx0", "index": 2, "offset": 0, "count": 9, "fill": 0xBB}),
        ("eth A tx0 0 ff 1 60", "eth", {"ring": "tx0", "index": 0, "dst": "ff", "src": "1", "len": 60}),
        (
            "eth A tx0 0 ff 1 60 aa",
            "eth",
            {"ring": "tx0", "index": 0, "dst": "ff", "src": "1", "len": 60, "fill": 0xAA},
        ),
        ("send A tx0 3", "send", {"ring": "tx0", "count": 3}),
        ("send A tx0 3 100 2 1", "send", {"ring": "tx0", "count": 3, "len": 100, "dst": "2", "src": "1"}),
        ("bytes B rx0 0 20 4", "bytes", {"ring": "rx0", "index": 0, "count": 20, "offset": 4}),
        ("store B rx0 0 4 c0ffee", "bytes", {"ring": "rx0", "index": 0, "offset": 4, "hex": "c0ffee"}),
        ("poll A inout 50", "poll", {"events": ["in", "out"], "timeout_ms": 50}),
        ("poll A none 0", "poll", {"events": [], "timeout_ms": 0}),
        ("select B in 20", "poll", {"events": ["in"], "timeout_ms": 20, "how": "select"}),
        ("epoll B inet 20", "poll", {"events": ["in", "et"], "timeout_ms": 20, "how": "epoll"}),
        ("frame v0 wire 0011", "frame", {"port": "v0", "side": "wire", "hex": "0011"}),
        ("sh ip link set v0 up; true", "sh", {"command": "ip link set v0 up; true"}),
        ("param admode 1", "param", {"name": "admode", "value": "1"}),
    ],
)  # fmt: skip
def test_forms(line: str, op: str, args: dict[str, object]) -> None:
    call = parse_op(line, "t.scn:1")
    assert (call.op, call.args) == (op, args)
    assert call.text == line


def test_background_operations_are_calls_of_another_actor() -> None:
    found = calls("bg P poll B in 2000\njoin P\nproc Q open C;reg C x}1\njoin Q\n")
    assert [(c.op, c.actor) for c in found] == [
        ("poll", "P"),
        ("join", "main"),
        ("fork", "main"),
        ("open", "Q"),
        ("register", "Q"),
        ("exit", "main"),  # a process that was waited for is gone
        ("join", "main"),
    ]
    assert found[2].args == found[5].args == {"actor": "Q"}


def test_a_killed_process_does_not_end_twice() -> None:
    assert [c.op for c in calls("proc Q open C\nkill Q\njoin Q\n")] == ["fork", "open", "kill", "join"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("open A\nfly A\n", "t.scn:2: unknown operation 'fly'"),
        ("txsync\n", "t.scn:1: 0 words after 'txsync'; the form is: txsync H"),
        ("set A tx0 head\n", "t.scn:1: 'head' is not field=value"),
        ("set A tx0 avail=3\n", "t.scn:1: 'avail' is none of head, cur, both, tail, flags"),
        ("set A ring0 head=1\n", "t.scn:1: 'ring0' is not the name of a ring (tx0, rx1, …)"),
        ("reg A x color=red\n", "t.scn:1: REGISTER has no field 'color'"),
        ("reg A x mode=SW mode=SW\n", "t.scn:1: 'mode' is given twice"),
        ("poll A often 5\n", "'often' is no event"),
        ("send A tx0 many\n", "t.scn:1: count 'many' is not a number"),
        ("frame v0 left 00\n", "'left' is no side of a port"),
        ("frame v0 wire 0\n", "t.scn:1: '0' is not bytes in hex"),
        ("bg P\n", "t.scn:1: the form is: bg NAME OP …"),
        ("proc P open A;;close A\n", "t.scn:1: an empty operation between ';'"),
        ("proc P open A\nproc P open B\n", "t.scn:2: process P is still there"),
        ("bg P fly A\n", "t.scn:1: unknown operation 'fly'"),
        ("# ports: v0 nic speed=9\n", "t.scn:1: a port has no 'speed=9'; it has name, kind"),
        ("# ports: v0 tx_slots=many\n", "t.scn:1: tx_slots of port v0 is 'many', not a number"),
        ("# generation: 15\n", "generation 15 is none of 2011, 14"),
        ("# seed: x\n", "t.scn:1: seed 'x' is not a number"),
    ],
)  # fmt: skip
def test_errors_name_file_and_line_on_one_line(text: str, message: str) -> None:
    with pytest.raises(TraceError) as error:
        parse_scn(text, "t.scn")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_every_scenario_of_the_recordings_is_understood() -> None:
    files = sorted((DATA / "14").rglob("*.scn"))
    assert files
    words = {c.text.split()[0] for f in files for c in parse_scn(f.read_text(), str(f)).calls()}
    assert words <= set(FORMS) | {"open"}, "nothing that the language does not list"

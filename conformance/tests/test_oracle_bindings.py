"""The kernel's own numbers are compared one to one, not by value; and unknown beginnings are learned."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from netmap_conformance import manifest as manifests
from netmap_conformance.oracle import Finding, Judgement, judge
from netmap_conformance.oracle.binding import Bindings
from netmap_conformance.runner import run
from netmap_conformance.scn import parse_scn
from netmap_conformance.targets.reference import ReferenceTarget
from netmap_conformance.trace import Return, See, Trace

SWAP = """
open A
open B
reg A x{1 tx_slots=8 rx_slots=8 extra=2
reg B x}1
mmap A
mmap B
send A tx0 2
slot A tx0 0 buf_idx=extra:A:0 flags=NS_BUF_CHANGED
txsync A
rxsync B
set B rx0 both=tail
rxsync B
txsync A
close A
close B
"""


@pytest.fixture(scope="module")
def swap() -> Trace:
    target = ReferenceTarget(manifests.load("reference"))
    trace, judgement = run(target, parse_scn(SWAP.replace("buf_idx", "idx"), "swap.scn"), build=None)
    assert judgement.verdict == "PASS"
    return trace


def looks(trace: Trace) -> list[See]:
    return [e.see for e in trace.events if isinstance(e, Return) and e.see is not None]


def renumbered(trace: Trace, number: Callable[[int], int]) -> Trace:
    """The same run on an implementation whose pool has other numbers for its buffers."""
    other = copy.deepcopy(trace)
    for see in looks(other):
        for slots in see.slots.values():
            for slot in slots:
                slot[1] = number(slot[1])
        if see.nifp is not None:
            see.nifp["ni_bufs_head"] = number(see.nifp["ni_bufs_head"])
    for event in other.events:
        if isinstance(event, Return) and event.wrote and "buf_idx" in event.wrote:
            event.wrote["buf_idx"] = number(event.wrote["buf_idx"])
    return other


def relabelled(trace: Trace, mem_id: int, nifp: int, rings: int) -> Trace:
    """The same run with another memory id, netmap_ifs and rings moved by so many bytes."""
    other = copy.deepcopy(trace)
    for event in other.events:
        if isinstance(event, Return) and event.out and "nr_mem_id" in event.out:
            event.out["nr_mem_id"] = mem_id
            event.out["nr_offset"] += nifp
    for see in looks(other):
        for ring in see.rings.values():
            ring["buf_ofs"] -= rings
        if see.nifp is not None:
            see.nifp["ring_ofs"] = [at and at + rings - nifp for at in see.nifp["ring_ofs"]]
    return other


def only(judgement: Judgement) -> Finding:
    (finding,) = judgement.findings
    return finding


# --- other numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(lambda i: i and i + 40, id="all by 40"),
        pytest.param(lambda i: i and 101 - i, id="in reverse"),
        pytest.param(lambda i: i and i * 7 % 97 + 2, id="shuffled"),
    ],
)
def test_buffers_may_have_any_numbers(swap: Trace, number: Callable[[int], int]) -> None:
    assert judge(renumbered(swap, number)).verdict == "PASS"


def test_memory_ids_and_offsets_are_the_kernels(swap: Trace) -> None:
    assert judge(relabelled(swap, mem_id=7, nifp=64, rings=512)).verdict == "PASS"


def test_the_buffers_stay_where_they_are_said_to_be(swap: Trace) -> None:
    """The second descriptor's rings lie elsewhere, the buffers of the same memory do not."""
    other = copy.deepcopy(swap)
    looks(other)[1].rings["tx0"]["buf_ofs"] += 2048
    assert only(judge(other)).clause == "14.memory.layout"


def test_one_memory_has_one_id(swap: Trace) -> None:
    other = copy.deepcopy(swap)
    registered = [e for e in other.events if isinstance(e, Return) and e.out]
    assert registered[1].out is not None
    registered[1].out["nr_mem_id"] += 1
    found = only(judge(other))
    assert (found.clause, found.allowed) == ("14.memory.ids", "out.nr_mem_id 2")


# --- buffers that are not to be had -------------------------------------------------------------


def test_two_slots_cannot_have_one_buffer(swap: Trace) -> None:
    other = copy.deepcopy(swap)
    tx = looks(other)[0].slots["tx0"]
    tx[3][1] = tx[2][1]
    found = only(judge(other))
    assert (found.clause, found.step) == ("14.memory.pool", 5)
    assert "a buffer that nothing else has in slot 3" in found.allowed


def test_buffer_1_is_nobodys(swap: Trace) -> None:
    other = copy.deepcopy(swap)
    looks(other)[0].slots["tx0"][3][1] = 1
    assert only(judge(other)).clause == "14.memory.reserved"


def test_a_buffer_outside_the_region_is_none(swap: Trace) -> None:
    other = copy.deepcopy(swap)
    looks(other)[0].slots["tx0"][3][1] = 1 << 24
    found = only(judge(other))
    assert (found.clause, "inside the region" in found.allowed) == ("14.memory.layout", True)


def test_the_buffer_that_was_swapped_in_arrives_and_not_another(swap: Trace) -> None:
    other = copy.deepcopy(swap)
    arrived = next(s for s in looks(other) if s.slots.get("rx0") and s.rings["rx0"]["tail"] == 2)
    arrived.slots["rx0"][0][1] += 1
    assert only(judge(other)).clause == "14.pipe.rxsync"


def test_what_an_application_writes_is_not_renumbered() -> None:
    """An index that is no buffer crosses a pipe as it is, whatever the others are called."""
    target = ReferenceTarget(manifests.load("reference"))
    text = SWAP.replace("buf_idx=extra:A:0", "idx=99999999")
    trace, _ = run(target, parse_scn(text, "wild.scn"), build=None)
    wild = renumbered(trace, lambda i: i if i in (0, 99999999) else i + 40)
    assert judge(wild).verdict == "PASS"
    wild = renumbered(trace, lambda i: i if i == 0 else i + 40)
    assert judge(wild).verdict == "VIOLATION"


# --- unknown beginnings -------------------------------------------------------------------------

LEFTOVER = "# ports: v0 nic tx_slots=8 rx_slots=8\nopen A\nreg A v0\nmmap A\ntxsync A\nshow A\n"


def leftovers(initial: str, later: int) -> Judgement:
    """A ring of the global memory that shows flags 4 when it is first seen and ``later`` afterwards."""
    target = ReferenceTarget(manifests.load("reference"))
    trace, _ = run(target, parse_scn(LEFTOVER, "leftover.scn"), build=None)
    trace.header.initial = initial  # type: ignore[assignment]
    for see in looks(trace):
        see.rings["tx0"]["flags"] = 4
    looks(trace)[-1].rings["tx0"]["flags"] = later
    return judge(trace)


def test_what_the_last_user_left_in_a_ring_is_learned_once() -> None:
    assert leftovers("unknown", later=4).verdict == "PASS"
    found = only(leftovers("unknown", later=0))
    assert (found.clause, found.step) == ("14.memory.leftovers", 5)


def test_fresh_memory_has_no_leftovers() -> None:
    assert only(leftovers("known", later=4)).clause == "14.memory.leftovers"


# --- the table itself ---------------------------------------------------------------------------


def test_a_relation_is_one_to_one_and_copies_are_independent() -> None:
    one = Bindings()
    assert one.bind(("buf", 1), 2, 42)
    assert one.bind(("buf", 1), 2, 42), "again the same"
    assert not one.bind(("buf", 1), 2, 43), "the model's 2 is 42"
    assert not one.bind(("buf", 1), 3, 42), "42 is the model's 2"
    assert one.bind(("buf", 2), 3, 42), "another memory"
    other = one.clone()
    assert other.key() == one.key()
    assert other.bind(("buf", 1), 3, 43)
    assert one.seen(("buf", 1), 3) is None
    one.forget(("buf", 1), lambda model: model != 2)
    assert (one.seen(("buf", 1), 2), one.model(("buf", 1), 42)) == (None, None)
    assert other.seen(("buf", 1), 2) == 42

"""What a control request gives back is judged: header, options and body, of those that fail too."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from netmap_conformance import manifest as manifests
from netmap_conformance.oracle import judge
from netmap_conformance.runner import run
from netmap_conformance.scn import parse_scn
from netmap_conformance.targets.reference import ReferenceTarget
from netmap_conformance.trace import Return, Trace

RUN = """
# ports: v0 nic tx_slots=8 rx_slots=8
open A
open B
reg A x{1 tx_slots=8 rx_slots=8 opts=99
reg A nosuch tx_slots=7
reg A x{1 tx_slots=8 rx_slots=8
ctl B PORT_INFO_GET v0 opts=CSB
ctl B PORT_INFO_GET x}1
ctl B PORT_INFO_GET y{1
ctl B POOLS_INFO_GET v0
ctl B 77 v0 nobody=1
ginfo B v0
regif B nosuch tx_slots=3
parse nm_open netmap:v0-1
parse nmport netmap:v0@conf:rings=2
"""


@pytest.fixture(scope="module")
def trace() -> Trace:
    recorded, _ = run(ReferenceTarget(manifests.load("reference")), parse_scn(RUN, "made.scn"), build=None)
    return recorded


def verdict(trace: Trace, text: str, change: Callable[[Return], Any]) -> tuple[str, str]:
    """Verdict and clause of a copy of the run in which the return of the call ``text`` is changed."""
    other = copy.deepcopy(trace)
    number = next(c.n for c in other.calls() if c.text == text)
    change(next(e for e in other.events if isinstance(e, Return) and e.of == number))
    judged = judge(other)
    return judged.verdict, judged.findings[0].clause if judged.findings else ""


def test_the_run_itself_passes(trace: Trace) -> None:
    assert judge(trace).verdict == "PASS"


def _out(name: str, value: Any) -> Callable[[Return], Any]:
    return lambda done: (done.out or {}).update({name: value})


def _hdr(name: str, value: Any) -> Callable[[Return], Any]:
    return lambda done: (done.hdr or {}).update({name: value})


def _option(name: str, value: Any) -> Callable[[Return], Any]:
    return lambda done: (done.options or [{}])[0].update({name: value})


@pytest.mark.parametrize(
    ("call", "change", "clause"),
    [
        ("reg A x{1 tx_slots=8 rx_slots=8 opts=99", _option("status", ""), "14.options.status"),
        ("reg A x{1 tx_slots=8 rx_slots=8 opts=99", _option("size", 8), "14.control.copied-back"),
        ("reg A nosuch tx_slots=7", _out("nr_tx_slots", 8), "14.register.failure"),
        ("reg A nosuch tx_slots=7", _hdr("nr_reserved", 1), "14.control.header"),
        ("reg A x{1 tx_slots=8 rx_slots=8", _hdr("nr_name", "y{1"), "14.control.copied-back"),
        ("reg A x{1 tx_slots=8 rx_slots=8", _out("nr_mem_id", 1), "14.memory.ids"),
        ("ctl B PORT_INFO_GET v0 opts=CSB", _option("status", "EINVAL"), "14.options.status"),
        ("ctl B PORT_INFO_GET v0 opts=CSB", _out("nr_rx_slots", 9), "14.register.sizes"),
        ("ctl B PORT_INFO_GET x}1", _out("nr_mem_id", 3), "14.memory.ids"),
        ("ctl B PORT_INFO_GET y{1", _out("nr_mem_id", 0), "14.memory.ids"),
        ("ctl B PORT_INFO_GET y{1", _out("nr_tx_rings", 2), "14.register.sizes"),
        ("ctl B POOLS_INFO_GET v0", _out("nr_buf_pool_objsize", 4096), "14.register.result"),
        ("ctl B 77 v0 nobody=1", _hdr("nr_reqtype", 1), "14.control.header"),
        ("ginfo B v0", _out("nr_tx_rings", 2), "14.register.sizes"),
        ("ginfo B v0", _out("nr_version", 11), "14.legacy.version-told"),
        ("regif B nosuch tx_slots=3", _out("nr_tx_slots", 0), "14.control.copied-back"),
        ("parse nm_open netmap:v0-1", _out("nr_ringid", 2), "14.nmopen.request"),
        ("parse nmport netmap:v0@conf:rings=2", _out("nr_rx_rings", 1), "14.nmport.conf"),
    ],
)
def test_a_field_that_is_wrong_is_a_violation(
    trace: Trace, call: str, change: Callable[[Return], Any], clause: str
) -> None:
    assert verdict(trace, call, change) == ("VIOLATION", clause)


def test_numbers_that_are_the_kernels_may_be_others(trace: Trace) -> None:
    """A port that is made for the answer has whatever memory comes next."""
    assert verdict(trace, "ctl B PORT_INFO_GET y{1", _out("nr_mem_id", 9))[0] == "PASS"
    assert verdict(trace, "ctl B PORT_INFO_GET y{1", _out("nr_memsize", 1 << 20))[0] == "PASS"

"""Chapter *requests*: what is common to all requests of NIOCCTRL, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.gen14 import readings, requests
from netmap_reference.gen14.requests import KINDS, check_body, check_header, parse_body
from netmap_spec.abi import api14


def ask(b: Any, request: str, **fields: Any) -> Any:
    return b.world.ctl("A", request, fields, b.choose)


@pytest.fixture
def a(bench: Callable[..., Any]) -> Any:
    """A device with one open descriptor, ``A``."""
    b = bench()
    b.world.open("A")
    return b


# --- a trace's fields as a body ---------------------------------------------------------------


def test_modes_and_flags_by_name_or_number() -> None:
    by_name = parse_body("REGISTER", KINDS["REGISTER"], {"mode": "ONE_NIC", "flags": "NR_EXCLUSIVE"})
    by_number = parse_body("REGISTER", KINDS["REGISTER"], {"nr_mode": 4, "nr_flags": 0x800})
    assert by_name == by_number
    assert by_name["nr_flags"] == api14.NR_EXCLUSIVE


def test_fields_have_the_width_of_their_c_type() -> None:
    body = parse_body("REGISTER", KINDS["REGISTER"], {"tx_rings": 65537, "tx_slots": 1 << 32})
    assert (body["nr_tx_rings"], body["nr_tx_slots"]) == (1, 0)


@pytest.mark.parametrize("fields", [{"rings": 1}, {"mode": "SOME_NIC"}, {"flags": "NR_EXCLUSIVE|NR_TURBO"}])
def test_fields_and_names_netmap_does_not_have(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"REGISTER has no field|API 14 has no constant"):
        parse_body("REGISTER", KINDS["REGISTER"], fields)


# --- header and body (14.control.header, 14.control.body) -------------------------------------------


def test_two_versions_are_spoken() -> None:
    spoken = [v for v in range(1 << 8) if check_header(v, 0).outcome.ok]
    assert spoken == [14, 15]
    assert check_header(14, 1).outcome.detail == "EINVAL"


@pytest.mark.parametrize("request_", sorted(KINDS))
def test_a_body_is_there_exactly_when_one_belongs(request_: str) -> None:
    size = KINDS[request_].size
    assert check_body(size, size > 0).outcome.ok
    assert check_body(size, size == 0).outcome.detail == "EINVAL"


@pytest.mark.parametrize(("switches", "left"), [(readings.CONTRACT, 0), (readings.AS_WRITTEN, 1)])
@pytest.mark.parametrize(
    ("request_", "header"), [("REGISTER", {"nobody": 1}), ("CSB_ENABLE", {"body": 1}), ("16", {})]
)
def test_a_request_refused_for_its_body_can_be_sent_again(
    bench: Callable[..., Any], switches: frozenset[str], left: int, request_: str, header: dict[str, int]
) -> None:
    """Deviation 14.header-reserved-left (recording ctl_header_bad)"""
    b = bench(switches=switches)
    b.world.open("A")
    result = ask(b, request_, header=header)
    assert (result.outcome.detail, result.hdr["nr_reserved"]) == ("EINVAL", left)


@pytest.mark.parametrize("request_", ["0", "16", "999"])
def test_requests_netmap_does_not_have(a: Any, request_: str) -> None:
    result = ask(a, request_, name="x{1", header={"nobody": 1})
    assert result.outcome.detail == "EINVAL"
    assert result.fired[-1] == requests.UNKNOWN
    assert result.hdr == {
        "nr_version": 14, "nr_reqtype": int(request_), "nr_reserved": 0, "nr_name": "x{1",
    }  # fmt: skip


def test_a_name_without_an_end_is_cut(a: Any) -> None:
    assert ask(a, "REGISTER", name="x" * 64).hdr["nr_name"] == "x" * 63
    assert ask(a, "REGISTER", name="x" * 64, header={"reserved": 1}).hdr["nr_name"] == "x" * 64


def test_a_body_outside_the_process_is_a_fault(a: Any) -> None:
    assert ask(a, "REGISTER", name="x{1", header={"badbody": 1}).outcome.detail == "EFAULT"
    assert ask(a, "REGISTER", name="x{1").outcome.ok


@pytest.mark.parametrize(("switches", "bound"), [(readings.CONTRACT, False), (readings.AS_WRITTEN, True)])
def test_a_result_that_cannot_be_stored(
    bench: Callable[..., Any], switches: frozenset[str], bound: bool
) -> None:
    """Deviation 14.copyout-after-the-fact"""
    b = bench(switches=switches)
    b.world.open("A")
    assert ask(b, "REGISTER", name="x{1", header={"robody": 1}).outcome.detail == "EFAULT"
    assert (ask(b, "REGISTER", name="x{1").outcome.detail == "EBUSY") == bound


def test_words_no_header_has(a: Any) -> None:
    with pytest.raises(ValueError, match="a header has no colour"):
        ask(a, "REGISTER", name="x{1", header={"colour": 1})
    with pytest.raises(ValueError, match="there is no request"):
        ask(a, "REGISTERED")


def test_a_request_has_one_handler() -> None:
    with pytest.raises(ValueError, match="has a handler already"):
        requests.handles("REGISTER")(lambda ctx: None)

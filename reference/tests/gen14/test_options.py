"""Chapter *options*: the list behind a header as the kernel copies it, and what becomes of each option."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.gen14 import options
from netmap_reference.gen14.options import BAD, END, Option, body_size, copyin
from netmap_spec.abi import api14


def chain(*types: int, size: int = 0, last: int = END) -> tuple[Option, ...]:
    """Options of these types one after the other; ``last`` is where the last one points."""
    following = [*range(1, len(types)), last][: len(types)]
    return tuple(Option(t, size, n) for t, n in zip(types, following, strict=True))


def statuses(sent: tuple[Option, ...], first: int = 0, body: int = 0) -> tuple[str, list[str]]:
    step = copyin(sent, first, body)
    return step.outcome.detail, [o.status for o in step.state.options]


# --- copying the list (14.options.*) ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "errno", "status"),
    [
        (chain(), "", []),
        (chain(1, 2, 3, 4, 5), "", ["EOPNOTSUPP"] * 5),
        (chain(6), "", ["EOPNOTSUPP"]),
        (chain(99, 99), "", ["EOPNOTSUPP", "EOPNOTSUPP"]),
        (chain(0), "EINVAL", ["EINVAL"]),
        (chain(3, 0, 5), "EINVAL", ["", "EINVAL", ""]),
        (chain(5, 5), "EINVAL", ["EINVAL", "EINVAL"]),
        (chain(5, 3, 5, 1), "EINVAL", ["EINVAL", "", "EINVAL", ""]),
        (chain(5, size=5000), "EMSGSIZE", [""]),
        (chain(5, last=0), "EINVAL", ["EINVAL"]),
        (chain(99, last=0), "EMSGSIZE", [""]),
        (chain(3, 99, last=1), "EMSGSIZE", ["", ""]),
        (chain(3, last=BAD), "EFAULT", [""]),
    ],
)
def test_lists(sent: tuple[Option, ...], errno: str, status: list[str]) -> None:
    assert statuses(sent, 0 if sent else END) == (errno, status)


def test_a_list_that_is_not_there() -> None:
    assert statuses(chain(3), BAD) == ("EFAULT", [""])


def test_an_option_that_is_passed_over_is_not_in_the_list() -> None:
    sent = (Option(3, next=2), Option(5, next=2), Option(4))
    step = copyin(sent, 0, 0)
    assert step.state.order == (0, 2)
    assert [o.status for o in step.state.options] == ["EOPNOTSUPP", "", "EOPNOTSUPP"]


def test_the_eventfds_say_how_large_they_are() -> None:
    kind = api14.NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS
    assert [body_size(kind, s) for s in (0, 23, 24, 40)] == [0, 0, 0, 16]
    largest = options.MAXSIZE - options.HEADER
    assert copyin((Option(kind, largest),), 0, options.HEADER).outcome.ok
    assert copyin((Option(kind, largest + 1),), 0, options.HEADER).outcome.detail == "EMSGSIZE"


def test_a_size_that_does_not_count_must_not_be_absurd() -> None:
    for size, ok in ((options.MAXSIZE, True), (options.MAXSIZE + 1, False), (2**64 - 1, False)):
        assert copyin((Option(api14.NETMAP_REQ_OPT_CSB, size),), 0, 0).outcome.ok == ok


# --- what becomes of them ---------------------------------------------------------------------


def ask(b: Any, request: str, name: str, *sent: dict[str, Any]) -> Any:
    return b.world.ctl("A", request, {"name": name, "options": sent}, b.choose)


def test_a_register_fails_with_an_option_nobody_takes(bench: Callable[..., Any]) -> None:
    """recording options_unknown"""
    b = bench()
    b.world.open("A")
    before = b.world.key()
    for number in (2, 4, 99):
        result = ask(b, "REGISTER", "x{1", {"type": number})
        assert result.outcome.detail == "EOPNOTSUPP"
        assert result.options == ({"type": number, "status": "EOPNOTSUPP", "size": 0},)
        assert b.world.key() == before


def test_the_first_error_of_a_register_is_not_the_options(bench: Callable[..., Any]) -> None:
    b = bench()
    b.world.open("A")
    assert ask(b, "REGISTER", "nosuch", {"type": 99}).outcome.detail == "ENXIO"


def test_other_requests_only_mark_what_they_do_not_take(bench: Callable[..., Any]) -> None:
    b = bench()
    b.world.open("A")
    result = ask(b, "PORT_INFO_GET", "x{1", {"type": "OFFSETS"}, {"type": 99})
    assert result.outcome.ok
    assert [o["status"] for o in result.options] == ["EOPNOTSUPP", "EOPNOTSUPP"]


def test_options_nobody_can_write_down(bench: Callable[..., Any]) -> None:
    for sent, words in (
        ({"type": "TURBO"}, "there is no option"),
        ({"size": 3}, "without a type"),
        ({"type": 3, "next": 7}, "goes on with option 7"),
    ):
        with pytest.raises(ValueError, match=words):
            options.parse([sent])


def test_an_option_of_a_request_has_one_handler() -> None:
    with pytest.raises(ValueError, match="there is no option"):
        options.handles("TURBO", "REGISTER")

"""The readiness matrix: every cell is what the model answers, by Linux's choice and by FreeBSD's.

``netmap_spec/readiness/matrix.toml`` is the table, :mod:`readiness` makes its situations.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from netmap_reference.core.outcome import errno
from netmap_reference.core.step import Step
from netmap_reference.gen14 import poll
from netmap_spec.readiness import EVENTS, FLAGS, Situation, load

from .readiness import SITUATIONS, Bench, NoSuch, answer, cell

MATRIX = load()


def wrong(situation: Situation, page: bool, flags: tuple[str, ...] = FLAGS) -> Iterator[str]:
    """Cells that say something else than the model."""
    for event in EVENTS:
        for flag in flags:
            row = situation.row(event, flag, page)
            for port, stands in zip(MATRIX.ports, row, strict=True):
                found = cell(port, situation.name, event, flag, page)
                if found != stands:
                    yield f"{port}, {situation.name}, {event} {flag}: '{found}', not '{stands}'"


def test_the_matrix_and_its_situations_are_the_same() -> None:
    assert [s.name for s in MATRIX.situations] == list(SITUATIONS)
    assert all(s.text for s in MATRIX.situations)


@pytest.mark.parametrize("page", [False, True], ids=["linux", "freebsd"])
@pytest.mark.parametrize("situation", MATRIX.situations, ids=lambda s: s.name)
def test_every_cell(situation: Situation, page: bool) -> None:
    assert not list(wrong(situation, page))


def _of_kqueue(stands: str) -> str:
    return stands.replace("ready+error", "ready").replace("error", "not")


@pytest.mark.parametrize("situation", MATRIX.situations, ids=lambda s: s.name)
def test_a_kqueue_answers_the_same_and_knows_no_errors(situation: Situation) -> None:
    """On FreeBSD, where there are kqueues."""
    for event in ("in", "out"):
        for port, stands in zip(MATRIX.ports, situation.row(event, "", True), strict=True):
            if stands == "-":
                continue
            b = Bench(port, page=True)
            SITUATIONS[situation.name](b, event)
            found = b.poll(event, "kqueue")
            if situation.name == "unbound":
                assert found.outcome == errno("EPERM")
            else:
                assert answer(found, event) == _of_kqueue(stands), (port, event)


@pytest.mark.parametrize("edge", [False, True], ids=["level", "edge"])
@pytest.mark.parametrize("situation", MATRIX.situations, ids=lambda s: s.name)
def test_a_set_asks_as_poll_does_and_then_only_when_it_must(situation: Situation, edge: bool) -> None:
    """Added to a set, a descriptor is asked; a second wait asks again while it is ready, by level only."""
    for event in ("in", "out"):
        for port, stands in zip(MATRIX.ports, situation.row(event, ""), strict=True):
            if stands == "-":
                continue
            b = Bench(port)
            SITUATIONS[situation.name](b, event)
            added = b.world.epset("A", frozenset({event}), edge, b.choose)
            effects = answer(added, event).split()[1:]
            assert effects == stands.split()[1:], (port, event)
            again = [b.world.epwait("A", b.choose) for _ in range(2)]
            told = [bool(result.revents) for result in again]
            if stands.startswith("not"):
                assert told == [False, False], (port, event)
                assert answer(again[1], event) == "not", (port, event)
            elif situation.name != "rejected":  # a ring that was put back is in order the next time
                assert told == [True, not edge], (port, event)


@pytest.mark.parametrize(
    ("name", "step", "by"),
    [
        ("flush_needed", lambda want, down, head, hwcur: Step(head != hwcur, (poll.TX_FLUSH,)), "idle"),
        ("ready", lambda cur, tail: cur < tail, "room"),
        ("rx_unasked", lambda rx_poll, want, switches: Step(False), "came"),
    ],
)
def test_a_model_that_does_otherwise_is_noticed(
    monkeypatch: pytest.MonkeyPatch, name: str, step: object, by: str
) -> None:
    monkeypatch.setattr(poll, name, step)
    situation = next(s for s in MATRIX.situations if s.name == by)
    assert list(wrong(situation, page=False))


def test_what_is_not_there_says_why() -> None:
    with pytest.raises(NoSuch, match="null port"):
        SITUATIONS["came"](Bench("null"), "in")

"""The mutator: it makes the slips it says, plants them in the running process, and proofs refute them."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest
from netmap_proofs.mutation import known
from netmap_proofs.mutation.equivalence import proved_equal
from netmap_proofs.mutation.hunt import (
    DEVICE,
    EQUIVALENT,
    PROTOCOL,
    REFUTED,
    STEP,
    SURVIVED,
    Hunted,
    figures,
    functions_covered,
    hunt,
    hunt_all,
    judges,
    kind_of,
    mutants_of_everything,
    reached,
    sample,
)
from netmap_proofs.mutation.operators import Mutant, mutants
from netmap_proofs.mutation.planting import Slip, loops_bounded, planted, standing_in
from netmap_proofs.obligations import load
from netmap_reference.gen14 import ring
from netmap_reference.gen14.ring import between, nm_next, nm_prev
from netmap_reference.gen2011.pool import find_first

#: The share of the sample's mutants, of those that are not equivalent, that a proof must refute: the same as
#: of all of them, in `netmap-verify teeth --proofs`.
WANTED = 0.95
#: Every how manieth mutant is hunted here; `netmap-verify teeth --proofs` hunts them all.
EVERY = 40


def changes(function: Callable[..., Any]) -> list[str]:
    return [m.id.partition(": ")[2] for m in mutants(function)]


def test_the_slips_of_a_step_are_all_made() -> None:
    assert changes(nm_next) == ["i == lim -> i != lim", "0 -> 1", "0 -> -1", "i + 1 -> i - 1",
                                "i + 1 -> i + 2", "i + 1 -> i + 0"]  # fmt: skip
    found = changes(between)
    for slip in (
        "low <= high -> low < high",
        "if low <= high -> if not low <= high",
        "low <= x and x <= high -> x <= high",
        "low <= x and x <= high -> low <= x or x <= high",
        "x >= low -> x > low",
    ):
        assert slip in found, slip


def test_an_id_names_one_mutant_and_no_line() -> None:
    found = [m.id for m in mutants_of_everything()]
    assert len(found) == len(set(found)) > 500
    assert mutants_of_everything() == mutants_of_everything()


def test_a_planted_mutant_runs_where_the_function_is_known_and_is_gone_afterwards() -> None:
    slip = next(m for m in mutants(nm_next) if m.new == "i + 2")
    assert isinstance(nm_next, FunctionType)
    with planted(nm_next, slip):
        assert ring.nm_next(0, 7) == 2
    assert ring.nm_next(0, 7) == 1


def test_a_slip_stands_in_while_it_is_asked_to() -> None:
    with standing_in([Slip(nm_next, "i + 1 -> i + 2"), between]):
        assert nm_next(0, 7) == 2
    assert nm_next(0, 7) == 1


def test_a_loop_that_a_slip_makes_endless_ends_in_an_exception() -> None:
    def count(to: int) -> int:
        at = 0
        while at < to:
            at += 1
        return at

    slip = next(m for m in mutants(count) if m.new == "0" and m.old == "1")
    assert isinstance(count, FunctionType)
    with planted(count, slip), pytest.raises(RuntimeError, match="does not end"):
        count(3)


def test_a_loop_that_a_slip_in_what_it_calls_makes_endless_ends_too() -> None:
    """The loop is in another function than the slip."""
    scan = functions_covered()["netmap_reference.gen2011.pool:scan_bit"]
    slip = next(m for m in mutants(scan) if m.new == "at + 0")
    bounded = loops_bounded(functions_covered().values())
    with bounded, planted(scan, slip), pytest.raises(RuntimeError, match="does not end"):
        find_first(frozenset({5}), 0)
    assert find_first(frozenset({5}), 0).state == 5


def test_only_obligations_that_run_the_code_are_asked_and_crosshair_is_not() -> None:
    for name in functions_covered():
        own = functions_covered()[name]
        assert judges(name)
        assert all(own in reached(each) and not each.id.startswith("xh.") for each in judges(name))


def test_a_refuted_mutant_names_obligation_goal_and_clause() -> None:
    found = hunt(next(m for m in mutants(nm_prev) if m.new == "i - 2"))
    assert (found.status, found.by) == (REFUTED, "14.ring.next-prev")
    assert found.why in load()[found.by].statement or found.why
    assert found.clause in load()[found.by].clauses


def test_a_mutant_that_is_no_longer_there_is_refused() -> None:
    gone = Mutant("netmap_reference.gen14.ring:nm_next", "comparison", "a", "b", 1, 1)
    with pytest.raises(ValueError, match="no such mutant"), planted(functions_covered()[gone.function], gone):
        pass


def test_survivors_that_are_explained_exist() -> None:
    """An entry of known.toml is about a mutant there is."""
    there = {m.id for m in mutants_of_everything()}
    assert sorted(set(known.KNOWN) - there) == []


@pytest.mark.slow
def test_a_sample_of_the_mutants_of_steps_is_refuted() -> None:
    """The share that the whole run must reach, on every fortieth."""
    found = hunt_all(sample(EVERY), jobs=1)
    missed = [h.mutant.id for h in found if h.status not in (REFUTED, EQUIVALENT)]
    assert figures(found)[STEP]["share"] >= WANTED, missed


def test_protocols_and_parts_of_devices_are_told_from_steps() -> None:
    assert kind_of("netmap_reference.gen14.ring:between") == STEP
    assert kind_of("netmap_reference.gen14.poll:poll") == PROTOCOL
    assert kind_of("netmap_reference.gen14.bind:rings_delete") == DEVICE


def test_equivalent_mutants_do_not_count() -> None:
    slip = mutants(nm_next)[0]
    found = figures([Hunted(slip, status, "c") for status in (REFUTED, EQUIVALENT, SURVIVED, REFUTED)])
    assert found[STEP]["mutants"] == 4
    assert found[STEP]["share"] == pytest.approx(2 / 3)


def test_a_mutant_that_changes_nothing_is_proved_equal() -> None:
    """A default equal to the upper end may be cut to it or kept: the engine shows that it is the same."""
    bound = functions_covered()["netmap_reference.gen14.request:bound"]
    slip = next(m for m in mutants(bound) if m.new == "default >= high")
    assert "low <= high" in proved_equal(bound, slip)
    real = next(m for m in mutants(bound) if m.new == "value <= low")
    assert proved_equal(bound, real) == ""

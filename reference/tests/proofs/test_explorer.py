"""The explorer on small protocols whose answers are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from netmap_proofs.engine import Session, execute
from netmap_proofs.explorer import Memory, Scenario, double_fetches, explore, explored, inline
from netmap_proofs.explorer.scenario import ScenarioError, without
from netmap_proofs.explorer.search import BALANCE, DEADLOCK, LOST, ORDER, RAISED
from netmap_reference.core.effects import (
    Do,
    Fired,
    Lock,
    Protocol,
    ReadKernel,
    ReadUser,
    SelRecord,
    Sleep,
    Unlock,
    Wake,
    WriteKernel,
    WriteUser,
)

FLAG = ("flag",)
COUNT = ("count",)


# --- interleavings ------------------------------------------------------------------------------------


def increment(lock: str = "") -> Protocol:
    if lock:
        yield Lock(lock)
    value = yield ReadKernel(COUNT)
    yield WriteKernel(COUNT, value + 1)
    if lock:
        yield Unlock(lock)


def two_increments(lock: str) -> Scenario:
    return Scenario(
        {"a": lambda: increment(lock), "b": lambda: increment(lock)},
        memory={COUNT: 0},
        finally_={"both count": lambda at, results: at[COUNT] == 2},
    )


def test_an_update_is_lost_without_a_lock() -> None:
    found = explore(two_increments("")).violated("both count")
    assert found is not None
    assert [m.thread for m in found.schedule.moves] == ["a", "b", "a", "b"]


def test_a_lock_keeps_both_updates() -> None:
    seen = explore(two_increments("L"))
    assert (seen.violations, seen.complete) == ([], True)


def test_every_interleaving_of_independent_threads_is_one_lattice() -> None:
    """Two threads of three writes each to words of their own: (3 + 1) * (3 + 1) states."""

    def writer(word: str) -> Protocol:
        for value in (1, 2, 3):
            yield WriteKernel((word,), value)

    scenario = Scenario({"a": lambda: writer("x"), "b": lambda: writer("y")}, memory={("x",): 0, ("y",): 0})
    assert explore(scenario).states == 16


def test_an_invariant_is_checked_in_every_state() -> None:
    def dip() -> Protocol:
        yield WriteKernel(COUNT, -1)
        yield WriteKernel(COUNT, 1)

    seen = explore(
        Scenario({"a": dip}, memory={COUNT: 0}, always={"never negative": lambda at: at[COUNT] >= 0})
    )
    assert seen.violated("never negative") is not None


def test_the_cap_makes_the_exploration_incomplete() -> None:
    assert not explore(two_increments(""), cap=3).complete


# --- locks ---------------------------------------------------------------------------------------------


def take(*names: str) -> Protocol:
    for name in names:
        yield Lock(name)
    for name in reversed(names):
        yield Unlock(name)


def test_two_locks_in_two_orders_deadlock() -> None:
    seen = explore(Scenario({"a": lambda: take("L", "M"), "b": lambda: take("M", "L")}))
    assert seen.violated(DEADLOCK) is not None
    assert seen.violated(ORDER) is not None


def test_a_circle_of_locks_shows_though_it_never_closed() -> None:
    """Three threads one after the other cannot deadlock, but another timing of the same code could."""

    def gated(before: int, *names: str) -> Protocol:
        while (yield ReadKernel(COUNT)) != before:
            yield Sleep("turn")
        yield from take(*names)
        yield WriteKernel(COUNT, before + 1)
        yield Wake("turn")

    threads = {"a": lambda: gated(0, "L", "M"), "b": lambda: gated(1, "M", "L")}
    seen = explore(Scenario(threads, memory={COUNT: 0}))
    assert seen.violated(ORDER) is not None
    assert seen.violated(DEADLOCK) is None


def test_one_order_is_no_violation() -> None:
    seen = explore(Scenario({"a": lambda: take("L", "M"), "b": lambda: take("L", "M")}))
    assert (seen.violations, seen.order) == ([], {("L", "M")})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: (e for e in (Lock("L"),)), "ends with L held"),
        (lambda: (e for e in (Unlock("L"),)), "which it does not hold"),
        (lambda: (e for e in (Lock("L"), Lock("L"))), "which it holds"),
    ],
)
def test_a_lock_that_is_misused_is_named(make: Callable[[], Protocol], said: str) -> None:
    found = explore(Scenario({"a": make})).violated(BALANCE)
    assert found is not None and said in found.what


# --- sleeping ---------------------------------------------------------------------------------------------


def sleeper(record_first: bool) -> Protocol:
    """Wait for the flag: record, look, sleep; or, wrongly, look, record, sleep."""
    while True:
        if record_first:
            yield SelRecord("si")
        if (yield ReadKernel(FLAG)):
            return True
        if not record_first:
            yield SelRecord("si")
        yield Sleep()


def setter(wake_first: bool = False) -> Protocol:
    if wake_first:
        yield Wake("si")
    yield WriteKernel(FLAG, True)
    if not wake_first:
        yield Wake("si")


def waiting(sleep: Callable[[], Protocol], wake: Callable[[], Protocol]) -> Scenario:
    return Scenario(
        {"sleeper": sleep, "setter": wake}, memory={FLAG: False}, waits={"sleeper": lambda at: bool(at[FLAG])}
    )


def test_recording_before_looking_loses_no_wake_up() -> None:
    assert explore(waiting(lambda: sleeper(True), setter)).violations == []


def test_looking_before_recording_loses_one() -> None:
    found = explore(waiting(lambda: sleeper(False), setter)).violated(LOST)
    assert found is not None
    assert [type(m.effect).__name__ for m in found.schedule.moves if m.thread == "sleeper"][:2] == [
        "ReadKernel",
        "SelRecord",
    ]


def test_waking_before_publishing_loses_one() -> None:
    assert explore(waiting(lambda: sleeper(True), lambda: setter(True))).violated(LOST) is not None


def test_sleeping_for_what_never_comes_is_no_lost_wake_up() -> None:
    def nothing() -> Protocol:
        yield Fired("nothing")

    assert explore(waiting(lambda: sleeper(True), nothing)).violations == []


def test_a_wake_up_of_a_channel_before_the_sleep_is_lost() -> None:
    """tsleep has no memory, unlike a selinfo on which the thread is recorded."""

    def on_channel() -> Protocol:
        if not (yield ReadKernel(FLAG)):
            yield Sleep("ch")

    def wake_channel() -> Protocol:
        yield WriteKernel(FLAG, True)
        yield Wake("ch")

    assert explore(waiting(on_channel, wake_channel)).violated(LOST) is not None


# --- protocols and worlds -----------------------------------------------------------------------------------


def test_a_protocol_is_replayed_from_its_start_and_must_not_remember() -> None:
    made: list[int] = []

    def make() -> Protocol:
        made.append(1)
        value = yield ReadKernel(COUNT)
        return value

    assert explore(
        Scenario({"a": make}, memory={COUNT: 7}, outcome=lambda at, r: r["a"])
    ).outcomes.keys() == {7}
    assert len(made) == 2  # once for the first effect, once for what follows its answer


def test_rules_and_constants_are_no_steps() -> None:
    def quiet() -> Protocol:
        yield Fired("rule")
        assert (yield ReadKernel(("constant",))) == 5
        yield Do("log", ("text",))

    seen = explore(Scenario({"a": quiet}, constants={("constant",): 5}, immediate={"log": None}))
    assert (seen.states, seen.fired) == (1, {"rule"})


def test_an_exception_of_a_protocol_is_a_violation() -> None:
    def fragile() -> Protocol:
        value = yield ReadKernel(COUNT)
        raise IndexError(value)

    found = explore(Scenario({"a": fragile}, memory={COUNT: 0})).violated(RAISED)
    assert found is not None and "IndexError" in found.what


def test_a_call_may_end_in_several_ways() -> None:
    def dice(at: Memory, thread: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Memory]]:
        for face in args:
            yield face, at

    def player() -> Protocol:
        return (yield Do("throw", (1, 2, 3)))

    seen = explore(Scenario({"a": player}, do={"throw": dice}, outcome=lambda at, r: r["a"]))
    assert set(seen.outcomes) == {1, 2, 3}


@pytest.mark.parametrize("effect", [ReadKernel(("nowhere",)), ReadUser(("nowhere",)), Do("nothing")])
def test_what_nobody_answers_is_the_scenarios_fault(effect: Any) -> None:
    with pytest.raises(ScenarioError):
        explore(Scenario({"a": lambda: (e for e in (effect,))}))


def test_calls_are_carried_out_by_the_protocols_they_stand_for() -> None:
    def outer() -> Protocol:
        return (yield Do("inner", (4,))) + 1

    def inner(value: int) -> Protocol:
        return (yield Do("twice", (value,)))

    def twice(value: int) -> Protocol:
        yield WriteKernel(COUNT, value)
        return 2 * value

    calls = {"inner": inner, "twice": twice}
    seen = explore(
        Scenario(
            {"a": lambda: inline(outer(), calls)},
            memory={COUNT: 0},
            outcome=lambda at, r: (r["a"], at[COUNT]),
        )
    )
    assert set(seen.outcomes) == {(9, 4)}


def test_effects_can_be_left_out_to_plant_a_bug() -> None:
    unlocked = Scenario(
        {name: lambda: without(increment("L"), lambda e: isinstance(e, (Lock, Unlock))) for name in "ab"},
        memory={COUNT: 0},
        finally_={"both count": lambda at, results: at[COUNT] == 2},
    )
    assert explore(unlocked).violated("both count") is not None


# --- double fetches -------------------------------------------------------------------------------

LENGTH = ("len",)


def copy_length(twice: bool) -> Protocol:
    """Check a length and use it: the same read, or another one."""
    length = yield ReadUser(LENGTH)
    if length > 10:
        return "refused"
    if twice:
        length = yield ReadUser(LENGTH)
    return length


def test_a_word_read_twice_gives_what_no_value_explains() -> None:
    seen = double_fetches(lambda: copy_length(True), {LENGTH: (5, 99)}, lambda at, result: result)
    assert (seen.outcomes, set(seen.torn), seen.twice) == ({5, "refused"}, {99}, {LENGTH})


def test_a_word_read_once_is_explained_by_its_value() -> None:
    seen = double_fetches(lambda: copy_length(False), {LENGTH: (5, 99)}, lambda at, result: result)
    assert (seen.outcomes, seen.torn, seen.twice) == ({5, "refused"}, {}, set())


def test_a_word_read_again_after_a_check_of_its_own_is_harmless() -> None:
    def checked_again() -> Protocol:
        yield from copy_length(False)
        return (yield from copy_length(False))

    seen = double_fetches(checked_again, {LENGTH: (5, 99)}, lambda at, result: result)
    assert (seen.torn, seen.twice) == ({}, {LENGTH})


def test_the_kernel_sees_its_own_stores_in_shared_words() -> None:
    def stores() -> Protocol:
        yield WriteUser(LENGTH, 7)
        return (yield ReadUser(LENGTH))

    seen = double_fetches(stores, {LENGTH: (5,)}, lambda at, result: result)
    assert seen.outcomes == {7}


# --- the bridge to obligations --------------------------------------------------------------------


def test_a_violation_becomes_a_refuted_goal_with_a_schedule() -> None:
    session = Session("test")
    execute(session, lambda p: explored(p, two_increments(""), label="no lock"), ())
    found = session.refuted["both count"].other
    assert found["lines"][0].startswith("no lock: ")
    assert [e["op"] for e in found["events"]] == ["readkernel", "readkernel", "writekernel", "writekernel"]
    assert session.counts["states"] > 0


def test_an_incomplete_exploration_is_not_confirmed() -> None:
    session = Session("test")
    execute(session, lambda p: explored(p, two_increments("L"), cap=2), ())
    assert session.not_confirmed == ["more than 2 states"]

"""The memory models against the litmus tests whose verdicts are known.

Each test is two to four threads of loads, stores and barriers on words that start at 0, and the one
outcome that sequential consistency forbids. The table says which models allow it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_proofs.explorer import Scenario, explore
from netmap_proofs.explorer.models import MODELS, Drain
from netmap_proofs.explorer.state import Exploration
from netmap_reference.core.effects import (
    LDLD,
    STLD,
    STST,
    Do,
    Fence,
    Protocol,
    ReadKernel,
    ReadUser,
    SelRecord,
    Sleep,
    Wake,
    WriteKernel,
    WriteUser,
)

X, Y = ("x",), ("y",)
WORDS = (X, Y)


def store(where: tuple[str], value: int) -> WriteUser:
    return WriteUser(where, value)


def load(where: tuple[str]) -> ReadUser:
    return ReadUser(where)


ST, LD, FULL = Fence(STST, "here"), Fence(LDLD, "here"), Fence(STLD, "here")


def thread(*effects: Any) -> Callable[[], Protocol]:
    def run() -> Protocol:
        seen = []
        for effect in effects:
            answer = yield effect
            if isinstance(effect, ReadUser):
                seen.append(answer)
        return tuple(seen)

    return run


def run(model: str, *threads: tuple[Any, ...]) -> Exploration:
    return explore(
        Scenario(
            {f"t{i}": thread(*effects) for i, effects in enumerate(threads)},
            memory=dict.fromkeys(WORDS, 0),
            weak=frozenset(WORDS),
            model=model,
            outcome=lambda at, results: (
                tuple(v for name in sorted(results) for v in results[name]),
                tuple(at[w] for w in WORDS),
            ),
        )
    )


def sb(*between: Fence) -> tuple[tuple[Any, ...], ...]:
    return (store(X, 1), *between, load(Y)), (store(Y, 1), *between, load(X))


def mp(writer: tuple[Fence, ...] = (), reader: tuple[Fence, ...] = ()) -> tuple[tuple[Any, ...], ...]:
    return (store(X, 1), *writer, store(Y, 1)), (load(Y), *reader, load(X))


def lb(*between: Fence) -> tuple[tuple[Any, ...], ...]:
    return (load(X), *between, store(Y, 1)), (load(Y), *between, store(X, 1))


def iriw(*between: Fence) -> tuple[tuple[Any, ...], ...]:
    return (store(X, 1),), (store(Y, 1),), (load(X), *between, load(Y)), (load(Y), *between, load(X))


def two_plus_two(*between: Fence) -> tuple[tuple[Any, ...], ...]:
    return (store(X, 1), *between, store(Y, 2)), (store(Y, 1), *between, store(X, 2))


#: name: (threads, what the loads give and the words hold in the end, who allows it).
LITMUS: dict[str, tuple[tuple[tuple[Any, ...], ...], tuple[Any, Any], set[str]]] = {
    "SB": (sb(), ((0, 0), (1, 1)), {"TSO", "RA"}),
    "SB, store-store barriers": (sb(ST), ((0, 0), (1, 1)), {"TSO", "RA"}),
    "SB, load-load barriers": (sb(LD), ((0, 0), (1, 1)), {"TSO", "RA"}),
    "SB, full barriers": (sb(FULL), ((0, 0), (1, 1)), set()),
    "MP": (mp(), ((1, 0), (1, 1)), {"RA"}),
    "MP, a barrier in the writer": (mp((ST,)), ((1, 0), (1, 1)), {"RA"}),
    "MP, a barrier in the reader": (mp((), (LD,)), ((1, 0), (1, 1)), {"RA"}),
    "MP, the wrong ones": (mp((LD,), (ST,)), ((1, 0), (1, 1)), {"RA"}),
    "MP, both": (mp((ST,), (LD,)), ((1, 0), (1, 1)), set()),
    "MP, full barriers": (mp((FULL,), (FULL,)), ((1, 0), (1, 1)), set()),
    # ARM and POWER allow it; these models do not delay a load behind a later store.
    "LB": (lb(), ((1, 1), (1, 1)), set()),
    "LB, full barriers": (lb(FULL), ((1, 1), (1, 1)), set()),
    "IRIW": (iriw(), ((1, 0, 1, 0), (1, 1)), {"RA"}),
    "IRIW, load-load barriers": (iriw(LD), ((1, 0, 1, 0), (1, 1)), {"RA"}),
    "IRIW, full barriers": (iriw(FULL), ((1, 0, 1, 0), (1, 1)), set()),
    "CoRR": (((store(X, 1),), (load(X), load(X))), ((1, 0), (1, 0)), set()),
    "CoWR": (((store(X, 1), load(X)), (store(Y, 1),)), ((0,), (1, 1)), set()),
    "CoWW": (((store(X, 1), store(X, 2)),), ((), (1, 0)), set()),
    "2+2W": (two_plus_two(), ((), (1, 1)), {"RA"}),
    "2+2W, full barriers": (two_plus_two(FULL), ((), (1, 1)), set()),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", LITMUS)
def test_a_litmus_test_has_its_known_verdict(name: str, model: str) -> None:
    threads, outcome, allowed = LITMUS[name]
    seen = run(model, *threads)
    assert seen.complete
    assert (outcome in seen.outcomes) == (model in allowed)


@pytest.mark.parametrize("name", LITMUS)
def test_a_weaker_model_allows_what_a_stronger_one_does(name: str) -> None:
    threads = LITMUS[name][0]
    seen = {model: set(run(model, *threads).outcomes) for model in MODELS}
    assert seen["SC"] <= seen["TSO"] <= seen["RA"]


def test_without_weak_words_there_is_one_memory() -> None:
    both = explore(Scenario({"a": thread(store(X, 1), FULL, load(X))}, memory={X: 0}, model="RA"))
    assert (both.states, both.violations) == (4, [])


def test_a_counterexample_shows_when_a_store_leaves_its_buffer() -> None:
    schedule = run("TSO", *sb()).outcomes[(0, 0), (1, 1)]
    drains = [m for m in schedule.moves if isinstance(m.effect, Drain)]
    assert [m.effect.where for m in drains if isinstance(m.effect, Drain)] in ([X, Y], [Y, X])
    assert any("Drain(x, 1)" in line for line in schedule.lines())


# --- what orders everything ---------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_wake_up_passes_on_what_its_sender_knew(model: str) -> None:
    """Who is woken sees what was stored before, without any barrier."""

    def sleeper() -> Protocol:
        yield SelRecord("si")
        yield Sleep()
        return (yield ReadUser(X))

    def waker() -> Protocol:
        yield WriteUser(X, 1)
        yield Wake("si")

    seen = explore(
        Scenario(
            {"sleeper": sleeper, "waker": waker},
            memory={X: 0},
            weak=frozenset({X}),
            model=model,
            outcome=lambda at, results: results.get("sleeper"),
        )
    )
    assert set(seen.outcomes) == {None, 1}  # None: the wake-up came first, nobody slept yet


@pytest.mark.parametrize(("unordered", "allowed"), [(frozenset[str](), False), (frozenset({"call"}), True)])
def test_a_call_orders_unless_it_is_told_not_to(unordered: frozenset[str], allowed: bool) -> None:
    def one(mine: tuple[str], other: tuple[str]) -> Protocol:
        yield WriteUser(mine, 1)
        yield Do("call")
        return (yield ReadUser(other))

    seen = explore(
        Scenario(
            {"a": lambda: one(X, Y), "b": lambda: one(Y, X)},
            memory={X: 0, Y: 0},
            weak=frozenset(WORDS),
            model="TSO",
            do={"call": lambda at, thread, args: [(None, at)]},
            unordered=unordered,
            outcome=lambda at, results: tuple(sorted(results.items())),
        )
    )
    assert ((("a", 0), ("b", 0)) in seen.outcomes) is allowed


# --- fewer states -------------------------------------------------------------------------------------


def test_words_of_one_thread_are_no_steps_of_their_own() -> None:
    def counting(word: str) -> Protocol:
        for value in (1, 2, 3):
            yield WriteKernel((word,), value)
            yield ReadKernel((word,))
        return (yield ReadUser(X))

    memory = {("a",): 0, ("b",): 0, X: 0}
    threads = {"a": lambda: counting("a"), "b": lambda: counting("b")}
    all_of_them = explore(Scenario(threads, memory=memory))
    alone = explore(Scenario(threads, memory=memory, private=frozenset({("a",), ("b",)})))
    assert alone.states < all_of_them.states / 3
    assert not alone.violations


def test_a_thread_that_starts_over_has_finitely_many_states() -> None:
    """A server that looks, tells what it saw and sleeps, for ever: a client's store is seen in the end."""

    def server() -> Protocol:
        yield SelRecord("si")
        value = yield ReadUser(X)
        yield WriteUser(Y, value)
        yield Sleep()

    def client() -> Protocol:
        yield WriteUser(X, 1)
        yield Wake("si")

    seen = explore(
        Scenario(
            {"server": server, "client": client},
            memory={X: 0, Y: 0},
            weak=frozenset(WORDS),
            model="RA",
            forever=frozenset({"server"}),
            finally_={"seen": lambda at, results: at[Y] == 1},
        )
    )
    assert (seen.complete, seen.violations) == (True, [])

"""Campaigns of generation 14: nothing breaks, poll answers what the rings say, planted bugs are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from netmap_reference.campaign.gen14 import generation, modules
from netmap_reference.campaign.gen14.machine import Machine14
from netmap_reference.campaign.gen14.plug import Found
from netmap_reference.campaign.runner import replay, run, same
from netmap_reference.core.choice import eager
from netmap_reference.core.effects import LDLD, Fence, Fired, ReadUser
from netmap_reference.core.step import Step
from netmap_reference.gen14 import callbacks, memory, poll, readings, switch
from netmap_reference.gen14.ports import vale, vale_device
from netmap_reference.gen14.state import System
from netmap_reference.gen14.switch import BROADCAST, NOPORT
from netmap_reference.gen14.world import World
from netmap_spec import clauses

SEED = 1489


def test_nothing_breaks_in_contract_reading() -> None:
    figures = run(generation(), 3000, SEED, episode=500)
    assert not figures.violations, f"seed {SEED}: {[str(v.broken) for v in figures.violations]}"
    assert not set(generation().unreachable) & set(figures.rules), "a rule said to be out of reach fired"
    assert set(generation().unreachable) <= generation().rules
    assert len(figures.never(generation())) < len(generation().rules) // 4, f"seed {SEED}"


def busy(profile: str, seed: int = 4, operations: int = 60) -> Machine14:
    """A machine after random operations; descriptors are bound, and the last one may have moved buffers."""
    rng = Random(seed)
    machine = Machine14({**generation().header(rng), "profile": profile})
    made = 0
    while made < operations or not (
        machine.moved and any(f.adapter for f in machine.world.system().files.values())
    ):
        for op, args in machine.draw(rng):
            assert not machine.apply(op, args), f"seed {seed}: {op} {args}"
            made += 1
    assert not machine.whole()
    return machine


def some_ring(s: System) -> str:
    return min(name for name, k in s.krings.items() if k.users)


def hwcur(s: System) -> None:
    k = s.krings[some_ring(s)]
    s.krings[k.name] = replace(k, pos=replace(k.pos, hwcur=k.pos.n))


def users(s: System) -> None:
    k = s.krings[some_ring(s)]
    s.krings[k.name] = replace(k, users=7)


def bound(s: System) -> None:
    name = s.krings[some_ring(s)].adapter
    s.adapters[name] = replace(s.adapters[name], fds=5)


def junk(s: System) -> None:
    a = s.allocators[memory.GLOBAL_ID]
    s.allocators[a.id] = replace(a, buf_pool=replace(a.buf_pool, used=a.buf_pool.used - {0}))


def lost(s: System) -> None:
    a = s.allocators[memory.GLOBAL_ID]
    more = a.buf_pool.used | {a.buf_pool.objtotal - 1}
    s.allocators[a.id] = replace(a, buf_pool=replace(a.buf_pool, used=more))


def stranger(s: System) -> None:
    s.waiting = {**s.waiting, some_ring(s): frozenset({42})}


def woken(s: System) -> None:
    s.woken |= {42}


@pytest.mark.parametrize(
    ("predicate", "plant"),
    [
        ("kring_order", hwcur),
        ("users", users),
        ("bound", bound),
        ("reserved", junk),
        ("buffers_disjoint", lost),
        ("sleepers", stranger),
        ("sleepers", woken),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_is_planted_is_found_by_both_checkers(
    monkeypatch: pytest.MonkeyPatch, predicate: str, plant: Callable[[System], None]
) -> None:
    machine = busy("good")
    monkeypatch.setattr(machine, "_readiness", lambda ports: iter(()))  # a spoilt world is not to be run
    plant(machine.world.system())
    machine.moved = True  # as after an operation that may have put a buffer somewhere
    whole, touched = machine.whole(), machine.touched()
    assert predicate in {b.predicate for b in whole}
    assert predicate in {b.predicate for b in touched}
    assert {b.clause for b in whole + touched} <= clauses.load().keys()


@pytest.mark.parametrize("profile", ["good", "wild"])
def test_everything_is_in_order_whenever_what_was_touched_is(profile: str) -> None:
    rng = Random(f"agree {profile}")
    machine = Machine14({**generation().header(rng), "profile": profile})
    for _ in range(120):
        for op, args in machine.draw(rng):
            assert not machine.apply(op, args), f"{op} {args}"
            assert not machine.whole(), f"{op} {args}"


def hunt(make: Callable[[dict[str, Any]], Machine14] = Machine14) -> str:
    """The clause of the first thing a campaign finds; its shrunk trace must break the same."""
    plan = replace(generation(), machine=make)
    figures = run(plan, 3000, 3, most_violations=1, episode=80)
    assert figures.violations, "nothing found"
    found = figures.violations[0]
    assert same(found.broken, replay(plan, found.header, found.units))
    assert len(found.units) < 16, found.units
    return found.broken.clause


def test_a_poll_that_never_finds_anything_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll, "ready", lambda cur, tail: False)
    assert hunt() == "14.poll.ready"


def test_a_poll_that_looks_at_the_wrong_word_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll, "ready", lambda cur, tail: cur < tail)
    assert hunt() in ("14.poll.ready", "14.poll.syncs-ready"), "both looks ask it"


def test_a_poll_that_takes_one_ring_of_the_page_for_all_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Released slots would never be given back."""

    def hasty(fd: poll.Bound, want_tx: bool, want_rx: bool, switches: Any = ()) -> Any:
        cur = yield ReadUser((fd.rx[0], "cur")) if fd.rx and want_rx else Fence(LDLD, "")
        tail = yield ReadUser((fd.rx[0], "tail")) if fd.rx and want_rx else Fence(LDLD, "")
        if cur != tail:
            yield Fired(poll.LOCK_FREE_RX)
        return False, cur != tail

    monkeypatch.setattr(poll, "look", hasty)
    assert hunt() == "14.poll.syncs-ready"


def test_a_sleeper_that_is_not_recorded_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll, "_record", lambda selinfo: iter(()))
    assert hunt() == "14.poll.wakeup"


def test_the_defects_of_the_code_are_found() -> None:
    """As written a hostile application breaks the order of the kernel's positions."""
    assert hunt(lambda header: Machine14(header, readings.AS_WRITTEN)).startswith("14.")


def _nobody(targets: tuple[int, ...], ring: int, own: int, ports: Any, switches: Any) -> Any:
    """A flood that reaches its sender too."""
    return vale.queues(targets, ring, -1, ports, switches)


def test_a_flood_that_comes_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = SimpleNamespace(**vars(vale))
    steps.queues = _nobody
    monkeypatch.setattr(vale_device, "vale", steps)
    assert hunt() == "14.switch.no-hairpin"


def test_a_packet_that_falls_apart_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = SimpleNamespace(**vars(vale))
    steps.received_flags = lambda count, number, rest: Step(0)
    monkeypatch.setattr(vale_device, "vale", steps)
    assert hunt() == "14.vale.copied"


# --- a switch of another module -------------------------------------------------------------------


@pytest.fixture
def moduled() -> World:
    """A module's switch with three ports that programs have bound; everything goes to the second one."""
    world = World()
    for fd in modules.BINDINGS:
        world.open(fd)
        assert world.register(fd, modules.BINDINGS[fd][0], eager).outcome.ok
    _made(world, "module-call", action="create", fields={})
    assert _made(world, "module-call", action="regops", fields={"lookup": 1}).outcome.ok
    return world


def _made(world: World, op: str, **args: Any) -> Any:
    return modules.MODULES.operations[op](world, args, eager)


def test_a_frame_goes_where_the_module_says(moduled: World) -> None:
    sender = next(iter(modules.BINDINGS))
    assert callbacks.DECIDED in _made(moduled, "module-send", fd=sender, ring="tx0").fired


@pytest.mark.parametrize(
    ("aim", "predicate"), [(BROADCAST, "module_lookup"), (2, "module_lost"), (NOPORT, "module_lost")]
)
def test_a_switch_that_goes_its_own_way_is_found(
    moduled: World, monkeypatch: pytest.MonkeyPatch, aim: int, predicate: str
) -> None:
    steps = SimpleNamespace(**vars(switch))
    steps.target = lambda b, own, index: Step(aim)
    monkeypatch.setattr(vale_device, "switch", steps)
    with pytest.raises(Found) as found:
        _made(moduled, "module-send", fd=next(iter(modules.BINDINGS)), ring="tx0")
    assert (found.value.broken.predicate, found.value.broken.clause) == (predicate, "14.callbacks.lookup")

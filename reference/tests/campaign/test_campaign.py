"""Campaigns of generation 2011: nothing breaks, all follows from the seed, planted bugs are found."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from netmap_reference.campaign import __main__ as command
from netmap_reference.campaign.gen2011 import generation, moves
from netmap_reference.campaign.gen2011.machine import Machine2011
from netmap_reference.campaign.runner import Figures, replay, run, same
from netmap_reference.campaign.shrink import shrink
from netmap_reference.campaign.subject import Broken, Generation
from netmap_reference.campaign.traces import load
from netmap_reference.core.effects import Fired
from netmap_reference.gen2011 import actions, interrupts, memory, pool, register
from netmap_reference.gen2011.ports import host, nic

SEED = 20111202


def test_nothing_breaks_in_contract_reading() -> None:
    figures = run(generation(), 20_000, SEED, episode=1500)
    assert not figures.violations, f"seed {SEED}: {[str(v.broken) for v in figures.violations]}"
    assert figures.operations >= 20_000
    never = figures.never(generation())
    assert len(never) < len(generation().rules) // 10, f"seed {SEED}: {never}"
    assert not set(generation().unreachable) & set(figures.rules), "a rule said to be out of reach fired"
    assert set(generation().unreachable) <= generation().rules


def test_a_campaign_follows_from_its_seed() -> None:
    def figures(seed: int) -> Figures:
        return run(generation(), 600, seed, episode=300)

    one, again, other = figures(1), figures(1), figures(2)
    assert (one.kinds, one.rules, one.profiles) == (again.kinds, again.rules, again.profiles)
    assert one.kinds != other.kinds


def test_what_is_drawn_can_be_made_by_whom_it_is_drawn_for() -> None:
    for profile in ("good", "bad", "wild"):
        rng = random.Random(profile)
        m = Machine2011({**generation().header(rng), "profile": profile})
        for _ in range(300):
            unit = m.draw(rng)
            assert m.possible(unit)
            assert {op for op, _ in unit} <= {name.rstrip("_") for name in moves.MOVES} | {
                "ring_set",
                "slot_set",
            }
            for op, args in unit:
                assert not m.apply(op, args)


# --- controls: a campaign of a model with a planted bug ------------------------------------------


def hunt(seed: int, operations: int = 12_000, plan: Generation | None = None) -> Broken:
    """The first thing that a campaign finds; fails when it finds nothing."""
    figures = run(plan or generation(), operations, seed, most_violations=1, episode=1500)
    assert figures.violations, f"seed {seed}: nothing found in {figures.operations} operations"
    found = figures.violations[0]
    again = replay(plan or generation(), found.header, found.units)
    assert same(found.broken, again), "the shrunk trace breaks something else"
    assert len(found.units) < 30, found.units
    return found.broken


def _merge_short(prev: Any, cur: Any, next: Any) -> Any:
    step = memory.release(prev, cur, next)
    return replace(step, state=tuple(replace(o, size=o.size - (o is step.state[-1])) for o in step.state))


def _reclaim_all(p: Any, named: frozenset[int]) -> Any:
    return pool.reclaim(p, frozenset())


def _keep_bit(p: Any, index: int) -> Any:
    return pool.Pool(p.total, p.free - 1, p.bitmap)


def _junk_too(p: Any, named: frozenset[int]) -> Any:
    step = pool.reclaim(p, named)
    return replace(step, state=replace(step.state, bitmap=step.state.bitmap | {0}, free=step.state.free + 1))


def _full_host(k: Any, cur: int) -> Any:
    step = host.drained(k, cur)
    return replace(step, state=replace(step.state, hwavail=k.n))


def _one_too_far(n: int, hwavail: int) -> Any:
    step = nic.rx_init_tail(n, hwavail)
    return replace(step, state=(step.state + 1) % n)


def _reset_elsewhere(k: Any, tx: bool, new_cur: int) -> Any:
    step = interrupts.reset_hwofs(k, tx, new_cur)
    return replace(step, state=replace(step.state, hwofs=-step.state.hwofs))


def _first_fit_too_low(objs: Any, size: int) -> Any:
    step = memory.alloc(objs, size)
    found = step.state.offset
    return step if not found else replace(step, state=replace(step.state, offset=found - 8))


PLANTED: dict[str, tuple[object, str, Any]] = {
    "free list off by one": (memory, "release", _merge_short),
    "object starts 8 bytes too low": (memory, "alloc", _first_fit_too_low),
    "buffers of others freed too": (actions, "reclaim", _reclaim_all),
    "buffer handed out twice": (pool, "take_buf", _keep_bit),
    "junk buffer freed": (actions, "reclaim", _junk_too),
    "host ring full": (host, "drained", _full_host),
    "NIC gets one descriptor too many": (nic, "rx_init_tail", _one_too_far),
    "hwofs of the wrong sign": (interrupts, "reset_hwofs", _reset_elsewhere),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    module, name, replacement = PLANTED[bug]
    original = getattr(module, name)
    inner = {"release": memory, "alloc": memory, "take_buf": pool, "drained": host, "rx_init_tail": nic}
    home = inner.get(name, interrupts if name == "reset_hwofs" else pool)

    def planted(*args: Any) -> Any:
        monkeypatch.setattr(home, name, original)  # the replacement calls the original
        try:
            return replacement(*args)
        finally:
            monkeypatch.setattr(home, name, planted)

    monkeypatch.setattr(module, name, planted)
    hunt(7)


@pytest.mark.parametrize("action", ["if_rele", "nic.tx_clean", "free_unreferenced"])
def test_an_action_left_out_is_found(monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    monkeypatch.setitem(actions.ACTIONS, action, lambda *args: None)
    hunt(11)


@pytest.mark.parametrize(
    ("module", "effect"), [(register, "Wake"), (interrupts, "Unlock"), (memory, "Unlock")]
)
def test_an_effect_left_out_is_found(monkeypatch: pytest.MonkeyPatch, module: object, effect: str) -> None:
    monkeypatch.setattr(module, effect, lambda name: Fired(register.DTOR_WAKES))
    hunt(12)


@pytest.mark.parametrize(
    ("switch", "clause"),
    [
        ("2011.destructor-trusts-slots", "2011.pool.conserved"),
        ("2011.detach-while-in-use", "2011.iface.own"),
        ("2011.driver-ignores-avail", "2011.ring.positions"),
        ("2011.host-rx-debits-before-check", "2011.ring.positions"),
        ("2011.malloc-sleeps-under-lock", "2011.memory.no-sleep-under-lock"),
        ("2011.rings-zero-their-locks", "2011.iface.locks-kept"),
        ("2011.start-after-delete", "2011.memory.carved"),
    ],
)
def test_a_defect_of_the_code_is_found(switch: str, clause: str) -> None:
    """One deviation as written at a time; those that only a race or an event shows are not for states."""

    def written(header: dict[str, Any]) -> Machine2011:
        return Machine2011(header, frozenset({switch}))

    assert hunt(7, 30_000, replace(generation(), machine=written)).clause == clause


# --- shrinking, traces, the command --------------------------------------------------------------


def test_the_shrinker_leaves_only_what_is_needed_in_order() -> None:
    def fails(part: Any) -> bool:
        return [x for x in part if x in (3, 57, 91)] == [3, 57, 91]

    assert shrink(list(range(100)), fails) == [3, 57, 91]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(actions.ACTIONS, "free_unreferenced", lambda *args: None)


def test_a_violation_is_saved_and_can_be_replayed(
    broken: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--operations", "2000", "--seed", "5", "--traces", str(tmp_path), "--json"]
    assert command.main(arguments) == 1
    told = json.loads(capsys.readouterr().out)
    found = told["violations"][0]
    header, units = load(Path(found["trace"]))
    assert header["broken"]["clause"] == found["clause"] == "2011.pool.conserved"
    assert [list(op) for unit in units for op in unit] == found["shrunk"]
    assert command.main(["--replay", found["trace"]]) == 1
    assert "2011.pool.conserved" in capsys.readouterr().out
    monkeypatch.undo()
    assert command.main(["--replay", found["trace"]]) == 0


def test_the_command_tells_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--operations", "300", "--seed", "3"]) == 0
    out = capsys.readouterr()
    assert "seed 3" in out.err and "violations: 0" in out.out and "never fired" in out.out


@pytest.mark.parametrize(
    ("text", "line"), [("", 1), ("{}", 1), ('{"generation": "2011", "profile": "good", "config": {}}\n[', 2)]
)
def test_a_malformed_trace_is_one_line(tmp_path: Path, text: str, line: int, capsys: Any) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    assert command.main(["--replay", str(path)]) == 2
    assert f"{path}:{line}: " in capsys.readouterr().err
    assert command.main(["--replay", str(tmp_path / "none")]) == 2

"""Random campaigns: repeatable by their seed, quiet on a good target, shrunk and kept on a bad one."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from netmap_conformance import habits, lockstep, manifest, runner, scenarios, teeth
from netmap_conformance.errors import UserError
from netmap_conformance.targets import Target, open_target, served
from netmap_conformance.teeth.hunt import planted

pytest.importorskip(
    "hypothesis", reason="random campaigns need the extra: pip install netmap-verify[campaign]"
)

REFERENCE = manifest.load("reference")


@contextmanager
def mutated(name: str) -> Iterator[Target]:
    """The model with a planted defect, in a process of its own."""
    (mutant,) = teeth.load(name)
    with planted(mutant, "reference") as environment:
        target = served("reference", REFERENCE, environment=environment)
        try:
            yield target
        finally:
            target.stop()


def test_a_good_target_passes_and_every_rule_of_the_machine_fires(tmp_path: Path) -> None:
    target = open_target("reference", REFERENCE, policy="seeded", seed=2)
    entry = lockstep.campaign(target, REFERENCE, lockstep.ENOUGH, 2, tmp_path)
    assert (entry.verdict, entry.reason) == ("PASS", "")
    assert entry.id == "random-2"
    assert len(entry.rules) > 40, "rules of the model"
    assert list(tmp_path.iterdir()) == []


def test_a_target_is_asked_for_what_it_has() -> None:
    class Small:
        def capabilities(self) -> frozenset[str]:
            return frozenset({"pipe", "monitor"})

    found = lockstep.ends(Small())  # type: ignore[arg-type]
    assert {end.port for end in found if not end.flags} == {"x{1", "x}1", "x{2", "x}2"}
    assert [end.asked("NR_NO_TX_POLL") for end in found if end.port == "x}1"] == [
        "x}1 tx_slots=4 rx_slots=8 flags=NR_NO_TX_POLL",
        "x}1 rx_slots=4 flags=NR_MONITOR_RX|NR_NO_TX_POLL",
    ]
    assert len({end.name for end in habits.ENDS}) == len(habits.ENDS)


def test_a_seed_gives_the_same_campaign(tmp_path: Path) -> None:
    def once() -> tuple[int, Any]:
        target = open_target("reference", REFERENCE)
        entry = lockstep.campaign(target, REFERENCE, 5, 11, tmp_path)
        return entry.steps, entry.rules

    assert once() == once()


@pytest.mark.parametrize("name", ["ref-rx-window-one-too-far", "ref-pipe-buf-changed-stays"])
def test_a_defect_is_found_shrunk_and_kept_as_a_trace(name: str, tmp_path: Path) -> None:
    with mutated(name) as target:
        entry = lockstep.campaign(target, REFERENCE, 60, 1, tmp_path)
        assert entry.verdict == "VIOLATION"
        assert entry.findings[0].clause.startswith("14.")
        kept = Path(entry.trace)
        assert kept.parent == tmp_path / "failures"
        small = scenarios.load_file(kept)
        assert 4 <= len(small.events) <= 40, "calls are left out until every one is needed"
        _, again = runner.run(target, small, REFERENCE, build=None)
        assert again.findings[0].clause == entry.findings[0].clause
    _, good = runner.run(open_target("reference", REFERENCE), small, REFERENCE, build=None)
    assert good.verdict == "PASS", "the model itself is right"


def test_a_stall_is_found_too(tmp_path: Path) -> None:
    with mutated("ref-completions-never-reported") as target:
        entry = lockstep.campaign(target, REFERENCE, 60, 1, tmp_path)
    assert entry.verdict == "STALLED"
    assert entry.findings[0].clause == "14.nic.reclaim"


def test_a_rule_that_never_fires_or_a_port_that_is_never_bound_fails_the_campaign(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = lockstep.rules

    def with_a_dead_one(st: Any, ends: Any) -> list[habits.Rule]:
        return [*original(st, ends), habits.Rule("never", 1, lambda d: False, lambda d: None, {})]

    monkeypatch.setattr(lockstep, "rules", with_a_dead_one)
    # So few ports that each is bound in the campaign, but for the one that is not there.
    few = [end for end in habits.ENDS if end.needs in ("nic", "pipe")]
    monkeypatch.setattr(lockstep, "ENDS", (*few, habits.End("nothere", needs="nic")))
    target = open_target("reference", REFERENCE)
    entry = lockstep.campaign(target, REFERENCE, lockstep.ENOUGH, 2, tmp_path)
    assert entry.verdict == "INCONCLUSIVE"
    assert "seed 2" in entry.reason
    assert entry.reason.endswith(": never, open nothere")


def test_without_hypothesis_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    original = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "hypothesis":
            raise ModuleNotFoundError("No module named 'hypothesis'", name="hypothesis")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(
        UserError, match=r"conform --random needs .*hypothesis.*netmap-verify\[campaign\]"
    ) as caught:
        lockstep.campaign(open_target("reference", REFERENCE), REFERENCE, 1, 1, tmp_path)
    assert caught.value.status == 3

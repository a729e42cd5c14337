"""The rules of generation 14 cite lines, and the switches are exactly the deviations its clauses tell of."""

from __future__ import annotations

import netmap_reference.gen14.world  # noqa: F401  (registers every rule)
from netmap_reference.core.step import RULES
from netmap_reference.gen14 import readings
from netmap_spec.clauses import load, sources

OURS = [r for r in RULES.values() if r.id.startswith("14/")]


def test_every_rule_cites_lines() -> None:
    unreadable = []
    for r in OURS:
        citation = sources.parse(r.source)
        if citation is None or not citation.ranges:
            unreadable.append((r.id, r.source))
    assert unreadable == []


def test_switches_and_deviations_are_the_same() -> None:
    documented = {d for c in load().values() if c.generation == "14" for d in c.deviations}
    assert documented == readings.AS_WRITTEN
    assert not readings.CONTRACT


def test_every_switch_has_a_rule_that_tells_when_it_mattered() -> None:
    told = {r.switch for r in OURS if r.switch}
    assert told >= readings.AS_WRITTEN

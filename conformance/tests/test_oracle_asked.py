"""Deviations that a step never asked about are not tried, and leaving them out changes no judgement."""

from __future__ import annotations

from typing import Any

import pytest
from netmap_conformance import scenarios
from netmap_conformance.coverage import runs
from netmap_conformance.oracle import steps
from netmap_conformance.oracle.asked import Asked
from netmap_conformance.scenarios import scenario_id
from netmap_reference.gen14.readings import AS_WRITTEN


def test_what_was_asked_for_is_remembered_and_is_off() -> None:
    asked = Asked()
    assert "14.tx-not-stamped" not in asked
    assert "14.do-rx-poll-ignored" not in asked - {"14.vale-holes"}
    assert asked.switches == {"14.tx-not-stamped", "14.do-rx-poll-ignored"}


@pytest.mark.parametrize(
    "act", [list, lambda s: s & {"a"}, lambda s: frozenset("a") | s, lambda s: s <= {"a"}]
)
def test_what_cannot_be_remembered_is_refused(act: Any) -> None:
    with pytest.raises(TypeError, match="one switch at a time"):
        act(Asked())


class _All(Asked):
    """As if every switch had been asked for."""

    def __contains__(self, switch: object) -> bool:
        self.switches |= AS_WRITTEN
        return False


@pytest.mark.parametrize("pattern", ["pipe-flags", "extmem-sizes", "offsets-asked", "vale-bad-slots"])
def test_trying_every_deviation_finds_the_same(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for asked in (Asked, _All):
        monkeypatch.setattr(steps, "Asked", asked)
        for scenario in scenarios.load("14", pattern):
            judged = runs.judged14(scenario, "as-written", None)
            found[asked, scenario_id(scenario)] = (judged.verdict, judged.findings, judged.rules)
    for (asked, name), judgement in found.items():
        assert judgement == found[_All, name], (asked, name)

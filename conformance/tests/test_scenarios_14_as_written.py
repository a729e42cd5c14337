"""The scenarios of generation 14 as the code is written: what a deviation does is one that the oracle knows.

A deviation that fires no rule of its own could not be told from an error of the implementation.
"""

from __future__ import annotations

import pytest
from netmap_conformance import scenarios
from netmap_conformance.coverage import runs
from netmap_conformance.scenarios import scenario_id
from netmap_conformance.trace import Trace

ALL = scenarios.load("14")

#: Scenarios that end otherwise as written, with the verdict and the reason.
ENDS = {
    "kloop-start-errors": (
        "HANG",
        "a loop begins that should be refused, and nobody is left to stop it",
    ),
    "memory-reconfigured-two": (
        "VIOLATION",
        "the region is laid out again under its users: what their pages show then is not followed",
    ),
}


@pytest.mark.parametrize("scenario", ALL, ids=[scenario_id(s) for s in ALL])
def test_what_the_code_does_instead_is_known(scenario: Trace) -> None:
    for reading in runs.readings(scenario):
        if reading == "as-written":
            judged = runs.judged14(scenario, reading, None)
            expected = ENDS.get(scenario_id(scenario), ("", ""))[0]
            assert judged.verdict in ((expected,) if expected else ("PASS", "DEVIATION")), judged.findings

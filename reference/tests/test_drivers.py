"""The checker of driver models: those the device runs pass, each planted one is refused by its clause."""

from __future__ import annotations

import pytest
from netmap_reference.drivers.__main__ import main
from netmap_reference.drivers.bench import Bench, Broken
from netmap_reference.drivers.checker import check
from netmap_reference.drivers.models import MODELS
from netmap_reference.drivers.moves import MOVES, enter
from netmap_reference.drivers.native import Native
from netmap_reference.drivers.planted import PLANTED
from netmap_spec import clauses

DEPTH = 6  # moves in a row; the longest way to a planted mistake takes as many


@pytest.mark.parametrize("driver", MODELS, ids=lambda d: d.name)
def test_the_models_keep_every_clause(driver: Native) -> None:
    verdict = check(driver, n=3, depth=DEPTH - 1)
    assert verdict.refusal is None
    assert verdict.states > 500


@pytest.mark.parametrize(("driver", "clause"), PLANTED, ids=[d.name for d, _ in PLANTED])
def test_a_wrong_driver_is_refused_by_its_clause(driver: Native, clause: str) -> None:
    refusal = check(driver, n=3, depth=DEPTH).refusal
    assert refusal is not None
    assert refusal.clause == clause
    assert set(refusal.moves) <= {*MOVES, "register"}


def test_every_clause_for_drivers_refuses_somebody() -> None:
    known = {c for c in clauses.load() if c.startswith("14.driver.")}
    assert {clause for _, clause in PLANTED} == known


def test_two_slots_are_enough_for_a_ring() -> None:
    assert check(Native(), n=2, depth=5).refusal is None


def test_the_shortest_way_to_a_refusal_is_told() -> None:
    driver = next(d for d, c in PLANTED if c == "14.driver.tx-reclaim")
    refusal = check(driver).refusal
    assert refusal is not None
    bench = Bench(3)
    enter(driver, bench)
    for name in refusal.moves[:-1]:
        bench = bench.clone()
        assert MOVES[name](driver, bench)
    with pytest.raises(Broken, match=r"14\.driver\.tx-reclaim"):
        MOVES[refusal.moves[-1]](driver, bench.clone())


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--depth", "6"]) == 0
    out = capsys.readouterr().out
    assert "NOT REFUSED" not in out
    assert out.count("accepted") == len(MODELS)
    with pytest.raises(SystemExit) as end:
        main(["--slots", "1"])
    assert end.value.code == 2

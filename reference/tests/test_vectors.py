"""The published vectors are what the model computes, and they reach every rule of the contract."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from netmap_reference import vectors as computed
from netmap_reference.core.step import RULES
from netmap_reference.gen14 import ring
from netmap_reference.gen14.libraries.nm_open import Nmreq, nm_parse
from netmap_reference.gen14.libraries.nmport import Around, nmport_parse
from netmap_spec import invariants
from netmap_spec import vectors as published

TABLES = {table.name: table for table in computed.TABLES}


def test_every_file_has_a_step_and_every_step_a_file() -> None:
    assert set(published.names()) == set(TABLES)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_each_case_is_what_the_model_computes(name: str) -> None:
    table, vectors = TABLES[name], published.load(name)
    assert (vectors.inputs, vectors.outputs) == (table.inputs, table.outputs)
    cut = len(vectors.inputs)
    for case in vectors.cases:
        assert table.evaluate(*case[:cut]) == case[cut:], f"{name} {case}"


@pytest.mark.parametrize("name", sorted(TABLES))
def test_the_file_is_what_the_generator_writes(name: str) -> None:
    path = published.HERE / f"{name}.json"
    assert computed.render(TABLES[name]) == path.read_text(encoding="utf-8"), (
        "stale: run python -m netmap_reference.vectors"
    )


def test_a_changed_output_is_noticed() -> None:
    """The control of the comparison above."""
    vectors = published.load("14/index")
    cut = len(vectors.inputs)
    case = vectors.cases[0]
    changed = (*case[:-1], int(case[-1]) + 1)
    assert TABLES["14/index"].evaluate(*changed[:cut]) != changed[cut:]


@pytest.mark.parametrize("side", ["tx", "rx"])
def test_prologue_vectors_fire_every_rule_of_the_contract(side: str) -> None:
    reached = {row[1]["rule"] for row in published.load(f"14/{side}_prologue").rows()}
    prefix = f"14/ring/{side}_prologue/"
    rules = {r.id.removeprefix(prefix) for r in RULES.values() if r.id.startswith(prefix) and not r.switch}
    assert reached == rules


@pytest.mark.parametrize("n", computed.SMALL)
def test_prologue_vectors_hold_every_kring_and_every_position_of_small_rings(n: int) -> None:
    positions = range(n)
    wanted = {
        (k.hwcur, k.hwtail, k.rhead, k.rcur, k.rtail, head, cur)
        for k in (ring.Kring(n, *five) for five in product(positions, repeat=5))
        if invariants.kring_order(n, k.hwcur, k.hwtail, k.rhead, k.rcur, k.rtail)
        for head in (*positions, n)
        for cur in (*positions, n)
    }
    for side in ("tx", "rx"):
        found = {case[1:8] for case in published.load(f"14/{side}_prologue").cases if case[0] == n}
        assert found == wanted


def test_an_accepting_prologue_is_one_whose_window_holds() -> None:
    """The vectors and the spec's own predicates agree: two definitions of one rule."""
    for given, result in published.load("14/tx_prologue").rows():
        g = {name: int(value) for name, value in given.items()}
        window = invariants.tx_window(g["n"], g["rhead"], g["rtail"], g["head"], g["cur"])
        assert result["accepted"] == window, given
    for given, result in published.load("14/rx_prologue").rows():
        g = {name: int(value) for name, value in given.items()}
        window = invariants.rx_window(g["n"], g["hwcur"], g["hwtail"], g["head"], g["cur"])
        assert result["accepted"] == window, given


@pytest.mark.parametrize(
    ("name", "chapters"), [("14/nm_parse", ("nm-open",)), ("14/nmport_parse", ("nmport",))]
)
def test_port_specifications_meet_every_rule_of_their_library(name: str, chapters: tuple[str, ...]) -> None:
    fired = {r for case in TABLES[name].cases() for r in _fired(name, case)}
    rules = {r.id for r in RULES.values() if r.id.split("/")[1] in chapters and not r.switch}
    assert rules - fired == set()


def _fired(name: str, case: tuple[Any, ...]) -> tuple[str, ...]:
    if name == "14/nm_parse":
        return nm_parse(case[0], Nmreq("", case[1], case[2])).fired
    around = Around(
        lambda port: 1 if port == "v0" else "ENXIO",
        lambda file: 8 << 20 if file == "pool" else "ENOENT",
        frozenset({"offset"} if case[1] else ()),
    )
    return nmport_parse(case[0], around).fired

"""The index arithmetic once more, by another engine: CrossHair must confirm each contract over all paths."""

from __future__ import annotations

from collections.abc import Callable

from ..crosshair import contracts, planted
from ..crosshair.check import check
from ..engine import Proof
from ..obligation import Control, obligation

_GOAL = "the contract holds"


def body(p: Proof, contract: Callable[..., bool]) -> None:
    report = check(contract)
    if not report.confirmed and not report.refuted:
        p.give_up(f"CrossHair: {report.text}")
        return
    p.evidence(_GOAL, report.confirmed, {"what": report.text, "lines": [report.text]})


for _name, _contract, _twin in (
    ("next-then-prev", contracts.next_then_prev, planted.next_then_prev),
    ("prev-then-next", contracts.prev_then_next, planted.prev_then_next),
    ("distance-of-advance", contracts.distance_of_advance, planted.distance_of_advance),
    ("advance-of-distance", contracts.advance_of_distance, planted.advance_of_distance),
):
    obligation(
        f"xh.14.{_name}",
        clauses=("14.ring.kring-order",),
        statement=(_contract.__doc__ or "").split("\n", 1)[0],
        functions=(_contract,),
        control=Control((_twin.__doc__ or "").split("\n", 1)[0].rstrip("."), _twin),
        assumptions="The contract's own preconditions.",
        rules=(),
    )(body)

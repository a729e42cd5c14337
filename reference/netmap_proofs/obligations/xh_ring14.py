"""The scalar steps once more, by another engine: CrossHair must confirm each contract over all paths."""

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


_RING, _NIC = ("14.ring.kring-order",), ("14.nic.reset",)
for _name, _clauses, _contract, _twin in (
    ("14.next-then-prev", _RING, contracts.next_then_prev, planted.next_then_prev),
    ("14.prev-then-next", _RING, contracts.prev_then_next, planted.prev_then_next),
    ("14.distance-of-advance", _RING, contracts.distance_of_advance, planted.distance_of_advance),
    ("14.advance-of-distance", _RING, contracts.advance_of_distance, planted.advance_of_distance),
    ("14.between-is-distance", _RING, contracts.between_is_distance, planted.between_is_distance),
    ("14.device-index-and-back", _NIC, contracts.device_index_and_back, planted.device_index_and_back),
    (
        "14.size-in-its-interval",
        ("14.register.sizes",),
        contracts.size_in_its_interval,
        planted.size_in_its_interval,
    ),
    (
        "14.ready-and-flush",
        ("14.poll.ready", "14.poll.flush"),
        contracts.ready_and_flush,
        planted.ready_and_flush,
    ),
    (
        "2011.nic-index-and-back",
        ("2011.ring.hwofs",),
        contracts.nic_index_and_back_2011,
        planted.nic_index_and_back_2011,
    ),
    (
        "14.rejected-changes-nothing",
        ("14.ring.tx-window",),
        contracts.rejected_changes_nothing,
        planted.rejected_changes_nothing,
    ),
    ("14.words-wrap", _RING, contracts.words_wrap, planted.words_wrap),
    (
        "2011.place-in-the-ring",
        ("2011.host.rx-position",),
        contracts.place_in_the_ring_2011,
        planted.place_in_the_ring_2011,
    ),
    ("2011.walk", ("2011.ring.positions",), contracts.walk_2011, planted.walk_2011),
    ("2011.frame-length", ("2011.host.tx-length",), contracts.frame_length_2011, planted.frame_length_2011),
):
    obligation(
        f"xh.{_name}",
        clauses=_clauses,
        statement=(_contract.__doc__ or "").split("\n", 1)[0],
        functions=(_contract,),
        control=Control((_twin.__doc__ or "").split("\n", 1)[0].rstrip("."), _twin),
        assumptions="The contract's own preconditions.",
        rules=(),
    )(body)

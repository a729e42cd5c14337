"""Machines of generation 2011 in the middle of a campaign."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from netmap_reference.campaign.gen2011.machine import Machine2011

CONFIG = {
    "pool_limit": 1 << 20,
    "n_buffers": 70,
    "ring_bytes": 2500,
    "ifs": [
        {"name": "em0", "num_queues": 2, "num_tx_desc": 4, "num_rx_desc": 4, "auto_tx": 0},
        {"name": "em1", "num_queues": 1, "num_tx_desc": 3, "num_rx_desc": 5, "separate_locks": 1},
    ],
}
#: Both interfaces in use, frames sent and under way, received and taken over, and a sleeper.
BUSY = [
    ("open", {}),
    ("open", {}),
    ("regif", {"fd": 0, "name": "em0", "ringid": 0}),
    ("regif", {"fd": 1, "name": "em1", "ringid": 0x4000}),
    ("ring_set", {"ifname": "em0", "tx": 1, "ring": 0, "set": {"cur": 2, "avail": 1}}),
    ("txsync", {"fd": 0}),
    ("nic_tx", {"ifname": "em0", "q": 0, "n": 1}),
    ("wire_in", {"ifname": "em0", "q": 0, "data": "11" * 60}),
    ("wire_in", {"ifname": "em0", "q": 0, "data": "12" * 60}),
    ("rxsync", {"fd": 0}),
    ("wire_in", {"ifname": "em0", "q": 0, "data": "13" * 60}),
    ("poll", {"fd": 1, "events": 1}),
]


@pytest.fixture
def busy() -> Callable[[], Machine2011]:
    """A machine of well-behaved users after ``BUSY``, with nothing broken."""

    def make() -> Machine2011:
        machine = Machine2011({"profile": "good", "config": CONFIG})
        for op, args in BUSY:
            assert not machine.apply(op, args), op
        assert not machine.whole()
        return machine.copy()

    return make


@pytest.fixture
def wandering() -> Callable[[int, int, str], Machine2011]:
    """``wandering(seed, operations, profile)``: a machine after random operations, nothing broken."""

    def make(seed: int, operations: int, profile: str) -> Machine2011:
        rng = Random(seed)
        machine = Machine2011({"profile": profile, "config": CONFIG})
        made = 0
        while made < operations:
            for op, args in machine.draw(rng):
                assert not machine.apply(op, args), f"seed {seed}: {op} {args}"
                made += 1
        return machine

    return make

"""The generation as a whole: its rules, its switches, and random processes in both readings."""

from __future__ import annotations

import random
from typing import Any

import pytest
from netmap_reference.core.step import RULES
from netmap_reference.gen2011 import readings
from netmap_reference.gen2011.memory import Obj
from netmap_spec import clauses

OURS = {name: rule for name, rule in RULES.items() if name.startswith("2011/")}


def test_every_rule_has_its_clause_and_every_deviation_is_told_there() -> None:
    known = clauses.load()
    for rule in OURS.values():
        assert rule.clause in known, rule
        assert not rule.switch or rule.switch in known[rule.clause].deviations, rule


def test_every_switch_has_an_as_written_rule_and_one_of_the_contract() -> None:
    for switch in readings.AS_WRITTEN:
        owners = {rule.clause for rule in OURS.values() if rule.switch == switch}
        assert owners, switch
        assert any(rule.clause in owners and not rule.switch for rule in OURS.values()), switch


def test_clauses_name_no_other_switches() -> None:
    told = {d for c in clauses.load().values() if c.generation == "2011" for d in c.deviations}
    assert told == readings.AS_WRITTEN


def test_a_world_and_its_clone_are_independent(machine: Any) -> None:
    m = machine()
    fd = m.open()
    other = m.world.clone()
    assert other.key() == m.world.key()
    m("host_in", ifname="em0", data="43" * 60)
    m("close", fd=fd)
    assert other.key() != m.world.key()
    assert other.pool.free == 512 - 16 and m.world.pool.free == 512
    assert other.apply("close", {"fd": fd})["ret"] == 0


@pytest.mark.parametrize(("op", "args"), [("fly", {}), ("close", {"fd": 3}), ("rxsync", {}), ("wire_in", {})])
def test_an_operation_that_does_not_exist_is_one_line(machine: Any, op: str, args: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=op):
        machine()(op, **args)


def test_nothing_works_on_a_dead_kernel_but_a_reset(machine: Any) -> None:
    m = machine()
    fd = m.open()
    m("detach", name="em0")
    assert m("txsync", fd=fd) == -1000
    with pytest.raises(ValueError, match="dead"):
        m("open")
    assert m("reset") == 0
    assert m("open") == 0


def random_operation(m: Any, rng: random.Random) -> tuple[str, dict[str, Any]]:
    """One operation of a reckless process or its environment."""
    name = rng.choice(list(m.world.ifs))
    iface = m.world.ifs[name]
    fds = sorted(m.world.fds)
    registered = iface.refcount > 0 and iface.na is not None
    tx, ring = rng.randint(0, 1), rng.randint(0, iface.num_queues)
    where = {"ifname": name, "tx": tx, "ring": ring}
    if not fds or (len(fds) < 4 and rng.random() < 0.1):
        return "open", {}
    fd, q = rng.choice(fds), rng.randrange(iface.num_queues)
    if registered and rng.random() < 0.45:
        n = iface.krings[f"{'tx' if tx else 'rx'}{ring}"].n
        any_slot = rng.randrange(n)
        return rng.choice(
            [
                ("ring_set", {**where, "set": {"cur": rng.choice([any_slot, any_slot, n, 0xFFFFFFFF])}}),
                ("ring_set", {**where, "set": {"avail": rng.choice([0, 1, n])}}),
                ("slot_set", {**where, "slot": any_slot, "set": {"buf_idx": rng.choice([0, 1, 7, 99999])}}),
                ("slot_set", {**where, "slot": any_slot, "set": {"len": rng.choice([0, 60, 2049, 65535])}}),
                ("wire_in", {"ifname": name, "q": q, "data": "aa" * 60}),
                ("nic_tx", {"ifname": name, "q": q, "n": -1}),
                ("rx_irq", {"ifname": name, "q": q}),
                ("nic_init", {"ifname": name}),
                ("host_in", {"ifname": name, "data": "bb" * 60}),
            ]
        )
    return rng.choice(
        [
            ("regif", {"fd": fd, "name": name, "ringid": rng.choice([0, 0x2000, 0x4000, 0x1000, 0x4009])}),
            ("txsync", {"fd": fd}),
            ("rxsync", {"fd": fd}),
            ("rxsync", {"fd": fd}),
            ("poll", {"fd": fd, "events": rng.choice([0, 1, 4, 5])}),
            ("poll", {"fd": fd, "events": rng.choice([0, 1, 4, 5])}),
            ("close", {"fd": fd}),
            ("unregif", {"fd": fd}),
            ("inject", {"what": rng.choice(["kmalloc", "register", "set_cdevpriv", "m_devget"]), "count": 1}),
            ("detach", {"name": name}) if rng.random() < 0.05 else ("ginfo", {"fd": fd, "name": name}),
            ("sysctl", {"name": rng.choice(["no_timestamp", "no_pendintr"]), "v": rng.randint(0, 1)}),
        ]
    )


def check(m: Any) -> None:
    """What the contract promises of every state (2011.ring.positions, pool.count, pool.reserved …)."""
    w = m.world
    assert "panic" not in m.last, m.last["panic"]
    assert not m.events("VIOL")
    assert not w.held
    assert w.pool.free == sum(1 for i in w.pool.bitmap if i < w.pool.total)
    assert {0, 1}.isdisjoint(w.pool.bitmap)
    assert sum(obj.size for obj in w.objs) == w.layout.size
    for iface in w.ifs.values():
        for k in iface.krings.values():
            if k.n:
                assert 0 <= k.hwcur < k.n and 0 <= k.hwavail < k.n and -k.n < k.hwofs < k.n


@pytest.mark.parametrize("seed", range(12))
def test_no_process_can_break_the_contracts_kernel(machine: Any, seed: int) -> None:
    """300 reckless operations: no fault, no broken rule of the kernel, positions and pool in order."""
    rng = random.Random(seed)
    ifs = [
        {
            "num_queues": rng.randint(1, 2),
            "num_tx_desc": rng.choice([2, 3, 4]),
            "num_rx_desc": rng.choice([2, 3, 4]),
            "separate_locks": rng.randint(0, 1),
            "own_locks": rng.randint(0, 1),
            "auto_tx": rng.randint(0, 1),
        }
        for _ in range(2)
    ]
    m = machine(switches=readings.CONTRACT, ifs=ifs, n_buffers=80, ring_bytes=2000)
    for step in range(300):
        op, args = random_operation(m, rng)
        m(op, **args)
        try:
            check(m)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, step {step}, {op} {args}: {error}") from error
    for fd in sorted(m.world.fds):
        m("close", fd=fd)
    assert m.world.pool.free == 78
    assert m.world.objs == (Obj(0, 2000, False),)


@pytest.mark.parametrize("seed", range(6))
def test_the_same_processes_do_break_the_kernel_as_written(machine: Any, seed: int) -> None:
    """The control of the test above: within 400 operations of some seed something is broken."""
    broken = 0
    for attempt in range(4):
        rng = random.Random(seed * 4 + attempt)
        m = machine(ifs=[{}, {"separate_locks": 1}], n_buffers=80, ring_bytes=2000)
        for _ in range(400):
            op, args = random_operation(m, rng)
            m(op, **args)
            if "panic" in m.last or m.events("VIOL"):
                broken += 1
                break
    assert broken == 4

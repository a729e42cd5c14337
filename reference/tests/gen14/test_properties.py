"""Random use of pipes and wires at once: what must be true after every single call.

Every campaign is named by its seed and repeats exactly.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from netmap_reference.core.choice import seeded
from netmap_reference.core.step import RULES
from netmap_reference.gen14 import memory, readings
from netmap_reference.gen14.bind import ring_at
from netmap_reference.gen14.ports import forward
from netmap_reference.gen14.ring import distance
from netmap_reference.gen14.state import TX, KringState, System
from netmap_reference.gen14.world import PortConfig
from netmap_spec.abi import api14
from netmap_spec.invariants import kring_order

PORTS = (
    PortConfig("v0", peer="v1", tx_slots=6, rx_slots=5),
    PortConfig("v1", peer="v0", tx_slots=5, rx_slots=6, driver="emulated"),
    PortConfig("p0", peer="p1", tx_slots=4, rx_slots=4, driver="veth"),
    PortConfig("p1", peer="p0", tx_slots=4, rx_slots=4, driver="veth"),
)
BINDINGS: dict[str, dict[str, Any]] = {
    "A": {"name": "x{1", "tx_slots": 5, "rx_slots": 3, "tx_rings": 2},
    "B": {"name": "x}1"},
    "C": {"name": "v0", "mode": "NIC_SW", "extra_bufs": 2},
    "D": {"name": "v1"},
    "E": {"name": "p0"},
    "F": {"name": "p1", "flags": "NR_DO_RX_POLL"},
}


class Campaign:
    """One seed: applications that do something at random, and the device that decides at random."""

    def __init__(self, bench: Callable[..., Any], seed: int, switches: frozenset[str], hostile: bool) -> None:
        self.random = random.Random(seed)
        self.b = bench(*PORTS, switches=switches, choose=seeded(seed))
        self.hostile = hostile
        self.fired: Counter[str] = Counter()
        self.packets = 0
        for fd, fields in BINDINGS.items():
            self.b.bind(fd, **fields)

    @property
    def system(self) -> System:
        found: System = self.b.world.system()
        return found

    def steps(self, count: int) -> Iterator[str]:
        """Do one thing after the other; what was done."""
        actions = [self.put, self.put, self.release, self.release, self.sync, self.sync, self.poll]
        actions += [self.exchange, self.frame, self.forward, self.reopen]
        if self.hostile:
            actions += [self.scribble] * 3 + [self.astray]
        for _ in range(count):
            fd = self.random.choice(list(BINDINGS))
            action = self.random.choice(actions)
            yield f"{action.__name__} {fd}: {action(fd)}"

    def ring(self, fd: str, t: str) -> str:
        return self.random.choice([r for r in self.b.world.rings(fd) if r.startswith(t)])

    # --- good manners -------------------------------------------------------------------------

    def put(self, fd: str) -> str:
        name = self.ring(fd, "tx")
        r = self.b.world.ring(fd, name)
        room = (r.tail - r.head) % r.num_slots if r.tail < r.num_slots and r.head < r.num_slots else 0
        count = self.random.randint(0, room)
        for _ in range(count):
            slot = r.slot[r.head]
            slot.len = self.random.choice([10, 14, 60, 1514, 1516])
            slot.flags |= self.random.choice([0, 0, 0, api14.NS_MOREFRAG, api14.NS_REPORT])
            r.head = r.cur = (r.head + 1) % r.num_slots
        self.packets += count
        return f"{name} {count}"

    def release(self, fd: str) -> str:
        name = self.ring(fd, "rx")
        r = self.b.world.ring(fd, name)
        held = (r.tail - r.head) % r.num_slots if r.tail < r.num_slots and r.head < r.num_slots else 0
        r.head = (r.head + self.random.randint(0, held)) % r.num_slots
        left = (r.tail - r.head) % r.num_slots if r.tail < r.num_slots else 0
        r.cur = (r.head + self.random.randint(0, left)) % r.num_slots
        return f"{name} head {r.head} cur {r.cur}"

    def sync(self, fd: str) -> str:
        call = self.random.choice(["txsync", "rxsync"])
        self.note(getattr(self.b.world, call)(fd, self.b.choose))
        return call

    def poll(self, fd: str) -> str:
        events = frozenset(e for e in ("in", "out", "rdnorm") if self.random.random() < 0.5)
        self.note(self.b.world.poll(fd, events, self.b.choose))
        return str(sorted(events))

    def exchange(self, fd: str) -> str:
        """Zero-copy: put a received buffer into a free transmit slot of the same region."""
        rx, tx = (self.b.world.ring(fd, self.ring(fd, t)) for t in ("rx", "tx"))
        ok = all(r.head < r.num_slots and r.tail < r.num_slots and r.head != r.tail for r in (rx, tx))
        if not ok:
            return "nothing to exchange"
        a, z = rx.slot[rx.head], tx.slot[tx.head]
        a.buf_idx, z.buf_idx = z.buf_idx, a.buf_idx
        a.flags |= api14.NS_BUF_CHANGED
        z.flags |= api14.NS_BUF_CHANGED
        return f"{a.buf_idx} {z.buf_idx}"

    def frame(self, fd: str) -> str:
        port, side = self.random.choice(["v0", "v1"]), self.random.choice(["wire", "host"])
        self.note(self.b.world.frame(port, side, bytes(self.random.choice([60, 1514])), self.b.choose))
        self.note(self.b.world.tau(self.b.choose))
        return f"{port} {side}"

    def forward(self, fd: str) -> str:
        """Mark everything received to be passed on between host and wire."""
        for name in self.b.world.rings("C"):
            r = self.b.world.ring("C", name)
            if name.startswith("rx"):
                r.flags = api14.NR_FORWARD
                for i in range(r.num_slots):
                    if r.head <= i < r.tail:
                        r.slot[i].flags |= api14.NS_FORWARD
        return "of C"

    def reopen(self, fd: str) -> str:
        if self.random.random() < 0.7:
            return "not now"
        self.note(self.b.world.close(fd))
        self.b.bind(fd, **BINDINGS[fd])
        return "closed and opened"

    # --- none at all --------------------------------------------------------------------------

    def scribble(self, fd: str) -> str:
        r = self.b.world.ring(fd, self.ring(fd, self.random.choice(["tx", "rx"])))
        value = self.random.choice([0, 1, 2, 3, 4, 5, r.num_slots, 2**31, 2**32 - 1])
        word = self.random.choice(["head", "cur", "tail", "flags", "buf_idx", "buf_idx", "len", "slot_flags"])
        slot = r.slot[self.random.randrange(r.num_slots)]
        if word in ("head", "cur", "tail", "flags"):
            setattr(r, word, value)
        elif word == "buf_idx":
            slot.buf_idx = value
        elif word == "len":
            slot.len = self.random.choice([0, 2048, 2049, 65535])
        else:
            slot.flags = value % 2**16
        return f"{word} {value}"

    def astray(self, fd: str) -> str:
        """Let go of what is to be passed on while no transmit ring says where."""
        self.forward(fd)
        for name in self.b.world.rings("C"):
            r = self.b.world.ring("C", name)
            if name.startswith("rx"):
                r.head = r.cur = r.tail
            else:
                r.head = self.random.choice([r.num_slots, 2**32 - 1])
        self.note(self.b.world.rxsync("C", self.b.choose))
        return "of C"

    def note(self, result: Any) -> None:
        assert result.outcome.kind in ("OK", "ERRNO"), result
        self.fired.update(result.fired)


def out_of_order(s: System) -> list[KringState]:
    return [
        k
        for k in s.krings.values()
        if not kring_order(k.pos.n, k.pos.hwcur, k.pos.hwtail, k.pos.rhead, k.pos.rcur, k.pos.rtail)
    ]


def buffers_in_places(s: System) -> Counter[int]:
    """Every buffer of the global region by the number of places it is in: slots and extra chains.

    Of two rings that share their buffers a position counts once: at the end whose application may use it.
    """
    a, region = s.allocators[memory.GLOBAL_ID], s.regions[memory.GLOBAL_ID]
    places: Counter[int] = Counter()
    for k in s.krings.values():
        if k.ring < 0 or s.adapters[k.adapter].mem != a.id:
            continue
        for i, slot in enumerate(memory.read_slots(region, ring_at(s, k), k.pos.n)):
            if not k.pipe:
                places[slot.buf_idx] += 1
                continue
            sent = k.pos.hwcur if k.t == TX else s.krings[k.pipe].pos.hwcur
            released = s.krings[k.pipe].pos.hwcur if k.t == TX else k.pos.hwcur
            receivers = distance(released, i, k.pos.n) < distance(released, sent, k.pos.n)
            if receivers == (k.t != TX):
                places[slot.buf_idx] += 1
    for f in s.files.values():
        if f.adapter and s.adapters[f.adapter].mem == a.id:
            head = api14.netmap_if(region, a.if_offset(f.nifp)).ni_bufs_head
            while head:
                places[head] += 1
                head = int.from_bytes(region.read(a.buf_offset(head), 4), "little")
    return places


NUMBERS = range(12)
STEPS = 300


@pytest.mark.parametrize("seed", NUMBERS)
@pytest.mark.parametrize("hostile", [False, True])
def test_positions_are_in_order_after_every_call(bench: Callable[..., Any], seed: int, hostile: bool) -> None:
    """14.ring.kring-order, whatever applications store"""
    c = Campaign(bench, seed, readings.CONTRACT, hostile)
    for step in c.steps(STEPS):
        assert out_of_order(c.system) == [], f"seed {seed}: after {step}"
    assert c.packets > 20


def test_as_written_a_hostile_application_breaks_that_order(bench: Callable[..., Any]) -> None:
    """The check above can fail: 14.reinit-trusts-user. Forwarding as written would end in a fault first."""
    broken = 0
    for seed in NUMBERS:
        c = Campaign(bench, seed, readings.AS_WRITTEN - forward.AS_WRITTEN, hostile=True)
        broken += any(out_of_order(c.system) for _ in c.steps(STEPS))
    assert broken > len(NUMBERS) // 2


@pytest.mark.parametrize("seed", NUMBERS)
def test_every_buffer_is_in_one_place(bench: Callable[..., Any], seed: int) -> None:
    """14.memory.one-slot, as long as applications only exchange buffers"""
    c = Campaign(bench, seed, readings.CONTRACT, hostile=False)
    for step in c.steps(STEPS):
        places = buffers_in_places(c.system)
        used = c.system.allocators[memory.GLOBAL_ID].buf_pool.used - memory.RESERVED
        assert set(places.values()) == {1}, f"seed {seed}: after {step}: {places.most_common(3)}"
        assert set(places) == used, f"seed {seed}: after {step}"


@pytest.mark.parametrize("seed", NUMBERS)
def test_with_everybody_gone_the_memory_is_clean(bench: Callable[..., Any], seed: int) -> None:
    """14.memory.last-user, also after the worst applications"""
    c = Campaign(bench, seed, readings.CONTRACT, hostile=True)
    for _ in c.steps(60):
        pass
    c.b.close(*BINDINGS)
    s = c.system
    assert s.allocators == bench(*PORTS).world.system().allocators
    assert (s.krings, s.files, s.waiting, s.woken) == ({}, {}, {}, frozenset())
    assert set(s.adapters) == {p.name for p in PORTS}


@pytest.mark.parametrize("seed", NUMBERS)
def test_a_clone_is_equal_and_independent(bench: Callable[..., Any], seed: int) -> None:
    c = Campaign(bench, seed, readings.CONTRACT, hostile=True)
    for _ in c.steps(30):
        world = c.b.world
        twin = world.clone()
        key = world.key()
        assert twin.key() == key
        fd = c.random.choice(list(BINDINGS))
        twin.ring(fd, next(iter(twin.rings(fd)))).cur += 1
        twin.rxsync(fd, seeded(seed))
        twin.close(fd)
        assert world.key() == key
        assert twin.key() != key


def test_a_seed_repeats(bench: Callable[..., Any]) -> None:
    runs = []
    for _ in range(2):
        c = Campaign(bench, 7, readings.CONTRACT, hostile=True)
        runs.append((list(c.steps(100)), c.b.world.key()))
    assert runs[0] == runs[1]


#: Rules the campaigns have no way to fire: the tests of their chapters do.
ELSEWHERE = {
    "14/sync/unbound",
    "14/sync/busy",
    "14/sync/stopped",
    "14/poll/unbound",
    "14/poll/busy",
    "14/poll/stopped",
    "14/poll/kqueue/error-untold",
    "14/poll/kqueue/other",
    "14/poll/kqueue/unbound",
    "14/host/transmit/too-long",
    "14/host/transmit/passed",
    "14/host/transparent/up",  # module parameters are not set here
    "14/host/transparent/down",
    "14/sync/rx/transparent",
}


def test_the_campaigns_reach_every_rule_of_the_data_path(bench: Callable[..., Any]) -> None:
    """A rule that never fires is not tested by any of the above."""
    fired: set[str] = set()
    for seed in NUMBERS:
        for hostile in (False, True):
            c = Campaign(bench, seed, readings.CONTRACT, hostile)
            for _ in c.steps(STEPS):
                pass
            fired |= set(c.fired)
    chapters = (
        "14/ring/",
        "14/sync/",
        "14/poll/",
        "14/pipe/txsync",
        "14/pipe/rxsync",
        "14/nic/txsync",
        "14/host/",
    )
    known = [r for r in RULES.values() if r.id.startswith(chapters) and not r.switch]
    wanted = {r.id for r in known if not r.clause.startswith("14.offsets.")}  # nobody asks for offsets here
    assert wanted - fired == ELSEWHERE

"""Every step of every request made to fail: nothing is left behind, and a forgotten inverse shows."""

from __future__ import annotations

import pytest
from netmap_reference.core.choice import eager
from netmap_reference.gen14 import header, injection, readings, situations
from netmap_reference.gen14.failure import POINTS
from netmap_reference.gen14.injection import Situation
from netmap_reference.gen14.world import World

SITUATIONS = tuple(situations.situations())
BY_NAME = {s.name: s for s in SITUATIONS}


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: s.name)
def test_whatever_step_fails_nothing_is_left_behind(situation: Situation) -> None:
    """14.failure.undone, 14.failure.errno"""
    points, runs, _, left = injection.inject(situation, pairs=False)
    assert points, "a request without a step that can fail is not checked at all"
    assert runs >= sum(bool(POINTS[name].errno) for name in points)
    assert left == []


@pytest.mark.parametrize(
    "name",
    [
        "REGISTER v0 exclusive, host rings, extra buffers",
        "REGISTER x{1, another ring",
        "REGISTER x}1, the other ends gone",
        "POOLS_INFO_GET v0 in another region",
    ],
)
def test_a_second_attempt_that_fails_elsewhere_leaves_nothing_either(name: str) -> None:
    points, _, pairs, left = injection.inject(BY_NAME[name])
    assert pairs >= sum(bool(POINTS[p].errno) for p in points) ** 2
    assert left == []


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: s.name)
def test_without_a_failure_the_request_succeeds(situation: Situation) -> None:
    assert situation.act(situation.prepare()).outcome.ok == situation.ok


#: What every request passes: header, the kernel's copy of the rest, and options there and back.
COMMON = {"header.copy-in", "header.copy-out", "request.memory", "options.copy-in", "options.copy-out"}
BODY = {"request.copy-in", "request.copy-out"}
#: A port that is found, or made to be looked at.
PIPE = {"pipe.parent", "pipe.master", "pipe.add", "pipe.slave"}
FOUND = PIPE | {"nic.generic", "switch.table", "vale.adapter", "memory.private"}
#: A region's memory when it is used, and what a descriptor needs of it.
USED = {"memory.group", "memory.lut", "memory.cluster", "memory.bitmap", "memory.map"}
BOUND = USED | {
    "krings",
    "vale.forwarding",
    "memory.ring",
    "memory.buffers",
    "memory.netmap-if",
    "nic.register",
}
POLLING = {"polling.state", "polling.threads", "polling.thread", "polling.start"}
ATTACHED = BOUND | {"switch.table", "bwrap.adapter", "bwrap.file", "nic.generic"}
NEWIF = {"vale.interface", "vale.adapter", "memory.private"}
EXTMEM = {"extmem.pages", "extmem.pinned", "extmem.lut", "extmem.invalid"}
CSB = {"csb.copy", "csb.memory"}
LEGACY = {"header.copy-in", "header.copy-out", "legacy.header", "legacy.body"}

#: Every request, and every internal step of it that can fail; and what is no request but fails likewise.
POINTS_OF = {
    "REGISTER": COMMON | BODY | FOUND | BOUND | EXTMEM | CSB
    | {"monitor.adapter", "monitor.memory", "monitor.array", "null.adapter"},
    "PORT_INFO_GET": COMMON | BODY | FOUND,
    "POOLS_INFO_GET": COMMON | BODY | FOUND | USED,
    "CSB_ENABLE": COMMON | CSB,
    "SYNC_KLOOP_START": COMMON | BODY | {"kloop.rings", "kloop.poll", "kloop.eventfd"},
    "SYNC_KLOOP_STOP": COMMON,
    "VALE_ATTACH": COMMON | BODY | ATTACHED,
    "VALE_DETACH": COMMON | BODY,
    "VALE_LIST": COMMON | BODY,
    "VALE_NEWIF": COMMON | BODY | NEWIF,
    "VALE_DELIF": COMMON,
    "PORT_HDR_SET": COMMON | BODY,
    "PORT_HDR_GET": COMMON | BODY | {"nic.generic"},
    "VALE_POLLING_ENABLE": COMMON | BODY | POLLING,
    "VALE_POLLING_DISABLE": COMMON | BODY,
    "NIOCREGIF": LEGACY | (FOUND | BOUND | ATTACHED) - {"nic.generic"} | NEWIF | POLLING,
    "NIOCGINFO": LEGACY | FOUND - {"nic.generic"},
    "open": {"open.descriptor"},
    "mmap": {"mmap.handle", "mmap.object"},
}  # fmt: skip


def test_every_request_fails_at_every_step_it_has() -> None:
    """The table says which they are; a point or a request that comes new must be entered."""
    assert injection.table(SITUATIONS) == POINTS_OF
    assert set(POINTS_OF) == {*header.KINDS, "NIOCREGIF", "NIOCGINFO", "open", "mmap"}


def test_every_failure_point_is_reached() -> None:
    assert frozenset().union(*POINTS_OF.values()) == POINTS.keys()


#: Situation -> the steps with an inverse that it takes.
STEPS = {s.name: injection.steps_of([s]) for s in SITUATIONS}


@pytest.mark.parametrize("step", sorted(frozenset().union(*STEPS.values())))
def test_a_forgotten_inverse_is_found(step: str) -> None:
    """The control: leave out how one step is taken back, and some failure shows it."""
    taking = [s for s in SITUATIONS if step in STEPS[s.name]]
    assert injection.check(taking, omit=frozenset({step}), first=True).left


def test_what_each_error_path_of_the_code_forgets() -> None:
    """Under a deviation's switch something is left behind, and it is what the clause says."""
    shown = {}
    for switch, name in (
        ("14.host-rings-stick", "REGISTER v0 exclusive, host rings, extra buffers"),
        ("14.pipe-leaks-memory", "REGISTER x{1, made with its parent"),
        ("14.pipe-needed-sticks", "REGISTER x{1, another ring"),
        ("14.copyout-after-the-fact", "REGISTER v0 ALL_NIC, alone"),
        ("14.ringid-sticks", "REGISTER x}1, the other end open"),
        ("14.vale-attach-loses-rings", "VALE_ATTACH v0 NIC_SW, beside others"),
        ("14.vale-attach-keeps-interface", "VALE_ATTACH v0 ALL_NIC, alone"),
    ):
        assert switch in readings.AS_WRITTEN
        left = injection.inject(switched(BY_NAME[name], switch), pairs=False)[3]
        shown[switch] = {x.what.partition("[")[0].partition(":")[0] for x in left}
    assert shown["14.host-rings-stick"] == {"adapters"}
    assert shown["14.pipe-leaks-memory"] >= {"allocators", "regions"}
    assert "krings" in shown["14.pipe-needed-sticks"]
    assert "files" in shown["14.copyout-after-the-fact"]
    assert shown["14.ringid-sticks"] == {"files"}
    assert shown["14.vale-attach-loses-rings"] >= {"allocators"}
    assert shown["14.vale-attach-keeps-interface"] == {"kept"}


def switched(situation: Situation, switch: str) -> Situation:
    def prepare() -> World:
        w = situation.prepare()
        w.switches = frozenset({switch})
        return w

    return Situation(f"{situation.name}, {switch}", prepare, situation.act)


@pytest.mark.parametrize("switch", ["", "14.stale-bufs-head"])
def test_a_late_failure_frees_no_chain(switch: str) -> None:
    """14.failure.no-early-use. As written the last owner's chain is freed, whoever has the buffers now."""
    w = World(situations.PORTS, frozenset({switch} - {""}))
    for fd, extra in (("A", 2), ("D", 3), ("B", 0)):
        w.open(fd)
        assert w.register(fd, {"name": "v0", "extra_bufs": extra}, eager).outcome.ok
    head = w.nifp("D").ni_bufs_head
    w.close("A")
    w.close("D")
    w.open("C")
    assert w.register("C", {"name": "v0", "extra_bufs": 12}, eager).outcome.ok
    taken = w.system().allocators[1].buf_pool.used
    assert head in taken
    w.open("A")
    w.fail("nic.register")
    assert w.register("A", {"name": "m0"}, eager).outcome.detail == "ENOMEM"
    assert (head in w.system().allocators[1].buf_pool.used) is (switch == "")


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("entries", [2, 1, 0])
def test_a_failed_register_leaves_no_rings_for_a_csb(exclusive: bool, entries: int) -> None:
    """14.csb.enable-bound, deviation 14.ringid-sticks: what CSB_ENABLE does follows from the rings left."""
    seen = []
    for switches in (readings.CONTRACT, readings.AS_WRITTEN):
        w = World(situations.PORTS, switches)
        for fd in "AB":
            w.open(fd)
        ring = {"name": "x{1", "tx_slots": 8, "rx_slots": 8}
        assert w.register("A", ring | ({} if exclusive else {"flags": "NR_EXCLUSIVE"}), eager).outcome.ok
        failed = w.register("B", ring | ({"flags": "NR_EXCLUSIVE"} if exclusive else {}), eager)
        assert failed.outcome.detail == "EBUSY"
        arrays = {"options": [{"type": "CSB", "entries": entries}]}
        seen.append(w.ctl("B", "CSB_ENABLE", arrays, eager).outcome)
    contract, written = seen
    assert contract.detail == "ENXIO"
    if not exclusive:
        assert written.detail == "EINVAL"
    elif entries < 2:
        assert written.detail == "EFAULT"
    else:
        assert written.kind == "FAULT"


def test_a_register_that_succeeds_chooses_anew() -> None:
    """14.register.failure: as written too, what a failed request left is gone with the next one."""
    w = World(situations.PORTS, readings.AS_WRITTEN)
    for fd in "AB":
        w.open(fd)
    assert w.register("A", {"name": "x{1"}, eager).outcome.ok
    assert not w.register("B", {"name": "x{1", "flags": "NR_EXCLUSIVE"}, eager).outcome.ok
    assert w.register("B", {"name": "v0", "mode": "ONE_NIC", "ringid": 1}, eager).outcome.ok
    f = w.system().files[w.system().holders["main", "B"]]
    assert (f.tx, f.rx, f.exclusive) == ((1, 2), (1, 2), False)


USES = {
    "txsync": lambda w: w.txsync("A", eager),
    "poll": lambda w: w.poll("A", frozenset({"in"}), eager),
    "mmap": lambda w: w.mmap("A"),
    "REGISTER": lambda w: w.register("A", {"name": "v0"}, eager),
    "NIOCREGIF": lambda w: w.legacy("A", "REGIF", {"name": "v0"}, eager),
    "SYNC_KLOOP_STOP": lambda w: w.ctl("A", "SYNC_KLOOP_STOP", {}, eager),
    "close": lambda w: w.close("A"),
    "exit": lambda w: w.exit("main"),
}


@pytest.mark.parametrize("use", USES)
def test_an_open_without_memory_opens_nothing(use: str) -> None:
    """14.failure.errno, deviation 14.open-hides-shortage: as written the first use of it faults."""
    w = World(situations.PORTS)
    w.fail("open.descriptor")
    assert w.open("A").outcome.detail == "ENOMEM"
    assert w.system().files == {}
    assert w.system().holders == {}
    w = World(situations.PORTS, readings.LINUX)
    w.fail("open.descriptor")
    assert w.open("A").outcome.ok
    assert w.ctl("A", "PORT_INFO_GET", {"name": "v0"}, eager).outcome.ok
    assert USES[use](w).outcome.kind == "FAULT"


def test_what_somebody_else_still_holds_is_not_closed() -> None:
    w = World(situations.PORTS, readings.LINUX)
    w.fail("open.descriptor")
    w.open("A")
    w.dup("A", "B")
    assert w.close("A").outcome.ok
    assert w.close("B").outcome.kind == "FAULT"


def test_a_plan_is_for_one_request() -> None:
    """A point that the next request does not pass does not wait for a later one."""
    w = situations.world()()
    w.fail("pipe.slave")
    assert w.register("X", {"name": "v0"}, eager).outcome.ok
    w.open("Y")
    assert w.register("Y", {"name": "x{1"}, eager).outcome.ok


def test_points_and_passes_are_checked() -> None:
    w = World()
    for point, passes in (("nowhere", 0), ("krings", -1)):
        with pytest.raises(ValueError, match="no request can fail"):
            w.fail(point, passes)

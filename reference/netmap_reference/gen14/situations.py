"""The requests whose every step is made to fail (:mod:`.injection`), each in worlds where it matters.

A request is made in the state that makes its error path longest, and in the states that make it different:
the port free or in use, the pipe or its parent there or not, memory shared with somebody who goes on, rings
of one mode or all. A chapter that brings a request enters its situations here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..core.choice import eager
from . import situations_switches
from .injection import Situation
from .situation_worlds import NOBODYS, ask, register, world
from .situation_worlds import PORTS as PORTS
from .world import World

#: What is there before: nothing, a user of the same memory, the port itself in use.
_NOBODY: tuple[dict[str, Any], ...] = ()
_OTHER = ({"name": "m0"},)
_RING = ({"name": "v0", "mode": "ONE_NIC", "ringid": 0},)
_MASTER = ({"name": "x{1", "tx_slots": 8, "rx_slots": 8},)
_MASTER_RING = (
    {"name": "x{1", "tx_slots": 8, "rx_slots": 8, "tx_rings": 2, "rx_rings": 2, "mode": "ONE_NIC"},
)


def situations() -> Iterator[Situation]:
    """All of them."""
    yield from _registers()
    yield from _opening()
    yield from _questions()
    yield from _loops()
    yield from situations_switches.situations()


def _registers() -> Iterator[Situation]:
    for mode in ("ALL_NIC", "SW", "NIC_SW", "ONE_NIC", "ONE_SW"):
        for where, before in (("alone", _NOBODY), ("shared memory", _OTHER)):
            yield Situation(f"REGISTER v0 {mode}, {where}", world(*before), register(name="v0", mode=mode))
    yield Situation("REGISTER v0 one more ring", world(*_RING), register(name="v0", mode="ONE_NIC", ringid=1))
    yield Situation("REGISTER v0 host rings beside", world(*_RING), register(name="v0", mode="SW"))
    yield Situation("REGISTER v0 a ring again", world(*_RING), register(name="v0", mode="ONE_NIC"))
    yield Situation(
        "REGISTER v0 exclusive, host rings, extra buffers",
        world(*_OTHER),
        register(name="v0", flags="NR_EXCLUSIVE", host_tx_rings=2, host_rx_rings=3, extra_bufs=5),
    )
    yield Situation("REGISTER m0 emulated", world(), register(name="m0", extra_bufs=3))
    yield Situation("REGISTER p0 of a pair", world(), register(name="p0"))
    yield Situation("REGISTER p1, its peer in use", world({"name": "p0"}), register(name="p1"))
    yield Situation("REGISTER v0{1, parent free", world(), register(name="v0{1", extra_bufs=4))
    yield Situation("REGISTER v0{1, parent in use", world(*_RING), register(name="v0{1"))
    yield Situation("REGISTER v0}2 beside v0{1", world({"name": "v0{1"}), register(name="v0}2"))
    yield Situation(
        "REGISTER x{1, made with its parent",
        world(),
        register(name="x{1", tx_slots=8, rx_slots=8, extra_bufs=6),
    )
    yield Situation("REGISTER x}1, the other end open", world(*_MASTER), register(name="x}1"))
    yield Situation("REGISTER x{2, parent there", world(*_MASTER), register(name="x{2", tx_slots=8))
    yield Situation(
        "REGISTER x{1, another ring", world(*_MASTER_RING), register(name="x{1", mode="ONE_NIC", ringid=1)
    )
    yield Situation(
        "REGISTER x}1, another ring", world(*_MASTER_RING), register(name="x}1", mode="ONE_NIC", ringid=1)
    )
    yield Situation(
        "REGISTER null port in the memory of a pipe",
        world(*_MASTER),
        register(
            name="n", mode="NULL", mem_id=2, tx_rings=1, rx_rings=1, tx_slots=4, rx_slots=4, extra_bufs=2
        ),
    )
    yield Situation(
        "REGISTER with an option nobody takes",
        world(),
        register(name="x{1", tx_slots=8, rx_slots=8, extra_bufs=2, options=NOBODYS),
        ok=False,
    )
    yield from _monitors()
    yield from _offsets()
    yield Situation("REGISTER x}1, the other ends gone", _kept(), register(name="x}1"))

    yield from _other_memory()
    for flags in ("NR_MONITOR_TX", "NR_MONITOR_RX", "NR_MONITOR_TX|NR_MONITOR_RX", "NR_ZCOPY_MON"):
        yield Situation(f"REGISTER v0 {flags}", world({"name": "v0"}), register(name="v0", flags=flags))
        yield Situation(f"REGISTER x{{1 {flags}", world(*_MASTER), register(name="x{1", flags=flags))


def _opening() -> Iterator[Situation]:
    """What is no request: a descriptor comes, and is mapped, the first time and once more."""
    yield Situation("open", world(*_RING), lambda w: w.open("Y"))
    yield Situation("mmap", world(*_RING), lambda w: w.mmap("A"))
    yield Situation("mmap again", _mapped(), lambda w: w.mmap("A"))
    yield Situation("mmap of nothing", world(), lambda w: w.mmap("X"), ok=False)


def _mapped() -> Callable[[], World]:
    def prepare() -> World:
        w = world(*_RING)()
        w.mmap("A")
        return w

    return prepare


#: Memory of a process for a small port.
_BROUGHT = {
    "type": "EXTMEM", "usrptr": 1 << 20, "nr_memsize": 1 << 17, "nr_ring_pool_objsize": 2048,
    "nr_ring_pool_objtotal": 8, "nr_buf_pool_objtotal": 20,
}  # fmt: skip


def _other_memory() -> Iterator[Situation]:
    """Ports given another region than their own: that of a pipe that is open, or one that is brought."""
    for name in ("v0", "m0", "v0{1", "y{1"):
        asked = {"name": name, "tx_slots": 8, "rx_slots": 8, "tx_rings": 1, "rx_rings": 1}
        yield Situation(f"REGISTER {name} in another region", world(*_MASTER), register(**asked, mem_id=2))
        brought = register(**asked, options=[_BROUGHT])
        yield Situation(f"REGISTER {name} in memory of the process", world(), brought)
    yield Situation(
        "REGISTER y{1 in memory brought before",
        world({"name": "x{1", "tx_slots": 8, "rx_slots": 8, "options": [_BROUGHT]}),
        register(name="y{1", tx_slots=4, rx_slots=4, options=[_BROUGHT]),
    )
    for request in ("PORT_INFO_GET", "POOLS_INFO_GET"):
        for name in ("v0", "v0{1", "y{1"):
            asks = ask(request, name=name, mem_id=2)
            yield Situation(f"{request} {name} in another region", world(*_MASTER), asks)


def _monitors() -> Iterator[Situation]:
    both, zcopy = "NR_MONITOR_TX|NR_MONITOR_RX", "NR_ZCOPY_MON"
    watched = {"name": "x{1", "flags": zcopy}
    yield Situation("REGISTER a copy monitor", world(*_MASTER), register(name="x{1", flags=both))
    yield Situation("REGISTER a zero-copy monitor", world(*_MASTER), register(name="x{1", flags=zcopy))
    for flags in (both, zcopy):
        yield Situation(
            f"REGISTER {flags} beside others",
            world(*_MASTER, watched, {"name": "x{1", "flags": both}),
            register(name="x{1", flags=flags, rx_slots=4, extra_bufs=2),
        )
    yield Situation(
        "REGISTER a monitor of a NIC's rings",
        world({"name": "v0", "mode": "NIC_SW"}),
        register(name="v0", flags=both, mode="NIC_SW"),
    )
    yield Situation(
        "REGISTER a monitor of a pipe that is not there", world(), register(name="x{1", flags=both), ok=False
    )


def _offsets() -> Iterator[Situation]:
    asked = [{"type": "OFFSETS", "max_offset": 64, "initial_offset": 16}]
    yield Situation("REGISTER x{1 with offsets", world(), register(name="x{1", tx_slots=8, options=asked))
    yield Situation(
        "REGISTER x}1 with offsets, the other end open", world(*_MASTER), register(name="x}1", options=asked)
    )
    yield Situation(
        "REGISTER m0 with offsets, in use without", world(*_OTHER), register(name="m0", options=asked)
    )


def _kept() -> Callable[[], World]:
    """An end that lives on because its peer is open: opened and closed before."""

    def prepare() -> World:
        w = world(*_MASTER)()
        w.open("B")
        w.register("B", {"name": "x}1"}, eager)
        w.close("B")
        return w

    return prepare


def _questions() -> Iterator[Situation]:
    for request in ("PORT_INFO_GET", "POOLS_INFO_GET"):
        for name in ("v0", "m0", "p0", "v0{1", "x{1", "vale0:a"):
            yield Situation(f"{request} {name}", world(), ask(request, name=name))
        yield Situation(f"{request} v0, in use", world({"name": "v0"}), ask(request, name="v0"))
        yield Situation(f"{request} x}}1, the other end open", world(*_MASTER), ask(request, name="x}1"))
        yield Situation(
            f"{request} with an option nobody takes", world(), ask(request, name="v0{1", options=NOBODYS)
        )
    yield Situation("PORT_INFO_GET without a name", world(), ask("PORT_INFO_GET", name=""))


#: A pipe end of one ring in each direction, alone, and the arrays for it.
_ALONE = {"name": "x{1", "tx_slots": 8, "rx_slots": 8, "flags": "NR_EXCLUSIVE"}
_CSB = {"type": "CSB", "entries": 2}


def _loops() -> Iterator[Situation]:
    """CSB mode at once and later, and the start of a loop."""

    def bound(*options: dict[str, Any]) -> Callable[[], World]:
        def prepare() -> World:
            w = world()()
            w.register("X", {**_ALONE, "options": list(options)}, eager)
            return w

        return prepare

    yield Situation("REGISTER x{1 in CSB mode", world(), register(**_ALONE, extra_bufs=2, options=[_CSB]))
    yield Situation("CSB_ENABLE", bound(), ask("CSB_ENABLE", options=[_CSB]))
    yield Situation("CSB_ENABLE with other arrays", bound(_CSB), ask("CSB_ENABLE", options=[_CSB]))
    with_loop = bound(_CSB)

    def looping() -> World:
        w = with_loop()
        w.ctl("X", "SYNC_KLOOP_START", {"sleep_us": 10}, eager)
        return w

    yield Situation("SYNC_KLOOP_STOP", looping, ask("SYNC_KLOOP_STOP"))
    yield Situation(
        "SYNC_KLOOP_STOP with an option nobody takes", looping, ask("SYNC_KLOOP_STOP", options=NOBODYS)
    )
    yield Situation("SYNC_KLOOP_STOP without a loop", with_loop, ask("SYNC_KLOOP_STOP"))
    eventfds = {"type": "SYNC_KLOOP_EVENTFDS", "entries": 2, "size": 40}
    mode = {"type": "SYNC_KLOOP_MODE", "mode": 1}
    yield Situation(
        "SYNC_KLOOP_START", bound(_CSB), ask("SYNC_KLOOP_START", sleep_us=10, options=[eventfds, mode])
    )

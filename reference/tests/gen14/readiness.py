"""The situations of the readiness matrix, made on the model.

A port of the matrix is a descriptor ``A`` and a far side that packets come from; a situation is what both
have done. Rings have four slots, three of them for the application.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from netmap_reference.core.choice import Choice
from netmap_reference.gen14.world import PortConfig, Result, World

PACKET = bytes(60)
ONLY = {"in": "NR_TX_RINGS_ONLY", "out": "NR_RX_RINGS_ONLY"}
#: Ports with an interface of the system's, which goes down and away.
INTERFACES = ("nic", "emulated", "pair", "host")


class NoSuch(Exception):
    """There is no such situation for this port."""


#: Ports as they are before anything happens, by port and flags.
_MADE: dict[tuple[str, str], World] = {}


@dataclass
class Bench:
    """A port of the matrix. ``page``: a poll is answered from the shared page where it can be."""

    port: str
    flags: str = ""
    page: bool = False
    eager: bool = True
    far: str = ""
    world: World = field(init=False)
    ports: dict[str, Callable[[], None]] = field(init=False)

    def __post_init__(self) -> None:
        driver = {"emulated": "emulated", "pair": "veth"}.get(self.port, "generic nic")
        self.world = World(
            [
                PortConfig(a, peer=z, tx_slots=4, rx_slots=4, driver=driver)
                for a, z in (("v0", "v1"), ("v1", "v0"))
            ]
        )
        self.ports = {
            "nic": self._wire,
            "emulated": self._wire,
            "pair": self._wire,
            "host": self._host,
            "pipe": self._pipe,
            "null": self._null,
            "vale": self._vale,
            "monitor": self._monitor,
        }
        known = _MADE.get((self.port, self.flags))
        if known is None:
            self.ports[self.port]()
            _MADE[self.port, self.flags] = self.world.clone()
        else:
            self.world = known.clone()
        if self.port not in ("host", "null"):
            self.far = "B"

    def choose(self, choice: Choice) -> int:
        if choice.name == "poll.syncs-ready":
            return int(not self.page)
        return choice.hi if self.eager or choice.name.startswith("sync.") else choice.lo

    # --- the ports ----------------------------------------------------------------------------

    def bind(self, fd: str, name: str, **fields: Any) -> None:
        if any(held == fd for _, held in self.world.system().holders):
            return
        self.world.open(fd)
        result = self.world.register(fd, {"name": name, **fields}, self.choose)
        if not result.outcome.ok:
            raise NoSuch(f"{self.port}: {fields} {result.outcome}")
        self.world.mmap(fd)

    def _bind(self, name: str, **fields: Any) -> None:
        more = fields.pop("flags", "")
        self.bind("A", name, flags="|".join(f for f in (self.flags, more) if f) or 0, **fields)

    def _wire(self) -> None:
        self._bind("v0")
        self.bind("B", "v1")

    def _host(self) -> None:
        self.bind("C", "v0")
        self._bind("v0", mode="SW")

    def _pipe(self) -> None:
        self._bind("x{1", tx_slots=4, rx_slots=4)
        self.bind("B", "x}1")

    def _null(self) -> None:
        self._bind("n", mode="NULL", mem_id=1, tx_rings=1, rx_rings=1, tx_slots=4, rx_slots=4)

    def _vale(self) -> None:
        self._bind("vale0:a", tx_slots=4, rx_slots=4)
        self.bind("B", "vale0:b", tx_slots=4, rx_slots=4)

    def _monitor(self) -> None:
        self.bind("B", "x{1", tx_slots=4, rx_slots=4)
        self._bind("x{1", flags="NR_MONITOR_TX|NR_MONITOR_RX")

    # --- what is done -------------------------------------------------------------------------

    def first(self, fd: str, t: str) -> str:
        for name in self.world.rings(fd):
            if name.startswith(t):
                return name
        raise NoSuch(f"{fd} has no {t} ring")

    def put(self, fd: str, count: int) -> None:
        """Fill slots with frames for everybody, and move head and cur past them; no sync."""
        r = self.world.ring(fd, self.first(fd, "tx"))
        for _ in range(count):
            slot = r.slot[r.head]
            self.world.region(fd).write(self.world.buffer(fd, slot.buf_idx)[0], b"\xff" * 6 + PACKET[6:])
            slot.len = len(PACKET)
            r.head = r.cur = (r.head + 1) % r.num_slots

    def come(self) -> None:
        """A packet comes from the far side."""
        if self.port == "null":
            raise NoSuch("nothing comes to a null port")
        if self.port == "host":
            self.world.frame("v0", "host", PACKET, self.choose)
            return
        self.put(self.far, 1)
        self.world.txsync(self.far, self.choose)
        self.world.tau(self.choose)

    def see(self, all_of_it: bool) -> None:
        self.world.rxsync("A", self.choose)
        if all_of_it:
            r = self.world.ring("A", self.first("A", "rx"))
            r.head = r.cur = r.tail

    def poll(self, event: str, how: str = "") -> Result:
        return self.world.poll("A", frozenset({event} - {"none"}), self.choose, how=how)


def idle(b: Bench, event: str) -> None:
    """Nothing."""


def came(b: Bench, event: str) -> None:
    b.first("A", "rx")
    b.come()


def left(b: Bench, event: str) -> None:
    came(b, event)
    b.see(all_of_it=False)


def seen(b: Bench, event: str) -> None:
    came(b, event)
    b.see(all_of_it=True)
    b.world.rxsync("A", b.choose)


def unreturned(b: Bench, event: str) -> None:
    came(b, event)
    b.come()
    b.see(all_of_it=False)
    r = b.world.ring("A", b.first("A", "rx"))
    r.head = r.cur = (r.head + 1) % r.num_slots


def unsent(b: Bench, event: str) -> None:
    b.put("A", 1)


def full(b: Bench, event: str) -> None:
    b.eager = False
    b.put("A", 3)
    b.world.txsync("A", b.choose)


def room(b: Bench, event: str) -> None:
    full(b, event)
    b.eager = True
    if b.port in ("pipe", "pair"):
        b.world.rxsync("B", b.choose)
        r = b.world.ring("B", b.first("B", "rx"))
        r.head = r.cur = r.tail
        b.world.rxsync("B", b.choose)


def no_rings(b: Bench, event: str) -> None:
    if event == "none":
        raise NoSuch("nothing is asked")
    b.world.close("A")
    b.flags = "|".join(f for f in (b.flags, ONLY[event]) if f)
    b.ports[b.port]()


def rejected(b: Bench, event: str) -> None:
    b.world.ring("A", b.first("A", "tx" if event == "out" else "rx")).head = 9


def down(b: Bench, event: str) -> None:
    if b.port not in INTERFACES:
        raise NoSuch("no interface of the system's")
    b.world.link("v0", False, b.choose)


def gone(b: Bench, event: str) -> None:
    if b.port not in INTERFACES:
        raise NoSuch("no interface of the system's")
    if b.port == "pair":
        raise NoSuch("what becomes of one end of a pair when the other goes is not modelled")
    b.world.detach("v0", b.choose)


def far_gone(b: Bench, event: str) -> None:
    if b.port not in ("pipe", "vale", "monitor", "pair", "nic", "emulated"):
        raise NoSuch("nobody is at the far side")
    b.world.close("B")


def unbound(b: Bench, event: str) -> None:
    b.world.close("A")
    b.world.open("A")


#: By the name that the matrix gives them.
SITUATIONS = {
    f.__name__.replace("_", "-"): f
    for f in (
        idle,
        came,
        left,
        seen,
        unreturned,
        unsent,
        full,
        room,
        no_rings,
        rejected,
        far_gone,
        down,
        gone,
        unbound,
    )
}


def answer(result: Result, event: str) -> str:
    """A cell: what the poll answered and what it synced."""
    words = [word for word, name in (("ready", event), ("error", "err")) if name in result.revents]
    word = "+".join(words) or "not"
    for t in ("tx", "rx"):
        if any(rule.startswith(f"14/ring/{t}_prologue/") for rule in result.fired):
            word += f" {t}"
    return word


def cell(port: str, situation: str, event: str, flags: str, page: bool) -> str:
    """Run one cell of the matrix on the model."""
    try:
        b = Bench(port, flags, page)
        SITUATIONS[situation](b, event)
    except NoSuch:
        return "-"
    return answer(b.poll(event), event)

"""What a random application does, how often, and when it can: the rules of :mod:`.lockstep`'s machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .lockstep import Driver

HANDLES = ("A", "B", "C", "D", "E", "F")


@dataclass(frozen=True)
class End:
    """What a machine binds: a port with wishes, on a target that has the capabilities it ``needs``."""

    port: str
    wishes: str = ""
    needs: str = "pipe"
    flags: str = ""

    @property
    def name(self) -> str:
        """What it is called in a list of what was opened: the port, and what makes it another one."""
        return f"{self.port} {self.flags}".strip()

    def asked(self, flag: str = "") -> str:
        """The words of a REGISTER, with one more ``flag``."""
        flags = "|".join(f for f in (self.flags, flag) if f)
        return " ".join(word for word in (self.port, self.wishes, flags and f"flags={flags}") if word)


#: A NIC, both ends of a wide and of a narrow pipe, ports of a switch with and without a ring of their own for
#: every sender's, and monitors of what is bound beside them.
ENDS = (
    End("v0", needs="nic"),
    End("x{1", "tx_slots=8 rx_slots=4"),
    End("x}1", "tx_slots=4 rx_slots=8"),
    End("x{2", "tx_slots=2 rx_slots=3 tx_rings=2 rx_rings=2"),
    End("x}2", "tx_slots=3 rx_slots=2 tx_rings=2 rx_rings=2"),
    End("vale0:a", "tx_slots=8 rx_slots=8", "vale"),
    End("vale0:b", "tx_slots=4 rx_slots=4 tx_rings=2 rx_rings=2", "vale"),
    End("x{1", needs="monitor", flags="NR_MONITOR_TX|NR_MONITOR_RX"),
    End("x}1", "rx_slots=4", "monitor", "NR_MONITOR_RX"),
    End("x{1", needs="monitor", flags="NR_MONITOR_TX|NR_MONITOR_RX|NR_ZCOPY_MON"),
    End("vale0:a", needs="vale monitor", flags="NR_MONITOR_RX"),
)
#: Addresses of frames: two of programs, a group's, everybody's.
ADDRESSES = ("1", "2", "3", "ff")
#: Positions that are none.
OUTSIDE = (8, 9, 0x7FFFFFFF, 0xFFFFFFFF)


@dataclass(frozen=True)
class Rule:
    """One thing an application does: how often, when it can, and with which drawn arguments."""

    name: str
    weight: int
    ready: Callable[[Driver], bool]
    step: Callable[..., None]
    args: dict[str, Any]


def rules(st: Any, ends: Sequence[End]) -> list[Rule]:
    """The rules and their weights; ``st`` is hypothesis's module of strategies; ``ends`` can be bound."""
    table: list[Rule] = []

    def weighted(
        weight: int, ready: Callable[[Driver], bool] = lambda d: True, **args: Any
    ) -> Callable[[Callable[..., None]], Callable[..., None]]:
        def put(step: Callable[..., None]) -> Callable[..., None]:
            table.append(Rule(step.__name__, weight, ready, step, args))
            return step

        return put

    pick = st.integers(0, 1000)

    def some(d: Driver, number: int) -> str:
        """One of the bound descriptors."""
        return sorted(d.bound)[number % len(d.bound)]

    def ring(d: Driver, fd: str, side: str, number: int) -> str:
        names = [r for r in sorted(d.bound[fd].rings) if r.startswith(side)]
        return names[number % len(names)]

    def bound(d: Driver) -> bool:
        return bool(d.bound)

    @weighted(3, lambda d: len(d.bound) < len(HANDLES), end=st.sampled_from(list(ends)), quiet=st.booleans())
    def open(d: Driver, end: End, quiet: bool) -> None:
        handle = next(h for h in HANDLES if h not in d.bound)
        d.open(handle, end, "NR_NO_TX_POLL" if quiet else "")

    @weighted(1, lambda d: len(d.bound) > 2, which=pick)
    def close(d: Driver, which: int) -> None:
        d.close(some(d, which))

    @weighted(6, bound, which=pick, at=pick, count=st.integers(1, 7), length=st.integers(14, 80))
    def send(d: Driver, which: int, at: int, count: int, length: int) -> None:
        fd = some(d, which)
        tx = ring(d, fd, "tx", at)
        free = d.bound[fd].free(tx)
        if free:
            d.do(f"send {fd} {tx} {1 + (count - 1) % free} {length}")

    @weighted(
        4,
        bound,
        which=pick,
        at=pick,
        length=st.integers(14, 80),
        dst=st.sampled_from(ADDRESSES),
        src=st.sampled_from(ADDRESSES[:2]),
    )
    def send_to(d: Driver, which: int, at: int, length: int, dst: str, src: str) -> None:
        fd = some(d, which)
        tx = ring(d, fd, "tx", at)
        if d.bound[fd].free(tx):
            d.do(f"send {fd} {tx} 1 {length} {dst} {src}")

    @weighted(8, bound, which=pick, transmit=st.booleans())
    def sync(d: Driver, which: int, transmit: bool) -> None:
        d.do(f"{'txsync' if transmit else 'rxsync'} {some(d, which)}")

    @weighted(5, bound, which=pick, at=pick, count=st.integers(0, 8))
    def release(d: Driver, which: int, at: int, count: int) -> None:
        fd = some(d, which)
        rx = ring(d, fd, "rx", at)
        free = d.bound[fd].free(rx)
        d.do(f"set {fd} {rx} both=head+{count % (free + 1)}")

    @weighted(2, bound, which=pick, at=pick, rx=st.booleans(), count=st.integers(0, 8))
    def look_ahead(d: Driver, which: int, at: int, rx: bool, count: int) -> None:
        fd = some(d, which)
        name = ring(d, fd, "rx" if rx else "tx", at)
        d.do(f"set {fd} {name} cur=head+{count % (d.bound[fd].free(name) + 1)}")

    @weighted(4, bound, which=pick, events=st.sampled_from(("in", "out", "inout", "none")))
    def poll(d: Driver, which: int, events: str) -> None:
        d.do(f"poll {some(d, which)} {events} 0")

    @weighted(4, bound, which=pick, at=pick, flags=st.sampled_from((0, 1, 2, 0x20, 0x21, 0x80)), length=pick)
    def mark(d: Driver, which: int, at: int, flags: int, length: int) -> None:
        fd = some(d, which)
        tx = ring(d, fd, "tx", at)
        if d.bound[fd].free(tx):
            d.do(f"slot {fd} {tx} head flags={flags} len={14 + length % 1500} ptr={length}")
            d.do(f"set {fd} {tx} both=head+1")

    @weighted(2, bound, which=pick, other=pick, at=pick, at2=pick)
    def swap(d: Driver, which: int, other: int, at: int, at2: int) -> None:
        fd, fd2 = some(d, which), some(d, other)
        if d.bound[fd].mem_id != d.bound[fd2].mem_id:
            return
        one, two = ring(d, fd, "rx", at), ring(d, fd2, "tx", at2)
        if d.bound[fd].free(one) and d.bound[fd2].free(two):
            d.do(f"swap {fd} {one} head {fd2} {two} head")

    @weighted(2, bound, which=pick, at=pick, rx=st.booleans(), head=pick, cur=pick)
    def bad_position(d: Driver, which: int, at: int, rx: bool, head: int, cur: int) -> None:
        fd = some(d, which)
        name = ring(d, fd, "rx" if rx else "tx", at)
        values = (*range(int(d.bound[fd].rings[name]["num_slots"])), *OUTSIDE)
        h, c = values[head % len(values)], values[cur % len(values)]
        d.do(f"set {fd} {name} head={h} cur={c}")
        d.do(f"{'rxsync' if rx else 'txsync'} {fd}")

    @weighted(1, bound, which=pick, at=pick, rx=st.booleans(), tail=st.sampled_from((0, 1, 7, *OUTSIDE)))
    def write_tail(d: Driver, which: int, at: int, rx: bool, tail: int) -> None:
        fd = some(d, which)
        d.do(f"set {fd} {ring(d, fd, 'rx' if rx else 'tx', at)} tail={tail}")

    @weighted(1, bound, which=pick, end=st.sampled_from(list(ends)))
    def bind_again(d: Driver, which: int, end: End) -> None:
        d.do(f"reg {some(d, which)} {end.asked()}")

    @weighted(2, lambda d: d.wire, length=st.integers(14, 100), fill=st.integers(0, 255))
    def arrive(d: Driver, length: int, fill: int) -> None:
        data = bytes.fromhex("ffffffffffff02000000000988b5") + bytes([fill]) * (length - 14)
        d.do(f"frame v0 wire {data.hex()}")

    @weighted(1, lambda d: d.wire)
    def collect(d: Driver) -> None:
        d.do("frames v0 wire")

    @weighted(4, bound)
    def settle(d: Driver) -> None:
        d.do("settle")

    return table

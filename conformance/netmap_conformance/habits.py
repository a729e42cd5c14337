"""What a random application does, how often, and when it can: the rules of :mod:`.lockstep`'s machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .lockstep import Driver

HANDLES = ("A", "B", "C", "D")
#: What a machine opens and with which wishes: a NIC, both ends of a wide and of a narrow pipe.
ENDS = {
    "v0": "",
    "x{1": "tx_slots=8 rx_slots=4",
    "x}1": "tx_slots=4 rx_slots=8",
    "x{2": "tx_slots=2 rx_slots=3 tx_rings=2 rx_rings=2",
    "x}2": "tx_slots=3 rx_slots=2 tx_rings=2 rx_rings=2",
}
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


def rules(st: Any) -> list[Rule]:
    """The rules and their weights; ``st`` is hypothesis's module of strategies."""
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

    @weighted(
        2, lambda d: len(d.bound) < len(HANDLES), end=st.sampled_from(sorted(ENDS)), quiet=st.booleans()
    )
    def open(d: Driver, end: str, quiet: bool) -> None:
        handle = next(h for h in HANDLES if h not in d.bound)
        if end != "v0" or d.nic:
            d.open(handle, end, "flags=NR_NO_TX_POLL" if quiet else "")

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

    @weighted(1, bound, which=pick, end=st.sampled_from(sorted(ENDS)))
    def bind_again(d: Driver, which: int, end: str) -> None:
        d.do(f"reg {some(d, which)} {end}")

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

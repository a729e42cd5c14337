"""The effects ``Do("nic.…")``: the driver's registers and descriptors, and what the NIC does on the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..device import Context
from .nicring import RxRing, TxRing, fresh_rx, fresh_tx, put, rx_fill, tx_send

if TYPE_CHECKING:
    from ..world import World


def nic_fails(world: World, ctx: Context) -> bool:
    return world.injected("register")


def nic_restart(world: World, ctx: Context) -> None:
    iface = ctx.port
    iface.rx_drops += sum(len(ring.waiting) for ring in iface.rx)
    iface.tx = [fresh_tx(ring.n) for ring in iface.tx]
    iface.rx = [fresh_rx(ring.n) for ring in iface.rx]


def nic_tx_ring(world: World, ctx: Context, q: int) -> TxRing:
    return ctx.port.tx[q]


def nic_rx_ring(world: World, ctx: Context, q: int) -> RxRing:
    return ctx.port.rx[q]


def tx_clean(world: World, ctx: Context, q: int, at: int) -> None:
    ctx.port.tx[q] = replace(ctx.port.tx[q], clean=at)


def tx_desc(world: World, ctx: Context, q: int, at: int, index: int, length: int) -> None:
    ring = ctx.port.tx[q]
    ctx.port.tx[q] = replace(ring, desc=put(ring.desc, at, (world.buffer(index), length)))


def tx_tail(world: World, ctx: Context, q: int, at: int) -> None:
    ctx.port.tx[q] = replace(ctx.port.tx[q], tail=at)
    if ctx.port.auto_tx:
        transmit(world, ctx, q, -1)


def transmit(world: World, ctx: Context, q: int, most: int) -> int:
    """The NIC puts up to ``most`` frames on the wire; returns how many."""
    ring, sent = tx_send(ctx.port.tx[q], most)
    ctx.port.tx[q] = ring
    ctx.port.out += [(q, world.region.read(start, length)) for start, length in sent]
    return len(sent)


def rx_check(world: World, ctx: Context, q: int, at: int) -> None:
    ctx.port.rx[q] = replace(ctx.port.rx[q], check=at)


def rx_desc(world: World, ctx: Context, q: int, at: int, index: int) -> None:
    ring = ctx.port.rx[q]
    ctx.port.rx[q] = replace(
        ring, buffer=put(ring.buffer, at, world.buffer(index)), done=put(ring.done, at, False)
    )


def rx_tail(world: World, ctx: Context, q: int, at: int) -> None:
    ctx.port.rx[q] = replace(ctx.port.rx[q], tail=at)
    receive(world, ctx, q)


def receive(world: World, ctx: Context, q: int) -> None:
    """The NIC writes what is waiting on the wire into free descriptors."""
    ring, writes = rx_fill(ctx.port.rx[q])
    ctx.port.rx[q] = ring
    for start, frame in writes:
        world.region.write(start, frame)


ACTIONS: dict[str, Callable[..., Any]] = {
    "nic.fails": nic_fails,
    "nic.restart": nic_restart,
    "nic.tx": nic_tx_ring,
    "nic.rx": nic_rx_ring,
    "nic.tx_clean": tx_clean,
    "nic.tx_desc": tx_desc,
    "nic.tx_tail": tx_tail,
    "nic.transmit": transmit,
    "nic.rx_check": rx_check,
    "nic.rx_desc": rx_desc,
    "nic.rx_tail": rx_tail,
    "nic.receive": receive,
}

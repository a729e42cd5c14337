"""Chapter *bwrap*: a port of the system, and its host stack, attached to a switch.

The kernel binds the port to itself, so that no program can. Whatever arrives there is sent into the switch at
once, and what the switch has for the port leaves it at once: nobody sees its rings, so here are only the
frames. What the device stores when is the environment's choice, as for a port a program has bound
(:mod:`.wire`); a frame that has arrived is forwarded no later than anybody looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netmap_spec.abi import api14

from ...core.effects import Protocol, run
from ...core.outcome import NotModelled
from ...core.step import rule
from .. import bind
from ..state import RX, TX, KringState, System, ring_name
from ..switch import BWRAP, BWRAP_HOST
from . import vale, vale_device, wire
from .nic import rx_room
from .ops import PortOps
from .vale import Fragment, Packet

if TYPE_CHECKING:
    from ..execute import Execution

BDG_C = "luigirizzo/netmap:sys/dev/netmap/netmap_bdg.c@89607e14"

_FORWARDS = "14.bwrap.forwards"
IN = rule("14/bwrap/forward/from-wire", clause=_FORWARDS, source=f"{BDG_C}:1241-1303")
IN_HOST = rule("14/bwrap/forward/from-host", clause="14.bwrap.host", source=f"{BDG_C}:1241-1303")
OUT = rule("14/bwrap/transmit/to-wire", clause=_FORWARDS, source=f"{BDG_C}:1600-1653")
OUT_HOST = rule("14/bwrap/transmit/to-host", clause="14.bwrap.host", source=f"{BDG_C}:1600-1653")
GONE = rule("14/bwrap/destroy", clause="14.switch.detach", source=f"{BDG_C}:1194-1220")


def wrapped(s: System, name: str) -> str:
    """The port that a bwrap adapter stands for."""
    vp = s.adapters[name].vp
    assert vp is not None
    return vp.below


def _forward(sender: str, packets: list[Packet], switches: frozenset[str]) -> Protocol:
    """The switch gets packets from a ring that no program has."""
    yield from vale.flush(sender, packets, switches)


def _packet(data: bytes, buf_size: int) -> Packet:
    """A frame as the slots of a receive ring would hold it."""
    parts = [data[i : i + buf_size] for i in range(0, max(1, len(data)), buf_size)]
    more = api14.NS_MOREFRAG
    last = len(parts) - 1
    return tuple(Fragment(2, len(p), 0 if i == last else more, data=p) for i, p in enumerate(parts))


def _send_in(x: Execution, sender: str, frames: list[bytes]) -> None:
    size = bind.allocator(x.s, x.s.krings[sender].adapter).buf_size
    run(_forward(sender, [_packet(f, size) for f in frames], x.switches), x)


def catch_up(x: Execution) -> None:
    """Everything that has arrived at attached ports goes into their switches."""
    for na in [a for a in x.s.adapters.values() if a.kind in (BWRAP, BWRAP_HOST)]:
        if na.vp is None or na.vp.bridge < 0:
            continue
        nic = x.s.adapters[na.vp.below]
        if nic.kind != "nic":
            continue
        for i in range(na.tx_rings):
            sender = ring_name(na.name, TX, i)
            if na.kind == BWRAP_HOST:
                k = x.s.krings[ring_name(nic.name, RX, nic.rx_rings + i)]
                if k.queue:
                    bind.put(x.s, replace(k, queue=()))
                    x.fired.append(IN_HOST)
                    _send_in(x, sender, list(k.queue))
                continue
            k = x.s.krings[ring_name(nic.name, RX, i)]
            if x.s.ports[nic.name].incoming[i]:
                size = bind.allocator(x.s, nic.name).buf_size
                frames, fired = wire.take(x.s, k, rx_room(k.pos), size, x.choose)
                x.fired.extend(fired)
                if frames:
                    x.fired.append(IN)
                    _send_in(x, sender, frames)


def outside(x: Execution, to: str) -> bool:
    """Does a receive ring stand for a port of the system, or its host stack?"""
    return x.s.adapters[x.s.krings[to].adapter].kind in (BWRAP, BWRAP_HOST)


def transmit(x: Execution, sender: str, to: str, packets: tuple[Packet, ...]) -> None:
    """What the switch has for the port leaves it. A device without fragments sends each slot as a frame."""
    na = x.s.adapters[x.s.krings[to].adapter]
    nic = wrapped(x.s, na.name)
    if x.s.adapters[nic].kind != "nic":
        raise NotModelled("14/bwrap/vale-port", f"{na.name} stands for a port of another switch")
    frames: list[bytes] = []
    whole = na.kind == BWRAP and x.s.ports[nic].driver.fragments
    for packet in packets:
        parts = [vale_device.fragment_bytes(x, sender, f, f.len) or b"" for f in packet]
        frames += [b"".join(parts)] if whole else parts
    if na.kind == BWRAP_HOST:
        x.fired.append(OUT_HOST)
        wire.to_host(x.s, nic, [f for f in frames if len(f) >= vale.SHORTEST])
    else:
        x.fired.append(OUT)
        x.fired.extend(wire.send(x.s, nic, frames, to, x.choose))


def sync(x: Execution, k: KringState, force: bool) -> Protocol:
    """Nobody can be bound to these rings."""
    raise NotModelled("14/bwrap/sync", f"a sync of {k.name}")
    yield


OPS = PortOps(sync=sync)

DO: dict[str, Callable[..., Any]] = {"vale-outside": outside, "vale-transmit": transmit}

"""Chapter *NIC, found*: the port of the system that a request names. Source: netmap_get_na, netmap_get_hw_na.

It is asked last: a name that no other kind of port claims is one of the system's, or nobody's.
"""

from __future__ import annotations

from dataclasses import replace

from ...core.outcome import NotModelled
from ...core.step import rule
from .. import failure, regions, request
from ..bind import Faulted, Refused
from ..state import Adapter, System
from ..stop import GONE
from . import nic_mode
from .ops import Asked

NETMAP_C = request.NETMAP_C
GENERIC_C = "luigirizzo/netmap:sys/dev/netmap/netmap_generic.c@89607e14"

#: The numbers of host rings a request asks for stay with the port though the request failed.
HOST_RINGS_STICK = "14.host-rings-stick"
#: The second end of a shared pair asks for more host rings than were made with the first.
HOST_RINGS_OVERRUN = "14.veth-host-rings-overrun"
AS_WRITTEN = frozenset({HOST_RINGS_STICK, HOST_RINGS_OVERRUN})

STUCK = rule(
    "14/register/host-rings/stick",
    clause="14.host.counts",
    source=f"{NETMAP_C}:1654-1663",
    switch=HOST_RINGS_STICK,
)
OVERRUN = rule(
    "14/register/host-rings/overrun",
    clause="14.host.counts",
    source=f"{NETMAP_C}:1654-1663",
    switch=HOST_RINGS_OVERRUN,
)
COUNTED = rule("14/register/host-rings/asked", clause="14.host.counts", source=f"{NETMAP_C}:1654-1663")
PERSISTENT = rule("14/register/persistent", clause="14.switch.persistent", source=f"{NETMAP_C}:1635-1652")
HOST_ONLY = rule("14/register/host-only", clause="14.register.names", source=f"{GENERIC_C}:1086-1089")
NO_PORT = rule("14/register/no-such-port", clause="14.register.names", source=f"{NETMAP_C}:1641-1645")


def find(asked: Asked) -> str:
    """The port of that name. ENXIO when there is none, EINVAL when it cannot have rings."""
    s, req, fired = asked.s, asked.req, asked.fired
    fired.append(request.NAME_PORT)
    if req.name in s.left:
        raise NotModelled("14/vale-port/left", f"{req.name} has lost its adapter")
    na = s.adapters.get(req.name)
    if na is None or na.interface == GONE:
        fired.append(NO_PORT)
        raise Refused("ENXIO")
    if na.kind == "persistent":
        fired.append(PERSISTENT)
        regions.override(s, na.name, req.mem_id, fired, asked.switches)
        return na.name
    if na.kind != "nic":
        fired.append(NO_PORT)
        raise Refused("ENXIO")
    if s.ports[na.name].host_only:
        fired.append(HOST_ONLY)
        raise Refused("EINVAL")
    if na.interface:
        raise NotModelled("14/nic/register/down", f"{na.name} is bound while it is down")
    na = nic_mode.choose_driver(s, na, fired)
    if req.mem_id and req.mem_id != na.mem and nic_mode.paired(s, na):
        raise NotModelled("14/nic/veth/memory", f"{na.name} of a pair with the memory of {req.mem_id}")
    regions.override(s, na.name, req.mem_id, fired, asked.switches)
    na = s.adapters[na.name]
    if na.fds == 0:
        host_tx, host_rx = req.host_tx_rings or na.host_tx_rings, req.host_rx_rings or na.host_rx_rings
        if not na.created:
            _host_rings(s, na, host_tx, host_rx, fired)
        elif HOST_RINGS_OVERRUN in asked.switches and (
            host_tx > na.host_tx_rings or host_rx > na.host_rx_rings
        ):
            fired.append(OVERRUN)
            raise Faulted("netmap.c:1658-1663, netmap_mem2.c:1981-1984")
    return na.name


def _host_rings(s: System, na: Adapter, tx: int, rx: int, fired: list[str]) -> None:
    """Take over the numbers of host rings asked for. As written (HOST_RINGS_STICK) they stay though the
    request fails, except on an emulated adapter, which goes with its last reference."""
    if (tx, rx) != (na.host_tx_rings, na.host_rx_rings):
        fired.append(COUNTED)
        switch = "" if s.ports[na.name].driver.copies else HOST_RINGS_STICK
        failure.undo(s, "nic.host-rings", lambda: _set_host_rings(s, na.name, na), switch, STUCK)
        s.adapters[na.name] = replace(na, host_tx_rings=tx, host_rx_rings=rx)


def _set_host_rings(s: System, name: str, like: Adapter) -> None:
    s.adapters[name] = replace(
        s.adapters[name], host_tx_rings=like.host_tx_rings, host_rx_rings=like.host_rx_rings
    )

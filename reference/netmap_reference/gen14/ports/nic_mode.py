"""Chapter *NIC mode*: what a port of the system does when descriptors bind it and leave it.

A port enters netmap mode with its first descriptor and leaves it with the last. A ring that enters is
reset together with its device; a ring that leaves loses what was on its way to it. The two ends of a
netmap-capable veth pair share their buffers: their rings are tied together as those of a pipe.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...core.effects import Protocol
from ...core.outcome import NotModelled
from ...core.step import rule
from .. import bind, failure
from ..bind import Refused, krings_of, mode_commit
from ..failure import may_fail, point
from ..state import RX, TX, Adapter, File, KringState, System
from . import interface, nic, pipe_ends, wire
from .driver import DRIVERS, Driver, mtu_fits
from .ops import PortOps

if TYPE_CHECKING:
    from ..execute import Execution

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
GENERIC_C = "luigirizzo/netmap:sys/dev/netmap/netmap_generic.c@89607e14"
VETH_H = "luigirizzo/netmap:LINUX/veth_netmap.h@89607e14"

ADMODE_NATIVE = 1
ADMODE_GENERIC = 2

#: A ring of the emulated adapter that leaves netmap mode takes what waits for the port's other rings with it.
EMULATED_PURGES = "14.emulated-purges-all-rings"
AS_WRITTEN = frozenset({EMULATED_PURGES})

PURGED = rule(
    "14/nic/unregister/purged",
    clause="14.nic.loss",
    source="luigirizzo/netmap:sys/dev/netmap/netmap_generic.c@89607e14:213-244",
    switch=EMULATED_PURGES,
)
NO_NATIVE = rule("14/nic/driver/no-native", clause="14.nic.driver", source=f"{NETMAP_C}:1513-1517")
DRIVER = rule("14/nic/driver/changed", clause="14.nic.driver", source=f"{NETMAP_C}:1478-1545")
MTU = rule("14/nic/register/mtu", clause="14.nic.mtu", source=f"{NETMAP_C}:2245-2286,2606-2622")
ON = rule("14/nic/register/on", clause="14.nic.netmap-mode", source=f"{NETMAP_C}:4540-4553")
OFF = rule("14/nic/unregister/off", clause="14.nic.netmap-mode", source=f"{NETMAP_C}:4555-4569")
#: The driver cannot put the port, or one more ring of it, into netmap mode.
REGISTER = point("nic.register", "ENOMEM", source=f"{NETMAP_C}:2669-2677")
GENERIC = point("nic.generic", "ENOMEM", source=f"{GENERIC_C}:1075-1147")
PAIR = rule("14/nic/register/pair", clause="14.nic.veth", source=f"{VETH_H}:103-177")


def choose_driver(s: System, na: Adapter, fired: list[str]) -> Adapter:
    """Which driver is in charge from now on; a port that is in use, or has pipes, keeps the one it has.

    EOPNOTSUPP when only a native driver is allowed and the port has none. Source: netmap_get_hw_na.
    """
    w: wire.Wire = s.ports[na.name]
    if na.fds or na.created or na.pipes:
        return na
    driver = w.native
    if s.params.admode == ADMODE_NATIVE and driver.copies:
        fired.append(NO_NATIVE)
        raise Refused("EOPNOTSUPP")
    if s.params.admode == ADMODE_GENERIC:
        driver = DRIVERS["emulated"]
    if driver.copies:
        may_fail(s, GENERIC, fired)
    peer = w.peer if driver.shares else ""
    if peer and s.adapters[peer].created and not s.ports[peer].driver.shares:
        raise NotModelled("14/nic/veth/mixed", f"{na.name} is native while {peer} is emulated")
    before = [
        (n, s.adapters[n].peer, s.ports[n].driver)
        for n in (na.name, w.peer)
        if n in s.adapters and n in s.ports
    ]
    failure.undo(s, "nic.driver", lambda: _put_back(s, before))
    if driver is not w.driver:
        fired.append(DRIVER)
        s.ports[na.name] = replace(w, driver=driver)
    s.adapters[na.name] = na = replace(na, peer=peer)
    if peer and not s.adapters[peer].created:
        # The other end's rings will be made together with these, so it cannot choose any more.
        s.adapters[peer] = replace(s.adapters[peer], peer=na.name)
        s.ports[peer] = replace(s.ports[peer], driver=driver)
    return na


def _put_back(s: System, before: list[tuple[str, str, Driver]]) -> None:
    """Undo :func:`choose_driver`."""
    for name, peer, driver in before:
        s.adapters[name] = replace(s.adapters[name], peer=peer)
        s.ports[name] = replace(s.ports[name], driver=driver)


def paired(s: System, na: Adapter) -> bool:
    """Does this port share its buffers with the port at the other end of its wire?"""
    return bool(na.peer) and na.kind == "nic"


def has_device(s: System, na: Adapter) -> bool:
    """Has the port a device of its own, that reads and writes buffers by itself?"""
    if na.kind != "nic":
        return False
    driver = s.ports[na.name].driver
    return not driver.copies and not driver.shares


def check_mtu(s: System, na: Adapter, f: File, fired: list[str]) -> None:
    """EINVAL when a frame of the port's MTU does not fit; only asked by who binds receive rings."""
    w: wire.Wire = s.ports[na.name]
    a = s.allocators[na.mem]
    if f.rx[0] != f.rx[1] and not mtu_fits(w.mtu, a.buf_size, w.driver.rx_buf_max, w.driver.fragments):
        fired.append(MTU)
        raise Refused("EINVAL")


def krings_create(s: System, name: str, fired: list[str]) -> None:
    """The port's krings, and those of the other end of a pair: whoever comes first makes both."""
    na = s.adapters[name]
    if not paired(s, na):
        bind.krings_create(s, na, fired)
    elif not na.created:
        s.adapters[name] = replace(na, peer_ref=True)
        failure.undo(s, "nic.pair", lambda: _unpair(s, name))
        pipe_ends.krings_create_pair(s, name, fired)
        fired.append(PAIR)


def _unpair(s: System, name: str) -> None:
    s.adapters[name] = replace(s.adapters[name], peer_ref=False)


def registered(s: System, name: str, fired: list[str], switches: frozenset[str]) -> None:
    """Bound rings enter netmap mode, and the port with the first of them."""
    na = s.adapters[name]
    may_fail(s, REGISTER, fired)
    if paired(s, na):
        pipe_ends.register_rings(s, name, fired, switches)
        if na.fds == 0 and not na.peer_ref:
            s.adapters[na.peer] = replace(s.adapters[na.peer], peer_ref=False)
        mode_commit(s, s.adapters[name])
    else:
        if not s.ports[name].driver.copies:
            wire.unsure(s, name)  # the device of a driver may be reset as a whole
        for k in list(krings_of(s, na, hardware_only=True)):
            if k.pending and not k.on:
                if not s.ports[name].driver.copies:
                    k, rules = interface.reset_ring(s, k)
                    fired.extend(rules)
                bind.put(s, replace(k, announced=0, on=True))
    s.adapters[name] = replace(s.adapters[name], on=True)
    fired.append(ON)


def leave(s: System, name: str, fired: list[str], switches: frozenset[str]) -> None:
    """A ring that leaves takes nothing from those that stay.

    As written (EMULATED_PURGES) the emulated adapter forgets what waits for any of its rings.
    """
    w: wire.Wire = s.ports[name]
    na = s.adapters[name]
    stays = [k for k in krings_of(s, na, hardware_only=True) if k.t == RX and k.on and k.pending]
    if EMULATED_PURGES in switches and w.driver.copies and any(w.incoming[k.index] for k in stays):
        fired.append(PURGED)
        for k in stays:
            wire.purge(s, name, k.index, k.announced)
            bind.put(s, replace(k, announced=0))


def unregistered(s: System, name: str, fired: list[str]) -> None:
    """Rings without users leave netmap mode, and the port with the last of them."""
    na = s.adapters[name]
    for k in list(krings_of(s, na, hardware_only=True)):
        if k.on and not k.pending:
            if k.t == RX:
                wire.forget(s, name, k.index)
            bind.put(s, replace(k, on=False, announced=0, desc=(), desc_at=()))
    if na.fds == 0:
        fired.append(OFF)
        s.adapters[name] = na = replace(na, on=False)
        if paired(s, na) and not na.peer_ref:
            s.adapters[na.peer] = replace(s.adapters[na.peer], peer_ref=True)


def krings_delete(s: System, name: str, fired: list[str], switches: frozenset[str]) -> None:
    """With the port's last descriptor its krings go; those of a pair wait for the other end."""
    na = s.adapters[name]
    if not paired(s, na):
        bind.krings_delete(s, name)
    else:
        pipe_ends.krings_delete_pair(s, name, fired, switches)
        if na.peer_ref:
            s.adapters[name] = replace(s.adapters[name], peer_ref=False)


def has_offsets(s: System, na: Adapter) -> bool:
    """It is the driver's affair."""
    w: wire.Wire = s.ports[na.name]
    return w.driver.offsets


def sync(x: Execution, k: KringState, force: bool) -> Protocol:
    """The driver's part of a sync. The rings of a pair are those of a pipe."""
    if k.pipe:
        return pipe_ends.sync(x, k, force)
    if k.t == TX:
        return nic.txsync(k.name)
    w: wire.Wire = x.s.ports[k.adapter]
    return nic.rxsync(k.name, w.driver.copies, x.switches)


OPS = PortOps(
    check=check_mtu,
    krings_create=krings_create,
    krings_delete=krings_delete,
    register=registered,
    leave=leave,
    unregister=unregistered,
    sync=sync,
    offsets=has_offsets,
    lasting=True,
)

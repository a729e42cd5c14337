"""Chapter *module*: unloading netmap, and interfaces whose rings become others.

The module is loaded beside interfaces that have a life of their own. It goes only when nothing holds it, and
what it knows goes with it. How many rings and slots an interface has, netmap asks whenever it may matter and
believes it only while nobody is bound: what descriptors have mapped never changes its size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..core.choice import Choose
from ..core.outcome import NotModelled, errno
from ..core.step import Step, rule
from .ports.wire import Sizes, Wire, pick
from .result import Result
from .state import Adapter, Params, System

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
FREEBSD_C = "luigirizzo/netmap:sys/dev/netmap/netmap_freebsd.c@89607e14"
LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"

_IN_USE = "14.module.in-use"
HELD = rule("14/module/unload/held", clause=_IN_USE, source=f"{FREEBSD_C}:1535-1548")
UNLOADED = rule("14/module/unload/gone", clause=_IN_USE, source=f"{NETMAP_C}:1140-1150")
_RECONFIGURED = "14.module.reconfigured"
CHANGED = rule("14/module/config/changed", clause=_RECONFIGURED, source=f"{NETMAP_C}:779-792")
KEPT = rule("14/module/config/kept", clause=_RECONFIGURED, source=f"{NETMAP_C}:793-799")
REFUSED = rule("14/module/resize/refused", clause=_RECONFIGURED, source=f"{LINUX_C}:1425-1467")

#: What an administrator may change about an interface's rings.
FIELDS = ("tx_rings", "rx_rings", "tx_slots", "rx_slots")


# --- steps ------------------------------------------------------------------------------------


def unload(files: int) -> Step[bool]:
    """Does the module go, of whose device ``files`` files are open, those of the kernel counted?"""
    if files > 0:
        return Step(False, (HELD,), errno("EBUSY"))
    return Step(True, (UNLOADED,))


def config(known: Sizes, now: Sizes, fds: int) -> Step[Sizes]:
    """The numbers of rings and slots a port goes on with: it had ``known``, its interface has ``now``, and
    ``fds`` descriptors are bound. Source: netmap_update_config.
    """
    if known == now:
        return Step(known)
    if fds == 0:
        return Step(now, (CHANGED,))
    return Step(known, (KEPT,))


# --- the system -------------------------------------------------------------------------------


def sizes(na: Adapter) -> Sizes:
    """The numbers of rings and slots of a port."""
    return Sizes(na.tx_rings, na.rx_rings, na.tx_slots, na.rx_slots)


def update_config(s: System, name: str, fired: list[str]) -> Adapter:
    """Look at the interface again, as REGISTER, PORT_INFO_GET and attaching to a switch do; the port then.

    Ports that are no interface's have nothing to look at.
    """
    na = s.adapters[name]
    if na.kind != "nic":
        return na
    w: Wire = s.ports[name]
    step = config(sizes(na), w.sizes or sizes(na), na.fds)
    fired.extend(step.fired)
    if step.state != sizes(na):
        s.adapters[name] = na = replace(na, **step.state._asdict())
        s.ports[name] = replace(w, incoming=((),) * na.rx_rings, partial=(b"",) * na.tx_rings)
    return na


def resize(s: System, name: str, fields: Mapping[str, int], choose: Choose) -> Result:
    """An administrator gives an interface other rings. While it is in netmap mode the system may refuse
    (EBUSY), as Linux does.

    Raises ``ValueError`` for fields an interface does not have, and numbers that are none.
    """
    na, w = s.adapters[name], s.ports[name]
    if not fields or fields.keys() - set(FIELDS) or any(number < 1 for number in fields.values()):
        raise ValueError(f"an interface is given some of {', '.join(FIELDS)}, each at least 1")
    if w.native.shares and w.peer:
        raise NotModelled("14/module/resize/shared", f"{name} shares its rings with {w.peer}")
    fired: list[str] = []
    if na.on and not pick(choose, "nic.resized-in-use", name, 0, 1, "answer"):
        fired.append(REFUSED)
        return Result(errno("EBUSY"), tuple(fired))
    now = w.sizes or sizes(na)
    s.ports[name] = replace(w, sizes=now._replace(**fields))
    return Result()


def reload(s: System, fresh: System) -> Result:
    """The module is unloaded, if it lets itself be, and loaded again: ``fresh`` is a system that nobody has
    used, with the same interfaces. ``s`` becomes that system, but for what belongs to the interfaces.
    """
    step = unload(len(s.files))
    if not step.outcome.ok:
        return Result(step.outcome, step.fired)
    if any(na.kind == "persistent" for na in s.adapters.values()):
        raise NotModelled("14/module/unload/persistent", "an interface made by VALE_NEWIF is left")
    for name in list(fresh.ports):
        if name not in s.adapters:
            del fresh.ports[name], fresh.adapters[name]
            continue
        w: Wire = s.ports[name]
        fresh.adapters[name] = replace(fresh.adapters[name], interface=s.adapters[name].interface)
        fresh.ports[name] = replace(
            fresh.ports[name], sizes=w.sizes, wire_out=w.wire_out, host_out=w.host_out
        )
        update_config(fresh, name, [])
    fresh.params = _choices(s.params)
    s.restore(fresh)
    return Result(fired=step.fired)


def _choices(params: Params) -> Params:
    """Parameters as they are at first; what the implementation has once chosen it stays with."""
    return replace(
        Params(),
        rejected_ok=params.rejected_ok,
        stamps=params.stamps,
        syncs_ready=params.syncs_ready,
        keeps_bytes=params.keeps_bytes,
        long_chains=params.long_chains,
        displaces=params.displaces,
        counts_rest=params.counts_rest,
        cut_first=params.cut_first,
    )

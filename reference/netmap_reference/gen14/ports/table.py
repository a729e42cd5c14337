"""The kinds of ports, and the order in which a request's name is offered to them.

A new kind of port is a module of its own with its operations and, if requests can name it, a finder; both are
entered here.
"""

from __future__ import annotations

from netmap_spec.abi import api14

from ...core.step import rule
from ..bind import Refused
from ..state import Adapter
from . import bwrap, monitor_ends, nic_get, nic_mode, null, pipe_ends, pipe_get, vale_ports
from .ops import Asked, Finder, PortOps

OLD_MODE = rule("14/register/mode/pipe", clause="14.register.names", source=f"{nic_get.NETMAP_C}:1583-1588")

#: What ``Adapter.kind`` says, and what such a port does.
OPS: dict[str, PortOps] = {
    "nic": nic_mode.OPS,
    "null": null.OPS,
    "pipe": pipe_ends.OPS,
    "persistent": vale_ports.PERSISTENT_OPS,
    "monitor": monitor_ends.OPS,
    "vale": vale_ports.OPS,
    "bwrap": bwrap.OPS,
    "bwrap-host": bwrap.OPS,
}


def ops(na: Adapter) -> PortOps:
    """The operations of a port."""
    return OPS[na.kind]


#: In the order of netmap_get_na.
FINDERS: tuple[Finder, ...] = (null.find, monitor_ends.find, pipe_get.find, vale_ports.find, nic_get.find)


def find(asked: Asked) -> str:
    """The adapter a request names, made if it can be. Source: netmap_get_na."""
    if asked.req.mode in (api14.NR_REG_PIPE_MASTER, api14.NR_REG_PIPE_SLAVE):
        asked.fired.append(OLD_MODE)
        raise Refused("EINVAL")
    for finder in FINDERS:
        name = finder(asked)
        if name:
            return name
    raise Refused("ENXIO")

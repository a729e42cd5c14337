"""The campaign of generation 2011, in contract reading."""

from __future__ import annotations

from ...core.step import RULES
from ..subject import Generation
from .machine import Machine2011
from .values import header

#: Rules of the contract that no operation of a campaign reaches, and why.
_OWNERS = "in contract reading the last close asks whose the buffers are, not what the slots name"
_NEVER_NEGATIVE = "ring2011_positions keeps nr_hwavail from being negative"
_OWN = "the kernel gives back only objects that it was given"
_MACHINE = "a machine of a campaign has memory for netmap"
UNREACHABLE: dict[str, str] = {
    "2011/attach/attach/no-interface": "drivers offer an interface, and netmap_attach is not a user's call",
    "2011/interrupts/start/no-position": _NEVER_NEGATIVE,
    "2011/memory/free/null": _OWN,
    "2011/memory/free/unknown": _OWN,
    "2011/memory/free_buf/already-free": _OWNERS,
    "2011/memory/free_buf/freed": _OWNERS,
    "2011/memory/free_buf/no-such-buffer": _OWNERS,
    "2011/memory/free_buf/reserved-refused": _OWNERS,
    "2011/memory/init/give-up": _MACHINE,
    "2011/memory/new_bufs/too-few": "netmap_if_new counts the free buffers of all rings before it takes any",
    "2011/module/event/unknown": "modules are loaded and unloaded, nothing else",
    "2011/module/load/no-memory": _MACHINE,
    "2011/poll/mode-off": "a registered descriptor's interface is in netmap mode (invariant mode)",
}


def generation() -> Generation:
    """Generation 2011 for :func:`..runner.run`."""
    rules = {name for name, rule in RULES.items() if name.startswith("2011/") and not rule.switch}
    return Generation("2011", header, Machine2011, frozenset(rules), UNREACHABLE)

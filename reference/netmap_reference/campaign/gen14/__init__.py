"""The campaign of generation 14 over mixed pipes and wires, in contract reading."""

from __future__ import annotations

from ...core.step import RULES
from ..subject import Generation
from .machine import Machine14
from .moves import header
from .plug import EXTENSIONS

#: The chapters of the data path; what REGISTER and the other requests refuse has scenarios of its own.
CHAPTERS = (
    "14/ring/",
    "14/sync/",
    "14/stop/",
    "14/poll/",
    "14/notify/",
    "14/pipe/",
    "14/nic/",
    "14/device/",
    "14/wire/",
    "14/host/",
    "14/interface/",
)
_KQUEUE = "a campaign waits by poll, event filters have scenarios"
_OFFSETS = "only monitors of a campaign ask for offsets"
_PARAMETERS = "module parameters are not set in a campaign"
UNREACHABLE: dict[str, str] = {
    "14/nic/driver/changed": _PARAMETERS,
    "14/nic/driver/no-native": _PARAMETERS,
    "14/host/transparent/down": _PARAMETERS,
    "14/host/transparent/up": _PARAMETERS,
    "14/sync/rx/transparent": _PARAMETERS,
    "14/nic/register/mtu": "all ports have the usual MTU",
    "14/poll/kqueue/error-untold": _KQUEUE,
    "14/poll/kqueue/other": _KQUEUE,
    "14/poll/kqueue/unbound": _KQUEUE,
}


def generation() -> Generation:
    """Generation 14 for :func:`..runner.run`."""
    chapters = (*CHAPTERS, *(prefix for extension in EXTENSIONS for prefix in extension.chapters))
    rules = {name for name, rule in RULES.items() if name.startswith(chapters) and not rule.switch}
    unreachable = dict(UNREACHABLE)
    unreachable |= {
        r: _OFFSETS for r in rules if RULES[r].clause.startswith("14.offsets.") and "/monitor/" not in r
    }
    for extension in EXTENSIONS:
        unreachable |= extension.unreachable
    return Generation("14", header, Machine14, frozenset(rules), unreachable)

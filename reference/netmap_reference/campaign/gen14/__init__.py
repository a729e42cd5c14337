"""The campaign of generation 14 over mixed pipes and wires, in contract reading."""

from __future__ import annotations

from ...core.step import RULES
from ..subject import Generation
from .machine import Machine14
from .moves import header

#: The chapters of the data path; what REGISTER and the other requests refuse has scenarios of its own.
CHAPTERS = (
    "14/ring/",
    "14/sync/",
    "14/poll/",
    "14/pipe/txsync",
    "14/pipe/rxsync",
    "14/nic/txsync",
    "14/host/",
)
_LINUX = "the model's poll makes Linux's rounds, FreeBSD's are for proofs"
UNREACHABLE: dict[str, str] = {
    "14/poll/lock-free/tx": _LINUX,
    "14/poll/lock-free/rx": _LINUX,
}


def generation() -> Generation:
    """Generation 14 for :func:`..runner.run`."""
    rules = {name for name, rule in RULES.items() if name.startswith(CHAPTERS) and not rule.switch}
    return Generation("14", header, Machine14, frozenset(rules), UNREACHABLE)

"""How a step can end: ``OK``, ``ERRNO(e)``, ``FAULT(lines)`` or ``HANG``.

The contract forbids the last two. The as-written reading must predict them: the recordings of
2011 hold real faults. Errno values are kept as *names* (``"EINVAL"``): numbers differ between
systems and are the business of a target's manifest.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """``kind``: ``OK``, ``ERRNO``, ``FAULT`` or ``HANG``; ``detail``: errno name or source lines."""

    kind: str
    detail: str = ""

    @property
    def ok(self) -> bool:
        return self.kind == "OK"

    def __str__(self) -> str:
        return f"{self.kind}({self.detail})" if self.detail else self.kind


OK = Outcome("OK")
HANG = Outcome("HANG")


def errno(name: str) -> Outcome:
    """The step ends with this errno, for example ``errno("EBUSY")``."""
    return Outcome("ERRNO", name)


def fault(lines: str) -> Outcome:
    """The kernel faults at these source lines."""
    return Outcome("FAULT", lines)


class NotModelled(Exception):
    """The step needs a rule this model does not have yet.

    ``rule`` is the id the missing rule would carry (``14/register/name/vale``); ``why`` says in one line
    what was asked for. The oracle reports it as NOT_MODELLED, never as a verdict on the implementation.
    """

    def __init__(self, rule: str, why: str = "") -> None:
        super().__init__(f"{rule}: {why}" if why else rule)
        self.rule = rule
        self.why = why

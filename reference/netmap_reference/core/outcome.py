"""How a step can end: ``OK``, ``ERRNO(e)``, ``FAULT(lines)`` or ``HANG``.

The contract forbids the last two. The as-written reading must predict them: the recordings of
2011 hold real faults. Errno values are kept as *names* (``"EINVAL"``): numbers differ between
systems and are the business of a target's manifest.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """``kind`` is one of ``OK``, ``ERRNO``, ``FAULT``, ``HANG``; ``detail`` the errno's name or the source lines."""

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

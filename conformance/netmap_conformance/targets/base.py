"""What every target looks like to the runner.

A target executes one call of a trace at a time and reports what its caller could see. It never
judges. ``settle`` is not a target's business: the runner expands it into ordinary syncs until two
passes change nothing, then lets the target confirm with :meth:`Target.quiet`.
"""

from __future__ import annotations

from typing import Protocol

from ..trace import Call, Header, Return, See


class TargetError(Exception):
    """The target cannot be started or is gone; one line for the user, ``status`` is the exit code."""

    def __init__(self, message: str, status: int = 3) -> None:
        super().__init__(message)
        self.status = status


class Target(Protocol):
    """One netmap implementation under test.

    A target whose applications' memory has addresses also has ``address(fd, ring, index)``: where the
    application of ``fd`` has the buffer of a slot.
    """

    name: str

    def capabilities(self) -> frozenset[str]:
        """What this target was probed to have; see ``conformance/README.md`` for the names."""
        ...

    def start(self, header: Header) -> None:
        """Bring up a fresh environment with the header's ports. Raises :class:`TargetError`."""
        ...

    def call(self, call: Call) -> Return | None:
        """Execute one call. ``None``: it sleeps in another actor; :meth:`finished` will have its return."""
        ...

    def finished(self) -> list[Return]:
        """Returns of sleeping calls that have come back since the last look, oldest first."""
        ...

    def look(self, fd: str, actor: str = "main") -> See:
        """The rings of ``fd`` as they are now, every field, all slots; empty when it has no mapping."""
        ...

    def quiet(self) -> bool:
        """Has the environment (NIC, wire, other processes) nothing left to do?"""
        ...

    def stop(self) -> None:
        """Tear everything down; never raises."""
        ...

"""Chapter *NIC*: a port with hardware rings and a wire (work in progress: registration)."""

from __future__ import annotations

from ..bind import mode_commit
from ..state import Adapter, File, System


def check_mtu(s: System, na: Adapter, f: File, fired: list[str]) -> None:
    """Does a frame of the port's MTU fit the buffers?"""


def registered(s: System, name: str, fired: list[str], switches: frozenset[str]) -> None:
    """Rings enter netmap mode."""
    mode_commit(s, s.adapters[name])


def unregistered(s: System, name: str) -> None:
    """Rings leave netmap mode."""
    mode_commit(s, s.adapters[name])

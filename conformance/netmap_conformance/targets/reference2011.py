"""``reference`` of generation 2011: the model of netmap.c of December 2011, run as a device.

By default it keeps the contract; ``choices.reading = "as-written"`` in the manifest makes it do what the
code does. It shows the kernel's whole state with every return, as the recordings do.
"""

from __future__ import annotations

from netmap_reference.gen2011.readings import AS_WRITTEN

from ..manifest import Manifest
from ..recordings.calls2011 import NotModelled
from ..recordings.replay2011 import Replay
from ..trace import Call, Header, Return, See
from .base import TargetError

CAPABILITIES = frozenset({"fresh", "nic", "rings", "wire", "host", "quiet", "parameters"})


class Reference2011Target:
    """The model behind the :class:`~.base.Target` interface."""

    def __init__(self, manifest: Manifest) -> None:
        self.name = "reference"
        reading = str(manifest.choices.get("reading", "contract"))
        if reading not in ("contract", "as-written"):
            raise TargetError(f"reference: unknown reading '{reading}': contract or as-written", status=2)
        self._switches = AS_WRITTEN if reading == "as-written" else frozenset()
        self._replay: Replay | None = None

    def capabilities(self) -> frozenset[str]:
        """What the model has."""
        return CAPABILITIES

    def start(self, header: Header) -> None:
        """A freshly loaded module."""
        if header.generation != "2011":
            raise TargetError(f"reference: generation {header.generation} has its own reference target", 2)
        try:
            self._replay = Replay(header, self._switches)
        except (ValueError, KeyError) as error:
            raise TargetError(f"reference: the scenario's machine cannot be made: {error}", 2) from None

    def call(self, call: Call) -> Return:
        """One call; the model is one thread, so nothing sleeps."""
        assert self._replay is not None
        if call.op in ("settle", "show", "join"):
            return Return(of=call.n)
        try:
            return self._replay.call(call)
        except NotModelled as error:
            raise TargetError(f"reference: {error}", status=2) from None

    def finished(self) -> list[Return]:
        return []

    def look(self, fd: str, actor: str = "main") -> See:
        """The kernel's whole state: the model shows what recordings show."""
        return See(kernel=self._replay.state() if self._replay is not None else None)

    def quiet(self) -> bool:
        """Interrupts and the NIC's moves are operations of the scenario: nothing happens by itself."""
        return True

    def stop(self) -> None:
        self._replay = None

"""``reference`` for generation 2011: the executable model run as a device.

Which reading it runs in follows from the manifest: with no deviations the contract, with those of
``netmap-2011`` the code as written. It shows what the recordings show: state and events.
"""

from __future__ import annotations

from netmap_spec.abi import api2011

from ..manifest import Manifest
from ..recordings.calls2011 import NotModelled
from ..recordings.replay2011 import Replay
from ..trace import Call, Header, Return, See
from .base import TargetError

CAPABILITIES = frozenset({"nic", "rings", "wire", "quiet"})


class Reference2011Target:
    """The model of generation 2011 behind the :class:`~.base.Target` interface."""

    def __init__(self, manifest: Manifest) -> None:
        self.name = "reference"
        self.manifest = manifest
        self._replay: Replay | None = None

    def capabilities(self) -> frozenset[str]:
        """NICs with several rings, and both ends of every wire; one thread at a time."""
        return CAPABILITIES

    def start(self, header: Header) -> None:
        """A freshly loaded module with the header's interfaces."""
        if header.generation != "2011":
            raise TargetError(f"reference: generation 2011 cannot run one of {header.generation}", 2)
        switches = frozenset(d.switch for d in self.manifest.deviations if d.switch)
        try:
            self._replay = Replay(header, switches)
        except (KeyError, TypeError, ValueError) as error:
            raise TargetError(f"reference: the scenario's configuration cannot be used: {error}", 2) from None

    @property
    def replay(self) -> Replay:
        if self._replay is None:
            raise TargetError("reference: not started")
        return self._replay

    def call(self, call: Call) -> Return | None:
        """Execute one call; ``settle`` finds nothing to do, for nothing moves by itself here."""
        if call.op == "settle":
            return Return(of=call.n)
        try:
            return self.replay.call(call)
        except NotModelled as error:
            raise TargetError(f"reference: {error}", status=2) from None

    def finished(self) -> list[Return]:
        """Nobody sleeps: poll is one scan."""
        return []

    def look(self, fd: str, actor: str = "main") -> See:
        """Every ring of the descriptor's interface; nothing while it is not registered."""
        see = See(full=True)
        world = self.replay.world
        priv = world.privs.get(self.replay.fds.get(fd, -1))
        if priv is None or world.dead:
            return see
        iface = world.ifs[priv.iface]
        for name, at in iface.ring_at.items():
            ring = api2011.netmap_ring(world.region, at)
            see.rings[name] = {"num_slots": ring.num_slots, "cur": ring.cur, "avail": ring.avail}
            slots = ((i, ring.slot[i]) for i in range(ring.num_slots))
            see.slots[name] = [[i, slot.buf_idx, slot.len, slot.flags, 0] for i, slot in slots]
        return see

    def quiet(self) -> bool:
        """The environment moves only when the scenario says so."""
        return True

    def stop(self) -> None:
        """Nothing outlives the model."""
        self._replay = None

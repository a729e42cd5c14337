"""The part of :class:`~.world.World` that no application does: frames, links, devices, how time passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..core.choice import Choose
from ..core.effects import Protocol, run
from ..core.outcome import HANG
from . import bind, module
from . import close as closing
from .csb_calls import CsbCalls
from .execute import Execution
from .notify import interrupt, notify
from .ports import bwrap, host, interface, wire
from .result import Result
from .ring import UserRing, tx_prologue
from .state import RX

__all__ = ["Environment"]


class Environment(CsbCalls):
    """What happens to ports from outside, and what devices do on their own."""

    __slots__ = ()

    def frame(self, port: str, side: str, data: bytes, choose: Choose) -> Result:
        """A frame comes to a port: from its wire (``wire``), or from the host's network stack (``host``).

        Raises ``LookupError`` for a port or side there is not.
        """
        self._port(port, side)
        x = Execution(self._s, -1, choose, self.switches)
        if side == "wire":
            x.fired.extend(wire.arrive(self._s, port, (data,), choose))
        else:
            fired, ring = host.transmit(self._s, port, data, choose, self.switches)
            x.fired.extend(fired)
            if ring:
                run(notify(ring), x)
        bwrap.catch_up(x)
        return Result(fired=tuple(x.fired))

    def frames(self, port: str, side: str) -> list[bytes]:
        """What came out at a port's ``wire`` or ``host`` side since the last look, oldest first."""
        w = self._port(port, side)
        if side == "wire":
            self._s.ports[port] = replace(w, wire_out=())
            return list(w.wire_out)
        self._s.ports[port] = replace(w, host_out=())
        return list(w.host_out)

    def link(self, port: str, up: bool, choose: Choose) -> Result:
        """The interface of a port goes down, or comes up. Raises ``LookupError`` for a port there is not."""
        self._port(port, "wire")
        fired: list[str] = []
        return self._told(fired, interface.link(self._s, port, up, fired), choose)

    def reset(self, port: str, choose: Choose) -> Result:
        """The device of a port starts again. Raises ``LookupError`` for a port there is not."""
        self._port(port, "wire")
        fired: list[str] = []
        return self._told(fired, interface.reset(self._s, port, fired), choose)

    def detach(self, port: str, choose: Choose) -> Result:
        """The driver of a port goes, or its interface. Raises ``LookupError`` for a port there is not."""
        self._port(port, "wire")
        fired: list[str] = []
        if port in self._s.kept:
            return Result(HANG)
        if interface.detach(self._s, port, fired):
            closing.adapter_put(self._s, port, fired)
        else:
            na = self._s.adapters[port]
            self._s.adapters[port] = replace(na, refs=na.refs - 1)
        return Result(fired=tuple(fired))

    def resize(self, port: str, fields: Mapping[str, int], choose: Choose) -> Result:
        """An administrator gives an interface other rings; see :func:`.module.resize`."""
        self._port(port, "wire")
        return module.resize(self._s, port, fields, choose)

    def _told(self, fired: list[str], woken: list[Protocol], choose: Choose) -> Result:
        """Those who wait are woken after everything was stored."""
        x = Execution(self._s, -1, choose, self.switches)
        for protocol in woken:
            run(protocol, x)
        return Result(fired=(*fired, *x.fired))

    def tau(self, choose: Choose) -> Result:
        """The environment moves on its own: devices complete, frames arrive, and interrupts tell of it.

        ``fired`` is empty when nothing moved.
        """
        return Result(fired=(*self._interrupts(sorted(self._s.krings), choose), *self.passes(choose)))

    def looked(self, choose: Choose) -> Result:
        """Copy monitors look at what has arrived: the only move of devices that writes to shared memory."""
        return Result(fired=self._looked(choose))

    def watched(self) -> list[str]:
        """The receive rings that copy monitors watch."""
        return sorted(k.name for k in self._s.krings.values() if k.copies and k.t == RX)

    def _looked(self, choose: Choose) -> tuple[str, ...]:
        """Interrupts since the last call, as far as they show: copy monitors look at what has arrived."""
        return self._interrupts(self.watched(), choose)

    def _interrupts(self, rings: Sequence[str], choose: Choose) -> tuple[str, ...]:
        x = Execution(self._s, -1, choose, self.switches)
        for name in rings:
            k = self._s.krings[name]
            count = wire.pick(choose, f"nic.{k.t}-interrupt", name, 0, wire.movable(self._s, k))
            if count:
                x.fired.append(wire.ARRIVE if k.t == RX else wire.COMPLETE)
                run(interrupt(name, count), x)
        bwrap.catch_up(x)
        return tuple(x.fired)

    def owed(self) -> list[tuple[str, str]]:
        """(clause, ring) of every progress clause that is not met now; see :func:`.ports.wire.owed`."""
        found = ((wire.owed(self._s, k), name) for name, k in sorted(self._s.krings.items()))
        due = [(clause, name) for clause, name in found if clause]
        stuck = {name for clause, name in due if clause == "14.nic.stops-early" and not self._takes(name)}
        return [(clause, name) for clause, name in due if name not in stuck] + self.loop_owed()

    def _takes(self, ring: str) -> bool:
        """Would a txsync take what the ring's page says? While it does not, nothing more is handed over."""
        k = self._s.krings[ring]
        page = bind.view(self._s, k)
        return tx_prologue(k.pos, UserRing(page.head, page.cur, page.tail), self.switches).state.accepted

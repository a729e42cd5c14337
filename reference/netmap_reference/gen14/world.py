"""The generation-14 device as one object: system calls in, results and real bytes out.

A :class:`World` is a netmap device, the machine's ports and the processes that use them. Its calls run the
chapters' protocols effect by effect to their end; nothing waits: a poll that finds nothing returns
``asleep`` and :meth:`World.woken` later tells when it would have been woken.

Descriptors and processes are names. Two processes that share an open file after a fork use the same
descriptor name; ``actor`` says whose is meant where that matters.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netmap_spec.abi import api14

from ..core.choice import Choose
from ..core.effects import run
from ..core.memory import PAGE, Region
from ..core.outcome import NotModelled, errno
from ..core.step import rule
from . import close as closing
from . import memory, poll, register, sync
from .execute import Execution
from .ports import host, pipe, wire
from .ports.driver import DRIVERS
from .ports.wire import Wire
from .result import Result
from .ring import CONTRACT, Kring
from .state import RX, TX, Adapter, File, KringState, System, ring_name

__all__ = ["PortConfig", "Result", "World"]

LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"
MMAP = rule("14/mmap/mapped", clause="14.memory.mmap", source=f"{LINUX_C}:1341-1390")
MMAP_UNBOUND = rule("14/mmap/unbound", clause="14.memory.mmap", source=f"{LINUX_C}:1356-1358")
MMAP_BEYOND = rule("14/mmap/beyond", clause="14.memory.mmap", source=f"{LINUX_C}:1366-1370")

_EVENTS = {TX: frozenset({"out", "wrnorm"}), RX: frozenset({"in", "rdnorm"})}


@dataclass(frozen=True, slots=True)
class PortConfig:
    """A port of the machine, as in a trace's header.

    ``kind`` is ``nic`` or ``host-only``; ``peer`` the port at the other end of its wire, empty for a wire the
    environment holds. ``driver`` says how its driver behaves: ``generic nic``, ``e1000``, ``veth``
    (a pair that shares buffers), ``emulated`` (also chosen by ``emulated=True``).
    """

    name: str
    kind: str = "nic"
    peer: str = ""
    tx_rings: int = 1
    rx_rings: int = 1
    tx_slots: int = 1024
    rx_slots: int = 1024
    emulated: bool = False
    mtu: int = 1500
    driver: str = "generic nic"


class World:
    """One netmap device with its ports. ``switches`` are the deviations that are on, and may be replaced."""

    __slots__ = ("_s", "configs", "switches")

    def __init__(self, ports: Sequence[PortConfig] = (), switches: frozenset[str] = CONTRACT) -> None:
        self.switches = switches
        self.configs = tuple(ports)
        self._s = System()
        a = memory.global_allocator()
        self._s.allocators[a.id], self._s.regions[a.id] = a, Region(a.memsize)
        for number, p in enumerate(ports):
            driver = DRIVERS.get("emulated" if p.emulated else p.driver)
            if driver is None:
                raise ValueError(f"port {p.name}: no driver '{p.driver}', there is {', '.join(DRIVERS)}")
            shared = p.peer if driver.shares else ""
            self._s.adapters[p.name] = Adapter(
                p.name, "nic", number, a.id, p.tx_rings, p.rx_rings, p.tx_slots, p.rx_slots,
                host_rings=True, host_tx_rings=1, host_rx_rings=1, refs=1, peer=shared,
            )  # fmt: skip
            self._s.ports[p.name] = Wire(
                driver, p.mtu, p.peer, incoming=((),) * p.rx_rings, partial=(b"",) * p.tx_rings
            )
        for p in ports:
            if p.peer and p.peer not in self._s.adapters:
                raise ValueError(f"port {p.name}: its peer {p.peer} is not a port")

    def clone(self) -> World:
        """An independent copy, cheap until it is written to."""
        other = World.__new__(World)
        other.switches, other.configs, other._s = self.switches, self.configs, self._s.clone()
        return other

    def key(self) -> Hashable:
        """Equal for worlds that behave alike from here on."""
        return (self._s.key(), self.switches, self.configs)

    # --- descriptors and processes ------------------------------------------------------------

    def open(self, fd: str, actor: str = "main") -> Result:
        """Open the device."""
        file = min(set(range(len(self._s.files) + 1)) - set(self._s.files))
        self._s.files[file] = File()
        self._s.holders[actor, fd] = file
        return Result()

    def close(self, fd: str, actor: str = "main", unmap: bool = True) -> Result:
        """Close a descriptor and, with ``unmap``, its mapping. The open file goes with its last holder."""
        key = self._holder(fd, actor)
        if key is None:
            return Result(errno("EBADF"))
        file = self._s.holders.pop(key)
        if unmap:
            self._s.mapped.pop(key, None)
        return Result(fired=closing.release(self._s, file, self.switches))

    def dup(self, fd: str, to: str, actor: str = "main") -> Result:
        """A second descriptor of the same open file."""
        key = self._holder(fd, actor)
        if key is None:
            return Result(errno("EBADF"))
        self._s.holders[actor, to] = self._s.holders[key]
        return Result()

    def fork(self, actor: str, child: str) -> Result:
        """A child process: it holds and maps whatever its parent does."""
        for table in (self._s.holders, self._s.mapped):
            for (owner, fd), file in list(table.items()):
                if owner == actor:
                    table[child, fd] = file
        return Result()

    def exit(self, actor: str) -> Result:
        """A process ends, by itself or killed: its mappings go, then its descriptors close."""
        files: list[int] = []
        for table in (self._s.mapped, self._s.holders):
            for key in [k for k in table if k[0] == actor]:
                files.append(table.pop(key))
        fired = [r for file in dict.fromkeys(files) for r in closing.release(self._s, file, self.switches)]
        return Result(fired=tuple(fired))

    # --- control ------------------------------------------------------------------------------

    def register(self, fd: str, fields: Mapping[str, Any], choose: Choose, actor: str = "main") -> Result:
        """NIOCCTRL with NETMAP_REQ_REGISTER. Fields are ``nmreq_register``'s without ``nr_``, and ``name``.

        Raises :class:`NotModelled` for ports and options this model does not have, ``ValueError`` for
        fields netmap does not have.
        """
        file = self._file(fd, actor)
        if file is None:
            return Result(errno("EBADF"))
        return register.register(self._s, file, fields, self.switches)

    def ctl(
        self, fd: str, request: str, fields: Mapping[str, Any], choose: Choose, actor: str = "main"
    ) -> Result:
        """Any other NIOCCTRL request. Raises :class:`NotModelled`."""
        if self._file(fd, actor) is None:
            return Result(errno("EBADF"))
        if request in ("REGISTER", "NETMAP_REQ_REGISTER"):
            return self.register(fd, fields, choose, actor)
        raise NotModelled(f"14/control/{request.lower().replace('_', '-')}", f"NIOCCTRL {request}")

    def mmap(
        self,
        fd: str,
        length: int | None = None,
        offset: int = 0,
        prot: str = "rw",
        flags: str = "shared",
        actor: str = "main",
    ) -> Result:
        """Map a descriptor's region: ``length`` bytes (all of it, when None) from ``offset``, in pages."""
        file = self._file(fd, actor)
        if file is None:
            return Result(errno("EBADF"))
        f = self._s.files[file]
        if not f.adapter:
            return Result(errno("EINVAL"), (MMAP_UNBOUND,))
        size = self._allocator(f).memsize
        length = size if length is None else (length + PAGE - 1) // PAGE * PAGE
        if length == 0 or offset % PAGE or offset < 0 or offset + length > size:
            return Result(errno("EINVAL"), (MMAP_BEYOND,))
        self._s.mapped[actor, fd] = file
        return Result(fired=(MMAP,))

    def munmap(self, fd: str, actor: str = "main") -> Result:
        """Give up a mapping; an open file whose last descriptor was closed before goes with it."""
        key = (actor, fd) if (actor, fd) in self._s.mapped else self._anyone(self._s.mapped, fd)
        if key is None:
            return Result(errno("EINVAL"))
        file = self._s.mapped.pop(key)
        return Result(fired=closing.release(self._s, file, self.switches))

    # --- the data path ------------------------------------------------------------------------

    def txsync(self, fd: str, choose: Choose, actor: str = "main") -> Result:
        """NIOCTXSYNC."""
        return self._sync(fd, TX, choose, actor)

    def rxsync(self, fd: str, choose: Choose, actor: str = "main") -> Result:
        """NIOCRXSYNC."""
        return self._sync(fd, RX, choose, actor)

    def _sync(self, fd: str, t: str, choose: Choose, actor: str) -> Result:
        file = self._file(fd, actor)
        if file is None:
            return Result(errno("EBADF"))
        f = self._s.files[file]
        if not f.adapter:
            return Result(errno("ENXIO"), (sync.UNBOUND,))
        x = Execution(self._s, file, choose, self.switches)
        run(sync.sync_all(self._bound(f, t), t == TX, x.port_sync, self.switches), x)
        return Result(fired=tuple(x.fired))

    def poll(self, fd: str, events: frozenset[str], choose: Choose, actor: str = "main") -> Result:
        """One scan of poll with its second round. ``asleep`` when it found nothing and is now recorded."""
        file = self._file(fd, actor)
        if file is None:
            return Result(errno("EBADF"))
        f = self._s.files[file]
        if not f.adapter or not self._s.adapters[f.adapter].on:
            return Result(fired=(poll.UNBOUND,), revents=frozenset({"err"}))
        x = Execution(self._s, file, choose, self.switches)
        bound = poll.Bound(self._bound(f, TX), self._bound(f, RX), f.selinfo[1], f.selinfo[0], f.tx_poll)
        want = {t: events & _EVENTS[t] for t in (TX, RX)}
        x.forget_sleep()
        scan = poll.poll(bound, bool(want[TX]), bool(want[RX]), x.port_sync, x.port_sync, self.switches)
        polled = run(scan, x)
        revents: frozenset[str] = frozenset()
        if polled.tx:
            revents |= want[TX]
        if polled.rx:
            revents |= want[RX]
        if polled.error:
            revents |= {"err"}
        if revents:
            x.forget_sleep()
        return Result(fired=tuple(x.fired), revents=revents, asleep=not revents)

    def woken(self) -> frozenset[str]:
        """Descriptors recorded by a sleeping poll whose selinfo was woken since."""
        return frozenset(fd for (_, fd), file in self._s.holders.items() if file in self._s.woken)

    # --- the environment ----------------------------------------------------------------------

    def frame(self, port: str, side: str, data: bytes, choose: Choose) -> Result:
        """A frame comes to a port: from its wire (``wire``), or from the host's network stack (``host``).

        Raises ``LookupError`` for a port or side there is not.
        """
        self._port(port, side)
        if side == "wire":
            return Result(fired=tuple(wire.arrive(self._s, port, (data,), choose)))
        fired, ring = host.transmit(self._s, port, data, choose)
        if ring:
            x = Execution(self._s, -1, choose, self.switches)
            run(pipe.notify(ring), x)
        return Result(fired=tuple(fired))

    def frames(self, port: str, side: str) -> list[bytes]:
        """What came out at a port's ``wire`` or ``host`` side since the last look, oldest first."""
        w = self._port(port, side)
        if side == "wire":
            self._s.ports[port] = replace(w, wire_out=())
            return list(w.wire_out)
        self._s.ports[port] = replace(w, host_out=())
        return list(w.host_out)

    def tau(self, choose: Choose) -> Result:
        """The environment moves on its own: devices complete, frames arrive, and interrupts tell of it.

        ``fired`` is empty when nothing moved.
        """
        x = Execution(self._s, -1, choose, self.switches)
        for name in sorted(self._s.krings):
            k = self._s.krings[name]
            count = wire.pick(choose, f"nic.{k.t}-interrupt", name, 0, wire.movable(self._s, k))
            if count:
                self._s.krings[name] = replace(k, announced=k.announced + count)
                x.fired.append(wire.ARRIVE if k.t == RX else wire.COMPLETE)
                run(pipe.notify(name), x)
        return Result(fired=tuple(x.fired))

    def owed(self) -> list[tuple[str, str]]:
        """(clause, ring) of every progress clause that is not met now; see :func:`.ports.wire.owed`."""
        found = ((wire.owed(self._s, k), name) for name, k in sorted(self._s.krings.items()))
        return [(clause, name) for clause, name in found if clause]

    # --- the application's memory -------------------------------------------------------------

    def region(self, fd: str) -> Region:
        """The bytes a descriptor's mapping shows."""
        return self._s.regions[self._allocator(self._bound_file(fd)).id]

    def nifp(self, fd: str) -> api14.netmap_if:
        """The descriptor's netmap_if, over the real bytes."""
        f = self._bound_file(fd)
        return api14.netmap_if(self.region(fd), self._allocator(f).if_offset(f.nifp))

    def ring(self, fd: str, name: str) -> api14.netmap_ring:
        """A ring the descriptor is bound to (``tx0``), over the real bytes. ``KeyError`` for any other."""
        k = self._kring(fd, name)
        return api14.netmap_ring(self.region(fd), self._allocator(self._bound_file(fd)).ring_offset(k.ring))

    def rings(self, fd: str) -> dict[str, int]:
        """The rings a descriptor is bound to; equal numbers are the same ring."""
        f = self._bound_file(fd)
        number = self._s.adapters[f.adapter].number
        return {
            f"{t}{i}": (number << 18) + ((t == TX) << 17) + i for t in (TX, RX) for i in range(*f.range(t))
        }

    def buffer(self, fd: str, buf_idx: int) -> tuple[int, int]:
        """(offset, size) of a buffer in the region, bytes. ``IndexError`` for one the pool does not have."""
        a = self._allocator(self._bound_file(fd))
        if not 0 <= buf_idx < a.buffers:
            raise IndexError(f"buffer {buf_idx} of {a.buffers}")
        return a.buf_offset(buf_idx), a.buf_size

    # --- white box ----------------------------------------------------------------------------

    def kring(self, fd: str, name: str) -> Kring:
        """The kernel's positions in a ring the descriptor is bound to."""
        return self._kring(fd, name).pos

    def system(self) -> System:
        """The kernel's state, for invariants and proofs; not for drivers of the model."""
        return self._s

    # --- lookups ------------------------------------------------------------------------------

    def _port(self, port: str, side: str) -> Wire:
        if port not in self._s.ports or side not in ("wire", "host"):
            raise LookupError(f"there is no {side} side of a port {port}")
        found: Wire = self._s.ports[port]
        return found

    @staticmethod
    def _anyone(table: Iterable[tuple[str, str]], fd: str) -> tuple[str, str] | None:
        return min((k for k in table if k[1] == fd), default=None)

    def _holder(self, fd: str, actor: str) -> tuple[str, str] | None:
        if (actor, fd) in self._s.holders:
            return (actor, fd)
        return self._anyone(self._s.holders, fd)

    def _file(self, fd: str, actor: str) -> int | None:
        key = self._holder(fd, actor)
        return None if key is None else self._s.holders[key]

    def _bound_file(self, fd: str) -> File:
        key = self._holder(fd, "main") or self._anyone(self._s.mapped, fd)
        file = self._s.holders.get(key, self._s.mapped.get(key)) if key else None
        if file is None or not self._s.files[file].adapter:
            raise LookupError(f"{fd} is not bound to a port")
        return self._s.files[file]

    def _allocator(self, f: File) -> memory.Allocator:
        return self._s.allocators[self._s.adapters[f.adapter].mem]

    def _bound(self, f: File, t: str) -> tuple[str, ...]:
        return tuple(ring_name(f.adapter, t, i) for i in range(*f.range(t)))

    def _kring(self, fd: str, name: str) -> KringState:
        f = self._bound_file(fd)
        t, index = name[:2], int(name[2:])
        first, last = f.range(t)
        if not first <= index < last:
            raise KeyError(f"{fd} is not bound to {name}")
        return self._s.krings[ring_name(f.adapter, t, index)]

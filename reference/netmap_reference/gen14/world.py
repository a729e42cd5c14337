"""The generation-14 device as one object: system calls in, results and real bytes out.

A :class:`World` is a netmap device, the machine's ports and the processes that use them. Its calls run the
chapters' protocols effect by effect to their end; nothing waits: a poll that finds nothing returns
``asleep`` and :meth:`World.woken` later tells when it would have been woken.

Descriptors and processes are names. Two processes that share an open file after a fork use the same
descriptor name; ``actor`` says whose is meant where that matters.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netmap_spec.abi import api14

from ..core.choice import Choose
from ..core.effects import Protocol, run
from ..core.memory import PAGE, Region
from ..core.outcome import HANG, errno
from ..core.step import rule
from . import bind, callbacks, control, csb, failure, legacy, memory, parameters, poll, requests, sets, sync
from . import close as closing
from . import extmem as extmem  # registers who acts on the option
from . import offsets_bind as offsets_bind  # registers who acts on the option
from . import switch_requests as switch_requests  # registers who carries its requests out
from .csb_calls import CsbCalls
from .execute import Execution
from .libraries import program
from .notify import interrupt, notify
from .overlap import Overlap
from .poll import Bound
from .ports import bwrap, host, interface, wire
from .ports.driver import DRIVERS
from .ports.wire import Wire
from .result import Result
from .ring import CONTRACT, UserRing, tx_prologue
from .state import RX, TX, Adapter, File, System

__all__ = ["PortConfig", "Result", "World"]

LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"
MMAP = rule("14/mmap/mapped", clause="14.memory.mmap", source=f"{LINUX_C}:1341-1390")
MMAP_UNBOUND = rule("14/mmap/unbound", clause="14.memory.mmap", source=f"{LINUX_C}:1356-1358")
MMAP_BEYOND = rule("14/mmap/beyond", clause="14.memory.mmap", source=f"{LINUX_C}:1366-1370")


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


class World(CsbCalls):
    """One netmap device with its ports. ``switches`` are the deviations that are on, and may be replaced."""

    __slots__ = ("configs",)

    def __init__(self, ports: Sequence[PortConfig] = (), switches: frozenset[str] = CONTRACT) -> None:
        self.switches = switches
        self.configs = tuple(ports)
        self._s = System()
        a = memory.global_allocator()
        self._s.allocators[a.id], self._s.regions[a.id] = a, Region(a.memsize)
        for number, p in enumerate(ports):
            driver = DRIVERS.get("emulated" if p.emulated else p.driver)
            if p.kind not in ("nic", "host-only"):
                raise ValueError(f"port {p.name}: kind '{p.kind}' is neither nic nor host-only")
            if driver is None:
                raise ValueError(f"port {p.name}: no driver '{p.driver}', there is {', '.join(DRIVERS)}")
            self._s.adapters[p.name] = Adapter(
                p.name, "nic", number, a.id, p.tx_rings, p.rx_rings, p.tx_slots, p.rx_slots,
                host_rings=True, host_tx_rings=1, host_rx_rings=1, refs=1,
            )  # fmt: skip
            self._s.ports[p.name] = Wire(
                driver,
                driver,
                p.mtu,
                p.peer,
                incoming=((),) * p.rx_rings,
                partial=(b"",) * p.tx_rings,
                host_only=p.kind == "host-only",
            )
        for p in ports:
            if p.peer and p.peer not in self._s.adapters:
                raise ValueError(f"port {p.name}: its peer {p.peer} is not a port")
            if p.peer and self._s.ports[p.name].driver.shares:
                here, there = self._s.adapters[p.name], self._s.adapters[p.peer]
                if (here.tx_rings, here.tx_slots) != (there.rx_rings, there.rx_slots):
                    raise ValueError(f"port {p.name}: its rings are not those of its peer {p.peer}")

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
        """NIOCCTRL with NETMAP_REQ_REGISTER."""
        return self.ctl(fd, "REGISTER", fields, choose, actor)

    def ctl(
        self, fd: str, request: str, fields: Mapping[str, Any], choose: Choose, actor: str = "main"
    ) -> Result:
        """NIOCCTRL with a request by name or number. Fields are those of its body without ``nr_``, and the
        header's (:func:`.requests.run`).

        Raises :class:`~..core.outcome.NotModelled` for ports, requests and options this model does not have,
        ``ValueError`` for fields netmap does not have.
        """
        file = self._file(fd, actor)
        if file is None:
            return Result(errno("EBADF"))
        return requests.run(self._s, file, request, fields, self.switches, choose)

    def legacy(
        self, fd: str, request: str, fields: Mapping[str, Any], choose: Choose, actor: str = "main"
    ) -> Result:
        """NIOCREGIF or NIOCGINFO (``REGIF``, ``GINFO``) with the fields of ``struct nmreq``."""
        file = self._file(fd, actor)
        if file is None:
            return Result(errno("EBADF"))
        if request not in ("REGIF", "GINFO"):
            raise ValueError(f"'{request}' is neither REGIF nor GINFO")
        return legacy.legacy(self._s, file, request == "GINFO", fields, self.switches, choose)

    def fail(self, point: str, passes: int = 0) -> Result:
        """In the next request the step ``point`` fails after ``passes`` passes of it that go well.

        Raises ``ValueError`` for a point that no request of this model has; see :mod:`.failure`.
        """
        if point not in failure.POINTS or passes < 0:
            raise ValueError(f"no request can fail at '{point}' after {passes} passes")
        self._s.request.plan = (*self._s.request.plan, (point, passes))
        return Result()

    def module(self, action: str, name: str, fields: Mapping[str, Any], choose: Choose) -> Result:
        """Another module of the kernel does something with a switch; see :mod:`.callbacks`."""
        return callbacks.run(self._s, action, name, fields, self.switches, choose)

    def parse(self, how: str, texts: Sequence[str], fields: Mapping[str, Any], choose: Choose) -> Result:
        """A program reads port specifications with ``nm_open`` or libnetmap (:mod:`.libraries.program`)."""
        return program.read(self._s, how, texts, fields, self.switches, choose)

    def sysctl(self, name: str, value: int) -> Result:
        """Set a module parameter. Raises :class:`~..core.outcome.NotModelled` for those whose effect is not
        modelled."""
        return parameters.set_parameter(self._s, name, value)

    def read_parameter(self, name: str) -> Result:
        """Look at a module parameter: its ``value``, when it was set."""
        return parameters.read(self._s, name)

    def parameter(self, name: str) -> int | None:
        """What a module parameter was set to, ``None`` when it was not."""
        return parameters.parameter(self._s, name)

    def read(self, fd: str, actor: str = "main") -> Result:
        """read(2): not a thing this device does."""
        return Result(errno("EBADF" if self._file(fd, actor) is None else "EINVAL"), (control.NO_IO,))

    def write(self, fd: str, actor: str = "main") -> Result:
        """write(2): not a thing this device does."""
        return Result(errno("EBADF" if self._file(fd, actor) is None else "EINVAL"), (control.NO_IO,))

    def ioctl(self, fd: str, code: int, actor: str = "main", name: str = "") -> Result:
        """NIOCCONFIG for a switch, or an ioctl netmap does not have.

        Raises ``ValueError`` for one that has its own method.
        """
        if code in {codes["NIOCCONFIG"] for codes in api14.IOCTLS.values()}:
            return Result(errno("EBADF")) if self._file(fd, actor) is None else legacy.config(self._s, name)
        if code in {c for codes in api14.IOCTLS.values() for c in codes.values()}:
            raise ValueError(f"ioctl {code:#x} is netmap's own")
        return Result(errno("EBADF" if self._file(fd, actor) is None else "EOPNOTSUPP"), (control.NO_IOCTL,))

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
        a = self._allocator(f)
        length = a.memsize if length is None else (length + PAGE - 1) // PAGE * PAGE
        if length == 0 or offset % PAGE or offset < 0:
            return Result(errno("EINVAL"), (MMAP_BEYOND,))
        fired: list[str] = []
        for at in dict.fromkeys((offset, offset + length - PAGE)):
            page = memory.page_of(at, a.pools, a.external is not None, self.switches)
            fired.extend(page.fired)
            if page.state == -1:
                return Result(errno("EINVAL"), (*fired, MMAP_BEYOND))
        self._s.mapped[actor, fd] = file
        return Result(fired=(MMAP, *fired))

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

    def begin_sync(self, fd: str, t: str, choose: Choose, actor: str) -> Result | Overlap:
        """A sync of a thread that is overtaken by others, held half way where it can be."""
        begun = self._begin(fd, t, choose, actor)
        return begun if isinstance(begun, Result) else Overlap(*begun, self._synced)

    def _sync(self, fd: str, t: str, choose: Choose, actor: str) -> Result:
        begun = self._begin(fd, t, choose, actor)
        if isinstance(begun, Result):
            return begun
        x, protocol = begun
        synced, failed = x.run(protocol)
        return failed or self._synced(x, synced)

    def _begin(self, fd: str, t: str, choose: Choose, actor: str) -> Result | tuple[Execution, Protocol]:
        file = self._file(fd, actor)
        if file is None:
            return Result(errno("EBADF"))
        f = self._s.files[file]
        if not f.adapter:
            return Result(errno("ENXIO"), (sync.UNBOUND,))
        if file in self._s.csbs:
            return Result(errno("EBUSY"), (csb.SYNC_BUSY,))
        x = Execution(self._s, file, choose, self.switches)
        x.fired.extend(self._looked(choose))
        bwrap.catch_up(x)
        return x, sync.sync_all(self._bound(f, t), t == TX, x.port_sync, self.switches)

    @staticmethod
    def _synced(x: Execution, synced: sync.SyncedAll) -> Result:
        rejected = synced.rejected
        if synced.stopped:
            return Result(errno("EIO"), tuple(x.fired))
        if rejected and not x.chosen_once("rejected_ok", "sync.rejected-succeeds"):
            return Result(errno("EINVAL"), (*x.fired, sync.REJECTED_EINVAL))
        return Result(fired=(*x.fired, sync.REJECTED_OK) if rejected else tuple(x.fired))

    def poll(
        self, fd: str, events: frozenset[str], choose: Choose, actor: str = "main", how: str = ""
    ) -> Result:
        """One scan of poll with its second round. ``asleep`` when it found nothing and is now recorded.

        ``how`` is ``kqueue`` for the event filters of FreeBSD (READ for ``in``, WRITE for ``out``).
        """
        file = self._file(fd, actor)
        if file is None:
            return Result(errno("EBADF"))
        f = self._s.files[file]
        if how == "kqueue" and not f.adapter:
            return Result(errno("EPERM"), (poll.FILTER_UNBOUND,))
        if not f.adapter or not self._s.adapters[f.adapter].on:
            return Result(fired=(poll.UNBOUND,), revents=frozenset({"err"}))
        if file in self._s.csbs:
            return Result(fired=(csb.POLL_ERROR,), revents=frozenset({"err"}))
        x = Execution(self._s, file, choose, self.switches)
        x.fired.extend(self._looked(choose))
        bound = Bound(
            self._bound(f, TX), self._bound(f, RX), f.selinfo[1], f.selinfo[0], f.tx_poll, f.rx_poll
        )
        want_tx, want_rx = bool(events & poll.OUT), bool(events & poll.IN)
        bwrap.catch_up(x)
        x.forget_sleep()
        looks = self._looks_first(file, bound, want_tx, want_rx, choose)
        scan = poll.poll(bound, want_tx, want_rx, x.port_sync, x.port_sync, self.switches, looks)
        polled, failed = x.run(scan)
        if failed:
            return failed
        step = poll.revents(polled, events, how)
        if step.state:
            x.forget_sleep()
        return Result(fired=(*x.fired, *step.fired), revents=step.state, asleep=not step.state)

    def epset(
        self, fd: str, events: frozenset[str], edge: bool, choose: Choose, actor: str = "main"
    ) -> Result:
        """Add a descriptor to its process's set (epoll); ``edge``: edge-triggered. It is asked once."""
        file = self._file(fd, actor)
        if file is None:
            return Result(errno("EBADF"))
        if file in self._s.sets:
            return Result(errno("EEXIST"))
        asked = self.poll(fd, events, choose, actor)
        self._s.sets[file] = sets.Item(events, edge, bool(asked.revents))
        return replace(asked, revents=frozenset(), asleep=False)

    def epwait(self, fd: str, choose: Choose, actor: str = "main") -> Result:
        """What a wait for the set tells of this descriptor now, which is in it."""
        file = self._file(fd, actor)
        if file is None or file not in self._s.sets:
            return Result(errno("EBADF" if file is None else "ENOENT"))
        asks = sets.asks(self._s.sets[file])
        if not asks.state:
            return Result(fired=asks.fired, asleep=True)
        found = self.poll(fd, self._s.sets[file].events, choose, actor)
        step = sets.told(self._s.sets[file], bool(found.revents))
        self._s.sets[file] = step.state
        return replace(found, fired=(*asks.fired, *found.fired, *step.fired))

    def _looks_first(self, file: int, bound: Bound, want_tx: bool, want_rx: bool, choose: Choose) -> bool:
        """Does poll answer from the shared page where it can? A system does so always, or never."""
        x = Execution(self._s, file, choose, self.switches)
        found = run(poll.look(bound, want_tx, want_rx, self.switches), x)
        return any(found) and not x.chosen_once("syncs_ready", "poll.syncs-ready")

    def woken(self) -> frozenset[str]:
        """Descriptors recorded by a sleeping poll whose selinfo was woken since."""
        return frozenset(fd for (_, fd), file in self._s.holders.items() if file in self._s.woken)

    # --- the environment ----------------------------------------------------------------------

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

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
from functools import partial
from typing import Any

from netmap_spec.abi import api14

from ..core.choice import Choose
from ..core.memory import PAGE, Region
from ..core.outcome import errno
from ..core.step import rule
from . import bind, callbacks, control, failure, legacy, memory, module, opening, parameters, requests
from . import close as closing
from . import extmem as extmem  # registers who acts on the option
from . import offsets_bind as offsets_bind  # registers who acts on the option
from . import switch_requests as switch_requests  # registers who carries its requests out
from .data_path import DataPath
from .libraries import program
from .ports import interface
from .ports.driver import DRIVERS
from .ports.wire import Wire
from .result import Result
from .ring import CONTRACT
from .state import Adapter, System

__all__ = ["PortConfig", "Result", "World"]

LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"
MMAP_UNBOUND = rule("14/mmap/unbound", clause="14.memory.mmap", source=f"{LINUX_C}:1356-1358")


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


class World(DataPath):
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
            _interface(self._s, p, number)
        for p in ports:
            if p.peer and p.peer not in self._s.adapters:
                raise ValueError(f"port {p.name}: its peer {p.peer} is not a port")
            if p.peer and self._s.ports[p.name].driver.shares:
                here, there = self._s.adapters[p.name], self._s.adapters[p.peer]
                if (here.tx_rings, here.tx_slots) != (there.rx_rings, there.rx_slots):
                    raise ValueError(f"port {p.name}: its rings are not those of its peer {p.peer}")

    def attach(self, port: str, choose: Choose) -> Result:
        """The interface of a port that has gone is registered again; with nobody bound to it any more it is a
        new one. Raises ``LookupError`` for a port the machine never had.
        """
        fired: list[str] = []
        if port in self._s.ports and port in self._s.adapters:
            return self._told(fired, interface.attach(self._s, port, fired), choose)
        found = next((p for p in self.configs if p.name == port), None)
        if found is None:
            raise LookupError(f"there is no port {port}")
        _interface(self._s, found, bind.free_number(self._s))
        return Result()

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
        return opening.open_file(self._s, (actor, fd), self.switches)

    def close(self, fd: str, actor: str = "main", unmap: bool = True) -> Result:
        """Close a descriptor and, with ``unmap``, its mapping. The open file goes with its last holder."""
        key = self._holder(fd, actor)
        if key is None:
            return Result(errno("EBADF"))
        file = self._s.holders.pop(key)
        if unmap:
            self._s.mapped.pop(key, None)
        return self._release([file])

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
        return self._release(files)

    def _release(self, files: Sequence[int]) -> Result:
        """Open files that lost a holder; those that have none left go."""
        fired: list[str] = []
        for file in dict.fromkeys(files):
            lost = None if closing.held(self._s, file) else opening.lost(self._s, file)
            if lost is not None:
                return replace(lost, fired=(*fired, *lost.fired))
            fired.extend(closing.release(self._s, file, self.switches))
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
        """In the next request, open or mmap ``point`` fails after ``passes`` passes of it that go well.

        Raises ``ValueError`` for a point that no request of this model has; see :mod:`.failure`.
        """
        if point not in failure.POINTS or passes < 0:
            raise ValueError(f"no request can fail at '{point}' after {passes} passes")
        self._s.request.plan = (*self._s.request.plan, (point, passes))
        return Result()

    def module(self, action: str, name: str, fields: Mapping[str, Any], choose: Choose) -> Result:
        """Another module of the kernel does something with a switch; see :mod:`.callbacks`."""
        return callbacks.run(self._s, action, name, fields, self.switches, choose)

    def unload(self) -> Result:
        """Netmap's module is unloaded and loaded again: EBUSY while something holds it (:mod:`.module`)."""
        return module.reload(self._s, World(self.configs, self.switches).system())

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
        lost = opening.lost(self._s, file)
        if lost is not None:
            return lost
        look = partial(self._mappable, file, length, offset)
        return opening.map_file(self._s, (actor, fd), file, look, self.switches)

    def _mappable(self, file: int, length: int | None, offset: int) -> Result:
        """May this part of a descriptor's region be mapped?"""
        f = self._s.files[file]
        if not f.adapter:
            return Result(errno("EINVAL"), (MMAP_UNBOUND,))
        a = self._allocator(f)
        length = a.memsize if length is None else (length + PAGE - 1) // PAGE * PAGE
        if length == 0 or offset % PAGE or offset < 0:
            return Result(errno("EINVAL"))
        step = memory.mapping(offset, length, a.pools, a.external is not None, self.switches)
        return Result(step.outcome, step.fired)

    def munmap(self, fd: str, actor: str = "main") -> Result:
        """Give up a mapping; an open file whose last descriptor was closed before goes with it."""
        key = (actor, fd) if (actor, fd) in self._s.mapped else self._anyone(self._s.mapped, fd)
        if key is None:
            return Result(errno("EINVAL"))
        file = self._s.mapped.pop(key)
        return self._release([file])


def _interface(s: System, p: PortConfig, number: int) -> None:
    """An interface of the system that nobody has bound yet."""
    driver = DRIVERS["emulated" if p.emulated else p.driver]
    s.adapters[p.name] = Adapter(
        p.name, "nic", number, memory.GLOBAL_ID, p.tx_rings, p.rx_rings, p.tx_slots, p.rx_slots,
        host_rings=True, host_tx_rings=1, host_rx_rings=1, refs=1,
    )  # fmt: skip
    s.ports[p.name] = Wire(
        driver,
        driver,
        p.mtu,
        p.peer,
        incoming=((),) * p.rx_rings,
        partial=(b"",) * p.tx_rings,
        host_only=p.kind == "host-only",
    )

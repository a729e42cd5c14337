"""An open descriptor of a device, and what belongs to it: CSB mode with entries and loop, mapped memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from netmap_spec.abi import Buffer, api14

from ..expressions import ExpressionError
from ..trace import Call, Return
from .control import Control
from .entry import FLAGS, PROT, SYSTEM, EntryPoints
from .mapping import Mapping
from .memory import CsbArrays, EventFds, address, region

CODES = api14.IOCTLS[SYSTEM]
T = TypeVar("T")
#: How long a loop that was told to stop may take, in seconds.
LOOP_S = 1.0
#: Bytes that are mapped when nobody says how many.
PAGE = 4096


@dataclass
class Descriptor:
    """One open descriptor and what is known about it."""

    number: int
    actor: str
    memsize: int = 0
    nifp: int = -1
    memory: Any = None
    mapping: Mapping | None = None
    csb: CsbArrays | None = None
    eventfds: EventFds | None = None
    brought: Any = None


@dataclass
class Sleeper:
    """A call that runs in a thread of its own."""

    call: Call
    thread: threading.Thread
    done: list[Return] = field(default_factory=list)


class CsbCalls:
    """The part of a device's target that is about CSB mode."""

    entry: EntryPoints
    _fds: dict[str, Descriptor]
    _sleepers: list[Sleeper]

    def _done(self, call: Call, ret: int, code: int) -> Return:
        raise NotImplementedError

    def csb(self, fd: str) -> list[dict[str, int]] | None:
        found = self._fds.get(fd)
        return found.csb.look() if found is not None and found.csb is not None else None

    def sys_csbset(self, call: Call) -> Return:
        """Store words into an entry."""
        words = {k: v for k, v in call.args.items() if k != "index"}
        found = self._fds.get(call.fd)

        def store(csb: CsbArrays) -> Return:
            csb.store(call.args["index"], words)
            return Return(of=call.n)

        return self._at_entry(call, found.csb if found else None, store)

    def sys_kick(self, call: Call) -> Return:
        found = self._fds.get(call.fd)
        return self._at_entry(
            call,
            found.eventfds if found else None,
            lambda fds: Return(of=call.n, ret=fds.kick(call.args["index"])),
        )

    def sys_irq(self, call: Call) -> Return:
        found = self._fds.get(call.fd)

        def read(fds: EventFds) -> Return:
            size, count = fds.irq(call.args["index"], int(call.args.get("timeout_ms", 0)))
            return Return(of=call.n, ret=size, out={"count": count})

        return self._at_entry(call, found.eventfds if found else None, read)

    def _at_entry(self, call: Call, brought: T | None, act: Callable[[T], Return]) -> Return:
        """``act`` on what was brought: EFAULT where nothing was, or where it has no such entry."""
        if brought is None:
            return Return(of=call.n, ret=-1, errno="EFAULT")
        try:
            return act(brought)
        except IndexError:
            return Return(of=call.n, ret=-1, errno="EFAULT")
        except OSError as error:
            return self._done(call, -1, error.errno or 0)

    def _stop_loop(self, found: Descriptor) -> None:
        """End a loop that a scenario left running, so that its thread comes back."""
        request = Control("SYNC_KLOOP_STOP", {"name": ""})
        self.entry.ioctl(found.number, CODES["NIOCCTRL"], request.header_bytes)
        for sleeper in self._sleepers:
            if sleeper.call.op == "ctl":
                sleeper.thread.join(LOOP_S)
        if found.eventfds is not None:
            found.eventfds.close()


class MemoryCalls:
    """The part of a device's target that is about mapped memory."""

    entry: EntryPoints
    _fds: dict[str, Descriptor]
    _regions: dict[int, Any]
    _brought: list[Any]

    def _done(self, call: Call, ret: int, code: int) -> Return:
        raise NotImplementedError

    def _number(self, fd: str) -> int:
        raise NotImplementedError

    def address(self, fd: str, ring: str, index: int) -> int:
        """Where this process has the buffer of a slot."""
        found = self._fds.get(fd)
        if found is None or found.mapping is None:
            raise ExpressionError(f"{fd} is not mapped")
        memory = found.memory if found.memory is not None else found.brought
        return address(memory) + found.mapping.buffer(ring, index)

    def sys_mmap(self, call: Call) -> Return:
        args = call.args
        found = self._fds.get(call.fd)
        length = args.get("length", (found.memsize if found else 0) or PAGE)
        memory, code = self.entry.mmap(
            self._number(call.fd),
            length,
            PROT[args.get("prot", "rw")],
            FLAGS[args.get("flags", "shared")],
            args.get("offset", 0),
        )
        if memory is None or found is None:
            return self._done(call, -1, code)
        self._unmap(found)
        found.memory = memory
        if found.nifp >= 0 and args.get("offset", 0) == 0:
            found.mapping = Mapping(Buffer(memory), length, found.nifp)
        return Return(of=call.n)

    def sys_useext(self, call: Call) -> Return:
        """Memory the process brought is its own already: what it sees is what a mapping shows."""
        found = self._fds.get(call.fd)
        if found is not None and found.brought is not None and found.nifp >= 0:
            found.mapping = Mapping(Buffer(found.brought), len(found.brought), found.nifp)
        return Return(of=call.n)

    def sys_munmap(self, call: Call) -> Return:
        found = self._fds.get(call.fd)
        if found is None or found.memory is None:
            return Return(of=call.n, ret=-1, errno="EINVAL")
        code = self._unmap(found)
        return self._done(call, -1 if code else 0, code)

    def _region(self, name: int, size: int) -> Any:
        """The memory that a scenario calls ``name``; without a name new memory for every request."""
        if name not in self._regions or not name:
            self._regions[name] = region(size)
            # A device may use it for longer than the descriptor lives that it was brought with.
            self._brought.append(self._regions[name])
        return self._regions[name]

    def _unmap(self, found: Descriptor) -> int:
        memory, found.memory, found.mapping = found.memory, None, None
        return self.entry.munmap(memory) if memory is not None else 0

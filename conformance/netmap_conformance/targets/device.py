"""A netmap device driven through its five entry points, at the level of the ABI.

Requests are built as bytes (``struct nmreq_header`` and its body), the region is mapped and read
through the views of :mod:`netmap_spec.abi`; nothing here knows what is behind the entry points. A
call of another thread runs in a thread, one of another process in a forked child.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from ..manifest import Manifest
from ..trace import Call, Header, Return, See
from .application import Api14Target
from .base import TargetError
from .control import Control, Legacy
from .descriptor import CODES, CsbCalls, Descriptor, MemoryCalls, Sleeper
from .entry import EVENTS, EntryPoints, Sets, close_quietly, event_names
from .mapping import Mapping
from .probe import probe
from .process import ASLEEP_S, Child, sleeps


class DeviceTarget(CsbCalls, MemoryCalls, Api14Target):
    """The five entry points behind the :class:`~.base.Target` interface."""

    def __init__(self, manifest: Manifest, entry: EntryPoints, name: str) -> None:
        self.name = name
        self.manifest = manifest
        self.entry = entry
        self._fds: dict[str, Descriptor] = {}
        self._sleepers: list[Sleeper] = []
        self._children: dict[str, Child] = {}
        self._finished: list[Return] = []
        self._regions: dict[int, Any] = {}
        self._brought: list[Any] = []
        self._capabilities: frozenset[str] | None = None

    # --- life -----------------------------------------------------------------------------------

    def start(self, header: Header) -> None:
        """Fresh descriptors on an environment with the header's ports."""
        self.stop()
        self.entry.reset()
        self.entry.configure(header.ports)

    def stop(self) -> None:
        for child in self._children.values():
            child.kill()
        self._children.clear()
        self._finished.clear()
        for d in self._fds.values():
            self._unmap(d)
            if d.csb is not None:
                self._stop_loop(d)
        close_quietly(self.entry, [d.number for d in self._fds.values()])
        self._fds.clear()
        self._sleepers.clear()
        self._regions.clear()
        self._brought.clear()

    def mapping(self, fd: str, actor: str = "main") -> Mapping | None:
        found = self._fds.get(fd)
        return found.mapping if found else None

    def look(self, fd: str, actor: str = "main") -> See:
        return self._children[actor].look(fd) if actor in self._children else super().look(fd)

    def observe(self, call: Call, done: Return) -> None:
        """As everywhere, with the scenario's names of ports."""
        super().observe(call, done)
        if done.see is not None and done.see.nifp is not None:
            done.see.nifp["ni_name"] = self.manifest.logical(done.see.nifp["ni_name"])
        if done.hdr is not None:
            done.hdr["nr_name"] = self.manifest.logical(done.hdr["nr_name"])

    def quiet(self) -> bool:
        return self.entry.quiet()

    def capabilities(self) -> frozenset[str]:
        """What is there: each is tried, on an environment of its own where one can be made."""
        if self._capabilities is None:
            self._capabilities = probe(self)
        return self._capabilities

    # --- calls ----------------------------------------------------------------------------------

    def call(self, call: Call) -> Return | None:
        """Execute one call, in the child when the actor is another process."""
        child = self._children.get(call.actor)
        if child is None:
            return super().call(call)
        may_sleep = call.op == "poll" and call.args.get("timeout_ms", 0) != 0
        return child.call(call, may_sleep, self.manifest.watchdog_s / 2)

    def _in_child(self, call: Call) -> Return:
        """What the child does with a call: the same, with itself as the main process."""
        done = super().call(msgspec.structs.replace(call, actor="main"))
        assert done is not None
        return done

    def sys_fork(self, call: Call) -> Return:
        self._children[call.args["actor"]] = Child(self._in_child, self.look)
        return Return(of=call.n)

    def sys_exit(self, call: Call) -> Return:
        child = self._children.pop(call.args.get("actor", call.actor), None)
        if child is None:
            return Return(of=call.n, ret=-1, errno="ESRCH")
        child.exit()
        return Return(of=call.n)

    def sys_kill(self, call: Call) -> Return:
        child = self._children.pop(call.args["actor"], None)
        if child is None:
            return Return(of=call.n, ret=-1, errno="ESRCH")
        child.kill()
        return Return(of=call.n)

    def system_call(self, call: Call) -> Return | None:
        method = getattr(self, f"sys_{call.op}", None)
        if method is None:
            raise TargetError(f"{self.name}: unknown operation '{call.op}'", status=2)
        done: Return | None = method(call)
        return done

    def _done(self, call: Call, ret: int, code: int) -> Return:
        done = Return(of=call.n, ret=ret)
        if ret < 0:
            done.ret, done.errno = -1, self.manifest.errno_name(code)
        return done

    def _number(self, fd: str) -> int:
        """The descriptor's number; one that cannot exist when it is not open."""
        return self._fds[fd].number if fd in self._fds else 1 << 20

    def sys_open(self, call: Call) -> Return:
        number, code = self.entry.open()
        if number >= 0:
            self._fds[call.fd] = Descriptor(number, call.actor)
        return self._done(call, min(number, 0), code)

    def sys_close(self, call: Call) -> Return:
        found = self._fds.pop(call.fd, None)
        if found is None:
            return Return(of=call.n, ret=-1, errno="EBADF")
        self._unmap(found)
        code = self.entry.close(found.number)
        return self._done(call, -1 if code else 0, code)

    def sys_dup(self, call: Call) -> Return:
        """Descriptors are the system's own where they can be duplicated at all (see :func:`probe`)."""
        found = self._fds.get(call.fd)
        if found is None:
            return Return(of=call.n, ret=-1, errno="EBADF")
        try:
            number = os.dup(found.number)
        except OSError as error:
            return self._done(call, -1, error.errno or 0)
        self._fds[call.args["to"]] = Descriptor(number, call.actor, found.memsize, found.nifp)
        return Return(of=call.n)

    # --- requests -------------------------------------------------------------------------------

    def _control(self, call: Call, request: Control) -> Return:
        ret, code = self.entry.ioctl(self._number(call.fd), CODES["NIOCCTRL"], request.header_bytes)
        done = self._done(call, min(ret, 0), code)
        done.hdr, done.out = request.header_fields(), request.body_fields()
        done.options = request.option_fields()
        return done

    def sys_register(self, call: Call) -> Return:
        args = {k.removeprefix("nr_"): v for k, v in call.args.items()}
        args["name"] = self.manifest.port(str(args.get("name", "")))
        request = Control("REGISTER", args, self._region)
        done = self._control(call, request)
        if not done.errno:
            found = self._fds[call.fd]
            found.memsize, found.nifp = request.body.nr_memsize, request.body.nr_offset
            found.brought, found.csb = request.memory, request.csb or found.csb
        return done

    def sys_ctl(self, call: Call) -> Return | None:
        """A request; one that lends its thread to the kernel, SYNC_KLOOP_START, in a thread of its own."""
        args = {k: v for k, v in call.args.items() if k != "request"}
        args["name"] = self.manifest.port(str(args.get("name", "")))
        request = Control(str(call.args["request"]), args, self._region)
        if call.args["request"] == "SYNC_KLOOP_START" and call.actor != "main":
            if call.fd in self._fds:
                self._fds[call.fd].eventfds = request.eventfds
            return self._sleep_in(call, lambda: self._control(call, request))
        done = self._control(call, request)
        if call.args["request"] == "CSB_ENABLE" and not done.errno and self._fds[call.fd].nifp >= 0:
            self._fds[call.fd].csb = request.csb
        return done

    def sys_legacy(self, call: Call) -> Return:
        """NIOCREGIF or NIOCGINFO."""
        args = {k: v for k, v in call.args.items() if k != "request"}
        request = Legacy(args | {"name": self.manifest.port(str(args.get("name", "")))})
        code = CODES[f"NIOC{call.args['request']}"]
        ret, code = self.entry.ioctl(self._number(call.fd), code, request.bytes)
        done = self._done(call, min(ret, 0), code)
        done.out = request.fields()
        if not done.errno and call.args["request"] == "REGIF" and not args.get("cmd"):
            found = self._fds[call.fd]
            found.memsize, found.nifp = request.view.nr_memsize, request.view.nr_offset
        return done

    def sys_ioctl(self, call: Call) -> Return:
        """Any request by its number, with a page of zeroes as its argument."""
        ret, code = self.entry.ioctl(self._number(call.fd), call.args["code"], bytearray(4096))
        return self._done(call, min(ret, 0), code)

    def sys_read(self, call: Call) -> Return:
        return self._stream(call, lambda number: len(os.read(number, 16)))

    def sys_write(self, call: Call) -> Return:
        return self._stream(call, lambda number: os.write(number, bytes(16)))

    def _stream(self, call: Call, act: Callable[[int], int]) -> Return:
        try:
            return Return(of=call.n, ret=act(self._number(call.fd)))
        except OSError as error:
            return self._done(call, -1, error.errno or 0)

    # --- data path ------------------------------------------------------------------------------

    def _sync(self, call: Call, request: str) -> Return:
        ret, code = self.entry.ioctl(self._number(call.fd), CODES[request], None)
        return self._done(call, min(ret, 0), code)

    def sys_txsync(self, call: Call) -> Return:
        return self._sync(call, "NIOCTXSYNC")

    def sys_rxsync(self, call: Call) -> Return:
        return self._sync(call, "NIOCRXSYNC")

    def sys_poll(self, call: Call) -> Return | None:
        """poll in this thread, or, for another actor, in one of its own."""
        if call.actor == "main" or call.args.get("timeout_ms", 0) == 0:
            return self._poll(call, self._number(call.fd))
        number = self._number(call.fd)
        return self._sleep_in(call, lambda: self._poll(call, number))

    def _sleep_in(self, call: Call, act: Callable[[], Return]) -> Return | None:
        """``act`` in a thread of its own: its return, ``None`` while it sleeps."""
        sleeper = Sleeper(call, threading.Thread(daemon=True))
        sleeper.thread = threading.Thread(target=lambda: sleeper.done.append(act()), daemon=True)
        sleeper.thread.start()
        if _falls_asleep(sleeper.thread):
            self._sleepers.append(sleeper)
            return None
        return sleeper.done[0]

    def _poll(self, call: Call, number: int) -> Return:
        wanted = call.args.get("events", ())
        mask = 0
        for name in wanted:
            mask |= EVENTS[name]
        ret, revents, code = self.entry.poll(number, mask, int(call.args.get("timeout_ms", 0)))
        done = self._done(call, ret, code)
        if ret >= 0:
            done.revents = event_names(revents, wanted)
        return done

    def _sets(self) -> Sets:
        if not isinstance(self.entry, Sets):
            raise TargetError("this device has no epoll sets")
        return self.entry

    def sys_epset(self, call: Call) -> Return:
        mask = sum({EVENTS[name] for name in call.args.get("events", ())})
        code = self._sets().epset(self._number(call.fd), mask, bool(call.args.get("edge", 0)))
        return self._done(call, -1 if code else 0, code)

    def sys_epwait(self, call: Call) -> Return:
        ret, revents, code = self._sets().epwait(self._number(call.fd))
        done = self._done(call, ret, code)
        if ret >= 0:
            done.revents = event_names(revents, ())
        return done

    def finished(self) -> list[Return]:
        """Sleepers whose thread has come back; looked at now."""
        late, self._finished = self._finished, []
        for child in self._children.values():
            done = child.returned()
            if done is not None:
                late.append(done)
        found = [s for s in self._sleepers if s.done]
        self._sleepers = [s for s in self._sleepers if not s.done]
        for sleeper in found:
            if not sleeper.done[0].hang:
                sleeper.thread.join()
            self.observe(sleeper.call, sleeper.done[0])
        return late + [s.done[0] for s in found]

    def sys_join(self, call: Call) -> Return:
        """Wait for an actor's sleeping calls; one that does not come back hangs."""
        child = self._children.get(call.args["actor"])
        if child is not None and child.asleep is not None:
            asleep = child.asleep
            done = child.returned(self.manifest.watchdog_s / 2)
            self._finished.append(done or Return(of=asleep.n, ret=-1, hang=True))
        for sleeper in self._sleepers:
            if sleeper.call.actor == call.args["actor"]:
                sleeper.thread.join(self.manifest.watchdog_s / 2)
                if not sleeper.done:
                    sleeper.done.append(Return(of=sleeper.call.n, ret=-1, hang=True))
        return Return(of=call.n)

    # --- the environment ------------------------------------------------------------------------

    def sys_frame(self, call: Call) -> Return:
        args = call.args
        self.entry.frame(self.manifest.port(args["port"]), args["side"], bytes.fromhex(args["hex"]))
        return Return(of=call.n)

    def sys_frames(self, call: Call) -> Return:
        seen = self.entry.frames(self.manifest.port(call.args["port"]), call.args["side"])
        return Return(of=call.n, see=See(frames=[data.hex() for data in seen]))

    def sys_settle(self, call: Call) -> Return:
        return Return(of=call.n)


def _falls_asleep(thread: threading.Thread) -> bool:
    """Wait until the thread sleeps in the kernel, or has come back: then False.

    Only so that the sleep is more likely to be under way when the next call is made; nothing depends
    on it, both orders are legal.
    """
    for _ in range(int(ASLEEP_S / 0.002)):
        thread.join(0.002)
        if not thread.is_alive():
            return False
        if sleeps(f"/proc/self/task/{thread.native_id}/stat"):
            return True
    return True

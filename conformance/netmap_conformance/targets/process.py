"""Another process of a scenario: a real child, made by fork, with everything a fork inherits.

The child executes the calls it is sent on its own copy of the target, so that descriptors, mappings
and death are those of a process and nothing is pretended.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from ..trace import Call, Return, See

_ANSWER = msgspec.json.Decoder(Return)
_SEE = msgspec.json.Decoder(See)
#: How long a call may be on its way before its caller goes on without it, in seconds.
ASLEEP_S = 1.0


class Child:
    """A forked process that executes ``run`` for every call and ``look`` for every look."""

    def __init__(self, run: Callable[[Call], Return], look: Callable[[str], See]) -> None:
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            _serve(theirs, run, look)
        theirs.close()
        self._socket = ours
        self._lines = ours.makefile("rwb")
        self.asleep: Call | None = None

    def call(self, call: Call, may_sleep: bool, patience: float) -> Return | None:
        """Execute one call; ``None`` when it ``may_sleep`` and does. A child that died is a FAULT."""
        if self.asleep is not None:
            return Return(of=call.n, ret=-1, fault=f"{call.actor} is still asleep in call {self.asleep.n}")
        self._send(b"call " + msgspec.json.encode(call))
        if may_sleep and not self._ready_or_asleep():
            self.asleep = call
            return None
        return self._receive(call, patience)

    def look(self, fd: str) -> See:
        """What the child sees of a descriptor."""
        if self.asleep is not None:
            return See()
        self._send(b"look " + fd.encode())
        line = self._lines.readline()
        return _SEE.decode(line) if line else See()

    def returned(self, patience: float = 0.0) -> Return | None:
        """The return of the call it slept in, if it comes within ``patience`` seconds."""
        if self.asleep is None or not select.select([self._socket], [], [], patience)[0]:
            return None
        call, self.asleep = self.asleep, None
        return self._receive(call, patience)

    def exit(self) -> None:
        """Let it end as a program that closes nothing."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        self._reap()

    def kill(self) -> None:
        """End it at once."""
        if self.pid:
            # Without a process there is nobody to signal: 0 would be the caller's whole group.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._reap()

    def _reap(self) -> None:
        if self.pid:
            os.waitpid(self.pid, 0)
            self.pid = 0
        self.asleep = None
        with contextlib.suppress(OSError):
            self._lines.close()
        self._socket.close()

    def _send(self, line: bytes) -> None:
        # A child that is gone is noticed when its answer is awaited.
        with contextlib.suppress(OSError):
            self._lines.write(line + b"\n")
            self._lines.flush()

    def _receive(self, call: Call, patience: float) -> Return:
        if not select.select([self._socket], [], [], patience)[0]:
            return Return(of=call.n, ret=-1, hang=True)
        line = self._lines.readline()
        if line:
            return _ANSWER.decode(line)
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        code = os.waitstatus_to_exitcode(status)
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return Return(of=call.n, ret=-1, fault=f"process {call.actor}: {how}")

    def _ready_or_asleep(self) -> bool:
        """Wait for an answer, or until the child sleeps in the kernel: then False.

        A guess is enough: an answer that comes later is collected later, and both orders are legal.
        """
        for _ in range(int(ASLEEP_S / 0.002)):
            if select.select([self._socket], [], [], 0.002)[0]:
                return True
            if sleeps(f"/proc/{self.pid}/stat"):
                return False
        return False


def sleeps(stat: str) -> bool:
    """Is the thread of this ``/proc`` file asleep? Where there is no such file: taken to be."""
    try:
        return Path(stat).read_text().rsplit(")", 1)[1].split()[0] == "S"
    except (OSError, IndexError):
        return True


def _serve(theirs: socket.socket, run: Callable[[Call], Return], look: Callable[[str], See]) -> None:
    """The child: one line, one answer, until the parent has had enough."""
    status = 0
    try:
        lines = theirs.makefile("rwb")
        for line in lines:
            what, _, rest = line.partition(b" ")
            if what == b"call":
                answer = msgspec.json.encode(run(msgspec.json.decode(rest, type=Call)))
            else:
                answer = msgspec.json.encode(look(rest.strip().decode()))
            lines.write(answer + b"\n")
            lines.flush()
    except BaseException:
        status = 1
    finally:
        # Without the parent's clean-up, buffers and threads: the process simply ends.
        os._exit(status)

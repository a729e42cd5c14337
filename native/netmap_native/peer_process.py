"""The other end of a peer: a child process that holds netmap descriptors of its own.

``python -m netmap_native.peer DEVICE`` speaks JSON Lines on its standard input and output. Requests with
pointers cannot cross, so NIOCCTRL goes as bytes (:meth:`Peer.control`), and mapped memory is read and
written by offset (:class:`Memory`, which is what the views of ``netmap_spec.abi`` look at).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


class PeerGone(Exception):
    """The peer process has ended; one line."""


class Memory:
    """A mapping in the peer's address space, byte-addressed from its start."""

    def __init__(self, peer: Peer, fd: int, length: int) -> None:
        self.peer, self.fd, self.length = peer, fd, length

    def read(self, offset: int, length: int, /) -> bytes:
        return bytes.fromhex(self.peer.ask("read", fd=self.fd, offset=offset, length=length)["hex"])

    def write(self, offset: int, data: bytes, /) -> None:
        self.peer.ask("write", fd=self.fd, offset=offset, hex=data.hex())


class Peer:
    """A child process with the device open; calls block until it has answered.

    ``env`` is added to its environment.
    """

    def __init__(self, device: str, env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "netmap_native.peer", device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.pid = self._process.pid
        self._waiting = False

    # --- the line -------------------------------------------------------------------------------

    def begin(self, op: str, **args: Any) -> None:
        """Send a request without waiting for its answer, for calls that sleep; then :meth:`finish`."""
        if self._waiting:
            raise RuntimeError("the peer still has a call under way")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"op": op, **args}) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise PeerGone(f"peer {self.pid} is gone") from None
        self._waiting = True

    def finish(self) -> dict[str, Any]:
        """The answer to the request under way. Raises :class:`PeerGone`."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self._waiting = False
        if not line:
            raise PeerGone(f"peer {self.pid} is gone (status {self._process.wait()})")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise RuntimeError(f"peer {self.pid}: {answer['failed']}")
        return answer

    def ask(self, op: str, **args: Any) -> dict[str, Any]:
        """One request and its answer."""
        self.begin(op, **args)
        return self.finish()

    # --- the entry points, as Device has them ---------------------------------------------------------

    def open(self) -> tuple[int, int]:
        got = self.ask("open")
        return got["ret"], got["errno"]

    def ioctl(self, fd: int, code: int) -> tuple[int, int]:
        """A request without argument: NIOCTXSYNC, NIOCRXSYNC."""
        got = self.ask("ioctl", fd=fd, code=code)
        return got["ret"], got["errno"]

    def control(self, fd: int, header: bytearray, body: bytearray | None = None) -> tuple[int, int]:
        """NIOCCTRL: ``header`` and ``body`` are rewritten as the request left them, pointers untouched."""
        got = self.ask("control", fd=fd, header=header.hex(), body=None if body is None else body.hex())
        pointers = bytes(header[72:88])
        header[:] = bytes.fromhex(got["header"])
        header[72:88] = pointers
        if body is not None:
            body[:] = bytes.fromhex(got["body"])
        return got["ret"], got["errno"]

    def mmap(self, fd: int, length: int, prot: int, flags: int, offset: int = 0) -> tuple[Memory | None, int]:
        got = self.ask("mmap", fd=fd, length=length, prot=prot, flags=flags, offset=offset)
        return (Memory(self, fd, length) if got["errno"] == 0 else None), got["errno"]

    def munmap(self, memory: Memory) -> int:
        return int(self.ask("munmap", fd=memory.fd)["errno"])

    def poll(self, fd: int, events: int, timeout_ms: int) -> tuple[int, int, int]:
        got = self.ask("poll", fd=fd, events=events, timeout_ms=timeout_ms)
        return got["ret"], got["revents"], got["errno"]

    def close(self, fd: int) -> int:
        return int(self.ask("close", fd=fd)["errno"])

    # --- its end ----------------------------------------------------------------------------------

    def kill(self) -> None:
        """End it as a crash would (SIGKILL), and wait until it has ended; its descriptors are closed then."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def exit(self) -> None:
        """Let it end by itself, as a program that leaves without closing anything."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

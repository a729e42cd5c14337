"""``exec:COMMAND``: an implementation behind JSON Lines on stdin and stdout, in any language.

The suite writes one object a line, the command answers one object a line::

    {"ev":"hello","netmap_trace":1,"generation":"14"}   {"ev":"ready","name":"mine","capabilities":["pipe"]}
    {"ev":"start","header":{…}}                         {"ev":"started"}
    {"ev":"call","n":1,"op":"open","fd":"A"}            {"ev":"return","of":1,"ret":0}
    {"ev":"look","fd":"A","actor":"main"}               {"ev":"see","see":{"rings":{…},"slots":{…}}}
    {"ev":"quiet"}                                      {"ev":"quiet","quiet":true}
    {"ev":"address","fd":"A","ring":"tx0","index":2}    {"ev":"address","address":140123456}
    {"ev":"stop"}                                       {"ev":"stopped"}

Header, calls and returns are those of a trace. A call of an actor other than ``main`` that sleeps is
answered ``{"ev":"asleep","of":N}``; its return is written before the answer to the message during
which it woke. ``{"ev":"error","message":…,"status":3}`` answers a ``hello`` or ``start`` that cannot
be done. A command that dies during a call is a FAULT of that call, one that does not answer within
the manifest's ``watchdog_s`` a HANG; it is then killed and started again for the next scenario.
``address`` asks where the application has the buffer of a slot; a command that cannot tell answers ``error``,
and the scenarios that need it cannot be judged.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any

import msgspec

from ..expressions import ExpressionError
from ..manifest import Manifest
from ..trace import FORMAT, Call, Header, Return, See
from .base import TargetError

_GONE: dict[str, Any] = {"ev": "gone"}
GOODBYE_S = 5.0


class ExecTarget:
    """A target in another process; see the module's text for the protocol."""

    def __init__(
        self,
        command: str | Sequence[str],
        manifest: Manifest,
        name: str = "",
        generation: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        try:
            self.command = shlex.split(command) if isinstance(command, str) else list(command)
        except ValueError as error:
            raise TargetError(f"exec: cannot parse the command: {str(error).lower()}", status=2) from None
        if not self.command:
            raise TargetError("exec: the command is empty", status=2)
        self.manifest = manifest
        self.generation = generation or manifest.generation
        self.environment = dict(environment or {})
        self.name = name or "exec:" + " ".join(self.command)
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._errors: IO[bytes] | None = None
        self._asleep: set[int] = set()
        self._finished: list[Return] = []
        self._capabilities: frozenset[str] | None = None
        self._stuck = False

    # --- the process ----------------------------------------------------------------------------

    def _spawn(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._kill()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        try:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
                env={**os.environ, **self.environment},
            )
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise TargetError(f"{self.name}: cannot start {self.command[0]}: {why}") from None
        self._process = process
        self._answers = queue.SimpleQueue()
        threading.Thread(target=_read, args=(process.stdout, self._answers), daemon=True).start()
        ready = self._ask({"ev": "hello", "netmap_trace": FORMAT, "generation": self.generation}, "ready")
        self._capabilities = frozenset(str(c) for c in ready.get("capabilities", []))
        return process

    def _kill(self) -> None:
        process, self._process = self._process, None
        self._stuck = False
        self._asleep.clear()
        self._finished.clear()
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _last_words(self) -> str:
        """The last line the command wrote to stderr."""
        if self._errors is None:
            return ""
        self._errors.seek(0)
        lines = [x for x in self._errors.read().decode(errors="replace").splitlines() if x.strip()]
        return lines[-1].strip() if lines else ""

    def _why_gone(self) -> str:
        """How the command ended: a signal's name or its exit status, and its last line on stderr."""
        assert self._process is not None
        try:
            status = self._process.wait(timeout=GOODBYE_S)
        except subprocess.TimeoutExpired:
            return "closed its output and went on running"
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        words = self._last_words()
        return f"{how}: {words}" if words else how

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        # A command that is gone is noticed when its answer is awaited.
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
            self._process.stdin.flush()

    def _answer(self, patience_s: float = 0) -> dict[str, Any] | None:
        """The next answer; ``None`` when the watchdog barked. Returns of sleepers are put aside."""
        while True:
            try:
                answer = self._answers.get(timeout=patience_s or self.manifest.watchdog_s)
            except queue.Empty:
                return None
            if answer.get("ev") == "return" and answer.get("of") in self._asleep:
                self._asleep.discard(answer["of"])
                late = _return(answer, self.name)
                self._stuck = self._stuck or late.hang
                self._finished.append(late)
                continue
            return answer

    def _ask(self, message: dict[str, Any], expected: str, patience_s: float = 0) -> dict[str, Any]:
        """Send a message that is not a call. Raises :class:`TargetError` when it is not answered.

        ``patience_s`` is how long to wait for the answer, 0 for as long as the watchdog.
        """
        self._send(message)
        answer = self._answer(patience_s)
        if answer is None:
            self._kill()
            raise TargetError(f"{self.name}: no answer to '{message['ev']}'")
        if answer["ev"] == "gone":
            why = self._why_gone()
            self._kill()
            raise TargetError(f"{self.name}: ended at '{message['ev']}': {why}")
        if answer["ev"] == "error":
            status = answer.get("status", 3)
            raise TargetError(str(answer.get("message", "error")), status if status in (2, 3) else 3)
        if answer["ev"] != expected:
            self._kill()
            raise TargetError(f"{self.name}: answered '{answer['ev']}' to '{message['ev']}'")
        return answer

    # --- Target ---------------------------------------------------------------------------------

    def capabilities(self) -> frozenset[str]:
        """What the command said it has, when it said hello."""
        self._spawn()
        assert self._capabilities is not None
        return self._capabilities

    def start(self, header: Header) -> None:
        """A fresh environment; the command is started again if it died or one of its threads hangs."""
        if self._stuck:
            self._kill()
        self._spawn()
        self._asleep.clear()
        self._finished.clear()
        self._ask({"ev": "start", "header": msgspec.to_builtins(header)}, "started")

    def call(self, call: Call) -> Return | None:
        """One call. The command's death is a FAULT, its silence a HANG, both of this call."""
        self._send(msgspec.to_builtins(call))
        answer = self._answer()
        if answer is None:
            self._kill()
            return Return(of=call.n, ret=-1, hang=True)
        if answer["ev"] == "gone":
            why = self._why_gone()
            self._kill()
            return Return(of=call.n, ret=-1, fault=why)
        if answer["ev"] == "asleep" and answer.get("of") == call.n:
            self._asleep.add(call.n)
            return None
        if answer["ev"] == "return" and answer.get("of") == call.n:
            return _return(answer, self.name)
        self._kill()
        raise TargetError(f"{self.name}: answered {json.dumps(answer)[:80]} to call {call.n}")

    def finished(self) -> list[Return]:
        """Returns of sleepers that came with the answers so far."""
        done, self._finished = self._finished, []
        return done

    def look(self, fd: str, actor: str = "main") -> See:
        """The rings of ``fd`` as they are now."""
        return msgspec.convert(self._ask({"ev": "look", "fd": fd, "actor": actor}, "see")["see"], See)

    def address(self, fd: str, ring: str, index: int) -> int:
        """Where the application of ``fd`` has the buffer of a slot."""
        try:
            return int(
                self._ask({"ev": "address", "fd": fd, "ring": ring, "index": index}, "address")["address"]
            )
        except TargetError as error:
            raise ExpressionError(str(error)) from None

    def quiet(self) -> bool:
        """Has the command's environment nothing left to do?"""
        return bool(self._ask({"ev": "quiet"}, "quiet").get("quiet"))

    def stop(self) -> None:
        """End the command: politely, then by force."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(TargetError):
                self._ask({"ev": "stop"}, "stopped", GOODBYE_S)
        self._kill()


def _read(stream: IO[bytes], answers: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Reader thread: every line is an answer; the end of the stream is ``gone``."""
    with contextlib.suppress(OSError, ValueError):
        for line in stream:
            if not line.strip():
                continue
            try:
                answer = json.loads(line)
            except ValueError:
                answer = None
            if not isinstance(answer, dict) or not isinstance(answer.get("ev"), str):
                answer = {"ev": "not an answer: " + line.decode(errors="replace").strip()[:60]}
            answers.put(answer)
    answers.put(_GONE)


def _return(answer: dict[str, Any], name: str) -> Return:
    try:
        return msgspec.convert({k: v for k, v in answer.items() if k != "ev"} | {"ev": "return"}, Return)
    except msgspec.ValidationError as error:
        raise TargetError(f"{name}: malformed return: {error}") from None

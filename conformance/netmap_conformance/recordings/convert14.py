"""Recordings of API 14: one JSON object a finished operation, as the scenario driver wrote them.

``n`` counts the operations of one process, ``who`` names the thread or process of those in the
background. An operation is logged when it ends. An actor starts its next operation when the one before
has ended, so the call of every operation is put there: operations of two actors that may have
overlapped overlap in the trace. Calls keep the recording's numbers.

The ports come from the ``ip link`` commands of the recording; how many rings and slots they have from
what the first successful REGISTER of each said. Where the recorded memory came from is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..scn_ops import background, parse_op
from ..trace import Call, Event, Return, Trace, TraceError
from .lines14 import lines as read_lines
from .lines14 import returned, want
from .ports14 import header

#: Missing operations in a row; more is a slip of the recording.
MAX_HOLE = 1000
#: Bytes of a frame the packet sockets log.
_PREFIX = 20
#: The packet sockets' frames: broadcast, from 02:00:00:00:00:77, local ethertype.
_RAW_HEADER = bytes.fromhex("ffffffffffff02000000007788b5")


@dataclass(slots=True)
class _Actor:
    """One thread or process: the operations it was told to do, and the call that has not ended."""

    process: bool = False
    todo: list[str] = field(default_factory=list)
    running: Call | None = None
    ended: bool = False
    base: int = 0
    counter: _Counter = field(default_factory=lambda: _Counter(1))


@dataclass(slots=True)
class _Counter:
    """The numbers a process and its threads draw when an operation starts: ``expected`` comes next, those in
    ``skipped`` were drawn by operations that have not ended."""

    expected: int
    skipped: set[int] = field(default_factory=set)

    def ended(self, n: int, running: int) -> list[int] | None:
        """The operation ``n`` ended while ``running`` others go on: the operations now known to be
        missing, ``None`` when ``n`` cannot be."""
        if n < self.expected:
            if n not in self.skipped:
                return None
            self.skipped.discard(n)
            return []
        self.skipped.update(range(self.expected, n))
        self.expected = n + 1
        missing = sorted(self.skipped)[: max(0, len(self.skipped) - running)]
        self.skipped.difference_update(missing)
        return missing


class _Converter:
    """State of one conversion; ``events`` grows in order."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.events: list[Event] = []
        self.actors: dict[str, _Actor] = {"main": _Actor(process=True)}
        self.sockets: dict[str, str] = {}
        self._n = 0
        self._numbers: dict[int, int] = {}
        self._processes = 0

    def where(self, number: int) -> str:
        return f"{self.path}:{number}"

    def issue(self, call: Call, number: int, actor: str) -> Call:
        """Record the start of an operation."""
        self._n += 1
        call.n, call.line, call.actor = self._n, number, actor
        self._environment(call, number)
        self.events.append(call)
        return call

    def _environment(self, call: Call, number: int) -> None:
        """Packet sockets become frames on the host side of their port, shell commands the environment's."""
        args = call.args
        if call.op in ("rawsend", "rawrecv"):
            socket = str(args["socket"])
            if socket not in self.sockets:
                raise TraceError(f"{self.where(number)}: there is no packet socket {socket}")
            target = {"port": self.sockets[socket], "side": "host"}
            if call.op == "rawsend":
                data = (_RAW_HEADER + bytes([args["fill"]]) * args["len"])[: args["len"]]
                call.op, call.args = "frame", {**target, "hex": data.hex()}
            else:
                call.op, call.args = "frames", {**target, "count": 1, "prefix": _PREFIX}
        elif call.op == "rawsock":
            self.sockets[str(args["socket"])] = str(args["port"])
            call.op, call.args = "env", {"action": "rawsock", "port": args["port"]}
        elif call.op in ("sh", "cap", "param"):
            call.op, call.args = "env", {"action": call.op, **args}

    def next_of(self, name: str, number: int) -> None:
        """Start the next operation a background actor was told to do, if there is one."""
        actor = self.actors[name]
        if actor.todo and actor.running is None:
            actor.running = self.issue(parse_op(actor.todo.pop(0), self.where(number)), number, name)

    def finish(self, call: Call, line: dict[str, Any], number: int) -> None:
        """Record the end of an operation, which tells its number in the recording."""
        actor = self.actors[call.actor]
        self._numbers[call.n] = actor.base + int(line["n"])
        self.events.append(returned(call, line, number, self.where(number)))

    def renumber(self) -> list[Event]:
        """The events with the recording's own numbers; those of the k-th other process start at 1000 k.

        What has no number of its own (a call that never returned, the end of a process) comes after them.
        """
        free = 1000 * (self._processes + 1)
        for event in self.events:
            if isinstance(event, Call) and event.n not in self._numbers:
                free += 1
                self._numbers[event.n] = free
        for event in self.events:
            if isinstance(event, Call):
                event.n = self._numbers[event.n]
            else:
                event.of = self._numbers[event.of]
        return self.events

    def end(self, name: str, number: int) -> None:
        """A process that has nothing more to do, or was killed, closes what it held."""
        actor = self.actors[name]
        if actor.process and not actor.ended:
            actor.ended = True
            exit_ = self.issue(
                Call(n=0, op="exit", args={"actor": name}, text=f"exit {name}"), number, "main"
            )
            self.events.append(Return(of=exit_.n, line=number))

    def count(self, name: str, n: int, number: int) -> None:
        """Notice operations whose line is missing; they become calls ``lost`` that nobody can judge."""
        actor = self.actors.get(name)
        if actor is None:
            raise TraceError(f"{self.where(number)}: there is no actor {name}")
        others = (a for k, a in self.actors.items() if k != name and a.counter is actor.counter)
        running = sum(a.running is not None for a in others)
        if n > actor.counter.expected + MAX_HOLE:
            raise TraceError(f"{self.where(number)}: operation {n} is far ahead of the one before")
        missing = actor.counter.ended(n, running)
        if missing is None:
            raise TraceError(f"{self.where(number)}: operation {n} is out of order")
        for gone in missing:
            lost = Call(
                n=0, op="lost", args={"number": gone}, text=f"operation {gone}, whose line is missing"
            )
            self.events.append(Return(of=self.issue(lost, number, name).n, line=number))
            self._numbers[lost.n] = actor.base + gone

    # --- lines ----------------------------------------------------------------------------------

    def main_line(
        self, line: dict[str, Any], text: str, number: int, following: tuple[int, str] | None
    ) -> None:
        """An operation of the main process; ``following`` are line and text of its next one."""
        main = self.actors["main"]
        word = text.split()[0]
        call = main.running
        if word in ("bg", "proc"):
            name, ops = background(text, self.where(number))
            old = self.actors.get(name)
            if old is not None and (old.todo or (old.running and not old.ended)):
                raise TraceError(f"{self.where(number)}: {name} is still running")
            counter = _Counter(int(line["n"]) + 1) if word == "proc" else main.counter
            self.actors[name] = _Actor(process=word == "proc", todo=ops, counter=counter)
            if word == "proc":
                self._processes += 1
                self.actors[name].base = 1000 * self._processes
                fork = self.issue(Call(n=0, op="fork", args={"actor": name}, text=text), number, "main")
                self._numbers[fork.n] = int(line["n"])
                self.events.append(Return(of=fork.n, line=number))
            self.next_of(name, number)
        else:
            if call is None:
                call = self.issue(parse_op(text, self.where(number)), number, "main")
            name = str(call.args.get("actor", ""))
            if call.op in ("join", "kill") and name not in self.actors:
                raise TraceError(f"{self.where(number)}: there is no actor {name}")
            if call.op in ("join", "kill"):
                if call.op == "join" and self.actors[name].running and not self.actors[name].ended:
                    raise TraceError(f"{self.where(number)}: {name} has not ended what it was told to do")
                self.end(name, number)
                call.op, call.args = "env", {"action": call.op, "actor": name}
            self.finish(call, line, number)
        main.running = None
        if following is not None and following[1].split()[0] not in ("bg", "proc"):
            later, text = following
            main.running = self.issue(parse_op(text, self.where(later)), later, "main")

    def background_line(self, name: str, line: dict[str, Any], text: str, number: int) -> None:
        """The end of an operation of another actor."""
        actor = self.actors.get(name)
        if actor is None or actor.running is None:
            raise TraceError(f"{self.where(number)}: {name} was not told to do '{text}'")
        if actor.running.text != text:
            raise TraceError(
                f"{self.where(number)}: {name} was told to do '{actor.running.text}', not '{text}'"
            )
        self.finish(actor.running, line, number)
        actor.running = None
        self.next_of(name, number)


def convert14(text: str, path: str) -> Trace:
    """A recording of API 14 as a trace with unknown initial state. Raises :class:`TraceError`."""
    lines = list(read_lines(text, path))
    converter = _Converter(path)
    own = [(number, str(line["op"]).strip()) for number, line in lines if "who" not in line]
    following = {number: own[i + 1] if i + 1 < len(own) else None for i, (number, _) in enumerate(own)}
    for number, line in lines:
        operation = want(line, "op", str, f"{path}:{number}").strip()
        who = line.get("who")
        converter.count(str(who or "main"), want(line, "n", int, f"{path}:{number}"), number)
        if who is None:
            converter.main_line(line, operation, number, following[number])
        else:
            converter.background_line(str(who), line, operation, number)
    return Trace(header=header(lines, path), events=converter.renumber(), path=path)

"""Recordings of API 14: one JSON object a finished operation, as the scenario driver wrote them.

``n`` counts the operations of one process, ``who`` names the thread or process of those in the
background. An operation is logged when it ends. An actor starts its next operation when the one before
has ended, so the call of every operation is put there: operations of two actors that may have
overlapped overlap in the trace.

The ports come from the ``ip link`` commands of the recording; how many rings and slots they have from
what the first successful REGISTER of each said. Where the recorded memory came from is unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..scn_ops import background, parse_op
from ..trace import FORMAT, Call, Event, Header, Port, Return, See, Trace, TraceError

#: What the driver writes; anything else is a malformed recording.
_KNOWN = {
    *("n", "op", "who", "ret", "errno", "hdr", "out", "opts", "nifp", "rings", "revents", "ms", "hex"),
    *("text", "count", "csb", "slots", "value", "pkttype"),
}
_LINK_ADD = re.compile(r"\bip link add (?P<name>\S+)(?P<rest>.*?)\btype veth peer name (?P<peer>[^\s;]+)")
_LINK_MTU = re.compile(r"\bip link set (?P<name>\S+) .*?\bmtu (?P<mtu>\d+)")
_LINK_UP = re.compile(r"\bip link set (?P<name>eth\d+) up\b")
_FULL = ("mmap", "remap", "useext")
#: Missing operations in a row; more is a slip of the recording.
MAX_HOLE = 1000
#: More of a network port is a slip of the recording.
MAX_RINGS, MAX_SLOTS = 1024, 1 << 16
#: Bytes of a frame the packet sockets log.
_PREFIX = 20
#: The packet sockets' frames: broadcast, from 02:00:00:00:00:77, local ethertype.
_RAW_HEADER = bytes.fromhex("ffffffffffff02000000007788b5")


def _want(line: dict[str, Any], key: str, kind: type, where: str) -> Any:
    if not isinstance(line.get(key), kind) or isinstance(line.get(key), bool):
        raise TraceError(f"{where}: '{key}' is {line.get(key)!r}, not {kind.__name__}")
    return line[key]


@dataclass(slots=True)
class _Actor:
    """One thread or process: the operations it was told to do, and the call that has not ended."""

    process: bool = False
    todo: list[str] = field(default_factory=list)
    running: Call | None = None
    ended: bool = False
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
        self.events.append(_return(call, line, number, self.where(number)))

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
                fork = self.issue(Call(n=0, op="fork", args={"actor": name}, text=text), number, "main")
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


def _slots(slots: Any, ring: str, where: str) -> None:
    """A list of slots in ascending order. Raises :class:`TraceError`."""
    if not isinstance(slots, list):
        raise TraceError(f"{where}: the slots of {ring} are {slots!r}, not a list")
    for slot in slots:
        if not (isinstance(slot, list) and len(slot) == 5 and all(isinstance(x, int) for x in slot)):
            raise TraceError(f"{where}: {slot!r} in {ring} is not [index, buf_idx, len, flags, ptr]")
    indices = [slot[0] for slot in slots]
    if indices != sorted(set(indices)):
        raise TraceError(f"{where}: the slots of {ring} are not listed in order: {indices}")


def _return(call: Call, line: dict[str, Any], number: int, where: str) -> Return:
    """What an operation of the recording gave back and showed."""
    done = Return(of=call.n, ret=_want(line, "ret", int, where), line=number)
    errno = _want(line, "errno", str, where)
    done.errno = "" if errno == "0" or done.ret >= 0 else errno
    for key, kind in (("hdr", dict), ("out", dict), ("opts", list), ("nifp", dict), ("rings", dict)):
        if key in line:
            _want(line, key, kind, where)
    done.hdr, done.out, done.options = line.get("hdr"), line.get("out"), line.get("opts")
    if "revents" in line:
        done.revents = _want(line, "revents", str, where).split()
    for key in ("slots", "value", "count", "text"):
        if key in line:
            done.out = {**(done.out or {}), key: line[key]}
    seen = See(nifp=line.get("nifp"))
    for ring, fields in line.get("rings", {}).items():
        if not isinstance(fields, dict):
            raise TraceError(f"{where}: ring {ring} is {fields!r}, not an object")
        shown = dict(fields)
        slots = shown.pop("changed", None)
        seen.slots[ring] = shown.pop("slots", []) if slots is None else slots
        seen.rings[ring] = shown
        _slots(seen.slots[ring], ring, where)
    if "slots" in line:
        _slots(line["slots"], "the line", where)
    if "hex" in line:
        text = _want(line, "hex", str, where)
        if call.op == "frames":
            seen.frames = [text]
        else:
            seen.bytes[f"{call.args['ring']}/{call.args['index']}"] = text
    if "csb" in line:
        seen.kernel = {"csb": line["csb"]}
    if seen != See():
        done.see = seen
    return done


def convert14(text: str, path: str) -> Trace:
    """A recording of API 14 as a trace with unknown initial state. Raises :class:`TraceError`."""
    lines = list(_lines(text, path))
    converter = _Converter(path)
    own = [(number, str(line["op"]).strip()) for number, line in lines if "who" not in line]
    following = {number: own[i + 1] if i + 1 < len(own) else None for i, (number, _) in enumerate(own)}
    for number, line in lines:
        operation = _want(line, "op", str, f"{path}:{number}").strip()
        who = line.get("who")
        converter.count(str(who or "main"), _want(line, "n", int, f"{path}:{number}"), number)
        if who is None:
            converter.main_line(line, operation, number, following[number])
        else:
            converter.background_line(str(who), line, operation, number)
    return Trace(header=_header(lines, path), events=converter.events, path=path)


def _lines(text: str, path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, raw in enumerate(text.splitlines(), 1):
        if not raw.strip():
            continue
        try:
            line = json.loads(raw)
        except ValueError as error:
            raise TraceError(f"{path}:{number}: not JSON: {error}") from None
        if not isinstance(line, dict):
            raise TraceError(f"{path}:{number}: not an object")
        for key in line:
            if key not in _KNOWN:
                raise TraceError(f"{path}:{number}: unknown member '{key}'")
        if not _want(line, "op", str, f"{path}:{number}").strip():
            raise TraceError(f"{path}:{number}: no operation")
        yield number, line


def _count(out: Any, name: str, most: int, where: str) -> int:
    if not isinstance(out, dict):
        raise TraceError(f"{where}: 'out' is {out!r}, not an object")
    value: int = _want(out, name, int, where)
    if not 0 < value <= most:
        raise TraceError(f"{where}: a port cannot have {name} {value}")
    return value


def _shapes(ports: dict[str, Port], lines: list[tuple[int, dict[str, Any]]], path: str) -> None:
    """Rings and slots of each port, from its first successful REGISTER.

    The ends of a pair that shares its rings have the same ones, whichever is bound first.
    """
    known: set[str] = set()
    for number, line in lines:
        words, out = str(line["op"]).split(), line.get("out")
        if len(words) < 3 or words[0] != "reg" or words[2] not in ports or line.get("ret") != 0 or not out:
            continue
        port = ports[words[2]]
        where = f"{path}:{number}"
        shape = {
            t: (
                _count(out, f"nr_{t}_rings", MAX_RINGS, where),
                _count(out, f"nr_{t}_slots", MAX_SLOTS, where),
            )
            for t in ("tx", "rx")
        }
        if port.name not in known:
            known.add(port.name)
            (port.tx_rings, port.tx_slots), (port.rx_rings, port.rx_slots) = shape["tx"], shape["rx"]
        if port.driver == "veth" and port.peer not in known:
            known.add(port.peer)
            peer = ports[port.peer]
            (peer.rx_rings, peer.rx_slots), (peer.tx_rings, peer.tx_slots) = shape["tx"], shape["rx"]


def _port(name: str, peer: str, driver: str) -> Port:
    """A port with this driver of its own, or emulated when it is empty."""
    if driver:
        return Port(name=name, peer=peer, driver=driver)
    return Port(name=name, peer=peer, emulated=True)


def _header(lines: list[tuple[int, dict[str, Any]]], path: str) -> Header:
    native = Path(path).parent.name == "native"
    ports = {"lo": Port(name="lo", kind="host-only", mtu=65536)}
    for _, line in lines:
        command = str(line["op"])
        if not command.startswith("sh "):
            continue
        pair = _LINK_ADD.search(command)
        if pair:
            for name, peer in ((pair["name"], pair["peer"]), (pair["peer"], pair["name"])):
                ports[name] = Port(
                    name=name, peer=peer, emulated=not native, driver="veth" if native else "emulated"
                )
        for name in (m["name"] for m in _LINK_UP.finditer(command)):
            other = {"eth0": "eth1", "eth1": "eth0"}.get(name, "")
            ports[name] = Port(
                name=name, peer=other, emulated=not native, driver="e1000" if native else "emulated"
            )
        for part in command.split(";"):
            mtu = _LINK_MTU.search(part)
            if mtu and mtu["name"] in ports:
                ports[mtu["name"]].mtu = int(mtu["mtu"])
    _shapes(ports, lines, path)
    return Header(
        netmap_trace=FORMAT,
        generation="14",
        title=Path(path).name.split(".")[0],
        target="linux-netmap-native-drivers" if native else "linux-netmap",
        initial="unknown",
        ports=list(ports.values()),
        source=Path(path).name,
        config={"looks": "process"},
    )

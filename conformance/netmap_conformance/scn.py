"""The line language of scenarios and recordings: one operation a line, in a form people can write.

    # title: a receiver that releases in two steps
    # clauses: 14.pipe.rxsync, 14.ring.rx-window
    # ports: v0 nic peer=v1 tx_slots=64 rx_slots=64
    # ports: v1 nic peer=v0 tx_slots=64 rx_slots=64
    # needs: pipe
    open A
    reg A x{1 tx_slots=64 rx_slots=64 flags=NR_NO_TX_POLL
    mmap A
    set B rx0 both=head+2
    bg P poll B in 2000        in another thread; ``proc P op;op`` in another process, ``join P``, ``kill P``
    settle

Every line becomes one :class:`~.trace.Call` (``proc`` several). Numbers are decimal or ``0x``; anything
else stays an expression for the runner (:mod:`.expressions`). :data:`~.scn_ops.FORMS` lists every form.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from .scn_ops import background, parse_op
from .trace import FORMAT, Call, Header, Port, Trace, TraceError

GENERATIONS = ("2011", "14")
_KEYS = ("title", "text", "clauses", "ports", "needs", "generation", "seed")
_COMMENT = re.compile(rf"^#\s*(?P<key>{'|'.join(_KEYS)}):\s*(?P<value>.*)$")


def _list(text: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", text) if word]


def parse_port(text: str, where: str) -> Port:
    """A port of a ``# ports:`` line: ``NAME [KIND] [field=value …]``. Raises :class:`TraceError`."""
    words = text.split()
    if not words:
        raise TraceError(f"{where}: a port has no name")
    fields: dict[str, Any] = {"name": words[0]}
    kinds = {f.name: f.type for f in msgspec.structs.fields(Port)}
    rest = words[1:]
    if rest and "=" not in rest[0]:
        fields["kind"] = rest.pop(0)
    for word in rest:
        key, equals, given = word.partition("=")
        if not equals or key not in kinds:
            raise TraceError(f"{where}: a port has no '{word}'; it has {', '.join(kinds)}")
        if kinds[key] is str:
            fields[key] = given
        elif not re.fullmatch(r"\d+", given):
            raise TraceError(f"{where}: {key} of port {words[0]} is '{given}', not a number")
        else:
            fields[key] = bool(int(given)) if kinds[key] is bool else int(given)
    return Port(**fields)


def parse_scn(text: str, path: str = "<scenario>") -> Trace:
    """A scenario: a trace without returns. Raises :class:`TraceError` naming file and line."""
    header: dict[str, Any] = {"ports": []}
    calls: list[Call] = []
    processes: set[str] = set()

    def add(call: Call, number: int, actor: str = "main") -> None:
        call.n, call.line, call.actor = len(calls) + 1, number, actor
        calls.append(call)

    for number, raw in enumerate(text.splitlines(), 1):
        where, line = f"{path}:{number}", raw.strip()
        if line.startswith("#"):
            comment = _COMMENT.match(line)
            if comment:
                _comment(header, comment["key"], comment["value"].strip(), where)
            continue
        if not line:
            continue
        word = line.split()[0]
        if word in ("bg", "proc"):
            actor, ops = background(line, where)
            if word == "proc":
                if actor in processes:
                    raise TraceError(f"{where}: process {actor} is still there")
                processes.add(actor)
                add(Call(n=0, op="fork", args={"actor": actor}, text=line), number)
            for op in ops:
                add(parse_op(op, where), number, actor)
            continue
        call = parse_op(line, where)
        actor = str(call.args.get("actor", ""))
        if call.op == "join" and actor in processes:
            # A process that is waited for has ended: what it held is gone.
            add(Call(n=0, op="exit", args={"actor": actor}, text=line), number)
        if call.op in ("join", "kill", "exit"):
            processes.discard(actor)
        add(call, number)
    if header.setdefault("generation", "14") not in GENERATIONS:
        raise TraceError(f"{path}:1: generation {header['generation']} is none of {', '.join(GENERATIONS)}")
    return Trace(header=Header(netmap_trace=FORMAT, **header), events=list(calls), path=path)


def _comment(header: dict[str, Any], key: str, text: str, where: str) -> None:
    if key == "ports":
        header["ports"] += [parse_port(part, where) for part in text.split(";")]
    elif key in ("clauses", "needs"):
        header[key] = header.get(key, []) + _list(text)
    elif key == "seed":
        if not re.fullmatch(r"\d+", text):
            raise TraceError(f"{where}: seed '{text}' is not a number")
        header[key] = int(text)
    elif key == "text":
        header[key] = f"{header.get(key, '')} {text}".strip()
    else:
        header[key] = text

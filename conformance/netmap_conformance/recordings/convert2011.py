"""Recordings of generation 2011 as traces. Their form: ``data/recordings/2011/README.md``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..trace import FORMAT, Call, Event, Header, Port, Trace, TraceError
from .calls2011 import to_call, to_return

#: The manifest of the recorded system.
TARGET = "netmap-2011"


def convert2011(text: str, path: str) -> Trace:
    """The trace of one recording. Raises :class:`TraceError` naming file and line when it is malformed."""
    header: Header | None = None
    events: list[Event] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            if header is None:
                header = _header(entry, path)
            else:
                n = len(events) // 2 + 1
                events += _events(entry, n, number)
        except ValueError as error:
            raise TraceError(f"{path}:{number}: not a recording of generation 2011: {error}") from None
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise TraceError(f"{path}:{number}: not a recording of generation 2011: {_what(error)}") from None
    if header is None:
        raise TraceError(f"{path}:1: the file is empty")
    return Trace(header=header, events=events, path=path)


def _what(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else f"wrong types ({error})"


def _header(entry: dict[str, Any], path: str) -> Header:
    """Pool limits, interfaces and the first state go to ``config``, where the model finds them."""
    config = entry["config"]
    ports = [
        Port(
            name=iface["name"],
            tx_rings=iface["num_queues"],
            rx_rings=iface["num_queues"],
            tx_slots=iface["num_tx_desc"],
            rx_slots=iface["num_rx_desc"],
        )
        for iface in config["ifs"]
    ]
    return Header(
        netmap_trace=FORMAT,
        generation="2011",
        title=f"{entry['profile']} processes, seed {entry['seed']}",
        target=TARGET,
        ports=ports,
        seed=entry["seed"],
        source=Path(path).name,
        config={**config, "profile": entry["profile"], "initial": entry["state"]},
    )


def _events(entry: dict[str, Any], n: int, line: int) -> list[Event]:
    op, fd, args = to_call(entry["op"], entry["args"], entry["ret"])
    call = Call(n=n, op=op, fd=fd, args=args, text=entry["op"], line=line)
    returned = to_return(n, entry["op"], entry)
    returned.line = line
    return [call, returned]

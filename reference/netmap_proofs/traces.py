"""Smallest traces as obligations: one row of calls on a device of its own, and what must be so after it.

For promises about what follows upon what, where one trace says it. The same trace is proved for the contract
and refuted with a deviation switched on: exactly its last promise fails then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from netmap_reference.core.choice import eager
from netmap_reference.gen14 import header, situations
from netmap_reference.gen14.result import Result
from netmap_reference.gen14.world import PortConfig, World
from netmap_spec.abi import api14

from .engine import Proof
from .mutation.planting import Slip, standing_in
from .obligation import Control, obligation
from .schemas import Cases

#: A trace tells its goals one after the other, and whether each holds.
Goals = Iterator[tuple[str, bool]]
Trace = Callable[[World], Goals]
#: The goal about the calls that lead there, which every reading owes.
OTHERS = "the requests before it succeed"

_HEADER = header.check_header
_BREAKS = Slip(_HEADER, "reserved != 0 -> reserved == 0")


# --- calls -----------------------------------------------------------------------------------------------


def register(w: World, fd: str, **fields: Any) -> Result:
    """REGISTER."""
    return w.register(fd, fields, eager)


def bind(w: World, fd: str, **fields: Any) -> Result:
    """Open a descriptor and REGISTER it."""
    w.open(fd)
    return register(w, fd, **fields)


def ask(w: World, fd: str, request: str, **fields: Any) -> Result:
    """Another request of NIOCCTRL."""
    return w.ctl(fd, request, fields, eager)


def good(*results: Result) -> bool:
    """All of them succeeded."""
    return all(each.outcome.ok for each in results)


def faults(*results: Result) -> bool:
    """One of them was the kernel's end."""
    return any(each.outcome.kind in ("FAULT", "HANG") for each in results)


def fill(w: World, fd: str, ring: str, *packets: bytes, ptr: int = 0, flags: int = 0) -> None:
    """Packets into the slots from head on, which are handed over with the next sync."""
    view = w.ring(fd, ring)
    for data in packets:
        slot = view.slot[view.head]
        at, _ = w.buffer(fd, slot.buf_idx)
        w.region(fd).write(at + ptr, data)
        slot.len, slot.flags, slot.ptr = len(data), flags, ptr
        view.head = view.cur = (view.head + 1) % view.num_slots


def send(w: World, fd: str, *packets: bytes, ring: str = "tx0", ptr: int = 0) -> Result:
    """Packets, and a txsync."""
    fill(w, fd, ring, *packets, ptr=ptr)
    return w.txsync(fd, eager)


def shown(w: World, fd: str, ring: str = "rx0") -> list[bytes]:
    """The packets between head and tail, each from its slot's offset on."""
    view, found = w.ring(fd, ring), []
    i = view.head
    while i != view.tail:
        slot = view.slot[i]
        at, _ = w.buffer(fd, slot.buf_idx)
        into = slot.ptr & view.offset_mask
        found.append(w.region(fd).read(at + into, slot.len))
        i = (i + 1) % view.num_slots
    return found


def take(w: World, fd: str, ring: str = "rx0", flags: int = 0) -> list[bytes]:
    """Everything that an rxsync shows; it is given back, marked with ``flags``, with the next one."""
    w.rxsync(fd, eager)
    found, view = shown(w, fd, ring), w.ring(fd, ring)
    while view.head != view.tail:
        view.slot[view.head].flags |= flags
        view.head = view.cur = (view.head + 1) % view.num_slots
    return found


def frame(fill_with: int, to: bytes = b"\xff" * 6, source: int = 9) -> bytes:
    """A frame of 60 bytes."""
    return to + bytes((2, 0, 0, 0, 0, source)) + b"\x88\xb5" + bytes((fill_with,)) * 46


# --- obligations ------------------------------------------------------------------------------------------


def traced(trace: Trace, ports: Sequence[PortConfig] = situations.PORTS) -> Callable[..., None]:
    """The body of a trace: every goal it gives."""

    def body(p: Proof, *functions: Callable[..., Any]) -> None:
        cases = Cases(p, "traces")
        cases.case(trace=trace.__name__)
        with standing_in(functions):
            for goal, holds in trace(World(ports, p.switches)):
                cases.goal(goal, holds)
                if goal == OTHERS and not holds:
                    break  # what follows needs them
        cases.end()

    body.__module__ = trace.__module__  # what a cached result depends on
    return body


def promise(
    id: str,
    clauses: Iterable[str],
    trace: Trace,
    switch: str,
    finding: str,
    goal: str,
    said: str,
    as_written: str,
    ports: Sequence[PortConfig] = situations.PORTS,
    also: Iterable[str] = (),
) -> None:
    """Two obligations: what is ``said`` holds in the trace, and ``goal`` fails with ``switch`` on.

    ``as_written`` says in words what happens then; ``also``: deviations that bring it about together.
    """
    both = partial(
        obligation,
        clauses=clauses,
        functions=(_HEADER,),
        control=Control("every request is refused", _BREAKS, goal=OTHERS),
        bounds="The one trace that shows it; nothing in it depends on a size.",
        rules=(),
        whole_device=True,
    )
    body = traced(trace, ports)
    both(id, statement=said)(body)
    both(
        f"{id}.as-written",
        statement=f"As {id}, but {as_written}.",
        switches={switch, *also},
        finding=finding,
        refutes={goal},
    )(body)


#: What a transmit ring's monitor asks for.
MONITOR_TX, MONITOR_RX = "NR_MONITOR_TX", "NR_MONITOR_RX"
FORWARD = api14.NR_FORWARD

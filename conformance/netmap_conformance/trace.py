"""Traces: what was done to a netmap implementation and what was seen, one JSON object a line.

A trace is a header and then **call** and **return** events. A *scenario* is a trace without
returns. The same file feeds the oracle, the differ, replay, the shrinker and the pictures; its
JSON Schema is ``netmap_spec/schemas/trace.schema.json``.

    {"netmap_trace": 1, "generation": "14", "initial": "known", "ports": [...], ...}
    {"ev": "call", "n": 1, "actor": "main", "op": "open", "fd": "A"}
    {"ev": "return", "of": 1, "ret": 0}
    {"ev": "call", "n": 2, "actor": "main", "op": "txsync", "fd": "A"}
    {"ev": "return", "of": 2, "ret": 0, "see": {"rings": {"tx0": {"head": 3, ...}}}}

Operations (``op``) and their arguments (``args``):

``open`` · ``close`` · ``dup to`` · ``fork actor`` · ``exit`` (of an actor's process, also by ``kill``)
    descriptors by name (``fd``), processes and threads by ``actor``.
``register name mode flags ringid tx_slots rx_slots tx_rings rx_rings mem_id extra_bufs host_tx_rings
host_rx_rings options``
    NIOCCTRL with NETMAP_REQ_REGISTER; fields without their ``nr_``; returns ``out`` and ``hdr``.
``ctl request name …``
    any other NIOCCTRL request. ``legacy request name …``: NIOCGINFO, NIOCREGIF (2011: all ioctls).
    ``options`` are mappings: ``type`` (a name or number), ``size``, ``next`` (an index, -1 for the end, -2
    for a bad pointer; the one that follows by default) and the type's own fields. ``header`` says what is
    unusual about it: ``reserved``, ``nobody``, ``body`` (one where none belongs), ``badbody``, ``robody``,
    ``badopt``. The return's ``options`` have ``type``, ``status`` (an errno's name or number), ``size`` and
    fields.
``parse how texts`` (``request files enable disable``)
    a library (``nm_open`` or ``nmport``) reads port specifications one after the other, up to the first it
    can read.
``mmap`` · ``munmap``
    the return is a full checkpoint of the descriptor's ``nifp`` and rings.
``set ring head cur tail flags`` · ``slot ring index buf_idx len flags ptr`` · ``bytes ring index offset hex``
    the application's own stores into the shared region. A scenario may give an expression
    (``"head+2"``, ``"tail"``, ``"num-1"``, ``"extra:A:0"``, ``"@A:tx0:3"``); the return's ``wrote`` has
    the values.
``send ring count len dst src`` · ``eth ring index dst src len fill`` ·
``fill ring index offset count fill`` · ``swap ring index fd2 ring2 index2``
    stores in one: fill ``count`` slots from head and advance head and cur; one Ethernet frame into a slot;
    a run of bytes; exchange two slots' buffers and set NS_BUF_CHANGED on both.
``show`` · ``slots ring index count`` · ``bytes ring index offset count``
    only look; ``bytes`` reads ``count`` bytes when it has no ``hex``.
``txsync`` · ``rxsync`` · ``poll events timeout_ms how`` (``how``: poll, select, epoll or kqueue)
``epset events edge`` · ``epwait``
    the descriptor is put into its process's epoll set, level or edge-triggered; what a wait for that set,
    without a timeout, tells of it (``revents``).
``frame port side hex`` (the environment delivers a frame to the wire or host side) · ``frames port side``
    (collect what came out there) · ``link port up`` (its interface) ·
    ``reset port`` (its device starts again) · ``detach port`` (its driver goes) ·
    ``attach port`` (its interface, which had gone, is registered again) ·
    ``resize port tx_rings rx_rings tx_slots rx_slots`` (its interface is given other rings) ·
    ``unload`` (netmap's module goes, and is loaded again; EBUSY when it does not go) ·
    ``sysctl name value`` · ``env action …`` (2011: nic_tx, irq …)
``csbset index head cur kick flags`` · ``kick index`` · ``irq index timeout_ms`` · ``gsync index force``
    a descriptor in CSB mode: stores into an entry (kick: appl_need_kick, flags: sync_flags), a write to its
    ioeventfd, a read of its irqfd (returns 8 when there was a signal, 0 when not), and what a guest's driver
    does to sync a ring through its entry.
``join actor`` · ``kill actor`` · ``sleep ms`` (wait for an actor's calls, end its process, let time pass)
``lost number`` (a recording has a hole here) · ``env action …`` also stands for shell commands, parameters
    and packet sockets of recordings
``fail point passes``
    in the next request, open or mmap the internal step ``point`` fails, after ``passes`` of it that go well
``settle``
    drive the environment to a fixpoint; afterwards every "must eventually" clause is due.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

FORMAT = 1


class TraceError(ValueError):
    """A trace file is malformed; the message is one line and names the line number."""


class Port(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A port the scenario needs before its first step.

    ``kind`` is ``nic`` or ``host-only``; ``peer`` the port at the other end of its wire, empty for a wire
    the environment holds; ring and slot counts are those of the device. ``driver`` says how its driver
    behaves (``generic nic``, ``veth``, ``e1000``); ``emulated`` that netmap goes through the stock driver.
    """

    name: str
    kind: str = "nic"
    peer: str = ""
    tx_rings: int = 1
    rx_rings: int = 1
    tx_slots: int = 1024
    rx_slots: int = 1024
    emulated: bool = False
    mtu: int = 1500
    driver: str = "generic nic"


class Header(msgspec.Struct, omit_defaults=True, kw_only=True):
    """First line of a trace.

    ``initial`` is ``known`` (a fresh device) or ``unknown`` (pool contents, ids, offsets and leftover
    ring fields are bound at first sight). ``clauses`` are those the scenario is about; ``needs`` the
    capabilities a target must have; ``source`` says where a recording comes from.
    """

    netmap_trace: int
    generation: Literal["2011", "14"]
    title: str = ""
    text: str = ""
    target: str = ""
    abi: str = ""
    initial: Literal["known", "unknown"] = "known"
    ports: list[Port] = []
    clauses: list[str] = []
    needs: list[str] = []
    seed: int | None = None
    source: str = ""
    config: dict[str, Any] = {}


class Call(msgspec.Struct, omit_defaults=True, kw_only=True, tag_field="ev", tag="call"):
    """The start of an operation. ``n`` numbers calls from 1; ``line`` is the line of its file."""

    n: int
    op: str
    fd: str = ""
    actor: str = "main"
    args: dict[str, Any] = {}
    text: str = ""
    line: int = 0


class See(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What the caller could see afterwards.

    ``rings``: every field of each registered ring by name (``tx0``, ``rx1``; host rings count on after the
    hardware ones). ``slots``: ``[index, buf_idx, len, flags, ptr]`` of the slots that changed since this
    descriptor was looked at last (all that are listed, when ``full``). ``bytes``: ``"tx0/3" -> hex``.
    ``csb``: the entries of a descriptor in CSB mode, in their order, every word by its C name.
    ``kernel``: white-box state, where the implementation shows it (2011 recordings).
    """

    full: bool = False
    nifp: dict[str, Any] | None = None
    rings: dict[str, dict[str, Any]] = {}
    slots: dict[str, list[list[int]]] = {}
    bytes: dict[str, str] = {}
    frames: list[str] | None = None
    csb: list[dict[str, int]] | None = None
    kernel: Any = None


class Return(msgspec.Struct, omit_defaults=True, kw_only=True, tag_field="ev", tag="return"):
    """The end of operation ``of``.

    ``ret`` is the C return value; ``errno`` an errno's name when it failed; ``fault`` the source lines or the
    signal when the kernel or the target died in the call; ``hang`` when it did not come back.
    ``out``, ``hdr`` and ``options`` are what a request copied back; ``revents`` the names poll reported;
    ``events`` white-box events (locks, wake-ups) where the implementation shows them.
    """

    of: int
    ret: int = 0
    errno: str = ""
    fault: str = ""
    hang: bool = False
    wrote: dict[str, Any] | None = None
    out: dict[str, Any] | None = None
    hdr: dict[str, Any] | None = None
    options: list[dict[str, Any]] | None = None
    revents: list[str] | None = None
    see: See | None = None
    events: list[Any] | None = None
    line: int = 0


Event = Call | Return


class Trace(msgspec.Struct, kw_only=True):
    """A header and its events."""

    header: Header
    events: list[Event]
    path: str = ""

    def calls(self) -> Iterator[Call]:
        """The stimuli alone, in order."""
        return (e for e in self.events if isinstance(e, Call))

    def scenario(self) -> Trace:
        """The same stimuli without observations."""
        return Trace(header=self.header, events=list(self.calls()), path=self.path)


_encode = msgspec.json.Encoder().encode
_header = msgspec.json.Decoder(Header)
_event = msgspec.json.Decoder(Event)


def read_text(path: Path) -> str:
    """The text of a file, gzip or not. Raises :class:`TraceError` when it is neither text nor gzip."""
    raw = path.read_bytes()
    try:
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        return raw.decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}:1: not a text file: {error}") from None


def parse(text: str, path: str = "<trace>") -> Trace:
    """A trace in this project's own format. Raises :class:`TraceError` naming the line."""
    header: Header | None = None
    events: list[Event] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            if header is None:
                header = _header.decode(line)
            else:
                event = _event.decode(line)
                event.line = event.line or number
                events.append(event)
        except msgspec.MsgspecError as error:
            raise TraceError(f"{path}:{number}: {error}") from None
    if header is None:
        raise TraceError(f"{path}:1: no header line")
    if header.netmap_trace != FORMAT:
        raise TraceError(f"{path}:1: trace format {header.netmap_trace}, this version reads {FORMAT}")
    return Trace(header=header, events=events, path=path)


def dump(trace: Trace) -> str:
    """The trace as JSON Lines."""
    lines: Iterable[Any] = [trace.header, *trace.events]
    return "".join(_encode(line).decode() + "\n" for line in lines)


def write(trace: Trace, path: Path) -> None:
    """Store the trace; ``.gz`` names are compressed."""
    data = dump(trace).encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)

"""The application's half of a target: its own stores into the shared region, operation by operation.

:class:`Api14Target` runs the operations that are no system calls over :class:`~.mapping.Mapping`,
the same way for every target that has a real region, and leaves the system calls to its subclass.
Arguments come resolved: the runner has replaced every expression by a number.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from typing import Any

from netmap_spec.abi import api14

from ..trace import Call, Return, See
from .mapping import Mapping, MappingError

ETHERTYPE = bytes.fromhex("88b5")
PACKET = 60


def frame(length: int, dst: str = "ff", src: str = "1", fill: int = 0) -> bytes:
    """An Ethernet frame of ``length`` bytes: last octets of the addresses, local ethertype, ``fill``.

    ``ff`` as destination is broadcast, other octets complete ``02:00:00:00:00:XX``.
    """

    def address(octet: str) -> bytes:
        value = int(octet, 16)
        return b"\xff" * 6 if value == 0xFF else bytes((2, 0, 0, 0, 0, value))

    return (address(dst) + address(src) + ETHERTYPE + bytes([fill]) * max(0, length - 14))[:length]


class Api14Target(ABC):
    """A target of generation 14 whose mappings can be looked at."""

    name = ""

    @abstractmethod
    def mapping(self, fd: str, actor: str = "main") -> Mapping | None:
        """The mapping that ``actor``'s process has of ``fd``, ``None`` while it has none."""

    def csb(self, fd: str) -> list[dict[str, int]] | None:
        """The entries of a descriptor in CSB mode; a target that has none keeps this."""
        return None

    @abstractmethod
    def system_call(self, call: Call) -> Return | None:
        """Everything that is not an application's own access to the region."""

    def call(self, call: Call) -> Return | None:
        """Execute one call and look at its descriptor's rings afterwards."""
        store = getattr(self, f"do_{call.op}", None)
        try:
            done = self.system_call(call) if store is None else self._store(store, call)
            if done is not None:
                self.observe(call, done)
        except MappingError as error:
            return Return(of=call.n, ret=-1, fault=f"application: {error}")
        return done

    def _store(self, store: Any, call: Call) -> Return:
        done = Return(of=call.n)
        mapping = self.mapping(call.fd, call.actor)
        if mapping is None:
            # An application without a mapping has nowhere to store to; nothing was done.
            done.ret, done.errno = -1, "EFAULT"
            return done
        try:
            store(mapping, call.args | {"actor": call.actor}, done)
        except (KeyError, IndexError, struct.error) as error:
            done.ret, done.errno = -1, "EFAULT"
            done.events = [["application", str(error).strip("'\"")]]
        return done

    def observe(self, call: Call, done: Return) -> None:
        """Attach what the caller sees: everything after an mmap, the changes after anything else."""
        mapping = self.mapping(call.fd, call.actor) if call.fd else None
        if mapping is None or done.fault or done.hang or not call.args.get("look", True):
            return
        seen = mapping.look(full=call.op in ("mmap", "remap") and done.ret != -1)
        if done.see is not None:
            seen.bytes = done.see.bytes
            seen.frames = done.see.frames
        seen.csb = self.csb(call.fd)
        done.see = seen

    def look(self, fd: str, actor: str = "main") -> See:
        """Everything ``fd`` sees now, without changing what the next delta is relative to.

        ``nifp`` also has ``extra``: the list of extra buffers, as long as it is one.
        """
        mapping = self.mapping(fd, actor)
        if mapping is None:
            return See()
        see = mapping.again().look(full=True)
        assert see.nifp is not None
        see.nifp["extra"] = mapping.extra()
        return see

    # --- stores ---------------------------------------------------------------------------------

    def do_show(self, mapping: Mapping, args: dict[str, Any], done: Return) -> None:
        """Only look: every call is followed by a look."""
        mapping.nifp()

    do_slots = do_show

    def do_set(self, mapping: Mapping, args: dict[str, Any], done: Return) -> None:
        """Store words of a ring."""
        mapping.set_ring(args["ring"], {k: v for k, v in args.items() if k not in ("ring", "actor")})

    def do_slot(self, mapping: Mapping, args: dict[str, Any], done: Return) -> None:
        """Store fields of a slot."""
        values = {k: v for k, v in args.items() if k not in ("ring", "index", "actor")}
        mapping.set_slot(args["ring"], args["index"], values)

    def do_swap(self, mapping: Mapping, args: dict[str, Any], done: Return) -> None:
        """Exchange the buffers of two slots, perhaps of two descriptors; both get NS_BUF_CHANGED."""
        other = self.mapping(args.get("fd2", ""), args["actor"])
        first = mapping.slot(args["ring"], args["index"])
        second = (other or mapping).slot(args["ring2"], args["index2"])
        first.buf_idx, second.buf_idx = second.buf_idx, first.buf_idx
        for slot in (first, second):
            slot.flags |= api14.NS_BUF_CHANGED

    def do_send(self, mapping: Mapping, args: dict[str, Any], done: Return) -> None:
        """Fill ``count`` slots from head with frames and move head and cur past them; no sync."""
        ring = mapping.ring(args["ring"])
        length = args.get("len", PACKET)
        at = ring.head
        for i in range(args["count"]):
            slot = ring.slot[at]
            data = frame(length, args.get("dst", "ff"), args.get("src", "1"), i % 256)
            mapping.write(mapping.buffer(args["ring"], at), data)
            slot.len, slot.flags = length, 0
            at = at + 1 if at + 1 < ring.num_slots else 0
        ring.head = ring.cur = at

    def do_eth(self, mapping: Mapping, args: dict[str, Any], done: Return) -> None:
        """Write one frame into the buffer of a slot and set the slot's len."""
        data = frame(args["len"], args.get("dst", "ff"), args.get("src", "1"), args.get("fill", 0))
        mapping.write(mapping.buffer(args["ring"], args["index"]), data)
        mapping.set_slot(args["ring"], args["index"], {"len": args["len"]})

    def do_fill(self, mapping: Mapping, args: dict[str, Any], done: Return) -> None:
        """Write ``count`` bytes ``fill`` from ``offset`` into the buffer of a slot."""
        at = mapping.buffer(args["ring"], args["index"]) + args["offset"]
        mapping.write(at, bytes([args["fill"]]) * args["count"])

    def do_bytes(self, mapping: Mapping, args: dict[str, Any], done: Return) -> None:
        """Read ``count`` bytes of a slot's buffer, or write ``hex`` into it."""
        at = mapping.buffer(args["ring"], args["index"]) + args.get("offset", 0)
        if "hex" in args:
            mapping.write(at, bytes.fromhex(args["hex"]))
        data = mapping.read(at, args.get("count", 16 if "hex" not in args else len(args["hex"]) // 2))
        done.see = See(bytes={f"{args['ring']}/{args['index']}": data.hex()})

"""One candidate against what one return shows: every field, modulo the bindings.

:func:`compare` binds what is seen for the first time (in the candidate, which it owns) and lists what does
not fit, each :class:`Mismatch` with the field it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from netmap_reference.gen14 import memory, parameters
from netmap_reference.gen14.ports.vale_device import USER_BASE
from netmap_reference.gen14.world import Result

from ..targets.mapping import NIFP_FIELDS, SLOT, changed_slots
from ..trace import Call, Return, See
from .candidate import Candidate, View
from .requests import REQUESTS, Mismatch, compare_request

#: Fields of a ring that have to be equal as they are.
EQUAL = ("num_slots", "nr_buf_size", "ringid", "head", "cur", "tail", "offset_mask", "buf_align")
#: Calls that show everything, and set what later changes are relative to.
CHECKPOINTS = ("mmap", "remap", "useext")
_SLOT_FIELDS = ("buf_idx", "len", "flags", "ptr")


class Comparison:
    """One return against one candidate that has just made the call with ``result``."""

    def __init__(
        self,
        c: Candidate,
        call: Call,
        done: Return,
        result: Result,
        view: View,
        known: bool,
        errno_name: Callable[[int | str], str],
    ) -> None:
        self.c = c
        self.call = call
        self.done = done
        self.result = result
        self.view = view
        self.known = known
        self.errno_name = errno_name
        self.found: list[Mismatch] = []

    def run(self) -> list[Mismatch]:
        """Everything that does not fit."""
        if not self._outcome():
            return self.found
        ok = self.result.outcome.ok
        if self.call.op in REQUESTS:
            self.found += compare_request(self.c, self.call, self.done, self.result, self.errno_name)
        if ok and self.call.op in ("poll", "epwait"):
            self._revents()
        if self.call.op in ("param", "env") and self.result.out:
            self._parameter()
        if self.call.op == "module" and self.result.out.get("ports", []) != (self.done.out or {}).get(
            "ports", []
        ):
            self.differ("told", self.result.out["ports"], self.done.out, clause="14.callbacks.dtor")
        if self.done.see is not None:
            self._see(self.done.see)
        return self.found

    def differ(self, field: str, allowed: Any, seen: Any, ring: str = "", clause: str = "") -> None:
        self.found.append(Mismatch(field, str(allowed), str(seen), ring, clause))

    def _parameter(self) -> None:
        """What was stored, or what the global region is now, if it is known."""
        name, value = str(self.call.args.get("name", "")), self.result.out["value"]
        seen = (self.done.out or {}).get("value")
        if name not in parameters.CURRENT:
            if seen not in (None, value):
                self.differ("param", f"{value}, as it was stored", seen)
        elif seen not in (None, value, self.result.out.get("either")) and (
            self.known or self.c.world.system().allocators[memory.GLOBAL_ID].asked
        ):
            self.differ("param", f"{value}, as it is now", seen, clause="14.memory.current")

    # --- the call -------------------------------------------------------------------------------

    def _outcome(self) -> bool:
        expected, done = self.result.outcome, self.done
        if done.fault or done.hang:
            if expected.kind != ("FAULT" if done.fault else "HANG"):
                self.differ("outcome", expected, f"FAULT({done.fault})" if done.fault else "HANG")
            return False
        if self.call.op == "irq" and expected.ok:
            return self._signalled()
        failed = bool(done.errno) or done.ret < 0
        if expected.ok:
            if failed:
                self.differ("ret", "OK", self._failure())
            elif self.call.op not in ("poll", "epwait") and self.call.op not in FREE_RET and done.ret != 0:
                self.differ("ret", "0", done.ret)
            return not failed
        if expected.kind != "ERRNO":
            self.differ("outcome", expected, self._failure() if failed else "OK")
        elif not failed:
            self.differ("ret", expected, f"OK (ret {done.ret})")
        elif self.errno_name(done.errno) != expected.detail:
            self.differ("errno", expected.detail, self.errno_name(done.errno))
        # A call that failed as it should may still have changed its rings: a rejected one is put back.
        return not self.found

    def _signalled(self) -> bool:
        """An irqfd has something to read exactly when it was signalled since; how often is not looked at."""
        signalled = self.result.out["count"] > 0
        if signalled != (self.done.ret > 0):
            self.differ(
                "irq", "a signal" if signalled else "no signal", "one" if self.done.ret > 0 else "none"
            )
        return not self.found

    def _csb(self, seen: list[dict[str, int]]) -> None:
        """Every word of every entry."""
        entries = self.c.world.csb(self.call.fd)
        if entries is None or len(entries) != len(seen):
            count = "no entries" if entries is None else f"{len(entries)} entries"
            self.differ("csb", count, f"{len(seen)} entries", clause="14.csb.entries")
            return
        rings = list(self.c.world.rings(self.call.fd))
        for ring, ours, theirs in zip(rings, entries, seen, strict=True):
            for word, value in ours.items():
                if word in theirs and theirs[word] != value:
                    self.differ(f"csb.{word}", value, theirs[word], ring)

    def _failure(self) -> str:
        return f"ERRNO({self.errno_name(self.done.errno)})" if self.done.errno else f"ret {self.done.ret}"

    def _bind(self, kind: tuple[str, int], model: int, seen: int, field: str, ring: str = "") -> bool:
        if self.c.binds.bind(kind, model, seen):
            return True
        known, other = self.c.binds.seen(kind, model), self.c.binds.model(kind, seen)
        allowed = known if known is not None else f"one nothing else has (model's {other} has it)"
        self.differ(field, allowed, seen, ring)
        return False

    def _revents(self) -> None:
        events = frozenset(self.done.revents or ())
        if events != self.result.revents:
            self.differ("revents", _names(self.result.revents), _names(events))
        elif not events and int(self.call.args.get("timeout_ms", 0)) < 0:
            self.differ("revents", "sleeping until something is ready", "nothing")
        elif self.done.ret != int(bool(events)):
            self.differ("ret", int(bool(events)), self.done.ret)

    # --- the shared region ----------------------------------------------------------------------

    def _see(self, see: See) -> None:
        fd = self.call.fd
        if see.csb is not None:
            self._csb(see.csb)
        if not (see.rings or see.nifp or see.bytes):
            return
        if not self.c.bound(fd) and self.call.op == "useext":
            return  # memory that is nobody's region
        if not self.c.bound(fd):
            self.differ("see", "nothing: the descriptor is not bound", f"rings {', '.join(see.rings)}")
            return
        if see.nifp is not None:
            self._nifp(fd, see.nifp)
        rings = self.c.world.rings(fd)
        if (see.rings or see.nifp) and set(see.rings) != set(rings):
            self.differ("rings", ", ".join(sorted(rings)) or "none", ", ".join(sorted(see.rings)) or "none")
            return
        for ring, fields in see.rings.items():
            if self._ring(fd, ring, fields):
                self._slots(fd, ring, fields, see)
        for place, data in see.bytes.items():
            ring, index = place.split("/")
            self._bytes(fd, ring, int(index), bytes.fromhex(data))
        for listed in (self.done.out or {}).get("slots", []) if self.call.op == "slots" else []:
            self._slot(fd, str(self.call.args["ring"]), listed)

    def _nifp(self, fd: str, seen: dict[str, Any]) -> None:
        nifp = self.c.world.nifp(fd)
        mem = self.c.memory(fd)
        for name in NIFP_FIELDS:
            if name not in seen:
                continue
            value = getattr(nifp, name)
            if name == "ni_bufs_head":
                self._buf(mem, value, seen[name], f"nifp.{name}")
            elif value != seen[name]:
                self.differ(f"nifp.{name}", value, seen[name])
        total = nifp.ni_tx_rings + nifp.ni_rx_rings + nifp.ni_host_tx_rings + nifp.ni_host_rx_rings
        offsets = [nifp.ring_ofs[i] for i in range(total)]
        base = self.c.binds.seen(("nifp", mem), nifp.off)
        if base is not None and "ring_ofs" in seen:
            self._ring_offsets(mem, nifp.off, offsets, base, seen["ring_ofs"])
        extra = self.c.extra.get(fd, ())
        if "extra" in seen:
            if len(extra) != len(seen["extra"]):
                self.differ("nifp.extra", f"{len(extra)} buffers", f"{len(seen['extra'])} buffers")
            for model, number in zip(extra, seen["extra"], strict=False):
                self._buf(mem, model, number, "nifp.extra")

    def _ring_offsets(self, mem: int, at: int, model: list[int], base: int, seen: list[int]) -> None:
        if len(model) != len(seen):
            self.differ("nifp.ring_ofs", f"{len(model)} entries", f"{len(seen)} entries")
            return
        for i, (ours, theirs) in enumerate(zip(model, seen, strict=True)):
            if bool(ours) != bool(theirs):
                self.differ("nifp.ring_ofs", f"{'a ring' if ours else 'no ring'} in entry {i}", theirs)
            elif ours:
                self._bind(("ring", mem), at + ours, base + theirs, "nifp.ring_ofs")

    def _ring(self, fd: str, ring: str, seen: dict[str, Any]) -> bool:
        """The ring's own fields. ``False`` when its size differs: then its slots cannot be compared."""
        view = self.c.world.ring(fd, ring)
        mem = self.c.memory(fd)
        self._leftovers(view, mem, self.c.full_name(fd, ring), ring, seen)
        for field in EQUAL:
            value = getattr(view, field)
            if field in seen and value != seen[field]:
                self.differ(field, value, seen[field], ring)
                if field == "num_slots":
                    return False
        if "dir" in seen:  # which number stands for which direction is the kernel's choice
            self._bind(("dir", 0), view.dir, seen["dir"], "dir", ring)
        where = self.c.binds.seen(("ring", mem), view.off)
        if where is not None and "buf_ofs" in seen:
            start = self.c.world.system().allocators[mem].buf_offset(0)
            self._bind(("buffers", mem), start, where + seen["buf_ofs"], "buf_ofs", ring)
        return True

    def _leftovers(self, view: Any, mem: int, full: str, ring: str, seen: dict[str, Any]) -> None:
        """``flags`` and the time stamp: a new ring may still have those of the memory's last user.

        A private memory was made in this trace; who used the global one before may be unknown.
        """
        first = full not in self.c.known
        fresh = self.known or self.c.world.system().allocators[mem].private
        self.c.known |= {full}
        if "flags" in seen and view.flags != seen["flags"]:
            if first and (not fresh or seen["flags"] == 0):
                view.flags = seen["flags"]
            else:
                self.differ("flags", view.flags, seen["flags"], ring)
        stamped = int(bool(view.ts_sec or view.ts_usec))
        if "ts_set" in seen and stamped != seen["ts_set"]:
            if first and (not fresh or not seen["ts_set"]):
                view.ts_sec, view.ts_usec = seen["ts_set"], 0
            else:
                self.differ("ts_set", stamped, seen["ts_set"], ring)

    # --- slots and bytes ------------------------------------------------------------------------

    def _slots(self, fd: str, ring: str, fields: dict[str, Any], see: See) -> None:
        view = self.c.world.ring(fd, ring)
        now = view.mem.read(view.off + view.SIZE, SLOT * view.num_slots)
        base = self.c.looks.get((self.view, ring))
        self.c.looks[self.view, ring] = now
        listed = see.slots.get(ring, [])
        if fields.get("slots_consecutive") and listed:
            self._consecutive(fd, now, listed[0])
        count = 0
        for entry in listed:
            count += self._slot(fd, ring, entry)
            if count > 3:
                return
        if self.call.op in CHECKPOINTS:
            if see.full and len(listed) != view.num_slots:
                self.differ("slot", f"{view.num_slots} slots", f"{len(listed)} listed", ring)
            return
        if base is None or count:
            return
        changed = {entry[0]: entry for entry in changed_slots(base, now)} if base != now else {}
        total = fields.get("n_changed", len(listed))
        shown = {entry[0] for entry in listed}
        missing = sorted(set(changed) - shown)
        if missing and total != len(changed):
            self.differ("slot", self._slot_words(fd, changed[missing[0]]), "slot unchanged", ring)
        extra = sorted(shown - set(changed))
        if extra:
            first = next(entry for entry in listed if entry[0] == extra[0])
            self.differ("slot", "slot unchanged", _slot_words(first), ring)

    def _consecutive(self, fd: str, now: bytes, first: list[int]) -> None:
        """The recording's word that buffer indices run on from the first slot's."""
        mem = self.c.memory(fd)
        for i in range(len(now) // SLOT):
            model = int.from_bytes(now[i * SLOT : i * SLOT + 4], "little")
            if not self._buf(mem, model, first[1] + i, "slot.buf_idx"):
                return

    def _slot(self, fd: str, ring: str, seen: list[int]) -> int:
        """One listed slot; 1 when it differs."""
        view = self.c.world.ring(fd, ring)
        index = seen[0]
        if not 0 <= index < view.num_slots:
            self.differ("slot", f"an index below {view.num_slots}", index, ring)
            return 1
        slot = view.slot[index]
        bad = 0
        if not self._buf(self.c.memory(fd), slot.buf_idx, seen[1], "slot.buf_idx", ring, index):
            bad = 1
        for field, value in zip(_SLOT_FIELDS[1:], seen[2:], strict=True):
            if field == "ptr" and slot.ptr >= USER_BASE:
                # An address of the application: which one it is is the system's choice.
                bad |= not self._bind(("ptr", 0), slot.ptr, value, "slot.ptr", ring)
                continue
            if getattr(slot, field) != value:
                self.differ(f"slot.{field}", f"{getattr(slot, field)} in slot {index}", value, ring)
                bad = 1
        return bad

    def _buf(
        self, mem: int, model: int, seen: int, field: str, ring: str = "", index: int | None = None
    ) -> bool:
        """A buffer index of the shared region; bound when a buffer of the pool is first seen."""
        at = "" if index is None else f" in slot {index}"
        expected = self.c.to_seen(mem, model)
        if expected is not None:
            if expected != seen:
                self.differ(field, f"{expected}{at}", seen, ring)
            return expected == seen
        wanted, clause = f"a buffer of the pool{at}", ""
        if seen == 1:
            clause = "14.memory.reserved"
        elif seen > 1 and not self._inside(mem, seen):
            wanted, clause = f"a buffer inside the region{at}", "14.memory.layout"
        elif seen > 1:
            wanted, clause = f"a buffer that nothing else has{at}", "14.memory.pool"
            if self.c.binds.bind(("buf", mem), model, seen):
                return True
        self.differ(field, wanted, seen, ring, clause)
        return False

    def _inside(self, mem: int, buf_idx: int) -> bool:
        """Does the buffer lie in the memory, as far as its size and the place of its buffers are known?"""
        a = self.c.world.system().allocators[mem]
        size = self.c.binds.seen(("memsize", mem), a.memsize)
        start = self.c.binds.seen(("buffers", mem), a.buf_offset(0))
        length = a.buf_size
        return size is None or start is None or start + (buf_idx + 1) * length <= size

    def _slot_words(self, fd: str, entry: list[int]) -> str:
        number = self.c.to_seen(self.c.memory(fd), entry[1])
        return _slot_words([entry[0], -1 if number is None else number, *entry[2:]])

    def _bytes(self, fd: str, ring: str, index: int, seen: bytes) -> None:
        """Bytes of a slot's buffer, from the offset the call gave."""
        mem = self.c.memory(fd)
        a = self.c.world.system().allocators[mem]
        number = self.c.world.ring(fd, ring).slot[index].buf_idx
        at = a.buf_offset(a.safe_index(number)) + int(self.call.args.get("offset", 0))
        region = self.c.world.region(fd)
        if at + len(seen) > region.size:
            self.differ("bytes", "nothing: outside the region", seen.hex(), ring)
            return
        expected = region.read(at, len(seen))
        if expected == seen:
            return
        if not self.known and not any(expected):
            # Never written in this trace: what an earlier user left there.
            region.write(at, seen)
            return
        self.differ("bytes", expected.hex(), f"{seen.hex()} in slot {index}", ring)


#: Operations whose return value is not 0 on success.
FREE_RET = frozenset(
    {"env", "kick", "frame", "frames", "sleep", "join", "settle", "read", "write", "exit", "kill"}
)


def _names(events: Iterable[str]) -> str:
    return "|".join(sorted(events)) or "nothing"


def _slot_words(entry: list[int]) -> str:
    index, number, length, flags, ptr = entry
    return f"slot {index} with buffer {number}, len {length}, flags {flags:#x}" + (
        f", ptr {ptr:#x}" if ptr else ""
    )

"""How the device runs a protocol: one effect after the other, on the system's dictionaries and bytes.

The rules of what happens are in the chapters; this only carries them out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from netmap_spec.abi import api14
from netmap_spec.abi.views import Int

from ..core.choice import Choice, Choose
from ..core.effects import (
    Do,
    Effect,
    Fence,
    Fired,
    Lock,
    Protocol,
    ReadKernel,
    ReadUser,
    SelRecord,
    Sleep,
    Unlock,
    Wake,
    WriteKernel,
    WriteUser,
    run,
)
from ..core.outcome import HANG, fault
from . import bind, loops, memory, sets, stop
from .ports import bwrap, device, forward, host, monitor, monitor_slots, pipe, vale_device
from .ports.table import ops
from .result import Result
from .ring import Kring, slot_reinit
from .state import TX, KringState, System

_BUF_CHANGED = api14.NS_BUF_CHANGED
#: Offset and size of the shared page's words, all without sign.
_WORDS = {
    word: (kind.offset, kind.size) for word, kind in vars(api14.netmap_ring).items() if isinstance(kind, Int)
}


class Hung(Exception):
    """The call waits for a ring, and nothing that could happen by itself lets it have the ring."""


class Execution:
    """One system call in progress: answers every effect of its protocol. ``fired`` collects the rules,
    ``held`` is the ring it has for itself."""

    def __init__(self, s: System, file: int, choose: Choose, switches: frozenset[str]) -> None:
        self.s = s
        self.file = file
        self.choose = choose
        self.switches = switches
        self.fired: list[str] = []
        self.held = ""

    def __call__(self, effect: Effect) -> Any:
        answer = _EFFECTS.get(type(effect))
        if answer is None:
            raise TypeError(f"the device cannot run {effect}")
        return answer(self, effect)

    def run(self, protocol: Protocol) -> tuple[Any, Result | None]:
        """Carry a call out to its end: (what it returns, None), or (None, how it ended otherwise)."""
        try:
            return run(protocol, self), None
        except bind.Faulted as faulted:
            return None, Result(fault(faulted.lines), tuple(self.fired))
        except (Hung, bind.Hung):
            return None, Result(HANG, tuple(self.fired))

    def forget_sleep(self) -> None:
        """The caller is awake: it is on no selinfo and has not been woken."""
        self.s.waiting = {n: w - {self.file} for n, w in self.s.waiting.items() if w - {self.file}}
        self.s.woken -= {self.file}

    def chosen_once(self, field: str, name: str) -> bool:
        """A yes-or-no choice of the whole system: made the first time it matters, kept from then on."""
        if getattr(self.s.params, field) < 0:
            answer = self.choose(Choice(name, "", 0, 1, "answer"))
            changed: dict[str, Any] = {field: answer}
            self.s.params = replace(self.s.params, **changed)
        return bool(getattr(self.s.params, field))

    def port_sync(self, ring: str, force: bool) -> Protocol:
        """The port's part of a sync of this ring, with its monitors' around it if it has any."""
        k = self.s.krings[ring]
        own = partial(self._own_sync, ring, force)
        if not k.copies and not any(k.zmon):
            return own()
        if k.t == TX:
            return monitor.watched_txsync(ring, own, self.switches)
        return monitor.watched_rxsync(ring, own, self.switches)

    def _own_sync(self, ring: str, force: bool) -> Protocol:
        k = self.s.krings[ring]
        port = ops(self.s.adapters[k.adapter])
        return port.host_sync(self, k, force) if k.host else port.sync(self, k, force)

    # --- effects by their kind ----------------------------------------------------------------

    def _fired(self, effect: Fired) -> None:
        self.fired.append(effect.rule)

    def _do(self, effect: Do) -> Any:
        special = _SWITCHES.get(effect.what)
        if special is not None:
            return special(self, *effect.args)
        return _METHODS[effect.what](self, *effect.args)

    def _read_user(self, effect: ReadUser) -> int:
        """A word of a ring's page, of one of its slots (``slot``), or of a CSB (``atok``, ``ktoa``)."""
        ring, *place, word = effect.where
        k = self.s.krings[ring]
        if not place:
            mem = self.s.adapters[k.adapter].mem
            offset, size = _WORDS[word]
            at = self.s.allocators[mem].ring_offset(k.ring) + offset
            return int.from_bytes(self.s.regions[mem].read(at, size), "little")
        if place[0] == "slot":
            found: int = getattr(bind.view(self.s, k).slot[place[1]], word)
            return found
        return loops.load(self.s, self.file, ring, word)

    def _write_user(self, effect: WriteUser) -> None:
        ring, *place, word = effect.where
        if not place:
            setattr(bind.view(self.s, self.s.krings[ring]), word, effect.value)
        elif place[0] == "slot":
            setattr(bind.view(self.s, self.s.krings[ring]).slot[place[1]], word, effect.value)
        else:
            loops.store(self.s, self.file, loops.index(self.s, self.file, ring), {word: effect.value})

    def _read_kernel(self, effect: ReadKernel) -> Any:
        ring, word = effect.where
        k = self.s.krings[ring]
        if word == "kring":
            return k.pos
        asked = _DERIVED.get(word)
        return asked(self, k) if asked is not None else getattr(k, word)

    def _write_kernel(self, effect: WriteKernel) -> None:
        ring, word = effect.where
        k, value = self.s.krings[ring], effect.value
        if word == "lease":
            self.s.krings[ring] = replace(k, lease=value, pos=replace(k.pos, hwtail=value.hwtail))
        elif word == "guest":
            loops.keep_guest(self.s, self.file, k, value)
        else:
            field = "pos" if word == "kring" else word
            if getattr(k, field) != value:
                self.s.krings[ring] = k.but(field, value)

    def _in_order(self, effect: Lock | Unlock | Fence) -> None:
        """One call runs at a time: it has every lock, and everything is in order."""

    def _selrecord(self, effect: SelRecord) -> None:
        waiting = self.s.waiting
        waiting[effect.selinfo] = waiting.get(effect.selinfo, frozenset()) | {self.file}

    def _sleep(self, effect: Sleep) -> None:
        raise Hung(effect.channel)

    def _wake(self, effect: Wake) -> None:
        self.s.woken |= self.s.waiting.pop(effect.selinfo, frozenset())
        for file, item in self.s.sets.items():
            if effect.selinfo in self.s.files[file].selinfo:
                step = sets.notified(item)
                self.s.sets[file] = step.state
                self.fired.extend(step.fired)
        loops.wake(self, effect.selinfo)
        if self.s.bridges:
            bwrap.told(self, effect.selinfo)

    # --- effects that are one call ------------------------------------------------------------

    def _do_tryget(self, ring: str) -> bool | str:
        interface = self.s.adapters[self.s.krings[ring].adapter].interface
        if interface or ring in self.s.busy:
            step = stop.nm_kr_tryget(stop.Wanted(ring in self.s.busy, interface), self.switches)
            self.fired.extend(step.fired)
            return step.state or True
        self.held = ring
        return True

    def _do_put(self, ring: str) -> None:
        self.held = ""

    def _do_stamp_wanted(self, ring: str) -> bool:
        if bind.view(self.s, self.s.krings[ring]).flags & api14.NR_TIMESTAMP:
            return True
        return not self.s.params.no_timestamp and self.chosen_once("stamps", "sync.stamps-always")

    def _do_stamp(self, ring: str) -> None:
        # The model has no clock. Any time but zero tells that the ring was stamped.
        bind.view(self.s, self.s.krings[ring]).ts_sec = 1

    def _do_reinit_slots(self, ring: str) -> None:
        k = self.s.krings[ring]
        a = bind.allocator(self.s, k.adapter)
        region, at = self.s.regions[a.id], bind.ring_at(self.s, k)
        if k.pos.n == 0:
            # "Up to the last slot" has no end in a ring without slots.
            raise bind.Faulted("netmap.c:1866-1877")
        for i, slot in enumerate(memory.read_slots(region, at, k.pos.n)):
            step = slot_reinit(slot, a.buffers, a.buf_size)
            if step.state != slot:
                memory.write_slot(region, at, i, step.state)
                self.fired.extend(step.fired)
        if k.copies and k.t == TX:
            # What is sent from here on is new to copy monitors, also in slots they have seen.
            bind.put(self.s, replace(k, seen=k.pos.hwcur))

    def _do_pipe_slot(self, ring: str, peer: str, i: int) -> int:
        """Copy slot ``i`` to the other end and clear its NS_BUF_CHANGED here; its flags as they were sent."""
        source, target = self.s.krings[ring], self.s.krings[peer]
        region = self.s.regions[self.s.adapters[source.adapter].mem]
        at = bind.ring_at(self.s, source)
        slot = memory.read_slot(region, at, i)
        shown = slot
        if source.t == TX and target.offset.bits:
            theirs = memory.read_slot(region, bind.ring_at(self.s, target), i)
            step = pipe.receivers_offset(target.offset, slot.ptr, theirs.ptr, self.switches)
            self.fired.extend(step.fired)
            shown = replace(slot, ptr=step.state)
        memory.write_slot(region, bind.ring_at(self.s, target), i, shown)
        if slot.flags & _BUF_CHANGED:
            memory.write_slot(region, at, i, replace(slot, flags=slot.flags & ~_BUF_CHANGED))
        return slot.flags

    def _do_look(self, ring: str) -> bool:
        return bool(
            run(monitor.watched_notify(ring, partial(self._own_sync, ring, True), self.switches), self)
        )

    def _do_monitor_ring(self, ring: str) -> Kring:
        return monitor_slots.ring(self.s, ring).pos

    def _do_monitor_copy(self, ring: str, at: int, target: str, i: int) -> None:
        self.fired.extend(monitor_slots.copy(self.s, ring, at, target, i, self.switches))

    def _do_monitor_swap(self, ring: str, at: int, target: str, i: int) -> None:
        self.fired.extend(monitor_slots.swap(self.s, ring, at, target, i, self.switches))

    def _do_forward_up(self, ring: str) -> None:
        k = self.s.krings[ring]
        if self.s.adapters[k.adapter].kind == "monitor":
            monitor_slots.forward_up(self.s, k, self.switches, self.fired)
            return
        self.fired.extend(host.forward_up(self.s, k, self.switches))

    def _do_grab(self, ring: str, start: int, count: int, force: bool) -> None:
        self.fired.extend(host.grab(self.s, self.s.krings[ring], start, count, force))

    def _do_host_import(self, ring: str, start: int, room: int) -> int:
        k = self.s.krings[ring]
        return host.host_import(self.s, k, start, room, self.switches, self.fired)

    def _do_forward_ring(self, target: str) -> Kring:
        return forward.target_ring(self.s.krings[target], self.switches, self.fired)

    def _do_forward_slot(self, ring: str, i: int, target: str, at: int) -> None:
        source, out = self.s.krings[ring], self.s.krings[target]
        self.fired.extend(forward.exchange(self.s, source, i, out, at, self.switches))

    def _do_nic_send(self, ring: str, start: int, count: int) -> int:
        k = self.s.krings[ring]
        accepted = device.accepted(self.s, k, count, self.choose)
        self.fired.extend(device.send(self.s, k, start, accepted, self.choose))
        return accepted

    def _do_nic_completed(self, ring: str, pending: int) -> int:
        return device.completed(self.s, self.s.krings[ring], pending, self.choose)

    def _do_nic_receive(self, ring: str, start: int, room: int) -> int:
        slots, fired = device.receive(self.s, self.s.krings[ring], start, room, self.choose, self.switches)
        self.fired.extend(fired)
        return slots

    def _do_nic_refill(self, ring: str, start: int, count: int) -> bool:
        return device.refill(self.s, self.s.krings[ring], start, count)


#: Words of a kring that follow from other records.
_DERIVED: dict[str, Callable[[Execution, KringState], Any]] = {
    "guest": lambda x, k: loops.guest(x.s, x.file, k),
    "si_users": lambda x, k: x.s.adapters[k.adapter].si_users[k.t == TX],
    "si": lambda x, k: f"{k.adapter}:{k.t}",
    "stacked": lambda x, k: x.s.adapters[k.adapter].kind == "monitor",
    "intercepted": lambda x, k: k.t != TX and bool(k.copies),
    "transparent": lambda x, k: x.s.params.fwd != 0,
}
_EFFECTS: dict[type[Effect], Callable[[Execution, Any], Any]] = {
    Fired: Execution._fired,
    Do: Execution._do,
    ReadUser: Execution._read_user,
    WriteUser: Execution._write_user,
    ReadKernel: Execution._read_kernel,
    WriteKernel: Execution._write_kernel,
    Lock: Execution._in_order,
    Unlock: Execution._in_order,
    Fence: Execution._in_order,
    SelRecord: Execution._selrecord,
    Sleep: Execution._sleep,
    Wake: Execution._wake,
}
_SWITCHES = vale_device.DO | bwrap.DO
#: ``Do("pipe-slot")`` is the method ``_do_pipe_slot``.
_METHODS = {
    name.removeprefix("_do_").replace("_", "-"): method
    for name, method in vars(Execution).items()
    if name.startswith("_do_")
}

"""The device model: it executes the effects of the chapters, one after the other, over real bytes.

    world = World(config)                    # config: the header of a recording
    world.apply("open", {})                  # {"ret": 0, "ev": [], "state": {...}}
    world.apply("regif", {"fd": 0, "name": "em0", "ringid": 0})

Everything the kernel shares with applications is in ``world.region``, read and written through the
views of :mod:`netmap_spec.abi.api2011`; the rest is in :mod:`.device`. The effects ``Do(...)`` are in
:mod:`.actions`, operations in :mod:`.operations`, the picture of the state in :mod:`.snapshot`.

Events come out in the recordings' form: ``["L", lock]``, ``["U", lock]``, ``["WK", selinfo, [fds]]``,
``["SR", selinfo, fd]``, ``["SLEEP", channel, message, ticks]``, ``["WAKEUP", channel]``,
``["LOG", function, line]``, ``["REGISTER", interface, on]``, ``["UP", interface, length]`` and
``["VIOL", text]`` for a rule of the kernel itself that was broken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

from netmap_spec.abi import api2011

from ..core.effects import (
    Do,
    Effect,
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
from ..core.memory import Region
from ..core.outcome import HANG, fault
from ..core.step import RULES
from . import attach, module, threads
from .actions import ACTIONS
from .attach import Adapter
from .device import Context, Interface, Panic, Priv
from .memory import BUF_SIZE
from .operations import perform
from .pool import fresh_pool
from .readings import AS_WRITTEN
from .register import Selection
from .ring import Kring

#: How long the two sleeps of the code last, in ticks of a clock of 1000 Hz.
TICKS = {"NIOCUNREG": 4, "NIOCREGIF": 100}
#: The recordings' clock starts at one second; it counts microseconds and only moves when it is read.
START_OF_TIME = 1_000_000


class World:
    """One machine with netmap loaded. ``config`` is a recording's header: pool limits and interfaces.

    ``switches`` is the reading; it may be replaced between operations. ``fired`` lists the rules of
    the last operation in order, ``coverage`` counts them since the start.
    """

    def __init__(self, config: dict[str, Any], switches: frozenset[str] = AS_WRITTEN) -> None:
        self.config = config
        self.switches = switches
        self.coverage: Counter[str] = Counter()
        self.fired: list[str] = []
        self.boot()

    def boot(self) -> None:
        """A fresh machine: the module is loaded, the interfaces of the configuration are attached."""
        self.load()
        self.lost: tuple[int, ...] = ()  # bytes of each bitmap that an unload left behind
        self.ifs: dict[str, Interface] = {}
        self.fds: dict[int, bool] = {}  # open descriptors, and whether they are registered
        self.privs: dict[int, Priv] = {}
        self.sysctl = {"verbose": 0, "no_timestamp": 0, "no_pendintr": 0, "mitigate": 1}
        self.inject: Counter[str] = Counter()
        self.now = START_OF_TIME
        self.held: list[str] = []
        self.events: list[list[Any]] = []
        self.recorded: list[str] = []
        self.others: list[tuple[str, str, dict[str, Any]]] = []  # see :mod:`.threads`
        self.dead = False
        for config in self.config["ifs"]:
            iface = Interface.from_config(config)
            self.ifs[iface.name] = iface
            if iface.capable:
                self.attach(iface)

    def load(self) -> None:
        """The module is loaded; smaller limits of the configuration take the place of its own."""
        loaded = module.load(self.config["pool_limit"])
        if loaded.state is None:
            raise ValueError(f"the pool does not fit: {self.config['pool_limit']} bytes")
        self.fire(*loaded.fired)
        memory = loaded.state
        buffers = self.config.get("n_buffers") or memory.layout.buffers
        size = self.config.get("ring_bytes") or memory.layout.size
        self.layout = replace(memory.layout, size=size, buffers=buffers)
        self.pool = fresh_pool(buffers)
        self.objs = (replace(memory.objs[0], size=size),)
        self.region = Region(self.layout.total)

    def attach(self, iface: Interface) -> str:
        """The driver of this interface calls `netmap_attach`; returns an errno's name or ""."""
        step = attach.attach(iface.num_queues, True, not self.injected("kmalloc"))
        self.fire(*step.fired)
        if step.outcome.ok:
            iface.na = Adapter(
                iface.name, iface.num_queues, iface.num_tx_desc, iface.num_rx_desc, iface.separate_locks
            )
            for side in ("tx", "rx"):
                for i, kring in enumerate(step.state.krings):
                    iface.krings[f"{side}{i}"] = kring
            iface.ring_at.clear()
            iface.zeroed.clear()
            iface.waiting.clear()
        return step.outcome.detail

    def clone(self) -> World:
        """An independent copy."""
        other = object.__new__(World)
        other.__dict__.update(self.__dict__)
        other.region = self.region.clone()
        other.ifs = {name: iface.clone() for name, iface in self.ifs.items()}
        other.coverage, other.inject = self.coverage.copy(), self.inject.copy()
        for name in ("fds", "privs", "sysctl", "held", "fired", "recorded", "others"):
            setattr(other, name, getattr(self, name).copy())
        other.events = [list(event) for event in self.events]
        return other

    def key(self) -> Hashable:
        """Two worlds with equal keys behave alike."""
        return (
            self.region.read(0, self.region.size),
            self.pool,
            self.objs,
            self.now,
            self.lost,
            self.dead,
            tuple(self.held),
            repr(self.others),
            *(tuple(sorted(d.items())) for d in (self.fds, self.sysctl, self.inject)),
            tuple((fd, self.privs[fd]) for fd in sorted(self.privs)),
            tuple(iface.key() for iface in self.ifs.values()),
        )

    # --- small services -----------------------------------------------------------------------

    def fire(self, *rules: str) -> None:
        """Count rules as fired; an unregistered name is a mistake in the model."""
        for name in rules:
            if name not in RULES:
                raise KeyError(f"rule {name} is not registered")
            self.coverage[name] += 1
            self.fired.append(name)

    def emit(self, *event: Any) -> None:
        self.events.append(list(event))

    def injected(self, what: str) -> bool:
        """Does this call fail because the scenario said so? Uses up one injection."""
        if self.inject[what] <= 0:
            return False
        self.inject[what] -= 1
        return True

    def buffer(self, index: int) -> int:
        """`NMB`: where buffer ``index`` starts; an index the pool does not have gives the junk buffer."""
        return self.layout.buf_start + (index if index < self.pool.total else 0) * BUF_SIZE

    def ring(self, iface: Interface, name: str) -> api2011.netmap_ring:
        """The named ring of an interface, as it lies in the shared region."""
        return api2011.netmap_ring(self.region, iface.ring_at[name])

    def slot_address(self, iface: Interface, ring: str, index: int) -> int:
        """Where slot ``index`` (any int or u32) would be, inside the region or not."""
        return iface.ring_at[ring] + api2011.netmap_ring.SIZE + index * api2011.netmap_slot.SIZE

    def slot(self, iface: Interface, ring: str, index: int) -> api2011.netmap_slot:
        """Slot ``index``; a panic when the kernel would touch memory outside the block."""
        address = self.slot_address(iface, ring, index)
        if address < 0 or address + api2011.netmap_slot.SIZE > self.layout.total:
            raise Panic(fault(f"slot {index} of {ring}"), (), address)
        return api2011.netmap_slot(self.region, address)

    # --- running protocols --------------------------------------------------------------------

    def run(self, protocol: Protocol, ctx: Context) -> Any:
        """Execute every effect of the protocol for this context and return its result."""
        return run(protocol, lambda effect: threads.execute(self, effect, ctx))

    def execute(self, effect: Effect, ctx: Context) -> Any:
        """One effect; the answer is what the protocol receives."""
        match effect:
            case Fired(rule):
                self.fire(rule)
            case Lock(name):
                self._lock(self._lock_name(name, ctx))
            case Unlock(name):
                self._unlock(self._lock_name(name, ctx))
            case ReadUser(where):
                return self._read_user(ctx.port, where)
            case WriteUser(where, value):
                self._write_user(ctx.port, where, value)
            case ReadKernel(where):
                return self._read_kernel(ctx, where)
            case WriteKernel(where, value):
                self._write_kernel(ctx, where, value)
            case Do(what, args):
                return ACTIONS[what](self, ctx, *args)
            case SelRecord(selinfo):
                self.emit("SR", f"{selinfo}:{ctx.port.name}", ctx.fd)
                self.recorded.append(f"{selinfo}:{ctx.port.name}")
                ctx.port.waiting.setdefault(selinfo, set()).add(ctx.fd)
            case Wake(selinfo):
                woken = sorted(ctx.port.waiting.pop(selinfo, set()))
                self.emit("WK", f"{selinfo}:{ctx.port.name}", woken)
            case Sleep(message):
                self.emit("SLEEP", f"na:{ctx.port.name}", message, TICKS[message])
        return None

    def _lock_name(self, name: str, ctx: Context) -> str:
        """`core` and ring names go through `nm_lock`, so to the driver's locks if it brought its own."""
        if name == "nma":
            return name
        if name == "core_lock" or name.endswith(".q_lock"):
            return f"{name.removesuffix('_lock').removesuffix('.q')}:{ctx.port.name}"
        return f"{'d' if ctx.port.own_locks else ''}{name}:{ctx.port.name}"

    def _lock(self, name: str) -> None:
        if name in self.held:
            raise Panic(HANG, (f"lock {name} is already held",))
        mutex, _, owner = name.partition(":")
        if owner in self.ifs and mutex in self.ifs[owner].zeroed:
            self.emit("VIOL", f"mtx_lock of an uninitialised (zeroed) mutex {name}")
        self.held.append(name)
        self.emit("L", name)

    def _unlock(self, name: str) -> None:
        self.held.remove(name)
        self.emit("U", name)

    def _read_user(self, iface: Interface, where: tuple[Any, ...]) -> int:
        if where[1] == "slot":
            return int(getattr(self.slot(iface, where[0], where[2]), where[3]))
        return int(getattr(self.ring(iface, where[0]), where[1]))

    def _write_user(self, iface: Interface, where: tuple[Any, ...], value: int) -> None:
        if where[1] == "slot":
            setattr(self.slot(iface, where[0], where[2]), where[3], value)
        else:
            setattr(self.ring(iface, where[0]), where[1], value)

    def _read_kernel(self, ctx: Context, where: tuple[Any, ...]) -> Any:
        match where:
            case ("mem", "objs"):
                return self.objs
            case ("mem", "pool"):
                return self.pool
            case ("mem", "total"):
                return self.pool.total
            case ("sysctl", name):
                return self.sysctl[name]
            case ("na", "refcount"):
                return ctx.port.refcount
            case ("na", "deleting"):
                return ctx.port.refcount == 0 and ctx.port.enabled
            case ("if", "capenable"):
                return ctx.port.enabled
            case ("priv", "selection"):
                return self.privs[ctx.fd].selection
            case ("priv", "nifp"):
                return self.privs[ctx.fd].nifp
            case ("priv", name):
                return getattr(self.privs[ctx.fd].selection, name)
            case (ring, "kring"):
                return ctx.port.krings[ring]
            case (ring, "hwcur"):
                return ctx.port.krings[ring].hwcur
            case (ring, "ring"):
                return ctx.port.ring_at.get(ring)
            case (ring, "slots"):
                return self.slot_address(ctx.port, ring, 0)
            case (ring, "slot-address", index):
                return self.slot_address(ctx.port, ring, index)
        raise ValueError(f"there is no kernel word {where}")

    def _write_kernel(self, ctx: Context, where: tuple[Any, ...], value: Any) -> None:
        match where:
            case ("mem", "objs"):
                self.objs = value
            case ("mem", "pool"):
                self.pool = value
            case ("na", "refcount"):
                ctx.port.refcount = value
            case ("if", "capenable"):
                ctx.port.enabled = value
            case ("if", "intercept"):
                ctx.port.intercept = value
            case ("priv", "selection"):
                self.privs[ctx.fd] = replace(self.privs[ctx.fd], selection=_selection(value))
            case ("priv", "nifp"):
                self.privs[ctx.fd] = replace(self.privs[ctx.fd], nifp=value)
            case (ring, "kring"):
                ctx.port.krings[ring] = _kring(value)
            case _:
                raise ValueError(f"there is no kernel word {where}")

    # --- operations ---------------------------------------------------------------------------

    def apply(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """One operation of the recordings: ``ret``, ``ev``, ``state`` (and ``panic``, ``at``) as recorded.

        Raises ``ValueError`` for an operation or arguments that the recordings' language does not have.
        """
        return perform(self, op, args)


def _selection(value: Any) -> Selection:
    if not isinstance(value, Selection):
        raise TypeError(f"not a selection: {value!r}")
    return value


def _kring(value: Any) -> Kring:
    if not isinstance(value, Kring):
        raise TypeError(f"not a kring: {value!r}")
    return value

"""The operations of the recordings: system calls and the application's stores.

Frames, interrupts and everything else that comes from outside is in :mod:`.environment`.

An operation is called with the world and the recorded arguments and returns the recorded ``ret``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import control, module
from .control import NIOCGINFO, NIOCREGIF, NIOCRXSYNC, NIOCTXSYNC, NIOCUNREGIF, Bound
from .device import ERRNO, Context, Panic
from .environment import MOVES, interface
from .poll import NOT_BOUND, POLLERR, poll
from .register import dtor
from .snapshot import state

if TYPE_CHECKING:
    from .world import World

Operation = Callable[["World", dict[str, Any]], Any]
#: Operations that enter the kernel or the environment.
OPERATIONS: dict[str, Operation] = dict(MOVES)
#: The application's own stores into shared memory: nothing else happens, there are no events.
STORES: dict[str, Operation] = {}
#: What an operation that the kernel did not survive returns.
DIED = -1000
_ON_INTERFACE = frozenset({"host_in", "wire_in", "nic_tx", "rx_irq", "tx_irq"})


def operation(name: str, table: dict[str, Operation] = OPERATIONS) -> Callable[[Operation], Operation]:
    """Register an operation under its recorded name."""

    def add(function: Operation) -> Operation:
        table[name] = function
        return function

    return add


def perform(world: World, op: str, args: dict[str, Any]) -> dict[str, Any]:
    """Execute one operation; see :meth:`.world.World.apply`."""
    if world.dead and op != "reset":
        raise ValueError(f"{op}: the kernel is dead, only reset goes on from here")
    world.fired = []
    try:
        if op in STORES:
            return {"ret": STORES[op](world, args), "ev": [], "state": state(world)}
        if op not in OPERATIONS:
            raise ValueError(f"there is no operation {op}")
        if not (op in _ON_INTERFACE and interface(world, args).dying):
            # (on an interface that is going away the recorder's event buffer stays as it was)
            world.events = []
        world.recorded = []
        ret = OPERATIONS[op](world, args)
    except (KeyError, IndexError, struct.error) as error:
        what = f"{error} is unknown or missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{op}: {what}") from None
    except Panic as panic:
        world.dead = True
        return {
            "ret": DIED,
            "ev": world.events,
            "state": None,
            "panic": _panic_text(world, panic),
            "at": list(panic.at),
            "outcome": panic.outcome,
        }
    return {"ret": ret, "ev": world.events, "state": state(world)}


def _panic_text(world: World, panic: Panic) -> str:
    if panic.address is None:
        return str(panic.outcome)
    if panic.address < 4096 and panic.at and "NMB" not in panic.at[0]:
        return f"page fault at {panic.address:#x} (NULL dereference)"
    return f"page fault at pool+{panic.address} (pool size {world.layout.total})"


def bound(world: World, fd: int) -> tuple[Context, Bound]:
    """Context and registration of a descriptor."""
    if not world.fds[fd]:
        return Context(None, fd), Bound(False, None)
    iface = world.ifs[world.privs[fd].iface]
    return Context(iface, fd), Bound(True, iface.na)


# --- descriptors ------------------------------------------------------------------------------


@operation("open")
def open_fd(world: World, args: dict[str, Any]) -> int:
    """The lowest unused number becomes a descriptor of `/dev/netmap`."""
    fd = next(n for n in range(len(world.fds) + 1) if n not in world.fds)
    world.fds[fd] = False
    return fd


@operation("close")
def close_fd(world: World, args: dict[str, Any]) -> int:
    """The last close: a registered descriptor is unregistered."""
    ctx, binding = bound(world, args["fd"])
    if binding.registered:
        world.run(dtor(binding.na, world.switches), ctx)
    del world.fds[args["fd"]]
    return 0


def _ioctl(world: World, fd: int, code: int, name: str = "", ringid: int = 0) -> tuple[int, dict[str, Any]]:
    """One ioctl: errno's number, and the request afterwards (as it was when the ioctl failed)."""
    ctx, binding = bound(world, fd)
    zeros = dict.fromkeys(("version", "offset", "memsize", "numslots", "numrings"), 0)
    before = {"name": name, **zeros, "ringid": ringid}
    ctx.request = dict(before)
    error = world.run(control.ioctl(binding, code, ringid, world.switches), ctx)
    return ERRNO[error], before if error else ctx.request


@operation("ginfo")
def ginfo(world: World, args: dict[str, Any]) -> list[Any]:
    return list(_ioctl(world, args["fd"], NIOCGINFO, args["name"]))


@operation("regif")
def regif(world: World, args: dict[str, Any]) -> list[Any]:
    return list(_ioctl(world, args["fd"], NIOCREGIF, args["name"], args["ringid"]))


@operation("unregif")
def unregif(world: World, args: dict[str, Any]) -> int:
    return _ioctl(world, args["fd"], NIOCUNREGIF)[0]


@operation("txsync")
def txsync(world: World, args: dict[str, Any]) -> int:
    return _ioctl(world, args["fd"], NIOCTXSYNC)[0]


@operation("rxsync")
def rxsync(world: World, args: dict[str, Any]) -> int:
    return _ioctl(world, args["fd"], NIOCRXSYNC)[0]


@operation("ioctl")
def any_ioctl(world: World, args: dict[str, Any]) -> list[Any]:
    """Any other request by its code: ignored, passed on to the interface, or refused."""
    return list(_ioctl(world, args["fd"], args["cmd"], args.get("name", "")))


@operation("poll")
def poll_fd(world: World, args: dict[str, Any]) -> list[Any]:
    """One call of poll: the events reported, and the selinfos the caller was recorded on."""
    ctx, binding = bound(world, args["fd"])
    if not binding.registered:
        world.fire(NOT_BOUND)
        return [POLLERR, []]
    revents = world.run(poll(binding.na, args["events"], world.switches), ctx)
    return [revents, list(world.recorded)]


@operation("mmap")
def mmap(world: World, args: dict[str, Any]) -> list[Any]:
    """Map one page: where in the block it is."""
    executable = bool(args["prot"] & control.PROT_EXEC)
    step = control.mmap_page(args["offset"], executable, world.layout.total, world.switches)
    world.fire(*step.fired)
    return [0, args["offset"]] if step.state else [-1, None]


# --- the application's stores -----------------------------------------------------------------


def _ring_name(args: dict[str, Any]) -> str:
    return f"{'tx' if args['tx'] else 'rx'}{args['ring']}"


@operation("ring_set", STORES)
def ring_set(world: World, args: dict[str, Any]) -> None:
    view = world.ring(interface(world, args), _ring_name(args))
    for name, value in args["set"].items():
        setattr(view, name, value)


@operation("slot_set", STORES)
def slot_set(world: World, args: dict[str, Any]) -> None:
    view = world.slot(interface(world, args), _ring_name(args), args["slot"])
    for name, value in args["set"].items():
        setattr(view, name, value)


@operation("buf_put", STORES)
def buf_put(world: World, args: dict[str, Any]) -> str | None:
    """The application writes a frame into a slot's buffer and sets the slot's length.

    It computes the buffer's address as applications do; outside the mapping it dies (EFAULT).
    """
    ring = world.ring(interface(world, args), _ring_name(args))
    slot = ring.slot[args["slot"]]
    data = bytes.fromhex(args["data"])
    address = ring.off + ring.buf_ofs + slot.buf_idx * ring.nr_buf_size
    if address < 0 or address + len(data) > world.layout.total:
        return "EFAULT"
    world.region.write(address, data)
    slot.len = len(data)
    return None


# --- the module -------------------------------------------------------------------------------


@operation("reload")
def reload(world: World, args: dict[str, Any]) -> int:
    """The module is unloaded, which ends every registration, and loaded again; every descriptor is gone.

    With ``largest`` the system has only blocks of so many bytes at a first attempt to load; returns its
    errno's number. The second one succeeds.
    """
    for fd in sorted(world.fds):
        close_fd(world, {"fd": fd})
    step = module.unload(module.Memory(world.layout, world.pool, world.objs), world.switches)
    world.fire(*step.fired)
    world.lost += (step.state.lost,) if step.state.lost else ()
    refused = ""
    if "largest" in args:
        first = module.load(args["largest"])
        world.fire(*first.fired)
        refused = first.outcome.detail
    world.load()
    return ERRNO[refused]


@operation("module_event")
def module_event(world: World, args: dict[str, Any]) -> int:
    """The system tells the module something other than load and unload: errno's number."""
    step = module.other_event()
    world.fire(*step.fired)
    return ERRNO[step.outcome.detail]

"""The operations of the recordings: system calls, the application's stores, the environment's moves.

An operation is called with the world and the recorded arguments and returns the recorded ``ret``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import attach, control, interrupts
from .actions import revoke
from .control import NIOCGINFO, NIOCREGIF, NIOCRXSYNC, NIOCTXSYNC, NIOCUNREGIF, Bound
from .device import ERRNO, Context, Interface, Panic
from .poll import NOT_BOUND, POLLERR, poll
from .ports import nic
from .ports.nicring import arrives
from .ports.wire import receive, transmit
from .register import dtor
from .snapshot import state

if TYPE_CHECKING:
    from .world import World

Operation = Callable[["World", dict[str, Any]], Any]
#: Operations that enter the kernel or the environment.
OPERATIONS: dict[str, Operation] = {}
#: The application's own stores into shared memory: nothing else happens, there are no events.
STORES: dict[str, Operation] = {}
#: What an operation that the kernel did not survive returns.
DIED = -1000


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
    except KeyError as missing:
        raise ValueError(f"{op}: {missing} is unknown or missing") from None
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


def interface(world: World, args: dict[str, Any]) -> Interface:
    """The interface an operation names."""
    return world.ifs[args["ifname"]]


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
    if address + len(data) > world.layout.total:
        return "EFAULT"
    world.region.write(address, data)
    slot.len = len(data)
    return None


# --- the environment --------------------------------------------------------------------------


@operation("wire_in")
def wire_in(world: World, args: dict[str, Any]) -> int:
    """A frame arrives for queue ``q``; it waits on the wire while the NIC has no descriptor for it."""
    iface = interface(world, args)
    if iface.dying:
        return -1
    ring = iface.rx[args["q"]]
    iface.rx[args["q"]] = arrives(ring, bytes.fromhex(args["data"]))
    receive(world, Context(iface), args["q"])
    return 0


@operation("nic_tx")
def nic_tx(world: World, args: dict[str, Any]) -> int:
    """The NIC sends up to ``n`` frames (-1: all); returns how many it sent."""
    if interface(world, args).dying:
        return -1
    return transmit(world, Context(interface(world, args)), args["q"], args["n"])


@operation("nic_init")
def nic_init(world: World, args: dict[str, Any]) -> int:
    iface = interface(world, args)
    if iface.na is None:
        return -1
    world.run(nic.nic_init(iface.na, iface.num_queues), Context(iface))
    return 0


@operation("netmap_reset")
def netmap_reset(world: World, args: dict[str, Any]) -> int | None:
    """The driver calls `netmap_reset` alone: the offset of the ring's slots, or nothing."""
    iface = interface(world, args)
    protocol = interrupts.reset(iface.na, bool(args["tx"]), args["n"], args["new_cur"])
    result: int | None = world.run(protocol, Context(iface))
    return result


@operation("rx_irq")
def rx_irq(world: World, args: dict[str, Any]) -> list[int]:
    """A receive interrupt: what netmap returned, and the mark that no more polling is needed."""
    iface, q = interface(world, args), args["q"]
    if iface.dying:
        return [-1, 0]
    world.run(nic.interrupt(iface.na, q), Context(iface))
    taken = world.run(interrupts.irq(iface.na, False, q, world.switches), Context(iface))
    return [taken, 1 if taken else 0]


@operation("tx_irq")
def tx_irq(world: World, args: dict[str, Any]) -> int:
    iface = interface(world, args)
    if iface.dying:
        return -1
    taken: int = world.run(interrupts.irq(iface.na, True, args["q"], world.switches), Context(iface))
    return taken


@operation("host_in")
def host_in(world: World, args: dict[str, Any]) -> int:
    """The host stack sends a packet: to netmap when it intercepts (or by ``force``), else to the wire."""
    iface = interface(world, args)
    frame = bytes.fromhex(args["data"])
    if iface.dying:
        return -1
    if iface.intercept or args.get("force"):
        ctx = Context(iface, frame=frame)
        return ERRNO[world.run(interrupts.start(iface.na, len(frame), world.switches), ctx)]
    iface.out.append((-1, frame))
    return 0


@operation("wire_out")
def wire_out(world: World, args: dict[str, Any]) -> list[list[Any]]:
    """Collect what left the machine: [queue, frame], queue -1 for what the host stack sent itself."""
    iface = interface(world, args)
    frames = [[q, frame.hex()] for q, frame in iface.out]
    iface.out = []
    return frames


@operation("host_out")
def host_out(world: World, args: dict[str, Any]) -> list[str]:
    """Collect what was passed up to the host stack."""
    iface = interface(world, args)
    frames = [frame.hex() for frame in iface.up]
    iface.up = []
    return frames


@operation("detach")
def detach(world: World, args: dict[str, Any]) -> int:
    """The driver's interface goes away."""
    iface = world.ifs[args["name"]]
    iface.dying = True
    step = attach.detach(iface.na is not None, iface.refcount, world.switches)
    world.fire(*step.fired)
    if step.state.revoke:
        revoke(world, Context(iface))
    if step.state.free:
        iface.na = None
    return 0


@operation("sysctl")
def sysctl(world: World, args: dict[str, Any]) -> int:
    if args["name"] not in world.sysctl:
        raise ValueError(f"there is no sysctl {args['name']}")
    world.sysctl[args["name"]] = args["v"]
    return 0


@operation("inject")
def inject(world: World, args: dict[str, Any]) -> int:
    """The next ``count`` calls of a service fail: kmalloc, set_cdevpriv, register, m_devget."""
    world.inject[args["what"]] = args["count"]
    return 0


@operation("reset")
def reset(world: World, args: dict[str, Any]) -> int:
    """A fresh machine."""
    world.boot()
    return 0


_ON_INTERFACE = frozenset({"host_in", "wire_in", "nic_tx", "rx_irq", "tx_irq"})

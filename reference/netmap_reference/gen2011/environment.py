"""The environment's moves in a recording: frames, interrupts, the NIC, drivers, settings, failures.

Every move has the form ``move(world, args)`` with the recorded arguments and returns the recorded
``ret``; :data:`MOVES` finds it by its recorded name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import attach, interrupts
from .actions import revoke
from .device import ERRNO, Context, Interface
from .ports import nic
from .ports.nicring import arrives
from .ports.wire import receive, transmit

if TYPE_CHECKING:
    from .world import World

Move = Callable[["World", dict[str, Any]], Any]
MOVES: dict[str, Move] = {}


def move(name: str) -> Callable[[Move], Move]:
    """Register a move under its recorded name."""

    def add(function: Move) -> Move:
        MOVES[name] = function
        return function

    return add


def interface(world: World, args: dict[str, Any]) -> Interface:
    """The interface an operation names."""
    return world.ifs[args["ifname"]]


def queue(iface: Interface, args: dict[str, Any]) -> int:
    """The queue an operation names. Raises ``IndexError`` for one the NIC does not have."""
    q: int = args["q"]
    if not 0 <= q < iface.num_queues:
        raise IndexError(f"{iface.name} has no queue {q}")
    return q


@move("wire_in")
def wire_in(world: World, args: dict[str, Any]) -> int:
    """A frame arrives for queue ``q``; it waits on the wire while the NIC has no descriptor for it."""
    iface = interface(world, args)
    if iface.dying:
        return -1
    q = queue(iface, args)
    iface.rx[q] = arrives(iface.rx[q], bytes.fromhex(args["data"]))
    receive(world, Context(iface), q)
    return 0


@move("nic_tx")
def nic_tx(world: World, args: dict[str, Any]) -> int:
    """The NIC sends up to ``n`` frames (-1: all); returns how many it sent."""
    iface = interface(world, args)
    if iface.dying:
        return -1
    return transmit(world, Context(iface), queue(iface, args), args["n"])


@move("nic_init")
def nic_init(world: World, args: dict[str, Any]) -> int:
    iface = interface(world, args)
    if iface.na is None:
        return -1
    world.run(nic.nic_init(iface.na, iface.num_queues), Context(iface))
    return 0


@move("netmap_reset")
def netmap_reset(world: World, args: dict[str, Any]) -> int | None:
    """The driver calls `netmap_reset` alone: the offset of the ring's slots, or nothing."""
    iface = interface(world, args)
    protocol = interrupts.reset(iface.na, bool(args["tx"]), args["n"], args["new_cur"])
    result: int | None = world.run(protocol, Context(iface))
    return result


@move("rx_irq")
def rx_irq(world: World, args: dict[str, Any]) -> list[int]:
    """A receive interrupt: what netmap returned, and the mark that no more polling is needed."""
    iface = interface(world, args)
    q = queue(iface, args)
    if iface.dying:
        return [-1, 0]
    world.run(nic.interrupt(iface.na, q), Context(iface))
    taken = world.run(interrupts.irq(iface.na, False, q, world.switches), Context(iface))
    return [taken, 1 if taken else 0]


@move("tx_irq")
def tx_irq(world: World, args: dict[str, Any]) -> int:
    iface = interface(world, args)
    if iface.dying:
        return -1
    taken: int = world.run(interrupts.irq(iface.na, True, queue(iface, args), world.switches), Context(iface))
    return taken


@move("host_in")
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


@move("wire_out")
def wire_out(world: World, args: dict[str, Any]) -> list[list[Any]]:
    """Collect what left the machine: [queue, frame], queue -1 for what the host stack sent itself."""
    iface = interface(world, args)
    frames = [[q, frame.hex()] for q, frame in iface.out]
    iface.out = []
    return frames


@move("host_out")
def host_out(world: World, args: dict[str, Any]) -> list[str]:
    """Collect what was passed up to the host stack."""
    iface = interface(world, args)
    frames = [frame.hex() for frame in iface.up]
    iface.up = []
    return frames


@move("detach")
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


@move("attach")
def attach_again(world: World, args: dict[str, Any]) -> int:
    """A driver brings the interface back and offers it to netmap: errno's number."""
    iface = world.ifs[args["name"]]
    iface.dying, iface.enabled, iface.intercept, iface.refcount = False, False, False, 0
    return ERRNO[world.attach(iface)]


@move("attach_nothing")
def attach_nothing(world: World, args: dict[str, Any]) -> int:
    """A driver offers an adapter that names no interface: errno's number."""
    step = attach.attach(args["queues"], False, True)
    world.fire(*step.fired)
    return ERRNO[step.outcome.detail]


@move("meanwhile")
def meanwhile(world: World, args: dict[str, Any]) -> int:
    """Another thread does ``op`` with ``args`` when the next thread gets to ``at``; see :mod:`.threads`."""
    world.others.append((args["at"], args["op"], args["args"]))
    return 0


@move("sysctl")
def sysctl(world: World, args: dict[str, Any]) -> int:
    if args["name"] not in world.sysctl:
        raise ValueError(f"there is no sysctl {args['name']}")
    world.sysctl[args["name"]] = args["v"]
    return 0


@move("inject")
def inject(world: World, args: dict[str, Any]) -> int:
    """The next ``count`` calls of a service fail: kmalloc, set_cdevpriv, register, m_devget."""
    world.inject[args["what"]] = args["count"]
    return 0


@move("reset")
def reset(world: World, args: dict[str, Any]) -> int:
    """A fresh machine."""
    world.boot()
    return 0

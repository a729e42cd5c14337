"""What the effects ``Do(name, args)`` do to the world: the services of the kernel, the NIC, the wire.

Every action has the form ``action(world, ctx, *args)``; :data:`ACTIONS` finds it by the effect's name.
Those of the NIC are in :mod:`.ports.wire`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netmap_spec.abi import api2011

from ..core.effects import Protocol
from ..core.outcome import HANG, fault
from . import control, register
from .attach import Adapter
from .device import Context, Panic, Priv
from .memory import BUF_SIZE
from .pool import reclaim
from .ports import host, nic, wire
from .ring import Kring

if TYPE_CHECKING:
    from .world import World

Action = Callable[..., Any]
ACTIONS: dict[str, Action] = dict(wire.ACTIONS)


def action(name: str) -> Callable[[Action], Action]:
    """Register an action under the name its effects use."""

    def add(function: Action) -> Action:
        if name in ACTIONS:
            raise ValueError(f"action {name} is registered twice")
        ACTIONS[name] = function
        return function

    return add


def adapter(ctx: Context) -> Adapter:
    """The adapter of the context's interface; protocols check for NULL before they get here."""
    if ctx.port.na is None:
        raise ValueError(f"{ctx.port.name} has no adapter")
    return ctx.port.na


# --- the kernel's services --------------------------------------------------------------------


@action("log")
def log(world: World, ctx: Context, function: str, line: int) -> None:
    world.emit("LOG", function, line)


@action("kmalloc")
def kmalloc(world: World, ctx: Context, kind: str, size: int, waitok: bool) -> bool:
    """The kernel's malloc: may a sleeping one be called here? Only one that does not sleep can fail."""
    if not waitok:
        return not world.injected("kmalloc")
    if world.held:
        held = " ".join(world.held)
        world.emit("VIOL", f"malloc(M_WAITOK) of {kind}, {size} bytes, with non-sleepable locks held: {held}")
    return True


@action("wakeup")
def wakeup(world: World, ctx: Context) -> None:
    world.emit("WAKEUP", f"na:{ctx.port.name}")


@action("microtime")
def microtime(world: World, ctx: Context, ring: str) -> None:
    """Store the time in the ring's time stamp; reading the clock moves it."""
    world.now += 1
    view = world.ring(ctx.port, ring)
    view.ts_sec, view.ts_usec = divmod(world.now, 1_000_000)


@action("fault")
def kernel_fault(world: World, ctx: Context, at: tuple[str, ...], address: int) -> None:
    raise Panic(fault(", ".join(at)), at, address)


@action("hang")
def hang(world: World, ctx: Context) -> None:
    raise Panic(HANG)


# --- interfaces and requests ------------------------------------------------------------------


@action("get_ifp")
def get_ifp(world: World, ctx: Context) -> str:
    """Find the interface the request names, and hold a reference to it on success."""
    iface = world.ifs.get(ctx.request["name"])
    exists = iface is not None and not iface.dying
    step = control.get_ifp(
        exists, iface is not None and iface.capable, iface is not None and iface.na is not None
    )
    world.fire(*step.fired)
    if step.outcome.ok and iface is not None:
        iface.refs += 1
    return step.outcome.detail


@action("bind")
def bind(world: World, ctx: Context) -> None:
    """From here on the context is that of the interface the request names."""
    ctx.iface = world.ifs[ctx.request["name"]]


@action("adapter")
def adapter_of(world: World, ctx: Context) -> Adapter:
    return adapter(ctx)


@action("if_rele")
def if_rele(world: World, ctx: Context) -> None:
    ctx.port.refs -= 1


@action("if_rele_named")
def if_rele_named(world: World, ctx: Context) -> None:
    world.ifs[ctx.request["name"]].refs -= 1


@action("named")
def named(world: World, ctx: Context) -> bool:
    return bool(ctx.request["name"])


@action("memsize")
def memsize(world: World, ctx: Context) -> None:
    ctx.request.update(memsize=world.layout.total, offset=0, numrings=0, numslots=0)


@action("ginfo")
def ginfo(world: World, ctx: Context) -> None:
    iface = world.ifs[ctx.request["name"]]
    ctx.request.update(numrings=iface.num_queues, numslots=iface.num_tx_desc)


@action("answer")
def answer(world: World, ctx: Context) -> None:
    ctx.request.update(
        numrings=ctx.port.num_queues,
        numslots=ctx.port.num_tx_desc,
        memsize=world.layout.total,
        offset=world.privs[ctx.fd].nifp,
    )


@action("ifioctl")
def ifioctl(world: World, ctx: Context, code: int) -> str:
    """The socket layer has no protocol to ask and knows none of the recorded requests."""
    return "EOPNOTSUPP"


# --- descriptors ------------------------------------------------------------------------------


@action("new_priv")
def new_priv(world: World, ctx: Context) -> None:
    world.privs[ctx.fd] = Priv(ctx.port.name)


@action("drop_priv")
def drop_priv(world: World, ctx: Context) -> None:
    world.privs.pop(ctx.fd, None)
    if ctx.fd in world.fds:
        world.fds[ctx.fd] = False


@action("set_cdevpriv")
def set_cdevpriv(world: World, ctx: Context) -> str:
    if world.injected("set_cdevpriv"):
        return "ENOENT"
    world.fds[ctx.fd] = True
    return ""


@action("selection")
def selection(world: World, ctx: Context) -> tuple[int, int]:
    chosen = world.privs[ctx.fd].selection
    return chosen.qfirst, chosen.qlast


# --- shared memory ----------------------------------------------------------------------------


@action("zero")
def zero(world: World, ctx: Context, offset: int, size: int) -> None:
    world.region.write(offset, bytes(size))


@action("init_if")
def init_if(world: World, ctx: Context, nifp: int, name: str, num_queues: int) -> None:
    view = api2011.netmap_if(world.region, nifp)
    view.ni_num_queues = num_queues
    view.ni_name = name


@action("init_ring")
def init_ring(
    world: World, ctx: Context, ring: str, at: int, n: int, avail: int, bufs: tuple[int, ...], zeroes: bool
) -> None:
    """A fresh ring at ``at`` with one buffer for every slot, and its kring."""
    iface = ctx.port
    iface.krings[ring] = Kring(n=n, hwavail=avail)
    iface.ring_at[ring] = at
    iface.waiting.pop(ring, None)
    if zeroes:
        iface.zeroed.add(ring)
    view = api2011.netmap_ring(world.region, at)
    view.buf_ofs = world.layout.buf_start - at
    view.num_slots = n
    view.avail = avail
    view.cur = 0
    view.nr_buf_size = BUF_SIZE
    for i, index in enumerate(bufs):
        slot = view.slot[i]
        slot.buf_idx, slot.len, slot.flags = index, BUF_SIZE, 1


@action("init_offsets")
def init_offsets(world: World, ctx: Context, nifp: int) -> None:
    view = api2011.netmap_if(world.region, nifp)
    rings = ctx.port.num_queues + 1
    for i in range(rings):
        view.ring_ofs[i] = ctx.port.ring_at[f"tx{i}"] - nifp
        view.ring_ofs[i + rings] = ctx.port.ring_at[f"rx{i}"] - nifp


@action("free_unreferenced")
def free_unreferenced(world: World, ctx: Context) -> None:
    """Contract: what no ring of another registered interface names is free again."""
    named: set[int] = set()
    for iface in world.ifs.values():
        if iface.refcount > 0 and iface is not ctx.port:
            for ring, kring in iface.krings.items():
                named |= {world.slot(iface, ring, i).buf_idx for i in range(kring.n)}
    step = reclaim(world.pool, frozenset(named))
    world.fire(*step.fired)
    world.pool = step.state


# --- syncs and the host stack -----------------------------------------------------------------


def _nested(make: Callable[..., Protocol]) -> Action:
    def go(world: World, ctx: Context, *args: Any) -> Any:
        return world.run(make(adapter(ctx), *args, world.switches), ctx)

    return go


ACTIONS["txsync"] = _nested(nic.txsync)
ACTIONS["rxsync"] = _nested(nic.rxsync)
ACTIONS["sync_to_host"] = _nested(host.sync_to_host)


@action("sync_from_host")
def sync_from_host(world: World, ctx: Context, record: bool = False) -> Any:
    return world.run(host.sync_from_host(adapter(ctx), record, world.switches), ctx)


@action("m_devget")
def m_devget(world: World, ctx: Context, index: int, length: int) -> bytes | None:
    """Copy ``length`` bytes of a buffer into a packet, ``None`` when there is no memory for it."""
    if world.injected("m_devget"):
        return None
    start = world.buffer(index)
    if start + length > world.layout.total:
        raise Panic(fault("m_devget"), ("m_devget", "netmap_sync_to_host netmap.c:880"), start + length)
    return world.region.read(start, length)


@action("send_up")
def send_up(world: World, ctx: Context, frame: bytes) -> None:
    world.emit("UP", ctx.port.name, len(frame))
    ctx.port.up.append(frame)


@action("m_copydata")
def m_copydata(world: World, ctx: Context, index: int) -> None:
    world.region.write(world.buffer(index), ctx.frame)


@action("m_freem")
def m_freem(world: World, ctx: Context) -> None:
    ctx.frame = b""


@action("nm_register")
def nm_register(world: World, ctx: Context, on: int) -> Any:
    world.emit("REGISTER", ctx.port.name, on)
    return world.run(nic.register(adapter(ctx), bool(on)), ctx)


@action("revoke")
def revoke(world: World, ctx: Context) -> None:
    """Contract: an interface that goes away takes its descriptors' registrations with it."""
    for fd in [fd for fd, priv in world.privs.items() if priv.iface == ctx.port.name]:
        world.run(register.dtor(ctx.port.na, world.switches), Context(ctx.port, fd))

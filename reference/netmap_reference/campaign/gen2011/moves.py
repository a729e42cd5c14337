"""What users and environment of generation 2011 do in a campaign, and when it can be done.

:func:`draw` picks by weight until a move can be made in this state; every choice is the generator's,
so a machine's run follows from its seed. The weights are such that every rule of the contract that
a single operation can reach fires within a few ten thousand operations.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable
from itertools import accumulate
from random import Random
from typing import Any

from ...gen2011.device import Interface
from ...gen2011.world import World
from ..subject import Operation, Unit
from . import values
from .possible import exists, possible

Move = Callable[[World, Random, str], Unit]
MOVES: dict[str, tuple[int, Move]] = {}
_GOOD, _BAD, _WILD = "good", "bad", "wild"


def move(weight: int) -> Callable[[Move], Move]:
    """Register a move with its weight; it returns no operation when the state has no place for it."""

    def add(function: Move) -> Move:
        MOVES[function.__name__] = (weight, function)
        return function

    return add


def draw(world: World, profile: str, rng: Random) -> Unit:
    """The next unit of operations; there always is one."""
    while True:
        name = _NAMES[bisect(_SUMS, rng.random() * _SUMS[-1])]
        unit = MOVES[name][1](world, rng, profile)
        if unit and possible(world, unit, profile != _WILD):
            return unit


# --- the places operations are about ------------------------------------------------------------


def _one(op: str, **args: Any) -> Unit:
    return ((op, args),)


def _fd(world: World, rng: Random) -> int | None:
    return rng.choice(sorted(world.fds)) if world.fds else None


def _iface(world: World, rng: Random) -> Interface:
    return rng.choice(list(world.ifs.values()))


def _where(world: World, rng: Random, profile: str, hardware: bool = False) -> dict[str, Any] | None:
    """A ring of an interface in use; wild users also store into rings that were freed."""
    use = [i for i in world.ifs.values() if i.refcount > 0 or (profile == _WILD and i.ring_at and i.na)]
    if not use:
        return None
    iface = rng.choice(use)
    last = iface.num_queues - 1 if hardware else iface.num_queues
    return {"ifname": iface.name, "tx": rng.randint(0, 1), "ring": rng.randint(0, last)}


def _view(world: World, where: dict[str, Any]) -> Any:
    return world.ring(world.ifs[where["ifname"]], f"{'tx' if where['tx'] else 'rx'}{where['ring']}")


def _size(world: World, where: dict[str, Any]) -> int:
    iface = world.ifs[where["ifname"]]
    return iface.num_tx_desc if where["tx"] else iface.num_rx_desc


# --- system calls -------------------------------------------------------------------------------


@move(30)
def open_(world: World, rng: Random, profile: str) -> Unit:
    return _one("open") if len(world.fds) < 5 else ()


@move(110)
def regif(world: World, rng: Random, profile: str) -> Unit:
    fd = _fd(world, rng)
    if fd is None or (world.fds[fd] and rng.random() < 0.7):
        return ()
    known = rng.random() < 0.93
    name = _iface(world, rng).name if known else rng.choice(values.STRANGERS)
    return _one("regif", fd=fd, name=name, ringid=values.ringid(rng, profile))


@move(6)
def unregif(world: World, rng: Random, profile: str) -> Unit:
    return _ending(world, rng, profile, "unregif")


@move(18)
def close(world: World, rng: Random, profile: str) -> Unit:
    return _ending(world, rng, profile, "close")


def _ending(world: World, rng: Random, profile: str, op: str) -> Unit:
    """The end of a registration; sometimes others do something while it sleeps."""
    fd = _fd(world, rng)
    if fd is None:
        return ()
    if not world.fds[fd] or rng.random() < 0.6:
        return _one(op, fd=fd)
    others = [other for other in sorted(world.fds) if other != fd]
    meanwhile: list[Operation] = []
    for _ in range(rng.randint(1, 2)):
        if others and rng.random() < 0.5:
            other = rng.choice(others)
            name = world.privs[fd].iface
            choices: list[Operation] = [
                ("regif", {"fd": other, "name": name, "ringid": values.ringid(rng, profile)}),
                ("poll", {"fd": other, "events": rng.choice(values.EVENTS)}),
                ("rxsync", {"fd": other}),
                ("close", {"fd": other}),
            ]
            meanwhile.append(rng.choice(choices))
        else:
            found = rng.choice((wire_in, host_in, rx_irq, tx_irq, nic_tx, nic_init))(world, rng, profile)
            meanwhile += [item for item in found if exists(world, *item)]
    return _one(op, fd=fd, meanwhile=[list(item) for item in meanwhile])


@move(12)
def ginfo(world: World, rng: Random, profile: str) -> Unit:
    fd = _fd(world, rng)
    name = rng.choice([*world.ifs, "", *values.STRANGERS])
    return () if fd is None else _one("ginfo", fd=fd, name=name)


@move(12)
def ioctl(world: World, rng: Random, profile: str) -> Unit:
    fd = _fd(world, rng)
    name = rng.choice([*world.ifs, *values.STRANGERS])
    return () if fd is None else _one("ioctl", fd=fd, cmd=rng.choice(values.CODES), name=name)


@move(8)
def mmap(world: World, rng: Random, profile: str) -> Unit:
    fd = _fd(world, rng)
    offset = rng.choice([*values.OFFSETS, world.layout.total, world.layout.total - 4096])
    return () if fd is None else _one("mmap", fd=fd, offset=offset, prot=rng.choice((1, 3, 3, 7)))


@move(150)
def txsync(world: World, rng: Random, profile: str) -> Unit:
    fd = _fd(world, rng)
    return () if fd is None else _one("txsync", fd=fd)


@move(150)
def rxsync(world: World, rng: Random, profile: str) -> Unit:
    fd = _fd(world, rng)
    return () if fd is None else _one("rxsync", fd=fd)


@move(200)
def poll(world: World, rng: Random, profile: str) -> Unit:
    fd = _fd(world, rng)
    return () if fd is None else _one("poll", fd=fd, events=rng.choice(values.EVENTS))


# --- the application's stores -------------------------------------------------------------------


@move(220)
def advance(world: World, rng: Random, profile: str) -> Unit:
    """Use some of the slots that are there: `cur` forward, `avail` down."""
    where = _where(world, rng, _GOOD)
    if where is None:
        return ()
    view, n = _view(world, where), _size(world, where)
    cur, avail = view.cur, view.avail
    if not 0 < avail < n or cur >= n:
        return ()
    count = rng.choice((1, avail, rng.randint(1, avail)))
    return _one("ring_set", **where, set={"cur": (cur + count) % n, "avail": avail - count})


@move(45)
def ring_flags(world: World, rng: Random, profile: str) -> Unit:
    where = _where(world, rng, profile)
    return () if where is None else _one("ring_set", **where, set={"flags": rng.choice((0, 0, 1, 2, 3))})


@move(60)
def ring_wrong(world: World, rng: Random, profile: str) -> Unit:
    """Positions that were never given; wild users also overwrite what only the kernel writes."""
    where = None if profile == _GOOD else _where(world, rng, profile)
    if where is None:
        return ()
    n = _size(world, where)
    fields = {
        "cur": rng.choice((rng.randrange(n), n - 1, n, *values.U32)),
        "avail": rng.choice((0, rng.randrange(n), n, *values.U32)),
    }
    if profile == _WILD and rng.random() < 0.15:
        name, wrong = rng.choice(values.HEADER)
        return _one("ring_set", **where, set={name: wrong})
    chosen = rng.choice((("cur",), ("avail",), ("cur", "avail")))
    return _one("ring_set", **where, set={name: fields[name] for name in chosen})


@move(50)
def slot_fields(world: World, rng: Random, profile: str) -> Unit:
    where = _where(world, rng, profile)
    if where is None:
        return ()
    lengths = values.LENGTHS if profile == _GOOD else values.ANY_LENGTH
    fields = {"len": rng.choice(lengths), "flags": rng.choice((0, 0, 1, 2, 3))}
    chosen = rng.choice((("len",), ("flags",), ("len", "flags")))
    made = {name: fields[name] for name in chosen}
    return _one("slot_set", **where, slot=rng.randrange(_size(world, where)), set=made)


@move(70)
def swap(world: World, rng: Random, profile: str) -> Unit:
    """Zero copy: two slots that are the application's exchange their buffers, on any two rings."""
    pair = []
    for _ in range(2):
        where = _where(world, rng, _GOOD)
        if where is None:
            return ()
        view, n = _view(world, where), _size(world, where)
        if not 0 < view.avail < n or view.cur >= n:
            return ()
        slot = (view.cur + rng.randrange(view.avail)) % n
        pair.append(({**where, "slot": slot}, view.slot[slot].buf_idx))
    (one, a), (other, b) = pair
    if one == other or a == b:
        return ()
    changed = 1
    return (
        ("slot_set", {**one, "set": {"buf_idx": b, "flags": changed}}),
        ("slot_set", {**other, "set": {"buf_idx": a, "flags": changed}}),
    )


@move(60)
def steal(world: World, rng: Random, profile: str) -> Unit:
    """Store a buffer's number that is not one's own: reserved, someone else's, beyond the pool."""
    where = _where(world, rng, profile) if profile == _WILD else None
    if where is None:
        return ()
    total = world.pool.total
    index = rng.choice((0, 1, 2, total - 1, total, rng.randrange(total), rng.randrange(total), *values.U32))
    return _one("slot_set", **where, slot=rng.randrange(_size(world, where)), set={"buf_idx": index})


@move(35)
def buf_put(world: World, rng: Random, profile: str) -> Unit:
    where = _where(world, rng, profile)
    if where is None:
        return ()
    slot = rng.randrange(_size(world, where))
    return _one("buf_put", **where, slot=slot, data=values.frame(rng))


# --- the environment ----------------------------------------------------------------------------


@move(170)
def wire_in(world: World, rng: Random, profile: str) -> Unit:
    iface = _iface(world, rng)
    q = rng.randrange(iface.num_queues)
    if len(iface.rx[q].waiting) > 3:
        return ()
    return _one("wire_in", ifname=iface.name, q=q, data=values.frame(rng))


@move(110)
def nic_tx(world: World, rng: Random, profile: str) -> Unit:
    iface = _iface(world, rng)
    return _one("nic_tx", ifname=iface.name, q=rng.randrange(iface.num_queues), n=rng.choice((-1, -1, 1, 2)))


@move(70)
def rx_irq(world: World, rng: Random, profile: str) -> Unit:
    iface = _iface(world, rng)
    return _one("rx_irq", ifname=iface.name, q=rng.randrange(iface.num_queues))


@move(40)
def tx_irq(world: World, rng: Random, profile: str) -> Unit:
    iface = _iface(world, rng)
    return _one("tx_irq", ifname=iface.name, q=rng.randrange(iface.num_queues))


@move(110)
def host_in(world: World, rng: Random, profile: str) -> Unit:
    iface = _iface(world, rng)
    args: dict[str, Any] = {"ifname": iface.name, "data": values.frame(rng, rng.random() < 0.03)}
    if rng.random() < 0.1:
        args["force"] = 1
    return _one("host_in", **args)


@move(40)
def wire_out(world: World, rng: Random, profile: str) -> Unit:
    iface = _iface(world, rng)
    return _one("wire_out", ifname=iface.name) if iface.out else ()


@move(40)
def host_out(world: World, rng: Random, profile: str) -> Unit:
    iface = _iface(world, rng)
    return _one("host_out", ifname=iface.name) if iface.up else ()


@move(8)
def nic_init(world: World, rng: Random, profile: str) -> Unit:
    return _one("nic_init", ifname=_iface(world, rng).name)


@move(8)
def netmap_reset(world: World, rng: Random, profile: str) -> Unit:
    """A driver restarts one ring where the NIC stands; a wild one anywhere."""
    iface = _iface(world, rng)
    q, tx = rng.randrange(iface.num_queues), rng.randint(0, 1)
    new = iface.tx[q].tail if tx else iface.rx[q].check
    if tx and profile == _WILD:
        new = rng.randrange(iface.num_tx_desc)
    elif tx and not iface.tx[q].head == iface.tx[q].clean == new:
        return ()
    return _one("netmap_reset", ifname=iface.name, tx=tx, n=q, new_cur=new)


@move(4)
def detach(world: World, rng: Random, profile: str) -> Unit:
    return _one("detach", name=_iface(world, rng).name)


@move(40)
def attach(world: World, rng: Random, profile: str) -> Unit:
    return _one("attach", name=_iface(world, rng).name)


@move(25)
def sysctl(world: World, rng: Random, profile: str) -> Unit:
    name = rng.choice(("verbose", "no_timestamp", "no_pendintr", "mitigate"))
    value = rng.choice(values.VERBOSE) if name == "verbose" else rng.randint(0, 1)
    return _one("sysctl", name=name, v=value)


@move(25)
def inject(world: World, rng: Random, profile: str) -> Unit:
    what = rng.choice(("kmalloc", "set_cdevpriv", "register", "m_devget"))
    return _one("inject", what=what, count=rng.randint(1, 3) if what == "kmalloc" else 1)


@move(2)
def reload(world: World, rng: Random, profile: str) -> Unit:
    return _one("reload") if rng.random() < 0.5 else ()


@move(1)
def reset(world: World, rng: Random, profile: str) -> Unit:
    return _one("reset") if rng.random() < 0.5 else ()


_NAMES = list(MOVES)
_SUMS = list(accumulate(weight for weight, _ in MOVES.values()))

"""What netmap counts and shows of ports, compared with the list of who is bound to what (:mod:`.bound14`)."""

from __future__ import annotations

from collections.abc import Iterator

from netmap_reference.gen14 import memory
from netmap_reference.gen14.state import RX, TX
from netmap_spec.abi import api14

from . import life14
from .bound14 import BITS, GOALS, Held, Ring, objects

Found = Iterator[tuple[str, bool, str]]


def calls(held: Held) -> Found:
    """What the last call did not do as it should."""
    wrong = dict(held.wrong)
    for goal in GOALS:
        yield goal, goal not in wrong, wrong.get(goal, "")


def port(held: Held, name: str) -> Found:
    """What a port counts, and its mode."""
    na = held.world.system().adapters[name]
    fds = held.of(name)
    yield "the descriptors of a port are counted", na.fds == len(fds), f"{name}: {na.fds}"
    many = tuple(sum(1 for b in fds if b.range(t)[1] - b.range(t)[0] > 1) for t in (RX, TX))
    yield "those bound to several rings are counted", na.si_users == many, f"{name}: {na.si_users}, {many}"
    yield "a port is in netmap mode while it is bound", na.on == bool(fds), f"{name}: {na.on}"


def rings(held: Held, name: str) -> Found:
    """The krings of a port: users, claims, mode, and which have a ring object. Those of a pipe have one once
    they are made, whoever is bound."""
    s = held.world.system()
    living = [k for k in s.krings.values() if k.adapter == name]
    for k in living:
        ring = (name, k.t, k.index)
        users = held.users(ring)
        yield "users of a ring are counted", k.users == len(users), f"{k.name}: {k.users}, {users}"
        alone = any(b.alone for b in users)
        yield "a ring is exclusive while its user is", k.exclusive == alone, f"{k.name}: {users}"
        mode = k.on == k.pending == bool(users)
        yield "a ring is in netmap mode while it is used", mode, f"{k.name}: {k.on}, {k.pending}, {users}"
        made = ring in held.made
        there = bool(users) or made
        yield "a ring object is there while it is used or needed", (k.ring >= 0) == there, k.name
        yield "a ring without object names none", k.ring >= -1, f"{k.name}: {k.ring}"
        pair = (k.fake and k.needed) if made else not k.needed
        yield "a pair of rings that is made keeps them and their buffers", pair, k.name


def _sizes(a: memory.Allocator) -> int:
    """Where the buffers begin: behind the two other pools."""
    return a.if_pool.memtotal + a.ring_pool.memtotal


def pages(held: Held, name: str, slots: tuple[int, int]) -> Found:
    """What the ring objects of a port say: sizes, where the buffers are, positions, offsets, slots. ``slots``
    is how many they have, transmit first."""
    s = held.world.system()
    na = s.adapters[name]
    a, region = s.allocators[na.mem], s.regions[na.mem]
    for k, at in objects(s, name):
        view = api14.netmap_ring(region, at)
        n = slots[0 if k.t == TX else 1]
        size = api14.netmap_ring.SIZE + n * api14.netmap_slot.SIZE
        yield "a ring fits its object", size <= a.ring_pool.objsize, f"{k.name}: {size}"
        shape = (view.num_slots, view.nr_buf_size, view.ringid, view.dir)
        good = shape == (n, a.buf_pool.objsize, k.index, int(k.t == TX))
        yield "a ring says its sizes, number and direction", good, f"{k.name}: {shape}"
        yield "buffers are where buf_ofs says", at + view.buf_ofs == _sizes(a), f"{k.name}: {view.buf_ofs}"
        q = k.pos
        shown = (view.head, view.cur, view.tail) == (q.rhead, q.rcur, q.rtail)
        yield "a ring nobody has moved shows the kernel's positions", shown, k.name
        ring = (name, k.t, k.index)
        mask = (1 << BITS) - 1 if ring in held.masked else 0
        yield "offset_mask is what the ring's users have agreed on", view.offset_mask == mask, k.name
        known = k.offset.bits == (BITS if ring in held.agreed else 0)
        yield "the kernel knows of the offsets agreed on", known, k.name
        yield "no alignment without a device that needs it", view.buf_align == 0, k.name
        found = memory.read_slots(region, at, n)
        yield "no slot names buffer 1", all(x.buf_idx != 1 for x in found), k.name
        yield "every slot has a buffer", all(x.buf_idx > 1 for x in found), f"{k.name}: {found}"
        fresh = all((x.len, x.flags) == (a.buf_pool.objsize, 0) for x in found)
        yield "slots nobody has touched are as new", fresh or held.parts > 0, f"{k.name}: {found}"


def untouched(held: Held, name: str, slots: tuple[int, int]) -> Found:
    """The kernel's part of rings that nobody has synced: where they stand, and what a device fills."""
    s = held.world.system()
    na = s.adapters[name]
    where = {k.name: at for k, at in objects(s, name)}
    for k in (k for k in s.krings.values() if k.adapter == name):
        n = slots[0 if k.t == TX else 1]
        q, tail = k.pos, n - 1 if k.t == TX else 0
        good = (q.n, q.hwcur, q.hwtail, q.rhead, q.rcur, q.rtail) == (n, 0, tail, 0, 0, tail)
        yield "a ring nobody has synced stands at its start", good, f"{k.name}: {q}"
        filled = na.kind == "nic" and k.t == RX and not k.host and k.on
        found = memory.read_slots(s.regions[na.mem], where[k.name], n) if filled else []
        good = k.desc == tuple(x.buf_idx for x in found)
        yield "a device fills the buffers of rings in netmap mode", good, f"{k.name}: {k.desc}"


def descriptors(held: Held) -> Found:
    """What the kernel remembers of each descriptor: its rings, where it sleeps, what a poll does for it."""
    s = held.world.system()
    for b in held.bound:
        f = s.files[s.holders["main", b.fd]]
        good = (f.adapter, f.tx, f.rx) == (b.port, b.tx, b.rx)
        yield "a descriptor has the rings it asked for", good, f"{b}: {f}"
        for t, at in ((RX, f.selinfo[0]), (TX, f.selinfo[1])):
            first, last = b.range(t)
            where = f"{b.port}:{t}" if last - first > 1 else f"{b.port}:{t}{first}"
            yield "it sleeps on its ring, or where all rings of a port are told", at == where, f"{b}: {at}"
        every = b.tx[0] == 0 and b.tx[1] >= s.adapters[b.port].tx_rings
        yield "it forwards when it has all transmit rings", f.forward_down == every, f"{b}: {f}"
        yield "its flags say what a poll syncs", (f.tx_poll, f.rx_poll) == b.polls, f"{b}: {f}"


def interfaces(held: Held) -> Found:
    """The netmap_if of each descriptor: its port's numbers of rings, offsets of the rings it is bound to."""
    s = held.world.system()
    for b in held.bound:
        na = s.adapters[b.port]
        a = s.allocators[na.mem]
        nifp = held.world.nifp(b.fd)
        counts = (nifp.ni_tx_rings, nifp.ni_rx_rings)
        yield "a netmap_if counts the port's rings", counts == (na.tx_rings, na.rx_rings), f"{b}: {counts}"
        hosts = (nifp.ni_host_tx_rings, nifp.ni_host_rx_rings)
        own = (na.host_tx_rings, na.host_rx_rings) if na.host_rings else (1, 1)
        yield "it counts its host rings, one where there are none", hosts == own, f"{b}: {hosts}"
        yield "it names the port", b.name in ("", nifp.ni_name), f"{b}: {nifp.ni_name}"
        flags = bool(nifp.ni_flags & api14.NI_PRIV_MEM)
        yield "a netmap_if tells of a private region", flags == a.private, f"{b}"
        wanted = [(t, i) for t in (TX, RX) for i in range(na.all_rings(t))]
        where = {(k.t, k.index): at for k, at in objects(s, b.port)}
        at = nifp.off
        ofs = [where[x] - at if (b.port, *x) in b.rings() else 0 for x in wanted]
        shown = [nifp.ring_ofs[i] for i in range(len(wanted))]
        yield "a netmap_if has the offsets of its own rings", shown == ofs, f"{b}: {shown}, {ofs}"


def buffers(held: Held, pairs: frozenset[Ring] = frozenset()) -> Found:
    """Buffers in use are those of the living rings and the extra ones; ``pairs`` are rings whose buffers
    another one shows as well."""
    s = held.world.system()
    for mem, a in s.allocators.items():
        own = sum(k.pos.n for k in life14.rings(s, mem) if (k.adapter, k.t, k.index) not in pairs)
        extra = sum(b.extra for b in held.bound if s.adapters[b.port].mem == mem)
        used = len(a.buf_pool.used - memory.RESERVED)
        what = f"region {mem}: {used}, not {own} + {extra}"
        yield "buffers in use are those of rings and the extra ones", used == own + extra, what
        yield from life14.owners(s, mem)
    yield from life14.pools(s)

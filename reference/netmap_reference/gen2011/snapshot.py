"""The state of a world in the recordings' shape."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from netmap_spec.abi import api2011

from .attach import block_bytes
from .device import Interface, Priv
from .memory import BUF_SIZE, OBJ_BYTES
from .pool import words

if TYPE_CHECKING:
    from .world import World

#: Kernel-private sizes on the recorded system: netmap_mem_d and netmap_priv_d.
MEM_D_BYTES = 72
PRIV_BYTES = 32
HASHED = 64
_FNV_START, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


@lru_cache(maxsize=4096)
def fnv1a(data: bytes) -> str:
    """The 64-bit FNV-1a hash, as 16 hexadecimal digits."""
    value = _FNV_START
    for byte in data:
        value = (value ^ byte) * _FNV_PRIME % (1 << 64)
    return f"{value:016x}"


def state(world: World) -> dict[str, Any]:
    """Everything the recordings show after an operation."""
    return {
        "mem": _memory(world),
        "kmem": _kmem(world),
        "mbufs": 0,
        "now": world.now,
        "locks_held": len(world.held),
        "ifs": {name: _interface(world, iface) for name, iface in world.ifs.items()},
        "fds": {str(fd): _descriptor(world, world.privs.get(fd)) for fd in sorted(world.fds)},
        "bufs": _buffers(world),
    }


def _memory(world: World) -> dict[str, Any]:
    laid = world.layout
    return {
        "total": laid.total,
        "size": laid.size,
        "buf_start": laid.buf_start,
        "buf_len": laid.buf_len,
        "total_buffers": world.pool.total,
        "free": world.pool.free,
        "bitmap": words(world.pool),
        "objs": [[obj.offset, obj.size, int(obj.used)] for obj in world.objs],
    }


def _kmem(world: World) -> dict[str, list[int]]:
    """What the kernel's memory types have allocated: [pieces, bytes]."""
    attached = [block_bytes(i.na.num_queues) for i in world.ifs.values() if i.na is not None]
    bitmaps = (4 * len(words(world.pool)), *world.lost)
    objs = len(world.objs)
    return {
        "netmap": [1 + len(bitmaps) + objs, MEM_D_BYTES + sum(bitmaps) + OBJ_BYTES * objs],
        "devbuf": [len(attached) + len(world.privs), sum(attached) + PRIV_BYTES * len(world.privs)],
    }


def _interface(world: World, iface: Interface) -> dict[str, Any]:
    return {
        "dying": int(iface.dying),
        "cap": int(iface.capable),
        "enabled": int(iface.enabled),
        "refs": iface.refs,
        "intercept": int(iface.intercept),
        "rx_drops": iface.rx_drops,
        "out": [[q, len(frame), fnv1a(frame)] for q, frame in iface.out],
        "up": [[-1, len(frame), fnv1a(frame)] for frame in iface.up],
        "nic": {
            "tx": [[r.head, r.tail, r.clean] for r in iface.tx],
            "rx": [
                [
                    r.head,
                    r.tail,
                    r.check,
                    [int(d) for d in r.done],
                    [[q, len(f), fnv1a(f)] for f in r.waiting],
                ]
                for q, r in enumerate(iface.rx)
            ],
        },
        "na": _adapter(world, iface),
    }


def _adapter(world: World, iface: Interface) -> dict[str, Any] | None:
    na = iface.na
    if na is None:
        return None
    return {
        "refcount": iface.refcount,
        "num_queues": na.num_queues,
        "ntx": na.num_tx_desc,
        "nrx": na.num_rx_desc,
        "sep": int(na.separate_locks),
        "buff_size": BUF_SIZE,
        **{
            side: [_kring(world, iface, f"{side}{i}") for i in range(na.num_queues + 2)]
            for side in ("tx", "rx")
        },
    }


def _kring(world: World, iface: Interface, name: str) -> dict[str, Any]:
    """A kring, and its ring while the interface has users (afterwards the pointer dangles)."""
    k = iface.krings[name]
    shown: dict[str, Any] = {
        "hwcur": k.hwcur,
        "hwavail": k.hwavail,
        "hwofs": k.hwofs,
        "kflags": k.kflags,
        "nslots": k.n,
        "wait": sum(1 << fd for fd in iface.waiting.get(name, ())),
    }
    if iface.refcount > 0 and k.n:
        shown["ring"] = _ring(world, iface, name, k.n)
    return shown


def _ring(world: World, iface: Interface, name: str, n: int) -> dict[str, Any]:
    view = world.ring(iface, name)
    slots = [view.slot[i] for i in range(n)]
    return {
        "off": view.off,
        "buf_ofs": view.buf_ofs,
        "num_slots": view.num_slots,
        "avail": view.avail,
        "cur": view.cur,
        "buf_size": view.nr_buf_size,
        "flags": view.flags,
        "ts": [view.ts_sec, view.ts_usec],
        "slots": [[slot.buf_idx, slot.len, slot.flags] for slot in slots],
    }


def _descriptor(world: World, priv: Priv | None) -> dict[str, Any] | None:
    if priv is None:
        return None
    chosen = priv.selection
    shown: dict[str, Any] = {
        "if": priv.iface,
        "ringid": chosen.ringid,
        "qfirst": chosen.qfirst,
        "qlast": chosen.qlast,
        "txpoll": chosen.txpoll,
        "nifp": priv.nifp,
    }
    na = world.ifs[priv.iface].na
    if na is not None and priv.nifp is not None:
        view = api2011.netmap_if(world.region, priv.nifp)
        shown["ni"] = {
            "name": view.ni_name,
            "version": view.ni_version,
            "num_queues": view.ni_num_queues,
            "rx_queues": view.ni_rx_queues,
            "ofs": [view.ring_ofs[i] for i in range(2 * (na.num_queues + 1))],
        }
    return shown


def _buffers(world: World) -> dict[str, str]:
    """The hash of every buffer whose first 64 bytes are not all zero, by buffer index."""
    shown = {}
    for index in range(world.pool.total):
        data = world.region.read(world.layout.buf_start + index * BUF_SIZE, HASHED)
        if any(data):
            shown[str(index)] = fnv1a(data)
    return shown

"""Chapter *control*: the ioctls of `/dev/netmap`, and mmap.

A descriptor is *registered* from a successful NIOCREGIF to NIOCUNREGIF or its last close. The request
is copied back to the caller only when the ioctl succeeds.
"""

from __future__ import annotations

from dataclasses import dataclass

from netmap_spec.abi import api2011

from ..core.effects import Do, Fired, Protocol
from ..core.outcome import errno
from ..core.step import Step, rule
from .attach import Adapter, faults
from .register import dtor, regif, set_ringid
from .source import lines
from .sync import sync_ioctl

PROT_EXEC = 4

MMAP_UNBOUNDED = "2011.mmap-unbounded"
CONTRACT: frozenset[str] = frozenset()
AS_WRITTEN = frozenset({MMAP_UNBOUNDED})

NIOCGINFO, NIOCREGIF, NIOCUNREGIF, NIOCTXSYNC, NIOCRXSYNC = (
    api2011.IOCTLS["freebsd"][name]
    for name in ("NIOCGINFO", "NIOCREGIF", "NIOCUNREGIF", "NIOCTXSYNC", "NIOCRXSYNC")
)
#: Requests of the packet filter's interface that applications written for it make; they do nothing.
#: Codes: FreeBSD's net/bpf.h, BIOCIMMEDIATE, BIOCGHDRCMPLT, BIOCSHDRCMPLT, BIOCSSEESENT.
BIOC = frozenset({0x80044270, 0x40044274, 0x80044275, 0x80044277})

NO_SUCH_IF = rule("2011/control/get_ifp/none", clause="2011.control.interface", source=lines("953-955"))
NOT_CAPABLE = rule(
    "2011/control/get_ifp/not-capable", clause="2011.control.interface", source=lines("956-962")
)
GOT_IFP = rule("2011/control/get_ifp/ok", clause="2011.control.interface", source=lines("959-960"))
GINFO_MEMORY = rule("2011/control/ginfo/memory", clause="2011.control.ginfo", source=lines("1101-1107"))
GINFO_IF = rule("2011/control/ginfo/interface", clause="2011.control.ginfo", source=lines("1108-1115"))
REGIF_AGAIN = rule("2011/control/regif/again", clause="2011.register.again", source=lines("1118-1121"))
UNREGIF = rule("2011/control/unregif/ok", clause="2011.control.unregif", source=lines("1205-1208"))
NOT_REGISTERED = rule(
    "2011/control/not-registered", clause="2011.control.not-registered", source=lines("1199-1215")
)
IGNORED = rule("2011/control/bioc-ignored", clause="2011.control.bioc", source=lines("1248-1253"))
PASSED = rule("2011/control/passed-on", clause="2011.control.pass-through", source=lines("1255-1269"))
MMAP_EXEC = rule("2011/control/mmap/executable", clause="2011.control.mmap", source=lines("834-835"))
MMAP_OK = rule("2011/control/mmap/inside", clause="2011.control.mmap", source=lines("837-840"))
MMAP_OUTSIDE = rule(
    "2011/control/mmap/outside-refused", clause="2011.control.mmap-bounds", source=lines("816-840")
)
MMAP_ANYWHERE = rule(
    "2011/control/mmap/outside-mapped",
    clause="2011.control.mmap-bounds",
    source=lines("834-840"),
    switch=MMAP_UNBOUNDED,
)


def get_ifp(exists: bool, capable: bool, attached: bool) -> Step[None]:
    """May this interface be used? ENXIO when there is none, EINVAL when netmap does not support it."""
    if not exists:
        return Step(None, (NO_SUCH_IF,), errno("ENXIO"))
    if not (capable and attached):
        return Step(None, (NOT_CAPABLE,), errno("EINVAL"))
    return Step(None, (GOT_IFP,))


def mmap_page(offset: int, executable: bool, total: int, switches: frozenset[str] = CONTRACT) -> Step[bool]:
    """May the page at ``offset`` (signed, bytes) be mapped? Source: netmap_mmap.

    As written (MMAP_UNBOUNDED) every offset may, also before and behind the block of ``total`` bytes.
    """
    if executable:
        return Step(False, (MMAP_EXEC,))
    if offset >= 0 and offset < total:
        return Step(True, (MMAP_OK,))
    if MMAP_UNBOUNDED in switches:
        return Step(True, (MMAP_ANYWHERE,))
    return Step(False, (MMAP_OUTSIDE,))


@dataclass(frozen=True, slots=True)
class Bound:
    """The calling descriptor: is it registered, and its interface's adapter (``None``: detached)."""

    registered: bool
    na: Adapter | None


def ioctl(bound: Bound, code: int, ringid: int, switches: frozenset[str] = CONTRACT) -> Protocol:
    """One ioctl; returns an errno's name or "". The request is read and answered through effects:

    ``Do("get_ifp")`` finds the interface the request names and holds a reference (errno or ""),
    ``Do("adapter")`` is its adapter, ``Do("ginfo")`` / ``Do("answer")`` fill the request.
    """
    na = bound.na
    if code == NIOCGINFO:
        yield Do("memsize")
        if not (yield Do("named")):
            yield Fired(GINFO_MEMORY)
            return ""
        error = yield Do("get_ifp")
        if error:
            return error
        yield Fired(GINFO_IF)
        yield Do("ginfo")
        yield Do("if_rele_named")
        return ""
    if code == NIOCREGIF:
        if bound.registered:
            yield Fired(REGIF_AGAIN)
            return (yield from set_ringid(na, ringid))
        error = yield Do("get_ifp")
        if error:
            return error
        yield Do("bind")
        return (yield from regif((yield Do("adapter")), ringid, switches))
    if code in (NIOCUNREGIF, NIOCTXSYNC, NIOCRXSYNC):
        if not bound.registered:
            yield Fired(NOT_REGISTERED)
            return "ENXIO"
        if code == NIOCUNREGIF:
            yield Fired(UNREGIF)
            yield from dtor(na, switches)
        elif na is None:
            yield from faults("netmap_ioctl", 1219, "num_queues")
        else:
            yield from sync_ioctl(code == NIOCTXSYNC, na.num_queues, switches)
        return ""
    if code in BIOC:
        yield Fired(IGNORED)
        yield Do("log", ("netmap_ioctl", 1252))
        return ""
    error = yield Do("get_ifp")
    if error:
        return error
    yield Fired(PASSED)
    error = yield Do("ifioctl", (code,))
    yield Do("if_rele_named")
    return error

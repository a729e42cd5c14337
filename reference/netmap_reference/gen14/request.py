"""Chapter *request*: what a REGISTER asks for, as pure steps over plain integers.

The names the kernel knows are ``v0`` (a port of the system), ``x{1`` and ``x}1`` (master and slave end of
pipe ``1`` below port ``x``) and ``valeS:P``. Sizes that are asked for are cut to what the port can give;
they are wishes, never errors. The mode says which rings the descriptor is bound to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netmap_spec.abi import api14

from ..core.outcome import errno
from ..core.step import Step, rule
from .failure import point

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
PIPE_C = "luigirizzo/netmap:sys/dev/netmap/netmap_pipe.c@89607e14"
LEGACY_C = "luigirizzo/netmap:sys/dev/netmap/netmap_legacy.c@89607e14"
LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"
VALE_C = "luigirizzo/netmap:sys/dev/netmap/netmap_vale.c@89607e14"

PIPE_MAXSLOTS = 4096
PIPE_MAXRINGS = 256
VALE_MAXSLOTS = 4096
VALE_MAXRINGS = 16
VALE_RINGSIZE = 1024
VALE_MAXEXTRA = 128 * VALE_MAXSLOTS
IFNAMSIZ = 16
NAMSIZ = api14.NETMAP_REQ_IFNAMSIZ

_NAME = "14.register.names"
NAME_PORT = rule("14/register/parse_name/port", clause=_NAME, source=f"{NETMAP_C}:1635-1652")
NAME_PIPE = rule("14/register/parse_name/pipe", clause=_NAME, source=f"{PIPE_C}:666-680")
NAME_BRACKET = rule("14/register/parse_name/lone-bracket", clause=_NAME, source=f"{PIPE_C}:681-686")
NAME_PARENT = rule("14/register/parent_name/refused", clause=_NAME, source=f"{VALE_C}:1431-1452")
VERSION = rule("14/register/version", clause="14.register.version", source=f"{NETMAP_C}:2774-2779")

COPY_MEMORY = point("request.memory", "ENOMEM", source=f"{NETMAP_C}:3427-3431")
COPY_IN = point("request.copy-in", "EFAULT", source=f"{NETMAP_C}:3448-3451")
COPY_OUT = point("request.copy-out", "EFAULT", source=f"{NETMAP_C}:3577-3585")
LEGACY_HEADER = point("legacy.header", "ENOMEM", source=f"{LEGACY_C}:125-129")
LEGACY_BODY = point("legacy.body", "ENOMEM", source=f"{LEGACY_C}:147-148,157-158,174,179-180,188-189,205-206")
HEADER_IN = point("header.copy-in", "EFAULT", source=f"{LINUX_C}:1505-1511")
HEADER_OUT = point("header.copy-out", "EFAULT", source=f"{LINUX_C}:1514-1515")

_CUT = "14.register.sizes"
CUT = rule("14/register/bound/as-asked", clause=_CUT, source=f"{NETMAP_C}:687-707")
CUT_DEFAULT = rule("14/register/bound/default", clause=_CUT, source=f"{NETMAP_C}:693-699")
CUT_MAX = rule("14/register/bound/cut", clause=_CUT, source=f"{NETMAP_C}:700-703")

_MODE = "14.register.rings"
RANGE_NONE = rule("14/register/ring_range/excluded", clause=_MODE, source=f"{NETMAP_C}:1910-1913")
RANGE_ALL = rule("14/register/ring_range/all", clause=_MODE, source=f"{NETMAP_C}:1915-1921")
RANGE_SW = rule("14/register/ring_range/host", clause=_MODE, source=f"{NETMAP_C}:1922-1934")
RANGE_ONE = rule("14/register/ring_range/one", clause=_MODE, source=f"{NETMAP_C}:1935-1949")
RANGE_ONE_SW = rule("14/register/ring_range/one-host", clause=_MODE, source=f"{NETMAP_C}:1950-1968")
RANGE_NO_HOST = rule(
    "14/register/ring_range/no-host-rings", clause=_MODE, source=f"{NETMAP_C}:1924-1927,1951-1954"
)
RANGE_RINGID = rule(
    "14/register/ring_range/no-such-ring", clause=_MODE, source=f"{NETMAP_C}:1936-1940,1955-1959"
)
RANGE_MODE = rule("14/register/ring_range/no-such-mode", clause=_MODE, source=f"{NETMAP_C}:1969-1972")


# --- the request ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """The fields of ``nmreq_register``, without ``nr_``, and the header's ``name``."""

    name: str
    mode: int = api14.NR_REG_ALL_NIC
    ringid: int = 0
    tx_slots: int = 0
    rx_slots: int = 0
    tx_rings: int = 0
    rx_rings: int = 0
    host_tx_rings: int = 0
    host_rx_rings: int = 0
    mem_id: int = 0
    extra_bufs: int = 0
    flags: int = 0

    def has(self, flag: int) -> bool:
        """Is an ``NR_`` flag set?"""
        return bool(self.flags & flag)


#: The body's fields that ask for something.
FIELDS = tuple(name for name in Request.__slots__ if name != "name")


def named(value: Any, prefix: str) -> int:
    """A number, or names of API 14 constants joined by ``|``, ``+`` or ``,``, with or without ``prefix``."""
    if isinstance(value, int):
        return value
    total = 0
    for word in str(value).replace("+", "|").replace(",", "|").split("|"):
        try:
            total |= int(word, 0)
        except ValueError:
            number = getattr(api14, word, getattr(api14, prefix + word, None))
            if not isinstance(number, int):
                raise ValueError(f"API 14 has no constant '{word}'") from None
            total |= number
    return total


def monitor_directions(flags: int) -> tuple[str, ...]:
    """Which directions a monitor with these flags watches, receive first; none: it is not a monitor.

    NR_ZCOPY_MON stands for both.
    """
    both = bool(flags & api14.NR_ZCOPY_MON)
    rx, tx = both or bool(flags & api14.NR_MONITOR_RX), both or bool(flags & api14.NR_MONITOR_TX)
    return ("rx",) * rx + ("tx",) * tx


def effective_flags(flags: int) -> int:
    """The flags a successful request comes back with: NR_ZCOPY_MON brings both directions along."""
    if flags & api14.NR_ZCOPY_MON:
        return flags | api14.NR_MONITOR_RX | api14.NR_MONITOR_TX
    return flags


# --- names ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PortName:
    """``kind``: ``port``, ``pipe`` or ``vale``; a pipe has ``base``, ``role`` (a brace) and ``pipe_id``."""

    kind: str
    base: str
    role: str = ""
    pipe_id: str = ""


def parse_name(name: str) -> Step[PortName]:
    """Split a kernel name. The last ``{`` counts, without one the last ``}``.

    EINVAL when the bracket is the first or the last character. Source: netmap_get_pipe_na.
    """
    for role in "{}":
        at = name.rfind(role)
        if at >= 0:
            base, pipe_id = name[:at], name[at + 1 :]
            if not base or not pipe_id:
                return Step(PortName("pipe", base, role, pipe_id), (NAME_BRACKET,), errno("EINVAL"))
            return Step(PortName("pipe", base, role, pipe_id), (NAME_PIPE,))
    if name.startswith("vale"):
        return Step(PortName("vale", name), (NAME_PORT,))
    return Step(PortName("port", name), (NAME_PORT,))


def parent_name(name: str) -> Step[str]:
    """Can a parent of this name be made on the fly? ENXIO when the system takes no such interface name."""
    too_long = len(name) >= IFNAMSIZ
    if too_long or name in (".", "..") or any(c in "/:" or c.isspace() for c in name):
        return Step(name, (NAME_PARENT,), errno("ENXIO"))
    return Step(name, (NAME_PORT,))


# --- sizes ------------------------------------------------------------------------------------


def bound(value: int, default: int, low: int, high: int) -> Step[int]:
    """``value`` if it lies in ``[low, high]``, the default when it is below, ``high`` when it is above.

    The default itself is kept inside the interval. Source: nm_bound_var.
    """
    if value < low:
        if default < low:
            return Step(low, (CUT_DEFAULT,))
        if default > high:
            return Step(high, (CUT_DEFAULT,))
        return Step(default, (CUT_DEFAULT,))
    if value > high:
        return Step(high, (CUT_MAX,))
    return Step(value, (CUT,))


@dataclass(frozen=True, slots=True)
class Shape:
    """Rings and slots per ring of a port, and extra buffers asked for."""

    tx_rings: int
    rx_rings: int
    tx_slots: int
    rx_slots: int
    extra_bufs: int = 0


def parent_shape(asked: Shape) -> Step[Shape]:
    """What a parent made on the fly gets; the pipe's own request is cut by the same step."""
    parts = (
        bound(asked.tx_rings, 1, 1, VALE_MAXRINGS),
        bound(asked.rx_rings, 1, 1, VALE_MAXRINGS),
        bound(asked.tx_slots, VALE_RINGSIZE, 1, VALE_MAXSLOTS),
        bound(asked.rx_slots, VALE_RINGSIZE, 1, VALE_MAXSLOTS),
        bound(asked.extra_bufs, 0, 0, VALE_MAXEXTRA),
    )
    return Step(Shape(*(p.state for p in parts)), tuple(r for p in parts for r in p.fired))


def pipe_shape(asked: Shape, parent_tx_slots: int, parent_rx_slots: int) -> Step[Shape]:
    """What the master end of a new pipe gets; the slave gets the mirror image."""
    parts = (
        bound(asked.tx_rings, 1, 1, PIPE_MAXRINGS),
        bound(asked.rx_rings, 1, 1, PIPE_MAXRINGS),
        bound(asked.tx_slots, parent_tx_slots, 1, PIPE_MAXSLOTS),
        bound(asked.rx_slots, parent_rx_slots, 1, PIPE_MAXSLOTS),
    )
    tx_rings, rx_rings, tx_slots, rx_slots = (p.state for p in parts)
    shape = Shape(tx_rings, rx_rings, tx_slots, rx_slots, asked.extra_bufs)
    return Step(shape, tuple(r for p in parts for r in p.fired))


# --- which rings ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rings:
    """How many rings a port has: hardware, host, and the total including a host ring that is never used."""

    tx: int
    rx: int
    host_tx: int
    host_rx: int
    all_tx: int
    all_rx: int
    has_host: bool


@dataclass(frozen=True, slots=True)
class Ranges:
    """Half-open ranges of ring indices a descriptor is bound to."""

    tx: tuple[int, int]
    rx: tuple[int, int]


def _one(ringid: int, own: int, base: int) -> tuple[int, int]:
    """Ring ``ringid`` above ``base``; the first one when this direction has fewer rings than the other."""
    if ringid >= own:
        return (base, base + 1)
    return (base + ringid, base + ringid + 1)


def ring_range(
    rings: Rings, mode: int, ringid: int, tx_only: bool = False, rx_only: bool = False
) -> Step[Ranges]:
    """Translate mode and ring number into the rings to bind.

    ``tx_only`` leaves out all receive rings, ``rx_only`` all transmit rings, both leave nothing: then the
    mode is not even looked at. EINVAL for a mode netmap does not have, host rings on a port without, a ring
    number neither direction has. Source: netmap_interp_ringid.
    """
    none = Ranges((0, 0), (0, 0))
    if tx_only and rx_only:
        return Step(none, (RANGE_NONE,))
    if mode == api14.NR_REG_ALL_NIC or mode == api14.NR_REG_NULL:
        tx, rx, fired = (0, rings.tx), (0, rings.rx), RANGE_ALL
    elif mode == api14.NR_REG_SW or mode == api14.NR_REG_NIC_SW:
        if not rings.has_host:
            return Step(none, (RANGE_NO_HOST,), errno("EINVAL"))
        fired = RANGE_SW
        if mode == api14.NR_REG_SW:
            tx, rx = (rings.tx, rings.all_tx), (rings.rx, rings.all_rx)
        else:
            tx, rx = (0, rings.all_tx), (0, rings.all_rx)
    elif mode == api14.NR_REG_ONE_NIC:
        if ringid >= rings.tx and ringid >= rings.rx:
            return Step(none, (RANGE_RINGID,), errno("EINVAL"))
        tx, rx, fired = _one(ringid, rings.tx, 0), _one(ringid, rings.rx, 0), RANGE_ONE
    elif mode == api14.NR_REG_ONE_SW:
        if not rings.has_host:
            return Step(none, (RANGE_NO_HOST,), errno("EINVAL"))
        if ringid >= rings.host_tx and ringid >= rings.host_rx:
            return Step(none, (RANGE_RINGID,), errno("EINVAL"))
        tx, rx = _one(ringid, rings.host_tx, rings.tx), _one(ringid, rings.host_rx, rings.rx)
        fired = RANGE_ONE_SW
    else:
        return Step(none, (RANGE_MODE,), errno("EINVAL"))
    if tx_only:
        return Step(Ranges(tx, (0, 0)), (fired, RANGE_NONE))
    if rx_only:
        return Step(Ranges((0, 0), rx), (fired, RANGE_NONE))
    return Step(Ranges(tx, rx), (fired,))

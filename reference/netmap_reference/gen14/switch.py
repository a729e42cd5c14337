"""Chapter *switch*: what a VALE switch is, which names are its own, what it learns and where it sends.

A switch comes with its first port and goes with its last. Each of its ports has an index, which it keeps. The
switch learns from every packet at which port the packet's source is; a packet for an address it has learned
goes to that port alone, any other to all ports but the one it came from.

Addresses are integers whose lowest byte is the first on the wire, so bit 0 tells a group address.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from netmap_spec.abi import api14

from ..core.outcome import errno
from ..core.step import Step, rule
from ..core.words import u32

BDG_C = "luigirizzo/netmap:sys/dev/netmap/netmap_bdg.c@89607e14"
BDG_H = "luigirizzo/netmap:sys/dev/netmap/netmap_bdg.h@89607e14"
VALE_C = "luigirizzo/netmap:sys/dev/netmap/netmap_vale.c@89607e14"
NETMAP_H = "luigirizzo/netmap:sys/net/netmap.h@89607e14"
VALE_4 = "luigirizzo/netmap:share/man/man4/vale.4@89607e14"

PREFIX = "vale"
#: Kinds of the adapters that stand on a switch for a port of the system, and for its host stack.
BWRAP, BWRAP_HOST = "bwrap", "bwrap-host"
IFNAMSIZ = 16
#: Ports of a switch; the number itself stands for "all but mine" and the next one for "none".
MAXPORTS = 254
BROADCAST = MAXPORTS
NOPORT = MAXPORTS + 1
#: Entries of the table of addresses.
HASH = 1024
#: Bytes of a frame that does not need its segments made (NM_BDG_MFS_DEFAULT).
MFS = 1514

#: Any name that begins with "val" counts as a switch port's.
SHORT_PREFIX = "14.vale-short-prefix"
#: A port is refused when the switch has two fewer than the documented number.
PORT_LIMIT = "14.vale-port-limit"
#: The addresses of a port that is gone stay with its index.
KEEPS_GONE = "14.vale-keeps-gone-ports"
#: A port does not tell the switch again of the source it told of last.
SOURCE_CACHE = "14.vale-source-cache"
#: The address 00:00:00:00:00:00 counts as learned at port 0 as long as its entry was never written.
ZERO_ADDRESS = "14.vale-zero-address"
NO_LEARN_IGNORED = "14.vale-no-learn-ignored"
PORT_IGNORED = "14.vale-port-ignored"
AS_WRITTEN = frozenset(
    {SHORT_PREFIX, PORT_LIMIT, KEEPS_GONE, SOURCE_CACHE, ZERO_ADDRESS, NO_LEARN_IGNORED, PORT_IGNORED}
)

_NAME = "14.switch.names"
NAMED = rule("14/switch/switch_name/named", clause=_NAME, source=f"{BDG_C}:143-170")
NAME_BAD = rule(
    "14/switch/switch_name/refused", clause="14.switch.bad-name", source=f"{BDG_C}:143-193,411-415"
)
NOT_OURS = rule("14/switch/is_vale/another-kind", clause=_NAME, source=f"{BDG_C}:403-407")
OURS_SHORT = rule(
    "14/switch/is_vale/short-prefix", clause=_NAME, source=f"{BDG_C}:405-407", switch=SHORT_PREFIX
)
_CREATED = "14.switch.created"
FOUND = rule("14/switch/place/found", clause=_CREATED, source=f"{BDG_C}:196-209")
MADE = rule("14/switch/place/made", clause=_CREATED, source=f"{BDG_C}:199-231")
NO_PLACE = rule("14/switch/place/too-many", clause="14.switch.limits", source=f"{BDG_C}:196-233,411-415")
FULL = rule("14/switch/attach/full", clause="14.switch.limits", source=f"{VALE_4}:78-84")
FULL_EARLY = rule(
    "14/switch/attach/full-early", clause="14.switch.limits", source=f"{BDG_C}:439-444", switch=PORT_LIMIT
)
ATTACHED = rule("14/switch/attach/index", clause="14.switch.index", source=f"{BDG_C}:445-447,515-522")
GONE = rule("14/switch/detach/last-port", clause=_CREATED, source=f"{BDG_C}:234-247,333-348")
DETACHED = rule("14/switch/detach/index-free", clause="14.switch.index", source=f"{BDG_C}:296-348")
_LEARN = "14.switch.learning"
LEARNED = rule("14/switch/learn/stored", clause=_LEARN, source=f"{VALE_C}:636-648")
DISPLACED = rule("14/switch/learn/displaced", clause="14.switch.table", source=f"{VALE_C}:636-648")
GROUP_SOURCE = rule("14/switch/learn/group-source", clause=_LEARN, source=f"{VALE_C}:640")
NOT_LEARNED = rule("14/switch/learn/no-learn", clause="14.switch.no-learn", source=f"{NETMAP_H}:202-206")
LEARNED_ALL_THE_SAME = rule(
    "14/switch/learn/flag-ignored",
    clause="14.switch.no-learn",
    source=f"{VALE_C}:636-648",
    switch=NO_LEARN_IGNORED,
)
CACHED = rule("14/switch/learn/cached", clause=_LEARN, source=f"{VALE_C}:640-645", switch=SOURCE_CACHE)
_LOOKUP = "14.switch.unicast"
HIT = rule("14/switch/lookup/learned", clause=_LOOKUP, source=f"{VALE_C}:650-656")
MISS = rule("14/switch/lookup/unknown", clause="14.switch.flood", source=f"{VALE_C}:650-656")
GROUP = rule("14/switch/lookup/group", clause="14.switch.flood", source=f"{VALE_C}:650-651")
FORGOTTEN = rule("14/switch/lookup/gone", clause="14.switch.gone", source=f"{BDG_C}:333-348")
KEPT = rule(
    "14/switch/lookup/gone-kept",
    clause="14.switch.gone",
    source=f"{VALE_C}:652-655,788-790",
    switch=KEEPS_GONE,
)
ZERO = rule("14/switch/lookup/zero", clause=_LOOKUP, source=f"{VALE_C}:650-656", switch=ZERO_ADDRESS)
SHORT = rule("14/switch/lookup/short", clause="14.vale.short", source=f"{VALE_C}:614-624")
BY_PORT = rule("14/switch/lookup/by-flags", clause="14.switch.port", source=f"{NETMAP_H}:227-233")
PORT_NOT_LOOKED_AT = rule(
    "14/switch/lookup/flags-ignored", clause="14.switch.port", source=f"{VALE_C}:781-795", switch=PORT_IGNORED
)
HAIRPIN = rule("14/switch/target/own-port", clause="14.switch.no-hairpin", source=f"{VALE_C}:788-790")
NOBODY = rule("14/switch/target/no-such-port", clause="14.switch.port", source=f"{VALE_C}:788-790")


# --- names --------------------------------------------------------------------------------------


def is_vale(name: str, switches: frozenset[str]) -> Step[bool]:
    """Does a name belong to a switch port? As written (SHORT_PREFIX) three letters of the prefix will do."""
    if name.startswith(PREFIX):
        return Step(True)
    if SHORT_PREFIX in switches and name.startswith(PREFIX[:-1]):
        return Step(True, (OURS_SHORT,))
    return Step(False, (NOT_OURS,))


def switch_name(name: str, least: int = 0) -> Step[str]:
    """The switch's part of a port's name, up to its first colon.

    Fails when the name is shorter than ``least``, there is no colon, the switch's part is 16 characters or
    more or has others than letters, digits and ``_``, or the port's part is 16 or more. The port's part may
    have any characters, or none. Source: nm_bdg_name_validate.
    """
    colon = name.find(":")
    bad = len(name) < least or not 0 <= colon < IFNAMSIZ or len(name) - colon > IFNAMSIZ
    if bad or not all(c.isascii() and (c.isalnum() or c == "_") for c in name[:colon]):
        return Step("", (NAME_BAD,), errno("ENOMEM"))
    return Step(name[:colon], (NAMED,))


# --- switches and their ports -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VpPort:
    """What a port of a switch has beside an ordinary one (netmap_vp_adapter).

    ``bridge`` is the switch's place in the table of switches, -1 while the port is attached to none;
    ``index`` its own index there, ``serial`` which port of that switch it is in the order of their coming.
    ``smac``: the source it told the switch of last. ``hdr``: bytes of the virtio-net header before each of
    its packets; ``mfs``: the longest frame it takes, bytes. ``lasting``: made by VALE_NEWIF, not by the first
    descriptor. ``below``: the port of the system that this one stands for; ``host``: the switch's port of
    its host stack. ``polled``: the kernel polls it.
    """

    bridge: int = -1
    index: int = -1
    serial: int = -1
    smac: int = -1
    hdr: int = 0
    mfs: int = MFS
    lasting: bool = False
    below: str = ""
    host: str = ""
    polled: bool = False


@dataclass(frozen=True, slots=True)
class Bridge:
    """One switch.

    ``ports``: index and adapter of its ports in the order they are flooded to. ``free``: indices in the order
    they are given out. ``table``: address, index and serial number of what it has learned. ``serials``: of
    the ports that are attached, by index. ``coming``: the next port's serial number.

    What a module of the kernel makes of it (:mod:`.callbacks`): ``exclusive``: it is the module's, and exists
    without ports. ``lookup``: the index and the ring that the module sends every packet to, empty when the
    switch decides; ``config``: what the module answers to NIOCCONFIG; ``dtor``: it is told of ports that go.
    """

    name: str
    ports: tuple[tuple[int, str], ...] = ()
    free: tuple[int, ...] = field(default=tuple(range(MAXPORTS)), repr=False)
    table: tuple[tuple[int, int, int], ...] = ()
    serials: tuple[tuple[int, int], ...] = ()
    coming: int = 0
    exclusive: bool = False
    lookup: tuple[int, ...] = ()
    config: str = ""
    dtor: bool = False

    def at(self, index: int) -> str:
        """The adapter with this index, empty for none."""
        return next((name for i, name in self.ports if i == index), "")

    def learned(self, mac: int) -> tuple[int, int]:
        """Index and serial number of the port an address was learned at, (-1, -1) for none."""
        return next(((i, serial) for known, i, serial in self.table if known == mac), (-1, -1))


def place(names: tuple[str, ...], wanted: str) -> Step[int]:
    """The place of a switch of this name in the table of switches, in which an empty name is a free place.

    An existing one is found, else the first free place is given; ENOMEM without. Source: nm_find_bridge.
    """
    for i in range(len(names)):
        if names[i] == wanted:
            return Step(i, (FOUND,))
    for i in range(len(names)):
        if names[i] == "":
            return Step(i, (MADE,))
    return Step(-1, (NO_PLACE,), errno("ENOMEM"))


def room_for(active: int, needed: int, switches: frozenset[str]) -> Step[bool]:
    """May ``needed`` more ports (1 or 2) be attached to a switch of ``active`` ports?

    As written (PORT_LIMIT) room is wanted for two in any case, and the last place is never given.
    """
    if active + needed > MAXPORTS:
        return Step(False, (FULL,))
    if PORT_LIMIT in switches and active + 2 >= MAXPORTS:
        return Step(False, (FULL_EARLY,))
    return Step(True)


def attach(b: Bridge, names: tuple[str, ...]) -> Step[Bridge]:
    """Give the next free indices to these ports."""
    given = tuple(zip(b.free, names, strict=False))
    serials = tuple((index, b.coming + i) for i, (index, _) in enumerate(given))
    after = replace(
        b,
        ports=(*b.ports, *given),
        free=b.free[len(names) :],
        serials=(*b.serials, *serials),
        coming=b.coming + len(names),
    )
    return Step(after, (ATTACHED,))


def detach(b: Bridge, index: int) -> Step[Bridge]:
    """A port goes: the last of the list takes its turn in a flood, and its index is the next to be given.

    Source: netmap_bdg_detach_common.
    """
    at = next(i for i, (known, _) in enumerate(b.ports) if known == index)
    last = b.ports[-1]
    ports = b.ports[:-1] if at == len(b.ports) - 1 else (*b.ports[:at], last, *b.ports[at + 1 : -1])
    serials = tuple(s for s in b.serials if s[0] != index)
    return Step(replace(b, ports=ports, free=(index, *b.free), serials=serials), (DETACHED,))


# --- the table of addresses ---------------------------------------------------------------------


def _mix(a: int, b: int, c: int, right: int, left: int, last: int) -> tuple[int, int, int]:
    a = u32(a - b - c) ^ (c >> right)
    b = u32(u32(b - c - a) ^ (a << left))
    c = u32(c - a - b) ^ (b >> last)
    return a, b, c


def rthash(mac: int) -> int:
    """The entry of the table an address belongs to (Bob Jenkins's mix, as in FreeBSD's if_bridge)."""
    byte = [(mac >> 8 * i) % 256 for i in range(6)]
    a = u32(0x9E3779B9 + (byte[3] << 24) + (byte[2] << 16) + (byte[1] << 8) + byte[0])
    b = u32(0x9E3779B9 + (byte[5] << 8) + byte[4])
    a, b, c = _mix(a, b, 0, 13, 8, 13)
    a, b, c = _mix(a, b, c, 12, 16, 5)
    a, b, c = _mix(a, b, c, 3, 10, 15)
    return c % HASH


def collides(b: Bridge, mac: int) -> bool:
    """Does another address hold the entry of this one?"""
    entry = rthash(mac)
    return any(known != mac and rthash(known) == entry for known, _, _ in b.table)


@dataclass(frozen=True, slots=True)
class Head:
    """What a switch looks at in a packet: its addresses and the sender's flags of its first slot."""

    dst: int
    src: int
    flags: int = 0


def is_group(mac: int) -> bool:
    """Is it a group address (broadcast among them)?"""
    return mac % 2 == 1


@dataclass(frozen=True, slots=True)
class Learned:
    """The switch and the port's cache after learning."""

    bridge: Bridge
    smac: int


def learn(b: Bridge, port: VpPort, head: Head, displaces: bool, switches: frozenset[str]) -> Step[Learned]:
    """The switch learns at which port the packet's source is, unless that is a group address or the sender
    asked it not to.

    ``displaces``: an address whose entry another one holds takes it over. As written neither the flag is
    looked at (NO_LEARN_IGNORED) nor a source that the port told of last is told again (SOURCE_CACHE).
    Source: netmap_vale_learning.
    """
    if is_group(head.src):
        return Step(Learned(b, port.smac), (GROUP_SOURCE,))
    fired: tuple[str, ...] = (LEARNED,)
    asked_not = False
    if head.flags & api14.NS_NO_LEARN and NO_LEARN_IGNORED in switches:
        fired = (LEARNED, LEARNED_ALL_THE_SAME)
    elif head.flags & api14.NS_NO_LEARN:
        fired, asked_not = (NOT_LEARNED,), True
    if asked_not:
        return Step(Learned(b, port.smac), fired)
    if SOURCE_CACHE in switches and port.smac == head.src:
        stale = b.learned(head.src) != (port.index, port.serial)
        return Step(Learned(b, port.smac), (CACHED,) if stale else ())
    if b.learned(head.src) == (port.index, port.serial):
        return Step(Learned(b, head.src), fired)
    entry = rthash(head.src)
    kept = []
    for known, index, serial in b.table:
        if known == head.src:
            continue
        if displaces and rthash(known) == entry:
            fired = (*fired, DISPLACED)
            continue
        kept.append((known, index, serial))
    table = (*kept, (head.src, port.index, port.serial))
    return Step(Learned(replace(b, table=table), head.src), fired)


def lookup(b: Bridge, head: Head, switches: frozenset[str]) -> Step[int]:
    """The index a packet goes to, :data:`BROADCAST` for all but its own, :data:`NOPORT` for none.

    A byte in the sender's flags names the index itself. The addresses of a port that is gone count as
    unknown. As written the byte is not looked at (PORT_IGNORED), such addresses stay with the index
    (KEEPS_GONE), and an entry of the table that was never written holds the address zero at port 0
    (ZERO_ADDRESS). Source: netmap_vale_learning.
    """
    fired: tuple[str, ...] = ()
    asked = head.flags >> api14.NS_PORT_SHIFT
    if asked:
        if PORT_IGNORED not in switches:
            return Step(min(asked, NOPORT), (BY_PORT,))
        fired = (PORT_NOT_LOOKED_AT,)
    if is_group(head.dst):
        return Step(BROADCAST, (*fired, GROUP))
    index, serial = b.learned(head.dst)
    known = index >= 0
    if known and (index, serial) not in b.serials:
        if KEEPS_GONE in switches:
            return Step(index, (*fired, KEPT))
        fired, known = (*fired, FORGOTTEN), False
    if known:
        return Step(index, (*fired, HIT))
    if ZERO_ADDRESS in switches and head.dst == 0 and not collides(b, 0):
        return Step(0, (*fired, ZERO))
    return Step(BROADCAST, (*fired, MISS))


def target(b: Bridge, own: int, index: int) -> Step[int]:
    """What becomes of a packet for ``index`` from the port ``own``: the index, or :data:`NOPORT` when it is
    its own or nobody's. Source: nm_vale_flush."""
    if index >= NOPORT:
        return Step(NOPORT, (NOBODY,))
    if index == BROADCAST:
        return Step(index)
    if index == own:
        return Step(NOPORT, (HAIRPIN,))
    if b.at(index) == "":
        return Step(NOPORT, (NOBODY,))
    return Step(index)

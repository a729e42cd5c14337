"""Chapter *state*: everything the kernel knows, as small frozen records in dictionaries.

What the application can see lives in real bytes (:mod:`.memory`); what only the kernel sees lives
here. Every record is frozen: a step builds a new one and stores it, so a copy of the whole system
(:meth:`System.clone`) copies dictionaries of references, never their contents.

Names. An adapter is called as netmap calls it (``v0``, ``x{1``). A ring is ``ADAPTER:tx0``; host rings
count on after the hardware ones. A selinfo is called like its ring, or ``ADAPTER:tx`` for the one that
sleepers on all rings share.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from ..core.memory import Region
from .csb import Entry
from .failure import Request
from .lease import Lease
from .memory import PRIVATE_PARAMS, Allocator, Pairs
from .offsets import NONE, Offset
from .ring import Kring
from .sets import Item
from .switch import Bridge, VpPort

TX = "tx"
RX = "rx"
#: The order in which the kernel walks the directions (enum txrx): receive first.
DIRECTIONS = (RX, TX)


def swap(t: str) -> str:
    """The other direction (nm_txrx_swap)."""
    return RX if t == TX else TX


def ring_name(adapter: str, t: str, index: int) -> str:
    """The full name of a ring, ``v0:tx0``."""
    return f"{adapter}:{t}{index}"


@dataclass(frozen=True, slots=True)
class KringState:
    """One kring: its positions and the bookkeeping around them.

    ``t`` is ``tx`` or ``rx``; ``host`` says it talks to the host stack. ``ring`` is the index of its ring
    object, -1 while it has none. ``users`` counts descriptors bound to it, ``exclusive`` says that one
    of them wants it alone. ``fake`` rings own no buffers, ``needed`` ones must exist though nobody is
    bound to them (both are set by pipes). ``on`` is its mode, ``pending`` the mode it shall take.
    ``pipe`` names the ring at the other end and ``pipe_tail`` what that end has released to this one.

    A hardware ring has ``hwofs``, the offset of its device's index; ``announced``, how many slots (tx) or
    frames (rx) an interrupt has told of and no sync has shown; and, for receive, ``desc``: the buffer the
    device fills for each position, and ``desc_at`` from where on. A host ring has ``queue``, frames of the
    host stack that wait, and ``forwarded``: its last sync put slots into transmit rings.

    A ring that is watched names the rings of its copy monitors (``copies``) and, receive direction first,
    the zero-copy monitor's ring that gets what it releases (``zmon``; a monitor's own ring has both, one for
    each list it stands in). ``seen`` is the first slot of a receive ring its copy monitors have not seen.

    A receive ring of a switch port has a ``lease``: which of its slots senders are filling.
    ``offset`` is what its users have agreed on about packets that do not begin where their buffer does.
    """

    adapter: str
    t: str
    index: int
    pos: Kring
    host: bool = False
    ring: int = -1
    users: int = 0
    exclusive: bool = False
    fake: bool = False
    needed: bool = False
    on: bool = False
    pending: bool = False
    pipe: str = ""
    pipe_tail: int = 0
    hwofs: int = 0
    announced: int = 0
    desc: tuple[int, ...] = ()
    queue: tuple[bytes, ...] = ()
    forwarded: bool = False
    copies: tuple[str, ...] = ()
    zmon: tuple[str, str] = ("", "")
    seen: int = 0
    lease: Lease | None = None
    offset: Offset = NONE
    desc_at: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return ring_name(self.adapter, self.t, self.index)

    def but(self, field: str, value: Any) -> KringState:
        """A copy with one field changed: ``replace``, for a record of many fields that changes often."""
        values = list(_KRING_VALUES(self))
        values[_KRING_FIELDS.index(field)] = value
        return KringState(*values)


_KRING_FIELDS = KringState.__slots__
_KRING_VALUES = attrgetter(*_KRING_FIELDS)


@dataclass(frozen=True, slots=True)
class Adapter:
    """One port as the kernel knows it (netmap_adapter).

    ``kind``: ``nic``, ``pipe``, or ``persistent`` for the port that is created on the fly as the parent of a
    pipe whose parent does not exist. ``refs`` counts references, ``fds`` bound descriptors. ``created``
    says the krings exist, ``on`` that the port is in netmap mode. ``si_users`` counts, receive first,
    descriptors bound to more than one ring. ``role``, ``peer``, ``peer_ref``, ``parent`` are a pipe end's;
    ``pipes`` are the names of the master ends below this port. ``vp`` is what a port of a switch has beside.

    A monitor has the port it watches as ``parent`` (none when that left netmap mode), the ``directions`` it
    watches, and ``zcopy`` when it takes the buffers themselves; ``monitors`` counts those a port ever had.
    ``label`` is what the netmap_if shows, when that is not the name; ``interface`` says whether the port is
    up, ``down`` or ``gone`` (:mod:`.stop`).
    """

    name: str
    kind: str
    number: int
    mem: int
    tx_rings: int
    rx_rings: int
    tx_slots: int
    rx_slots: int
    host_rings: bool = False
    host_tx_rings: int = 0
    host_rx_rings: int = 0
    refs: int = 0
    fds: int = 0
    created: bool = False
    on: bool = False
    si_users: tuple[int, int] = (0, 0)
    role: str = ""
    peer: str = ""
    peer_ref: bool = False
    parent: str = ""
    pipes: tuple[str, ...] = ()
    previous_mem: int = 0
    directions: tuple[str, ...] = ()
    zcopy: bool = False
    monitors: int = 0
    label: str = ""
    interface: str = ""
    vp: VpPort | None = None

    def rings(self, t: str) -> int:
        """Hardware rings of a direction (nma_get_nrings)."""
        return self.tx_rings if t == TX else self.rx_rings

    def slots(self, t: str) -> int:
        """Slots per ring of a direction (nma_get_ndesc)."""
        return self.tx_slots if t == TX else self.rx_slots

    def host(self, t: str) -> int:
        """Host rings of a direction, 0 when the port has none (nma_get_host_nrings)."""
        return self.host_tx_rings if t == TX else self.host_rx_rings

    def all_rings(self, t: str) -> int:
        """Krings of a direction: a port without host rings has one that is never used (netmap_all_rings)."""
        return max(self.rings(t) + self.host(t), self.rings(t) + 1)


@dataclass(frozen=True, slots=True)
class File:
    """One open file (netmap_priv_d).

    ``adapter`` is empty until a REGISTER succeeds; ``nifp`` is the index of its netmap_if object.
    ``tx`` and ``rx`` are half-open ranges of ring indices. ``forward_down``: all hardware transmit rings are
    bound, so frames of the host may be forwarded into them. ``selinfo``: where it sleeps, receive first.
    ``missing``: as written, there was no memory for it, and something else is taken for it (:mod:`.opening`).
    """

    adapter: str = ""
    nifp: int = -1
    tx: tuple[int, int] = (0, 0)
    rx: tuple[int, int] = (0, 0)
    exclusive: bool = False
    tx_poll: bool = False
    rx_poll: bool = False
    forward_down: bool = False
    selinfo: tuple[str, str] = ("", "")
    missing: bool = False

    def range(self, t: str) -> tuple[int, int]:
        return self.tx if t == TX else self.rx


@dataclass(frozen=True, slots=True)
class Params:
    """Module parameters, and choices a system makes once: -1 until it has.

    ``admode``: 0 a native driver if there is one, 1 only that, 2 always emulated. ``fwd``: does every receive
    ring forward? ``rejected_ok``: does a sync that rejected a ring succeed? ``stamps``: is every received
    ring stamped, or only those whose flags ask for it? ``keeps_bytes``: are buffers handed out with what is
    in them? ``syncs_ready``: does a poll sync rings though the shared page alone says that it is ready?

    Of switches: ``bridge_batch`` slots of a batch, ``max_bridges`` how many there may be. ``long_chains``: do
    packets of more than 64 fragments pass? ``displaces``: does an address take over the entry of another
    one? ``counts_rest``: does each fragment tell how many remain, or how many there are? ``cut_first``: is a
    packet cut into the receiver's slots before it is known that they are too few?

    ``private``: (size, number) of the three pools that a private region gets at least. ``others``: every
    parameter that was set, by name.
    """

    admode: int = 0
    no_timestamp: int = 0
    fwd: int = 0
    rejected_ok: int = -1
    stamps: int = -1
    syncs_ready: int = -1
    keeps_bytes: int = -1
    bridge_batch: int = 1024
    max_bridges: int = 8
    long_chains: int = -1
    displaces: int = -1
    counts_rest: int = -1
    cut_first: int = -1
    private: Pairs = PRIVATE_PARAMS
    others: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Csb:
    """The arrays of a descriptor in CSB mode: one entry for each ring, transmit first.

    ``irqs`` counts, per entry, signals of its irqfd that nobody has read. ``guests`` are the application's
    own krings, where it keeps some (:mod:`.ptnet`).
    """

    entries: tuple[Entry, ...]
    irqs: tuple[int, ...]
    guests: tuple[Kring, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """A running sync-kloop. ``irqs``: which entries have an irqfd. ``passed``: it has looked at its rings.

    ``next``: which of the rings it handles comes next; 0 between two passes.
    """

    busy_wait: bool
    direct_tx: bool = False
    direct_rx: bool = False
    irqs: tuple[bool, ...] = ()
    passed: bool = False
    next: int = 0

    def direct(self, t: str) -> bool:
        """Is this direction handled by whoever kicks?"""
        return self.direct_tx if t == TX else self.direct_rx


@dataclass(slots=True)
class System:
    """All of the kernel's state, and the regions it shares.

    ``waiting`` maps a selinfo to the files recorded on it; ``woken`` are files whose recorded selinfo was
    woken. ``holders`` maps (process, descriptor) to a file, ``mapped`` likewise for mappings, which keep
    a file alive after its descriptor was closed. ``ports`` holds the environment of each port
    (:mod:`.ports.nic`). ``busy`` are rings that a call in progress has for itself (:mod:`.stop`).
    (:mod:`.ports.nic`). ``bridges`` are the switches that exist, by their place in the table of switches.
    ``left`` are interfaces without an adapter: as written, persistent ports that lost a reference too many.
    ``request`` is what is known of the request in progress (:mod:`.failure`).
    ``csbs`` and ``loops`` are those of files in CSB mode (:mod:`.loops`); ``ended`` counts START calls whose
    loop was stopped and that have not returned, ``stops`` are files whose next loop has been stopped already.
    ``told`` are the ports that left switches whose module is told of them, since it last looked.
    ``sets`` are the files that are in a set to be waited for (:mod:`.sets`).
    ``kept`` are interfaces that, as written, a failed request refers to for ever.
    """

    adapters: dict[str, Adapter] = field(default_factory=dict)
    krings: dict[str, KringState] = field(default_factory=dict)
    allocators: dict[int, Allocator] = field(default_factory=dict)
    regions: dict[int, Region] = field(default_factory=dict)
    files: dict[int, File] = field(default_factory=dict)
    holders: dict[tuple[str, str], int] = field(default_factory=dict)
    mapped: dict[tuple[str, str], int] = field(default_factory=dict)
    waiting: dict[str, frozenset[int]] = field(default_factory=dict)
    woken: frozenset[int] = frozenset()
    ports: dict[str, Any] = field(default_factory=dict)
    last_mem: int = 1
    busy: frozenset[str] = frozenset()
    params: Params = Params()
    request: Request = field(default_factory=Request)
    bridges: dict[int, Bridge] = field(default_factory=dict)
    left: frozenset[str] = frozenset()
    csbs: dict[int, Csb] = field(default_factory=dict)
    loops: dict[int, Loop] = field(default_factory=dict)
    ended: dict[int, int] = field(default_factory=dict)
    stops: frozenset[int] = frozenset()
    told: tuple[str, ...] = ()
    sets: dict[int, Item] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()

    def clone(self) -> System:
        """An independent copy; records and pages are shared until one side writes."""
        made = System(**{name: _copy(getattr(self, name)) for name in System.__slots__})
        made.regions = {number: region.clone() for number, region in self.regions.items()}
        return made

    def restore(self, before: System) -> None:
        """Take over everything from ``before``; it must not be used afterwards."""
        for name in System.__slots__:
            setattr(self, name, getattr(before, name))

    def key(self, without: Collection[str] = ()) -> Hashable:
        """Equal for systems that behave alike from here on, but for the fields left out."""
        return tuple(_value(getattr(self, name)) for name in System.__slots__ if name not in without)


def _copy(value: Any) -> Any:
    """A table is copied with its records shared; anything else is a value."""
    if isinstance(value, dict):
        return value.copy()
    return value.clone() if isinstance(value, Request) else value


def _value(value: Any) -> Hashable:
    """A table as a value. An entry that is an empty set counts like none."""
    if isinstance(value, dict):
        return frozenset(
            (k, v.key() if isinstance(v, Region) else v) for k, v in value.items() if v != frozenset()
        )
    found: Hashable = value.key() if isinstance(value, Request) else value
    return found

"""What the device model keeps beside the shared region: interfaces, descriptors, wait queues."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from ..core.outcome import Outcome
from .attach import Adapter
from .ports.nicring import RxRing, TxRing, fresh_rx, fresh_tx
from .register import Selection
from .ring import Kring

#: Errno values of the recorded system (FreeBSD).
ERRNO = {"": 0, "ENOENT": 2, "ENXIO": 6, "ENOMEM": 12, "EBUSY": 16, "EINVAL": 22, "EOPNOTSUPP": 45}


class Panic(Exception):
    """The kernel died: ``at`` is its stack, innermost first, ``address`` what it touched."""

    def __init__(self, outcome: Outcome, at: tuple[str, ...] = (), address: int | None = None) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome
        self.at = at
        self.address = address


@dataclass(frozen=True, slots=True)
class Priv:
    """`netmap_priv_d`: what a descriptor has after NIOCREGIF. ``nifp`` is an offset in the region."""

    iface: str
    nifp: int | None = None
    selection: Selection = field(default_factory=Selection)


@dataclass(slots=True)
class Interface:
    """One network interface with its NIC, and what it offered to netmap (``na``, ``None``: nothing).

    ``ring_at`` keeps where a ring is, also after it was freed: the kernel does not clear its pointer
    either. ``zeroed`` names the mutexes that were wiped after their initialisation. ``waiting`` has
    the descriptors recorded on each selinfo.
    """

    name: str
    num_queues: int
    num_tx_desc: int
    num_rx_desc: int
    separate_locks: bool = False
    own_locks: bool = False
    auto_tx: bool = True
    capable: bool = True
    dying: bool = False
    enabled: bool = False
    intercept: bool = False
    refs: int = 0
    rx_drops: int = 0
    out: list[tuple[int, bytes]] = field(default_factory=list)
    up: list[bytes] = field(default_factory=list)
    tx: list[TxRing] = field(default_factory=list)
    rx: list[RxRing] = field(default_factory=list)
    na: Adapter | None = None
    refcount: int = 0
    krings: dict[str, Kring] = field(default_factory=dict)
    ring_at: dict[str, int] = field(default_factory=dict)
    zeroed: set[str] = field(default_factory=set)
    waiting: dict[str, set[int]] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Interface:
        """An interface as a recording's header describes it, its NIC idle."""
        made = cls(
            config["name"],
            config["num_queues"],
            config["num_tx_desc"],
            config["num_rx_desc"],
            separate_locks=bool(config.get("separate_locks", False)),
            own_locks=bool(config.get("own_locks", False)),
            auto_tx=bool(config.get("auto_tx", True)),
            capable=bool(config.get("capable", True)),
        )
        made.tx = [fresh_tx(made.num_tx_desc) for _ in range(made.num_queues)]
        made.rx = [fresh_rx(made.num_rx_desc) for _ in range(made.num_queues)]
        return made

    def clone(self) -> Interface:
        """An independent copy; frozen parts are shared."""
        copy = Interface(self.name, self.num_queues, self.num_tx_desc, self.num_rx_desc)
        for name in Interface.__slots__:
            value = getattr(self, name)
            if isinstance(value, list | dict | set):
                value = value.copy()
            setattr(copy, name, value)
        copy.waiting = {name: set(fds) for name, fds in self.waiting.items()}
        return copy

    def key(self) -> Hashable:
        """Everything that decides how this interface behaves."""
        parts: list[Hashable] = []
        for name in Interface.__slots__:
            value = getattr(self, name)
            if name == "waiting":
                value = tuple((k, tuple(sorted(fds))) for k, fds in sorted(value.items()) if fds)
            elif isinstance(value, dict):
                value = tuple(sorted(value.items(), key=lambda item: str(item[0])))
            elif isinstance(value, list | set):
                value = tuple(sorted(value)) if isinstance(value, set) else tuple(value)
            parts.append(value)
        return tuple(parts)


@dataclass(slots=True)
class Context:
    """For whom effects are executed: an interface, a descriptor, a request, a packet in flight."""

    iface: Interface | None = None
    fd: int = -1
    request: dict[str, Any] = field(default_factory=dict)
    frame: bytes = b""

    @property
    def port(self) -> Interface:
        """The interface; effects that need one are never executed without."""
        if self.iface is None:
            raise ValueError("this effect needs an interface")
        return self.iface

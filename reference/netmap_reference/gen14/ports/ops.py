"""Chapter *port operations*: what netmap calls through an adapter, one entry for each kind of port.

Everything above the ports (binding, closing, syncing) is the same for all of them. Where netmap calls a
function of the adapter (``nm_krings_create``, ``nm_register``, ``nm_txsync``, ``nm_dtor`` …) the model calls
the field of the same meaning of a :class:`PortOps`; the table is in :mod:`.table`. A kind of port that needs
nothing at one of these places keeps the default, which is netmap's own.

A *finder* answers whether a request names a port of its kind, and makes the port if it can be made. Finders
are asked in netmap's own order; the first that answers decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ...core.effects import Protocol
from .. import bind
from ..state import Adapter, File, KringState, System
from . import host

if TYPE_CHECKING:
    from ..execute import Execution
    from ..request import Request

NETMAP_KERN_H = "luigirizzo/netmap:sys/dev/netmap/netmap_kern.h@89607e14"


@dataclass(frozen=True, slots=True)
class Asked:
    """A port somebody asks for. ``create``: it may be made if there is none (netmap_get_na's argument).

    ``find`` asks all finders again, for a port that is made on top of another one (a monitor's parent).
    ``after`` takes what, as written, stays behind when the request fails (:class:`~..requests.Ctl`).
    ``cut`` takes what making the port made of the request's fields.
    """

    s: System
    req: Request
    fired: list[str]
    switches: frozenset[str]
    find: Callable[[Asked], str]
    create: bool = True
    after: list[Callable[[System], Iterable[str]]] = field(default_factory=list)
    cut: dict[str, int] = field(default_factory=dict)

    def other(self, **changes: Any) -> str:
        """The adapter that this request would name with some of its fields changed."""
        return self.find(replace(self, req=replace(self.req, **changes)))


#: The adapter's name; "" when the request does not name a port of this kind. Raises ``Refused``.
Finder: TypeAlias = Callable[[Asked], str]


def no_check(s: System, na: Adapter, f: File, fired: list[str]) -> None:
    """Any descriptor will do."""


def krings_create(s: System, name: str, fired: list[str]) -> None:
    """The port's own krings and nothing else (netmap_krings_create)."""
    bind.krings_create(s, s.adapters[name], fired)


def krings_delete(s: System, name: str, fired: list[str], switches: frozenset[str]) -> None:
    """Forget the port's krings (netmap_krings_delete)."""
    bind.krings_delete(s, name)


def register(s: System, name: str, fired: list[str], switches: frozenset[str]) -> None:
    """Every bound ring enters netmap mode, and the port with the first of them."""
    bind.mode_commit(s, s.adapters[name])
    s.adapters[name] = replace(s.adapters[name], on=True)


def leave(s: System, name: str, fired: list[str], switches: frozenset[str]) -> None:
    """Nothing else changes when rings leave netmap mode."""


def unregister(s: System, name: str, fired: list[str]) -> None:
    """Rings without users leave netmap mode, and the port with the last descriptor."""
    na = s.adapters[name]
    bind.mode_commit(s, na)
    if na.fds == 0:
        s.adapters[name] = replace(s.adapters[name], on=False)


def destroy(s: System, name: str, fired: list[str], put: Callable[[str], None]) -> None:
    """Nothing but the port itself goes with its last reference."""


def not_kept(s: System, name: str, fired: list[str]) -> bool:
    """Nobody keeps a port that nobody refers to."""
    return False


def no_offsets(s: System, na: Adapter) -> bool:
    """Packets begin where their buffer does."""
    return False


def any_offsets(s: System, na: Adapter) -> bool:
    """Packets may begin anywhere in their buffer."""
    return True


def sync(x: Execution, k: KringState, force: bool) -> Protocol:
    """A ring that moves nothing."""
    yield from ()
    return ""


@dataclass(frozen=True, slots=True)
class PortOps:
    """The operations of one kind of port.

    ``check(s, na, f, fired)`` refuses a descriptor before anything is made (nm_config, nm_bufcfg).
    ``krings_create`` and ``krings_delete`` come with the first and go with the last descriptor.
    ``register`` is called when a port gets its first descriptor or a ring its first user, ``na.fds`` not yet
    counted; ``unregister`` the other way round, ``na.fds`` already counted;
    ``leave`` comes before it, for what becomes of other rings.
    ``sync(x, k, force)`` is the port's part of a sync of a ring that is not a host ring: a protocol that
    returns "" or an errno's name; ``host_sync`` the same for a host ring. ``destroy(s, name, fired, put)``
    gives back, with ``put``, the references of an adapter whose last one went (nm_dtor), unless ``kept``
    found somebody who keeps it. ``offsets`` says whether the option OFFSETS may be asked for (NAF_OFFSETS).
    A ``lasting`` adapter stays when nobody refers to it.
    Source: struct netmap_adapter.
    """

    check: Callable[[System, Adapter, File, list[str]], None] = no_check
    krings_create: Callable[[System, str, list[str]], None] = krings_create
    krings_delete: Callable[[System, str, list[str], frozenset[str]], None] = krings_delete
    register: Callable[[System, str, list[str], frozenset[str]], None] = register
    leave: Callable[[System, str, list[str], frozenset[str]], None] = leave
    unregister: Callable[[System, str, list[str]], None] = unregister
    sync: Callable[[Execution, KringState, bool], Protocol] = sync
    host_sync: Callable[[Execution, KringState, bool], Protocol] = host.sync
    destroy: Callable[[System, str, list[str], Callable[[str], None]], None] = destroy
    kept: Callable[[System, str, list[str]], bool] = not_kept
    offsets: Callable[[System, Adapter], bool] = no_offsets
    lasting: bool = False

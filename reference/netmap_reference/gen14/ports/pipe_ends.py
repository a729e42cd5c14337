"""Chapter *pipe ends*: how the two ends of a pipe live and die together.

Both ends are made by the first REGISTER of either and go with the last descriptor of both, so that an end
can always reach its peer. The end that was made first holds a reference to the other (``peer_ref``) until
somebody binds that one too; an end whose last descriptor goes while the other lives is kept by it, ring
objects, positions, packets and all, and is found in that state by whoever opens it again.

The buffers of a pair of rings exist once: a ring of one end owns them, the ring at the other end is
``fake`` and starts with a copy of its slots.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ...core.effects import Protocol
from ...core.step import rule
from .. import bind, failure, memory
from ..bind import (
    krings_delete,
    krings_of,
    mode_commit,
    put,
    ring_at,
    rings_create,
    rings_delete,
    view,
)
from ..failure import Faulted
from ..ring import nm_next
from ..state import RX, TX, Adapter, KringState, System, ring_name, swap
from . import pipe
from .ops import PortOps, any_offsets

if TYPE_CHECKING:
    from ..execute import Execution

PIPE_C = "luigirizzo/netmap:sys/dev/netmap/netmap_pipe.c@89607e14"

#: A ring that owns buffers but whose peer was made first, without any, is overwritten by its empty slots.
COPIES_FAKE = "14.pipe-copies-fake-ring"
#: The slots of a packet whose last fragment never came belong to neither end when the pipe goes.
LEAKS_INCOMPLETE = "14.pipe-leaks-incomplete"
#: Rings at the other end that a failed request needed stay needed, and stay there if they were made.
NEEDED_STICKS = "14.pipe-needed-sticks"
#: The end that does not keep the other one is bound first, which only a pipe below a pipe brings about.
NO_KRINGS = "14.pipe-bound-without-krings"
AS_WRITTEN = frozenset({COPIES_FAKE, LEAKS_INCOMPLETE, NEEDED_STICKS, NO_KRINGS})

_ENDS = "14.pipe.ends"
_SHARED = "14.pipe.shared-buffers"
BOTH = rule("14/pipe/krings_create/both-ends", clause=_ENDS, source=f"{PIPE_C}:318-358")
KEPT = rule("14/pipe/krings_delete/kept-by-peer", clause=_ENDS, source=f"{PIPE_C}:618-628")
GONE = rule("14/pipe/krings_delete/both-ends", clause=_ENDS, source=f"{PIPE_C}:536-596")
FIRST = rule("14/pipe/krings_create/first-user", clause="14.pipe.nested", source=f"{PIPE_C}:360-389")
STAYS = rule("14/pipe/destroy/kept-by-peer", clause="14.pipe.nested", source=f"{PIPE_C}:631-651")
KRINGLESS = rule(
    "14/pipe/krings_create/none", clause="14.pipe.nested", source=f"{PIPE_C}:378-389", switch=NO_KRINGS
)
PARENT_GONE = rule("14/close/parent-deleted", clause="14.pipe.parent", source=f"{PIPE_C}:634-651")
COPIED = rule("14/pipe/reg/slots-copied", clause=_SHARED, source=f"{PIPE_C}:432-452")
REOPENED = rule("14/pipe/reg/reopened-in-place", clause="14.pipe.reopen", source=f"{PIPE_C}:423-430")
OVERWRITTEN = rule(
    "14/pipe/reg/empty-slots-copied", clause=_SHARED, source=f"{PIPE_C}:432-438", switch=COPIES_FAKE
)
NEEDED = rule(
    "14/pipe/reg/needed-sticks",
    clause="14.failure.undone",
    source=f"{PIPE_C}:397-414",
    switch=NEEDED_STICKS,
)
LEAKED = rule(
    "14/pipe/krings_delete/incomplete-leaked",
    clause="14.memory.returned",
    source=f"{PIPE_C}:567-576",
    switch=LEAKS_INCOMPLETE,
)


def krings_create(s: System, name: str, fired: list[str]) -> None:
    """Whoever comes first makes the krings of both ends, and keeps the other one from now on."""
    na = s.adapters[name]
    if not na.created and not na.peer_ref:
        fired.append(FIRST)
        take_over(s, na.peer, name)
    if s.adapters[name].peer_ref:
        krings_create_pair(s, name, fired)


def take_over(s: System, old: str, new: str) -> None:
    """The reference that ``old`` held to ``new`` turns round: ``new`` keeps ``old``."""
    a, b = s.adapters[old], s.adapters[new]
    s.adapters[old] = replace(a, peer_ref=False, refs=a.refs + 1)
    s.adapters[new] = replace(b, peer_ref=True, refs=b.refs - 1)


def check_krings(s: System, na: Adapter, switches: frozenset[str], fired: list[str]) -> None:
    """As written (NO_KRINGS) the end that does not keep the other one takes its krings for granted."""
    if na.kind == "pipe" and not na.created and not na.peer_ref and NO_KRINGS in switches:
        fired.append(KRINGLESS)
        raise Faulted("netmap_pipe.c:378-389, netmap.c:2061-2089")


def kept_by_peer(s: System, name: str, fired: list[str]) -> bool:
    """An end whose last user goes stays when the other one does: a pipe may live below that one."""
    na = s.adapters[name]
    if na.peer_ref and s.adapters[na.peer].refs > 1:
        fired.append(STAYS)
        peer = s.adapters[na.peer]
        s.adapters[name] = replace(na, refs=1, peer_ref=False)
        s.adapters[na.peer] = replace(peer, refs=peer.refs - 1, peer_ref=True)
        return True
    return False


def krings_create_pair(s: System, name: str, fired: list[str]) -> None:
    """Make the krings of both ends and link them ring by ring; the peer's rings own no buffers."""
    peer = s.adapters[name].peer
    bind.krings_create(s, s.adapters[name], fired)
    failure.undo(s, "pipe.first-krings", lambda: krings_delete(s, name))
    bind.krings_create(s, s.adapters[peer], fired)
    for k in list(krings_of(s, s.adapters[name], hardware_only=True)):
        other = s.krings[ring_name(peer, swap(k.t), k.index)]
        put(s, replace(k, pipe=other.name, pipe_tail=k.pos.hwtail))
        put(s, replace(other, pipe=k.name, pipe_tail=other.pos.hwtail, fake=True))
    fired.append(BOTH)


def register_rings(s: System, name: str, fired: list[str], switches: frozenset[str]) -> None:
    """Give every newly bound ring its ring at the other end, and both the same buffers. Source:
    netmap_pipe_reg_both.

    As written (COPIES_FAKE) the slots are copied from this end even when the other one has the buffers.
    """
    na = s.adapters[name]
    fresh = [k for k in krings_of(s, na, hardware_only=True) if k.pending and not k.on]
    flags = [(r.name, r.fake, r.needed) for k in fresh for r in (s.krings[k.name], s.krings[k.pipe])]
    failure.undo(s, "pipe.rings", lambda: _unpair(s, name, flags), NEEDED_STICKS, NEEDED, own=True)
    for k in fresh:
        put(s, replace(s.krings[k.pipe], needed=True))
    rings_create(s, na.peer, fired, switches)
    for k in fresh:
        k = replace(s.krings[k.name], on=True)
        put(s, k)
        other = s.krings[k.pipe]
        if k.fake and other.fake:
            fired.append(REOPENED)
            continue
        source, target = (other, k) if k.fake and COPIES_FAKE not in switches else (k, other)
        region = s.regions[na.mem]
        slots = memory.read_slots(region, ring_at(s, source), source.pos.n)
        fired.append(OVERWRITTEN if source.fake else COPIED)
        memory.write_slots(region, ring_at(s, target), slots)
        view(s, other).offset_mask = view(s, k).offset_mask
        # From now on neither ring owns buffers for the ordinary machinery: the pair does.
        put(s, replace(other, fake=True))
        put(s, replace(k, fake=True, needed=True))


def _unpair(s: System, name: str, flags: list[tuple[str, bool, bool]]) -> None:
    """Undo :func:`register_rings`: rings are again as fake and as needed as they were, and those that nobody
    needs go. Nothing is left to do when the request made the pipe: it is gone."""
    for ring, fake, needed in flags:
        if ring in s.krings:
            put(s, replace(s.krings[ring], fake=fake, needed=needed))
    for end in (name, s.adapters[name].peer) if flags and flags[0][0] in s.krings else ():
        rings_delete(s, end, [])


def register(s: System, name: str, fired: list[str], switches: frozenset[str]) -> None:
    """Newly bound rings get their other end. With the first descriptor the port is on, and if the other end
    kept it alive so far, it need not any more."""
    register_rings(s, name, fired, switches)
    na = s.adapters[name]
    if na.fds == 0:
        s.adapters[name] = na = replace(na, on=True)
        if not na.peer_ref:
            s.adapters[na.peer] = replace(s.adapters[na.peer], peer_ref=False)
            s.adapters[name] = replace(na, refs=na.refs - 1)


def unregister(s: System, name: str, fired: list[str]) -> None:
    """The other way round, called when a descriptor has left: the last one leaves the end to its peer."""
    na = s.adapters[name]
    mode_commit(s, na)
    if na.fds == 0:
        s.adapters[name] = na = replace(na, on=False)
        if not na.peer_ref:
            s.adapters[name] = replace(na, refs=na.refs + 1)
            s.adapters[na.peer] = replace(s.adapters[na.peer], peer_ref=True)


def kernel_part(n: int, hwcur: int, stop: int, receive: bool) -> list[int]:
    """Positions whose buffers are at the other end, walking on from ``stop`` to ``hwcur`` (not included).

    ``stop`` is the first such slot of a receive ring, which always has one, and the last slot the
    application may use of a transmit ring, which may have none.
    """
    i = stop if receive else nm_next(stop, n - 1)
    found = [i] if receive else []
    if receive:
        i = nm_next(i, n - 1)
    while i != hwcur:
        found.append(i)
        i = nm_next(i, n - 1)
    return found


def krings_delete_pair(s: System, name: str, fired: list[str], switches: frozenset[str]) -> None:
    """With the last descriptor of both ends gone, free the rings of both and every buffer once.

    A buffer is found in the part of a ring that its end holds: from ``hwcur`` up to what the peer has
    released. The other slots are emptied first, so that nothing is freed twice. Source:
    netmap_pipe_krings_delete_both.
    """
    na = s.adapters[name]
    if not na.peer_ref:
        fired.append(KEPT)
        return
    region = s.regions[na.mem]
    for end in (name, na.peer):
        for k in list(krings_of(s, s.adapters[end], hardware_only=True)):
            put(s, replace(k, fake=False, needed=False))
            if k.ring < 0:
                continue
            stop = k.pipe_tail
            if k.t == RX:
                sent = s.krings[k.pipe].pos.hwcur
                if sent != stop and LEAKS_INCOMPLETE in switches:
                    fired.append(LEAKED)
                elif sent != stop:
                    stop = sent
            for i in kernel_part(k.pos.n, k.pos.hwcur, stop, k.t == RX):
                slot = memory.read_slot(region, ring_at(s, k), i)
                memory.write_slot(region, ring_at(s, k), i, replace(slot, buf_idx=0))
    fired.append(GONE)
    for end in (name, na.peer):
        rings_delete(s, end, fired)
        krings_delete(s, end)


def sync(x: Execution, k: KringState, force: bool) -> Protocol:
    """A pipe's part of a sync; a transmit ring is never lazy."""
    return pipe.txsync(k.name) if k.t == TX else pipe.rxsync(k.name)


def destroy(s: System, name: str, fired: list[str], put_adapter: Callable[[str], None]) -> None:
    """Let go of the peer, if this end keeps it, and of the port below which the pipe lived. Source:
    netmap_pipe_dtor."""
    na = s.adapters[name]
    if na.peer_ref:
        s.adapters[name] = replace(na, peer_ref=False)
        put_adapter(na.peer)
    parent = s.adapters[na.parent]
    if na.role == "{":
        s.adapters[na.parent] = replace(parent, pipes=tuple(p for p in parent.pipes if p != name))
    put_adapter(na.parent)


OPS = PortOps(
    krings_create=krings_create,
    krings_delete=krings_delete_pair,
    register=register,
    unregister=unregister,
    sync=sync,
    destroy=destroy,
    kept=kept_by_peer,
    offsets=any_offsets,
)

"""Chapter *sets*: descriptors that are waited for through a set that outlives the wait, as epoll has them.

A poll asks each time. A set asks when a descriptor is added, and from then on only about those that are
*listed*: they were ready when they were asked last, or have been notified since. So a wait that finds nobody
listed syncs nothing, and an edge-triggered descriptor, which is taken off the list when it is told of, is
asked again only after something was notified. Where notifications come from is noted when a descriptor is
added: one that has no rings to wait for then is *deaf*.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.step import Step, rule

LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"
NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
MAN = "luigirizzo/netmap:share/man/man4/netmap.4@89607e14"

_SETS = "14.poll.sets"
ASKED = rule("14/sets/wait/asked", clause=_SETS, source=f"{NETMAP_C}:3780-3784")
UNASKED = rule("14/sets/wait/unasked", clause=_SETS, source=f"{MAN}:742-748")
NOTIFIED = rule("14/sets/notified", clause=_SETS, source=f"{LINUX_C}:2521-2533")
DEAF = rule("14/sets/notified/deaf", clause=_SETS, source=f"{NETMAP_C}:3701-3714,3780-3784")
STAYS = rule("14/sets/told/stays", clause=_SETS, source=f"{NETMAP_C}:3780-3784")
TAKEN_OFF = rule("14/sets/told/taken-off", clause="14.poll.edge", source=f"{LINUX_C}:2521-2533")


@dataclass(frozen=True, slots=True)
class Item:
    """A descriptor in a set: what is asked for, whether by edges, and whether the next wait asks about it.

    ``deaf``: it was not bound, or in CSB mode, when it was added, and no notification reaches it.
    """

    events: frozenset[str]
    edge: bool = False
    listed: bool = False
    deaf: bool = False


def asks(item: Item) -> Step[bool]:
    """Does a wait ask about this descriptor, and so sync its rings?"""
    if item.listed:
        return Step(True, (ASKED,))
    return Step(False, (UNASKED,))


def told(item: Item, ready: bool) -> Step[Item]:
    """The descriptor after a wait that asked: on the list while it is ready, unless it is edge-triggered."""
    if not ready:
        return Step(replace(item, listed=False))
    if item.edge:
        return Step(replace(item, listed=False), (TAKEN_OFF,))
    return Step(replace(item, listed=True), (STAYS,))


def notified(item: Item) -> Step[Item]:
    """A ring of the descriptor was notified, in whatever direction: the next wait asks."""
    if item.deaf:
        return Step(item, (DEAF,))
    if not item.listed:
        return Step(replace(item, listed=True), (NOTIFIED,))
    return Step(item)

"""Chapter *notify*: how sleepers learn that a ring moved.

Whoever makes progress for others (a device, the other end of a pipe, the host stack) first stores it and
then wakes. Each ring has a selinfo for descriptors bound to it alone; each direction of a port has one
more for descriptors bound to several rings, which is only woken while there are such descriptors.
"""

from __future__ import annotations

from ..core.effects import Do, Fired, Protocol, ReadKernel, Wake, WriteKernel
from ..core.step import rule

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"

NOTIFY = rule("14/notify/ring", clause="14.poll.wakeup", source=f"{NETMAP_C}:3977-3992")
NOTIFY_PORT = rule("14/notify/port", clause="14.poll.wakeup", source=f"{NETMAP_C}:3984-3989")
INTERRUPT = rule("14/notify/interrupt", clause="14.poll.wakeup", source=f"{NETMAP_C}:4471-4498")


def notify(ring: str) -> Protocol:
    """Wake who waits for this ring and, if anybody does, who waits for the port. Source: netmap_notify.

    A receive ring that copy monitors watch is looked at first (:mod:`.ports.monitor`).
    """
    intercepted = yield ReadKernel((ring, "intercepted"))
    if intercepted:
        go_on = yield Do("look", (ring,))
        if not go_on:
            return
    yield Wake(ring)
    yield Fired(NOTIFY)
    users = yield ReadKernel((ring, "si_users"))
    if users > 0:
        shared = yield ReadKernel((ring, "si"))
        yield Wake(shared)
        yield Fired(NOTIFY_PORT)


def interrupt(ring: str, count: int) -> Protocol:
    """A device tells that it has completed or stored ``count`` more. Source: netmap_common_irq."""
    announced = yield ReadKernel((ring, "announced"))
    yield WriteKernel((ring, "announced"), announced + count)
    yield Fired(INTERRUPT)
    yield from notify(ring)

"""Chapter *failure*, attaching: the steps of attaching an interface to a switch, and of polling it, that can
fail, and what the code as written forgets when they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ...core.step import rule
from .. import bind, memory
from ..failure import Faulted, Refused, fails, may_fail, point
from ..state import Adapter, System

if TYPE_CHECKING:
    from ..requests import Ctl

BDG_C = "luigirizzo/netmap:sys/dev/netmap/netmap_bdg.c@89607e14"
VALE_C = "luigirizzo/netmap:sys/dev/netmap/netmap_vale.c@89607e14"

#: An attachment that is refused after the interface was taken keeps a reference to it: it can never go.
KEEPS_INTERFACE = "14.vale-attach-keeps-interface"
#: Rings made for an attachment that then lacks memory for one more are lost while the region is in use.
LOSES_RINGS = "14.vale-attach-loses-rings"
#: Threads that were started before one that cannot be go on with memory that was freed.
THREADS_RUN_ON = "14.polling-threads-run-on"
#: Polling that gets no memory for its threads ends with EFAULT.
NO_MEMORY_FAULT = "14.polling-memory-efault"
AS_WRITTEN = frozenset({KEEPS_INTERFACE, LOSES_RINGS, THREADS_RUN_ON, NO_MEMORY_FAULT})

ADAPTER = point("bwrap.adapter", "ENOMEM", source=f"{VALE_C}:1283-1286")
FILE = point("bwrap.file", "ENOMEM", source=f"{BDG_C}:1687-1689")
STATE = point("polling.state", "ENOMEM", source=f"{BDG_C}:905-907")
THREADS = point("polling.threads", "ENOMEM", source=f"{BDG_C}:746-748")
THREAD = point("polling.thread", "ENOMEM", source=f"{BDG_C}:767-770")
START = point("polling.start", "ENOMEM", source=f"{BDG_C}:796-802")

KEPT = rule(
    "14/attach-steps/interface-kept",
    clause="14.failure.undone",
    source=f"{BDG_C}:1196-1220,1671-1690,1729-1731",
    switch=KEEPS_INTERFACE,
)
LOST = rule(
    "14/attach-steps/rings-lost",
    clause="14.failure.undone",
    source=f"{BDG_C}:1530-1533,1563-1571",
    switch=LOSES_RINGS,
)
RAN_ON = rule(
    "14/attach-steps/threads-run-on",
    clause="14.failure.undone",
    source=f"{BDG_C}:796-814,928-935",
    switch=THREADS_RUN_ON,
)
EFAULT = rule(
    "14/attach-steps/memory-efault",
    clause="14.failure.errno",
    source=f"{BDG_C}:746-783,915-918",
    switch=NO_MEMORY_FAULT,
)


def keep(ctx: Ctl, port: str) -> None:
    """The request is refused; as written (KEEPS_INTERFACE) its reference to the interface stays."""
    if KEEPS_INTERFACE in ctx.switches:
        ctx.fired.append(KEPT)
        ctx.s.kept |= {port}


def kernel_file(ctx: Ctl, port: str) -> None:
    """Memory for the descriptor by which the kernel has the interface bound."""
    if fails(ctx.s, FILE, ctx.fired):
        keep(ctx, port)
        raise Refused(FILE.errno)


def lose_rings(ctx: Ctl, na: Adapter) -> None:
    """Binding the interface has failed. As written (LOSES_RINGS) the rings that were made before memory for
    one ran out are not given back: they stay in use when somebody else goes on using the region."""
    s = ctx.s
    krings = list(bind.krings_of(s, na)) if na.created else []
    if not any(k.ring < 0 and k.users for k in krings):
        return
    made = [k for k in krings if k.ring >= 0]
    slots = [memory.read_slots(s.regions[na.mem], bind.ring_at(s, k), k.pos.n) for k in made if not k.fake]
    rings = frozenset(k.ring for k in made)
    buffers = frozenset(x.buf_idx for ring in slots for x in ring)

    def left(s: System) -> tuple[str, ...]:
        a = s.allocators[na.mem]
        if LOSES_RINGS not in ctx.switches or not (rings and a.active):
            return ()
        _, ring_pool, buf_pool = a.pools
        s.allocators[a.id] = a.with_pools(
            (a.if_pool, memory.keep(ring_pool, rings), memory.keep(buf_pool, buffers))
        )
        return (LOST,)

    ctx.afterwards.append(left)


def _no_memory(ctx: Ctl) -> NoReturn:
    if NO_MEMORY_FAULT in ctx.switches:
        ctx.fired.append(EFAULT)
        raise Refused("EFAULT")
    raise Refused("ENOMEM")


def polling_threads(ctx: Ctl, cpus: int) -> None:
    """A thread for each CPU is made, and then each is started. Source: nm_bdg_ctl_polling_start.

    As written lack of memory for one that is made is EFAULT (NO_MEMORY_FAULT), and the state that all share
    is freed under those that run when a later one cannot be started (THREADS_RUN_ON).
    """
    s, fired = ctx.s, ctx.fired
    may_fail(s, STATE, fired)
    if fails(s, THREADS, fired):
        _no_memory(ctx)
    for _ in range(cpus):
        if fails(s, THREAD, fired):
            _no_memory(ctx)
    for started in range(cpus):
        if fails(s, START, fired):
            if started and THREADS_RUN_ON in ctx.switches:
                fired.append(RAN_ON)
                raise Faulted("netmap_bdg.c:803-813,928-932")
            raise Refused(START.errno)

"""The two readings of generation 14, and what sets the second apart from the first.

``CONTRACT`` is what headers, manual page and comments promise; no switch is on. ``AS_WRITTEN`` is what the
code does; each switch is one deviation, described at the clause it breaks.
"""

from __future__ import annotations

from . import (
    bind,
    csb,
    kloop,
    lease,
    legacy,
    loops,
    memory,
    offsets_bind,
    opening,
    poll,
    ptnet,
    regions,
    requests,
    ring,
    stop,
    switch,
    switch_requests,
    sync,
)
from .libraries import nm_open, nmport, nmport_options, words
from .ports import (
    attach_steps,
    bwrap,
    forward,
    host,
    monitor_ends,
    nic_get,
    nic_mode,
    null,
    offload,
    pipe,
    pipe_ends,
    pipe_get,
    vale,
    vale_ports,
    wire,
)

CONTRACT: frozenset[str] = frozenset()
#: Deviations of the code that is compiled for FreeBSD alone. The recordings are of Linux.
FREEBSD_ONLY: frozenset[str] = frozenset({poll.READY_WITHOUT_RINGS, kloop.EVENTFDS_SUCCEED, memory.UNBOUNDED})
AS_WRITTEN: frozenset[str] = (
    requests.AS_WRITTEN
    | opening.AS_WRITTEN
    | words.AS_WRITTEN
    | nm_open.AS_WRITTEN
    | nmport.AS_WRITTEN
    | nmport_options.AS_WRITTEN
    | legacy.AS_WRITTEN
    | csb.AS_WRITTEN
    | kloop.AS_WRITTEN
    | loops.AS_WRITTEN
    | attach_steps.AS_WRITTEN
    | ptnet.AS_WRITTEN
    | ring.AS_WRITTEN
    | sync.AS_WRITTEN
    | stop.AS_WRITTEN
    | poll.AS_WRITTEN
    | bind.AS_WRITTEN
    | regions.AS_WRITTEN
    | nic_get.AS_WRITTEN
    | nic_mode.AS_WRITTEN
    | null.AS_WRITTEN
    | pipe_ends.AS_WRITTEN
    | pipe.AS_WRITTEN
    | host.AS_WRITTEN
    | forward.AS_WRITTEN
    | offsets_bind.AS_WRITTEN
    | monitor_ends.AS_WRITTEN
    | pipe_get.AS_WRITTEN
    | switch.AS_WRITTEN
    | lease.AS_WRITTEN
    | vale.AS_WRITTEN
    | vale_ports.AS_WRITTEN
    | offload.AS_WRITTEN
    | switch_requests.AS_WRITTEN
    | wire.AS_WRITTEN
    | bwrap.AS_WRITTEN
)
#: What the code does on Linux.
LINUX: frozenset[str] = AS_WRITTEN - FREEBSD_ONLY

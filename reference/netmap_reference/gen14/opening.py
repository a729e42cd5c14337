"""Chapter *open*: an open file, and a mapping of it, as far as they can fail.

Neither is a request, but both have steps that can fail, and what was done before is undone as in
:mod:`.failure`. What a mapping may show is in :mod:`.world`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..core.outcome import errno, fault
from ..core.step import rule
from . import failure
from .failure import Refused, point
from .result import Result
from .state import File, System

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
LINUX_C = "luigirizzo/netmap:LINUX/netmap_linux.c@89607e14"
FREEBSD_C = "luigirizzo/netmap:sys/dev/netmap/netmap_freebsd.c@89607e14"

#: An open that gets no memory succeeds, and the kernel takes something else for the descriptor.
HIDES_SHORTAGE = "14.open-hides-shortage"
AS_WRITTEN = frozenset({HIDES_SHORTAGE})

DESCRIPTOR = point("open.descriptor", "ENOMEM", source=f"{NETMAP_C}:1118-1129")
HANDLE = point("mmap.handle", "ENOMEM", source=f"{FREEBSD_C}:1042-1045")
OBJECT = point("mmap.object", "EINVAL", source=f"{FREEBSD_C}:1060-1078")
HIDDEN = rule(
    "14/open/hidden", clause="14.failure.errno", source=f"{LINUX_C}:1547-1559", switch=HIDES_SHORTAGE
)
NO_DESCRIPTOR = rule(
    "14/open/no-descriptor",
    clause="14.failure.errno",
    source=f"{LINUX_C}:1480-1513,1530-1559",
    switch=HIDES_SHORTAGE,
)
#: The requests that look at the descriptor they are made on; the others only answer.
LOOK = frozenset({"REGISTER", "CSB_ENABLE", "SYNC_KLOOP_START", "SYNC_KLOOP_STOP"})


def open_file(s: System, holder: tuple[str, str], switches: frozenset[str]) -> Result:
    """A process gets a descriptor (``holder``: process and name) of a new open file. ENOMEM without memory.

    As written (HIDES_SHORTAGE) it gets one all the same.
    """

    def act(fired: list[str]) -> Result:
        file = min(set(range(len(s.files) + 1)) - set(s.files))
        made = File()
        if failure.fails(s, DESCRIPTOR, fired):
            if HIDES_SHORTAGE in switches:
                fired.append(HIDDEN)
                made = File(missing=True)
            else:
                raise Refused(DESCRIPTOR.errno)
        s.files[file] = made
        s.holders[holder] = file
        return Result()

    return _run(s, act, switches)


def lost(s: System, file: int) -> Result | None:
    """How a call ends that looks at a descriptor for which there was no memory: the kernel faults.

    What stands in its place is the system's, so this is as much as can be said.
    """
    if s.files[file].missing:
        return Result(fault("LINUX/netmap_linux.c:1549-1559"), (NO_DESCRIPTOR,))
    return None


def map_file(
    s: System, holder: tuple[str, str], file: int, look: Callable[[], Result], switches: frozenset[str]
) -> Result:
    """A process maps an open file if ``look`` says so. FreeBSD needs memory first and an object last."""

    def act(fired: list[str]) -> Result:
        failure.may_fail(s, HANDLE, fired)
        result = look()
        if result.outcome.ok:
            _refer(s, holder, file)
            failure.may_fail(s, OBJECT, fired)
        return result

    return _run(s, act, switches)


def _refer(s: System, holder: tuple[str, str], file: int) -> None:
    """A mapping refers to the open file, before the system has made it."""
    before = s.mapped.get(holder)
    s.mapped[holder] = file

    def give_back() -> None:
        del s.mapped[holder]
        if before is not None:
            s.mapped[holder] = before

    failure.undo(s, "mmap.reference", give_back)


def _run(s: System, act: Callable[[list[str]], Result], switches: frozenset[str]) -> Result:
    """``act`` collects the rules it fires; it is undone when it is refused."""
    fired: list[str] = []
    try:
        result = failure.carry_out(s, lambda: act(fired), fired, switches)
    except Refused as refused:
        return Result(errno(refused.name), tuple(fired))
    return replace(result, fired=(*fired, *result.fired))

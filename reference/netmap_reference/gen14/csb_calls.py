"""The part of :class:`~.world.World` that is about CSB mode: an application's entries and eventfds, loops."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import asdict

from ..core.choice import Choose
from ..core.effects import run
from ..core.outcome import errno
from ..core.step import rule
from . import kloop, loops
from .execute import Execution
from .ptnet import kick as kick_of
from .result import Result
from .view import WorldView

__all__ = ["CsbCalls"]

STORED = rule(
    "14/csb/application/stores",
    clause="14.csb.entries",
    source="luigirizzo/netmap:sys/net/netmap.h@89607e14:793-808",
)


class CsbCalls(WorldView):
    """What an application in CSB mode does, and what its loop does for it."""

    __slots__ = ("switches",)
    switches: frozenset[str]

    # --- looking --------------------------------------------------------------------------------------

    def csb(self, fd: str) -> list[dict[str, int]] | None:
        """The entries of a descriptor in CSB mode, every word by its C name; ``None`` for others."""
        file = self._file(fd, "main")
        if file is None or file not in self._s.csbs or not self._s.files[file].adapter:
            return None
        return [asdict(entry) for entry in self._s.csbs[file].entries]

    def looping(self) -> list[tuple[int, str]]:
        """Every file with a loop whose own thread handles rings, and the ring that comes next."""
        return [(file, ring) for file in sorted(self._s.loops) for ring in loops.due(self._s, file)[:1]]

    def begun(self) -> list[tuple[int, str]]:
        """Like :meth:`looping`, of the loops that have begun a pass or were woken to make one."""
        s = self._s
        return [
            (file, ring)
            for file, ring in self.looping()
            if s.loops[file].next or not s.loops[file].passed or file in s.woken
        ]

    def shown(self) -> Hashable:
        """All but how far loops are in their passes."""
        return self._s.key(without=("loops", "woken", "waiting"))

    # --- the application --------------------------------------------------------------------------------

    def csbset(self, fd: str, index: int, words: Mapping[str, int], actor: str = "main") -> Result:
        """Store into an entry: ``head``, ``cur``, ``kick`` (appl_need_kick), ``flags`` (sync_flags).

        EFAULT when there is no such entry.
        """
        file = self._entry(fd, index, actor)
        if file is None:
            return Result(errno("EFAULT"))
        loops.store(self._s, file, index, {loops.WORDS[word]: value for word, value in words.items()})
        return Result(fired=(STORED,))

    def kick(self, fd: str, index: int, choose: Choose, actor: str = "main") -> Result:
        """Signal an ioeventfd. EFAULT when there is no such entry."""
        file = self._entry(fd, index, actor)
        if file is None:
            return Result(errno("EFAULT"))
        x = Execution(self._s, file, choose, self.switches)
        run(kick_of(loops.rings(self._s.files[file])[index]), x)
        return Result(fired=tuple(x.fired))

    def irq(self, fd: str, index: int, actor: str = "main") -> Result:
        """Read an irqfd: ``out["count"]`` signals since the last read, 0 when there is nothing to read."""
        file = self._entry(fd, index, actor)
        if file is None:
            return Result(errno("EFAULT"))
        return Result(out={"count": loops.read_irq(self._s, file, index)})

    def guest_sync(self, fd: str, index: int, force: bool, choose: Choose, actor: str = "main") -> Result:
        """The application syncs a ring through its entry, as a guest's driver does. EINVAL: rejected."""
        file = self._entry(fd, index, actor)
        if file is None:
            return Result(errno("EFAULT"))
        x = Execution(self._s, file, choose, self.switches)
        accepted = loops.sync_as_guest(x, index, force)
        return Result(Result().outcome if accepted else errno("EINVAL"), tuple(x.fired))

    # --- the loops --------------------------------------------------------------------------------------

    def loop_step(self, file: int, ring: str, choose: Choose) -> Result:
        """The loop of a file passes over one ring now, the one that comes next."""
        x = Execution(self._s, file, choose, self.switches)
        loops.step(x, (ring,))
        return Result(fired=tuple(x.fired))

    def passes(self, choose: Choose) -> tuple[str, ...]:
        """Every loop that is awake passes over its rings once; the rules of those that changed anything."""
        fired: list[str] = []
        for file in sorted(self._s.loops):
            if loops.awake(self._s, file):
                x = Execution(self._s, file, choose, self.switches)
                before = self._s.key()
                loops.step(x, loops.due(self._s, file))
                if self._s.key() != before:
                    fired += x.fired
        return tuple(fired)

    def loop_owed(self) -> list[tuple[str, str]]:
        """(clause, ring) where a loop that is awake has not done what a pass would do."""
        found = []
        for file in sorted(self._s.loops):
            s = self._s.clone()
            for ring in loops.due(s, file) if loops.awake(s, file) else ():
                before = s.csbs[file]
                loops.step(Execution(s, file, lambda choice: choice.hi, self.switches), (ring,))
                if s.csbs[file] != before:
                    found.append(("14.kloop.progress", ring))
        return found

    def start_returns(self, fd: str, actor: str = "main") -> Result | None:
        """A START that sleeps in its loop: its result when the loop was stopped, ``None`` while it runs."""
        file = self._file(fd, actor)
        if file is None:
            return None
        return Result(fired=(kloop.RETURNS,)) if loops.returns(self._s, file) else None

    def _entry(self, fd: str, index: int, actor: str) -> int | None:
        file = self._file(fd, actor)
        if file is None or file not in self._s.csbs or not 0 <= index < len(self._s.csbs[file].entries):
            return None
        return file

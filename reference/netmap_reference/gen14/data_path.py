"""The part of :class:`~.world.World` that moves packets and waits for them: syncs, polls, sets."""

from __future__ import annotations

from dataclasses import replace

from ..core.choice import Choose
from ..core.effects import Protocol, run
from ..core.outcome import errno
from . import csb, opening, poll, sets, sync
from .environment import Environment
from .execute import Execution
from .overlap import Overlap
from .poll import Bound
from .ports import bwrap
from .result import Result
from .state import RX, TX

__all__ = ["DataPath"]


class DataPath(Environment):
    """The two syncs and the ways to wait. Each runs its chapter's protocol effect by effect to its end."""

    __slots__ = ()

    def txsync(self, fd: str, choose: Choose, actor: str = "main") -> Result:
        """NIOCTXSYNC."""
        return self._sync(fd, TX, choose, actor)

    def rxsync(self, fd: str, choose: Choose, actor: str = "main") -> Result:
        """NIOCRXSYNC."""
        return self._sync(fd, RX, choose, actor)

    def begin_sync(self, fd: str, t: str, choose: Choose, actor: str) -> Result | Overlap:
        """A sync of a thread that is overtaken by others, held half way where it can be."""
        begun = self._begin(fd, t, choose, actor)
        return begun if isinstance(begun, Result) else Overlap(*begun, self._synced)

    def _sync(self, fd: str, t: str, choose: Choose, actor: str) -> Result:
        begun = self._begin(fd, t, choose, actor)
        if isinstance(begun, Result):
            return begun
        x, protocol = begun
        synced, failed = x.run(protocol)
        return failed or self._synced(x, synced)

    def _begin(self, fd: str, t: str, choose: Choose, actor: str) -> Result | tuple[Execution, Protocol]:
        file = self._file(fd, actor)
        if file is None:
            return Result(errno("EBADF"))
        f = self._s.files[file]
        lost = opening.lost(self._s, file)
        if lost is not None:
            return lost
        if not f.adapter:
            return Result(errno("ENXIO"), (sync.UNBOUND,))
        if file in self._s.csbs:
            return Result(errno("EBUSY"), (csb.SYNC_BUSY,))
        x = Execution(self._s, file, choose, self.switches)
        x.fired.extend(self._looked(choose))
        bwrap.catch_up(x)
        return x, sync.sync_all(self._bound(f, t), t == TX, x.port_sync, self.switches)

    @staticmethod
    def _synced(x: Execution, synced: sync.SyncedAll) -> Result:
        rejected = synced.rejected
        if synced.stopped:
            return Result(errno("EIO"), tuple(x.fired))
        if rejected and not x.chosen_once("rejected_ok", "sync.rejected-succeeds"):
            return Result(errno("EINVAL"), (*x.fired, sync.REJECTED_EINVAL))
        return Result(fired=(*x.fired, sync.REJECTED_OK) if rejected else tuple(x.fired))

    def poll(
        self, fd: str, events: frozenset[str], choose: Choose, actor: str = "main", how: str = ""
    ) -> Result:
        """One scan of poll with its second round. ``asleep`` when it found nothing and is now recorded.

        ``how`` is ``kqueue`` for the event filters of FreeBSD (READ for ``in``, WRITE for ``out``; any other
        word is another filter).
        """
        file = self._file(fd, actor)
        if file is None:
            return Result(errno("EBADF"))
        f = self._s.files[file]
        lost = opening.lost(self._s, file)
        if lost is not None:
            return lost
        if how == "kqueue" and not events <= poll.IN | poll.OUT:
            return Result(errno("EPERM"), (poll.FILTER_OTHER,))
        if how == "kqueue" and not f.adapter:
            return Result(errno("EPERM"), (poll.FILTER_UNBOUND,))
        if not f.adapter or not self._s.adapters[f.adapter].on:
            return self._erred(poll.UNBOUND, events, how)
        if file in self._s.csbs:
            return self._erred(csb.POLL_ERROR, events, how)
        x = Execution(self._s, file, choose, self.switches)
        x.fired.extend(self._looked(choose))
        bound = Bound(
            self._bound(f, TX), self._bound(f, RX), f.selinfo[1], f.selinfo[0], f.tx_poll, f.rx_poll
        )
        want_tx, want_rx = bool(events & poll.OUT), bool(events & poll.IN)
        bwrap.catch_up(x)
        x.forget_sleep()
        looks = self._looks_first(file, bound, want_tx, want_rx, choose)
        scan = poll.poll(bound, want_tx, want_rx, x.port_sync, x.port_sync, self.switches, looks)
        polled, failed = x.run(scan)
        if failed:
            return failed
        step = poll.revents(polled, events, how)
        if step.state:
            x.forget_sleep()
        return Result(fired=(*x.fired, *step.fired), revents=step.state, asleep=not step.state)

    @staticmethod
    def _erred(why: str, events: frozenset[str], how: str) -> Result:
        """A scan that looks at no ring."""
        step = poll.revents(poll.Polled(False, False, True), events, how)
        return Result(fired=(why, *step.fired), revents=step.state, asleep=not step.state)

    def epset(
        self, fd: str, events: frozenset[str], edge: bool, choose: Choose, actor: str = "main"
    ) -> Result:
        """Add a descriptor to its process's set (epoll); ``edge``: edge-triggered. It is asked once."""
        file = self._file(fd, actor)
        if file is None:
            return Result(errno("EBADF"))
        if file in self._s.sets:
            return Result(errno("EEXIST"))
        asked = self.poll(fd, events, choose, actor)
        deaf = poll.UNBOUND in asked.fired or csb.POLL_ERROR in asked.fired
        self._s.sets[file] = sets.Item(events, edge, bool(asked.revents), deaf)
        return replace(asked, revents=frozenset(), asleep=False)

    def epwait(self, fd: str, choose: Choose, actor: str = "main") -> Result:
        """What a wait for the set tells of this descriptor now, which is in it."""
        file = self._file(fd, actor)
        if file is None or file not in self._s.sets:
            return Result(errno("EBADF" if file is None else "ENOENT"))
        asks = sets.asks(self._s.sets[file])
        if not asks.state:
            return Result(fired=asks.fired, asleep=True)
        found = self.poll(fd, self._s.sets[file].events, choose, actor)
        step = sets.told(self._s.sets[file], bool(found.revents))
        self._s.sets[file] = step.state
        return replace(found, fired=(*asks.fired, *found.fired, *step.fired))

    def _looks_first(self, file: int, bound: Bound, want_tx: bool, want_rx: bool, choose: Choose) -> bool:
        """Does poll answer from the shared page where it can? A system does so always, or never."""
        x = Execution(self._s, file, choose, self.switches)
        found = run(poll.look(bound, want_tx, want_rx, self.switches), x)
        return any(found) and not x.chosen_once("syncs_ready", "poll.syncs-ready")

    def woken(self) -> frozenset[str]:
        """Descriptors recorded by a sleeping poll whose selinfo was woken since."""
        return frozenset(fd for (_, fd), file in self._s.holders.items() if file in self._s.woken)

"""The shared block of a campaign's machine: a region that remembers which bytes were written."""

from __future__ import annotations

from ...core.memory import Region


class WatchedRegion(Region):
    """A region whose ``written`` lists (offset, length) of every store since it was last emptied."""

    __slots__ = ("written",)

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.written: list[tuple[int, int]] = []

    @classmethod
    def watch(cls, region: Region) -> WatchedRegion:
        """The same bytes, watched from here on."""
        made = cls(region.size)
        made._pages = Region.clone(region)._pages
        return made

    def clone(self) -> WatchedRegion:
        return WatchedRegion.watch(self)

    def write(self, offset: int, data: bytes) -> None:
        self.written.append((offset, len(data)))
        super().write(offset, data)

"""The shared region as real bytes, cheap to copy.

The oracle keeps several candidate states of one device; each owns a region of megabytes of which
a step touches a few words. :class:`Region` keeps its bytes in pages shared between copies until
one of them writes.
"""

from __future__ import annotations

PAGE = 4096
_ZERO = bytes(PAGE)


class Region:
    """``size`` bytes, zero at first. Offsets outside raise ``IndexError``: there is no silent wrap."""

    __slots__ = ("_pages", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._pages: dict[int, bytes | bytearray] = {}

    def clone(self) -> Region:
        """A copy that shares every page with this one until either writes to it."""
        other = Region(self.size)
        for number, page in self._pages.items():
            if isinstance(page, bytearray):
                self._pages[number] = bytes(page)
        other._pages = dict(self._pages)
        return other

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise IndexError(f"[{offset}, {offset + length}) is outside the region of {self.size} bytes")

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``."""
        self._check(offset, length)
        number, start = divmod(offset, PAGE)
        if start + length <= PAGE:
            return bytes(self._pages.get(number, _ZERO)[start : start + length])
        parts = []
        while length:
            take = min(length, PAGE - start)
            parts.append(self._pages.get(number, _ZERO)[start : start + take])
            number, start, length = number + 1, 0, length - take
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        """Store ``data`` at ``offset``."""
        self._check(offset, len(data))
        done = 0
        while done < len(data):
            number, start = divmod(offset + done, PAGE)
            page = self._pages.get(number, _ZERO)
            if not isinstance(page, bytearray):
                page = self._pages[number] = bytearray(page)
            take = min(len(data) - done, PAGE - start)
            page[start : start + take] = data[done : done + take]
            done += take

    def key(self) -> frozenset[tuple[int, bytes]]:
        """The content as a value: equal for two regions that hold the same bytes."""
        return frozenset((n, bytes(page)) for n, page in self._pages.items() if page != _ZERO)

"""Pictures of a ring: every slot with its owner and buffer, and where each index points.

One :class:`RingPicture` is drawn as text (terminals, logs, test failures) and as SVG (the report,
the README). A long ring is *windowed*: the slots around the marks are drawn, the runs between them
are folded into one cell that says how many slots it stands for.

The application's words (``head``, ``cur``, ``tail``: what the shared page says) are drawn above the
slots, the kernel's own (``hwcur``, ``rhead``, ``rcur``, ``rtail``, ``hwtail``) below them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

#: The order in which marks of one slot are stacked; others follow in the order given.
USER_MARKS = ("head", "cur", "tail")
KERNEL_MARKS = ("hwcur", "rhead", "rcur", "rtail", "hwtail")

KERNEL = "kernel"
USER = "user"


class SlotPicture(NamedTuple):
    """One slot: ``owner`` is ``"kernel"``, ``"user"`` or empty when unknown; ``-1`` is an unknown number."""

    owner: str = ""
    buf_idx: int = -1
    len: int = -1
    flags: int = -1


@dataclass(frozen=True, slots=True)
class RingPicture:
    """What is drawn of one ring at one moment.

    ``name`` is what the reader knows it by (``v0:tx0``), ``n`` its number of slots, ``marks`` a position by
    label; a position that is no slot (``n`` or more) is written out instead of drawn. ``slots`` is empty
    when nothing is known of them, otherwise one tuple ``(owner, buf_idx, len, flags)`` a slot.
    ``note`` is a line under the picture.
    """

    name: str
    n: int
    marks: Mapping[str, int] = field(default_factory=dict)
    slots: tuple[tuple[str, int, int, int], ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"ring {self.name} has {self.n} slots")
        if self.slots and len(self.slots) != self.n:
            raise ValueError(f"ring {self.name}: {len(self.slots)} slots given for {self.n}")

    def slot(self, index: int) -> SlotPicture:
        """Slot ``index``; without slots the owner follows from ``head`` and the tail that counts."""
        if self.slots:
            return SlotPicture(*self.slots[index])
        return SlotPicture(self._owner(index))

    def _owner(self, index: int) -> str:
        head = next((self.marks[m] for m in ("head", "rhead") if self._inside(m)), None)
        tail = next((self.marks[m] for m in ("hwtail", "rtail", "tail") if self._inside(m)), None)
        if head is None or tail is None:
            return ""
        return USER if (index - head) % self.n < (tail - head) % self.n else KERNEL

    def _inside(self, mark: str) -> bool:
        return 0 <= self.marks.get(mark, -1) < self.n

    def outside(self) -> list[tuple[str, int]]:
        """The marks that point at no slot, with what they say."""
        return [(m, p) for m, p in self.marks.items() if not 0 <= p < self.n]

    def marks_at(self, index: int, side: str) -> list[str]:
        """Labels of the marks at a slot on one ``side`` (``"user"`` or ``"kernel"``), in drawing order."""
        here = [m for m, p in self.marks.items() if p == index]
        kernel = [m for m in KERNEL_MARKS if m in here]
        if side == KERNEL:
            return kernel
        known = [m for m in USER_MARKS if m in here]
        return known + [m for m in here if m not in known and m not in kernel]

    def cells(self, around: int = 2, whole: int = 16) -> list[Cell]:
        """The ring cut into cells: single slots near the marks, folded runs elsewhere.

        Rings of at most ``whole`` slots are drawn whole; ``around`` slots are kept on each side of a mark.
        """
        if self.n <= whole:
            return [Cell(i, 1) for i in range(self.n)]
        keep = {0, self.n - 1}
        for position in self.marks.values():
            if 0 <= position < self.n:
                keep.update((position + d) % self.n for d in range(-around, around + 1))
        cells: list[Cell] = []
        index = 0
        while index < self.n:
            end = index
            while end < self.n and end not in keep:
                end += 1
            if end - index > 1:
                cells.append(Cell(index, end - index))
                index = end
            else:
                cells.append(Cell(index, 1))
                index += 1
        return cells

    def owner_of(self, cell: Cell) -> str:
        """The owner of a cell's slots, empty when they have several."""
        owners = {self.slot(i).owner for i in range(cell.first, cell.first + cell.count)}
        return owners.pop() if len(owners) == 1 else ""

    def to_text(self, width: int = 100) -> str:
        """The picture for a terminal ``width`` columns wide; ends without a newline."""
        from .drawing.text import draw

        return draw(self, width)

    def to_svg(self, style: bool = True) -> str:
        """The picture as one ``<svg>`` element; ``style=False`` leaves the colours to the page around it."""
        from .drawing.svg import draw

        return draw(self, style)


@dataclass(frozen=True, slots=True)
class Cell:
    """``count`` neighbouring slots from ``first``, drawn as one when ``count`` is more than 1."""

    first: int
    count: int


def ring_picture(
    name: str,
    n: int,
    marks: Mapping[str, int],
    slots: Iterable[tuple[int, int, int]] = (),
    note: str = "",
) -> RingPicture:
    """A picture whose owners follow from the marks; ``slots`` are ``(buf_idx, len, flags)``."""
    bare = RingPicture(name, n, dict(marks))
    owned = tuple((bare.slot(i).owner, *slot) for i, slot in enumerate(slots))
    return RingPicture(name, n, dict(marks), owned, note)


__all__ = ["KERNEL", "USER", "Cell", "RingPicture", "SlotPicture", "ring_picture"]

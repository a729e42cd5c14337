"""A ring picture as text: a table with one column a cell, marks above and below it."""

from __future__ import annotations

import textwrap

from ..picture import KERNEL, USER, Cell, RingPicture

SHADE = {KERNEL: "▓", USER: "░", "": " "}
LEGEND = "▓ kernel's  ░ application's  ▼ in the shared page  ▲ the kernel's own"
_LABEL = 6


def draw(picture: RingPicture, width: int) -> str:
    """The picture in lines of at most ``width`` columns, as long as one cell fits."""
    cells = picture.cells()
    wide = _cell_width(picture, cells)
    per_line = max(1, (width - _LABEL - 2) // (wide + 1))
    out = [f"{picture.name}  {picture.n} slots  " + "  ".join(f"{m}={p}" for m, p in picture.marks.items())]
    for start in range(0, len(cells), per_line):
        out += _band(picture, cells[start : start + per_line], wide)
    outside = [f"{m}={p} is outside the ring (0 … {picture.n - 1})" for m, p in picture.outside()]
    for text in (*outside, LEGEND, picture.note):
        out += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(line.rstrip() for line in out)


def _title(cell: Cell) -> str:
    return str(cell.first) if cell.count == 1 else f"⋯ {cell.count}"


def _number(value: int) -> str:
    return "" if value < 0 else str(value)


def _rows(picture: RingPicture, cells: list[Cell]) -> list[tuple[str, list[str]]]:
    """The rows under the slot numbers that have something to say."""
    rows = []
    for label, column in (("buf", 1), ("len", 2), ("flags", 3)):
        values = [picture.slot(c.first)[column] if c.count == 1 else -1 for c in cells]
        if label == "flags":
            texts = [f"{v:#x}" if isinstance(v, int) and v > 0 else "" for v in values]
        else:
            texts = [_number(int(v)) for v in values]
        if any(texts):
            rows.append((label, texts))
    return rows


def _cell_width(picture: RingPicture, cells: list[Cell]) -> int:
    texts = [_title(c) for c in cells] + [m for m, p in picture.marks.items() if 0 <= p < picture.n]
    texts += [t for _, row in _rows(picture, cells) for t in row]
    return max(5, *(len(t) for t in texts))


def _band(picture: RingPicture, cells: list[Cell], wide: int) -> list[str]:
    """One stretch of the ring: marks, numbers, owners, contents, marks."""
    pad = " " * (_LABEL + 1)

    def line(label: str, texts: list[str], fill: bool = True) -> str:
        edge = "│" if fill else " "
        return f"{label:>{_LABEL}} {edge}" + edge.join(t.center(wide) for t in texts) + (edge if fill else "")

    def rule(left: str, middle: str, right: str) -> str:
        return pad + left + middle.join("─" * wide for _ in cells) + right

    def marks(side: str) -> list[list[str]]:
        return [picture.marks_at(c.first, side) if c.count == 1 else [] for c in cells]

    above, below = marks(USER), marks(KERNEL)
    out = []
    depth = max(len(m) for m in above)
    for level in range(depth):
        drop = [level - depth + len(m) for m in above]
        out.append(line("", [m[i] if i >= 0 else "" for m, i in zip(above, drop, strict=True)], False))
    if depth:
        out.append(line("", ["▼" if m else "" for m in above], False))
    out.append(rule("┌", "┬", "┐"))
    out.append(line("slot", [_title(c) for c in cells]))
    out.append(line("owner", [SHADE[picture.owner_of(c)] * wide for c in cells]))
    out += [line(label, texts) for label, texts in _rows(picture, cells)]
    out.append(rule("└", "┴", "┘"))
    if any(below):
        out.append(line("", ["▲" if m else "" for m in below], False))
    for level in range(max(len(m) for m in below)):
        out.append(line("", [m[level] if level < len(m) else "" for m in below], False))
    return out

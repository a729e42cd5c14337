"""A ring picture as SVG: a strip of slots, marks as flags above and below it.

Colours are the blue and the amber of Okabe and Ito, which colour-blind readers can tell apart; the two
owners differ in lightness too and every cell has its owner as a tooltip. The picture follows the
reader's dark or light scheme, and names in its text everything that its colours say.
"""

from __future__ import annotations

from html import escape

from ..picture import KERNEL, USER, Cell, RingPicture

CELL, FOLD, HEIGHT = 60, 76, 74
MARGIN = 18
LINE = 17
PER_ROW = 16
LEGEND = 210

STYLE = """
.rp{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12px;
--ink:#1b1f24;--dim:#5b6570;--line:#ffffff;--k:#0b5c8e;--ki:#ffffff;--u:#f7d48a;--ui:#2b2000;--x:#d5dae0;
--app:#8a5300;--krn:#0b5c8e;--bad:#b3261e}
@media (prefers-color-scheme:dark){.rp{--ink:#e6e9ed;--dim:#9aa5b1;--line:#14181d;--k:#1f78b4;--ki:#ffffff;
--u:#e3ae42;--ui:#201700;--x:#3a424c;--app:#f0b95a;--krn:#6cb8ea;--bad:#ff8a80}}
.rp text{fill:var(--ink)}.rp .t{font-size:13px;font-weight:600}.rp .n{font-weight:400}.rp .d{fill:var(--dim)}
.rp rect{stroke:var(--line);stroke-width:2}.rp .k{fill:var(--k)}.rp .u{fill:var(--u)}.rp .x{fill:var(--x)}
.rp .ki{fill:var(--ki)}.rp .ui{fill:var(--ui)}.rp .xi{fill:var(--ink)}.rp .s{font-size:10px;opacity:.85}
.rp .b{font-weight:700}
.rp .am{fill:var(--app);font-weight:600}.rp .km{fill:var(--krn);font-weight:600}.rp .bad{fill:var(--bad)}
"""

_CLASS = {KERNEL: "k", USER: "u", "": "x"}
_WORD = {KERNEL: "the kernel's", USER: "the application's", "": "owner not known"}


def draw(picture: RingPicture, style: bool) -> str:
    """One self-contained ``<svg>`` element."""
    cells = picture.cells()
    rows = [cells[i : i + PER_ROW] for i in range(0, len(cells), PER_ROW)]
    footer = [(f"{m} = {p} is outside the ring (0 … {picture.n - 1})", "bad") for m, p in picture.outside()]
    footer += [(part, "d") for part in _wrap(picture.note, 100)]
    widest = max(sum(_width(c) for c in row) for row in rows)
    heading = 8 * len(picture.name) + 8 * len(f"{picture.n} slots") + 40 + LEGEND
    width = 2 * MARGIN + max(widest, heading, *(8 * len(t) for t, _ in footer), 0)
    y = MARGIN + 12
    body = [
        f'<text class="t" x="{MARGIN}" y="{y}">{escape(picture.name)}'
        f'<tspan class="d n" dx="12">{picture.n} slots</tspan></text>'
    ]
    _legend(body, width - MARGIN - LEGEND, y)
    y += 12
    for row in rows:
        y = _strip(picture, row, y, body)
    for text, kind in footer:
        y += LINE
        body.append(f'<text class="{kind}" x="{MARGIN}" y="{y}">{escape(text)}</text>')
    height = y + MARGIN
    marks = ", ".join(f"{m} {p}" for m, p in picture.marks.items())
    label = escape(f"Ring {picture.name} of {picture.n} slots: {marks}. {picture.note}".strip(), quote=True)
    css = f"<style>{STYLE}</style>" if style else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rp" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{label}">{css}{"".join(body)}</svg>'
    )


def _legend(body: list[str], x: int, y: int) -> None:
    """Swatches for the two owners, at most :data:`LEGEND` units wide."""
    for kind, word, dx in (("k", "kernel's", 0), ("u", "application's", 92)):
        body.append(f'<rect class="{kind}" x="{x + dx}" y="{y - 11}" width="14" height="14" rx="3"/>')
        body.append(f'<text class="d" x="{x + dx + 19}" y="{y}">{word}</text>')


def _width(cell: Cell) -> int:
    return CELL if cell.count == 1 else FOLD


def _wrap(text: str, columns: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= columns:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def _strip(picture: RingPicture, row: list[Cell], y: int, body: list[str]) -> int:
    """Draw one row of cells from ``y`` down; the y below it is returned."""
    above = max((len(picture.marks_at(c.first, USER)) for c in row if c.count == 1), default=0)
    below = max((len(picture.marks_at(c.first, KERNEL)) for c in row if c.count == 1), default=0)
    top = y + above * LINE + (14 if above else 6)
    x = MARGIN
    for cell in row:
        wide = _width(cell)
        centre = x + wide // 2
        _box(picture, cell, x, top, body)
        if cell.count == 1:
            labels = picture.marks_at(cell.first, USER)
            for level, mark in enumerate(reversed(labels)):
                _label(body, centre, top - 14 - level * LINE, mark, "am")
            if labels:
                body.append(f'<path class="am" d="M{centre - 5} {top - 10}h10l-5 8z"/>')
            labels = picture.marks_at(cell.first, KERNEL)
            for level, mark in enumerate(labels):
                _label(body, centre, top + HEIGHT + 24 + level * LINE, mark, "km")
            if labels:
                body.append(f'<path class="km" d="M{centre - 5} {top + HEIGHT + 11}h10l-5 -8z"/>')
        x += wide
    return top + HEIGHT + (below * LINE + 12 if below else 4)


def _label(body: list[str], x: int, y: int, text: str, kind: str) -> None:
    body.append(f'<text class="{kind}" x="{x}" y="{y}" text-anchor="middle">{escape(text)}</text>')


def _box(picture: RingPicture, cell: Cell, x: int, top: int, body: list[str]) -> None:
    owner = picture.owner_of(cell)
    kind, wide, centre = _CLASS[owner], _width(cell), x + _width(cell) // 2
    if cell.count > 1:
        tip = f"slots {cell.first} to {cell.first + cell.count - 1}: {_WORD[owner]}"
        lines = [("· · ·", ""), (f"{cell.count}", " b"), ("slots", " s")]
    else:
        slot = picture.slot(cell.first)
        tip = f"slot {cell.first}: {_WORD[owner]}"
        lines = [(str(cell.first), " b")]
        if slot.buf_idx >= 0:
            tip += f", buf_idx {slot.buf_idx}"
            lines.append((f"#{slot.buf_idx}", ""))
        if slot.len >= 0:
            tip += f", len {slot.len}"
            lines.append((f"{slot.len} B", " s"))
        if slot.flags > 0:
            tip += f", flags {slot.flags:#x}"
            lines.append((f"{slot.flags:#x}", " s"))
    box = f'<rect class="{kind}" x="{x}" y="{top}" width="{wide}" height="{HEIGHT}" rx="5"/>'
    body.append(f"<g><title>{escape(tip)}</title>{box}")
    y = top + HEIGHT // 2 + 4 - (len(lines) - 1) * 8
    for text, more in lines:
        _label(body, centre, y, text, f"{kind}i{more}")
        y += 16
    body.append("</g>")

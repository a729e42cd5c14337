"""Pictures of rings: every slot with its owner and buffer, every index where it points."""

from __future__ import annotations

import re
import xml.etree.ElementTree as Xml
from pathlib import Path

import pytest
from netmap_conformance.drawing.example import example
from netmap_conformance.drawing.svg import STYLE
from netmap_conformance.picture import KERNEL, USER, RingPicture, ring_picture

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def small() -> RingPicture:
    """A transmit ring of 8 slots: 3 to 6 are the application's."""
    marks = {"hwcur": 1, "head": 3, "cur": 5, "hwtail": 7, "tail": 7}
    slots = [(10 + i, 60 + i, 1 if i == 2 else 0) for i in range(8)]
    return ring_picture("v0:tx0", 8, marks, slots, "a note")


def column(lines: list[str], label: str) -> int:
    """The column in which ``label`` starts in the only line that has it."""
    (line,) = [line for line in lines if re.search(rf"(^|\s){label}(\s|$)", line)]
    return line.index(label) + len(label) // 2


def test_a_mark_stands_over_its_slot() -> None:
    lines = small().to_text().splitlines()
    (numbers,) = [line for line in lines if line.strip().startswith("slot")]
    body = lines[1:]
    for mark, position in (("head", 3), ("cur", 5), ("tail", 7), ("hwcur", 1), ("hwtail", 7)):
        centre = [m.start() for m in re.finditer(r"\d+", numbers)][position]
        assert abs(column(body, mark) - centre) <= 1, mark


def test_the_shared_words_are_above_and_the_kernels_below() -> None:
    lines = small().to_text().splitlines()
    slots = next(i for i, line in enumerate(lines) if line.strip().startswith("slot"))
    assert all(any(m in line.split() for line in lines[1:slots]) for m in ("head", "cur", "tail"))
    assert all(any(m in line.split() for line in lines[slots:]) for m in ("hwcur", "hwtail"))


def test_owners_follow_from_head_and_the_kernels_tail() -> None:
    owners = [small().slot(i).owner for i in range(8)]
    assert owners == [KERNEL] * 3 + [USER] * 4 + [KERNEL]


def test_an_empty_and_a_full_ring_differ() -> None:
    assert {ring_picture("r", 4, {"head": 2, "tail": 2}).slot(i).owner for i in range(4)} == {KERNEL}
    full = ring_picture("r", 4, {"head": 3, "tail": 2})
    assert [full.slot(i).owner for i in range(4)] == [USER, USER, KERNEL, USER]


def test_owners_that_nobody_knows_stay_open() -> None:
    assert ring_picture("r", 4, {"cur": 1}).slot(0).owner == ""
    assert ring_picture("r", 4, {"head": 9, "tail": 2}).slot(0).owner == ""


@pytest.mark.parametrize("n", [17, 256, 1024])
def test_a_long_ring_is_folded_and_no_slot_is_lost(n: int) -> None:
    picture = ring_picture("r", n, {"head": 9, "cur": 9, "tail": n - 3, "hwcur": 4, "hwtail": n - 3})
    cells = picture.cells()
    covered = [i for c in cells for i in range(c.first, c.first + c.count)]
    assert covered == list(range(n))
    drawn = {c.first for c in cells if c.count == 1}
    assert {0, n - 1, 9, n - 3, 4} <= drawn
    assert len(cells) < 25
    assert all(picture.owner_of(c) for c in cells), "owners change at marks only, so a fold has one owner"


def test_text_keeps_to_its_width() -> None:
    marks = {"head": 9, "cur": 500, "tail": 800, "hwcur": 4, "hwtail": 900}
    picture = ring_picture("r", 1024, marks, note="x " * 99)
    for width in (60, 80, 120):
        assert max(len(line) for line in picture.to_text(width).splitlines()[1:]) <= width


def test_a_position_that_is_no_slot_is_written_out() -> None:
    picture = ring_picture("r", 64, {"head": 64, "cur": 4294967295, "tail": 63})
    assert picture.outside() == [("head", 64), ("cur", 4294967295)]
    for text in (picture.to_text(), picture.to_svg()):
        assert "4294967295" in text and "outside the ring" in text


@pytest.mark.parametrize("n", [1, 2, 8, 16, 17, 1024])
def test_svg_is_well_formed_and_shows_every_slot(n: int) -> None:
    picture = ring_picture("<v0:tx0>", n, {"head": 0, "cur": 0, "tail": n - 1, "hwcur": 0, "hwtail": n - 1})
    root = Xml.fromstring(picture.to_svg())
    titles = [t.text or "" for t in root.iter(f"{SVG}title")]
    shown = 0
    for title in titles:
        run = re.match(r"slots (\d+) to (\d+)", title)
        shown += int(run[2]) - int(run[1]) + 1 if run else 1
    assert shown == n
    assert all("kernel's" in t or "application's" in t for t in titles)
    assert "&lt;v0:tx0&gt;" in picture.to_svg()


def test_everything_is_inside_the_svg() -> None:
    for n in (2, 16, 40, 1024):
        marks = {"head": 1, "cur": n // 2, "tail": n - 1, "hwcur": 0, "hwtail": n - 1}
        root = Xml.fromstring(ring_picture("v0:tx0", n, marks, note="a note " * 30).to_svg())
        width, height = float(root.get("width", 0)), float(root.get("height", 0))
        for box in root.iter(f"{SVG}rect"):
            assert float(box.get("x", 0)) + float(box.get("width", 0)) <= width
            assert float(box.get("y", 0)) + float(box.get("height", 0)) <= height
        for text in root.iter(f"{SVG}text"):
            assert 0 <= float(text.get("x", 0)) <= width and 0 <= float(text.get("y", 0)) <= height


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``, as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_text_on_slots_can_be_read_and_owners_differ_in_lightness() -> None:
    schemes = re.findall(r"--k:(#\w+);--ki:(#\w+);\s*--u:(#\w+);--ui:(#\w+)", STYLE.replace("\n", ""))
    assert len(schemes) == 2, "a light and a dark scheme"
    for kernel, on_kernel, user, on_user in schemes:
        on = [c if len(c) == 7 else "#" + "".join(2 * d for d in c[1:]) for c in (on_kernel, on_user)]
        assert contrast(kernel, on[0]) >= 4.5 and contrast(user, on[1]) >= 4.5
        assert contrast(kernel, user) >= 2


def test_wrong_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="0 slots"):
        RingPicture("r", 0)
    with pytest.raises(ValueError, match="3 slots given for 4"):
        RingPicture("r", 4, {}, (("user", 1, 2, 0),) * 3)


def test_the_readmes_ring_is_the_models() -> None:
    """Redraw with: python -m netmap_conformance.drawing.example > conformance/pictures/ring.svg"""
    committed = (ROOT / "conformance/pictures/ring.svg").read_text()
    assert committed == example().to_svg() + "\n"
    assert "conformance/pictures/ring.svg" in (ROOT / "README.md").read_text()

"""The newcomer's page of the proofs shows what the tool says."""

from __future__ import annotations

import pytest
from netmap_conformance.walkthrough import filled, page


def test_the_page_is_what_the_tool_prints() -> None:
    """After a change: ``python -m netmap_conformance.walkthrough``, and read the page again."""
    text = page().read_text(encoding="utf-8")
    assert filled(text) == text


def test_it_shows_a_failure_its_picture_and_the_proof() -> None:
    text = page().read_text(encoding="utf-8")
    for word in ("REFUTED_AS_RECORDED", "PROVED", "refuted", "▼", "▲", "hwcur=1"):
        assert word in text, word


def test_a_block_that_was_edited_is_put_right() -> None:
    block = "<!-- generated: source netmap_reference.gen14.ring.nm_next -->\n```python\nmy own words\n```\n"
    assert "my own words" not in filled(block)
    assert "return i + 1" in filled(block)


def test_a_kind_of_block_there_is_not_is_an_error() -> None:
    with pytest.raises(KeyError):
        filled("<!-- generated: poem 14.ring -->\n```\n```\n")

"""The order in which test files run: those that take minutes first, so that no processor idles at the end.

Each file goes to one process as a whole (`--dist loadfile`), which keeps what its tests share. A file with
a `slow` test is begun before all others; then those with the most tests.
"""

from __future__ import annotations

from collections import Counter

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, then the larger ones; within a file nothing moves."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in slow, -tests[item.path], str(item.path)))

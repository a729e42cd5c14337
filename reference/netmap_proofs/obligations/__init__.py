"""The obligations, one file per area and generation; importing a file registers what it holds."""

from __future__ import annotations

import importlib
import pkgutil

from ..obligation import OBLIGATIONS, Obligation


def load() -> dict[str, Obligation]:
    """Every obligation of the project by id, in the order of files and of definition."""
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
    return OBLIGATIONS

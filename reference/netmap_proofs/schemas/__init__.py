"""Proof schemas: what turns one step into a statement about any number of them.

Top file: ``loops.py`` (fold with a cut point, inductive invariants, induction over a ghost number);
``bounded.py`` (enumeration, for what is only proved up to a size).
"""

from __future__ import annotations

from .bounded import every
from .loops import always, fold, induction

__all__ = ["always", "every", "fold", "induction"]

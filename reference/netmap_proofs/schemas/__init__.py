"""Proof schemas: what turns one step into a statement about any number of them.

Top file: ``loops.py`` (fold with a cut point, inductive invariants, induction over a ghost number);
``alone.py`` (a protocol carried out without interference);
``bounded.py`` (enumeration, for what is only proved up to a size).
"""

from __future__ import annotations

from .alone import Cases, Done, alone, read_as
from .bounded import every
from .loops import always, fold, induction

__all__ = ["Cases", "Done", "alone", "always", "every", "fold", "induction", "read_as"]

"""The effect explorer: every interleaving of a few protocols, exactly as the model runs them.

Top file: ``scenario.py`` (what is explored), then ``search.py`` (all interleavings), ``schedule.py``
(a counterexample a person can read), ``models.py`` (memory models: what a load may see),
``fetches.py`` (double fetches), ``evidence.py`` (the bridge to an obligation).
"""

from __future__ import annotations

from .evidence import explored, one_value
from .fetches import Fetches, double_fetches
from .scenario import Memory, Scenario, inline
from .schedule import Schedule, Violation
from .search import explore
from .state import Exploration

__all__ = [
    "Exploration",
    "Fetches",
    "Memory",
    "Scenario",
    "Schedule",
    "Violation",
    "double_fetches",
    "explore",
    "explored",
    "inline",
    "one_value",
]

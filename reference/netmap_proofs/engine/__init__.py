"""The symbolic engine: it runs the model's own functions on symbols, path by path.

Top file: ``proof.py`` (what a body may ask for); then ``execution.py`` (paths), ``session.py``
(goals and the solver), ``replay.py`` (the concrete rerun), ``symbols.py``, ``values.py``, ``code.py``.
"""

from __future__ import annotations

from .errors import EndPath, EngineError
from .execution import execute
from .proof import NO_EXCEPTION, Proof
from .session import RLIMIT, Counterexample, Session, fresh_solver_state
from .symbols import SymBool, SymInt

__all__ = [
    "NO_EXCEPTION",
    "RLIMIT",
    "Counterexample",
    "EndPath",
    "EngineError",
    "Proof",
    "Session",
    "SymBool",
    "SymInt",
    "execute",
    "fresh_solver_state",
]

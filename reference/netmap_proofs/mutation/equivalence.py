"""A mutant that changes nothing, shown by the engine: original and mutant give the same result.

For every argument of the function's domain, along every path of both.
"""

from __future__ import annotations

from types import FunctionType

from ..engine import Proof, Session, execute, fresh_solver_state
from .domains import DOMAINS
from .operators import Mutant
from .planting import mutated_code, twin


def proved_equal(function: FunctionType, mutant: Mutant) -> str:
    """The domain, in words, on which the mutant was proved equal; empty when it was not."""
    domain = DOMAINS.get(mutant.function)
    if domain is None:
        return ""
    changed = twin(function, mutated_code(function, mutant))
    original = twin(function)

    def body(p: Proof) -> None:
        arguments = domain.arguments(p)
        p.goal("the same result", p.run(original, *arguments) == p.run(changed, *arguments))

    session = Session(mutant.id)
    fresh_solver_state()
    execute(session, body, ())
    holds = session.proved and not (
        session.refuted or session.unknown or session.not_confirmed or session.broken
    )
    return domain.words if holds else ""

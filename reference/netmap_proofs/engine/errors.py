"""What the engine raises. Both classes step over an ``except Exception`` in the function under proof."""

from __future__ import annotations


class EngineError(BaseException):
    """The engine cannot follow the function: a symbol was asked for a concrete value, or for its identity.

    Not an ``Exception``: a function that catches everything must not turn the engine's limit into
    one of its own results. An obligation in which it is raised is NOT_CONFIRMED.
    """


class EndPath(BaseException):
    """This path ends here: an assumption cannot hold on it, or its case of a schema is done."""

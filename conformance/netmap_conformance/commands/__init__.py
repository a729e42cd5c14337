"""One module a command; each has ``register(app)`` and imports what it needs inside its functions."""

#: Every command, in the order of ``--help``.
NAMES = (
    "conform",
    "prove",
    "diff",
    "check",
    "convert",
    "explain",
    "teeth",
    "coverage",
    "bench",
    "report",
    "run",
    "doctor",
    "abi",
)

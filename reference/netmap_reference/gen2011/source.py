"""How this generation's rules cite what they were read from."""

from __future__ import annotations

#: The driver under the recordings has no public text; its algorithm is told in the recordings' README.
DRIVER = "recordings 2011, README: the driver's algorithm"


def lines(where: str) -> str:
    """``lines("176-205")`` cites these lines of the generation's source."""
    return f"netmap.c 2011-12-02:{where}"

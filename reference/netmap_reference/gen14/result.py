"""What a system call of the model returns to its caller."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..core.outcome import OK, Outcome


@dataclass(frozen=True, slots=True)
class Result:
    """How the call ended, the rules it fired, and what it gave back.

    ``out``: the output fields of a request under their C names (``nr_offset`` …); when it failed, the
    fields as sent. ``hdr`` and ``options``: header and options of a request as they came back, a status by
    the name of its errno. ``revents``: what poll found, a subset of in, out, err, rdnorm, wrnorm.
    ``asleep``: poll found nothing and is recorded on its selinfos.
    """

    outcome: Outcome = OK
    fired: tuple[str, ...] = ()
    out: dict[str, Any] = field(default_factory=dict)
    hdr: dict[str, Any] = field(default_factory=dict)
    options: tuple[dict[str, Any], ...] = ()
    revents: frozenset[str] = frozenset()
    asleep: bool = False

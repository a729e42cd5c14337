"""The generations that have a campaign; each is made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable

from .gen14 import generation as generation14
from .gen2011 import generation as generation2011
from .subject import Generation

GENERATIONS: dict[str, Callable[[], Generation]] = {"14": generation14, "2011": generation2011}

"""How a chapter brings its own ports and moves into the campaign of generation 14.

Write a module beside this one, build one :class:`Extension` in it, and enter it in :data:`EXTENSIONS`:

* ``bindings``: new descriptor letters and the REGISTERs they may be bound with (a VALE port ``vale0:a``, a
  monitor ``x{1`` with ``NR_MONITOR_RX``). The general moves (``put``, ``release``, ``exchange``, syncs, poll,
  close) are then made on these descriptors as on all others.
* ``header``: changes to a machine's header, such as another port (an attached NIC).
* ``kinds``: what is drawn, by name: from the world and a generator of random numbers a unit of operations,
  or ``()`` when it cannot be made now. ``weight`` says how often a kind is tried.
* ``operations``: what these operations do, by name: ``(world, args, choose)`` to a :class:`Result` or None.
  Every operation in which the kernel has a choice carries ``choose``, a seed, in its arguments. One that
  checks something itself raises :class:`Found`.
* ``chapters``: prefixes of rule ids that the campaign is to fire from then on; ``unreachable``: those among
  them that no operation can fire, and why.
* ``check``: further invariants of a state, each a :class:`Broken` that names its clause.

Buffers in use are counted by :func:`.objects.places` for honest applications: a port that holds buffers in
other places than the slots of its rings says so with ``held``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ...core.choice import Choose
from ...gen14.result import Result
from ...gen14.state import System
from ...gen14.world import World
from ..subject import Broken, Unit


class Found(Exception):
    """An operation found something broken; what it is, is the first argument."""

    @property
    def broken(self) -> Broken:
        what = self.args[0]
        assert isinstance(what, Broken)
        return what


Draw = Callable[[World, str, Random], Unit]
Make = Callable[[World, dict[str, Any], Choose], Result | None]


@dataclass(frozen=True)
class Extension:
    """One chapter's part of the campaign; the module's text says what each field is for."""

    name: str
    bindings: Mapping[str, tuple[dict[str, Any], ...]] = field(default_factory=dict)
    header: Callable[[dict[str, Any], Random], None] = lambda header, rng: None
    kinds: Mapping[str, Draw] = field(default_factory=dict)
    weight: int = 1
    operations: Mapping[str, Make] = field(default_factory=dict)
    chapters: tuple[str, ...] = ()
    unreachable: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[System], Iterable[Broken]] = lambda s: ()
    held: Callable[[System], Iterable[int]] = lambda s: ()


def _null(**fields: Any) -> dict[str, Any]:
    return {"name": "n", "mode": "NULL", "mem_id": 1} | fields


#: Null ports: two of them at a time, of one name or not, in the region all others use.
NULL = Extension(
    "null",
    bindings={
        "N": (_null(tx_rings=1, rx_rings=1, tx_slots=3, rx_slots=3), _null(extra_bufs=1), _null(mem_id=0)),
        "O": (
            _null(tx_rings=2, tx_slots=4, flags="NR_TX_RINGS_ONLY"),
            _null(tx_rings=1, rx_rings=1, rx_slots=2),
        ),
    },
    chapters=("14/null/",),
)

# The chapters' own modules are built from what is above.
from .attached import ATTACHED  # noqa: E402
from .modules import MODULES  # noqa: E402
from .monitors import MONITORS  # noqa: E402
from .vale import VALE  # noqa: E402

EXTENSIONS: tuple[Extension, ...] = (NULL, VALE, MONITORS, ATTACHED, MODULES)

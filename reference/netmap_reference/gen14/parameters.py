"""Chapter *parameters*: the module's parameters, and when each takes effect.

Any number can be stored in a parameter, and is read back as it was stored; nothing is refused there. Some can
only be read: how large and how many the global region's objects are now (14.memory.current), and
``max_bridges`` once netmap is loaded (14.switch.places). A parameter applies to what comes into use
afterwards: the sizes and numbers of the global region's pools when the region is used next and nobody uses
it (14.memory.reconfigured), those of private regions when the next one is made, the kind of adapter when a
port is opened next.
"""

from __future__ import annotations

from dataclasses import replace

from ..core.outcome import NotModelled, errno
from ..core.step import rule
from . import memory
from .memory import Pairs
from .result import Result
from .state import System

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
MEM2_C = memory.MEM2_C
PIPE_C = "luigirizzo/netmap:sys/dev/netmap/netmap_pipe.c@89607e14"

SET = rule("14/parameters/set", clause="14.control.parameters", source=f"{NETMAP_C}:540-581")
READ = rule("14/parameters/read", clause="14.control.parameters", source=f"{NETMAP_C}:540-581")
GLOBAL = rule("14/parameters/global-region", clause="14.memory.reconfigured", source=f"{MEM2_C}:627-651")
BRIDGES = rule(
    "14/parameters/bridges",
    clause="14.switch.places",
    source="luigirizzo/netmap:sys/dev/netmap/netmap_vale.c@89607e14:118-127",
)
PRIVATE = rule("14/parameters/private-regions", clause="14.memory.private", source=f"{MEM2_C}:640-645")
READ_ONLY = rule("14/parameters/read-only", clause="14.control.parameters", source=f"{MEM2_C}:634-640")
LOADED = rule(
    "14/parameters/bridges-loaded",
    clause="14.switch.places",
    source="luigirizzo/netmap:sys/dev/netmap/netmap_vale.c@89607e14:125-126",
)
INERT = rule("14/parameters/inert", clause="14.control.parameters-inert", source=f"{PIPE_C}:82-86")

_POOLS = ("if", "ring", "buf")
_MEMORY = {
    f"{pool}_{what}": (i, j) for i, pool in enumerate(_POOLS) for j, what in enumerate(("size", "num"))
}
#: What tells of the global region as it is: the pool, and whether it is the number of objects or their size.
CURRENT = {
    f"{pool}_curr_{what}": (i, what == "num") for i, pool in enumerate(_POOLS) for what in ("size", "num")
}
#: Parameters that change nothing an application can rely on: how soon, how fast, how much is logged.
INERT_NAMES = frozenset(
    {
        "default_pipes",
        "verbose",
        "debug",
        "no_pendintr",
        "txsync_retry",
        "generic_mit",
        "generic_txqdisc",
        "ptnet_vnet_hdr",
    }
)
#: Those that change something this model does not have, and the value with which they do not.
NEUTRAL = {"generic_hwcsum": 0, "generic_ringsize": 1024, "generic_rings": 1}
#: All that the module has; the last ones are only looked at, or belong to tests and other drivers.
KNOWN = (
    frozenset({"admode", "no_timestamp", "fwd", "bridge_batch", "max_bridges"})
    | _MEMORY.keys()
    | {f"priv_{name}" for name in _MEMORY}
    | INERT_NAMES
    | NEUTRAL.keys()
    | CURRENT.keys()
    | {"ptnet_gso", "sink_delay_ns", "sink_num"}
)


def set_parameter(s: System, name: str, value: int) -> Result:
    """Store a module parameter. EACCES for one that can only be read.

    ``admode`` outside 0..2 counts as 0 when a port is opened next. Raises :class:`NotModelled` for a
    parameter whose effect this model does not have.
    """
    if name in CURRENT:
        return Result(errno("EACCES"), (READ_ONLY,))
    # It is said when netmap is loaded, so only a system that nobody has used yet can have another number.
    if name == "max_bridges" and (s.files or s.bridges):
        return Result(errno("EACCES"), (LOADED,))
    fired = [SET]
    if name == "admode":
        s.params = replace(s.params, admode=value if 0 <= value <= 2 else 0)
    elif name == "no_timestamp":
        s.params = replace(s.params, no_timestamp=value)
    elif name == "fwd":
        s.params = replace(s.params, fwd=value)
    elif name == "bridge_batch":
        s.params = replace(s.params, bridge_batch=value)
    elif name == "max_bridges":
        fired.append(BRIDGES)
        s.params = replace(s.params, max_bridges=value)
    elif name in _MEMORY:
        a = s.allocators[memory.GLOBAL_ID]
        s.allocators[a.id] = replace(a, params=_with(a.params, name, value))
        fired.append(GLOBAL)
    elif name.removeprefix("priv_") in _MEMORY:
        s.params = replace(s.params, private=_with(s.params.private, name.removeprefix("priv_"), value))
        fired.append(PRIVATE)
    elif name in INERT_NAMES:
        fired.append(INERT)
    elif NEUTRAL.get(name) != value:
        raise NotModelled(f"14/control/parameter/{name.replace('_', '-')}", f"module parameter {name}")
    others = dict(s.params.others) | {name: value}
    s.params = replace(s.params, others=tuple(sorted(others.items())))
    return Result(fired=tuple(fired))


def read(s: System, name: str) -> Result:
    """Look at a module parameter: ``out`` has what was stored last as ``value``, if anything was.

    One that the module does not have shows nothing, an empty text. What tells of the global region shows how
    it is; ``either`` is there when a request that failed got the memory, which a system may have kept.
    """
    if name in CURRENT:
        pool, number = CURRENT[name]
        a = s.allocators[memory.GLOBAL_ID]
        step = memory.current(a, pool, number)
        out = {"value": str(step.state)}
        if number and a.given_back:
            out["either"] = str(memory.current(replace(a, finalized=True), pool, number).state)
        return Result(fired=step.fired, out=out)
    value = parameter(s, name)
    if name in KNOWN:
        return Result(fired=(READ,), out={} if value is None else {"value": str(value)})
    return Result(out={"value": ""})


def parameter(s: System, name: str) -> int | None:
    """What was stored last, ``None`` if nothing was."""
    return dict(s.params.others).get(name)


def _with(pairs: tuple[tuple[int, int], ...], name: str, value: int) -> Pairs:
    pool, place = _MEMORY[name]
    rows = [list(pair) for pair in pairs]
    rows[pool][place] = value % (1 << 32)
    return ((rows[0][0], rows[0][1]), (rows[1][0], rows[1][1]), (rows[2][0], rows[2][1]))

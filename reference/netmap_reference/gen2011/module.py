"""Chapter *module*: loading and unloading netmap."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.outcome import errno
from ..core.step import Step, collect, rule
from .memory import Fini, Layout, Obj, block_size, layout, memory_fini
from .pool import Pool, fresh_pool
from .source import lines

LOADED = rule("2011/module/load/ok", clause="2011.module.load", source=lines("1742-1760"))
LOAD_FAILED = rule("2011/module/load/no-memory", clause="2011.module.load", source=lines("1748-1752"))
UNLOADED = rule("2011/module/unload/ok", clause="2011.module.unload", source=lines("1768-1776"))
UNKNOWN = rule("2011/module/event/unknown", clause="2011.module.event", source=lines("1800-1802"))
CONTRACT: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Memory:
    """The allocator after load: the block's division, the pool of buffers, the object list."""

    layout: Layout
    pool: Pool
    objs: tuple[Obj, ...]


def load(largest: int) -> Step[Memory | None]:
    """MOD_LOAD: ENOMEM when the system gives no block; ``largest`` see :func:`.memory.block_size`."""
    size = block_size(largest)
    if not size.outcome.ok:
        return Step(None, collect(size.fired, (LOAD_FAILED,)), size.outcome)
    laid = layout(size.state)
    memory = Memory(laid.state, fresh_pool(laid.state.buffers), (Obj(0, laid.state.size, False),))
    return Step(memory, collect(size.fired, laid.fired, (LOADED,)))


def unload(memory: Memory, switches: frozenset[str] = CONTRACT) -> Step[Fini]:
    """MOD_UNLOAD. Descriptors are gone by then: the system destroys the device first."""
    step = memory_fini(memory.objs, memory.pool, switches)
    return Step(step.state, collect((UNLOADED,), step.fired))


def other_event() -> Step[None]:
    """Any other module event is not supported."""
    return Step(None, (UNKNOWN,), errno("EOPNOTSUPP"))

"""Chapter *extmem*: the option EXTMEM of a REGISTER, which brings the memory of the port's region.

The port is given the region as if its identifier had been asked for with ``nr_mem_id``, so what holds for a
region of another port holds here: a port in use keeps the one it has. Who brings the same memory again gets
the region that is there, whatever sizes are asked for. The region goes with its last port.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import failure, options, regions
from .memory import Sizes
from .options import Option

if TYPE_CHECKING:
    from .requests import Ctl

_POOLS = ("if", "ring", "buf")


@options.handles("EXTMEM", "REGISTER")
def extmem(ctx: Ctl, option: Option) -> dict[str, int]:
    """Find or make the region. The sizes come back with the defaults filled in, and nothing else.

    ``usrptr`` says which memory it is: any number but 0 for one that may be brought again; 0 for memory that
    nobody has brought before.
    """
    body = option.fields()
    pairs = tuple(
        (int(body.get(f"nr_{p}_pool_objsize", 0)), int(body.get(f"nr_{p}_pool_objtotal", 0))) for p in _POOLS
    )
    asked = Sizes(int(body.get("nr_memsize", 0)), pairs)
    where = f"at {body['usrptr']}" if body.get("usrptr") else ""
    mem, told = regions.external(ctx.s, where, asked, ctx.fired, ctx.switches)
    ctx.mem = mem
    failure.undo(ctx.s, "extmem.reference", lambda: regions.memory_put(ctx.s, mem, []))
    return {
        f"nr_{p}_pool_{field}": value
        for p, pair in zip(_POOLS, told.pools, strict=True)
        for field, value in zip(("objsize", "objtotal"), pair, strict=True)
    }

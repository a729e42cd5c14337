"""The object pool's bitmap against its twin in the model, a set of indices in use.

Both give the lowest free object and refuse to take back what is not handed out. Reserved objects (buffers 0
and 1) are in use for ever; in the model its callers see to that, here the pool does.
"""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest
from netmap_native import core
from netmap_reference.gen14 import memory as twin

SEED = 20_142


@pytest.fixture(scope="module")
def c() -> tuple[Any, Any]:
    return core.load()


class _Pool:
    """A C pool and the set it must equal."""

    def __init__(self, c: tuple[Any, Any], total: int, reserved: int) -> None:
        self.ffi, self.lib = c
        self.words = self.ffi.new("uint32_t[]", max(1, self.lib.nmv_pool_words(total)))
        self.c = self.ffi.new("struct nmv_pool *")
        self.lib.nmv_pool_init(self.c, self.words, total, reserved)
        self.total, self.reserved = total, min(reserved, total)
        self.twin = twin.ObjPool(64, total, frozenset(range(self.reserved)))
        self.check()

    def check(self) -> None:
        shown = {i for i in range(32 * len(self.words)) if self.words[i // 32] >> (i % 32) & 1}
        if self.total:
            assert shown == set(range(self.total)) - self.twin.used
        assert self.c.free == self.twin.objfree

    def take(self) -> None:
        step = twin.obj_malloc(self.twin, 64)
        want = step.state.index if step.outcome.ok else core.POOL_NONE
        assert self.lib.nmv_pool_take(self.c) == want
        self.twin = step.state.pool
        self.check()

    def give(self, index: int) -> None:
        after = self.twin if index < self.reserved else twin.obj_free(self.twin, index).state
        taken = after is not self.twin
        assert bool(self.lib.nmv_pool_taken(self.c, index)) == taken
        assert bool(self.lib.nmv_pool_give(self.c, index)) == taken
        self.twin = after
        self.check()


def test_every_short_history_of_every_small_pool(c: tuple[Any, Any]) -> None:
    """All sequences of four operations over pools of up to four objects, bad frees included."""
    count = 0
    for total, reserved in product(range(5), range(4)):
        operations = [None, *range(total + 2)]
        for history in product(operations, repeat=4):
            pool = _Pool(c, total, reserved)
            for operation in history:
                if operation is None:
                    pool.take()
                else:
                    pool.give(operation)
            count += 1
    print(f"pool: {count} histories")


@pytest.mark.parametrize("total", [31, 32, 33, 64, 100])
def test_long_random_history(c: tuple[Any, Any], total: int) -> None:
    rng = random.Random(SEED + total)
    print(f"seed {SEED + total}")
    pool = _Pool(c, total, 2)
    for _ in range(3000):
        if rng.random() < 0.6:
            pool.take()
        else:
            pool.give(rng.choice((rng.randrange(total + 3), 0xFFFFFFFF)))

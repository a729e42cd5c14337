"""The object pool's bitmap against its specification: a set of free indices, lowest first."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest
from netmap_native import core

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
        self.free = set(range(self.reserved, total))
        self.check()

    def check(self) -> None:
        shown = {i for i in range(32 * len(self.words)) if self.words[i // 32] >> (i % 32) & 1}
        if self.total:
            assert shown == self.free
        assert self.c.free == len(self.free)

    def take(self) -> None:
        want = min(self.free, default=core.POOL_NONE)
        assert self.lib.nmv_pool_take(self.c) == want
        self.free.discard(want)
        self.check()

    def give(self, index: int) -> None:
        taken = self.reserved <= index < self.total and index not in self.free
        assert bool(self.lib.nmv_pool_taken(self.c, index)) == taken
        assert bool(self.lib.nmv_pool_give(self.c, index)) == taken
        if taken:
            self.free.add(index)
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

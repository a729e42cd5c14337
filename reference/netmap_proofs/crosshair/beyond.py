"""Contracts that hold and that CrossHair does not confirm, each with the reason: what the engine is for.

``REASONS`` has one for every function here. A test runs them: the day CrossHair confirms one, it moves to
``contracts.py``.
"""

from __future__ import annotations

from netmap_reference.gen14.memory import BUF_LIMITS, config_pool
from netmap_reference.gen14.ports.pipe_ends import kernel_part
from netmap_reference.gen14.ring import distance
from netmap_reference.gen2011 import pool

#: Why CrossHair does not get to the end, by the name of the function.
REASONS = {
    "pool_of_whole_clusters": "a loop whose rounds depend on the size asked for, up to 4096 of them",
    "slots_at_the_other_end": "a loop over a ring of any size; life14_pipe.py and fold carry such walks",
    "lowest_free_buffer": "a set of any size and two loops over it; pool2011.py proves it by two folds",
}
#: The budget of each of them, in seconds: more does not help, a loop without a bound has no last path.
TIMEOUT = 4


def pool_of_whole_clusters(num: int, size: int) -> bool:
    """A pool that is laid out has as many objects as were asked for, or more, in whole clusters.

    pre: 4 <= num <= 1000000
    pre: 1 <= size <= 65536
    post: _
    """
    got = config_pool(num, size, BUF_LIMITS)
    return not got.outcome.ok or (got.state.objtotal >= num and got.state.objsize >= size)


def slots_at_the_other_end(n: int, hwcur: int, stop: int) -> bool:
    """The slots of a transmit ring at the other end of a pipe are those from the one after stop to hwcur.

    pre: 0 <= hwcur < n
    pre: 0 <= stop < n
    post: _
    """
    return len(kernel_part(n, hwcur, stop, False)) == distance((stop + 1) % n, hwcur, n)


def lowest_free_buffer(bitmap: frozenset[int]) -> bool:
    """The scan finds the lowest member.

    pre: len(bitmap) > 0
    pre: min(bitmap) >= 0
    post: _
    """
    return pool.find_first(bitmap, 0).state == min(bitmap)

"""The contracts of ``contracts.py`` over functions with a planted bug each: CrossHair must refute every
one."""

from __future__ import annotations


def _next(i: int, lim: int) -> int:
    return i + 1 if i < lim - 1 else 0


def _prev(i: int, lim: int) -> int:
    return i - 1


def _distance(start: int, end: int, n: int) -> int:
    return end - start if end > start else end - start + n


def _advance(i: int, by: int, n: int) -> int:
    return i + by - n if i + by > n else i + by


def next_then_prev(i: int, lim: int) -> bool:
    """nm_next wraps one slot early.

    pre: 0 <= i <= lim
    post: _
    """
    after = _next(i, lim)
    return 0 <= after <= lim and (lim if after == 0 else after - 1) == i


def prev_then_next(i: int, lim: int) -> bool:
    """nm_prev does not wrap.

    pre: 0 <= i <= lim
    post: _
    """
    before = _prev(i, lim)
    return 0 <= before <= lim


def distance_of_advance(i: int, by: int, n: int) -> bool:
    """advance wraps one slot late.

    pre: 0 <= i < n
    pre: 0 <= by < n
    post: _
    """
    return 0 <= _advance(i, by, n) < n


def advance_of_distance(i: int, j: int, n: int) -> bool:
    """distance of a slot to itself is a full turn.

    pre: 0 <= i < n
    pre: 0 <= j < n
    post: _
    """
    return 0 <= _distance(i, j, n) < n


def between_is_distance(low: int, x: int, high: int, n: int) -> bool:
    """between leaves the window's end out.

    pre: 0 <= low < n
    pre: 0 <= x < n
    pre: 0 <= high < n
    post: _
    """
    inside = low <= x < high if low <= high else x >= low or x < high
    there = (end - low if end >= low else end - low + n for end in (x, high))
    return inside == (next(there) <= next(there))


def device_index_and_back(hwofs: int, i: int, n: int) -> bool:
    """netmap_idx_k2n turns a negative difference round.

    pre: 0 <= hwofs < n
    pre: 0 <= i < n
    post: _
    """
    there = i - hwofs if i >= hwofs else hwofs - i
    back = there + hwofs - n if there + hwofs >= n else there + hwofs
    return 0 <= there < n and back == i


def size_in_its_interval(value: int, default: int, low: int, high: int) -> bool:
    """The default is not cut.

    pre: low <= high
    post: _
    """
    got = default if value < low else min(value, high)
    return low <= got <= high


def ready_and_flush(cur: int, tail: int, head: int, hwcur: int, want: bool, down: bool) -> bool:
    """A ring is ready while cur is behind the tail.

    post: _
    """
    return (cur < tail) == (cur != tail)


def nic_index_and_back_2011(n: int, hwofs: int, i: int) -> bool:
    """A negative sum is not brought back.

    pre: 1 <= n
    pre: -n < hwofs < n
    pre: 0 <= i < n
    post: _
    """
    there = i - hwofs if i - hwofs < n else i - hwofs - n
    return 0 <= there < n


def walk_2011(i: int, end: int, n: int) -> bool:
    """The last slot is followed by itself.

    pre: 0 <= i < n
    pre: 0 <= end < n
    pre: i != end
    post: _
    """
    after = i + 1 if i < n - 1 else i
    there = (end - at if end >= at else end - at + n for at in (after, i))
    return next(there) == next(there) - 1


def frame_length_2011(length: int) -> bool:
    """A frame of a buffer and one byte passes.

    pre: 0 <= length < 65536
    post: _
    """
    return (not (length < 14 or length > 2049)) == (14 <= length <= 2048)


def rejected_changes_nothing(k: tuple[int, int, int, int, int, int], head: int, cur: int, tail: int) -> bool:
    """head is stored before cur is looked at.

    pre: head >= 0 and cur >= 0
    post: _
    """
    n, _, _, rhead, _, _ = k
    kept = head if rhead <= head < n else rhead
    return kept == rhead or rhead <= cur < n


def words_wrap(x: int) -> bool:
    """The sign bit is left out.

    post: _
    """
    return (x % 2**31) % 2**32 == x % 2**32


def place_in_the_ring_2011(n: int, hwcur: int, hwavail: int) -> bool:
    """A negative count is not looked for.

    pre: 1 <= n < 2**30
    pre: 0 <= hwcur < n
    pre: -2**31 <= hwavail < 2**31
    post: _
    """
    if hwavail >= n - 1:
        return True
    at = (hwcur + hwavail) % 2**32
    return (at - n if at >= n else at) < n

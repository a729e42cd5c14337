"""Contracts on the scalar steps of both generations, in CrossHair's docstring form.

Only what takes and gives numbers: loops, lists and whole krings are the business of ``netmap_proofs.engine``.
What CrossHair does not confirm is in ``beyond.py``, with the reason.
"""

from __future__ import annotations

from netmap_reference.core.words import i32, u32
from netmap_reference.gen14.poll import flush_needed, ready
from netmap_reference.gen14.ports.nic import netmap_idx_k2n, netmap_idx_n2k
from netmap_reference.gen14.request import bound
from netmap_reference.gen14.ring import (
    Kring,
    UserRing,
    advance,
    between,
    distance,
    nm_next,
    nm_prev,
    tx_prologue,
)
from netmap_reference.gen2011 import interrupts
from netmap_reference.gen2011 import ring as ring2011
from netmap_reference.gen2011 import sync as sync2011
from netmap_reference.gen2011.ports.host import up_length


def next_then_prev(i: int, lim: int) -> bool:
    """One forward and one back.

    pre: 0 <= i <= lim
    post: _
    """
    after = nm_next(i, lim)
    return 0 <= after <= lim and nm_prev(after, lim) == i


def prev_then_next(i: int, lim: int) -> bool:
    """One back and one forward.

    pre: 0 <= i <= lim
    post: _
    """
    before = nm_prev(i, lim)
    return 0 <= before <= lim and nm_next(before, lim) == i


def distance_of_advance(i: int, by: int, n: int) -> bool:
    """Having walked ``by`` slots, the distance is ``by``.

    pre: 0 <= i < n
    pre: 0 <= by < n
    post: _
    """
    there = advance(i, by, n)
    return 0 <= there < n and distance(i, there, n) == by


def advance_of_distance(i: int, j: int, n: int) -> bool:
    """Walking the distance to ``j`` ends at ``j``.

    pre: 0 <= i < n
    pre: 0 <= j < n
    post: _
    """
    walked = distance(i, j, n)
    return 0 <= walked < n and advance(i, walked, n) == j


def between_is_distance(low: int, x: int, high: int, n: int) -> bool:
    """A position lies in a window when it is met no later than the window's end.

    pre: 0 <= low < n
    pre: 0 <= x < n
    pre: 0 <= high < n
    post: _
    """
    return between(low, x, high) == (distance(low, x, n) <= distance(low, high, n))


def device_index_and_back(hwofs: int, i: int, n: int) -> bool:
    """The device's index of a position, and back.

    pre: 0 <= hwofs < n
    pre: 0 <= i < n
    post: _
    """
    there = netmap_idx_k2n(hwofs, i, n)
    return 0 <= there < n and netmap_idx_n2k(hwofs, there, n) == i


def size_in_its_interval(value: int, default: int, low: int, high: int) -> bool:
    """A size that is asked for ends in its interval, and stays when it was there.

    pre: low <= high
    post: _
    """
    got = bound(value, default, low, high).state
    return low <= got <= high and (got == value or not low <= value <= high)


def ready_and_flush(cur: int, tail: int, head: int, hwcur: int, want: bool, down: bool) -> bool:
    """A ring is ready when cur is not the tail; it is flushed when wanted, forwarded to, or unsent.

    post: _
    """
    return ready(cur, tail) == (cur != tail) and flush_needed(want, down, head, hwcur).state == (
        want or down or head != hwcur
    )


def nic_index_and_back_2011(n: int, hwofs: int, i: int) -> bool:
    """2011: the NIC's index of a position, and back, for offsets of either sign.

    pre: 1 <= n
    pre: -n < hwofs < n
    pre: 0 <= i < n
    post: _
    """
    there = ring2011.idx_k2n(n, hwofs, i).state
    return 0 <= there < n and ring2011.idx_n2k(n, hwofs, there).state == i


def walk_2011(i: int, end: int, n: int) -> bool:
    """2011: one slot on is one slot less to go.

    pre: 0 <= i < n
    pre: 0 <= end < n
    pre: i != end
    post: _
    """
    after = ring2011.next_pos(i, n - 1)
    return sync2011.distance(after, end, n) == sync2011.distance(i, end, n) - 1


def frame_length_2011(length: int) -> bool:
    """2011: a frame that goes up is an Ethernet header at least and a buffer at most.

    pre: 0 <= length < 65536
    post: _
    """
    return up_length(length).state == (14 <= length <= 2048)


def rejected_changes_nothing(k: tuple[int, int, int, int, int, int], head: int, cur: int, tail: int) -> bool:
    """A txsync that is rejected leaves the kring as it was, whatever is in it.

    pre: head >= 0 and cur >= 0
    post: _
    """
    kring = Kring(*k)
    got = tx_prologue(kring, UserRing(head, cur, tail)).state
    return got.accepted or got.kring == kring


def words_wrap(x: int) -> bool:
    """A signed word has its range and loses nothing of the unsigned one.

    post: _
    """
    return -(2**31) <= i32(x) < 2**31 and u32(i32(x)) == u32(x)


def place_in_the_ring_2011(n: int, hwcur: int, hwavail: int) -> bool:
    """2011: a packet from the stack goes into the ring or nowhere, also with a negative count.

    pre: 1 <= n < 2**30
    pre: 0 <= hwcur < n
    pre: -2**31 <= hwavail < 2**31
    post: _
    """
    got = interrupts.insert_position(ring2011.Kring(n, hwcur, hwavail)).state
    return got is None or 0 <= got.at < n

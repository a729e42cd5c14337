"""The C ring functions and the model's are the same functions: compared value by value.

Small scope is exhaustive: every ring size up to five and every value from 0 to n+1 for each word a function
reads, so that positions outside the ring are covered on both sides. Words a function only carries through
are filled with marks that differ from each other. Beyond that, random values of the full ``uint32_t`` range
with a printed seed. Both the resulting state and the rules fired are compared.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from netmap_native import core
from netmap_reference.gen14 import ring as twin
from netmap_reference.gen14.ports import pipe

SIZES = range(1, 6)
U32 = (1 << 32) - 1
SEED = 14_2026
RANDOM_CASES = 20_000


@pytest.fixture(scope="module")
def c() -> tuple[Any, Any]:
    return core.load()


def _kring(ffi: Any, k: twin.Kring) -> Any:
    return ffi.new("struct nmv_kring *", (k.n, k.hwcur, k.hwtail, k.rhead, k.rcur, k.rtail))[0]


def _back(k: Any) -> twin.Kring:
    return twin.Kring(k.n, k.hwcur, k.hwtail, k.rhead, k.rcur, k.rtail)


def _user(u: Any) -> twin.UserRing:
    return twin.UserRing(u.head, u.cur, u.tail)


def _ordered(n: int) -> Iterator[twin.Kring]:
    """Every kring the contract allows: five positions in order, less than one turn."""
    for hwcur in range(n):
        for a, b, c, d in product(range(n), repeat=4):
            if a <= b <= c <= d:
                yield twin.Kring(n, hwcur, *((hwcur + x) % n for x in (d, a, b, c)))


def _interesting(rng: random.Random, n: int) -> int:
    """A word near a border of an ``n``-slot ring, or anywhere in ``uint32_t``."""
    near = (0, n - 1, n, min(n + 1, U32), rng.randrange(n))
    return rng.choice((*near, U32, U32 - 1, 1 << 31, rng.randrange(U32 + 1)))


def _random_states(seed: int) -> Iterator[tuple[twin.Kring, twin.UserRing]]:
    rng = random.Random(seed)
    for _ in range(RANDOM_CASES):
        n = rng.choice((rng.randrange(1, 64), 1024, 4096, 1 << 31, U32))
        words = [_interesting(rng, n) for _ in range(8)]
        yield twin.Kring(n, *words[:5]), twin.UserRing(*words[5:])


def _tx_cases() -> Iterator[tuple[twin.Kring, twin.UserRing]]:
    """What tx_prologue reads: n, rhead, rtail, head, cur, tail. hwcur, hwtail and rcur are only carried."""
    for n in SIZES:
        for rhead, rtail, head, cur, tail in product(range(n + 2), repeat=5):
            yield twin.Kring(n, 101, 102, rhead, 103, rtail), twin.UserRing(head, cur, tail)


def _rx_cases() -> Iterator[tuple[twin.Kring, twin.UserRing]]:
    """What rx_prologue reads: n, hwcur, hwtail, rtail, head, cur, tail. rhead and rcur are only carried."""
    for n in SIZES:
        for hwcur, hwtail, rtail, head, cur, tail in product(range(n + 2), repeat=6):
            yield twin.Kring(n, hwcur, hwtail, 101, 102, rtail), twin.UserRing(head, cur, tail)


def _reachable_cases() -> Iterator[tuple[twin.Kring, twin.UserRing]]:
    """Every kring in order with every user word, all fields at their real places."""
    for n in SIZES:
        for k in _ordered(n):
            for words in product(range(n + 2), repeat=3):
                yield k, twin.UserRing(*words)


@pytest.mark.parametrize(
    ("name", "cases"),
    [
        ("tx_prologue", _tx_cases),
        ("rx_prologue", _rx_cases),
        ("tx_prologue", _reachable_cases),
        ("rx_prologue", _reachable_cases),
        ("tx_prologue", lambda: _random_states(SEED)),
        ("rx_prologue", lambda: _random_states(SEED + 1)),
    ],
    ids=["tx-all", "rx-all", "tx-ordered", "rx-ordered", f"tx-random-{SEED}", f"rx-random-{SEED + 1}"],
)
def test_prologues_agree(c: tuple[Any, Any], name: str, cases: Any, record_property: Any) -> None:
    ffi, lib = c
    theirs, ours = getattr(twin, name), getattr(lib, "nmv_" + name)
    ck, cu = ffi.new("struct nmv_kring *"), ffi.new("struct nmv_user *")
    count = accepted = 0
    for k, user in cases():
        ck.n, ck.hwcur, ck.hwtail = k.n, k.hwcur, k.hwtail
        ck.rhead, ck.rcur, ck.rtail = k.rhead, k.rcur, k.rtail
        cu.head, cu.cur, cu.tail = user.head, user.cur, user.tail
        got, want = ours(ck[0], cu[0]), theirs(k, user)
        assert _back(got.kring) == want.state.kring, (k, user)
        assert (bool(got.accepted), got.tail) == (want.state.accepted, want.state.tail), (k, user)
        assert core.fired(got.fired) == frozenset(want.fired), (k, user)
        count += 1
        accepted += want.state.accepted
    assert 0 < accepted < count, "both outcomes must occur, or the comparison is vacuous"
    record_property("compared", count)
    print(f"{name}: {count} states compared, {accepted} accepted")


def test_reinit_agrees(c: tuple[Any, Any]) -> None:
    ffi, lib = c
    count = 0
    for cases in (_reachable_cases(), _random_states(SEED + 2)):
        for k, user in cases:
            words = ffi.new("struct nmv_user *", (user.head, user.cur, user.tail))
            got = lib.nmv_ring_reinit(_kring(ffi, k), words[0])
            want = twin.ring_reinit(k, user)
            assert (_back(got.kring), _user(got.user)) == (want.state.kring, want.state.user), (k, user)
            assert core.fired(got.fired) == frozenset(want.fired)
            count += 1
    print(f"ring_reinit: {count} states compared")


def test_finalize_agrees(c: tuple[Any, Any]) -> None:
    ffi, lib = c
    count = 0
    for n in SIZES:
        for words in product(range(n + 2), repeat=5):
            k = twin.Kring(n, *words)
            assert _back(lib.nmv_sync_finalize(_kring(ffi, k))) == twin.sync_finalize(k).state, k
            count += 1
    print(f"sync_finalize: {count} states compared")


def test_slot_reinit_agrees(c: tuple[Any, Any]) -> None:
    """Small pools and buffers exhaustively, then the borders of the real sizes."""
    ffi, lib = c
    small = product(range(8), range(6), range(6), range(6))
    borders = product(
        (0, 1, 2, 99_999, 100_000, 100_001, U32),
        (0, 1, 2047, 2048, 2049, 65535),
        (0, 2, 100_000, U32),
        (0, 2048, 65536),
    )
    count = 0
    for idx, length, objtotal, buf_size in (*small, *borders):
        bits = ffi.new("uint32_t *", 0)
        slot = ffi.new("struct nmv_slot *", (idx, length, 0xABCD, 1 << 63))
        got = lib.nmv_slot_reinit(slot[0], objtotal, buf_size, bits)
        want = twin.slot_reinit(twin.Slot(idx, length, 0xABCD, 1 << 63), objtotal, buf_size)
        seen = twin.Slot(got.buf_idx, got.len, got.flags, got.ptr)
        assert seen == want.state, (idx, length, objtotal, buf_size)
        assert core.fired(bits[0]) == frozenset(want.fired)
        count += 1
    print(f"slot_reinit: {count} slots compared")


def test_index_arithmetic_agrees(c: tuple[Any, Any]) -> None:
    """Modulo 2**32 the two sides agree for any words at all; Python's integers do not wrap by themselves."""
    _, lib = c
    rng = random.Random(SEED + 3)
    triples = [t for n in SIZES for t in product(range(n + 2), repeat=3)]
    for _ in range(RANDOM_CASES):
        n = rng.choice((4, 1024, 1 << 31))
        triples.append((_interesting(rng, n), _interesting(rng, n), _interesting(rng, n)))
    for a, b, n in triples:
        assert lib.nmv_next(a, b) == twin.nm_next(a, b) & U32, (a, b)
        assert lib.nmv_prev(a, b) == twin.nm_prev(a, b) & U32, (a, b)
        assert lib.nmv_distance(a, b, n) == twin.distance(a, b, n) & U32, (a, b, n)
        assert lib.nmv_advance(a, b, n) == twin.advance(a, b, n) & U32, (a, b, n)
        assert bool(lib.nmv_between(a, b, n)) == twin.between(a, b, n), (a, b, n)
    print(f"index arithmetic: {len(triples)} triples compared, 5 functions each")


def _transfer(got: Any) -> pipe.Transfer:
    return pipe.Transfer(_back(got.kring), got.start, got.count, got.publish if got.publishes else -1)


def _pipe_cases() -> Iterator[tuple[twin.Kring, int, int]]:
    """What the pipe's steps read: n, hwcur, rhead, pipe_tail, last_complete; then real krings, random ones.

    The model's steps are for positions of the ring (``hwcur``, ``rhead`` below ``n``) and at most as many
    complete slots as there are; beyond that Python's integers leave ``uint32_t``, so both stay inside.
    """
    for n in SIZES:
        for hwcur, rhead in product(range(n), repeat=2):
            for pipe_tail in range(n + 2):
                for complete in range(twin.distance(hwcur, rhead, n) + 1):
                    yield twin.Kring(n, hwcur, 101, rhead, 102, 103), pipe_tail, complete
        for k in _ordered(n):
            for pipe_tail in range(n):
                for complete in range(twin.distance(k.hwcur, k.rhead, n) + 1):
                    yield k, pipe_tail, complete
    rng = random.Random(SEED + 4)
    for _ in range(RANDOM_CASES):
        n = rng.choice((rng.randrange(1, 64), 1024, 4096, 1 << 31, U32))
        words = [rng.randrange(n) for _ in range(5)]
        k = twin.Kring(n, *words)
        yield k, rng.randrange(U32 + 1), rng.randrange(twin.distance(k.hwcur, k.rhead, n) + 1)


def test_pipe_positions_agree(c: tuple[Any, Any]) -> None:
    ffi, lib = c
    count = published = 0
    for k, pipe_tail, complete in _pipe_cases():
        got, want = (
            lib.nmv_pipe_txsync_positions(_kring(ffi, k), pipe_tail, complete),
            pipe.pipe_txsync_positions(k, pipe_tail, complete),
        )
        assert _transfer(got) == want.state, (k, pipe_tail, complete)
        assert core.fired(got.fired) == frozenset(want.fired), (k, pipe_tail, complete)
        got, released = (
            lib.nmv_pipe_rxsync_positions(_kring(ffi, k), pipe_tail),
            pipe.pipe_rxsync_positions(k, pipe_tail),
        )
        assert _transfer(got) == released.state, (k, pipe_tail)
        assert core.fired(got.fired) == frozenset(released.fired), (k, pipe_tail)
        count += 1
        published += want.state.publish >= 0
    assert 0 < published < count
    print(f"pipe positions: {count} states compared, both directions, {published} publish")


def test_kring_order_is_what_the_clause_says(c: tuple[Any, Any]) -> None:
    """14.ring.kring-order, against the enumeration of all ordered krings."""
    ffi, lib = c
    for n in SIZES:
        ordered = set(_ordered(n))
        for words in product(range(n + 1), repeat=5):
            k = twin.Kring(n, *words)
            assert bool(lib.nmv_kring_ordered(_kring(ffi, k))) == (k in ordered), k
    assert not lib.nmv_kring_ordered(_kring(ffi, twin.Kring(0, 0, 0, 0, 0, 0)))


def test_every_rule_of_the_contract_has_a_bit() -> None:
    """The C enums name exactly the contract's rules: none forgotten, no deviation repeated."""
    from netmap_reference.core.step import RULES

    chapters = ("14/ring/", "14/pipe/txsync/", "14/pipe/rxsync/")
    # The device has no offsets: their rules have no twin in C.
    asked = [r for r in RULES.values() if not r.clause.startswith("14.offsets.")]
    wanted = {r.id for r in asked if r.id.startswith(chapters) and not r.switch}
    assert set(core.RULES) == wanted

"""Chapter *sync*: each ring through prologue, port and finalize; what follows a rejection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.core.choice import Choice, eager
from netmap_reference.core.effects import Do, Fired, ReadKernel, ReadUser, WriteKernel, WriteUser, run
from netmap_reference.gen14 import readings, sync
from netmap_reference.gen14.ring import REINIT_TRUSTS_USER, Kring
from netmap_reference.gen14.world import PortConfig
from netmap_spec.abi import api14

# --- calls (14.sync.unbound, 14.sync.each-ring) --------------------------------------------------


def test_an_unbound_descriptor(bench: Callable[..., Any]) -> None:
    b = bench()
    assert b.world.txsync("A", b.choose).outcome.detail == "EBADF"
    b.world.open("A")
    assert b.world.txsync("A", b.choose).outcome.detail == "ENXIO"
    assert b.world.rxsync("A", b.choose).outcome.detail == "ENXIO"


@pytest.mark.parametrize(
    ("flag", "sync_of_nothing"), [("NR_TX_RINGS_ONLY", "rxsync"), ("NR_RX_RINGS_ONLY", "txsync")]
)
def test_a_direction_without_rings(bench: Callable[..., Any], flag: str, sync_of_nothing: str) -> None:
    b = bench()
    b.bind("A", "x{1", flags=flag)
    result = getattr(b.world, sync_of_nothing)("A", b.choose)
    assert result.outcome.ok
    assert result.fired == ()


def test_tail_is_the_kernel_s(pipe: Any) -> None:
    """14.ring.tail-is-kernels"""
    pipe.set("A", "tx0", tail=3)
    pipe.world.txsync("A", pipe.choose)
    assert pipe.words("A", "tx0") == (0, 0, 7)


def test_one_ring_s_rejection_does_not_stop_the_others(bench: Callable[..., Any]) -> None:
    b = bench()
    b.bind("A", "x{1", tx_slots=8, rx_slots=8, tx_rings=2, rx_rings=2)
    b.bind("B", "x}1")
    b.set("A", "tx0", head=9)
    b.put("A", "tx1", b"fine")
    b.world.txsync("A", b.choose)
    assert b.words("A", "tx0") == (0, 0, 7)
    assert b.receive("B", "rx1") == [b"fine"]


# --- rejections (14.sync.rejected, 14.ring.reinit-resets) ----------------------------------------


@pytest.mark.parametrize(
    "words", [{"head": 8}, {"head": 6, "cur": 5}, {"cur": 2**32 - 1}, {"head": 1, "cur": 1}]
)
def test_a_rejected_transmit_ring_is_put_back_and_sends_nothing(pipe: Any, words: dict[str, int]) -> None:
    pipe.send("A", b"one", b"two")
    pipe.set("A", "tx0", **words)
    pipe.world.txsync("A", pipe.choose)
    assert pipe.words("A", "tx0") == (2, 2, 7)
    assert pipe.receive("B") == [b"one", b"two"]


def test_a_rejected_receive_ring_is_put_back_and_synced_all_the_same(pipe: Any) -> None:
    pipe.send("A", b"one")
    pipe.set("B", "rx0", head=5, cur=5)
    result = pipe.world.rxsync("B", pipe.choose)
    assert sync.RX_REINIT in result.fired
    assert pipe.words("B", "rx0") == (0, 0, 1)
    assert pipe.unread("B") == [b"one"]
    assert pipe.world.ring("B", "rx0").ts_sec


def test_bad_slots_of_a_rejected_ring_are_made_safe(pipe: Any) -> None:
    """14.ring.reinit-slots"""
    r = pipe.world.ring("A", "tx0")
    total = pipe.world.system().allocators[2].buffers
    for i, (buf_idx, length) in enumerate([(1, 5), (total, 5), (5, 2049), (5, 2048)]):
        r.slot[i].buf_idx, r.slot[i].len = buf_idx, length
    pipe.set("A", "tx0", head=9)
    pipe.world.txsync("A", pipe.choose)
    assert [(r.slot[i].buf_idx, r.slot[i].len) for i in range(4)] == [(0, 0), (0, 0), (5, 0), (5, 2048)]


def test_the_kring_keeps_nothing_of_what_was_rejected(pipe: Any) -> None:
    before = pipe.world.kring("B", "rx0")
    pipe.set("B", "rx0", head=3, cur=6, tail=1)
    pipe.world.rxsync("B", pipe.choose)
    assert pipe.world.kring("B", "rx0") == before


@pytest.mark.parametrize(("answer", "errno"), [(1, ""), (0, "EINVAL")])
def test_the_result_of_a_rejected_sync_is_chosen_once(
    bench: Callable[..., Any], answer: int, errno: str
) -> None:
    """14.sync.rejected-result"""
    asked: list[str] = []

    def choose(choice: Choice) -> int:
        asked.append(choice.name)
        return answer if choice.name == "sync.rejected-succeeds" else choice.hi

    b = bench(choose=choose)
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    for _ in range(2):
        b.set("A", "tx0", head=9)
        assert b.world.txsync("A", b.choose).outcome.detail == errno
    assert asked.count("sync.rejected-succeeds") == 1


def test_as_written_positions_in_range_survive_a_rejection(bench: Callable[..., Any]) -> None:
    """14.ring.reinit-resets, deviation 14.reinit-trusts-user (recording pipe_user_writes_tail)"""
    b = bench(switches=frozenset({REINIT_TRUSTS_USER}))
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.bind("B", "x}1")
    b.set("B", "rx0", head=3, cur=3, tail=5)
    b.world.rxsync("B", b.choose)
    k = b.world.kring("B", "rx0")
    assert (k.rhead, k.rcur, b.words("B", "rx0")) == (3, 3, (3, 3, 0))
    # The receiver has "released" three slots nobody ever sent, and the sender is offered them.
    b.world.txsync("A", b.choose)
    assert b.words("A", "tx0") == (0, 0, 2)


def drive(switches: frozenset[str], first: int, later: int) -> Kring:
    """Reinitialise a rejected ring of 8 slots while another thread changes ``head`` after the first look."""
    stored: dict[str, Kring] = {"kring": Kring(8, 2, 5, 2, 2, 5)}
    protocol = sync.reinit("r", switches)
    looks = 0
    answer: Any = None
    while True:
        try:
            effect = protocol.send(answer)
        except StopIteration:
            return stored["kring"]
        answer = None
        match effect:
            case ReadKernel():
                answer = stored["kring"]
            case ReadUser((_, "head")):
                answer, looks = (first if looks == 0 else later), looks + 1
            case ReadUser():
                answer = 4
            case WriteKernel(_, value):
                stored["kring"] = value
            case Do() | Fired() | WriteUser():
                pass


def test_what_is_checked_is_what_is_kept() -> None:
    """14.ring.reinit-resets: one look at the application's words, whatever it changes meanwhile"""
    assert drive(readings.CONTRACT, 1, 99) == Kring(8, 2, 5, 2, 2, 5)
    assert drive(readings.CONTRACT, 99, 1) == Kring(8, 2, 5, 2, 2, 5)


def test_as_written_what_is_kept_is_read_before_what_is_checked() -> None:
    """Deviation 14.reinit-trusts-user: a head that is no position gets into the kring"""
    assert drive(readings.AS_WRITTEN, 99, 1).rhead == 99


# --- timestamps (14.sync.timestamp) --------------------------------------------------------------


@pytest.mark.parametrize(("always", "stamp"), [(1, True), (0, False)])
def test_whether_unmarked_receive_rings_are_stamped_is_chosen_once(
    bench: Callable[..., Any], always: int, stamp: bool
) -> None:
    b = bench(choose=lambda c: always if c.name == "sync.stamps-always" else c.hi)
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.world.rxsync("A", b.choose)
    assert bool(b.world.ring("A", "rx0").ts_sec) == stamp
    b.set("A", "rx0", flags=api14.NR_TIMESTAMP)
    b.world.rxsync("A", b.choose)
    assert b.world.ring("A", "rx0").ts_sec


@pytest.mark.parametrize(("switches", "stamp"), [(readings.CONTRACT, True), (readings.AS_WRITTEN, False)])
def test_a_transmit_ring_is_stamped_when_it_asks(
    bench: Callable[..., Any], switches: frozenset[str], stamp: bool
) -> None:
    """Deviation 14.tx-not-stamped (recording pipe_timestamp)"""
    b = bench(switches=switches)
    b.bind("A", "x{1", tx_slots=8, rx_slots=8)
    b.world.txsync("A", b.choose)
    assert not b.world.ring("A", "tx0").ts_sec
    b.set("A", "tx0", flags=api14.NR_TIMESTAMP)
    b.world.txsync("A", b.choose)
    assert bool(b.world.ring("A", "tx0").ts_sec) == stamp


def test_the_parameter_that_turns_stamps_off(pipe: Any) -> None:
    pipe.world.sysctl("no_timestamp", 1)
    pipe.world.rxsync("B", pipe.choose)
    assert not pipe.world.ring("B", "rx0").ts_sec


# --- busy rings (14.sync.busy) -------------------------------------------------------------------


def test_a_ring_somebody_else_syncs_is_left_out() -> None:
    touched = []

    def execute(effect: Any) -> Any:
        match effect:
            case Do("tryget", (ring,)):
                return ring == "p:tx1"
            case ReadKernel((ring, "kring")):
                touched.append(ring)
                return Kring(4, 0, 3, 0, 0, 3)
            case ReadUser((_, word)):
                return {"head": 0, "cur": 0, "tail": 3, "flags": 0}[word]
            case Do("put", (ring,)):
                touched.append(f"put {ring}")
        return None

    def port(ring: str, force: bool) -> Any:
        yield Fired(f"port {ring} {force}")
        return ""

    synced = run(sync.sync_all(("p:tx0", "p:tx1", "p:tx2"), True, port), execute)
    assert synced == sync.SyncedAll(rejected=False, stopped=False)
    assert set(touched) == {"p:tx1", "put p:tx1"}


def test_two_ports_do_not_share_choices(bench: Callable[..., Any]) -> None:
    """The once-made choices belong to a device, not to the model."""
    one, two = (bench(PortConfig("v0"), choose=eager) for _ in range(2))
    one.bind("A", "v0")
    one.world.rxsync("A", one.choose)
    assert one.world.system().params != two.world.system().params

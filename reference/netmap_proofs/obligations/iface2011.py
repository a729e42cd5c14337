"""Generation 2011: what a registration makes: how large it is, and the call that makes it, alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from netmap_reference.core.effects import Do, Protocol, WriteKernel
from netmap_reference.gen2011 import iface, pool
from netmap_reference.gen2011.attach import Adapter
from netmap_reference.gen2011.memory import Obj
from netmap_spec.abi import api2011

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, every
from ..schemas.alone import quiet, under

Make = Callable[..., Protocol]
_B = (False, True)

# --- sizes ---------------------------------------------------------------------------------------------

#: Bytes of an entry of `ring_ofs`, a `ssize_t`, and the most that 32 bits hold.
_ENTRY, _MOST = 8, (1 << 32) - 1


def sizes_body(
    p: Proof,
    if_bytes: Callable[[int], int],
    ring_bytes: Callable[[int], int],
    rings_bytes: Callable[[Adapter], int],
    bufs_needed: Callable[[Adapter], int],
) -> None:
    na = p.symbolic(Adapter, "na", lo=1, name="nic0", separate_locks=False)
    pairs = na.num_queues + 1
    whole = api2011.netmap_if.SIZE + 2 * pairs * _ENTRY
    tx = api2011.netmap_ring.SIZE + na.num_tx_desc * api2011.netmap_slot.SIZE
    rx = api2011.netmap_ring.SIZE + na.num_rx_desc * api2011.netmap_slot.SIZE
    p.assume_all([whole <= _MOST, pairs * (tx + rx) <= _MOST])
    p.goal("the interface ends behind its last offset", p.run(if_bytes, na.num_queues) == whole)
    p.goal("a ring ends behind its last slot", p.run(ring_bytes, na.num_tx_desc) == tx)
    p.goal("their object has room for each pair's", p.run(rings_bytes, na) == pairs * (tx + rx))
    slots = pairs * (na.num_tx_desc + na.num_rx_desc)
    p.goal("a buffer for every slot", p.run(bufs_needed, na) == slots)


def _hosts_forgotten(na: Adapter) -> int:
    return iface.rings_bytes(na) - iface.ring_bytes(na.num_tx_desc) - iface.ring_bytes(na.num_rx_desc)


obligation(
    "2011.iface.sizes",
    clauses=("2011.iface.one-object", "2011.iface.offsets", "2011.iface.own-buffers"),
    statement="""A `netmap_if` ends behind its last offset and a ring behind its last slot; their object has
    room for the rings of every pair and the host's, and there is a buffer for every slot.""",
    functions=(iface.if_bytes, iface.ring_bytes, iface.rings_bytes, iface.bufs_needed),
    control=Control(
        "the host's rings get no room",
        iface.if_bytes,
        iface.ring_bytes,
        _hosts_forgotten,
        iface.bufs_needed,
        goal="their object has room for each pair's",
    ),
    assumptions="Any number of queues and of slots whose bytes fit in 32 bits.",
)(sizes_body)

_PAIRS = 3


def places_body(p: Proof, ring_places: Callable[[Adapter, int], list[tuple[str, int]]]) -> None:
    pairs = 1 + p.split("pairs", _PAIRS)
    p.bounded(1, "interfaces")
    na = p.symbolic(Adapter, "na", lo=1, name="nic0", num_queues=pairs, separate_locks=False)
    slots = {"tx": na.num_tx_desc, "rx": na.num_rx_desc}
    at, names = p.integer("start", 0), []
    p.assume_all(api2011.netmap_ring.SIZE + n * api2011.netmap_slot.SIZE <= _MOST for n in slots.values())
    for name, place in p.run(ring_places, na, at):
        p.goal("the rings lie one behind the other", place == at)
        at = at + api2011.netmap_ring.SIZE + slots[name[:2]] * api2011.netmap_slot.SIZE
        names.append(name)
    wanted = [f"{side}{i}" for i in range(pairs + 1) for side in ("tx", "rx")]
    p.goal("transmit and receive by turns, the host's last", names == wanted)


obligation(
    "2011.iface.places",
    clauses=("2011.iface.one-object",),
    statement="""The rings of an interface lie one behind the other without gap or overlap, transmit and
    receive by turns, the host's last.""",
    functions=(iface.ring_places,),
    control=Control("the host's rings have no place", lambda na, start: iface.ring_places(na, start)[:-2]),
    assumptions="Any number of slots, any offset to begin at.",
    bounds="Up to three pairs and the host's: each round of the loop does the same to the place before it.",
)(places_body)

# --- making rings ----------------------------------------------------------------------------------

_KEPT = "the locks of the rings are left alone"
#: Bytes of the `netmap_if` of one pair and the host's, and of its rings of two and three slots.
_ONE = api2011.netmap_if.SIZE + 4 * _ENTRY
_RINGS = [api2011.netmap_ring.SIZE + n * api2011.netmap_slot.SIZE for n in (2, 3, 2, 3)]


def new_body(p: Proof, if_new: Make) -> None:
    cases = Cases(p, "registrations")
    na = Adapter("nic0", 1, 2, 3, True)
    for refcount, free, room, got in every(p, "combinations", (0, 1), (9, 10, 12), (0, 1, 2), _B):
        cases.case(refcount=refcount, free=free, room=room, entry=got)
        objs = {0: (), 1: (Obj(0, _ONE + 16, False),), 2: (Obj(0, _ONE + sum(_RINGS) + 4096, False),)}[room]
        members = frozenset(range(2, 2 + free))
        words = {
            ("na", "refcount"): refcount, ("mem", "objs"): objs,
            ("mem", "pool"): pool.Pool(40, free, members),
        }  # fmt: skip
        do = quiet("log", "zero", "init_if", "init_ring", "init_offsets")
        do["kmalloc"] = lambda memory, args, got=got: got
        done = cases.run(if_new, na, p.switches, memory=words, do=do)
        made = done.result is not None
        whole = got and room >= 1 and (refcount == 1 or (room == 2 and free >= 10))
        cases.goal("it succeeds when there is room for all of it", made == whole)
        told = refcount + 1 if whole else refcount if not got or room == 0 else 0
        cases.goal("registrations are counted", done.memory["na", "refcount"] == told)
        if not whole:
            cases.goal(
                "a failure gives everything back",
                _free_bytes(done.memory["mem", "objs"]) == _free_bytes(objs),
            )
            cases.goal("a failure gives everything back", done.memory["mem", "pool"].bitmap == members)
            continue
        used = [o.size for o in done.memory["mem", "objs"] if o.used]
        cases.goal(
            "the interface gets its bytes, with the first one all rings theirs",
            used == ([_ONE] if refcount else [_ONE, sum(_RINGS)]),
        )
        inits = done.done("init_ring")
        cases.goal("only the first one makes rings", [a[0] for a in inits] == (
            ["tx0", "rx0", "tx1", "rx1"] if refcount == 0 else []))  # fmt: skip
        cases.goal(_KEPT, not any(a[5] for a in inits))
        cases.goal("a ring has its number of slots, all free to send", [a[2:4] for a in inits] == (
            [(2, 1), (3, 0), (2, 1), (3, 0)] if refcount == 0 else []))  # fmt: skip
        taken = [i for a in inits for i in a[4]]
        cases.goal("each slot gets a buffer of its own", taken == sorted(members)[: len(taken)])
        cases.goal("and as many as there are slots", [len(a[4]) for a in inits] == [a[2] for a in inits])
        ends = [a[1] + size for a, size in zip(inits, _RINGS, strict=False)]
        cases.goal("rings lie behind one another", [a[1] for a in inits][1:] == ends[:-1])
        cases.goal("the interface's offsets are stored last", done.done("init_offsets") == [(done.result,)])
        locked = under(done.log, "nma", lambda e: isinstance(e, WriteKernel) and e.where == ("mem", "pool"))
        cases.goal("buffers are taken under the allocator's lock", locked)
    cases.end()


def _free_bytes(objs: tuple[Obj, ...]) -> int:
    return sum(o.size for o in objs if not o.used)


_new = partial(
    obligation,
    clauses=("2011.iface.locks-kept", "2011.iface.own-buffers", "2011.iface.no-memory", "2011.iface.first"),
    functions=(iface.if_new,),
    control=Control(
        "the offsets are not stored",
        lambda na, switches: without(
            iface.if_new(na, switches), lambda e: isinstance(e, Do) and e.what == "init_offsets"
        ),
        goal="the interface's offsets are stored last",
    ),
    bounds="""One pair of rings of two and three slots and the host's; memory and buffers that do and do not
    do.""",
)
_new(
    "2011.iface.made",
    statement="""The first registration makes the rings of an interface, each slot with a buffer of its own,
    and leaves their locks alone; later ones only count; one that has no memory or too few buffers leaves
    nothing.""",
    rules=(iface.IF_FIRST, iface.IF_AGAIN, iface.IF_NO_AREA, iface.IF_NO_RINGS, iface.IF_NO_BUFS,
           iface.IF_OFFSETS, iface.LOCKS_KEPT),
)(new_body)  # fmt: skip
_new(
    "2011.iface.made.as-written",
    statement="As 2011.iface.made, but the rings' mutexes are zeroed with the rest.",
    switches={iface.ZEROES_LOCKS},
    rules=(iface.IF_FIRST, iface.LOCKS_ZEROED),
    finding="F2011-013",
    refutes={_KEPT},
)(new_body)

"""Generation 14, switches: positions of a port, who gets what of a batch, and packets that cross whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from netmap_reference.core.step import Step
from netmap_reference.gen14 import lease, ring, switch
from netmap_reference.gen14.ports import vale
from netmap_reference.gen14.switch import BROADCAST, NOPORT
from netmap_spec import invariants as spec
from netmap_spec.abi import api14

from ..engine import Proof
from ..invariants import any_kring, kring_order
from ..obligation import Control, obligation
from ..schemas.bounded import every

Kring = ring.Kring

# --- positions ------------------------------------------------------------------------------------


def _keeps_a_slot(k: Kring) -> Step[Kring]:
    return Step(replace(k, hwtail=ring.nm_prev(k.rhead, k.n - 1)), (vale.TAKEN,))


@obligation(
    "14.vale.positions",
    clauses=("14.vale.txsync", "14.vale.rxsync", "14.ring.kring-order"),
    statement="""The syncs of a switch port keep the order of the kring: a txsync takes everything up to head
    and leaves no slot but one with the kernel, an rxsync takes back what was released.""",
    functions=(vale.vale_txsync_positions, vale.vale_rxsync_positions, ring.sync_finalize),
    control=Control(
        "a txsync takes nothing",
        _keeps_a_slot,
        vale.vale_rxsync_positions,
        ring.sync_finalize,
        goal="everything up to head is taken",
    ),
    assumptions="The kring satisfies its order; its window is published (rtail = hwtail).",
)
def positions(
    p: Proof,
    txsync: Callable[[Kring], Step[Kring]],
    rxsync: Callable[[Kring], Step[Kring]],
    finalize: Callable[[Kring], Step[Kring]],
) -> None:
    k = any_kring(p, "k")
    p.assume(k.rtail == k.hwtail)
    if p.split("direction") == 0:
        step = p.run(txsync, k)
        sent, told = step.state, vale.NOTHING_NEW in step.fired
        p.goal("the rule says whether there was anything", told == (k.hwcur == k.rhead))
        p.goal("everything up to head is taken", sent.hwcur == k.rhead)
        p.goal("a sender never waits", spec.steps(k.n, sent.hwcur, sent.hwtail) == k.n - 1)
        p.goal("the order of the kring is kept", kring_order(p.run(finalize, sent).state))
    else:
        step = p.run(rxsync, k)
        taken, told = step.state, vale.NOT_RELEASED in step.fired
        p.goal("the rule says whether there was anything", told == (k.hwcur == k.rhead))
        p.goal("what was released is taken back", taken.hwcur == k.rhead)
        p.goal("the order of the kring is kept", kring_order(p.run(finalize, taken).state))


def _all_slots(n: int, hwcur: int, hwlease: int) -> int:
    return n - ring.distance(hwcur, hwlease, n)


@obligation(
    "14.vale.room",
    clauses=("14.vale.full", "14.vale.lease"),
    statement="""The slots of a receive ring that may be leased are those behind the last lease, up to the one
    that always stays free: none that is leased, published, or read and not released.""",
    functions=(lease.space,),
    control=Control("the last slot is leased too", _all_slots),
    assumptions="n >= 1; hwcur, hwtail and hwlease are positions in this order.",
)
def room(p: Proof, space: Callable[[int, int, int], int]) -> None:
    n = p.integer("n", 1)
    hwcur, hwtail, hwlease = (p.integer(name, 0) for name in ("hwcur", "hwtail", "hwlease"))
    p.assume_all([hwcur < n, hwtail < n, hwlease < n])
    p.assume(spec.steps(n, hwcur, hwtail) <= spec.steps(n, hwcur, hwlease))
    left = p.run(space, n, hwcur, hwlease)
    wanted = p.integer("wanted", 0)
    p.assume(wanted <= left)
    after = ring.advance(hwlease, wanted, n)
    p.goal("there is never less than nothing", left >= 0)
    p.goal("a new lease is a position", after >= 0, after < n)
    order = spec.steps(n, hwcur, hwlease) + wanted
    p.goal("a new lease does not reach what is not free", spec.steps(n, hwcur, after) == order)


# --- packets --------------------------------------------------------------------------------------


def _flags_without_number(count: int, number: int, counts_rest: bool) -> Step[int]:
    return replace(vale.received_flags(count, number, counts_rest), state=api14.NS_MOREFRAG)


@obligation(
    "14.vale.fragment-flags",
    clauses=("14.vale.count", "14.vale.copied", "14.vale.fragments"),
    statement="""The flags of a received slot tell how many fragments the packet has, or how many are left,
    and that more follow on all but the last; they have no other flag.""",
    functions=(vale.received_flags,),
    control=Control("all have NS_MOREFRAG and nothing else", _flags_without_number),
    assumptions="Any number of fragments; either way to count.",
)
def fragment_flags(p: Proof, received: Callable[[int, int, bool], Step[int]]) -> None:
    count, number = p.integer("count", 1), p.integer("number", 0)
    p.assume(number < count)
    rest = p.split("counts the rest") == 1
    step = p.run(received, count, number, rest)
    flags, told = step.state, vale.COUNT_REST if rest else vale.COUNT_ALL
    p.goal("the rule says how more than one is counted", step.fired == ((told,) if count > 1 else ()))
    more = p.integer("more", 0, 1)
    p.assume((more == 1) == (number + 1 < count))
    left = count - number if rest else count
    p.goal(
        "count and more are told",
        flags == left % 256 * 256 + more * api14.NS_MOREFRAG,
    )
    p.goal("flags are sixteen bits", flags >= 0, flags < 1 << 16)


def _header_anywhere(hdr: int, first_len: int, fragments: int) -> Step[vale.Start]:
    return Step(vale.Start(0, hdr), (vale.START_FIRST,))


@obligation(
    "14.vale.header-start",
    clauses=("14.vale.header", "14.vale.short"),
    statement="""The Ethernet header is looked for inside a fragment that the packet has, behind the whole
    virtio-net header; a packet without such a place is lost.""",
    functions=(vale.header_start,),
    control=Control("it is always in the first fragment", _header_anywhere),
    assumptions="Any lengths and numbers of fragments.",
)
def header(p: Proof, start: Callable[[int, int, int], Step[vale.Start]]) -> None:
    hdr, first, fragments = p.integer("hdr", 0), p.integer("first", 0), p.integer("fragments", 1)
    found = p.run(start, hdr, first, fragments).state
    if found.fragment == 0:
        p.goal("it begins inside the first fragment", found.offset == hdr, hdr < first)
    elif found.fragment == 1:
        p.goal("it begins the second fragment", found.offset == 0, hdr == first, fragments > 1)
    else:
        p.goal("nowhere is told as such", found.fragment == -1, found.offset == 0)
        p.goal("there is no such place", hdr > first or (hdr == first and fragments == 1))


def _chains_of_any_length(frags: int, longer_pass: bool, switches: frozenset[str]) -> Step[bool]:
    return replace(vale.check_chain(frags, longer_pass, switches), state=True)


_COUNT = "what passes can be counted"


def chain_body(p: Proof, check: Callable[[int, bool, frozenset[str]], Step[bool]]) -> None:
    frags = p.integer("frags", 1)
    longer = p.split("longer ones pass") == 1
    step = p.run(check, frags, longer, p.switches)
    p.goal("up to 64 pass", step.state or frags > vale.MAX_FRAGS)
    p.goal(_COUNT, not step.state or frags < 256)
    if frags > vale.MAX_FRAGS and frags < 256:
        p.goal("between, it is the switch's choice", step.state == longer)
        p.goal("and the rule says so", step.fired == ((vale.LONG_PASSED if longer else vale.LONG_DROPPED),))
    p.goal("nothing goes on for ever", vale.LONG_HANGS not in step.fired)


_chain = partial(
    obligation,
    clauses=("14.vale.chain",),
    functions=(vale.check_chain,),
    control=Control("chains of any length pass", _chains_of_any_length, goal=_COUNT),
    assumptions="Any number of fragments; either choice for chains of 65 to 255.",
)
_chain(
    "14.vale.chain-bounded",
    statement="A chain of up to 64 slots passes, and none passes whose length the flags cannot tell.",
)(chain_body)
_chain(
    "14.vale.chain-bounded.as-written",
    statement="As 14.vale.chain-bounded, but the number of fragments is kept in a byte and bounds a loop.",
    switches={vale.UNBOUNDED},
    finding="F14-060",
    refutes={"nothing goes on for ever"},
    rules=(vale.LONG_HANGS, vale.LONG_PASSED, vale.LONG_DROPPED),
)(chain_body)


# --- who gets what --------------------------------------------------------------------------------

Queues = Callable[..., Step[tuple[vale.Queue, ...]]]
#: Ports of the switch, in the order of a flood, with one, two and three receive rings.
_PORTS = ((0, 1), (2, 2), (1, 3))
_ONCE = "no port gets a packet twice"


def forwarding_body(p: Proof, queues: Queues) -> None:
    aims = (1, 2, BROADCAST, NOPORT)
    twice, lost, wrong, order, rings, untold = [], [], [], [], [], []
    for number, first, second, third in every(p, "batches", range(4), aims, aims, aims):
        targets = (first, second, third)
        # The sender is port 0; a packet for itself has become one for nobody (14.switch.no-hairpin).
        step = queues(targets, number, 0, _PORTS, p.switches)
        p.reached(step.fired)
        for i, target in enumerate(targets):
            for port, n in _PORTS:
                got = [q for q in step.state if q.port == port for k in q.packets if k == i]
                due = port != 0 and target in (port, BROADCAST)
                case = (number, targets, i, port)
                twice += [case] if len(got) > 1 else []
                lost += [case] if due and not got else []
                wrong += [case] if got and not due else []
                expected = 0 if target == BROADCAST else number % n
                rings += [case] if len(got) == 1 and got[0].ring != expected else []
        own = {t for t in targets if t < BROADCAST} if number else set[int]()
        fewer = {number >= dict(_PORTS)[t] for t in own}
        flooded = BROADCAST in targets
        beside = vale.FLOODED_TWICE if vale.FLOODS_TWICE in p.switches else vale.ONCE
        said = {
            *([vale.RING_SAME] if False in fewer else []), *([vale.RING_FEWER] if True in fewer else []),
            *([vale.RING_FLOOD] if flooded else []), *([beside] if flooded and own else []),
        }  # fmt: skip
        untold += [(number, targets)] if set(step.fired) - {vale.IN_ORDER} != said else []
        order += [q for q in step.state if list(q.packets) != sorted(q.packets)]
        again = queues(targets, number, 0, _PORTS, p.switches)
        p.goal("the same batch goes the same way", again == step)
    p.goal("whom a packet is for gets it", not lost)
    p.goal("nobody else does", not wrong)
    p.goal(_ONCE, not twice)
    p.goal("at the ring it belongs to", not rings)
    p.goal("in the order in which it was sent", not order)
    p.goal("the rules say which rings were chosen", not untold)


def _floods_to_the_sender(
    targets: tuple[int, ...], number: int, own: int, ports: Any, switches: frozenset[str]
) -> Step[tuple[vale.Queue, ...]]:
    return vale.queues(targets, number, -1, ports, switches)


_forwarding = partial(
    obligation,
    clauses=("14.switch.flood", "14.switch.unicast", "14.switch.once", "14.vale.rings"),
    functions=(vale.queues,),
    control=Control("a flood comes back to its sender", _floods_to_the_sender, goal="nobody else does"),
    bounds="""Batches of three packets, three ports of one, two and three receive rings, transmit rings 0 to
    3: two packets of a batch are treated alike, whatever lies between them.""",
)
_forwarding(
    "14.switch.forwarding",
    statement="""Where the packets of a batch go is decided, one way: a packet for one port reaches that port,
    a flooded one all but its sender, nobody gets one twice, each comes in at its ring, in the order of
    sending.""",
)(forwarding_body)
_forwarding(
    "14.switch.forwarding.as-written",
    statement="""As 14.switch.forwarding, but a flooded packet reaches a port twice when its batch has one for
    another ring of that port.""",
    switches={vale.FLOODS_TWICE},
    finding="F14-061",
    refutes={_ONCE},
    rules=(vale.RING_FLOOD, vale.RING_SAME, vale.RING_FEWER, vale.FLOODED_TWICE, vale.IN_ORDER),
)(forwarding_body)


def doubled_body(p: Proof, queues: Queues) -> None:
    aims = (1, 2, BROADCAST, NOPORT)
    wrong = []
    for number, first, second in every(p, "batches", range(4), aims, aims):
        targets = (first, second)
        step = queues(targets, number, 0, _PORTS, p.switches)
        p.reached(step.fired)
        flooded = tuple(i for i, t in enumerate(targets) if t == BROADCAST)
        asked = [(t, number) for t in dict.fromkeys(targets) if t < BROADCAST]
        asked += [(port, 0) for port, _ in _PORTS if port and flooded and (port, 0) not in asked]
        due = []
        for port, at in asked:
            own = tuple(i for i, t in enumerate(targets) if t == port and at == number)
            due.append(vale.Queue(port, at % dict(_PORTS)[port], tuple(sorted(own + flooded))))
        wrong += [(number, targets)] if list(step.state) != due else []
    p.goal("as written every ring that is served gets what is flooded", not wrong)


obligation(
    "14.switch.forwarding-extent",
    clauses=("14.switch.once",),
    statement="""How far the deviation goes: each ring that is served, for packets of its own or a flood, gets
    its own and all flooded ones, in their order, and a ring that two numbers lead to gets them twice.""",
    functions=(vale.queues,),
    control=Control(
        "as the contract has it",
        lambda targets, number, own, ports, switches: vale.queues(targets, number, own, ports, frozenset()),
    ),
    bounds="Batches of two packets, ports as in 14.switch.forwarding.",
    switches={vale.FLOODS_TWICE},
    rules=(vale.RING_FLOOD, vale.RING_SAME, vale.RING_FEWER, vale.FLOODED_TWICE),
)(doubled_body)


def _forgets_the_own_port(b: switch.Bridge, own: int, index: int) -> Step[int]:
    return Step(index, (switch.HAIRPIN, switch.NOBODY))


@obligation(
    "14.switch.target",
    clauses=(
        *("14.switch.no-hairpin", "14.switch.gone", "14.switch.unicast", "14.switch.flood"),
        *("14.switch.learning", "14.switch.no-learn"),
    ),
    statement="""Whatever the table says, a packet goes to a port of the switch other than its sender's, to
    all of them, or nowhere; an address of a port that left counts as unknown; one that was just learned is
    found.""",
    functions=(switch.learn, switch.lookup, switch.target),
    control=Control(
        "any index will do",
        switch.learn,
        switch.lookup,
        _forgets_the_own_port,
        goal="never back, never astray",
    ),
    bounds="""Four addresses, three ports that come and go, three packets: addresses are told apart only by
    being equal or not, and by the entry they share.""",
    rules=(
        *(switch.LEARNED, switch.DISPLACED, switch.GROUP_SOURCE, switch.NOT_LEARNED, switch.HIT, switch.MISS),
        *(switch.GROUP, switch.BY_PORT, switch.FORGOTTEN, switch.HAIRPIN, switch.NOBODY),
    ),
)
def target(p: Proof, learn: Any, lookup: Any, aim: Any) -> None:
    # Two addresses of one entry of the table, another one, and a group address.
    first = next(a for a in range(2, 1 << 20, 2) if switch.rthash(a) == switch.rthash(0))
    addresses = (0, first, 2, 1)
    astray, missed, untold = [], [], []
    flags = (0, api14.NS_NO_LEARN, 0x100, 0x700)
    kinds = (addresses, addresses, flags, range(4), (True, False))
    for src, dst, flag, gone, displaces in every(p, "packets", *kinds):
        b = switch.attach(switch.Bridge("vale0"), ("a", "b", "c")).state
        for known in (2, first):
            there = switch.VpPort(index=1, serial=1)
            b = learn(b, there, switch.Head(1, known), True, p.switches).state.bridge
        if gone in (1, 2):
            b = switch.detach(b, gone).state
        sender = switch.VpPort(index=0, serial=0)
        learned = learn(b, sender, switch.Head(dst, src, flag), displaces, p.switches)
        b = learned.state.bridge
        found = lookup(b, switch.Head(dst, src, flag), p.switches)
        where = aim(b, 0, found.state)
        for step in (learned, found, where):
            p.reached(step.fired)
        alive = {i for i, _ in b.ports} - {0}
        if where.state not in alive | {BROADCAST, NOPORT}:
            astray.append((src, dst, flag, gone))
        lost = where.state == NOPORT
        own = (switch.HAIRPIN,) if found.state == 0 else (switch.NOBODY,) if lost else ()
        if where.fired != own:
            untold.append((src, dst, flag, gone))
        back = lookup(b, switch.Head(src, 6), p.switches).state
        taught = not switch.is_group(src) and not flag & api14.NS_NO_LEARN
        if taught and back != 0:
            missed.append((src, dst, flag, gone))
    p.goal("never back, never astray", not astray)
    p.goal("what was learned is found", not missed)
    p.goal("the rule says why a packet goes nowhere", not untold)

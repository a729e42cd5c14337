"""Generation 14, switches: where an address lies in the table, and where a packet goes, said exactly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from netmap_reference.core.step import Step
from netmap_reference.gen14 import switch
from netmap_spec.abi import api14

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every

WORD = 1 << 32
#: The amounts of Bob Jenkins's mix, in the order they are used: right, left, right; three times.
_AMOUNTS = ((13, 8, 13), (12, 16, 5), (3, 10, 15))


def entry(mac: int) -> int:
    """The entry of an address, from the published mix: three words, each minus the other two, xor a shift."""
    octets = mac.to_bytes(6, "little")
    golden = 0x9E3779B9
    words = [(golden + int.from_bytes(octets[:4], "little")) % WORD, golden, 0]
    words[1] = (golden + int.from_bytes(octets[4:], "little")) % WORD
    for amounts in _AMOUNTS:
        for turn, amount in enumerate(amounts):
            one, two, three = words[turn], words[(turn + 1) % 3], words[(turn + 2) % 3]
            shifted = (three << amount) % WORD if turn == 1 else three >> amount
            words[turn] = ((one - two - three) % WORD) ^ shifted
    return words[2] % 1024


def hash_body(p: Proof, rthash: Callable[[int], int]) -> None:
    cases = Cases(p, "addresses")
    macs = [1 << i for i in range(48)] + [(1 << i) - 1 for i in range(49)]
    macs += [i * 0x010203040506 % (1 << 48) for i in range(200)]
    for mac in macs:
        cases.case(mac=hex(mac))
        cases.goal("the entry is that of the published mix", rthash(mac) == entry(mac))
    cases.end()


obligation(
    "14.switch.hash",
    clauses=("14.switch.table",),
    statement="""The entry of the table an address belongs to is that of Bob Jenkins's mix over its six
    bytes, as the kernels compute it.""",
    functions=(switch.rthash,),
    control=Control("the address's last byte is not looked at", lambda mac: switch.rthash(mac % (1 << 40))),
    bounds="Every single bit, every run of low bits, and 200 addresses between.",
    rules=(),
)(hash_body)


_GOES = "a packet goes where its flags say, where its address was learned, or to all"
_KNOWN = "an address that was never heard of goes to all"


def lookup_body(p: Proof, lookup: Callable[..., Step[int]]) -> None:
    cases = Cases(p, "packets")
    tables = (
        (),
        ((2, 0, 7),),
        ((2, 1, 7), (4, 0, 8)),
        ((2, 1, 9), (0, 1, 7)),
        ((4, 3, 7),),
        ((_TWIN, 1, 7),),
    )
    serials = ((), ((0, 7),), ((0, 8), (1, 7)), ((1, 9), (3, 7)))
    for table, alive, dst, asked, low in every(
        p, "combinations", tables, serials, (0, 2, 3, 4, 6, _TWIN), (0, 1, 5, 255), (0, 1)
    ):
        head = switch.Head(dst, 8, (asked << api14.NS_PORT_SHIFT) + low)
        bridge = switch.Bridge("vale0", table=table, serials=alive)
        cases.case(table=table, serials=alive, dst=dst, asked=asked)
        step = lookup(bridge, head, p.switches)
        p.reached(step.fired)
        known = {mac: (index, serial) for mac, index, serial in reversed(table)}
        at, by_flags = known.get(dst), asked != 0 and switch.PORT_IGNORED not in p.switches
        if asked:
            wanted = asked if asked < switch.NOPORT else switch.NOPORT
            rule = switch.BY_PORT
        elif dst % 2 == 1:
            wanted, rule = switch.BROADCAST, switch.GROUP
        elif at is None:
            wanted, rule = switch.BROADCAST, switch.MISS
        elif at in alive:
            wanted, rule = at[0], switch.HIT
        else:
            wanted, rule = switch.BROADCAST, switch.FORGOTTEN
        cases.goal(_GOES, step.state == wanted)
        # An address that was forgotten is one that is not known.
        why = (rule, switch.MISS) if rule == switch.FORGOTTEN else (rule,)
        cases.goal("the rule says why", step.fired == why)
        if not by_flags and dst % 2 == 0 and dst in (6, _TWIN) and at is None:
            cases.goal(_KNOWN, step.state == switch.BROADCAST)
    cases.end()


#: An address that belongs to the same entry of the table as the address 0.
_TWIN = next(mac for mac in range(2, 1 << 20, 2) if entry(mac) == entry(0))
_WHY = "the rule says why"
_look = partial(
    obligation,
    functions=(switch.lookup,),
    bounds="""Tables of up to two addresses, of ports that are there and that are gone, every kind of address
    and flag, the address 0 with its entry free and taken.""",
)

_look(
    "14.switch.lookup",
    clauses=("14.switch.unicast", "14.switch.flood", "14.switch.port", "14.switch.gone"),
    statement="""A packet goes to the port its sender's flags name; else, with the address of a port that is
    there, to that port; with any other address, a group's, or that of a port that is gone, to all.""",
    control=Control(
        "a group address is looked up",
        lambda b, head, switches: switch.lookup(
            b, switch.Head(head.dst - head.dst % 2, head.src, head.flags), switches
        ),
        goal=_GOES,
    ),
    rules=(switch.BY_PORT, switch.GROUP, switch.HIT, switch.FORGOTTEN, switch.MISS),
)(lookup_body)

_TO_ONE = Control(
    "as written, and what nobody knows goes to port 1",
    lambda b, head, switches: (
        step if (step := switch.lookup(b, head, switches)).state != switch.BROADCAST else Step(1, step.fired)
    ),
    goal=_KNOWN,
)
for _name, _switch, _finding, _clause, _rules, _said in (
    ("gone", switch.KEEPS_GONE, "F14-067", "14.switch.gone", (switch.KEPT,),
     "the addresses of a port that is gone stay with its index"),
    ("port", switch.PORT_IGNORED, "F14-068", "14.switch.port", (switch.PORT_NOT_LOOKED_AT,),
     "nothing looks at the port in the flags"),
    ("zero", switch.ZERO_ADDRESS, "F14-068", "14.switch.unicast", (switch.ZERO,),
     "packets for the address 0 go to port 0 as long as its entry was never written"),
):  # fmt: skip
    _look(
        f"14.switch.lookup.as-written.{_name}",
        clauses=(_clause,),
        statement=f"As 14.switch.lookup, but {_said}.",
        control=_TO_ONE,
        switches={_switch},
        rules=(switch.HIT, switch.MISS, *_rules),
        finding=_finding,
        refutes={_GOES, _WHY},
    )(lookup_body)


# --- how far the deviations go ----------------------------------------------------------------------------


def extent_body(p: Proof, lookup: Callable[..., Step[int]], collides: Callable[..., bool]) -> None:
    cases = Cases(p, "packets")
    tables = ((), ((0, 1, 7),), ((_TWIN, 1, 7),), ((6, 2, 7),), ((_TWIN, 1, 7), (0, 2, 9)))
    for table, alive, dst, asked in every(
        p, "combinations", tables, ((), ((1, 7), (2, 7))), (0, 1, 6, _TWIN), (0, 3)
    ):
        bridge = switch.Bridge("vale0", table=table, serials=alive)
        head = switch.Head(dst, 8, asked << api14.NS_PORT_SHIFT)
        cases.case(table=table, serials=alive, dst=dst, asked=asked)
        step = lookup(bridge, head, p.switches)
        p.reached(step.fired)
        at = next((index for mac, index, _ in table if mac == dst), -1)
        taken = any(mac != dst and entry(mac) == entry(dst) for mac, _, _ in table)
        cases.goal("an entry is taken by another address of the same", collides(bridge, dst) == taken)
        there = at >= 0 and any(index == at for index, _ in alive)
        if dst % 2 == 1:
            wanted, rule = switch.BROADCAST, switch.GROUP
        elif at >= 0:
            there = (at, next(serial for mac, _, serial in table if mac == dst)) in alive
            wanted, rule = at, switch.HIT if there else switch.KEPT
        elif dst == 0 and not taken:
            wanted, rule = 0, switch.ZERO
        else:
            wanted, rule = switch.BROADCAST, switch.MISS
        cases.goal("as written it goes there and nowhere else", step.state == wanted)
        told = (switch.PORT_NOT_LOOKED_AT, rule) if asked else (rule,)
        cases.goal("the rules say why", step.fired == told)
    cases.end()


obligation(
    "14.switch.lookup-extent",
    clauses=("14.switch.unicast", "14.switch.gone", "14.switch.port"),
    statement="""How far the deviations of a lookup go: flags name no port, the addresses of ports that are
    gone stay with their index, and the address 0 is at port 0 while its entry is free; else nothing.""",
    functions=(switch.lookup, switch.collides),
    control=Control(
        "an address that is not known counts as taken",
        switch.lookup,
        lambda b, mac: not switch.collides(b, mac),
    ),
    bounds="Tables of up to two addresses, of which one has the entry of the address 0.",
    switches={switch.KEEPS_GONE, switch.PORT_IGNORED, switch.ZERO_ADDRESS},
    rules=(switch.KEPT, switch.PORT_NOT_LOOKED_AT, switch.ZERO, switch.HIT, switch.MISS, switch.GROUP),
)(extent_body)

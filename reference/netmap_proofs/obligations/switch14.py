"""Generation 14, switches: where an address lies in the table, and where a packet goes, said exactly."""

from __future__ import annotations

from collections.abc import Callable

from netmap_reference.core.step import Step
from netmap_reference.gen14 import switch
from netmap_spec.abi import api14

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every

WORD = 1 << 32
#: The amounts of Bob Jenkins's mix, in the order they are used: right, left, right; three times.
_AMOUNTS = ((13, 8, 13), (12, 16, 5), (3, 10, 15))


def _entry(mac: int) -> int:
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
        cases.goal("the entry is that of the published mix", rthash(mac) == _entry(mac))
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


def lookup_body(p: Proof, lookup: Callable[..., Step[int]]) -> None:
    cases = Cases(p, "packets")
    tables = ((), ((2, 0, 7),), ((2, 1, 7), (4, 0, 8)), ((2, 1, 9), (0, 1, 7)), ((4, 3, 7),))
    serials = ((), ((0, 7),), ((0, 8), (1, 7)), ((1, 9), (3, 7)))
    for table, alive, dst, asked, low in every(
        p, "combinations", tables, serials, (0, 2, 3, 4, 6), (0, 1, 5, 255), (0, 1)
    ):
        head = switch.Head(dst, 8, (asked << api14.NS_PORT_SHIFT) + low)
        bridge = switch.Bridge("vale0", table=table, serials=alive)
        cases.case(table=table, serials=alive, dst=dst, asked=asked)
        step = lookup(bridge, head, p.switches)
        p.reached(step.fired)
        known = {mac: (index, serial) for mac, index, serial in reversed(table)}
        at = known.get(dst)
        if asked:
            wanted = asked if asked < switch.NOPORT else switch.NOPORT
        elif dst % 2 == 1 or at is None or at not in alive:
            wanted = switch.BROADCAST
        else:
            wanted = at[0]
        cases.goal(
            "a packet goes where its flags say, where its address was learned, or to all",
            step.state == wanted,
        )
    cases.end()


obligation(
    "14.switch.lookup",
    clauses=("14.switch.unicast", "14.switch.flood", "14.switch.port", "14.switch.gone"),
    statement="""A packet goes to the port its sender's flags name; else, with the address of a port that is
    there, to that port; with any other address, a group's, or that of a port that is gone, to all.""",
    functions=(switch.lookup,),
    control=Control(
        "a group address is looked up",
        lambda b, head, switches: switch.lookup(
            b, switch.Head(head.dst - head.dst % 2, head.src, head.flags), switches
        ),
    ),
    bounds="""Tables of up to two addresses, of ports that are there and that are gone, every kind of address
    and flag.""",
    rules=(switch.BY_PORT, switch.GROUP, switch.HIT, switch.FORGOTTEN, switch.MISS),
)(lookup_body)

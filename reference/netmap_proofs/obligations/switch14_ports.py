"""Generation 14, switches: what a port teaches the switch, whose names they are, how ports come and go."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from netmap_reference.core.step import Step
from netmap_reference.gen14 import switch
from netmap_spec.abi import api14

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every
from .switch14 import entry

# --- learning ---------------------------------------------------------------------------------------------

_AT_ITS_PORT = "the source of a packet is at the port that sent it"
_NOT_ASKED = "nothing is learned of a group, or against the sender's wish"
_CACHE = "the port remembers what it told the switch of"


def learn_body(p: Proof, learn: Callable[..., Step[switch.Learned]]) -> None:
    cases = Cases(p, "packets")
    port = switch.VpPort(0, 1, 7)
    rows = ((8, 1, 7), (8, 1, 6), (8, 0, 7), (_TWIN8, 1, 7), (_TWIN8, 3, 4), (2, 1, 7))
    tables = ((), *((row,) for row in rows), *((a, b) for a in rows for b in rows if a[0] != b[0]))
    for table, smac, src, flags, displaces in every(
        p, "combinations", tables, (-1, 8, 2), (8, 9, 2), (0, api14.NS_NO_LEARN, 0xFF), (False, True)
    ):
        bridge = switch.Bridge("vale0", ports=((1, "p"),), table=table)
        cases.case(table=table, smac=smac, src=src, flags=flags, displaces=displaces)
        step = learn(bridge, replace(port, smac=smac), switch.Head(4, src, flags), displaces, p.switches)
        p.reached(step.fired)
        got, quiet = step.state, src % 2 == 1 or flags // api14.NS_NO_LEARN % 2 == 1
        cases.goal("nothing but the table changes", replace(got.bridge, table=table) == bridge)
        if quiet:
            cases.goal(_NOT_ASKED, got.bridge.table == table, got.smac == smac)
            rule = switch.GROUP_SOURCE if src % 2 == 1 else switch.NOT_LEARNED
            cases.goal("the rules say what was learned", step.fired == (rule,))
            continue
        same = [row for row in table if row[0] == src]
        lost = [row for row in table if row[0] != src and displaces and entry(row[0]) == entry(src)]
        kept = [row for row in table if row not in same and row not in lost]
        cases.goal(_CACHE, got.smac == src)
        if same == [(src, 1, 7)]:
            cases.goal("an address known at its port is not learned again", got.bridge.table == table)
            cases.goal("the rules say what was learned", step.fired == (switch.LEARNED,))
            continue
        cases.goal(_AT_ITS_PORT, got.bridge.table == (*kept, (src, 1, 7)))
        told = (switch.LEARNED, *[switch.DISPLACED] * len(lost))
        cases.goal("the rules say what was learned", step.fired == told)
    cases.end()


_TWIN8 = next(mac for mac in range(10, 1 << 20, 2) if entry(mac) == entry(8))
_learn = partial(
    obligation,
    functions=(switch.learn,),
    bounds="""Tables of up to two addresses: the source at its port, at the same port's index before, at
    another one, and addresses of the same and of another entry; every flag that matters.""",
)

_learn(
    "14.switch.learn",
    clauses=("14.switch.learning", "14.switch.table", "14.switch.no-learn"),
    statement="""After a packet the switch knows its source at the port that sent it, and every other address
    as before but one that had to give its entry; of a group or against the sender's wish it learns
    nothing.""",
    control=Control(
        "the entry of another address is not taken over",
        lambda b, port, head, displaces, switches: switch.learn(b, port, head, False, switches),
        goal=_AT_ITS_PORT,
    ),
    rules=(switch.LEARNED, switch.DISPLACED, switch.GROUP_SOURCE, switch.NOT_LEARNED),
)(learn_body)

_FORGETS = Control(
    "as written, and the port does not remember",
    lambda b, port, head, displaces, switches: (
        lambda step: Step(switch.Learned(step.state.bridge, -2), step.fired)
    )(switch.learn(b, port, head, displaces, switches)),
    goal=_CACHE,
)

_learn(
    "14.switch.learn.as-written.cache",
    clauses=("14.switch.learning",),
    statement="As 14.switch.learn, but a port does not tell the switch again of the source it told of last.",
    control=_FORGETS,
    switches={switch.SOURCE_CACHE},
    rules=(switch.LEARNED, switch.CACHED),
    finding="F14-066",
    refutes={_AT_ITS_PORT, "the rules say what was learned"},
)(learn_body)

_learn(
    "14.switch.learn.as-written.no-learn",
    clauses=("14.switch.no-learn",),
    statement="As 14.switch.learn, but nothing looks at NS_NO_LEARN.",
    control=_FORGETS,
    switches={switch.NO_LEARN_IGNORED},
    rules=(switch.LEARNED, switch.LEARNED_ALL_THE_SAME),
    finding="F14-068",
    refutes={_NOT_ASKED, "the rules say what was learned"},
)(learn_body)


# --- names and places ---------------------------------------------------------------------------------------

_OURS = "a name is a switch port's when it begins with vale"


def names_body(p: Proof, is_vale: Callable[..., Step[bool]], switch_name: Callable[..., Step[str]]) -> None:
    cases = Cases(p, "names")
    names = (
        "vale0:a",
        "valX:a",
        "val",
        "vale",
        "va",
        "eth0",
        "vale0:",
        ":a",
        "vale 0:a",
        "vale_0:a b",
        "vale0",
    )
    long = [f"{'v' * i}:{'p' * j}" for i in (14, 15, 16, 17) for j in (14, 15, 16, 17)]
    for name in (*names, *long, "valé:a"):
        for least in (0, 4, 7, 8):
            cases.case(name=name, least=least)
            ours = is_vale(name, p.switches)
            p.reached(ours.fired)
            cases.goal(_OURS, ours.state == (name[:4] == "vale"))
            short = switch.SHORT_PREFIX in p.switches and name[:3] == "val"
            told = () if name[:4] == "vale" else (switch.OURS_SHORT,) if short else (switch.NOT_OURS,)
            cases.goal("the rule says what it is", ours.fired == told)
            step = switch_name(name, least)
            p.reached(step.fired)
            part, colon, port = name.partition(":")
            word = all(c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_" for c in part)
            good = bool(colon) and len(name) >= least and len(part) < 16 and len(port) < 16 and word
            cases.goal("a name is refused when it is none", step.outcome.ok == good)
            cases.goal(
                "the switch's part is what comes before the colon", step.state == (part if good else "")
            )
            cases.goal(
                "and the rule says so", step.fired == ((switch.NAMED,) if good else (switch.NAME_BAD,))
            )
    cases.end()


def _any_port(name: str, least: int = 0) -> Step[str]:
    """A port's part may be as long as it likes."""
    return switch.switch_name(name[: name.find(":") + 2] if ":" in name else name, least)


_names = partial(
    obligation,
    clauses=("14.switch.names", "14.switch.bad-name"),
    functions=(switch.is_vale, switch.switch_name),
    control=Control(
        "the port's part is not measured",
        switch.is_vale,
        _any_port,
        goal="a name is refused when it is none",
    ),
    bounds="Both parts at and around their longest, every kind of character, prefixes of the prefix.",
)

_names(
    "14.switch.names",
    statement="""Which names are a switch port's, and which of those are well made: letters, digits and _ in
    the switch's part, fewer than 16 characters in each.""",
    rules=(switch.NAMED, switch.NAME_BAD, switch.NOT_OURS),
)(names_body)

_names(
    "14.switch.names.as-written",
    statement="As 14.switch.names, but three letters of the prefix are enough.",
    switches={switch.SHORT_PREFIX},
    rules=(switch.NAMED, switch.NAME_BAD, switch.NOT_OURS, switch.OURS_SHORT),
    finding="F14-068",
    refutes={_OURS},
)(names_body)


# --- ports come and go -------------------------------------------------------------------------------------

_ROOM = "a switch has room for 254 ports"


def ports_body(p: Proof, place: Any, room_for: Any, attach: Any, detach: Any) -> None:
    active, needed = p.integer("ports", 0, switch.MAXPORTS), 1 + p.split("needed")
    step = p.run(room_for, active, needed, p.switches)
    p.goal(_ROOM, step.state == (active + needed <= 254))
    fits = active + needed <= 254
    p.goal("a full one says so", (switch.FULL in step.fired) == (not fits))
    early = switch.PORT_LIMIT in p.switches and fits and active + 2 >= 254
    p.goal("as written the last place is never given", (switch.FULL_EARLY in step.fired) == early)
    cases = 0
    if p.split("what") == 0:
        for names in itertools.product(("", "a", "b"), repeat=3):
            for wanted in ("a", "c"):
                at, free = (
                    names.index(wanted) if wanted in names else -1,
                    names.index("") if "" in names else -1,
                )
                step = p.run(place, names, wanted)
                cases += 1
                p.goal("a switch that is there is found", at < 0 or step.state == at)
                p.goal("another gets the first free place", at >= 0 or step.state == free)
                p.goal("without one it is ENOMEM", step.outcome.ok == (at >= 0 or free >= 0))
                told = switch.FOUND if at >= 0 else switch.MADE if free >= 0 else switch.NO_PLACE
                p.goal("the rule says which", step.fired == (told,))
        p.bounded(cases, "tables of switches")
        return
    for order in itertools.permutations(range(3)):
        # Others have come and gone: what numbers a port is not its index.
        b = p.run(attach, switch.Bridge("v", free=tuple(range(5)), coming=2), ("a", "b")).state
        b = p.run(attach, b, ("c",)).state
        p.goal("indices are given in order", b.ports == ((0, "a"), (1, "b"), (2, "c")), b.free == (3, 4))
        p.goal("every port is numbered as it comes", b.serials == ((0, 2), (1, 3), (2, 4)), b.coming == 5)
        left = list(b.ports)
        for index in order:
            before, b = b, p.run(detach, b, index).state
            gone = next(row for row in left if row[0] == index)
            at = left.index(gone)
            left[at] = left[-1]
            left.pop()
            p.goal("the last port takes the turn of the one that goes", b.ports == tuple(left))
            p.goal("its index is the next to be given", b.free == (index, *before.free))
            rest = tuple(s for s in before.serials if s[0] != index)
            p.goal("and nobody's address any more", b.serials == rest, b.coming == before.coming)
        cases += 1
    p.bounded(cases, "orders")


_ports = partial(
    obligation,
    clauses=("14.switch.limits", "14.switch.index", "14.switch.created", "14.switch.gone"),
    functions=(switch.place, switch.room_for, switch.attach, switch.detach),
    control=Control(
        "an index that comes free is given last",
        switch.place,
        switch.room_for,
        switch.attach,
        lambda b, index: Step(
            replace(switch.detach(b, index).state, free=(*switch.detach(b, index).state.free[1:], index)),
            (switch.DETACHED,),
        ),
        goal="its index is the next to be given",
    ),
    bounds="Tables of three switches, three ports that go in every order; any number of ports for the limit.",
)

_ports(
    "14.switch.ports",
    statement="""A switch is found by its name or made in the first free place; up to 254 ports get its
    indices in order; a port that goes gives its index to the next one, its addresses to nobody, and its turn
    in a flood to the last.""",
    rules=(
        switch.FOUND,
        switch.MADE,
        switch.NO_PLACE,
        switch.FULL,
        switch.ATTACHED,
        switch.DETACHED,
    ),
)(ports_body)

_ports(
    "14.switch.ports.as-written",
    statement="As 14.switch.ports, but the last place is never given.",
    switches={switch.PORT_LIMIT},
    rules=(switch.FULL, switch.FULL_EARLY, switch.ATTACHED, switch.DETACHED),
    finding="F14-068",
    refutes={_ROOM},
)(ports_body)


# --- how far the deviations of learning go ------------------------------------------------------------------


def told_body(p: Proof, learn: Callable[..., Step[switch.Learned]]) -> None:
    cases = Cases(p, "packets")
    rows = ((8, 1, 7), (8, 1, 6), (8, 0, 7), (_TWIN8, 3, 4))
    for table, smac, src, flags in every(
        p, "combinations", ((), *((row,) for row in rows)), (-1, 8, 2), (8, 9, 2), (0, api14.NS_NO_LEARN)
    ):
        bridge = switch.Bridge("vale0", table=table)
        cases.case(table=table, smac=smac, src=src, flags=flags)
        port = switch.VpPort(0, 1, 7, smac=smac)
        step = learn(bridge, port, switch.Head(4, src, flags), True, p.switches)
        p.reached(step.fired)
        known = (src, 1, 7) in table
        if src % 2 == 0 and smac == src:
            cases.goal(
                "a source that was told of last is not told again", step.state == switch.Learned(bridge, src)
            )
            cases.goal("and that shows where it was moved", step.fired == (() if known else (switch.CACHED,)))
        elif src % 2 == 0:
            cases.goal("any other is learned, whatever the flags say", (src, 1, 7) in step.state.bridge.table)
            marked = flags // api14.NS_NO_LEARN % 2 == 1
            cases.goal(
                "and that shows where it was not to be", (switch.LEARNED_ALL_THE_SAME in step.fired) == marked
            )
        else:
            cases.goal("a group never is", step.state == switch.Learned(bridge, smac))
    cases.end()


obligation(
    "14.switch.learn-extent",
    clauses=("14.switch.learning", "14.switch.no-learn"),
    statement="""How far the deviations of learning go: a source that its port told of last is left as it is,
    every other one is learned whatever the flags say.""",
    functions=(switch.learn,),
    control=Control(
        "the flags are looked at",
        lambda b, port, head, displaces, switches: switch.learn(
            b, port, head, displaces, switches - {switch.NO_LEARN_IGNORED}
        ),
    ),
    bounds="As 14.switch.learn, with tables of one address.",
    switches={switch.SOURCE_CACHE, switch.NO_LEARN_IGNORED},
    rules=(switch.LEARNED, switch.CACHED, switch.LEARNED_ALL_THE_SAME, switch.GROUP_SOURCE),
)(told_body)

"""Generation 14, monitors: the lists of zero-copy monitors of a ring, one for each direction."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

from netmap_reference.core.choice import eager
from netmap_reference.gen14.ports import monitor_ends
from netmap_reference.gen14.state import KringState, System
from netmap_reference.gen14.world import PortConfig, World

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every

Tie = Callable[[System, str, int, str], None]
Untie = Callable[[System, KringState, set[str], list[str]], None]
_MONITORS = ("L:rx0", "M:rx0", "N:rx0")


def _rings() -> tuple[System, dict[str, KringState]]:
    """A port's rings and those of three monitors that stand in no list yet."""
    world = World([PortConfig("v0", tx_slots=3, rx_slots=3)])
    world.open("A")
    world.register("A", {"name": "v0"}, eager)
    s = world.system()
    rx = s.krings["v0:rx0"]
    for name in "LMN":
        k = replace(rx, adapter=name)
        s.krings[k.name] = k
    return s, dict(s.krings)


def _lists() -> list[tuple[str, ...]]:
    """Every list of up to three monitors."""
    return [order for n in range(4) for order in itertools.permutations(_MONITORS, n)]


def lists_body(p: Proof, tie: Tie, untie: Untie) -> None:
    cases = Cases(p, "lists")
    s, fresh = _rings()
    words = ("", *_MONITORS[:2])
    for rx, tx, d, m in every(p, "ties", words, words, (0, 1), words):
        cases.case(rx=rx, tx=tx, direction=d, monitor=m)
        k = replace(fresh["N:rx0"], zmon=(rx, tx))
        s.krings = fresh | {k.name: k}
        tie(s, k.name, d, m)
        after = replace(k, zmon=(m, tx) if d == 0 else (rx, m))
        cases.goal(
            "a tie is made in one list and none is lost in the other", s.krings == fresh | {k.name: after}
        )
    for received, sent, d in every(p, "lists", _lists(), _lists(), (0, 1)):
        tied = {name: ["", ""] for name in fresh}
        for way, (ring, order) in enumerate((("v0:rx0", received), ("v0:tx0", sent))):
            for before, after_it in itertools.pairwise((ring, *order)):
                tied[before][way] = after_it
        start = {name: replace(k, zmon=(tied[name][0], tied[name][1])) for name, k in fresh.items()}
        for gone in ({"L:rx0"}, {"M:rx0", "N:rx0"}):
            cases.case(received=received, sent=sent, direction=d, gone=sorted(gone))
            ring, order = ("v0:rx0", received) if d == 0 else ("v0:tx0", sent)
            s.krings, fired = dict(start), list[str]()
            untie(s, s.krings[ring], gone, fired)
            left = [name for name in order if name not in gone]
            wanted = {name: list(found) for name, found in tied.items()}
            for name in (ring, *order):
                wanted[name][d] = ""
            for before, after_it in itertools.pairwise((ring, *left)):
                wanted[before][d] = after_it
            now = {name: list(k.zmon) for name, k in s.krings.items()}
            cases.goal(
                "who stays in the list is tied to who stays, and the other list is as it was", now == wanted
            )
            same = {name: replace(k, zmon=start[name].zmon) for name, k in s.krings.items()} == start
            cases.goal("nothing else of a ring changes", same)
            untied = fired.count(monitor_ends.TIED)
            cases.goal(
                "every monitor that goes is told", untied == len(order) - len(left), len(fired) == untied
            )
    cases.end()


def _forgets_the_other_list(s: System, ring: str, d: int, m: str) -> None:
    monitor_ends._tie(s, ring, d, m)
    zmon = (m, "") if d == 0 else ("", m)
    s.krings[ring] = replace(s.krings[ring], zmon=zmon)


obligation(
    "14.monitor.lists",
    clauses=("14.monitor.several", "14.monitor.stacked"),
    statement="""A monitor stands in the list of a receive ring, of a transmit ring, or in both; whoever goes
    from one, those that stay follow one another there, and the other list is as it was.""",
    functions=(monitor_ends._tie, monitor_ends._untie),
    control=Control("a tie is lost in the other list", _forgets_the_other_list, monitor_ends._untie),
    bounds="Every list of up to three monitors in both directions; one and two of them go.",
    rules=(),
    whole_device=True,
)(lists_body)

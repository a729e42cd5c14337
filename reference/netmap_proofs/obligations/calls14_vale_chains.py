"""Generation 14, switches: leases that are longer than needed, and chains longer than can be told."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from netmap_reference.core.effects import Do, Protocol, Wake
from netmap_reference.gen14 import lease, ring
from netmap_reference.gen14.bind import Faulted, Hung
from netmap_reference.gen14.ports import vale
from netmap_spec.abi import api14

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, every
from .calls14_vale import NOSLOT, TO, TX, M, Sent, answers

Make = Callable[..., Protocol]
Kring = ring.Kring

# --- slots that were leased and not needed ------------------------------------------------------------------


def deliver_body(p: Proof, deliver: Make) -> None:
    cases = Cases(p, "deliveries")
    to = TO[1]
    for at, needed, lost, others in every(p, "leases", range(M), (1, 2, 3), (0, 1), (0, 1)):
        # The last packet takes no slots when it is copied; another sender leases a slot meanwhile.
        others = others and needed < M - 1
        packets = tuple((vale.Fragment(10 + i, 60),) for i in range(needed))
        cases.case(at=at, needed=needed, lost=lost, others=others)
        memory: dict[tuple[Any, ...], Any] = {(to, "kring"): Kring(M, at, at, at, at, at)}
        memory[to, "lease"] = lease.Lease(at, at, M - 1, (NOSLOT,) * M)
        memory |= {(to, "si"): "b", (to, "si_users"): 0, (to, "intercepted"): False}

        def put(
            words: Any, args: tuple[Any, ...], needed: int = needed, lost: int = lost, others: int = others
        ) -> int:
            if args[3][0].buf_idx < 10 + needed - 1:
                return 1
            if others:
                words[to, "lease"] = lease.take_lease(
                    M, words[to, "kring"].hwcur, words[to, "lease"], 1
                ).state.lease
            return 0 if lost else 1

        do: dict[str, Any] = {
            "vale-needed": lambda words, args: (args[2], len(args[2])),
            "vale-put": put,
            "vale-empty": lambda words, args: None,
        }
        done = cases.run(deliver, TX, to, packets, memory=memory, do=do)
        after, end = done.memory[to, "lease"], (at + needed) % M
        emptied = [args[1] for args in done.done("vale-empty")]
        cases.goal(
            "what is left of a lease is emptied when somebody else's slots follow, slot by slot",
            emptied == ([(end - 1) % M] if lost and others else []),
        )
        shown = (end - lost) % M if not others else end
        cases.goal("and given back when none do", after.hwtail == shown)
        told = (lease.EMPTIED in done.fired, lease.GIVEN_BACK in done.fired)
        cases.goal("the rules say which", told == (bool(lost and others), bool(lost and not others)))
        cases.goal("who waits is woken when something is shown", bool(done.of(Wake)) == (shown != at))
        copied = done.fired.count(vale.COPIED)
        cases.goal("the rules say how many packets were copied", copied == needed - lost)
    cases.end()


obligation(
    "14.vale.deliver-call",
    clauses=("14.vale.lease", "14.vale.copied"),
    statement="""A sender that needed fewer slots than it leased gives them back, or empties each of them
    where another one's slots follow; what it has filled is shown, and who waits is told.""",
    functions=(vale.deliver,),
    control=Control(
        "slots that are left are not emptied",
        lambda sender, to, packets: without(
            vale.deliver(sender, to, packets), lambda e: isinstance(e, Do) and e.what == "vale-empty"
        ),
    ),
    bounds="""Rings of four slots, leases of one to three of them at every place, the last one needed or not,
    another sender behind or none: a lease is looked at by its place and length alone.""",
    rules=(lease.EMPTIED, lease.GIVEN_BACK, lease.PUBLISHED, vale.COPIED),
)(deliver_body)


# --- chains that are too long -------------------------------------------------------------------------------

_ENDS = "the call returns"
_CHAINS = "a chain of up to 64 slots crosses, a longer one where the switch lets it and its flags can tell"


def chain_body(p: Proof, txsync: Make) -> None:
    cases = Cases(p, "chains")
    to, other = TO[1], TO[2]
    for slots, longer in every(p, "lengths", (1, 63, 64, 65, 255, 256, 1088, 1089), (False, True)):
        cases.case(slots=slots, longer=longer)
        n = slots + 2
        words: dict[tuple[Any, ...], Any] = {(TX, "kring"): Kring(n, 0, n - 1, slots + 1, slots + 1, n - 1)}
        for i in range(slots + 1):
            words[TX, "slot", i, "flags"] = api14.NS_MOREFRAG if i < slots - 1 else 0
            words |= {(TX, "slot", i, "len"): 60, (TX, "slot", i, "buf_idx"): 10, (TX, "slot", i, "ptr"): i}
        for name in (to, other):
            words[name, "kring"] = Kring(n, 0, 0, 0, 0, 0)
            words[name, "lease"] = lease.Lease(0, 0, 0, (NOSLOT,) * n)
            words |= {(name, "si"): name[:1], (name, "si_users"): 0, (name, "intercepted"): False}
        do: dict[str, Any] = answers(0, Sent((), False, -1, (), 1024, (0, 0))) | {
            "vale-long-chains": lambda w, args, longer=longer: longer,
            "vale-route": lambda w, args, slots=slots: 1 if args[1][0].ptr < slots else 2,
        }
        try:
            done = cases.run(txsync, TX, p.switches, memory=words, do=do, most=20_000)
        except (Hung, Faulted) as end:
            cases.goal(_ENDS, False)
            overrun = isinstance(end, Faulted)
            cases.goal("it goes round for ever from 256 slots on, and past its table from 1089 on",
                       slots >= 256, overrun == (slots > 1088))  # fmt: skip
            continue
        cases.goal(_ENDS, slots < 256 or not p.switches)
        crosses = slots <= 64 or (longer and slots < 256)
        cases.goal(_CHAINS, done.memory[to, "lease"].hwtail == (slots if crosses else 0))
        cases.goal("the packet behind it crosses in any case", done.memory[other, "lease"].hwtail == 1)
        asked = len(done.done("vale-long-chains"))
        cases.goal("only of a longer one the switch is asked", asked == (slots > 64))
    cases.end()


def _loses_what_follows(name: str, switches: frozenset[str]) -> Protocol:
    """What goes to the second receiver takes no slots."""
    protocol, answer = vale.txsync(name, switches), None
    try:
        while True:
            effect = protocol.send(answer)
            answer = yield effect
            if isinstance(effect, Do) and effect.what == "vale-put" and effect.args[1] == TO[2]:
                answer = 0
    except StopIteration as end:
        return end.value


_chains = partial(
    obligation,
    clauses=("14.vale.chain", "14.vale.txsync"),
    functions=(vale.txsync,),
    control=Control(
        "the packet behind a chain goes with it",
        _loses_what_follows,
        goal="the packet behind it crosses in any case",
    ),
    bounds="Chains of 1 slot and around each length at which anything changes; one packet behind.",
)
_chains(
    "14.vale.chains-call",
    statement="""A txsync returns whatever chain of slots it was given: chains of up to 64 slots cross, longer
    ones where the switch lets them, none that the flags cannot count; what is sent behind crosses in any
    case.""",
    rules=(vale.TOO_LONG, vale.LONG_PASSED, vale.LONG_DROPPED),
)(chain_body)
_chains(
    "14.vale.chains-call.as-written",
    statement="""As 14.vale.chains-call: from 256 slots on it goes round for ever, and from 1089 on it stores
    behind its table first.""",
    switches={vale.UNBOUNDED},
    rules=(vale.LONG_PASSED, vale.LONG_DROPPED),
    finding="F14-060",
    refutes={_ENDS},
)(chain_body)

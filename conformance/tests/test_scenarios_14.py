"""The scenarios of generation 14: every clause has one, every rule fires in one that is about its clause."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import pytest
from netmap_conformance import manifest, scenarios, suite
from netmap_conformance.manifest import CAPABILITIES
from netmap_conformance.scenarios import scenario_id
from netmap_conformance.targets import open_target
from netmap_conformance.trace import Trace
from netmap_reference.core.step import RULES
from netmap_spec import clauses

POLICIES = ("eager", "lazy", "seeded")

#: Clauses that no scenario can be about, with the reason.
EXCUSED = {
    "14.callbacks.answers": "a duty of another module: what comes of any other answer is nobody's to say",
    "14.kqueue.early": "a one-shot filter that is told of without a look: no target registers one",
    "14.kqueue.no-deadlock": "two threads of the kernel that notify each other at once: locks no call shows",
    "14.module.renamed": "the model calls a port by one name all its life",
    "14.vale.read-once": "needs another thread that stores between two reads; the effect explorer has one",
}

#: Chapters that no scenario is about, with what holds their clauses instead.
OTHERWISE = {
    "14.abi.": "bytes and numbers: the measured tables and the C assertions made from them",
    "14.driver.": "a driver's duties: the checker of drivers, which refuses a wrong one by its clause",
}

#: Rules of the contract that no scenario can fire, with the reason.
UNSEEN = {
    "14/kloop/ring/busy": "needs a sync of the same ring at the same instant",
    "14/kloop/ring/stopped": "a pass that leaves a ring alone changes nothing that can be seen",
    "14/kloop/ring/won-race": "needs a store between the loop's two looks; the effect explorer has one",
    "14/kloop/tx/no-room": "needs a store during the pass; the effect explorer has one",
    "14/ptnet/interrupt-off-again": "needs a pass between the guest's two looks; the effect explorer has one",
    "14/lease/publish/empty-packets": "needs two senders to one ring at the same instant",
    "14/lease/publish/later-ones-too": "needs two senders to one ring at the same instant",
    "14/lease/publish/not-yet": "needs two senders to one ring at the same instant",
    "14/monitor/notify/busy": "needs news during a sync of the ring; the effect explorer has one",
    "14/wire/completed": "a move of the environment: the oracle judges what it leads to",
}


@cache
def all_scenarios() -> tuple[Trace, ...]:
    return tuple(scenarios.load("14"))


@cache
def entries(policy: str) -> dict[str, suite.Entry]:
    """Every scenario on the reference target under one policy."""
    m = manifest.load("reference")
    target = open_target("reference", m, policy=policy, seed=1)
    found = suite.run_all(target, all_scenarios(), m, target.capabilities())
    return {e.id: e for e in found.entries}


def ids() -> list[str]:
    return [scenario_id(t) for t in all_scenarios()]


def test_every_scenario_says_what_it_is_about() -> None:
    known = clauses.load()
    for trace in all_scenarios():
        name, header = scenario_id(trace), trace.header
        assert header.title, name
        assert header.clauses, name
        assert not [c for c in header.clauses if c not in known], name
        assert all(c.startswith(("14.", "all.")) for c in header.clauses), name
        assert header.needs, f"{name}: even a pipe is a capability"
        assert not [c for c in header.needs if c not in CAPABILITIES], name


def test_every_clause_has_a_scenario() -> None:
    about = {c for t in all_scenarios() for c in t.header.clauses}
    asked = [c for c in clauses.load() if c.startswith("14.") and not c.startswith(tuple(OTHERWISE))]
    assert not [c for c in asked if c not in about | EXCUSED.keys()]
    assert not EXCUSED.keys() & about, "no longer excused"
    assert EXCUSED.keys() <= clauses.load().keys()


@pytest.mark.parametrize("policy", POLICIES)
def test_the_model_passes_whatever_it_chooses(policy: str) -> None:
    bad = {e.id: e.reason for e in entries(policy).values() if e.verdict != "PASS"}
    assert not bad


def test_every_rule_fires_in_a_scenario_about_its_clause() -> None:
    """Deleting a rule must fail a scenario tagged with its clause, so there must be one that fires it."""
    about = {scenario_id(t): set(t.header.clauses) for t in all_scenarios()}
    fired: dict[str, set[str]] = defaultdict(set)
    for policy in POLICIES:
        for entry in entries(policy).values():
            for rule in entry.rules:
                fired[rule] |= about[entry.id]
    contract = [r for r in RULES.values() if r.id.startswith("14/") and not r.switch]
    silent = [r.id for r in contract if r.id not in UNSEEN and r.clause not in fired[r.id]]
    assert not silent
    assert not [r for r in UNSEEN if fired[r]], "no longer unseen"
    assert UNSEEN.keys() <= {r.id for r in contract}


def test_ids_are_unique_and_made_of_words() -> None:
    names = ids()
    assert len(names) == len(set(names))
    assert all(n == n.lower() and " " not in n for n in names)

"""FINDINGS.md and the proofs say the same: every as-written refutation is there, whole, with its repair."""

from __future__ import annotations

import re
from pathlib import Path

import netmap_proofs
import pytest
from netmap_proofs.obligation import Obligation
from netmap_proofs.obligations import load
from netmap_spec import clauses

ROOT = Path(netmap_proofs.__file__).parents[2]
TEXT = (ROOT / "FINDINGS.md").read_text(encoding="utf-8")
SECTIONS = {m[1]: m[0] for m in re.finditer(r"^#+ (F[0-9]+-[0-9]+) .*?(?=^#|\Z)", TEXT, re.S | re.M)}
#: Sections, and rows of the table that ties the older findings to their obligations.
ROWS = [(m[1], m[0]) for m in re.finditer(r"^\| (F2011-[0-9]+) \|.*$", TEXT, re.M)]
REFUTATIONS = [o for o in load().values() if o.finding is not None]
#: What an entry must say, in the words either generation uses.
PARTS = {
    "the rule": r"[Rr]ule: 14\.|clause 2011\.",
    "the source lines": r"[Ll]ines?: |netmap\.c:|netmap\.c 2011-12-02:|the driver of the recordings",
    "values or a schedule": r"[Cc]ounterexample|[Vv]alues|[Ss]chedule|[Tt]race",
    "how sure we are": r"[Ee]vidence",
    "what an application or the kernel suffers": r"[Ee]ffect|application sees|polls|the comment calls",
}


def told(finding: str) -> str:
    return SECTIONS[finding] + "\n".join(row for id, row in ROWS if id == finding)


@pytest.mark.parametrize("each", REFUTATIONS, ids=lambda o: o.id)
def test_a_refutation_is_named_in_its_finding(each: Obligation) -> None:
    assert each.finding in SECTIONS, f"{each.finding} has no entry"
    assert each.id in told(each.finding), f"{each.finding} does not name {each.id}"


@pytest.mark.parametrize("each", REFUTATIONS, ids=lambda o: o.id)
def test_the_proof_of_its_repair_is_named_too(each: Obligation) -> None:
    """The same body, proved for the contract."""
    assert each.finding is not None
    twins = [
        o.id
        for o in load().values()
        if o.finding is None and not o.switches and o.body.__code__ is each.body.__code__
    ]
    assert twins
    assert any(re.search(re.escape(t) + r"(?![\w.-])", told(each.finding)) for t in twins), twins


@pytest.mark.parametrize("finding", sorted({o.finding or "" for o in REFUTATIONS}))
@pytest.mark.parametrize("part", PARTS)
def test_an_entry_is_whole(finding: str, part: str) -> None:
    assert re.search(PARTS[part], told(finding)), f"{finding} does not tell {part}"


def test_every_obligation_that_an_entry_names_exists() -> None:
    named = set(re.findall(r"\b((?:14|2011)\.[a-z0-9]+(?:\.[a-z0-9-]+)+)", TEXT))
    known = set(load()) | set(clauses.load())
    unknown = [
        n for n in named if n not in known and not any(k.startswith((f"{n}.", f"{n}-")) for k in known)
    ]
    assert sorted(unknown) == []


#: Findings that no obligation refutes as written, and what holds them instead.
HELD_OTHERWISE = {
    "F14-027": "an adapter that is made late: the model's ports have their region from the start",
    "F14-034": "a rule for drivers: the driver checker refuses a driver that does it",
    "F14-035": "a rule for drivers: the driver checker refuses a driver that does it",
    "F14-036": "a rule for drivers: the driver checker refuses a driver that does it",
    "F14-055": "a rule for drivers: the driver checker refuses a driver that does it",
    "F14-042": "no request can see what is left, so the model has nothing to be switched",
    "F14-075": "no promise is broken: 14.life.hostile and 14.memory.chain-wild say what the kernel keeps",
    "F14-090": "a second read between two passes of a driver: the model reads no length there",
}


SCENARIOS = {each.stem for each in (ROOT / "conformance/netmap_conformance/scenarios").rglob("*.scn")}


def test_every_finding_is_refuted_as_written_or_says_what_holds_it() -> None:
    """By an obligation, by a reason above, or by a scenario that its entry names; a reason that is no longer
    needed goes."""
    refuted = {o.finding for o in REFUTATIONS}
    assert [f for f in HELD_OTHERWISE if f in refuted or f not in SECTIONS] == []
    for finding in SECTIONS.keys() - refuted - HELD_OTHERWISE.keys():
        named = set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)+", told(finding)))
        assert named & SCENARIOS, f"{finding} is not refuted, and names no scenario that shows it"

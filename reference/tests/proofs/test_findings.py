"""FINDINGS.md and the proofs say the same: every as-written refutation is there, whole, with its repair."""

from __future__ import annotations

import re
from pathlib import Path

import netmap_proofs
import pytest
from netmap_proofs.obligation import Obligation
from netmap_proofs.obligations import load
from netmap_spec import clauses

TEXT = (Path(netmap_proofs.__file__).parents[2] / "FINDINGS.md").read_text(encoding="utf-8")
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

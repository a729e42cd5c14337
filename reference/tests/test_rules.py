"""Every rule of the model is bound to the contract by a clause, and by its switch to a deviation of it."""

from __future__ import annotations

import importlib
import pkgutil
import re

import netmap_reference
import pytest
from netmap_reference.core.step import RULES, Rule
from netmap_spec import clauses

for _module in pkgutil.walk_packages(netmap_reference.__path__, "netmap_reference."):
    importlib.import_module(_module.name)

CLAUSES = clauses.load()
ALL = sorted(RULES.values(), key=lambda rule: rule.id)


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.id)
def test_a_rule_implements_a_clause_of_its_generation(rule: Rule) -> None:
    assert re.fullmatch(r"(14|2011)(/[a-z0-9_-]+){2,3}", rule.id)
    assert rule.clause in CLAUSES
    assert CLAUSES[rule.clause].generation in (rule.id.split("/")[0], "all")


@pytest.mark.parametrize("rule", [r for r in ALL if r.switch], ids=lambda rule: rule.id)
def test_a_rule_of_a_deviation_is_named_by_its_clause(rule: Rule) -> None:
    named = [text.split()[0].rstrip(":") for text in CLAUSES[rule.clause].deviations]
    assert rule.switch in named


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.id)
def test_a_rule_says_where_it_was_read(rule: Rule) -> None:
    assert rule.source.strip()
